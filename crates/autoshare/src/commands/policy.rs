//! `policy check`, `policy explain`, `policy test`.

use std::path::Path;
use std::process::ExitCode;

use autoshare_core::verdict::{Decision, Reason};
use autoshare_gate::policy::{Rule, Says};
use autoshare_guard::encode;

use crate::args::{Policy, PolicyFlags};
use crate::commands::what_if;
use crate::exit::{Failure, SETTINGS};
use crate::screen::{Look, ascii_json, out};
use crate::settings::{Rules, Settings};

/// Characters of a reason that a line shows.
const SHOWN: usize = 400;

/// One of them.
pub(crate) fn policy(settings: &Settings, command: &Policy, look: Look) -> Result<ExitCode, Failure> {
    let rules = &settings.gate.rules;
    match command {
        Policy::Check { file, profile } => check(&with_file(rules, file, profile.as_deref())?, file, look),
        Policy::Explain { rules: flags } => explain(&rules.with(flags)?, look),
        Policy::Test(flags) => {
            let with_file = with_file(rules, &flags.file, flags.profile.as_deref())?;
            match &flags.brain {
                Some(brain) => what_if::test(settings, brain, &with_file, flags, look),
                None => test(rules, &with_file, &flags.facts.join(" "), look),
            }
        }
    }
}

/// The rules of a file, over a profile or over that of the settings.
fn with_file(rules: &Rules, file: &Path, profile: Option<&str>) -> Result<Rules, Failure> {
    Ok(rules.with(&PolicyFlags { profile: profile.map(str::to_owned), policy: Some(file.to_owned()) })?)
}

/// `autoshare policy check FILE`.
fn check(rules: &Rules, file: &Path, look: Look) -> Result<ExitCode, Failure> {
    let (policy, profile) = (rules.policy()?, rules.profile());
    let file = rules.file().unwrap_or(file);
    let name = file.display().to_string();
    let own = policy.rules().iter().filter(|rule| rule.file == name).count();
    if look == Look::Json {
        out(&ascii_json(&serde_json::json!({ "file": name, "profile": profile, "rules": own })));
    } else {
        let name = encode::terminal_line(&name, 200);
        out(&format!("{name}: {own} rules over the profile {profile}; they can be used, and their examples hold"));
    }
    Ok(ExitCode::SUCCESS)
}

/// `autoshare policy explain`.
fn explain(rules: &Rules, look: Look) -> Result<ExitCode, Failure> {
    let policy = rules.policy()?;
    if look == Look::Json {
        policy.rules().iter().for_each(|rule| out(&ascii_json(&json(rule))));
        return Ok(ExitCode::SUCCESS);
    }
    let added = rules.file().map(|file| format!(", and {}", file.display())).unwrap_or_default();
    out(&encode::terminal_line(&format!("profile {}{added}", rules.profile()), SHOWN));
    for (says, head) in [
        (Says::Deny, "It is denied, whatever a person says, because"),
        (Says::Ask, "A person is asked, because"),
        (Says::Allow, "It is done without a question where none of these rules applies, because"),
        (Says::MayBeAsked, "Everything else is asked for, because"),
    ] {
        let mut rules = policy.rules().iter().filter(|rule| rule.says == says).peekable();
        if rules.peek().is_some() {
            out(&format!("\n{head}:"));
        }
        for rule in rules {
            let line = format!("  {:<22} {}", rule.id, rule.because());
            out(&encode::terminal_line(&line, SHOWN));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn json(rule: &Rule) -> serde_json::Value {
    let says = match rule.says {
        Says::Deny => "deny",
        Says::Ask => "ask",
        Says::Allow => "allow",
        Says::MayBeAsked => "may_be_asked",
    };
    serde_json::json!({
        "rule": rule.id, "says": says, "because": rule.because(), "file": rule.file, "line": rule.line,
    })
}

/// `autoshare policy test FILE --facts ...`.
fn test(in_force: &Rules, with_file: &Rules, facts: &str, look: Look) -> Result<ExitCode, Failure> {
    let judge = |rules: &Rules| rules.policy()?.try_out(facts).map_err(|why| Failure::new(SETTINGS, why));
    let (before, after) = (judge(in_force)?, judge(with_file)?);
    if look == Look::Json {
        let json = |(decision, reasons): &(Decision, Vec<Reason>)| serde_json::json!({ "decision": decision, "reasons": reasons });
        out(&ascii_json(&serde_json::json!({ "in_force": json(&before), "with_file": json(&after) })));
        return Ok(ExitCode::SUCCESS);
    }
    for (whose, (decision, reasons)) in [("with the file", &after), ("in force", &before)] {
        for reason in reasons {
            let line = format!("{whose:<14} {:<6} {}: {}", word(*decision), reason.rule, reason.words);
            out(&encode::terminal_line(&line, SHOWN));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) const fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Ask => "ask",
        Decision::Deny => "deny",
    }
}
