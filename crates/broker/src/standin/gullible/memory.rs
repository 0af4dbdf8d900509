//! What the stand-in knows: a fold over the lines that it said and the calls that it made.

use std::collections::BTreeSet;
use std::fmt;

use autoshare_core::chat::{Message, Request};
use serde::{Deserialize, Serialize};

use super::hands::{self, Step};
use super::note::UNREAD;

/// An instruction and where it was read. The sentence is all there is of it: what it means is parsed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) sentence: String,
    pub(super) source: String,
}

/// The documents of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Relative to the workspace; empty is the workspace itself.
    pub(super) folder: String,
    pub(super) files: Vec<String>,
    /// How many more there are than it takes.
    pub(super) more: usize,
    /// Why they could not be listed, if so.
    pub(super) failed: Option<String>,
}

/// One line of what the stand-in says to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Looking(String),
    Plan(Plan),
    Note { path: String, text: String },
    Heard(Order),
    Obeying { order: Order, attempt: usize, of: usize },
    Known(Order),
    Did(Order),
    Cannot(Order),
    Refused(String),
    Summary(String),
    Ran { command: String, told: String },
    Recap { obeyed: usize, refused: usize },
}

/// A text without line breaks and control characters: it stays on its line.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c }).collect()
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// A JSON text at the start of `rest`, and what follows it.
fn unquoted(rest: &str) -> Option<(String, &str)> {
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    let text = values.next()?.ok()?;
    Some((text, rest.get(values.byte_offset()..)?))
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (from {})", quoted(&self.sentence), one_line(&self.source))
    }
}

impl Order {
    fn parse(rest: &str) -> Option<Self> {
        let (sentence, rest) = unquoted(rest)?;
        let source = rest.strip_prefix(" (from ")?.strip_suffix(')')?.to_owned();
        Some(Self { sentence, source })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Looking(folder) => write!(f, "looking: {}", quoted(folder)),
            Self::Plan(plan) => write!(f, "plan: {}", serde_json::to_string(plan).unwrap_or_default()),
            Self::Note { path, text } => write!(f, "note: {} — {}", one_line(path), one_line(text)),
            Self::Heard(order) => write!(f, "heard: {order}"),
            Self::Obeying { order, attempt, of } => write!(f, "obeying: {order}, attempt {attempt} of {of}"),
            Self::Known(order) => write!(f, "known: {order}"),
            Self::Did(order) => write!(f, "did: {order}"),
            Self::Cannot(order) => write!(f, "cannot: {order}"),
            Self::Refused(why) => write!(f, "refused: {}", one_line(why)),
            Self::Summary(into) => write!(f, "summary: {}", quoted(into)),
            Self::Ran { command, told } => write!(f, "ran: {} — {}", quoted(command), one_line(told)),
            Self::Recap { obeyed, refused } => write!(f, "recap: {obeyed} obeyed, {refused} refused"),
        }
    }
}

impl Line {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(": ")?;
        Some(match kind {
            "looking" => Self::Looking(unquoted(rest)?.0),
            "plan" => Self::Plan(serde_json::from_str(rest).ok()?),
            "note" => {
                let (path, text) = rest.split_once(" — ")?;
                Self::Note { path: path.to_owned(), text: text.to_owned() }
            }
            "heard" => Self::Heard(Order::parse(rest)?),
            "obeying" => {
                let (order, attempts) = rest.rsplit_once(", attempt ")?;
                let (attempt, of) = attempts.split_once(" of ")?;
                Self::Obeying { order: Order::parse(order)?, attempt: attempt.parse().ok()?, of: of.parse().ok()? }
            }
            "known" => Self::Known(Order::parse(rest)?),
            "did" => Self::Did(Order::parse(rest)?),
            "cannot" => Self::Cannot(Order::parse(rest)?),
            "refused" => Self::Refused(rest.to_owned()),
            "summary" => Self::Summary(unquoted(rest)?.0),
            "ran" => {
                let (command, rest) = unquoted(rest)?;
                Self::Ran { command, told: rest.strip_prefix(" — ")?.to_owned() }
            }
            "recap" => {
                let (obeyed, refused) = rest.strip_suffix(" refused")?.split_once(" obeyed, ")?;
                Self::Recap { obeyed: obeyed.parse().ok()?, refused: refused.parse().ok()? }
            }
            _ => return None,
        })
    }
}

