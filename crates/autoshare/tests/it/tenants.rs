//! Tenants' programs at a real `autoshare serve`: clients that others wrote for the Agent Protocol and for any API that
//! describes itself, real cells, and brains that outlive the server.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use autoshare_server::api::openapi;
use autoshare_testkit::{Script, ScriptedModel, Turn};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran};
use crate::packages::pip;
use crate::serve::{Server, curl};

pub const AGENT_PROTOCOL: &str = include_str!("../clients/agent-protocol.txt");
pub const SCHEMATHESIS: &str = include_str!("../clients/schemathesis.txt");
const SCOPES: [&str; 6] = ["read", "brains", "approve", "tokens", "empty_steps", "shares"];

/// A server over a scripted model, with the tenants acme and bolt and a token of each.
pub struct Served {
    pub desk: Desk,
    model: ScriptedModel,
    pub acme: String,
    pub bolt: String,
}

impl Served {
    pub fn new(script: Script) -> Self {
        let (desk, model) = (Desk::new(), ScriptedModel::start(script));
        // What is judged here is what is answered, not how often.
        let settings = desk.home.join(".config/autoshare");
        std::fs::create_dir_all(&settings).unwrap();
        let often = "[fair]\nrequests_per_minute = 1000000\nrequests_at_once = 100000\n";
        std::fs::write(settings.join("autoshare.toml"), often).unwrap();
        for name in ["acme", "bolt"] {
            let made = desk.autoshare(["tenant", "new", name, "--model", "scripted"]);
            assert_eq!(made.code, Some(0), "{made:?}");
        }
        let [acme, bolt] = ["acme", "bolt"].map(|tenant| token(&desk, &["--tenant", tenant], &SCOPES));
        Self { desk, model, acme, bolt }
    }

    pub fn serve(&self) -> Server {
        let mut command = self.desk.command(["serve", "--listen", "127.0.0.1:0", "--json"]);
        command.env("OPENAI_BASE_URL", self.model.base_url()).env("OPENAI_API_KEY", "sk-x");
        command.env("AUTOSHARE_MODEL", "scripted");
        Server::started(command)
    }

    /// What a driver beside this file saw.
    fn driven(&self, program: &mut Command, server: &Server) -> Value {
        program.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.desk.home);
        program.env("BASE", &server.base).env("TOKEN", &self.acme).env("OTHER", &self.bolt);
        let ran = Ran::of(program.output().unwrap());
        let seen = ran.json_lines().into_iter();
        seen.map(|line| (line["what"].as_str().unwrap().to_owned(), line["seen"].clone())).collect()
    }
}

fn token(desk: &Desk, of: &[&str], scopes: &[&str]) -> String {
    let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
    let args = of.iter().copied().chain(["token", "new", "test", "--json"]).chain(scopes);
    desk.autoshare(args).json_lines()[0]["token"].as_str().unwrap().to_owned()
}

