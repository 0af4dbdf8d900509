//! What a brain's journal says. A brain's state is a fold over these.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chat::RawCall;
use crate::outcome::{Outcome, Plan};
use crate::screening::Screening;
use crate::tool::{Action, Label, ToolSpec};
use crate::usage::{Limits, Usage};
use crate::verdict::Verdict;
use crate::warrant::Warrant;
use crate::{Digest, ShareId, StepNo, TenantName, TokenId, TurnNo};

/// When a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskMode {
    /// Only what leaves the workspace or destroys is asked for.
    Default,
    /// Every action with an effect is asked for (`--ask`).
    Always,
    /// Questions in which no value is untrusted are answered with yes (`--yes`).
    Yes,
}

/// What may be done below a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootMode {
    /// Read.
    Read,
    /// Read and write.
    Write,
}

/// A directory that a brain may touch. The first of a brain is its workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Its absolute path, as the person named it; for display and for opening the handle once.
    pub path: String,
    /// What may be done there.
    pub mode: RootMode,
    /// Whose it is, where another tenant shares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<Shared>,
}

impl Root {
    /// One of the brain's own tenant.
    #[must_use]
    pub fn new(path: impl Into<String>, mode: RootMode) -> Self {
        Self { path: path.into(), mode, shared: None }
    }
}

/// What another tenant shares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// Which share.
    pub id: ShareId,
    /// Whose.
    pub by: TenantName,
}

/// A goal is admitted: the first event of every brain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// The user's words.
    pub text: String,
    /// The model, as named on the command line.
    pub model: String,
    /// The tools as they were then.
    pub tools: Vec<ToolSpec>,
    /// The hard caps.
    pub limits: Limits,
    /// The workspace and extra roots.
    pub roots: Vec<Root>,
    /// When a person is asked.
    pub ask: AskMode,
    /// Texts that the person named as trusted: they count as the person's words, as they were when the goal was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted: Vec<Attached>,
    /// What came with the words and is not the person's own: files, pasted text. Content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<Attached>,
    /// The token that began it: what the brain uses is charged to it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
}

/// Material that came with a goal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attached {
    /// What the person calls it, such as the name of a file.
    pub name: String,
    /// The text; it has passed the guard.
    pub text: String,
}

/// A model's reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thought {
    /// Which call.
    pub turn: TurnNo,
    /// Its words.
    pub text: String,
    /// The calls it made, unchecked.
    pub calls: Vec<RawCall>,
    /// What it took.
    pub usage: Usage,
    /// Whether it was cut at the output limit.
    pub truncated: bool,
}

/// Who answered a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "who")]
pub enum Answerer {
    /// A person at a terminal, by login name.
    Person {
        /// The login name.
        name: String,
    },
    /// The standing rule of `--yes`, or an earlier "always".
    Rule {
        /// Which one.
        name: String,
    },
    /// Nobody can answer here.
    Nobody,
}

/// What a person answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// This once.
    Yes,
    /// No.
    No,
    /// Always for this tool and target, in this brain.
    Always,
    /// For the rest of this run: this tool, where what it is aimed at stands in the same source.
    Run,
    /// No, with words for the model.
    Feedback {
        /// The words.
        text: String,
    },
}

/// Why a brain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model says the goal is reached.
    Done,
    /// Steps, tokens or money are used up.
    Budget,
    /// The loop guard saw no progress.
    Loop,
    /// The model's replies stayed malformed.
    Malformed,
}

