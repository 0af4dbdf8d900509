//! `autoshare exec`: any program in a cell, as if it had been run by itself.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::desk::{Desk, Ran, at_terminal};

/// Runs a command line in a cell.
fn exec(desk: &Desk, flags: &[&str], command: &[&str]) -> Ran {
    Ran::of(raw(desk, flags, command))
}

fn raw(desk: &Desk, flags: &[&str], command: &[&str]) -> Output {
    desk.command([&["exec"], flags, &["--"], command].concat()).output().unwrap()
}

fn sh(desk: &Desk, flags: &[&str], script: &str) -> Ran {
    exec(desk, flags, &["sh", "-c", script])
}

#[test]
fn exit_codes_are_the_programs_own_or_those_of_env() {
    let desk = Desk::new();
    desk.write("data", "no program");
    // (command, exit code, words on standard error)
    let table: [(&[&str], i32, &str); 12] = [
        (&["true"], 0, ""),
        (&["false"], 1, ""),
        (&["sh", "-c", "exit 7"], 7, ""),
        (&["sh", "-c", "exit 255"], 255, ""),
        (&["sh", "-c", "kill -KILL $$"], 137, ""),
        (&["sh", "-c", "kill -TERM $$"], 143, ""),
        (&["sh", "-c", "kill -SEGV $$"], 139, ""),
        (&["no-such-program"], 127, "no-such-program could not be started: No such file"),
        (&["/no/such/program"], 127, "/no/such/program could not be started: No such file"),
        (&["./data"], 126, "./data could not be started: Permission denied"),
        (&["/tmp"], 126, "/tmp could not be started: Permission denied"),
        (&["no\u{1b}[2Jsuch"], 127, "such could not be started"),
    ];
    for (command, code, words) in table {
        let ran = exec(&desk, &[], command);
        assert_eq!(ran.code, Some(code), "{command:?}: {ran:?}");
        assert!(ran.err.contains(words) && ran.err.is_empty() == words.is_empty(), "{command:?}: {ran:?}");
        assert!(!ran.err.contains('\u{1b}') && ran.out.is_empty(), "{command:?}: {ran:?}");
    }
}

#[test]
fn what_the_filter_refuses_is_told_on_request() {
    let desk = Desk::new();
    let script = "import ctypes\nfor _ in range(3): ctypes.CDLL(None).ptrace(0, 0, 0, 0)\n\
                  import socket\ntry: socket.socket(16, 3)\nexcept PermissionError: print('refused')";
    // (command, exit code, output, words on standard error)
    let table: [(&[&str], i32, &str, &[&str]); 3] = [
        (&["python3", "-c", script], 0, "refused\n", &["3 x ptrace() by python3", "1 x socket(argument 0: 0x10,"]),
        (&["true"], 0, "", &["the filter refused no system call"]),
        (&["sh", "-c", "python3 -c 'import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0)' & exit 3"], 3, "", &[]),
    ];
    for (command, code, out, words) in table {
        let ran = exec(&desk, &["--explain"], command);
        assert_eq!((ran.code, ran.out.as_str()), (Some(code), out), "{command:?}: {ran:?}");
        assert!(words.iter().all(|words| ran.err.contains(words)), "{command:?}: {ran:?}");
        let quiet = exec(&desk, &[], command);
        assert_eq!((quiet.code, quiet.out.as_str(), quiet.err.as_str()), (Some(code), out, ""), "{command:?}");
    }
}

