//! `run` against a model behind real HTTP, with a person at another terminal who answers its questions.

use std::process::Stdio;
use std::time::{Duration, Instant};

use autoshare_testkit::{ERRAND_ANSWER, ERRAND_GOAL, ScriptedModel, errand};

use crate::desk::{Desk, Ran};

/// Waits for the question about this file, as `approve` lists it.
fn question(desk: &Desk, about: &str) -> serde_json::Value {
    let start = Instant::now();
    loop {
        let waiting = desk.autoshare(["approve", "--json"]).json_lines();
        if let Some(found) =
            waiting.into_iter().find(|q| q["action"]["args"]["path"].as_str().unwrap().ends_with(about))
        {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no question about {about}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_errand_of_fourteen_actions_with_one_approval_and_one_denial() {
    let desk = Desk::new();
    desk.write("notes.md", "# Notes\ntwo things to do\n").write("draft.md", "a draft\n").write("out/.keep", "");
    let archive = desk.base.path().join("archive");
    std::fs::create_dir(&archive).unwrap();
    std::fs::write(archive.join("log.txt"), "begun\n").unwrap();
    std::fs::write(archive.join("secret.txt"), "the canary sings").unwrap();
    let model = ScriptedModel::start(errand(archive.to_str().unwrap()));

    let run = desk
        .command(["run", ERRAND_GOAL, "--model", "scripted", "--wait"])
        .env("OPENAI_BASE_URL", model.base_url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for (about, flag) in [("log.txt", None), ("secret.txt", Some("--deny"))] {
        let question = question(&desk, about);
        let (brain, digest) = (question["brain"].as_str().unwrap(), question["digest"].as_str().unwrap());
        let answered = desk.autoshare(["approve", brain, digest].into_iter().chain(flag));
        assert_eq!(answered.code, Some(0), "{answered:?}");
    }
    let ran = Ran::of(run.wait_with_output().unwrap());

    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.out.trim(), ERRAND_ANSWER);
    assert_eq!(desk.read("out/report.md").unwrap(), "one\ntwo\ntwo\n");
    assert_eq!(std::fs::read_to_string(archive.join("log.txt")).unwrap(), "begun\ndone\n");
    let requests = model.requests();
    assert_eq!(requests.len(), errand("").turns.len());
    assert!(requests.iter().all(|request| !request.body.to_string().contains("canary sings")));
    let answers: Vec<_> = desk
        .journal()
        .into_iter()
        .filter(|line| line["record"]["event"] == "approval")
        .map(|line| (line["record"]["answer"]["answer"].clone(), line["record"]["by"]["name"].clone()))
        .collect();
    assert_eq!(answers, [("yes".into(), "tester".into()), ("no".into(), "tester".into())]);
}
