//! The rules that no policy lifts, and what a person granted. Each rule looks at a case and says nothing, or why not.

use std::collections::BTreeSet;

use autoshare_core::event::RootMode;
use autoshare_core::outcome::Ending;
use autoshare_core::place::{Place, is_below};
use autoshare_core::special::Protected;
use autoshare_core::tool::{Effect, Role};
use autoshare_core::verdict::{Grant, Provenance, Reason, Scope};

use crate::Case;
use crate::leaves::Leaf;
use crate::place::{Site, closed};
use crate::provenance::{History, is_link, is_telling, normal};

/// Why a rule denies, if it does.
type Finding = Option<String>;
/// A rule: its stable name, and what it says of a case and of the path that the case concerns.
type Rule = (&'static str, fn(&Case<'_>, Option<&Site>) -> Finding);

/// What no policy lifts, in the order in which reasons are given.
const RULES: &[Rule] = &[
    ("contract", contract),
    ("no-path", no_path),
    ("protected", protected_path),
    ("closed", closed_place),
    ("boundary", boundary),
    ("read-only", read_only),
    ("trusted-by-machine", trusted_by_machine),
    ("command-list", command_list),
];

/// A file that shrinks below one part in so many is taken for destroyed.
pub const SHRINKS_BELOW: u64 = 10;
/// Addresses that a question lists at most, to be allowed together: more are not read.
pub const MAX_ALIKE: usize = 12;
/// Characters of a path that a reason shows at most, and bytes of an address that is listed.
const SHOWN: usize = 200;

const GRANTED: &str = "granted";

/// Why an action is denied whatever the policy says; nothing, if it is not.
pub(crate) fn denials(case: &Case<'_>, site: Option<&Site>) -> Vec<Reason> {
    RULES
        .iter()
        .filter_map(|(name, rule)| rule(case, site).map(|words| Reason { rule: (*name).to_owned(), words }))
        .collect()
}

/// What a person allowed for good answers a question about the same tool and the same target. A tool that has no
/// target at all is never granted: every call would be the same.
pub(crate) fn granted(case: &Case<'_>, leaves: &[Leaf], asking: &[Reason]) -> Option<Reason> {
    let has_target = case.spec.params.iter().any(|param| param.role == Role::Target);
    let target = case.spec.target(case.action);
    let asked_then = |grant: &Grant| asking.iter().all(|reason| grant.rules.contains(&reason.rule));
    let fits = |grant: &Grant| {
        let same = match &grant.scope {
            Scope::Target { target: granted } => *granted == target,
            Scope::Listed { targets } => leaves
                .iter()
                .filter(|leaf| leaf.role == Role::Target && leaf.provenance.is_untrusted())
                .all(|leaf| targets.contains(&normal(&leaf.text))),
        };
        grant.tool == case.action.tool && same && asked_then(grant)
    };
    (has_target && case.grants.iter().any(fits)).then(|| Reason {
        rule: GRANTED.to_owned(),
        words: format!("a person allowed {} of {} for this brain", case.action.tool, shown(&target)),
    })
}

/// The addresses that a person may allow along with those at which an action is aimed: all that stand in the sources in
/// which these stand. None where a target that is not trusted is no address, or where there are more than can be shown.
pub(crate) fn alike(history: &History, leaves: &[Leaf]) -> Vec<String> {
    let mut sources = BTreeSet::new();
    for leaf in leaves.iter().filter(|leaf| leaf.role == Role::Target && leaf.provenance.is_untrusted()) {
        match &leaf.provenance {
            Provenance::Content { source } if is_link(&leaf.text) => sources.insert(source.as_str()),
            _ => return Vec::new(),
        };
    }
    let mut found = BTreeSet::new();
    for link in sources.into_iter().flat_map(|source| history.links_in(source)) {
        let is_too_much = found.insert(link) && (found.len() > MAX_ALIKE || link.len() > SHOWN);
        if is_too_much {
            return Vec::new();
        }
    }
    found.into_iter().map(str::to_owned).collect()
}

fn contract(case: &Case<'_>, _: Option<&Site>) -> Finding {
    if case.spec.name != case.action.tool {
        return deny(format!("{} is judged by the contract of {}", case.action.tool, case.spec.name));
    }
    let accepted = serde_json::to_string(&case.action.args).ok().and_then(|args| case.spec.accept(&args).ok());
    match accepted {
        Some(action) if action == *case.action => None,
        _ => deny(format!("the arguments do not fit the contract of {}", case.spec.name)),
    }
}

fn no_path(_: &Case<'_>, site: Option<&Site>) -> Finding {
    match &site?.place {
        Place::Nowhere { why } => deny((*why).to_owned()),
        Place::Inside { .. } | Place::Outside { .. } => None,
    }
}

