//! Agents of others, from their registry, at work in a cell: Codex and Claude Code, against a model server on loopback.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use autoshare_testkit::{Canary, Certified, Recorded, Script, ScriptedModel, Turn};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran, at_terminal};
use crate::packages::{assert_pinned, npm};
use crate::secrets::keep;

const PACKAGE: &str = include_str!("../agents/package.json");
const LOCK: &str = include_str!("../agents/package-lock.json");
/// The model's last words.
const ANSWER: &str = "The file is written; the rest was kept from me.";

/// The folder `node_modules` with both agents: installed once for each lock file, below the target directory.
fn modules() -> &'static Path {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    MODULES.get_or_init(|| npm("agents", PACKAGE, LOCK))
}

/// An agent, and how it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agent {
    Codex,
    Claude,
}

const BOTH: [Agent; 2] = [Agent::Codex, Agent::Claude];

impl Agent {
    /// The name of its profile.
    fn name(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::Claude => "claude",
        }
    }

    fn version(self) -> String {
        let package = match self {
            Self::Codex => "@openai/codex",
            Self::Claude => "@anthropic-ai/claude-code",
        };
        let known: Value = serde_json::from_str(PACKAGE).unwrap();
        known["dependencies"][package].as_str().unwrap().to_owned()
    }

    fn program(self) -> String {
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
        let program = match self {
            Self::Codex => modules().join(".bin/codex"),
            // What its installation script would put into `.bin`.
            Self::Claude => modules().join(format!("@anthropic-ai/claude-code-linux-{arch}/claude")),
        };
        program.to_str().unwrap().to_owned()
    }

    /// The variable with its key.
    fn key(self) -> &'static str {
        match self {
            Self::Codex => "CODEX_API_KEY",
            Self::Claude => "ANTHROPIC_API_KEY",
        }
    }

    /// The call that runs a command line.
    fn call(self, command: &str) -> Turn {
        match self {
            // It would go on with what there is of the output after ten seconds: a busy machine may need more.
            Self::Codex => Turn::call("exec_command", json!({"cmd": command, "yield_time_ms": 30_000})),
            Self::Claude => Turn::call("Bash", json!({"command": command, "description": "A command"})),
        }
    }

    /// The header that carries its key.
    fn sent_key(self, request: &Recorded) -> Option<String> {
        match self {
            Self::Codex => request.header("authorization")?.strip_prefix("Bearer ").map(str::to_owned),
            Self::Claude => request.header("x-api-key").map(str::to_owned),
        }
    }

    /// The command line in which this agent works alone, after `--`.
    fn alone(self, model: &ScriptedModel) -> Vec<String> {
        let program = self.program();
        let args: Vec<String> = match self {
            Self::Codex => ["exec", "--skip-git-repo-check"].map(str::to_owned).into_iter().chain(at(model)).collect(),
            Self::Claude => ["-p", "--dangerously-skip-permissions"].map(str::to_owned).into(),
        };
        [vec![program], args, vec!["Write the file.".to_owned()]].concat()
    }

    /// `autoshare exec` up to `--`, for an agent that may reach this model.
    fn flags(self, model: &ScriptedModel) -> Vec<String> {
        let (modules, host) = (modules().display().to_string(), format!("127.0.0.1:{}", model.port()));
        let mut flags = vec!["--profile".to_owned(), self.name().to_owned(), "--read".to_owned(), modules];
        flags.extend(["--allow-host".to_owned(), host.clone()]);
        if self == Self::Claude {
            flags.extend(["--env".to_owned(), format!("ANTHROPIC_BASE_URL=http://{host}")]);
        }
        flags
    }

    /// Works alone for this person, whose key is in the environment.
    fn works(self, desk: &Desk, model: &ScriptedModel, key: &str, args: &[&str]) -> Ran {
        let command = [self.alone(model), args.iter().map(|arg| (*arg).to_owned()).collect()].concat();
        let all = [vec!["exec".to_owned()], self.flags(model), vec!["--".to_owned()], command].concat();
        Ran::of(desk.command(all).env(self.key(), key).output().unwrap())
    }
}

/// Codex's settings for a model server of one's own.
fn at(model: &ScriptedModel) -> Vec<String> {
    let provider = format!("{{name=\"local\", base_url=\"{}\", env_key=\"CODEX_API_KEY\"}}", model.base_url());
    ["-c", &format!("model_providers.local={provider}"), "-c", "model_provider=local", "-m", "scripted"]
        .map(str::to_owned)
        .into()
}

/// The conversation so far as the model is told it, without what an agent says of itself.
fn told(request: &Recorded) -> String {
    let list = request.body.get("input").or_else(|| request.body.get("messages")).unwrap();
    list.to_string()
}

