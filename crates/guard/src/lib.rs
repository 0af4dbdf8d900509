//! What untrusted text passes before it reaches a model, a terminal, a log or a file name.
//!
//! Text from a file, a page, a tool or a model is untrusted wherever it goes next, and each place it goes to has its
//! own way of being deceived: a model by text that a person cannot see, a terminal by escape sequences, a log by line
//! ends, a prompt by text that pretends to be its frame. Four stages answer this:
//!
//! - [`validate`]: the text has the size it may have.
//! - [`filter`]: what a reader would not see is taken out, and reported.
//! - [`encode`]: one function for each place that text is written to; its output is inert there.
//! - [`verify`]: whether the text tries to give orders to the model that reads it, as a score with spans. Where there are
//!   more verifiers than this one, [`ensemble`] says what they agree on.
//!
//! [`rules`] is what an operator says of single sources beside that, [`records`] tells who wrote which part of a result.
//!
//! Entry points: [`screen()`] for an observation on its way to a model where the detector is the only verifier ([`plain`] for a text that is only to be fit to be
//! shown), and the functions of [`encode`] for everything that leaves. Filtering is about what enters, encoding about what leaves: the host does the first once per
//! observation; every face does the second at the last moment.
//!
//! **Invariants**
//!
//! - Pure: same text, same result; no I/O, no clock, no randomness. Where something must be unguessable (the mark of
//!   [`encode::prompt_data`]), the caller brings it.
//! - Total: every function accepts every text and none fails. Time is linear in the length of the text.
//! - Clean text comes out of [`plain`] byte for byte the same, in every script; what comes out passes again unchanged.
//! - Trust is never raised here. A clean report means that nothing was taken out, not that the text is harmless.
//!
//! **What this crate does not know:** where a text came from, who may see it, what will be decided about it. It parses
//! no structure (HTML, mail, PDF): that happens in a cell, and what a cell hands over is text like any other.

pub mod encode;
pub mod ensemble;
pub mod filter;
pub mod records;
pub mod rules;
mod scan;
mod screen;
mod unicode;
pub mod validate;
pub mod verify;

pub use filter::{Class, Finding};
pub use screen::{Screen, Screened, held, percent, screen, shown};
pub use validate::Cut;

/// A text that is fit to be shown to a model, and what was done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// The text. It is still untrusted: [`encode::prompt_data`] frames it.
    pub text: String,
    /// What was taken out, and where.
    pub report: Report,
}

/// What the stages did to a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// One entry a class of which something was taken out, in the order of their first occurrence.
    pub findings: Vec<Finding>,
    /// What was left out because the text was too long.
    pub cut: Option<Cut>,
}

impl Report {
    /// Whether the text is as it was.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.cut.is_none()
    }

    /// The report in words, such as `removed 2 escape sequences, 31 tag characters; left out 512 bytes in the middle`;
    /// empty if the text is as it was.
    #[must_use]
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        if !self.findings.is_empty() {
            let list = self.findings.iter().map(Finding::words).collect::<Vec<_>>();
            parts.push(format!("removed {}", list.join(", ")));
        }
        if let Some(cut) = &self.cut {
            parts.push(format!("left out {} bytes in the middle", cut.omitted));
        }
        parts.join("; ")
    }
}

/// Makes an observation fit to be shown to a model: what a reader would not see is removed ([`filter::visible`]), and
/// what passes `max_bytes` is cut out of the middle with a note in its place ([`validate::bounded`]).
///
/// The result is at most `max_bytes` long; clean text within the bound is returned byte for byte; the result passes
/// again unchanged.
#[must_use]
pub fn plain(text: &str, max_bytes: usize) -> Plain {
    let (seen, findings) = filter::visible(text);
    let (bounded, cut) = validate::bounded(&seen, max_bytes);
    // A cut may part a joiner from its letter or a bidi mark from its partner: such a remnant goes too.
    let text = if cut.is_some() { filter::visible(&bounded).0 } else { bounded };
    Plain { text: text.into_owned(), report: Report { findings, cut } }
}
