//! What a run changed is shown, and taken back, by the real program.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use autoshare_testkit::{Script, ScriptedModel, Turn};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran};

/// What is below a folder: path, kind, permissions, and bytes or where a link leads.
fn picture(dir: &Path) -> Vec<(PathBuf, char, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        let about = next.symlink_metadata().unwrap();
        let (kind, bytes) = if about.is_dir() {
            pending.extend(std::fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()));
            ('d', Vec::new())
        } else if about.is_symlink() {
            ('l', std::fs::read_link(&next).unwrap().as_os_str().as_bytes().to_vec())
        } else {
            ('f', std::fs::read(&next).unwrap())
        };
        found.push((next, kind, about.mode(), bytes));
    }
    found.sort();
    found
}

fn furnished() -> Desk {
    let desk = Desk::new();
    desk.write("a.md", "# Alpha\nThe first document.\n").write("notes/b.md", "# Beta\nThe second document.\n");
    desk.write("summary.md", "an old summary\n");
    std::fs::write(desk.workspace.join(OsStr::from_bytes(b"odd\xff\nname")), "odd").unwrap();
    symlink("/etc/passwd", desk.workspace.join("out")).unwrap();
    symlink("nowhere", desk.workspace.join("dangling")).unwrap();
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(desk.workspace.join("summary.md"), mode).unwrap();
    desk
}