#[test]
fn what_is_wrong_with_a_command_line_is_said_before_anything_runs() {
    let desk = Desk::new();
    // (flags, exit code, words)
    let table: [(&[&str], i32, &str); 18] = [
        (&["--limit", "memory"], 2, "use NAME=NUMBER"),
        (&["--limit", "memory=0"], 2, "use NAME=NUMBER"),
        (&["--limit", "memory=-1"], 2, "use NAME=NUMBER"),
        (&["--limit", "memory=2t"], 2, "use NAME=NUMBER"),
        (&["--limit", "memory=99999999999g"], 2, "use NAME=NUMBER"),
        (&["--limit", "speed=9"], 2, "there is no such limit; there are memory, processes, cpu, cpu-weight"),
        (&["--limit", "cpu-weight=101"], 2, "cpu-weight is 1 to 100"),
        (&["--env", "=x"], 2, "use NAME or NAME=VALUE"),
        (&["--env", "NOT_SET_HERE"], 2, "NOT_SET_HERE: this variable is not set here; use NOT_SET_HERE=VALUE"),
        (&["--expose-credential", "MY_TOKEN"], 2, "MY_TOKEN: it is not set here"),
        (&["--allow-host", "ftp://example.org"], 2, "use http://, https:// or tcp://"),
        (&["--allow-host", "GET example.org"], 2, "methods and paths of https are seen only where TLS is ended"),
        (&["--credential", "no name"], 2, "is no name of a secret"),
        (&["--credential", "NO_SUCH"], 2, "there is no such secret; there is none"),
        (&["--profile", "emacs"], 2, "there are: aider, claude, codex, goose"),
        (&["--tenant", "acme"], 125, "there is no tenant acme"),
        (&["--diff", "--no-undo"], 2, "cannot be used with"),
        (&["--data-dir", "/proc/no"], 125, "/proc/no"),
    ];
    for (flags, code, words) in table {
        let ran = exec(&desk, flags, &["touch", "it-ran"]);
        assert_eq!(ran.code, Some(code), "{flags:?}: {ran:?}");
        assert!(ran.err.contains(words), "{flags:?}: {ran:?}");
        assert_eq!(desk.read("it-ran"), None, "{flags:?}");
    }
    assert_eq!(exec(&desk, &[], &["touch", "it-ran"]).code, Some(0));
    assert!(desk.read("it-ran").is_some(), "the control");
}

