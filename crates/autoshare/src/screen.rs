//! What a person or a program sees while a brain works. Steps go to stderr, the answer to stdout; with `--json`, every
//! record goes to stdout as a line. Everything that came from a model or a file is neutralised here.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use autoshare_core::event::{Answer, Answerer, Event, Exchange, NoteKind, PolicyInForce, Reach};
use autoshare_core::outcome::{Ending, Outcome};
use autoshare_core::screening::Screening;
use autoshare_core::tool::{Action, Label};
use autoshare_core::usage::Usage;
use autoshare_core::verdict::Decision;
use autoshare_core::{BrainId, Seq};
use autoshare_guard::encode;
use autoshare_host::Progress;
use console::Style;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// Fields of a result that are named.
const FIELDS: usize = 8;

/// How things are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// A spinner, colours.
    Terminal,
    /// Lines.
    Plain,
    /// JSON lines.
    Json,
}

impl Look {
    /// The look for this invocation.
    pub(crate) fn choose(json: bool) -> Self {
        if json {
            Self::Json
        } else if std::io::stderr().is_terminal() {
            Self::Terminal
        } else {
            Self::Plain
        }
    }
}

/// The screen of one command.
pub(crate) struct Screen {
    look: Look,
    spinner: Option<ProgressBar>,
    used: Usage,
    /// Events are not shown as lines.
    silent: bool,
}

/// Prints a line of data.
pub(crate) fn out(line: &str) {
    // A reader that went away is not our failure: `println!` would panic.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line for a person.
pub(crate) fn err(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn style(look: Look) -> Style {
    let style = Style::new().for_stderr();
    let plain = look != Look::Terminal || crate::settings::no_color();
    if plain { style.force_styling(false) } else { style }
}

/// Colours for what is written to stderr: where that is a terminal, and nobody asked for none.
pub(crate) fn style_for_stderr() -> Style {
    style_if(std::io::stderr().is_terminal())
}

/// The same for stdout.
pub(crate) fn style_for_stdout() -> Style {
    style_if(std::io::stdout().is_terminal())
}

fn style_if(is_terminal: bool) -> Style {
    Style::new().force_styling(is_terminal && !crate::settings::no_color())
}

impl Screen {
    pub(crate) fn new(look: Look) -> Self {
        let spinner = (look == Look::Terminal).then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(template) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(template);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { look, spinner, used: Usage::default(), silent: false }
    }

    /// A screen for a command that says itself what is worth saying: JSON lines stay, lines do not.
    pub(crate) fn for_demo(&self) -> Self {
        Self { look: self.look, spinner: self.spinner.clone(), used: self.used, silent: true }
    }

    /// A handle by which a prompt keeps the spinner away while it waits.
    pub(crate) fn pause(&self) -> Option<ProgressBar> {
        self.spinner.clone()
    }

    /// Takes the spinner away while something is printed.
    pub(crate) fn quiet<T>(&self, what: impl FnOnce() -> T) -> T {
        match &self.spinner {
            Some(spinner) => spinner.suspend(what),
            None => what(),
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        self.quiet(|| err(text));
    }

    fn busy(&self, what: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(format!("{what}   {} tokens, {}", self.used.tokens(), self.used.cost));
        }
    }

    /// Words for a person that are no event.
    pub(crate) fn say(&self, text: &str) {
        if self.look != Look::Json {
            self.line(&encode::terminal(text));
        }
    }

    /// Shows one thing.
    pub(crate) fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Thinking { used } => {
                self.used = *used;
                self.busy("thinking");
            }
            Progress::Speaking { bytes } => self.busy(&format!("writing, {bytes} bytes")),
            Progress::Output(text) => {
                let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
                self.busy(&encode::terminal_line(last, 60));
            }
            Progress::Working { tool } => self.busy(&encode::terminal_line(tool, 40)),
            Progress::Recorded { brain, seq, event } => self.record(brain, *seq, event),
            Progress::Began { .. } | Progress::Replied { .. } | Progress::Limited | Progress::Question(_) => {}
        }
    }

    /// Shows one record of a journal.
    pub(crate) fn record(&mut self, brain: &BrainId, seq: Seq, event: &Event) {
        if self.look == Look::Json {
            out(&json_line(brain, seq, event));
        } else if let (false, Some(line)) = (self.silent, describe(event, &style(self.look))) {
            self.line(&line);
        }
    }

    /// Prints one record of a journal as data.
    pub(crate) fn log(&mut self, brain: &BrainId, seq: Seq, event: &Event) {
        if self.look == Look::Json {
            out(&json_line(brain, seq, event));
        } else if let Some(line) = describe(event, &style(self.look)) {
            out(&line);
        }
    }
}

