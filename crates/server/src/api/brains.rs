//! Brains: begun, watched, spoken to, ended.

use std::sync::Arc;

use autoshare_broker::ModelRef;
use autoshare_core::audit::Act;
use autoshare_core::event::{Answer, AskMode, Attached};
use autoshare_core::usage::{Limits, MicroUsd};
use autoshare_core::warrant::{DrawnBy, Warrant, Warranted};
use autoshare_core::{BrainId, Digest, Seq, ShareId, StepNo};
use autoshare_host::Stop;
use autoshare_host::resident::{Begin, NewBrain, Resident};
use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::ask::Ask;
use super::problem::Problem;
use super::route::Answered;
use super::words::{BrainWords, Now, Page, QuestionWords, StepWords, time};
use super::{Done, Faces, behind, blocking, reading};

/// Bytes of a goal, or of what a person says, at most.
pub(crate) const MAX_GOAL: usize = 100_000;
/// Texts that come with a goal at most.
const MAX_TEXTS: usize = 100;

/// What a new brain is to do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBrainWords {
    /// What is to be reached, in a person's words: 1 to 100,000 bytes. They are trusted, so put nothing of others here.
    goal: String,
    /// The model; the tenant's own where none is named.
    model: Option<String>,
    /// The tools that it may have; all where none are named.
    tools: Option<Vec<String>>,
    /// Whether every action with an effect is asked about.
    #[serde(default)]
    ask_always: bool,
    /// Actions at most.
    max_steps: Option<u64>,
    /// Tokens at most, sent and received.
    max_tokens: Option<u64>,
    /// Money at most, in millionths of a US dollar.
    max_cost_microusd: Option<u64>,
    /// Texts whose words count as the person's own.
    #[serde(default)]
    trusted: Vec<TextWords>,
    /// Texts of others that come with the goal: content, whatever they say.
    #[serde(default)]
    attached: Vec<TextWords>,
    /// What the goal needs, where a person says so; otherwise it is drawn up from the goal's words.
    warrant: Option<Vec<EffectWords>>,
    /// Shares that this tenant has accepted, which it may read: 16 at most.
    #[serde(default)]
    shares: Vec<String>,
    /// Whether it begins at once, or rests until it is woken.
    #[serde(default = "yes")]
    start: bool,
}

/// A text that comes with a goal.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TextWords {
    /// What it is called.
    name: String,
    /// The text.
    text: String,
}

/// An effect that a goal needs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EffectWords {
    /// The tool.
    tool: String,
    /// Whom or what it may be aimed at.
    #[serde(default)]
    targets: Vec<String>,
    /// Whether the goal describes a target without naming it.
    #[serde(default)]
    described: bool,
}

const fn yes() -> bool {
    true
}

impl NewBrainWords {
    /// The brain that is meant; the limits of the machine hold for what is said here too.
    fn brain(self, ask: &Ask, usual: &Limits, model: Option<&str>, id: Option<BrainId>) -> Result<NewBrain, Problem> {
        check_words("goal", &self.goal)?;
        if self.trusted.len() + self.attached.len() > MAX_TEXTS {
            return Err(Problem::bad(format!("no more than {MAX_TEXTS} texts come with a goal")));
        }
        if let Some(named) = self.model.as_deref().filter(|named| model != Some(named)) {
            is_name_alone(named)?;
        }
        let model = self.model.as_deref().or(model);
        let model =
            model.ok_or_else(|| Problem::bad("no model is named, and the tenant has none of its own: name one"))?;
        if !ask.bearer.allows_model(model) {
            return Err(Problem::bad(format!("the model {model:?} is none of this token's")));
        }
        let within = |name: &str, asked: Option<u64>, most: u64| match asked {
            Some(asked) if asked > most => Err(Problem::bad(format!("{name} is {asked}: {most} at most here"))),
            asked => Ok(asked.unwrap_or(most)),
        };
        let limits = Limits {
            max_steps: within("max_steps", self.max_steps, usual.max_steps)?,
            max_tokens: within("max_tokens", self.max_tokens, usual.max_tokens)?,
            max_cost: MicroUsd(within("max_cost_microusd", self.max_cost_microusd, usual.max_cost.0)?),
            ..*usual
        };
        let texts = |texts: Vec<TextWords>| {
            texts.into_iter().map(|TextWords { name, text }| Attached { name, text }).collect::<Vec<_>>()
        };
        let effect = |EffectWords { tool, targets, described }: EffectWords| Warranted {
            tool,
            targets,
            described,
            because: String::new(),
        };
        let warrant = self
            .warrant
            .map(|effects| Warrant { by: DrawnBy::Person, effects: effects.into_iter().map(effect).collect() });
        let shares = self.shares.iter().map(|id| ShareId::parse(id)).collect::<Result<Vec<_>, _>>();
        Ok(NewBrain {
            id,
            text: self.goal,
            model: model.to_owned(),
            tools: self.tools,
            ask: if self.ask_always { AskMode::Always } else { AskMode::Default },
            limits,
            trusted: texts(self.trusted),
            attached: texts(self.attached),
            warrant,
            shares: shares.map_err(|error| Problem::bad(error.to_string()))?,
            token: Some(ask.bearer.token.id.clone()),
            begin: if self.start { Begin::Awake } else { Begin::AtRest },
        })
    }
}

