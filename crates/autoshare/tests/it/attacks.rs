//! Rows of the attack table against the whole program: a model behind HTTP that says whatever an attacker would.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use autoshare_testkit::{Script, ScriptedModel, Turn};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran};

fn script(calls: impl IntoIterator<Item = (&'static str, Value)>) -> Script {
    let calls = calls.into_iter().map(|(tool, args)| Turn::call(tool, args));
    Script::new(calls.chain([Turn::text("Done.")]))
}

/// Runs a brain that makes these calls, and gives what the model was told.
fn hijacked(desk: &Desk, flags: &[&str], env: &[(&str, &str)], calls: Vec<(&'static str, Value)>) -> (Ran, String) {
    let model = ScriptedModel::start(script(calls));
    let args = ["run", "Tidy up.", "--model", "scripted"].iter().chain(flags);
    let mut command = desk.command(args);
    command.env("OPENAI_BASE_URL", model.base_url()).envs(env.iter().copied());
    let ran = Ran::of(command.output().unwrap());
    let told = model.requests().last().map(|request| request.body.to_string()).unwrap_or_default();
    (ran, told)
}

fn put(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const OFF: (&str, &str) = ("RESTRICT_TO_WORKSPACE", "False");

#[test]
fn a9_what_a_home_executes_is_not_made_where_it_is_missing() {
    let desk = Desk::new();
    put(&desk.home.join(".config/app/settings"), "old");
    put(&desk.home.join("notes/old.md"), "old");
    let names = [
        ".zshrc",
        ".tmux.conf",
        ".emacs",
        "bin/ls",
        ".local/bin/ls",
        ".local/lib/python3/site-packages/usercustomize.py",
        ".cargo/config.toml",
        ".config/fish/config.fish",
        ".config/nvim/init.lua",
        ".config/systemd/user/x.service",
        ".ssh/authorized_keys",
    ];
    let fine = ["notes/new.md", ".config/app/new"];
    let write =
        |name: &&str| ("write_file", json!({"path": desk.home.join(name).to_str().unwrap(), "content": "evil"}));
    let (ran, told) = hijacked(&desk, &[], &[OFF], names.iter().chain(&fine).map(write).collect());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for name in names {
        assert!(desk.home.join(name).symlink_metadata().is_err(), "{name} was made: {told}");
    }
    for name in fine {
        assert_eq!(std::fs::read_to_string(desk.home.join(name)).unwrap(), "evil", "the control: {name}");
    }
}

#[test]
fn a9_start_up_files_behind_links_are_frozen_where_they_really_lie() {
    let desk = Desk::new();
    put(&desk.home.join("dotfiles/bashrc"), "mine");
    symlink("dotfiles/bashrc", desk.home.join(".bashrc")).unwrap();
    let path = desk.home.join("dotfiles/bashrc").display().to_string();
    let (ran, told) = hijacked(&desk, &[], &[OFF], vec![("write_file", json!({"path": path, "content": "evil"}))]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine", "{told}");
}

#[test]
fn b1_no_key_is_read_by_another_path_to_the_home() {
    let desk = Desk::new();
    put(&desk.home.join(".ssh/id"), "CANARY-SSH");
    put(&desk.home.join("open.txt"), "no secret");
    let link = desk.base.path().join("link");
    symlink(desk.base.path(), &link).unwrap();
    let home = desk.home.display().to_string();
    let away = desk.base.path().join("data").display().to_string();
    let linked = link.join("home").display().to_string();
    let calls = vec![
        ("read_file", json!({"path": format!("{home}/.ssh/id")})),
        ("search", json!({"path": home, "pattern": "CANARY|secret"})),
    ];
    let (ran, told) = hijacked(&desk, &["--read", &home, "--data-dir", &away], &[("HOME", &linked)], calls);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(told.contains("no secret"), "the control: {told}");
    assert!(!told.contains("CANARY-SSH"), "{told}");
}

#[test]
fn c6_the_file_that_a_key_was_read_from_is_shown_to_no_cell() {
    let desk = Desk::new();
    let (env, key) = (desk.home.join("proj/env"), desk.home.join("proj/key"));
    put(&env, "OPENAI_API_KEY=CANARY-ENV\n");
    put(&key, "CANARY-KEY");
    put(&desk.home.join("proj/readme"), "no CANARY here");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = desk.home.join("elsewhere.toml");
    put(&config, &format!("[model]\napi_key_file = {key:?}\n"));
    let project = desk.home.join("proj").display().to_string();
    let search = || vec![("search", json!({"path": project, "pattern": "CANARY"}))];
    let flags = ["--env-file", env.to_str().unwrap(), "--config", config.to_str().unwrap()];
    let (ran, told) = hijacked(&desk, &flags, &[OFF], search());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(told.contains("no CANARY here"), "the control: {told}");
    assert!(!told.contains("CANARY-ENV") && !told.contains("CANARY-KEY"), "{told}");
    for flag in ["--read", "--workspace"] {
        let (ran, _) = hijacked(&desk, &[&flags[2..], &[flag, &project]].concat(), &[], search());
        assert_eq!(ran.code, Some(2), "{flag}: {ran:?}");
        assert!(ran.err.contains("below the workspace"), "{ran:?}");
    }
}

#[test]
fn d2_an_approved_path_is_opened_by_no_link() {
    let desk = Desk::new();
    let base = desk.base.path();
    put(&base.join("vault/sub/token"), "CANARY-TOKEN");
    put(&base.join("shelf/book"), "a book");
    put(&base.join("shelf/other"), "CANARY-OTHER");
    symlink(base.join("vault"), base.join("shelf/innocent")).unwrap();
    symlink("other", base.join("shelf/alias")).unwrap();
    for (name, answer) in [
        ("shelf/innocent/sub/token", "a link leads there"),
        ("shelf/alias", "a link is not followed"),
        ("shelf/book", "a book"),
    ] {
        let path = base.join(name).display().to_string();
        let (ran, told) = hijacked(&desk, &["--yes"], &[], vec![("read_file", json!({"path": path}))]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(told.contains(answer) && !told.contains("CANARY"), "{name}: {told}");
    }
}

#[test]
fn d2_what_changed_after_the_question_is_not_done() {
    let desk = Desk::new();
    let model = ScriptedModel::start(script([("write_file", json!({"path": "plan.txt", "content": "short"}))]));
    let run = desk
        .command(["run", "Tidy up.", "--model", "scripted", "--ask", "--wait"])
        .env("OPENAI_BASE_URL", model.base_url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let question = loop {
        if let Some(found) = desk.autoshare(["approve", "--json"]).json_lines().pop() {
            break found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no question");
        std::thread::sleep(Duration::from_millis(20));
    };
    let mine = "what a person wrote meanwhile\n".repeat(100);
    desk.write("plan.txt", &mine);
    let (brain, digest) = (question["brain"].as_str().unwrap(), question["digest"].as_str().unwrap());
    assert_eq!(desk.autoshare(["approve", brain, digest]).code, Some(0));
    let ran = Ran::of(run.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(desk.read("plan.txt").unwrap(), mine);
    let told = model.requests().last().unwrap().body.to_string();
    assert!(told.contains("changed after it was judged"), "{told}");
}

#[test]
fn a7_limits_that_were_set_hold_in_the_cell_and_say_their_numbers() {
    let desk = Desk::new();
    let config = desk.home.join("limits.toml");
    let config = config.to_str().unwrap();
    let write = |name: &str, len: usize| ("write_file", json!({"path": name, "content": "x".repeat(len)}));
    for (limit, calls, words) in [
        ("max_file_bytes = 1000", vec![write("a", 1001)], "1001 bytes; a file of 1000 is allowed"),
        ("max_workspace_files = 2", vec![write("a", 1), write("b", 1), write("c", 1)], "3 files; 2 are allowed"),
        ("max_workspace_bytes = 8192", vec![write("a", 5000), write("b", 5000)], "8192 are allowed"),
    ] {
        let desk = Desk::new();
        std::fs::write(config, format!("[limits]\n{limit}\n")).unwrap();
        let (ran, told) = hijacked(&desk, &["--config", config], &[], calls);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(told.contains(words), "{limit}: {told}");
    }
    for (limit, range) in [
        ("max_file_bytes = 16777217", "1 to 16777216"),
        ("max_workspace_files = 0", "1 to 100000000"),
        ("max_workspace_bytes = 0", "4096 to"),
        ("cell_memory_bytes = 1", "268435456 to"),
        ("cell_cpu_s = 0", "1 to 86400"),
        ("cell_open_files = 1", "64 to 65536"),
        ("max_text = 10", "1000 to"),
    ] {
        std::fs::write(config, format!("[limits]\n{limit}\n")).unwrap();
        let ran = desk.autoshare(["ps", "--config", config]);
        assert_eq!(ran.code, Some(2), "{limit}: {ran:?}");
        let name = limit.split(' ').next().unwrap();
        assert!(ran.err.contains(name) && ran.err.contains(range), "{limit}: {ran:?}");
    }
}

#[test]
fn new_files_heed_the_umask() {
    let desk = Desk::new();
    let run = desk.command(["run", "write \"mine\" to a.txt", "--model", "gullible"]);
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(run.get_program()).args(run.get_args());
    shell.env_clear().env("HOME", &desk.home).current_dir(&desk.workspace).stdin(Stdio::null());
    let ran = Ran::of(shell.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mode = std::fs::metadata(desk.workspace.join("a.txt")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
