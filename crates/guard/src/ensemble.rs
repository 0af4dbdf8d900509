//! What several verifiers agree on.
//!
//! Each verifier says which passages of a text it takes for orders, or that it could not judge the text. One that could not
//! counts as if it had found all of it suspicious: whoever can break a verifier gains nothing by it.

use std::fmt;
use std::ops::Range;

use autoshare_core::screening::Held;

use crate::screen::percent;
use crate::verify::{Channel, Suspicion};

/// The name of the detector that is part of this program, as a verifier.
pub const DETECTOR: &str = "detector";

/// How many verifiers must say so before a passage is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Agreement {
    /// One.
    #[default]
    Any,
    /// More than half of them.
    Most,
    /// Each of them.
    All,
}

impl Agreement {
    /// How many of `verifiers`.
    #[must_use]
    pub const fn of(self, verifiers: usize) -> usize {
        match self {
            Self::Any => 1,
            Self::Most => verifiers / 2 + 1,
            Self::All => verifiers,
        }
    }
}

/// A verifier beside the detector: a classifier of the operator's.
pub trait Verifier: fmt::Debug + Send + Sync {
    /// Its name, in a word.
    fn name(&self) -> &'static str;

    /// The passages of a text that it takes for orders to whoever reads it. It returns within a time of its own.
    ///
    /// # Errors
    /// Why it could not judge the text, in words: it counts as if it had found all of it suspicious.
    fn verify(&self, text: &str, channel: Channel) -> Result<Vec<Suspicion>, String>;
}

/// What one verifier says of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Vote {
    /// Its name.
    pub by: &'static str,
    /// The passages that it takes for orders, or why it could not judge the text.
    pub found: Result<Vec<Suspicion>, String>,
}

/// The passages of a text of `bytes` bytes that are held back: those that enough of the verifiers found, each overlapping
/// what the others found; all of it where enough of them could not judge it.
#[must_use]
pub fn agreed(bytes: usize, votes: &[Vote], rule: Agreement) -> Vec<Held> {
    let count = Count::of(votes);
    let need = rule.of(votes.len()).max(1);
    if bytes == 0 {
        return Vec::new();
    }
    if count.failed.len() >= need {
        let named: Vec<String> = count.failed.iter().map(|(by, why)| format!("{by} ({why})")).collect();
        let why = format!("it could not be judged by {}", named.join(", "));
        return vec![Held::whole(bytes, why)];
    }
    let found = votes.iter().flat_map(|vote| vote.found.iter().flatten());
    let enough = found.filter_map(|suspicion| {
        let by = count.supporters(&suspicion.span);
        (by.len() + count.failed.len() >= need).then(|| (suspicion.clone(), by))
    });
    apart(enough.collect())
}

/// Of `passages`, those that are held back if one more verifier says so and are not if it does not: what is worth asking it.
#[must_use]
pub fn undecided(passages: Vec<Suspicion>, votes: &[Vote], rule: Agreement) -> Vec<Suspicion> {
    let count = Count::of(votes);
    let need = rule.of(votes.len() + 1).max(1);
    let hangs = |suspicion: &Suspicion| count.supporters(&suspicion.span).len() + count.failed.len() + 1 == need;
    passages.into_iter().filter(hangs).collect()
}

/// Votes in a form in which they are counted quickly.
struct Count<'v> {
    /// Of each verifier that judged the text, its passages: in order, none touching another.
    judged: Vec<(&'static str, Vec<Range<usize>>)>,
    failed: Vec<(&'static str, &'v str)>,
}

impl<'v> Count<'v> {
    fn of(votes: &'v [Vote]) -> Self {
        let (mut judged, mut failed) = (Vec::new(), Vec::new());
        for vote in votes {
            match &vote.found {
                Ok(found) => judged.push((vote.by, covered(found))),
                Err(why) => failed.push((vote.by, why.as_str())),
            }
        }
        Self { judged, failed }
    }

    /// Who found something in this passage.
    fn supporters(&self, span: &Range<usize>) -> Vec<&'static str> {
        let found = |ranges: &[Range<usize>]| {
            let next = ranges.partition_point(|range| range.end <= span.start);
            ranges.get(next).is_some_and(|range| range.start < span.end)
        };
        self.judged.iter().filter(|(_, ranges)| found(ranges)).map(|(by, _)| *by).collect()
    }
}

/// What the passages cover, in order.
fn covered(found: &[Suspicion]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = found.iter().map(|suspicion| suspicion.span.clone()).collect();
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut covered: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match covered.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => covered.push(range),
        }
    }
    covered
}

/// Passages that lie apart: those that overlap are one, in the form that was surest, by all who found a part of it.
fn apart(mut found: Vec<(Suspicion, Vec<&'static str>)>) -> Vec<Held> {
    found.sort_by_key(|(found, _)| (found.span.start, found.span.end));
    let mut passages: Vec<(Range<usize>, Suspicion, Vec<&'static str>)> = Vec::new();
    for (next, by) in found {
        match passages.last_mut() {
            Some((range, surest, all)) if next.span.start < range.end => {
                range.end = range.end.max(next.span.end);
                all.extend(by);
                if next.score > surest.score {
                    *surest = next;
                }
            }
            _ => passages.push((next.span.clone(), next, by)),
        }
    }
    let held = |(range, surest, mut by): (Range<usize>, Suspicion, Vec<&'static str>)| {
        by.sort_unstable();
        by.dedup();
        Held {
            at: range.start as u64,
            len: range.len() as u64,
            form: surest.form.words().to_owned(),
            percent: percent(surest.score),
            why: String::new(),
            by: if by == [DETECTOR] { Vec::new() } else { by.into_iter().map(str::to_owned).collect() },
        }
    };
    passages.into_iter().map(held).collect()
}
