//! What a result passes before a model sees it: the guard, with the count of what was held back of each document.

use autoshare_core::event::{Event, NoteKind};
use autoshare_core::outcome::Outcome;
use autoshare_core::screening::Screening;
use autoshare_guard::verify::{Channel, Profile};
use autoshare_guard::{Screen, screen};

use crate::drive::Driver;

/// How what a brain reads is screened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardSettings {
    /// How readily a passage is held back; `None` holds nothing back.
    pub detector: Option<Profile>,
    /// Passages of one document that are held back before the document is set aside as a whole; 0 never does.
    pub set_aside_after: u64,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self { detector: Some(Profile::Default), set_aside_after: 5 }
    }
}

impl Driver<'_> {
    /// Makes the text of a result fit to be shown to a model. Also gives the notice for a person, if this is where its
    /// document is set aside.
    pub(crate) fn screened(&self, source: &str, outcome: &mut Outcome) -> (Screening, Option<Event>) {
        let settings = self.host.settings.guard;
        let cap = usize::try_from(self.host.settings.max_text).unwrap_or(usize::MAX).saturating_mul(2);
        let how = Screen { max_bytes: cap, channel: Channel::Content, detector: settings.detector };
        let screened = screen(&outcome.text, &how);
        outcome.text = screened.text;
        let mut screening = screened.screening;
        let (before, new) = self.reading.held_in(source, &outcome.text, &screening);
        let (before, after) = (before as u64, (before + new) as u64);
        let is_too_much = settings.set_aside_after > 0 && after >= settings.set_aside_after;
        if !is_too_much || !self.may_be_set_aside(source) {
            return (screening, None);
        }
        screening.set_aside = true;
        let text = format!(
            "{source} was set aside: {after} passages of it read like orders to whoever reads it (see them with \
             `autoshare show --quarantine {}`)",
            self.id
        );
        let is_news = before < settings.set_aside_after;
        (screening, is_news.then_some(Event::Note { kind: NoteKind::SetAside, text }))
    }

    /// What the model says, before it is journaled, shown or becomes an answer: without what is secret, and with a notice
    /// if it held that.
    pub(crate) fn spoken(&self, said: String) -> (String, Option<Event>) {
        let Some(struck) = self.reading.history().struck(&said) else { return (said, None) };
        let what = if said.contains(&self.canary) { "its own instructions" } else { "a secret" };
        let text = format!("what the model said held {what}; that was held back");
        (struck, Some(Event::Note { kind: NoteKind::Struck, text }))
    }

    /// One file, which nobody the brain works for has named. What comes through a server holds the words of many, and what
    /// the goal names is what it is about: neither may be taken away by whoever writes into it.
    fn may_be_set_aside(&self, source: &str) -> bool {
        source.strip_prefix("file:").is_some_and(|path| !self.reading.history().names(path))
    }
}
