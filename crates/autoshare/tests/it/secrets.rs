//! `autoshare secret`, and what a kept credential is used for.

use std::io::Write as _;
use std::process::Stdio;

use autoshare_testkit::{Canary, Script, ScriptedModel, Turn};
use serde_json::json;

use crate::desk::{Desk, Ran};

/// Keeps a secret, its value on standard input.
pub fn keep(desk: &Desk, args: &[&str], value: &str) -> Ran {
    let mut command = desk.command([&["secret", "set"], args].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
    Ran::of(child.wait_with_output().unwrap())
}

#[test]
fn a_secret_is_kept_listed_without_its_value_and_removed() {
    let (desk, canary) = (Desk::new(), Canary::new());
    let none = desk.autoshare(["secret", "list"]);
    assert!(none.code == Some(0) && none.out.is_empty() && none.err.contains("secret set"), "{none:?}");
    // (arguments, value, exit code, words)
    let line = format!("{canary}\n");
    let table: [(&[&str], &str, i32, &str); 8] = [
        (&["OPENAI_API_KEY"], &line, 0, "kept OPENAI_API_KEY, for api.openai.com as bearer"),
        (&["GITHUB_TOKEN", "--host", "git.example.org:8443"], &line, 0, "git.example.org:8443 as basic:x-access-token"),
        (
            &["MINE", "--host", "a.example.org", "--host", "http://127.0.0.1:8000"],
            &line,
            0,
            "a.example.org, http://127",
        ),
        (&["MINE2"], &line, 2, "--host"),
        (&["MINE2", "--host", "http://a.example.org"], &line, 2, "use https"),
        (&["MINE2", "--host", "a.example.org", "--form", "cookie"], &line, 2, "bearer, header:NAME"),
        (&["MINE2", "--host", "a.example.org"], "short\n", 2, "8 to 16384 bytes"),
        (&["MINE2", "--host", "a.example.org"], &format!("{canary}\n{canary}\n"), 2, "one line"),
    ];
    for (args, value, code, words) in table {
        let ran = keep(&desk, args, value);
        assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
        assert!(
            ran.err.contains(words) && !ran.err.contains(canary.as_str()) && ran.out.is_empty(),
            "{args:?}: {ran:?}"
        );
    }
    let listed = desk.autoshare(["secret", "list", "--json"]).json_lines();
    let names: Vec<&str> = listed.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["GITHUB_TOKEN", "MINE", "OPENAI_API_KEY"]);
    assert_eq!(
        listed[1],
        json!({"name": "MINE", "form": "bearer", "hosts": ["a.example.org", "http://127.0.0.1:8000"]})
    );
    assert!(!desk.autoshare(["secret", "list"]).out.contains(canary.as_str()));
    assert_eq!(desk.autoshare(["secret", "remove", "MINE"]).code, Some(0));
    let gone = desk.autoshare(["secret", "remove", "MINE"]);
    assert!(gone.code == Some(1) && gone.err.contains("there is no secret MINE"), "{gone:?}");
    assert_eq!(canary.find_in(&desk.home), Vec::<std::path::PathBuf>::new(), "c6: it lies in no file as it is");
}

#[test]
fn a_secret_is_typed_unseen_at_a_terminal_and_never_on_the_command_line() {
    let desk = Desk::new();
    let terminal = |keys: &str| {
        let helper = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/terminal.py");
        let steps = json!([["wait", "not shown"], ["type", keys]]).to_string();
        let run = desk.command(["secret", "set", "OPENAI_API_KEY"]);
        let mut command = std::process::Command::new("python3");
        command.args([helper, &steps]).arg(run.get_program()).args(run.get_args());
        command.env_clear().env("HOME", &desk.home).env("PATH", "/usr/bin:/bin").env("TERM", "xterm");
        let done = Ran::of(command.output().unwrap());
        let seen: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        assert_eq!(seen["as_before"], true, "the terminal is left as it was: {seen}");
        assert!(!seen["out"].as_str().unwrap().contains("sesame"), "{seen}");
        seen
    };
    assert_eq!(terminal("open-sesame\u{3}")["status"], 1, "ctrl-c keeps nothing");
    assert!(desk.autoshare(["secret", "list"]).out.is_empty());
    assert_eq!(terminal("wrong\u{15}open-sesamx\u{7f}e\r")["status"], 0);
    assert!(desk.autoshare(["secret", "list"]).out.contains("OPENAI_API_KEY"));
    let ran = desk.autoshare(["secret", "set", "OPENAI_API_KEY", "open-sesame"]);
    assert!(ran.code == Some(2) && ran.err.contains("unexpected argument"), "{ran:?}");
}

#[test]
fn a_kept_key_is_found_for_its_endpoint_and_for_no_other() {
    let (desk, canary) = (Desk::new(), Canary::new());
    let server = || ScriptedModel::start(Script::new([Turn::text("done"), Turn::text("done")]));
    let (mine, other) = (server(), server());
    let host = mine.base_url();
    let host = host.strip_suffix("/v1").unwrap_or(&host);
    let kept = keep(&desk, &["OPENAI_API_KEY", "--host", host], canary.as_str());
    assert_eq!(kept.code, Some(0), "{kept:?}");
    let run = |server: &ScriptedModel, key: Option<&str>| {
        let mut command = desk.command(["run", "say done", "--model", "scripted"]);
        command.env("OPENAI_BASE_URL", server.base_url());
        if let Some(key) = key {
            command.env("OPENAI_API_KEY", key);
        }
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        server.requests().last().unwrap().header("authorization").map(str::to_owned)
    };
    assert_eq!(run(&mine, None), Some(format!("Bearer {canary}")));
    assert_eq!(run(&mine, Some("of-the-environment")).as_deref(), Some("Bearer of-the-environment"));
    assert_eq!(run(&other, None), None, "another port of the same host is another endpoint");
    assert_eq!(canary.find_in(desk.base.path()), Vec::<std::path::PathBuf>::new());
}

/// Another process of the same user cannot read what this one has in memory. Root can read anything, so that this is tried
/// as somebody else where the tests run as root.
#[test]
fn c6_no_process_of_the_same_user_looks_into_the_one_with_the_keys() {
    use std::os::unix::process::CommandExt as _;
    let desk = Desk::new();
    // The program, the home and what leads there are opened for whoever it is.
    let id = if rustix::process::geteuid().is_root() { 65534 } else { rustix::process::geteuid().as_raw() };
    let home = desk.base.path().join("home");
    let program = desk.base.path().join("autoshare");
    std::fs::copy(env!("CARGO_BIN_EXE_autoshare"), &program).unwrap();
    let run = std::process::Command::new("chown").args(["-R", &format!("{id}:{id}")]).arg(desk.base.path()).status();
    assert!(run.unwrap().success());
    let script = format!(
        "{} secret set OPENAI_API_KEY <fifo & pid=$!; exec 3>fifo; sleep 1; \
         cat /proc/$pid/environ >/dev/null 2>&1 && echo open || echo closed; \
         grep -h 'Max core' /proc/$pid/limits | tr -s ' ' | cut -d' ' -f5,6; \
         cat /proc/$$/environ >/dev/null && echo control; echo open-sesame >&3; exec 3>&-; wait $pid; echo $?",
        program.display()
    );
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", &format!("mkfifo fifo; {script}")]).env_clear().env("HOME", &home);
    command.env("PATH", "/usr/bin:/bin").current_dir(&desk.workspace);
    if rustix::process::geteuid().is_root() {
        command.uid(id).gid(id);
    }
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.out, "closed\n0 0\ncontrol\n0\n", "{ran:?}");
}
