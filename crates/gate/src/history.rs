//! What a brain has read, and where a value stands in it.

use std::collections::BTreeSet;

use autoshare_core::tool::Action;
use autoshare_core::verdict::Provenance;
use serde_json::Value;

/// Characters that a value must have for its place to be evidence: shorter ones stand anywhere by chance.
pub const MIN_EVIDENCE: usize = 4;

/// What a brain was told by people it trusts, and what it read elsewhere.
///
/// Texts are compared without regard to case and to the length of white space. A trusted text lends a value its trust
/// only where the value stands there as a whole word; content taints one wherever it stands. A value that stands in
/// both is the person's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    trusted: Vec<String>,
    content: Vec<(String, String)>,
    /// What the model proposed before it stood in anything that was read.
    own: BTreeSet<String>,
}

impl History {
    /// A brain that has read nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { trusted: Vec::new(), content: Vec::new(), own: BTreeSet::new() }
    }

    /// Adds the words of a person whom the brain works for.
    pub fn trust(&mut self, text: &str) {
        self.trusted.push(normal(text));
    }

    /// Adds what was read, with its source as the host knows it. Untrusted, whatever the source.
    pub fn add_content(&mut self, source: &str, text: &str) {
        self.content.push((source.to_owned(), normal(text)));
    }

    /// Adds an action that the model proposed: what stands in nothing read so far is its own, even if something that is
    /// read later (such as the output of that very command) repeats it.
    pub fn propose(&mut self, action: &Action) {
        for value in action.args.values() {
            if let (Value::String(text), false) = (value, matches!(self.origin(value), Provenance::Content { .. })) {
                self.own.insert(normal(text));
            }
        }
    }

    /// Whether the model proposed it before it stood in anything that was read.
    #[must_use]
    pub fn is_own(&self, value: &Value) -> bool {
        value.as_str().is_some_and(|text| self.own.contains(&normal(text)))
    }

    /// Whether anything untrusted was read.
    #[must_use]
    pub const fn is_tainted(&self) -> bool {
        !self.content.is_empty()
    }

    /// Where a value stands. Of several sources the earliest read is named.
    #[must_use]
    pub fn origin(&self, value: &Value) -> Provenance {
        let text = match value {
            Value::String(text) => normal(text),
            other => other.to_string(),
        };
        let is_evidence = text.chars().count() >= MIN_EVIDENCE;
        if is_evidence && self.trusted.iter().any(|trusted| stands_whole(trusted, &text)) {
            return Provenance::User;
        }
        match self.content.iter().find(|(_, content)| is_evidence && content.contains(&text)) {
            Some((source, _)) => Provenance::Content { source: source.clone() },
            None if self.is_tainted() => Provenance::TaintedModel,
            None => Provenance::Model,
        }
    }

    /// Whether trusted words name this path.
    #[must_use]
    pub fn names(&self, path: &str) -> bool {
        let path = normal(path);
        path.chars().count() >= MIN_EVIDENCE
            && self.trusted.iter().any(|text| stands_whole(text, &path) || stands_whole(text, &format!("./{path}")))
    }
}

fn normal(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Whether `text` holds `value` with nothing at either end that would make it part of a longer word, path or address.
/// A full stop that ends a sentence is no part of what comes before.
fn stands_whole(text: &str, value: &str) -> bool {
    text.match_indices(value).any(|(at, _)| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        let mut after = text.get(at + value.len()..).into_iter().flat_map(str::chars);
        let (next, next_but_one) = (after.next(), after.next());
        let goes_on = match next {
            Some('.') => next_but_one.is_some_and(|c| c.is_alphanumeric() || joins(c)),
            Some(c) => c.is_alphanumeric() || joins(c),
            None => false,
        };
        !goes_on && !before.is_some_and(|c| c.is_alphanumeric() || joins(c))
    })
}

const fn joins(c: char) -> bool {
    matches!(c, '_' | '-' | '/' | '\\' | '.' | '@' | '~' | '+' | '%')
}
