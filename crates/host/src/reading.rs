//! What the gate is told of a journal: whose words each event holds. A fold, so that any verdict can be had again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use autoshare_core::event::{Answer, Answerer, Event, Goal, NoteKind, Root};
use autoshare_core::outcome::{Ending, Outcome, Plan};
use autoshare_core::place::{Place as Lies, place};
use autoshare_core::screening::{Held, Screening};
use autoshare_core::special::is_secret;
use autoshare_core::tool::{Action, Effect, Label, Role, ToolSpec};
use autoshare_core::warrant::DrawnBy;
use autoshare_core::{Digest, Seq};
use autoshare_gate::{History, READ_DOCUMENT, own_words};
use autoshare_guard::records::Records;
use serde_json::Value;

/// The source of what a person pasted into their own words.
const PASTED: &str = "what was pasted into the goal";

/// Stands in place of a verifier's name where something is held back for what its author did before.
pub(crate) const BY_AUTHOR: &str = "count of what its author did";

/// What a brain has read, as far as its journal goes.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    history: History,
    tools: Vec<ToolSpec>,
    /// The action that was proposed last.
    action: Option<Action>,
    /// Passages that were held back, by source: each once, however often it was read.
    held: HashMap<String, BTreeSet<Digest>>,
    /// The same by server and author.
    held_by: HashMap<(String, String), BTreeSet<Digest>>,
    /// Servers and authors of theirs of whom everything is held back.
    set_aside: BTreeSet<(String, String)>,
}

impl Reading {
    /// Of what stands in these events, in their order from the first.
    #[must_use]
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Event>) -> Self {
        let mut reading = Self::default();
        for (event, at) in events.into_iter().zip(1..) {
            reading.take(Seq(at), event);
        }
        reading
    }

    /// The values that it holds, for the gate.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// Adds the value of a secret, to be looked for in what leaves.
    pub fn know_secret(&mut self, value: &str) {
        self.history.add_secret(value);
    }

    /// How many passages of this source were held back, and how many these add to them.
    #[must_use]
    pub fn held_in(&self, source: &str, text: &str, screening: &Screening) -> (usize, usize) {
        let none = BTreeSet::new();
        let before = self.held.get(source).unwrap_or(&none);
        let new: BTreeSet<Digest> = passages(text, screening).filter(|passage| !before.contains(passage)).collect();
        (before.len(), new.len())
    }

    /// Authors of a server's result of whom passages are held back, each with how many were before, and how many are now.
    #[must_use]
    pub fn held_by(&self, source: &str, text: &str, screening: &Screening) -> BTreeMap<String, (usize, usize)> {
        let mut found: BTreeMap<String, BTreeSet<Digest>> = BTreeMap::new();
        for (author, passage) in by_author(source, text, screening) {
            found.entry(author).or_default().insert(passage);
        }
        let none = BTreeSet::new();
        let server = server_of(source).unwrap_or_default();
        let count = |author: String, new: BTreeSet<Digest>| {
            let before = self.held_by.get(&(server.to_owned(), author.clone())).unwrap_or(&none);
            (author, (before.len(), before.union(&new).count()))
        };
        found.into_iter().map(|(author, new)| count(author, new)).collect()
    }

    /// Whether all that an author wrote was held back before.
    #[must_use]
    pub fn is_set_aside(&self, source: &str, author: &str) -> bool {
        let server = server_of(source).unwrap_or_default();
        self.set_aside.contains(&(server.to_owned(), author.to_owned()))
    }

    /// Takes in the event of one record.
    pub fn take(&mut self, at: Seq, event: &Event) {
        match event {
            Event::Goal(goal) => self.goal(at, goal),
            Event::Warrant(warrant) if warrant.by == DrawnBy::Person => {
                for target in warrant.effects.iter().flat_map(|effect| &effect.targets) {
                    self.history.trust_at(Some(at), &format!("{target:?}"));
                }
            }
            Event::Proposal { action, .. } => {
                if self.spec(action).is_some_and(|spec| spec.effect == Effect::RunInside) {
                    self.history.propose(action);
                }
                self.action = Some(action.clone());
            }
            Event::Approval { answer: Answer::Feedback { text }, by: Answerer::Person { .. }, .. }
            | Event::Note { kind: NoteKind::Feedback, text } => self.said(at, text),
            Event::Note { kind: NoteKind::Secret, text } => {
                self.history.secret_was_readable(&format!("file:{text}"));
            }
            Event::Observation { source, outcome, structured, label, screening, .. } => {
                if !screening.held.is_empty() {
                    self.held.entry(source.clone()).or_default().extend(passages(&outcome.text, screening));
                    let server = server_of(source).unwrap_or_default();
                    for author in wholly_by(screening) {
                        self.set_aside.insert((server.to_owned(), author));
                    }
                    for (author, passage) in by_author(source, &outcome.text, screening) {
                        self.held_by.entry((server.to_owned(), author)).or_default().insert(passage);
                    }
                }
                self.observed(at, source, outcome, structured.as_ref(), *label);
            }
            _ => {}
        }
    }

    /// What a person wrote; what they pasted into it is somebody else's.
    fn said(&mut self, at: Seq, text: &str) {
        let (own, pasted) = own_words(text);
        self.history.trust_at(Some(at), &own);
        for text in pasted {
            self.history.add_content(PASTED, &text);
        }
    }

    fn goal(&mut self, at: Seq, goal: &Goal) {
        self.said(at, &goal.text);
        for text in &goal.trusted {
            self.history.trust_at(Some(at), &text.text);
        }
        for text in &goal.attached {
            self.history.add_content(&format!("attached:{}", text.name), &text.text);
        }
        self.tools.clone_from(&goal.tools);
    }

    fn observed(&mut self, at: Seq, source: &str, outcome: &Outcome, structured: Option<&Value>, label: Label) {
        let spec = self.action.as_ref().and_then(|action| self.spec(action)).cloned();
        let Some((spec, action)) = spec.zip(self.action.take()) else {
            return self.history.add_content(source, &outcome.text);
        };
        if spec.effect == Effect::Fetch {
            let targets = spec.params.iter().filter(|param| param.role == Role::Target);
            let addresses = targets.filter_map(|param| action.text(&param.name));
            addresses.for_each(|address| self.history.note_fetched(address));
        }
        let named = ["path", "uri"].iter().find_map(|name| action.text(name)).filter(|path| is_secret(path));
        if named.is_some() && outcome.ending == Ending::Done {
            self.history.secret_was_readable(source);
        }
        self.history.add_labelled(Some(at), source, &spec, &outcome.text, structured, label);
    }

    fn spec(&self, action: &Action) -> Option<&ToolSpec> {
        self.tools.iter().find(|tool| tool.name == action.tool)
    }
}

