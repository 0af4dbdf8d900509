//! Which leaves of a structured result are identifiers that the tool issued, and not words that somebody wrote.

use autoshare_core::tool::{Effect, Fields, ToolSpec};
use serde_json::Value;

use super::normal::normal;

/// Characters of an identifier at most.
const MAX_CHARS: usize = 128;
/// Words of an identifier at most: a name may be several.
const MAX_WORDS: usize = 6;
/// Leaves of one result that are taken at most; those beyond are content.
const MAX_LEAVES: usize = 100_000;
/// The field of a result that is not an object.
const WHOLE: &str = "result";

/// An identifier that a tool issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// The field it stands in.
    pub(crate) field: String,
    /// The value, normal.
    pub(crate) value: String,
}

/// The identifiers in a tool's result.
pub(crate) fn leaves(spec: &ToolSpec, structured: &Value) -> Vec<Leaf> {
    let mut found = Vec::new();
    let lists_texts = words_of(spec.served.as_ref().map_or(spec.name.as_str(), |served| served.tool.as_str()))
        .iter()
        .any(|word| is_text(word));
    let walk = Walk { fields: &spec.result.issued, whole: spec.effect == Effect::Read && !lists_texts };
    if spec.result.issued != Fields::None {
        walk.visit(WHOLE, structured, Depth::Top, &mut found);
    }
    found
}

/// Whether a value stands alone in its field, or is a member of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Top,
    Alone,
    Member,
}

struct Walk<'s> {
    fields: &'s Fields,
    /// Whether the members of a plain list are identifiers: not where the tool lists texts.
    whole: bool,
}

impl Walk<'_> {
    fn visit(&self, field: &str, value: &Value, depth: Depth, found: &mut Vec<Leaf>) {
        if found.len() >= MAX_LEAVES {
            return;
        }
        match value {
            Value::Array(members) => members.iter().for_each(|member| self.visit(field, member, Depth::Member, found)),
            Value::Object(map) => {
                let is_wrapped = depth == Depth::Top && map.len() == 1 && map.contains_key(WHOLE);
                for (name, member) in map {
                    // A table by name: its keys are data.
                    let is_key = !is_wrapped && name.chars().any(|c| c.is_uppercase() || c.is_whitespace() || c == '@');
                    if is_key && *self.fields == Fields::ByName && has_form(name) && self.whole {
                        found.push(Leaf { field: field.to_owned(), value: normal(name) });
                    }
                    let depth = if is_wrapped { Depth::Top } else { Depth::Alone };
                    self.visit(name, member, depth, found);
                }
            }
            Value::String(text) if self.holds(field, depth) && has_form(text) => {
                found.push(Leaf { field: field.to_owned(), value: normal(text) });
            }
            Value::Number(number) if self.holds(field, Depth::Member) => {
                found.push(Leaf { field: field.to_owned(), value: normal(&number.to_string()) });
            }
            _ => {}
        }
    }

    fn holds(&self, field: &str, depth: Depth) -> bool {
        match self.fields {
            Fields::None => false,
            Fields::These(names) => names.iter().any(|name| name == field || name == "*"),
            // A result that is one text may be anybody's.
            Fields::ByName if field == WHOLE => depth == Depth::Member && self.whole,
            Fields::ByName => is_identifier(field),
        }
    }
}

/// Whether a text has the form of an identifier: short, on one line, no sentence, no link.
fn has_form(text: &str) -> bool {
    let is_short = text.chars().count() <= MAX_CHARS && text.split_whitespace().count() <= MAX_WORDS;
    let is_sentence =
        [". ", "! ", "? ", ": ", "; "].iter().any(|mark| text.contains(mark)) || text.ends_with(['.', '!', '?', ':']);
    !text.trim().is_empty() && is_short && !is_sentence && !text.contains(['\n', '<', '>']) && !text.contains("://")
}

/// Words that name identifiers, alone or at the end of a field's name.
const IDENTIFIERS: &[&str] = &[
    "id",
    "ids",
    "uuid",
    "guid",
    "sha",
    "hash",
    "number",
    "nr",
    "iban",
    "account",
    "email",
    "emails",
    "mail",
    "phone",
    "from",
    "to",
    "cc",
    "bcc",
    "sender",
    "recipient",
    "recipients",
    "receiver",
    "author",
    "owner",
    "creator",
    "assignee",
    "user",
    "users",
    "username",
    "login",
    "handle",
    "member",
    "members",
    "participant",
    "participants",
    "attendee",
    "attendees",
    "organizer",
    "contact",
    "contacts",
    "customer",
    "channel",
    "channels",
    "room",
    "group",
    "team",
    "folder",
    "file",
    "files",
    "filename",
    "path",
    "name",
    "names",
    "repo",
    "repository",
    "branch",
    "tag",
    "tags",
    "label",
    "labels",
    "amount",
    "price",
    "balance",
    "total",
    "date",
    "time",
    "start",
    "end",
    "status",
    "type",
    "currency",
    "key",
    "version",
    "shared",
    "with",
];

/// Words that name what people write.
const TEXTS: &[&str] = &[
    "subject",
    "body",
    "content",
    "contents",
    "text",
    "texts",
    "message",
    "messages",
    "description",
    "title",
    "note",
    "notes",
    "comment",
    "comments",
    "summary",
    "snippet",
    "reason",
    "detail",
    "details",
    "review",
    "reviews",
    "bio",
    "caption",
    "abstract",
    "excerpt",
    "markdown",
    "html",
    "line",
    "lines",
    "post",
    "posts",
    "document",
    "documents",
    "log",
    "logs",
    "page",
    "pages",
    "webpage",
    "article",
    "articles",
    "news",
    "inbox",
    "feed",
    "quote",
    "answer",
    "question",
    "url",
    "link",
    "links",
    "uri",
    "href",
];

fn is_identifier(field: &str) -> bool {
    let words = words_of(field);
    let last = words.last().map(String::as_str).unwrap_or_default();
    !words.iter().any(|word| is_text(word)) && IDENTIFIERS.contains(&last)
}

fn is_text(word: &str) -> bool {
    TEXTS.contains(&word)
}

/// The words of a name in snake, kebab or camel case, in lower case.
pub(crate) fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = c.is_uppercase() && before.is_lowercase();
        if !c.is_alphanumeric() || begins {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}
