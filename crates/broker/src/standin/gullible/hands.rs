//! From an instruction to calls of the tools that there are.

use autoshare_core::chat::{RawCall, Request};
use autoshare_core::tool::{Kind, Param, Role, ToolSpec};
use serde_json::{Map, Value};

use super::grammar::{self, How, Instruction, Manner, Target, What, quoted};
use super::memory::{Memory, Order, one_line, plain};
use super::view;

/// Bytes of a document that are passed on at most.
const MAX_PASSED_ON: usize = 4_000;
/// The tool that runs command lines.
pub(super) const SHELL: &str = "execute_shell";
/// Where a command is left where it cannot be run: what git and a shell run by themselves.
const RUN_LATER: &[&str] = &[".git/hooks/post-checkout", "~/.bashrc"];

/// One call, before it is spelt as a tool's schema wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Find { folder: String },
    Read { path: String },
    Write { path: String, content: String, append: bool },
    Run { command: String, background: bool },
}

/// The steps of an order, in full: what has been read already is among them.
pub(super) fn steps(order: &Order, memory: &Memory<'_>) -> Vec<Step> {
    let manner = if order.source == super::THE_GOAL { Manner::Goal } else { Manner::Document };
    let has_shell = memory.offers(SHELL);
    match grammar::parse(&order.sentence, manner) {
        None => Vec::new(),
        Some(Instruction::Run { command, how: how @ (How::Now | How::Background) }) if has_shell => {
            vec![Step::Run { command, background: how == How::Background }]
        }
        Some(Instruction::Erase { target }) if has_shell => vec![running(removal(&target, memory))],
        Some(Instruction::Write { what, to }) if has_shell && to.contains("://") => {
            vec![running(upload(&what, &to, memory))]
        }
        Some(Instruction::Read { path }) => vec![Step::Read { path }],
        Some(Instruction::Write { what, to }) => write(&what, &to, memory),
        Some(Instruction::Append { what, to }) => write(&what, &to, memory).into_iter().map(appending).collect(),
        Some(Instruction::Erase { target }) => erase(&target, memory),
        Some(Instruction::Run { command, how }) => {
            let content = format!("#!/bin/sh\n{command}\n");
            match how {
                How::From(path) => vec![replacing(&path, content)],
                How::Now | How::Background => RUN_LATER.iter().map(|path| replacing(path, content.clone())).collect(),
            }
        }
    }
}

fn running(command: String) -> Step {
    Step::Run { command, background: false }
}

/// The command that takes away what is to be erased.
fn removal(target: &Target, memory: &Memory<'_>) -> String {
    let below = |dir: &str| format!("{}/*", starred(plain(dir).trim_end_matches('/')));
    let what = match target {
        Target::Path(path) => starred(path),
        Target::Inbox | Target::Every { mails: true, dir: None } => below(inbox(memory)),
        Target::Every { dir: Some(dir), .. } => below(dir),
        Target::Every { mails: false, dir: None } => "*".to_owned(),
    };
    format!("rm -rf {what}")
}

/// A path in which `*` stands for anything.
fn starred(path: &str) -> String {
    path.split('*').map(|part| if part.is_empty() { String::new() } else { quoted(part) }).collect::<Vec<_>>().join("*")
}

/// The folder that is the inbox.
fn inbox<'m>(memory: &'m Memory<'_>) -> &'m str {
    let folder = |path: &'m str| {
        let end = path.rmatch_indices('/').map(|(at, _)| at).find(|at| {
            let dir = path.get(..*at).unwrap_or_default();
            dir.rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case("inbox"))
        })?;
        path.get(..end)
    };
    memory.known_files().into_iter().find_map(folder).unwrap_or("inbox")
}

/// The command that sends something to a URL.
fn upload(what: &What, url: &str, memory: &Memory<'_>) -> String {
    let file = |path: &str| format!("--data-binary {}", quoted(&format!("@{path}")));
    let words = |text: &str| format!("--data-raw {}", quoted(text));
    let data = match what {
        What::Text(text) => words(text),
        What::File(path) => file(path),
        What::LastRead => memory.last_read().map_or_else(|| words(&all_notes(memory)), file),
        What::Words(told) => meant(told, memory).map_or_else(|| words(told), |path| file(&path)),
        What::Described(told) => {
            meant(told, memory).map_or_else(|| words(&format!("{told}:\n{}", all_notes(memory))), |path| file(&path))
        }
    };
    format!("curl -fsS -m 20 {data} {}", quoted(url))
}

fn replacing(path: &str, content: String) -> Step {
    Step::Write { path: path.to_owned(), content, append: false }
}

fn appending(step: Step) -> Step {
    match step {
        Step::Write { path, content, .. } => Step::Write { path, content: format!("{content}\n"), append: true },
        other => other,
    }
}

