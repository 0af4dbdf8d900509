//! A text as words, quotations and stops.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum TokenKind {
    Word,
    /// What stands between quotation marks or backticks.
    Quoted,
    /// Punctuation, a bracket, the end of a paragraph.
    Stop,
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Token {
    pub(super) kind: TokenKind,
    /// Without its quotation marks.
    pub(super) text: String,
    /// Bytes; marks included.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it is the first of its line.
    pub(super) line_start: bool,
    pub(super) backticked: bool,
}

impl Token {
    /// What stands between quotation marks, which `at` takes in.
    fn quoted(text: &str, at: std::ops::Range<usize>, line_start: bool, backticked: bool) -> Self {
        Self { kind: TokenKind::Quoted, text: text.to_owned(), start: at.start, end: at.end, line_start, backticked }
    }

    /// Whether it is this word, in any case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.to_lowercase() == word
    }
}

/// Bytes of a quotation at most; without an end in reach its mark is punctuation.
const MAX_QUOTED: usize = 2_000;
/// The same between single quotation marks, which are apostrophes more often than not.
const MAX_SINGLE: usize = 300;
/// What opens and closes a block of code.
pub(super) const FENCE: &str = "```";

/// A text whose lines bear no marks of quoting, lists or comments: what was wrapped reads on.
pub(in super::super) fn normal(text: &str) -> String {
    let mut lines = Vec::new();
    let mut in_fence = false;
    for line in text.lines() {
        let unquoted = line.trim_start_matches(['>', ' ']);
        let opens_or_closes = unquoted.starts_with(FENCE);
        if in_fence && !opens_or_closes {
            // What stands there is to be run as it stands: a comment stays one, and blanks may have a meaning.
            lines.push(line.trim_start_matches("> ").trim_end());
            continue;
        }
        in_fence ^= opens_or_closes && unquoted.matches(FENCE).count() == 1;
        let mut line = line.trim();
        loop {
            let before = line;
            for mark in [">", "|", "│", "// ", "# ", "## ", "### ", "* ", "- ", "-- ", "; ", "• ", "REM "] {
                line = line.strip_prefix(mark).unwrap_or(line).trim_start();
            }
            if line == before {
                break;
            }
        }
        lines.push(line.trim_end_matches([' ', '\t', '\u{a0}']));
    }
    lines.join("\n")
}

/// The tokens of a text, in their order.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut line_start = true;
    let mut breaks = 0usize;
    let mut at = 0;
    let mut last: Option<char> = None;
    while let Some(rest) = text.get(at..) {
        let Some(c) = rest.chars().next() else { break };
        if c.is_whitespace() || is_invisible(c) {
            if c == '\n' {
                breaks += 1;
                line_start = true;
                if breaks == 2 {
                    tokens.push(Token::stop("\n", at, false));
                }
            }
            at += c.len_utf8();
            last = Some(c);
            continue;
        }
        breaks = 0;
        if let Some((inner, len)) = fence(rest) {
            tokens.push(Token::quoted(inner, at..at + len, line_start, true));
            at += len;
            last = Some('`');
        } else if let Some((inner, len)) = quotation(rest, c, last) {
            tokens.push(Token::quoted(inner, at..at + len, line_start, c == '`'));
            at += len;
            last = text.get(..at).and_then(|before| before.chars().next_back());
        } else if is_delimiter(c) {
            tokens.push(Token::stop(&c.to_string(), at, line_start));
            at += c.len_utf8();
            last = Some(c);
        } else {
            let len =
                rest.find(|c: char| c.is_whitespace() || is_delimiter(c) || c == '`').unwrap_or(rest.len()).max(1);
            let run = rest.get(..len).unwrap_or(rest);
            word(run, at, line_start, &mut tokens);
            at += run.len().max(1);
            last = run.chars().next_back();
        }
        line_start = false;
    }
    tokens
}

impl Token {
    fn stop(text: &str, start: usize, line_start: bool) -> Self {
        let end = start + text.len();
        Self { kind: TokenKind::Stop, text: text.to_owned(), start, end, line_start, backticked: false }
    }
}

/// A run of characters as a word, and the punctuation that trails it as a stop. A run without letters or digits is a
/// stop, unless it can be a path.
fn word(run: &str, at: usize, line_start: bool, tokens: &mut Vec<Token>) {
    let emphasis = if run.contains('/') { 0 } else { run.len() - run.trim_start_matches('*').len() };
    let body = run.get(emphasis..).unwrap_or(run);
    let body = if run.contains('/') { body } else { body.trim_end_matches('*') };
    let bare = body.trim_end_matches(['.', ':', '!', '?', '…']);
    let bare = if ["..", "."].contains(&body) { body } else { bare };
    let start = at + emphasis;
    if bare.chars().any(char::is_alphanumeric) {
        let end = start + bare.len();
        tokens.push(Token { kind: TokenKind::Word, text: bare.to_owned(), start, end, line_start, backticked: false });
        if let Some(mark) = body.get(bare.len()..).and_then(|rest| rest.chars().next()) {
            tokens.push(Token::stop(&mark.to_string(), end, false));
        }
    } else {
        tokens.push(Token::stop(run, at, line_start));
    }
}

fn is_delimiter(c: char) -> bool {
    matches!(
        c,
        '"' | '“'
            | '”'
            | '„'
            | '<'
            | '>'
            | '|'
            | ','
            | ';'
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '—'
            | '–'
            | '•'
            | '\\'
    )
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

/// A fenced block at the start of `rest`: the lines between the fences, and its bytes with them. The word behind the
/// first fence, which names a language, is none of them.
fn fence(rest: &str) -> Option<(&str, usize)> {
    let open = rest.strip_prefix(FENCE)?;
    let within = open.get(..open.floor_char_boundary(MAX_QUOTED))?;
    let inner = within.get(..within.find(FENCE)?)?;
    let len = inner.len() + 2 * FENCE.len();
    let code = match inner.split_once('\n') {
        Some((info, code)) if info.split_whitespace().count() <= 1 => code,
        _ => inner,
    };
    (!code.trim().is_empty()).then(|| (code.trim_matches('\n').trim_end(), len))
}

/// A quotation at the start of `rest`: what is in it, and its bytes with marks.
fn quotation(rest: &str, open: char, last: Option<char>) -> Option<(&str, usize)> {
    let close = match open {
        '"' | '`' | '\'' => open,
        '“' => '”',
        '„' => '“',
        _ => return None,
    };
    if last.is_some_and(|c| c.is_alphanumeric() || c == '/') {
        return None;
    }
    let most = if open == '\'' { MAX_SINGLE } else { MAX_QUOTED };
    let start = open.len_utf8();
    let inner = rest.get(start..)?;
    for (at, c) in inner.char_indices() {
        if at > most || (c == '\n' && inner.get(at + 1..).is_some_and(|after| after.starts_with('\n'))) {
            return None;
        }
        // A single quote or a backtick stays on its line; an escaped mark does not end a quotation.
        if c == '\n' && open == '\'' {
            return None;
        }
        if c == close && !inner.get(..at).is_some_and(|before| before.ends_with('\\')) {
            let after = inner.get(at + c.len_utf8()..)?.chars().next();
            if after.is_some_and(char::is_alphanumeric) {
                if open == '\'' {
                    continue;
                }
                return None;
            }
            return Some((inner.get(..at)?, start + at + c.len_utf8()));
        }
    }
    None
}
