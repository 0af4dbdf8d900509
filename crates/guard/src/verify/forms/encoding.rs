//! Bytes written as letters and digits: base64, hexadecimal, percent, entities, escapes.

use super::{Form, See, lines};

/// Bytes that a decoded text has at least; less is no sentence.
const SHORTEST: usize = 12;
/// Characters that are written in a code before a line is decoded.
const FEWEST: usize = 4;

pub(super) fn find(text: &str, see: See<'_>) {
    base64(text, see);
    hex(text, see);
    for (start, line) in lines(text) {
        let mut coded = |form, sign: &str, one: fn(&str) -> Option<(char, usize)>| {
            if line.contains(sign)
                && let Some(decoded) = unescape(line, sign, one)
            {
                see(form, start..start + line.len(), &decoded);
            }
        };
        coded(Form::HtmlEntities, "&", entity);
        coded(Form::Escapes, "\\", escape);
        if line.contains('%') {
            percent(start, line, see);
        }
    }
}

/// The text with every code replaced that `one` understands (character and bytes it takes); `None` if there are few.
fn unescape(line: &str, sign: &str, one: fn(&str) -> Option<(char, usize)>) -> Option<String> {
    let mut out = String::with_capacity(line.len());
    let (mut rest, mut count) = (line, 0);
    while let Some((before, from)) = rest.find(sign).and_then(|at| rest.split_at_checked(at)) {
        out.push_str(before);
        let (c, taken) = one(from).unwrap_or((sign.chars().next()?, 0));
        out.push(c);
        count += usize::from(taken > 0);
        rest = from.get(taken.max(sign.len())..)?;
    }
    out.push_str(rest);
    (count >= FEWEST).then_some(out)
}

/// `&#105;`, `&#x69;`, and the named ones that text is made of.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    let c = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" | "Tab" | "NewLine" => ' ',
        "comma" => ',',
        "period" => '.',
        "colon" => ':',
        _ => {
            let number = name.strip_prefix('#')?;
            let hex = number.strip_prefix(['x', 'X']).map(|hex| u32::from_str_radix(hex, 16));
            char::from_u32(hex.unwrap_or_else(|| number.parse()).ok()?)?
        }
    };
    Some((c, end + 1))
}

/// `\u0069`, `\u{69}`, `\x69`.
fn escape(text: &str) -> Option<(char, usize)> {
    let (digits, taken) = match text.as_bytes().get(1)? {
        b'u' if text.as_bytes().get(2) == Some(&b'{') => {
            let end = text.bytes().take(11).position(|byte| byte == b'}')?;
            (text.get(3..end)?, end + 1)
        }
        b'u' => (text.get(2..6)?, 6),
        b'x' => (text.get(2..4)?, 4),
        _ => return None,
    };
    Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, taken))
}

/// Runs without white space that hold `%69`; a plus is a space there.
fn percent(offset: usize, line: &str, see: See<'_>) {
    let mut at = 0;
    for run in line.split_inclusive(char::is_whitespace) {
        let start = offset + at;
        at += run.len();
        if run.bytes().filter(|byte| *byte == b'%').count() < FEWEST {
            continue;
        }
        let mut out = Vec::with_capacity(run.len());
        let mut bytes = run.bytes();
        while let Some(byte) = bytes.next() {
            let mut ahead = bytes.clone();
            let pair = ahead.next().zip(ahead.next()).and_then(|(high, low)| Some(digit(high)? << 4 | digit(low)?));
            match (byte, pair) {
                (b'%', Some(value)) => {
                    out.push(value);
                    bytes = ahead;
                }
                (b'+', _) => out.push(b' '),
                _ => out.push(byte),
            }
        }
        if let Some(decoded) = readable(out) {
            see(Form::UrlEncoded, start..start + run.len(), &decoded);
        }
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Runs of base64, plain or for URLs, in one line or wrapped.
fn base64(text: &str, see: See<'_>) {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let length = rest.iter().take_while(|byte| value(**byte).is_some()).count();
        if length * 3 / 4 < SHORTEST {
            at += length + 1;
            continue;
        }
        // A wrapped block goes on in the next line where that is as long, or ends it.
        let mut end = at + length;
        while let Some(wrapped) = Some(length).filter(|length| *length >= 40) {
            let next = bytes.get(end..).unwrap_or_default();
            let gap = next.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            let more = next.iter().skip(gap).take_while(|byte| value(**byte).is_some()).count();
            if !(1..=2).contains(&gap) || more == 0 || more > wrapped {
                break;
            }
            end += gap + more;
        }
        let (mut out, mut bits, mut held) = (Vec::with_capacity((end - at) * 3 / 4), 0_u32, 0);
        for value in bytes.get(at..end).unwrap_or_default().iter().filter_map(|byte| value(*byte)) {
            bits = bits << 6 | u32::from(value);
            held += 6;
            if held >= 8 {
                held -= 8;
                out.push((bits >> held) as u8);
            }
        }
        if let Some(decoded) = readable(out) {
            see(Form::Base64, at..end, &decoded);
        }
        at = end + 1;
    }
}

/// Pairs of hexadecimal digits: `49676e`, `49 67 6e`, `0x49, 0x67`, `49:67`.
fn hex(text: &str, see: See<'_>) {
    let bytes = text.as_bytes();
    let pair = |at: usize| Some(digit(*bytes.get(at)?)? << 4 | digit(*bytes.get(at + 1)?)?);
    let mut at = 0;
    while at < bytes.len() {
        if pair(at).is_none() {
            at += 1;
            continue;
        }
        let (start, mut end, mut out) = (at, at, Vec::new());
        while let Some(value) = pair(at) {
            out.push(value);
            end = at + 2;
            let after = bytes.get(end..).unwrap_or_default();
            let gap = [&b", 0x"[..], b",0x", b" 0x", b"0x", b", ", b" ", b":", b"-", b","];
            at = end + gap.iter().find(|gap| after.starts_with(gap)).map_or(0, |gap| gap.len());
        }
        if out.len() >= SHORTEST
            && let Some(decoded) = readable(out)
        {
            see(Form::Hex, start..end, &decoded);
        }
        at = end;
    }
}

/// The bytes as text, if they are some: UTF-8, hardly anything but letters and what stands between them.
fn readable(mut bytes: Vec<u8>) -> Option<String> {
    // An odd end is no reason not to look at the rest.
    if let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        bytes.truncate(error.valid_up_to());
    }
    let text = String::from_utf8(bytes).ok()?;
    let all = text.chars().count();
    let letters = text.chars().filter(|c| c.is_alphabetic() || matches!(c, ' ' | '\n')).count();
    let control = text.chars().any(|c| c.is_control() && !c.is_whitespace());
    (text.len() >= SHORTEST && !control && letters * 4 >= all * 3).then_some(text)
}
