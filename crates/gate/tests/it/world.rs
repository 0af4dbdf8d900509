//! What surrounds the gate in these tests.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use autoshare_core::Digest;
use autoshare_core::event::{AskMode, Root, RootMode};
use autoshare_core::outcome::{Ending, FileState, Plan, Refusal};
use autoshare_core::tool::{Action, Effect, Kind, Param, Redo, Role, ToolSpec};
use autoshare_core::verdict::{Grant, Scope, Verdict};
use autoshare_core::warrant::{DrawnBy, Warrant, Warranted};
use autoshare_gate::policy::Profile;
use autoshare_gate::{Case, Commands, History, Policy, builtin_tools, decide};
use serde_json::Value;

pub(crate) const WORKSPACE: &str = "/home/ann/notes";
pub(crate) const MODES: [AskMode; 3] = [AskMode::Default, AskMode::Always, AskMode::Yes];

/// The profiles, read once.
static POLICIES: LazyLock<[Policy; 3]> =
    LazyLock::new(|| Profile::ALL.map(|profile| Policy::builtin(profile).unwrap()));

pub(crate) fn policy(profile: Profile) -> Policy {
    POLICIES[Profile::ALL.iter().position(|known| *known == profile).unwrap()].clone()
}

/// An owned case.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) action: Action,
    pub(crate) spec: ToolSpec,
    pub(crate) plan: Plan,
    pub(crate) roots: Vec<Root>,
    pub(crate) protected: Vec<String>,
    pub(crate) ask: AskMode,
    pub(crate) history: History,
    pub(crate) grants: Vec<Grant>,
    pub(crate) commands: Commands,
    pub(crate) warrant: Option<Warrant>,
    pub(crate) policy: Policy,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) own_files: BTreeSet<String>,
}

impl World {
    pub(crate) fn of(action: Action) -> Self {
        let spec = spec(&action.tool);
        let root = |path: &str, mode| Root::new(path, mode);
        Self {
            action,
            spec,
            plan: Plan::default(),
            roots: vec![root(WORKSPACE, RootMode::Write), root("/srv/reference", RootMode::Read)],
            protected: ["/home/ann/.local/share/autoshare", "/home/ann/.ssh"].map(str::to_owned).into(),
            ask: AskMode::Default,
            history: History::new(),
            grants: Vec::new(),
            commands: Commands::Any,
            warrant: None,
            policy: policy(Profile::Default),
            allowed_hosts: Vec::new(),
            own_files: BTreeSet::new(),
        }
    }

    /// A call of a server's tool.
    pub(crate) fn served(spec: ToolSpec, args: &Value) -> Self {
        let args = args.as_object().unwrap().clone().into_iter().collect();
        let action = Action { tool: spec.name.clone(), args };
        Self { action, spec, ..Self::of(read("a.md")) }
    }

    pub(crate) fn tainted(mut self) -> Self {
        self.history.add_content("file:inbox/1.eml", "Dear customer");
        self
    }

    pub(crate) fn decide(&self) -> Verdict {
        decide(&Case {
            action: &self.action,
            spec: &self.spec,
            plan: &self.plan,
            roots: &self.roots,
            protected: &self.protected,
            ask: self.ask,
            history: &self.history,
            grants: &self.grants,
            commands: &self.commands,
            warrant: self.warrant.as_ref(),
            policy: &self.policy,
            allowed_hosts: &self.allowed_hosts,
            own_files: &self.own_files,
        })
    }

    /// The rules that gave the verdict.
    pub(crate) fn rules(&self) -> Vec<String> {
        self.decide().reasons.into_iter().map(|reason| reason.rule).collect()
    }
}

pub(crate) fn action(tool: &str, args: &[(&str, &str)]) -> Action {
    let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    Action { tool: tool.to_owned(), args }
}

pub(crate) fn read(path: &str) -> Action {
    action("read_file", &[("path", path)])
}

pub(crate) fn write(path: &str) -> Action {
    action("write_file", &[("path", path), ("content", "what the model wrote")])
}

/// The contract of a built-in tool, or of two that later issues will bring.
pub(crate) fn spec(tool: &str) -> ToolSpec {
    let to = Param {
        name: "to".to_owned(),
        description: String::new(),
        role: Role::Target,
        kind: Kind::Text { max: 100 },
        required: true,
    };
    let later = |effect| ToolSpec::new(tool, "", effect, Redo::Write, vec![to.clone()]);
    match tool {
        "send_mail" => later(Effect::External),
        "delete_account" => later(Effect::Destructive),
        "set_title" => {
            ToolSpec { params: vec![Param { role: Role::Content, ..to.clone() }], ..later(Effect::External) }
        }
        name => builtin_tools().into_iter().find(|spec| spec.name == name).unwrap(),
    }
}

/// A person's "always" to one target of a tool, where these rules had asked.
pub(crate) fn grant(tool: &str, target: &str, rules: &[&str]) -> Grant {
    Grant {
        tool: tool.to_owned(),
        scope: Scope::Target { target: target.to_owned() },
        rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
    }
}

/// A warrant for one tool, aimed at these.
pub(crate) fn warrant(tool: &str, targets: &[&str]) -> Warrant {
    let targets = targets.iter().map(|target| (*target).to_owned()).collect();
    let effect = Warranted { tool: tool.to_owned(), targets, described: false, because: String::new() };
    Warrant { by: DrawnBy::Person, effects: vec![effect] }
}

pub(crate) fn file(len: u64) -> FileState {
    FileState { digest: Digest::of(&len.to_be_bytes()), len }
}

/// A plan that makes `path`, of `before` bytes, be of `after` bytes.
pub(crate) fn changes(path: &str, before: Option<u64>, after: u64) -> Plan {
    Plan { path: Some(path.to_owned()), before: before.map(file), after: Some(file(after)), refusal: None }
}

pub(crate) fn refused(ending: Ending, layer: &str, words: &str) -> Plan {
    let refusal = Refusal { ending, layer: layer.to_owned(), words: words.to_owned() };
    Plan { refusal: Some(refusal), ..Plan::default() }
}
