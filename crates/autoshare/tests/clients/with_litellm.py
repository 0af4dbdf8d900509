"""LiteLLM's package as a client of a gateway, by both of its faces."""

import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it asks GitHub for prices when it is imported
import litellm

litellm.suppress_debug_info = True  # it prints advice on standard output
from said import TOOL, WEATHER, base, env, tell

messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
faces = [("openai", base("openai/v1")), ("anthropic", base("anthropic"))]


def complete(face, url, token="TOKEN", model=env("MODEL"), **more):
    ask = {"messages": messages, "max_tokens": 100, "num_retries": 0, "max_retries": 0, "api_key": env(token)}
    return litellm.completion(model=f"{face}/{model}", base_url=url, **{**ask, **more})


def error(face, url, **more):
    try:
        complete(face, url, **more)
    except litellm.exceptions.openai.APIStatusError as raised:
        return [type(raised).__name__, raised.status_code]
    return "no error"


spent = []
for face, url in faces:
    first = complete(face, url, tools=[TOOL]).choices[0].message
    call = first.tool_calls[0]
    tell(f"{face}-tool", [call.function.name, json.loads(call.function.arguments)])
    result = {"role": "tool", "tool_call_id": call.id, "content": WEATHER}
    after = messages + [first.model_dump(exclude_none=True), result]
    tell(f"{face}-chat", complete(face, url, tools=[TOOL], messages=after).choices[0].message.content)
    pieces = [chunk.choices[0].delta.content for chunk in complete(face, url, tools=[TOOL], messages=after, stream=True)]
    tell(f"{face}-stream", "".join(filter(None, pieces)))
    tell(f"{face}-wrong-token", error(face, url, token="WRONG"))
    tell(f"{face}-unknown-model", error(face, url, model="gullible"))
    spent.append(error(face, url, token="ONCE"))
tell("over-budget", spent)
rows = litellm.embedding(model=f"openai/{env('MODEL')}", input=["one", "three"], api_base=faces[0][1], api_key=env("TOKEN"), encoding_format="float")
tell("embeddings", [[int(number) for number in row["embedding"]] for row in rows.data])
