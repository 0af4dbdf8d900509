//! Planning, performing and querying a change.

use std::fs;

use autoshare_core::Digest;
use autoshare_core::outcome::{Ending, FileState, Happened};
use serde_json::json;

use crate::host::{Host, action};

fn state(text: &str) -> Option<FileState> {
    Some(FileState { digest: Digest::of(text.as_bytes()), len: text.len() as u64 })
}

#[test]
fn a_plan_tells_both_states_and_changes_nothing() {
    let mut host = Host::new();
    host.put("note.txt", "one two two");
    for (tool, args, path, before, after) in [
        ("write_file", json!({"path": "new/./x.txt", "content": "hi"}), "new/x.txt", None, "hi"),
        ("write_file", json!({"path": "note.txt", "content": "hi"}), "note.txt", Some("one two two"), "hi"),
        (
            "write_file",
            json!({"path": "note.txt", "content": "!", "mode": "append"}),
            "note.txt",
            Some("one two two"),
            "one two two!",
        ),
        (
            "edit_file",
            json!({"path": "a/../note.txt", "old": "one", "new": "1"}),
            "note.txt",
            Some("one two two"),
            "1 two two",
        ),
        (
            "edit_file",
            json!({"path": "note.txt", "old": "two", "new": "2", "all": true}),
            "note.txt",
            Some("one two two"),
            "one 2 2",
        ),
    ] {
        let action = action(tool, args);
        let plan = host.plan(&action);
        assert_eq!(plan.refusal, None, "{action:?}");
        assert_eq!(plan.path.as_deref(), Some(path));
        assert_eq!((plan.before.clone(), plan.after.clone()), (before.and_then(state), state(after)));
        assert_eq!(host.text("note.txt"), "one two two");
        assert!(!host.at("new").exists());

        assert_eq!(host.query(&action, &plan).0, Happened::No);
        let outcome = host.perform(&action, &plan);
        assert_eq!((outcome.ending, outcome.after), (Ending::Done, state(after)), "{}", outcome.text);
        assert_eq!(outcome.bytes, after.len() as u64);
        assert_eq!(host.text(path), after);
        let (happened, outcome) = host.query(&action, &plan);
        assert_eq!((happened, outcome.ending, outcome.after), (Happened::Yes, Ending::Done, state(after)));

        host.put(path, "somebody else");
        let (happened, outcome) = host.query(&action, &plan);
        assert_eq!((happened, outcome.ending), (Happened::Unknown, Ending::Unknown));
        host.put("note.txt", "one two two");
        let _only_the_first = fs::remove_dir_all(host.at("new"));
    }
    host.end().unwrap();
}

#[test]
fn a_change_is_not_made_when_the_file_changed_since_it_was_planned() {
    let mut host = Host::new();
    for (tool, args) in [
        ("write_file", json!({"path": "note.txt", "content": "mine"})),
        ("write_file", json!({"path": "note.txt", "content": "mine", "mode": "append"})),
        ("edit_file", json!({"path": "note.txt", "old": "first", "new": "mine"})),
    ] {
        host.put("note.txt", "first");
        let action = action(tool, args);
        let plan = host.plan(&action);
        for now in ["first and more", ""] {
            host.put("note.txt", now);
            let outcome = host.perform(&action, &plan);
            assert_eq!(outcome.ending, Ending::Failed, "{outcome:?}");
            assert_eq!(host.text("note.txt"), now);
        }
        fs::remove_file(host.at("note.txt")).unwrap();
        assert_eq!(host.perform(&action, &plan).ending, Ending::Failed);
        assert!(!host.at("note.txt").exists());
    }
    host.put("note.txt", "first");
    let replace = action("write_file", json!({"path": "note.txt", "content": "mine"}));
    let plan = host.plan(&replace);
    host.put("note.txt", "changed");
    assert!(host.perform(&replace, &plan).text.contains("changed since it was planned"));
    // The same plan does not cover other arguments either: what was approved is what is done.
    let plan = host.plan(&replace);
    let other = action("write_file", json!({"path": "note.txt", "content": "other"}));
    assert_eq!(host.perform(&other, &plan).ending, Ending::Failed);
    assert_eq!(host.text("note.txt"), "changed");
    host.end().unwrap();
}

