//! The loop: what the brain says is next is done, journaled, and told to the brain.

use std::sync::Arc;

use autoshare_brain::{Brain, Command, Status};
use autoshare_broker::{Completion, Delta, Model, ModelError};
use autoshare_core::event::{
    Answer, Answerer, Event, FaultKind, FinishReason, Goal, NoteKind, PolicyInForce, Root, Thought,
};
use autoshare_core::fair::Flow;
use autoshare_core::outcome::{Ending, Outcome, Plan, Refusal};
use autoshare_core::screening::Screening;
use autoshare_core::tool::{Action, Effect, Label, ToolSpec};
use autoshare_core::usage::Usage;
use autoshare_core::verdict::{Decision, Verdict};
use autoshare_core::warrant::Warrant;
use autoshare_core::{BrainId, StepNo, TurnNo};
use autoshare_gate as gate;
use autoshare_sandbox::{Only, Work};
use autoshare_store::ledger::Settled;
use autoshare_store::{Durability, Lease};
use autoshare_vault::Sensitive;
use autoshare_workspace::Tag;
use tokio::sync::mpsc::UnboundedSender;

use crate::cells::{Extra, Hands, cell_spec, holder};
use crate::context::{Frame, request_for, shorten};
use crate::execute::Shell;
use crate::journal::Journal;
use crate::judge::Judged;
use crate::judging::{Judging, is_planned};
use crate::mcp::Servers;
use crate::parking::Parking;
use crate::places::{CellPlaces, enter_for_call};
use crate::programs::ProgramCell;
use crate::reading::source_of;
use crate::screening::Unread;
use crate::switchboard::{Question, Stop, Told};
use crate::undo::{Keeping, UndoError};
use crate::{Host, HostError, Progress, Questions, Reading, spill_path};

/// Sources that a notice names at most.
const SOURCES_NAMED: usize = 5;
/// Times that a request is made smaller when a provider says that it does not fit its window.
const WINDOW_RETRIES: u32 = 4;
/// Bytes of a result that is put into a file, at most: what a file tool takes, and room for the line that says what was
/// left out.
const MAX_RESULT: usize = autoshare_core::wire::MAX_FILE as usize - 1024;

/// Where a brain stands when the loop leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its status.
    pub status: Status,
    /// Its answer, or why it stopped, in words (unencoded).
    pub words: String,
    /// What it used.
    pub used: Usage,
    /// Actions it took.
    pub steps: u64,
    /// Which statements of its answer rest on whose words.
    pub grounds: gate::Grounds,
}

/// How far a brain is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Until it finishes, is stopped, or cannot go on.
    End,
    /// The same, or until what its model wants next has been done.
    Turn,
}

/// How a brain is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Driving {
    /// How far.
    pub until: Until,
    /// Whether questions wait for an answer.
    pub questions: Questions,
}

impl Host {
    /// Drives a brain from the end of its journal until it finishes, is stopped, or cannot go on. `feed` hears of
    /// everything; a closed feed does not stop the brain.
    ///
    /// # Errors
    /// As [`Host::drive_as`].
    pub async fn drive(&self, brain: &BrainId, feed: UnboundedSender<Progress>) -> Result<Standing, HostError> {
        self.drive_as(brain, Driving { until: Until::End, questions: self.settings.questions }, feed).await
    }

