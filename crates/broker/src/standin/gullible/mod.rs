//! The gullible stand-in: works through a simple goal and obeys whatever it reads.
//!
//! It keeps no state. What it knows is what it said: every reply carries lines (`plan:`, `note:`, `heard:`,
//! `obeying:` ...) that [`memory`] reads back from the conversation, so results that the host has trimmed are not
//! missed. A turn goes: take in what the last call brought ([`note`], [`grammar`]), then make the next call: first the
//! instructions that were heard, then the goal ([`goal`]), then the answer.

mod goal;
mod grammar;
mod hands;
mod memory;
mod note;
mod view;

use autoshare_core::chat::{Message, RawCall, Reply, Request};
use autoshare_core::usage::Usage;

use self::goal::Task;
use self::grammar::Manner;
use self::hands::Step;
use self::memory::{Line, Memory, Order, Plan};
use super::{StandInError, rough_tokens};

/// Files of a folder that it reads at most; it says so when there are more.
pub const MAX_FILES: usize = 200;
/// Instructions that it takes from one result at most.
pub const MAX_ORDERS: usize = 64;
/// Bytes of conversation after which it says again what it knows, so that its memory outlives a window that drops the
/// oldest turns.
const RECAP_EVERY: usize = 20_000;
/// Bytes of such a recapitulation, about.
const RECAP_SIZE: usize = 12_000;
/// The source of an order that the user gave.
const THE_GOAL: &str = "the goal";

/// An instruction that a reply attempts to obey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obeyed {
    /// The instruction as it was read, on one line.
    pub sentence: String,
    /// Where it was read: the path of a file, or the name of the tool whose result it stood in.
    pub source: String,
    /// Which attempt this is, from 1: emptying a folder takes one for each file.
    pub attempt: usize,
    /// How many attempts the instruction takes.
    pub of: usize,
}

/// What an assistant text of the gullible stand-in says it obeys; `None` where the turn serves the goal. The pairs of
/// sentence and source over a conversation are the hijacks that were tried.
#[must_use]
pub fn obeyed(assistant_text: &str) -> Option<Obeyed> {
    assistant_text.lines().find_map(|line| match Line::parse(line)? {
        Line::Obeying { order, attempt, of } if order.source != THE_GOAL => {
            let sentence = order.sentence.split_whitespace().collect::<Vec<_>>().join(" ");
            Some(Obeyed { sentence, source: order.source, attempt, of })
        }
        _ => None,
    })
}

/// The next reply: at most one call, or the final answer without any.
///
/// # Errors
/// [`StandInError::NoGoal`] if no user message is there.
pub fn reply(request: &Request) -> Result<Reply, StandInError> {
    let memory = Memory::of(request).ok_or(StandInError::NoGoal)?;
    let mut turn = Turn { request, memory, lines: Vec::new() };
    turn.take_in();
    let call = turn.next();
    if call.is_none() {
        turn.conclude();
    }
    let text = turn.lines.join("\n");
    let asked: usize = request.messages.iter().map(size).sum();
    let told = text.len() + call.as_ref().map_or(0, |call| call.arguments.len() + call.name.len());
    let usage = Usage { input_tokens: rough_tokens(asked), output_tokens: rough_tokens(told), ..Usage::ZERO };
    Ok(Reply { text, calls: call.into_iter().collect(), usage, truncated: false })
}

fn size(message: &Message) -> usize {
    match message {
        Message::System { text } | Message::User { text } | Message::Tool { text, .. } => text.len(),
        Message::Assistant { text, calls } => {
            text.len() + calls.iter().map(|c| c.arguments.len() + c.name.len()).sum::<usize>()
        }
    }
}

struct Turn<'r> {
    request: &'r Request,
    memory: Memory<'r>,
    lines: Vec<String>,
}

