//! Attacks in every form that the detector decodes, to measure what each is good for.

use crate::verify::Form;

/// Puts a text into a form.
type Encode = fn(&str) -> String;

/// The forms, and how a text is put into each.
pub(crate) const FORMS: &[(Form, Encode)] = &[
    (Form::Plain, str::to_owned),
    (Form::Base64, base64),
    (Form::Hex, |text| text.bytes().map(|byte| format!("{byte:02x}")).collect()),
    (Form::UrlEncoded, |text| text.bytes().map(|byte| format!("%{byte:02X}")).collect()),
    (Form::HtmlEntities, |text| text.chars().map(|c| format!("&#{};", c as u32)).collect()),
    (Form::Escapes, |text| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()),
    (Form::Rot13, |text| text.chars().map(rot13).collect()),
    (Form::Reversed, |text| text.chars().rev().collect()),
    (Form::Skeleton, |text| exchange(text, "aceopx", "асеорх")),
    (Form::Leet, |text| exchange(text, "aeiost", "431057")),
    (Form::Joined, |text| {
        let spaced = |word: &str| word.chars().map(String::from).collect::<Vec<_>>().join(" ");
        text.split_whitespace().map(spaced).collect::<Vec<_>>().join("   ")
    }),
];

fn base64(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| -> String {
        let bits = bytes.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - bytes.len()));
        let letters: String = (0..=bytes.len()).map(|at| char::from(LETTERS[bits >> (18 - 6 * at) & 63])).collect();
        format!("{letters:=<4}")
    };
    text.as_bytes().chunks(3).map(group).collect()
}

fn rot13(c: char) -> char {
    match c {
        'a'..='z' => char::from((c as u8 - b'a' + 13) % 26 + b'a'),
        'A'..='Z' => char::from((c as u8 - b'A' + 13) % 26 + b'A'),
        _ => c,
    }
}

fn exchange(text: &str, from: &str, to: &str) -> String {
    let one = |c: char| from.chars().position(|other| other == c).and_then(|at| to.chars().nth(at)).unwrap_or(c);
    text.chars().map(one).collect()
}
