//! The host: it drives brains through their steps.
//!
//! [`Host::admit`] binds a goal to a new brain; [`Host::drive`] takes a brain from wherever its journal ends to an
//! answer, a budget, a stop or a fault. Everything that happens on the way goes through one loop (`drive`): the brain
//! says what is next, the host has it done by the crate whose business it is, journals what came of it, and only then
//! tells the brain. [`Switchboard`] is where questions wait for people and where people ask for a stop; [`Progress`] is
//! what a face shows.
//!
//! **Invariants**
//! - Wiring: nothing is decided here. The gate decides, the brain goes on, the guard cleans, the kernel refuses.
//! - An event is journaled before anything acts on it; the intent of an action with an effect is on disk before the
//!   effect, its result on disk before the next step.
//! - Where a text comes from is said by the host, from the cell and channel it came through; a cell's word about
//!   itself is content.
//! - A path that an approval opens is opened for that one action, in a cell of its own.
//! - What an action may change is kept before it is performed ([`undo`]).
//! - A brain's calls of models and its cells take places that all tenants share (`places`). No place is held while a person
//!   is asked, but that of the cells which are kept meanwhile.
//! - What another tenant shares is shown to a cell as long as it is in force, and no longer ([`shares`]).
//! - A server of tools is presumed hostile: it runs in a cell of its own, and is called only as it was approved ([`mcp`]).
//!
//! The host does not know how a cell is made, how a record is sealed, what a model's dialect is, or who is watching.

mod aside;
mod auditing;
pub mod calls;
mod cells;
mod context;
mod documents;
mod drive;
mod error;
pub mod exec;
mod execute;
mod journal;
mod judge;
mod judging;
pub mod mcp;
mod output;
mod parking;
mod places;
pub mod programs;
mod progress;
pub mod reader;
mod reading;
mod recover;
pub mod resident;
mod say;
mod screening;
mod secrets;
pub mod shares;
mod spend;
mod switchboard;
pub mod trust;
pub mod undo;
pub mod warrant;

use std::sync::Arc;
use std::time::Duration;

use autoshare_access::Access;
use autoshare_broker::Broker;
use autoshare_core::budget::Limit;
use autoshare_core::event::{Event, Goal, PolicyInForce};
use autoshare_core::fair::{Places, Room, Share, Weight};
use autoshare_core::histogram::Histogram;
use autoshare_core::usage::Quota;
use autoshare_core::warrant::Warrant;
use autoshare_core::{BrainId, StepNo, TokenId};
use autoshare_sandbox::{CellLimits, Launcher, Tier};
use autoshare_store::ledger::Ledger;
use autoshare_store::{Durability, Store};
use autoshare_vault::Sensitive;

pub use auditing::Auditor;
pub use cells::expect;
pub use context::{Frame, estimate_tokens, request_for};
pub use documents::rendered;
pub use drive::{Driving, Standing, Until};
pub use error::HostError;
pub use judge::{Asks, JudgeSettings};
pub use judging::{Judged, Unknown, rejudge};
pub use output::KEPT;
pub use programs::{Job, ProgramCell, StartError};
pub use progress::Progress;
pub use reader::Reader;
pub use reading::Reading;
pub use screening::{Guard, MAX_ATTACHED, Sifted};
pub use spend::SOFT_CAP;
pub use switchboard::{AnswerError, Question, Stop, Switchboard, Told};

/// What the host needs to know beside its parts. Every limit has a number.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Absolute paths that no approval opens: the data directory, the configuration, other people's keys.
    pub protected: Vec<String>,
    /// Paths hidden inside every cell, wherever they lie below a root.
    pub hidden: Vec<std::path::PathBuf>,
    /// Paths that every cell may read at most, wherever they lie below a root: what the machine executes or trusts.
    pub frozen: Vec<std::path::PathBuf>,
    /// How much the processes of a cell for tools may take.
    pub cell: CellLimits,
    /// How much the processes of a cell for programs may take.
    pub program_cell: CellLimits,
    /// How long a program may take unless its call says otherwise.
    pub program_timeout: Duration,
    /// Bytes of output that a program may write before it is ended.
    pub max_output: u64,
    /// Programs of one brain that may run in the background.
    pub background_jobs: usize,
    /// Which commands may be called by name.
    pub commands: autoshare_gate::Commands,
    /// The policy by which actions are judged; without one no brain is driven.
    pub policy: Option<Arc<autoshare_gate::Policy>>,
    /// The same as it is journaled; `None` journals nothing.
    pub policy_in_force: Option<PolicyInForce>,
    /// Hosts from which anything may be fetched; `*.` before one means every name below it.
    pub allowed_hosts: Vec<String>,
    /// How a goal's warrant is drawn up where a person gave none.
    pub warrant: warrant::Drawing,
    /// Refused questions about what lies outside the warrant after which the next one pauses the brain.
    pub pause_after: u64,
    /// How long a question waits for an answer; then it is no.
    pub answer_within: Duration,
    /// How long a brain's cells are kept while it waits for a model or a person.
    pub park_after: Duration,
    /// How much a workspace may hold.
    pub quota: Quota,
    /// The least confinement accepted.
    pub least_tier: Tier,
    /// Whether the processor may guess ahead for cells ([`autoshare_sandbox::CellSpec::speculate`]).
    pub speculate: bool,
    /// How what a brain reads is screened.
    pub guard: Guard,
    /// Bytes of an observation's text in context at most; more goes to a file in the workspace.
    pub max_text: u64,
    /// How long an action may take in a cell.
    pub action_timeout: Duration,
    /// Whether a question may wait for an answer; otherwise it is answered with no at once.
    pub questions: Questions,
    /// Where what steps change is kept, so that it can be taken back.
    pub undo: undo::UndoSettings,
}

