//! What a document is, by its content.

use autoshare_core::document::{Format, Hint, ReadRefusal};

/// Bytes that are looked at.
const HEAD: usize = 4096;

/// Beginnings by which files are known that nobody here reads.
#[rustfmt::skip]
const OTHERS: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"), (b"RIFF", "image/webp"),
    (b"\x7fELF", "application/x-executable"), (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\x1f\x8b", "application/gzip"), (b"BZh", "application/x-bzip2"), (b"\xfd7zXZ\0", "application/x-xz"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"), (b"Rar!", "application/vnd.rar"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"), (b"\0asm", "application/wasm"), (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"), (b"fLaC", "audio/flac"), (b"\x1a\x45\xdf\xa3", "video/webm"),
];

/// What a document is.
///
/// # Errors
/// [`ReadRefusal::Unknown`].
pub(crate) fn format(bytes: &[u8], hint: &Hint) -> Result<Format, ReadRefusal> {
    let head = bytes.get(..bytes.len().min(HEAD)).unwrap_or_default();
    // A reader of PDF takes a header within the first 1024 bytes, so anything may stand before it.
    if head.get(..head.len().min(1024)).is_some_and(|head| memchr::memmem::find(head, b"%PDF-").is_some()) {
        return Ok(Format::Pdf);
    }
    if head.starts_with(b"PK\x03\x04") {
        return archive(bytes);
    }
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(ReadRefusal::Unknown { what: (*what).to_owned() });
    }
    let wide = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || claims_wide(hint);
    if !wide && head.contains(&0) {
        return Err(ReadRefusal::Unknown { what: "application/octet-stream".to_owned() });
    }
    let text = String::from_utf8_lossy(head);
    let text = if wide { text.replace('\0', "") } else { text.into_owned() };
    let text = text.trim_start_matches(['\u{feff}', '\u{fffd}']);
    Ok(match claimed(hint) {
        // Only who calls it a page or a mail makes a page or a mail of any text.
        Some(Format::Html) => Format::Html,
        Some(Format::Mail) if is_mail(text) => Format::Mail,
        // Markdown may begin with a tag, but is no whole page.
        Some(Format::Markdown) if !is_html(text, PAGE) => Format::Markdown,
        _ if is_html(text, TAGS) => Format::Html,
        // Source code and the like begin with lines that look like headers.
        None if is_mail(text) => Format::Mail,
        _ => Format::Text,
    })
}

