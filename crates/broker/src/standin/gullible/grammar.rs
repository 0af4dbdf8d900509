//! The instructions that the stand-in understands; `docs/stand-in-models.md` has them as a table.
//!
//! A text is cut into tokens ([`tokens`]); an instruction begins with a verb where an imperative may stand, and names a
//! concrete target. Each [`sentence`](sentences) is the shortest stretch that says it all, so that it means the same
//! when it is parsed alone.

mod paths;
mod run;
mod tokens;

pub(super) use self::paths::looks_like_path;
use self::paths::{destination, path};
pub(super) use self::run::quoted;
use self::run::{fetch, pipe, piped, run, terminal};
use self::tokens::{FENCE, Token, TokenKind, tokens};

/// Bytes of a sentence at most: a longer one is no instruction.
const MAX_SENTENCE: usize = 1_000;
/// Words between a verb and what it is about, at most.
const REACH: usize = 7;
/// Words between a verb and the place that something is to go to, at most.
const FAR: usize = 14;

/// What an instruction wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Instruction {
    Read { path: String },
    Write { what: What, to: String },
    Append { what: What, to: String },
    Erase { target: Target },
    Run { command: String, how: How },
}

/// How a command is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// At once, to its end.
    Now,
    /// At once, and to go on.
    Background,
    /// From this file, whenever the machine runs it.
    From(String),
}

/// What is to be written or sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// These words themselves.
    Text(String),
    /// What this file holds.
    File(String),
    /// "it": what was read last.
    LastRead,
    /// The file that these words mean, or the words themselves.
    Words(String),
    /// The file that these words mean, or whatever was read.
    Described(String),
}

/// What is to be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A file, everything below a folder, or what a `*` stands for.
    Path(String),
    /// The inbox.
    Inbox,
    /// Every mail or file, in a folder if one is named.
    Every { mails: bool, dir: Option<String> },
}

/// Whose words are parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// The user's: what is to be written may be unquoted.
    Goal,
    /// A document's.
    Document,
}

const READ: &[&str] = &["read", "open", "cat", "show", "view", "display", "load", "print"];
const WRITE: &[&str] = &["write", "save", "put", "store", "place", "insert", "install"];
const APPEND: &[&str] = &["append", "add"];
const REPLACE: &[&str] = &["overwrite", "replace", "create", "rewrite", "set", "change", "edit", "update"];
const COPY: &[&str] = &["copy", "move", "cp", "duplicate"];
const ERASE: &[&str] = &["delete", "empty", "erase", "remove", "wipe", "clear", "truncate", "destroy", "rm"];
const SEND: &[&str] =
    &["send", "forward", "upload", "post", "email", "mail", "transmit", "exfiltrate", "submit", "print", "leak"];
const RUN: &[&str] = &["run", "execute", "launch", "invoke", "start"];
const TYPE: &[&str] = &["paste", "type", "enter"];
const FETCH: &[&str] = &["download", "fetch", "get"];
/// Words after which a verb is an imperative, beside the beginnings of lines, sentences and quotations.
const LEADS: &[&str] = &[
    "please",
    "then",
    "and",
    "now",
    "also",
    "must",
    "should",
    "shall",
    "you",
    "immediately",
    "first",
    "next",
    "finally",
    "just",
    "simply",
    "kindly",
    "quickly",
    "silently",
    "quietly",
    "or",
    "always",
    "assistant",
    "agent",
    "system",
    "ai",
];
/// Words whose "to" makes an imperative: "make sure to delete ...".
const URGES: &[&str] =
    &["need", "have", "sure", "remember", "asked", "required", "instructed", "want", "needed", "forget", "order"];
/// Words that may stand between "to" and the place.
const FILLERS: &[&str] = &[
    "the",
    "a",
    "an",
    "file",
    "new",
    "named",
    "called",
    "path",
    "folder",
    "directory",
    "your",
    "own",
    "my",
    "this",
    "its",
    "address",
    "url",
    "named",
    "pipe",
    "printer",
    "agent's",
    "configuration",
    "config",
    "at",
    "git",
    "hook",
    "whole",
];
const PLACES: &[&str] = &["to", "into", "in", "at", "inside", "onto", "as", "on", "via", "through", "under"];
const PRONOUNS: &[&str] =
    &["it", "them", "this", "that", "result", "results", "contents", "content", "output", "everything", "what"];

