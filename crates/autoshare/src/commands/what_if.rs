//! `policy test FILE BRAIN`: what other rules had said of what a brain wanted.

use std::process::ExitCode;

use autoshare_core::event::{Event, PolicyInForce};
use autoshare_core::verdict::{Decision, Verdict};
use autoshare_core::{BrainId, Seq};
use autoshare_gate::Policy;
use autoshare_guard::encode;
use autoshare_host::{Judged, Questions, Unknown, exec, rejudge};
use serde_json::json;

use crate::args::PolicyTest;
use crate::assemble;
use crate::commands::policy::word;
use crate::exit::{FAILED, Failure};
use crate::screen::{Look, ascii_json, out, summary};
use crate::settings::{Rules, Settings, SettingsError};

/// Columns of an action, and of a reason.
const SHOWN: usize = 160;

/// One action, judged again.
struct Row {
    step: u64,
    at: Seq,
    tool: String,
    action: String,
    then: Verdict,
    /// What the file says of it, or why that cannot be said.
    now: Result<Verdict, String>,
}

impl Row {
    fn is_changed(&self) -> bool {
        self.now.as_ref().map_or(true, |now| now.decision != self.then.decision)
    }
}

/// How many actions would be judged how.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    same: usize,
    stricter: usize,
    milder: usize,
    unknown: usize,
}

impl Sum {
    fn of(rows: &[Row]) -> Self {
        let mut sum = Self::default();
        for row in rows {
            match row.now.as_ref().map(|now| now.decision.cmp(&row.then.decision)) {
                Ok(std::cmp::Ordering::Equal) => sum.same += 1,
                Ok(std::cmp::Ordering::Greater) => sum.stricter += 1,
                Ok(std::cmp::Ordering::Less) => sum.milder += 1,
                Err(_) => sum.unknown += 1,
            }
        }
        sum
    }
}

/// The policies that are asked, each read once: many steps have the same.
struct Bench<'b> {
    with_file: &'b Rules,
    /// Whether the command line names the profile of the file.
    is_profile_named: bool,
    tenant: &'b str,
    brain: &'b BrainId,
    /// What was in force, with the two policies.
    last: Option<(PolicyInForce, Result<[Policy; 2], String>)>,
}

impl Bench<'_> {
    fn judge(&mut self, judged: &Judged<'_>) -> Result<Verdict, String> {
        let in_force = judged.policy.ok_or_else(|| Unknown::Policy.to_string())?;
        if self.last.as_ref().is_none_or(|(known, _)| known != in_force) {
            self.last = Some((in_force.clone(), self.policies(&Rules::of(in_force))));
        }
        let policies = self.last.as_ref().map(|(_, policies)| policies.as_ref());
        let [then, other] = policies.ok_or_else(|| Unknown::Policy.to_string())?.map_err(Clone::clone)?;
        judged.again(then, other).map_err(|why| why.to_string())
    }

    fn policies(&self, then: &Result<Rules, SettingsError>) -> Result<[Policy; 2], String> {
        let then = then.as_ref().map_err(ToString::to_string)?;
        let other = if self.is_profile_named { self.with_file.clone() } else { then.with_file_of(self.with_file) };
        let read = |rules: &Rules| rules.policy().map(|policy| policy.for_brain(self.tenant, self.brain.as_str()));
        Ok([read(then).map_err(|why| why.to_string())?, read(&other).map_err(|why| why.to_string())?])
    }
}

/// Judges a brain's actions again.
pub(crate) fn test(
    settings: &Settings,
    name: &str,
    with_file: &Rules,
    flags: &PolicyTest,
    look: Look,
) -> Result<ExitCode, Failure> {
    let data = assemble::data(settings)?;
    let brain = data.store.find(&data.access, name)?;
    let records = data.store.read(&data.access, &brain, Seq(1))?;
    if records.iter().any(|record| matches!(&record.event, Event::Goal(goal) if goal.model == exec::EXEC)) {
        let why = format!("{brain} is a program that was run by `autoshare exec`: no policy judges what it does");
        return Err(Failure::new(FAILED, why));
    }
    let parts = assemble::parts(settings, Questions::Deny);
    let is_profile_named = flags.profile.is_some();
    let tenant = data.access.tenant().as_str();
    let mut bench = Bench { with_file, is_profile_named, tenant, brain: &brain, last: None };
    let mut rows = Vec::new();
    let events = records.iter().map(|record| &record.event);
    rejudge(events, &parts.protected, &parts.commands, |judged| {
        rows.push(Row {
            step: judged.step.0,
            at: judged.at,
            tool: judged.action.tool.clone(),
            action: summary(judged.action),
            then: judged.verdict.clone(),
            now: bench.judge(judged),
        });
    });
    let sum = Sum::of(&rows);
    let shown: Vec<&Row> = rows.iter().filter(|row| flags.all || row.is_changed()).collect();
    if look == Look::Json {
        shown.iter().for_each(|row| out(&ascii_json(&told(&brain, row))));
        let Sum { same, stricter, milder, unknown } = sum;
        out(&ascii_json(&json!({
            "brain": brain, "sum": {"same": same, "stricter": stricter, "milder": milder, "unknown": unknown},
        })));
    } else {
        show(&brain, &shown, rows.len(), &sum);
    }
    let is_fine = sum.milder == 0 && sum.unknown == 0;
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn show(brain: &BrainId, shown: &[&Row], judged: usize, sum: &Sum) {
    if !shown.is_empty() {
        out(&format!("{:>5}  {:<6} {:<9} {:<24} ACTION", "STEP", "THEN", "WITH FILE", "RULE"));
    }
    for row in shown {
        let then = word(row.then.decision);
        let (now, rule) = row.now.as_ref().map_or(("?", String::new()), |now| (word(now.decision), rules(now)));
        let rule = encode::terminal_line(&rule, 64);
        out(&format!("{:>5}  {then:<6} {now:<9} {rule:<24} {}", row.step, encode::terminal_line(&row.action, SHOWN)));
        match &row.now {
            Err(why) => out(&format!("       cannot be judged again: {}", encode::terminal_line(why, SHOWN))),
            Ok(now) if now.decision != Decision::Allow => {
                out(&format!("       {}", encode::terminal_line(&now.why(), SHOWN)));
            }
            Ok(_) => {}
        }
    }
    let Sum { same, stricter, milder, unknown } = sum;
    let unknown = if *unknown > 0 { format!(", {unknown} cannot be judged again") } else { String::new() };
    out(&format!("{judged} actions of {brain}: {same} as before, {stricter} stricter, {milder} milder{unknown}"));
}

/// The rules that gave a verdict.
fn rules(verdict: &Verdict) -> String {
    verdict.reasons.iter().map(|reason| reason.rule.as_str()).collect::<Vec<_>>().join(", ")
}

fn told(brain: &BrainId, row: &Row) -> serde_json::Value {
    let verdict = |verdict: &Verdict| json!({"decision": verdict.decision, "reasons": verdict.reasons});
    let (now, unknown) = match &row.now {
        Ok(now) => (Some(verdict(now)), None),
        Err(why) => (None, Some(why)),
    };
    json!({
        "brain": brain, "step": row.step, "record": row.at, "tool": row.tool, "then": verdict(&row.then), "with_file": now,
        "unknown": unknown,
    })
}
