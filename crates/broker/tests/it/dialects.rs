//! Every dialect, from a brain's conversation to bytes on the wire and back, and ATTACKS row C8 in each of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoshare_broker::{Broker, Delta, Dialect, Metered, Model, ModelError, ProviderSpec, Settings, TlsSettings};
use autoshare_core::chat::{Message, RawCall};
use autoshare_testkit::{Canary, Fault, Reported, ScriptedModel, Turn};
use autoshare_vault::Sensitive;
use serde_json::{Value, json};

use crate::{ask, request, serve, settings};

const ALL: [Dialect; 4] = [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini];

/// Settings in which the provider `test` speaks a dialect at this address.
pub(crate) fn at(base_url: &str, dialect: Dialect, change: impl FnOnce(&mut ProviderSpec)) -> Settings {
    let mut spec = ProviderSpec {
        dialect: Some(dialect),
        base_url: Some(base_url.to_owned()),
        key: Some(vec!["TEST_KEY".to_owned()]),
        ..ProviderSpec::default()
    };
    change(&mut spec);
    let mut settings = Settings { base_url: None, ..settings("") };
    settings.providers.extend("test", &spec, TlsSettings::default()).unwrap();
    settings
}

fn speaking(server: &ScriptedModel, dialect: Dialect) -> Model {
    Broker::new(at(&server.base_url(), dialect, |_| {})).unwrap().model("test/scripted").unwrap()
}

#[tokio::test]
async fn words_calls_and_tokens_arrive_in_every_dialect_however_they_are_cut() {
    for dialect in ALL {
        for (chunk, whole) in [(1, false), (1000, false), (1, true)] {
            let turn = Turn {
                text: "Ich lese. \u{1f600}".into(),
                usage: Reported::Tokens { input: 1000, output: 20 },
                chunk: Some(chunk),
                whole,
                ..Turn::call("read_file", json!({"path": "b\u{fc}cher"})).and_call("list_folder", json!({}))
            };
            let server = serve([turn]);
            let (result, heard) = ask(&speaking(&server, dialect)).await;
            let completion = result.unwrap();
            let reply = completion.reply;
            assert_eq!((completion.metered, completion.model.as_str()), (Metered::Reported, "test/scripted"));
            assert_eq!(reply.text, "Ich lese. \u{1f600}", "{dialect:?}");
            let calls: Vec<(&str, &str)> =
                reply.calls.iter().map(|c| (c.name.as_str(), c.arguments.as_str())).collect();
            assert_eq!(calls, [("read_file", "{\"path\":\"b\u{fc}cher\"}"), ("list_folder", "{}")], "{dialect:?}");
            assert_ne!(reply.calls[0].id, reply.calls[1].id);
            assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens, reply.truncated), (1000, 20, false));
            let text: String =
                heard.iter().filter_map(|d| if let Delta::Text(t) = d { Some(t.as_str()) } else { None }).collect();
            let started = heard.iter().filter(|d| matches!(d, Delta::CallStarted { .. })).count();
            assert_eq!((text.as_str(), started), (reply.text.as_str(), 2), "{dialect:?}");
        }
    }
}

#[tokio::test]
async fn a_reply_that_was_cut_at_its_limit_says_so_in_every_dialect() {
    for (dialect, word) in [
        (Dialect::Chat, "length"),
        (Dialect::Responses, "max_output_tokens"),
        (Dialect::Messages, "max_tokens"),
        (Dialect::Gemini, "length"),
    ] {
        let server = serve([Turn { finish: Some(word.into()), ..Turn::text("and then") }]);
        assert!(ask(&speaking(&server, dialect)).await.0.unwrap().reply.truncated, "{dialect:?}");
    }
}

