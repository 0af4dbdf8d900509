//! A question to a person, in words: exactly what would run, where each value stands, and why it is asked.

use autoshare_core::event::Answer;
use autoshare_core::tool::{Effect, Role};
use autoshare_core::warrant::{DrawnBy, Warrant, Warranted};
use autoshare_guard::encode;
use autoshare_host::Question;
use console::Style;

use crate::values;

/// Columns of the goal that a question shows.
const GOAL: usize = 160;
/// Columns of one target or source.
const TARGET: usize = 80;
/// Targets or sources that are named before it is said how many more there are.
const NAMED: usize = 10;

/// The question; every value is neutralised, so that what is seen is what would run.
pub(crate) fn words(question: &Question, style: &Style) -> String {
    if question.action.tool == autoshare_host::SOFT_CAP {
        return format!(
            "\nThe next model call of {} would pass a soft cap of a budget and needs your word:\n  {}\n  action {}\n",
            question.brain,
            encode::terminal(&question.verdict.why()),
            question.digest.short()
        );
    }
    let mut text = format!(
        "\nStep {} of {} wants to run {} and needs your word:\n  the goal: {}\n",
        question.step,
        question.brain,
        encode::terminal_line(&question.action.tool, 64),
        encode::terminal_line(question.goal.trim(), GOAL)
    );
    let more = format!("autoshare show {}", question.brain);
    text.push_str(&values::lines(&question.action, &question.verdict, style, &more));
    for reason in &question.verdict.reasons {
        let (rule, words) =
            (encode::terminal_line(&reason.rule, 64), encode::terminal(&reason.words).replace('\n', " "));
        text.push_str(&format!("  why asked: {words} [{rule}]\n"));
    }
    if question.effect.is_some_and(autoshare_gate::matters) {
        text.push_str(&format!("  warrant: {}\n", warranted(question.warrant.as_ref())));
    }
    if question.verdict.alike.len() > 1 {
        text.push_str("  addresses in the same place, all of which an answer for this run allows:\n");
        for address in &question.verdict.alike {
            text.push_str(&format!("    {}\n", encode::log_line(address)));
        }
    }
    if let Some(words) = question.effect.and_then(|effect| taken_back(effect, question.reversible)) {
        text.push_str(&format!("  if it is done: {words}\n"));
    }
    text.push_str(&format!("  action {}\n", question.digest.short()));
    text
}

/// What a goal's warrant holds of one tool.
fn warranted(warrant: Option<&Warrant>) -> String {
    let Some(warrant) = warrant else { return "none was drawn up".to_owned() };
    let by = drawn_by(warrant.by);
    if warrant.effects.is_empty() {
        return format!("the goal does not need this tool ({by})");
    }
    let effects: Vec<String> = warrant.effects.iter().map(entry).collect();
    format!("the goal needs it {} ({by})", effects.join("; and "))
}

/// Whom or what an effect of a warrant may be aimed at, and which words ask for it.
pub(crate) fn entry(effect: &Warranted) -> String {
    let mut aims: Vec<String> = named(&effect.targets);
    if effect.described {
        aims.push("what it describes without a name".to_owned());
    }
    let aims = if aims.is_empty() { "whatever you name".to_owned() } else { aims.join(", ") };
    let because = encode::terminal_line(&effect.because, GOAL);
    if because.is_empty() { format!("for {aims}") } else { format!("for {aims}, as it says \"{because}\"") }
}

/// A warrant, an effect a line.
pub(crate) fn warrant(warrant: &Warrant) -> String {
    let by = drawn_by(warrant.by);
    if warrant.effects.is_empty() {
        return format!("      warrant ({by}): nothing outside");
    }
    let effect =
        |effect: &Warranted| format!("\n        {} {}", encode::terminal_line(&effect.tool, 64), entry(effect));
    let effects: String = warrant.effects.iter().map(effect).collect();
    format!("      warrant ({by}):{effects}")
}

/// Who drew up a warrant.
pub(crate) const fn drawn_by(by: DrawnBy) -> &'static str {
    match by {
        DrawnBy::Draft => "drawn up by fixed rules",
        DrawnBy::Model => "drawn up by the model before it read anything",
        DrawnBy::Person => "given by a person",
    }
}

/// What can be done about an action afterwards.
const fn taken_back(effect: Effect, reversible: bool) -> Option<&'static str> {
    match effect {
        Effect::Read => None,
        Effect::WriteInside | Effect::RunInside => Some("`autoshare undo` takes back what it changes in files"),
        Effect::Fetch => Some("whoever is at that address has learned of it"),
        Effect::External | Effect::Destructive if reversible => Some("another call can take it back"),
        Effect::External | Effect::Destructive => Some("it cannot be taken back"),
    }
}

fn named(texts: &[String]) -> Vec<String> {
    let mut shown: Vec<String> =
        texts.iter().take(NAMED).map(|text| format!("\"{}\"", encode::terminal_line(text, TARGET))).collect();
    if texts.len() > NAMED {
        shown.push(format!("{} more", texts.len() - NAMED));
    }
    shown
}

/// The answers that a question takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offered {
    /// Whether the action is aimed at something.
    target: bool,
    /// How many addresses can be allowed together.
    together: usize,
}

impl Offered {
    pub(crate) fn by(question: &Question) -> Self {
        let origins = &question.verdict.origins;
        // A verdict of an earlier version says no roles.
        let target = origins.iter().any(|origin| origin.role == Some(Role::Target))
            || origins.iter().all(|origin| origin.role.is_none());
        Self { target, together: question.verdict.alike.len() }
    }

    /// The line that asks.
    pub(crate) fn line(&self) -> String {
        let always = if self.target { ", [a]lways for this target" } else { "" };
        let run = if self.is_for_run() {
            format!(", [r]un: yes for this run to the {} addresses above", self.together)
        } else {
            String::new()
        };
        format!("  [y]es once, [n]o{always}{run}, or words for the brain: ")
    }

    /// What a line answers; `None` where the question has to be put again.
    pub(crate) fn parse(&self, line: &str) -> Option<Answer> {
        match line.trim() {
            "" => None,
            "y" | "Y" | "yes" => Some(Answer::Yes),
            "n" | "N" | "no" => Some(Answer::No),
            "a" | "A" | "always" => self.target.then_some(Answer::Always),
            "r" | "R" | "run" => self.is_for_run().then_some(Answer::Run),
            words => Some(Answer::Feedback { text: words.to_owned() }),
        }
    }

    /// Whether an answer may be for the rest of the run.
    pub(crate) const fn is_for_run(&self) -> bool {
        self.together > 1
    }
}

#[cfg(test)]
#[path = "question_tests.rs"]
mod tests;
