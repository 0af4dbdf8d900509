//! What a result passes before a model sees it: the guard with all its verifiers, and the count of what was held back of
//! each document.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use autoshare_core::StepNo;
use autoshare_core::document::MAX_HIDDEN;
use autoshare_core::event::{Attached, Event, NoteKind};
use autoshare_core::outcome::Outcome;
use autoshare_core::screening::{Held, Screening};
use autoshare_core::tool::Label;
use autoshare_guard::ensemble::{Agreement, DETECTOR, Verifier, Vote, agreed, undecided};
use autoshare_guard::records::Records;
use autoshare_guard::rules::SourceRule;
use autoshare_guard::verify::{Channel, Profile, Suspicion, verify};
use autoshare_guard::{percent, plain};
use autoshare_store::Durability;
use serde_json::Value;

use crate::HostError;
use crate::drive::Driver;
use crate::judge::{Asks, JUDGE, JudgeSettings, UNHEARD, pieces};
use crate::reading::BY_AUTHOR;

/// Characters of a goal that a notice repeats.
const MAX_DOUBT: usize = 120;

/// What a model is told of a result that is not as it should be. The rest is for people: it may hold words of the server.
const NO_SUCH_RESULT: &str = "it is not what its own server says of its results, or a page that cannot be read";

/// Why a result is held back whose verifiers a stop did not wait for.
const UNJUDGED: &str = "a stop came before it was judged";

/// How what a brain reads is screened.
#[derive(Debug, Clone)]
pub struct Guard {
    /// How readily the detector calls a passage suspicious; `None`: it is not asked.
    pub detector: Option<Profile>,
    /// Verifiers beside it.
    pub verifiers: Vec<Arc<dyn Verifier>>,
    /// A language model that is asked as well.
    pub judge: Option<JudgeSettings>,
    /// How many of them must agree.
    pub agreement: Agreement,
    /// What is said of single sources; of several that fit, the first counts.
    pub sources: Arc<[SourceRule]>,
    /// Passages of one document that are held back before the document is set aside as a whole; 0 never does.
    pub set_aside_after: u64,
    /// Whether every word of what a brain reads bears a mark that its instructions speak of.
    pub datamark: bool,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            detector: Some(Profile::Default),
            verifiers: Vec::new(),
            judge: None,
            agreement: Agreement::default(),
            sources: Arc::default(),
            set_aside_after: 5,
            datamark: false,
        }
    }
}

/// A text that was filtered, and on which all have voted that need nobody's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Sifted {
    /// The text as it is kept.
    pub text: String,
    removed: String,
    /// Why its source may not say it.
    refused: Option<String>,
    /// Whether its source is one that nobody looks at.
    exempt: bool,
    votes: Vec<Vote>,
    /// What anybody found suspicious at all.
    doubtful: Vec<Suspicion>,
}

/// Bytes of one text that comes with a goal, at most.
pub const MAX_ATTACHED: usize = 1024 * 1024;

impl Guard {
    /// A text that comes with a goal, without what is held back; and how it was screened. There is no brain yet that could
    /// pay a judge: the others decide. What a person vouches for ([`Channel::User`]) is filtered alone.
    #[must_use]
    pub fn attach(&self, text: Attached, channel: Channel) -> (Attached, Sifted, Screening) {
        let guard = match channel {
            Channel::User => Self { detector: None, verifiers: Vec::new(), judge: None, ..Self::default() },
            _ => Self { judge: None, ..self.clone() },
        };
        let sifted = guard.sift(&format!("attached:{}", text.name), &text.text, Channel::Content, MAX_ATTACHED);
        let screening = guard.settle(&sifted, None);
        let shown = autoshare_guard::shown(&sifted.text, &screening).into_owned();
        (Attached { text: shown, ..text }, sifted, screening)
    }

