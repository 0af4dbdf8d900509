//! What the reading tools show.

use std::fs;

use autoshare_core::outcome::Ending;
use serde_json::{Value, json};

use crate::host::{Host, SPILL};

#[test]
fn read_file_shows_lines_and_says_how_to_go_on() {
    let mut host = Host::new();
    host.put("lines.txt", "one\ntwo\nthree\nfour");
    host.put("empty.txt", "");
    for (args, expected) in [
        (json!({}), "one\ntwo\nthree\nfour"),
        (json!({"limit": 2}), "one\ntwo\n[lines 1 to 2 of 4; go on with offset 3]"),
        (json!({"offset": 2, "limit": 2}), "two\nthree\n[lines 2 to 3 of 4; go on with offset 4]"),
        (json!({"offset": 4}), "four"),
        (json!({"offset": 3, "limit": 100}), "three\nfour"),
    ] {
        let mut args: Value = args;
        args["path"] = json!("lines.txt");
        let outcome = host.act("read_file", args);
        assert_eq!((outcome.ending, outcome.text.as_str()), (Ending::Done, expected));
        assert_eq!(outcome.bytes, 18);
    }
    assert_eq!(host.act("read_file", json!({"path": "empty.txt"})).text, "");
    for (args, says) in [
        (json!({"path": "lines.txt", "offset": 5}), "has 4 lines"),
        (json!({"path": "lines.txt", "offset": 0}), "counts lines from 1"),
        (json!({"path": "lines.txt", "limit": -1}), "counts lines from 1"),
    ] {
        let outcome = host.act("read_file", args);
        assert!(outcome.ending == Ending::Failed && outcome.text.contains(says), "{outcome:?}");
    }
    host.end().unwrap();
}

#[test]
fn read_file_never_passes_the_room_there_is_and_never_spills() {
    let mut host = Host::new();
    host.max_text = 1_000;
    host.put("many.txt", "a line of text\n".repeat(1_000));
    host.put("long.txt", "é".repeat(5_000));
    let mut offset = 1;
    let mut whole = String::new();
    loop {
        let outcome = host.act("read_file", json!({"path": "many.txt", "offset": offset}));
        assert!(outcome.text.len() <= 1_000 && outcome.spilled.is_none());
        let Some((lines, note)) = outcome.text.rsplit_once("\n[lines ") else {
            whole += &outcome.text;
            break;
        };
        whole += lines;
        whole += "\n";
        offset = note.rsplit(' ').next().unwrap().trim_end_matches(']').parse().unwrap();
    }
    assert_eq!(whole, host.text("many.txt"), "the parts are the whole");
    let outcome = host.act("read_file", json!({"path": "long.txt"}));
    assert!(outcome.text.len() <= 1_000 && outcome.text.contains("too long to be shown whole"), "{outcome:?}");
    for tiny in [0, 1, 10, 200] {
        host.max_text = tiny;
        assert_eq!(host.act("read_file", json!({"path": "long.txt"})).ending, Ending::Done);
    }
    assert!(!host.at(SPILL).exists());
    host.end().unwrap();
}

#[test]
fn read_file_understands_encodings_and_refuses_what_is_binary() {
    let mut host = Host::new();
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let text = "Grüße \u{1f600}\n";
    let files: [(&str, Vec<u8>); 8] = [
        ("utf8", text.into()),
        ("utf8-bom", ["\u{feff}", text].concat().into()),
        ("utf16le-bom", utf16(&["\u{feff}", text].concat(), false)),
        ("utf16be-bom", utf16(&["\u{feff}", text].concat(), true)),
        ("utf16le", utf16(text, false)),
        ("latin", b"Gr\xfc\xdfe\n".to_vec()),
        ("binary", b"\x7fELF\0\0".to_vec()),
        ("odd", b"abc".to_vec()),
    ];
    for (name, bytes) in files {
        host.put(name, bytes);
    }
    for (name, encoding, expected) in [
        ("utf8", "auto", text),
        ("utf8", "utf-8", text),
        ("utf8-bom", "auto", text),
        ("utf8-bom", "utf-8", text),
        ("utf16le-bom", "auto", &format!("{text}\n[converted from utf-16]")),
        ("utf16be-bom", "auto", &format!("{text}\n[converted from utf-16]")),
        ("utf16be-bom", "utf-16", text),
        ("utf16le", "utf-16", text),
        ("latin", "auto", "Grüße\n\n[converted from latin-1]"),
        ("latin", "latin-1", "Grüße\n"),
    ] {
        let outcome = host.act("read_file", json!({"path": name, "encoding": encoding}));
        assert_eq!((outcome.ending, outcome.text.as_str()), (Ending::Done, expected), "{name} as {encoding}");
    }
    for (name, encoding, says) in [
        ("latin", "utf-8", "not UTF-8 (at byte 2)"),
        ("binary", "auto", "is binary"),
        ("odd", "utf-16", "odd number"),
        ("utf8", "ebcdic", "none of auto"),
    ] {
        let outcome = host.act("read_file", json!({"path": name, "encoding": encoding}));
        assert!(outcome.ending == Ending::Failed && outcome.text.contains(says), "{name} as {encoding}: {outcome:?}");
    }
    host.end().unwrap();
}

