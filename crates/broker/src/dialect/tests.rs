//! What holds of every dialect alike: what is said to a caller in one is understood by whoever speaks it.

use autoshare_core::chat::RawCall;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::form::{
    Assembler, CallPiece, Delivery, Finish, Image, Item, Opaque, Output, Part, SaidPart, Tool, ToolChoice, ToolOutcome,
};
use crate::prices::Tokens;
use crate::sse::Reader;

const CALLERS: [Dialect; 3] = [Dialect::Chat, Dialect::Responses, Dialect::Messages];

/// Reads an event stream in a dialect.
fn read(dialect: Dialect, stream: &str) -> (Result<Assembled, Wrong>, bool) {
    let (mut decoder, mut assembler, mut pieces) = (Decoder::new(dialect), Assembler::default(), Vec::new());
    let (mut reader, mut events) = (Reader::default(), Vec::new());
    reader.push(stream.as_bytes(), &mut events).unwrap();
    let mut ended = false;
    for event in events {
        match decoder.event(&event, &mut pieces) {
            Ok(progress) => ended |= progress == Progress::End,
            Err(wrong) => return (Err(wrong), false),
        }
    }
    pieces.iter().for_each(|piece| assembler.push(piece).unwrap());
    let whole = assembler.finish.is_some() && ended;
    (assembler.into_reply(), whole)
}

fn call(place: usize, id: &str, name: &str, arguments: &str) -> Piece {
    Piece::Call(CallPiece { place, id: id.into(), name: name.into(), arguments: arguments.into() })
}

fn pieces() -> Vec<Piece> {
    vec![
        Piece::Text("I lo".into()),
        Piece::Text("ok. \u{1f600}\n\"".into()),
        call(0, "call_a", "read_file", ""),
        call(0, "", "", "{\"path\":"),
        call(1, "call_b", "list", ""),
        call(0, "", "", "\"a b\"}"),
        call(1, "", "", "{}"),
        Piece::Usage(Tokens { input: 120, output: 40, cached: 100, written: 0, reasoning: 0 }),
        Piece::Finish(Finish::Calls),
    ]
}

#[test]
fn what_is_streamed_to_a_caller_is_what_was_said() {
    let mut assembler = Assembler::default();
    pieces().iter().for_each(|piece| assembler.push(piece).unwrap());
    let expected = assembler.into_reply().unwrap();
    for dialect in CALLERS {
        let mut speaker = Speaker::new(dialect, "id1", "m", UsageWanted::Yes);
        let mut stream: String = pieces().iter().map(|piece| speaker.say(piece)).collect();
        let (cut, whole) = read(dialect, &stream);
        assert!(!whole, "{dialect:?}: without its end no reply looks whole: {cut:?}");
        stream.push_str(&speaker.end());
        let (got, whole) = read(dialect, &stream);
        assert!(whole, "{dialect:?}");
        assert_eq!(got.unwrap(), expected, "{dialect:?}");

        let mut pieces = Vec::new();
        Decoder::new(dialect).whole(&super::whole(dialect, "id1", "m", &expected).to_string(), &mut pieces).unwrap();
        let mut assembler = Assembler::default();
        pieces.iter().for_each(|piece| assembler.push(piece).unwrap());
        assert_eq!(assembler.into_reply().unwrap(), expected, "{dialect:?}, whole");
    }
}

#[test]
fn the_end_of_a_reply_keeps_its_reason() {
    for dialect in CALLERS {
        for finish in [Finish::Stop, Finish::Length, Finish::Filter] {
            let mut speaker = Speaker::new(dialect, "id1", "m", UsageWanted::No);
            let said = [Piece::Text("x".into()), Piece::Finish(finish.clone())];
            let mut stream: String = said.iter().map(|piece| speaker.say(piece)).collect();
            stream.push_str(&speaker.end());
            assert_eq!(read(dialect, &stream).0.unwrap().finish, finish, "{dialect:?}");
        }
    }
}

