//! The socket: frames that are none end the loop with an error, and nothing panics.

use std::io::Write as _;

use autoshare_cell::CellError;
use autoshare_core::outcome::Plan;
use autoshare_core::wire::{FrameError, MAX_FRAME, ToCell, encode};
use serde_json::json;

use crate::host::{Host, action};

fn framed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

fn ends_with(bytes: &[u8]) -> Result<(), CellError> {
    let mut host = Host::new();
    let _it_may_have_hung_up = host.stream.write_all(bytes);
    host.end()
}

#[test]
fn b11_hanging_up_between_frames_is_a_good_end() {
    assert!(ends_with(b"").is_ok());
}

#[test]
fn b11_garbage_ends_the_loop_with_an_error() {
    let deep = [b"[".repeat(40), b"]".repeat(40)].concat();
    let extra = br#"{"do":"plan","job":1,"action":{"tool":"find","args":{},"extra":1}}"#;
    let malformed: &[&[u8]] = &[
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"{\"do\":\"explode\"}",
        b"{\"do\":\"plan\"}",
        b"{\"do\":\"plan\",\"job\":-1,\"action\":{\"tool\":\"find\",\"args\":{}}}",
        b"{\"do\":\"plan\",\"job\":1,\"action\":{\"tool\":\"find\",\"args\":[]}}",
        extra,
    ];
    for body in malformed {
        let end = ends_with(&framed(body));
        assert!(matches!(end, Err(CellError::Frame(FrameError::Malformed(_)))), "{body:?}: {end:?}");
    }
    assert!(matches!(ends_with(&framed(&deep)), Err(CellError::Frame(FrameError::TooDeep))));
    for length in [u32::MAX, u32::try_from(MAX_FRAME).unwrap() + 1] {
        let end = ends_with(&length.to_be_bytes());
        assert!(matches!(end, Err(CellError::Frame(FrameError::TooLong(_)))), "{length}: {end:?}");
    }
}

#[test]
fn b11_a_frame_that_is_cut_off_at_any_byte_ends_the_loop() {
    let whole = encode(&ToCell::Plan { job: 1, action: action("read_file", json!({"path": "x"})) }).unwrap();
    for cut in 1..whole.len() {
        assert!(matches!(ends_with(&whole[..cut]), Err(CellError::Cut)), "cut at {cut}");
    }
    assert!(matches!(ends_with(&[&MAX_FRAME.to_be_bytes()[4..], b"x"].concat()), Err(CellError::Cut)));
}

/// Any one byte of a good frame changed to any of some values: an answer or an error, never a panic.
#[test]
fn b11_a_frame_with_any_byte_changed_never_panics() {
    let message = ToCell::Perform {
        job: 1,
        action: action("write_file", json!({"path": "x", "content": "y", "mode": "append"})),
        plan: Plan::default(),
        max_text: 10,
        spill_to: "s".to_owned(),
    };
    let whole = encode(&message).unwrap();
    let mut errors = 0;
    for place in 0..whole.len() {
        for value in [0, b'"', b'{', b'9', 0xff] {
            let mut changed = whole.clone();
            changed[place] = value;
            errors += u32::from(ends_with(&changed).is_err());
        }
    }
    assert!(errors > 100, "most changes are noticed: {errors}");
}

/// Arguments that the schema would not have let through: answered, and the cell works on.
#[test]
fn b11_absurd_arguments_are_answered_and_the_cell_works_on() {
    let mut host = Host::new();
    let values = [
        json!(null),
        json!(-1),
        json!(1.5e300),
        json!(true),
        json!([]),
        json!({}),
        json!(""),
        json!("\u{0}"),
        json!("x".repeat(100_000)),
    ];
    for tool in ["read_file", "write_file", "edit_file", "list_folder", "find", "search", ""] {
        for value in &values {
            for name in [
                "path", "content", "mode", "old", "new", "all", "offset", "limit", "encoding", "hidden", "pattern",
                "glob",
            ] {
                let mut args = json!({"path": "x", "content": "c", "old": "a", "new": "b", "pattern": "p"});
                args[name] = value.clone();
                let action = action(tool, args);
                let plan = host.plan(&action);
                host.perform(&action, &plan);
                host.query(&action, &plan);
            }
        }
    }
    host.put("note.txt", "still here");
    assert_eq!(host.act("read_file", json!({"path": "note.txt"})).text, "still here");
    host.end().unwrap();
}

/// The largest text that a file may hold, in characters that JSON writes six times as long, fits a frame.
#[test]
fn b11_the_largest_reply_fits_a_frame() {
    let mut host = Host::new();
    host.max_text = u64::MAX;
    let line = "\u{1}".repeat(1023) + "\n";
    host.put("large.txt", line.repeat(2048));
    let outcome = host.act("read_file", json!({"path": "large.txt", "limit": 5000}));
    assert_eq!(outcome.text.len(), 2 * 1024 * 1024);
    host.end().unwrap();
}