    /// Filters a text of at most `max_bytes` bytes that came from `source`, and has its verifiers vote. Takes as long as they
    /// take.
    #[must_use]
    pub fn sift(&self, source: &str, text: &str, channel: Channel, max_bytes: usize) -> Sifted {
        let plain = plain(text, max_bytes);
        let mut sifted = Sifted {
            removed: plain.report.words(),
            text: plain.text,
            refused: None,
            exempt: false,
            votes: Vec::new(),
            doubtful: Vec::new(),
        };
        let rule = self.sources.iter().find(|rule| rule.fits(source));
        match rule.map(|rule| rule.apply(&sifted.text)) {
            None | Some(Ok((_, None))) => {}
            Some(Ok((kept, Some(words)))) => {
                let parts = [std::mem::take(&mut sifted.removed), words];
                sifted.removed = parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("; ");
                sifted.text = kept.into_owned();
            }
            Some(Err(why)) => {
                sifted.refused = Some(why);
                return sifted;
            }
        }
        let said = rule.and_then(|rule| rule.detector);
        sifted.exempt = said == Some(None);
        if sifted.exempt {
            return sifted;
        }
        let profile = said.unwrap_or(self.detector);
        if profile.is_none() && self.verifiers.is_empty() {
            return sifted;
        }
        // Fields of JSON are judged one by one, so that none takes away what somebody else wrote beside it.
        let records = Records::read(&sifted.text);
        let judged = match &records {
            Some(records) => Cow::Owned(records.a_field_a_line(&sifted.text)),
            None => Cow::Borrowed(sifted.text.as_str()),
        };
        let within = |found: Vec<Suspicion>| match &records {
            Some(records) => records.within(found),
            None => found,
        };
        let (mut votes, mut doubtful) = (Vec::new(), Vec::new());
        if let Some(profile) = profile {
            let verification = verify(&judged, channel);
            votes.push(Vote { by: DETECTOR, found: Ok(within(verification.flagged(profile))) });
            doubtful = within(verification.flagged(Profile::Cautious));
        }
        for verifier in &self.verifiers {
            let found = verifier.verify(&judged, channel).map(within);
            doubtful.extend(found.iter().flatten().cloned());
            votes.push(Vote { by: verifier.name(), found });
        }
        (sifted.votes, sifted.doubtful) = (votes, doubtful);
        sifted
    }

    /// What is to be said of a goal that reads like an attempt to talk a model out of its rules. No more than a hint: a
    /// person may ask for what they like, and what they may have is for the gate to say.
    pub(crate) fn doubt(&self, goal: &str) -> Option<String> {
        let found = verify(goal, Channel::User).flagged(self.detector?);
        let surest = found.into_iter().max_by(|a, b| a.score.total_cmp(&b.score))?;
        let words: String = goal.get(surest.span)?.chars().take(MAX_DOUBT).collect();
        let percent = percent(surest.score);
        Some(format!("the goal reads like an attempt to talk the model out of its rules ({percent} % sure): {words:?}"))
    }

    /// What the judge is to be asked about; nothing if there is none.
    pub(crate) fn asks(&self, sifted: &Sifted) -> Vec<Suspicion> {
        let Some(judge) = self.judge.as_ref().filter(|_| !sifted.exempt && sifted.refused.is_none()) else {
            return Vec::new();
        };
        match judge.asks {
            Asks::Doubtful => undecided(sifted.doubtful.clone(), &sifted.votes, self.agreement),
            Asks::Everything => match Records::read(&sifted.text) {
                Some(records) => records.within(pieces(&records.a_field_a_line(&sifted.text))),
                None => pieces(&sifted.text),
            },
        }
    }

    /// What is held back of it. `judged` is what the judge said, where it was asked.
    #[must_use]
    pub fn settle(&self, sifted: &Sifted, judged: Option<Vote>) -> Screening {
        let held = match &sifted.refused {
            Some(why) => vec![Held::whole(sifted.text.len(), why.clone())],
            None if sifted.exempt => Vec::new(),
            None => {
                let mut votes = sifted.votes.clone();
                // It has a seat even where there was nothing to ask it.
                let silent = || self.judge.as_ref().map(|_| Vote { by: JUDGE, found: Ok(Vec::new()) });
                votes.extend(judged.or_else(silent));
                agreed(sifted.text.len(), &votes, self.agreement)
            }
        };
        Screening { removed: sifted.removed.clone(), held, set_aside: false }
    }
}

/// A result that is not journaled yet: it is being judged.
#[derive(Debug, Clone)]
pub(crate) struct Unread {
    pub(crate) step: StepNo,
    pub(crate) source: String,
    pub(crate) outcome: Outcome,
    pub(crate) structured: Option<Value>,
    pub(crate) label: Label,
    /// Why its server may not say such a thing, if that is so.
    pub(crate) refused: Option<String>,
    pub(crate) durability: Durability,
}

