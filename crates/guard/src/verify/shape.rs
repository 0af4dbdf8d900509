//! The shape of the network, and of the file that holds its weights. The trainer uses this very file.

/// Rows of the table of embeddings, a power of two. Features are hashed onto them.
pub(crate) const BUCKETS: usize = 1 << 18;
/// Rows that stand for one token, at most.
pub(crate) const MAX_ROWS: usize = 6;
/// Numbers that stand for one token.
pub(crate) const WIDTH: usize = 16;
/// Tokens that one position of the first layer sees: two before, itself, two after.
pub(crate) const TAPS: usize = 5;
/// Patterns that the first layer looks for.
pub(crate) const PATTERNS: usize = 64;
/// Segments on either side that make up the surroundings of one.
pub(crate) const AROUND: usize = 5;
/// What the second layer is told of a segment beside patterns: how many segments the page has, whether it is the first,
/// the last, the only one.
pub(crate) const PLACE: usize = 4;
/// What the second layer sees: the strongest and the mean patterns of the segment, the strongest of the segments before and
/// after, the mean of the surroundings, the place.
pub(crate) const SEEN: usize = 5 * PATTERNS + PLACE;
/// Units of the second layer.
pub(crate) const UNITS: usize = 48;
/// One a channel.
pub(crate) const HEADS: usize = 2;

/// What a weights file begins with.
pub(crate) const MAGIC: &[u8; 8] = b"verify01";
/// Numbers behind the table: the first layer, the second, the heads, and slope and offset of each head's calibration.
pub(crate) const DENSE: usize = (TAPS * WIDTH + 1) * PATTERNS + (SEEN + 1) * UNITS + (UNITS + 1) * HEADS + 2 * HEADS;

/// Where a segment stands on its page.
pub(crate) fn place(index: usize, segments: usize) -> [f32; PLACE] {
    let yes = |fact: bool| if fact { 1.0 } else { 0.0 };
    let many = segments.min(2 * AROUND + 1) as f32 / (2 * AROUND + 1) as f32;
    [many, yes(index == 0), yes(index + 1 == segments), yes(segments == 1)]
}
