//! One spelling for texts that mean the same: case, white space, Unicode, and the ways to write a number, a date or an
//! address.

use std::collections::BTreeSet;

/// Bytes of a value beyond which it has only the spelling it has: no number or address is longer.
const MAX_SPELT: usize = 300;

/// The text in Unicode's compatibility form (UAX #15, NFKC), in lower case, runs of white space as one blank.
pub(crate) fn normal(text: &str) -> String {
    if text.is_ascii() {
        return collapse(text);
    }
    let composed = icu_normalizer::ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    collapse(&composed.to_lowercase())
}

fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() {
            gap = !out.is_empty();
            continue;
        }
        if std::mem::take(&mut gap) {
            out.push(' ');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// A person's text with the blank that was forgotten after a sentence ("...at example.com.They said"), which would make
/// one word of two.
pub(crate) fn sentences(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        let ends = matches!(c, '.' | '!' | '?') && (before.is_lowercase() || before.is_ascii_digit());
        if ends && chars.peek().is_some_and(|next| next.is_uppercase()) {
            out.push(' ');
        }
        before = c;
    }
    out
}

/// Where the words of a normal text stand, as byte ranges: runs of letters and digits; in scripts that are written without
/// blanks every character is one.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (start, c) = rest.next()?;
            if is_spaceless(c) {
                return Some((start, start + c.len_utf8()));
            }
            if !is_word(c) {
                continue;
            }
            let mut end = start + c.len_utf8();
            while let Some((at, c)) = rest.next_if(|(_, c)| is_word(*c) && !is_spaceless(*c)) {
                end = at + c.len_utf8();
            }
            return Some((start, end));
        }
    })
}

/// Whether a character is part of a word.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Thai, Lao, Khmer, Myanmar, kana and ideographs.
pub(crate) const fn is_spaceless(c: char) -> bool {
    matches!(c as u32, 0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x9fff | 0x2_0000..=0x3_ffff)
}

/// The ways in which a value may be spelt in a text, normal; the first is its own.
pub(crate) fn spellings(value: &str) -> Vec<String> {
    let own = normal(value);
    let mut forms = vec![own.clone()];
    if own.is_empty() || own.len() > MAX_SPELT {
        return forms;
    }
    forms.extend(address(&own));
    forms.extend(number(&own));
    forms.extend(date(&own));
    let mut seen = BTreeSet::new();
    forms.retain(|form| !form.is_empty() && seen.insert(form.clone()));
    forms
}

/// An address without what does not change where it leads: scheme, final slash, a name before `<...>`.
fn address(own: &str) -> Vec<String> {
    let mut forms = Vec::new();
    let named = own.strip_suffix('>').and_then(|text| text.rsplit_once('<'));
    // A name that could itself be read as an address, or as one of several, is part of whom it reaches.
    let named = named.filter(|(name, _)| !name.contains(['@', ',', ';', '<', '>', ':', '/']));
    let bare = named.map_or(own, |(_, address)| address);
    let bare = bare.strip_prefix("mailto:").unwrap_or(bare);
    let without = bare.strip_prefix("https://").or_else(|| bare.strip_prefix("http://")).unwrap_or(bare);
    let is_address = !without.contains(' ') && (without != own || without.contains(['.', '@']));
    if is_address {
        for form in [bare, without, without.trim_end_matches('/')] {
            forms.push(form.to_owned());
        }
        let plain = without.trim_end_matches('/');
        forms.push(format!("{plain}/"));
        if !plain.contains('@') {
            for scheme in ["https", "http"] {
                forms.extend([format!("{scheme}://{plain}"), format!("{scheme}://{plain}/")]);
            }
        }
    }
    forms
}

/// A number with and without marks of thousands and trailing zeros.
fn number(own: &str) -> Vec<String> {
    let (sign, digits) = own.strip_prefix('-').map_or(("", own), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number =
        !whole.is_empty() && whole.len() <= 15 && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if !is_number {
        return Vec::new();
    }
    let grouped = group(whole);
    let fraction = fraction.trim_end_matches('0');
    let mut forms = Vec::new();
    for whole in [whole, grouped.as_str()] {
        let padded = format!("{fraction:0<2}");
        forms.push(format!("{sign}{whole}.{padded}"));
        if fraction.is_empty() {
            forms.push(format!("{sign}{whole}"));
            forms.push(format!("{sign}{whole}.0"));
        } else {
            forms.push(format!("{sign}{whole}.{fraction}"));
        }
    }
    forms
}

fn group(whole: &str) -> String {
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A day of the calendar in figures and in English words, with what follows it ("t10:00") as it is. Orders of day and
/// month that could be read in two ways are none of them.
fn date(own: &str) -> Vec<String> {
    let (Some(day), rest) = (own.get(..10), own.get(10..).unwrap_or_default()) else { return Vec::new() };
    let parts: Vec<&str> = day.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return Vec::new() };
    let (Ok(number), Ok(in_month)) = (month.parse::<usize>(), day.parse::<u32>()) else { return Vec::new() };
    let Some(name) = number.checked_sub(1).and_then(|at| MONTHS.get(at)) else { return Vec::new() };
    if year.len() != 4 || !(1..=31).contains(&in_month) || !matches!(rest.bytes().next(), None | Some(b't' | b' ')) {
        return Vec::new();
    }
    let ordinal = match in_month {
        1 | 21 | 31 => "st",
        2 | 22 => "nd",
        3 | 23 => "rd",
        _ => "th",
    };
    let short = name.get(..3).unwrap_or(name);
    let mut forms = vec![format!("{year}/{month}/{day}")];
    for name in [name, short] {
        for day in [format!("{in_month}"), format!("{in_month}{ordinal}")] {
            forms.push(format!("{name} {day}, {year}"));
            forms.push(format!("{name} {day} {year}"));
            forms.push(format!("{day} {name} {year}"));
            forms.push(format!("{day} of {name} {year}"));
        }
    }
    let rest = rest.get(1..).unwrap_or_default();
    let time = rest.strip_suffix(":00").filter(|time| time.contains(':')).unwrap_or(rest);
    let plain = format!("{year}-{month}-{day}");
    forms.push(plain);
    if time.is_empty() {
        return forms;
    }
    forms
        .iter()
        .flat_map(|day| [format!("{day} {time}"), format!("{day} at {time}"), format!("{day}t{time}")])
        .collect()
}
