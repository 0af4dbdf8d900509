//! The Agent Protocol (agentprotocol.ai, version 1), `/ap/v1`: a task is a brain, a step is one turn of it.
//!
//! A brain that is made here rests between steps. Nobody is asked about its actions: what a person would be asked is denied, and
//! the model is told so. Programs that speak this protocol are met halfway where they differ: both spellings of the parameters
//! of a page, steps without a body (for tokens with that scope), and the fields that only some of them know.

mod form;
mod words;

use std::sync::Arc;

use autoshare_access::Scope;
use autoshare_core::audit::Act;
use autoshare_core::event::{AskMode, Attached};
use autoshare_core::{BrainId, TurnNo};
use autoshare_host::resident::{Artifact, Begin, BrainView, NewBrain, Phase, Resident};
use hyper::{Method, StatusCode};

use self::words::{ArtifactWords, Pagination, Step, StepRequest, Task, TaskRequest};
use crate::api::ask::Ask;
use crate::api::problem::Problem;
use crate::api::route::{Answered, Route, Takes};
use crate::api::{Done, Faces, behind, check_words, reading};

/// What the material that comes with a task is called.
const ADDITIONAL: &str = "additional_input";
/// What says yes to the next step, and nothing else, to programs that were made for AutoGPT.
const GO_ON: &str = "y";

pub(crate) fn routes() -> Vec<Route> {
    use words::{Artifacts, Steps, Tasks};
    const PAGE: &[(&str, &str)] = &[
        ("current_page", "the page, from 1; also as currentPage"),
        ("page_size", "items of a page: 1 to 100, 10; also as pageSize"),
        ("currentPage", "as current_page"),
        ("pageSize", "as page_size"),
    ];
    vec![
        Route::new(Method::POST, "/ap/v1/agent/tasks", "ap_create_task", create)
            .needs(Scope::Brains)
            .asks::<TaskRequest>()
            .gives::<Task>(200)
            .says("Agent Protocol: make a task"),
        Route::new(Method::GET, "/ap/v1/agent/tasks", "ap_list_tasks", list)
            .needs(Scope::Read)
            .query(PAGE)
            .gives::<Tasks>(200)
            .says("Agent Protocol: the tasks, newest first"),
        Route::new(Method::GET, "/ap/v1/agent/tasks/{brain}", "ap_show_task", show)
            .needs(Scope::Read)
            .gives::<Task>(200)
            .says("Agent Protocol: a task"),
        Route::new(Method::GET, "/ap/v1/agent/tasks/{brain}/steps", "ap_list_steps", steps)
            .needs(Scope::Read)
            .query(PAGE)
            .gives::<Steps>(200)
            .says("Agent Protocol: the steps of a task"),
        Route::new(Method::POST, "/ap/v1/agent/tasks/{brain}/steps", "ap_execute_step", execute)
            .needs(Scope::Brains)
            .asks::<StepRequest>()
            .gives::<Step>(200)
            .says("Agent Protocol: have the next step of a task done"),
        Route::new(Method::GET, "/ap/v1/agent/tasks/{brain}/steps/{step}", "ap_show_step", step)
            .needs(Scope::Read)
            .gives::<Step>(200)
            .says("Agent Protocol: a step"),
        Route::new(Method::GET, "/ap/v1/agent/tasks/{brain}/artifacts", "ap_list_artifacts", artifacts)
            .needs(Scope::Read)
            .query(PAGE)
            .gives::<Artifacts>(200)
            .says("Agent Protocol: the files of a task"),
        Route::new(Method::POST, "/ap/v1/agent/tasks/{brain}/artifacts", "ap_upload_artifact", upload)
            .needs(Scope::Brains)
            .takes(Takes::Form)
            .gives::<ArtifactWords>(200)
            .says("Agent Protocol: put a file into the workspace of a task"),
        Route::new(Method::GET, "/ap/v1/agent/tasks/{brain}/artifacts/{artifact}", "ap_download_artifact", download)
            .needs(Scope::Read)
            .gives_stream("application/octet-stream")
            .says("Agent Protocol: what a file holds"),
    ]
}

