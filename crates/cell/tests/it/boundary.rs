//! The rows of `ATTACKS.md` as a hijacked model would try them, through every tool.

use std::fs;
use std::os::unix::fs::symlink;

use autoshare_core::outcome::{Ending, Refusal};
use serde_json::{Value, json};

use crate::host::Host;

/// Every tool, aimed at one path.
fn every_tool(path: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("read_file", json!({"path": path})),
        ("write_file", json!({"path": path, "content": "evil"})),
        ("write_file", json!({"path": path, "content": "evil", "mode": "create"})),
        ("write_file", json!({"path": path, "content": "evil", "mode": "append"})),
        ("edit_file", json!({"path": path, "old": "SECRET", "new": "evil"})),
        ("list_folder", json!({"path": path})),
        ("find", json!({"path": path, "pattern": "*"})),
        ("search", json!({"path": path, "pattern": "SECRET"})),
    ]
}

fn is_refused(host: &mut Host, path: &str) -> Vec<Refusal> {
    let refusals: Vec<Refusal> = every_tool(path).into_iter().map(|(tool, args)| host.refused(tool, args)).collect();
    for refusal in &refusals {
        assert_eq!(refusal.ending, Ending::Refused, "{path}: {refusal:?}");
        assert!(["kernel", "workspace"].contains(&refusal.layer.as_str()), "{path}: {refusal:?}");
        assert!(!refusal.words.contains("SECRET"), "{path}: {refusal:?}");
    }
    refusals
}

#[test]
fn a1_no_tool_reaches_outside_by_a_path() {
    let mut host = Host::new();
    let base = host.base.path().to_str().unwrap().to_owned();
    let secret = format!("{base}/secret.txt");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "SECRET", "control");
    for path in [
        "../secret.txt",
        "a/../../secret.txt",
        "../work/../secret.txt",
        secret.as_str(),
        &format!("{base}/work/../secret.txt"),
        &format!("/proc/self/root{secret}"),
        "/proc/self/fd/0",
        "/etc/passwd",
        "~/.ssh/id_ed25519",
        "~",
        "/",
        "..",
        &format!("{base}/workshop"),
        &format!("{base}/shelf/../secret.txt"),
    ] {
        is_refused(&mut host, path);
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "SECRET");
    assert_eq!(fs::read_dir(host.at("")).unwrap().count(), 0);
    host.end().unwrap();
}

#[test]
fn a1_what_is_no_path_is_refused() {
    let mut host = Host::new();
    let too_long = "x/".repeat(2100);
    for path in ["note\0.txt", too_long.as_str(), ""] {
        is_refused(&mut host, path);
    }
    host.end().unwrap();
}

#[test]
fn a1_a_refusal_says_what_the_kernel_answered() {
    let mut host = Host::new();
    let base = host.base.path().to_str().unwrap().to_owned();
    symlink("../secret.txt", host.at("link")).unwrap();
    for (path, layer, answer) in [
        (format!("{base}/nothing"), "kernel", "ENOENT"),
        (format!("{base}/secret.txt/x"), "kernel", "ENOTDIR"),
        (format!("{base}/secret.txt"), "workspace", "lies outside"),
        ("../secret.txt".to_owned(), "workspace", "lies outside"),
        ("link".to_owned(), "kernel", "EXDEV"),
        ("../work/../work/link".to_owned(), "kernel", "EXDEV"),
    ] {
        let refusal = host.refused("read_file", json!({"path": path}));
        assert!(refusal.layer == layer && refusal.words.contains(answer), "{path}: {refusal:?}");
    }
    host.end().unwrap();
}

#[test]
fn a2_a3_a4_no_tool_follows_a_link_out() {
    let mut host = Host::new();
    let base = host.base.path().to_path_buf();
    fs::create_dir(host.at("folder")).unwrap();
    symlink("../secret.txt", host.at("file")).unwrap();
    symlink(base.join("secret.txt"), host.at("absolute")).unwrap();
    symlink("..", host.at("up")).unwrap();
    symlink("loop", host.at("loop")).unwrap();
    symlink("../../secret.txt", host.at("folder/file")).unwrap();
    fs::hard_link(base.join("secret.txt"), host.at("folder/hard")).unwrap();
    for path in ["file", "absolute", "up/secret.txt", "loop", "folder/file"] {
        is_refused(&mut host, path);
    }
    for (tool, args) in every_tool("folder/hard") {
        if !matches!(tool, "list_folder" | "find") {
            let refusal = host.refused(tool, args);
            assert!(refusal.ending == Ending::Refused && refusal.words.contains("hard links"), "{refusal:?}");
        }
    }
    let found = host.act("search", json!({"pattern": "SECRET"}));
    assert_eq!(found.text, "(no line matches in 0 files)\n(1 files passed over: binary, too large or refused)");
    assert_eq!(fs::read_to_string(base.join("secret.txt")).unwrap(), "SECRET");
    host.end().unwrap();
}