#[test]
fn the_lock_pins_every_byte_and_names_no_registry() {
    assert_pinned(LOCK);
}

#[test]
fn agents_start_and_say_what_they_are() {
    for agent in BOTH {
        let desk = Desk::new();
        let modules = modules().display().to_string();
        let says = |flag: &str| {
            desk.autoshare(["exec", "--profile", agent.name(), "--read", &modules, "--", &agent.program(), flag])
        };
        let (version, help) = (says("--version"), says("--help"));
        assert!(version.code == Some(0) && version.out.contains(&agent.version()), "{agent:?}: {version:?}");
        assert!(help.code == Some(0) && help.out.contains("Usage: "), "{agent:?}: {help:?}");
    }
}

/// What a model that was taken over would have an agent run: it reads a file of the person's, and asks servers that were
/// not allowed, and the one that was, past the proxy. Each attempt says what came of it.
const REACH: &str = r#"
import json, socket, urllib.request
find = json.load(open("find.json"))
def tell(name, attempt):
    try:
        print(name, "GOT", attempt())
    except Exception as error:
        print(name, "FAILED", type(error).__name__, getattr(error, "read", lambda: b"")()[:60])
def ask(port):
    stream = socket.create_connection(("127.0.0.1", port), 5)
    stream.sendall(b"GET /v1/models HTTP/1.0\r\n\r\n")
    return stream.makefile().read()
tell("diary", lambda: open(find["diary"]).read())
tell("proxied", lambda: urllib.request.urlopen("http://127.0.0.1:%d/v1/models" % find["other"], timeout=5).read())
tell("direct", lambda: ask(find["other"]))
tell("past-the-proxy", lambda: ask(find["model"]))
"#;

#[test]
fn a_whole_run_does_its_work_and_reaches_nothing_else() {
    for agent in BOTH {
        let desk = Desk::new();
        let [diary, secret, key] = [Canary::new(), Canary::new(), Canary::new()];
        std::fs::write(desk.home.join("diary.txt"), diary.as_str()).unwrap();
        // A server that was not allowed: what it knows is the secret.
        let other = ScriptedModel::start(Script { models: vec![secret.to_string()], ..Script::new([]) });
        let write = format!("mkdir out && echo made by {} > out/made.txt && echo wrote-$((20 + 3))", agent.name());
        let words = |text: &str, turn: Turn| Turn { text: text.to_owned(), ..turn };
        let model = ScriptedModel::start(Script::new([
            words("I write it.", agent.call(&write)),
            words("And now, what else is there?", agent.call("python3 reach.py")),
            Turn::text(ANSWER),
        ]));
        let find = json!({"diary": desk.home.join("diary.txt"), "other": other.port(), "model": model.port()});
        desk.write("reach.py", REACH).write("find.json", &find.to_string());

        let ran = agent.works(&desk, &model, key.as_str(), &[]);
        assert_eq!((ran.code, ran.out.trim()), (Some(0), ANSWER), "{agent:?}: {ran:?}");
        assert_eq!(desk.read("out/made.txt").unwrap(), format!("made by {}\n", agent.name()));
        let requests: Vec<Recorded> = model.requests().into_iter().filter(|one| one.method == "POST").collect();
        assert_eq!(requests.len(), 3, "{agent:?}: {requests:?}");
        assert!(told(&requests[1]).contains("wrote-23"), "{agent:?}: {}", told(&requests[1]));

        // What it reached for: each attempt was made, and failed.
        let last = told(&requests[2]);
        for attempt in ["diary FAILED", "proxied FAILED HTTPError", "direct FAILED", "past-the-proxy FAILED"] {
            assert!(last.contains(attempt), "{agent:?}: {attempt}: {last}");
        }
        assert!(last.contains("cannot be reached from this cell"), "{agent:?}: {last}");
        assert!(other.requests().is_empty(), "{agent:?}");
        for request in model.requests() {
            let all = format!("{request:?}");
            for canary in [&diary, &secret, &key] {
                assert!(!canary.is_in(all.as_bytes()), "{agent:?}: {all}");
            }
            let placeholder = format!("autoshare-placeholder-{}", agent.key());
            assert_eq!(agent.sent_key(&request), Some(placeholder), "{agent:?}");
        }
        for canary in [&diary, &secret, &key] {
            assert_eq!(canary.find_in(&desk.workspace), [] as [PathBuf; 0], "{agent:?}");
            assert_eq!(canary.find_in(&desk.data()), [] as [PathBuf; 0], "{agent:?}");
        }
        // The control: outside of a cell, each of these attempts succeeds.
        let free = Command::new("python3").arg("reach.py").current_dir(&desk.workspace).env_clear().output().unwrap();
        let free = Ran::of(free).out;
        for (attempt, canary) in [("diary GOT", &diary), ("proxied GOT", &secret), ("direct GOT", &secret)] {
            assert!(free.contains(attempt) && canary.is_in(free.as_bytes()), "the control of {attempt}: {free}");
        }
        assert!(free.contains("past-the-proxy GOT"), "{free}");

        // It is shown and taken back like any other run; what the agent keeps for itself is no part of that.
        let brain = desk.brain();
        let changed = desk.autoshare(["diff", &brain, "--json"]).json_lines();
        let names: Vec<&Value> = changed.iter().map(|line| &line["path"]).collect();
        assert_eq!(names, ["out", "out/made.txt"], "{agent:?}: {changed:?}");
        let undone = desk.autoshare(["undo", &brain]);
        assert_eq!((undone.code, desk.read("out/made.txt")), (Some(0), None), "{agent:?}: {undone:?}");
        let home = desk.data().join("homes").join(agent.name());
        assert!(home.join(format!(".{}", agent.name())).is_dir(), "{agent:?}");
    }
}

