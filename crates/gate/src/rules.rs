//! The rules. Each looks at a case and says nothing, or a decision with its reason; the strictest holds.

use autoshare_core::event::{AskMode, RootMode};
use autoshare_core::outcome::Ending;
use autoshare_core::place::{Place, is_below};
use autoshare_core::special::Protected;
use autoshare_core::tool::{Effect, Role};
use autoshare_core::verdict::{Decision, Grant, Provenance, Reason, Scope};

use crate::Case;
use crate::place::{Site, closed, site};

/// What a rule says.
type Finding = Option<(Decision, String)>;
/// A rule: its stable name, and what it says of a case and of the path that the case concerns.
type Rule = (&'static str, fn(&Case<'_>, Option<&Site>) -> Finding);

/// Every rule, in the order in which reasons are given.
const RULES: &[Rule] = &[
    ("contract", contract),
    ("no-path", no_path),
    ("protected", protected_path),
    ("closed", closed_place),
    ("boundary", boundary),
    ("read-only", read_only),
    ("trusted-by-machine", trusted_by_machine),
    ("instructions", instructions),
    ("outside-workspace", outside_workspace),
    ("external", external),
    ("destructive", destructive),
    ("destroys", destroys),
    ("ask-always", ask_always),
    ("command-list", command_list),
    ("command-from-content", command_from_content),
    ("inside-cell", inside_cell),
    ("inside-workspace", inside_workspace),
];

/// A file that shrinks below one part in so many is taken for destroyed.
pub const SHRINKS_BELOW: u64 = 10;
/// Characters of a path that a reason shows at most.
const SHOWN: usize = 200;

/// The names of all rules, and of the grant that may answer their questions.
#[must_use]
pub fn names() -> Vec<&'static str> {
    RULES.iter().map(|(name, _)| *name).chain([GRANTED, SILENT]).collect()
}

const GRANTED: &str = "granted";
const SILENT: &str = "nothing-allows-it";

/// What the rules say of a case: never nothing. Where every rule is silent, a person is asked.
pub(crate) fn findings(case: &Case<'_>) -> Vec<(Decision, Reason)> {
    let site = site(case.action, case.spec, case.plan, case.roots);
    let mut findings: Vec<(Decision, Reason)> = RULES
        .iter()
        .filter_map(|(name, rule)| {
            rule(case, site.as_ref()).map(|(decision, words)| (decision, Reason { rule: (*name).to_owned(), words }))
        })
        .collect();
    if findings.is_empty() {
        let words = format!("no rule allows {} by itself", case.action.tool);
        findings.push((Decision::Ask, Reason { rule: SILENT.to_owned(), words }));
    }
    findings
}