#[test]
fn its_three_streams_are_the_callers_byte_for_byte() {
    let desk = Desk::new();
    let bytes: Vec<u8> = (0..=255u8).cycle().take(8 << 20).collect();
    for script in ["cat", "cat >&2"] {
        let mut child = desk
            .command(["exec", "--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, mut written) = (child.stdin.take().unwrap(), bytes.clone());
        let writer = std::thread::spawn(move || input.write_all(&std::mem::take(&mut written)).unwrap());
        let done = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let (full, empty) = if script == "cat" { (done.stdout, done.stderr) } else { (done.stderr, done.stdout) };
        assert!(done.status.success() && empty.is_empty(), "{script}: {}", String::from_utf8_lossy(&empty));
        assert!(full == bytes, "{script}: {} bytes of {}", full.len(), bytes.len());
    }
    // Files are handed over as they are: position, append mode and all.
    desk.write("in", "one\ntwo\n").write("log", "before\n");
    let open = |name: &str| std::fs::OpenOptions::new().append(true).open(desk.workspace.join(name)).unwrap();
    let mut input = std::fs::File::open(desk.workspace.join("in")).unwrap();
    input.read_exact(&mut [0; 4]).unwrap();
    let mut command = desk.command(["exec", "--", "cat"]);
    assert!(command.stdin(input).stdout(open("log")).status().unwrap().success());
    assert_eq!(desk.read("log").unwrap(), "before\ntwo\n");
}

#[test]
fn input_may_be_closed_and_output_may_go_away() {
    let desk = Desk::new();
    let program = env!("CARGO_BIN_EXE_autoshare");
    let shell = |script: &str| {
        let run = desk.command(["x"]);
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", script, "sh", program]).env_clear().env("HOME", &desk.home).env("PATH", "/usr/bin:/bin");
        Ran::of(command.current_dir(run.get_current_dir().unwrap()).output().unwrap())
    };
    assert_eq!(shell("\"$1\" exec -- cat <&-").code, Some(0), "nothing to read is the end of input");
    let piped = shell("\"$1\" exec -- yes | head -n 1; echo \"${PIPESTATUS:-done}\"");
    assert_eq!(piped.out, "y\ndone\n", "a program whose reader goes away ends: {piped:?}");
}

#[test]
fn nothing_of_the_callers_environment_or_home_is_there() {
    let desk = Desk::new();
    std::fs::create_dir(desk.home.join(".ssh")).unwrap();
    std::fs::write(desk.home.join(".ssh/id"), "CANARY-KEY").unwrap();
    let home = desk.home.display().to_string();
    let script = format!("env; cat {home}/.ssh/id; ls {home} /root /home; cat /proc/1/environ /proc/$PPID/environ");
    let mut command = desk.command(["exec", "--", "sh", "-c", &script]);
    command.envs([("OPENAI_API_KEY", "CANARY-ENV"), ("LD_PRELOAD", "CANARY.so"), ("EDITOR", "CANARY"), ("TZ", "UTC")]);
    let ran = Ran::of(command.output().unwrap());
    assert!(!ran.out.contains("CANARY") && !ran.out.contains(&home), "{ran:?}");
    let mut names: Vec<&str> = ran.out.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.sort_unstable();
    let expected = ["HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TMPDIR", "TZ", "USER"];
    assert_eq!(names, expected, "how to show things, and what is built: {ran:?}");
    assert!(ran.out.contains("HOME=/tmp\n"), "{ran:?}");
}

#[test]
fn variables_are_handed_over_by_name_and_credentials_as_placeholders() {
    let desk = Desk::new();
    // (flags, what the program finds, what the person is told)
    let table: [(&[&str], &str, &str); 6] = [
        (&["--env", "CITY=Ghent"], "Ghent,,", ""),
        (&["--env", "CITY"], "Bruges,,", ""),
        (&["--env", "CITY="], ",,", ""),
        (&["--env", "APP_TOKEN"], ",autoshare-placeholder-APP_TOKEN,", "APP_TOKEN looks like a credential"),
        (&["--env", "app_secret=s3cret"], ",,autoshare-placeholder-app_secret", "app_secret looks like a credential"),
        (&["--expose-credential", "APP_TOKEN"], ",s3cret,", "WARNING: APP_TOKEN is handed to the program as it is"),
    ];
    for (flags, found, told) in table {
        let args = [&["exec"], flags, &["--", "sh", "-c", "echo \"$CITY,$APP_TOKEN,$app_secret\""]].concat();
        let mut command = desk.command(args);
        let ran = Ran::of(command.envs([("CITY", "Bruges"), ("APP_TOKEN", "s3cret")]).output().unwrap());
        assert_eq!((ran.code, ran.out.trim_end()), (Some(0), found), "{flags:?}: {ran:?}");
        assert!(ran.err.contains(told) && ran.err.is_empty() == told.is_empty(), "{flags:?}: {ran:?}");
    }
    let everything = desk.autoshare(["ps", "--json"]).json_lines();
    for row in everything {
        let brain = row["brain"].as_str().unwrap();
        assert!(!desk.autoshare(["logs", brain, "--json"]).out.contains("s3cret"), "no value is recorded: {brain}");
    }
}

#[test]
fn b8_limits_hold_and_say_their_names() {
    let desk = Desk::new();
    // (limit, script, what follows on standard output or error; nothing of it without the limit)
    let table = [
        ("memory=256m", "python3 -c 'len(bytearray(600 << 20))' && echo fine || echo broke", "broke"),
        ("processes=8", "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 2 & done 2>&1 || echo broke", "fork"),
        ("time=1", "sleep 30", "ended after 1 s (--limit time)"),
        ("idle=1", "sleep 30", "nothing came from it for 1 s (--limit idle)"),
        ("output=1000", "yes", "it wrote more than 1000 bytes (--limit output)"),
        ("file-size=4k", "head -c 100000 /dev/zero > big || echo broke", "broke"),
        ("tmp=1m", "head -c 3000000 /dev/zero > /tmp/big || echo broke", "broke"),
        ("tmp-files=20", "mkdir /tmp/d && cd /tmp/d && touch $(seq 50) || echo broke", "broke"),
        (
            "open-files=64",
            "python3 -c 'f = [open(\"/dev/null\") for n in range(100)]' 2>/dev/null || echo broke",
            "broke",
        ),
        ("cpu-seconds=1", "timeout 20 sh -c 'while :; do :; done'; [ $? = 124 ] || echo broke", "broke"),
    ];
    for (limit, script, words) in table {
        let ran = sh(&desk, &["--limit", limit], script);
        assert!(format!("{}{}", ran.out, ran.err).contains(words), "{limit}: {ran:?}");
        let endless = ["time", "idle", "output", "cpu"].iter().any(|name| limit.starts_with(name));
        if !endless {
            let free = sh(&desk, &[], script);
            assert!(!format!("{}{}", free.out, free.err).contains(words), "the control of {limit}: {free:?}");
        }
    }
    let late = sh(&desk, &["--limit", "time=1"], "trap '' TERM; echo begun; while :; do sleep 0.1; done");
    assert_eq!(
        (late.code, late.out.as_str()),
        (Some(137), "begun\n"),
        "what ignores an invitation is killed: {late:?}"
    );
}

#[test]
fn output_that_is_counted_is_whole_up_to_its_limit() {
    let desk = Desk::new();
    // (limit, script, bytes of output, of errors, ended early)
    let table = [
        ("output=300000", "head -c 200000 /dev/zero; head -c 100000 /dev/zero >&2", 200_000, 100_000, false),
        ("output=1000", "head -c 1001 /dev/zero", 1000, 0, true),
        ("output=1000", "head -c 1000000 /dev/zero; exit 0", 1000, 0, true),
        ("idle=2", "for i in 1 2 3 4 5 6; do printf x; sleep 0.5; done", 6, 0, false),
        ("idle=60", "printf x; (sleep 60; echo late) & exit 0", 1, 0, false),
    ];
    for (limit, script, output, errors, early) in table {
        let start = Instant::now();
        let ran = raw(&desk, &["--limit", limit], &["sh", "-c", script]);
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.stdout.len(), output, "{limit}: {script}: {said}");
        assert_eq!(ran.status.success(), !early, "{limit}: {script}: {said}");
        assert_eq!(said.contains("--limit output"), early, "{limit}: {script}: {said}");
        assert!(early || ran.stderr.len() == errors, "{limit}: {script}: {}", ran.stderr.len());
        assert!(start.elapsed() < Duration::from_secs(20), "{limit}: {script}");
    }
}

#[test]
fn counted_output_makes_no_difference_to_a_pipeline() {
    let desk = Desk::new();
    let program = env!("CARGO_BIN_EXE_autoshare");
    // (what follows, output, seconds that it may take)
    let table = [
        ("exec --limit idle=30 -- yes | head -n 1", "y\n", 10),
        ("exec --limit idle=2 -- seq 1 60000 | (sleep 4; wc -l)", "60000\n", 20),
        (
            "exec --limit output=1g -- sh -c 'seq 1 20000; sleep 1; echo done >&2' 2>/dev/null | (sleep 3; wc -l)",
            "20000\n",
            20,
        ),
        (
            "exec --limit output=1g -- sh -c 'setsid sh -c \"while :; do echo x >&2; sleep 0.1; done\" & sleep 1; echo end' 2>/dev/null",
            "end\n",
            10,
        ),
    ];
    for (line, output, seconds) in table {
        let start = Instant::now();
        let mut command = std::process::Command::new("/usr/bin/timeout");
        command.args(["-k", "2", "40", "/bin/sh", "-c", &format!("\"$1\" {line}"), "sh", program]).env_clear();
        command.env("HOME", &desk.home).env("PATH", "/usr/bin:/bin").current_dir(&desk.workspace);
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.out, output, "{line}: {ran:?}");
        assert!(start.elapsed() < Duration::from_secs(seconds), "{line}: {:?}", start.elapsed());
    }
}

