//! The wires that a script is played on: what a request's conversation is, and how an answer is written down.

mod chat;
mod gemini;
mod messages;
pub(crate) mod other;
mod responses;

use serde_json::Value;

use crate::reply::Said;

/// A provider's way of asking and answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// OpenAI's `/v1/chat/completions`, and whatever is compatible.
    Chat,
    /// OpenAI's `/v1/responses`, which Codex speaks.
    Responses,
    /// Anthropic's `/v1/messages`, which Claude Code speaks.
    Messages,
    /// Google's `models/NAME:generateContent` and `models/NAME:streamGenerateContent`.
    Gemini,
}

impl Wire {
    /// The wire of a path.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let known = [
            ("/chat/completions", Self::Chat),
            ("/responses", Self::Responses),
            ("/messages", Self::Messages),
            (":generateContent", Self::Gemini),
            (":streamGenerateContent", Self::Gemini),
        ];
        known.iter().find(|(end, _)| path.ends_with(end)).map(|(_, wire)| *wire)
    }

    /// How many turns of the assistant a request's conversation holds.
    pub(crate) fn turns(self, request: &Value) -> usize {
        match self {
            Self::Chat => chat::turns(request),
            Self::Responses => responses::turns(request),
            Self::Messages => messages::turns(request),
            Self::Gemini => gemini::turns(request),
        }
    }

    /// An answer as one JSON value.
    pub(crate) fn whole(self, said: &Said<'_>) -> Value {
        match self {
            Self::Chat => chat::whole(said),
            Self::Responses => responses::whole(said),
            Self::Messages => messages::whole(said),
            Self::Gemini => gemini::whole(said),
        }
    }

    /// An answer as events.
    pub(crate) fn stream(self, said: &Said<'_>, request: &Value) -> Vec<String> {
        match self {
            Self::Chat => chat::stream(said, request),
            Self::Responses => responses::stream(said),
            Self::Messages => messages::stream(said),
            Self::Gemini => gemini::stream(said),
        }
    }

    /// An event with these words.
    pub(crate) fn words(self, text: &str) -> String {
        match self {
            Self::Chat => chat::words(text),
            Self::Responses => responses::words(text),
            Self::Messages => messages::words(text),
            Self::Gemini => gemini::words(text),
        }
    }

    /// An event that says what went wrong.
    pub(crate) fn failure(self, error: &Value) -> String {
        match self {
            Self::Chat => chat::failure(error),
            Self::Gemini => gemini::failure(error),
            Self::Responses | Self::Messages => event(&serde_json::json!({"type": "error", "error": error})),
        }
    }
}

/// The items of a list of a request; none if it has no such list.
fn list<'a>(request: &'a Value, key: &str) -> &'a [Value] {
    request.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// How many runs of items that follow one another are the assistant's: where one turn may be several items.
fn runs(items: &[Value], assistants: impl Fn(&Value) -> bool) -> usize {
    items
        .chunk_by(|one, next| assistants(one) == assistants(next))
        .filter(|run| run.first().is_some_and(&assistants))
        .count()
}

/// Whether a message is of this role.
fn is_of(item: &Value, role: &str) -> bool {
    item.get("role").and_then(Value::as_str) == Some(role)
}

