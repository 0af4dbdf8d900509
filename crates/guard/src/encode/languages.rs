//! Text inside a language: as a value there, and as nothing else.

use super::terminal;
use crate::unicode::{is_bidi_mark, is_bidi_run, is_invisible, is_tag};

/// Text for HTML, between tags or in a quoted attribute: what [`terminal`] shows, with `& < > " ' =` and the grave
/// accent as character references. Not for within `script`, `style` or a URL.
#[must_use]
pub fn html(text: &str) -> String {
    let shown = terminal(text);
    let mut out = String::with_capacity(shown.len() + shown.len() / 8);
    for c in shown.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '`' => out.push_str("&#96;"),
            '=' => out.push_str("&#61;"),
            c => out.push(c),
        }
    }
    out
}

/// Text for Markdown (CommonMark and GitHub's): what [`terminal`] shows, as words and line breaks. No markup, no HTML,
/// no link, not even one that a renderer would make of a bare address.
#[must_use]
pub fn markdown(text: &str) -> String {
    let shown = terminal(text);
    let mut out = String::with_capacity(shown.len() + shown.len() / 4);
    let mut lines = shown.split('\n').peekable();
    while let Some(line) = lines.next() {
        // White space around a line would be dropped, or make a block of code.
        let inner = line.trim_matches([' ', '\t']);
        let lead = line.len() - line.trim_start_matches([' ', '\t']).len();
        let (before, after) =
            (line.get(..lead).unwrap_or_default(), line.get(lead + inner.len()..).unwrap_or_default());
        let blank = |out: &mut String, spaces: &str| {
            spaces.chars().for_each(|c| out.push_str(if c == '\t' { "&#9;" } else { "&#32;" }));
        };
        blank(&mut out, before);
        for c in inner.chars() {
            if c.is_ascii_punctuation() {
                out.push('\\');
            }
            out.push(c);
        }
        blank(&mut out, after);
        match lines.peek() {
            None => {}
            // At the end of a paragraph the sign of a break would be read as itself.
            Some(next) if line.is_empty() || next.is_empty() => out.push('\n'),
            Some(_) => out.push_str("\\\n"),
        }
    }
    out
}

/// Text as a string of JSON, quotes included. A parser gives back exactly the text. What acts on a terminal, on the
/// order of reading or in HTML, and what is invisible, is written as `\u....`.
#[must_use]
pub fn json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2 + text.len() / 16);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if matches!(c, '<' | '>' | '&' | '\'' | '\u{2028}' | '\u{2029}')
                || c.is_control()
                || is_bidi_run(c)
                || is_bidi_mark(c)
                || is_invisible(c)
                || is_tag(c) =>
            {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Text as one field of CSV (RFC 4180), always in quotes: what [`terminal`] shows. Where a spreadsheet would take it for
/// a formula, an apostrophe stands before it; a plain number stays a number.
///
/// This also holds where a spreadsheet parts fields by semicolons or tabs, and takes what follows one for a field.
#[must_use]
pub fn csv_field(text: &str) -> String {
    let shown = terminal(text);
    let mut out = String::with_capacity(shown.len() + 3);
    out.push('"');
    let mut begins = true;
    for (at, c) in shown.char_indices() {
        if begins && is_formula_sign(c) && !is_number(shown.get(at..).unwrap_or_default()) {
            out.push('\'');
        }
        if c == '"' {
            out.push('"');
        }
        out.push(c);
        // A field still begins after spaces, and after a quote that was doubled.
        begins = matches!(c, ';' | '\t' | '\n' | '|') || begins && (c.is_whitespace() || c == '"');
    }
    out.push('"');
    out
}

/// What a formula begins with, full-width forms included.
const fn is_formula_sign(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '%' | '\u{FF1D}' | '\u{FF0B}' | '\u{FF0D}' | '\u{FF20}' | '\u{2212}')
}

/// Whether the rest is a number with its sign, and nothing else.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or("x");
    digits.len() <= 32
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','))
}

/// Text as one word of a POSIX shell: in single quotes, in which nothing has a meaning. The word is the text, without
/// NUL, which no argument can hold. A word that begins with `-` may still be taken for an option: put `--` before it.
///
/// For a script. What is pasted into a shell that listens to a terminal passes [`terminal`] first.
#[must_use]
pub fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "'\\''"))
}

/// Text as a literal of standard SQL (SQLite, PostgreSQL as it is set up by default): in single quotes, those in it
/// doubled. The literal is the text, without NUL, at which some parsers end. Where a backslash escapes (MySQL by
/// default), it is no safe literal; wherever parameters can be bound, bind them.
#[must_use]
pub fn sql_literal(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}

/// Text as the value of an HTTP header: visible ASCII and single spaces within; everything else, and `%`, as `%XX` of
/// its UTF-8 (RFC 8187's form), so that decoding gives back exactly the text.
#[must_use]
pub fn header_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let inner_space = byte == b' ' && !out.is_empty() && !out.ends_with(' ') && bytes.peek().is_some();
        if (byte.is_ascii_graphic() && byte != b'%') || inner_space {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
