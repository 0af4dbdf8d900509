//! A tenant whose files are open: its brains, awake and at rest, and its gateway.
//!
//! [`Residents`] opens tenants when somebody asks for them, a bounded number at once, and closes those that nobody needs. A
//! [`Resident`] admits, drives, stops and shows the brains of its tenant, and of no other: it is got with an [`Access`], and
//! holds nothing of anybody else's.

mod artifacts;
mod awake;
mod homes;
mod house;
mod onlooker;
mod pulse;
mod shares;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use autoshare_access::{Access, TenantRecord};
use autoshare_broker::gateway::Gateway;
use autoshare_core::audit::Entry;
use autoshare_core::event::{Answer, Answerer, AskMode, Attached, Event, Goal, NoteKind, Root, RootMode};
use autoshare_core::tool::ToolSpec;
use autoshare_core::usage::Limits;
use autoshare_core::warrant::Warrant;
use autoshare_core::{BrainId, Digest, Seq, ShareId, TokenId};
use autoshare_guard::verify::Channel;
pub use autoshare_store::Record;
use autoshare_store::ledger::Ledger;
pub use autoshare_store::ledger::Spent;
use autoshare_store::{BrainRow, StoreError};
use autoshare_workspace::Workspace;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, watch};

use crate::calls::Calls;
use crate::switchboard::{MAX_TOLD, Told};
use crate::{AnswerError, Auditor, Driving, Host, HostError, Progress, Question, Questions, Standing, Stop, Until};

pub use artifacts::Artifact;
pub use awake::AwakeIndex;
pub use homes::{Homes, remove_folder};
pub use house::{Open, Residents, ResidentsSettings};
pub use onlooker::Onlooker;
pub use pulse::Pulse;
pub use view::{BrainView, Phase, StepView, TurnView};

/// Records that a follower may lag behind before it reads again from where it was.
const FOLLOW_QUEUE: usize = 1_024;
/// Brains of one tenant that wait to be woken at most.
const MAX_WAITING: usize = 1_000;
/// Brains whose trouble is kept in words.
const MAX_TROUBLES: usize = 1_000;

/// What goes wrong at a resident, beside what goes wrong while a brain is driven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResidentError {
    /// The host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The tenant has no such brain.
    #[error("there is no brain {0}")]
    NoBrain(BrainId),
    /// The tenant has no such artifact.
    #[error("there is no such artifact")]
    NoArtifact,
    /// A limit of the tenant's is reached; what to do.
    #[error("{0}")]
    Limit(String),
    /// It cannot be done as things stand.
    #[error("{0}")]
    State(String),
    /// An answer was not taken.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// What was asked for is malformed.
    #[error("{0}")]
    Wrong(String),
    /// What was to be done with a share.
    #[error(transparent)]
    Share(#[from] crate::shares::ShareError),
    /// So many tenants are busy that no further one can be opened.
    #[error("{0} tenants are busy, which is all that this host serves at once ([serve] residents): try again later")]
    Full(usize),
}

impl From<StoreError> for ResidentError {
    fn from(error: StoreError) -> Self {
        Self::Host(HostError::Store(error))
    }
}

/// A brain that somebody wants.
#[derive(Debug, Clone)]
pub struct NewBrain {
    /// Its id, where whoever wants it twice must get it once.
    pub id: Option<BrainId>,
    /// The goal, in a person's words.
    pub text: String,
    /// The model.
    pub model: String,
    /// Its tools; `None`: all that its tenant has.
    pub tools: Option<Vec<String>>,
    /// When a person is asked.
    pub ask: AskMode,
    /// Its caps.
    pub limits: Limits,
    /// Texts that count as the person's words.
    pub trusted: Vec<Attached>,
    /// Texts of others.
    pub attached: Vec<Attached>,
    /// What a person says that the goal needs.
    pub warrant: Option<Warrant>,
    /// What other tenants share that it may read: accepted shares.
    pub shares: Vec<ShareId>,
    /// The token that wants it.
    pub token: Option<TokenId>,
    /// Whether it is to be driven as soon as it can be, or to rest until somebody wakes it.
    pub begin: Begin,
}

/// What becomes of a brain that was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// It is woken.
    Awake,
    /// It rests.
    AtRest,
}

