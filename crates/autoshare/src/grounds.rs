//! Which statements of an answer rest on whose words, for people and programs.

use autoshare_core::BrainId;
use autoshare_gate::{CarrierKind, Grounds};
use autoshare_guard::encode;
use console::Style;

/// Columns of a statement that are shown.
const STATEMENT: usize = 160;
/// Columns of one source.
const SOURCE: usize = 80;
/// Statements that are shown before it is said how many more there are.
const MAX_SHOWN: usize = 20;

/// The statements that rest on others' words; nothing, if none does.
pub(crate) fn lines(grounds: &Grounds, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    let red = style.clone().red();
    for (at, ground) in grounds.statements.iter().take(MAX_SHOWN).enumerate() {
        let sources: Vec<String> = ground.sources.iter().map(|source| encode::terminal_line(source, SOURCE)).collect();
        let sources = red.apply_to(format!("{}, which you did not write", sources.join(", ")));
        let statement = encode::terminal_line(&ground.statement, STATEMENT);
        lines.push(format!("  {}. {sources}: \"{statement}\"", at + 1));
    }
    if grounds.statements.len() > MAX_SHOWN {
        lines.push(format!("  ... and {} statements more (--json shows all)", grounds.statements.len() - MAX_SHOWN));
    }
    if !grounds.complete {
        lines.push("  the answer is too long for all of it to be looked at".to_owned());
    }
    if !lines.is_empty() {
        lines.insert(0, "rests on:".to_owned());
    }
    for carrier in &grounds.carriers {
        let what = match carrier.kind {
            CarrierKind::Picture => "a picture, which whatever renders the answer would fetch",
            CarrierKind::ComposedAddress => "an address that the model put together after it read what others wrote",
            CarrierKind::Credential => "what looks like a credential",
        };
        let text = encode::terminal_line(&carrier.text, STATEMENT);
        lines.push(format!("{}: {what}: {text}", style.clone().yellow().apply_to("careful")));
    }
    lines
}

/// The same as a JSON line.
pub(crate) fn json_line(brain: &BrainId, grounds: &Grounds) -> String {
    let Grounds { statements, carriers, complete } = grounds;
    crate::screen::ascii_json(&serde_json::json!({
        "brain": brain, "grounds": statements, "carriers": carriers, "complete": complete,
    }))
}
