//! The third stage: one function for each place that text is written to. What comes out is inert there.
//!
//! An encoder keeps what the text says and shows what it hides; it does not judge, and it does not shorten except
//! where its result must fit. Use the one for the place, at the last moment, once.

mod languages;
mod prompt;

pub use languages::{csv_field, header_value, html, json_string, markdown, shell_word, sql_literal};
pub use prompt::{datamark, prompt_data};

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

use crate::scan::{Seen, look};
use crate::unicode::{is_invisible, is_joining_script, is_variation_selector};

/// Text for a terminal: nothing in it moves the cursor, changes a colour, a title or the order of reading, or hides.
///
/// Line feeds and tabs stay. Other control characters of ASCII are shown as `\x1b`, everything else that a reader would
/// not see as `<U+202E>`. Joiners and variation selectors stay where they have a meaning, so that Persian, Hindi and
/// emoji look as they should.
#[must_use]
pub fn terminal(text: &str) -> String {
    show(text, |c| matches!(c, '\n' | '\t').then_some(if c == '\n' { "\n" } else { "\t" }))
}

/// [`terminal`] on a single line of at most `width` columns: a line feed is shown as `⏎`, a tab as `\t`, and what is
/// too long ends in `…`. East Asian characters and emoji take two columns.
#[must_use]
pub fn terminal_line(text: &str, width: usize) -> String {
    // A column takes at most a few characters; what lies far beyond cannot be shown and need not be looked at.
    let reach = text.floor_char_boundary(width.saturating_mul(64).saturating_add(64));
    let line = show(text.get(..reach).unwrap_or_default(), |c| match c {
        '\n' => Some("⏎"),
        '\t' => Some("\\t"),
        _ => None,
    });
    fit(line, width, reach < text.len())
}

/// Text for one line of a log: line feeds, tabs and all that [`terminal`] shows are shown as escapes, and a backslash
/// is doubled, so that no text can pretend to be the next line and every line says unambiguously what it was.
#[must_use]
pub fn log_line(text: &str) -> String {
    show(text, |c| match c {
        '\n' => Some("\\n"),
        '\t' => Some("\\t"),
        '\r' => Some("\\r"),
        '\\' => Some("\\\\"),
        _ => None,
    })
}

/// Bytes of a [`file_name`] at most. File systems take 255; the rest is for what the caller puts around it.
pub const MAX_FILE_NAME: usize = 120;

/// A name for one new file, made of any text: letters, digits, `.`, `-`, `_` and inner spaces stay, everything else
/// becomes `_`; at most [`MAX_FILE_NAME`] bytes, an ending of up to 12 bytes kept.
///
/// The result is one path component on every system: never empty, never `.` or `..`, never hidden, never an option
/// (`-rf`), never a device of Windows (`con`, `nul.txt`). Two texts may give the same name.
#[must_use]
pub fn file_name(text: &str) -> String {
    // What is cut off anyway need not be looked at, however long the text is.
    let start = text.get(..text.floor_char_boundary(MAX_FILE_NAME * 4)).unwrap_or_default();
    let end = text.get(text.ceil_char_boundary(text.len().saturating_sub(32))..).unwrap_or_default();
    let ending = (start.len() < text.len()).then(|| end.rsplit_once('.')).flatten().map(|(_, ending)| ending);
    let whole = format!("{start}{}{}", if ending.is_some() { "." } else { "" }, ending.unwrap_or_default());

    let name: String = whole.chars().map(|c| if is_name_char(c) { c } else { '_' }).collect();
    let name = name.trim_start_matches(['.', ' ', '-']).trim_end_matches(['.', ' ']);
    let name = if name.is_empty() { "unnamed" } else { name };
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let device = matches!(stem.as_str(), "con" | "prn" | "aux" | "nul")
        || ["com", "lpt"].iter().any(|port| stem.strip_prefix(port).is_some_and(|n| n.chars().count() == 1));
    if device { shorten_name(&format!("_{name}")) } else { shorten_name(name) }
}

fn is_name_char(c: char) -> bool {
    let letter = c.is_alphanumeric() || is_joining_script(c) || matches!(c, '\u{300}'..='\u{36F}');
    (letter && !is_invisible(c)) || matches!(c, '.' | '-' | '_' | ' ')
}

fn shorten_name(name: &str) -> String {
    if name.len() <= MAX_FILE_NAME {
        return name.to_owned();
    }
    let ending = match name.rsplit_once('.') {
        Some((_, ending)) if (1..=12).contains(&ending.len()) => ending,
        _ => "",
    };
    let room = MAX_FILE_NAME - ending.len() - 1;
    let stem = name.get(..name.floor_char_boundary(room)).unwrap_or_default().trim_end_matches(['.', ' ']);
    if ending.is_empty() { stem.to_owned() } else { format!("{stem}.{ending}") }
}

/// Copies what a reader sees and writes the rest as escapes; `first` answers for a character before any rule does.
fn show(text: &str, first: impl Fn(char) -> Option<&'static str>) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut prev = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let mut bytes = c.len_utf8();
        if let Some(shown) = first(c) {
            out.push_str(shown);
        } else if matches!(c, '\u{2028}' | '\u{2029}') {
            escape(&mut out, c);
        } else {
            match look(prev, c, after) {
                Seen::Kept(kept) => {
                    bytes = kept;
                    out.push_str(rest.get(..kept).unwrap_or_default());
                }
                Seen::Hidden(_) => escape(&mut out, c),
            }
        }
        prev = out.chars().next_back();
        rest = rest.get(bytes..).unwrap_or_default();
    }
    out
}

fn escape(out: &mut String, c: char) {
    // Writing to a String cannot fail.
    let _ = match c {
        '\r' => write!(out, "\\r"),
        c if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)),
        c => write!(out, "<U+{:04X}>", u32::from(c)),
    };
}

/// The line, or as much of it as leaves room for an ellipsis.
fn fit(mut line: String, width: usize, more: bool) -> String {
    let columns = |c: char| c.width().unwrap_or(0);
    let (mut used, mut room_for_mark) = (0usize, 0usize);
    let mut fits = true;
    for (at, c) in line.char_indices() {
        used += columns(c);
        if used > width {
            fits = false;
            break;
        }
        if used < width {
            room_for_mark = at + c.len_utf8();
        }
    }
    if fits && !more {
        return line;
    }
    line.truncate(room_for_mark);
    while line.ends_with(|c| is_invisible(c) || is_variation_selector(c)) {
        line.pop();
    }
    if width > 0 {
        line.push('…');
    }
    line
}
