//! Sharing at a real `autoshare serve`, behind its own walls: offered and accepted over HTTP, read in a real cell, and ended
//! by another process while a program has it open.

use std::time::{Duration, Instant};

use autoshare_testkit::{Script, ScriptedModel, Turn};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::desk::Ran;
use crate::serve::{Server, curl};
use crate::tenants::Served;

fn ask(server: &Server, token: &str, path: &str, body: Option<Value>) -> Value {
    let (bearer, url) = (format!("authorization: Bearer {token}"), format!("{}/api/v1/{path}", server.base));
    let body = body.map(|body| body.to_string());
    let sent = body.iter().flat_map(|body| ["-H", "content-type: application/json", "-d", body]);
    let args: Vec<&str> = ["-H", bearer.as_str()].into_iter().chain(sent).chain([url.as_str()]).collect();
    let said = curl(&args);
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{path}: {said}"))
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn running(text: &str) -> bool {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).contains(text))
}

/// Each brain writes a plan, and then reads what is shared with it, if anything is.
fn script(marker: &str) -> Script {
    let read = format!(
        "cat ../../acme/shared/*/plan.md && exec 3<$(echo ../../acme/shared/*/plan.md) && sleep {marker}; cat <&3"
    );
    Script::new([
        Turn::call("write_file", json!({"path": "plan.md", "content": "the plan"})),
        Turn::call("execute_shell", json!({"command": read})),
        Turn::text("The end."),
    ])
}

/// Both tenants' brains ask the same model server, by the operator's leave.
fn with_one_model(script: Script) -> Served {
    let served = Served::new(script);
    let path = served.desk.home.join(".config/autoshare/autoshare.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{settings}\n[provider.openai]\nshared = true\n")).unwrap();
    served
}

const GOAL: &str = "write the plan to plan.md, then run cat and sleep";

#[test]
fn a_share_is_offered_accepted_read_and_ended_by_another_process_while_it_is_open() {
    let marker = format!("43{}", std::process::id());
    let served = with_one_model(script(&marker));
    let server = served.serve();
    let (acme, bolt) = (served.acme.as_str(), served.bolt.as_str());
    let own = ask(&server, acme, "brains", Some(json!({"goal": GOAL})));
    let own = own["id"].as_str().unwrap_or_else(|| panic!("{own}")).to_owned();
    until("acme's brain does not end", || ask(&server, acme, &format!("brains/{own}"), None)["state"] == "done");

    let share = ask(&server, acme, "shares", Some(json!({"to": "bolt", "brain": own, "path": ".", "name": "plan"})));
    let id = share["id"].as_str().unwrap_or_else(|| panic!("{share}"));
    let shown = ask(&server, bolt, &format!("shares/{id}"), None);
    let accepted = ask(&server, bolt, &format!("shares/{id}/accept"), Some(json!({"digest": shown["digest"]})));
    assert_eq!(accepted["state"], "accepted", "{accepted}");
    let brain = ask(&server, bolt, "brains", Some(json!({"goal": GOAL, "shares": [id]})));
    let brain = brain["id"].as_str().unwrap_or_else(|| panic!("{brain}")).to_owned();
    until("bolt's brain does not read it", || running(&marker));

    let ended = served.desk.autoshare(["--tenant", "acme", "share", "end", id]);
    assert!(ended.code == Some(0) && ended.err.contains("no brain can read it any more"), "{ended:?}");
    assert!(!running(&marker), "the cell is gone when it says so");
    until("bolt's brain does not go on", || ask(&server, bolt, &format!("brains/{brain}"), None)["state"] == "done");
    let events = ask(&server, bolt, &format!("brains/{brain}/events?limit=100"), None).to_string();
    assert!(events.contains("is shared no more") && events.contains("cannot be told whether it happened"), "{events}");
    let left = served.desk.home.join(".local/share/autoshare-workspaces/acme/shared");
    assert_eq!(std::fs::read_dir(left).unwrap().count(), 0);
    for (tenant, with) in [("acme", "to bolt"), ("bolt", "from acme")] {
        let trail = served.desk.autoshare(["--tenant", tenant, "audit", "export"]);
        let told: Vec<&str> =
            trail.out.lines().filter(|line| line.contains("\"share.") && line.contains(with)).collect();
        assert_eq!(told.len(), 4, "{tenant}: {told:#?}");
        assert_eq!(served.desk.autoshare(["--tenant", tenant, "audit", "verify"]).code, Some(0));
    }
    server.end();
}

