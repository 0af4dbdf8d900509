//! D7: whatever a server sends, it is bounded in bytes, number and time, and it gets nothing.

use std::time::Duration;

use autoshare_mcp::{Client, Limits, Listed, McpError};
use serde_json::{Map, Value, json};

use crate::server::{Heard, answer, connect, is, tool};

async fn against(limits: Limits, answers: impl FnMut(&Value) -> Vec<String> + Send + 'static) -> (Client, Heard) {
    let (client, heard) = connect(limits, answers).await;
    (client.unwrap(), heard)
}

async fn call(client: &Client) -> Result<autoshare_mcp::Called, McpError> {
    client.call("echo", Map::new(), None).await
}

/// What reached the server with this method, or as an answer to this number.
async fn heard(list: &mut Heard, wanted: impl Fn(&Value) -> bool) -> Value {
    let find = async {
        while let Some(message) = list.recv().await {
            if wanted(&message) {
                return message;
            }
        }
        panic!("the server never heard it");
    };
    tokio::time::timeout(Duration::from_secs(5), find).await.expect("in time")
}

#[tokio::test]
async fn an_honest_server_is_listed_and_called() {
    let (client, mut list) = against(Limits::default(), |_| Vec::new()).await;
    assert_eq!(client.tools().await.unwrap()[0].description, "Says it again.");
    assert_eq!(call(&client).await.unwrap().text, "said");
    let hello = heard(&mut list, |message| is(message, "initialize")).await;
    assert_eq!(hello["params"]["capabilities"], json!({}), "no capability is offered");
    client.end().await;
}

#[tokio::test]
async fn d7_a_message_without_an_end_ends_the_connection() {
    let limits = Limits { frame: 64 * 1024, ..Limits::default() };
    let (client, _) = against(limits, |message| {
        if is(message, "tools/call") { vec![format!("{{{}", "x".repeat(200_000))] } else { Vec::new() }
    })
    .await;
    let error = call(&client).await.unwrap_err();
    assert_eq!(error, McpError::Closed("it sent a message of more than 65536 bytes".to_owned()));
    assert!(matches!(call(&client).await, Err(McpError::Closed(_))));
}

#[tokio::test]
async fn d7_json_without_a_bottom_ends_the_connection() {
    for text in [format!("{{\"id\":{}", "[".repeat(100_000)), "{\"jsonrpc\": tru".to_owned()] {
        let (client, _) =
            against(
                Limits::default(),
                move |message| {
                    if is(message, "tools/call") { vec![text.clone()] } else { Vec::new() }
                },
            )
            .await;
        let error = call(&client).await.unwrap_err().to_string();
        assert!(error.contains("it sent what is no JSON"), "{error}");
    }
}

#[tokio::test]
async fn d7_a_flood_ends_the_connection() {
    for flood in [
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}),
    ] {
        let (client, _) = against(Limits::default(), move |message| {
            if is(message, "tools/call") { vec![flood.to_string(); 2_000] } else { Vec::new() }
        })
        .await;
        let error = call(&client).await.unwrap_err().to_string();
        assert!(error.contains("more than 1000 messages in 10 s that nobody asked for"), "{error}");
    }
    let (client, _) = against(Limits::default(), |message| {
        if is(message, "tools/call") { vec!["not a message".to_owned(); 2_000] } else { Vec::new() }
    })
    .await;
    let error = call(&client).await.unwrap_err().to_string();
    assert!(error.contains("more than 1000 lines that are no messages"), "{error}");
}