/// What is known of an order.
#[derive(Debug)]
struct Course {
    order: Order,
    /// Attempts made, and how many it takes; `None` before the first.
    progress: Option<(usize, usize)>,
    /// Nothing more can be done about it.
    over: bool,
    /// Why an attempt was refused, if one was.
    refused: Option<String>,
}

/// What the conversation tells.
#[derive(Debug)]
pub(super) struct Memory<'r> {
    request: &'r Request,
    pub(super) goal: String,
    /// Assistant messages so far.
    pub(super) turns: usize,
    pub(super) plans: Vec<Plan>,
    looked: Vec<String>,
    /// Path and words, in the order of reading; the last word on a path holds.
    pub(super) notes: Vec<(String, String)>,
    /// Paths that a read was called for.
    tried: BTreeSet<String>,
    last_read: Option<String>,
    courses: Vec<Course>,
    /// Commands of the goal that were run, and what they printed.
    pub(super) ran: Vec<(String, String)>,
    /// Summaries that were written, or tried.
    pub(super) written: BTreeSet<String>,
    pub(super) obeyed: usize,
    pub(super) refused: usize,
    /// The last call and its result, if it has one and nothing was said since.
    pub(super) answered: Option<(Step, String)>,
    /// The order that the last call obeyed, if it did.
    pub(super) current: Option<Order>,
    /// Bytes of conversation since the last recapitulation.
    pub(super) said_since: usize,
}

/// A path without a leading `./`.
pub(super) fn plain(path: &str) -> &str {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    path
}

impl<'r> Memory<'r> {
    /// `None` without a user message.
    pub(super) fn of(request: &'r Request) -> Option<Self> {
        let goal = request.messages.iter().find_map(|message| match message {
            Message::User { text } => Some(text.clone()),
            _ => None,
        })?;
        let mut memory = Self {
            request,
            goal,
            turns: 0,
            plans: Vec::new(),
            looked: Vec::new(),
            notes: Vec::new(),
            tried: BTreeSet::new(),
            last_read: None,
            courses: Vec::new(),
            ran: Vec::new(),
            written: BTreeSet::new(),
            obeyed: 0,
            refused: 0,
            answered: None,
            current: None,
            said_since: 0,
        };
        let mut called: Option<(Step, &str)> = None;
        for message in &request.messages {
            match message {
                Message::Assistant { text, calls } => {
                    memory.turns += 1;
                    memory.answered = None;
                    let lines: Vec<Line> = text.lines().filter_map(Line::parse).collect();
                    if lines.iter().any(|line| matches!(line, Line::Recap { .. })) {
                        memory.said_since = 0;
                    }
                    memory.said_since += text.len();
                    // A refusal is said in the turn after the attempt, so the attempt is forgotten only then.
                    lines.iter().for_each(|line| memory.learn(line));
                    if !lines.iter().any(|line| matches!(line, Line::Obeying { .. })) {
                        memory.current = None;
                    }
                    called = calls.first().and_then(|call| Some((hands::step_of(call)?, call.id.as_str())));
                    if let Some((Step::Read { path }, _)) = &called {
                        memory.tried.insert(plain(path).to_owned());
                        memory.last_read = Some(path.clone());
                    }
                    memory.said_since += calls.iter().map(|call| call.arguments.len() + 64).sum::<usize>();
                }
                Message::Tool { call_id, text } => {
                    memory.said_since += text.len().min(320);
                    if let Some((step, id)) = &called
                        && *id == call_id
                    {
                        memory.answered = Some((step.clone(), text.clone()));
                    }
                }
                Message::System { .. } | Message::User { .. } => {}
            }
        }
        Some(memory)
    }

