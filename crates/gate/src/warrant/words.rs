//! A goal in clauses: what it asks for, one verb after another, and what it names in each.

use crate::provenance::links;

/// One word of a goal, or something that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// As it stands there.
    pub(crate) text: String,
    /// In lower case.
    pub(crate) lower: String,
    /// Whether it names something: in quotation marks, an address, a number with letters, or written as a name.
    pub(crate) is_name: bool,
}

/// Bytes between quotation marks that are one name; more is a text that somebody quotes.
const MAX_QUOTED: usize = 200;

/// Words that begin a new clause.
const JOINTS: &[&str] = &["and", "then", "also", "but", "afterwards", "finally", "next", "or"];

/// The clauses of a text.
pub(crate) fn clauses(text: &str) -> Vec<Vec<Token>> {
    let mut clauses: Vec<Vec<Token>> = vec![Vec::new()];
    for raw in pieces(text) {
        match raw {
            Piece::Stop => clauses.push(Vec::new()),
            Piece::Quoted(text) => {
                let token = Token { lower: text.to_lowercase(), text, is_name: true };
                push(&mut clauses, token);
            }
            Piece::Word(word) => {
                let lower = word.to_lowercase();
                if JOINTS.contains(&lower.as_str()) {
                    clauses.push(Vec::new());
                    continue;
                }
                let is_first = clauses.last().is_none_or(Vec::is_empty);
                let is_name = names(&word, is_first);
                push(&mut clauses, Token { text: word, lower, is_name });
            }
        }
    }
    join_verbless(clauses)
}

fn push(clauses: &mut [Vec<Token>], token: Token) {
    if let Some(last) = clauses.last_mut() {
        last.push(token);
    }
}

/// A clause without a verb goes on with the one before: "of Dora and Eve".
fn join_verbless(clauses: Vec<Vec<Token>>) -> Vec<Vec<Token>> {
    let mut joined: Vec<Vec<Token>> = Vec::new();
    for clause in clauses.into_iter().filter(|clause| !clause.is_empty()) {
        let has_verb =
            clause.iter().any(|token| super::lexicon::verb(&token.lower) != 0 || super::lexicon::looks(&token.lower));
        match joined.last_mut() {
            Some(last) if !has_verb => last.extend(clause),
            _ => joined.push(clause),
        }
    }
    joined
}

enum Piece {
    Word(String),
    Quoted(String),
    Stop,
}

fn pieces(text: &str) -> Vec<Piece> {
    let text = crate::provenance::normal::sentences(text);
    let mut pieces = Vec::new();
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..).unwrap_or_default();
        let quoted = closing(c).and_then(|end| tail.split_once(end));
        if let Some((quoted, after)) = quoted.filter(|(quoted, _)| (1..=MAX_QUOTED).contains(&quoted.len())) {
            pieces.push(Piece::Quoted(quoted.trim().to_owned()));
            rest = after;
            continue;
        }
        if c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '"' | '\'' | '-' | '*' | '>') {
            rest = tail;
            continue;
        }
        if matches!(c, ',' | ';' | ':' | '.' | '!' | '?') {
            pieces.push(Piece::Stop);
            rest = tail;
            continue;
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | ',' | ';' | '"'))
            .unwrap_or(rest.len());
        let whole = rest.get(..end).unwrap_or_default();
        let bare = whole.trim_end_matches(['.', '!', '?', ':', '\'']);
        let bare = bare.strip_suffix("'s").or_else(|| bare.strip_suffix("’s")).unwrap_or(bare);
        // A number of a list.
        if whole.len() > bare.len() && bare.len() <= 2 && bare.bytes().all(|b| b.is_ascii_digit()) {
            pieces.push(Piece::Stop);
            rest = rest.get(end..).unwrap_or_default();
            continue;
        }
        pieces.push(Piece::Word(bare.to_owned()));
        if whole.len() > bare.len() && whole.ends_with(['.', '!', '?', ':']) {
            pieces.push(Piece::Stop);
        }
        rest = rest.get(end..).unwrap_or_default();
    }
    pieces
}

const fn closing(c: char) -> Option<char> {
    match c {
        '"' => Some('"'),
        '\'' => Some('\''),
        '`' => Some('`'),
        '“' => Some('”'),
        '‘' => Some('’'),
        '«' => Some('»'),
        _ => None,
    }
}

/// Whether a word names something. The first word of a clause is written large anyway.
fn names(word: &str, is_first: bool) -> bool {
    let has_digit = word.chars().any(|c| c.is_ascii_digit());
    let has_letter = word.chars().any(char::is_alphabetic);
    let is_large = word.chars().next().is_some_and(char::is_uppercase);
    let is_word = super::lexicon::is_common(&word.to_lowercase());
    !links(word).is_empty()
        || (has_digit && (has_letter || word.len() >= 5))
        || word.contains('@')
        || (is_large && !is_word && !is_first)
        || word.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && (1..=5).contains(&end.len()))
}