/// Why a brain cannot go on just now; `resume` tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The model cannot be reached or answers nonsense.
    Model,
    /// No cell could be had.
    Cell,
    /// The host's own fault: disk full and the like.
    Host,
}

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// The model's reply was malformed; the text tells it how.
    Retry,
    /// A person's words to the brain.
    Feedback,
    /// Driving stopped on request; the brain can be resumed.
    Stopped,
    /// Driving went on after a stop, a fault or a kill.
    Resumed,
    /// A cell's attestation or the confinement in force.
    Cell,
    /// A person took back what steps changed; the text tells the model which.
    Undone,
    /// What a step changes cannot be taken back; the text tells people why.
    Unkept,
    /// A person was asked whether a host may be reached; the text says what they said.
    Host,
    /// A person gave leave to pass a soft cap of a budget; the text says which.
    Leave,
    /// Programs in a cell can read what is secret; the text names it.
    Secret,
    /// Something secret was held back of what the brain said; the text says what.
    Struck,
    /// A result was held back, because it is not as it should be; the text says why.
    Unfit,
    /// The goal itself reads like an attempt to talk a model out of its rules; the text says how.
    Doubt,
    /// A judge of what was read gave no answer; the text says why.
    Unheard,
    /// A document was set aside, because it attacked again and again; the text names it.
    SetAside,
    /// The brain was paused, because it kept asking for what its goal does not need; the text names the source.
    Paused,
    /// A person put a file into the workspace; the text is its path.
    Uploaded,
    /// The brain rests until somebody wakes it; the text says why.
    Rested,
}

/// One call to a model that went through the gateway. No content: that is the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The gateway's path, such as `/gateway/openai/v1/chat/completions`.
    pub path: String,
    /// The model that was asked for.
    pub model: String,
    /// The origin that was called; empty if none was.
    pub upstream: String,
    /// The HTTP status that the caller was answered with.
    pub status: u16,
    /// What was used, as settled with the ledger.
    pub usage: Usage,
    /// Requests that it took; 0 if none was sent.
    pub tries: u32,
    /// From the request to the end of the answer.
    pub millis: u64,
    /// The body that the caller sent.
    pub asked: Digest,
    /// The body that the upstream sent.
    pub received: Digest,
    /// The body that the caller was sent: the same, where the dialect is.
    pub answered: Digest,
    /// Why there was no whole answer, in words.
    pub error: Option<String>,
    /// Passages of what is new in it that read like an attack; it was sent on all the same.
    #[serde(default, skip_serializing_if = "crate::usage::is_zero")]
    pub suspicious: u64,
}

/// Traffic of a cell's proxy with one host and port since the last such event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// `host:port`, as it was asked for: a cell's words.
    pub target: String,
    /// Connections that were made.
    pub connections: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Bytes that left.
    pub sent: u64,
    /// Bytes that came.
    pub received: u64,
    /// Requests to it into which a credential was put, by the credential's name.
    #[serde(default)]
    pub credential: Option<String>,
}

/// By which policy a brain's actions are judged from here on, whole: the journal tells what a verdict rested on, also when
/// files and settings have changed since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyInForce {
    /// The name of the profile; `none` is none.
    pub profile: String,
    /// Whether the person who started the brain named the profile; otherwise it was that of the settings.
    pub profile_named: bool,
    /// The rules that are added to the profile.
    pub file: Option<PolicyFile>,
    /// Whether the person who started the brain named that file; otherwise it was that of the settings.
    pub file_named: bool,
    /// Hosts from which anything might be fetched, by the settings.
    pub allowed_hosts: Vec<String>,
}

/// A file of rules as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Its absolute path.
    pub path: String,
    /// What stood in it.
    pub text: String,
}

