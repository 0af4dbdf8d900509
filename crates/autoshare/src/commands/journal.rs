//! `ps`, `show` and `logs`: what journals say.

use std::process::ExitCode;

use autoshare_brain::{Brain, Status};
use autoshare_core::event::{Event, FinishReason};
use autoshare_core::screening::Held;
use autoshare_core::{BrainId, Seq};
use autoshare_guard::encode;
use autoshare_host::Reading;
use autoshare_server::control::{Ask, Line};
use autoshare_store::Record;

use crate::args;
use crate::assemble::{self, Data};
use crate::exit::Failure;
use crate::screen::{Look, Screen, ascii_json, describe, out};
use crate::settings::Settings;

fn status_word(status: &Status) -> &'static str {
    match status {
        Status::Finished(FinishReason::Done) => "done",
        Status::Finished(FinishReason::Budget) => "budget used up",
        Status::Finished(FinishReason::Loop) => "no progress",
        Status::Finished(FinishReason::Malformed) => "malformed replies",
        Status::Faulted => "faulted",
        Status::Stopped => "stopped",
        _ => "interrupted",
    }
}

/// `autoshare ps`.
pub(crate) fn ps(settings: &Settings, look: Look) -> Result<ExitCode, Failure> {
    let data = assemble::data(settings)?;
    if look != Look::Json {
        out("BRAIN     STATUS          STEPS    TOKENS  COST      GOAL");
    }
    // One without a record was interrupted while it was admitted, and nobody was told of it.
    for row in data.store.brains(&data.access)?.into_iter().filter(|row| row.records > 0) {
        let driver = data.store.driven_by(&data.access, &row.id);
        let records = data.store.read(&data.access, &row.id, Seq(1))?;
        let brain = Brain::fold(records.iter().map(|record| &record.event));
        let status = if driver.is_some() { "running" } else { status_word(&brain.status()) };
        let goal = brain.goal().map(|goal| goal.text.as_str()).unwrap_or_default();
        let used = brain.used();
        if look == Look::Json {
            out(&ascii_json(&serde_json::json!({
                "brain": row.id, "status": status, "pid": driver, "steps": brain.steps(), "used": used, "goal": goal,
                "created_ms": row.created_ms,
            })));
        } else {
            let (id, steps, tokens, cost) = (&row.id, brain.steps(), used.tokens(), used.cost);
            let goal = encode::terminal_line(goal, 60);
            out(&format!("{id}  {status:<14} {steps:>6} {tokens:>9}  {cost:<9} {goal}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `autoshare show BRAIN`: the steps with their verdicts, results and values, in full.
pub(crate) fn show(settings: &Settings, flags: &args::Show, look: Look) -> Result<ExitCode, Failure> {
    let data = assemble::data(settings)?;
    let brain = data.store.find(&data.access, &flags.brain)?;
    if flags.quarantine {
        return quarantine(&data, &brain, look);
    }
    let plain = console::Style::new().force_styling(false);
    let mut reading = Reading::default();
    for record in data.store.read(&data.access, &brain, Seq(1))? {
        reading.take(record.seq, &record.event);
        let grounds = match &record.event {
            Event::Answer { text } => Some(autoshare_gate::grounds(text, reading.history())),
            _ => None,
        };
        if look == Look::Json {
            out(&json_record(&brain, &record));
            if let Some(grounds) = &grounds {
                out(&crate::grounds::json_line(&brain, grounds));
            }
            continue;
        }
        match &record.event {
            Event::Proposal { step, action, .. } => {
                out(&format!(
                    "step {step}  {}  action {}",
                    encode::terminal_line(&action.tool, 64),
                    action.digest().short()
                ));
                for (name, value) in &action.args {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let value = encode::terminal(&value).replace('\n', "\n        ");
                    out(&format!("    {}: {value}", encode::terminal_line(name, 64)));
                }
            }
            Event::Verdict { verdict, .. } => {
                out(&format!("    verdict {:?}: {}", verdict.decision, encode::terminal(&verdict.why())));
                for origin in &verdict.origins {
                    let from = crate::values::provenance(&origin.provenance);
                    out(&format!("      {} {from}", encode::terminal_line(&origin.param, 64)));
                }
            }
            Event::Observation { source, outcome, structured, label, screening, .. } => {
                out(&format!("    {:?} ({}):", outcome.ending, encode::terminal_line(source, 120)));
                out(&format!(
                    "        {}",
                    encode::terminal(&autoshare_guard::shown(&outcome.text, screening)).replace('\n', "\n        ")
                ));
                if let Some(words) = crate::screen::guarded(screening, &outcome.text) {
                    out(&format!("        {words}"));
                }
                if let Some(value) = structured {
                    out(&format!("        as a value: {}", crate::screen::shape(value)));
                }
                if !label.is_neutral() {
                    out(&format!("        labelled by its server: {}", label.words()));
                }
            }
            Event::Answer { text } => {
                out(&format!("answer\n{}", encode::terminal(text)));
                grounds.iter().flat_map(|found| crate::grounds::lines(found, &plain)).for_each(|line| out(&line));
            }
            Event::Finish { text, .. } => out(&format!("finished: {}", encode::terminal(text))),
            other => {
                if let Some(line) = describe(other, &plain) {
                    out(&line);
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `autoshare show BRAIN --quarantine`: each passage that was held back, with its source.
fn quarantine(data: &Data, brain: &BrainId, look: Look) -> Result<ExitCode, Failure> {
    let mut found = false;
    for record in data.store.read(&data.access, brain, Seq(1))? {
        let Event::Observation { step, source, outcome, screening, .. } = &record.event else { continue };
        for (held, text) in autoshare_guard::held(&outcome.text, screening) {
            found = true;
            let Held { at, len, form, percent, why, by } = held;
            if look == Look::Json {
                out(&ascii_json(&serde_json::json!({
                    "brain": brain, "seq": record.seq, "step": step, "source": source, "at": at, "bytes": len,
                    "form": form, "percent": percent, "why": why, "by": by, "text": text,
                })));
                continue;
            }
            let source = encode::terminal_line(source, 120);
            let by = if by.is_empty() { String::new() } else { format!(", by the {}", by.join(" and the ")) };
            let why = match why.as_str() {
                "" => format!("{percent} % sure, as {form}{by}"),
                why => encode::terminal_line(why, 300),
            };
            out(&format!("step {step}  {source}: {len} bytes at {at}, {why}"));
            out(&format!("    | {}", encode::terminal(text).replace('\n', "\n    | ")));
        }
    }
    if !found && look != Look::Json {
        out("nothing was held back");
    }
    Ok(ExitCode::SUCCESS)
}

fn json_record(brain: &BrainId, record: &Record) -> String {
    let (seq, at, kind) = (record.seq, record.at_ms, record.kind.name());
    ascii_json(&serde_json::json!({"brain": brain, "seq": seq, "at_ms": at, "kind": kind, "record": record.event}))
}

/// `autoshare logs [-f] BRAIN`.
pub(crate) fn logs(settings: &Settings, flags: &args::Logs, look: Look) -> Result<ExitCode, Failure> {
    let data = assemble::data(settings)?;
    let brain = data.store.find(&data.access, &flags.brain)?;
    let mut screen = Screen::new(if look == Look::Json { Look::Json } else { Look::Plain });
    let mut next = Seq(1);
    if !flags.follow {
        print_from(&data, &brain, &mut next, &mut screen)?;
        return Ok(ExitCode::SUCCESS);
    }
    super::runtime()?.block_on(async {
        let pid = data.store.driven_by(&data.access, &brain);
        let mut line = match pid {
            Some(pid) => Some(Line::connect(&settings.data_dir, pid).await?),
            None => None,
        };
        if let Some(line) = &mut line {
            line.send(&Ask::Follow { brain: brain.clone() }).await?;
        }
        print_from(&data, &brain, &mut next, &mut screen)?;
        let Some(mut line) = line else { return Ok(()) };
        while let Some(_grown) = line.next().await? {
            print_from(&data, &brain, &mut next, &mut screen)?;
        }
        print_from(&data, &brain, &mut next, &mut screen)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn print_from(data: &Data, brain: &BrainId, next: &mut Seq, screen: &mut Screen) -> Result<(), Failure> {
    for record in data.store.read(&data.access, brain, *next)? {
        *next = record.seq.next();
        screen.log(brain, record.seq, &record.event);
    }
    Ok(())
}
