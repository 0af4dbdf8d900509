//! Several processes around one brain: each is heard, none is in another's way.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use autoshare_testkit::{Fault, Script, ScriptedModel, Turn};
use serde_json::json;

use crate::desk::{Desk, Ran};

/// A model that answers after a while, so that others have time to come in between: two actions and an answer.
fn slow(delay_ms: u64) -> ScriptedModel {
    let turns = [
        Turn::call("write_file", json!({"path": "one.md", "content": "1\n"})),
        Turn { delay_ms, ..Turn::call("write_file", json!({"path": "two.md", "content": "2\n"})) },
        Turn::text("Both are written."),
    ];
    ScriptedModel::start(Script::new(turns))
}

fn run(desk: &Desk, model: &ScriptedModel) -> Child {
    let child = desk
        .command(["run", "write two files", "--model", "scripted"])
        .env("OPENAI_BASE_URL", model.base_url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the second model call", || model.requests().len() >= 2);
    child
}

fn wait_for(what: &str, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

fn resume(desk: &Desk, model: &ScriptedModel) -> Ran {
    let brain = desk.brain();
    Ran::of(desk.command(["resume", &brain]).env("OPENAI_BASE_URL", model.base_url()).output().unwrap())
}

fn finished(desk: &Desk, ran: &Ran) {
    assert_eq!((ran.code, ran.out.trim()), (Some(0), "Both are written."), "{ran:?}");
    assert_eq!((desk.read("one.md"), desk.read("two.md")), (Some("1\n".into()), Some("2\n".into())));
    let written = desk.journal().iter().filter(|line| line["record"]["event"] == "started").count();
    assert_eq!(written, 2, "each action was begun once");
}

#[test]
fn a_brain_that_one_process_drives_is_refused_to_others_by_name_and_pid() {
    let desk = Desk::new();
    let model = slow(1500);
    let driver = run(&desk, &model);
    let brain = desk.brain();
    let refused = resume(&desk, &model);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.err.contains(&brain) && refused.err.contains(&driver.id().to_string()), "{refused:?}");
    let rows = desk.autoshare(["ps", "--json"]).json_lines();
    assert_eq!((&rows[0]["status"], &rows[0]["pid"]), (&json!("running"), &json!(driver.id())));
    let ended = Ran::of(driver.wait_with_output().unwrap());
    finished(&desk, &ended);
}

#[test]
fn processes_with_brains_of_their_own_work_side_by_side_on_one_data_directory() {
    let desk = Desk::new();
    let models: Vec<_> = (0..3).map(|_| slow(300)).collect();
    let children: Vec<_> = models
        .iter()
        .enumerate()
        .map(|(n, model)| {
            let dir = desk.workspace.join(n.to_string());
            std::fs::create_dir(&dir).unwrap();
            desk.command(["run", "write two files", "--model", "scripted", "-w", dir.to_str().unwrap()])
                .env("OPENAI_BASE_URL", model.base_url())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for (n, child) in children.into_iter().enumerate() {
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(desk.read(&format!("{n}/two.md")), Some("2\n".into()));
    }
    let rows = desk.autoshare(["ps", "--json"]).json_lines();
    assert!(rows.len() == 3 && rows.iter().all(|row| row["status"] == "done"), "{rows:?}");
}

#[test]
fn stop_reaches_the_driving_process_and_resume_goes_on() {
    for now in [false, true] {
        let desk = Desk::new();
        let model = slow(60_000);
        let driver = run(&desk, &model);
        let brain = desk.brain();
        let stopped = desk.autoshare(["stop", brain.as_str()].into_iter().chain(now.then_some("--now")));
        assert_eq!(stopped.code, Some(0), "{stopped:?}");
        let ended = Ran::of(driver.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.err.contains(&format!("autoshare resume {brain}")), "{ended:?}");
        assert_eq!(desk.autoshare(["ps", "--json"]).json_lines()[0]["status"], "stopped");
        let nobody = desk.autoshare(["stop", &brain]);
        assert!(nobody.code == Some(1) && nobody.err.contains("nobody drives"), "{nobody:?}");
        finished(&desk, &resume(&desk, &slow(0)));
    }
}

#[test]
fn ctrl_c_stops_and_leaves_a_brain_that_resume_continues() {
    for times in [1, 2] {
        let desk = Desk::new();
        let model = slow(60_000);
        let driver = run(&desk, &model);
        for _ in 0..times {
            signal(&driver);
            std::thread::sleep(Duration::from_millis(50));
        }
        let ended = Ran::of(driver.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.err.contains("autoshare resume"), "{ended:?}");
        finished(&desk, &resume(&desk, &slow(0)));
    }
}

#[test]
fn logs_are_followed_from_another_process_until_the_brain_ends() {
    let desk = Desk::new();
    let model = slow(1500);
    let driver = run(&desk, &model);
    let mut follower = desk.command(["logs", "-f", &desk.brain(), "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let events: Vec<String> = lines
        .map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap())
        .map(|line| line["record"]["event"].as_str().unwrap().to_owned())
        .collect();
    assert!(follower.wait().unwrap().success());
    assert_eq!(events.first().map(String::as_str), Some("goal"));
    assert_eq!(events.last().map(String::as_str), Some("finish"), "it ends with the brain: {events:?}");
    assert_eq!(events.len(), desk.journal().len(), "nothing is left out or said twice");
    finished(&desk, &Ran::of(driver.wait_with_output().unwrap()));
}

#[test]
fn logs_that_are_followed_end_with_a_driver_that_is_killed() {
    let desk = Desk::new();
    let model = slow(60_000);
    let mut driver = run(&desk, &model);
    let follower = desk.command(["logs", "-f", &desk.brain()]).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    driver.kill().unwrap();
    driver.wait().unwrap();
    let followed = Ran::of(follower.wait_with_output().unwrap());
    assert!(followed.out.contains("one.md"), "{followed:?}");
    assert_eq!(desk.autoshare(["ps", "--json"]).json_lines()[0]["status"], "interrupted");
    finished(&desk, &resume(&desk, &slow(0)));
}

#[test]
fn a_provider_that_dies_or_refuses_the_key_is_said_and_resumed_from() {
    let cases =
        [(Fault::status(401), "key"), (Fault::Cut { after: 0, clean: false }, "cut off"), (Fault::status(503), "503")];
    for (fault, says) in cases {
        let desk = Desk::new();
        let model = ScriptedModel::start(Script::new([Turn::text("never").fault(fault)]));
        let ran = Ran::of(
            desk.command(["run", "write two files", "--model", "scripted"])
                .env("OPENAI_BASE_URL", model.base_url())
                .env("OPENAI_API_KEY", "sk-canary-0123456789")
                .output()
                .unwrap(),
        );
        assert_eq!(ran.code, Some(4), "{ran:?}");
        assert!(ran.err.contains(says) && ran.err.contains("autoshare resume"), "{says}: {ran:?}");
        assert!(!ran.err.contains("canary"), "{ran:?}");
        finished(&desk, &resume(&desk, &slow(0)));
    }
}

#[test]
fn an_answer_names_a_question_that_waits() {
    let desk = Desk::new();
    let unknown = desk.autoshare(["approve", "zzzzzzzz", "abcdef"]);
    assert_eq!(unknown.code, Some(6), "{unknown:?}");
    assert_eq!(desk.autoshare(["run", "write \"x\" to a.txt", "--model", "gullible"]).code, Some(0));
    let nobody = desk.autoshare(["approve", &desk.brain(), "abcdef"]);
    assert!(nobody.code == Some(1) && nobody.err.contains("nobody drives"), "{nobody:?}");
}
