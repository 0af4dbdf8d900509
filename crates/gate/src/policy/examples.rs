//! The examples in a policy's text: `//? ask by untrusted-target: effect=external warrant=inside tainted targets=content`.

use autoshare_core::verdict::Decision;

use super::{Policy, PolicyError};

/// How an example begins.
const MARK: &str = "//?";

/// Checks every example of a text against a policy.
pub(super) fn check(policy: &Policy, text: &str) -> Result<(), PolicyError> {
    for (line, example) in (1..).zip(text.lines()) {
        if let Some(example) = example.trim().strip_prefix(MARK) {
            hold(policy, example).map_err(|why| PolicyError::Example { line, why })?;
        }
    }
    Ok(())
}

fn hold(policy: &Policy, example: &str) -> Result<(), String> {
    let form = "write `//? VERDICT: FACTS` or `//? VERDICT by RULE: FACTS`, where VERDICT is allow, ask or deny";
    let (head, facts) = example.split_once(':').ok_or_else(|| form.to_owned())?;
    let mut head = head.split_whitespace();
    let wanted = match head.next() {
        Some("allow") => Decision::Allow,
        Some("ask") => Decision::Ask,
        Some("deny") => Decision::Deny,
        _ => return Err(form.to_owned()),
    };
    let rule = match [head.next(), head.next(), head.next()] {
        [None, ..] => None,
        [Some("by"), Some(rule), None] => Some(rule),
        _ => return Err(form.to_owned()),
    };
    let (decision, reasons) = policy.try_out(facts)?;
    let rules: Vec<&str> = reasons.iter().map(|reason| reason.rule.as_str()).collect();
    let by = rules.join(", ");
    if decision != wanted {
        let (wanted, decision) = (word(wanted), word(decision));
        return Err(format!("it expects {wanted}, and the policy says {decision} by {by}: correct one of them"));
    }
    match rule.filter(|rule| !rules.contains(rule)) {
        Some(rule) => Err(format!("it expects the rule {rule:?} to decide, and {by} does: correct one of them")),
        None => Ok(()),
    }
}

const fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Ask => "ask",
        Decision::Deny => "deny",
    }
}
