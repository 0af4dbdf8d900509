//! The tools that run programs, called by a model behind HTTP, in the real cell.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use autoshare_testkit::{Script, ScriptedModel, Turn};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran};

fn shell(command: &str) -> (&'static str, Value) {
    ("execute_shell", json!({"command": command}))
}

/// Runs a brain that makes these calls; gives how it ended, and the result of each as the model is told it.
fn told(desk: &Desk, limits: &str, env: &[(&str, &str)], calls: Vec<(&'static str, Value)>) -> (Ran, Vec<String>) {
    let turns = calls.into_iter().map(|(tool, args)| Turn::call(tool, args));
    told_by(desk, limits, env, turns.collect())
}

fn told_by(desk: &Desk, limits: &str, env: &[(&str, &str)], turns: Vec<Turn>) -> (Ran, Vec<String>) {
    let model = ScriptedModel::start(Script::new(turns.into_iter().chain([Turn::text("Done.")])));
    let config = desk.home.join("autoshare.toml");
    std::fs::write(&config, format!("[limits]\n{limits}\n")).unwrap();
    let mut command =
        desk.command(["run", "Do the work.", "--model", "scripted", "--config", config.to_str().unwrap()]);
    command.env("OPENAI_BASE_URL", model.base_url()).envs(env.iter().copied());
    let ran = Ran::of(command.output().unwrap());
    (ran, results(&model))
}

fn results(model: &ScriptedModel) -> Vec<String> {
    let requests = model.requests();
    let messages = requests.last().map(autoshare_testkit::Recorded::messages).unwrap_or_default();
    let results = messages.iter().filter(|message| message["role"] == "tool");
    results.map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_program_tells_what_it_printed_and_how_it_ended() {
    let desk = Desk::new();
    desk.write("greet.py", "import sys\nprint('hello', sys.argv[1:], open('who').read())\n").write("who", "Ada");
    // (call, what the model is told, in this order)
    let table: Vec<((&str, Value), &[&str])> = vec![
        (shell("echo out; echo err >&2"), &["out\nerr\n[exit status 0, "]),
        (shell("exit 3"), &["[exit status 3, "]),
        (shell("printf 'no line end'; kill -TERM $$"), &["no line end\n[ended by signal 15, "]),
        (shell("cat"), &["[exit status 0, "]),
        (shell("pwd; echo $HOME $TERM; id -un 2>/dev/null || id -u"), &["space\n/tmp dumb\n"]),
        (shell("-c 'echo no option of the shell'"), &["-c: command not found", "[exit status 127, "]),
        (shell("echo \u{0}"), &["could not be started: Invalid argument"]),
        (shell("printf 'caf\\xc3\\xa9 \\xff\\033[31m'"), &["café \u{fffd}", "[exit status 0, "]),
        (
            ("execute_python_code", json!({"code": "import os\nprint(6 * 7, os.getcwd()[-5:])"})),
            &["42 space\n[exit status 0"],
        ),
        (("execute_python_code", json!({"code": "raise SystemExit(4)"})), &["[exit status 4, "]),
        (("execute_python_code", json!({"code": "print(input())"})), &["EOFError", "[exit status 1, "]),
        (
            ("execute_python_file", json!({"file": "greet.py", "args": "'a b' $(touch ran) ; touch ran"})),
            &["hello ['a b', '$(touch', 'ran)', ';', 'touch', 'ran'] Ada"],
        ),
        (
            ("execute_python_file", json!({"file": "greet.py", "args": "'open"})),
            &["the arguments hold a ' that nothing closes"],
        ),
        (("execute_python_file", json!({"file": "no.py"})), &["No such file", "[exit status 2, "]),
        (
            (
                "execute_python_code",
                json!({"code": "import sys\nprint(sys.prefix[-5:])", "venv": true, "timeout": 100}),
            ),
            &[".venv\n[exit status 0"],
        ),
        (shell("sleep 30"), &["[it was ended after 2 s; give it a longer timeout, or run it in the background]"]),
        (("execute_shell", json!({"command": "sleep 3; echo late", "timeout": 20})), &["late\n[exit status 0, "]),
    ];
    let (calls, expected): (Vec<_>, Vec<_>) = table.into_iter().unzip();
    let (ran, told) = self::told(&desk, "program_timeout_s = 2", &[], calls.clone());
    assert_eq!((ran.code, told.len()), (Some(0), expected.len()), "{ran:?}");
    for ((call, parts), result) in calls.iter().zip(expected).zip(&told) {
        let mut rest = result.as_str();
        for part in parts {
            let at = rest.find(part).unwrap_or_else(|| panic!("{call:?}: no {part:?} in {result}"));
            rest = &rest[at + part.len()..];
        }
        assert!(!result.contains('\u{1b}'), "{call:?}: {result:?}");
    }
    assert_eq!(desk.read("ran"), None, "arguments are no script");
}

#[test]
fn a_program_has_a_terminal_on_request() {
    let desk = Desk::new();
    let at_terminal = |command: &str| ("execute_shell", json!({"command": command, "terminal": true}));
    let type_into_it = "python3 -c \"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSTI, b'x')\"";
    // (call, what the model is told)
    let table: Vec<((&str, Value), &[&str])> = vec![
        (
            shell("for fd in 0 1 2; do test -t $fd || echo $fd is none; done"),
            &["0 is none\n1 is none\n2 is none\n[exit"],
        ),
        (
            at_terminal(
                "for fd in 0 1 2; do test -t $fd && echo $fd is one; done; echo err >&2; stty size; echo $TERM",
            ),
            &["0 is one\n1 is one\n2 is one\nerr\n24 80\nxterm\n[exit status 0, "],
        ),
        (at_terminal("cat; echo nobody types"), &["nobody types\n[exit status 0, "]),
        (at_terminal("printf 'no line end'; exit 3"), &["no line end\n[exit status 3, "]),
        (at_terminal(type_into_it), &["Operation not permitted", "[exit status 1, "]),
        (at_terminal("setsid sleep 60 & echo left"), &["left\n[exit status 0, "]),
        (at_terminal("sleep 60"), &["[it was ended after 2 s; "]),
        (at_terminal("/no/such/program"), &["No such file", "[exit status 127, "]),
        (
            ("execute_shell", json!({"command": "tty; sleep 60", "terminal": true, "background": true})),
            &["it runs in the background as job "],
        ),
        (shell("sleep 0.5"), &["[exit status 0, "]),
        (("background_job", json!({"job": 9})), &["/dev/pts/", "still runs"]),
        (("background_job", json!({"job": 9, "action": "stop"})), &["ended by signal 15"]),
    ];
    let (calls, expected): (Vec<_>, Vec<_>) = table.into_iter().unzip();
    let (ran, told) = self::told(&desk, "program_timeout_s = 2", &[], calls.clone());
    assert_eq!((ran.code, told.len()), (Some(0), calls.len()), "{ran:?}");
    for ((call, expected), told) in calls.iter().zip(expected).zip(&told) {
        assert!(expected.iter().all(|words| told.contains(words)), "{call:?}: {told}");
    }
}

#[test]
fn a_wall_is_explained_in_one_line() {
    let desk = Desk::new();
    let table = [
        ("curl -sS http://192.0.2.1/ 2>&1 || curl -sS http://example.org/; exit 1", "there is no network in this cell"),
        ("touch /usr/x", "only the workspace and /tmp can be written"),
        ("head -c 9000000 /dev/zero > /tmp/big", "/tmp is small: put large files into the workspace"),
        (
            "python3 -c 'import threading, time\nfor n in range(99): threading.Thread(target=time.sleep, args=(3,), daemon=True).start()'",
            "a cell has a limited number of processes and threads",
        ),
        ("mount -t tmpfs x /mnt || unshare -r true", "the cell refuses what needs privileges"),
    ];
    let calls = table.iter().map(|(command, _)| shell(command)).collect();
    let (ran, told) = told(&desk, "program_tmp_bytes = 1000000\nprogram_processes = 30", &[], calls);
    assert_eq!((ran.code, told.len()), (Some(0), table.len()), "{ran:?}");
    for ((command, words), result) in table.iter().zip(told) {
        let last = result.lines().rfind(|line| line.starts_with('[') && !line.contains("end of data")).unwrap();
        assert!(last.contains(words), "{command}: {result}");
    }
}

#[test]
fn b8_floods_end_by_their_limit_and_long_results_go_to_a_file() {
    let desk = Desk::new();
    let calls = vec![
        shell("yes flood"),
        shell("seq 60000"),
        shell("head -c 900000 /dev/urandom"),
        shell("echo the cell is still there"),
    ];
    let (ran, told) = told(&desk, "max_output_bytes = 5000000", &[], calls);
    assert_eq!((ran.code, told.len()), (Some(0), 4), "{ran:?}");
    assert!(
        told[0].contains("it was ended: ") && told[0].contains("5000000 are allowed; write to a file"),
        "{}",
        told[0]
    );
    for (step, result) in [(2, &told[1]), (3, &told[2])] {
        let file = format!(".autoshare-results/step-{step:04}.txt");
        assert!(
            result.contains(&format!("[the whole result is in {file}]")),
            "{step}: ...{}",
            &result[result.len() - 300..]
        );
        assert!(result.len() < 80_000, "{}", result.len());
    }
    let whole = desk.read(".autoshare-results/step-0002.txt").unwrap();
    assert!(whole.starts_with("1\n2\n") && whole.contains("\n59999\n60000\n[exit status 0"), "{}", whole.len());
    assert!(told[3].contains("the cell is still there"), "{}", told[3]);
}

#[test]
fn programs_in_the_background_are_looked_at_and_stopped() {
    let desk = Desk::new();
    let background = |command: &str| ("execute_shell", json!({"command": command, "background": true}));
    let look = |job: u64| ("background_job", json!({"job": job}));
    let stop = |job: u64| ("background_job", json!({"job": job, "action": "stop"}));
    let calls = vec![
        background("echo first; while [ ! -e go ]; do sleep 0.05; done; echo second; sleep 50"),
        shell("sleep 0.3"),
        look(1),
        shell("touch go; sleep 0.3"),
        look(1),
        stop(1),
        look(1),
        background("trap '' TERM; echo stubborn; while :; do sleep 0.05; done"),
        shell("sleep 0.2"),
        stop(4),
        background("echo brief; exit 6"),
        shell("sleep 0.3"),
        look(6),
        background("no-such-program"),
        shell("sleep 0.2"),
        look(8),
    ];
    let (ran, told) = told(&desk, "", &[], calls);
    assert_eq!((ran.code, told.len()), (Some(0), 16), "{ran:?}");
    let expected = [
        (0, "it runs in the background as job 1; look at it or stop it with background_job"),
        (2, "first\n\n[job 1 still runs; 6 bytes of output so far]"),
        (4, "second\n\n[job 1 still runs; 13 bytes of output so far]"),
        (5, "[job 1 ended by signal 15; 13 bytes of output so far]"),
        (6, "there is no job 1; none runs"),
        (9, "[job 4 ended by signal 9; 9 bytes"),
        (12, "brief\n\n[job 6 exit status 6; "),
        (15, "command not found\n\n[job 8 exit status 127; "),
    ];
    for (at, words) in expected {
        assert!(told[at].contains(words), "{at}: {words}: {}", told[at]);
    }
    assert!(!told[4].contains("first"), "what was shown is not shown again: {}", told[4]);
}

#[test]
fn a_call_leaves_nothing_running_unless_it_is_in_the_background() {
    let desk = Desk::new();
    let beat = "setsid sh -c 'trap \"\" TERM HUP; while :; do date +%N > BEAT.new; mv BEAT.new BEAT; sleep 0.02; done' \
                > /dev/null 2>&1 &";
    let after = |name: &str| {
        format!("a=$(cat {name}); sleep 0.3; b=$(cat {name}); [ -n \"$a\" ] && [ \"$a\" = \"$b\" ] && echo gone")
    };
    let calls = vec![
        shell(&format!("{} until [ -s one ]; do sleep 0.05; done; cat one", beat.replace("BEAT", "one"))),
        shell(&after("one")),
        // A daemon that holds the output open does not hold up the call.
        shell("sleep 40 & echo at once"),
    ];
    let begun = Instant::now();
    let (ran, told) = told(&desk, "", &[], calls);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(told[0].lines().count() > 3, "the control: it was running: {}", told[0]);
    assert!(told[1].contains("gone"), "{}", told[1]);
    assert!(told[2].contains("at once"), "{}", told[2]);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a7_a_workspace_over_its_quota_ends_the_cell_and_can_be_cleared_again() {
    let desk = Desk::new();
    let background = (
        "execute_shell",
        json!({"command": "while :; do head -c 500000 /dev/zero >> slow; sleep 0.05; done", "background": true}),
    );
    let calls = vec![
        shell("head -c 5000000 /dev/zero > big; sleep 30"),
        shell("head -c 1000000 /dev/zero > more; sleep 30"),
        shell("rm -f big more && ls"),
        shell("for i in $(seq 300); do : > f$i; done; sleep 30"),
        shell("rm f* && ls"),
        background,
        shell("sleep 4"),
        shell("ls -l slow"),
    ];
    let (ran, told) = told(&desk, "max_workspace_bytes = 4000000\nmax_workspace_files = 200", &[], calls);
    assert_eq!((ran.code, told.len()), (Some(0), 8), "{ran:?}");
    for (at, words) in [
        (0, "[it was ended, and its cell with it: "),
        (0, "holds more than 4000000 bytes (max_workspace_bytes)"),
        (1, "holds more than 4000000 bytes (max_workspace_bytes)"),
        (2, "[exit status 0, "),
        (3, "holds more than 200 files (max_workspace_files)"),
        (4, "[exit status 0, "),
        (6, "holds more than 4000000 bytes (max_workspace_bytes)"),
        (7, "[exit status 0, "),
    ] {
        assert!(told[at].contains(words), "{at}: {words}: {}", told[at]);
    }
    let size = std::fs::metadata(desk.workspace.join("slow")).unwrap().len();
    assert!(size < 40_000_000, "nobody waits for it, and it is ended all the same: {size}");
}

#[test]
fn b9_command_lists_refuse_names_and_are_no_boundary() {
    let desk = Desk::new();
    let deny: &[(&str, &str)] = &[("SHELL_COMMAND_CONTROL", "denylist"), ("SHELL_DENYLIST", "sudo, whoami ,su")];
    let allow: &[(&str, &str)] = &[("SHELL_COMMAND_CONTROL", "allowlist"), ("SHELL_ALLOWLIST", "echo, ls")];
    let section = "[shell]\ncontrol = \"denylist\"\ndeny = [\"whoami\"]";
    // (environment, what follows [limits], command, whether it runs)
    let table = [
        (deny, "", "whoami", false),
        (deny, "", "  whoami", false),
        (deny, "", "echo fine", true),
        // A name in disguise: the list is a convenience, and the cell holds whatever runs.
        (deny, "", "/usr/bin/./whoami || echo fine", true),
        (deny, "", "true; whoami || echo fine", true),
        (allow, "", "echo fine", true),
        (allow, "", "cat /etc/hostname", false),
        (&[], section, "whoami", false),
        (&[("SHELL_DENYLIST", "nothing")], section, "whoami || true", true),
    ];
    for (env, config, command, runs) in table {
        let (ran, told) = told(&desk, config, env, vec![shell(command)]);
        assert_eq!(ran.code, Some(0), "{command}: {ran:?}");
        assert_eq!(told[0].contains("exit status"), runs, "{command}: {}", told[0]);
        assert!(runs || told[0].contains("that may") && told[0].contains("be called"), "{command}: {}", told[0]);
    }
    // Off altogether: no such tool is offered, and one that is called all the same is explained.
    for (env, config) in [(&[("EXECUTE_LOCAL_COMMANDS", "False")][..], ""), (&[], "[shell]\nenabled = false")] {
        let (ran, told) = told(&desk, config, env, vec![shell("touch ran")]);
        assert_eq!((ran.code, desk.read("ran")), (Some(0), None), "{ran:?}");
        assert!(told[0].contains("the tools are: read_file"), "{told:?}");
    }
    for (name, value) in
        [("SHELL_COMMAND_CONTROL", "blocklist"), ("EXECUTE_LOCAL_COMMANDS", "Flase"), ("EXECUTE_LOCAL_COMMANDS", "")]
    {
        let ran = Ran::of(desk.command(["ps"]).env(name, value).output().unwrap());
        assert!(ran.code == Some(2) && ran.err.contains(name), "{name}={value}: {ran:?}");
    }
}

#[test]
fn b10_no_argument_chooses_where_a_program_runs_or_what_it_sees() {
    let desk = Desk::new();
    let outside = desk.base.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret.py"), "print('CANARY')").unwrap();
    let (dir, file) = (outside.to_str().unwrap(), outside.join("secret.py").display().to_string());
    // Arguments that the tool does not take, and ways to get there all the same.
    let mut calls: Vec<(&str, Value)> = Vec::new();
    for name in ["dir", "cwd", "workdir", "working_directory", "root", "write", "env"] {
        calls.extend([
            ("execute_shell", json!({"command": "cat secret.py", name: dir})),
            shell(&format!("cat secret.py # {name}")),
        ]);
    }
    calls.extend([
        shell(&format!("cd {dir} && cat secret.py")),
        shell("cat ../../outside/secret.py"),
        shell(&format!("ln -s {dir} way; cat way/secret.py")),
        ("execute_python_file", json!({"file": file})),
        ("execute_python_file", json!({"file": "../../outside/./secret.py"})),
    ]);
    let (ran, told) = told(&desk, "", &[], calls);
    assert_eq!((ran.code, told.len()), (Some(0), 19), "{ran:?}");
    for result in &told {
        assert!(!result.contains("CANARY"), "{result}");
    }
    let count = |words: &str| told.iter().filter(|result| result.contains(words)).count();
    assert_eq!((count("execute_shell has no parameter"), count("No such file")), (7, 12), "{told:?}");
}

#[test]
fn a9_git_works_and_what_it_runs_for_others_stays_as_it_was() {
    let desk = Desk::new();
    let git = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        let done = command
            .args(args)
            .env_clear()
            .env("HOME", &desk.home)
            .env("PATH", "/usr/bin:/bin")
            .current_dir(&desk.workspace)
            .output();
        assert!(done.unwrap().status.success(), "{args:?}");
    };
    let (ran, told) = told(
        &desk,
        "",
        &[],
        vec![shell(
            "git init -q -b main fresh && cd fresh && git config user.email a@b && git config user.name a && echo x > f && git add f && git commit -qm first && git status --short && git log --oneline | wc -l",
        )],
    );
    assert!(ran.code == Some(0) && told[0].contains("1\n[exit status 0"), "a repository of its own: {}", told[0]);

    git(&["init", "-q", "-b", "main"]);
    git(&["config", "user.email", "ada@example.org"]);
    git(&["config", "user.name", "Ada"]);
    desk.write("f", "x\n");
    let kept = |name: &str| desk.read(&format!(".git/{name}")).unwrap();
    let (config, sample) = (kept("config"), kept("hooks/pre-commit.sample"));
    let calls = vec![
        shell("git add f && git commit -qm second && git status --short && git log --oneline | wc -l"),
        shell("git config core.pager evil"),
        shell("echo evil > .git/hooks/pre-commit"),
        shell("echo evil > .git/hooks/pre-commit.sample"),
        shell("echo '[core] pager = evil' > .git/config"),
        shell("mv .git/hooks .git/old"),
        shell("mv .git moved && mkdir -p .git/hooks && echo evil > .git/hooks/pre-commit"),
        shell("rm -rf .git/hooks .git/config; mkdir -p .git/hooks; echo evil > .git/hooks/pre-commit"),
    ];
    let (ran, told) = self::told(&desk, "", &[], calls.clone());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(told[0].contains("1\n[exit status 0"), "the control: {}", told[0]);
    assert_eq!((kept("config"), kept("hooks/pre-commit.sample")), (config, sample), "{told:?}");
    assert!(!desk.workspace.join(".git/hooks/pre-commit").exists(), "{told:?}");

    // What is missing is not made by a program either, and git works on.
    std::fs::remove_dir_all(desk.workspace.join(".git/hooks")).unwrap();
    std::fs::remove_file(desk.workspace.join(".git/config")).unwrap();
    let mut calls = calls;
    calls[0] =
        shell("git -c user.name=a -c user.email=a@b commit -q --allow-empty -m third && git log --oneline | wc -l");
    let (ran, told) = self::told(&desk, "", &[], calls);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(told[0].contains("2\n[exit status 0"), "the control: {}", told[0]);
    assert_eq!(kept("config"), "", "{told:?}");
    assert_eq!(std::fs::read_dir(desk.workspace.join(".git/hooks")).unwrap().count(), 0, "{told:?}");
}

#[test]
fn a_shell_step_is_taken_back() {
    let desk = Desk::new();
    desk.write("keep.txt", "as it was\n").write("dir/deep.txt", "deep\n");
    let calls =
        vec![shell("echo changed > keep.txt; rm -r dir; mkdir new; echo n > new/n.txt; ln -s /etc/passwd link")];
    let (ran, _) = told(&desk, "", &[], calls);
    assert!(ran.code == Some(0) && desk.read("new/n.txt").is_some(), "{ran:?}");
    let brain = desk.brain();
    let diff = desk.autoshare(["diff", &brain, "--stat"]);
    for name in ["keep.txt", "dir/deep.txt", "new/n.txt", "link"] {
        assert!(diff.out.contains(name), "{name}: {diff:?}");
    }
    assert_eq!(desk.autoshare(["undo", &brain]).code, Some(0));
    assert_eq!((desk.read("keep.txt"), desk.read("dir/deep.txt")), (Some("as it was\n".into()), Some("deep\n".into())));
    assert!(desk.workspace.join("link").symlink_metadata().is_err() && !desk.workspace.join("new").exists());
}

#[test]
fn b8_a_killed_host_leaves_nothing_running_and_resume_says_that_the_outcome_is_unknown() {
    let desk = Desk::new();
    let model = ScriptedModel::start(Script::new([
        Turn::call(
            "execute_shell",
            json!({"command": "echo x >> count; while :; do date +%N > beat; sleep 0.02; done"}),
        ),
        Turn::text("I looked."),
    ]));
    let mut child = desk
        .command(["run", "Do the work.", "--model", "scripted"])
        .env("OPENAI_BASE_URL", model.base_url())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while desk.read("beat").is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let last = desk.read("beat");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(desk.read("beat"), last, "nothing runs on");
    let resumed =
        Ran::of(desk.command(["resume", &desk.brain()]).env("OPENAI_BASE_URL", model.base_url()).output().unwrap());
    assert_eq!((resumed.code, resumed.out.trim()), (Some(0), "I looked."), "{resumed:?}");
    assert!(results(&model)[0].contains("it cannot be told whether it happened"), "{:?}", results(&model));
    assert_eq!(desk.read("count").unwrap(), "x\n", "it is not done a second time");
}

#[test]
fn steps_share_a_warm_cell_and_after_parking_get_a_new_one() {
    let mark = || Turn::call("execute_shell", json!({"command": "cat /tmp/mark 2>/dev/null; echo here > /tmp/mark"}));
    for (wait, cells) in [(0, 1), (2500, 2)] {
        let desk = Desk::new();
        let turns = vec![mark(), Turn { delay_ms: wait, ..mark() }];
        let (ran, told) = told_by(&desk, "park_after_s = 1", &[], turns);
        assert_eq!((ran.code, told.len()), (Some(0), 2), "{ran:?}");
        assert_eq!(told[1].contains("here"), cells == 1, "{wait}: {told:?}");
        let notes = desk.journal().iter().filter(|line| line["record"]["kind"] == "cell").count();
        assert_eq!(notes, cells, "{wait}");
    }
    // What runs in the background keeps its cell.
    let desk = Desk::new();
    let turns = vec![
        Turn::call("execute_shell", json!({"command": "echo here > /tmp/mark; sleep 60", "background": true})),
        Turn { delay_ms: 2500, ..mark() },
    ];
    let (_, told) = told_by(&desk, "park_after_s = 1", &[], turns);
    assert!(told[1].contains("here"), "{told:?}");
}

#[test]
fn settings_of_programs_have_ranges_that_are_said() {
    let desk = Desk::new();
    let config = desk.home.join("c.toml");
    let ranges: BTreeMap<&str, (u64, u64)> = [
        ("program_timeout_s", (1, 86_400)),
        ("program_memory_bytes", (64 << 20, 1 << 44)),
        ("program_processes", (4, 1 << 20)),
        ("program_cpu_percent", (1, 100_000)),
        ("program_cpu_weight", (1, 100)),
        ("program_cpu_s", (1, 31_536_000)),
        ("program_open_files", (64, 1 << 20)),
        ("program_file_bytes", (4_096, 1 << 50)),
        ("program_tmp_bytes", (65_536, 1 << 44)),
        ("program_tmp_files", (16, 100_000_000)),
        ("max_output_bytes", (4_096, 1 << 40)),
        ("background_jobs", (1, 10_000)),
        ("proxy_connections", (1, 100_000)),
        ("park_after_s", (1, 86_400)),
    ]
    .into();
    for (name, (least, most)) in ranges {
        for (value, fits) in [(least, true), (most, true), (least - 1, false), (most + 1, false)] {
            std::fs::write(&config, format!("[limits]\n{name} = {value}\n")).unwrap();
            let ran = desk.autoshare(["ps", "--config", config.to_str().unwrap()]);
            assert_eq!(ran.code, Some(if fits { 0 } else { 2 }), "{name} = {value}: {ran:?}");
            assert!(fits || ran.err.contains(name) && ran.err.contains(&format!("{least} to {most}")), "{ran:?}");
        }
    }
}
