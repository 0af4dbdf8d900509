//! `explain`: why a verdict came out, from the journal alone.

use std::process::ExitCode;

use autoshare_brain::Brain;
use autoshare_core::event::{Answer, Answerer, Event};
use autoshare_core::outcome::Outcome;
use autoshare_core::tool::{Action, Label};
use autoshare_core::verdict::{Decision, Origin, Provenance, Verdict};
use autoshare_core::warrant::Warrant;
use autoshare_core::{BrainId, Seq, StepNo};
use autoshare_gate::{Excerpt, excerpt};
use autoshare_guard::encode;
use autoshare_store::Record;
use serde_json::{Value, json};

use crate::args;
use crate::assemble;
use crate::exit::{FAILED, Failure};
use crate::question;
use crate::screen::{Look, approval, ascii_json, out, style_for_stdout};
use crate::settings::Settings;
use crate::values::{self, Scalar};

/// Characters that an excerpt shows on each side of a value.
const AROUND: usize = 60;

/// What the journal says of one step.
struct Trace<'r> {
    step: StepNo,
    action: &'r Action,
    /// The verdict, and its record.
    verdict: (Seq, &'r Verdict),
    /// The warrant in force then, and its record.
    warrant: Option<(Seq, &'r Warrant)>,
    answer: Option<(Seq, &'r Answer, &'r Answerer)>,
    outcome: Option<(Seq, &'r Outcome, Label)>,
}

/// `autoshare explain BRAIN [STEP]`.
pub(crate) fn explain(settings: &Settings, flags: &args::Explain, look: Look) -> Result<ExitCode, Failure> {
    let data = assemble::data(settings)?;
    let brain = data.store.find(&data.access, &flags.brain)?;
    let records = data.store.read(&data.access, &brain, Seq(1))?;
    let traces = traces(&records);
    let asked = |trace: &&Trace<'_>| trace.verdict.1.decision != Decision::Allow;
    let found = match flags.step {
        Some(step) => traces.iter().find(|trace| trace.step == StepNo(step)),
        None => traces.iter().rev().find(asked).or(traces.last()),
    };
    let Some(trace) = found else {
        let why = format!("brain {brain} has no such step with a verdict; `autoshare show {brain}` lists its steps");
        return Err(Failure::new(FAILED, why));
    };
    if look == Look::Json {
        out(&ascii_json(&told(&brain, trace, &records)));
    } else {
        show(&brain, trace, &records);
    }
    Ok(ExitCode::SUCCESS)
}

/// The steps that were judged, in order.
fn traces(records: &[Record]) -> Vec<Trace<'_>> {
    let mut traces: Vec<Trace<'_>> = Vec::new();
    let mut brain = Brain::new();
    let mut proposal: Option<(StepNo, &Action)> = None;
    let mut warrant: Option<(Seq, &Warrant)> = None;
    for record in records {
        brain.apply(&record.event);
        let last = traces.last_mut();
        match &record.event {
            // One that came too late, and not from a person, is not in force.
            Event::Warrant(drawn) if brain.warrant() == Some(drawn) => warrant = Some((record.seq, drawn)),
            Event::Proposal { step, action, .. } => proposal = Some((*step, action)),
            Event::Verdict { step, verdict, .. } => {
                if let Some((_, action)) = proposal.filter(|(proposed, _)| proposed == step) {
                    let (step, verdict) = (*step, (record.seq, verdict));
                    traces.push(Trace { step, action, verdict, warrant, answer: None, outcome: None });
                }
            }
            Event::Approval { step, answer, by, .. } => {
                if let Some(trace) = last.filter(|trace| trace.step == *step) {
                    trace.answer = Some((record.seq, answer, by));
                }
            }
            Event::Observation { step, outcome, label, .. } => {
                if let Some(trace) = last.filter(|trace| trace.step == *step) {
                    trace.outcome = Some((record.seq, outcome, *label));
                }
            }
            _ => {}
        }
    }
    traces
}

/// A place in the journal where a value stands.
struct Place {
    seq: Seq,
    kind: &'static str,
    label: Label,
    excerpt: Option<Excerpt>,
}

/// Where a value stands, as its verdict says; of one whose record the verdict does not name, the first that has it and is
/// of the same source.
fn place(origin: &Origin, value: &str, before: Seq, records: &[Record]) -> Option<Place> {
    let found = |record: &Record| texts(&record.event).iter().find_map(|text| excerpt(text, value, AROUND));
    let at = |record: &Record| {
        let label = match &record.event {
            Event::Observation { label, .. } => *label,
            _ => Label::default(),
        };
        Place { seq: record.seq, kind: record.kind.name(), label, excerpt: found(record) }
    };
    if let Some(seq) = origin.at {
        return records.iter().find(|record| record.seq == seq).map(at);
    }
    let mut earlier = records.iter().filter(|record| record.seq < before);
    let holds = |record: &&Record| match (&origin.provenance, &record.event) {
        (Provenance::Content { source }, Event::Observation { source: of, .. }) => source == of,
        (Provenance::Content { .. } | Provenance::User, Event::Goal(_) | Event::Note { .. }) => true,
        (Provenance::User, Event::Approval { .. } | Event::Warrant(_)) => true,
        _ => false,
    };
    earlier.by_ref().filter(holds).map(at).find(|place| place.excerpt.is_some())
}

/// The texts of a record in which a value may stand.
fn texts(event: &Event) -> Vec<String> {
    match event {
        Event::Goal(goal) => {
            let more = goal.trusted.iter().chain(&goal.attached).map(|attached| attached.text.clone());
            [goal.text.clone()].into_iter().chain(more).collect()
        }
        Event::Warrant(warrant) => warrant.effects.iter().map(|effect| effect.targets.join(", ")).collect(),
        Event::Approval { answer: Answer::Feedback { text }, .. } | Event::Note { text, .. } => vec![text.clone()],
        Event::Observation { outcome, structured, .. } => {
            let value = structured.as_ref().map(Value::to_string);
            [outcome.text.clone()].into_iter().chain(value).collect()
        }
        _ => Vec::new(),
    }
}

/// The text that an origin is about: the scalar, or one member of the list that it is (`to#1`).
fn text_of<'s>(scalar: &'s Scalar<'_>, origin: &Origin) -> &'s str {
    let member = origin.param.strip_prefix(&scalar.path).and_then(|rest| rest.strip_prefix('#')?.parse().ok());
    let mut members = scalar.text.split([',', ';', '\n']).map(str::trim).filter(|member| !member.is_empty());
    member.and_then(|at: usize| members.nth(at)).unwrap_or(&scalar.text)
}

fn show(brain: &BrainId, trace: &Trace<'_>, records: &[Record]) {
    let style = style_for_stdout();
    let (seq, verdict) = trace.verdict;
    let tool = encode::terminal_line(&trace.action.tool, 64);
    out(&format!("step {} of {brain}: {tool}   action {}", trace.step, verdict.digest.short()));
    let decision = match verdict.decision {
        Decision::Allow => style.clone().green().apply_to("allowed"),
        Decision::Ask => style.clone().yellow().apply_to("asked"),
        Decision::Deny => style.clone().red().apply_to("denied"),
    };
    out(&format!("{decision} (record {seq})"));
    for reason in &verdict.reasons {
        out(&format!("  {} [{}]", encode::terminal(&reason.words), encode::terminal_line(&reason.rule, 64)));
    }
    out("values");
    for scalar in values::scalars(trace.action, verdict) {
        out(values::line(&scalar, &style, &format!("autoshare show {brain}")).trim_end_matches('\n'));
        for origin in &scalar.origins {
            if let Some(place) = place(origin, text_of(&scalar, origin), seq, records) {
                let (kind, label) = (place.kind, labelled(place.label));
                out(&format!("      record {} ({kind}{label}){}", place.seq, shown(place.excerpt.as_ref())));
            }
        }
    }
    match trace.warrant {
        Some((at, warrant)) => {
            out(&format!("warrant in force (record {at})"));
            out(&question::warrant(warrant));
        }
        None => out("warrant in force: none"),
    }
    if verdict.outside {
        out("  it does not hold this action");
    }
    if let Some((at, answer, by)) = &trace.answer {
        out(&format!("answered (record {at}): {}", approval(answer, by)));
    }
    if let Some((at, outcome, label)) = &trace.outcome {
        out(&format!("came of it (record {at}): {:?}{}", outcome.ending, labelled(*label)));
    }
}

/// What the server's own label took from a result, for the end of a line.
fn labelled(label: Label) -> String {
    if label.is_neutral() { String::new() } else { format!(", labelled {} by its server", label.words()) }
}

/// An excerpt on one line.
fn shown(found: Option<&Excerpt>) -> String {
    let Some(Excerpt { before, value, after }) = found else { return String::new() };
    let line = |text: &str| encode::terminal_line(text, AROUND * 2);
    format!(": …{}[{}]{}…", line(before), line(value), line(after))
}

fn told(brain: &BrainId, trace: &Trace<'_>, records: &[Record]) -> Value {
    let (seq, verdict) = trace.verdict;
    let scalars = values::scalars(trace.action, verdict);
    let values: Vec<Value> = scalars
        .iter()
        .map(|scalar| {
            let origins: Vec<Value> = scalar
                .origins
                .iter()
                .map(|origin| {
                    let place = place(origin, text_of(scalar, origin), seq, records);
                    let excerpt = place.as_ref().and_then(|place| place.excerpt.as_ref());
                    let excerpt = excerpt.map(|Excerpt { before, value, after }| format!("{before}{value}{after}"));
                    json!({
                        "of": origin.param, "provenance": origin.provenance, "role": origin.role, "secret": origin.secret,
                        "label": place.as_ref().map(|place| place.label).filter(|label| !label.is_neutral()),
                        "record": place.map(|place| place.seq), "excerpt": excerpt,
                    })
                })
                .collect();
            json!({"path": scalar.path, "value": scalar.text, "origins": origins})
        })
        .collect();
    json!({
        "brain": brain, "step": trace.step, "tool": trace.action.tool, "action": verdict.digest,
        "verdict": {"record": seq, "decision": verdict.decision, "rules": verdict.reasons, "outside": verdict.outside},
        "values": values,
        "warrant": trace.warrant.map(|(at, warrant)| json!({"record": at, "warrant": warrant})),
        "answer": trace.answer.map(|(at, answer, by)| json!({"record": at, "answer": answer, "by": by})),
        "outcome": trace.outcome.map(|(at, outcome, label)| json!({
            "record": at, "ending": outcome.ending, "label": (!label.is_neutral()).then_some(label),
        })),
    })
}