/// What becomes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Questions {
    /// It waits until somebody answers: at this terminal or through `autoshare approve`.
    Wait,
    /// Nobody can answer here: no.
    Deny,
}

/// Everything a brain is driven with, for one tenant.
pub struct Host {
    access: Access,
    store: Arc<Store>,
    ledger: Arc<Ledger>,
    launcher: Arc<Launcher>,
    broker: Arc<Broker>,
    settings: Settings,
    switchboard: Arc<Switchboard>,
    mcp: Option<Arc<mcp::Mcp>>,
    secrets: Vec<Sensitive>,
    limits_of: Option<LimitsOf>,
    auditor: Option<Arc<Auditor>>,
    sharing: Option<Arc<shares::Sharing>>,
    /// Among the calls of models at once.
    model_calls: Share,
    /// Among the brains that have cells at once.
    cells: Share,
    appends: Arc<Histogram>,
}

/// What holds for the calls that are charged to a token; `None` if it has ended.
pub type LimitsOf = Box<dyn Fn(&TokenId) -> Option<Arc<[Limit]>> + Send + Sync>;

impl Host {
    /// A host over its parts. Unless it is given others ([`Host::with_places`]), it has places of its own.
    #[must_use]
    pub fn new(
        access: Access,
        store: Arc<Store>,
        ledger: Arc<Ledger>,
        launcher: Arc<Launcher>,
        broker: Arc<Broker>,
        settings: Settings,
    ) -> Self {
        let own = |room| Places::new(room).share(access.tenant().clone(), Weight::default());
        Self {
            model_calls: own(Room::MODEL_CALLS),
            cells: own(Room::CELLS),
            access,
            store,
            ledger,
            launcher,
            broker,
            settings,
            switchboard: Arc::default(),
            mcp: None,
            secrets: Vec::new(),
            limits_of: None,
            auditor: None,
            sharing: None,
            appends: Arc::default(),
        }
    }

    /// The same with a trail in which it is written down what brains ask for and who answers.
    #[must_use]
    pub fn with_auditor(self, auditor: Arc<Auditor>) -> Self {
        Self { auditor: Some(auditor), ..self }
    }

    /// The same with what other tenants share with its brains.
    #[must_use]
    pub fn with_sharing(self, sharing: Arc<shares::Sharing>) -> Self {
        Self { sharing: Some(sharing), ..self }
    }

    /// The same with what says which limits a token has: brains that it began are charged to it.
    #[must_use]
    pub fn with_limits_of(self, limits_of: LimitsOf) -> Self {
        Self { limits_of: Some(limits_of), ..self }
    }

    /// The same with the servers that its brains' tools may belong to.
    #[must_use]
    pub fn with_mcp(self, mcp: Arc<mcp::Mcp>) -> Self {
        Self { mcp: Some(mcp), ..self }
    }

    /// The same with places that it shares with other tenants' hosts and gateways: those for calls of models, and those for
    /// brains that have cells. Both shares are this host's tenant's.
    #[must_use]
    pub fn with_places(self, model_calls: Share, cells: Share) -> Self {
        Self { model_calls, cells, ..self }
    }

    /// The same with a place where it counts, with others, how long appending to journals takes.
    #[must_use]
    pub fn with_appends(self, appends: Arc<Histogram>) -> Self {
        Self { appends, ..self }
    }

    /// The same with the values of the tenant's secrets: nothing that a brain sends may carry one, and none stands in what it
    /// says.
    #[must_use]
    pub fn with_secrets(self, secrets: Vec<Sensitive>) -> Self {
        Self { secrets, ..self }
    }

    /// Where this host's questions wait and its stops are asked for.
    #[must_use]
    pub fn switchboard(&self) -> Arc<Switchboard> {
        Arc::clone(&self.switchboard)
    }

    /// Admits a goal: a new brain whose journal begins with it, with the policy by which its actions are judged, and with the
    /// warrant that a person gave, if one did.
    ///
    /// # Errors
    /// When no randomness or no disk is to be had.
    pub fn admit(&self, goal: Goal, warrant: Option<Warrant>) -> Result<BrainId, HostError> {
        let brain = new_brain_id()?;
        self.store.create(&self.access, &brain)?;
        self.begin(&brain, goal, warrant, None)?;
        Ok(brain)
    }

    /// Journals a brain's first events: those of [`Host::admit`].
    pub(crate) fn begin(
        &self,
        brain: &BrainId,
        goal: Goal,
        warrant: Option<Warrant>,
        last: Option<Event>,
    ) -> Result<(), HostError> {
        let lease = self.store.lease(&self.access, brain)?;
        let events: Vec<Event> = [Event::Goal(goal)]
            .into_iter()
            .chain(self.settings.policy_in_force.clone().map(Event::Policy))
            .chain(warrant.map(Event::Warrant))
            .chain(last)
            .collect();
        self.store.append(&self.access, &lease, &events, Durability::Synced)?;
        Ok(())
    }
}

pub(crate) fn new_brain_id() -> Result<BrainId, HostError> {
    let mut bits = [0u8; 5];
    getrandom::fill(&mut bits).map_err(|e| HostError::Randomness(e.to_string()))?;
    Ok(BrainId::from_random(bits))
}

/// The workspace file that holds the whole result of a step.
#[must_use]
pub fn spill_path(step: StepNo) -> String {
    format!("{}/step-{:04}.txt", autoshare_core::special::RESULTS, step.0)
}