/// The parts of a resident.
pub struct ResidentParts {
    /// The tenant as it was when this was opened.
    pub record: Arc<TenantRecord>,
    /// What its brains are driven with.
    pub host: Host,
    /// Models for its programs.
    pub gateway: Gateway,
    /// The records of these.
    pub calls: Calls,
    /// What tools it has.
    pub tools: Vec<ToolSpec>,
    /// Where its workspaces lie.
    pub homes: Homes,
    /// Where it is entered whom to wake.
    pub index: Arc<AwakeIndex>,
    /// Who is told what becomes of its brains.
    pub onlooker: Arc<dyn Onlooker>,
    /// Where brains are begun and driven: threads of their own, if those that answer are not to wait for them.
    pub drives: Handle,
}

/// A tenant whose files are open.
pub struct Resident {
    parts: ResidentParts,
    awake: Mutex<BTreeMap<BrainId, Awake>>,
    /// Brains that are woken as soon as there is a place, the first first. Locked before `awake`.
    waiting: Mutex<VecDeque<BrainId>>,
    /// All its workspaces, counted now and then.
    home: OnceLock<Workspace>,
    /// Whether journals are brains, as far as that was looked at.
    kinds: Mutex<BTreeMap<BrainId, bool>>,
    /// Why brains could not be driven on, by brain: their journals cannot say so.
    troubles: Mutex<BTreeMap<BrainId, String>>,
    /// Whether it is being closed: whoever holds it still gets no further brain admitted or woken. Set while `awake` is locked.
    is_closing: AtomicBool,
    grown: broadcast::Sender<(BrainId, Seq)>,
    /// When a journal was last to be written and could not be; nothing since was.
    unwritten: Mutex<Option<Instant>>,
}

/// A brain that is awake.
#[derive(Debug, Clone)]
struct Awake {
    /// Ends with it.
    ended: watch::Receiver<()>,
    /// When something was last heard of it.
    heard: Instant,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps of plain values are as good after a panic elsewhere as before.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resident {
    /// A resident over its parts.
    #[must_use]
    pub fn new(parts: ResidentParts) -> Self {
        let grown = broadcast::channel(FOLLOW_QUEUE).0;
        Self {
            parts,
            awake: Mutex::default(),
            waiting: Mutex::default(),
            home: OnceLock::new(),
            kinds: Mutex::default(),
            troubles: Mutex::default(),
            is_closing: AtomicBool::new(false),
            grown,
            unwritten: Mutex::default(),
        }
    }

    /// The tenant as it was when this was opened.
    #[must_use]
    pub fn record(&self) -> &TenantRecord {
        &self.parts.record
    }

    /// Models for its programs.
    #[must_use]
    pub const fn gateway(&self) -> &Gateway {
        &self.parts.gateway
    }

    /// The records of calls through the gateway.
    #[must_use]
    pub const fn calls(&self) -> &Calls {
        &self.parts.calls
    }

    /// The trail of what was done, where there is one.
    #[must_use]
    pub fn auditor(&self) -> Option<&Auditor> {
        self.parts.host.auditor.as_deref()
    }

    /// Writes down what somebody did, before it is answered. Waits for the disk.
    ///
    /// # Errors
    /// Those of the trail.
    pub fn note(&self, entry: &Entry) -> Result<(), ResidentError> {
        Ok(self.auditor().map_or(Ok(()), |auditor| auditor.note(entry))?)
    }

    /// What was used.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.parts.host.ledger
    }

    /// The tools that a brain may have.
    #[must_use]
    pub fn tools(&self) -> &[ToolSpec] {
        &self.parts.tools
    }

    /// Where its brains are begun and driven.
    #[must_use]
    pub const fn drives(&self) -> &Handle {
        &self.parts.drives
    }

    const fn access(&self) -> &Access {
        &self.parts.host.access
    }

    /// Admits a brain with a workspace of its own. With an id that was admitted before with the same goal it is that brain.
    ///
    /// # Errors
    /// [`ResidentError::Limit`], [`ResidentError::Wrong`], and those of the disk.
    pub fn admit(&self, new: NewBrain) -> Result<BrainId, ResidentError> {
        let admitted = self.admit_new(new);
        match &admitted {
            Ok(brain) => self.note_disk(Ok(brain)),
            Err(ResidentError::Host(error)) => self.note_disk::<BrainId>(Err(error)),
            Err(_) => {}
        }
        admitted
    }