/// What lies in a protected path is closed. What holds one is closed from the outside; from the inside it is open, and
/// the cell shows nothing where the protected path would be. A root that lies in a protected path itself was opened by whoever
/// answers for that path (a workspace that the host made), so that inside it only what lies below the root counts.
fn protected_path(case: &Case<'_>, site: Option<&Site>) -> Finding {
    let site = site?;
    let holds = |path: &&String| site.is_outside() && !site.is_home() && is_below(&site.absolute, path);
    let root = match &site.place {
        Place::Inside { root, .. } => case.roots.get(*root),
        Place::Outside { .. } | Place::Nowhere { .. } => None,
    };
    let is_opened = |path: &String| root.is_some_and(|root| is_below(path, &root.path));
    if case.protected.iter().any(|path| site.lies_in(path) && !is_opened(path)) {
        return deny(format!("{} is protected: it holds keys, settings or the state of brains", shown(&site.named)));
    }
    let held = case.protected.iter().find(|path| holds(path))?;
    deny(format!("{} holds {}, which is protected", shown(&site.named), shown(held)))
}

fn closed_place(case: &Case<'_>, site: Option<&Site>) -> Finding {
    let site = site.filter(|site| site.is_outside())?;
    let why = closed(site, case.spec.effect)?;
    deny(format!("{} lies outside the workspace and {why}", shown(&site.named)))
}

/// What the boundary answered when the plan was made. From a path outside, that answer was to be expected; it is told
/// along with what else denies the action.
fn boundary(case: &Case<'_>, site: Option<&Site>) -> Finding {
    let refusal = case.plan.refusal.as_ref().filter(|refusal| refusal.ending == Ending::Refused)?;
    let is_open_question = site.is_some_and(|site| site.is_outside() && closed(site, case.spec.effect).is_none());
    if is_open_question {
        return None;
    }
    deny(format!("the {} refuses it: {}", refusal.layer, refusal.words))
}

fn read_only(case: &Case<'_>, site: Option<&Site>) -> Finding {
    let site = site.filter(|_| writes(case))?;
    match site.place {
        Place::Inside { mode: RootMode::Read, .. } => {
            deny(format!("{} was opened for reading only", shown(&site.named)))
        }
        _ => None,
    }
}

fn trusted_by_machine(case: &Case<'_>, site: Option<&Site>) -> Finding {
    let site = site.filter(|site| writes(case) && site.special == Some(Protected::Trusted))?;
    deny(format!("{} is what the machine runs or trusts: writing it is running code later", shown(&site.named)))
}

/// Replacing a whole file that others made, once something untrusted was read; and shrinking one to next to nothing
/// at any time. Not asked where trusted words name the file, or where this brain made it.
pub(crate) fn destroys(case: &Case<'_>, site: Option<&Site>) -> Option<String> {
    let site = site?;
    let before = case.plan.before.as_ref().filter(|before| before.len > 0)?;
    let after = case.plan.after.as_ref().filter(|after| after.digest != before.digest)?;
    let is_own = case.own_files.contains(&site.known_as);
    let is_named = [&site.named, &site.known_as, &site.absolute].iter().any(|name| case.history.names(name));
    if is_own || is_named {
        return None;
    }
    let mode = case.action.text("mode").unwrap_or("replace");
    let replaces = case.action.tool == "write_file" && mode == "replace";
    if after.len.saturating_mul(SHRINKS_BELOW) < before.len {
        return Some(format!("it destroys {}: of {} bytes {} stay", shown(&site.named), before.len, after.len));
    }
    if replaces && case.history.is_tainted() {
        return Some(format!(
            "it destroys {}, which the goal does not name, and untrusted content was read before",
            shown(&site.named)
        ));
    }
    None
}

fn command_list(case: &Case<'_>, _: Option<&Site>) -> Finding {
    deny(case.commands.refuse(case.action)?)
}

/// The source in which what is to be run stands word for word: somebody else wrote it. What the brain wrote itself, or ran
/// before it read it anywhere, is its own; and what is short or common ("sh", "make") is nobody's.
pub(crate) fn runs_from(case: &Case<'_>) -> Option<String> {
    if case.spec.effect != Effect::RunInside {
        return None;
    }
    let targets = case.spec.params.iter().filter(|param| param.role == Role::Target);
    targets.filter_map(|param| case.action.args.get(&param.name)).find_map(|value| {
        let is_own = case.history.is_own(value) || value.as_str().is_some_and(|name| case.own_files.contains(name));
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match case.history.locate(&text, Role::Target).provenance {
            Provenance::Content { source } if !is_own && is_telling(&text, Role::Target) => Some(source),
            _ => None,
        }
    })
}

pub(crate) fn writes(case: &Case<'_>) -> bool {
    case.spec.effect != Effect::Read
}

/// A model's words in a sentence for people: shortened, and with nothing in them that a terminal would obey.
pub(crate) fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() { format!("{short:?}...") } else { format!("{short:?}") }
}

const fn deny(words: String) -> Finding {
    Some(words)
}