/// What a person allowed for good answers a question about the same tool and the same target. A tool that has no
/// target at all is never granted: every call would be the same.
pub(crate) fn granted(case: &Case<'_>, asking: &[Reason]) -> Option<Reason> {
    let has_target = case.spec.params.iter().any(|param| param.role == Role::Target);
    let target = case.spec.target(case.action);
    let asked_then = |grant: &Grant| asking.iter().all(|reason| grant.rules.contains(&reason.rule));
    let fits = |grant: &Grant| {
        let same = match &grant.scope {
            Scope::Target { target: granted } => *granted == target,
            Scope::Sources { .. } => false,
        };
        grant.tool == case.action.tool && same && asked_then(grant)
    };
    (has_target && case.grants.iter().any(fits)).then(|| Reason {
        rule: GRANTED.to_owned(),
        words: format!("a person allowed {} of {} for this brain", case.action.tool, shown(&target)),
    })
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
/// the cell shows nothing where the protected path would be.
fn protected_path(case: &Case<'_>, site: Option<&Site>) -> Finding {
    let site = site?;
    let holds = |path: &&String| site.is_outside() && !site.is_home() && is_below(&site.absolute, path);
    if case.protected.iter().any(|path| site.lies_in(path)) {
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

fn instructions(case: &Case<'_>, site: Option<&Site>) -> Finding {
    let site = site.filter(|site| writes(case) && site.special == Some(Protected::Instructions))?;
    ask(format!("{} is what agents and editors take instructions from", shown(&site.named)))
}

fn outside_workspace(case: &Case<'_>, site: Option<&Site>) -> Finding {
    let site = site.filter(|site| site.is_outside())?;
    let verb = if writes(case) { "write" } else { "read" };
    ask(format!("{} would {verb} {}, outside the workspace", case.action.tool, shown(&site.absolute)))
}

fn external(case: &Case<'_>, _: Option<&Site>) -> Finding {
    let reaches = case.spec.effect == Effect::External;
    if reaches { ask(format!("{} reaches somebody or something outside", case.action.tool)) } else { None }
}

fn destructive(case: &Case<'_>, _: Option<&Site>) -> Finding {
    let takes_away = case.spec.effect == Effect::Destructive;
    if takes_away { ask(format!("{} takes away what cannot be had back", case.action.tool)) } else { None }
}

/// Replacing a whole file that others made, once something untrusted was read; and shrinking one to next to nothing
/// at any time. Not asked where trusted words name the file, or where this brain made it.
fn destroys(case: &Case<'_>, site: Option<&Site>) -> Finding {
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
        return ask(format!("it destroys {}: of {} bytes {} stay", shown(&site.named), before.len, after.len));
    }
    if replaces && case.history.is_tainted() {
        return ask(format!(
            "it destroys {}, which the goal does not name, and untrusted content was read before",
            shown(&site.named)
        ));
    }
    None
}

fn ask_always(case: &Case<'_>, _: Option<&Site>) -> Finding {
    let is_asked = case.ask == AskMode::Always && case.spec.effect != Effect::Read;
    if is_asked { ask("every action with an effect is asked for (--ask)".to_owned()) } else { None }
}

fn command_list(case: &Case<'_>, _: Option<&Site>) -> Finding {
    deny(case.commands.refuse(case.action)?)
}

/// What is run, word for word, was written by somebody else: a person may want it run all the same. What the brain wrote
/// itself, or ran before it read it anywhere, is its own.
fn command_from_content(case: &Case<'_>, _: Option<&Site>) -> Finding {
    if case.spec.effect != Effect::RunInside {
        return None;
    }
    let targets = case.spec.params.iter().filter(|param| param.role == Role::Target);
    let found = targets.filter_map(|param| case.action.args.get(&param.name)).find_map(|value| {
        let is_own = case.history.is_own(value) || value.as_str().is_some_and(|name| case.own_files.contains(name));
        match case.history.origin(value) {
            Provenance::Content { source } if !is_own => Some(source),
            _ => None,
        }
    })?;
    ask(format!("what it would run stands word for word in {}, which somebody else may have written", shown(&found)))
}

/// A program in a cell reaches what was opened to the brain and nothing else, and what it changes can be taken back.
fn inside_cell(case: &Case<'_>, _: Option<&Site>) -> Finding {
    let runs = case.spec.effect == Effect::RunInside;
    if runs {
        allow("it runs in a cell that holds what was opened to the brain and no way out".to_owned())
    } else {
        None
    }
}

fn inside_workspace(case: &Case<'_>, site: Option<&Site>) -> Finding {
    match (case.spec.effect, site.map(|site| &site.place)) {
        (Effect::Read, None) => allow("it changes nothing and names no place".to_owned()),
        (Effect::Read, Some(Place::Inside { .. })) => allow("it reads inside what was opened to the brain".to_owned()),
        (Effect::WriteInside, Some(Place::Inside { .. })) => {
            allow("it writes inside what was opened to the brain".to_owned())
        }
        _ => None,
    }
}

fn writes(case: &Case<'_>) -> bool {
    case.spec.effect != Effect::Read
}

/// A model's words in a sentence for people: shortened, and with nothing in them that a terminal would obey.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() { format!("{short:?}...") } else { format!("{short:?}") }
}

const fn allow(words: String) -> Finding {
    Some((Decision::Allow, words))
}

const fn ask(words: String) -> Finding {
    Some((Decision::Ask, words))
}

const fn deny(words: String) -> Finding {
    Some((Decision::Deny, words))
}