    fn admit_new(&self, new: NewBrain) -> Result<BrainId, ResidentError> {
        self.check_open()?;
        let terms = &self.record().terms;
        if !terms.allows_model(&new.model) {
            return Err(ResidentError::Wrong(format!("the model {:?} is none of this tenant's", new.model)));
        }
        let host = &self.parts.host;
        if self.count()? >= terms.brains {
            return Err(ResidentError::Limit(format!(
                "{} brains are all that this tenant may have (its term brains)",
                terms.brains
            )));
        }
        self.has_room()?;
        let shared = self.shared_roots(&new.shares)?;
        let id = match new.id {
            Some(id) => id,
            None => crate::new_brain_id()?,
        };
        let model = host.broker.model(&new.model).map_err(HostError::from)?;
        let limits = Limits { window: model.window(), max_output: model.max_output(), ..new.limits };
        match host.store.create(self.access(), &id) {
            Ok(()) => {}
            Err(StoreError::Exists { .. }) => {
                let records = host.store.read(self.access(), &id, Seq(1))?;
                match records.first().map(|record| &record.event) {
                    Some(Event::Goal(goal)) if goal.text == new.text && goal.model == new.model => return Ok(id),
                    Some(_) => {
                        return Err(ResidentError::State("this idempotency key was used for another goal".into()));
                    }
                    // It was interrupted while it was admitted, and nobody was told of it.
                    None => {}
                }
            }
            Err(error) => return Err(error.into()),
        }
        let tools = self.offered(new.tools.as_deref())?;
        let path = self.parts.homes.make(self.record(), &id)?;
        for shared in shared.iter().filter_map(|root| root.shared.as_ref()) {
            self.sharing()?.note_use(self.access(), &id, shared)?;
        }
        let guard = &host.settings.guard;
        let attached = |texts: Vec<Attached>, channel| {
            texts.into_iter().map(move |text| guard.attach(text, channel).0).collect::<Vec<_>>()
        };
        let goal = Goal {
            text: new.text,
            model: new.model,
            tools,
            limits,
            roots: [Root::new(path, RootMode::Write)].into_iter().chain(shared).collect(),
            ask: new.ask,
            trusted: attached(new.trusted, Channel::User),
            attached: attached(new.attached, Channel::Content),
            token: new.token,
        };
        let rested = Event::Note { kind: NoteKind::Rested, text: "It rests until it is woken.".to_owned() };
        host.begin(&id, goal, new.warrant, (new.begin == Begin::AtRest).then_some(rested))?;
        self.tell_grown(&id, Seq(1));
        Ok(id)
    }

    /// Whether its workspaces hold less than they may, by a count that is at most a second old, or twenty times as old as
    /// counting takes.
    pub(crate) fn has_room(&self) -> Result<(), ResidentError> {
        let home = match self.home.get() {
            Some(home) => home,
            None => match self.parts.homes.all(self.record()) {
                Some(home) => self.home.get_or_init(|| home),
                None => return Ok(()),
            },
        };
        let used = home.usage().map_err(|error| ResidentError::State(error.to_string()))?.bytes;
        let most = self.record().terms.disk_bytes;
        if used < most {
            return Ok(());
        }
        Err(ResidentError::Limit(format!(
            "the workspaces of this tenant hold {used} bytes, of {most} that they may (its term disk_bytes): remove files"
        )))
    }

    fn offered(&self, named: Option<&[String]>) -> Result<Vec<ToolSpec>, ResidentError> {
        let Some(named) = named else { return Ok(self.parts.tools.clone()) };
        let find = |name: &String| self.parts.tools.iter().find(|tool| tool.name == *name).cloned();
        let unknown = |name: &String| ResidentError::Wrong(format!("there is no tool {name:?}"));
        named.iter().map(|name| find(name).ok_or_else(|| unknown(name))).collect()
    }