/// TLS in front of a model server, for `127.0.0.1`; gives its port.
fn front(desk: &Desk, model: &ScriptedModel) -> (Child, String) {
    let certified = Certified::new(&["127.0.0.1"]);
    let put = |name: &str, text: &str| {
        std::fs::write(desk.base.path().join(name), text).unwrap();
        desk.base.path().join(name)
    };
    let files = [put("certificate.pem", &certified.certificate), put("key.pem", &certified.key)];
    let ca = put("ca.pem", &certified.ca);
    let config = desk.home.join(".config/autoshare");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("autoshare.toml"), format!("[network]\nca_file = {ca:?}\n")).unwrap();
    let helper = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/front.py");
    let mut command = Command::new("/usr/bin/python3");
    command.arg(helper).args(files).arg(model.port().to_string()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    (child, port.trim().to_owned())
}

#[test]
fn c6_an_agent_works_with_a_key_that_it_never_has() {
    for agent in BOTH {
        let (desk, key) = (Desk::new(), Canary::new());
        let model = ScriptedModel::start(Script::new([agent.call("env > environment"), Turn::text(ANSWER)]));
        let (mut front, port) = front(&desk, &model);
        let form = if agent == Agent::Claude { "header:x-api-key" } else { "bearer" };
        let kept = keep(&desk, &[agent.key(), "--host", &format!("127.0.0.1:{port}"), "--form", form], key.as_str());
        assert_eq!(kept.code, Some(0), "{kept:?}");
        let plain = format!("http://127.0.0.1:{}", model.port());
        let secure = |text: &String| text.replace(&plain, &format!("https://127.0.0.1:{port}"));
        let modules = modules().display().to_string();
        let base = format!("ANTHROPIC_BASE_URL=https://127.0.0.1:{port}");
        let flags =
            ["exec", "--profile", agent.name(), "--read", &modules, "--env", &base, "--credential", agent.key()];
        let command: Vec<String> = agent.alone(&model).iter().map(secure).collect();
        let all = flags.map(str::to_owned).into_iter().chain(["--".to_owned()]).chain(command);
        let ran = Ran::of(desk.command(all).output().unwrap());
        front.kill().unwrap();
        front.wait().unwrap();
        assert_eq!((ran.code, ran.out.trim()), (Some(0), ANSWER), "{agent:?}: {ran:?}");
        let requests: Vec<Recorded> = model.requests().into_iter().filter(|one| one.method == "POST").collect();
        assert!(requests.len() >= 2, "{agent:?}: {requests:?}");
        for request in &requests {
            assert_eq!(agent.sent_key(request).as_deref(), Some(key.as_str()), "{agent:?}");
            assert!(!key.is_in(request.body.to_string().as_bytes()), "{agent:?}");
        }
        let environment = desk.read("environment").unwrap();
        assert!(environment.contains(&format!("{}=autoshare-placeholder-", agent.key())), "{agent:?}: {environment}");
        assert_eq!(key.find_in(desk.base.path()), [] as [PathBuf; 0], "{agent:?}");
    }
}