#[test]
fn a_reply_that_breaks_off_is_told_in_every_dialect() {
    for dialect in CALLERS {
        let mut speaker = Speaker::new(dialect, "id1", "m", UsageWanted::No);
        let stream = speaker.say(&Piece::Text("half".into())) + &speaker.fail("the upstream was cut off");
        let (got, whole) = read(dialect, &stream);
        assert!(!whole);
        assert!(
            matches!(&got, Err(Wrong::Error(error)) if error.to_string().contains("cut off")),
            "{dialect:?}: {got:?}"
        );
    }
}

/// A request with everything that each dialect of callers has a word for.
fn everything() -> Call {
    let image = Image::Data { media_type: "image/png".into(), base64: "aGk=".into() };
    let asked = RawCall { id: "call_1".into(), name: "read_file".into(), arguments: "{\"path\":\"a\"}".into() };
    Call {
        items: vec![
            Item::System("Be brief.".into()),
            Item::User(vec![Part::Text("What is this?".into()), Part::Image(image)]),
            Item::Assistant(vec![SaidPart::Text("I look.".into()), SaidPart::Call(asked)]),
            Item::ToolResult {
                call_id: "call_1".into(),
                parts: vec![Part::Text("contents".into())],
                outcome: ToolOutcome::Done,
            },
        ],
        tools: vec![Tool {
            name: "read_file".into(),
            description: "Reads.".into(),
            parameters: json!({"type": "object", "properties": {"path": {"type": "string"}}}),
            strict: None,
        }],
        tool_choice: Some(ToolChoice::Any),
        parallel_calls: Some(false),
        max_output: Some(300),
        temperature: Some(0.5),
        top_p: Some(0.9),
        output: Output::Schema { name: "answer".into(), schema: json!({"type": "object"}) },
        effort: Some("low".into()),
        delivery: Delivery::Stream,
        ..Call::default()
    }
}

/// A caller's request is what we ourselves would send: whoever reads it finds the same call.
#[test]
fn a_callers_request_is_understood_in_every_dialect() {
    for dialect in CALLERS {
        let body = encode(dialect, "m", &everything(), Quirks::default()).unwrap();
        let asked = understand(dialect, body).unwrap();
        let mut expected = everything();
        if dialect == Dialect::Responses {
            expected.tools[0].strict = Some(false);
        }
        assert_eq!((asked.model.as_str(), &asked.call), ("m", &expected), "{dialect:?}");
    }
}

#[test]
fn every_dialect_is_translated_to_every_other() {
    for from in CALLERS {
        for to in [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini] {
            let body = encode(from, "m", &everything(), Quirks::default()).unwrap();
            let mut call = understand(from, body).unwrap().call;
            if to == Dialect::Gemini {
                assert!(matches!(encode(to, "m", &call, Quirks::default()), Err(FormError::NoCounterpart { .. })));
                call.parallel_calls = None;
            }
            let text = encode(to, "m", &call, Quirks::default()).unwrap().to_string();
            for part in ["Be brief.", "What is this?", "aGk=", "I look.", "read_file", "contents", "0.5", "0.9", "300"]
            {
                assert!(text.contains(part), "{from:?} to {to:?}: {part} is missing: {text}");
            }
        }
    }
}