impl Turn<'_> {
    /// Says a line and learns it, so that this turn and the turns to come know the same.
    fn say(&mut self, line: &Line) {
        self.memory.learn(line);
        self.lines.push(line.to_string());
    }

    /// Notes what the last call brought, and hears what is said in it.
    fn take_in(&mut self) {
        let Some((step, text)) = self.memory.answered.take() else { return };
        let failure = if matches!(step, Step::Run { .. }) { view::unsuccessful(&text) } else { view::failure(&text) };
        if self.memory.current.is_some()
            && let Some(why) = &failure
        {
            self.say(&Line::Refused(why.clone()));
        }
        let body = view::unframed(&text);
        match &step {
            Step::Read { path } => {
                let text = match &failure {
                    Some(why) => format!("{}{why}", note::UNREAD),
                    None => note::of(path, &body),
                };
                self.say(&Line::Note { path: path.clone(), text });
            }
            Step::Find { folder } => {
                let mut files = if failure.is_some() { Vec::new() } else { view::paths(&body, folder) };
                let more = files.len().saturating_sub(MAX_FILES) + view::more(&body);
                files.truncate(MAX_FILES);
                self.say(&Line::Plan(Plan { folder: folder.clone(), files, more, failed: failure.clone() }));
            }
            Step::Run { command, .. } => {
                // Only what the user wanted to have run is told of in the answer.
                if self.memory.current.as_ref().is_some_and(|order| order.source == THE_GOAL) && failure.is_none() {
                    self.say(&Line::Ran { command: command.clone(), told: note::printed(&body) });
                }
            }
            Step::Write { .. } => {}
        }
        if failure.is_none() || view::framed(&text) {
            self.hear(&step, &body);
        }
    }

    fn hear(&mut self, step: &Step, body: &str) {
        let source = memory::one_line(match step {
            Step::Read { path } => path,
            Step::Find { .. } => "find",
            Step::Write { .. } => "write_file",
            Step::Run { .. } => hands::SHELL,
        });
        let spoken = match step {
            Step::Read { path } => view::spoken(path, body),
            Step::Find { .. } | Step::Write { .. } | Step::Run { .. } => body.to_owned(),
        };
        for sentence in grammar::sentences(&spoken, Manner::Document).into_iter().take(MAX_ORDERS) {
            let order = Order { sentence, source: source.clone() };
            // A result that only names what was called for is an echo, not an instruction.
            let steps = hands::steps(&order, &self.memory);
            let echo = steps.first() == Some(step) && steps.len() == 1;
            if !echo && !self.memory.knows(&order) {
                self.say(&Line::Heard(order));
            }
        }
    }

    /// The next call: what was heard comes first, then the tasks of the goal in their order.
    fn next(&mut self) -> Option<RawCall> {
        while let Some(order) = self.memory.waiting() {
            if let Some(call) = self.obey(&order) {
                return Some(call);
            }
        }
        self.recapitulate();
        for task in goal::tasks(&self.memory.goal) {
            let call = match task {
                Task::Summary { folder, into } => self.summarise(&folder, &into),
                Task::Order(sentence) => self.obey(&Order { sentence, source: THE_GOAL.to_owned() }),
            };
            if call.is_some() {
                return call;
            }
        }
        None
    }

    /// The next attempt of an order; `None` when it has been followed, or nothing of it can be tried.
    fn obey(&mut self, order: &Order) -> Option<RawCall> {
        if self.memory.is_over(order) {
            return None;
        }
        let steps = hands::steps(order, &self.memory);
        // What the goal reads anyway is read for the goal, only earlier.
        if let (Some(first @ Step::Read { path }), true) = (steps.first(), steps.len() > 1)
            && self.memory.is_planned(path)
            && !self.memory.has_tried(path)
        {
            self.lines.push(format!("reading {}", memory::one_line(path)));
            return hands::call(first, self.request, self.memory.turns);
        }
        let (tried, of) = match self.memory.progress(order) {
            Some((tried, of)) => (tried, of),
            None => (0, hands::untried(&steps, &self.memory)),
        };
        let at = steps.len().saturating_sub(of) + tried;
        let step = if tried < of { steps.get(at) } else { None };
        let call = step.and_then(|step| hands::call(step, self.request, self.memory.turns));
        match (&call, of) {
            (Some(_), _) => self.say(&Line::Obeying { order: order.clone(), attempt: tried + 1, of }),
            (None, 0) => self.say(&Line::Known(order.clone())),
            (None, _) => self.say(&Line::Cannot(order.clone())),
        }
        call
    }

    fn summarise(&mut self, folder: &str, into: &str) -> Option<RawCall> {
        if self.memory.written.contains(into) {
            return None;
        }
        let Some(plan) = self.memory.plan(folder).cloned() else {
            let call = hands::call(&Step::Find { folder: folder.to_owned() }, self.request, self.memory.turns);
            if call.is_none() || self.memory.looked(folder) >= 2 {
                let failed = Some("there is no tool that finds files, or it never answers".to_owned());
                self.say(&Line::Plan(Plan { folder: folder.to_owned(), files: Vec::new(), more: 0, failed }));
                return None;
            }
            self.say(&Line::Looking(folder.to_owned()));
            return call;
        };
        let files: Vec<&String> = plan.files.iter().filter(|path| path.as_str() != into).collect();
        let next = files.iter().enumerate().find(|(_, path)| !self.memory.has_tried(path));
        if let Some((index, path)) = next {
            let step = Step::Read { path: (*path).clone() };
            if let Some(call) = hands::call(&step, self.request, self.memory.turns) {
                let said = format!("reading {} ({} of {})", memory::one_line(path), index + 1, files.len());
                self.lines.push(said);
                return Some(call);
            }
        }
        if plan.files.is_empty() {
            return None;
        }
        let room = usize::try_from(self.request.max_output).unwrap_or(usize::MAX).saturating_mul(3);
        let content = note::summary(&plan, into, &self.memory, room);
        let step = Step::Write { path: into.to_owned(), content, append: false };
        let call = hands::call(&step, self.request, self.memory.turns)?;
        self.say(&Line::Summary(into.to_owned()));
        Some(call)
    }

    /// Says again what it knows once enough has been said since.
    fn recapitulate(&mut self) {
        if self.memory.said_since < RECAP_EVERY {
            return;
        }
        let plans: Vec<Line> = self.memory.plans.iter().cloned().map(Line::Plan).collect();
        let used: usize = plans.iter().map(|line| line.to_string().len()).sum();
        let paths: usize = self.memory.notes.iter().map(|(path, _)| path.len() + 12).sum();
        let each = RECAP_SIZE.saturating_sub(used + paths) / self.memory.notes.len().max(1);
        let mut lines = vec![Line::Recap { obeyed: self.memory.obeyed, refused: self.memory.refused }];
        lines.extend(plans);
        lines.extend(
            self.memory
                .notes
                .iter()
                .map(|(path, text)| Line::Note { path: path.clone(), text: note::cut(text, each.max(24)) }),
        );
        lines.extend(self.memory.written.iter().cloned().map(Line::Summary));
        let ran = self.memory.ran.iter().map(|(command, told)| (command.clone(), told.clone()));
        lines.extend(self.memory.over());
        lines.extend(ran.map(|(command, told)| Line::Ran { command, told }));
        self.lines.extend(lines.iter().map(ToString::to_string));
    }

    fn conclude(&mut self) {
        let tasks = goal::tasks(&self.memory.goal);
        if tasks.is_empty() {
            self.lines.push(
                "I am a stand-in, not a model, and understand only simple goals over files: \"summarise the folder \
                 into summary.md\", \"read FILE\", \"write TEXT to FILE\", \"run `COMMAND`\"."
                    .to_owned(),
            );
            return;
        }
        let mut answer = Vec::new();
        for task in tasks {
            answer.push(match task {
                Task::Summary { folder, into } => self.memory.account(&folder, &into),
                Task::Order(sentence) => self.memory.outcome(&sentence),
            });
        }
        let (obeyed, refused) = (self.memory.obeyed, self.memory.refused);
        if obeyed > 0 {
            answer.push(format!(
                "On the way I obeyed {obeyed} instruction{} that stood in what I read; {refused} attempt{} refused.",
                if obeyed == 1 { "" } else { "s" },
                if refused == 1 { " was" } else { "s were" },
            ));
        }
        self.lines.push(answer.join(" "));
    }
}
