//! Reading a policy's text: Cedar's grammar, the schema, and what AutoSHARE asks of a rule beyond them.

use std::collections::BTreeSet;

use cedar_policy::{ActionConstraint, Effect, EntityUid, PolicyId, PolicySet, ValidationMode, Validator};
use miette::Diagnostic;

use super::request::Asker;
use super::words::Words;
use super::{PolicyError, Rule, Says, shape};

/// What may be written before a rule.
const ANNOTATIONS: [&str; 3] = ["id", "because", "replaces"];
/// Characters of a rule's id at most.
const MAX_ID: usize = 64;
/// Characters that are shown of a rule that has no id.
const BEGINNING: usize = 40;

/// A rule as it was read.
struct Read {
    rule: Rule,
    policy: cedar_policy::Policy,
    replaces: Vec<String>,
}

/// A policy's rules with those of a text added.
pub(super) fn add(below: &Asker, rules: &[Rule], file: &str, text: &str) -> Result<(Asker, Vec<Rule>), PolicyError> {
    shape::check(text)?;
    let read = read(file, text)?;
    validate(below, text, &read)?;

    let mut rules = rules.to_vec();
    let mut set = below.set.clone();
    for one in &read {
        for id in &one.replaces {
            let is_below = rules.iter().any(|rule| rule.id == *id);
            if !is_below {
                let why = format!("it replaces {id:?}, and there is no such rule beneath: correct @replaces");
                return Err(fault(&one.rule, why));
            }
            set.remove_static(PolicyId::new(id)).map_err(|why| fault(&one.rule, why.to_string()))?;
            rules.retain(|rule| rule.id != *id);
        }
    }
    let taken: BTreeSet<String> = rules.iter().map(|rule| rule.id.clone()).collect();
    for one in read {
        if taken.contains(&one.rule.id) {
            let why = "the policy beneath has a rule of this id: take another @id, or say @replaces".to_owned();
            return Err(fault(&one.rule, why));
        }
        set.add(one.policy).map_err(|why| fault(&one.rule, format!("{why}: take another @id")))?;
        rules.push(one.rule);
    }
    Ok((below.with_rules(set), rules))
}

/// The rules of a text, in its order.
fn read(file: &str, text: &str) -> Result<Vec<Read>, PolicyError> {
    let set: PolicySet = text.parse().map_err(|why: cedar_policy::ParseErrors| PolicyError::Text {
        line: place(&why).map_or(1, |at| line_of(text, at)),
        why: in_words(&why),
    })?;
    if let Some(template) = set.templates().next() {
        let why = "it has a ?placeholder, which nothing fills: name whom or what it is about".to_owned();
        let (id, line) = (beginning(&template.to_cedar()), start(text, &template.to_cedar()));
        return Err(PolicyError::Rule { line, id, why });
    }
    let mut read =
        set.policies().map(|policy| read_rule(file, text, policy)).collect::<Result<Vec<Read>, PolicyError>>()?;
    read.sort_by_key(|one| one.rule.line);
    Ok(read)
}

fn read_rule(file: &str, text: &str, policy: &cedar_policy::Policy) -> Result<Read, PolicyError> {
    let own = policy.to_cedar().unwrap_or_default();
    let line = start(text, &own);
    let id = policy.annotation("id").unwrap_or_default();
    let wrong = |why: String| {
        let id = if id.is_empty() { beginning(&own) } else { id.to_owned() };
        PolicyError::Rule { line, id, why }
    };
    if id.is_empty() {
        return Err(wrong("it has no name: write @id(\"a-name\") before it".to_owned()));
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if id.len() > MAX_ID || !id.chars().all(fits) {
        return Err(wrong(format!("an @id has 1 to {MAX_ID} of the characters a to z, 0 to 9 and -")));
    }
    if let Some((other, _)) = policy.annotations().find(|(name, _)| !ANNOTATIONS.contains(name)) {
        return Err(wrong(format!("@{other} is not known: use @id, @because, @replaces")));
    }
    let because = policy.annotation("because").ok_or_else(|| {
        wrong("it does not say why: write @because(\"...\"), the words of the reason, before it".to_owned())
    })?;
    let replaces = policy.annotation("replaces").map(names).unwrap_or_default();
    let rule = Rule {
        id: id.to_owned(),
        says: says(policy),
        file: file.to_owned(),
        line,
        words: Words::read(because).map_err(wrong)?,
    };
    Ok(Read { rule, policy: policy.new_id(PolicyId::new(id)), replaces })
}

/// The ids in a list with commas.
fn names(list: &str) -> Vec<String> {
    list.split(',').map(|name| name.trim().to_owned()).collect()
}

fn says(policy: &cedar_policy::Policy) -> Says {
    let is_about = |action: &str| {
        let is_it = |uid: &EntityUid| uid.id().unescaped() == action;
        match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => is_it(&uid),
            ActionConstraint::In(uids) => uids.iter().any(is_it),
        }
    };
    match policy.effect() {
        Effect::Permit if is_about("act_unasked") => Says::Allow,
        Effect::Permit => Says::MayBeAsked,
        Effect::Forbid if is_about("act") => Says::Deny,
        Effect::Forbid => Says::Ask,
    }
}

/// Strictly, and what Cedar only warns of (a rule that never applies, characters that look like others) is wrong too.
fn validate(below: &Asker, text: &str, read: &[Read]) -> Result<(), PolicyError> {
    let mut set = PolicySet::new();
    for one in read {
        set.add(one.policy.clone()).map_err(|_| fault(&one.rule, "another rule has the same @id".to_owned()))?;
    }
    let found = Validator::new(below.schema.clone()).validate(&set, ValidationMode::Strict);
    let errors = found.validation_errors().map(|error| (error.policy_id(), error as &dyn Diagnostic));
    let warnings = found.validation_warnings().map(|warning| (warning.policy_id(), warning as &dyn Diagnostic));
    let Some((id, why)) = errors.chain(warnings).next() else { return Ok(()) };
    let id = id.to_string();
    let line = place(why).map(|at| line_of(text, at));
    let line = line.or_else(|| read.iter().find(|one| one.rule.id == id).map(|one| one.rule.line)).unwrap_or(1);
    Err(PolicyError::Rule { line, id, why: in_words(why) })
}

fn fault(rule: &Rule, why: String) -> PolicyError {
    PolicyError::Rule { line: rule.line, id: rule.id.clone(), why }
}

/// Where in the text something is wrong, as the finding says.
fn place(why: &dyn Diagnostic) -> Option<usize> {
    why.labels()?.next().map(|label| label.offset())
}

/// A finding with its advice, if it has one.
fn in_words(why: &dyn Diagnostic) -> String {
    let label = || why.labels()?.find_map(|label| label.label().map(str::to_owned));
    match why.help().map(|help| help.to_string()).or_else(label) {
        Some(advice) => format!("{why} ({advice})"),
        None => why.to_string(),
    }
}

/// The line in which a rule of the text begins.
fn start(text: &str, rule: &str) -> usize {
    line_of(text, text.find(rule).unwrap_or_default())
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    before + 1
}

fn beginning(rule: &str) -> String {
    rule.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(BEGINNING).collect()
}
