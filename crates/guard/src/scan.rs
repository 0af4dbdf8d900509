//! Which characters a reader sees.
//!
//! One rule serves filter and terminal: a character without ink stays only where Unicode gives it a visible meaning,
//! which its neighbours tell. The neighbour before is the last one that was kept; the one after is looked at raw, and
//! every rule asks for one that is itself always kept. So a second look at the result keeps all of it.

use crate::filter::Class;
use crate::unicode as u;

/// What becomes of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It stays, together with what follows it: this many bytes in all.
    Kept(usize),
    /// A reader would not see it.
    Hidden(Class),
}

/// Bytes that are looked at in one go.
const BLOCK: usize = 16;

/// How many bytes `text` begins with that are kept whatever stands around them.
pub(crate) fn ordinary(text: &str) -> usize {
    let mut at = 0;
    loop {
        // Whole blocks go by their pairs of bytes, which the compiler takes many at a time.
        while let Some((block, next)) =
            text.as_bytes().get(at..at + BLOCK).zip(text.as_bytes().get(at + 1..=at + BLOCK))
            && !block.iter().zip(next).fold(false, |any, (first, second)| any | may_begin_hidden(*first, *second))
        {
            at += BLOCK;
        }
        // A block may end within a character, which is ordinary as its first byte was.
        at = text.ceil_char_boundary(at);
        let end = at + BLOCK;
        for c in text.get(at..).unwrap_or_default().chars() {
            if !is_ordinary(c) {
                return at;
            }
            at += c.len_utf8();
            if at >= end {
                break;
            }
        }
        if at < end {
            return at;
        }
    }
}

/// Whether a character that is not ordinary may begin with these bytes. Without branches, so that many are taken at a
/// time.
const fn may_begin_hidden(first: u8, second: u8) -> bool {
    (first < b' ') & (first != b'\n') & (first != b'\t')
        | (first == 0x7F)
        | (first == 0xC2) & ((second < 0xA0) | (second == 0xAD))
        | (first == 0xCD) & (second == 0x8F)
        | (first == 0xD8) & (second == 0x9C)
        | (first == 0xE1) & ((second == 0x85) | (second == 0x9E) | (second == 0xA0))
        | (first == 0xE2) & ((second == 0x80) | (second == 0x81))
        | (first == 0xE3) & (second == 0x85)
        | (first == 0xEF) & ((second == 0xB8) | (second >= 0xBB) & (second != 0xBC) & (second != 0xBD))
        | (first == 0xF0) & ((second == 0x9B) | (second == 0x9D))
        | (first == 0xF3)
}

/// Whether a character is kept whatever stands around it.
const fn is_ordinary(c: char) -> bool {
    match c {
        '\n' | '\t' | ' '..='~' => true,
        ..'\u{A0}' => false,
        // Most of what is written; the rule below would say the same.
        '\u{61D}'..='\u{115E}' | '\u{2010}'..='\u{2029}' | '\u{2070}'..='\u{3163}' | '\u{3165}'..='\u{FDFF}' => true,
        c => {
            !(u::is_invisible(c)
                || u::is_bidi_run(c)
                || u::is_bidi_mark(c)
                || u::is_variation_selector(c)
                || u::is_tag(c))
        }
    }
}

/// Judges `c`, which stands between `prev` (the last character kept) and `rest`. Bidi controls are never kept here.
pub(crate) fn look(prev: Option<char>, c: char, rest: &str) -> Seen {
    if is_ordinary(c) {
        return Seen::Kept(c.len_utf8());
    }
    let next = rest.chars().next();
    let class = if c.is_control() {
        Class::Control
    } else if u::is_bidi_run(c) || u::is_bidi_mark(c) {
        Class::Bidi
    } else if u::is_tag(c) {
        match flag_of_region(prev, c, rest) {
            Some(bytes) => return Seen::Kept(bytes),
            None => Class::Tag,
        }
    } else if u::is_variation_selector(c) {
        if varies(prev, c, next) {
            return Seen::Kept(c.len_utf8());
        }
        Class::VariationSelector
    } else {
        if has_meaning(prev, c, next) {
            return Seen::Kept(c.len_utf8());
        }
        Class::ZeroWidth
    };
    Seen::Hidden(class)
}

/// A letter or digit with ink (the Hangul fillers are letters without).
fn is_written(c: char) -> bool {
    c.is_alphanumeric() && !u::is_invisible(c)
}

