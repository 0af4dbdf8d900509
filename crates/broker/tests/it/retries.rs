//! ATTACKS row G4: when a call is made again, how often, and after how long.

use std::time::{Duration, Instant, SystemTime};

use autoshare_broker::{ModelError, Retries, Timeouts};
use autoshare_testkit::{Fault, Turn};

use crate::{ask, model, serve, settings};

fn status(status: u16, retry_after: Option<&str>) -> Fault {
    let retry_after = retry_after.map(str::to_owned);
    Fault::Status { status, retry_after, location: None, message: Some("not now".into()), code: None }
}

#[tokio::test]
async fn g4_what_passes_is_tried_again_until_it_has_passed() {
    for code in [408, 429, 500, 502, 503, 504, 529] {
        let server = serve([Turn::text("here").fault_times(3, status(code, None))]);
        let (result, heard) = ask(&model(settings(&server.base_url()))).await;
        let completion = result.unwrap();
        assert_eq!((completion.reply.text.as_str(), completion.tries, heard.len()), ("here", 4, 1), "{code}");
    }
}

#[tokio::test]
async fn g4_tries_are_counted_spaced_and_end() {
    let server = serve([Turn::text("never").fault(status(503, None))]);
    let mut settings = settings(&server.base_url());
    settings.retries = Retries { tries: 4, first_wait: Duration::from_millis(100), ..Retries::default() };
    let error = ask(&model(settings)).await.0.unwrap_err();
    assert!(matches!(&error, ModelError::Busy { status: 503, tries: 4, .. }), "{error:?}");
    assert!(error.to_string().contains("tried 4 times") && error.to_string().contains("not now"), "{error}");
    let at: Vec<Instant> = server.requests().iter().map(|r| r.at).collect();
    let waits: Vec<u128> = at.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert_eq!(waits.len(), 3);
    for (wait, least) in waits.iter().zip([50, 100, 200]) {
        assert!(*wait >= least, "{waits:?}");
    }
}

#[tokio::test]
async fn g4_retry_after_is_obeyed_in_seconds_and_as_a_date() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
    for asked in ["1", date.as_str()] {
        let server = serve([Turn::text("here").fault_times(1, status(429, Some(asked)))]);
        assert_eq!(ask(&model(settings(&server.base_url()))).await.0.unwrap().tries, 2);
        let at: Vec<Instant> = server.requests().iter().map(|r| r.at).collect();
        let wait = at[1] - at[0];
        assert!(wait >= Duration::from_millis(900) && wait < Duration::from_secs(30), "{asked}: {wait:?}");
    }
}

#[tokio::test]
async fn g4_a_wait_that_is_too_long_is_told_instead_of_waited_for() {
    let server = serve([Turn::text("never").fault(status(429, Some("3600")))]);
    let started = Instant::now();
    let error = ask(&model(settings(&server.base_url()))).await.0.unwrap_err().to_string();
    assert!(error.contains("asks for 3600 s"), "{error}");
    assert_eq!(server.requests().len(), 1);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn g4_no_wait_passes_the_deadline() {
    let server = serve([Turn::text("never").fault(status(429, Some("30")))]);
    let mut settings = settings(&server.base_url());
    settings.timeouts = Timeouts { total: Duration::from_secs(15), ..settings.timeouts };
    let started = Instant::now();
    assert!(matches!(ask(&model(settings)).await.0, Err(ModelError::Busy { tries: 1, .. })));
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn g4_what_will_not_pass_is_not_tried_again() {
    for code in [400, 401, 402, 403, 404, 413, 418, 422] {
        let server = serve([Turn::text("never").fault(status(code, None))]);
        ask(&model(settings(&server.base_url()))).await.0.unwrap_err();
        assert_eq!(server.requests().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn g4_nothing_is_tried_again_once_a_part_was_heard() {
    let error = serde_json::json!({"message": "overloaded", "code": 503});
    for (after, tries) in [(0, 2), (400, 1)] {
        let server =
            serve([Turn::text("one two three four five six")
                .fault_times(1, Fault::ErrorEvent { after, error: error.clone() })]);
        let (result, heard) = ask(&model(settings(&server.base_url()))).await;
        assert_eq!((server.requests().len(), result.is_ok()), (tries, tries == 2), "after {after}: {heard:?}");
        assert!(!heard.is_empty());
    }
}

#[tokio::test]
async fn g4_a_connection_that_is_refused_is_tried_again_and_then_told() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut settings = settings(&format!("http://{closed}/v1"));
    settings.retries.tries = 3;
    let error = ask(&model(settings)).await.0.unwrap_err();
    assert!(matches!(&error, ModelError::Unreachable { tries: 3, .. }), "{error:?}");
    let words = error.to_string();
    assert!(words.contains("refused") && words.contains("start the server") && words.contains("--model"), "{words}");
}

#[tokio::test]
async fn a_server_that_wants_another_dialect_is_asked_in_it_from_then_on() {
    let said = |message: &str| Fault::Status {
        status: 400,
        retry_after: None,
        location: None,
        message: Some(message.into()),
        code: Some("unsupported_parameter".into()),
    };
    let server = serve([Turn::text("here")
        .fault_times(1, said("'max_tokens' is not supported, use 'max_completion_tokens'"))
        .fault_times(1, said("stream_options is not permitted"))]);
    let model = model(settings(&server.base_url()));
    assert_eq!(ask(&model).await.0.unwrap().tries, 3);
    assert_eq!(ask(&model).await.0.unwrap().tries, 1);
    let last = server.requests().pop().unwrap().body;
    assert_eq!(last["max_completion_tokens"], 500);
    assert!(last.get("max_tokens").is_none() && last.get("stream_options").is_none());
}