#[tokio::test]
async fn the_whole_conversation_is_sent_in_each_dialect() {
    let mut request = request();
    let call = RawCall { id: "c1".into(), name: "read_file".into(), arguments: "{\"path\":\"a\"}".into() };
    request.messages.push(Message::Assistant { text: String::new(), calls: vec![call] });
    request.messages.push(Message::Tool { call_id: "c1".into(), text: "A".into() });
    let schema = json!({"type": "object", "required": ["path"], "additionalProperties": false,
                        "properties": {"path": {"type": "string", "description": "The file."}}});
    let cases: [(Dialect, &str, Value); 3] = [
        (
            Dialect::Messages,
            "/v1/messages",
            json!({
            "model": "scripted", "stream": true, "max_tokens": 500, "system": "Work.",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Read a.txt"}]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "c1", "name": "read_file", "input": {"path": "a"}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "A"}]}]}],
            "tools": [{"name": "read_file", "description": "Reads a file.", "input_schema": schema}]}),
        ),
        (
            Dialect::Responses,
            "/v1/responses",
            json!({
            "model": "scripted", "stream": true, "store": false, "max_output_tokens": 500,
            "input": [
                {"type": "message", "role": "system", "content": "Work."},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Read a.txt"}]},
                {"type": "function_call", "call_id": "c1", "name": "read_file", "arguments": "{\"path\":\"a\"}"},
                {"type": "function_call_output", "call_id": "c1", "output": "A"}],
            "tools": [{"type": "function", "name": "read_file", "description": "Reads a file.", "strict": false,
                       "parameters": schema}]}),
        ),
        (
            Dialect::Gemini,
            "/v1/models/scripted:streamGenerateContent",
            json!({
            "systemInstruction": {"parts": [{"text": "Work."}]},
            "generationConfig": {"maxOutputTokens": 500},
            "contents": [
                {"role": "user", "parts": [{"text": "Read a.txt"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "read_file", "args": {"path": "a"}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "read_file", "response": {"result": "A"}}}]}],
            "tools": [{"functionDeclarations": [
                {"name": "read_file", "description": "Reads a file.", "parametersJsonSchema": schema}]}]}),
        ),
    ];
    for (dialect, path, body) in cases {
        let server = serve([Turn::default(), Turn::text("ok")]);
        let reply = speaking(&server, dialect).complete(&request, &mut |_| {}).await.unwrap();
        assert_eq!(reply.text, "ok", "the turn after one of the assistant's");
        let sent = &server.requests()[0];
        assert_eq!((sent.path.as_str(), &sent.body), (path, &body));
        assert_eq!(sent.header("accept-encoding"), Some("identity"));
    }
}

#[tokio::test]
async fn c6_each_provider_gets_its_key_in_its_own_place_and_nowhere_else() {
    let cases = [
        ("bearer", "authorization", "Bearer "),
        ("header:x-api-key", "x-api-key", ""),
        ("header:api-key", "api-key", ""),
        ("none", "authorization", ""),
    ];
    for (auth, header, before) in cases {
        let key = Canary::new();
        let server = serve([Turn::text("hi")]);
        let mut settings = at(&server.base_url(), Dialect::Messages, |spec| {
            spec.auth = Some(auth.to_owned());
            spec.headers = Some(BTreeMap::from([("anthropic-version".to_owned(), "2023-06-01".to_owned())]));
            spec.query = Some(BTreeMap::from([("api-version".to_owned(), "7".to_owned())]));
        });
        let keys = BTreeMap::from([("TEST_KEY".to_owned(), Arc::new(Sensitive::new(key.as_str().to_owned())))]);
        settings.credentials = Box::new(keys);
        let broker = Broker::new(settings).unwrap();
        let route = broker.route("test/scripted").unwrap();
        assert!(!format!("{route:?}").contains(key.as_str()));
        ask(&broker.model("test/scripted").unwrap()).await.0.unwrap();
        let sent = &server.requests()[0];
        let expected = (auth != "none").then(|| format!("{before}{key}"));
        assert_eq!(sent.header(header), expected.as_deref(), "{auth}");
        assert_eq!(sent.header("anthropic-version"), Some("2023-06-01"));
        let others = sent.headers.iter().filter(|(name, _)| name != header);
        assert!(others.into_iter().all(|(_, value)| !value.contains(key.as_str())), "{auth}");
        assert!(!sent.body.to_string().contains(key.as_str()) && !sent.path.contains(key.as_str()));
    }
}