fn driver(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Writes the file that `TestWriteFile` asks for.
fn writes() -> Script {
    let write = Turn { text: "I write it.".to_owned(), ..write("answer.txt", "Washington") };
    Script::new([write, Turn::text("It is written.")])
}

fn write(path: &str, content: &str) -> Turn {
    Turn::call("write_file", json!({"path": path, "content": content}))
}

#[test]
fn agent_protocol_client_nine_operations_of_nine() {
    let served = Served::new(writes());
    let server = served.serve();
    let mut program = Command::new(pip("agent-protocol", AGENT_PROTOCOL));
    let seen = served.driven(program.arg("-B").arg(driver("with_agent_protocol.py")), &server);
    let wanted = json!({
        "create_agent_task": ["Write the word 'Washington' to a .txt file", {"language": "en"}, []],
        "list_agent_tasks": [[true], 1],
        "get_agent_task": true,
        "upload_agent_task_artifacts": ["notes.txt", "docs", false],
        "execute_agent_task_step": [["write_file", "completed", false], ["answer", "completed", true]],
        "artifacts of the steps": [["answer.txt"], []],
        "list_agent_task_steps": true,
        "get_agent_task_step": "It is written.",
        "list_agent_task_artifacts": [["answer.txt", true], ["notes.txt", false]],
        "download_agent_task_artifact": ["Washington", "a note"],
        "another tenant's tasks": [0, 0],
        "no token": 401,
    });
    assert_eq!(seen, wanted);
    server.end();
}

/// `agbenchmark` knows of no tokens: something before the server puts one on.
struct Bearer(Child, String);

impl Bearer {
    fn before(server: &Server, token: &str) -> Self {
        let mut command = Command::new("/usr/bin/python3");
        command.arg("-B").arg(driver("bearer.py")).args([&server.base, token]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(child, line.trim().to_owned())
    }
}

impl Drop for Bearer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `agbenchmark` reports of each test that it ran: its name, and whether it passed; and what it printed.
fn benchmarked(served: &Served, server: &Server, flags: &[&str]) -> (BTreeMap<String, bool>, String) {
    let python = pip("agent-protocol", AGENT_PROTOCOL);
    let bin = python.parent().unwrap();
    // It takes everything in a folder for files, and pip leaves compiled modules there.
    let packages = bin.join("../lib").read_dir().unwrap().next().unwrap().unwrap().path().join("site-packages");
    let compiled = packages.join("agbenchmark/challenges");
    let removed = Command::new("/usr/bin/find")
        .arg(&compiled)
        .args("-name __pycache__ -prune -exec rm -rf {} +".split(' '))
        .status();
    assert!(removed.unwrap().success());

    let bearer = Bearer::before(server, &served.acme);
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("agbenchmark_config");
    std::fs::create_dir_all(settings.join("reports")).unwrap();
    std::fs::write(settings.join("config.json"), json!({"host": format!("{}/ap/v1", bearer.1)}).to_string()).unwrap();
    let mut command = Command::new(&python);
    command.args(["-B", "-m", "agbenchmark", "start"]).args(flags).current_dir(folder.path());
    // What it checks are Python programs, which it starts as `python`.
    command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("MPLBACKEND", "agg");
    let ran = Ran::of(command.env("HOME", folder.path()).env("TMPDIR", folder.path()).output().unwrap());

    let mut found = BTreeMap::new();
    for report in settings.join("reports").read_dir().unwrap().map(|entry| entry.unwrap().path().join("report.json")) {
        let report = std::fs::read_to_string(report).unwrap_or_default();
        let report: Value = serde_json::from_str(&report).unwrap_or_default();
        for (name, test) in report["tests"].as_object().into_iter().flatten() {
            found.insert(name.clone(), test["metrics"]["success"] == true);
        }
    }
    (found, format!("{}\n{}", ran.out, ran.err))
}

#[test]
fn agbenchmark_mock_fourteen_of_fourteen() {
    let served = Served::new(Script::new([Turn::text("Done.")]));
    let server = served.serve();
    let (found, said) = benchmarked(&served, &server, &["--mock"]);
    assert!(found.len() == 14 && found.values().all(|passed| *passed), "{found:?}: {said}");
    server.end();
}

#[test]
fn agbenchmark_writes_and_reads_a_file_for_real() {
    for (name, script) in [
        ("TestWriteFile", writes()),
        (
            "TestReadFile",
            Script::new([
                Turn::call("read_file", json!({"path": "file_to_read.txt"})),
                write("output.txt", "Hello World!\n"),
                Turn::text("It is copied."),
            ]),
        ),
    ] {
        let served = Served::new(script);
        let server = served.serve();
        let (found, said) = benchmarked(&served, &server, &[&format!("--test={name}")]);
        assert_eq!(found, BTreeMap::from([(name.to_owned(), true)]), "{said}");
        server.end();
    }
}

/// A brain that was begun, as whoever began it sees it.
struct Followed<'t> {
    token: &'t str,
    brain: String,
}

impl Followed<'_> {
    fn get(&self, server: &Server, of: &str) -> Value {
        let url = format!("{}/api/v1/brains/{}{of}", server.base, self.brain);
        let bearer = format!("authorization: Bearer {}", self.token);
        let said = curl(&["-H", &bearer, &url]);
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
    }

    fn until(&self, server: &Server, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let now = self.get(server, "");
            if is_so(&now) {
                return now;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}: {now}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn begin<'t>(token: &'t str, server: &Server, goal: &str) -> Followed<'t> {
    let bearer = format!("authorization: Bearer {token}");
    let body = json!({"goal": goal}).to_string();
    let json = "content-type: application/json";
    let said = curl(&["-H", &bearer, "-H", json, "-d", &body, &format!("{}/api/v1/brains", server.base)]);
    let brain: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    Followed { token, brain: brain["id"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned() }
}

#[test]
fn a_brain_that_was_awake_goes_on_after_its_server_was_killed() {
    // The second reply comes late: the server is killed while the brain waits for it.
    let slow = Turn { delay_ms: 1_500, ..write("second.txt", "two") };
    let served = Served::new(Script::new([write("first.txt", "one"), slow, Turn::text("Both are written.")]));
    let server = served.serve();
    let brain = begin(&served.acme, &server, "write one to first.txt, then write two to second.txt");
    brain.until(&server, "its first action is not done", |_| {
        served.model.requests().len() == 2 && brain.get(&server, "/steps/1")["ending"] == "done"
    });
    kill_process(server.pid(), Signal::KILL).unwrap();
    drop(server);

    let server = served.serve();
    let end = brain.until(&server, "it does not go on", |now| now["state"] == "done");
    assert_eq!((&end["answer"], &end["steps"]), (&json!("Both are written."), &json!(2)), "{end}");
    let steps = brain.get(&server, "/steps");
    let done: Vec<_> =
        steps["items"].as_array().unwrap().iter().map(|step| (&step["args"]["path"], &step["ending"])).collect();
    let (first, second, ending) = (json!("first.txt"), json!("second.txt"), json!("done"));
    assert_eq!(done, [(&first, &ending), (&second, &ending)], "each action once: {steps}");
    let files = brain.get(&server, "/artifacts");
    let paths: Vec<_> = files["items"].as_array().unwrap().iter().map(|file| &file["path"]).collect();
    assert_eq!(paths, [&first, &second]);
    // The call that was under way is made again, and no other.
    assert_eq!(served.model.requests().len(), 4, "{:?}", served.model.requests());
    server.end();
}

/// What `schemathesis` does not judge here, each with why.
const UNJUDGED: [(&str, &str); 1] =
    [("positive_data_acceptance", "no schema says which models there are, or what a page before said as its cursor")];

/// Runs `schemathesis` over some of the operations, which must be so many, and expects it to find nothing.
fn judged(desk: &Desk, server: &Server, token: &str, seconds: u32, of: &[&str], operations: usize) {
    let program = pip("schemathesis", SCHEMATHESIS).with_file_name("schemathesis");
    let description = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let mut command = Command::new(program);
    command.args(["--no-color", "run"]).arg(description).args(["--url", &server.base]).args(of);
    command.args(["--header", &format!("Authorization: Bearer {token}"), "--max-time", &seconds.to_string()]);
    command.args(["--seed", "1", "--max-examples", "20", "--no-shrink", "--request-timeout", "10"]);
    let unjudged: Vec<&str> = UNJUDGED.iter().map(|(check, _)| *check).collect();
    command.args(["--continue-on-failure", "--exclude-checks", &unjudged.join(",")]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &desk.home).current_dir(&desk.home);
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains(&format!("Tested: {operations}\n")), "every operation is tried: {}", ran.out);
}