    /// The same, as far and in the way that `driving` says.
    ///
    /// # Errors
    /// When another process drives it, the journal fails, or its model or workspace is not to be had: nothing that was
    /// journaled is lost, and `resume` goes on from there.
    pub async fn drive_as(
        &self,
        brain: &BrainId,
        driving: Driving,
        feed: UnboundedSender<Progress>,
    ) -> Result<Standing, HostError> {
        let (journal, events) = self.journal(brain).await?;
        let mut state = Brain::new();
        let mut reading = Reading::of(&events);
        let canary = unguessable()?;
        let secrets = self.secrets.iter().map(Sensitive::expose).chain([canary.as_str()]);
        secrets.for_each(|secret| reading.know_secret(secret));
        let (mut judged, mut in_force) = (None, None);
        let mut judge = Judged::default();
        for event in &events {
            state.apply(event);
            judge.take(event);
            match event {
                Event::Verdict { verdict, .. } => judged = Some(verdict.clone()),
                Event::Policy(policy) => in_force = Some(policy),
                _ => {}
            }
        }
        let changed = self.settings.policy_in_force.as_ref().filter(|policy| in_force != Some(*policy)).cloned();
        let goal = state.goal().cloned().ok_or_else(|| HostError::NoGoal(brain.clone()))?;
        if goal.model == crate::exec::EXEC {
            return Err(HostError::Exec(brain.clone()));
        }
        let policy = self.settings.policy.as_ref().ok_or(HostError::NoPolicy)?;
        let policy = policy.for_brain(self.access.tenant().as_str(), brain.as_str());
        // While the model is asked what to do. It may have to wait for the launcher, and nobody waits for it.
        if let Ok(spec) = cell_spec(Work::Tools, &goal.roots, None, &self.settings) {
            let launcher = Arc::clone(&self.launcher);
            tokio::task::spawn_blocking(move || launcher.expect(&spec));
        }
        let model = Arc::new(self.broker.model(&goal.model)?);
        let (name, provider) = (goal.model.clone(), model.provider().map(str::to_owned));
        // Nobody watching is no reason not to begin.
        let _ = feed.send(Progress::Began { model: name, provider });
        let mut driver = Driver {
            host: self,
            questions: driving.questions,
            id: brain.clone(),
            goal,
            journal,
            brain: state,
            reading,
            policy,
            judged,
            proposed: String::new(),
            judge,
            unseen: String::new(),
            unread: None,
            model,
            hands: None,
            shell: None,
            servers: Servers::new(self.mcp.clone()),
            cells: CellPlaces::new(self.cells.clone(), Flow::Brain(brain.clone())),
            feed,
            words: String::new(),
            canary,
            keeping: Keeping::new(self.access.tenant(), brain, &self.settings.undo),
        };
        let is_new = |event: &Event| match event {
            Event::Goal(_) | Event::Policy(_) | Event::Warrant(_) => true,
            Event::Note { kind, .. } => {
                matches!(kind, NoteKind::Doubt | NoteKind::Feedback | NoteKind::Uploaded | NoteKind::Rested)
            }
            _ => false,
        };
        let is_over = matches!(driver.brain.status(), Status::Finished(_));
        // It was driven no further on purpose, and nothing has interrupted it.
        let since = |event: &&Event| {
            let heard = matches!(event, Event::Note { kind: NoteKind::Feedback | NoteKind::Uploaded, .. });
            !heard && !matches!(event, Event::Warrant(_))
        };
        let last = events.iter().rev().find(since);
        let rested = matches!(last, Some(Event::Note { kind: NoteKind::Rested, .. }));
        let resumed = !is_over && !rested && !events.iter().all(is_new);
        let result = driver.run(resumed, changed.filter(|_| !is_over), driving.until).await;
        self.switchboard.forget(brain);
        result
    }
}

pub(crate) struct Driver<'h> {
    pub(crate) host: &'h Host,
    pub(crate) questions: Questions,
    pub(crate) id: BrainId,
    pub(crate) goal: Goal,
    journal: Journal,
    pub(crate) brain: Brain,
    pub(crate) reading: Reading,
    /// What stands in this brain's instructions and nowhere else.
    pub(crate) canary: String,
    policy: gate::Policy,
    /// The last verdict.
    judged: Option<Verdict>,
    /// The tool of the action that was proposed last.
    proposed: String,
    /// What the judge was asked.
    pub(crate) judge: Judged,
    /// The text that the document which was read last keeps from its readers.
    pub(crate) unseen: String,
    /// A result that is being judged, and what is held back of it if a stop comes meanwhile.
    pub(crate) unread: Option<(Unread, Screening)>,
    pub(crate) model: Arc<Model>,
    pub(crate) hands: Option<Hands>,
    /// The cell in which its programs run.
    pub(crate) shell: Option<Shell>,
    /// The servers whose tools it called.
    pub(crate) servers: Servers,
    /// Where its cells get their place.
    pub(crate) cells: CellPlaces,
    pub(crate) feed: UnboundedSender<Progress>,
    words: String,
    /// What actions are about to change, so that it can be taken back.
    keeping: Keeping,
}

