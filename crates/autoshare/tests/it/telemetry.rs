//! Traces and alerts of a real `autoshare serve`, behind its own walls, as programs with packages of others take them.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use autoshare_testkit::{Canary, Certified, Script, Turn};
use serde_json::{Value, json};

use crate::packages::pip;
use crate::serve::curl;
use crate::tenants::Served;

pub const TELEMETRY: &str = include_str!("../clients/telemetry.txt");
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BEARER: &str = "Bearer of-the-collector";

/// A collector over TLS and a receiver without, in one program, and what they were sent.
struct Receiver {
    child: Child,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    fn start(folder: &Path, certified: &Certified) -> Self {
        let mut program = Command::new(pip("telemetry", TELEMETRY));
        program.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/receives.py"));
        program.env_clear().env("PATH", "/usr/bin:/bin").env("SECRET", SECRET);
        program.env("CERTIFICATE", kept(folder, "collector.pem", &certified.certificate));
        program.env("KEY", kept(folder, "collector.key", &certified.key));
        let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let (lines, to) = (BufReader::new(child.stdout.take().unwrap()).lines(), Arc::clone(&told));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                to.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, told }
    }

    fn all(&self, what: &str) -> Vec<Value> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|one| one["what"] == what).map(|one| one["seen"].clone()).collect()
    }

    fn until(&self, what: &str, is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let all = self.all(what);
            if is_so(&all) {
                return all;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}: {:#?}", self.told.lock().unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kept(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

fn more_settings(served: &Served, text: &str) {
    let path = served.desk.home.join(".config/autoshare/autoshare.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{before}\n{text}")).unwrap();
}

#[test]
fn a_brain_that_goes_round_is_traced_and_told_of_without_a_word_of_content() {
    let [goal, words, content, name] = std::array::from_fn(|_| Canary::new());
    let path = format!("{}.txt", name.as_str());
    let write = Turn::call("write_file", json!({"path": path, "content": content.as_str()}));
    let list = || Turn::call("list_folder", json!({"path": "."}));
    let turns = [Turn { text: words.as_str().to_owned(), ..write }, list(), list(), list(), list(), list(), list()];
    let served = Served::new(Script::new(turns));
    let folder = served.desk.home.join("telemetry");
    std::fs::create_dir(&folder).unwrap();
    let certified = Certified::new(&["127.0.0.1"]);
    let receiver = Receiver::start(&folder, &certified);
    let ports = receiver.until("ports", |ports| !ports.is_empty()).remove(0);
    let of = |name: &str, text: &str| kept(&folder, name, text);
    let settings = format!(
        "[serve.traces]\nurl = \"https://127.0.0.1:{}/v1/traces\"\nca_file = {:?}\nheaders_file = {:?}\ninterval_s = 1\n\
         [[serve.alerts]]\nurl = \"http://127.0.0.1:{}/hook\"\nsecret_files = [{:?}]\nevents = [\"brain.looped\"]\n",
        ports[0],
        of("ca.pem", &certified.ca),
        of("headers", &format!("# for the collector\nAuthorization: {BEARER}\n")),
        ports[1],
        of("secret", SECRET),
    );
    more_settings(&served, &settings);
    let server = served.serve();
    let bearer = format!("authorization: Bearer {}", served.acme);
    let body = json!({"goal": format!("write {path}, list . and say {}", goal.as_str())}).to_string();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("traceparent: 00-{trace}-b7ad6b7169203331-01");
    let url = format!("{}/api/v1/brains", server.base);
    let said = curl(&["-H", &bearer, "-H", &parent, "-H", "content-type: application/json", "-d", &body, &url]);
    let brain: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    let brain = brain["id"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();

    let alerts = receiver.until("alert", |alerts| !alerts.is_empty());
    let before = receiver.all("alert put off");
    assert_eq!((alerts.len(), before.len()), (1, 1));
    assert_eq!(alerts[0], before[0], "it comes again under the same id, and the same, signed anew");
    let message = &alerts[0]["message"];
    assert_eq!((&message["type"], &message["data"]["brain"]), (&json!("brain.looped"), &json!(brain)), "{message}");
    assert_eq!(alerts[0].get("forged"), None);

    let is_root = |span: &Value| span["name"] == "invoke_agent";
    let spans = receiver.until("span", |spans| spans.iter().any(is_root));
    assert_eq!(receiver.all("traces put off"), [json!(["application/x-protobuf", BEARER])]);
    let root = spans.iter().find(|span| is_root(span)).unwrap();
    assert_eq!((&root["trace"], &root["parent"]), (&json!(trace), &json!("b7ad6b7169203331")), "{root}");
    assert_eq!((&root["attributes"]["error.type"], &root["status"]), (&json!("loop"), &json!(2)));
    let tenant = &message["data"]["tenant"];
    for span in &spans {
        let told = &span["attributes"];
        assert_eq!((&span["trace"], &told["gen_ai.agent.id"]), (&json!(trace), &json!(brain)), "{span}");
        assert_eq!(&told["autoshare.tenant.id"], tenant, "one opaque id for all that is sent");
        assert_eq!(span["resource"]["service.name"], "autoshare");
        assert!(is_root(span) || span["parent"] == root["span"], "{span}");
        assert!((0.0..60_000.0).contains(&span["ms"].as_f64().unwrap()), "{span}");
    }
    let named = |name: &str| spans.iter().filter(|span| span["name"] == name).collect::<Vec<_>>();
    let (chats, writes, lists) =
        (named("chat scripted"), named("execute_tool write_file"), named("execute_tool list_folder"));
    assert_eq!((chats.len(), writes.len(), lists.len()), (5, 1, 4), "{spans:#?}");
    assert_eq!(spans.len(), 11);
    let sum = |of: &[&Value], name: &str| of.iter().map(|span| span["attributes"][name].as_u64().unwrap()).sum::<u64>();
    for name in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
        assert!(sum(&chats, name) > 0);
        assert_eq!(sum(&chats, name), sum(&[root], name), "{name}");
    }
    let told = json!({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "scripted",
        "gen_ai.response.model": "scripted",
        "gen_ai.response.finish_reasons": ["tool_calls"],
    });
    for (name, value) in told.as_object().unwrap() {
        assert_eq!(&chats[0]["attributes"][name], value, "{name}");
    }
    assert_eq!((&chats[0]["kind"], &writes[0]["kind"]), (&json!("SPAN_KIND_CLIENT"), &json!("SPAN_KIND_INTERNAL")));
    assert_eq!(writes[0]["attributes"]["gen_ai.tool.name"], "write_file");

    let bytes = [receiver.all("bytes of traces"), receiver.all("bytes of alerts")].concat();
    let all: String = bytes.iter().map(|bytes| bytes.as_str().unwrap()).collect();
    assert!(all.contains(&brain));
    for word in [goal.as_str(), words.as_str(), content.as_str(), name.as_str(), "acme", "list .", &served.acme] {
        assert!(!all.contains(word), "{word} has left");
    }
    let log = server.end();
    assert!(!log.contains(BEARER) && !log.contains(SECRET), "{log}");
}

/// What it says when it does not start; each row is one mistake.
#[test]
fn what_would_not_be_sent_as_it_is_meant_is_refused_at_the_start() {
    let served = Served::new(Script::new([Turn::text("done")]));
    let folder = served.desk.home.join("telemetry");
    std::fs::create_dir(&folder).unwrap();
    let of = |name: &str, text: &str| kept(&folder, name, text);
    let (secret, short) = (of("secret", SECRET), of("short", "whsec_c2hvcnQ="));
    let (headers, shared) = (of("headers", "host: other.example"), of("shared", SECRET));
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o644)).unwrap();
    let traces = |more: &str| format!("[serve.traces]\nurl = \"http://127.0.0.1:1/v1/traces\"\n{more}\n");
    let alerts = |secret: &str, more: &str| {
        format!("[[serve.alerts]]\nurl = \"http://127.0.0.1:1/\"\nsecret_files = [{secret:?}]\n{more}\n")
    };
    let rows = [
        (traces("share = 1.5"), "serve.traces.share is \"1.5\": use 0.0 to 1.0"),
        (traces("share = nan"), "serve.traces.share is \"NaN\""),
        (traces("queue = 0"), "serve.traces.queue is \"0\": use 1 to 1000000"),
        (traces("interval_s = 4000"), "serve.traces.interval_s is \"4000\": use 1 to 3600"),
        (traces(&format!("headers_file = {headers:?}")), "line 1 names host, which this program says itself"),
        ("[serve.traces]\nurl = \"http://collector.example/v1/traces\"".to_owned(), "[serve.traces] url: "),
        (alerts(&short, ""), "the secret is not whsec_ and 24 to 64 bytes in base64"),
        (alerts(&shared, ""), "run chmod 600 on it"),
        (alerts("/nothing/there", ""), "/nothing/there"),
        (
            alerts(&secret, "events = [\"brain.happy\"]"),
            "serve.alerts.events is \"brain.happy\": use names of brain.silent",
        ),
        (alerts(&secret, "retry_for_s = 30"), "serve.alerts.retry_for_s is \"30\": use 60 to 604800"),
        (alerts(&secret, "").replace(&format!("{secret:?}"), ""), "a receiver has 1 to 4 secrets"),
        (alerts(&secret, "").repeat(17), "name 16 receivers at most"),
        ("[serve]\nalerts_apart_s = 0".to_owned(), "serve.alerts_apart_s is \"0\": use 1 to 604800"),
    ];
    for (text, wanted) in rows {
        let config = of("autoshare.toml", &text);
        let said = served.desk.autoshare(["serve", "--listen", "127.0.0.1:0", "--config", &config]);
        assert!(said.code != Some(0) && said.err.contains(wanted), "{text}: {said:?}");
        assert!(!said.err.contains("MfKQ9r8"), "{said:?}");
    }
}
