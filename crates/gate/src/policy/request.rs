//! Facts as Cedar sees them, and the two questions that are put to a policy.

use std::collections::{BTreeSet, HashMap, HashSet};

use autoshare_core::event::AskMode;
use autoshare_core::tool::Effect;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression, Schema,
};

use super::PolicyError;
use super::notation::{ASKS, CONTRACTS, EFFECTS, PLACES, STANDINGS, TRUSTS, name_of};
use crate::facts::{Contract, Facts, Standing, Trust, Values, Where};

/// What may be asked of a policy, in Cedar's terms.
pub(super) const SCHEMA: &str = include_str!("../../policies/schema.cedarschema");
/// A count that is shown to a policy is this at most.
const MOST: u64 = 1_000;

/// Everything that a policy sees of facts: it judges the same the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "they are facts, not states")]
pub(super) struct Seen {
    tool: String,
    server: Option<String>,
    contract: Contract,
    effect: Effect,
    reversible: bool,
    place: Where,
    instructions: bool,
    destroys: bool,
    runs_content: bool,
    ask: AskMode,
    tainted: bool,
    secret_read: bool,
    carries_secret: bool,
    warrant: Standing,
    targets: Stands,
    amounts: Stands,
    secrets: Stands,
    contents: Stands,
    queries: Stands,
    links: Stands,
    address: Stands,
    allowed_host: bool,
    fetched_from_source: u64,
}

/// A set of [`Trust`], one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Stands(u8);

impl Stands {
    fn of(values: &Values) -> Self {
        Self(values.trust.iter().fold(0, |bits, trust| bits | Self::bit(*trust)))
    }

    const fn bit(trust: Trust) -> u8 {
        1 << (trust as u8)
    }

    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        TRUSTS.iter().filter(move |(_, trust)| self.0 & Self::bit(*trust) != 0).map(|(name, _)| *name)
    }
}

impl Seen {
    pub(super) fn of(facts: &Facts) -> Self {
        Self {
            tool: facts.tool.clone(),
            server: facts.server.clone(),
            contract: facts.contract,
            effect: facts.effect,
            reversible: facts.reversible,
            place: facts.place,
            instructions: facts.instructions,
            destroys: facts.destroys.is_some(),
            runs_content: facts.runs_from.is_some(),
            ask: facts.ask,
            tainted: facts.tainted,
            secret_read: facts.secret_read.is_some(),
            carries_secret: facts.carries_secret.is_some(),
            warrant: facts.warrant,
            targets: Stands::of(&facts.targets),
            amounts: Stands::of(&facts.amounts),
            secrets: Stands::of(&facts.secrets),
            contents: Stands::of(&facts.contents),
            queries: Stands::of(&facts.queries),
            links: Stands::of(&facts.links),
            address: Stands::of(&facts.address),
            allowed_host: facts.allowed_host,
            fetched_from_source: facts.fetched_from_source.min(MOST),
        }
    }

    /// All values of the action.
    const fn values(&self) -> Stands {
        self.targets
            .with(self.amounts)
            .with(self.secrets)
            .with(self.contents)
            .with(self.queries)
            .with(self.links)
            .with(self.address)
    }
}

/// The ids of the rules that gave an answer: those that permit, or those that forbid.
type Answer = Result<BTreeSet<String>, BTreeSet<String>>;

/// The answers to both questions.
pub(super) struct Answers {
    /// May it be done?
    pub(super) act: Answer,
    /// May it be done without a person?
    pub(super) act_unasked: Answer,
}

/// Puts the questions for one brain.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) set: PolicySet,
    pub(super) schema: Schema,
    names: Names,
    /// The brain and its tenant.
    who: [EntityUid; 2],
}

/// The names of the schema.
#[derive(Debug, Clone)]
struct Names {
    brain: EntityTypeName,
    tenant: EntityTypeName,
    tool: EntityTypeName,
    server: EntityTypeName,
    effect: EntityTypeName,
    contract: EntityTypeName,
    place: EntityTypeName,
    ask: EntityTypeName,
    warrant: EntityTypeName,
    trust: EntityTypeName,
    action: EntityTypeName,
}

impl Names {
    fn new() -> Result<Self, PolicyError> {
        let name = |text: &str| text.parse().map_err(|why| PolicyError::Schema(format!("{text}: {why}")));
        Ok(Self {
            brain: name("Brain")?,
            tenant: name("Tenant")?,
            tool: name("Tool")?,
            server: name("Server")?,
            effect: name("Effect")?,
            contract: name("Contract")?,
            place: name("Place")?,
            ask: name("Ask")?,
            warrant: name("Warrant")?,
            trust: name("Trust")?,
            action: name("Action")?,
        })
    }
}

