//! When a value's standing in a text says that it comes from there: short and common words stand anywhere by chance.

use autoshare_core::tool::Role;

use super::index::Found;
use crate::warrant::lexicon;

/// Characters that a value must have for its place to be evidence, unless it is marked as one.
pub const MIN_EVIDENCE: usize = 3;
/// Digits that a whole number must have for the same.
pub const MIN_DIGITS: usize = 5;

/// What a value is like, as far as evidence goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// It stands nowhere by chance.
    Telling,
    /// It may stand anywhere: only where it is in quotation marks, or a word before it says that an identifier follows, does
    /// its place say something.
    Slight,
}

/// What a normal value is like. Amounts are numbers that a person says as they are: each is telling.
pub(crate) fn weight(value: &str, role: Role) -> Weight {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let is_number = digits > 0 && value.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '+' | ' '));
    let telling = if is_number {
        role == Role::Amount || digits >= MIN_DIGITS
    } else {
        value.chars().count() >= MIN_EVIDENCE && !lexicon::is_common(value)
    };
    if telling { Weight::Telling } else { Weight::Slight }
}

/// Whether a value that was found in a text is there on its own and not by chance.
pub(crate) fn is_evidence(found: &Found<'_>, weight: Weight) -> bool {
    found.stands_alone() && (weight == Weight::Telling || found.is_quoted() || found.is_introduced())
}
