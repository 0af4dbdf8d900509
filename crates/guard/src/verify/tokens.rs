//! Text as the network reads it: tokens with the rows of the table that stand for them, grouped into segments.
//!
//! A segment is a sentence, a line, or a field of a structure: the unit that is judged and cut out. The trainer uses
//! this very file, so that what was learnt and what is looked up cannot differ.

use super::shape::{BUCKETS, MAX_ROWS};

/// A word, a number, a mark or a line end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    /// The rows of the table that are summed up for it; the first `used` count.
    rows: [u32; MAX_ROWS],
    used: u8,
    /// Where it begins and ends in the text.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Whether a segment ends with it.
    pub(crate) last: bool,
}

impl Token {
    /// The rows of the table that stand for this token.
    pub(crate) fn rows(&self) -> &[u32] {
        self.rows.get(..usize::from(self.used)).unwrap_or_default()
    }
}

/// A comma ends a segment of this many tokens, and any token one of [`LONGEST`].
const LONG: u32 = 36;
const LONGEST: u32 = 64;
/// Bytes of a word that are looked at. What is longer is no word of a language.
const MAX_WORD: usize = 28;

/// Kinds of features. The same letters as a word and as an ending are two rows.
#[derive(Clone, Copy)]
enum Kind {
    Word = 1,
    Head3,
    Head5,
    Tail3,
    Tail4,
    Case,
    Number,
    Mark,
    Sign,
    Pair,
    Triple,
}

/// Takes a page of text apart, into `out`. At most 4 GiB; what lies beyond is not looked at.
pub(crate) fn tokenize(text: &str, out: &mut Vec<Token>) {
    out.clear();
    let mut reader = Reader { text, out, length: 0, before: ['\0'; 2] };
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        at = if is_letter(c) {
            if is_spaceless(c) { reader.sign(at, c) } else { reader.word(at) }
        } else if c.is_ascii_digit() {
            reader.number(at)
        } else if c == '\n' {
            reader.line(at, 1)
        } else if c.is_whitespace() || c.is_control() {
            at + c.len_utf8()
        } else {
            reader.mark(at, c)
        };
    }
    if let Some(token) = reader.out.last_mut() {
        token.last = true;
    }
}

struct Reader<'a> {
    text: &'a str,
    out: &'a mut Vec<Token>,
    /// Tokens of the segment so far.
    length: u32,
    /// The characters before, of a script that has no spaces.
    before: [char; 2],
}

