//! All stages for a text that comes in, and what is shown of one in which passages are held back.

use std::borrow::Cow;
use std::ops::Range;

use autoshare_core::screening::{Held, Screening};

use crate::ensemble::{Agreement, DETECTOR, Vote, agreed};
use crate::plain;
use crate::verify::{Channel, Form, Profile, verify};

/// How a text is screened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Bytes that come through at most.
    pub max_bytes: usize,
    /// Through which channel it came.
    pub channel: Channel,
    /// How readily a passage is held back; `None` holds nothing back.
    pub detector: Option<Profile>,
}

/// A text that was screened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screened {
    /// The text as [`plain`] left it, whole: what is held back is marked in `screening`.
    pub text: String,
    /// What was done.
    pub screening: Screening,
}

/// Filters, bounds and verifies a text, with the detector as the only verifier.
#[must_use]
pub fn screen(text: &str, how: &Screen) -> Screened {
    let plain = plain(text, how.max_bytes);
    let held = how.detector.map_or_else(Vec::new, |profile| {
        let found = verify(&plain.text, how.channel).flagged(profile);
        agreed(plain.text.len(), &[Vote { by: DETECTOR, found: Ok(found) }], Agreement::Any)
    });
    let screening = Screening { removed: plain.report.words(), held, set_aside: false };
    Screened { text: plain.text, screening }
}

/// A probability in hundredths.
#[must_use]
pub fn percent(score: f32) -> u8 {
    let hundredths = (score.clamp(0.0, 1.0) * 100.0).round();
    (0..=100).rev().find(|whole| f32::from(*whole) <= hundredths).unwrap_or_default()
}

/// The passages of a text that are held back, with what they say. A mark that does not fit the text is passed over.
pub fn held<'t>(text: &'t str, screening: &'t Screening) -> impl Iterator<Item = (&'t Held, &'t str)> {
    screening.held.iter().filter_map(move |held| Some((held, text.get(range(held)?)?)))
}

/// A text without what is held back: a note stands in its place that says how much it is and why.
#[must_use]
pub fn shown<'t>(text: &'t str, screening: &Screening) -> Cow<'t, str> {
    if screening.set_aside {
        return Cow::Owned(format!(
            "[all {} bytes of this were set aside by the guard: too many passages of this document read like orders to \
             whoever reads it]",
            text.len()
        ));
    }
    if screening.held.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for held in &screening.held {
        let Some(range) = range(held).filter(|range| range.start >= from) else { continue };
        let Some(before) = text.get(from..range.start) else { continue };
        if text.get(range.clone()).is_none() {
            continue;
        }
        out.push_str(before);
        out.push_str(&note(held));
        from = range.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

fn range(held: &Held) -> Option<Range<usize>> {
    let start = usize::try_from(held.at).ok()?;
    Some(start..start.checked_add(usize::try_from(held.len).ok()?)?)
}

fn note(held: &Held) -> String {
    if !held.why.is_empty() {
        return format!("[{} bytes were held back here by the guard: {}]", held.len, held.why);
    }
    let form = if held.form == Form::Plain.words() { String::new() } else { format!(", in {}", held.form) };
    format!("[{} bytes were held back here by the guard: they read like orders to whoever reads this{form}]", held.len)
}
