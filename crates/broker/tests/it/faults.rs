//! ATTACKS rows C8 and G4: replies that are slow, endless, huge, cut, malformed or something else altogether.

use std::time::{Duration, Instant};

use autoshare_broker::{Delta, Model, ModelError, Settings, Timeouts};
use autoshare_testkit::{Fault, ScriptedModel, Turn};
use serde_json::json;

use crate::{ask, model, serve, settings};

const TEXT: &str = "one two three four five six seven eight nine ten";

fn faulty(fault: Fault) -> (ScriptedModel, Model) {
    let server = serve([Turn::text(TEXT).fault(fault)]);
    let model = model(settings(&server.base_url()));
    (server, model)
}

#[tokio::test]
async fn c8_every_broken_reply_is_an_error_that_says_what_to_do_and_is_not_asked_for_again() {
    let raw = |content_type: &str, body: &str| Fault::Raw {
        status: 200,
        content_type: content_type.into(),
        body: body.into(),
    };
    let whole = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
    let open = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
    let cases: Vec<(&str, Fault, &str)> = vec![
        ("cut within HTTP", Fault::Cut { after: 400, clean: false }, "was cut off"),
        ("cut at once", Fault::Cut { after: 0, clean: false }, "was cut off"),
        ("ended in the middle", Fault::Cut { after: 400, clean: true }, "was cut off"),
        ("ended before anything", Fault::Cut { after: 0, clean: true }, "was cut off"),
        ("an end mark without an end", raw("text/event-stream", &format!("{open}data: [DONE]\n\n")), "was cut off"),
        ("no JSON in the stream", Fault::BadJson { after: 0 }, "makes no sense"),
        ("no JSON later on", Fault::BadJson { after: 400 }, "makes no sense"),
        ("an error in the stream", Fault::ErrorEvent { after: 400, error: json!({"message": "it broke"}) }, "it broke"),
        ("HTML", raw("text/html; charset=utf-8", "<p>hello"), "text/html; charset=utf-8 instead of JSON"),
        ("no type", raw("", "{}"), "(nothing) instead of JSON"),
        ("the right bytes under a wrong type", Fault::ContentType { value: "text/plain".into() }, "text/plain instead"),
        ("compressed", Fault::Encoded { value: "gzip".into() }, "compressed its reply (gzip)"),
        ("no JSON", raw("application/json", "{oops"), "makes no sense"),
        ("JSON of another kind", raw("application/json", "[1]"), "makes no sense"),
        ("JSON without a reply", raw("application/json", "{}"), "was cut off"),
        ("JSON that nests", raw("application/json", &"[".repeat(100_000)), "makes no sense"),
        ("JSON cut short", raw("application/json", &whole[..30]), "makes no sense"),
        ("a line without end", Fault::Huge { bytes: 3 * 1024 * 1024 }, "a line of more than 1048576"),
        (
            "a JSON reply that is too large",
            raw("application/json", &" ".repeat(17 * 1024 * 1024)),
            "a JSON reply of more than",
        ),
        ("words without end", Fault::Endless, "words and arguments of more than 4194304"),
        ("comments without end", Fault::Comments, "a stream of more than 16777216"),
        ("teapot", Fault::status(418), "refused the request (HTTP 418)"),
    ];
    for (name, fault, expected) in cases {
        let (server, model) = faulty(fault);
        let (result, _) = ask(&model).await;
        let error = result.expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
        assert_eq!(server.requests().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn c8_silence_ends_by_itself() {
    let cases = [
        ("no answer", Fault::Silence { after: None }, "no answer began within 0.6 s"),
        ("headers, then nothing", Fault::Silence { after: Some(0) }, "no reply began within 0.6 s"),
        ("a beginning, then nothing", Fault::Silence { after: Some(400) }, "nothing more came within 0.3 s"),
    ];
    for (name, fault, expected) in cases {
        let server = serve([Turn::text(TEXT).fault(fault)]);
        let mut settings = settings(&server.base_url());
        settings.timeouts.first_byte = Duration::from_millis(600);
        settings.timeouts.idle = Duration::from_millis(300);
        let model = model(settings);
        let started = Instant::now();
        let error = ask(&model).await.0.expect_err(name);
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert!(error.may_have_been_billed(), "{name}");
        assert!(started.elapsed() < Duration::from_secs(10), "{name}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn c8_a_trickle_that_is_never_idle_ends_at_the_deadline() {
    let server = serve([Turn { pause_ms: 50, ..Turn::text("x").fault(Fault::Comments) }]);
    let mut settings = settings(&server.base_url());
    settings.timeouts = Timeouts { total: Duration::from_millis(900), ..settings.timeouts };
    let started = Instant::now();
    let error = ask(&model(settings)).await.0.unwrap_err().to_string();
    assert!(error.contains("the whole call did not end within 0.9 s"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_stream_that_is_whole_but_does_not_end_is_taken() {
    let whole = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}";
    for body in [whole.to_owned(), format!("{whole}\n\n"), format!("{whole}\r\n\r\n: bye\r\n\r\n")] {
        let (_server, model) =
            faulty(Fault::Raw { status: 200, content_type: "text/event-stream".into(), body: body.clone() });
        assert_eq!(ask(&model).await.0.unwrap().reply.text, "hi", "{body:?}");
    }
}

#[tokio::test]
async fn a_cut_stream_was_heard_in_part_and_is_void() {
    let (server, model) = faulty(Fault::Cut { after: 600, clean: false });
    let (result, heard) = ask(&model).await;
    assert!(matches!(result, Err(ModelError::Cut { .. })), "{result:?}");
    assert!(heard.contains(&Delta::Text("one two ".into())), "{heard:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn c8_a_redirect_is_an_error_and_is_not_followed() {
    let other = serve([Turn::text("caught")]);
    for status in [301, 302, 303, 307, 308] {
        let location = Some(format!("{}/chat/completions", other.base_url()));
        let fault = Fault::Status { status, retry_after: None, location, message: None, code: None };
        let (_server, model) = faulty(fault);
        let error = ask(&model).await.0.unwrap_err();
        assert!(matches!(error, ModelError::Redirected { .. }), "{error:?}");
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let said = |status: u16, message: &str, code: &str| Fault::Status {
        status,
        retry_after: None,
        location: None,
        message: Some(message.into()),
        code: Some(code.into()),
    };
    let cases = [
        (said(401, "x", ""), "set MY_KEY"),
        (said(404, "x", "model_not_found"), "does not know the model \"scripted\""),
        (said(402, "x", ""), "no credit left"),
        (said(429, "x", "insufficient_quota"), "no credit left"),
        (said(400, "This model's maximum context length is 10 tokens", ""), "does not fit the context window"),
        (said(400, "bad\u{1b}[31m\nthing", ""), "bad [31m thing"),
    ];
    for (fault, expected) in cases {
        let server = serve([Turn::text(TEXT).fault(fault)]);
        let settings = Settings { key_from: "MY_KEY".into(), ..settings(&server.base_url()) };
        let error = ask(&model(settings)).await.0.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\u{1b}') && !error.contains('\n'), "{error:?}");
    }
}
