//! What the policy is told of a case: everything that a rule may look at, lists reduced to sets and counts.

use std::collections::BTreeSet;

use autoshare_core::event::AskMode;
use autoshare_core::place::Place;
use autoshare_core::special::Protected;
use autoshare_core::tool::{Effect, Role, WrittenBy};
use autoshare_core::verdict::Provenance;

use crate::leaves::{Leaf, Link, links_in, trust};
use crate::place::Site;
use crate::{Case, rules, warrant};

/// Characters of a value that a reason shows at most.
const SHOWN: usize = 120;

/// What the values of one role come from, as a policy names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// They stand in the words of the user or of the operator.
    Trusted,
    /// They are identifiers that a tool issued, and no text speaks of them.
    Issued,
    /// The model made them, before it read anything untrusted.
    Model,
    /// The model made them after it had read something untrusted.
    Tainted,
    /// They stand in what somebody else wrote.
    Content,
}

impl Trust {
    /// Its name in a policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Issued => "issued",
            Self::Model => "model",
            Self::Tainted => "tainted",
            Self::Content => "content",
        }
    }
}

/// Where the values of one role come from: the set of what occurs, and those values in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values {
    /// What occurs. Empty where the action has no such value.
    pub trust: BTreeSet<Trust>,
    /// The least trusted of them, in words for a person, such as `"x@y.z" (from file:a.md, which you did not write)`.
    pub words: String,
}

/// Where the place that an action names lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Where {
    /// It names none.
    Nowhere,
    /// In what was opened to the brain.
    Inside,
    /// Outside all of it.
    Outside,
}

/// How an action stands to the goal's warrant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// No warrant was drawn up.
    NotDrawn,
    /// The goal does not need this effect.
    Outside,
    /// The goal needs this effect, but not with these targets.
    OtherTargets,
    /// The goal needs it.
    Inside,
}

/// Who wrote the contract that an action is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contract {
    /// AutoSHARE brings it.
    Builtin,
    /// It was derived from names and schema.
    Derived,
    /// The operator.
    Operator,
}

/// Everything that a policy may look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The tool, as the model names it.
    pub tool: String,
    /// The server whose tool it is; `None` is a built-in one.
    pub server: Option<String>,
    /// Whose contract it is judged by.
    pub contract: Contract,
    /// What it does to the world.
    pub effect: Effect,
    /// Whether another call takes it back.
    pub reversible: bool,
    /// Where its place lies.
    pub place: Where,
    /// That place, for people.
    pub place_words: String,
    /// Whether it writes what agents and editors take instructions from.
    pub instructions: bool,
    /// Why it destroys a file that others made, if it does.
    pub destroys: Option<String>,
    /// The source in which the command that it would run stands word for word, if one does.
    pub runs_from: Option<String>,
    /// When a person is asked.
    pub ask: AskMode,
    /// Whether anything untrusted was read.
    pub tainted: bool,
    /// The source of something secret that was read or could be, if there is one.
    pub secret_read: Option<String>,
    /// Which value of it is secret or holds a secret, in words, if one does.
    pub carries_secret: Option<String>,
    /// How it stands to the warrant.
    pub warrant: Standing,
    /// Values of the role target.
    pub targets: Values,
    /// Values of the role amount.
    pub amounts: Values,
    /// Values of the role secret.
    pub secrets: Values,
    /// Values of the role content.
    pub contents: Values,
    /// Values of the role query.
    pub queries: Values,
    /// Addresses (links, mail addresses) inside its content and free options, and those with a way in them inside its queries.
    pub links: Values,
    /// The address that it would fetch.
    pub address: Values,
    /// Whether the host of that address is on the operator's list, or stands in trusted words.
    pub allowed_host: bool,
    /// Addresses that were fetched already and stood in the same source and in no trusted words.
    pub fetched_from_source: u64,
}

impl Facts {
    /// Whether it leaves the machine and the goal does not need it, or not so.
    #[must_use]
    pub const fn is_outside_warrant(&self) -> bool {
        matches!(self.effect, Effect::External | Effect::Destructive)
            && matches!(self.warrant, Standing::Outside | Standing::OtherTargets)
    }
}

