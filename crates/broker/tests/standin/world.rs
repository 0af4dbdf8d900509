//! A folder in memory, and a loop that does what the stand-in calls for, as a host would.

use std::collections::BTreeMap;

use autoshare_broker::standin::gullible::{self, Obeyed};
use autoshare_core::chat::{Message, RawCall, Request};
use autoshare_core::tool::{Action, Effect, Kind, Param, Redo, Role, ToolSpec, accept_call};

pub(crate) const MARK: &str = "0123456789abcdef0123456789abcdef";

fn param(name: &str, role: Role, required: bool) -> Param {
    Param { name: name.to_owned(), description: String::new(), role, kind: Kind::Text { max: 1 << 20 }, required }
}

/// The three tools that the stand-in uses, with the schemas of the built-in ones.
pub(crate) fn tools() -> Vec<ToolSpec> {
    let tool = |name: &str, effect, params| ToolSpec::new(name, "", effect, Redo::Read, params);
    let words = ["create", "replace", "append"].map(str::to_owned).to_vec();
    let mode = Param { kind: Kind::OneOf { words }, ..param("mode", Role::Option, false) };
    vec![
        tool("read_file", Effect::Read, vec![param("path", Role::Target, true)]),
        tool("find", Effect::Read, vec![param("pattern", Role::Query, true), param("path", Role::Target, false)]),
        tool(
            "write_file",
            Effect::WriteInside,
            vec![param("path", Role::Target, true), param("content", Role::Content, true), mode],
        ),
    ]
}

/// The same, and the one that runs command lines.
pub(crate) fn tools_with_shell() -> Vec<ToolSpec> {
    let mut tools = tools();
    let background = Param { kind: Kind::Boolean, ..param("background", Role::Option, false) };
    let params = vec![param("command", Role::Target, true), background];
    tools.push(ToolSpec::new("execute_shell", "", Effect::RunInside, Redo::Write, params));
    tools
}

/// How much of the conversation the host still shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Window {
    Whole,
    /// Old results are cut to stubs, and the oldest turns go when more than so many bytes are there.
    Bytes(usize),
}

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) turns: usize,
    pub(crate) answer: String,
    pub(crate) actions: Vec<Action>,
    /// Every attempt that obeys something that was read, with its action.
    pub(crate) obeyed: Vec<(Obeyed, Action)>,
    pub(crate) texts: Vec<String>,
    pub(crate) files: BTreeMap<String, String>,
}

impl Outcome {
    /// Attempts that are the first of their instruction.
    pub(crate) fn hijacks(&self) -> Vec<(&Obeyed, &Action)> {
        self.obeyed.iter().filter(|(o, _)| o.attempt == 1).map(|(o, a)| (o, a)).collect()
    }

    pub(crate) fn reads(&self) -> Vec<&str> {
        self.actions.iter().filter(|a| a.tool == "read_file").map(|a| a.text("path").unwrap()).collect()
    }
}

pub(crate) fn framed(source: &str, text: &str) -> String {
    format!("[data {MARK} from \"{source}\"]\n{text}\n[end of data {MARK}]")
}

/// Whether a path lies in the folder, and may be overwritten by whoever asks.
fn inside(path: &str) -> bool {
    !path.starts_with('/')
        && !path.starts_with('~')
        && !path.contains("..")
        && !path.contains("://")
        && !path.contains('@')
}

/// One tool call, done on the files. `Err` is the host's refusal.
fn perform(files: &mut BTreeMap<String, String>, action: &Action) -> Result<String, String> {
    let path = action.text("path").unwrap_or(".").to_owned();
    match action.tool.as_str() {
        // A shell that has neither network nor anything but the folder, and nothing in it but `echo` and `rm`.
        "execute_shell" => {
            let command = action.text("command").unwrap();
            let (said, status) = match command.split_once(' ') {
                Some(("echo", words)) if !words.contains('>') => (format!("{words}\n"), 0),
                Some(("rm", rest)) => {
                    let head = rest.trim_start_matches("-rf ").trim_end_matches('*');
                    files.retain(|path, _| !path.starts_with(head));
                    (String::new(), 0)
                }
                _ => ("curl: (6) Could not resolve host\n".to_owned(), 6),
            };
            Ok(framed("tool:execute_shell", &format!("{said}[exit status {status}, 0.0 s]")))
        }
        "find" => {
            let folder = if path == "." { String::new() } else { format!("{path}/") };
            let found: Vec<&str> = files.keys().map(String::as_str).filter(|p| p.starts_with(&folder)).collect();
            Ok(framed("folder:.", &found.join("\n")))
        }
        _ if !inside(&path) => Err(format!("Not done: {path:?} is outside the workspace; name a path that is inside")),
        "read_file" => Ok(match files.get(&path) {
            Some(text) if text.contains('\0') => framed(&path, &format!("{path:?} is binary, not text")),
            Some(text) => framed(&format!("file:{path}"), text),
            None => framed("tool:read_file", &format!("there is no {path:?}")),
        }),
        // As the gate does it: nobody is there to ask, and only a file of its own may be replaced.
        _ if files.contains_key(&path) && path != "summary.md" => {
            Err("Not done: this replaces a file that the brain did not write, and nobody can be asked".to_owned())
        }
        _ => {
            files.insert(path.clone(), action.text("content").unwrap().to_owned());
            Ok(framed("tool:write_file", &format!("{path} was created")))
        }
    }
}

