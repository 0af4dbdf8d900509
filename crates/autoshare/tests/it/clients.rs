//! SDKs of others, from their registries, at the gateway of a real `autoshare serve`: what they are made for works, and
//! what is refused raises the error that their users catch.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use autoshare_testkit::{Canary, Certified, Reported, Script, ScriptedModel, Turn};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran};
use crate::packages::{assert_pinned, npm, pip};
use crate::telemetry::TELEMETRY;
use crate::tenants::{AGENT_PROTOCOL, SCHEMATHESIS};

const PYTHON_LOCK: &str = include_str!("../clients/requirements.txt");
const NODE_PACKAGE: &str = include_str!("../clients/package.json");
const NODE_LOCK: &str = include_str!("../clients/package-lock.json");
const WORDS: &str = "It rains in Oslo, and will until the evening.";

/// A server over a model that asks for the weather once.
struct Served {
    desk: Desk,
    model: ScriptedModel,
    key: Canary,
    tokens: BTreeMap<&'static str, String>,
    server: Child,
    base: String,
}

impl Served {
    fn start(config: Option<&Path>) -> Self {
        let (desk, key) = (Desk::new(), Canary::new());
        let usage = Reported::Tokens { input: 120, output: 14 };
        let model = ScriptedModel::start(Script::new([
            Turn { usage, ..Turn::call("weather", json!({"city": "Oslo"})) },
            Turn { usage, ..Turn::text(WORDS) },
        ]));
        let mint = |name: &str, more: &[&str]| {
            let args = [&["token", "new", name, "--json", "--model", "scripted", "--model", "gpt-4.1*"], more].concat();
            desk.autoshare(args).json_lines()[0]["token"].as_str().unwrap().to_owned()
        };
        let token = mint("sdk", &[]);
        let wrong = format!("{}{}", &token[..token.len() - 8], "a".repeat(8));
        let once = mint("once", &["--day-requests", "1"]);
        let tokens = BTreeMap::from([("TOKEN", token), ("WRONG", wrong), ("ONCE", once)]);
        let config = config.into_iter().flat_map(|path| ["--config", path.to_str().unwrap()]);
        let args = ["serve", "--listen", "127.0.0.1:0", "--json"].into_iter().chain(config);
        let mut command = desk.command(args);
        command.env("OPENAI_BASE_URL", model.base_url()).env("OPENAI_API_KEY", key.as_str());
        let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let base = said["listening"].as_str().unwrap().to_owned();
        Self { desk, model, key, tokens, server, base }
    }

