//! Instructions to run something.

use super::paths::path;
use super::tokens::{FENCE, Token, TokenKind};
use super::{FAR, FILLERS, How, Instruction, PLACES, REACH, RUN, place, reach};

const SHELLS: &[&str] = &["sh", "bash", "zsh", "dash", "python", "python3"];
/// Programs whose names are hardly anything else.
const PROGRAMS: &[&str] = &[
    "curl", "wget", "bash", "sh", "zsh", "sudo", "python", "python3", "perl", "node", "rm", "nc", "ncat", "git",
    "chmod", "chown", "cat", "scp", "ssh", "ftp", "dd", "mkfs", "crontab", "nohup", "eval", "base64", "printenv",
    "rsync", "openssl", "mkdir", "rmdir", "shred", "grep", "awk", "sed", "xargs", "setsid", "wc",
];
/// Programs whose names are words too: they count right after the verb.
const WORDS: &[&str] = &[
    "env", "echo", "printf", "cp", "mv", "ls", "find", "tar", "zip", "touch", "kill", "make", "npm", "pip", "cargo",
    "ln", "tee", "sort", "head", "tail", "dig", "sleep", "while", "for", "cd", "export", "exec", "source",
];
/// What may stand between the verb and such a word.
const BETWEEN: &[&str] =
    &["the", "this", "these", "following", "command", "commands", "shell", "line", "lines", "just"];
/// Punctuation that goes on with a command line rather than ending it.
const GOES_ON: &[&str] = &["|", ">", "<", ";", "&", "&&", "||", "-", "--", "(", ")", "{", "}", "[", "]", "\\"];

/// What follows "run": a quoted command or a fenced block, a program with its arguments, or a script's path.
pub(super) fn run(text: &str, rest: &[Token]) -> Option<(Instruction, usize)> {
    if let Some(found) = block(text, rest) {
        return Some(found);
    }
    for (at, token) in rest.iter().enumerate().take(REACH + 3) {
        let after_colon = at.checked_sub(1).and_then(|before| rest.get(before)).is_some_and(|before| {
            before.text == ":" || (before.text == "\n" && at >= 2 && rest.get(at - 2).is_some_and(|t| t.text == ":"))
        });
        let reads_on = token.text == ":" || (token.text == "\n" && after_colon);
        if token.kind == TokenKind::Stop {
            if reads_on { continue } else { return None }
        }
        let command = token.text.trim();
        if token.kind == TokenKind::Quoted && !command.is_empty() && (token.backticked || is_command(command)) {
            let command = in_its_language(text, token).unwrap_or_else(|| command.to_owned());
            let (how, used) = how(rest, at + 1);
            return Some((Instruction::Run { command, how }, used));
        }
        let before = rest.get(..at).unwrap_or_default();
        let is_next = before.iter().all(|token| token.kind == TokenKind::Stop || BETWEEN.iter().any(|w| token.is(w)));
        let word = token.text.as_str();
        let starts = is_program(word) || (is_next && WORDS.contains(&word)) || is_assignment(word);
        if token.kind == TokenKind::Word && starts {
            return line(text, rest, at, after_colon);
        }
        if let Some(script) = path(token).and_then(|path| script(&path)) {
            let (how, used) = how(rest, at + 1);
            return Some((Instruction::Run { command: script, how }, used));
        }
        // Behind a colon comes what is to be run, or nothing does.
        if after_colon {
            return None;
        }
    }
    None
}

/// A fenced block behind a colon, in the same sentence as the verb.
fn block(text: &str, rest: &[Token]) -> Option<(Instruction, usize)> {
    let is_fence = |token: &Token| text.get(token.start..).is_some_and(|rest| rest.starts_with(FENCE));
    let ends = |token: &Token| token.kind == TokenKind::Stop && ![",", ":", "\n"].contains(&token.text.as_str());
    let (at, token) = rest.iter().enumerate().take(FAR + 2).find(|(_, token)| is_fence(token) || ends(token))?;
    let before = rest.get(..at).unwrap_or_default().iter().rev().find(|token| token.text != "\n");
    if !is_fence(token) || before.is_none_or(|before| before.text != ":") {
        return None;
    }
    let command = in_its_language(text, token).unwrap_or_else(|| token.text.trim().to_owned());
    let (how, used) = how(rest, at + 1);
    Some((Instruction::Run { command, how }, used))
}

/// A command line that is not quoted: to the end of its line behind a colon, else to the next punctuation.
fn line(text: &str, rest: &[Token], at: usize, whole: bool) -> Option<(Instruction, usize)> {
    let tail = rest.get(at..).unwrap_or_default();
    let first = tail.first()?;
    let ends = |(n, token): &(usize, &Token)| {
        let stops =
            token.kind == TokenKind::Stop && (token.text == "\n" || !(whole || GOES_ON.contains(&token.text.as_str())));
        *n > 0 && (token.line_start || stops)
    };
    let mut used = tail.iter().enumerate().find(ends).map_or(tail.len(), |(n, _)| n);
    if tail.get(used.saturating_sub(1)).is_some_and(|last| last.kind == TokenKind::Stop && last.text == ".") {
        used -= 1;
    }
    let last = tail.get(used.saturating_sub(1))?;
    let command = text.get(first.start..last.end)?.trim().to_owned();
    // A program's name alone is a word like another.
    let is_enough = used > 1 || whole || first.text.starts_with("./");
    is_enough.then_some((Instruction::Run { command, how: How::Now }, at + used))
}