/// What it was claimed to be, if its content is something else.
pub(crate) fn mismatch(format: Format, hint: &Hint) -> Option<String> {
    let mime = hint.mime.as_deref().map(|mime| mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let vague = |mime: &String| {
        matches!(mime.as_str(), "" | "application/octet-stream" | "binary/octet-stream" | "application/zip")
            || (format == Format::Text && (mime.starts_with("text/") || is_textual(mime)))
    };
    if let Some(mime) = mime.filter(|mime| !vague(mime)) {
        return (by_mime(&mime) != Some(format)).then_some(mime);
    }
    let ending =
        hint.name.as_deref().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    let ending = ending?;
    by_ending(&ending).filter(|claimed| *claimed != format).map(|_| format!(".{ending}"))
}

fn is_textual(mime: &str) -> bool {
    let known = ["json", "xml", "yaml", "toml", "javascript", "x-sh", "sql", "x-ndjson"];
    mime.strip_prefix("application/").is_some_and(|kind| known.iter().any(|known| kind.ends_with(known)))
}

fn claims_wide(hint: &Hint) -> bool {
    hint.mime.as_deref().is_some_and(|mime| mime.to_ascii_lowercase().contains("charset=utf-16"))
}

fn claimed(hint: &Hint) -> Option<Format> {
    let mime = hint.mime.as_deref().map(|mime| mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let by_name = || by_ending(&hint.name.as_deref()?.rsplit_once('.')?.1.to_ascii_lowercase());
    match mime.as_deref() {
        Some("text/plain") => by_name().or(Some(Format::Text)),
        Some(mime) => by_mime(mime).or_else(by_name).or_else(|| mime.starts_with("text/").then_some(Format::Text)),
        None => by_name(),
    }
}

fn by_mime(mime: &str) -> Option<Format> {
    Some(match mime {
        "text/plain" => Format::Text,
        "text/html" | "application/xhtml+xml" => Format::Html,
        "text/markdown" | "text/x-markdown" => Format::Markdown,
        "message/rfc822" => Format::Mail,
        "application/pdf" => Format::Pdf,
        mime if mime.starts_with("application/vnd.oasis.opendocument") => Format::OpenDocument,
        mime => [Format::Docx, Format::Xlsx, Format::Pptx].into_iter().find(|format| format.mime() == mime)?,
    })
}

fn by_ending(ending: &str) -> Option<Format> {
    Some(match ending {
        "txt" | "log" | "csv" | "tsv" | "json" | "xml" | "yaml" | "yml" | "toml" | "rs" | "py" | "js" | "ts" | "c"
        | "h" | "cpp" | "go" | "java" | "sh" | "sql" | "css" | "ini" | "cfg" | "diff" | "patch" => Format::Text,
        "html" | "htm" | "xhtml" => Format::Html,
        "md" | "markdown" | "mdown" | "mkd" => Format::Markdown,
        "eml" => Format::Mail,
        "docx" | "docm" => Format::Docx,
        "xlsx" | "xlsm" => Format::Xlsx,
        "pptx" | "pptm" => Format::Pptx,
        "odt" | "ods" | "odp" => Format::OpenDocument,
        "pdf" => Format::Pdf,
        _ => return None,
    })
}

/// What is in an archive is told by the names of its first entries, which stand in it as they are.
fn archive(bytes: &[u8]) -> Result<Format, ReadRefusal> {
    let has = |name: &str| memchr::memmem::find(bytes, name.as_bytes()).is_some();
    if has("mimetypeapplication/vnd.oasis.opendocument") {
        return Ok(Format::OpenDocument);
    }
    let known = [("word/", Format::Docx), ("xl/", Format::Xlsx), ("ppt/", Format::Pptx)];
    match known.into_iter().find(|(folder, _)| has("[Content_Types].xml") && has(folder)) {
        Some((_, format)) => Ok(format),
        None => Err(ReadRefusal::Unknown { what: "application/zip".to_owned() }),
    }
}

/// What a whole page begins with.
const PAGE: &[&str] = &["<!doctype html", "<html", "<head"];

/// What HTML begins with, as in the MIME Sniffing Standard.
const TAGS: &[&str] = &[
    "<!doctype html",
    "<html",
    "<head",
    "<script",
    "<iframe",
    "<h1",
    "<div",
    "<font",
    "<table",
    "<a",
    "<style",
    "<title",
    "<b",
    "<body",
    "<br",
    "<p",
];

/// Whether a text begins with one of these tags, comments aside.
fn is_html(text: &str, tags: &[&str]) -> bool {
    let mut rest = text.trim_start();
    while let Some(comment) = rest.strip_prefix("<!--") {
        rest = comment.split_once("-->").map_or("", |(_, after)| after).trim_start();
    }
    let rest = match rest.strip_prefix("<?xml") {
        Some(after) => after.split_once("?>").map_or("", |(_, after)| after).trim_start(),
        None => rest,
    };
    tags.iter().any(|tag| {
        let begins = rest.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag));
        begins && rest.as_bytes().get(tag.len()).is_some_and(|b| b.is_ascii_whitespace() || *b == b'>')
    })
}

/// Headers that are those of mails, two at least.
fn is_mail(text: &str) -> bool {
    const HEADERS: &[&str] = &[
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "received",
        "return-path",
        "mime-version",
        "delivered-to",
        "reply-to",
    ];
    let text = if text.starts_with("From ") { text.split_once('\n').map_or("", |(_, rest)| rest) } else { text };
    let mut known = Vec::new();
    for line in text.lines() {
        if line.starts_with([' ', '\t']) && !known.is_empty() {
            continue;
        }
        let Some((name, _)) = line.split_once(':').filter(|(name, _)| !name.is_empty() && !name.contains(' ')) else {
            break;
        };
        if let Some(header) = HEADERS.iter().find(|header| header.eq_ignore_ascii_case(name))
            && !known.contains(header)
        {
            known.push(*header);
        }
    }
    known.contains(&"from") && known.len() >= 2 || known.len() >= 3
}
