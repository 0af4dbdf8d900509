//! ATTACKS row C6: where the key goes, and where it does not.

use autoshare_broker::{Broker, BrokerError, ModelError, Settings};
use autoshare_testkit::{Canary, Fault, Turn};
use autoshare_vault::Sensitive;
use serde_json::json;

use crate::{ask, model, serve, settings, with_key};

#[tokio::test]
async fn c6_the_key_goes_into_the_authorization_header_and_nowhere_else() {
    let key = Canary::new();
    let server = serve([Turn::text("hi")]);
    ask(&model(with_key(&server.base_url(), key.as_str()))).await.0.unwrap();
    let sent = &server.requests()[0];
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {key}").as_str()));
    let elsewhere = sent.headers.iter().filter(|(name, _)| name != "authorization");
    assert!(elsewhere.clone().count() > 0);
    assert!(elsewhere.into_iter().all(|(_, value)| !value.contains(key.as_str())));
    assert!(!sent.body.to_string().contains(key.as_str()) && !sent.path.contains(key.as_str()));
}

#[tokio::test]
async fn c6_the_key_is_in_no_error_and_no_debug_text_even_if_the_provider_repeats_it() {
    let key = Canary::new();
    let echo = format!("your key {key} and once more {key}");
    let said = |status: u16| Fault::Status {
        status,
        retry_after: None,
        location: Some(format!("http://127.0.0.1:1/{key}")),
        message: Some(echo.clone()),
        code: Some(echo.clone()),
    };
    let raw =
        |status: u16, content_type: &str| Fault::Raw { status, content_type: content_type.into(), body: echo.clone() };
    let mut faults: Vec<Fault> = [301, 400, 401, 403, 404, 413, 418, 429, 500].map(said).into();
    faults.extend([
        raw(500, "text/plain"),
        raw(400, &echo),
        raw(200, "application/json"),
        raw(200, &echo),
        raw(200, "text/event-stream"),
    ]);
    faults.push(Fault::ErrorEvent { after: 0, error: json!({"message": echo}) });
    faults.push(Fault::Encoded { value: key.as_str().into() });
    for fault in faults {
        let server = serve([Turn::text("x").fault(fault.clone())]);
        let mut settings = with_key(&server.base_url(), key.as_str());
        settings.retries.tries = 1;
        assert!(!format!("{settings:?}").contains(key.as_str()));
        let broker = Broker::new(settings).unwrap();
        let model = broker.model("scripted").unwrap();
        let error = ask(&model).await.0.expect_err("a fault");
        assert_eq!(server.requests().len(), 1, "{error}");
        for text in [error.to_string(), format!("{error:?}"), format!("{broker:?} {model:?}")] {
            assert!(!text.contains(key.as_str()), "{fault:?}: {text}");
        }
    }
}

#[tokio::test]
async fn c6_a_reply_that_repeats_the_key_is_thrown_away() {
    let key = Canary::new();
    let turns = [
        Turn { chunk: Some(1000), ..Turn::text(&format!("it is {key}")) },
        Turn { chunk: Some(3), ..Turn::text(&format!("it is {key}")) },
        Turn { whole: true, ..Turn::text(key.as_str()) },
        Turn::call("write_file", json!({"content": key.as_str()})),
    ];
    for turn in turns {
        let server = serve([turn]);
        let error = ask(&model(with_key(&server.base_url(), key.as_str()))).await.0.unwrap_err();
        assert!(matches!(error, ModelError::KeyEchoed { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn c6_the_key_is_for_the_origin_it_was_given_for() {
    let (mine, other) = (serve([Turn::text("a")]), serve([Turn::text("b")]));
    let broker = Broker::new(with_key(&mine.base_url(), "sk-mine")).unwrap();
    for (name, server, key) in [
        ("m".to_owned(), &mine, Some("Bearer sk-mine")),
        (format!("m@{}", mine.base_url()), &mine, Some("Bearer sk-mine")),
        (format!("m@{}", other.base_url()), &other, None),
    ] {
        ask(&broker.model(&name).unwrap()).await.0.unwrap();
        let sent = server.requests().pop().unwrap();
        assert_eq!((sent.header("authorization"), &sent.body["model"]), (key, &json!("m")), "{name}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_told_with_the_name_of_its_variable() {
    let server = serve([Turn::text("x").fault(Fault::status(401))]);
    let settings = Settings { key_from: "OTHER_KEY".into(), ..with_key(&server.base_url(), "sk-old") };
    let error = ask(&model(settings)).await.0.unwrap_err();
    assert!(matches!(error, ModelError::KeyRefused { status: 401, .. }));
    assert!(error.to_string().contains("the key from OTHER_KEY"), "{error}");
}

#[test]
fn bad_settings_are_refused_before_anything_is_sent_and_without_repeating_them() {
    let secret = "hunter2-in-the-wrong-place";
    let with = |base_url: &str, key: &str| {
        Broker::new(Settings {
            api_key: Some(Sensitive::new(key.to_owned())),
            base_url: Some(base_url.into()),
            ..settings("")
        })
        .and_then(|broker| broker.model("m").map(|_| ()))
        .unwrap_err()
    };
    let cases = [
        (with(&format!("https://user:{secret}@h/v1"), "k"), "name or password"),
        (with(&format!("https://h/v1?key={secret}"), "k"), "query"),
        (with("http://models.example.com/v1", "k"), "https"),
        (with("https://h/v1", &format!("{secret}\r\nX-Evil: 1")), "OPENAI_API_KEY"),
    ];
    for (error, part) in cases {
        let text = format!("{error} {error:?}");
        assert!(text.contains(part) && !text.contains(secret), "{text}");
    }
    let broker = Broker::new(with_key("https://h/v1", "k")).unwrap();
    assert!(matches!(broker.model("m@http://10.0.0.1/v1"), Err(BrokerError::PlainHttp { .. })));
    let no_key = Broker::new(Settings::default()).unwrap().model("gpt-5").unwrap_err().to_string();
    assert!(no_key.contains("set OPENAI_API_KEY"), "{no_key}");
}