/// The server of a source that is one's.
fn server_of(source: &str) -> Option<&str> {
    source.strip_prefix("mcp:")?.split('/').next()
}

/// Who wrote each passage that is held back, as far as a server's result says.
fn by_author(source: &str, text: &str, screening: &Screening) -> Vec<(String, Digest)> {
    if screening.held.is_empty() || server_of(source).is_none() {
        return Vec::new();
    }
    let Some(records) = Records::read(text) else { return Vec::new() };
    let passages = autoshare_guard::held(text, screening).filter(|(held, _)| held.why.is_empty());
    let of = |(held, passage): (&Held, &str)| {
        Some((author_at(&records, held, passage)?.to_owned(), Digest::of(passage.as_bytes())))
    };
    passages.filter_map(of).collect()
}

/// Authors of whom everything is held back.
fn wholly_by(screening: &Screening) -> Vec<String> {
    let author = |held: &Held| match held.by.as_slice() {
        [reason, author] if reason == BY_AUTHOR => Some(author.clone()),
        _ => None,
    };
    screening.held.iter().filter_map(author).collect()
}

fn author_at<'r>(records: &'r Records, held: &Held, passage: &str) -> Option<&'r str> {
    let start = usize::try_from(held.at).ok()?;
    records.author_of(&(start..start + passage.len()))
}

fn passages<'t>(text: &'t str, screening: &'t Screening) -> impl Iterator<Item = Digest> {
    // What is held back for another reason than its words is no attack.
    let attacks = autoshare_guard::held(text, screening).filter(|(held, _)| held.why.is_empty());
    attacks.map(|(_, passage)| Digest::of(passage.as_bytes()))
}

/// Where a result's text comes from, as the host knows it. What lies in another tenant's share is of that tenant, by whatever
/// tool it was read.
pub(crate) fn source_of(roots: &[Root], action: &Action, plan: &Plan) -> String {
    let asked = action.text("path").unwrap_or(".");
    let named = plan.path.as_deref().unwrap_or(asked);
    if let Lies::Inside { root, relative, .. } = place(roots, asked)
        && let Some(shared) = roots.get(root).and_then(|root| root.shared.as_ref())
    {
        let below = plan.path.as_deref().unwrap_or(&relative);
        return format!("shared:{}/{}/{below}", shared.by, shared.id);
    }
    match action.tool.as_str() {
        "read_file" | READ_DOCUMENT => format!("file:{named}"),
        "list_folder" | "find" | "search" => format!("folder:{named}"),
        other => format!("tool:{other}"),
    }
}