/// One event of a brain's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A goal is admitted.
    Goal(Goal),
    /// A model call is about to be made; what it may take is reserved until its thought settles it.
    Budget {
        /// Which call.
        turn: TurnNo,
        /// What it may take.
        reserved: Usage,
    },
    /// A model replied.
    Thought(Thought),
    /// An action was parsed from the thought before.
    Proposal {
        /// Its number.
        step: StepNo,
        /// The model's id for the call.
        call_id: String,
        /// The action.
        action: Action,
    },
    /// The gate decided.
    Verdict {
        /// Which action.
        step: StepNo,
        /// What it said.
        verdict: Verdict,
        /// What the action would have done, as far as it was known then: the verdict rests on it. Nothing where nobody can
        /// say that before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Plan>,
    },
    /// A question was answered.
    Approval {
        /// Which action.
        step: StepNo,
        /// The digest that the answer is bound to.
        digest: Digest,
        /// The answer.
        answer: Answer,
        /// Whose.
        by: Answerer,
    },
    /// An action is about to be performed: the intent.
    Started {
        /// Which action.
        step: StepNo,
        /// What it will do.
        plan: Plan,
    },
    /// What came of an action.
    Observation {
        /// Which action.
        step: StepNo,
        /// Where its text comes from, as the host knows it, such as `file:notes/a.md`.
        source: String,
        /// What came of it; `text` has passed the guard.
        outcome: Outcome,
        /// The same as a value, where the tool's server gave one. Never what a cell said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        structured: Option<Value>,
        /// What the server's label takes from it.
        #[serde(default, skip_serializing_if = "Label::is_neutral")]
        label: Label,
        /// What the guard did to it.
        #[serde(default, skip_serializing_if = "Screening::is_clean")]
        screening: Screening,
    },
    /// The brain's answer to its goal.
    Answer {
        /// The words.
        text: String,
    },
    /// Something worth keeping that changes no state but context.
    Note {
        /// What it is about.
        kind: NoteKind,
        /// The words.
        text: String,
    },
    /// The brain ended.
    Finish {
        /// Why.
        reason: FinishReason,
        /// In words.
        text: String,
    },
    /// The brain cannot go on just now.
    Fault {
        /// Whose fault.
        kind: FaultKind,
        /// In words, with what to do.
        text: String,
    },
    /// A program called a model through the gateway.
    Exchange(Exchange),
    /// A program reached something through the proxy of its cell, or was refused.
    Reach(Reach),
    /// Which effects the goal needs. One of a person replaces what was there; others are taken only before anything
    /// untrusted was read.
    Warrant(Warrant),
    /// The policy by which actions are judged from here on.
    Policy(PolicyInForce),
    /// What another tenant shared is no root of the brain any more; the text tells the model.
    ShareEnded {
        /// Which share.
        share: ShareId,
        /// The words.
        text: String,
    },
}

macro_rules! kinds {
    ($($variant:ident = $code:literal, $name:literal, $pattern:pat => ();)*) => {
        /// The kind of an event, as it stands unsealed beside a record. Codes are part of the format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each names the event of the same name")]
        pub enum EventKind { $($variant),* }

        impl EventKind {
            /// The code in a record.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$variant => $code),* }
            }

            /// The kind of a code.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }

        impl Event {
            /// The kind of this event.
            #[must_use]
            pub const fn kind(&self) -> EventKind {
                match self { $($pattern => EventKind::$variant),* }
            }
        }
    };
}
kinds! {
    Goal = 1, "goal", Event::Goal(_) => ();
    Budget = 2, "budget", Event::Budget { .. } => ();
    Thought = 3, "thought", Event::Thought(_) => ();
    Proposal = 4, "proposal", Event::Proposal { .. } => ();
    Verdict = 5, "verdict", Event::Verdict { .. } => ();
    Approval = 6, "approval", Event::Approval { .. } => ();
    Started = 7, "started", Event::Started { .. } => ();
    Observation = 8, "observation", Event::Observation { .. } => ();
    Answer = 9, "answer", Event::Answer { .. } => ();
    Note = 10, "note", Event::Note { .. } => ();
    Finish = 11, "finish", Event::Finish { .. } => ();
    Fault = 12, "fault", Event::Fault { .. } => ();
    Exchange = 13, "exchange", Event::Exchange(_) => ();
    Reach = 14, "reach", Event::Reach(_) => ();
    Warrant = 15, "warrant", Event::Warrant(_) => ();
    Policy = 16, "policy", Event::Policy(_) => ();
    ShareEnded = 17, "share_ended", Event::ShareEnded { .. } => ();
}