/// A page as it is asked for, by either spelling.
struct Paged {
    current: u64,
    size: u64,
}

impl Paged {
    fn of(ask: &Ask) -> Result<Self, Problem> {
        let number = |name| ask.parsed::<u64>(name, "a whole number from 1").map_err(in_protocol);
        let either = |ours, theirs| Ok::<_, Problem>(number(ours)?.or(number(theirs)?));
        let (current, size) = (either("current_page", "currentPage")?, either("page_size", "pageSize")?);
        let (current, size) = (current.unwrap_or(1), size.unwrap_or(10));
        if current == 0 || !(1..=100).contains(&size) {
            return Err(unprocessable("current_page begins at 1, and page_size is 1 to 100"));
        }
        Ok(Self { current, size })
    }

    /// The items of the page, and what is said of all.
    fn take<T>(&self, all: Vec<T>) -> (Vec<T>, Pagination) {
        let total = all.len() as u64;
        let skip = usize::try_from((self.current - 1).saturating_mul(self.size)).unwrap_or(usize::MAX);
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let pagination = Pagination {
            total_items: total,
            total_pages: total.div_ceil(self.size),
            current_page: self.current,
            page_size: self.size,
        };
        (all.into_iter().skip(skip).take(size).collect(), pagination)
    }
}

/// What the protocol calls a body that does not fit.
fn unprocessable(words: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", words)
}

fn in_protocol(problem: Problem) -> Problem {
    if problem.status == StatusCode::BAD_REQUEST {
        Problem { status: StatusCode::UNPROCESSABLE_ENTITY, ..problem }
    } else {
        problem
    }
}

async fn create(faces: Arc<Faces>, ask: Ask) -> Answered {
    let asked: TaskRequest = ask.json().map_err(in_protocol)?;
    let text = asked.input.unwrap_or_default();
    check_words("input", &text).map_err(in_protocol)?;
    let resident = faces.resident(&ask).await?;
    let model = resident.record().terms.model.clone().or_else(|| faces.model.clone());
    let model = model.ok_or_else(|| unprocessable("this tenant has no model of its own: its operator names one"))?;
    if !ask.bearer.allows_model(&model) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "beyond", "the tenant's model is none of this token's"));
    }
    let additional = asked.additional_input.filter(|value| !value.is_null());
    let attached = additional.map(|value| Attached { name: ADDITIONAL.to_owned(), text: value.to_string() });
    let new = NewBrain {
        id: None,
        text,
        model,
        tools: None,
        ask: AskMode::Default,
        limits: faces.limits,
        trusted: Vec::new(),
        attached: attached.into_iter().collect(),
        warrant: None,
        shares: Vec::new(),
        token: Some(ask.bearer.token.id.clone()),
        begin: Begin::AtRest,
    };
    let entry = ask.entry(Act::BrainAdmitted, "");
    let task = behind(&resident, move |resident| {
        let brain = resident.admit(new)?;
        resident.note(&entry.of_brain(&brain))?;
        task(resident, &brain)
    });
    Ok(Done::json(&task.await.map_err(in_protocol)?))
}

fn task(resident: &Resident, brain: &BrainId) -> Result<Task, Problem> {
    let view = resident.view(brain)?;
    let (artifacts, _) = resident.artifacts(brain)?;
    Ok(Task::of(&view, artifacts.into_iter().map(ArtifactWords::from).collect()))
}

async fn list(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (page, resident) = (Paged::of(&ask)?, faces.resident(&ask).await?);
    let found = reading(&faces, &ask.bearer, move || {
        let (brains, pagination) = page.take(resident.all_brains()?);
        let tasks = brains.iter().map(|brain| task(&resident, brain)).collect::<Result<_, _>>()?;
        Ok(words::Tasks { tasks, pagination })
    });
    Ok(Done::json(&found.await?))
}

async fn show(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, resident) = (ask.brain()?, faces.resident(&ask).await?);
    Ok(Done::json(&reading(&faces, &ask.bearer, move || task(&resident, &brain)).await?))
}

