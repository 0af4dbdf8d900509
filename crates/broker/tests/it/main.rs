//! The broker against a real HTTP server on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod dialects;
mod egress;
mod extras;
mod faults;
mod inside;
mod keys;
mod local;
mod network;
mod retries;
mod routes;
mod streaming;
mod tenants;
mod tls;
mod tunnels;
mod turns;

use std::time::Duration;

use autoshare_broker::{Broker, Completion, Delta, Model, ModelError, Retries, Settings, Timeouts};
use autoshare_core::chat::{Message, Request};
use autoshare_core::tool::{Effect, Kind, Param, Redo, Role, ToolSpec};
use autoshare_testkit::{Script, ScriptedModel, Turn};
use autoshare_vault::Sensitive;

/// Settings for a server, with more patience than a busy machine needs.
fn settings(base_url: &str) -> Settings {
    Settings {
        base_url: Some(base_url.to_owned()),
        retries: Retries { first_wait: Duration::from_millis(10), ..Retries::default() },
        timeouts: Timeouts {
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            total: Duration::from_secs(60),
            ..Timeouts::default()
        },
        ..Settings::default()
    }
}

fn with_key(base_url: &str, key: &str) -> Settings {
    Settings { api_key: Some(Sensitive::new(key.to_owned())), ..settings(base_url) }
}

fn model(settings: Settings) -> Model {
    Broker::new(settings).unwrap().model("scripted").unwrap()
}

fn serve(turns: impl IntoIterator<Item = Turn>) -> ScriptedModel {
    ScriptedModel::start(Script::new(turns))
}

fn read_file() -> ToolSpec {
    let path = Param {
        name: "path".into(),
        description: "The file.".into(),
        role: Role::Target,
        kind: Kind::Text { max: 100 },
        required: true,
    };
    ToolSpec::new("read_file", "Reads a file.", Effect::Read, Redo::Read, vec![path])
}

fn request() -> Request {
    let messages = vec![Message::System { text: "Work.".into() }, Message::User { text: "Read a.txt".into() }];
    Request { messages, tools: vec![read_file()], max_output: 500 }
}

/// What came of one call, and what was heard meanwhile.
async fn ask(model: &Model) -> (Result<Completion, ModelError>, Vec<Delta>) {
    let mut heard = Vec::new();
    let result = model.complete_metered(&request(), &mut |delta| heard.push(delta)).await;
    (result, heard)
}