/// A caller names a model of this server's. An address would have this machine connect wherever the caller likes, with what
/// stands there told to them, and a file would have it read: both are for whoever runs the server to name, in its settings or
/// in the tenant's terms.
fn is_name_alone(model: &str) -> Result<(), Problem> {
    match ModelRef::parse(model).map_err(|error| Problem::bad(error.to_string()))? {
        ModelRef::Named { base_url: None, .. } | ModelRef::Gullible => Ok(()),
        ModelRef::Named { .. } | ModelRef::Replay { .. } => {
            Err(Problem::bad("a model is named here as NAME or PROVIDER/NAME, without an address and without a file"))
        }
    }
}

pub(crate) fn check_words(name: &str, words: &str) -> Result<(), Problem> {
    if words.trim().is_empty() || words.len() > MAX_GOAL {
        return Err(Problem::bad(format!("{name} has 1 to {MAX_GOAL} bytes")));
    }
    Ok(())
}

/// A brain in words, and what it is at.
pub(crate) fn words(resident: &Resident, brain: &BrainId) -> Result<BrainWords, Problem> {
    let at = || {
        if resident.questions().iter().any(|question| question.brain == *brain) {
            Now::Asking
        } else if resident.is_awake(brain) {
            Now::Awake
        } else if resident.is_waiting(brain) {
            Now::Waiting
        } else {
            Now::AtRest
        }
    };
    let before = at();
    let view = resident.view(brain)?;
    // One that ended after its journal was read, or was woken before that, is not one that was interrupted.
    let now = if before == Now::AtRest { at() } else { before };
    Ok(BrainWords::of(&view, now, resident.trouble(brain)))
}

/// The brain that an idempotency key stands for: the same for the same key of the same tenant, also after a restart.
fn id_of_key(ask: &Ask, key: &str) -> Option<BrainId> {
    let tenant = ask.bearer.access.tenant().as_str().as_bytes();
    let digest = Digest::of_parts(&[b"autoshare/idempotent-brain/1", tenant, key.as_bytes()]);
    digest.as_bytes().first_chunk().map(|bits| BrainId::from_random(*bits))
}

pub(crate) async fn create(faces: Arc<Faces>, ask: Ask) -> Answered {
    let asked: NewBrainWords = ask.json()?;
    let resident = faces.resident(&ask).await?;
    let key = ask.headers.get(super::once::HEADER).and_then(|key| key.to_str().ok());
    let id = key.and_then(|key| id_of_key(&ask, key));
    let usual = resident.record().terms.model.clone().or_else(|| faces.model.clone());
    let new = asked.brain(&ask, &faces.limits, usual.as_deref(), id)?;
    let begin = new.begin;
    let brain = behind(&resident, move |resident| Ok(resident.admit(new)?)).await?;
    faces.note(&resident, ask.entry(Act::BrainAdmitted, "").of_brain(&brain)).await?;
    if begin == Begin::Awake {
        faces.telemetry.is_asked_by(ask.bearer.access.tenant(), &brain, &ask.headers);
        resident.wake(&brain)?;
    }
    let shown = brain.clone();
    let words = blocking(move || words(&resident, &shown)).await?;
    Ok(Done::created(format!("/api/v1/brains/{brain}"), &words))
}

pub(crate) async fn list(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (limit, resident) = (ask.limit()?, faces.resident(&ask).await?);
    let before = ask.parsed::<BrainId>("cursor", "what `next` of the page before says")?;
    let page = reading(&faces, &ask.bearer, move || {
        // One more, to know whether there are more.
        let rows = resident.brains(before.as_ref(), limit + 1)?;
        let next = rows.get(limit).and(rows.get(limit - 1)).map(|row| row.id.to_string());
        let items = rows.iter().take(limit).map(|row| words(&resident, &row.id)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    });
    Ok(Done::json(&page.await?))
}

pub(crate) async fn show(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, resident) = (ask.brain()?, faces.resident(&ask).await?);
    Ok(Done::json(&reading(&faces, &ask.bearer, move || words(&resident, &brain)).await?))
}

/// What a person says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SayWords {
    /// The words: 1 to 100,000 bytes. They count as the person's own.
    words: String,
}

pub(crate) async fn say(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, said) = (ask.brain()?, ask.json::<SayWords>()?);
    check_words("words", &said.words)?;
    let resident = faces.resident(&ask).await?;
    exists(&faces, &ask, &resident, &brain).await?;
    resident.say(&brain, &said.words).await?;
    Ok(Done::status(StatusCode::NO_CONTENT))
}

/// How soon.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StopWords {
    /// At once; otherwise after the step that is under way.
    now: bool,
}