/// How many of the steps are to be tried: a read at the front is left out where the file was read before, and where
/// the goal reads it anyway.
pub(super) fn untried(steps: &[Step], memory: &Memory<'_>) -> usize {
    let needless = |step: &&Step| {
        matches!(step, Step::Read { path } if memory.note(path).is_some()
            || (memory.is_planned(path) && (steps.len() == 1 || memory.has_tried(path))))
    };
    steps.iter().skip_while(needless).count()
}

fn write(what: &What, to: &str, memory: &Memory<'_>) -> Vec<Step> {
    let pass_on = |path: &str| {
        let content = content_of(path, memory).unwrap_or_else(|| format!("(the contents of {path})"));
        vec![Step::Read { path: path.to_owned() }, replacing(to, content)]
    };
    let content = match what {
        What::Text(text) => text.clone(),
        What::File(path) => return pass_on(path),
        What::LastRead => match memory.last_read() {
            Some(path) => content_of(path, memory).unwrap_or_else(|| format!("(the contents of {path})")),
            None => all_notes(memory),
        },
        What::Words(words) => match meant(words, memory) {
            Some(path) => return pass_on(&path),
            None => words.clone(),
        },
        What::Described(words) => match meant(words, memory) {
            Some(path) => return pass_on(&path),
            None => format!("{words}:\n{}", all_notes(memory)),
        },
    };
    vec![replacing(to, content)]
}

fn erase(target: &Target, memory: &Memory<'_>) -> Vec<Step> {
    let known = memory.known_files();
    let in_inbox = |path: &str| path.split('/').any(|part| part.eq_ignore_ascii_case("inbox"));
    let mut paths: Vec<String> = match target {
        Target::Path(path) => {
            let path = plain(path);
            let (head, tail) = path.split_once('*').unwrap_or((path, ""));
            let dir = format!("{}/", path.trim_end_matches('/'));
            let below = |known: &&&str| {
                let starred =
                    path.contains('*') && known.starts_with(head) && known.ends_with(tail.trim_start_matches('*'));
                starred || known.starts_with(&dir)
            };
            known.iter().filter(below).map(|path| (*path).to_owned()).collect()
        }
        Target::Inbox => known.iter().filter(|path| in_inbox(path)).map(|path| (*path).to_owned()).collect(),
        Target::Every { mails, dir } => {
            let dir = dir.as_deref().map(|dir| plain(dir).trim_end_matches('/').to_lowercase());
            let inside = |path: &str| match &dir {
                Some(dir) => path.to_lowercase().starts_with(&format!("{dir}/")) || (dir == "inbox" && in_inbox(path)),
                None => true,
            };
            let is_mail = |path: &str| path.to_lowercase().ends_with(".eml") || in_inbox(path);
            known.iter().filter(|p| inside(p) && (!mails || is_mail(p))).map(|path| (*path).to_owned()).collect()
        }
    };
    if paths.is_empty() {
        paths.push(match target {
            Target::Path(path) => path.clone(),
            Target::Every { dir: Some(dir), .. } => dir.clone(),
            Target::Inbox | Target::Every { .. } => "inbox".to_owned(),
        });
    }
    paths.iter().map(|path| replacing(path, String::new())).collect()
}

/// What a file holds, as far as the conversation still tells.
fn content_of(path: &str, memory: &Memory<'_>) -> Option<String> {
    let note = memory.note(path)?;
    let text = memory.text_of(path).map(view::unframed).filter(|text| !text.contains("bytes left out here"));
    Some(text.unwrap_or_else(|| note.to_owned()).chars().take(MAX_PASSED_ON).collect())
}

/// The known file that words such as "the customer list" mean: the first whose name begins with one of them.
fn meant(words: &str, memory: &Memory<'_>) -> Option<String> {
    let words = grammar::words(words);
    let telling: Vec<String> = words.iter().map(|word| word.to_lowercase()).filter(|word| word.len() >= 5).collect();
    let stem = |path: &str| path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let known = memory.known_files();
    known.iter().find(|path| telling.iter().any(|word| stem(path).starts_with(word))).map(|path| (*path).to_owned())
}

fn all_notes(memory: &Memory<'_>) -> String {
    let notes = memory.notes.iter().map(|(path, text)| format!("{path}: {text}\n"));
    notes.collect::<String>().chars().take(MAX_PASSED_ON).collect()
}