fn has_meaning(prev: Option<char>, c: char, next: Option<char>) -> bool {
    let before = |rule: fn(char) -> bool| prev.is_some_and(rule);
    let after = |rule: fn(char) -> bool| next.is_some_and(rule);
    match c {
        // Emoji sequences (UTS #51); joining behaviour and conjuncts (UAX #31, rules A and B).
        '\u{200D}' => {
            before(u::ends_pictograph) && after(u::is_pictograph)
                || before(u::is_joining_script)
                || before(u::is_virama)
        }
        // Persian also sets it between a foreign word or a digit and a suffix, Kurdish at the end of a word.
        '\u{200C}' => {
            before(u::is_virama) || before(u::is_joining_script) || before(is_written) && after(u::is_joining_script)
        }
        '\u{200B}' => before(u::is_spaceless_script) || after(u::is_spaceless_script),
        '\u{AD}' => before(is_written) && after(is_written),
        // Hebrew sets it between points whose order matters.
        '\u{34F}' => before(|c| matches!(c, '\u{591}'..='\u{5F4}')),
        '\u{115F}' => after(u::is_jamo),
        '\u{1160}' => before(u::is_jamo),
        '\u{180E}' => {
            before(|c| matches!(c, '\u{1820}'..='\u{18AA}')) && after(|c| matches!(c, '\u{1820}'..='\u{18AA}'))
        }
        _ => false,
    }
}

fn varies(prev: Option<char>, c: char, next: Option<char>) -> bool {
    let keycap = matches!(c, '\u{FE0E}' | '\u{FE0F}')
        && prev.is_some_and(|base| base.is_ascii_digit() || matches!(base, '#' | '*'))
        && next == Some('\u{20E3}');
    keycap || prev.is_some_and(|base| u::takes_variation(base, c))
}

/// The three flags that Unicode recommends for interchange are a black flag and their region in tag characters:
/// England, Scotland, Wales. Returns the bytes of the tags.
fn flag_of_region(prev: Option<char>, c: char, rest: &str) -> Option<usize> {
    const REGIONS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];
    const END: char = '\u{E007F}';
    if prev != Some('\u{1F3F4}') {
        return None;
    }
    let tags = || std::iter::once(c).chain(rest.chars()).take(6);
    let spells = |region: &str| {
        let wanted = region.chars().filter_map(|l| char::from_u32(0xE0000 + u32::from(l))).chain([END]);
        tags().eq(wanted)
    };
    REGIONS.into_iter().any(spells).then(|| tags().map(char::len_utf8).sum())
}

/// The length in bytes of the escape sequence that `text` begins with (ECMA-48, and the string sequences of xterm), if
/// it begins with a whole one.
///
/// Strings (OSC, DCS, APC, PM, SOS) end at the next control character or bidi control: one that ends otherwise than a
/// string must is none, so that an open one swallows nothing.
pub(crate) fn escape_sequence(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    let (_, first) = chars.next()?;
    let introducer = match first {
        '\u{1B}' => match chars.peek().copied() {
            Some((_, c @ ('[' | ']' | 'P' | 'X' | '^' | '_'))) => {
                chars.next();
                c
            }
            _ => ' ',
        },
        '\u{9B}' => '[',
        '\u{9D}' => ']',
        '\u{90}' => 'P',
        '\u{98}' => 'X',
        '\u{9E}' => '^',
        '\u{9F}' => '_',
        _ => return None,
    };
    match introducer {
        '[' => {
            while chars.next_if(|(_, c)| matches!(c, '\u{30}'..='\u{3F}')).is_some() {}
            while chars.next_if(|(_, c)| matches!(c, '\u{20}'..='\u{2F}')).is_some() {}
            chars.next_if(|(_, c)| matches!(c, '\u{40}'..='\u{7E}')).map(|(at, c)| at + c.len_utf8())
        }
        ' ' => {
            while chars.next_if(|(_, c)| matches!(c, '\u{20}'..='\u{2F}')).is_some() {}
            chars.next_if(|(_, c)| matches!(c, '\u{30}'..='\u{7E}')).map(|(at, c)| at + c.len_utf8())
        }
        _ => {
            let (at, end) = chars.find(|(_, c)| c.is_control() && *c != '\t' || u::is_bidi_run(*c))?;
            match end {
                '\u{07}' | '\u{9C}' => Some(at + end.len_utf8()),
                '\u{1B}' => chars.next_if(|(_, c)| *c == '\\').map(|(at, c)| at + c.len_utf8()),
                _ => None,
            }
        }
    }
}