/// Keeps what a document hides behind its text, held back: nobody who reads the document sees it, and who looks into it can.
fn keep_unseen(text: &mut String, screening: &mut Screening, unseen: &str) {
    let unseen = plain(unseen, MAX_HIDDEN * 2).text;
    if unseen.is_empty() {
        return;
    }
    text.push_str("\n\n[kept from whoever reads it]\n");
    let why = "whoever reads this document does not see them".to_owned();
    screening.held.push(Held { at: text.len() as u64, ..Held::whole(unseen.len(), why) });
    text.push_str(&unseen);
}

/// What is left of the values that authors wrote beside what is held back of them, to be held back as well.
fn rest_of<'r>(held: &[Held], theirs: impl Iterator<Item = (Range<usize>, &'r str)>) -> Vec<Held> {
    let why = "passages of its author read like orders, again and again";
    let mut rest = Vec::new();
    let mut next = 0;
    for (value, author) in theirs {
        let end = value.end as u64;
        let mut from = value.start as u64;
        let mut add = |from: u64, to: u64| {
            if from < to {
                let by = vec![BY_AUTHOR.to_owned(), author.to_owned()];
                rest.push(Held { at: from, len: to - from, by, ..Held::whole(0, why.to_owned()) });
            }
        };
        while let Some(one) = held.get(next).filter(|one| one.at < end) {
            add(from, one.at);
            from = from.max(one.at.saturating_add(one.len));
            if from >= end {
                break;
            }
            next += 1;
        }
        add(from, end);
    }
    rest
}

