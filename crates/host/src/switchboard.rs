//! Where questions wait for people, and where people ask for a stop.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use autoshare_core::event::{Answer, Answerer};
use autoshare_core::tool::{Action, Effect};
use autoshare_core::verdict::Verdict;
use autoshare_core::warrant::Warrant;
use autoshare_core::{BrainId, Digest, StepNo};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};

/// A question to a person: exactly what would run, and why it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Whose action.
    pub brain: BrainId,
    /// Which action.
    pub step: StepNo,
    /// Exactly what would run.
    pub action: Action,
    /// The digest that an answer must name.
    pub digest: Digest,
    /// Why it is asked, and where each value stands.
    pub verdict: Verdict,
    /// The goal, in the person's words.
    pub goal: String,
    /// What the goal's warrant holds of this tool; `None` where there is no warrant, or the question is about no tool.
    pub warrant: Option<Warrant>,
    /// What the action does to the world; `None` where the question is about no tool.
    pub effect: Option<Effect>,
    /// Whether another call can take it back.
    pub reversible: bool,
}

/// How soon to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// Go on.
    #[default]
    No,
    /// After the step that is under way.
    AfterStep,
    /// At once; what is under way is recovered by `resume`.
    Now,
}

/// Why an answer was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Nothing waits there.
    #[error("brain {0} has no question waiting; it may have been answered already")]
    NoQuestion(BrainId),
    /// The question is about something else.
    #[error(
        "the question of brain {brain} is about action {waiting}, not {given}: look at it again with `autoshare show {brain}`"
    )]
    OtherAction {
        /// The brain.
        brain: BrainId,
        /// The digest that waits.
        waiting: String,
        /// The digest that was answered.
        given: String,
    },
}

/// What a brain that is being driven is told from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A person's words: they count as that person's.
    Words(String),
    /// A person put a file into the workspace: its path.
    File(String),
}

/// What may wait for a brain that has not heard it yet, at most.
pub(crate) const MAX_TOLD: usize = 100;

struct Waiting {
    question: Question,
    reply: oneshot::Sender<(Answer, Answerer)>,
}

/// Where questions wait and stops are asked for; shared by the loop and every face.
#[derive(Default)]
pub struct Switchboard {
    waiting: Mutex<HashMap<BrainId, Waiting>>,
    stops: Mutex<HashMap<BrainId, Stop>>,
    told: Mutex<HashMap<BrainId, Vec<Told>>>,
    stop_asked: Notify,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A map of plain values is as good after a panic elsewhere as before.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Switchboard {
    /// Puts a question; the answer arrives on the receiver. A brain asks one question at a time.
    pub(crate) fn ask(&self, question: Question) -> oneshot::Receiver<(Answer, Answerer)> {
        let (reply, receiver) = oneshot::channel();
        held(&self.waiting).insert(question.brain.clone(), Waiting { question, reply });
        receiver
    }

    /// Withdraws a brain's question.
    pub(crate) fn withdraw(&self, brain: &BrainId) {
        held(&self.waiting).remove(brain);
    }

    /// The questions that wait.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        held(&self.waiting).values().map(|waiting| waiting.question.clone()).collect()
    }

    /// Answers a brain's question. The answer is taken once, and only for exactly the action it names.
    ///
    /// # Errors
    /// [`AnswerError`] when nothing waits or something else does.
    pub fn answer(&self, brain: &BrainId, digest: &Digest, answer: Answer, by: Answerer) -> Result<(), AnswerError> {
        let mut waiting = held(&self.waiting);
        let Some(found) = waiting.get(brain) else { return Err(AnswerError::NoQuestion(brain.clone())) };
        if found.question.digest != *digest {
            return Err(AnswerError::OtherAction {
                brain: brain.clone(),
                waiting: found.question.digest.short(),
                given: digest.short(),
            });
        }
        match waiting.remove(brain).map(|found| found.reply.send((answer, by))) {
            Some(Ok(())) => Ok(()),
            _ => Err(AnswerError::NoQuestion(brain.clone())),
        }
    }

    /// Asks for a stop. A second, sooner one replaces the first.
    pub fn stop(&self, brain: &BrainId, how: Stop) {
        let mut stops = held(&self.stops);
        let entry = stops.entry(brain.clone()).or_default();
        *entry = (*entry).max(how);
        drop(stops);
        self.stop_asked.notify_waiters();
    }