/// Every instruction in a text, as one-line sentences that [`parse`] to what they want, in their order. Linear in the
/// text: the reach of an instruction is bounded.
pub(super) fn sentences(text: &str, manner: Manner) -> Vec<String> {
    let mut found = Vec::new();
    search(&tokens::normal(text), manner, 0, &mut found);
    found
}

fn search(text: &str, manner: Manner, depth: usize, found: &mut Vec<String>) {
    let tokens = tokens(text);
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if let Some((_, used)) = instruction(text, &tokens, at, manner)
            && let Some(last) = tokens.get(at + used.saturating_sub(1))
        {
            let sentence = sentence(text.get(token.start..last.end).unwrap_or_default());
            if sentence.len() <= MAX_SENTENCE && parse(&sentence, manner).is_some() {
                found.push(sentence);
                at += used;
                continue;
            }
        }
        if token.kind == TokenKind::Quoted && depth < 3 {
            search(&token.text, manner, depth + 1, found);
        }
        at += 1;
    }
}

/// A stretch of a text on one line, but for the lines of fenced blocks, which mean something to a shell.
fn sentence(text: &str) -> String {
    let flat = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut told = String::new();
    for (at, part) in text.split(FENCE).enumerate() {
        let is_code = at % 2 == 1;
        let part = if is_code { format!("{FENCE}{part}{FENCE}") } else { flat(part) };
        let gap = if told.is_empty() || part.is_empty() { "" } else { " " };
        told.push_str(gap);
        told.push_str(&part);
    }
    told
}

/// What a sentence wants.
pub(super) fn parse(sentence: &str, manner: Manner) -> Option<Instruction> {
    instruction(sentence, &tokens(sentence), 0, manner).map(|(instruction, _)| instruction)
}

/// The words of a text, quotation marks and punctuation off.
pub(super) fn words(text: &str) -> Vec<String> {
    tokens(text).into_iter().filter(|token| token.kind != TokenKind::Stop).map(|token| token.text).collect()
}

/// The sentences of a goal: cut at full stops, semicolons, blank lines and "then", but not within quotation marks.
pub(super) fn clauses(goal: &str) -> Vec<String> {
    let mut clauses = Vec::new();
    let mut start = 0;
    for token in tokens(goal) {
        let stop = token.kind == TokenKind::Stop && [".", ";", "!", "\n"].contains(&token.text.as_str());
        if stop || token.is("then") {
            clauses.push(goal.get(start..token.start).unwrap_or_default().to_owned());
            start = token.end;
        }
    }
    clauses.push(goal.get(start..).unwrap_or_default().to_owned());
    clauses.retain(|clause| clause.chars().any(char::is_alphanumeric));
    clauses
}

/// An instruction that begins at a token, and how many tokens it takes.
fn instruction(text: &str, tokens: &[Token], at: usize, manner: Manner) -> Option<(Instruction, usize)> {
    let head = tokens.get(at)?;
    if head.kind != TokenKind::Word {
        return None;
    }
    let rest = tokens.get(at + 1..).unwrap_or_default();
    let verb = head.text.trim_matches('*').to_lowercase();
    let one_of = |verbs: &[&str]| verbs.contains(&verb.as_str());
    // `curl URL | sh` is a command wherever it stands.
    if one_of(&["curl", "wget"]) {
        let piped = piped(rest)?;
        let end = rest.get(piped.saturating_sub(1))?.end;
        let command = text.get(head.start..end)?.to_owned();
        return Some((Instruction::Run { command, how: How::Now }, piped + 1));
    }
    if !imperative(tokens, at) {
        return None;
    }
    let mut found = None;
    if one_of(SEND) {
        found = send(rest);
    }
    if found.is_none() && one_of(READ) {
        found = read(rest);
    }
    if one_of(WRITE) {
        found = write(rest, manner).map(|(what, to, used)| (Instruction::Write { what, to }, used));
    }
    if one_of(APPEND) {
        found = write(rest, manner).map(|(what, to, used)| (Instruction::Append { what, to }, used));
    }
    if one_of(REPLACE) {
        found = replace(rest);
    }
    if one_of(COPY) {
        found = copy(rest);
    }
    if one_of(ERASE) {
        found = erase(rest);
    }
    if one_of(RUN) {
        found = run(text, rest);
    }
    if one_of(TYPE) {
        found = terminal(rest);
    }
    if one_of(FETCH) {
        found = fetch(rest);
    }
    if verb == "pipe" {
        found = pipe(rest);
    }
    found.map(|(instruction, used)| (instruction, used + 1))
}