/// What there is to know of a case.
pub(crate) fn gather(case: &Case<'_>, leaves: &[Leaf], site: Option<&Site>) -> Facts {
    let spec = case.spec;
    let of = |role: Role| values(leaves.iter().filter(move |leaf| leaf.role == role));
    let targets: Vec<&Leaf> = leaves.iter().filter(|leaf| leaf.role == Role::Target).collect();
    let links: Vec<Link<'_>> = leaves.iter().filter(|leaf| says(leaf)).flat_map(|leaf| links_in(case, leaf)).collect();
    let is_fetch = spec.effect == Effect::Fetch;
    let address = if is_fetch { of(Role::Target) } else { Values::default() };
    let source = targets.iter().find_map(|leaf| match &leaf.provenance {
        Provenance::Content { source } if is_fetch => Some(source.as_str()),
        _ => None,
    });
    Facts {
        tool: spec.name.clone(),
        server: spec.served.as_ref().map(|served| served.server.clone()),
        contract: match &spec.served {
            None => Contract::Builtin,
            Some(served) if served.contract == WrittenBy::Operator => Contract::Operator,
            Some(_) => Contract::Derived,
        },
        effect: spec.effect,
        reversible: spec.reversible,
        place: site.map_or(Where::Nowhere, |site| if site.is_outside() { Where::Outside } else { Where::Inside }),
        place_words: site.map(place_words).unwrap_or_default(),
        instructions: site.is_some_and(|site| rules::writes(case) && site.special == Some(Protected::Instructions)),
        destroys: rules::destroys(case, site),
        runs_from: rules::runs_from(case),
        ask: case.ask,
        tainted: case.history.is_tainted(),
        secret_read: case.history.secret_read().map(str::to_owned),
        carries_secret: leaves.iter().find(|leaf| leaf.secret).map(|leaf| leaf.path.clone()),
        warrant: warrant::standing(case.warrant, &spec.name, &targets),
        targets: of(Role::Target),
        amounts: of(Role::Amount),
        secrets: of(Role::Secret),
        contents: of(Role::Content),
        queries: values(leaves.iter().filter(|leaf| asks(leaf))),
        links: link_values(&links),
        allowed_host: is_fetch && !targets.is_empty() && targets.iter().all(|leaf| is_allowed(case, leaf)),
        address,
        fetched_from_source: source.map_or(0, |source| case.history.fetched_from(source)),
    }
}

/// Whether it asks for something. What may say anything is as good as a question, whatever it is called.
const fn asks(leaf: &Leaf) -> bool {
    matches!(leaf.role, Role::Query) || (matches!(leaf.role, Role::Option) && leaf.is_free)
}

/// Whether it says something to whom the action reaches, in which an address may stand.
const fn says(leaf: &Leaf) -> bool {
    matches!(leaf.role, Role::Content) || asks(leaf)
}

/// Whether the host of an address is one that the operator allows; or one that trusted words name, where the rest of the
/// address comes from nobody else: made after something untrusted was read it could carry that, and of several that others
/// wrote the model's choice could.
fn is_allowed(case: &Case<'_>, leaf: &Leaf) -> bool {
    let Some(host) = crate::provenance::host(&leaf.text) else { return false };
    let listed = |allowed: &String| {
        let bare = allowed.strip_prefix("*.").map(|end| host.strip_suffix(end).is_some_and(|head| head.ends_with('.')));
        bare.unwrap_or(*allowed == host)
    };
    let is_said =
        || matches!(case.history.locate_address(&host).provenance, Provenance::User | Provenance::Operator { .. });
    case.allowed_hosts.iter().any(listed) || (leaf.trust() <= Trust::Model && is_said())
}

fn place_words(site: &Site) -> String {
    match site.place {
        Place::Inside { .. } => rules::shown(&site.named),
        Place::Outside { .. } | Place::Nowhere { .. } => rules::shown(&site.absolute),
    }
}

fn values<'l>(leaves: impl Iterator<Item = &'l Leaf>) -> Values {
    let mut all = Values::default();
    let mut worst: Option<&Leaf> = None;
    for leaf in leaves {
        all.trust.insert(leaf.trust());
        if worst.is_none_or(|worst| worst.trust() < leaf.trust()) {
            worst = Some(leaf);
        }
    }
    all.words = worst.map(|leaf| described(&leaf.text, &leaf.provenance)).unwrap_or_default();
    all
}

fn link_values(links: &[Link<'_>]) -> Values {
    let trusts = links.iter().map(|link| trust(&link.provenance)).collect();
    let worst = links.iter().max_by_key(|link| trust(&link.provenance));
    let words = worst.map(|link| described(link.text, &link.provenance)).unwrap_or_default();
    Values { trust: trusts, words }
}

/// A value and where it stands, in words for a person, with nothing in them that a terminal would obey.
fn described(text: &str, provenance: &Provenance) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    let more = if short.len() < text.len() { "..." } else { "" };
    let from = match provenance {
        Provenance::Operator { source } => format!("from {source:?}, which the operator vouches for"),
        Provenance::User => "in your own words".to_owned(),
        Provenance::Issued { tool, field } => format!("issued by {tool} as {field:?}"),
        Provenance::Model => "made by the model".to_owned(),
        Provenance::TaintedModel => "made by the model after it read what others wrote".to_owned(),
        Provenance::Content { source } => format!("from {source:?}, which you did not write"),
    };
    format!("{short:?}{more} ({from})")
}
