//! The report as lines for a person, at most 100 columns wide.

use std::fmt::Write as _;

use autoshare_sandbox::Tier;
use autoshare_sandbox::probe::Answer;

use super::{Layer, Line, Report, Verdict};

/// How much of an answer is shown: the kernel's names of errors fit.
const ANSWER: usize = 13;

impl Layer {
    const fn word(self) -> &'static str {
        match self {
            Self::Handle => "handle",
            Self::Namespaces => "namespaces",
            Self::Landlock => "Landlock",
            Self::Seccomp => "seccomp",
            Self::Limits => "limits",
        }
    }
}

/// An answer without its number.
fn short(answer: &Answer) -> String {
    match answer {
        Answer::Through => "succeeded".to_owned(),
        Answer::Refused(words) | Answer::Ended(words) => {
            let word = words.split(" (").next().unwrap_or(words);
            word.chars().take(ANSWER).collect()
        }
    }
}

impl Line {
    /// One line: what was tried, what came of it, what a cell answered, and the layers that stop it by themselves.
    #[must_use]
    pub fn text(&self) -> String {
        let answers = self.in_cells.iter().map(|(_, answer)| answer);
        let answer = answers.clone().find(|answer| **answer == Answer::Through).or_else(|| answers.clone().next_back());
        let answer = answer.map(short).unwrap_or_default();
        let (verdict, by) = match self.verdict {
            Verdict::Through => ("THROUGH", String::new()),
            Verdict::NotApplicable => ("n/a", format!("no wall, and still: {}", short(&self.control))),
            Verdict::Stopped if self.stopped_by.is_empty() => ("stopped", "the walls together".to_owned()),
            Verdict::Stopped => {
                ("stopped", self.stopped_by.iter().map(|layer| layer.word()).collect::<Vec<_>>().join(" "))
            }
        };
        format!("{:2}  {:36}  {verdict:7}  {answer:ANSWER$}  {by}", self.id, self.tried).trim_end().to_owned()
    }
}

impl Report {
    /// The columns of [`Line::text`].
    #[must_use]
    pub fn heading() -> String {
        format!("    {:36}  {:7}  {:ANSWER$}  stopped by each of these alone", "what was tried in a cell", "", "answer")
    }

    /// What it comes to.
    #[must_use]
    pub fn summary(&self) -> String {
        let (stopped, through) = (self.count(Verdict::Stopped), self.count(Verdict::Through));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{} attacks in {} cells: {stopped} stopped, {through} got through",
            self.lines.len(),
            self.tier
        );
        match self.count(Verdict::NotApplicable) {
            0 => text.push('.'),
            more => {
                let _ = write!(text, ", {more} not applicable here (they fail without any wall as well).");
            }
        }
        if through > 0 {
            text.push_str(
                "\nThis machine does not hold an agent. Run none here, and report this: SECURITY.md says how.",
            );
        } else if self.tier == Tier::Narrow {
            text.push_str("\nCells here are narrow; `autoshare doctor` says how to have full ones.");
        }
        text
    }
}
