//! Where a link leads, and what it says about that.

use autoshare_core::document::RemovedKind;

use super::page::Page;

/// Bytes of a target that are shown at most.
const MAX_SHOWN: usize = 500;

/// A link, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The text says where it leads, or it leads nowhere else.
    Same,
    /// This is where it leads.
    Elsewhere(String),
    /// This is where it leads, and its text names another host.
    Misleading(String),
    /// It runs a program, or is a document of its own.
    Active,
}

/// Judges a link by what is shown and where it leads.
pub(crate) fn judge(shown: &str, href: &str) -> Target {
    // Browsers drop these wherever they stand.
    let href: String = href.trim().chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    let href = href.trim_start_matches(|c: char| c <= ' ');
    if href.is_empty() || href.starts_with('#') {
        return Target::Same;
    }
    if is_active(href) {
        return Target::Active;
    }
    let target = bounded(href);
    let shown = shown.trim();
    let leads = host(href);
    if let Some(leads) = &leads {
        let other = |word: &str| named_host(word).is_some_and(|named| !is_related(&named, leads));
        if shown.split_whitespace().any(other) {
            return Target::Misleading(target);
        }
    }
    if same(shown, href) { Target::Same } else { Target::Elsewhere(target) }
}

/// Ends a link whose text stands on the page from `at` on: says where it leads, or that it is not what it says.
pub(crate) fn finish(page: &mut Page, at: usize, href: &str) {
    let shown = page.since(at);
    match judge(shown, href) {
        Target::Same => {}
        Target::Elsewhere(target) => {
            let space = if shown.is_empty() { "" } else { " " };
            page.raw(&format!("{space}({target})"));
        }
        Target::Misleading(target) => {
            let shown = page.take_back(at);
            page.removed(RemovedKind::MisleadingLink, &shown);
            let lead = shown.len() - shown.trim_start().len();
            page.raw(&format!("{}({target})", shown.get(..lead).unwrap_or_default()));
        }
        Target::Active => page.removed(RemovedKind::ActiveLink, href),
    }
}

/// Whether following it would run or show something that came with it.
pub(crate) fn is_active(href: &str) -> bool {
    let scheme: String = href
        .split(':')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| *c > ' ')
        .collect::<String>()
        .to_ascii_lowercase();
    href.contains(':')
        && matches!(scheme.as_str(), "javascript" | "vbscript" | "data" | "blob" | "livescript" | "mocha")
}

/// Whether it is fetched from elsewhere.
pub(crate) fn is_remote(href: &str) -> bool {
    let href = href.trim().to_ascii_lowercase();
    href.starts_with("//") || href.starts_with("\\\\") || scheme(&href).is_some_and(|scheme| scheme != "data")
}

fn scheme(href: &str) -> Option<&str> {
    let (scheme, _) = href.split_once(':')?;
    let letters = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (letters && scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.len() > 1).then_some(scheme)
}

/// The host of a web address, in small letters.
fn host(href: &str) -> Option<String> {
    let lower = href.to_ascii_lowercase().replace('\\', "/");
    let rest = match scheme(&lower) {
        Some(scheme @ ("http" | "https" | "ftp")) => lower.get(scheme.len() + 1..)?.trim_start_matches('/'),
        Some(_) => return None,
        None => lower.strip_prefix("//")?,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = host.split(':').next()?.trim_end_matches('.');
    (!host.is_empty()).then(|| host.to_owned())
}

/// Endings by which a bare word is taken for the name of a host; `README.md` and `Node.js` are none.
const ENDINGS: &[&str] =
    &["com", "org", "net", "gov", "edu", "io", "info", "biz", "bank", "app", "dev", "eu", "uk", "de"];

/// The host that a word names.
fn named_host(word: &str) -> Option<String> {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/');
    if word.contains("://") {
        return host(word);
    }
    let first = word.split(['/', '?', '#', ':']).next()?.to_ascii_lowercase();
    if first.contains('@') || !first.contains('.') || first.contains("..") {
        return None;
    }
    let ending = first.rsplit('.').next()?;
    (first.starts_with("www.") || ENDINGS.contains(&ending)).then_some(first)
}

/// Whether one is the other, or lies in its domain.
fn is_related(one: &str, two: &str) -> bool {
    let (one, two) = (one.trim_start_matches("www."), two.trim_start_matches("www."));
    let within = |inner: &str, outer: &str| inner.strip_suffix(outer).is_some_and(|rest| rest.ends_with('.'));
    one == two || within(one, two) || within(two, one)
}

fn same(shown: &str, href: &str) -> bool {
    let bare = |text: &str| {
        let text = text.trim().trim_end_matches('/');
        let lower = text.to_ascii_lowercase();
        let cut = ["https://", "http://", "mailto:", "tel:"].iter().find(|scheme| lower.starts_with(**scheme));
        text.get(cut.map_or(0, |scheme| scheme.len())..).unwrap_or_default().trim_start_matches("www.").to_owned()
    };
    bare(shown) == bare(href)
}

fn bounded(href: &str) -> String {
    let kept = href.floor_char_boundary(MAX_SHOWN);
    let more = if kept < href.len() { "…" } else { "" };
    format!("{}{more}", href.get(..kept).unwrap_or_default())
}
