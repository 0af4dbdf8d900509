//! The audit trail as a host writes it: what brains were asked about, denied and allowed, and which secrets they used.
//!
//! What a brain does is written down by a thread of its own, in its order, and nobody waits for it; its journal, which
//! holds the same and more, was written before. What a person does is written down before it is answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use autoshare_access::Access;
use autoshare_core::BrainId;
use autoshare_core::audit::{Act, Actor, Entry};
use autoshare_core::event::{Answer, Answerer, Event, NoteKind};
use autoshare_core::verdict::{Decision, Verdict};
use autoshare_store::audit::Audit;
use autoshare_store::{Durability, StoreError};

/// Entries that wait before brains do.
const QUEUE: usize = 1_024;

/// A trail, and the thread that writes what brains do.
#[derive(Debug)]
pub struct Auditor {
    access: Access,
    audit: Arc<Audit>,
    entries: Option<SyncSender<Entry>>,
    thread: Option<JoinHandle<()>>,
    outcome: Arc<Outcome>,
}

/// How writing goes.
#[derive(Debug, Default)]
struct Outcome {
    /// Why the last entry could not be written, if it could not.
    broken: Mutex<Option<String>>,
    /// Entries that could not be written, perhaps of other trails too.
    failures: Arc<AtomicU64>,
}

impl Outcome {
    fn note<T>(&self, written: &Result<T, StoreError>) {
        if written.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = written.as_ref().err().map(ToString::to_string);
    }
}

impl Auditor {
    /// Over the trail of the tenant of `access`. Entries that cannot be written are added to `failures`.
    ///
    /// # Errors
    /// [`StoreError::NoWriter`] where there can be no thread.
    pub fn new(access: Access, audit: Audit, failures: Arc<AtomicU64>) -> Result<Self, StoreError> {
        let (entries, waiting) = sync_channel::<Entry>(QUEUE);
        let (audit, outcome) = (Arc::new(audit), Arc::new(Outcome { failures, ..Outcome::default() }));
        let (to, by, noted) = (Arc::clone(&audit), access.clone(), Arc::clone(&outcome));
        let work = move || waiting.iter().for_each(|entry| noted.note(&to.append(&by, &entry, Durability::Lazy)));
        let thread = std::thread::Builder::new().name("auditor".to_owned()).spawn(work);
        let thread = Some(thread.map_err(|_| StoreError::NoWriter)?);
        Ok(Self { access, audit, entries: Some(entries), thread, outcome })
    }

    /// The trail.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Why the last entry could not be written, if it could not.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.outcome.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes down what somebody did, before anybody is told that it is done. Waits for the disk.
    ///
    /// # Errors
    /// Those of [`Audit::append`]: then it is not to be done.
    pub fn note(&self, entry: &Entry) -> Result<(), StoreError> {
        let written = self.audit.append(&self.access, entry, Durability::Synced).map(|_| ());
        self.outcome.note(&written);
        written
    }

    /// Has what an event tells written down, if it tells anything.
    pub(crate) fn take(&self, brain: &BrainId, event: &Event, tool: &str) {
        if let (Some(entry), Some(entries)) = (entry(brain, event, tool), &self.entries) {
            // Only its own end ends the thread.
            let _ = entries.send(entry);
        }
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        drop(self.entries.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a trail says of an event of a brain.
fn entry(brain: &BrainId, event: &Event, tool: &str) -> Option<Entry> {
    let own = || Actor::Brain { id: brain.clone() };
    let entry = match event {
        Event::Verdict { verdict, .. } if verdict.decision != Decision::Allow => {
            let Verdict { decision, digest, .. } = verdict;
            let act = Act::Verdict { decision: *decision, tool: tool.into(), digest: *digest };
            let rules: Vec<&str> = verdict.reasons.iter().map(|reason| reason.rule.as_str()).collect();
            Entry::new(Actor::Host, act, &rules.join(" "))
        }
        Event::Approval { digest, answer, by, .. } => {
            let granted = matches!(answer, Answer::Yes | Answer::Always | Answer::Run);
            let (actor, about) = match by {
                Answerer::Person { name } => (Actor::Person { name: name.as_str().into() }, ""),
                Answerer::Rule { name } => (Actor::Host, name.as_str()),
                Answerer::Nobody => (Actor::Host, "nobody answered"),
            };
            Entry::new(actor, Act::Approval { granted, digest: *digest }, about)
        }
        Event::Note { kind: NoteKind::Secret, .. } => Entry::new(own(), Act::SecretUsed, ""),
        Event::Note { kind: NoteKind::Resumed, .. } => Entry::new(own(), Act::BrainResumed, ""),
        Event::Note { kind: NoteKind::Stopped | NoteKind::Paused, .. } => Entry::new(own(), Act::BrainStopped, ""),
        Event::Finish { reason, .. } => {
            let about = serde_json::to_value(reason).ok();
            Entry::new(own(), Act::BrainEnded, about.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default())
        }
        _ => return None,
    };
    Some(entry.of_brain(brain))
}
