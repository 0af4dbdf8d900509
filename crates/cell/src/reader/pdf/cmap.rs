//! CMaps: how the bytes of a string are parted into codes, and which letters a code stands for.

/// Bytes of a code at most.
const MAX_CODE: usize = 4;
/// Letters of one code at most; a ligature has three.
const MAX_LETTERS: usize = 16;

/// A CMap. Ranges stay ranges, so that it is no larger than its source.
#[derive(Debug, Default)]
pub(super) struct CMap {
    /// How many bytes a code has, by the range that it is in.
    spaces: Vec<Space>,
    /// Sorted by their first code; of two that begin with the same, the later one counts.
    ranges: Vec<Range>,
}

#[derive(Debug)]
struct Space {
    bytes: usize,
    low: u32,
    high: u32,
}

#[derive(Debug)]
struct Range {
    low: u32,
    high: u32,
    to: Vec<u16>,
}

impl CMap {
    /// Reads a CMap's source. What is no part of a mapping is passed over.
    pub(super) fn parse(source: &[u8]) -> Self {
        let mut map = Self::default();
        let mut words = Words { rest: source };
        let mut section = Section::None;
        let mut codes: Vec<Vec<u8>> = Vec::new();
        // Inside of `[ ]` of a range: how many letters it has had.
        let mut list: Option<u32> = None;
        while let Some(word) = words.next() {
            match word {
                Word::Other(name) => {
                    section = match name {
                        b"begincodespacerange" => Section::Spaces,
                        b"beginbfchar" => Section::Letters,
                        b"beginbfrange" => Section::Ranges,
                        _ => Section::None,
                    };
                    codes.clear();
                    list = None;
                }
                Word::Open if section == Section::Ranges => list = Some(0),
                Word::Close if section == Section::Ranges => {
                    list = None;
                    codes.clear();
                }
                Word::Open | Word::Close => {}
                Word::Code(code) => match (section, codes.as_slice(), list) {
                    (Section::Ranges, [low, _], Some(at)) => {
                        let code_there = number(low).saturating_add(at);
                        map.add(code_there, code_there, &code);
                        list = Some(at.saturating_add(1));
                    }
                    (Section::Ranges, [low, high], None) => {
                        map.add(number(low), number(high), &code);
                        codes.clear();
                    }
                    (Section::Letters, [from], _) => {
                        map.add(number(from), number(from), &code);
                        codes.clear();
                    }
                    (Section::Spaces, [low], _) => {
                        let bytes = low.len().clamp(1, MAX_CODE);
                        map.spaces.push(Space { bytes, low: number(low), high: number(&code) });
                        codes.clear();
                    }
                    (Section::None, ..) => {}
                    _ => codes.push(code),
                },
            }
        }
        map.ranges.sort_by_key(|range| range.low);
        map.spaces.truncate(64);
        map
    }

    fn add(&mut self, low: u32, high: u32, to: &[u8]) {
        let pairs = to.chunks(2).take(MAX_LETTERS);
        let to = match to {
            [one] => vec![u16::from(*one)],
            _ => pairs.map(|pair| pair.iter().fold(0, |number, b| number << 8 | u16::from(*b))).collect(),
        };
        self.ranges.push(Range { low, high, to });
    }

    /// About how many bytes it takes.
    pub(super) fn cost(&self) -> usize {
        self.ranges.len() * (size_of::<Range>() + 2 * MAX_LETTERS)
    }

    /// The next code of a string, and how many bytes it has; `otherwise` where no range says how many.
    pub(super) fn code(&self, bytes: &[u8], otherwise: usize) -> (u32, usize) {
        for length in 1..=MAX_CODE.min(bytes.len()) {
            let code = number(bytes.get(..length).unwrap_or_default());
            let inside = |space: &Space| {
                // Every byte is within the range of its place.
                space.bytes == length
                    && (0..length).all(|at| {
                        let byte = |number: u32| number >> (8 * at) & 0xff;
                        (byte(space.low)..=byte(space.high)).contains(&byte(code))
                    })
            };
            if self.spaces.iter().any(inside) {
                return (code, length);
            }
        }
        let length = otherwise.min(bytes.len()).max(1);
        (number(bytes.get(..length).unwrap_or_default()), length)
    }

    /// The letters of a code.
    pub(super) fn letters(&self, code: u32) -> Option<String> {
        let after = self.ranges.partition_point(|range| range.low <= code);
        let range = self.ranges.get(after.checked_sub(1)?).filter(|range| code <= range.high)?;
        let mut to = range.to.clone();
        if let Some(last) = to.last_mut() {
            *last = last.wrapping_add((code - range.low) as u16);
        }
        let letters = String::from_utf16_lossy(&to);
        let blank = letters.chars().all(|c| c == '\0' || c == char::REPLACEMENT_CHARACTER);
        (!blank).then_some(letters)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    None,
    Spaces,
    Letters,
    Ranges,
}

enum Word<'a> {
    /// `<0041>`.
    Code(Vec<u8>),
    Open,
    Close,
    Other(&'a [u8]),
}

struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<Word<'a>> {
        loop {
            self.rest = self.rest.trim_ascii_start();
            let (&first, after) = self.rest.split_first()?;
            let until = |end: &dyn Fn(u8) -> bool, from: &'a [u8]| {
                let at = from.iter().position(|b| end(*b)).unwrap_or(from.len());
                from.split_at_checked(at).unwrap_or((from, &[]))
            };
            match first {
                b'%' => self.rest = until(&|b| b == b'\n' || b == b'\r', after).1,
                b'[' | b']' => {
                    self.rest = after;
                    return Some(if first == b'[' { Word::Open } else { Word::Close });
                }
                b'<' if after.first() != Some(&b'<') => {
                    let (digits, rest) = until(&|b| b == b'>', after);
                    self.rest = rest.get(1..).unwrap_or_default();
                    return Some(Word::Code(code(digits)));
                }
                b'<' | b'>' | b'(' | b')' | b'{' | b'}' => self.rest = after,
                _ => {
                    let (word, rest) = until(&|b| b.is_ascii_whitespace() || b"[]<>(){}%/".contains(&b), after);
                    let whole = self.rest.get(..word.len() + 1).unwrap_or_default();
                    self.rest = rest;
                    // Numbers and names stand between the words that matter.
                    if first.is_ascii_alphabetic() {
                        return Some(Word::Other(whole));
                    }
                }
            }
        }
    }
}

fn code(digits: &[u8]) -> Vec<u8> {
    let digits: Vec<u32> = digits.iter().filter_map(|b| char::from(*b).to_digit(16)).take(4 * MAX_LETTERS).collect();
    digits.chunks(2).map(|pair| (pair.first().unwrap_or(&0) << 4 | pair.get(1).unwrap_or(&0)) as u8).collect()
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(MAX_CODE).fold(0, |number, b| number << 8 | u32::from(*b))
}
