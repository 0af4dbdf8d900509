//! The scalars of an action, each with its role and where it stands.

use std::cmp::Ordering;

use autoshare_core::Seq;
use autoshare_core::tool::{Effect, Kind, Param, Role};
use autoshare_core::verdict::{Origin, Provenance};
use serde_json::Value;

use crate::Case;
use crate::facts::Trust;
use crate::provenance::{leads_on, links};

/// Scalars of one action that are looked at one by one; for those beyond stands one leaf that nothing trusts.
const MAX_LEAVES: usize = 10_000;

/// One scalar of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// The way to it, such as `to[0]`.
    pub(crate) path: String,
    /// What it is for.
    pub(crate) role: Role,
    /// It, as text.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) provenance: Provenance,
    /// In which record.
    pub(crate) at: Option<Seq>,
    /// Whether it is or holds a secret.
    pub(crate) secret: bool,
    /// Whether its contract leaves open what it says: neither a choice of few, nor a number.
    pub(crate) is_free: bool,
}

impl Leaf {
    /// How far it is to be trusted.
    pub(crate) const fn trust(&self) -> Trust {
        trust(&self.provenance)
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin {
            param: self.path.clone(),
            provenance: self.provenance.clone(),
            role: Some(self.role),
            at: self.at,
            secret: self.secret,
        }
    }
}

pub(crate) const fn trust(provenance: &Provenance) -> Trust {
    match provenance {
        Provenance::Operator { .. } | Provenance::User => Trust::Trusted,
        Provenance::Issued { .. } => Trust::Issued,
        Provenance::Model => Trust::Model,
        Provenance::TaintedModel => Trust::Tainted,
        Provenance::Content { .. } => Trust::Content,
    }
}

/// The scalars of a case's action.
pub(crate) fn leaves(case: &Case<'_>) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for (name, value) in &case.action.args {
        match case.spec.param(name) {
            Some(param) => visit(case, name, param.role, Some(&param.kind), value, &mut leaves),
            // No contract knows it: it is what the action is aimed at.
            None => visit(case, name, Role::Target, None, value, &mut leaves),
        }
    }
    leaves
}

fn visit(case: &Case<'_>, path: &str, role: Role, kind: Option<&Kind>, value: &Value, leaves: &mut Vec<Leaf>) {
    match leaves.len().cmp(&MAX_LEAVES) {
        Ordering::Less => {}
        Ordering::Equal => return leaves.push(beyond(case)),
        Ordering::Greater => return,
    }
    let is_free = !matches!(kind, Some(Kind::OneOf { .. } | Kind::Boolean | Kind::Integer { .. } | Kind::Number));
    let mut add = |path: String, text: &str| leaves.push(leaf(case, path, role, text, is_free));
    match value {
        Value::Array(members) => {
            let of = match kind {
                Some(Kind::List { of, .. }) => Some(of.as_ref()),
                _ => None,
            };
            for (at, member) in members.iter().enumerate() {
                visit(case, &format!("{path}[{at}]"), role, of, member, leaves);
            }
        }
        Value::Object(map) => {
            let fields: &[Param] = match kind {
                Some(Kind::Record { fields, .. }) => fields,
                _ => &[],
            };
            for (name, member) in map {
                let inner = format!("{path}.{name}");
                match fields.iter().find(|field| field.name == *name) {
                    Some(field) => visit(case, &inner, field.role, Some(&field.kind), member, leaves),
                    // A name that the model chose says as much as a value.
                    None => {
                        visit(case, &format!("{path}{{}}"), role, None, &Value::from(name.as_str()), leaves);
                        visit(case, &inner, role, None, member, leaves);
                    }
                }
            }
        }
        Value::Null => {}
        Value::String(text) if role == Role::Target => match members_of(text) {
            Some(members) => {
                members.iter().enumerate().for_each(|(at, member)| add(format!("{path}#{at}"), member));
            }
            None => add(path.to_owned(), text),
        },
        Value::String(text) => add(path.to_owned(), text),
        other => add(path.to_owned(), &other.to_string()),
    }
}

/// What stands for the scalars that are too many to look at: nobody's target, and a secret if one was read.
fn beyond(case: &Case<'_>) -> Leaf {
    Leaf {
        path: "...".to_owned(),
        role: Role::Target,
        text: format!("more than {MAX_LEAVES} values"),
        provenance: Provenance::TaintedModel,
        at: None,
        secret: case.history.secret_read().is_some(),
        is_free: true,
    }
}

/// The members of a list of addresses that is written as one text.
fn members_of(text: &str) -> Option<Vec<&str>> {
    let members: Vec<&str> = text.split([',', ';', '\n']).map(str::trim).filter(|member| !member.is_empty()).collect();
    let addresses = members.iter().filter(|member| !links(member).is_empty()).count();
    (members.len() > 1 && addresses == members.len()).then_some(members)
}

fn leaf(case: &Case<'_>, path: String, role: Role, text: &str, is_free: bool) -> Leaf {
    let is_address = case.spec.effect == Effect::Fetch && role == Role::Target;
    let located = if is_address { case.history.locate_address(text) } else { case.history.locate(text, role) };
    let secret = match trust(&located.provenance) {
        // That somebody called it a secret does not keep a person from saying it.
        Trust::Trusted => case.history.holds_known_secret(text),
        _ => case.history.holds_secret(text),
    };
    Leaf { path, role, text: text.to_owned(), provenance: located.provenance, at: located.at, secret, is_free }
}

/// An address inside of what is written or sent.
pub(crate) struct Link<'l> {
    pub(crate) text: &'l str,
    pub(crate) provenance: Provenance,
}

/// The addresses in a leaf. One whose host stands in trusted words is trusted. The bare name of a host or a person in a query
/// is what people search for; what could be followed there is an address.
pub(crate) fn links_in<'l>(case: &Case<'_>, leaf: &'l Leaf) -> Vec<Link<'l>> {
    if leaf.trust() == Trust::Trusted {
        return Vec::new();
    }
    let link = |text: &'l str| {
        let whole = case.history.locate_address(text).provenance;
        let by_host = || crate::provenance::host(text).map(|host| case.history.locate_address(&host).provenance);
        let provenance = match whole {
            Provenance::User | Provenance::Operator { .. } => whole,
            other => {
                by_host().filter(|host| matches!(host, Provenance::User | Provenance::Operator { .. })).unwrap_or(other)
            }
        };
        Link { text, provenance }
    };
    let counts = |text: &&str| leaf.role != Role::Query || leads_on(text);
    links(&leaf.text).into_iter().filter(counts).map(link).collect()
}