#[test]
fn what_has_no_counterpart_is_refused_by_name_and_never_dropped() {
    let messages = || json!([{"role": "user", "content": "hi"}]);
    let cases = [
        (Dialect::Chat, json!({"model": "m", "messages": messages(), "n": 2}), "n has no counterpart"),
        (Dialect::Chat, json!({"model": "m", "messages": messages(), "seed": 7}), "seed"),
        (Dialect::Chat, json!({"model": "m", "messages": messages(), "logit_bias": {"1": 2}}), "logit_bias"),
        (Dialect::Chat, json!({"model": "m", "messages": messages(), "base_url": "http://evil"}), "base_url"),
        (
            Dialect::Chat,
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
            "messages[0].content[0] of type \"input_audio\"",
        ),
        (
            Dialect::Chat,
            json!({"model": "m", "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]}),
            "is neither an http address",
        ),
        (Dialect::Chat, json!({"model": "m", "messages": [{"role": "wizard", "content": "x"}]}), "messages[0].role"),
        (Dialect::Chat, json!({"messages": messages()}), "model: is missing"),
        (Dialect::Chat, json!([]), "must be an object"),
        (Dialect::Chat, json!({"model": "m", "messages": messages(), "max_tokens": -1}), "max_tokens: must be a whole"),
        (Dialect::Messages, json!({"model": "m", "messages": messages(), "mcp_servers": [{}]}), "mcp_servers"),
        (
            Dialect::Messages,
            json!({"model": "m", "messages": messages(), "tools": [{"type": "web_search_20250305",
            "name": "web_search"}]}),
            "tools[0] of type \"web_search_20250305\"",
        ),
        (
            Dialect::Messages,
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "document"}]}]}),
            "of type \"document\"",
        ),
        (Dialect::Responses, json!({"model": "m", "input": "x", "previous_response_id": "r"}), "previous_response_id"),
        (Dialect::Responses, json!({"model": "m", "input": "x", "background": true}), "background"),
        (
            Dialect::Responses,
            json!({"model": "m", "input": "x", "tools": [{"type": "mcp"}]}),
            "tools[0] of type \"mcp\"",
        ),
        (Dialect::Responses, json!({"model": "m", "input": [{"type": "item_reference", "id": "x"}]}), "item_reference"),
        (Dialect::Responses, json!({"model": "m"}), "input: must be"),
    ];
    for (dialect, request, expected) in cases {
        let error = understand(dialect, request.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{request}: {error}");
    }
    let with = |call: Call, to| encode(to, "m", &call, Quirks::default()).unwrap_err().to_string();
    assert!(with(Call { stop: vec!["x".into()], ..Call::default() }, Dialect::Responses).contains("stop"));
    assert!(with(Call { top_k: Some(3), ..Call::default() }, Dialect::Chat).contains("top_k"));
    assert!(with(Call { output: Output::Json, ..Call::default() }, Dialect::Messages).contains("json_object"));
    assert!(with(Call { temperature: Some(1.5), ..Call::default() }, Dialect::Messages).contains("0 to 1"));
    let far = Item::User(vec![Part::Image(Image::Url("https://h/x.png".into()))]);
    assert!(with(Call { items: vec![far], ..Call::default() }, Dialect::Gemini).contains("image by its address"));
}

#[test]
fn what_changes_nothing_may_be_left_and_null_is_nothing() {
    let request = json!({"model": "m", "messages": [{"role": "user", "content": "hi", "name": "ada"}], "user": "u",
                         "metadata": {"a": "b"}, "seed": null, "n": 1, "presence_penalty": 0.0, "logprobs": false,
                         "stream": false, "cache_salt": "another tenant's"});
    assert_eq!(understand(Dialect::Chat, request).unwrap().call.items.len(), 1);
}

#[test]
fn what_is_sealed_goes_back_to_its_own_dialect_and_to_no_other() {
    let sealed = |dialect, value| SaidPart::Opaque(Opaque { dialect, value });
    let thinking = json!({"type": "thinking", "thinking": "SEALED", "signature": "s"});
    let reasoning = json!({"type": "reasoning", "encrypted_content": "SEALED"});
    let call = RawCall { id: "c".into(), name: "f".into(), arguments: "{}".into() };
    for (dialect, value) in
        [(Dialect::Messages, thinking), (Dialect::Responses, reasoning), (Dialect::Gemini, json!("SEALED"))]
    {
        let said = vec![sealed(dialect, value), SaidPart::Call(call.clone())];
        let items = vec![Item::User(vec![Part::Text("x".into())]), Item::Assistant(said)];
        for to in [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini] {
            let call = Call { items: items.clone(), ..Call::default() };
            let sent = encode(to, "gemini-3-pro", &call, Quirks::default()).unwrap().to_string();
            assert_eq!(sent.contains("SEALED"), to == dialect, "{dialect:?} to {to:?}: {sent}");
        }
    }
}