/// Runs a brain that makes these calls.
fn run(desk: &Desk, calls: Vec<(&'static str, Value)>) -> String {
    let calls = calls.into_iter().map(|(tool, args)| Turn::call(tool, args));
    let model = ScriptedModel::start(Script::new(calls.chain([Turn::text("Done.")])));
    let mut command = desk.command(["run", "Tidy up.", "--model", "scripted", "--yes"]);
    let ran = Ran::of(command.env("OPENAI_BASE_URL", model.base_url()).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    desk.brain()
}

fn write(path: &str, content: &str) -> (&'static str, Value) {
    ("write_file", json!({"path": path, "content": content}))
}

#[test]
fn a_run_of_a_gullible_model_is_shown_and_taken_back() {
    let desk = furnished();
    let before = picture(&desk.workspace);
    let ran = desk.autoshare(["run", "summarise the folder into new/summary.md", "--model", "gullible"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_ne!(picture(&desk.workspace), before);
    let brain = desk.brain();

    let diff = desk.autoshare(["diff", &brain]);
    assert_eq!(diff.code, Some(0), "{diff:?}");
    assert!(diff.out.contains("created  new/summary.md"), "{diff:?}");
    assert!(diff.out.lines().any(|line| line.starts_with('+') && line.contains("Alpha")), "{diff:?}");

    let undone = desk.autoshare(["undo", &brain]);
    assert_eq!(undone.code, Some(0), "{undone:?}");
    assert_eq!(picture(&desk.workspace), before);
    let note = desk.journal().into_iter().find(|line| line["record"]["kind"] == "undone").expect("it is journaled");
    assert!(note["record"]["text"].as_str().unwrap().contains("took back"), "{note}");

    let again = desk.autoshare(["undo", &brain]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("undone already"), "{again:?}");
    assert!(desk.autoshare(["diff", &brain]).err.contains("undone already"));
}

#[test]
fn one_step_of_several() {
    let desk = furnished();
    let before = picture(&desk.workspace);
    let edit = |old, new| ("edit_file", json!({"path": "a.md", "old": old, "new": new}));
    let calls = vec![write("made/x.md", "x\n"), edit("first", "1st"), write("made/y.md", "y\n"), edit("1st", "2nd")];
    let brain = run(&desk, calls);

    let told = |step: Option<&str>| -> Vec<_> {
        let args = ["diff", &brain].into_iter().chain(step).chain(["--json"]);
        let lines = desk.autoshare(args).json_lines();
        lines.iter().map(|line| (line["path"].as_str().unwrap().to_owned(), line["change"].clone())).collect()
    };
    assert_eq!(told(Some("1")), [("made".to_owned(), json!("created")), ("made/x.md".to_owned(), json!("created"))]);
    assert_eq!(told(Some("2")), [("a.md".to_owned(), json!("content"))]);
    assert_eq!(told(None).len(), 4);
    let stat = desk.autoshare(["diff", &brain, "2", "--stat"]);
    assert!(stat.out.contains("changed  a.md  +1 -1") && !stat.out.contains("1st"), "{stat:?}");

    // What a later step built on is not taken back by itself.
    for (step, later) in [("1", "undo step 3 first"), ("2", "undo step 4 first")] {
        let refused = desk.autoshare(["undo", &brain, step]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.err.contains(later), "{refused:?}");
    }
    assert_eq!(desk.autoshare(["undo", &brain, "4"]).code, Some(0));
    assert_eq!(desk.read("a.md").unwrap(), "# Alpha\nThe 1st document.\n");
    assert!(desk.autoshare(["undo", &brain, "4"]).err.contains("step 4 was undone already"));
    assert!(desk.autoshare(["undo", &brain, "9"]).err.contains("step 9 changed no file"));

    // Somebody's own change is not lost, unless they say so.
    desk.write("made/y.md", "mine\n");
    let refused = desk.autoshare(["undo", &brain]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("made/y.md") && refused.err.contains("--force"), "{refused:?}");
    assert_eq!(desk.read("made/y.md").unwrap(), "mine\n");
    assert_eq!(desk.read("a.md").unwrap(), "# Alpha\nThe 1st document.\n", "nothing was changed");
    let forced = desk.autoshare(["undo", &brain, "--force", "--json"]);
    assert_eq!(forced.json_lines()[0]["steps"], json!([1, 2, 3]));
    assert_eq!(picture(&desk.workspace), before);
}

#[test]
fn long_results_and_extra_folders_are_taken_back_too() {
    let desk = furnished();
    let extra = desk.base.path().join("extra");
    std::fs::create_dir(&extra).unwrap();
    std::fs::write(extra.join("log"), "begun\n").unwrap();
    desk.write("long.txt", &"a long line of a long file\n".repeat(4_000));
    let before = (picture(&desk.workspace), picture(&extra));
    let model = ScriptedModel::start(Script::new([
        Turn::call("edit_file", json!({"path": extra.join("log").to_str().unwrap(), "old": "begun", "new": "ended"})),
        Turn::call("search", json!({"pattern": "long line"})),
        Turn::text("Done."),
    ]));
    let args = ["run", "Tidy up.", "--model", "scripted", "--yes", "--write", extra.to_str().unwrap()];
    let ran = Ran::of(desk.command(args).env("OPENAI_BASE_URL", model.base_url()).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(desk.workspace.join(".autoshare-results").exists(), "control: a result was too long to be shown");
    assert_eq!(std::fs::read_to_string(extra.join("log")).unwrap(), "ended\n", "control: {ran:?}");
    assert_eq!(desk.autoshare(["undo", &desk.brain()]).code, Some(0));
    assert_eq!((picture(&desk.workspace), picture(&extra)), before);
}

#[test]
fn what_is_shown_of_a_strangers_file_steers_no_terminal() {
    let desk = Desk::new();
    let evil = "\u{1b}]0;owned\u{7}\u{202e}gnp.exe\n\u{9b}2J\r+fake\n";
    let brain = run(&desk, vec![write("ev\u{1b}[2Jil.md", evil)]);
    for args in [vec!["diff", &brain], vec!["diff", &brain, "--json"], vec!["undo", &brain], vec!["show", &brain]] {
        let ran = desk.autoshare(args);
        for c in ran.out.chars().chain(ran.err.chars()) {
            let raw = (c.is_control() && c != '\n' && c != '\t') || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!raw, "{c:?} in {ran:?}");
        }
    }
}

#[test]
fn a_brain_that_runs_is_not_undone() {
    let desk = furnished();
    let brain = run(&desk, vec![write("x.md", "x\n")]);
    let lease = desk.data().join("tenants/local/leases").join(&brain);
    let lock = std::fs::File::open(&lease).unwrap();
    lock.lock().unwrap();
    let refused = desk.autoshare(["undo", &brain]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(desk.read("x.md").is_some());
    let shown = desk.autoshare(["diff", &brain]);
    assert!(shown.out.contains("x.md") && shown.err.contains("is running"), "{shown:?}");
    lock.unlock().unwrap();
    assert_eq!(desk.autoshare(["undo", &brain]).code, Some(0));
}

#[test]
fn saved_copies_are_this_users_alone() {
    let desk = furnished();
    run(&desk, vec![write("summary.md", "new\n")]);
    let mut pending = vec![desk.data().join("undo")];
    let mut files = 0;
    while let Some(next) = pending.pop() {
        let about = next.symlink_metadata().unwrap();
        assert_eq!(about.mode() & 0o077, 0, "{}", next.display());
        if about.is_dir() {
            pending.extend(std::fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files += 1;
        }
    }
    assert!(files >= 3, "copies before and after, and a record: {files}");
}