/// A record as a JSON line. JSON itself escapes control characters; the others are escaped here.
pub(crate) fn json_line(brain: &BrainId, seq: Seq, event: &Event) -> String {
    let value = serde_json::json!({"brain": brain, "seq": seq, "record": event});
    ascii_json(&value)
}

/// JSON in ASCII, so that no reader's terminal is steered by it.
pub(crate) fn ascii_json(value: &serde_json::Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() && c != '\u{7f}' {
            text.push(c);
        } else {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

/// An event as a line for a person; `None` for what is not worth one.
pub(crate) fn describe(event: &Event, style: &Style) -> Option<String> {
    let dim = style.clone().dim();
    let line = |text: &str| encode::terminal_line(text, 160);
    Some(match event {
        Event::Goal(goal) => format!("{} {}", style.clone().bold().apply_to("goal"), line(&goal.text)),
        Event::Thought(thought) if thought.text.trim().is_empty() => return None,
        Event::Thought(thought) if thought.calls.is_empty() => return None,
        Event::Thought(thought) => dim.apply_to(format!("  {}", line(&thought.text))).to_string(),
        Event::Proposal { step, action, .. } => format!("{step:>4}  {}", summary(action)),
        Event::Verdict { verdict, .. } => match verdict.decision {
            Decision::Allow => return None,
            Decision::Ask => format!("      {} {}", style.clone().yellow().apply_to("asked"), line(&verdict.why())),
            Decision::Deny => format!("      {} {}", style.clone().red().apply_to("denied"), line(&verdict.why())),
        },
        Event::Approval { answer, by, .. } => format!("      {}", approval(answer, by)),
        Event::Observation { outcome, structured, label, screening, .. } => {
            let seen = observed(outcome, structured.as_ref(), *label, style);
            let held = guarded(screening, &outcome.text)
                .map(|words| format!("      {}", style.clone().yellow().apply_to(words)));
            return Some([seen, held].into_iter().flatten().collect::<Vec<_>>().join("\n"))
                .filter(|lines| !lines.is_empty());
        }
        Event::Note { kind: NoteKind::Cell, text } => dim.apply_to(format!("      cell: {}", line(text))).to_string(),
        Event::Note {
            kind:
                NoteKind::Paused
                | NoteKind::SetAside
                | NoteKind::Struck
                | NoteKind::Unheard
                | NoteKind::Doubt
                | NoteKind::Unfit,
            text,
        } => {
            format!("      {}", style.clone().yellow().apply_to(encode::terminal(text)))
        }
        Event::Note { text, .. } | Event::ShareEnded { text, .. } => format!("      {}", line(text)),
        Event::Fault { text, .. } => {
            format!("      {} {}", style.clone().red().apply_to("cannot go on:"), encode::terminal(text))
        }
        Event::Exchange(one) => {
            let Exchange { model, status, usage, millis, error, suspicious, .. } = one;
            let doubt = match suspicious {
                0 => String::new(),
                1 => ", a passage of it reads like an attack".to_owned(),
                many => format!(", {many} passages of it read like attacks"),
            };
            let (input, output) = (usage.input_tokens, usage.output_tokens);
            let error = error.as_ref().map(|error| format!(": {}", line(error))).unwrap_or_default();
            let model = encode::terminal_line(model, 60);
            format!(
                "      model {model}: {status}, {input} tokens in, {output} out, {}, {millis} ms{doubt}{error}",
                usage.cost
            )
        }
        Event::Reach(one) => {
            let Reach { target, connections, refused, sent, received, credential } = one;
            let target = encode::terminal_line(target, 100);
            let with = credential.as_deref().map(|name| format!(", with {}", encode::terminal_line(name, 64)));
            let with = with.unwrap_or_default();
            format!(
                "      {target}: {connections} connections, {sent} bytes out, {received} bytes in, {refused} refused{with}"
            )
        }
        Event::Warrant(warrant) => dim.apply_to(crate::question::warrant(warrant)).to_string(),
        Event::Policy(policy) => dim.apply_to(format!("      {}", line(&judged_by(policy)))).to_string(),
        Event::Budget { .. } | Event::Started { .. } | Event::Answer { .. } | Event::Finish { .. } => return None,
    })
}

/// The policy in force, in a few words.
fn judged_by(policy: &PolicyInForce) -> String {
    let file = policy.file.as_ref().map(|file| format!(", and {}", file.path)).unwrap_or_default();
    format!("judged by the profile {}{file}", policy.profile)
}

/// An action in one line: its tool and the values that say what it is aimed at.
pub(crate) fn summary(action: &Action) -> String {
    let args: Vec<String> = action
        .args
        .iter()
        .map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{}={}", encode::terminal_line(name, 32), encode::terminal_line(&value, 60))
        })
        .collect();
    format!("{} {}", encode::terminal_line(&action.tool, 40), args.join(" "))
}

