//! What happened in a demo, counted from the journal as it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use autoshare_broker::standin::gullible::obeyed;
use autoshare_core::StepNo;
use autoshare_core::event::{Answer, Event};
use autoshare_core::outcome::Ending;
use autoshare_core::tool::Action;
use autoshare_core::verdict::Decision;
use autoshare_guard::encode;
use autoshare_host::Progress;
use console::Style;

use crate::screen::{Look, err, summary};

/// One attempt to do what a document said.
struct Attempt {
    sentence: String,
    source: String,
    action: String,
    /// What stopped it; `None` while it is under way or when nothing did.
    stopped: Option<String>,
    done: bool,
}

/// The count.
#[derive(Default)]
pub(crate) struct Tally {
    read: BTreeSet<String>,
    written: BTreeSet<String>,
    said: Option<(String, String)>,
    attempts: BTreeMap<StepNo, Attempt>,
    actions: BTreeMap<StepNo, Action>,
    tier: String,
}

impl Tally {
    /// Hears one thing, and tells the person of what is worth it.
    pub(crate) fn hear(&mut self, progress: &Progress, look: Look) {
        let Progress::Recorded { event, .. } = progress else { return };
        match event.as_ref() {
            Event::Thought(thought) => {
                self.said = obeyed(&thought.text).map(|found| (found.sentence.clone(), found.source.clone()));
            }
            Event::Note { kind: autoshare_core::event::NoteKind::Cell, text } => self.tier.clone_from(text),
            Event::Proposal { step, action, .. } => {
                self.actions.insert(*step, action.clone());
                if let Some((sentence, source)) = self.said.take() {
                    let action = summary(action);
                    let attempt = Attempt { sentence, source, action, stopped: None, done: false };
                    self.attempts.insert(*step, attempt);
                }
            }
            Event::Verdict { step, verdict } if verdict.decision == Decision::Deny => {
                self.stop(*step, &verdict.why(), look);
            }
            Event::Verdict { step, verdict } if verdict.decision == Decision::Ask => {
                if let Some(attempt) = self.attempts.get_mut(step) {
                    attempt.stopped = Some(verdict.why());
                }
            }
            Event::Approval { step, answer: Answer::No | Answer::Feedback { .. }, .. } => {
                let why = self.attempts.get_mut(step).and_then(|attempt| attempt.stopped.take()).unwrap_or_default();
                self.stop(*step, &format!("asked, and nobody here said yes: {why}"), look);
            }
            Event::Observation { step, outcome, .. } => {
                let path = self.actions.get(step).and_then(|action| action.text("path")).unwrap_or(".").to_owned();
                let tool = self.actions.get(step).map(|action| action.tool.clone()).unwrap_or_default();
                if outcome.ending != Ending::Done {
                    return self.stop(*step, &outcome.text, look);
                }
                if let Some(attempt) = self.attempts.get_mut(step) {
                    attempt.done = true;
                }
                match tool.as_str() {
                    "read_file" => {
                        if look != Look::Json && !self.attempts.contains_key(step) {
                            err(&format!("  read {}", encode::terminal_line(&path, 80)));
                        }
                        self.read.insert(path);
                    }
                    "write_file" | "edit_file" => drop(self.written.insert(path)),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn stop(&mut self, step: StepNo, why: &str, look: Look) {
        let Some(attempt) = self.attempts.get_mut(&step) else { return };
        attempt.stopped = Some(why.to_owned());
        if look == Look::Json {
            return;
        }
        let plain = look != Look::Terminal || crate::settings::no_color();
        let style = Style::new().for_stderr();
        let style = if plain { style.force_styling(false) } else { style };
        let (source, sentence) =
            (encode::terminal_line(&attempt.source, 60), encode::terminal_line(&attempt.sentence, 90));
        err(&format!("{} {source}: \"{sentence}\"", style.clone().red().bold().apply_to("  HIJACK ")));
        err(&format!("           tried    {}", attempt.action));
        let why = encode::terminal_line(why, 150);
        err(&format!("{} {why}", style.green().bold().apply_to("           stopped ")));
    }

    /// Hijacks that nothing stopped.
    pub(crate) fn succeeded(&self) -> usize {
        self.attempts.values().filter(|attempt| attempt.done).count()
    }

    fn stopped(&self) -> usize {
        self.attempts.values().filter(|attempt| !attempt.done && attempt.stopped.is_some()).count()
    }

    /// The count for programs.
    pub(crate) fn json(&self, left: u64, summary: &str) -> serde_json::Value {
        let attempts: Vec<_> = self
            .attempts
            .values()
            .map(|a| {
                serde_json::json!({"source": a.source, "sentence": a.sentence, "tried": a.action, "stopped_by": a.stopped, "succeeded": a.done})
            })
            .collect();
        serde_json::json!({
            "files_read": self.read, "files_written": self.written, "hijacks": attempts,
            "hijacks_tried": self.attempts.len(), "hijacks_stopped": self.stopped(), "bytes_that_left": left,
            "summary_bytes": summary.len(), "cell": self.tier,
        })
    }

    /// The count for a person.
    pub(crate) fn table(&self, left: u64, summary: &str, took: Duration) -> String {
        let documents: BTreeSet<_> = self.attempts.values().map(|attempt| attempt.source.as_str()).collect();
        let rows = [
            ("files read", self.read.len().to_string()),
            ("files written", self.written.iter().map(|p| encode::terminal_line(p, 40)).collect::<Vec<_>>().join(", ")),
            ("hijacks tried", format!("{} by {} documents", self.attempts.len(), documents.len())),
            ("hijacks stopped", self.stopped().to_string()),
            ("bytes that left", left.to_string()),
            ("cell", encode::terminal_line(&self.tier, 110)),
            ("took", format!("{:.1} s", took.as_secs_f64())),
        ];
        let mut text = format!("\nsummary.md, made from the documents ({} bytes), begins:\n", summary.len());
        for line in summary.lines().take(8) {
            text.push_str(&format!("  | {}\n", encode::terminal_line(line, 100)));
        }
        text.push('\n');
        for (name, value) in rows {
            text.push_str(&format!("  {name:<16} {value}\n"));
        }
        text
    }
}