    /// Tells a brain something; it hears of it before its next command. `false` if so much waits for it already that this is
    /// not taken: one whose question nobody answers hears nothing, for as long as that is.
    #[must_use]
    pub fn tell(&self, brain: &BrainId, told: Told) -> bool {
        let mut all = held(&self.told);
        let waiting = all.entry(brain.clone()).or_default();
        let is_taken = waiting.len() < MAX_TOLD;
        if is_taken {
            waiting.push(told);
        }
        is_taken
    }

    /// What a brain was told and has not heard yet.
    pub(crate) fn take_told(&self, brain: &BrainId) -> Vec<Told> {
        held(&self.told).remove(brain).unwrap_or_default()
    }

    /// What was asked for.
    #[must_use]
    pub fn stop_of(&self, brain: &BrainId) -> Stop {
        held(&self.stops).get(brain).copied().unwrap_or_default()
    }

    /// Resolves when a stop of at least this urgency is asked for.
    pub(crate) async fn stopped(&self, brain: &BrainId, at_least: Stop) {
        loop {
            let asked = self.stop_asked.notified();
            tokio::pin!(asked);
            asked.as_mut().enable();
            if self.stop_of(brain) >= at_least {
                return;
            }
            asked.await;
        }
    }

    /// Forgets a brain that is no longer driven.
    pub(crate) fn forget(&self, brain: &BrainId) {
        self.withdraw(brain);
        held(&self.stops).remove(brain);
    }
}

#[cfg(test)]
mod tests {
    use autoshare_core::verdict::Decision;

    use super::*;

    fn question(brain: &BrainId, path: &str) -> Question {
        let action = Action { tool: "write_file".into(), args: [("path".to_owned(), path.into())].into() };
        let (digest, reasons, origins) = (action.digest(), Vec::new(), Vec::new());
        let verdict = Verdict { decision: Decision::Ask, reasons, origins, digest, outside: false, alike: Vec::new() };
        Question {
            brain: brain.clone(),
            step: StepNo(1),
            digest: action.digest(),
            action,
            verdict,
            goal: String::new(),
            warrant: None,
            effect: None,
            reversible: false,
        }
    }

    #[test]
    fn f7_what_a_brain_is_told_and_does_not_hear_is_bounded() {
        let (board, brain) = (Switchboard::default(), BrainId::from_random([7; 5]));
        let words = |n: usize| Told::Words(n.to_string());
        assert!((0..MAX_TOLD).all(|n| board.tell(&brain, words(n))));
        assert!(!board.tell(&brain, words(MAX_TOLD)));
        assert!(board.tell(&BrainId::from_random([8; 5]), words(0)), "another brain's is another matter");
        assert_eq!(board.take_told(&brain), (0..MAX_TOLD).map(words).collect::<Vec<_>>(), "what was taken is heard");
        assert!(board.tell(&brain, words(0)), "and then there is room");
    }

    /// Row D2: an answer opens the action that was shown, once, and no other.
    #[test]
    fn d2_an_answer_is_taken_once_and_for_the_action_that_waits() {
        let (board, brain) = (Switchboard::default(), BrainId::from_random([7; 5]));
        let (first, then) = (question(&brain, "a"), question(&brain, "b"));
        let person = || Answerer::Person { name: "ann".into() };
        let yes = |question: &Question| board.answer(&brain, &question.digest, Answer::Yes, person());
        assert_eq!(yes(&first), Err(AnswerError::NoQuestion(brain.clone())), "before it is asked");

        let mut receiver = board.ask(first.clone());
        assert!(matches!(yes(&then), Err(AnswerError::OtherAction { .. })), "another action");
        assert!(receiver.try_recv().is_err(), "which answers nothing");
        assert_eq!(yes(&first), Ok(()));
        assert_eq!(receiver.try_recv(), Ok((Answer::Yes, person())));
        assert_eq!(yes(&first), Err(AnswerError::NoQuestion(brain.clone())), "a second use");

        // The action changed: what was shown waits no more.
        let (_old, mut new) = (board.ask(first.clone()), board.ask(then.clone()));
        assert!(matches!(yes(&first), Err(AnswerError::OtherAction { .. })), "the answer comes too late");
        assert!(new.try_recv().is_err());

        // Nobody waits for it any more: withdrawn, and gone without a word.
        board.withdraw(&brain);
        assert_eq!(yes(&then), Err(AnswerError::NoQuestion(brain.clone())), "expired");
        drop(board.ask(then.clone()));
        assert_eq!(yes(&then), Err(AnswerError::NoQuestion(brain.clone())), "its host is gone");
    }
}