/// Who answered a question, and what.
pub(crate) fn approval(answer: &Answer, by: &Answerer) -> String {
    let who = match by {
        Answerer::Person { name } => encode::terminal_line(name, 40),
        Answerer::Rule { name } => format!("the rule {}", encode::terminal_line(name, 40)),
        Answerer::Nobody => return "no: there is nobody to ask".to_owned(),
    };
    match answer {
        Answer::Yes => format!("{who} said yes"),
        Answer::No => format!("{who} said no"),
        Answer::Always => format!("{who} said always, for this tool and target"),
        Answer::Run => format!("{who} said yes, for the rest of this run, to this tool and the addresses listed"),
        Answer::Feedback { text } => format!("{who} said no: {}", encode::terminal_line(text, 120)),
    }
}

/// What a result is as a value, where a server gave one: its kind and its fields.
pub(crate) fn shape(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let names: Vec<String> = map.keys().take(FIELDS).map(|name| encode::terminal_line(name, 32)).collect();
            let more = map.len().saturating_sub(FIELDS);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("a record of {}{more}", names.join(", "))
        }
        Value::Array(members) => format!("a list of {}", members.len()),
        Value::String(_) => "a text".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::Bool(_) => "true or false".to_owned(),
        Value::Null => "nothing".to_owned(),
    }
}

/// What the guard did to a result, in a few words.
pub(crate) fn guarded(screening: &Screening, text: &str) -> Option<String> {
    let bytes: u64 = screening.held.iter().map(|held| held.len).sum();
    let held = match screening.held.len() {
        _ if screening.set_aside => Some(format!("set all {} bytes aside", text.len())),
        0 => None,
        1 => Some(format!("held back a passage of {bytes} bytes")),
        many => Some(format!("held back {many} passages of {bytes} bytes")),
    };
    let removed = (!screening.removed.is_empty()).then(|| encode::terminal_line(&screening.removed, 120));
    let words: Vec<String> = removed.into_iter().chain(held).collect();
    (!words.is_empty()).then(|| format!("guard: {}", words.join("; ")))
}

fn observed(outcome: &Outcome, structured: Option<&Value>, label: Label, style: &Style) -> Option<String> {
    let word = match outcome.ending {
        Ending::Done => {
            let spilled =
                outcome.spilled.as_ref().map(|p| format!(", whole result in {}", encode::terminal_line(p, 80)));
            let shape = structured.map(|value| format!(", {}", shape(value))).unwrap_or_default();
            let label = if label.is_neutral() { String::new() } else { format!(", labelled {}", label.words()) };
            let done = format!("      done ({} bytes{shape}{label}{})", outcome.bytes, spilled.unwrap_or_default());
            return Some(style.clone().dim().apply_to(done).to_string());
        }
        Ending::Failed => "failed",
        Ending::OutOfMemory => "out of memory",
        Ending::TimedOut => "timed out",
        Ending::OverQuota => "over quota",
        Ending::Refused => "refused",
        Ending::CellCrashed => "cell crashed",
        Ending::Unknown => "outcome unknown",
    };
    let word = style.clone().yellow().apply_to(word);
    Some(format!("      {word}: {}", encode::terminal_line(&outcome.text, 140)))
}
