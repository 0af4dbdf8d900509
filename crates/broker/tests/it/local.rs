//! Servers on this machine, and stand-ins.

use autoshare_broker::{Broker, Delta, Kind, Metered, PriceSource, Settings, discover_on};
use autoshare_core::usage::MicroUsd;
use autoshare_testkit::{Fault, Script, ScriptedModel, Turn};

use crate::{ask, serve, settings};

#[tokio::test]
async fn a_server_of_mine_is_found_with_its_chat_models() {
    let names = ["qwen3:8b", "nomic-embed-text", "bad name", "evil\u{1b}[2J", ""].map(str::to_owned).to_vec();
    let server = ScriptedModel::start(Script { models: names, ..Script::new([Turn::text("hi")]) });
    let found = discover_on(&[(server.port(), Kind::Ollama), (closed_port(), Kind::Vllm)]).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].name.as_str(), &found[0].base_url, found[0].kind),
        ("qwen3:8b", &server.base_url(), Kind::Ollama)
    );
    let broker = Broker::new(Settings::default()).unwrap();
    let reply = ask(&broker.model(&found[0].model_name()).unwrap()).await.0.unwrap().reply;
    assert_eq!(reply.text, "hi");
}

fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn localhost_is_this_machine() {
    let server = serve([Turn::text("hi")]);
    let broker = Broker::new(settings(&format!("http://localhost:{}/v1", server.port()))).unwrap();
    assert_eq!(ask(&broker.model("m").unwrap()).await.0.unwrap().reply.text, "hi");
}

#[tokio::test]
async fn one_connection_serves_many_calls() {
    let server = serve([Turn::text("hi").fault_times(1, Fault::status(500))]);
    let broker = Broker::new(settings(&server.base_url())).unwrap();
    for _ in 0..20 {
        assert_eq!(ask(&broker.model("m").unwrap()).await.0.unwrap().reply.text, "hi");
    }
    assert_eq!(server.requests().len(), 21);
}

#[tokio::test]
async fn the_gullible_stand_in_answers_without_a_network() {
    let model = Broker::new(Settings::default()).unwrap().model("gullible").unwrap();
    assert!(model.is_stand_in());
    assert_eq!((model.price().source, model.reserve(&crate::request()).cost), (PriceSource::StandIn, MicroUsd(0)));
    let (result, heard) = ask(&model).await;
    let completion = result.unwrap();
    assert_eq!(completion.metered, Metered::Estimated);
    let started = heard.iter().filter(|delta| matches!(delta, Delta::CallStarted { .. })).count();
    assert_eq!(started, completion.reply.calls.len());
    assert!(!heard.is_empty());
}

#[test]
fn a_record_that_is_none_is_told_with_its_name() {
    let broker = Broker::new(Settings::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("record.json");
    std::fs::write(&file, "{oops").unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let [file, folder, pipe] = [file.as_path(), dir.path(), pipe.as_path()].map(|path| path.to_str().unwrap());
    for path in [file, folder, "/nowhere/at-all.json", pipe] {
        let error = broker.model(&format!("replay:{path}")).unwrap_err().to_string();
        assert!(error.contains(path) && error.contains("cannot be replayed"), "{error}");
    }
}