#[test]
fn a_file_that_appears_is_not_overwritten_by_a_creation() {
    let mut host = Host::new();
    let create = action("write_file", json!({"path": "new.txt", "content": "mine", "mode": "create"}));
    let plan = host.plan(&create);
    host.put("new.txt", "theirs");
    assert_eq!(host.perform(&create, &plan).ending, Ending::Failed);
    assert_eq!(host.text("new.txt"), "theirs");
    let refusal = host.refused("write_file", json!({"path": "new.txt", "content": "x", "mode": "create"}));
    assert!(refusal.words.contains("exists already") && refusal.layer == "tool", "{refusal:?}");
    host.end().unwrap();
}

#[test]
fn edits_match_exactly_once_or_all() {
    let mut host = Host::new();
    host.put("note.txt", "aXbXc\r\nnext\r\n");
    for (args, says) in [
        (json!({"old": "Y", "new": "z"}), "does not hold"),
        (json!({"old": "X", "new": "z"}), "2 times"),
        (json!({"old": "", "new": "z"}), "is empty"),
        (json!({"old": "a", "new": "a"}), "are the same"),
        (json!({"old": "c\nnext", "new": "z"}), "\\r\\n"),
        (json!({"old": "a"}), "needs the text \"new\""),
    ] {
        let mut args = args;
        args["path"] = json!("note.txt");
        let refusal = host.refused("edit_file", args);
        assert!(refusal.ending == Ending::Failed && refusal.words.contains(says), "{refusal:?}");
    }
    let refusal = host.refused("edit_file", json!({"path": "absent.txt", "old": "a", "new": "b"}));
    assert!(refusal.words.contains("there is no"), "{refusal:?}");
    let done = host.act("edit_file", json!({"path": "note.txt", "old": "X", "new": "--", "all": true}));
    assert!(done.text.contains("note.txt was changed"), "{done:?}");
    assert_eq!(host.text("note.txt"), "a--b--c\r\nnext\r\n");

    host.put("latin.txt", b"caf\xe9 X caf\xe9");
    host.act("edit_file", json!({"path": "latin.txt", "old": "X", "new": "Y"}));
    assert_eq!(fs::read(host.at("latin.txt")).unwrap(), b"caf\xe9 Y caf\xe9", "bytes that are no UTF-8 stay");
    host.end().unwrap();
}

/// `SIGKILL` in the middle of a write: the temporary file is there, the name is not changed.
#[test]
fn g2_what_a_killed_cell_left_is_cleared_by_the_query() {
    let mut host = Host::new();
    host.put("note.txt", "before");
    let action = action("write_file", json!({"path": "note.txt", "content": "after"}));
    let plan = host.plan(&action);
    let left = host.at(&format!(".autoshare-{}.tmp", action.digest().short()));
    fs::write(&left, "aft").unwrap();
    let (happened, _) = host.query(&action, &plan);
    assert_eq!(happened, Happened::No);
    assert!(!left.exists());
    assert_eq!(host.perform(&action, &plan).ending, Ending::Done);
    assert_eq!(host.query(&action, &plan).0, Happened::Yes);
    host.end().unwrap();
}

#[test]
fn what_only_reads_never_happened_and_may_be_done_again() {
    let mut host = Host::new();
    host.put("note.txt", "x");
    let read = action("read_file", json!({"path": "note.txt"}));
    let plan = host.plan(&read);
    assert_eq!((plan.before.clone(), plan.after.clone()), (None, None));
    assert_eq!(host.query(&read, &plan).0, Happened::No);
    host.end().unwrap();
}