impl Driver<'_> {
    /// Has a result pass the guard, and journals it. Where a stop comes while it is judged, nothing is lost: see
    /// [`Driver::take_in_unread`].
    pub(crate) async fn take_in(&mut self, mut unread: Unread) -> Result<(), HostError> {
        let guard = self.host.settings.guard.clone();
        let cap = usize::try_from(self.host.settings.max_text).unwrap_or(usize::MAX).saturating_mul(2);
        let (source, text) = (unread.source.clone(), std::mem::take(&mut unread.outcome.text));
        let refused = unread.refused.as_ref().map(|_| NO_SUCH_RESULT.to_owned());
        unread.outcome.text = plain(&text, cap).text;
        let whole = Held::whole(unread.outcome.text.len(), UNJUDGED.to_owned());
        self.unread = Some((unread, Screening { held: vec![whole], ..Screening::default() }));
        // A classifier takes its time.
        let (guard, sifted) = tokio::task::spawn_blocking(move || {
            let mut sifted = guard.sift(&source, &text, Channel::Content, cap);
            sifted.refused = sifted.refused.or(refused);
            (guard, sifted)
        })
        .await
        .map_err(|error| HostError::Task(error.to_string()))?;
        let Some((mut unread, _)) = self.unread.take() else { return Ok(()) };
        unread.outcome.text.clone_from(&sifted.text);
        let asked = guard.asks(&sifted);
        if asked.is_empty() {
            let screening = guard.settle(&sifted, None);
            return self.journal_result(unread, screening).await;
        }
        let source = unread.source.clone();
        let unheard = guard.settle(&sifted, Some(Vote { by: UNHEARD, found: Ok(asked.clone()) }));
        self.unread = Some((unread, unheard));
        let vote = self.ask_judge(&source, &sifted.text, asked).await?;
        match self.unread.take() {
            Some((unread, _)) => self.journal_result(unread, guard.settle(&sifted, Some(vote))).await,
            None => Ok(()),
        }
    }

    /// A result that was still judged when a stop came: what hung on that is held back.
    pub(crate) async fn take_in_unread(&mut self) -> Result<(), HostError> {
        match self.unread.take() {
            Some((unread, screening)) => self.journal_result(unread, screening).await,
            None => Ok(()),
        }
    }

    async fn journal_result(&mut self, unread: Unread, mut screening: Screening) -> Result<(), HostError> {
        let Unread { step, source, mut outcome, structured, label, refused, durability } = unread;
        let unfit = refused
            .map(|why| Event::Note { kind: NoteKind::Unfit, text: format!("what {source} sent was held back: {why}") });
        let of_authors = self.set_authors_aside(&source, &outcome.text, &mut screening);
        let notice = self.set_aside_if_too_much(&source, &outcome, &mut screening);
        keep_unseen(&mut outcome.text, &mut screening, &std::mem::take(&mut self.unseen));
        let result = Event::Observation { step, source, outcome, structured, label, screening };
        self.record([result].into_iter().chain(unfit).chain(of_authors).chain(notice).collect(), durability).await
    }

    /// Holds back all that authors wrote who attack again and again, but for those whom the goal names: whoever can write
    /// under another's name must not be able to silence one that it is about. Gives the notices for a person.
    fn set_authors_aside(&self, source: &str, text: &str, screening: &mut Screening) -> Vec<Event> {
        let limit = self.host.settings.guard.set_aside_after;
        let counts = limit > 0 && source.starts_with("mcp:");
        let Some(records) = counts.then(|| Records::read(text)).flatten() else { return Vec::new() };
        let found = self.reading.held_by(source, text, screening);
        let was_set_aside = |author: &str| self.reading.is_set_aside(source, author);
        let is_too_much = |author: &str| found.get(author).is_some_and(|(_, now)| *now as u64 >= limit);
        let is_aside = |author: &str| (was_set_aside(author) || is_too_much(author)) && !self.is_meant(author);
        let authored = records.values().filter_map(|(value, author)| Some((value, author?)));
        let theirs = authored.filter(|(value, author)| !value.is_empty() && is_aside(author));
        let more = rest_of(&screening.held, theirs);
        screening.held.extend(more);
        screening.held.sort_by_key(|held| held.at);
        let notice = |(author, (_, passages)): (&String, &(usize, usize))| {
            let text = format!(
                "what {author:?} wrote in {source} was set aside: {passages} passages of theirs read like orders to whoever \
                 reads them (see them with `autoshare show --quarantine {}`)",
                self.id
            );
            Event::Note { kind: NoteKind::SetAside, text }
        };
        found.iter().filter(|(author, _)| is_aside(author) && !was_set_aside(author)).map(notice).collect()
    }

    /// Sets a document aside that attacks again and again. Gives the notice for a person if this is where it happens.
    fn set_aside_if_too_much(&self, source: &str, outcome: &Outcome, screening: &mut Screening) -> Option<Event> {
        let limit = self.host.settings.guard.set_aside_after;
        let (before, new) = self.reading.held_in(source, &outcome.text, screening);
        let (before, after) = (before as u64, (before + new) as u64);
        if limit == 0 || after < limit || !self.may_be_set_aside(source) {
            return None;
        }
        screening.set_aside = true;
        let text = format!(
            "{source} was set aside: {after} passages of it read like orders to whoever reads it (see them with \
             `autoshare show --quarantine {}`)",
            self.id
        );
        (before < limit).then_some(Event::Note { kind: NoteKind::SetAside, text })
    }

    /// What the model says, before it is journaled, shown or becomes an answer: without what is secret, and with a notice
    /// if it held that.
    pub(crate) fn spoken(&self, said: String) -> (String, Option<Event>) {
        let Some(struck) = self.reading.history().struck(&said) else { return (said, None) };
        let what = if said.contains(&self.canary) { "its own instructions" } else { "a secret" };
        let text = format!("what the model said held {what}; that was held back");
        (struck, Some(Event::Note { kind: NoteKind::Struck, text }))
    }

    /// Whether the person may speak of somebody: their words hold the name, or a word of it. The end of an address is none.
    fn is_meant(&self, name: &str) -> bool {
        let words = |text: &str| -> BTreeSet<String> {
            let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 2);
            words.map(str::to_lowercase).collect()
        };
        let own = [&self.goal.text].into_iter().chain(self.goal.trusted.iter().map(|file| &file.text));
        let own: BTreeSet<String> = own.flat_map(|text| words(text)).collect();
        let is_address = name.contains('@');
        let named = name.rsplit_once('.').filter(|_| is_address).map_or(name, |(before, _)| before);
        self.reading.history().names(name) || words(named).iter().any(|word| own.contains(word))
    }

    /// One file, which nobody the brain works for has named. What comes through a server holds the words of many, and what
    /// the goal names is what it is about: neither may be taken away by whoever writes into it.
    fn may_be_set_aside(&self, source: &str) -> bool {
        source.strip_prefix("file:").is_some_and(|path| !self.reading.history().names(path))
    }
}
