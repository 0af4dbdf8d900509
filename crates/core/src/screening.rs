//! What the guard did to a text before a model saw it.

use serde::{Deserialize, Serialize};

/// What was done to a text, beside that text. The text itself is kept whole: what is held back is marked, and left out
/// wherever a model is shown it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Screening {
    /// What was taken out for good, in words; empty if nothing was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub removed: String,
    /// What is held back: in the order of the text, none within another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// Whether all of it is held back, because this document attacked again and again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub set_aside: bool,
}

/// A passage that is held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The byte at which it begins.
    pub at: u64,
    /// Its bytes.
    pub len: u64,
    /// In what form of the text the attack was seen, such as `plain text` or `base64`.
    pub form: String,
    /// How likely it is one, in hundredths.
    pub percent: u8,
    /// Why, where it is not that it reads like orders: what its source may not hold, or that it could not be judged.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Which verifiers say so; none is the detector alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
}

impl Held {
    /// All of a text of so many bytes, for a reason that has nothing to do with its words.
    #[must_use]
    pub fn whole(bytes: usize, why: String) -> Self {
        Self { at: 0, len: bytes as u64, form: "plain text".to_owned(), percent: 100, why, by: Vec::new() }
    }
}

impl Screening {
    /// The same for a text before which `bytes` more were put.
    #[must_use]
    pub fn shifted(&self, bytes: usize) -> Self {
        let held = |held: &Held| Held { at: held.at.saturating_add(bytes as u64), ..held.clone() };
        Self { held: self.held.iter().map(held).collect(), ..self.clone() }
    }

    /// Whether nothing was done.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.removed.is_empty() && self.held.is_empty() && !self.set_aside
    }
}