/// `in the background`, or `from PATH`, after a command; and how many tokens it is to the end of that.
fn how(rest: &[Token], from: usize) -> (How, usize) {
    let word = |at: usize| rest.get(at).filter(|token| token.kind == TokenKind::Word);
    let is = |at: usize, words: &[&str]| word(at).is_some_and(|token| words.iter().any(|word| token.is(word)));
    let article = usize::from(is(from + 1, &["the", "a"]));
    if is(from, &["in", "as"]) && is(from + 1 + article, &["background", "daemon"]) {
        return (How::Background, from + 2 + article);
    }
    let named = is(from, &["from"]) || is(from, PLACES);
    match named.then(|| place(rest, from + 1)).flatten() {
        Some((path, used)) => (How::From(path), used),
        None => (How::Now, from),
    }
}

/// A fenced block of another language than the shell's, as a command.
fn in_its_language(text: &str, token: &Token) -> Option<String> {
    let raw = text.get(token.start..token.end)?.strip_prefix(FENCE)?;
    let language = raw.lines().next()?.trim().to_lowercase();
    ["python", "python3", "py"].contains(&language.as_str()).then(|| format!("python3 -c {}", quoted(&token.text)))
}

/// A word of a command line that stands for just this text.
pub(in super::super) fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "@%_-+=:,./~".contains(c));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// The command that runs a script of this name.
fn script(path: &str) -> Option<String> {
    let by = match path.rsplit_once('.')?.1 {
        "sh" | "bash" => "sh",
        "py" => "python3",
        _ => return None,
    };
    Some(format!("{by} {}", quoted(path)))
}

fn is_program(word: &str) -> bool {
    PROGRAMS.contains(&word) || word.starts_with("./")
}

/// `NAME=value`, which may stand before a command.
fn is_assignment(word: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

fn is_command(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    let has_arguments = text.split_whitespace().nth(1).is_some();
    is_program(first) || (has_arguments && WORDS.contains(&first)) || text.contains('|') || text.contains("&&")
}

/// How many tokens it is to the end of `... | sh`.
pub(super) fn piped(rest: &[Token]) -> Option<usize> {
    let bar = rest.iter().take(FAR).position(|token| token.kind == TokenKind::Stop && token.text == "|")?;
    let after = rest.iter().enumerate().skip(bar + 1).take(2);
    after.into_iter().find(|(_, token)| SHELLS.iter().any(|shell| token.is(shell))).map(|(at, _)| at + 1)
}

/// `pipe URL to sh`.
pub(super) fn pipe(rest: &[Token]) -> Option<(Instruction, usize)> {
    let (at, url) = reach(rest, REACH).find(|(_, token)| token.text.contains("://"))?;
    let linked = |token: &&Token| ["to", "into", "through"].iter().any(|word| token.is(word));
    rest.get(at + 1).filter(linked)?;
    let shell = rest.iter().enumerate().skip(at + 2).take(3).find(|(_, t)| SHELLS.iter().any(|shell| t.is(shell)));
    let (end, shell) = shell?;
    Some((downloaded(&url.text, &shell.text.to_lowercase()), end + 1))
}

/// `download URL and run it`.
pub(super) fn fetch(rest: &[Token]) -> Option<(Instruction, usize)> {
    let (at, url) = reach(rest, REACH).find(|(_, token)| token.text.contains("://"))?;
    let mut words = rest.iter().enumerate().skip(at + 1).take(4).filter(|(_, token)| token.kind == TokenKind::Word);
    words.find(|(_, token)| RUN.iter().any(|verb| token.is(verb)))?;
    let (end, _) = words.find(|(_, token)| token.is("it") || FILLERS.iter().any(|word| token.is(word)))?;
    Some((downloaded(&url.text, "sh"), end + 1))
}

fn downloaded(url: &str, shell: &str) -> Instruction {
    Instruction::Run { command: format!("curl -fsSL {} | {shell}", quoted(url.trim())), how: How::Now }
}

/// `paste "COMMAND" into a terminal`.
pub(super) fn terminal(rest: &[Token]) -> Option<(Instruction, usize)> {
    let (at, command) = rest.iter().enumerate().take(REACH).find(|(_, token)| token.kind == TokenKind::Quoted)?;
    let mut after = rest.iter().enumerate().skip(at + 1).take(5);
    let places = ["terminal", "shell", "console", "prompt"];
    let (end, _) = after.find(|(_, token)| places.iter().any(|word| token.is(word)))?;
    let command = command.text.trim().to_owned();
    (!command.is_empty()).then_some((Instruction::Run { command, how: How::Now }, end + 1))
}