/// The step that a call of this module makes; `None` for anybody else's calls.
pub(super) fn step_of(call: &RawCall) -> Option<Step> {
    let args: Map<String, Value> = serde_json::from_str(&call.arguments).ok()?;
    let text = |names: &[&str]| names.iter().find_map(|name| args.get(*name)?.as_str()).map(str::to_owned);
    let path = text(&["path", "file"]).or_else(|| args.values().find_map(Value::as_str).map(str::to_owned));
    match call.name.as_str() {
        "read_file" => Some(Step::Read { path: path? }),
        "write_file" => {
            let append = args.get("mode").and_then(Value::as_str) == Some("append");
            Some(Step::Write { path: path?, content: text(&["content", "text"]).unwrap_or_default(), append })
        }
        "find" => {
            let pattern = text(&["pattern", "glob"])?;
            let folder = text(&["path", "folder", "root"]).filter(|folder| folder != ".");
            Some(Step::Find {
                folder: folder.unwrap_or_else(|| pattern.trim_end_matches("**/*").trim_end_matches('/').to_owned()),
            })
        }
        SHELL => {
            let background = args.get("background").and_then(Value::as_bool).unwrap_or_default();
            Some(Step::Run { command: text(&["command"])?, background })
        }
        _ => None,
    }
}

/// The call for a step, spelt as the tool's schema wants it; `None` if there is no such tool.
pub(super) fn call(step: &Step, request: &Request, turn: usize) -> Option<RawCall> {
    let name = match step {
        Step::Find { .. } => "find",
        Step::Read { .. } => "read_file",
        Step::Write { .. } => "write_file",
        Step::Run { .. } => SHELL,
    };
    let tool = request.tools.iter().find(|tool| tool.name == name)?;
    let mut args = Map::new();
    let target = param(tool, &["path", "file", "folder", "root"], Role::Target);
    match step {
        Step::Find { folder } => {
            let pattern = param(tool, &["pattern", "glob"], Role::Query)?;
            let below = match target {
                Some(target) if !folder.is_empty() => {
                    args.insert(target.name.clone(), Value::String(folder.clone()));
                    "**/*".to_owned()
                }
                _ if folder.is_empty() => "**/*".to_owned(),
                _ => format!("{folder}/**/*"),
            };
            args.insert(pattern.name.clone(), Value::String(below));
        }
        Step::Read { path } => {
            args.insert(target?.name.clone(), fitting(target?, path));
        }
        Step::Write { path, content, append } => {
            let holder = param(tool, &["content", "text"], Role::Content)?;
            args.insert(target?.name.clone(), fitting(target?, path));
            args.insert(holder.name.clone(), fitting(holder, content));
            let word = if *append { "append" } else { "replace" };
            let takes =
                |param: &&Param| matches!(&param.kind, Kind::OneOf { words } if words.iter().any(|w| w == word));
            if let Some(mode) = tool.params.iter().find(takes) {
                args.insert(mode.name.clone(), Value::String(word.to_owned()));
            }
        }
        Step::Run { command, background } => {
            let line = param(tool, &["command"], Role::Target)?;
            args.insert(line.name.clone(), fitting(line, command));
            if let (true, Some(param)) = (*background, tool.param("background")) {
                args.insert(param.name.clone(), Value::Bool(true));
            }
        }
    }
    for param in tool.params.iter().filter(|param| param.required) {
        args.entry(param.name.clone()).or_insert_with(|| least(param));
    }
    let arguments = serde_json::to_string(&args).ok()?;
    Some(RawCall { id: format!("gullible-{turn}"), name: one_line(name), arguments })
}

fn param<'t>(tool: &'t ToolSpec, names: &[&str], role: Role) -> Option<&'t Param> {
    names.iter().find_map(|name| tool.param(name)).or_else(|| tool.params.iter().find(|param| param.role == role))
}

/// The text, cut to what the parameter takes.
fn fitting(param: &Param, text: &str) -> Value {
    let max = match param.kind {
        Kind::Text { max } | Kind::Fitting { max, .. } => usize::try_from(max).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= max).last().unwrap_or(0);
    Value::String(text.get(..end).unwrap_or_default().to_owned())
}

/// A value for a required parameter that the step says nothing of.
fn least(param: &Param) -> Value {
    match &param.kind {
        Kind::Text { .. } | Kind::Fitting { .. } if param.role == Role::Target => Value::String(".".to_owned()),
        kind => least_of(kind),
    }
}

fn least_of(kind: &Kind) -> Value {
    match kind {
        Kind::Text { .. } | Kind::Fitting { .. } => Value::String(String::new()),
        Kind::Either { of } => of.first().map_or(Value::Null, least_of),
        Kind::Integer { min, max } => Value::from(0i64.clamp(*min, *max)),
        Kind::Number => Value::from(0),
        Kind::Boolean => Value::Bool(false),
        Kind::List { .. } => Value::Array(Vec::new()),
        Kind::Record { .. } => Value::Object(serde_json::Map::new()),
        Kind::Any { .. } | Kind::Null => Value::Null,
        Kind::OneOf { words } => Value::String(words.first().cloned().unwrap_or_default()),
    }
}
