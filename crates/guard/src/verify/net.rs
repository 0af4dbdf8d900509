//! The network: a table of embeddings, a layer that looks for patterns of a few tokens, and one that judges a segment
//! by the patterns in it and around it.
//!
//! The weights file is the table (one byte a number) and then the layers (`f32`, little-endian), in the order of
//! [`DENSE`]. The scales of the table's columns are already in the first layer.

use super::shape::{AROUND, BUCKETS, DENSE, HEADS, MAGIC, PATTERNS, PLACE, SEEN, TAPS, UNITS, WIDTH, place};
use super::tokens::Token;

/// The weights, ready to be used.
pub(crate) struct Net {
    processor: pulp::Arch,
    table: &'static [[u8; WIDTH]],
    conv: Vec<[f32; PATTERNS]>,
    conv_bias: [f32; PATTERNS],
    hidden: Vec<[f32; UNITS]>,
    hidden_bias: [f32; UNITS],
    heads: [[f32; UNITS]; HEADS],
    head_bias: [f32; HEADS],
    /// Slope and offset that make a probability of what a head says.
    calibration: [[f32; 2]; HEADS],
}

/// A sentence, a line or a field, and how suspicious it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// What each head says; not a probability yet.
    pub(crate) logits: [f32; HEADS],
}

#[derive(Clone, Copy)]
struct Pooled {
    start: u32,
    end: u32,
    strongest: [f32; PATTERNS],
    mean: [f32; PATTERNS],
}

/// Buffers that are used again for every page.
#[derive(Default)]
pub(crate) struct Scratch {
    embedded: Vec<[f32; WIDTH]>,
    pooled: Vec<Pooled>,
}

impl Net {
    /// Reads a weights file; `None` if it is of another shape.
    pub(crate) fn new(file: &'static [u8]) -> Option<Self> {
        let (magic, rest) = file.split_at_checked(MAGIC.len())?;
        let (table, dense) = rest.split_at_checked(BUCKETS * WIDTH)?;
        let (dense, []) = dense.as_chunks::<4>() else { return None };
        if magic != MAGIC || dense.len() != DENSE {
            return None;
        }
        let mut numbers = dense.iter().map(|bytes| f32::from_le_bytes(*bytes));
        Some(Self {
            processor: pulp::Arch::new(),
            table: table.as_chunks().0,
            conv: (0..TAPS * WIDTH).map(|_| take(&mut numbers)).collect(),
            conv_bias: take(&mut numbers),
            hidden: (0..SEEN).map(|_| take(&mut numbers)).collect(),
            hidden_bias: take(&mut numbers),
            heads: [(); HEADS].map(|()| take(&mut numbers)),
            head_bias: take(&mut numbers),
            calibration: [(); HEADS].map(|()| take(&mut numbers)),
        })
    }

    /// Judges the segments of a page, into `out`.
    pub(crate) fn judge(&self, tokens: &[Token], scratch: &mut Scratch, out: &mut Vec<Segment>) {
        // The same sums in the same order, in the widest registers that this processor has.
        self.processor.dispatch(|| self.judge_inlined(tokens, scratch, out));
    }

    #[inline(always)]
    fn judge_inlined(&self, tokens: &[Token], scratch: &mut Scratch, out: &mut Vec<Segment>) {
        self.embed(tokens, &mut scratch.embedded);
        self.pool(tokens, &scratch.embedded, &mut scratch.pooled);
        out.clear();
        // A loop, for a closure that is handed to an iterator may be compiled for the narrow registers.
        for (index, segment) in scratch.pooled.iter().enumerate() {
            let logits = self.logits(&scratch.pooled, index, segment);
            out.push(Segment { start: segment.start as usize, end: segment.end as usize, logits });
        }
    }

    /// The probability that a head's judgement stands for.
    pub(crate) fn probability(&self, logits: &[f32; HEADS], head: usize) -> f32 {
        let (Some(logit), Some([slope, offset])) = (logits.get(head), self.calibration.get(head)) else { return 1.0 };
        1.0 / (1.0 + (-(slope * logit + offset)).exp())
    }

