//! What a model call may cost: set aside in the tenant's ledger before it, and a person asked where a soft cap is passed.

use std::sync::Arc;

use autoshare_core::StepNo;
use autoshare_core::event::{Answer, Answerer, Event, FaultKind, FinishReason, NoteKind};
use autoshare_core::tool::Action;
use autoshare_core::usage::Usage;
use autoshare_core::verdict::{Decision, Reason, Verdict};
use autoshare_store::Durability;
use autoshare_store::ledger::{LedgerError, Passed, Payer, Reservation};

use crate::drive::Driver;
use crate::parking::Parking;
use crate::switchboard::Question;
use crate::{HostError, Progress, Questions};

/// What a question about a soft cap has in place of a tool. No tool has this name.
pub const SOFT_CAP: &str = "pass-soft-cap";

impl Driver<'_> {
    /// Sets aside what a call of `model` may take. `None`: it is not to be made, and the journal says why.
    pub(crate) async fn set_aside(&mut self, model: &str, wanted: Usage) -> Result<Option<Reservation>, HostError> {
        let token = self.goal.token.clone();
        let payer = Payer { token: token.clone(), brain: Some(self.id.clone()), model: model.to_owned() };
        loop {
            let limits = match (&token, &self.host.limits_of) {
                (Some(token), Some(limits_of)) => limits_of(token),
                _ => Some(Arc::default()),
            };
            let Some(limits) = limits else {
                let text =
                    "the token that began it has ended, and nobody else pays: begin anew with another".to_owned();
                self.fault(FaultKind::Host, text).await?;
                return Ok(None);
            };
            match self.host.ledger.reserve(&payer, &limits, wanted) {
                Ok(reservation) => return Ok(Some(reservation)),
                Err(LedgerError::Store(error)) => return Err(error.into()),
                Err(error @ LedgerError::Soft { .. }) => {
                    let words = error.to_string();
                    let LedgerError::Soft { passed } = error else { continue };
                    if !self.may_pass(&passed, words).await? {
                        return Ok(None);
                    }
                }
                Err(error) => {
                    self.out_of_budget(error.to_string()).await?;
                    return Ok(None);
                }
            }
        }
    }

    async fn out_of_budget(&mut self, text: String) -> Result<(), HostError> {
        self.tell(Progress::Limited);
        self.record(vec![Event::Finish { reason: FinishReason::Budget, text }], Durability::Synced).await
    }

    /// Asks for leave to pass a soft cap. Without one the brain ends; where nobody can be asked, it can be resumed by
    /// somebody who can.
    async fn may_pass(&mut self, passed: &Passed, words: String) -> Result<bool, HostError> {
        if self.questions == Questions::Deny {
            let text =
                format!("{words}; or say yes to it: `autoshare resume {}` at a terminal, or with --wait", self.id);
            self.fault(FaultKind::Host, text).await?;
            return Ok(false);
        }
        let action = Action { tool: SOFT_CAP.to_owned(), args: [("cap".to_owned(), passed.to_string().into())].into() };
        let digest = action.digest();
        let reason = Reason { rule: "soft-cap".to_owned(), words };
        let verdict = Verdict {
            decision: Decision::Ask,
            reasons: vec![reason],
            origins: Vec::new(),
            digest,
            outside: false,
            alike: Vec::new(),
        };
        let step = StepNo(self.brain.steps()).next();
        let (brain, goal) = (self.id.clone(), self.goal.text.clone());
        let question =
            Question { brain, step, action, digest, verdict, goal, warrant: None, effect: None, reversible: false };
        let receiver = self.host.switchboard.ask(question.clone());
        self.tell(Progress::Question(Box::new(question)));
        let after = self.host.settings.park_after;
        let parked = Parking { hands: &mut self.hands, shell: &mut self.shell, after, cells: &self.cells };
        let (answer, by) = parked.while_waiting(receiver).await.unwrap_or((Answer::No, Answerer::Nobody));
        let who = match by {
            Answerer::Person { name } | Answerer::Rule { name } => name,
            Answerer::Nobody => "nobody".to_owned(),
        };
        match answer {
            Answer::Yes | Answer::Always | Answer::Run => {
                self.host.ledger.allow_soft(passed)?;
                let text = format!("{who} gave leave to pass a soft cap: {passed}");
                self.record(vec![Event::Note { kind: NoteKind::Leave, text }], Durability::Synced).await?;
                Ok(true)
            }
            Answer::No | Answer::Feedback { .. } => {
                self.out_of_budget(format!("{passed}; {who} gave no leave to pass this soft cap")).await?;
                Ok(false)
            }
        }
    }
}