fn entity(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn word(kind: &EntityTypeName, id: &str) -> RestrictedExpression {
    RestrictedExpression::new_entity_uid(entity(kind, id))
}

impl Asker {
    /// With no rule at all, for no brain in particular.
    pub(super) fn new() -> Result<Self, PolicyError> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|why| PolicyError::Schema(why.to_string()))?;
        let names = Names::new()?;
        let who = [entity(&names.brain, ""), entity(&names.tenant, "")];
        Ok(Self { set: PolicySet::new(), schema, names, who })
    }

    pub(super) fn with_rules(&self, set: PolicySet) -> Self {
        Self { set, ..self.clone() }
    }

    pub(super) fn for_brain(&self, tenant: &str, brain: &str) -> Self {
        Self { who: [entity(&self.names.brain, brain), entity(&self.names.tenant, tenant)], ..self.clone() }
    }

    /// The answers; an error says which rule could not be evaluated, or what kept it from being asked.
    pub(super) fn ask(&self, seen: &Seen) -> Result<Answers, String> {
        let entities = self.entities(seen)?;
        let context = self.context(seen)?;
        // Both questions are about the same, so that it is compared with the schema once.
        let act = self.answer("act", seen, context.clone(), &entities, Some(&self.schema))?;
        Ok(Answers { act, act_unasked: self.answer("act_unasked", seen, context, &entities, None)? })
    }

    fn answer(
        &self,
        action: &str,
        seen: &Seen,
        context: Context,
        entities: &Entities,
        schema: Option<&Schema>,
    ) -> Result<Answer, String> {
        let [brain, _] = self.who.clone();
        let tool = entity(&self.names.tool, &seen.tool);
        let request = Request::new(brain, entity(&self.names.action, action), tool, context, schema)
            .map_err(|why| why.to_string())?;
        let response = Authorizer::new().is_authorized(&request, &self.set, entities);
        let errors: Vec<String> = response.diagnostics().errors().map(ToString::to_string).collect();
        if !errors.is_empty() {
            return Err(errors.join("; "));
        }
        let ids = response.diagnostics().reason().map(ToString::to_string).collect();
        Ok(if response.decision() == Decision::Allow { Ok(ids) } else { Err(ids) })
    }

    fn entities(&self, seen: &Seen) -> Result<Entities, String> {
        let names = &self.names;
        let [brain, tenant] = self.who.clone();
        let server = seen.server.as_ref().map(|name| entity(&names.server, name));
        let attributes = HashMap::from([
            ("effect".to_owned(), word(&names.effect, name_of(EFFECTS, seen.effect))),
            ("reversible".to_owned(), RestrictedExpression::new_bool(seen.reversible)),
            ("served".to_owned(), RestrictedExpression::new_bool(server.is_some())),
            ("contract".to_owned(), word(&names.contract, name_of(CONTRACTS, seen.contract))),
        ]);
        let parents: HashSet<EntityUid> = server.iter().cloned().collect();
        let tool = Entity::new(entity(&names.tool, &seen.tool), attributes, parents).map_err(|why| why.to_string())?;
        let mut all = vec![
            tool,
            Entity::new_no_attrs(brain, HashSet::from([tenant.clone()])),
            Entity::new_no_attrs(tenant, HashSet::new()),
        ];
        all.extend(server.map(|server| Entity::new_no_attrs(server, HashSet::new())));
        Entities::from_entities(all, Some(&self.schema)).map_err(|why| why.to_string())
    }

    fn context(&self, seen: &Seen) -> Result<Context, String> {
        let names = &self.names;
        let flag = RestrictedExpression::new_bool;
        let set = |stands: Stands| RestrictedExpression::new_set(stands.names().map(|trust| word(&names.trust, trust)));
        let fetched = i64::try_from(seen.fetched_from_source).unwrap_or(i64::MAX);
        let pairs = [
            ("place", word(&names.place, name_of(PLACES, seen.place))),
            ("instructions", flag(seen.instructions)),
            ("destroys", flag(seen.destroys)),
            ("runs_content", flag(seen.runs_content)),
            ("ask", word(&names.ask, name_of(ASKS, seen.ask))),
            ("tainted", flag(seen.tainted)),
            ("secret_read", flag(seen.secret_read)),
            ("carries_secret", flag(seen.carries_secret)),
            ("warrant", word(&names.warrant, name_of(STANDINGS, seen.warrant))),
            ("targets", set(seen.targets)),
            ("amounts", set(seen.amounts)),
            ("secrets", set(seen.secrets)),
            ("contents", set(seen.contents)),
            ("queries", set(seen.queries)),
            ("links", set(seen.links)),
            ("address", set(seen.address)),
            ("values", set(seen.values())),
            ("allowed_host", flag(seen.allowed_host)),
            ("fetched_from_source", RestrictedExpression::new_long(fetched)),
        ];
        Context::from_pairs(pairs.map(|(name, value)| (name.to_owned(), value))).map_err(|why| why.to_string())
    }
}