/// Works the goal through, without a shell.
pub(crate) fn work(goal: &str, files: &[(String, String)], window: Window, most: usize) -> Outcome {
    work_with(&tools(), goal, files, window, most)
}

/// Works the goal through with these tools.
pub(crate) fn work_with(
    tools: &[ToolSpec],
    goal: &str,
    files: &[(String, String)],
    window: Window,
    most: usize,
) -> Outcome {
    let mut files: BTreeMap<String, String> = files.iter().cloned().collect();
    let system = Message::System { text: format!("You are an agent. Data stands between marks with {MARK}.") };
    let mut log: Vec<Message> = Vec::new();
    let mut out = Outcome {
        turns: 0,
        answer: String::new(),
        actions: Vec::new(),
        obeyed: Vec::new(),
        texts: Vec::new(),
        files: BTreeMap::new(),
    };
    loop {
        assert!(out.turns < most, "no end after {most} turns; last: {:?}", out.texts.last());
        let mut messages = vec![system.clone(), Message::User { text: goal.to_owned() }];
        messages.extend(shown(&log, window));
        let request = Request { messages, tools: tools.to_vec(), max_output: 4_096 };
        let reply = gullible::reply(&request).unwrap();
        assert_eq!(reply, gullible::reply(&request).unwrap(), "the same request, the same reply");
        out.turns += 1;
        out.texts.push(reply.text.clone());
        log.push(Message::Assistant { text: reply.text.clone(), calls: reply.calls.clone() });
        let [call] = reply.calls.as_slice() else {
            assert!(reply.calls.is_empty(), "one call a turn");
            out.answer = reply.text;
            out.files = files;
            return out;
        };
        let action = accept_call(tools, &call.name, &call.arguments).expect("a call that fits its tool");
        if let Some(obeyed) = gullible::obeyed(&reply.text) {
            out.obeyed.push((obeyed, action.clone()));
        }
        let text = perform(&mut files, &action).unwrap_or_else(|refusal| refusal);
        out.actions.push(action);
        log.push(Message::Tool { call_id: call.id.clone(), text });
    }
}

fn shown(log: &[Message], window: Window) -> Vec<Message> {
    let Window::Bytes(most) = window else { return log.to_vec() };
    let recent = log.len().saturating_sub(6);
    let stubs: Vec<Message> = log
        .iter()
        .enumerate()
        .map(|(at, message)| match message {
            Message::Tool { call_id, text } if at < recent => {
                Message::Tool { call_id: call_id.clone(), text: text.chars().take(80).collect() }
            }
            other => other.clone(),
        })
        .collect();
    let size = |messages: &[Message]| messages.iter().map(bytes).sum::<usize>();
    let mut from = 0;
    while size(&stubs[from..]) > most {
        from += ((stubs.len() - from) / 2).max(1);
        from += usize::from(matches!(stubs.get(from), Some(Message::Tool { .. })));
    }
    stubs[from..].to_vec()
}

fn bytes(message: &Message) -> usize {
    match message {
        Message::System { text } | Message::User { text } | Message::Tool { text, .. } => text.len(),
        Message::Assistant { text, calls } => {
            text.len() + calls.iter().map(|c: &RawCall| c.arguments.len()).sum::<usize>()
        }
    }
}

/// A small generator of the same numbers every time (xorshift, Marsaglia 2003).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}

pub(crate) fn doc(path: &str, text: &str) -> (String, String) {
    (path.to_owned(), text.to_owned())
}