#[test]
fn b5_no_program_answers_for_a_filter() {
    let desk = Desk::new();
    let script = "import ctypes, struct, platform\n\
                  libc = ctypes.CDLL(None, use_errno=True)\n\
                  libc.prctl(38, 1, 0, 0, 0)\n\
                  code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))\n\
                  prog = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 1, ctypes.addressof(code)))\n\
                  number = {'x86_64': 317, 'aarch64': 277}[platform.machine()]\n\
                  for flags in (8, 0): print(libc.syscall(number, 1, flags, prog), ctypes.get_errno())";
    let ran = exec(&desk, &[], &["python3", "-c", script]);
    assert_eq!(ran.out, "-1 1\n0 1\n", "a filter with a listener is refused, one without is theirs: {ran:?}");
    let outside = std::process::Command::new("python3").args(["-c", script]).output().unwrap();
    assert!(!String::from_utf8_lossy(&outside.stdout).starts_with("-1"), "the control: {outside:?}");
}

#[test]
fn b8_what_a_program_leaves_running_is_gone() {
    let desk = Desk::new();
    let begun = Instant::now();
    // Appended: a file that is replaced is empty for an instant, and may be read just then.
    let beat = "while :; do date +%N >> beat; sleep 0.02; done";
    let ran = sh(&desk, &[], &format!("setsid sh -c '{beat}' & (trap '' TERM HUP; {beat}) & sleep 0.3; cat beat"));
    assert!(ran.code == Some(0) && !ran.out.is_empty(), "the control: it was running: {ran:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let last = desk.read("beat");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(desk.read("beat"), last);
}

#[test]
fn folders_are_opened_by_name_and_nothing_beside_them() {
    let desk = Desk::new();
    let (shelf, desk_drawer, beside) =
        (desk.base.path().join("shelf"), desk.base.path().join("drawer"), desk.base.path().join("beside"));
    for dir in [&shelf, &desk_drawer, &beside] {
        std::fs::create_dir(dir).unwrap();
        std::fs::write(dir.join("book"), "a book\n").unwrap();
    }
    let path = |dir: &std::path::Path| dir.to_str().unwrap().to_owned();
    let flags = ["--read", &path(&shelf), "--write", &path(&desk_drawer)];
    let script = format!(
        "cat {0}/book; echo x > {0}/new; echo y > {1}/new && cat {1}/new; cat {2}/book; ls /; pwd",
        path(&shelf),
        path(&desk_drawer),
        path(&beside)
    );
    let ran = sh(&desk, &flags, &script);
    assert!(ran.out.starts_with("a book\ny\n"), "{ran:?}");
    assert!(ran.out.trim_end().ends_with(desk.workspace.to_str().unwrap()), "it starts in the workspace: {ran:?}");
    assert_eq!(ran.out.matches("a book").count(), 1, "{ran:?}");
    assert!(!shelf.join("new").exists() && desk_drawer.join("new").exists());
    assert!(ran.err.contains("Read-only file system") || ran.err.contains("Permission denied"), "{ran:?}");
    let refused = sh(&desk, &["--read", &path(&desk.base.path().join("nowhere"))], "true");
    assert!(refused.code != Some(0) && refused.err.contains("nowhere"), "{refused:?}");
}

#[test]
fn what_it_changed_is_shown_and_taken_back() {
    let desk = Desk::new();
    desk.write("a.txt", "one\ntwo\n").write("gone.txt", "here\n");
    let ran = sh(&desk, &["--diff"], "echo said; sed -i s/two/2/ a.txt; rm gone.txt; mkdir -p d; echo new > d/new.txt");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in ["said", "a.txt", "-two", "+2", "gone.txt", "d/new.txt", "+new"] {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    let brain = desk.brain();
    assert_eq!(desk.autoshare(["undo", &brain]).code, Some(0));
    assert_eq!((desk.read("a.txt"), desk.read("gone.txt")), (Some("one\ntwo\n".into()), Some("here\n".into())));
    assert!(!desk.workspace.join("d").exists());

    let quick = Desk::new();
    assert_eq!(sh(&quick, &["--no-undo"], "echo x > x").code, Some(0));
    let undone = quick.autoshare(["undo", &quick.brain()]);
    assert!(undone.code != Some(0) && quick.read("x").is_some(), "{undone:?}");
}

#[test]
fn it_is_listed_shown_and_logged_like_a_brain_and_not_resumed() {
    let desk = Desk::new();
    assert_eq!(exec(&desk, &[], &["sh", "-c", "echo \u{1b}[31mhello; exit 3"]).code, Some(3));
    let row = desk.autoshare(["ps", "--json"]).json_lines().remove(0);
    assert_eq!((&row["status"], &row["steps"]), (&json!("done"), &json!(1)), "{row}");
    let brain = desk.brain();
    let shown = desk.autoshare(["show", &brain]);
    assert!(
        shown.out.contains("exec") && shown.out.contains("exit 3") && shown.out.contains("exit status 3"),
        "{shown:?}"
    );
    assert!(!shown.out.contains('\u{1b}'), "{shown:?}");
    let events: Vec<String> =
        desk.journal().iter().map(|line| line["record"]["event"].as_str().unwrap().to_owned()).collect();
    let expected = ["goal", "thought", "proposal", "verdict", "started", "observation", "thought", "answer", "finish"];
    assert_eq!(events, expected);
    let resumed = desk.autoshare(["resume", &brain]);
    assert!(resumed.code != Some(0) && resumed.err.contains("exec"), "{resumed:?}");
}

#[test]
fn a_program_of_the_callers_alone_is_pointed_to() {
    let desk = Desk::new();
    let tools = desk.base.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    std::fs::write(tools.join("mine"), "#!/bin/sh\necho it is mine\n").unwrap();
    std::fs::set_permissions(tools.join("mine"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (folder, full) = (tools.to_str().unwrap(), tools.join("mine").display().to_string());
    let run = |args: &[&str]| {
        Ran::of(desk.command([&["exec"], args].concat()).env("PATH", format!("/usr/bin:{folder}")).output().unwrap())
    };
    let advice = format!("it is in {folder}, which the cell does not show: add --read {folder}, and run {full}\n");
    for program in ["mine", &full] {
        let ran = run(&["--", program]);
        assert!(ran.code == Some(127) && ran.err.ends_with(&advice), "{ran:?}");
    }
    assert_eq!(run(&["--read", folder, "--", &full]).out, "it is mine\n", "and the advice is right");

    // As npm installs a program: a link in the path, to a package that finds what it needs beside itself.
    let modules = desk.base.path().join("lib/node_modules");
    std::fs::create_dir_all(modules.join("mine/node_modules/its/bin")).unwrap();
    std::fs::create_dir_all(modules.join("needed")).unwrap();
    std::fs::write(modules.join("needed/word"), "it is mine too\n").unwrap();
    let real = modules.join("mine/node_modules/its/bin/linked");
    std::fs::write(&real, format!("#!/bin/sh\ncat {}/needed/word\n", modules.display())).unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(&real, tools.join("linked")).unwrap();
    let (real, modules) = (real.display().to_string(), modules.display().to_string());
    let ran = run(&["--", "linked"]);
    let advice = format!(
        "{folder}/linked leads to {real}; it is in {modules}, which the cell does not show: add --read {modules}, and run {real}\n"
    );
    assert!(ran.code == Some(127) && ran.err.ends_with(&advice), "{ran:?}");
    assert_eq!(run(&["--read", &modules, "--", &real]).out, "it is mine too\n", "and the advice is right");
    let ran = run(&["--read", &modules, "--", "linked"]);
    assert!(ran.err.ends_with(&format!("{folder}/linked leads to {real}; run that\n")), "{ran:?}");

    // As Python's tools are installed: a script that is there, and what runs it is not.
    let runtime = desk.base.path().join("runtime");
    std::fs::create_dir(&runtime).unwrap();
    std::fs::copy("/bin/sh", runtime.join("own-sh")).unwrap();
    std::os::unix::fs::symlink(runtime.join("own-sh"), tools.join("sh")).unwrap();
    std::fs::write(tools.join("mine"), format!("#!{folder}/sh\necho it is run\n")).unwrap();
    let runtime = runtime.display().to_string();
    let ran = run(&["--read", folder, "--", &full]);
    let advice = format!(
        "it is run by {folder}/sh; {folder}/sh leads to {runtime}/own-sh; that is in {runtime}, which the cell does not \
         show: add --read {runtime} (and what it needs)\n"
    );
    assert!(ran.code == Some(127) && ran.err.ends_with(&advice), "{ran:?}");
    assert_eq!(run(&["--read", folder, "--read", &runtime, "--", &full]).out, "it is run\n", "and the advice is right");
}

#[test]
fn a_profile_keeps_a_home_of_its_own() {
    let desk = Desk::new();
    let script = "cat ~/.claude.json 2>/dev/null; echo seen >> ~/.claude.json; echo \"$HOME $ANTHROPIC_API_KEY\"";
    let run = || {
        let args = ["exec", "--profile", "claude", "--", "sh", "-c", script];
        Ran::of(desk.command(args).env("ANTHROPIC_API_KEY", "CANARY").output().unwrap())
    };
    let (first, second) = (run(), run());
    let home = desk.data().join("homes/claude");
    let line = format!("{} autoshare-placeholder-ANTHROPIC_API_KEY\n", home.display());
    assert_eq!((first.out, second.out), (line.clone(), format!("seen\n{line}")), "{}{}", first.err, second.err);
    assert!(second.err.contains("claude keeps .claude, .claude.json in a home directory of its own"), "{}", second.err);
    assert_eq!(std::fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o700);
    // The rest of the data directory, keys and journals, is no part of it.
    let data = desk.data().display().to_string();
    let look = exec(&desk, &["--profile", "claude"], &["sh", "-c", &format!("ls -A {data}; ls -A {data}/tenants")]);
    assert_eq!(look.out.trim(), "homes", "{look:?}");
    let offered = exec(&desk, &[], &["claude"]);
    assert!(offered.err.contains("--profile claude"), "{offered:?}");
}

#[test]
fn a_profiles_settings_follow_no_link_that_a_program_left() {
    let desk = Desk::new();
    let elsewhere = desk.base.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let profile = |script: &str| sh(&desk, &["--profile", "codex"], script);
    let settings = profile("cat ~/.codex/config.toml");
    assert!(settings.code == Some(0) && settings.out.contains("sandbox_mode = "), "the control: {settings:?}");
    let left = profile(&format!("rm -r ~/.codex && ln -s {} ~/.codex", elsewhere.display()));
    assert_eq!(left.code, Some(0), "{left:?}");
    let next = profile("touch it-ran");
    assert!(next.code == Some(2) && next.err.contains("homes/codex/.codex"), "{next:?}");
    assert_eq!((desk.read("it-ran"), elsewhere.read_dir().unwrap().count()), (None, 0));
}

/// A program that says when it is there, and waits.
fn waiting(desk: &Desk, script: &str) -> Child {
    let mut command = desk.command(["exec", "--", "sh", "-c", script]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while desk.read("there").is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

#[test]
fn signals_are_handed_on_where_there_is_no_terminal() {
    use rustix::process::{Pid, Signal, kill_process};
    let idle = "touch there; while :; do sleep 0.05; done";
    // (script, signals, exit code)
    let table: [(String, &[Signal], i32); 5] = [
        (format!("trap 'echo bye; exit 9' INT; {idle}"), &[Signal::INT], 9),
        (format!("trap 'echo bye; exit 8' TERM; {idle}"), &[Signal::TERM], 8),
        (format!("trap 'echo bye; exit 7' TERM; {idle}"), &[Signal::HUP], 7),
        (format!("echo bye; {idle}"), &[Signal::TERM], 143),
        (format!("echo bye; trap '' INT TERM; {idle}"), &[Signal::INT, Signal::INT, Signal::INT], 137),
    ];
    for (script, signals, code) in table {
        let desk = Desk::new();
        let child = waiting(&desk, &script);
        for signal in signals {
            kill_process(Pid::from_child(&child), *signal).unwrap();
            std::thread::sleep(Duration::from_millis(150));
        }
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.out.as_str()), (Some(code), "bye\n"), "{script}: {ran:?}");
        assert_eq!(desk.autoshare(["ps", "--json"]).json_lines()[0]["status"], "done");
    }
}

#[test]
fn b8_nothing_runs_on_when_the_caller_is_killed_and_what_it_did_is_taken_back() {
    let desk = Desk::new();
    let mut child = waiting(&desk, "touch there; while :; do date +%N > beat; sleep 0.02; done");
    child.kill().unwrap();
    child.wait().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let last = desk.read("beat");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(desk.read("beat"), last);
    assert_eq!(desk.autoshare(["ps", "--json"]).json_lines()[0]["status"], "interrupted");
    let undone = desk.autoshare(["undo", &desk.brain()]);
    assert_eq!((undone.code, desk.read("beat"), desk.read("there")), (Some(0), None, None), "{undone:?}");
}

#[test]
fn a_program_has_a_terminal_of_its_own_that_behaves_like_one() {
    // (steps, command, exit status, what is seen)
    let table = [
        (json!([]), vec!["--", "tty"], 0, vec!["/dev/pts/0"]),
        (json!([]), vec!["--", "stty", "size"], 0, vec!["33 101"]),
        (json!([]), vec!["--", "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && exit 21"], 21, vec![]),
        (
            json!([["wait", "name? "], ["type", "Ada\r"]]),
            vec!["--", "sh", "-c", "printf 'name? '; read n; echo \"<$n>\""],
            0,
            vec!["<Ada>"],
        ),
        (
            json!([["wait", "ready"], ["size", 50, 132], ["wait", "50 132"], ["type", "q"]]),
            vec!["--", "sh", "-c", "trap 'stty size' WINCH; echo ready; for i in $(seq 100); do sleep 0.05; done"],
            0,
            vec!["50 132"],
        ),
        (
            json!([["wait", "ready"], ["type", "\u{3}"]]),
            vec!["--", "sh", "-c", "trap 'echo int; exit 5' INT; echo ready; sleep 30"],
            5,
            vec!["int"],
        ),
        (
            json!([["wait", "ready"], ["type", "\u{3}"]]),
            vec!["--", "sh", "-c", "echo ready; exec sleep 30"],
            130,
            vec![],
        ),
        (
            json!([["wait", "ready"], ["type", "a\u{4}\u{4}"]]),
            vec!["--", "sh", "-c", "echo ready; cat; echo end"],
            0,
            vec!["end"],
        ),
    ];
    for (steps, args, status, parts) in table {
        let seen = at_terminal(&Desk::new(), &steps, &args);
        assert_eq!(seen["status"], json!(status), "{args:?}: {seen}");
        for part in parts {
            assert!(seen["out"].as_str().unwrap().contains(part), "{args:?}: {seen}");
        }
    }
}

#[test]
fn a_shell_in_it_has_job_control() {
    let desk = Desk::new();
    // Not a shell that starts programs: one that is stopped between its vfork and the exec (vfork(2), "Linux notes")
    // keeps its parent from stopping.
    let job = "import signal, time\n\
               signal.signal(signal.SIGCONT, lambda *_: print('awake', flush=True))\n\
               print('begun', flush=True)\n\
               while True:\n    time.sleep(0.05)\n";
    desk.write("job.py", job);
    let steps = json!([
        ["wait", "$ "],
        ["type", "python3 job.py\r"],
        ["wait", "begun"],
        ["type", "\u{1a}"],
        ["wait", "Stopped"],
        ["type", "jobs\r"],
        ["wait", "Stopped"],
        ["type", "fg\r"],
        ["wait", "awake"],
        ["type", "\u{3}"],
        ["wait", "$ "],
        ["type", "exit 17\r"]
    ]);
    let seen = at_terminal(&desk, &steps, &["--env", "PS1=$ ", "--", "bash", "--norc", "-i"]);
    assert_eq!(seen["status"], json!(17), "{seen}");
    assert!(!seen["out"].as_str().unwrap().contains("no job control"), "{seen}");
}

#[test]
fn b4_nobody_types_into_the_callers_terminal() {
    let tiocsti = "import fcntl, termios\nfor c in b'touch typed\\n':\n    fcntl.ioctl(0, termios.TIOCSTI, bytes([c]))";
    let desk = Desk::new();
    let seen = at_terminal(&desk, &json!([]), &["--", "python3", "-c", tiocsti]);
    assert!(seen["status"] == json!(1), "{seen}");
    let said = seen["out"].as_str().unwrap();
    assert!(said.contains("Operation not permitted") || said.contains("Input/output error"), "{seen}");
    // The caller's terminal is not even there to be tried: the one there is is the cell's first.
    let seen = at_terminal(&desk, &json!([]), &["--", "sh", "-c", "echo $(ls /dev/pts)"]);
    assert!(seen["out"].as_str().unwrap().starts_with("0 ptmx\r\n"), "{seen}");
}

#[test]
fn what_is_typed_to_a_program_whose_output_goes_to_files_is_in_no_file() {
    let desk = Desk::new();
    let script = format!(
        "{} exec -- sh -c 'read secret; echo got $secret' >out 2>err; echo over",
        env!("CARGO_BIN_EXE_autoshare")
    );
    let mut command = std::process::Command::new("python3");
    let helper = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/terminal.py");
    let steps = json!([["type", "opensesame\r"], ["wait", "over"]]).to_string();
    command.args([helper, &steps, "/bin/sh", "-c", &script]).env_clear().env("HOME", &desk.home);
    let done = Ran::of(command.env("PATH", "/usr/bin:/bin").current_dir(&desk.workspace).output().unwrap());
    assert!(done.code == Some(0) && done.out.contains("over"), "{done:?}");
    assert_eq!(desk.read("out").unwrap(), "got opensesame\n");
    assert!(!desk.read("err").unwrap().contains("opensesame"), "{:?}", desk.read("err"));
}
