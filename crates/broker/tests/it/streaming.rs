//! What is sent, and what is made of what comes back.

use autoshare_broker::{Broker, Delta, Metered, PriceSource, Prices, Settings};
use autoshare_core::chat::{Message, RawCall, Request};
use autoshare_core::usage::MicroUsd;
use autoshare_testkit::{Reported, Turn};
use serde_json::json;

use crate::{ask, model, request, serve, settings};

fn turn() -> Turn {
    let arguments = json!({"path": "b\u{fc}cher/\u{1f4da}.txt"});
    let usage = Reported::Tokens { input: 1000, output: 20 };
    Turn {
        text: "Ich lese. \u{1f600}".into(),
        usage,
        ..Turn::call("read_file", arguments).and_call("list_folder", json!({}))
    }
}

#[tokio::test]
async fn words_and_calls_arrive_however_they_are_cut() {
    for (chunk, whole) in [(1, false), (3, false), (1000, false), (1, true)] {
        let server = serve([Turn { chunk: Some(chunk), whole, ..turn() }]);
        let (result, heard) = ask(&model(settings(&server.base_url()))).await;
        let completion = result.unwrap();
        assert_eq!((completion.metered, completion.tries), (Metered::Reported, 1));
        let reply = completion.reply;
        assert_eq!(reply.text, "Ich lese. \u{1f600}");
        let names: Vec<&str> = reply.calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, ["read_file", "list_folder"]);
        assert_eq!(reply.calls[0].arguments, json!({"path": "b\u{fc}cher/\u{1f4da}.txt"}).to_string());
        assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens, reply.truncated), (1000, 20, false));
        let text: String =
            heard.iter().filter_map(|d| if let Delta::Text(t) = d { Some(t.as_str()) } else { None }).collect();
        assert_eq!(text, reply.text);
        let started: Vec<&Delta> = heard.iter().filter(|d| !matches!(d, Delta::Text(_))).collect();
        assert_eq!(
            started,
            [&Delta::CallStarted { name: "read_file".into() }, &Delta::CallStarted { name: "list_folder".into() }]
        );
    }
}

#[tokio::test]
async fn the_whole_conversation_is_sent_in_the_dialect() {
    let server = serve([Turn::default(), Turn::text("ok")]);
    let call = RawCall { id: "c1".into(), name: "read_file".into(), arguments: "{\"path\":\"a\"}".into() };
    let mut request = request();
    request.messages.push(Message::Assistant { text: String::new(), calls: vec![call] });
    request.messages.push(Message::Tool { call_id: "c1".into(), text: "A".into() });
    let reply = model(settings(&server.base_url())).complete(&request, &mut |_| {}).await.unwrap();
    assert_eq!(reply.text, "ok", "the turn after one assistant message");
    let sent = &server.requests()[0];
    assert_eq!(sent.path, "/v1/chat/completions");
    assert_eq!(sent.header("authorization"), None);
    assert_eq!(sent.header("accept-encoding"), Some("identity"));
    assert_eq!(
        sent.body,
        json!({
            "model": "scripted",
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": 500,
            "messages": [
                {"role": "system", "content": "Work."},
                {"role": "user", "content": "Read a.txt"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "read_file", "arguments": "{\"path\":\"a\"}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "A"},
            ],
            "tools": [{"type": "function", "function": {
                "name": "read_file", "description": "Reads a file.", "parameters": {
                    "type": "object", "required": ["path"], "additionalProperties": false,
                    "properties": {"path": {"type": "string", "description": "The file."}}}}}],
        })
    );
    let bare = Request { tools: vec![], ..request };
    model(settings(&server.base_url())).complete(&bare, &mut |_| {}).await.unwrap();
    assert!(server.requests()[1].body.get("tools").is_none());
}

#[tokio::test]
async fn usage_that_is_not_reported_is_estimated_and_marked() {
    let server = serve([Turn { usage: Reported::Nothing, ..Turn::text("twelve bytes") }]);
    let model = model(settings(&server.base_url()));
    let completion = ask(&model).await.0.unwrap();
    assert_eq!(completion.metered, Metered::Estimated);
    assert_eq!(completion.reply.usage.output_tokens, 4);
    assert_eq!(completion.reply.usage.input_tokens, model.reserve(&request()).input_tokens);
}

#[tokio::test]
async fn a_reply_that_was_cut_at_its_limit_says_so() {
    let server = serve([Turn { finish: Some("length".into()), ..Turn::text("and then") }]);
    assert!(ask(&model(settings(&server.base_url()))).await.0.unwrap().reply.truncated);
}

#[tokio::test]
async fn money_is_counted_at_the_tables_price() {
    let server = serve([Turn { usage: Reported::Tokens { input: 1_000_000, output: 500_000 }, ..Turn::text("x") }]);
    let prices =
        "version = 1\n[[model]]\nname = \"scripted\"\nwindow = 9000\nmax_output = 900\ninput = 0.15\noutput = 0.6\n";
    let settings = Settings { prices: Prices::parse(prices).unwrap(), ..settings(&server.base_url()) };
    let model = model(settings);
    assert_eq!((model.window(), model.max_output(), model.price().source), (9000, 900, PriceSource::Table));
    assert_eq!(ask(&model).await.0.unwrap().reply.usage.cost, MicroUsd(450_000));
    assert_eq!(model.reserve(&request()).output_tokens, 500);
    assert!(model.reserve(&request()).cost >= MicroUsd(300));
}

#[test]
fn an_unknown_model_has_stated_defaults() {
    let prices = || Prices::parse("version = 1\n[unknown]\ninput = 2\noutput = 3\n").unwrap();
    let cases = [
        ("https://models.example.com/v1", PriceSource::Assumed, 2_000_000),
        ("http://127.0.0.1:9/v1", PriceSource::Local, 0),
    ];
    for (url, source, input) in cases {
        let model = Broker::new(Settings { prices: prices(), ..settings(url) }).unwrap().model("my-own").unwrap();
        assert_eq!((model.window(), model.max_output()), (32_768, 4_096));
        assert_eq!((model.price().source, model.price().input), (source, MicroUsd(input)), "{url}");
    }
}

/// A cap in money that any name outside of the table passes is none.
#[test]
fn an_unknown_model_is_not_for_nothing() {
    let row = |name: &str, input: u32, output: u32| {
        format!("[[model]]\nname = \"{name}\"\nwindow = 9000\nmax_output = 9\ninput = {input}\noutput = {output}\n")
    };
    let table = format!("version = 1\n{}{}", row("a", 70_000, 2), row("b", 3, 80_000));
    for (table, expected) in
        [(table.clone(), (70_000, 80_000)), (format!("{table}[unknown]\ninput = 0\noutput = 0\n"), (0, 0))]
    {
        let settings = Settings { prices: Prices::parse(&table).unwrap(), ..settings("https://models.example.com/v1") };
        let price = Broker::new(settings).unwrap().model("nobody-listed-it").unwrap().price();
        assert_eq!((price.input.0 / 1_000_000, price.output.0 / 1_000_000), expected, "{table}");
    }
}