/// Whoever generates requests from the description finds no answer that it does not describe: a fault, another status, type
/// or form, a method that is answered and should not be, a route that needs no token.
#[test]
fn schemathesis_finds_nothing() {
    let served = Served::new(writes());
    // The description says what holds for tokens that may not leave a step's body out.
    let scopes: Vec<&str> = SCOPES.into_iter().filter(|scope| *scope != "empty_steps").collect();
    let scopes = [&scopes[..], &["operator", "audit"]].concat();
    let [all, own, given] = [(); 3].map(|()| token(&served.desk, &[], &scopes));
    let (server, desk) = (served.serve(), &served.desk);
    // What ends tokens ends its own sooner or later: it has a run to itself.
    let ending = ["revoke_token", "rotate_token"];
    let flags = |flag: &'static str| ending.iter().flat_map(|name| [flag, name]).collect::<Vec<_>>();
    let routes = openapi::routes();
    judged(desk, &server, &all, 30, &flags("--exclude-operation-id"), routes.len() - ending.len());
    judged(desk, &server, &own, 5, &flags("--include-operation-id"), ending.len());

    // With the ids of what is there: it finds few by itself.
    let brain = begin(&given, &server, "write Washington to answer.txt");
    brain.until(&server, "it does not end", |now| now["state"] == "done");
    let files = brain.get(&server, "/artifacts");
    let artifact = files["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{files}"));
    let ids = format!(
        "[parameters]\n\"path.brain\" = {:?}\n\"path.artifact\" = {artifact:?}\n\"path.step\" = 1\n",
        brain.brain
    );
    std::fs::write(desk.home.join("schemathesis.toml"), ids).unwrap();
    let of_brains = routes.iter().filter(|route| route.contains("{brain}")).count();
    judged(desk, &server, &given, 15, &["--include-path-regex", r"\{brain\}"], of_brains);
    server.end();
}