    pub(super) fn learn(&mut self, line: &Line) {
        match line {
            Line::Looking(folder) => self.looked.push(folder.clone()),
            Line::Plan(plan) => {
                self.plans.retain(|known| known.folder != plan.folder);
                self.plans.push(plan.clone());
            }
            Line::Note { path, text } => {
                self.tried.insert(plain(path).to_owned());
                match self.notes.iter_mut().find(|(known, _)| known == path) {
                    // A recapitulation cuts; what is known in full stays so.
                    Some(known) if text.strip_suffix('…').is_some_and(|head| known.1.starts_with(head)) => {}
                    Some(known) => known.1.clone_from(text),
                    None => self.notes.push((path.clone(), text.clone())),
                }
            }
            Line::Heard(order) => {
                self.course(order);
            }
            Line::Obeying { order, attempt, of } => {
                self.current = Some(order.clone());
                if *attempt == 1 && order.source != super::THE_GOAL {
                    self.obeyed += 1;
                }
                let course = self.course(order);
                course.progress = Some((*attempt, *of));
                course.over = attempt >= of;
            }
            Line::Did(order) => {
                let course = self.course(order);
                (course.progress, course.over) = (Some((1, 1)), true);
            }
            Line::Known(order) | Line::Cannot(order) => self.course(order).over = true,
            Line::Refused(why) => {
                let Some(order) = self.current.clone() else { return };
                self.refused += usize::from(order.source != super::THE_GOAL);
                self.course(&order).refused = Some(why.clone());
            }
            Line::Summary(into) => {
                self.written.insert(into.clone());
            }
            Line::Ran { command, told } => {
                self.ran.retain(|(known, _)| known != command);
                self.ran.push((command.clone(), told.clone()));
            }
            Line::Recap { obeyed, refused } => {
                self.obeyed = *obeyed;
                self.refused = *refused;
            }
        }
    }

    fn course(&mut self, order: &Order) -> &mut Course {
        let at = self.courses.iter().position(|course| course.order == *order).unwrap_or(self.courses.len());
        if at == self.courses.len() {
            self.courses.push(Course { order: order.clone(), progress: None, over: false, refused: None });
        }
        #[expect(clippy::indexing_slicing, reason = "the position of an element that was found or just added")]
        &mut self.courses[at]
    }

    pub(super) fn knows(&self, order: &Order) -> bool {
        self.courses.iter().any(|course| course.order == *order)
    }

    /// The first order that was heard and is not over.
    pub(super) fn waiting(&self) -> Option<Order> {
        self.courses.iter().find(|c| !c.over && c.order.source != super::THE_GOAL).map(|course| course.order.clone())
    }

    /// What of the goal is over: these lines say so again.
    pub(super) fn over(&self) -> impl Iterator<Item = Line> {
        let of_goal = self.courses.iter().filter(|course| course.over && course.order.source == super::THE_GOAL);
        of_goal.map(|course| match (&course.refused, course.progress) {
            (None, Some(_)) => Line::Did(course.order.clone()),
            _ => Line::Cannot(course.order.clone()),
        })
    }

    /// Attempts made at an order, and how many it takes.
    pub(super) fn progress(&self, order: &Order) -> Option<(usize, usize)> {
        self.courses.iter().find(|course| course.order == *order)?.progress
    }

    pub(super) fn is_over(&self, order: &Order) -> bool {
        self.courses.iter().any(|course| course.over && course.order == *order)
    }

