//! Bytes to text.

use std::borrow::Cow;

use autoshare_core::document::{Format, Hint};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// How far into a page its own word on its charset is looked for (the HTML Standard says 1024 bytes).
const DECLARED_WITHIN: usize = 1024;

/// The text of these bytes, and the name of the charset that it was converted from, if that was not UTF-8.
///
/// A byte order mark decides; then what was claimed; then what a page says of itself; then UTF-8 if it is that, and
/// else windows-1252, which every byte string is. What no charset explains becomes U+FFFD.
pub(crate) fn decode<'a>(bytes: &'a [u8], hint: &Hint, format: Format) -> (Cow<'a, str>, Option<String>) {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return convert(bytes.get(mark..).unwrap_or_default(), encoding);
    }
    let claimed = hint.mime.as_deref().and_then(|mime| label(mime, "charset="));
    let own = || (format == Format::Html).then(|| declared(bytes)).flatten();
    match claimed.or_else(own) {
        Some(encoding) => convert(bytes, encoding),
        None => match std::str::from_utf8(bytes) {
            Ok(text) => (Cow::Borrowed(text), None),
            // A lone fault in a long text is a fault, and not another charset.
            Err(_) if is_mostly_utf8(bytes) => convert(bytes, UTF_8),
            Err(_) => convert(bytes, WINDOWS_1252),
        },
    }
}

fn convert<'a>(bytes: &'a [u8], encoding: &'static Encoding) -> (Cow<'a, str>, Option<String>) {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    (text, (encoding != UTF_8).then(|| encoding.name().to_owned()))
}

fn is_mostly_utf8(bytes: &[u8]) -> bool {
    let (mut faults, mut letters) = (0usize, 0usize);
    for chunk in bytes.utf8_chunks() {
        faults += usize::from(!chunk.invalid().is_empty());
        letters += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
    }
    faults * 10 < letters
}

/// The charset that follows `before`, such as `charset=`.
fn label(text: &str, before: &str) -> Option<&'static Encoding> {
    let lower = text.to_ascii_lowercase();
    let rest = lower.get(lower.find(before)? + before.len()..)?.trim_start_matches([' ', '"', '\'']);
    let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | ':' | '.')).next()?;
    Encoding::for_label(name.as_bytes())
}

fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..bytes.len().min(DECLARED_WITHIN)).unwrap_or_default();
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let found = head.split("<meta").skip(1).find_map(|meta| label(meta.split('>').next()?, "charset="));
    let found =
        found.or_else(|| head.starts_with("<?xml").then(|| label(head.split("?>").next()?, "encoding=")).flatten());
    // Who can read the declaration as ASCII is not reading UTF-16, whatever it says.
    found.map(|encoding| encoding.output_encoding())
}