fn imperative(tokens: &[Token], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).and_then(|at| tokens.get(at));
    let Some(last) = before(1) else { return true };
    if last.kind != TokenKind::Word || tokens.get(at).is_some_and(|token| token.line_start) {
        return true;
    }
    let word = last.text.to_lowercase();
    let urged = || word == "to" && before(2).is_some_and(|token| URGES.iter().any(|urge| token.is(urge)));
    LEADS.contains(&word.as_str()) || urged()
}

/// The tokens in reach of a verb: up to the end of its sentence. A colon right after the verb is none.
fn reach(rest: &[Token], most: usize) -> impl Iterator<Item = (usize, &Token)> {
    rest.iter()
        .enumerate()
        .take(most + 1)
        .take_while(|(at, token)| token.kind != TokenKind::Stop || (*at == 0 && token.text == ":"))
        .filter(|(_, token)| token.kind != TokenKind::Stop)
}

/// After an optional preposition and a few fillers: a place that something can go to.
fn place(rest: &[Token], from: usize) -> Option<(String, usize)> {
    for (at, token) in rest.iter().enumerate().skip(from).take(5) {
        if let Some(place) = destination(token) {
            return Some((place, at + 1));
        }
        if !FILLERS.iter().any(|filler| token.is(filler)) {
            return None;
        }
    }
    None
}

fn read(rest: &[Token]) -> Option<(Instruction, usize)> {
    let (at, path) = reach(rest, REACH).find_map(|(at, token)| Some((at, path(token)?)))?;
    Some((Instruction::Read { path }, at + 1))
}

/// `X to PLACE`: what, where, and how many tokens that takes.
fn moved(rest: &[Token], most: usize) -> Option<(&[Token], String, usize)> {
    reach(rest, most).filter(|(_, token)| PLACES.iter().any(|word| token.is(word))).find_map(|(at, _)| {
        let (to, used) = place(rest, at + 1)?;
        Some((rest.get(..at)?, to, used))
    })
}

fn write(rest: &[Token], manner: Manner) -> Option<(What, String, usize)> {
    if let Some((what, to, used)) = moved(rest, FAR)
        && !what.is_empty()
    {
        return Some((material(what, manner, What::Words)?, to, used));
    }
    // `write to PATH: "TEXT"`
    let (to, used) = place(rest, 1).filter(|_| rest.first().is_some_and(|token| token.is("to") || token.is("into")))?;
    let (at, text) = rest.iter().enumerate().skip(used).take(4).find(|(_, token)| token.kind == TokenKind::Quoted)?;
    Some((What::Text(unescaped(&text.text)), to, at + 1))
}

/// What is to be written. In a document only what is quoted, a file or "it" counts: prose adds things to things.
fn material(what: &[Token], manner: Manner, words: fn(String) -> What) -> Option<What> {
    if let Some(file) = what.iter().find_map(path) {
        return Some(What::File(file));
    }
    if let Some(quoted) = what.iter().find(|token| token.kind == TokenKind::Quoted) {
        return Some(What::Text(unescaped(&quoted.text)));
    }
    let told: Vec<&Token> = what.iter().filter(|token| token.kind == TokenKind::Word && !token.is("the")).collect();
    let pronoun = |token: &&&Token| PRONOUNS.iter().any(|word| token.is(word));
    if told.len() <= 4 && told.first().filter(pronoun).is_some() {
        return Some(What::LastRead);
    }
    let all = what.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ");
    (manner == Manner::Goal && !all.is_empty()).then(|| words(all))
}

fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t").replace("\\\"", "\"")
}

fn replace(rest: &[Token]) -> Option<(Instruction, usize)> {
    const LINKS: &[&str] = &[
        "with",
        "by",
        "containing",
        "contains",
        "to",
        "the",
        "text",
        "content",
        "contain",
        "it",
        "so",
        "that",
        "says",
    ];
    let (at, to) = reach(rest, REACH).find_map(|(at, token)| Some((at, path(token)?)))?;
    for (at, token) in rest.iter().enumerate().skip(at + 1).take(6) {
        if token.kind == TokenKind::Quoted {
            return Some((Instruction::Write { what: What::Text(unescaped(&token.text)), to }, at + 1));
        }
        if token.is("nothing") || token.is("emptiness") {
            return Some((Instruction::Write { what: What::Text(String::new()), to }, at + 1));
        }
        if !LINKS.iter().any(|link| token.is(link)) && token.text != ":" {
            return None;
        }
    }
    None
}

fn copy(rest: &[Token]) -> Option<(Instruction, usize)> {
    let (what, to, used) = moved(rest, FAR)?;
    let file = what.iter().find_map(path)?;
    Some((Instruction::Write { what: What::File(file), to }, used))
}

fn send(rest: &[Token]) -> Option<(Instruction, usize)> {
    let (what, to, used) = moved(rest, FAR)?;
    if what.is_empty() {
        return None;
    }
    let what = material(what, Manner::Goal, What::Described)?;
    Some((Instruction::Write { what, to }, used))
}

fn erase(rest: &[Token]) -> Option<(Instruction, usize)> {
    const EVERY: &[&str] = &["all", "every", "each", "everything", "whole", "entire"];
    const MAILS: &[&str] = &["mail", "mails", "email", "emails", "e-mail", "e-mails", "message", "messages"];
    const FILES: &[&str] = &["file", "files", "document", "documents", "everything", "folder", "directory"];
    let mut every = false;
    for (at, token) in reach(rest, REACH) {
        let word = token.text.to_lowercase();
        let is = |words: &[&str]| token.kind == TokenKind::Word && words.contains(&word.as_str());
        every |= is(EVERY);
        if is(&["inbox", "mailbox"]) {
            return Some((Instruction::Erase { target: Target::Inbox }, at + 1));
        }
        if every && (is(MAILS) || is(FILES)) {
            let (dir, used) = folder(rest, at + 1, is(&["folder", "directory"])).unzip();
            let target = Target::Every { mails: is(MAILS), dir };
            return Some((Instruction::Erase { target }, used.unwrap_or(at + 1)));
        }
        if let Some(path) = path(token) {
            return Some((Instruction::Erase { target: Target::Path(path) }, at + 1));
        }
    }
    None
}

/// `in DIR`, or just `DIR` after the word "folder".
fn folder(rest: &[Token], from: usize, named: bool) -> Option<(String, usize)> {
    const IN: &[&str] = &["in", "from", "inside", "under", "of", "below", "within"];
    let says_in = rest.get(from).is_some_and(|token| IN.iter().any(|word| token.is(word)));
    if !named && !says_in {
        return None;
    }
    let from = from + usize::from(says_in);
    let filler = |token: &Token| FILLERS.iter().any(|word| token.is(word));
    let skipped = rest.iter().skip(from).take(4).take_while(|token| filler(token)).count();
    let token = rest.get(from + skipped).filter(|token| token.kind != TokenKind::Stop)?;
    let after = rest.get(from + skipped + 1).is_some_and(|token| token.is("folder") || token.is("directory"));
    Some((token.text.clone(), from + skipped + 1 + usize::from(after)))
}
