"""The `openai` package against a gateway: everything that its users would do, and the errors that they catch."""

import json

import openai

from said import TOOL, WEATHER, base, env, tell

client = openai.OpenAI(base_url=base("openai/v1"), api_key=env("TOKEN"), max_retries=0)
model = env("MODEL")


def chat():
    messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
    first = client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
    call = first.choices[0].message.tool_calls[0]
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": WEATHER}]
    second = client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
    return call, second.choices[0].message.content, second.usage


call, words, usage = chat()
tell("tool", [call.function.name, json.loads(call.function.arguments)])
tell("chat", words)
tell("usage", [usage.prompt_tokens, usage.completion_tokens])

messages = [{"role": "user", "content": "What is the weather?"}, {"role": "assistant", "content": "Where?"}]
messages.append({"role": "user", "content": "In Oslo."})
pieces, used = [], None
options = {"include_usage": True}
for chunk in client.chat.completions.create(model=model, messages=messages, stream=True, stream_options=options):
    pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
    used = chunk.usage or used
tell("stream", ["".join(pieces), len(pieces) > 1, used.completion_tokens])

name, arguments = "", ""
for chunk in client.chat.completions.create(model=model, messages=messages[:1], tools=[TOOL], stream=True):
    for part in chunk.choices[0].delta.tool_calls or []:
        name += part.function.name or ""
        arguments += part.function.arguments or ""
tell("streamed-tool", [name, json.loads(arguments)])

tell("responses", client.responses.create(model=model, input=messages).output_text)
with client.responses.stream(model=model, input=messages) as stream:
    deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
tell("responses-stream", "".join(deltas))

rows = client.embeddings.create(model=model, input=["one", "three"], encoding_format="float").data
tell("embeddings", [[int(number) for number in row.embedding] for row in rows])
tell("models", len(list(client.models.list())) > 0)


def error(client, model=model, **more):
    try:
        client.chat.completions.create(model=model, messages=messages, **more)
    except openai.APIStatusError as raised:
        return [type(raised).__name__, raised.status_code, raised.code]
    return "no error"


tell("wrong-token", error(client.with_options(api_key=env("WRONG"))))
spent = client.with_options(api_key=env("ONCE"))
tell("over-budget", [error(spent), error(spent)])
tell("unknown-model", error(client, model="https://evil.example/v1"))
tell("model-not-allowed", error(client, model="another"))
tell("unknown-field", error(client, extra_body={"api_base": "https://evil.example"}))
try:
    client.files.list()
except openai.NotFoundError as raised:
    tell("unknown-path", "docs/gateway.md" in raised.message)