#[test]
fn list_find_and_search_show_sorted_lines() {
    let mut host = Host::new();
    host.put("b.txt", "needle\n");
    host.put("a/c.txt", "hay\nneedle again\n");
    host.put(".hidden", "needle");
    host.put("evil\nname", "");
    std::os::unix::fs::symlink("b.txt", host.at("link")).unwrap();
    for (tool, args, expected) in [
        (
            "list_folder",
            json!({}),
            "a/\nb.txt (7 bytes)\nevil\\nname (0 bytes)\nlink (symbolic link)\n(1 hidden; set hidden to see them)",
        ),
        (
            "list_folder",
            json!({"hidden": true, "path": "."}),
            ".hidden (6 bytes)\na/\nb.txt (7 bytes)\nevil\\nname (0 bytes)\nlink (symbolic link)",
        ),
        ("list_folder", json!({"path": "a"}), "c.txt (17 bytes)"),
        ("find", json!({"pattern": "*.txt"}), "a/c.txt\nb.txt"),
        ("find", json!({"pattern": "*.md"}), "(no path matches)"),
        ("search", json!({"pattern": "^needle"}), ".hidden:1: needle\na/c.txt:2: needle again\nb.txt:1: needle"),
        ("search", json!({"pattern": "needle", "glob": "*.txt", "path": "a"}), "a/c.txt:2: needle again"),
        ("search", json!({"pattern": "absent"}), "(no line matches in 4 files)"),
    ] {
        let outcome = host.act(tool, args);
        assert_eq!((outcome.ending, outcome.text.as_str()), (Ending::Done, expected), "{tool}");
    }
    for (tool, args, says) in [
        ("list_folder", json!({"path": "b.txt"}), "is a file"),
        ("find", json!({"path": "b.txt", "pattern": "*"}), "is a file"),
        ("read_file", json!({"path": "a"}), "is a directory"),
        ("read_file", json!({"path": "absent"}), "there is no"),
        ("search", json!({"pattern": "("}), "no pattern"),
        ("find", json!({"pattern": "["}), "no pattern"),
        ("delete_all", json!({}), "no tool named"),
        ("search", json!({}), "needs the text \"pattern\""),
    ] {
        let outcome = host.act(tool, args);
        assert!(outcome.ending == Ending::Failed && outcome.text.contains(says), "{tool}: {outcome:?}");
    }
    host.end().unwrap();
}

#[test]
fn what_is_longer_than_the_room_goes_to_a_file_and_head_and_tail_stay() {
    let mut host = Host::new();
    host.max_text = 2_000;
    for number in 0..1_200 {
        host.put(&format!("many/ü{number:04}.txt"), "needle\n");
    }
    for (tool, args, last) in [
        ("find", json!({"pattern": "*.txt"}), "(200 more paths; narrow it down to see them)"),
        ("list_folder", json!({"path": "many"}), "(200 more entries; narrow it down to see them)"),
        ("search", json!({"pattern": "needle", "path": "many"}), "(200 more lines; narrow it down to see them)"),
    ] {
        let outcome = host.act(tool, args);
        assert_eq!((outcome.ending, outcome.spilled.as_deref()), (Ending::Done, Some(SPILL)), "{tool}");
        let whole = host.text(SPILL);
        assert!(outcome.text.len() <= 2_000 && whole.len() > 10_000, "{tool}");
        let note = format!(
            "\n[only the beginning and the end of {} bytes are shown; the whole result is in {SPILL}]\n",
            whole.len()
        );
        let (head, tail) = outcome.text.split_once(&note).unwrap();
        assert!(whole.starts_with(head) && whole.ends_with(tail) && head.len() > tail.len(), "{tool}");
        assert!(tail.ends_with(last), "{tail}");
    }
    // Where the whole cannot be kept, that is said, and the rest stays.
    fs::remove_dir_all(host.at(".autoshare")).unwrap();
    host.put(".autoshare", "a file in the way");
    let outcome = host.act("find", json!({"pattern": "*.txt"}));
    assert_eq!((outcome.ending, outcome.spilled), (Ending::Done, None));
    assert!(outcome.text.contains("could not be kept"), "{}", outcome.text);
    host.end().unwrap();
}