#[tokio::test]
async fn d7_what_is_no_message_is_passed_over_and_an_odd_answer_is_the_calls_own() {
    let (client, _) = against(Limits::default(), |message| {
        let noise = ["npm warn something".to_owned(), "[1,2]".to_owned(), String::new()];
        match message["method"].as_str() {
            Some("tools/call") => noise.into_iter().chain([answer(message, json!({"content": "no list"}))]).collect(),
            _ => Vec::new(),
        }
    })
    .await;
    // In whatever form an answer comes, it comes to an end.
    let called = tokio::time::timeout(Duration::from_secs(5), call(&client)).await.unwrap();
    assert!(called.is_err() || called.is_ok_and(|called| called.text.is_empty()));
    assert_eq!(client.tools().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn d7_a_server_that_never_answers_is_not_waited_for() {
    let (client, _) = connect(Limits::default(), |_| vec![String::new()]).await;
    let error = client.err().unwrap();
    assert_eq!(error, McpError::TimedOut { what: "the first message", limit: Duration::from_secs(20) });

    let mute = |message: &Value| if is(message, "tools/call") { vec![String::new()] } else { Vec::new() };
    let (client, mut list) = against(Limits::default(), mute).await;
    let error = call(&client).await.unwrap_err();
    assert_eq!(error, McpError::TimedOut { what: "tools/call", limit: Duration::from_secs(120) });
    heard(&mut list, |message| is(message, "notifications/cancelled")).await;
}

#[tokio::test(start_paused = true)]
async fn d7_progress_stretches_a_call_to_its_limit_and_no_further() {
    let (client, mut list) = against(Limits::default(), |message| match message["method"].as_str() {
        Some("tools/call") => {
            let token = &message["params"]["_meta"]["progressToken"];
            vec![
                json!({"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": token, "progress": 1, "total": 2, "message": "half\u{1b}[2J"}})
                .to_string(),
            ]
        }
        _ => Vec::new(),
    })
    .await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let error = client.call("echo", Map::new(), Some(tell)).await.unwrap_err();
    assert!(matches!(error, McpError::TimedOut { .. }), "{error}");
    let progress = told.recv().await.unwrap();
    assert_eq!((progress.done, progress.total, progress.words.as_str()), (1.0, Some(2.0), "half"));
    heard(&mut list, |message| is(message, "notifications/cancelled")).await;
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_cancelled() {
    let mute = |message: &Value| if is(message, "tools/call") { vec![String::new()] } else { Vec::new() };
    let (client, mut list) = against(Limits::default(), mute).await;
    let calling = tokio::time::timeout(Duration::from_millis(100), call(&client)).await;
    assert!(calling.is_err());
    let asked = heard(&mut list, |message| is(message, "tools/call")).await;
    let told = heard(&mut list, |message| is(message, "notifications/cancelled")).await;
    assert_eq!(told["params"]["requestId"], asked["id"]);
}

#[tokio::test]
async fn d7_a_server_gets_an_answer_to_a_ping_and_to_nothing_else() {
    let wishes = [
        ("ping", json!({})),
        ("sampling/createMessage", json!({"messages": [], "maxTokens": 1})),
        ("roots/list", json!({})),
        (
            "elicitation/create",
            json!({"message": "your password?", "requestedSchema": {"type": "object", "properties": {}}}),
        ),
        ("secret/read", json!({})),
    ];
    let sent = wishes.clone();
    let (client, mut list) = against(Limits::default(), move |message| {
        if !is(message, "tools/call") {
            return Vec::new();
        }
        let ask = |(id, (method, params)): (usize, &(&str, Value))| {
            json!({"jsonrpc": "2.0", "id": id + 100, "method": method, "params": params}).to_string()
        };
        sent.iter().enumerate().map(ask).chain([answer(message, json!({"content": []}))]).collect()
    })
    .await;
    call(&client).await.unwrap();
    let mut answers = std::collections::BTreeMap::new();
    while answers.len() < wishes.len() {
        let said = heard(&mut list, |message| message["id"].as_u64().is_some_and(|id| id >= 100)).await;
        answers.insert(said["id"].as_u64().unwrap(), said);
    }
    for (id, (method, _)) in (100..).zip(&wishes) {
        let said = &answers[&id];
        assert_eq!(said.get("result").is_some(), *method == "ping", "{method}: {said}");
        assert_eq!(said["error"]["code"].as_i64(), (*method != "ping").then_some(-32601), "{method}: {said}");
    }
}

#[tokio::test]
async fn d7_lists_are_bounded_however_they_are_paged() {
    type Page = fn(&Value) -> Value;
    let endless: Page = |message| {
        let at = message["params"]["cursor"].as_str().and_then(|at| at.parse::<u64>().ok()).unwrap_or(0);
        json!({"tools": [tool(&format!("t{at}"), "")], "nextCursor": (at + 1).to_string()})
    };
    let many: Page = |_| json!({"tools": (0..300).map(|n| tool(&format!("t{n}"), "")).collect::<Vec<_>>()});
    let twice: Page = |_| json!({"tools": [tool("same", "one"), tool("same", "other")]});
    let none: Page = |_| json!({"tools": [{"description": "nameless", "inputSchema": {"type": "object"}}]});
    for (page, part) in [
        (endless, "pages of a list of more than 64"),
        (many, "of more than 256"),
        (twice, "two tools are named"),
        (none, "cannot be read"),
    ] {
        let (client, _) = against(Limits::default(), move |message| {
            if is(message, "tools/list") { vec![answer(message, page(message))] } else { Vec::new() }
        })
        .await;
        let error = client.tools().await.unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn a_list_of_pages_is_one_list_and_a_change_of_it_is_noticed() {
    let (client, _) = against(Limits::default(), |message| match message["method"].as_str() {
        Some("tools/list") => {
            let next = message["params"]["cursor"].is_null();
            let page = json!({"tools": [tool(if next { "b" } else { "a" }, "")], "nextCursor": next.then_some("2")});
            vec![answer(message, page)]
        }
        Some("tools/call") => vec![
            json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}).to_string(),
            answer(message, json!({"content": []})),
        ],
        _ => Vec::new(),
    })
    .await;
    let names: Vec<String> = client.tools().await.unwrap().into_iter().map(|tool| tool.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(!client.take_changed());
    call(&client).await.unwrap();
    let mut changed = false;
    for _ in 0..100 {
        changed |= client.take_changed();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(changed);
}

/// A server with one of each.
fn holds(message: &Value) -> Vec<String> {
    let result = match message["method"].as_str() {
        Some("initialize") => json!({"protocolVersion": "2025-06-18", "serverInfo": {"name": "test", "version": "1"},
            "capabilities": {"tools": {}, "resources": {}, "prompts": {}}}),
        Some("resources/list") => json!({"resources": [{"uri": "a:b", "name": "n", "description": "d\u{200b}"},
            {"uri": "a:\u{200b}b", "name": "another"}]}),
        Some("resources/templates/list") => json!({"resourceTemplates": [{"uriTemplate": "a:{b}", "name": "t"}]}),
        Some("resources/read") => json!({"contents": [{"uri": "a:b", "text": "inside",
            "_meta": {"ifc": {"integrity": "untrusted", "confidentiality": ["public"]}}}]}),
        Some("prompts/list") => {
            json!({"prompts": [{"name": "p", "description": "d", "arguments": [{"name": "city", "required": true}]}]})
        }
        Some("prompts/get") => json!({"messages": [{"role": "user", "content": {"type": "text", "text": "words"}}]}),
        Some("tools/call") => json!({"content": [{"type": "text", "text": "said"}],
            "_meta": {"ifc": {"integrity": "trusted", "confidentiality": ["octocat"]}}}),
        _ => return Vec::new(),
    };
    vec![answer(message, result)]
}

#[tokio::test]
async fn resources_and_prompts_are_listed_and_read() {
    let (client, _) = against(Limits::default(), holds).await;
    let offer = client.offer().await.unwrap();
    let names = |listed: &[Listed]| listed.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&offer.resources), ["a:b"], "a name that looks like another is none");
    assert_eq!(offer.resources[0].description, "d");
    assert_eq!((names(&offer.templates), names(&offer.prompts)), (vec!["a:{b}".to_owned()], vec!["p".to_owned()]));
    assert!(offer.prompts[0].arguments[0].required);
    assert_eq!(client.prompt("p", Map::new()).await.unwrap(), "user: words");
    let read = client.resource("a:b").await.unwrap();
    assert_eq!((read.text.as_str(), read.label.words()), ("inside", "untrusted"));
    assert_eq!(call(&client).await.unwrap().label.words(), "private");
}

#[tokio::test]
async fn what_a_server_does_not_say_that_it_has_is_not_asked_for() {
    let (client, mut list) = against(Limits::default(), |_| Vec::new()).await;
    let offer = client.offer().await.unwrap();
    assert_eq!((offer.tools.len(), offer.resources.len()), (1, 0));
    call(&client).await.unwrap();
    let asked = heard(&mut list, |message| {
        let method = message["method"].as_str().unwrap_or_default();
        assert!(!method.starts_with("resources") && !method.starts_with("prompts"), "{message}");
        method == "tools/call"
    });
    asked.await;
}

#[tokio::test]
async fn d7_of_endless_resources_some_are_taken() {
    let (client, _) = against(Limits { listed: 3, ..Limits::default() }, |message| {
        let at = message["params"]["cursor"].as_str().and_then(|at| at.parse::<u64>().ok()).unwrap_or(0);
        let page = |key: &str| {
            let one = json!({"uri": format!("a:{at}"), "uriTemplate": format!("a:{at}"), "name": format!("n{at}")});
            vec![answer(message, json!({key: [one], "nextCursor": (at + 1).to_string()}))]
        };
        match message["method"].as_str() {
            Some("resources/list") => page("resources"),
            Some("resources/templates/list") => page("resourceTemplates"),
            Some("prompts/list") => page("prompts"),
            _ => holds(message),
        }
    })
    .await;
    let offer = client.offer().await.unwrap();
    assert_eq!((offer.resources.len(), offer.templates.len(), offer.prompts.len()), (3, 3, 3));
}

#[tokio::test]
async fn an_error_of_a_server_is_its_own_words_and_no_more() {
    let (client, _) = against(Limits::default(), |message| {
        let error = json!({"code": -32602, "message": format!("no such tool\u{1b}[2J{}", "x".repeat(10_000))});
        let reply = json!({"jsonrpc": "2.0", "id": message["id"], "error": error}).to_string();
        if is(message, "tools/call") { vec![reply] } else { Vec::new() }
    })
    .await;
    let Err(McpError::Refused { code, said, .. }) = call(&client).await else { panic!() };
    assert_eq!(code, -32602);
    assert!(said.starts_with("no such toolx") && said.len() <= 2_048, "{said}");
}