/// An event whose name is also in its data, as OpenAI's Responses and Anthropic's Messages send them.
fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value.get("type").and_then(Value::as_str).unwrap_or("message"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::script::{Reported, Turn};

    /// The data of the events of a stream; each event's name must be the type that its data tells.
    fn events(stream: &[String]) -> Vec<Value> {
        let parse = |event: &String| {
            let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap();
            assert_eq!(data["type"], name);
            data
        };
        stream.iter().map(parse).collect()
    }

    /// The deltas under `key` of a kind of event, put together.
    fn together(events: &[Value], kind: &str, at: &str) -> String {
        let of_kind = events.iter().filter(|event| event["type"] == kind);
        of_kind.filter_map(|event| event.pointer(at).and_then(Value::as_str)).collect()
    }

    fn said() -> (Turn, Value) {
        let turn = Turn {
            text: "Größe, and more of it".to_owned(),
            usage: Reported::Tokens { input: 7, output: 3 },
            ..Turn::default()
        };
        let arguments = json!({"cmd": "printf 'a\\n' > \"b c\""});
        (turn.and_call("shell", arguments.clone()).and_call("shell", json!({"cmd": "true"})), arguments)
    }

    #[test]
    fn a_stream_of_responses_adds_up_to_the_whole_answer() {
        let (turn, arguments) = said();
        let request = json!({"model": "m"});
        let said = Said::of(&turn, 2, &request, 0);
        let (events, whole) = (events(&responses::stream(&said)), responses::whole(&said));
        let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
        assert_eq!(together(&events, "response.output_text.delta", "/delta"), turn.text);
        let done: Vec<&Value> = events
            .iter()
            .filter(|event| event["type"] == "response.output_item.done")
            .map(|event| &event["item"])
            .collect();
        assert_eq!(done, whole["output"].as_array().unwrap().iter().collect::<Vec<_>>());
        assert_eq!((&done[1]["call_id"], &done[2]["call_id"]), (&json!("call_3_1"), &json!("call_3_2")));
        assert_eq!(serde_json::from_str::<Value>(done[1]["arguments"].as_str().unwrap()).unwrap(), arguments);
        let last = events.last().unwrap();
        assert_eq!((&last["type"], &last["response"]), (&json!("response.completed"), &whole));
        assert_eq!(whole["usage"]["total_tokens"], 10);

        let short = Turn { finish: Some("max_output_tokens".to_owned()), ..Turn::text("x") };
        let said = Said::of(&short, 0, &request, 0);
        let last = super::tests::events(&responses::stream(&said)).pop().unwrap();
        assert_eq!(last["type"], "response.incomplete");
        assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    }

    #[test]
    fn a_stream_of_messages_adds_up_to_the_whole_answer() {
        let (turn, arguments) = said();
        let request = json!({"model": "m"});
        let said = Said::of(&turn, 0, &request, 0);
        let (events, whole) = (events(&messages::stream(&said)), messages::whole(&said));
        assert_eq!(together(&events, "content_block_delta", "/delta/text"), turn.text);
        let first_call: Vec<Value> = events.iter().filter(|event| event["index"] == 1).cloned().collect();
        let input = together(&first_call, "content_block_delta", "/delta/partial_json");
        assert_eq!(serde_json::from_str::<Value>(&input).unwrap(), arguments);
        assert_eq!(
            whole["content"][1],
            json!({"type": "tool_use", "id": "call_1_1", "name": "shell", "input": arguments})
        );
        let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == "content_block_start").count(), 3);
        assert_eq!(kinds.iter().filter(|kind| **kind == "content_block_stop").count(), 3);
        assert_eq!((kinds[0], &kinds[kinds.len() - 2..]), ("message_start", &["message_delta", "message_stop"][..]));
        let end = &events[events.len() - 2];
        assert_eq!((&end["delta"]["stop_reason"], &whole["stop_reason"]), (&json!("tool_use"), &json!("tool_use")));
        assert_eq!((&end["usage"]["output_tokens"], &whole["usage"]["input_tokens"]), (&json!(3), &json!(7)));
    }

    #[test]
    fn a_path_has_one_wire_and_each_says_words_and_failures_its_own_way() {
        // (path, the wire, where its words stand, the type of a failure)
        let table = [
            ("/v1/chat/completions", Wire::Chat, "/choices/0/delta/content", Value::Null),
            ("/v1/responses", Wire::Responses, "/delta", json!("error")),
            ("/v1/messages", Wire::Messages, "/delta/text", json!("error")),
            ("/v1beta/models/m:streamGenerateContent", Wire::Gemini, "/candidates/0/content/parts/0/text", Value::Null),
        ];
        for (path, wire, words, kind) in table {
            assert_eq!(Wire::of(path), Some(wire));
            let data = |event: String| {
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap().to_owned();
                serde_json::from_str::<Value>(&data).unwrap()
            };
            assert_eq!(data(wire.words("hello")).pointer(words), Some(&json!("hello")), "{path}");
            let failure = data(wire.failure(&json!({"message": "no"})));
            assert_eq!((&failure["error"]["message"], &failure["type"]), (&json!("no"), &kind), "{path}");
        }
        for path in ["/v1/messages/count_tokens", "/v1/responses/resp_1", "/v1/models", "/"] {
            assert_eq!(Wire::of(path), None, "{path}");
        }
    }

    #[test]
    fn turns_of_a_conversation_are_counted_on_every_wire() {
        let (user, assistant) = (json!({"role": "user"}), json!({"role": "assistant"}));
        let chat = json!({"messages": [user, assistant, {"role": "tool"}, assistant]});
        assert_eq!(Wire::Chat.turns(&chat), 2);
        // What Codex sends after a turn with words and two calls, and after one with words.
        let call = json!({"type": "function_call"});
        let result = json!({"type": "function_call_output"});
        let said = json!({"type": "message", "role": "assistant"});
        let input = json!({"input": [user, {"type": "reasoning"}, said, call, call, result, result, said, user]});
        assert_eq!(Wire::Responses.turns(&input), 2);
        // Claude Code puts words of the system between the turns.
        let messages = json!({"messages": [user, {"role": "system"}, assistant, assistant, user, assistant, user]});
        assert_eq!(Wire::Messages.turns(&messages), 2);
        let contents = json!({"contents": [user, {"role": "model"}, user, {"role": "model"}, user]});
        assert_eq!(Wire::Gemini.turns(&contents), 2);
        for wire in [Wire::Chat, Wire::Responses, Wire::Messages, Wire::Gemini] {
            assert_eq!(wire.turns(&json!({})), 0, "{wire:?}");
        }
    }
}