    #[inline(always)]
    fn embed(&self, tokens: &[Token], out: &mut Vec<[f32; WIDTH]>) {
        out.clear();
        out.resize(tokens.len() + TAPS - 1, [0.0; WIDTH]);
        for (token, to) in tokens.iter().zip(out.iter_mut().skip(TAPS / 2)) {
            let mut sum = [0_i16; WIDTH];
            for row in token.rows() {
                for (sum, byte) in sum.iter_mut().zip(self.table.get(*row as usize).into_iter().flatten()) {
                    *sum += i16::from(*byte as i8);
                }
            }
            *to = sum.map(f32::from);
        }
    }

    #[inline(always)]
    fn pool(&self, tokens: &[Token], embedded: &[[f32; WIDTH]], out: &mut Vec<Pooled>) {
        out.clear();
        let (mut strongest, mut mean, mut count, mut start) = ([0.0_f32; PATTERNS], [0.0_f32; PATTERNS], 0.0, None);
        for (token, seen) in tokens.iter().zip(embedded.windows(TAPS)) {
            let mut found = self.conv_bias;
            add(&mut found, seen.as_flattened(), &self.conv);
            for ((found, strongest), mean) in found.iter().zip(&mut strongest).zip(&mut mean) {
                let found = found.max(0.0);
                *strongest = strongest.max(found);
                *mean += found;
            }
            count += 1.0;
            let begin = *start.get_or_insert(token.start);
            if token.last {
                out.push(Pooled { start: begin, end: token.end, strongest, mean: mean.map(|sum| sum / count) });
                (strongest, mean, count, start) = ([0.0; PATTERNS], [0.0; PATTERNS], 0.0, None);
            }
        }
    }

    #[inline(always)]
    fn logits(&self, pooled: &[Pooled], index: usize, segment: &Pooled) -> [f32; HEADS] {
        let before = index.checked_sub(1).and_then(|before| pooled.get(before));
        let after = pooled.get(index + 1);
        let first = index.saturating_sub(AROUND);
        let around = pooled.iter().enumerate().skip(first).take(index + AROUND + 1 - first);
        let (mut surroundings, mut count) = ([0.0; PATTERNS], 0.0_f32);
        for (_, other) in around.filter(|(other, _)| *other != index) {
            count += 1.0;
            surroundings.iter_mut().zip(&other.strongest).for_each(|(sum, x)| *sum += x);
        }
        surroundings = surroundings.map(|sum| sum / count.max(1.0));

        let nothing = [0.0; PATTERNS];
        let patterns = [
            &segment.strongest,
            &segment.mean,
            before.map_or(&nothing, |before| &before.strongest),
            after.map_or(&nothing, |after| &after.strongest),
            &surroundings,
        ];
        let mut units = self.hidden_bias;
        let (of_patterns, of_place) = self.hidden.split_at_checked(SEEN - PLACE).unwrap_or_default();
        for (seen, weights) in patterns.iter().zip(of_patterns.chunks_exact(PATTERNS)) {
            add(&mut units, *seen, weights);
        }
        add(&mut units, &place(index, pooled.len()), of_place);
        let mut logits = self.head_bias;
        for (logit, weights) in logits.iter_mut().zip(&self.heads) {
            *logit += units.iter().zip(weights).map(|(unit, weight)| unit.max(0.0) * weight).sum::<f32>();
        }
        logits
    }
}

/// Adds the weights, each row as often as `x` says.
#[inline(always)]
fn add<const N: usize>(sums: &mut [f32; N], x: &[f32], weights: &[[f32; N]]) {
    for (x, weights) in x.iter().zip(weights) {
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum += x * weight;
        }
    }
}

fn take<const N: usize>(numbers: &mut impl Iterator<Item = f32>) -> [f32; N] {
    [(); N].map(|()| numbers.next().unwrap_or_default())
}
