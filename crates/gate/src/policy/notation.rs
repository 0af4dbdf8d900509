//! Facts in one line, for examples and for trying a policy out: `effect=external warrant=inside tainted targets=content`.

use std::collections::BTreeSet;

use autoshare_core::event::AskMode;
use autoshare_core::tool::Effect;

use crate::facts::{Contract, Facts, Standing, Trust, Values, Where};

/// The names of the values of one kind, as policies know them.
type Names<T> = &'static [(&'static str, T)];

pub(super) const EFFECTS: Names<Effect> = &[
    ("read", Effect::Read),
    ("write_inside", Effect::WriteInside),
    ("run_inside", Effect::RunInside),
    ("fetch", Effect::Fetch),
    ("external", Effect::External),
    ("destructive", Effect::Destructive),
];
pub(super) const CONTRACTS: Names<Contract> =
    &[("builtin", Contract::Builtin), ("derived", Contract::Derived), ("operator", Contract::Operator)];
pub(super) const PLACES: Names<Where> =
    &[("nowhere", Where::Nowhere), ("inside", Where::Inside), ("outside", Where::Outside)];
pub(super) const ASKS: Names<AskMode> =
    &[("default", AskMode::Default), ("always", AskMode::Always), ("yes", AskMode::Yes)];
pub(super) const STANDINGS: Names<Standing> = &[
    ("inside", Standing::Inside),
    ("other_targets", Standing::OtherTargets),
    ("outside", Standing::Outside),
    ("not_drawn", Standing::NotDrawn),
];
pub(super) const TRUSTS: Names<Trust> = &[
    (Trust::Trusted.name(), Trust::Trusted),
    (Trust::Issued.name(), Trust::Issued),
    (Trust::Model.name(), Trust::Model),
    (Trust::Tainted.name(), Trust::Tainted),
    (Trust::Content.name(), Trust::Content),
];

/// The name of a value. Each table holds every value of its kind.
pub(super) fn name_of<T: PartialEq + Copy>(names: Names<T>, value: T) -> &'static str {
    names.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

fn value_of<T: Copy>(names: Names<T>, key: &str, name: &str) -> Result<T, String> {
    names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = names.iter().map(|(known, _)| *known).collect();
        format!("{key}={name} is not known: use one of {}", known.join(", "))
    })
}

/// The facts of an action of which nothing is said.
fn least() -> Facts {
    Facts {
        tool: "tool".to_owned(),
        server: None,
        contract: Contract::Builtin,
        effect: Effect::Read,
        reversible: false,
        place: Where::Nowhere,
        place_words: String::new(),
        instructions: false,
        destroys: None,
        runs_from: None,
        ask: AskMode::Default,
        tainted: false,
        secret_read: None,
        carries_secret: None,
        warrant: Standing::NotDrawn,
        targets: Values::default(),
        amounts: Values::default(),
        secrets: Values::default(),
        contents: Values::default(),
        queries: Values::default(),
        links: Values::default(),
        address: Values::default(),
        allowed_host: false,
        fetched_from_source: 0,
    }
}

/// Reads facts from words such as `effect=external warrant=inside tainted targets=trusted,content`. What is not named is
/// the least that can be: a built-in tool `tool` that reads, no value, nothing read, no warrant.
///
/// # Errors
/// What is not understood, and what is.
pub fn facts(text: &str) -> Result<Facts, String> {
    match described(text)? {
        (None, facts) => Ok(facts),
        (Some(_), _) => Err("tenant and brain are no facts of an action: leave them out".to_owned()),
    }
}

/// The same, and who acts: tenant and brain, if either is named.
pub(super) fn described(text: &str) -> Result<(Option<(String, String)>, Facts), String> {
    let mut facts = least();
    let mut who: Option<(String, String)> = None;
    let mut named = BTreeSet::new();
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)));
        if !named.insert(key) {
            return Err(format!("{key} is named twice: name it once"));
        }
        match (key, value) {
            ("tenant" | "brain", None | Some("")) => return Err(format!("{key} needs a value: {key}=...")),
            ("tenant", Some(name)) => who.get_or_insert_with(Default::default).0 = name.to_owned(),
            ("brain", Some(id)) => who.get_or_insert_with(Default::default).1 = id.to_owned(),
            _ => set(&mut facts, key, value)?,
        }
    }
    Ok((who, facts))
}

fn set(facts: &mut Facts, key: &str, value: Option<&str>) -> Result<(), String> {
    let given = || value.filter(|value| !value.is_empty()).ok_or_else(|| format!("{key} needs a value: {key}=..."));
    let flag = || match value {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(format!("{key}={other}: name {key} alone, or say {key}=false")),
    };
    let example = || flag().map(|is_so| is_so.then(|| "an example".to_owned()));
    match key {
        "tool" => given()?.clone_into(&mut facts.tool),
        "server" => facts.server = Some(given()?.to_owned()),
        "contract" => facts.contract = value_of(CONTRACTS, key, given()?)?,
        "effect" => facts.effect = value_of(EFFECTS, key, given()?)?,
        "reversible" => facts.reversible = flag()?,
        "place" => facts.place = value_of(PLACES, key, given()?)?,
        "instructions" => facts.instructions = flag()?,
        "destroys" => facts.destroys = example()?,
        "runs_content" => facts.runs_from = example()?,
        "ask" => facts.ask = value_of(ASKS, key, given()?)?,
        "tainted" => facts.tainted = flag()?,
        "secret_read" => facts.secret_read = example()?,
        "carries_secret" => facts.carries_secret = example()?,
        "warrant" => facts.warrant = value_of(STANDINGS, key, given()?)?,
        "targets" => facts.targets = values(key, given()?)?,
        "amounts" => facts.amounts = values(key, given()?)?,
        "secrets" => facts.secrets = values(key, given()?)?,
        "contents" => facts.contents = values(key, given()?)?,
        "queries" => facts.queries = values(key, given()?)?,
        "links" => facts.links = values(key, given()?)?,
        "address" => facts.address = values(key, given()?)?,
        "allowed_host" => facts.allowed_host = flag()?,
        "fetched_from_source" => {
            let number = given()?;
            facts.fetched_from_source = number.parse().map_err(|_| format!("{key}={number} is no number"))?;
        }
        _ => return Err(format!("{key} is no fact: docs/policy.md lists them")),
    }
    Ok(())
}

/// Values of one role that stand where the list says.
fn values(key: &str, list: &str) -> Result<Values, String> {
    let trust = list.split(',').map(|name| value_of(TRUSTS, key, name)).collect::<Result<BTreeSet<_>, _>>()?;
    Ok(Values { trust, words: format!("an example ({list})") })
}
