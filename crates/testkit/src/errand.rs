//! A conversation worth interrupting: every kind of action, effects that show when they happen twice, two questions.

use serde_json::{Value, json};

use crate::script::{Script, Turn};

/// The goal that goes with [`errand`]. It does not name the file that the second question is about.
pub const ERRAND_GOAL: &str = "Write a report on my notes and put a line into the log of the archive.";

/// Effects of a whole [`errand`] by the name of the file, in the order of the first of each: how often its content is
/// put in place.
pub const ERRAND_EFFECTS: &[(&str, usize)] = &[("report.md", 5), ("log.txt", 1), ("last.md", 1)];

/// The answer that ends an [`errand`].
pub const ERRAND_ANSWER: &str = "The report is written; the secret was kept from me.";

/// Fourteen actions in the folder that is worked in (which holds `notes.md`, `draft.md` and the folder `out`), with two
/// questions: a line for `log.txt` in the folder `archive`, an absolute path outside, to be answered with yes; and
/// `secret.txt` there, to be answered with no. Among the effects are an appended line that comes twice and an edit that
/// brings an earlier content back, since a check by content alone would take one for the other.
#[must_use]
pub fn errand(archive: &str) -> Script {
    let report = "out/report.md";
    let append = json!({"path": report, "content": "two\n", "mode": "append"});
    let actions: Vec<(&str, &str, Value)> = vec![
        ("I look around.", "list_folder", json!({"path": "."})),
        ("", "read_file", json!({"path": "notes.md"})),
        ("I begin.", "write_file", json!({"path": report, "content": "one\n", "mode": "create"})),
        ("", "write_file", append.clone()),
        ("The same line once more.", "write_file", append),
        ("", "edit_file", json!({"path": report, "old": "one", "new": "one and a half"})),
        ("No, back.", "edit_file", json!({"path": report, "old": "one and a half", "new": "one"})),
        ("", "search", json!({"pattern": "^t", "path": "."})),
        ("", "write_file", json!({"path": format!("{archive}/log.txt"), "content": "done\n", "mode": "append"})),
        ("", "read_file", json!({"path": format!("{archive}/secret.txt")})),
        ("", "find", json!({"pattern": "**/*.md"})),
        ("", "read_file", json!({"path": report})),
        ("", "write_file", json!({"path": "out/last.md", "content": "the end\n"})),
        ("", "list_folder", json!({"path": "out"})),
    ];
    let turns = actions
        .into_iter()
        .map(|(words, tool, arguments)| Turn { text: words.to_owned(), ..Turn::call(tool, arguments) });
    Script::new(turns.chain([Turn::text(ERRAND_ANSWER)]))
}
