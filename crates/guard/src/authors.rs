//! Who wrote which part of a result: records of JSON that name their author in a field.
//!
//! What a field says is what the server lets people say there. A sender of a mail can be forged, a login of a forge cannot; so
//! nothing is believed because of it, and what is held against an author is never held against one whom a person named.

use std::ops::Range;

/// Fields that name the author of their record.
const AUTHOR: [&str; 12] = [
    "from",
    "from_email",
    "from_address",
    "sender",
    "author",
    "user",
    "username",
    "created_by",
    "posted_by",
    "submitted_by",
    "reviewer",
    "owner",
];
/// Fields that name a person within such a field.
const IDENTITY: [&str; 7] = ["login", "email", "address", "username", "handle", "id", "name"];
/// Bytes of a name at most; a longer one is none.
const MAX_NAME: usize = 200;

/// A part of a text that one author wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it stands, in bytes.
    pub at: Range<usize>,
    /// What the field says.
    pub author: String,
}

/// The records of a text that is JSON, inner ones before those that hold them; none of one that is not.
#[must_use]
pub fn records(text: &str) -> Vec<Record> {
    if !text.trim_start().starts_with(['{', '[']) || serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return Vec::new();
    }
    let mut records = Vec::new();
    let mut open: Vec<Frame> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    // It is JSON, so strings end and brackets match.
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = at + string_len(bytes.get(at..).unwrap_or_default());
                let is_key = open.last().is_some_and(|frame| frame.is_object && frame.key.is_none());
                if let Some(frame) = open.last_mut() {
                    let word = text.get(at..end).and_then(|quoted| serde_json::from_str::<String>(quoted).ok());
                    if is_key { frame.key = Some(word.unwrap_or_default()) } else { frame.hold(word) }
                }
                at = end;
                continue;
            }
            b'{' | b'[' => open.push(Frame { start: at, is_object: *byte == b'{', ..Frame::default() }),
            b'}' | b']' => {
                if let Some(frame) = open.pop() {
                    if let Some(parent) = open.last_mut() {
                        parent.hold(frame.identity);
                    }
                    records.extend(frame.author.map(|author| Record { at: frame.start..at + 1, author }));
                }
            }
            b',' => {
                if let Some(frame) = open.last_mut() {
                    frame.key = None;
                }
            }
            _ => {}
        }
        at += 1;
    }
    records
}

/// The innermost record that holds all of a passage.
#[must_use]
pub fn author_of<'r>(records: &'r [Record], passage: &Range<usize>) -> Option<&'r str> {
    let holds = |record: &&Record| record.at.start <= passage.start && passage.end <= record.at.end;
    records.iter().find(holds).map(|record| record.author.as_str())
}

/// An object or list that is not closed yet.
#[derive(Default)]
struct Frame {
    start: usize,
    is_object: bool,
    key: Option<String>,
    author: Option<String>,
    identity: Option<String>,
}

impl Frame {
    /// Takes the text, or the name within an object, that belongs to the present key.
    fn hold(&mut self, name: Option<String>) {
        let name = name.map(|name| name.trim().to_owned()).filter(|name| (1..=MAX_NAME).contains(&name.len()));
        let Some((key, name)) = self.key.as_ref().map(|key| key.to_lowercase()).zip(name) else { return };
        if AUTHOR.contains(&key.as_str()) {
            self.author.get_or_insert(name.clone());
        }
        if IDENTITY.contains(&key.as_str()) {
            self.identity.get_or_insert(name);
        }
    }
}

/// Bytes of the string that begins here, its quotation marks included.
fn string_len(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}