impl Reader<'_> {
    fn push(&mut self, start: usize, end: usize, rows: &[u32], last: bool) -> usize {
        self.length += 1;
        let last = last || self.length >= LONGEST;
        if last {
            self.length = 0;
        }
        let mut token = Token { rows: [0; MAX_ROWS], used: 0, start: start as u32, end: end as u32, last };
        for (to, from) in token.rows.iter_mut().zip(rows) {
            *to = *from;
            token.used += 1;
        }
        self.out.push(token);
        end
    }

    fn peek(&self, at: usize) -> Option<char> {
        self.text.get(at..).and_then(|rest| rest.chars().next())
    }

    fn word(&mut self, start: usize) -> usize {
        let mut folded = [0_u8; MAX_WORD + 8];
        let (mut length, mut letters, mut upper, mut first_upper) = (0, 0_u32, 0_u32, false);
        let mut end = start;
        let rest = self.text.get(start..).unwrap_or_default();
        for (offset, c) in rest.char_indices() {
            let inside =
                (c == '\'' || c == '\u{2019}') && self.peek(start + offset + c.len_utf8()).is_some_and(is_letter);
            if !(is_letter(c) && !is_spaceless(c) || inside) {
                break;
            }
            end = start + offset + c.len_utf8();
            letters += 1;
            if c.is_uppercase() {
                upper += 1;
                first_upper |= offset == 0;
            }
            if length < MAX_WORD {
                let lower = if c.is_ascii() { c.to_ascii_lowercase() } else { c.to_lowercase().next().unwrap_or(c) };
                let lower = if lower == '\u{2019}' { '\'' } else { lower };
                let room = folded.get_mut(length..length + 4);
                length += room.map_or(0, |room| lower.encode_utf8(room).len());
            }
        }
        self.before = ['\0'; 2];
        let word = folded.get(..length).unwrap_or_default();
        let case = match (upper, letters) {
            (0, _) => 0,
            (upper, letters) if upper == letters && letters > 1 => 1,
            (_, 1) => 2,
            (1, _) if first_upper => 3,
            _ => 4,
        };
        let mut rows = [hash(Kind::Word, word), hash(Kind::Case, &[case]), 0, 0, 0, 0];
        let mut used = 2;
        if let (4.., Some((head, _)), Some((_, tail))) = (length, word.split_at_checked(3), split_tail(word, 3)) {
            used = fill(&mut rows, used, [hash(Kind::Head3, head), hash(Kind::Tail3, tail)]);
        }
        if let (6.., Some((head, _)), Some((_, tail))) = (length, word.split_at_checked(5), split_tail(word, 4)) {
            used = fill(&mut rows, used, [hash(Kind::Head5, head), hash(Kind::Tail4, tail)]);
        }
        let rows = rows.get(..used).unwrap_or_default();
        self.push(start, end, rows, false)
    }

    fn number(&mut self, start: usize) -> usize {
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.push(start, start + digits, &[hash(Kind::Number, &[digits.min(8) as u8])], false)
    }

    fn line(&mut self, start: usize, length: usize) -> usize {
        // Blank lines and indentation are one line end.
        let rest = self.text.as_bytes().get(start + length..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let paragraph = rest.iter().take(blank).any(|byte| *byte == b'\n');
        let end = start + length + blank;
        self.push(start, end, &[hash(Kind::Mark, if paragraph { b"\n\n" } else { b"\n" })], true)
    }

    /// A character of a script that writes no spaces: itself, and with the ones before.
    fn sign(&mut self, start: usize, c: char) -> usize {
        let [second, first] = self.before;
        let triple = [second, first, c].map(|c| (c as u32).to_le_bytes());
        let triple = triple.as_flattened();
        let pair = triple.get(4..).unwrap_or_default();
        let single = triple.get(8..).unwrap_or_default();
        self.before = [first, c];
        let rows = [hash(Kind::Sign, single), hash(Kind::Pair, pair), hash(Kind::Triple, triple)];
        self.push(start, start + c.len_utf8(), &rows, false)
    }

    fn mark(&mut self, start: usize, c: char) -> usize {
        self.before = ['\0'; 2];
        if c == '\\' && matches!(self.peek(start + 1), Some('n' | 'r' | 't')) {
            return self.line(start, 2);
        }
        // A run of one mark is one token.
        let rest = self.text.get(start..).unwrap_or_default();
        let run = rest.chars().take_while(|next| *next == c).count();
        let end = start + run * c.len_utf8();
        let key = [(c as u32).to_le_bytes(), [run.min(3) as u8, 0, 0, 0]];
        let next = self.peek(end);
        let closes =
            next.is_none_or(|next| next.is_whitespace() || matches!(next, '"' | '\'' | '<' | ')' | '*' | '\\' | '”'));
        let last = match c {
            '.' | '!' | '?' | '…' | ';' => closes,
            '。' | '！' | '？' | '।' | '؟' | '۔' => true,
            // The border of a table's cell.
            '|' => next.is_none_or(char::is_whitespace),
            '"' | '\'' => next.is_some_and(|next| matches!(next, ',' | '}' | ']')),
            ',' | ':' | ')' | '}' => self.length >= LONG,
            _ => false,
        };
        self.push(start, end, &[hash(Kind::Mark, key.as_flattened())], last)
    }
}

fn split_tail(word: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    word.split_at_checked(word.len().checked_sub(length)?)
}

fn fill<const N: usize>(rows: &mut [u32; N], used: usize, new: [u32; 2]) -> usize {
    for (to, from) in rows.iter_mut().skip(used).zip(new) {
        *to = from;
    }
    used + 2
}

/// FNV-1a with a last multiplication that spreads it over the table.
fn hash(kind: Kind, bytes: &[u8]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ (kind as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BUCKETS.trailing_zeros())) as u32
}

fn is_letter(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphabetic() } else { c.is_alphabetic() || matches!(c, '\u{900}'..='\u{DFF}') }
}

/// Han, kana, Thai, Lao, Khmer, Burmese: written without spaces between words.
fn is_spaceless(c: char) -> bool {
    matches!(c, '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{2E80}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}
