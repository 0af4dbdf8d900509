//! Mails as files (RFC 5322), with the transfer encodings of RFC 2045 and simple multipart bodies.

use super::html::page;

/// Parts within parts, at most.
const MAX_DEPTH: usize = 4;

/// A mail taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Mail {
    /// Names and values, unfolded.
    headers: Vec<(String, String)>,
    /// What a reader sees.
    pub(in super::super) body: String,
    /// What stands in parts and places that a reader does not see.
    hidden: String,
}

impl Mail {
    /// A header's value.
    pub(in super::super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.as_str())
    }

    /// Everything that it says.
    pub(in super::super) fn spoken(&self) -> String {
        let headers: Vec<&str> = self.headers.iter().map(|(_, value)| value.as_str()).collect();
        format!("{}\n\n{}\n\n{}", headers.join("\n\n"), self.body, self.hidden)
    }
}

pub(in super::super) fn mail(text: &str) -> Mail {
    let (headers, body) = split(text);
    let mut mail = Mail { headers, body: String::new(), hidden: String::new() };
    let kind = mail.header("Content-Type").to_owned();
    let encoding = mail.header("Content-Transfer-Encoding").to_owned();
    part(&kind, &encoding, body, 0, &mut mail);
    mail
}

/// Headers and body. A text that does not begin with a header is all body.
fn split(text: &str) -> (Vec<(String, String)>, &str) {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut rest = text;
    loop {
        let (line, next) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            return (headers, next);
        }
        if line.starts_with([' ', '\t']) {
            let Some(last) = headers.last_mut() else { return (headers, rest) };
            last.1.push(' ');
            last.1.push_str(line.trim());
        } else {
            let header =
                line.split_once(':').filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace));
            let Some((name, value)) = header else { return (headers, rest) };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        rest = next;
    }
}

fn part(kind: &str, encoding: &str, body: &str, depth: usize, mail: &mut Mail) {
    let lower = kind.to_lowercase();
    let boundary = lower.find("boundary=").and_then(|at| kind.get(at + 9..));
    let boundary = boundary.and_then(|rest| rest.trim_start_matches('"').split(['"', ';']).next()).map(str::trim);
    if let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty() && depth < MAX_DEPTH) {
        for inner in body.split(&format!("--{boundary}")).skip(1).filter(|inner| !inner.starts_with("--")) {
            let (headers, body) = split(inner.trim_start_matches(['\r', '\n']));
            let header = |name: &str| {
                headers
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name))
                    .map_or("", |(_, value)| value.as_str())
            };
            part(header("Content-Type"), header("Content-Transfer-Encoding"), body, depth + 1, mail);
        }
        return;
    }
    let decoded = match encoding.trim().to_lowercase().as_str() {
        "quoted-printable" => quoted_printable(body),
        "base64" => base64(body).unwrap_or_else(|| body.to_owned()),
        _ => body.to_owned(),
    };
    let is_html = lower.starts_with("text/html") || decoded.contains("<!--") || decoded.contains("</");
    let hidden = if is_html {
        let page = page(&decoded);
        if mail.body.trim().is_empty() {
            mail.body.clone_from(&page.text);
        }
        page.spoken()
    } else if lower.is_empty() || lower.starts_with("text/") {
        let first = mail.body.trim().is_empty();
        if first {
            mail.body = decoded;
            String::new()
        } else {
            decoded
        }
    } else {
        String::new()
    };
    mail.hidden.push_str("\n\n");
    mail.hidden.push_str(&hidden);
}

fn quoted_printable(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let joined = text.replace("=\r\n", "").replace("=\n", "");
    let mut rest = joined.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = (*byte == b'=').then(|| after.get(..2)).flatten();
        let value = hex.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value {
            Some(value) => {
                bytes.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn base64(text: &str) -> Option<String> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap_or_default());
        }
    }
    String::from_utf8(bytes).ok()
}
