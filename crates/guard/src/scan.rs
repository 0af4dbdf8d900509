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

/// Judges `c`, which stands between `prev` (the last character kept) and `rest`. Bidi controls are never kept here.
pub(crate) fn look(prev: Option<char>, c: char, rest: &str) -> Seen {
    let next = rest.chars().next();
    if c.is_ascii() {
        let control = c.is_ascii_control() && !matches!(c, '\n' | '\t');
        return if control { Seen::Hidden(Class::Control) } else { Seen::Kept(1) };
    }
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
    } else if u::is_invisible(c) {
        if has_meaning(prev, c, next) {
            return Seen::Kept(c.len_utf8());
        }
        Class::ZeroWidth
    } else {
        return Seen::Kept(c.len_utf8());
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
        // Persian also sets it between a foreign word or a digit and a suffix.
        '\u{200C}' => {
            let written = |c| is_written(c) || u::is_joining_script(c);
            before(u::is_virama)
                || before(written) && after(written) && (before(u::is_joining_script) || after(u::is_joining_script))
        }
        '\u{200B}' => before(u::is_spaceless_script) && after(u::is_spaceless_script),
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

/// The byte offsets, in order, of the bidi embeddings and isolates that are closed within their paragraph, and of what
/// closes them (UAX #9, BD9 to BD11). Overrides are never among them: they make text read backwards.
pub(crate) fn balanced_bidi(text: &str) -> Vec<usize> {
    let mut kept = Vec::new();
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut isolates = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '\t' => {}
            '\u{202A}' | '\u{202B}' | '\u{202D}' | '\u{202E}' => open.push((at, c)),
            '\u{2066}'..='\u{2068}' => {
                isolates += 1;
                open.push((at, c));
            }
            '\u{202C}' => {
                if let Some((start, opener)) = open.pop_if(|(_, opener)| !is_isolate(*opener))
                    && matches!(opener, '\u{202A}' | '\u{202B}')
                {
                    kept.extend([start, at]);
                }
            }
            '\u{2069}' if isolates > 0 => {
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
                isolates = 0;
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
