//! A result that is JSON: the texts in it, each a field that somebody filled in, and who that was.
//!
//! Its fields are judged one by one, so that what stands in one of them never takes away another's. Who wrote a record is told
//! by a field of it, and that is what the server lets people say there: a sender of a mail can be forged, a login of a forge
//! cannot. So nothing is believed because of it.

use std::ops::Range;

use crate::verify::Suspicion;

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
/// Fields that name a person within such a field: those first that nobody chooses freely.
const IDENTITY: [&str; 7] = ["login", "email", "address", "username", "handle", "id", "name"];
/// Bytes of the name of a field that can say nothing else.
const MAX_MERE_NAME: usize = 40;
/// Bytes of a name at most; a longer one is none.
const MAX_NAME: usize = 200;

/// A text within JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Text {
    /// Where it stands, in bytes, without its quotation marks.
    at: Range<usize>,
    /// Whether it is the name of a field.
    is_key: bool,
    /// Whether it is one that says nothing else: short, and one word.
    is_mere_name: bool,
    /// Who wrote the innermost record around it that names its author: a place in [`Records::authors`].
    author: Option<usize>,
}

/// What stands where in a text that is JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Records {
    /// Its texts, in order.
    texts: Vec<Text>,
    /// What records say of their authors.
    authors: Vec<String>,
    /// Commas and brackets between values.
    between: Vec<usize>,
    /// Levels: 0 for a scalar.
    depth: usize,
}

impl Records {
    /// Takes a text apart that is a JSON object or list; `None` for any other.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let is_json =
            text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if !is_json {
            return None;
        }
        let mut found = Self::default();
        let mut open: Vec<Frame> = Vec::new();
        let bytes = text.as_bytes();
        let mut at = 0;
        // It is JSON, so texts end and brackets match.
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    let end = at + text_len(bytes.get(at..).unwrap_or_default());
                    let is_key = open.last().is_some_and(|frame| frame.is_object && frame.key.is_none());
                    if let Some(frame) = open.last_mut() {
                        let word = text.get(at..end).and_then(|quoted| serde_json::from_str::<String>(quoted).ok());
                        if is_key {
                            frame.key = Some(word.unwrap_or_default())
                        } else {
                            frame.hold(word, 0)
                        }
                        frame.anonymous.push(found.texts.len());
                    }
                    let inside = text.get(at + 1..end - 1).unwrap_or_default();
                    let is_mere_name = is_key && inside.len() <= MAX_MERE_NAME && !inside.contains(char::is_whitespace);
                    found.texts.push(Text { at: at + 1..end - 1, is_key, is_mere_name, author: None });
                    at = end;
                    continue;
                }
                b'{' | b'[' => {
                    found.between.push(at);
                    open.push(Frame { is_object: *byte == b'{', ..Frame::default() });
                    found.depth = found.depth.max(open.len());
                }
                b'}' | b']' => {
                    found.between.push(at);
                    if let Some(frame) = open.pop() {
                        found.close(frame, open.last_mut());
                    }
                }
                b',' => {
                    found.between.push(at);
                    if let Some(frame) = open.last_mut() {
                        frame.key = None;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        Some(found)
    }

    /// Gives the texts of a closed object to its author, or to whoever wrote what is around it.
    fn close(&mut self, frame: Frame, parent: Option<&mut Frame>) {
        let Frame { mut anonymous, author, identity, .. } = frame;
        if let Some(author) = author {
            let place = self.authors.len();
            self.authors.push(author);
            for text in anonymous.drain(..) {
                if let Some(text) = self.texts.get_mut(text) {
                    text.author = Some(place);
                }
            }
        }
        let Some(parent) = parent else { return };
        if let Some((rank, name)) = identity {
            parent.hold(Some(name), rank);
        }
        // The shorter list into the longer: deep nesting costs no more than wide.
        if parent.anonymous.len() < anonymous.len() {
            std::mem::swap(&mut parent.anonymous, &mut anonymous);
        }
        parent.anonymous.append(&mut anonymous);
    }

    /// Levels of the text: 1 for a list of numbers.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// The text with each field on a line of its own; every byte stays where it is.
    #[must_use]
    pub fn a_field_a_line(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        for at in &self.between {
            if let Some(byte) = bytes.get_mut(*at) {
                *byte = b'\n';
            }
        }
        String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
    }

    /// What of these passages stands in texts, text by text: in values, and in names of fields that are no mere names.
    #[must_use]
    pub fn within(&self, passages: Vec<Suspicion>) -> Vec<Suspicion> {
        let cut = |passage: Suspicion| {
            let next = self.texts.partition_point(|text| text.at.end <= passage.span.start);
            let met = self.texts.get(next..).unwrap_or_default();
            let met = met.iter().take_while(|text| text.at.start < passage.span.end);
            let parts = met.filter(|text| !text.is_mere_name).map(|text| {
                let span = text.at.start.max(passage.span.start)..text.at.end.min(passage.span.end);
                Suspicion { span, ..passage.clone() }
            });
            parts.filter(|part| !part.span.is_empty()).collect::<Vec<_>>()
        };
        passages.into_iter().flat_map(cut).collect()
    }

    /// The values that are texts, each with whoever wrote the innermost record around it that names its author.
    pub fn values(&self) -> impl Iterator<Item = (Range<usize>, Option<&str>)> {
        let values = self.texts.iter().filter(|text| !text.is_key);
        values.map(|text| (text.at.clone(), self.name(text)))
    }

    /// Who wrote the text that holds all of a passage.
    #[must_use]
    pub fn author_of(&self, passage: &Range<usize>) -> Option<&str> {
        let next = self.texts.partition_point(|text| text.at.end < passage.end);
        self.name(self.texts.get(next).filter(|text| text.at.start <= passage.start)?)
    }

    fn name(&self, text: &Text) -> Option<&str> {
        self.authors.get(text.author?).map(String::as_str)
    }
}

/// An object or list that is not closed yet.
#[derive(Default)]
struct Frame {
    is_object: bool,
    /// Texts in it that have no author yet.
    anonymous: Vec<usize>,
    key: Option<String>,
    author: Option<String>,
    /// The name by which a person is known that it stands for, and its place in [`IDENTITY`].
    identity: Option<(usize, String)>,
}

impl Frame {
    /// Takes the text, or the name within an object, that belongs to the present key.
    fn hold(&mut self, name: Option<String>, rank_within: usize) {
        let name = name.map(|name| name.trim().to_owned()).filter(|name| (1..=MAX_NAME).contains(&name.len()));
        let Some((key, name)) = self.key.as_ref().map(|key| key.to_lowercase()).zip(name) else { return };
        if AUTHOR.contains(&key.as_str()) {
            self.author.get_or_insert(name.clone());
        }
        if let Some(rank) = IDENTITY.iter().position(|known| *known == key).map(|rank| rank + rank_within)
            && self.identity.as_ref().is_none_or(|(before, _)| rank < *before)
        {
            self.identity = Some((rank, name));
        }
    }
}

/// Bytes of the text that begins here, its quotation marks included.
fn text_len(bytes: &[u8]) -> usize {
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