async fn steps(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, page, resident) = (ask.brain()?, Paged::of(&ask)?, faces.resident(&ask).await?);
    let found = reading(&faces, &ask.bearer, move || {
        let (view, artifacts) = (resident.view(&brain)?, resident.artifacts(&brain)?.0);
        let turns = view.turns.iter().map(|turn| turn.turn).collect();
        let (turns, pagination) = page.take(turns);
        let steps = turns.into_iter().filter_map(|turn| Step::of(&view, turn, &artifacts, None)).collect();
        Ok(words::Steps { steps, pagination })
    });
    Ok(Done::json(&found.await?))
}

async fn step(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, turn, resident) = (ask.brain()?, TurnNo(ask.number("step")?), faces.resident(&ask).await?);
    let found = reading(&faces, &ask.bearer, move || {
        let (view, artifacts) = (resident.view(&brain)?, resident.artifacts(&brain)?.0);
        Step::of(&view, turn, &artifacts, None).ok_or_else(Problem::nothing)
    });
    Ok(Done::json(&found.await?))
}

async fn execute(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, asked) = (ask.brain()?, ask.json_or_default::<StepRequest>().map_err(in_protocol)?);
    let resident = faces.resident(&ask).await?;
    let before = viewed(&faces, &ask, &resident, &brain).await?.0;
    if !matches!(before.phase, Phase::Finished(_)) {
        // The first step's words are the task's own, as many programs send them once more.
        let said = asked.input.as_deref().map(str::trim).filter(|said| !said.is_empty());
        if let Some(words) = said.filter(|said| *said != before.goal.trim() && !said.eq_ignore_ascii_case(GO_ON)) {
            check_words("input", words).map_err(in_protocol)?;
            resident.say(&brain, words).await?;
        }
        faces.telemetry.is_asked_by(ask.bearer.access.tenant(), &brain, &ask.headers);
        resident.turn(&brain).await?;
    }
    let (view, artifacts) = viewed(&faces, &ask, &resident, &brain).await?;
    let last = view.turns.last().map(|turn| turn.turn);
    let is_new = last != before.turns.last().map(|turn| turn.turn) || matches!(view.phase, Phase::Finished(_));
    let done = last.filter(|_| is_new).and_then(|turn| Step::of(&view, turn, &artifacts, asked.additional_input));
    done.map(|step| Done::json(&step)).ok_or_else(|| {
        let why = view.why.unwrap_or_else(|| "its model was not reached".to_owned());
        Problem::new(StatusCode::BAD_GATEWAY, "not_done", format!("the step was not done: {why}"))
    })
}

async fn viewed(
    faces: &Faces,
    ask: &Ask,
    resident: &Arc<Resident>,
    brain: &BrainId,
) -> Result<(BrainView, Vec<Artifact>), Problem> {
    let (resident, brain) = (Arc::clone(resident), brain.clone());
    reading(faces, &ask.bearer, move || Ok((resident.view(&brain)?, resident.artifacts(&brain)?.0))).await
}

async fn artifacts(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, page, resident) = (ask.brain()?, Paged::of(&ask)?, faces.resident(&ask).await?);
    let found = reading(&faces, &ask.bearer, move || {
        resident.view(&brain)?;
        let (artifacts, pagination) = page.take(resident.artifacts(&brain)?.0);
        Ok(words::Artifacts { artifacts: artifacts.into_iter().map(ArtifactWords::from).collect(), pagination })
    });
    Ok(Done::json(&found.await?))
}

async fn upload(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, resident) = (ask.brain()?, faces.resident(&ask).await?);
    let file = form::file(&ask).await?;
    viewed(&faces, &ask, &resident, &brain).await?;
    let artifact = resident.upload(&brain, &file.path, file.bytes).await.map_err(Problem::from).map_err(in_protocol)?;
    Ok(Done::json(&ArtifactWords::from(artifact)))
}

async fn download(faces: Arc<Faces>, ask: Ask) -> Answered {
    let (brain, resident) = (ask.brain()?, faces.resident(&ask).await?);
    let id = ask.text("artifact")?.to_owned();
    reading(&faces, &ask.bearer, move || crate::api::file(&resident, &brain, &id)).await
}
