//! What counts as a concrete path or destination.

use super::tokens::{Token, TokenKind};

/// Endings that make a bare word without a slash a file name. A quoted one may have any.
const ENDINGS: &[&str] = &[
    "md", "txt", "csv", "tsv", "eml", "html", "htm", "json", "toml", "yaml", "yml", "xml", "log", "sh", "py", "rs",
    "js", "ts", "pdf", "doc", "docx", "xls", "xlsx", "ini", "cfg", "conf", "env", "pem", "key", "pub", "pipe", "sql",
    "db", "rtf", "tex", "bak", "zip",
];
/// Words with a slash that are no paths.
const PROSE: &[&str] = &[
    "and/or",
    "either/or",
    "he/she",
    "she/he",
    "his/her",
    "n/a",
    "w/o",
    "yes/no",
    "on/off",
    "true/false",
    "input/output",
];
const MEDIA: &[&str] = &["text", "application", "image", "multipart", "audio", "video", "message", "font"];
const DOMAINS: &[&str] =
    &["com", "org", "net", "example", "io", "dev", "de", "eu", "uk", "fr", "gov", "edu", "app", "test"];
/// Bytes of a path at most, as the kernel has it.
const MAX: usize = 4_095;

/// The path that a token names.
pub(super) fn path(token: &Token) -> Option<String> {
    let named = match token.kind {
        TokenKind::Stop => false,
        TokenKind::Word => looks_like_path(&token.text),
        TokenKind::Quoted => looks_like_quoted_path(&token.text),
    };
    named.then(|| token.text.trim().to_owned())
}

/// The path, URL or address that a token names.
pub(super) fn destination(token: &Token) -> Option<String> {
    let text = token.text.trim();
    let url = text.contains("://") && !text.contains(char::is_whitespace);
    let address = text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !text.contains(|c: char| c.is_whitespace() || c == '/')
    });
    if token.kind != TokenKind::Stop && (url || address) { Some(text.to_owned()) } else { path(token) }
}

/// Whether a bare word is a path: it has a slash, begins with `~` or a dot, or ends like a file.
pub(in super::super) fn looks_like_path(word: &str) -> bool {
    if word.len() > MAX
        || word.contains("://")
        || word.contains(char::is_control)
        || !word.chars().any(char::is_alphanumeric)
    {
        return false;
    }
    if word.starts_with('/') || word.starts_with("~/") || word.starts_with("./") || word.starts_with("../") {
        return !word.starts_with("//");
    }
    if let Some((first, rest)) = word.split_once('/') {
        let media = MEDIA.contains(&first) && !rest.contains(['.', '/']);
        let host = first.rsplit_once('.').is_some_and(|(name, end)| !name.is_empty() && DOMAINS.contains(&end));
        let named = word.chars().any(char::is_alphabetic) && !word.contains('@');
        let slashes_only = first.is_empty() || rest.is_empty() && !first.chars().any(char::is_alphanumeric);
        return named && !media && !host && !slashes_only && !PROSE.contains(&word.to_lowercase().as_str());
    }
    if let Some(hidden) = word.strip_prefix('.') {
        return hidden.len() >= 2 && hidden.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
    }
    word.rsplit_once('.').is_some_and(|(stem, end)| {
        !stem.is_empty() && !stem.contains('@') && ENDINGS.contains(&end.to_lowercase().as_str())
    })
}

fn looks_like_quoted_path(text: &str) -> bool {
    let text = text.trim();
    let spaces = text.split_whitespace().count();
    if spaces == 0 || spaces > 6 || text.contains('\n') {
        return false;
    }
    if spaces == 1 {
        let any_ending = text.rsplit_once('.').is_some_and(|(stem, end)| {
            let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
            plain(stem)
                && plain(end)
                && end.len() <= 8
                && end.chars().any(char::is_alphabetic)
                && !DOMAINS.contains(&end)
        });
        return looks_like_path(text) || any_ending;
    }
    // With spaces in it, only what plainly begins or ends like one.
    let ends = text.rsplit_once('.').is_some_and(|(_, end)| ENDINGS.contains(&end.to_lowercase().as_str()));
    let begins = text.starts_with('/') || text.starts_with("~/") || text.starts_with("./") || text.starts_with("../");
    !text.contains("://") && !text.starts_with('#') && (ends || begins) && !text.contains('|')
}