#[tokio::test]
async fn c8_in_every_dialect_a_broken_reply_is_an_error_and_is_not_asked_for_again() {
    let raw = |content_type: &str, body: &str| Fault::Raw {
        status: 200,
        content_type: content_type.into(),
        body: body.into(),
    };
    for dialect in ALL {
        let mut cases: Vec<(&str, Fault, &str)> = vec![
            ("cut within HTTP", Fault::Cut { after: 400, clean: false }, "was cut off"),
            ("cut at once", Fault::Cut { after: 0, clean: false }, "was cut off"),
            ("ended in the middle", Fault::Cut { after: 400, clean: true }, "was cut off"),
            ("ended before anything", Fault::Cut { after: 0, clean: true }, "was cut off"),
            ("no JSON in the stream", Fault::BadJson { after: 0 }, "makes no sense"),
            ("no JSON later on", Fault::BadJson { after: 400 }, "makes no sense"),
            (
                "an error in the stream",
                Fault::ErrorEvent { after: 400, error: json!({"message": "it broke"}) },
                "it broke",
            ),
            ("HTML", raw("text/html; charset=utf-8", "<p>hello"), "instead of JSON"),
            ("a wrong type", Fault::ContentType { value: "text/plain".into() }, "text/plain instead"),
            ("compressed", Fault::Encoded { value: "gzip".into() }, "compressed its reply (gzip)"),
            ("no JSON", raw("application/json", "{oops"), "makes no sense"),
            ("JSON of another kind", raw("application/json", "[1]"), "makes no sense"),
            ("JSON without a reply", raw("application/json", "{}"), "was cut off"),
            ("JSON that nests", raw("application/json", &"[".repeat(100_000)), "makes no sense"),
            ("a line without end", Fault::Huge { bytes: 3 * 1024 * 1024 }, "a line of more than 1048576"),
            ("a huge whole reply", raw("application/json", &" ".repeat(17 * 1024 * 1024)), "a JSON reply of more than"),
            ("comments without end", Fault::Comments, "a stream of more than 16777216"),
            ("teapot", Fault::status(418), "refused the request (HTTP 418)"),
        ];
        cases.push(("words without end", Fault::Endless, "more than"));
        for (name, fault, expected) in cases {
            let server = serve([Turn::text("one two three four five six seven eight nine ten eleven").fault(fault)]);
            let error = ask(&speaking(&server, dialect)).await.0.map_err(|error| error.to_string());
            let error = error.expect_err(name);
            assert!(error.contains(expected), "{dialect:?}, {name}: {error}");
            assert_eq!(server.requests().len(), 1, "{dialect:?}, {name}");
        }
    }
}

#[tokio::test]
async fn c8_silence_and_trickle_end_by_themselves_in_every_dialect() {
    for dialect in ALL {
        for (name, fault, expected) in [
            ("no answer", Fault::Silence { after: None }, "no answer began within 0.5 s"),
            ("headers, then nothing", Fault::Silence { after: Some(0) }, "no reply began within 0.5 s"),
            ("a beginning, then nothing", Fault::Silence { after: Some(200) }, "nothing more came within 0.3 s"),
        ] {
            let server = serve([Turn::text("one two three four five six seven").fault(fault)]);
            let mut settings = at(&server.base_url(), dialect, |_| {});
            settings.timeouts.first_byte = Duration::from_millis(500);
            settings.timeouts.idle = Duration::from_millis(300);
            let error = ask(&Broker::new(settings).unwrap().model("test/m").unwrap()).await.0.expect_err(name);
            assert!(error.to_string().contains(expected), "{dialect:?}, {name}: {error}");
            assert!(matches!(error, ModelError::TimedOut { .. }));
        }
    }
}