    /// Brains, newest first: those before `before`, `limit` at most. Journals that are no brains are passed over.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn brains(&self, before: Option<&BrainId>, limit: usize) -> Result<Vec<BrainRow>, ResidentError> {
        let (mut found, mut before) = (Vec::new(), before.cloned());
        loop {
            let rows = self.parts.host.store.newest(self.access(), before.as_ref(), limit.max(1))?;
            let Some(last) = rows.last() else { return Ok(found) };
            before = Some(last.id.clone());
            for row in rows {
                if found.len() == limit {
                    return Ok(found);
                }
                if row.records > 0 && self.is_brain(&row.id)? {
                    found.push(row);
                }
            }
        }
    }

    /// All brains, newest first.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn all_brains(&self) -> Result<Vec<BrainId>, ResidentError> {
        let rows = self.parts.host.store.brains(self.access())?;
        let mut found = Vec::new();
        for row in rows.into_iter().rev() {
            if row.records > 0 && self.is_brain(&row.id)? {
                found.push(row.id);
            }
        }
        Ok(found)
    }

    /// Whether a journal is a brain's, and not that of programs.
    fn is_brain(&self, id: &BrainId) -> Result<bool, ResidentError> {
        if let Some(known) = held(&self.kinds).get(id) {
            return Ok(*known);
        }
        let first = self.parts.host.store.first(self.access(), id)?;
        let is_brain = match first.map(|record| record.event) {
            Some(Event::Goal(goal)) => goal.model != crate::exec::EXEC && goal.model != crate::calls::GATEWAY,
            _ => return Ok(false),
        };
        held(&self.kinds).insert(id.clone(), is_brain);
        Ok(is_brain)
    }

    fn count(&self) -> Result<u64, ResidentError> {
        Ok(self.parts.host.store.count(self.access())?)
    }

    /// A brain as people are shown it.
    ///
    /// # Errors
    /// [`ResidentError::NoBrain`], also for the journal of programs.
    pub fn view(&self, brain: &BrainId) -> Result<BrainView, ResidentError> {
        let records = self.records(brain, Seq(1))?;
        let view = BrainView::of(brain, &records).filter(BrainView::is_drivable);
        view.ok_or_else(|| ResidentError::NoBrain(brain.clone()))
    }

    /// The records of a brain's journal from a number on.
    ///
    /// # Errors
    /// [`ResidentError::NoBrain`].
    pub fn records(&self, brain: &BrainId, from: Seq) -> Result<Vec<Record>, ResidentError> {
        match self.parts.host.store.read(self.access(), brain, from) {
            Err(StoreError::Unknown { .. }) => Err(ResidentError::NoBrain(brain.clone())),
            other => Ok(other?),
        }
    }

    /// Hears of every record that is journaled from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<(BrainId, Seq)> {
        self.grown.subscribe()
    }

    fn tell_grown(&self, brain: &BrainId, seq: Seq) {
        // Nobody following is no reason to stop.
        let _ = self.grown.send((brain.clone(), seq));
    }

    /// Whether a brain is awake.
    #[must_use]
    pub fn is_awake(&self, brain: &BrainId) -> bool {
        held(&self.awake).contains_key(brain)
    }

    /// How many brains are awake.
    #[must_use]
    pub fn awake(&self) -> usize {
        held(&self.awake).len()
    }

    /// Why a brain could not be driven on, where its journal does not say so.
    #[must_use]
    pub fn trouble(&self, brain: &BrainId) -> Option<String> {
        held(&self.troubles).get(brain).cloned()
    }

    /// The questions that wait.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        self.parts.host.switchboard.questions()
    }

    /// Answers the question of a brain about exactly the action that `digest` names.
    ///
    /// # Errors
    /// [`ResidentError::Answer`].
    pub fn answer(&self, brain: &BrainId, digest: &Digest, answer: Answer, who: String) -> Result<(), ResidentError> {
        Ok(self.parts.host.switchboard.answer(brain, digest, answer, Answerer::Person { name: who })?)
    }

    /// Tells a brain what a person says. One at rest hears it when it is woken.
    ///
    /// # Errors
    /// [`ResidentError::NoBrain`]; [`HostError::Ended`] for one that has ended.
    pub async fn say(&self, brain: &BrainId, words: &str) -> Result<(), ResidentError> {
        if self.tell_awake(brain, Told::Words(words.to_owned()))? {
            return Ok(());
        }
        match self.parts.host.say(brain, words).await {
            Err(HostError::Store(StoreError::Unknown { .. })) => Err(ResidentError::NoBrain(brain.clone())),
            other => Ok(other.map(|_| ())?),
        }
    }

    /// Tells a brain that is awake something, and whether it is.
    fn tell_awake(&self, brain: &BrainId, told: Told) -> Result<bool, ResidentError> {
        let awake = held(&self.awake);
        let is_awake = awake.contains_key(brain);
        if is_awake && !self.parts.host.switchboard.tell(brain, told) {
            return Err(ResidentError::Limit(format!(
                "{MAX_TOLD} things that the brain was told wait to be heard: answer its question, or wait for its step to end"
            )));
        }
        Ok(is_awake)
    }

    /// Asks a brain to stop.
    ///
    /// # Errors
    /// [`ResidentError::NoBrain`]; [`ResidentError::State`] for one that is not awake.
    pub fn stop(&self, brain: &BrainId, how: Stop) -> Result<(), ResidentError> {
        {
            let mut waiting = held(&self.waiting);
            if let Some(at) = waiting.iter().position(|one| one == brain) {
                waiting.remove(at);
                self.parts.index.leave(&self.record().name, brain);
                return Ok(());
            }
            if held(&self.awake).contains_key(brain) {
                // So that it is not woken if the host ends before the brain has.
                self.parts.index.leave(&self.record().name, brain);
                self.parts.host.switchboard.stop(brain, how);
                return Ok(());
            }
        }
        self.view(brain)?;
        Err(ResidentError::State("the brain is not awake".to_owned()))
    }

    /// Wakes a brain: it is driven from the end of its journal, in the background, until it ends or rests. Where as many are
    /// awake as may be, it waits for its turn.
    ///
    /// # Errors
    /// [`ResidentError::Limit`] where too many wait.
    pub fn wake(self: &Arc<Self>, brain: &BrainId) -> Result<(), ResidentError> {
        let mut waiting = held(&self.waiting);
        if waiting.contains(brain) {
            return Ok(());
        }
        match self.place(brain) {
            Ok(None) => Ok(()),
            Ok(Some(place)) => {
                drop(waiting);
                self.drive_in(place);
                Ok(())
            }
            Err(ResidentError::Limit(_)) if waiting.len() < MAX_WAITING => {
                self.enter(brain)?;
                waiting.push_back(brain.clone());
                Ok(())
            }
            Err(ResidentError::Limit(words)) => {
                Err(ResidentError::Limit(format!("{words}; {MAX_WAITING} more wait already")))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a brain waits for a place among those that are awake.
    #[must_use]
    pub fn is_waiting(&self, brain: &BrainId) -> bool {
        held(&self.waiting).contains(brain)
    }

    fn drive_in(self: &Arc<Self>, place: Place) {
        let driving = Driving { until: Until::End, questions: Questions::Wait };
        let this = Arc::clone(self);
        self.parts.drives.spawn(async move {
            // What goes wrong is kept where people look.
            let _ = this.drive(&place.brain, driving).await;
            drop(place);
            this.wake_next();
        });
    }

    /// Wakes the one that has waited longest.
    fn wake_next(self: &Arc<Self>) {
        let mut waiting = held(&self.waiting);
        let Some(next) = waiting.front().cloned() else { return };
        if let Ok(place) = self.place(&next) {
            waiting.pop_front();
            drop(waiting);
            place.into_iter().for_each(|place| self.drive_in(place));
        }
    }

    fn enter(&self, brain: &BrainId) -> Result<(), ResidentError> {
        let entered = self.parts.index.enter(&self.record().name, brain);
        Ok(entered.map_err(|error| HostError::Store(error.into()))?)
    }

    /// Has a brain do one turn: what its model wants next is done, and then it rests. Nobody is asked.
    ///
    /// # Errors
    /// As [`Resident::wake`]; [`ResidentError::State`] for one that is awake.
    pub async fn turn(self: &Arc<Self>, brain: &BrainId) -> Result<Standing, ResidentError> {
        let driving = Driving { until: Until::Turn, questions: Questions::Deny };
        let place = self.place(brain)?;
        let place = place.ok_or_else(|| ResidentError::State("the brain is at a step already".to_owned()))?;
        let (this, brain) = (Arc::clone(self), brain.clone());
        // Whoever asked may go away; the turn is finished all the same.
        let turn = self.parts.drives.spawn(async move {
            let standing = this.drive(&brain, driving).await;
            drop(place);
            this.wake_next();
            standing
        });
        turn.await.map_err(|error| HostError::Task(error.to_string()))?
    }

    /// A place among those that are awake; `None` if the brain has one already.
    fn place(self: &Arc<Self>, brain: &BrainId) -> Result<Option<Place>, ResidentError> {
        let mut awake = held(&self.awake);
        if awake.contains_key(brain) {
            return Ok(None);
        }
        self.check_open()?;
        let most = self.record().terms.awake;
        if awake.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
            return Err(ResidentError::Limit(format!(
                "{most} brains of this tenant are awake, which is all it may have (its term awake): wait for one to end"
            )));
        }
        let (ends, ended) = watch::channel(());
        awake.insert(brain.clone(), Awake { ended, heard: Instant::now() });
        drop(awake);
        let place = Place { resident: Arc::clone(self), brain: brain.clone(), _ends: ends };
        self.enter(brain)?;
        Ok(Some(place))
    }

    fn check_open(&self) -> Result<(), ResidentError> {
        if self.is_closing.load(Ordering::SeqCst) {
            return Err(ResidentError::State("the tenant is being closed: try again".to_owned()));
        }
        Ok(())
    }

    async fn drive(&self, brain: &BrainId, driving: Driving) -> Result<Standing, ResidentError> {
        held(&self.troubles).remove(brain);
        let (feed, mut heard) = mpsc::unbounded_channel();
        let drive = self.parts.host.drive_as(brain, driving, feed);
        tokio::pin!(drive);
        let standing = loop {
            tokio::select! {
                biased;
                Some(progress) = heard.recv() => self.pass_on(brain, progress),
                standing = &mut drive => break standing,
            }
        };
        while let Ok(progress) = heard.try_recv() {
            self.pass_on(brain, progress);
        }
        self.parts.onlooker.rests(&self.record().name, brain, standing.is_ok());
        self.note_disk(standing.as_ref());
        match standing {
            Err(HostError::Store(StoreError::Unknown { .. })) => Err(ResidentError::NoBrain(brain.clone())),
            Err(error) => {
                let mut troubles = held(&self.troubles);
                if troubles.len() >= MAX_TROUBLES {
                    troubles.pop_first();
                }
                troubles.insert(brain.clone(), error.to_string());
                Err(error.into())
            }
            Ok(standing) => Ok(standing),
        }
    }

    fn pass_on(&self, of: &BrainId, progress: Progress) {
        self.note_sign_of_life(of);
        self.parts.onlooker.hears(&self.record().name, of, &progress);
        if let Progress::Recorded { brain, seq, .. } = progress {
            self.tell_grown(&brain, seq);
        }
    }

    /// Has all brains rest: after their steps, or at once when that takes longer than `within`. They are entered as awake
    /// still, so that they go on when the host is started again.
    pub async fn rest(&self, within: Duration) {
        held(&self.waiting).clear();
        let waiting: Vec<_> = {
            let awake = held(&self.awake);
            self.is_closing.store(true, Ordering::SeqCst);
            awake.iter().map(|(brain, awake)| (brain.clone(), awake.ended.clone())).collect()
        };
        let switchboard = self.parts.host.switchboard();
        // One that a person has stopped is to stay so.
        let stopped: Vec<_> = waiting.iter().filter(|(brain, _)| switchboard.stop_of(brain) != Stop::No).collect();
        let stopped: Vec<_> = stopped.into_iter().map(|(brain, _)| brain.clone()).collect();
        let all = |how| waiting.iter().for_each(|(brain, _)| switchboard.stop(brain, how));
        all(Stop::AfterStep);
        let ended = async {
            for (_, ended) in &waiting {
                // Nothing is ever sent: the sender is dropped at the end.
                let _ = ended.clone().changed().await;
            }
        };
        tokio::pin!(ended);
        if tokio::time::timeout(within, &mut ended).await.is_err() {
            all(Stop::Now);
            let _ = tokio::time::timeout(within.max(LAST), ended).await;
        }
        for (brain, _) in waiting.iter().filter(|(brain, _)| !stopped.contains(brain)) {
            // Its journal tells whether there is anything left to do.
            let _ = self.parts.index.enter(&self.record().name, brain);
        }
    }

    /// Closes what is open. Brains must be at rest.
    pub async fn close(self) {
        self.parts.calls.finish().await;
        let ledger = Arc::clone(&self.parts.host.ledger);
        // What is not written down is met again, and told, by whoever needs the disk next.
        let _ = tokio::task::spawn_blocking(move || ledger.flush()).await;
    }
}

/// How long brains may take to end at once.
const LAST: Duration = Duration::from_secs(5);

/// A place among the brains that are awake, until it is dropped.
struct Place {
    resident: Arc<Resident>,
    brain: BrainId,
    _ends: watch::Sender<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.resident.parts.index.leave(&self.resident.record().name, &self.brain);
        held(&self.resident.awake).remove(&self.brain);
    }
}