/// The gateway has the key, counts and records; the agent has a placeholder, and reaches nothing but the gateway.
#[test]
fn c6_an_agent_works_through_the_gateway_with_no_key_and_no_host() {
    for agent in BOTH {
        let (desk, key) = (Desk::new(), Canary::new());
        let model = ScriptedModel::start(Script::new([agent.call("env > environment"), Turn::text(ANSWER)]));
        let provider = if agent == Agent::Claude { "anthropic" } else { "openai" };
        let config = desk.home.join(".config/autoshare");
        std::fs::create_dir_all(&config).unwrap();
        let settings = format!("[provider.{provider}]\nbase_url = \"{}\"\n", model.base_url());
        std::fs::write(config.join("autoshare.toml"), settings).unwrap();
        let modules = modules().display().to_string();
        let flags = ["exec", "--profile", agent.name(), "--read", &modules, "--model", "*", "--"];
        let gateway = "http://127.0.0.1:3128/gateway/openai/v1";
        let command: Vec<String> =
            agent.alone(&model).iter().map(|arg| arg.replace(&model.base_url(), gateway)).collect();
        let all = flags.map(str::to_owned).into_iter().chain(command);
        let variable = if agent == Agent::Claude { "ANTHROPIC_API_KEY" } else { "OPENAI_API_KEY" };
        let ran = Ran::of(desk.command(all).env(variable, key.as_str()).output().unwrap());
        assert_eq!((ran.code, ran.out.trim()), (Some(0), ANSWER), "{agent:?}: {ran:?} {:?}", model.requests());
        let requests: Vec<Recorded> = model.requests().into_iter().filter(|one| one.method == "POST").collect();
        assert!(requests.len() >= 2, "{agent:?}: {requests:?}");
        for request in &requests {
            assert_eq!(agent.sent_key(request).as_deref(), Some(key.as_str()), "{agent:?}");
            assert!(!key.is_in(request.body.to_string().as_bytes()), "{agent:?}");
        }
        assert!(desk.read("environment").unwrap().contains("/gateway/"), "{agent:?}");
        assert_eq!(key.find_in(desk.base.path()), [] as [PathBuf; 0], "{agent:?}");
        let journal = desk.journal();
        let calls: Vec<&Value> = journal.iter().filter(|line| line["record"]["event"] == "exchange").collect();
        assert_eq!(calls.len(), requests.len(), "{agent:?}: {journal:?}");
        let usage = desk.autoshare(["usage", "--by", "brain", "--json"]).json_lines();
        assert_eq!(usage[0]["requests"].as_u64(), Some(requests.len() as u64), "{agent:?}: {usage:?}");
    }
}

/// Codex's own sandbox cannot be made in a cell. Its profile turns it off, and so it works without a flag; whoever turns
/// it on again is told by Codex that no command runs.
#[test]
fn codex_works_by_its_profile_and_not_with_its_own_sandbox() {
    let script =
        || Script::new([Agent::Codex.call("echo made > made.txt && echo wrote-$((20 + 3))"), Turn::text(ANSWER)]);
    for (args, made) in [(&["-s", "workspace-write"][..], None), (&[], Some("made\n"))] {
        let (desk, model) = (Desk::new(), ScriptedModel::start(script()));
        let ran = Agent::Codex.works(&desk, &model, "key", args);
        assert_eq!((ran.code, ran.out.trim()), (Some(0), ANSWER), "{args:?}: {ran:?}");
        assert_eq!(desk.read("made.txt").as_deref(), made, "{args:?}: {ran:?}");
        assert_eq!(told(&model.requests()[1]).contains("wrote-23"), made.is_some(), "{args:?}");
        // The file is the person's from now on: what they changed stays.
        let settings = desk.data().join("homes/codex/.codex/config.toml");
        let text = std::fs::read_to_string(&settings).unwrap();
        assert!(text.contains("sandbox_mode = \"danger-full-access\""), "{text}");
        std::fs::write(&settings, format!("{text}\n# mine\n")).unwrap();
        assert_eq!(Agent::Codex.works(&desk, &model, "key", args).code, Some(0));
        assert!(std::fs::read_to_string(&settings).unwrap().contains("# mine"));
    }
}

/// Its own screen, at the terminal that a cell has: a person types, the agent works, and the terminal is left as it was.
#[test]
fn codex_works_at_a_terminal() {
    let desk = Desk::new();
    // Words that share no letter with what stood there before: of a screen, only what changes is drawn.
    let model = ScriptedModel::start(Script::new([Agent::Codex.call("echo made > made.txt"), Turn::text("XQZJW")]));
    let command = [vec![Agent::Codex.program()], at(&model)].concat();
    let key = ["--env", "CODEX_API_KEY=x", "--"].map(str::to_owned).into();
    let args = [Agent::Codex.flags(&model), key, command].concat();
    let steps = json!([
        ["wait", "Ask Codex"],
        ["type", "ZJWXQ"],
        ["wait", "ZJWXQ"],
        ["type", "\r"],
        ["wait", "XQZJW"],
        ["wait", "Worked"],
        ["type", "/quit"],
        ["wait", "/quit"],
        ["type", "\r"]
    ]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let seen = at_terminal(&desk, &steps, &args);
    assert_eq!((seen["status"].as_i64(), desk.read("made.txt").as_deref()), (Some(0), Some("made\n")), "{seen}");
}
