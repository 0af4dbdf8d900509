//! `usage`: what was used, by day, model, brain or token.

use std::collections::BTreeMap;
use std::process::ExitCode;

use autoshare_core::usage::Usage as Used;
use autoshare_guard::encode;
use autoshare_store::ledger::UsageRow;

use crate::args::{By, Usage};
use crate::assemble;
use crate::exit::Failure;
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;

/// Days that are shown unless the first is named, today included.
const DAYS: u32 = 30;
/// Characters of the longest bar.
const BAR: u64 = 40;
/// Characters of a name in a table.
const NAME: usize = 40;

/// The sum behind one line.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    requests: u64,
    failed: u64,
    used: Used,
}

impl Sum {
    fn add(&mut self, row: &UsageRow) {
        self.requests = self.requests.saturating_add(row.requests);
        self.failed = self.failed.saturating_add(row.failed);
        self.used += row.used;
    }
}

/// `autoshare usage`.
pub(crate) fn usage(settings: &Settings, flags: &Usage, look: Look) -> Result<ExitCode, Failure> {
    let access = assemble::access(settings)?;
    let ledger = assemble::ledger(settings, &access)?;
    let (today, clock) = ledger.today();
    if today > clock {
        err(&format!(
            "warning: {today} was seen already and the clock says {clock}: budgets stay in {today} until that day is over \
             (docs/budgets.md)"
        ));
    }
    let since = flags.since.unwrap_or_else(|| today.before(DAYS - 1));
    let (mut sums, mut total) = (BTreeMap::<String, Sum>::new(), Sum::default());
    for row in ledger.usage(&access, since)? {
        sums.entry(key(flags.by, &row)).or_default().add(&row);
        total.add(&row);
    }
    let lines: Vec<_> = sums.into_iter().collect();
    match (look, flags.csv, flags.plot) {
        (Look::Json, ..) => json(flags.by, &lines),
        (_, true, _) => csv(flags.by, &lines),
        (_, _, true) => plot(&lines, &total),
        _ => table(flags.by, &lines, &total),
    }
    if lines.is_empty() && look != Look::Json {
        err(&format!("nothing was used since {since}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn key(by: By, row: &UsageRow) -> String {
    match by {
        By::Day => row.day.to_string(),
        By::Model => row.model.clone(),
        By::Brain => row.brain.as_ref().map(ToString::to_string).unwrap_or_default(),
        By::Token => row.token.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

const fn word(by: By) -> &'static str {
    match by {
        By::Day => "day",
        By::Model => "model",
        By::Brain => "brain",
        By::Token => "token",
    }
}

/// A name for a person. Models may have been named by anybody.
fn shown(name: &str) -> String {
    if name.is_empty() { "(none)".to_owned() } else { encode::terminal_line(name, NAME) }
}

fn table(by: By, lines: &[(String, Sum)], total: &Sum) {
    let total = [("together".to_owned(), *total)];
    let width = lines.iter().map(|(name, _)| shown(name).chars().count()).max().unwrap_or_default().max(10);
    let head = ["REQUESTS", "FAILED", "INPUT", "CACHED", "OUTPUT", "THOUGHT"];
    let head: String = head.iter().map(|word| format!(" {word:>12}")).collect();
    out(&format!("{:<width$}{head} {:>14}", word(by).to_uppercase(), "COST"));
    for (name, Sum { requests, failed, used }) in lines.iter().chain(total.iter().filter(|_| lines.len() > 1)) {
        let Used { input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost } = used;
        let numbers = [requests, failed, input_tokens, cached_tokens, output_tokens, reasoning_tokens];
        let numbers: String = numbers.iter().map(|number| format!(" {number:>12}")).collect();
        out(&format!("{:<width$}{numbers} {:>14}", shown(name), cost.to_string()));
    }
}

fn json(by: By, lines: &[(String, Sum)]) {
    for (name, Sum { requests, failed, used }) in lines {
        let name = Some(name).filter(|name| !name.is_empty());
        out(&ascii_json(&serde_json::json!({
            word(by): name, "requests": requests, "failed": failed, "input_tokens": used.input_tokens,
            "cached_tokens": used.cached_tokens, "output_tokens": used.output_tokens,
            "reasoning_tokens": used.reasoning_tokens, "cost_micro_usd": used.cost,
        })));
    }
}

fn csv(by: By, lines: &[(String, Sum)]) {
    out(&format!("{},requests,failed,input_tokens,cached_tokens,output_tokens,reasoning_tokens,cost_usd", word(by)));
    for (name, Sum { requests, failed, used }) in lines {
        let Used { input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost } = used;
        let usd = format!("{}.{:06}", cost.0 / 1_000_000, cost.0 % 1_000_000);
        out(&format!(
            "{},{requests},{failed},{input_tokens},{cached_tokens},{output_tokens},{reasoning_tokens},{usd}",
            field(name)
        ));
    }
}

/// A field of a table that a spreadsheet may open: quoted, and never the beginning of a formula.
fn field(name: &str) -> String {
    let name = encode::terminal_line(name, 200);
    let formula = name.starts_with(['=', '+', '-', '@']);
    let name = if formula { format!("'{name}") } else { name };
    if formula || name.contains(['"', ',']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name }
}

/// Bars of money, or of tokens where nothing cost anything.
fn plot(lines: &[(String, Sum)], total: &Sum) {
    let is_free = total.used.cost.0 == 0;
    let amount = |sum: &Sum| if is_free { sum.used.tokens() } else { sum.used.cost.0 };
    let most = lines.iter().map(|(_, sum)| amount(sum)).max().unwrap_or_default().max(1);
    let width = lines.iter().map(|(name, _)| shown(name).chars().count()).max().unwrap_or_default();
    for (name, sum) in lines {
        let length = u128::from(amount(sum)) * u128::from(BAR) / u128::from(most);
        let bar: String = (0..length.max(u128::from(amount(sum) > 0))).map(|_| '█').collect();
        let words = if is_free { format!("{} tokens", sum.used.tokens()) } else { sum.used.cost.to_string() };
        let bar_width = usize::try_from(BAR).unwrap_or_default();
        out(&format!("{:<width$}  {bar:<bar_width$}  {words}", shown(name)));
    }
}