#[test]
fn a6_special_files_are_refused_without_blocking() {
    let mut host = Host::new();
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644));
    rustix::fs::mknodat(rustix::fs::CWD, host.at("fifo"), kind, mode, 0).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(host.at("socket")).unwrap();
    for path in ["fifo", "socket"] {
        is_refused(&mut host, path);
    }
    let listed = host.act("list_folder", json!({})).text;
    assert_eq!(listed.matches("cannot be opened").count(), 2, "{listed}");
    host.end().unwrap();
}

#[test]
fn a7_quota_ends_as_over_quota_with_the_numbers() {
    let quota = autoshare_workspace::Quota { bytes: 40_000, files: 4, file: 30_000, depth: 3 };
    let mut host = Host::with_quota(quota);
    for (path, len, says) in [
        ("large.txt", 30_001, "30000"),
        ("a/b/c/deep.txt", 1, "4 levels deep"),
        ("a/b/many.txt", 1, ""),
        ("more.txt", 1, ""),
        ("one-too-many.txt", 1, "5 files"),
        ("more.txt", 20_000, ""),
        ("a/b/many.txt", 20_000, "40000"),
    ] {
        let args = json!({"path": path, "content": "x".repeat(len)});
        if says.is_empty() {
            assert_eq!(host.act("write_file", args).ending, Ending::Done, "{path}");
        } else {
            let refusal = host.refused("write_file", args);
            assert_eq!((refusal.ending, refusal.layer.as_str()), (Ending::OverQuota, "quota"), "{refusal:?}");
            assert!(refusal.words.contains(says), "{refusal:?}");
        }
    }
    host.end().unwrap();
}

#[test]
fn a9_protected_names_are_refused_to_both_writing_tools() {
    let mut host = Host::new();
    host.put(".git/config", "SECRET");
    host.put(".bashrc", "SECRET");
    symlink(".git", host.at("innocent")).unwrap();
    for path in
        [".git/config", ".git/hooks/pre-commit", ".GIT/hooks/x", ".bashrc", ".ssh/authorized_keys", "innocent/config"]
    {
        for (tool, args) in every_tool(path).into_iter().skip(1).take(4) {
            let refusal = host.refused(tool, args);
            assert_eq!(refusal.ending, Ending::Refused, "{path}: {refusal:?}");
        }
    }
    assert_eq!((host.text(".git/config"), host.text(".bashrc")), ("SECRET".to_owned(), "SECRET".to_owned()));
    assert_eq!(host.act("read_file", json!({"path": ".git/config"})).text, "SECRET", "reading is not writing");
    host.end().unwrap();
}

#[test]
fn extra_roots_are_reached_by_their_path_in_their_mode() {
    let mut host = Host::new();
    let book = format!("{}/shelf/book.txt", host.base.path().display());
    assert_eq!(host.act("read_file", json!({"path": book})).text, "a book\n");
    let refusal = host.refused("write_file", json!({"path": book, "content": "x"}));
    assert!(refusal.ending == Ending::Refused && refusal.words.contains("read only"), "{refusal:?}");
    let shelf = format!("{}/shelf", host.base.path().display());
    assert_eq!(host.act("find", json!({"path": shelf, "pattern": "*.txt"})).text, book);
    assert_eq!(host.act("search", json!({"path": shelf, "pattern": "book"})).text, format!("{book}:1: a book"));
    let inside = format!("{}/work/new.txt", host.base.path().display());
    assert_eq!(host.act("write_file", json!({"path": inside, "content": "x"})).ending, Ending::Done);
    assert_eq!(host.text("new.txt"), "x");
    host.end().unwrap();
}
