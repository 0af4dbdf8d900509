//! A person's further words to a brain that nobody drives just now.

use autoshare_brain::{Brain, Status};
use autoshare_core::BrainId;
use autoshare_core::event::{Event, NoteKind};
use autoshare_core::tool::ToolSpec;
use autoshare_core::warrant::Warrant;
use autoshare_gate as gate;
use autoshare_store::Durability;

use crate::{Host, HostError};

impl Host {
    /// Tells a brain what a person says, which counts as that person's words from then on: what they ask for is added to its
    /// warrant. Gives the warrant where it was widened. The brain hears of it when it is driven again.
    ///
    /// # Errors
    /// When another process drives it, it has ended, or the journal fails.
    pub async fn say(&self, brain: &BrainId, words: &str) -> Result<Option<Warrant>, HostError> {
        let (journal, events) = self.journal(brain).await?;
        let state = Brain::fold(&events);
        let goal = state.goal().ok_or_else(|| HostError::NoGoal(brain.clone()))?;
        if goal.model == crate::exec::EXEC {
            return Err(HostError::Exec(brain.clone()));
        }
        if matches!(state.status(), Status::Finished(_)) {
            return Err(HostError::Ended(brain.clone()));
        }
        let (events, widened) = said(words.to_owned(), state.warrant(), &goal.tools);
        journal.append(&events, Durability::Synced).await?;
        Ok(widened)
    }
}

/// What is journaled of a person's words, and the warrant where they widen it.
pub(crate) fn said(words: String, warrant: Option<&Warrant>, tools: &[ToolSpec]) -> (Vec<Event>, Option<Warrant>) {
    let widened = gate::widen(warrant, &words, tools);
    let said = Event::Note { kind: NoteKind::Feedback, text: words };
    ([said].into_iter().chain(widened.clone().map(Event::Warrant)).collect(), widened)
}
