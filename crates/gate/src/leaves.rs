//! The scalars of an action, each with its role and where it stands.

use autoshare_core::Seq;
use autoshare_core::tool::{Effect, Kind, Param, Role};
use autoshare_core::verdict::{Origin, Provenance};
use serde_json::Value;

use crate::Case;
use crate::facts::Trust;
use crate::provenance::links;

/// Scalars of one action that are looked at one by one; what is beyond counts as the least trusted.
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
        Provenance::Operator | Provenance::User => Trust::Trusted,
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
    if leaves.len() >= MAX_LEAVES {
        return;
    }
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
                let path = format!("{path}.{name}");
                match fields.iter().find(|field| field.name == *name) {
                    Some(field) => visit(case, &path, field.role, Some(&field.kind), member, leaves),
                    None => visit(case, &path, role, None, member, leaves),
                }
            }
        }
        Value::Null => {}
        Value::String(text) if role == Role::Target => match members_of(text) {
            Some(members) => {
                for (at, member) in members.iter().enumerate() {
                    leaves.push(leaf(case, format!("{path}#{at}"), role, member));
                }
            }
            None => leaves.push(leaf(case, path.to_owned(), role, text)),
        },
        Value::String(text) => leaves.push(leaf(case, path.to_owned(), role, text)),
        other => leaves.push(leaf(case, path.to_owned(), role, &other.to_string())),
    }
}

/// The members of a list of addresses that is written as one text.
fn members_of(text: &str) -> Option<Vec<&str>> {
    let members: Vec<&str> = text.split([',', ';', '\n']).map(str::trim).filter(|member| !member.is_empty()).collect();
    let addresses = members.iter().filter(|member| !links(member).is_empty()).count();
    (members.len() > 1 && addresses == members.len()).then_some(members)
}

fn leaf(case: &Case<'_>, path: String, role: Role, text: &str) -> Leaf {
    let is_address = case.spec.effect == Effect::Fetch && role == Role::Target;
    let located = if is_address { case.history.locate_address(text) } else { case.history.locate(text, role) };
    let secret = role != Role::Option && case.history.holds_secret(text);
    Leaf { path, role, text: text.to_owned(), provenance: located.provenance, at: located.at, secret }
}

/// An address inside of what is written or sent.
pub(crate) struct Link<'l> {
    pub(crate) text: &'l str,
    pub(crate) provenance: Provenance,
}

/// The addresses in a leaf of content. One whose host stands in trusted words is the person's.
pub(crate) fn links_in<'l>(case: &Case<'_>, leaf: &'l Leaf) -> Vec<Link<'l>> {
    if leaf.trust() == Trust::Trusted {
        return Vec::new();
    }
    let link = |text: &'l str| {
        let whole = case.history.locate_address(text).provenance;
        let by_host = || crate::provenance::host(text).map(|host| case.history.locate_address(&host).provenance);
        let provenance = match whole {
            Provenance::User | Provenance::Operator => whole,
            other => by_host().filter(|host| matches!(host, Provenance::User | Provenance::Operator)).unwrap_or(other),
        };
        Link { text, provenance }
    };
    links(&leaf.text).into_iter().map(link).collect()
}
