//! `net`: what a brain's programs reached.

use std::collections::BTreeMap;
use std::process::ExitCode;

use autoshare_core::Seq;
use autoshare_core::event::{Event, NoteKind, Reach};
use autoshare_guard::encode;

use crate::args;
use crate::assemble;
use crate::exit::Failure;
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;

/// `autoshare net BRAIN`.
pub(crate) fn net(settings: &Settings, flags: &args::Brain, look: Look) -> Result<ExitCode, Failure> {
    let data = assemble::data(settings)?;
    let brain = data.store.find(&data.access, &flags.brain)?;
    let events: Vec<Event> =
        data.store.read(&data.access, &brain, Seq(1))?.into_iter().map(|record| record.event).collect();
    let reached = summed(&events);
    if look == Look::Json {
        for one in &reached {
            out(&ascii_json(&serde_json::to_value(one)?));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if reached.is_empty() {
        err(&format!("brain {brain} reached nothing, and was refused nothing"));
    } else {
        let row = |host: &str, numbers: [&str; 4], with: &str| {
            let [connections, refused, sent, received] = numbers;
            format!("{host:<40} {connections:>11} {refused:>8} {sent:>14} {received:>14}  {with}").trim_end().to_owned()
        };
        out(&row("host", ["connections", "refused", "bytes out", "bytes in"], "with"));
        for Reach { target, connections, refused, sent, received, credential } in &reached {
            let numbers = [connections, refused, sent, received].map(u64::to_string);
            let with = encode::terminal_line(credential.as_deref().unwrap_or_default(), 64);
            out(&row(&encode::terminal_line(target, 100), numbers.each_ref().map(String::as_str), &with));
        }
    }
    for event in &events {
        if let Event::Note { kind: NoteKind::Host, text } = event {
            err(&encode::terminal_line(text, 400));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One row for each target and credential.
fn summed(events: &[Event]) -> Vec<Reach> {
    let mut all: BTreeMap<(&str, Option<&str>), Reach> = BTreeMap::new();
    for event in events {
        let Event::Reach(one) = event else { continue };
        let sum = all.entry((&one.target, one.credential.as_deref())).or_insert_with(|| Reach {
            target: one.target.clone(),
            credential: one.credential.clone(),
            connections: 0,
            refused: 0,
            sent: 0,
            received: 0,
        });
        sum.connections = sum.connections.saturating_add(one.connections);
        sum.refused = sum.refused.saturating_add(one.refused);
        sum.sent = sum.sent.saturating_add(one.sent);
        sum.received = sum.received.saturating_add(one.received);
    }
    all.into_values().collect()
}