#[test]
fn results_of_calls_stand_together_where_they_must() {
    let result = |id: &str| Item::ToolResult {
        call_id: id.into(),
        parts: vec![Part::Text(format!("of {id}"))],
        outcome: ToolOutcome::Failed,
    };
    let call = |id: &str| SaidPart::Call(RawCall { id: id.into(), name: format!("f_{id}"), arguments: "{}".into() });
    let items = vec![
        Item::User(vec![Part::Text("go".into())]),
        Item::Assistant(vec![call("a"), call("b")]),
        result("a"),
        result("b"),
    ];
    let call = Call { items, ..Call::default() };
    let sent = encode(Dialect::Messages, "m", &call, Quirks::default()).unwrap();
    assert_eq!(sent["messages"].as_array().unwrap().len(), 3);
    assert_eq!(sent["messages"][2]["content"][1]["tool_use_id"], "b");
    assert_eq!(sent["messages"][2]["content"][1]["is_error"], true);
    let declared: Vec<&Value> = sent["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!((declared, &sent["tool_choice"]["type"]), (vec![&json!("f_a"), &json!("f_b")], &json!("none")));
    let sent = encode(Dialect::Gemini, "m", &call, Quirks::default()).unwrap();
    assert_eq!(sent["contents"][2]["parts"][1]["functionResponse"]["name"], "f_b");
}

#[test]
fn tokens_of_every_dialect_are_counted_alike() {
    let cases = [
        (
            Dialect::Messages,
            json!({"type": "message", "content": [], "stop_reason": "end_turn", "usage": {
            "input_tokens": 10, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 10, "output_tokens": 50}}),
        ),
        (
            Dialect::Responses,
            json!({"status": "completed", "output": [], "usage": {
            "input_tokens": 100, "input_tokens_details": {"cached_tokens": 80}, "output_tokens": 50}}),
        ),
        (
            Dialect::Gemini,
            json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {
            "promptTokenCount": 100, "cachedContentTokenCount": 80, "candidatesTokenCount": 20, "thoughtsTokenCount": 30}}),
        ),
    ];
    for (dialect, reply) in cases {
        let (mut assembler, mut pieces) = (Assembler::default(), Vec::new());
        Decoder::new(dialect).whole(&reply.to_string(), &mut pieces).unwrap();
        pieces.iter().for_each(|piece| assembler.push(piece).unwrap());
        let usage = assembler.usage.unwrap();
        assert_eq!((usage.input, usage.output, usage.cached), (100, 50, 80), "{dialect:?}");
    }
}

proptest! {
    /// No bytes of an upstream or a caller make any reader panic.
    #[test]
    fn nothing_panics(text in "\\PC{0,60}", n in any::<u64>(), kind in proptest::sample::select(vec![
        "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "response.output_item.added",
        "response.output_item.done", "response.function_call_arguments.delta", "response.completed", "error"])) {
        let event = json!({"type": kind, "index": n, "output_index": n, "delta": {"type": "input_json_delta",
            "partial_json": text}, "item": {"type": "function_call", "name": text, "arguments": text},
            "content_block": {"type": "tool_use", "name": text}, "response": {"output": [{"type": text}]},
            "candidates": [{"content": {"parts": [{"functionCall": text}, {"text": n}]}, "finishReason": n}]});
        for dialect in [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini] {
            let (mut decoder, mut pieces) = (Decoder::new(dialect), Vec::new());
            for json in [event.to_string(), text.clone(), format!("{{\"{text}")] {
                let _ = decoder.event(&json, &mut pieces);
                let _ = decoder.whole(&json, &mut pieces);
            }
            let _ = understand(dialect, event.clone());
            let _ = understand(dialect, json!({"model": text, "messages": [{"role": text, "content": n}], "input": [{"type": text}]}));
        }
    }
}