pub(crate) async fn stop(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, asked) = (ask.brain()?, ask.json_or_default::<StopWords>()?);
    let resident = faces.resident(&ask).await?;
    exists(&faces, &ask, &resident, &brain).await?;
    let how = if asked.now { Stop::Now } else { Stop::AfterStep };
    faces.note(&resident, ask.entry(Act::BrainStopped, "").of_brain(&brain)).await?;
    blocking(move || Ok(resident.stop(&brain, how)?)).await?;
    Ok(Done::status(StatusCode::NO_CONTENT))
}

pub(crate) async fn wake(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, resident) = (ask.brain()?, faces.resident(&ask).await?);
    let found = exists(&faces, &ask, &resident, &brain).await?;
    if found.state.is_end() {
        return Err(Problem::conflict("the brain has ended: begin anew with another"));
    }
    faces.note(&resident, ask.entry(Act::BrainResumed, "").of_brain(&brain)).await?;
    faces.telemetry.is_asked_by(ask.bearer.access.tenant(), &brain, &ask.headers);
    resident.wake(&brain)?;
    Ok(Done::status(StatusCode::ACCEPTED))
}

async fn exists(faces: &Faces, ask: &Ask, resident: &Arc<Resident>, brain: &BrainId) -> Result<BrainWords, Problem> {
    let (resident, brain) = (Arc::clone(resident), brain.clone());
    reading(faces, &ask.bearer, move || words(&resident, &brain)).await
}

pub(crate) async fn steps(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, limit, resident) = (ask.brain()?, ask.limit()?, faces.resident(&ask).await?);
    let after = ask.parsed::<u64>("cursor", "what `next` of the page before says")?.unwrap_or(0);
    let page = reading(&faces, &ask.bearer, move || {
        let steps = resident.view(&brain)?.steps;
        let mut rest = steps.iter().filter(|step| step.step.0 > after);
        let items: Vec<StepWords> = rest.by_ref().take(limit).map(StepWords::from).collect();
        let next = rest.next().and(items.last()).map(|step| step.step.to_string());
        Ok(Page { items, next })
    });
    Ok(Done::json(&page.await?))
}

pub(crate) async fn step(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, step, resident) = (ask.brain()?, StepNo(ask.number("step")?), faces.resident(&ask).await?);
    let found = reading(&faces, &ask.bearer, move || {
        let view = resident.view(&brain)?;
        let found = view.steps.iter().find(|one| one.step == step);
        found.map(StepWords::from).ok_or_else(Problem::nothing)
    });
    Ok(Done::json(&found.await?))
}

pub(crate) async fn events(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, limit, resident) = (ask.brain()?, ask.limit()?, faces.resident(&ask).await?);
    let after = ask.parsed::<u64>("cursor", "the number of the last event that is known")?.unwrap_or(0);
    let page = reading(&faces, &ask.bearer, move || {
        words(&resident, &brain)?;
        let mut records = resident.records(&brain, Seq(after).next())?;
        let is_more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| is_more).map(|record| record.seq.to_string());
        let event = |record: autoshare_host::resident::Record| json!({"seq": record.seq, "at": time(record.at_ms), "kind": record.kind.name(), "event": record.event});
        Ok(Page { items: records.into_iter().map(event).collect(), next })
    });
    Ok(Done::json(&page.await?))
}

/// What a person answers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerWords {
    /// The answer.
    answer: AnswerWord,
    /// Words for the brain; they make it a no, and count as the person's own.
    words: Option<String>,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum AnswerWord {
    /// This once.
    Yes,
    /// No.
    No,
    /// Always for this tool and target in this brain.
    Always,
    /// For the rest of this brain's life, at the addresses that the question lists.
    Run,
}

pub(crate) async fn answer(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, digest, asked) = (ask.brain()?, ask.digest()?, ask.json::<AnswerWords>()?);
    let answer = match (asked.answer, asked.words) {
        (AnswerWord::No, Some(text)) => {
            check_words("words", &text)?;
            Answer::Feedback { text }
        }
        (_, Some(_)) => return Err(Problem::bad("words go with the answer no alone")),
        (AnswerWord::Yes, None) => Answer::Yes,
        (AnswerWord::No, None) => Answer::No,
        (AnswerWord::Always, None) => Answer::Always,
        (AnswerWord::Run, None) => Answer::Run,
    };
    let resident = faces.resident(&ask).await?;
    exists(&faces, &ask, &resident, &brain).await?;
    resident.answer(&brain, &digest, answer, ask.who())?;
    Ok(Done::status(StatusCode::NO_CONTENT))
}

pub(crate) async fn questions(faces: Arc<Faces>, ask: Ask) -> Answered {
    let resident = faces.resident(&ask).await?;
    let brain = ask.parsed::<BrainId>("brain", "a brain's id")?;
    let mut items: Vec<QuestionWords> = resident.questions().into_iter().map(QuestionWords::from).collect();
    items.retain(|question| brain.as_ref().is_none_or(|brain| question.brain == brain.as_str()));
    items.sort_by(|a, b| a.brain.cmp(&b.brain));
    Ok(Done::json(&Page { items, next: None }))
}
