//! Bytes to text, and text to as much of it as fits.

use std::fmt::Write as _;

/// How a file's bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// By byte order mark, else UTF-8, else Latin-1 unless it looks binary.
    Auto,
    /// UTF-8, strictly.
    Utf8,
    /// ISO 8859-1: every byte is a character.
    Latin1,
    /// UTF-16, by byte order mark, else little-endian.
    Utf16,
}

impl Encoding {
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        match name {
            "auto" => Ok(Self::Auto),
            "utf-8" => Ok(Self::Utf8),
            "latin-1" => Ok(Self::Latin1),
            "utf-16" => Ok(Self::Utf16),
            other => Err(format!("the encoding {other:?} is none of auto, utf-8, latin-1 and utf-16")),
        }
    }
}

const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// The text of a file, without its byte order mark, and the charset that it was converted from if nobody had named one; or
/// what is wrong, to be said after the file's name.
pub(crate) fn decode(bytes: &[u8], encoding: Encoding) -> Result<(String, Option<&'static str>), String> {
    let unmarked = bytes.strip_prefix(UTF8_MARK).unwrap_or(bytes);
    let utf8 = || std::str::from_utf8(unmarked).map(str::to_owned);
    let latin1 = || bytes.iter().map(|byte| char::from(*byte)).collect();
    match encoding {
        Encoding::Utf8 => {
            let text = utf8();
            let words = |at| format!("is not UTF-8 (at byte {at}); try encoding latin-1 or utf-16");
            text.map(|text| (text, None)).map_err(|error| words(error.valid_up_to()))
        }
        Encoding::Latin1 => Ok((latin1(), None)),
        Encoding::Utf16 => Ok((utf16(bytes)?, None)),
        Encoding::Auto => {
            if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
                return Ok((utf16(bytes)?, Some("utf-16")));
            }
            if bytes.contains(&0) {
                return Err("is binary (it holds NUL bytes), not text; its name says more than its bytes".to_owned());
            }
            Ok(utf8().map_or_else(|_| (latin1(), Some("latin-1")), |text| (text, None)))
        }
    }
}

fn utf16(bytes: &[u8]) -> Result<String, String> {
    let big = bytes.starts_with(&[0xfe, 0xff]);
    let marked = big || bytes.starts_with(&[0xff, 0xfe]);
    let (pairs, odd) = bytes.get(if marked { 2 } else { 0 }..).unwrap_or_default().as_chunks::<2>();
    if !odd.is_empty() {
        return Err("is not UTF-16 (an odd number of bytes); try encoding auto".to_owned());
    }
    let units = pairs.iter().map(|pair| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) });
    char::decode_utf16(units)
        .collect::<Result<String, _>>()
        .map_err(|_| "is not UTF-16 (a surrogate stands alone); try encoding auto".to_owned())
}

/// Which lines are wanted, and how many bytes of them fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// The first line, from 1.
    pub(crate) offset: u64,
    /// Lines at most.
    pub(crate) limit: u64,
    /// Bytes at most, the closing note included.
    pub(crate) max: usize,
}

/// Room that is kept for the closing note.
const NOTE: usize = 160;

/// The lines of a window. If it does not reach the end, a last line says so and how to go on.
pub(crate) fn window(text: &str, wanted: &Window) -> Result<String, String> {
    let lines = text.split_inclusive('\n').count() as u64;
    if wanted.offset > lines.max(1) {
        return Err(format!("the file has {lines} lines; offset {} lies behind its end", wanted.offset));
    }
    let (mut out, mut next) = (String::new(), wanted.offset);
    let skip = usize::try_from(wanted.offset.saturating_sub(1)).unwrap_or(usize::MAX);
    let all = wanted.offset == 1 && lines <= wanted.limit && text.len() <= wanted.max;
    let room = if all { wanted.max } else { wanted.max.saturating_sub(NOTE) };
    let mut cut = "";
    for line in text.split_inclusive('\n').skip(skip).take(usize::try_from(wanted.limit).unwrap_or(usize::MAX)) {
        if out.len() + line.len() > room {
            if out.is_empty() {
                out.push_str(head(line, room));
                cut = "; this line is too long to be shown whole";
                next += 1;
            }
            break;
        }
        out.push_str(line);
        next += 1;
    }
    if next <= lines || !cut.is_empty() {
        if !out.ends_with('\n') {
            out.push('\n');
        }
        let (first, last) = (wanted.offset, next.saturating_sub(1));
        let _infallible = write!(out, "[lines {first} to {last} of {lines}{cut}");
        out.push_str(&if next <= lines { format!("; go on with offset {next}]") } else { "]".to_owned() });
    }
    Ok(out)
}

/// At most `max` bytes of a text's beginning and end, with a line between them that says what is left out. The line
/// itself is kept even where `max` has no room for it.
pub(crate) fn head_and_tail(text: &str, max: usize, note: &str) -> String {
    let between = format!("\n[only the beginning and the end of {} bytes are shown; {note}]\n", text.len());
    let room = max.saturating_sub(between.len());
    let tail_room = room / 3;
    format!("{}{between}{}", head(text, room - tail_room), tail(text, tail_room))
}

fn head(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default()
}

fn tail(text: &str, max: usize) -> &str {
    text.get(text.ceil_char_boundary(text.len().saturating_sub(max))..).unwrap_or_default()
}