    /// Runs a driver beside this file, which says what it saw.
    fn driven(&self, program: &mut Command) -> Ran {
        program.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.desk.home);
        program.envs(&self.tokens).env("MODEL", "scripted").env("GATEWAY", format!("{}/gateway", self.base));
        Ran::of(program.output().unwrap())
    }

    /// Looks at what a driver said, and at what reached the model; ends the server and looks at what was recorded.
    fn expect(mut self, ran: &Ran, wanted: &Value) {
        let seen = ran.json_lines();
        let seen: serde_json::Map<_, _> =
            seen.into_iter().map(|line| (line["what"].as_str().unwrap().to_owned(), line["seen"].clone())).collect();
        assert_eq!(Value::from(seen), *wanted, "{ran:?}");

        let requests = self.model.requests();
        assert!(requests.len() >= 5, "{requests:?}");
        for request in &requests {
            assert_eq!(request.header("authorization"), Some(format!("Bearer {}", self.key.as_str()).as_str()));
            let all = format!("{request:?}");
            assert!(self.tokens.values().all(|token| !all.contains(token)), "{all}");
        }
        let pid = rustix::process::Pid::from_child(&self.server);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.server.wait().unwrap().success());
        let counts = self.desk.autoshare(["usage", "--by", "token", "--json"]).json_lines();
        let count: u64 = counts.iter().map(|row| row["requests"].as_u64().unwrap()).sum();
        assert_eq!(count, requests.len() as u64, "every call that went out is counted: {counts:?}");
        for file in [self.desk.data(), self.desk.workspace.clone()] {
            assert_eq!(self.key.find_in(&file), [] as [PathBuf; 0]);
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn driver(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn python(name: &str) -> Command {
    let mut command = Command::new(pip("clients-python", PYTHON_LOCK));
    // Nothing is written beside the drivers.
    command.arg("-B").arg(driver(name));
    command
}

fn openai() -> Value {
    let call = json!(["weather", {"city": "Oslo"}]);
    json!({
        "tool": call,
        "chat": WORDS,
        "usage": [120, 14],
        "stream": [WORDS, true, 14],
        "streamed-tool": call,
        "responses": WORDS,
        "responses-stream": WORDS,
        "embeddings": [[3, 0], [5, 1]],
        "models": true,
        "wrong-token": ["AuthenticationError", 401, "invalid_api_key"],
        "over-budget": ["no error", ["RateLimitError", 429, "insufficient_quota"]],
        "unknown-model": ["NotFoundError", 404, "model_not_found"],
        "model-not-allowed": ["PermissionDeniedError", 403, "model_not_allowed"],
        "unknown-field": ["BadRequestError", 400, "invalid_request"],
        "unknown-path": true,
    })
}

#[test]
fn the_locks_pin_every_byte_and_name_no_registry() {
    assert_pinned(NODE_LOCK);
    for lock in [PYTHON_LOCK, AGENT_PROTOCOL, SCHEMATHESIS, TELEMETRY] {
        let lines: Vec<&str> = lock.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
        assert!(lines.iter().filter(|line| line.contains("==")).count() >= 3, "{lines:?}");
        for line in lines {
            let is_pin = line.contains("==") || line.starts_with("--hash=sha256:");
            assert!(is_pin && !line.contains("://"), "{line}");
        }
    }
}

#[test]
fn openai_for_python() {
    let served = Served::start(None);
    let ran = served.driven(&mut python("with_openai.py"));
    served.expect(&ran, &openai());
}

#[test]
fn openai_for_python_over_tls() {
    let desk = Desk::new();
    let folder = desk.home.display().to_string();
    // An authority of the test's own, and a certificate of it for this machine's loopback.
    let script = format!(
        "cd {folder} && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2 \
         -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign && \
         openssl req -newkey rsa:2048 -nodes -keyout tls.key -out tls.csr -subj /CN=localhost && \
         printf 'subjectAltName=IP:127.0.0.1\\n' > names && \
         openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out tls.pem"
    );
    let made = Ran::of(Command::new("sh").args(["-ec", &script]).output().unwrap());
    assert_eq!(made.code, Some(0), "{made:?}");
    let config = desk.home.join("serve.toml");
    let text = format!("[serve]\ntls_cert = \"{folder}/tls.pem\"\ntls_key = \"{folder}/tls.key\"\n");
    std::fs::write(&config, text).unwrap();

    let served = Served::start(Some(&config));
    assert!(served.base.starts_with("https://"), "{}", served.base);
    let stranger = served.driven(&mut python("with_openai.py"));
    assert!(stranger.code == Some(1) && stranger.err.contains("CERTIFICATE_VERIFY_FAILED"), "{stranger:?}");
    let mut command = python("with_openai.py");
    let mut trusting = Command::new("env");
    trusting.arg(format!("SSL_CERT_FILE={folder}/ca.pem")).arg(command.get_program()).args(command.get_args());
    let ran = served.driven(&mut trusting);
    command.env_clear();
    served.expect(&ran, &openai());
}

#[test]
fn a_certificate_is_renewed_while_it_serves_and_a_wrong_one_changes_nothing() {
    let desk = Desk::new();
    let file = |name: &str| desk.home.join(name);
    let config = file("serve.toml");
    let [cert, key] = ["tls.pem", "tls.key"].map(|name| file(name).display().to_string());
    std::fs::write(&config, format!("[serve]\ntls_cert = \"{cert}\"\ntls_key = \"{key}\"\n")).unwrap();
    let [first, second, third] = [1, 2, 3].map(|_| Certified::new(&["127.0.0.1"]));
    let put = |certificate: &str, of: &str| {
        std::fs::write(&cert, certificate).unwrap();
        std::fs::write(&key, of).unwrap();
    };
    put(&first.certificate, &first.key);
    let served = Served::start(Some(&config));
    // Whether somebody who trusts this authority gets an answer.
    let answers = |ca: &str| {
        let trusted = file("ca.pem");
        std::fs::write(&trusted, ca).unwrap();
        let said =
            Command::new("curl").args(["-sS", "--cacert"]).arg(&trusted).arg(format!("{}/livez", served.base)).output();
        let said = Ran::of(said.unwrap());
        assert!(matches!(said.code, Some(0 | 60)), "60 is a certificate that is not trusted: {said:?}");
        said.out == "alive"
    };
    let hangup = || {
        let pid = rustix::process::Pid::from_child(&served.server);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    };
    let comes = |ca: &str| {
        (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            answers(ca)
        })
    };
    assert!(answers(&first.ca) && !answers(&second.ca), "the control");
    put(&second.certificate, &second.key);
    hangup();
    assert!(comes(&second.ca) && !answers(&first.ca));
    // The key of another, and no certificate at all.
    for certificate in [third.certificate.as_str(), "nothing"] {
        put(certificate, &second.key);
        hangup();
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(answers(&second.ca), "the one before stays");
    }
    put(&third.certificate, &third.key);
    hangup();
    assert!(comes(&third.ca) && !answers(&second.ca));
}

#[test]
fn openai_for_node() {
    let served = Served::start(None);
    // Beside its packages, where Node looks for them.
    let modules = npm("clients-node", NODE_PACKAGE, NODE_LOCK);
    let program = modules.parent().unwrap().join("with_openai.mjs");
    std::fs::copy(driver("with_openai.mjs"), &program).unwrap();
    let ran = served.driven(Command::new("node").arg(program));
    let mut wanted = openai();
    wanted["stream"] = json!([WORDS, true]);
    for absent in ["streamed-tool", "unknown-field", "unknown-path"] {
        wanted.as_object_mut().unwrap().remove(absent);
    }
    served.expect(&ran, &wanted);
}

#[test]
fn anthropic_for_python() {
    let served = Served::start(None);
    let ran = served.driven(&mut python("with_anthropic.py"));
    let wanted = json!({
        "tool": ["weather", {"city": "Oslo"}, "tool_use"],
        "chat": WORDS,
        "usage": [120, 14],
        "stream": [WORDS, true, "end_turn"],
        "streamed-tool": ["weather", {"city": "Oslo"}],
        "models": true,
        "wrong-token": ["AuthenticationError", 401, "authentication_error"],
        "over-budget": ["no error", ["RateLimitError", 429, "rate_limit_error"]],
        "unknown-model": ["NotFoundError", 404, "not_found_error"],
        "model-not-allowed": ["PermissionDeniedError", 403, "permission_error"],
        "unknown-field": ["BadRequestError", 400, "invalid_request_error"],
    });
    served.expect(&ran, &wanted);
}

#[test]
fn litellm_as_a_client() {
    let served = Served::start(None);
    let ran = served.driven(&mut python("with_litellm.py"));
    let mut wanted = json!({
        "embeddings": [[3, 0], [5, 1]],
        "over-budget": ["no error", ["RateLimitError", 429]],
    });
    for face in ["openai", "anthropic"] {
        for (what, seen) in [
            ("tool", json!(["weather", {"city": "Oslo"}])),
            ("chat", json!(WORDS)),
            ("stream", json!(WORDS)),
            ("wrong-token", json!(["AuthenticationError", 401])),
            ("unknown-model", json!(["NotFoundError", 404])),
        ] {
            wanted[format!("{face}-{what}")] = seen;
        }
    }
    served.expect(&ran, &wanted);
}