/// Why what a brain is at is broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BrokenOff {
    /// A person stops it.
    Stop,
    /// Its cells show what is shared no more.
    ShareEnded,
}

impl Driver<'_> {
    async fn run(
        &mut self,
        resumed: bool,
        changed: Option<PolicyInForce>,
        until: Until,
    ) -> Result<Standing, HostError> {
        if let Some(policy) = changed {
            self.record(vec![Event::Policy(policy)], Durability::Synced).await?;
        }
        if resumed {
            let text = "The work goes on after an interruption.".to_owned();
            self.record(vec![Event::Note { kind: NoteKind::Resumed, text }], Durability::Lazy).await?;
        }
        let doubt = self.host.settings.guard.doubt(&self.goal.text).filter(|_| !resumed && self.brain.steps() == 0);
        if let Some(text) = doubt {
            self.record(vec![Event::Note { kind: NoteKind::Doubt, text }], Durability::Lazy).await?;
        }
        let switchboard = self.host.switchboard();
        let id = self.id.clone();
        let mut has_thought = false;
        loop {
            self.end_shares().await?;
            self.hear().await?;
            if until == Until::Turn && has_thought && self.is_between_turns() {
                let text = "It rests after this turn.".to_owned();
                self.record(vec![Event::Note { kind: NoteKind::Rested, text }], Durability::Lazy).await?;
                break;
            }
            if switchboard.stop_of(&id) >= Stop::AfterStep && !matches!(self.brain.status(), Status::Finished(_)) {
                self.note_stop().await?;
            }
            let Some(command) = self.brain.pending().into_iter().next() else { break };
            if self.brain.warrant().is_none() && self.brain.steps() == 0 {
                self.draw_warrant().await?;
                continue;
            }
            has_thought |= matches!(command, Command::Think { .. });
            let waits = matches!(command, Command::Ask { .. } | Command::Think { .. });
            let urgency = if waits { Stop::AfterStep } else { Stop::Now };
            let shares = self.watch_shares();
            let broken_off = tokio::select! {
                done = self.carry_out(command) => { done?; None }
                () = switchboard.stopped(&id, urgency) => Some(BrokenOff::Stop),
                // Whatever it is at is done again without it, or is told as unknown.
                () = shares.ended() => Some(BrokenOff::ShareEnded),
            };
            if let Some(why) = broken_off {
                switchboard.withdraw(&id);
                (self.hands, self.shell) = (None, None);
                self.servers.end().await;
                self.take_in_unread().await?;
                if why == BrokenOff::Stop {
                    self.note_stop().await?;
                }
            }
        }
        self.servers.end().await;
        Ok(Standing {
            status: self.brain.status(),
            words: std::mem::take(&mut self.words),
            used: self.brain.used(),
            steps: self.brain.steps(),
            grounds: self.brain.answer().map(|text| gate::grounds(text, self.reading.history())).unwrap_or_default(),
        })
    }

    /// Whether its model is asked next.
    fn is_between_turns(&self) -> bool {
        matches!(self.brain.pending().first(), Some(Command::Think { .. }))
    }

    /// Journals what it was told from outside.
    async fn hear(&mut self) -> Result<(), HostError> {
        for told in self.host.switchboard.take_told(&self.id) {
            if matches!(self.brain.status(), Status::Finished(_)) {
                return Ok(());
            }
            let events = match told {
                Told::Words(text) => crate::say::said(text, self.brain.warrant(), &self.goal.tools).0,
                Told::File(text) => vec![Event::Note { kind: NoteKind::Uploaded, text }],
            };
            self.record(events, Durability::Synced).await?;
        }
        Ok(())
    }

    async fn note_stop(&mut self) -> Result<(), HostError> {
        let text = "Stopped on request.".to_owned();
        self.record(vec![Event::Note { kind: NoteKind::Stopped, text }], Durability::Synced).await
    }

    /// Journals events, then tells the brain and the faces.
    pub(crate) async fn record(&mut self, events: Vec<Event>, durability: Durability) -> Result<(), HostError> {
        let seqs = self.journal.append(&events, durability).await?;
        for (event, seq) in events.into_iter().zip(seqs) {
            self.brain.apply(&event);
            self.reading.take(seq, &event);
            self.judge.take(&event);
            if let Event::Proposal { action, .. } = &event {
                self.proposed.clone_from(&action.tool);
            }
            if let Some(auditor) = &self.host.auditor {
                auditor.take(&self.id, &event, &self.proposed);
            }
            match &event {
                Event::Verdict { verdict, .. } => self.judged = Some(verdict.clone()),
                Event::Answer { text } | Event::Fault { text, .. } => self.words.clone_from(text),
                Event::Finish { text, .. } if self.words.is_empty() => self.words.clone_from(text),
                _ => {}
            }
            self.tell(Progress::Recorded { brain: self.id.clone(), seq, event: Box::new(event) });
        }
        Ok(())
    }

    pub(crate) fn tell(&self, progress: Progress) {
        // Nobody watching is no reason to stop.
        let _ = self.feed.send(progress);
    }

    async fn carry_out(&mut self, command: Command) -> Result<(), HostError> {
        match command {
            Command::Think { turn } => self.think(turn).await,
            Command::Retry { text } => {
                self.record(vec![Event::Note { kind: NoteKind::Retry, text }], Durability::Lazy).await
            }
            Command::Decide { step, call_id, action } => self.decide(step, call_id, action).await,
            Command::Ask { step, action, verdict } => self.ask(step, action, verdict).await,
            Command::Perform { step, action } => self.perform(step, action).await,
            Command::Recover { step, action, plan } => self.recover(step, action, plan).await,
            Command::Finish { reason, text, answer } => {
                let mut events: Vec<Event> = answer.map(|text| Event::Answer { text }).into_iter().collect();
                events.push(Event::Finish { reason, text });
                self.record(events, Durability::Synced).await
            }
        }
    }

    async fn think(&mut self, turn: TurnNo) -> Result<(), HostError> {
        let mut window = self.goal.limits.window;
        for attempt in 0..=WINDOW_RETRIES {
            let frame =
                Frame { mark: &unguessable()?, canary: &self.canary, datamark: self.host.settings.guard.datamark };
            let request = request_for(&self.goal, self.brain.transcript(), &frame, window);
            let reserved = self.model.reserve(&request);
            if let Err(over) = self.goal.limits.check(self.brain.used(), reserved) {
                let event = Event::Finish { reason: FinishReason::Budget, text: over.to_string() };
                return self.record(vec![event], Durability::Synced).await;
            }
            let model = Arc::clone(&self.model);
            let Some(aside) = self.set_aside(model.name(), reserved).await? else { return Ok(()) };
            self.record(vec![Event::Budget { turn, reserved }], Durability::Lazy).await?;
            self.tell(Progress::Thinking { used: self.brain.used() });
            let feed = self.feed.clone();
            let mut bytes = 0;
            // Not the words: what is secret is struck from them once they are whole.
            let mut deltas = move |delta: Delta| {
                if let Delta::Text(text) = delta {
                    bytes += text.len() as u64;
                    let _ = feed.send(Progress::Speaking { bytes });
                }
            };
            let admitted = enter_for_call(&self.host.model_calls, Flow::Brain(self.id.clone()), aside);
            let asking = async {
                let (place, aside) = admitted.await;
                (model.complete_metered(&request, &mut deltas).await, place, aside)
            };
            let parked = Parking {
                hands: &mut self.hands,
                shell: &mut self.shell,
                after: self.host.settings.park_after,
                cells: &self.cells,
            };
            let (reply, place, aside) = parked.while_waiting(asking).await;
            match reply {
                Ok(Completion { reply, model, .. }) => {
                    self.tell(Progress::Replied { model });
                    place.charge(reply.usage.tokens());
                    drop(place);
                    aside.settle(reply.usage, Settled::Done);
                    let (text, notice) = self.spoken(reply.text);
                    let thought =
                        Thought { turn, text, calls: reply.calls, usage: reply.usage, truncated: reply.truncated };
                    let events = notice.into_iter().chain([Event::Thought(thought)]).collect();
                    return self.record(events, Durability::Lazy).await;
                }
                Err(ModelError::WindowExceeded { .. }) if attempt < WINDOW_RETRIES => {
                    aside.release();
                    window /= 2;
                }
                Err(error) => {
                    if error.may_have_been_billed() {
                        place.charge(reserved.tokens());
                        aside.settle(reserved, Settled::Failed);
                    } else {
                        aside.release();
                    }
                    return self.fault(FaultKind::Model, error.to_string()).await;
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn fault(&mut self, kind: FaultKind, text: String) -> Result<(), HostError> {
        self.record(vec![Event::Fault { kind, text }], Durability::Synced).await
    }

    pub(crate) fn spec(&self, action: &Action) -> Option<ToolSpec> {
        self.goal.tools.iter().find(|tool| tool.name == action.tool).cloned()
    }

    /// The brain's cell, made when it first needs one. `Ok(false)`: none is to be had, and the fault is journaled.
    pub(crate) async fn have_hands(&mut self) -> Result<bool, HostError> {
        if self.hands.is_some() {
            return Ok(true);
        }
        let (place, keeps) = (self.cells.enter().await, self.keeps().await?);
        let (launcher, settings) = (&self.host.launcher, &self.host.settings);
        match Hands::open(launcher, keeps, place, &self.goal.roots, None, settings).await {
            Ok(hands) => {
                let text = hands.attested.clone();
                self.hands = Some(hands);
                self.record(vec![Event::Note { kind: NoteKind::Cell, text }], Durability::Lazy).await?;
                Ok(true)
            }
            Err(error) => {
                self.fault(FaultKind::Cell, error.to_string()).await?;
                Ok(false)
            }
        }
    }

    async fn decide(&mut self, step: StepNo, call_id: String, action: Action) -> Result<(), HostError> {
        let Some(spec) = self.spec(&action) else {
            return self.fault(FaultKind::Host, format!("the tool {:?} has no contract", action.tool)).await;
        };
        let plans = is_planned(&spec);
        if plans && !self.have_hands().await? {
            return Ok(());
        }
        let plan = match self.hands.as_mut().filter(|_| plans) {
            Some(hands) => match hands.plan(&action).await {
                Ok(plan) => plan,
                Err(error) => {
                    self.hands = None;
                    error.refusal()
                }
            },
            None => Plan::default(),
        };
        let verdict = self.judge(&action, &spec, &plan);
        let judged = Event::Verdict { step, verdict, plan: plans.then_some(plan) };
        let events = if self.brain.is_proposed() {
            vec![judged]
        } else {
            vec![Event::Proposal { step, call_id, action }, judged]
        };
        self.record(events, Durability::Lazy).await
    }

    fn judge(&self, action: &Action, spec: &ToolSpec, plan: &Plan) -> Verdict {
        let judging = Judging {
            goal: &self.goal,
            brain: &self.brain,
            reading: &self.reading,
            protected: &self.host.settings.protected,
            commands: &self.host.settings.commands,
            allowed_hosts: &self.host.settings.allowed_hosts,
        };
        judging.verdict(&self.policy, action, spec, plan)
    }

    /// The plan by which an action is performed, which was made after the one it was judged by: where the gate would now
    /// be stricter, or ask for another reason, the world has changed meanwhile, and a yes was said to something else.
    fn still(&self, action: &Action, spec: &ToolSpec, plan: Plan) -> Plan {
        if plan.refusal.is_some() {
            return plan;
        }
        let now = self.judge(action, spec, &plan);
        // What lies outside was judged unseen, and is seen only now that a yes has opened it.
        let is_outside = gate::escape(action, spec, &self.goal.roots).is_some();
        let holds = self.judged.as_ref().is_some_and(|judged| {
            let same = judged.digest == now.digest;
            let no_stricter = now.decision < judged.decision
                || (now.decision == judged.decision
                    && (now.decision == Decision::Allow || now.reasons == judged.reasons));
            same && (no_stricter || (is_outside && now.decision != Decision::Deny))
        });
        if holds {
            return plan;
        }
        let words = format!("what it concerns changed after it was judged, and nothing was done: {}", now.why());
        let refusal = Refusal { ending: Ending::Failed, layer: "gate".to_owned(), words };
        Plan { refusal: Some(refusal), ..plan }
    }

    async fn ask(&mut self, step: StepNo, action: Action, verdict: Verdict) -> Result<(), HostError> {
        if verdict.outside && self.brain.refused_outside() >= self.host.settings.pause_after {
            return self.pause(&action, &verdict).await;
        }
        let by_rule = gate::answer_by_rule(&verdict, self.goal.ask);
        let (answer, by) = match (by_rule, self.questions) {
            (Some(answered), _) => answered,
            (None, Questions::Deny) => (Answer::No, Answerer::Nobody),
            (None, Questions::Wait) => {
                let question = self.question(step, &action, verdict);
                let receiver = self.host.switchboard.ask(question.clone());
                self.tell(Progress::Question(Box::new(question)));
                let after = self.host.settings.park_after;
                let parked = Parking { hands: &mut self.hands, shell: &mut self.shell, after, cells: &self.cells };
                let within = self.host.settings.answer_within;
                let answered = tokio::time::timeout(within, parked.while_waiting(receiver)).await;
                self.host.switchboard.withdraw(&self.id);
                answered.ok().and_then(Result::ok).unwrap_or((Answer::No, Answerer::Nobody))
            }
        };
        let widened = match (&answer, &by) {
            (Answer::Feedback { text }, Answerer::Person { .. }) => {
                gate::widen(self.brain.warrant(), text, &self.goal.tools)
            }
            _ => None,
        };
        let approval = Event::Approval { step, digest: action.digest(), answer, by };
        self.record([approval].into_iter().chain(widened.map(Event::Warrant)).collect(), Durability::Synced).await
    }

    fn question(&self, step: StepNo, action: &Action, verdict: Verdict) -> Question {
        let spec = self.spec(action);
        let warrant = self
            .brain
            .warrant()
            .map(|warrant| Warrant { by: warrant.by, effects: warrant.of(&action.tool).cloned().collect() });
        Question {
            brain: self.id.clone(),
            step,
            digest: action.digest(),
            action: action.clone(),
            verdict,
            goal: self.goal.text.clone(),
            warrant,
            effect: spec.as_ref().map(|spec| spec.effect),
            reversible: spec.is_some_and(|spec| spec.reversible),
        }
    }

    /// A brain that keeps asking for what its goal does not need is somebody else's: it stops, alone, with one notice.
    async fn pause(&mut self, action: &Action, verdict: &Verdict) -> Result<(), HostError> {
        let mut sources = verdict.target_sources();
        if sources.is_empty() {
            sources = self.reading.history().sources().map(str::to_owned).take(SOURCES_NAMED).collect();
        }
        let refused = self.brain.refused_outside();
        let text = format!(
            "Paused: it wants {} after {refused} refusals of what its goal does not need. What it read last came from: {}. \
             Look at it with `autoshare show {}`; `autoshare resume {}` lets it go on",
            action.tool,
            sources.join(", "),
            self.id,
            self.id
        );
        self.record(vec![Event::Note { kind: NoteKind::Paused, text }], Durability::Synced).await
    }

    async fn perform(&mut self, step: StepNo, action: Action) -> Result<(), HostError> {
        let Some(spec) = self.spec(&action) else { return Ok(()) };
        self.tell(Progress::Working { tool: action.tool.clone() });
        let Some((own, plan)) = self.hands_for(&action, &spec).await? else { return Ok(()) };
        let plan = self.still(&action, &spec, plan);
        // Before the intent: there is nothing to wait for between it and its effect. It ends before the result is judged,
        // when a person may be asked.
        let place = self.cells.enter().await;
        self.record(vec![Event::Started { step, plan: plan.clone() }], durability(&spec)).await?;
        if let Some(served) = &spec.served {
            return self.call_server(step, &action, &spec, served, &plan, place).await;
        }
        let outcome = self.do_it(own, step, &action, &spec, &plan).await?;
        drop(place);
        self.observe(step, &action, &spec, &plan, outcome).await
    }

    /// The right to drive this brain, for what must not outlive it.
    pub(crate) fn lease(&self) -> Arc<Lease> {
        self.journal.lease()
    }

    /// The hands for an action, and its plan made anew by them: the brain's own cell, or, for a path that an approval
    /// opened, a cell with that one directory more, which is dropped after the action.
    async fn hands_for(
        &mut self,
        action: &Action,
        spec: &ToolSpec,
    ) -> Result<Option<(Option<Hands>, Plan)>, HostError> {
        let mut own = None;
        if !is_planned(spec) {
            return Ok(Some((None, Plan::default())));
        }
        if let Some(escape) = gate::escape(action, spec, &self.goal.roots) {
            match self.outside_hands(action, &escape).await {
                Ok(hands) => own = Some(hands),
                Err(error) => {
                    let (ending, layer) = (Ending::Refused, "cell".to_owned());
                    let refusal = Some(Refusal { ending, layer, words: error.to_string() });
                    return Ok(Some((None, Plan { refusal, ..Plan::default() })));
                }
            }
        } else if !self.have_hands().await? {
            return Ok(None);
        }
        let hands = own.as_mut().or(self.hands.as_mut());
        let plan = match hands {
            Some(hands) => hands.plan(action).await.unwrap_or_else(|error| error.refusal()),
            None => Plan::default(),
        };
        Ok(Some((own, plan)))
    }

    /// A cell that is shown one place outside beside the brain's roots, and what an action that was cut off may have left
    /// there.
    pub(crate) async fn outside_hands(&mut self, action: &Action, escape: &gate::Escape) -> Result<Hands, HostError> {
        let (path, name) = holder(&escape.path);
        let only = name.map(|name| Only { name, leftover: Some(Tag(action.digest()).name()) });
        let extra = Extra { root: Root::new(path, escape.mode), only };
        let (place, keeps) = (self.cells.enter().await, self.keeps().await?);
        let (launcher, settings) = (&self.host.launcher, &self.host.settings);
        Hands::open(launcher, keeps, place, &self.goal.roots, Some(&extra), settings).await
    }

    pub(crate) async fn do_it(
        &mut self,
        own: Option<Hands>,
        step: StepNo,
        action: &Action,
        spec: &ToolSpec,
        plan: &Plan,
    ) -> Result<Outcome, HostError> {
        if let Some(refusal) = &plan.refusal {
            return Ok(Outcome {
                ending: refusal.ending,
                text: refusal.words.clone(),
                spilled: None,
                after: None,
                bytes: 0,
            });
        }
        let kept = self.keeping.before(&self.goal.roots, step, action, spec, plan).await;
        self.is_kept(step, kept).await?;
        if spec.effect == Effect::RunInside {
            self.note_secrets().await?;
            return Ok(self.execute(step, action).await);
        }
        if spec.served.is_none() && spec.name == gate::READ_DOCUMENT {
            return self.read_document(own, step, action, plan).await;
        }
        let is_own = own.is_some();
        let Some(mut hands) = own.or_else(|| self.hands.take()) else {
            return Ok(crate::cells::JobError::Broken("there is no cell".to_owned()).outcome());
        };
        let max_text = self.host.settings.max_text;
        let (outcome, hands) = match hands.perform(action, plan, max_text, spill_path(step)).await {
            Ok(outcome) => (outcome, Some(hands)),
            Err(error) => self.settle(hands, action, spec, plan, error.outcome()).await,
        };
        if !is_own {
            self.hands = hands;
        }
        Ok(outcome)
    }

    /// Says so where what a step changes cannot be taken back; that is no reason not to take it.
    async fn is_kept(&mut self, step: StepNo, kept: Result<(), UndoError>) -> Result<(), HostError> {
        let Err(error) = kept else { return Ok(()) };
        let text = format!("What step {step} changes cannot be taken back: {error}");
        self.record(vec![Event::Note { kind: NoteKind::Unkept, text }], Durability::Lazy).await
    }

    /// Has a tool run its program, in the cell that the brain has for them.
    async fn execute(&mut self, step: StepNo, action: &Action) -> Outcome {
        let settings = &self.host.settings;
        let mut shell = match self.shell.take() {
            Some(shell) => shell,
            None => match self.make_shell().await {
                Ok(shell) => shell,
                Err(error) => {
                    let text = format!("no cell for programs is to be had: {error}");
                    return Outcome { ending: Ending::Failed, text, spilled: None, after: None, bytes: 0 };
                }
            },
        };
        let feed = self.feed.clone();
        let tell = move |progress| drop(feed.send(progress));
        let (outcome, usable) = shell.run(action, &self.goal.roots, settings, &tell).await;
        if usable {
            self.shell = Some(shell);
        }
        self.fit(step, outcome).await
    }

    async fn make_shell(&mut self) -> Result<Shell, HostError> {
        let (place, keeps) = (self.cells.enter().await, self.keeps().await?);
        let spec = cell_spec(Work::Programs, &self.goal.roots, None, &self.host.settings)?;
        let cell = ProgramCell::keeping(&self.host.launcher, keeps, spec).await?;
        let shell = Shell::new(cell, place);
        let text = format!("for programs: {}", shell.attested());
        self.record(vec![Event::Note { kind: NoteKind::Cell, text }], Durability::Lazy).await?;
        Ok(shell)
    }

    /// Puts a result that is too long for the model's context into a file of the workspace, and leaves its beginning and
    /// its end.
    pub(crate) async fn fit(&mut self, step: StepNo, outcome: Outcome) -> Outcome {
        let max = usize::try_from(self.host.settings.max_text).unwrap_or(usize::MAX);
        if outcome.text.len() <= max {
            return outcome;
        }
        let path = spill_path(step);
        // Bytes that are no text take more room as text than the program wrote.
        let whole = shorten(&outcome.text, MAX_RESULT);
        let kept = self.keep_result(&path, &whole).await;
        let note = match &kept {
            Ok(()) => format!("the whole result is in {path}"),
            Err(why) => format!("the whole result could not be kept: {why}"),
        };
        let text = format!("{}\n[{note}]", shorten(&outcome.text, max));
        Outcome { text, spilled: kept.is_ok().then_some(path), ..outcome }
    }

    async fn keep_result(&mut self, path: &str, text: &str) -> Result<(), String> {
        if !self.have_hands().await.map_err(|e| e.to_string())? {
            return Err("there is no cell".to_owned());
        }
        let args = [("path", path), ("content", text)].map(|(name, value)| (name.to_owned(), value.into()));
        let action = Action { tool: "write_file".to_owned(), args: args.into() };
        let Some(hands) = &mut self.hands else { return Err("there is no cell".to_owned()) };
        let broken = |error: crate::cells::JobError| error.outcome().text;
        let plan = hands.plan(&action).await.map_err(broken)?;
        let written =
            hands.perform(&action, &plan, self.host.settings.max_text, String::new()).await.map_err(broken)?;
        if written.ending == Ending::Done { Ok(()) } else { Err(written.text) }
    }

    pub(crate) async fn observe(
        &mut self,
        step: StepNo,
        action: &Action,
        spec: &ToolSpec,
        plan: &Plan,
        outcome: Outcome,
    ) -> Result<(), HostError> {
        let kept = self.keeping.after(step, outcome.spilled.is_some()).await;
        self.is_kept(step, kept).await?;
        let source = source_of(&self.goal.roots, action, plan);
        let (label, durability) = (Label::default(), durability(spec));
        self.take_in(Unread { step, source, outcome, structured: None, label, refused: None, durability }).await
    }
}

/// An effect is on disk before and after; what can be had again may wait for the next commit.
pub(crate) const fn durability(spec: &ToolSpec) -> Durability {
    match spec.effect {
        Effect::Read | Effect::Fetch => Durability::Lazy,
        Effect::WriteInside | Effect::RunInside | Effect::External | Effect::Destructive => Durability::Synced,
    }
}

pub(crate) fn unguessable() -> Result<String, HostError> {
    let mut bits = [0u8; 8];
    getrandom::fill(&mut bits).map_err(|e| HostError::Randomness(e.to_string()))?;
    Ok(bits.iter().map(|byte| format!("{byte:02x}")).collect())
}