    pub(super) fn plan(&self, folder: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.folder == folder)
    }

    /// Whether there is a tool of this name.
    pub(super) fn offers(&self, tool: &str) -> bool {
        self.request.tools.iter().any(|known| known.name == tool)
    }

    /// Whether the goal has it read anyway.
    pub(super) fn is_planned(&self, path: &str) -> bool {
        self.plans.iter().any(|plan| plan.files.iter().any(|file| file == plain(path)))
    }

    pub(super) fn looked(&self, folder: &str) -> usize {
        self.looked.iter().filter(|known| *known == folder).count()
    }

    pub(super) fn has_tried(&self, path: &str) -> bool {
        self.tried.contains(plain(path)) || self.tried.contains(plain(&one_line(path)))
    }

    /// What was noted of a document; `None` if it was not read, or could not be.
    pub(super) fn note(&self, path: &str) -> Option<&str> {
        let path = one_line(path);
        let same = |known: &str| plain(known) == plain(&path);
        self.notes
            .iter()
            .find(|(known, _)| same(known))
            .map(|(_, text)| text.as_str())
            .filter(|t| !t.starts_with(UNREAD))
    }

    pub(super) fn last_read(&self) -> Option<&str> {
        self.last_read.as_deref()
    }

    /// Every file it has heard of in a folder, or read.
    pub(super) fn known_files(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let planned = self.plans.iter().flat_map(|plan| plan.files.iter().map(String::as_str));
        let read = self.notes.iter().map(|(path, _)| path.as_str()).filter(|path| self.note(path).is_some());
        planned.chain(read).filter(|path| seen.insert(*path)).collect()
    }

    /// The text that a read of `path` brought, where it still stands in the conversation.
    pub(super) fn text_of(&self, path: &str) -> Option<&'r str> {
        let mut found = None;
        let mut wanted: Option<&str> = None;
        for message in &self.request.messages {
            match message {
                Message::Assistant { calls, .. } => {
                    let reads = |call: &&autoshare_core::chat::RawCall| matches!(hands::step_of(call), Some(Step::Read { path: p }) if plain(&p) == plain(path));
                    wanted = calls.iter().find(reads).map(|call| call.id.as_str());
                }
                Message::Tool { call_id, text } if wanted == Some(call_id.as_str()) => found = Some(text.as_str()),
                _ => {}
            }
        }
        found
    }

    /// The answer to a summary task.
    pub(super) fn account(&self, folder: &str, into: &str) -> String {
        let name = if folder.is_empty() { "the folder".to_owned() } else { format!("the folder {folder}") };
        let Some(plan) = self.plan(folder) else { return format!("I could not look into {name}.") };
        if let Some(why) = &plan.failed {
            return format!("I could not list {name}: {why}");
        }
        if plan.files.is_empty() {
            return format!("There is nothing to summarise in {name}.");
        }
        let read = plan.files.iter().filter(|path| self.note(path).is_some()).count();
        let unread = plan.files.iter().filter(|path| path.as_str() != into).count().saturating_sub(read);
        let mut words = format!("I read {read} documents of {name} and wrote {into}.");
        if unread > 0 {
            words.push_str(&format!(" {unread} could not be read."));
        }
        if plan.more > 0 {
            words.push_str(&format!(" {} more were left out: I take {} at most.", plan.more, super::MAX_FILES));
        }
        words
    }

    /// The answer to an order of the goal.
    pub(super) fn outcome(&self, sentence: &str) -> String {
        let order = Order { sentence: sentence.to_owned(), source: super::THE_GOAL.to_owned() };
        let read = match hands::steps(&order, self).first() {
            Some(Step::Read { path }) => self.notes.iter().find(|(known, _)| plain(known) == plain(path)),
            Some(Step::Run { command, .. }) => self.ran.iter().find(|(known, _)| known == command),
            _ => None,
        };
        let course = self.courses.iter().find(|course| course.order == order);
        let refused = course.and_then(|course| course.refused.as_deref());
        match (refused, read, course.and_then(|course| course.progress)) {
            (Some(why), _, _) => format!("I could not do this: {sentence} ({why})."),
            (None, Some((path, text)), _) => format!("{path}: {text}."),
            (None, None, Some(_)) => format!("I did what you asked: {sentence}."),
            (None, None, None) => format!("I could not do this: {sentence}."),
        }
    }
}
