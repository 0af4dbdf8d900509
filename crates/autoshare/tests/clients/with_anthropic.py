"""The `anthropic` package against a gateway."""

import anthropic

from said import TOOL, WEATHER, base, env, tell

client = anthropic.Anthropic(base_url=base("anthropic"), api_key=env("TOKEN"), max_retries=0)
model = env("MODEL")
function = TOOL["function"]
tools = [{"name": function["name"], "description": function["description"], "input_schema": function["parameters"]}]

messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
first = client.messages.create(model=model, max_tokens=100, messages=messages, tools=tools)
call = next(block for block in first.content if block.type == "tool_use")
tell("tool", [call.name, call.input, first.stop_reason])
messages.append({"role": "assistant", "content": [block.model_dump(include={"type", "id", "name", "input"}) for block in first.content]})
messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": WEATHER}]})
second = client.messages.create(model=model, max_tokens=100, messages=messages, tools=tools)
tell("chat", second.content[0].text)
tell("usage", [second.usage.input_tokens, second.usage.output_tokens])

with client.messages.stream(model=model, max_tokens=100, messages=messages, tools=tools) as stream:
    pieces = list(stream.text_stream)
    final = stream.get_final_message()
tell("stream", ["".join(pieces), len(pieces) > 1, final.stop_reason])
with client.messages.stream(model=model, max_tokens=100, messages=messages[:1], tools=tools) as stream:
    call = next(block for block in stream.get_final_message().content if block.type == "tool_use")
tell("streamed-tool", [call.name, call.input])
tell("models", len(list(client.models.list())) > 0)


def error(client, model=model, **more):
    try:
        client.messages.create(model=model, max_tokens=100, messages=messages[:1], **more)
    except anthropic.APIStatusError as raised:
        return [type(raised).__name__, raised.status_code, raised.body["error"]["type"]]
    return "no error"


tell("wrong-token", error(client.with_options(api_key=env("WRONG"))))
spent = client.with_options(api_key=env("ONCE"))
tell("over-budget", [error(spent), error(spent)])
tell("unknown-model", error(client, model="https://evil.example/v1"))
tell("model-not-allowed", error(client, model="another"))
tell("unknown-field", error(client, extra_body={"api_base": "https://evil.example"}))
