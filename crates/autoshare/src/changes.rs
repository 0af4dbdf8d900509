//! What changed, for a person or a program. Names and lines are a stranger's: each passes an encoder.

use std::io::Read as _;
use std::time::Duration;

use autoshare_guard::encode;
use autoshare_workspace::snapshot::{Change, Content, Node, Shelf, SnapshotError, What};
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use crate::exit::{FAILED, Failure};
use crate::screen::{Look, ascii_json, out};

/// Bytes of a file whose lines are compared at most: 1 MiB.
const MAX_TEXT: u64 = 1024 * 1024;
/// How long the lines of one file are compared; then what is left counts as replaced.
const MAX_TIME: Duration = Duration::from_secs(2);
/// Lines around a change.
const CONTEXT: usize = 3;
/// Columns of a path at most.
const MAX_PATH: usize = 4096;

/// How much is shown of each change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// The lines.
    Lines,
    /// How many lines.
    Counts,
}

/// Below which root, of which step (`None`: the whole run), with the saved copies.
pub(crate) struct Below<'a> {
    pub(crate) shelf: &'a Shelf,
    pub(crate) root: &'a str,
    pub(crate) step: Option<u64>,
}

/// What a name held, as far as it can be shown.
enum Shown {
    /// Lines. What a link holds is one.
    Text(String),
    /// No lines, and why.
    Not(&'static str),
}

/// The lines of a change.
struct Lines {
    added: usize,
    removed: usize,
    unified: String,
}

impl Below<'_> {
    /// Prints one change.
    pub(crate) fn show(&self, change: &Change, detail: Detail, look: Look) -> Result<(), Failure> {
        let lines = match (self.side(change.before.as_ref())?, self.side(change.after.as_ref())?) {
            (Shown::Text(before), Shown::Text(after)) => Ok(lines(&before, &after)),
            (Shown::Not(why), _) | (_, Shown::Not(why)) => Err(why),
        };
        if look == Look::Json {
            out(&ascii_json(&self.json(change, lines.as_ref(), detail)));
            return Ok(());
        }
        let mut head = format!("{:<8} {}", word(change), encode::terminal_line(&change.path.to_string(), MAX_PATH));
        if let (Some(before), Some(after)) = (&change.before, &change.after) {
            if before.word() != after.word() {
                head.push_str(&format!("  {} -> {}", before.word(), after.word()));
            }
            if let (Some(before), Some(after)) = (before.mode(), after.mode())
                && before != after
            {
                head.push_str(&format!("  {before:04o} -> {after:04o}"));
            }
        }
        match &lines {
            Ok(lines) if lines.added + lines.removed > 0 => {
                head.push_str(&format!("  +{} -{}", lines.added, lines.removed));
            }
            Ok(_) => {}
            Err(why) => head.push_str(&format!("  ({why})")),
        }
        out(&head);
        if let (Ok(lines), Detail::Lines) = (&lines, detail)
            && !lines.unified.is_empty()
        {
            out(lines.unified.trim_end_matches('\n'));
        }
        Ok(())
    }

    fn json(&self, change: &Change, lines: Result<&Lines, &&'static str>, detail: Detail) -> Value {
        let mut value = json!({
            "step": self.step, "root": self.root, "path": change.path, "change": change.what(),
            "before": change.before.as_ref().map(node), "after": change.after.as_ref().map(node),
        });
        if let (Ok(lines), Value::Object(map)) = (lines, &mut value) {
            map.insert("added".to_owned(), lines.added.into());
            map.insert("removed".to_owned(), lines.removed.into());
            if detail == Detail::Lines {
                map.insert("diff".to_owned(), lines.unified.clone().into());
            }
        }
        value
    }

    fn side(&self, node: Option<&Node>) -> Result<Shown, Failure> {
        Ok(match node {
            None | Some(Node::Folder { .. }) => Shown::Text(String::new()),
            Some(Node::Link { target, .. }) => {
                Shown::Text(format!("-> {}\n", String::from_utf8_lossy(target.as_bytes()).replace('\n', "\\n")))
            }
            Some(Node::Special { .. }) => Shown::Not("special"),
            Some(Node::Unseen { why } | Node::File { content: Content::Not(why), .. }) => Shown::Not(why.words()),
            Some(Node::File { len, .. }) if *len > MAX_TEXT => Shown::Not("too large to show"),
            Some(Node::File { content: Content::Kept { blob, .. }, .. }) => {
                let mut bytes = Vec::new();
                self.shelf.blob(*blob)?.take(MAX_TEXT).read_to_end(&mut bytes)?;
                match String::from_utf8(bytes) {
                    Ok(text) if !text.contains('\0') => Shown::Text(text),
                    _ => Shown::Not("binary"),
                }
            }
        })
    }
}

const fn word_of(what: What) -> &'static str {
    match what {
        What::Created => "created",
        What::Deleted => "deleted",
        What::Kind => "replaced",
        What::Content => "changed",
        What::Mode => "mode",
    }
}

fn word(change: &Change) -> String {
    let of = change.after.as_ref().or(change.before.as_ref()).map_or("", Node::word);
    if of == "file" { word_of(change.what()).to_owned() } else { format!("{} {of}", word_of(change.what())) }
}

fn node(node: &Node) -> Value {
    let mut value = json!({"kind": node.word(), "mode": node.mode().map(|mode| format!("{mode:04o}"))});
    if let Value::Object(map) = &mut value {
        match node {
            Node::File { len, .. } => drop(map.insert("bytes".to_owned(), (*len).into())),
            Node::Link { target, .. } => drop(map.insert("target".to_owned(), json!(target))),
            _ => {}
        }
    }
    value
}

/// Compares two texts line by line. Every line is encoded, so none can steer a terminal or pass for another.
fn lines(before: &str, after: &str) -> Lines {
    let diff = TextDiff::configure().timeout(MAX_TIME).diff_lines(before, after);
    let mut found = Lines { added: 0, removed: 0, unified: String::new() };
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        found.unified.push_str(&format!("{}\n", hunk.header()));
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => {
                    found.removed += 1;
                    '-'
                }
                ChangeTag::Insert => {
                    found.added += 1;
                    '+'
                }
            };
            let line = change.value();
            let line = line.strip_suffix('\n').unwrap_or(line);
            found.unified.push_str(&format!("{sign}{}\n", encode::terminal(line)));
            if change.missing_newline() {
                found.unified.push_str("\\ no line end\n");
            }
        }
    }
    found
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        Self::new(FAILED, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart_and_none_is_raw() {
        // (before, after, what is shown)
        let rows = [
            ("a\nb\nc\n", "a\nB\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"),
            ("", "new\n", "@@ -0,0 +1 @@\n+new\n"),
            ("old\n", "", "@@ -1 +0,0 @@\n-old\n"),
            ("a", "a\n", "@@ -1 +1 @@\n-a\n\\ no line end\n+a\n"),
            ("", "\u{1b}[2J\u{202e}x\n", "@@ -0,0 +1 @@\n+\\x1b[2J<U+202E>x\n"),
            ("", "one\rtwo\n", "@@ -0,0 +1,2 @@\n+one\\r\n+two\n"),
            ("same\n", "same\n", ""),
        ];
        for (before, after, shown) in rows {
            assert_eq!(lines(before, after).unified, shown, "{before:?} -> {after:?}");
        }
    }
}
