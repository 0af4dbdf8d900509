//! An action that was under way when a cell or a host was lost: whether it happened is asked, and what may be is done again.

use std::time::Duration;

use autoshare_core::StepNo;
use autoshare_core::outcome::{Ending, Happened, Outcome, Plan};
use autoshare_core::tool::{Action, Redo, ToolSpec};
use autoshare_gate as gate;
use tokio::time::{Instant, sleep};

use crate::HostError;
use crate::cells::{Hands, JobError, READY_TIMEOUT};
use crate::drive::Driver;
use crate::judging::is_planned;

/// How soon a cell that was not to be had is asked for again.
const PAUSE: Duration = Duration::from_millis(200);

impl Driver<'_> {
    /// Ends an action whose intent is journaled and whose result is not.
    pub(crate) async fn recover(&mut self, step: StepNo, action: Action, plan: Plan) -> Result<(), HostError> {
        let Some(spec) = self.spec(&action) else { return Ok(()) };
        let is_repeatable = matches!(spec.redo, Redo::Read | Redo::Idempotent);
        if let Some(served) = spec.served.as_ref().filter(|_| is_repeatable) {
            let place = self.cells.enter().await;
            return self.call_server(step, &action, &spec, served, &plan, place).await;
        }
        let outcome = match (spec.redo, is_planned(&spec)) {
            (Redo::Queryable, true) => self.ask_whether(step, &action, &spec, &plan).await?,
            (Redo::Read | Redo::Idempotent, true) => self.do_again(step, &action, &spec, &plan).await?,
            (Redo::Read | Redo::Idempotent, false) => Some(self.do_it(None, step, &action, &spec, &plan).await?),
            (Redo::Write, _) | (Redo::Queryable, false) => Some(unknown("")),
        };
        match outcome {
            Some(outcome) => self.observe(step, &action, &spec, &plan, outcome).await,
            // The brain cannot go on just now, and the journal says why.
            None => Ok(()),
        }
    }

    /// Asks a cell whether an action happened, and has it done if it did not.
    async fn ask_whether(
        &mut self,
        step: StepNo,
        action: &Action,
        spec: &ToolSpec,
        plan: &Plan,
    ) -> Result<Option<Outcome>, HostError> {
        let until = Instant::now() + READY_TIMEOUT;
        loop {
            let mut own = match self.hands_again(action, spec, until).await? {
                Again::Own => None,
                Again::Outside(hands) => Some(*hands),
                Again::None(why) => return Ok(Some(unknown(&why))),
                Again::Fault => return Ok(None),
            };
            let Some(hands) = own.as_mut().or(self.hands.as_mut()) else {
                return Ok(Some(unknown("there is no cell")));
            };
            match hands.query(action, plan).await {
                Ok((Happened::Yes, outcome)) => return Ok(Some(outcome)),
                Ok((Happened::No, _)) => return Ok(Some(self.do_it(own, step, action, spec, plan).await?)),
                Ok((Happened::Unknown, said)) => return Ok(Some(unknown(&said.text))),
                // A cell that ends says nothing of the action: another is asked.
                Err(JobError::Broken(_)) if Instant::now() < until => {
                    self.hands = None;
                    sleep(PAUSE).await;
                }
                Err(error) => {
                    self.hands = None;
                    return Ok(Some(unknown(&error.outcome().text)));
                }
            }
        }
    }

    /// Has an action done that may be done twice.
    async fn do_again(
        &mut self,
        step: StepNo,
        action: &Action,
        spec: &ToolSpec,
        plan: &Plan,
    ) -> Result<Option<Outcome>, HostError> {
        let own = match self.hands_again(action, spec, Instant::now() + READY_TIMEOUT).await? {
            Again::Own => None,
            Again::Outside(hands) => Some(*hands),
            Again::None(why) => return Ok(Some(unknown(&why))),
            Again::Fault => return Ok(None),
        };
        self.do_it(own, step, action, spec, plan).await.map(Some)
    }

    /// Hands for an action that was interrupted. For a place that an approval opened, a cell that is not to be had just now
    /// is asked for again, for as long as one may take to be ready: what was approved is not to be lost to a busy machine.
    async fn hands_again(&mut self, action: &Action, spec: &ToolSpec, until: Instant) -> Result<Again, HostError> {
        let Some(escape) = gate::escape(action, spec, &self.goal.roots) else {
            return Ok(if self.have_hands().await? { Again::Own } else { Again::Fault });
        };
        loop {
            match self.outside_hands(action, &escape).await {
                Ok(hands) => return Ok(Again::Outside(Box::new(hands))),
                // The place is gone, or is another: no cell would show it.
                Err(error @ HostError::Root { .. }) => return Ok(Again::None(error.to_string())),
                Err(_) if Instant::now() < until => sleep(PAUSE).await,
                Err(error) => return Ok(Again::None(error.to_string())),
            }
        }
    }

    /// After a cell was lost in the middle of an action: whether the action happened, asked of a new cell.
    pub(crate) async fn settle(
        &self,
        lost: Hands,
        action: &Action,
        spec: &ToolSpec,
        plan: &Plan,
        told: Outcome,
    ) -> (Outcome, Option<Hands>) {
        if spec.redo != Redo::Queryable {
            return (told, None);
        }
        let unknown = |told| Outcome { ending: Ending::Unknown, ..told };
        let Ok(mut hands) = lost.renew(&self.host.launcher, self.lease(), &self.host.settings).await else {
            return (unknown(told), None);
        };
        match hands.query(action, plan).await {
            Ok((Happened::Yes, outcome)) => (outcome, Some(hands)),
            Ok((Happened::No, _)) => (told, Some(hands)),
            _ => (unknown(told), None),
        }
    }
}

/// What came of asking for hands again.
enum Again {
    /// The brain has its own.
    Own,
    /// A cell that is shown the place.
    Outside(Box<Hands>),
    /// There are none for this place, for this reason.
    None(String),
    /// The brain has none, and the journal says so.
    Fault,
}

/// What an action comes to that may have happened or not; `why` it cannot be told, if that is more than its kind.
fn unknown(why: &str) -> Outcome {
    let text = "The program was interrupted during this action, and it cannot be told whether it happened";
    let text = if why.is_empty() { format!("{text}.") } else { format!("{text}: {why}") };
    Outcome { ending: Ending::Unknown, text, spilled: None, after: None, bytes: 0 }
}