/// Killed between the record and the copy, and while a cell shows it: the next start, or the next process, finishes it.
#[test]
fn c1_a_server_that_was_killed_leaves_no_share_half_ended() {
    let marker = format!("44{}", std::process::id());
    let served = with_one_model(script(&marker));
    let server = served.serve();
    let (acme, bolt) = (served.acme.as_str(), served.bolt.as_str());
    let own = ask(&server, acme, "brains", Some(json!({"goal": GOAL})));
    let own = own["id"].as_str().unwrap().to_owned();
    until("acme's brain does not end", || ask(&server, acme, &format!("brains/{own}"), None)["state"] == "done");
    let share = ask(&server, acme, "shares", Some(json!({"to": "bolt", "brain": own, "path": ".", "name": "plan"})));
    let id = share["id"].as_str().unwrap();
    ask(&server, bolt, &format!("shares/{id}/accept"), Some(json!({"digest": share["digest"]})));
    let brain = ask(&server, bolt, "brains", Some(json!({"goal": GOAL, "shares": [id]})));
    let brain = brain["id"].as_str().unwrap().to_owned();
    until("bolt's brain does not read it", || running(&marker));
    kill_process(server.pid(), Signal::KILL).unwrap();
    drop(server);
    // Nobody watches any more; the launcher ends the cells, and whoever ends the share waits for that.
    let ended = served.desk.autoshare(["--tenant", "acme", "share", "end", id]);
    assert!(ended.code == Some(0) && !running(&marker), "{ended:?}");
    // What a kill in the middle of an offer leaves.
    let orphan = served.desk.home.join(".local/share/autoshare-workspaces/acme/shared/00000000");
    std::fs::create_dir(&orphan).unwrap();

    let server = served.serve();
    until("what was never offered stays", || !orphan.exists());
    until("bolt's brain does not go on", || ask(&server, bolt, &format!("brains/{brain}"), None)["state"] == "done");
    let events = ask(&server, bolt, &format!("brains/{brain}/events?limit=100"), None).to_string();
    assert!(events.contains("is shared no more"), "{events}");
    server.end();
}

/// The same at a terminal, without a server.
#[test]
fn at_a_terminal_a_share_is_offered_shown_accepted_and_read() {
    let served = Served::new(Script::new([Turn::text("unused")]));
    let desk = &served.desk;
    let model = ScriptedModel::start(Script::new([
        Turn::call("write_file", json!({"path": "plan.md", "content": "the plan"})),
        Turn::text("The end."),
    ]));
    let run = |model: &ScriptedModel, args: &[&str]| {
        let args = [args, &["--model", "scripted"]].concat();
        Ran::of(desk.command(args).env("OPENAI_BASE_URL", model.base_url()).output().unwrap())
    };
    let ran = run(&model, &["--tenant", "acme", "run", "write the plan to plan.md"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let brain =
        desk.autoshare(["--tenant", "acme", "ps", "--json"]).json_lines()[0]["brain"].as_str().unwrap().to_owned();
    let offer = ["--tenant", "acme", "share", "offer", "local", &brain, "plan.md", "--name", "a\u{202e}plan", "--json"];
    let share = desk.autoshare(offer).json_lines().remove(0);
    let (id, digest) = (share["id"].as_str().unwrap(), share["digest"].as_str().unwrap());

    let shown = desk.autoshare(["share", "show", id]);
    for says in ["a<U+202E>plan", "plan.md", digest, "somebody else's files"] {
        assert!(shown.out.contains(says), "{says}: {shown:?}");
    }
    assert!(shown.err.contains(&format!("share accept {id} {digest}")), "{shown:?}");
    let other = desk.autoshare(["share", "accept", id, &"0".repeat(64)]);
    assert!(other.code == Some(2) && other.err.contains("look at it again"), "{other:?}");
    assert_eq!(desk.autoshare(["share", "accept", id, digest]).code, Some(0));
    let listed = desk.autoshare(["share", "list"]);
    assert!(listed.out.contains("accepted") && listed.out.contains("a<U+202E>plan"), "{listed:?}");

    let path = desk.home.join(".local/share/autoshare-workspaces/acme/shared").join(id).join("plan.md");
    let path = path.to_str().unwrap();
    let reads =
        ScriptedModel::start(Script::new([Turn::call("read_file", json!({"path": path})), Turn::text("The end.")]));
    let ran = run(&reads, &["run", "read the plan", "--share", id]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let asked = reads.requests().last().unwrap().body.to_string();
    assert!(asked.contains("the plan") && asked.contains(&format!("shared:acme/{id}/plan.md")), "{asked}");
    // Its words are nobody's here.
    let trusted = run(&reads, &["run", "read the plan", "--share", id, "--trust", path]);
    assert!(trusted.code == Some(2) && trusted.err.contains("shared by somebody else"), "{trusted:?}");

    assert_eq!(desk.autoshare(["share", "end", id]).code, Some(0), "it is given back");
    let over = run(&reads, &["run", "read the plan", "--share", id]);
    assert!(over.code == Some(6) && over.err.contains("there is no share"), "{over:?}");
}
