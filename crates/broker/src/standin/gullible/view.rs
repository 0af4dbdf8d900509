//! What a result says: the host's frame off, the file format undone.

mod csv;
mod html;
mod mail;

pub(super) use self::csv::rows;
pub(super) use self::html::page;
pub(super) use self::mail::mail;

/// What the host puts before its own words about an action that was not done.
const NOT_DONE: &str = "Not done:";
/// How a tool's words about a failure begin, in lower case.
const FAILURES: &[&str] = &[
    "no such",
    "there is no",
    "cannot",
    "could not",
    "refused",
    "denied",
    "permission denied",
    "failed",
    "error:",
    "not found",
    "not a ",
    "not valid",
    "over quota",
    "timed out",
    "the kernel denies",
    "the workspace would",
    "the program was interrupted",
    "the cell ",
];
/// How they go on where they begin with the path in quotation marks.
const OF_A_PATH: &[&str] =
    &["is ", "lies ", "leads ", "passes ", "has ", "would ", "exists ", "changed ", "keeps ", ": "];
/// Bytes of a failure's words at most: a longer text that begins so is a document.
const MAX_FAILURE: usize = 500;

/// Why the action was not done, on one line; `None` if it was, as far as the words tell.
pub(super) fn failure(text: &str) -> Option<String> {
    let short = |text: &str| super::note::cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), 240);
    if !framed(text)
        && let Some(why) = text.trim_start().strip_prefix(NOT_DONE)
    {
        return Some(short(why));
    }
    let body = unframed(text);
    let lower = body.trim_start().to_lowercase();
    let fails = body.len() <= MAX_FAILURE && body.trim().lines().count() <= 3;
    let of_a_path =
        lower.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"')).is_some_and(|(_, rest)| {
            OF_A_PATH.iter().any(|word| rest.trim_start().starts_with(word.trim_end()) && rest.starts_with([' ', ':']))
        });
    let begins = FAILURES.iter().any(|start| lower.trim_start().starts_with(start));
    (fails && (of_a_path || begins)).then(|| short(&body))
}

/// Lines at the end of a program's result among which the host says how it ended.
const LAST_LINES: usize = 3;

/// Why a program did not do what it was run for; `None` if it did, as far as its exit status tells.
pub(super) fn unsuccessful(text: &str) -> Option<String> {
    if !framed(text)
        && let Some(why) = text.trim_start().strip_prefix(NOT_DONE)
    {
        return Some(super::note::cut(&why.split_whitespace().collect::<Vec<_>>().join(" "), 240));
    }
    let body = unframed(text);
    let said = |line: &&str| line.starts_with('[') && line.ends_with(']');
    let last: Vec<&str> = body.lines().rev().filter(|line| !line.trim().is_empty()).take(LAST_LINES).collect();
    if last.iter().any(|line| line.starts_with("[exit status 0,")) {
        return None;
    }
    let said = last.iter().rev().find(|line| said(line)).map(|line| line.trim_matches(['[', ']']).to_owned());
    // What runs in the background has no status yet.
    said.or_else(|| failure(text))
}

/// The lines of the host's frame: `[data MARK from "..."]` and `[end of data MARK]`, or between `<<` and `>>`.
fn is_mark(line: &str) -> bool {
    let line = line.trim();
    let square = (line.starts_with("[data ") || line.starts_with("[end of data ")) && line.ends_with(']');
    square || (line.starts_with("<<") && line.ends_with(">>"))
}

/// How many paths a list says that it leaves out: `(12 more paths; ...)`.
pub(super) fn more(body: &str) -> usize {
    let count = |line: &str| {
        let (number, rest) = line.trim().strip_prefix('(')?.split_once(' ')?;
        rest.starts_with("more ").then(|| number.parse().ok()).flatten()
    };
    body.lines().filter_map(count).next().unwrap_or(0)
}

/// Whether a result bears the frame of data.
pub(super) fn framed(text: &str) -> bool {
    text.lines().any(is_mark)
}

/// The content of a result without the lines of its frame and without a prefix that all its lines bear.
pub(super) fn unframed(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !is_mark(line)).collect();
    let bears = |prefix: &str| lines.iter().all(|line| line.starts_with(prefix) || *line == prefix.trim_end());
    let prefix = ["| ", "│ ", "> "].into_iter().find(|prefix| lines.len() > 1 && framed(text) && bears(prefix));
    let bare = |line: &&str| prefix.map_or(*line, |p| line.strip_prefix(p).unwrap_or_default()).to_owned();
    lines.iter().map(bare).collect::<Vec<_>>().join("\n")
}

/// The files that a list of paths names, a path a line, sorted, each once. What follows a tab or two spaces is passed
/// over, as are directories and words that are no paths.
pub(super) fn paths(body: &str, folder: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for line in body.lines() {
        let line = line.split('\t').next().unwrap_or(line);
        let line = line.trim().split("  ").next().unwrap_or_default();
        let path = super::memory::plain(line.trim());
        let extended = path.rsplit_once('.').is_some_and(|(stem, end)| {
            !stem.is_empty() && (1..=8).contains(&end.len()) && end.chars().all(char::is_alphanumeric)
        });
        let words = path.split(' ').count();
        let no_path = path.is_empty() || path.ends_with(['/', ':']) || path.starts_with(['(', '[']);
        if no_path || (words > 1 && !(extended && words <= 8)) {
            continue;
        }
        let below = folder.is_empty() || path.starts_with(&format!("{folder}/"));
        paths.push(if below { path.to_owned() } else { format!("{folder}/{path}") });
    }
    paths.sort();
    paths.dedup();
    paths
}

/// What kind of document a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Mail,
    Html,
    Csv,
    Text,
}

impl Format {
    pub(super) fn of(path: &str) -> Self {
        let end = path.rsplit_once('.').map(|(_, end)| end.to_lowercase()).unwrap_or_default();
        match end.as_str() {
            "eml" | "mbox" => Self::Mail,
            "html" | "htm" | "xhtml" => Self::Html,
            "csv" | "tsv" => Self::Csv,
            _ => Self::Text,
        }
    }
}

/// Everything that a document says, seen or hidden, as plain text: the words that are searched for instructions.
pub(super) fn spoken(path: &str, body: &str) -> String {
    match Format::of(path) {
        Format::Mail => mail(body).spoken(),
        Format::Html => page(body).spoken(),
        Format::Csv => rows(body).concat().join("\n\n"),
        Format::Text if body.contains("<!--") || body.contains("</") => page(body).spoken(),
        Format::Text => body.to_owned(),
    }
}