/// Embeddings and isolates within each other that count (UAX #9, BD2): a deeper one has no effect.
const MAX_DEPTH: usize = 125;

/// The byte offsets, in order, of the bidi embeddings and isolates that are closed within their paragraph, and of what
/// closes them (UAX #9, BD9 to BD11, X1 to X7). Overrides are never among them: they make text read backwards.
pub(crate) fn balanced_bidi(text: &str) -> Vec<usize> {
    let mut kept = Vec::new();
    let mut open: Vec<(usize, char)> = Vec::new();
    // Open isolates; isolates and embeddings that were opened too deep.
    let (mut isolates, mut deep_isolates, mut deep_embeddings) = (0usize, 0usize, 0usize);
    // Bidi controls and ends of paragraphs begin with these bytes.
    let telling = |byte: &u8| matches!(byte, ..b' ' | 0x7F | 0xC2 | 0xE2);
    for (at, _) in text.bytes().enumerate().filter(|(_, byte)| telling(byte)) {
        let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else { continue };
        match c {
            '\t' => {}
            '\u{202A}'..='\u{202E}' if deep_isolates > 0 => {}
            '\u{202A}' | '\u{202B}' | '\u{202D}' | '\u{202E}' => {
                if open.len() < MAX_DEPTH {
                    open.push((at, c));
                } else {
                    deep_embeddings += 1;
                }
            }
            '\u{2066}'..='\u{2068}' => {
                if open.len() < MAX_DEPTH {
                    isolates += 1;
                    open.push((at, c));
                } else {
                    deep_isolates += 1;
                }
            }
            '\u{202C}' if deep_embeddings > 0 => deep_embeddings -= 1,
            '\u{202C}' => {
                if let Some((start, opener)) = open.pop_if(|(_, opener)| !is_isolate(*opener))
                    && matches!(opener, '\u{202A}' | '\u{202B}')
                {
                    kept.extend([start, at]);
                }
            }
            '\u{2069}' if deep_isolates > 0 => deep_isolates -= 1,
            '\u{2069}' if isolates > 0 => {
                deep_embeddings = 0;
                while let Some((start, opener)) = open.pop() {
                    if is_isolate(opener) {
                        isolates -= 1;
                        kept.extend([start, at]);
                        break;
                    }
                }
            }
            _ if c.is_control() || c == '\u{2029}' => {
                open.clear();
                (isolates, deep_isolates, deep_embeddings) = (0, 0, 0);
            }
            _ => {}
        }
    }
    kept.sort_unstable();
    kept
}

const fn is_isolate(c: char) -> bool {
    matches!(c, '\u{2066}'..='\u{2068}')
}

#[cfg(test)]
mod tests {
    use super::{Seen, is_ordinary, look, may_begin_hidden, ordinary};
    use crate::unicode as u;

    #[test]
    fn the_first_bytes_of_every_character_that_may_be_hidden_tell() {
        for c in '\0'..=char::MAX {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes);
            assert!(is_ordinary(c) || may_begin_hidden(bytes[0], bytes[1]), "{c:?}");
            let control = c.is_control() && !matches!(c, '\n' | '\t');
            let bidi = u::is_bidi_run(c) || u::is_bidi_mark(c);
            let inkless = u::is_invisible(c) || u::is_variation_selector(c) || u::is_tag(c);
            assert_eq!(is_ordinary(c), !control && !bidi && !inkless, "{c:?}");
            assert_eq!(look(None, c, "") == Seen::Kept(c.len_utf8()), is_ordinary(c), "{c:?}");
        }
    }

    #[test]
    fn a_character_that_may_be_hidden_is_found_wherever_it_stands() {
        for filler in ["a", "é", "汉", "ب", "😀", "e\u{301}"] {
            for before in 0..100 {
                let begin = filler.repeat(before);
                for hidden in ["\r", "\u{200d}", "\u{e0041}"] {
                    assert_eq!(ordinary(&format!("{begin}{hidden}{begin}")), begin.len(), "{before} of {filler}");
                }
                assert_eq!(ordinary(&begin), begin.len(), "{before} of {filler}");
            }
        }
    }
}
