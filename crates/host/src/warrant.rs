//! The warrant of a goal: drawn up before anything untrusted is read.

use std::sync::Arc;

use autoshare_core::chat::{Message, Request};
use autoshare_core::event::{Event, Goal};
use autoshare_core::tool::{Role, ToolSpec};
use autoshare_core::verdict::Provenance;
use autoshare_core::warrant::{DrawnBy, Warrant, Warranted};
use autoshare_gate::{History, draft, matters, own_words};
use autoshare_store::Durability;
use serde::Deserialize;

use crate::HostError;
use crate::drive::Driver;
use crate::switchboard::Stop;

/// What its exchange with the model is called in the journal.
const PATH: &str = "warrant";
/// Tokens of a model's draft at most.
const MAX_OUTPUT: u64 = 2_000;
/// Effects of a warrant at most.
const MAX_EFFECTS: usize = 100;

/// How a goal's warrant is drawn up where a person gave none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Drawing {
    /// By the model, asked in a context that has read nothing; by the fixed rules where that fails, or where the model is a
    /// stand-in.
    #[default]
    Model,
    /// By the fixed rules.
    Draft,
}

/// Whether any of these tools does what a warrant is about.
#[must_use]
pub fn is_needed(tools: &[ToolSpec]) -> bool {
    tools.iter().any(|tool| matters(tool.effect))
}

impl Driver<'_> {
    /// Draws the warrant up and journals it. A stop that is asked for meanwhile leaves the brain without one: it is drawn up
    /// when the brain goes on.
    pub(crate) async fn draw_warrant(&mut self) -> Result<(), HostError> {
        let goal = self.goal.clone();
        let asks = self.host.settings.warrant == Drawing::Model && is_needed(&goal.tools) && !self.model.is_stand_in();
        let drawn = if asks { self.ask_for_warrant(&goal).await? } else { None };
        if asks && drawn.is_none() && self.host.switchboard().stop_of(&self.id) >= Stop::AfterStep {
            return Ok(());
        }
        let warrant = drawn.unwrap_or_else(|| draft(&goal.text, &goal.tools));
        self.record(vec![Event::Warrant(warrant)], Durability::Synced).await
    }

    async fn ask_for_warrant(&mut self, goal: &Goal) -> Result<Option<Warrant>, HostError> {
        let model = Arc::clone(&self.model);
        let answer = self.ask_aside(&model, &request(goal), PATH, None).await?;
        Ok(answer.ok().and_then(|text| read(&text, goal)))
    }
}

/// What the model is asked: trusted words alone, and of each tool its name and the names of its parameters.
fn request(goal: &Goal) -> Request {
    let (own, _) = own_words(&goal.text);
    let tools: Vec<String> = goal
        .tools
        .iter()
        .filter(|tool| matters(tool.effect))
        .map(|tool| {
            let params: Vec<&str> = tool.params.iter().map(|param| param.name.as_str()).collect();
            format!("{}({})", tool.name, params.join(", "))
        })
        .collect();
    let system = "You draw up a warrant: which of these tools a user's goal needs, and at whom or what each may be aimed. \
                  Reply with one JSON object and nothing else: {\"effects\": [{\"tool\": NAME, \"targets\": [TEXT, ...], \
                  \"described\": BOOL}]}. A target is a text that stands in the goal to the letter. \"described\" is true \
                  only where the goal describes a target without naming it. Leave out every tool that the goal does not need.";
    let user = format!("Tools:\n{}\n\nThe user's goal:\n{own}", tools.join("\n"));
    Request {
        messages: vec![Message::System { text: system.to_owned() }, Message::User { text: user }],
        tools: Vec::new(),
        max_output: MAX_OUTPUT.min(goal.limits.max_output),
    }
}

#[derive(Deserialize)]
struct Said {
    effects: Vec<SaidEffect>,
}

#[derive(Deserialize)]
struct SaidEffect {
    tool: String,
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    described: bool,
}

/// A model's draft, held against the tools and the goal: it names tools that there are, and targets that the goal names.
fn read(text: &str, goal: &Goal) -> Option<Warrant> {
    let object = text.get(text.find('{')?..=text.rfind('}')?)?;
    let said: Said = serde_json::from_str(object).ok()?;
    let (own, _) = own_words(&goal.text);
    let mut history = History::new();
    history.trust(&own);
    let stands = |target: &String| matches!(history.locate(target, Role::Target).provenance, Provenance::User);
    let effects = said
        .effects
        .into_iter()
        .take(MAX_EFFECTS)
        .filter(|effect| goal.tools.iter().any(|tool| tool.name == effect.tool && matters(tool.effect)));
    let effects = effects.map(|effect| Warranted {
        tool: effect.tool,
        targets: effect.targets.into_iter().filter(stands).collect(),
        described: effect.described,
        because: String::new(),
    });
    Some(Warrant { by: DrawnBy::Model, effects: effects.collect() })
}
