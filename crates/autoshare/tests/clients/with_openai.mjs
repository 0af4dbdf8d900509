// The `openai` package of npm against a gateway.
import OpenAI from "openai";

const { GATEWAY, TOKEN, WRONG, ONCE, MODEL: model } = process.env;
const at = (apiKey) => new OpenAI({ baseURL: `${GATEWAY}/openai/v1`, apiKey, maxRetries: 0 });
const client = at(TOKEN);
const tell = (what, seen) => console.log(JSON.stringify({ what, seen }));
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "weather", description: "The weather in a city", parameters } }];

const messages = [{ role: "user", content: "What is the weather in Oslo?" }];
const first = (await client.chat.completions.create({ model, messages, tools })).choices[0].message;
const call = first.tool_calls[0];
tell("tool", [call.function.name, JSON.parse(call.function.arguments)]);
const after = [...messages, first, { role: "tool", tool_call_id: call.id, content: "rain" }];
const second = await client.chat.completions.create({ model, messages: after, tools });
tell("chat", second.choices[0].message.content);
tell("usage", [second.usage.prompt_tokens, second.usage.completion_tokens]);

const pieces = [];
for await (const chunk of await client.chat.completions.create({ model, messages: after, tools, stream: true })) {
  pieces.push(chunk.choices[0]?.delta?.content ?? "");
}
tell("stream", [pieces.join(""), pieces.length > 1]);

const said = [{ role: "user", content: "What is the weather?" }, { role: "assistant", content: "Where?" }];
const input = [...said, { role: "user", content: "In Oslo." }];
tell("responses", (await client.responses.create({ model, input })).output_text);
const deltas = [];
for await (const event of await client.responses.create({ model, input, stream: true })) {
  if (event.type === "response.output_text.delta") deltas.push(event.delta);
}
tell("responses-stream", deltas.join(""));
const rows = await client.embeddings.create({ model, input: ["one", "three"], encoding_format: "float" });
tell("embeddings", rows.data.map((row) => row.embedding));
tell("models", (await client.models.list()).data.length > 0);

const error = async (token, model) => {
  try {
    await at(token).chat.completions.create({ model, messages });
    return "no error";
  } catch (raised) {
    return [raised.constructor.name, raised.status, raised.code];
  }
};
tell("wrong-token", await error(WRONG, model));
tell("over-budget", [await error(ONCE, model), await error(ONCE, model)]);
tell("unknown-model", await error(TOKEN, "https://evil.example/v1"));
tell("model-not-allowed", await error(TOKEN, "another"));
