//! What models are known to cost and to hold: a table in the program that a file of the user's extends.
//!
//! The form (TOML; unknown keys are errors):
//!
//! ```toml
//! version = 1
//! checked = "2026-11-24"      # when somebody last compared it with the providers' pages; optional
//!
//! [[model]]
//! name = "my-model"           # as it is written after --model, without a provider's prefix
//! window = 131072             # tokens of context
//! max_output = 8192           # tokens of one reply
//! input = 0.5                 # US dollars per million tokens sent
//! output = 1.5                # US dollars per million tokens received
//! cached = 0.05               # the same, sent and had in the provider's cache; left out: as `input`; optional, as are:
//! cache_write = 0.6           # the same, sent and put there
//! provider = "openai"         # where a name without a provider goes
//! tools = true                # what it can do: unknown where it is not said
//! images = true               # images in
//! structured = true           # keeps to a JSON schema
//! reasoning = false           # thinks in tokens of its own
//!
//! [unknown]                   # what is assumed of a model in no table; every key is optional, and without a price it
//!                             # costs the highest one that is known
//! window = 32768
//! max_output = 4096
//! input = 0.0
//! output = 0.0
//! ```

use std::collections::BTreeMap;

use autoshare_core::usage::{MicroUsd, Usage};
use serde::Deserialize;

use crate::error::BrokerError;

const EMBEDDED: &str = include_str!("../models.toml");
/// Bytes of a price table at most.
const MAX_TABLE: usize = 1024 * 1024;
/// Dollars per million tokens at most; more is a slip of the pen.
const MAX_PRICE: f64 = 100_000.0;

/// What a model's tokens cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// A million tokens sent.
    pub input: MicroUsd,
    /// A million tokens received.
    pub output: MicroUsd,
    /// A million tokens sent that the provider had in its cache.
    pub cached: MicroUsd,
    /// A million tokens sent that it put into its cache.
    pub cache_write: MicroUsd,
    /// How this is known. Whoever shows money or enforces a money budget says so when it is [`PriceSource::Assumed`].
    pub source: PriceSource,
}

/// The tokens of one call, as a provider counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// Sent, those below included.
    pub input: u64,
    /// Received, thinking included.
    pub output: u64,
    /// Of those sent, the ones that the provider had in its cache.
    pub cached: u64,
    /// Of those sent, the ones that it put there.
    pub written: u64,
    /// Of those received, the ones that the model thought with and did not show.
    pub reasoning: u64,
}

/// What a model can do, as far as it is known: `None` is unknown, and is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Abilities {
    /// Calls tools.
    pub tools: Option<bool>,
    /// Sees images.
    pub images: Option<bool>,
    /// Keeps to a JSON schema.
    pub structured: Option<bool>,
    /// Thinks before it answers, in tokens of its own.
    pub reasoning: Option<bool>,
}

/// How a price is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriceSource {
    /// From a table.
    Table,
    /// A model in no table, served on this machine: nothing.
    Local,
    /// A model in no table, somewhere else: the table's `[unknown]`.
    Assumed,
    /// A stand-in costs nothing.
    StandIn,
}

impl Price {
    /// Nothing, for that reason.
    pub(crate) fn free(source: PriceSource) -> Self {
        Self::of(&Facts { input: MicroUsd(0), output: MicroUsd(0), cached: None, cache_write: None, ..UNKNOWN }, source)
    }

    pub(crate) fn of(facts: &Facts, source: PriceSource) -> Self {
        let Facts { input, output, .. } = *facts;
        let (cached, cache_write) = (facts.cached.unwrap_or(input), facts.cache_write.unwrap_or(input));
        Self { input, output, cached, cache_write, source }
    }

    /// What so many tokens cost, rounded up.
    #[must_use]
    pub fn usage(&self, input_tokens: u64, output_tokens: u64) -> Usage {
        self.usage_of(&Tokens { input: input_tokens, output: output_tokens, ..Tokens::default() })
    }

    /// What the tokens of a call cost, each kind rounded up.
    #[must_use]
    pub fn usage_of(&self, tokens: &Tokens) -> Usage {
        let part = |tokens: u64, price: MicroUsd| (u128::from(tokens) * u128::from(price.0)).div_ceil(1_000_000);
        let cached = tokens.cached.min(tokens.input);
        let written = tokens.written.min(tokens.input - cached);
        let cost = part(tokens.input - cached - written, self.input)
            .saturating_add(part(cached, self.cached))
            .saturating_add(part(written, self.cache_write))
            .saturating_add(part(tokens.output, self.output));
        Usage {
            input_tokens: tokens.input,
            output_tokens: tokens.output,
            cached_tokens: cached,
            reasoning_tokens: tokens.reasoning.min(tokens.output),
            cost: MicroUsd(u64::try_from(cost).unwrap_or(u64::MAX)),
        }
    }
}

/// A model of the table, for showing.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// Tokens of context.
    pub window: u64,
    /// Tokens of one reply at most.
    pub max_output: u64,
    /// US dollars per million tokens sent.
    pub input_usd_per_million: f64,
    /// US dollars per million tokens received.
    pub output_usd_per_million: f64,
    /// US dollars per million tokens sent that the provider had in its cache, where that is another price.
    pub cached_usd_per_million: Option<f64>,
    /// The provider that serves it.
    pub provider: Option<String>,
    /// What it can do.
    pub abilities: Abilities,
}

/// What is known of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) window: u64,
    pub(crate) max_output: u64,
    pub(crate) input: MicroUsd,
    pub(crate) output: MicroUsd,
    pub(crate) cached: Option<MicroUsd>,
    pub(crate) cache_write: Option<MicroUsd>,
    pub(crate) abilities: Abilities,
}

pub(crate) const UNKNOWN: Facts = Facts {
    window: 32_768,
    max_output: 4_096,
    input: MicroUsd(0),
    output: MicroUsd(0),
    cached: None,
    cache_write: None,
    abilities: Abilities { tools: None, images: None, structured: None, reasoning: None },
};

/// A table of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    models: BTreeMap<String, Facts>,
    /// Who serves a model, where that is said.
    providers: BTreeMap<String, String>,
    unknown: Facts,
    /// Whether a table says what a model in no table costs.
    unknown_is_priced: bool,
}

impl Default for Prices {
    /// The table in the program.
    fn default() -> Self {
        let (models, providers) = (BTreeMap::new(), BTreeMap::new());
        let empty = Self { models, providers, unknown: UNKNOWN, unknown_is_priced: false };
        // A test holds that the embedded table parses; a program without one would still call every price assumed.
        empty.clone().extended(EMBEDDED).unwrap_or(empty)
    }
}

impl Prices {
    /// The table in the program, extended by a user's; where both name a model, the user's entry holds.
    ///
    /// # Errors
    /// [`BrokerError::Prices`] with the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, BrokerError> {
        Self::default().extended(text)
    }

    /// The models in the table, sorted by name.
    #[must_use]
    pub fn known(&self) -> Vec<Known> {
        let row = |(name, facts): (&String, &Facts)| Known {
            name: name.clone(),
            window: facts.window,
            max_output: facts.max_output,
            input_usd_per_million: usd(facts.input),
            output_usd_per_million: usd(facts.output),
            cached_usd_per_million: facts.cached.map(usd),
            provider: self.providers.get(name).cloned(),
            abilities: facts.abilities,
        };
        self.models.iter().map(row).collect()
    }

    /// Whether the model is in the table, under its own name or one that differs by a prefix or date only.
    #[must_use]
    pub fn knows(&self, model: &str) -> bool {
        self.find(model).is_some()
    }

    /// What is assumed of a model in no table. Where no table says what it costs, it costs the highest price that is known:
    /// whoever names a model that nobody listed must not get it for nothing.
    pub(crate) fn unknown(&self) -> Facts {
        if self.unknown_is_priced {
            return self.unknown;
        }
        let highest = |of: fn(&Facts) -> MicroUsd| self.models.values().map(of).max_by_key(|price| price.0);
        let input = highest(|facts| facts.input).unwrap_or(self.unknown.input);
        let output = highest(|facts| facts.output).unwrap_or(self.unknown.output);
        Facts { input, output, ..self.unknown }
    }

    /// Looks a model up: its whole name; then without a provider's prefix (`openai/gpt-5`); then without what marks a
    /// snapshot (`-2025-08-07`, `-20250929`, `-latest`). Never by a shared beginning: `gpt-5-mini` is no `gpt-5`.
    pub(crate) fn find(&self, model: &str) -> Option<Facts> {
        spellings(model).iter().find_map(|name| self.models.get(*name)).copied()
    }

    /// The provider that serves a model without a provider's prefix, if the table says it.
    pub(crate) fn provider_of(&self, model: &str) -> Option<&str> {
        let known = spellings(model).into_iter().find(|name| self.models.contains_key(*name))?;
        self.providers.get(known).map(String::as_str)
    }

    fn extended(mut self, text: &str) -> Result<Self, BrokerError> {
        let wrong = |why: String| BrokerError::Prices { why };
        if text.len() > MAX_TABLE {
            return Err(wrong(format!("it has more than {MAX_TABLE} bytes")));
        }
        let table: Table = toml::from_str(text).map_err(|e| wrong(e.to_string().trim().to_owned()))?;
        if table.version != 1 {
            return Err(wrong(format!("its format version is {}; this program reads version 1", table.version)));
        }
        for row in table.model {
            let raw = RawFacts {
                window: Some(row.window),
                max_output: Some(row.max_output),
                input: Some(row.input),
                output: Some(row.output),
            };
            let name = row.name;
            let bad = |why: String| wrong(format!("model {name:?}: {why}"));
            let mut facts = raw.over(UNKNOWN).map_err(bad)?;
            facts.cached = row.cached.map(|usd| micro("cached", usd)).transpose().map_err(bad)?;
            facts.cache_write = row.cache_write.map(|usd| micro("cache_write", usd)).transpose().map_err(bad)?;
            let Row { tools, images, structured, reasoning, provider, .. } = row;
            facts.abilities = Abilities { tools, images, structured, reasoning };
            match provider {
                Some(provider) => self.providers.insert(name.clone(), provider),
                None => self.providers.remove(&name),
            };
            self.models.insert(name, facts);
        }
        self.unknown_is_priced |= table.unknown.input.is_some() || table.unknown.output.is_some();
        self.unknown = table.unknown.over(self.unknown).map_err(|why| wrong(format!("[unknown]: {why}")))?;
        Ok(self)
    }
}

fn spellings(model: &str) -> [&str; 3] {
    let bare = model.rsplit_once('/').map_or(model, |(_, name)| name);
    [model, bare, without_snapshot(bare)]
}

fn without_snapshot(name: &str) -> &str {
    // `9` stands for a digit.
    let fits = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(b, f)| if f == b'9' { b.is_ascii_digit() } else { b == f })
    };
    let cut = |form: &str| {
        let (bare, end) = name.split_at_checked(name.len().checked_sub(form.len())?)?;
        fits(end, form).then_some(bare)
    };
    cut("-9999-99-99").or_else(|| cut("-99999999")).or_else(|| name.strip_suffix("-latest")).unwrap_or(name)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    version: u32,
    #[serde(rename = "checked")]
    _checked: Option<String>,
    #[serde(default)]
    model: Vec<Row>,
    #[serde(default)]
    unknown: RawFacts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    window: u64,
    max_output: u64,
    input: f64,
    output: f64,
    cached: Option<f64>,
    cache_write: Option<f64>,
    provider: Option<String>,
    tools: Option<bool>,
    images: Option<bool>,
    structured: Option<bool>,
    reasoning: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawFacts {
    window: Option<u64>,
    max_output: Option<u64>,
    input: Option<f64>,
    output: Option<f64>,
}

impl RawFacts {
    fn over(&self, base: Facts) -> Result<Facts, String> {
        let facts = Facts {
            window: self.window.unwrap_or(base.window),
            max_output: self.max_output.unwrap_or(base.max_output),
            input: self.input.map_or(Ok(base.input), |usd| micro("input", usd))?,
            output: self.output.map_or(Ok(base.output), |usd| micro("output", usd))?,
            ..base
        };
        if !(1_024..=100_000_000).contains(&facts.window) {
            return Err(format!("window is {}; use 1024 to 100000000 tokens", facts.window));
        }
        if !(1..=facts.window).contains(&facts.max_output) {
            return Err(format!("max_output is {}; use 1 to the window, {}", facts.max_output, facts.window));
        }
        Ok(facts)
    }
}

/// Dollars as written to millionths, rounded up.
fn micro(what: &str, usd: f64) -> Result<MicroUsd, String> {
    if !(0.0..=MAX_PRICE).contains(&usd) {
        return Err(format!("{what} is {usd}; use 0 to {MAX_PRICE} dollars per million tokens"));
    }
    // In range, so neither sign nor size is lost; half a millionth of slack keeps 0.15 from becoming 0.150001.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
    Ok(MicroUsd((usd * 1_000_000.0 - 1e-6).ceil().max(0.0) as u64))
}

/// At most 1e11 millionths, which a float holds exactly.
#[allow(clippy::cast_precision_loss, reason = "prices are below 2^53 millionths")]
fn usd(price: MicroUsd) -> f64 {
    price.0 as f64 / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_table_parses_and_knows_a_few_dozen_models() {
        let table =
            Prices { models: BTreeMap::new(), providers: BTreeMap::new(), unknown: UNKNOWN, unknown_is_priced: false }
                .extended(EMBEDDED)
                .expect("the embedded table");
        assert!(table.models.len() >= 24, "{} models", table.models.len());
        assert_eq!(table.unknown, UNKNOWN);
    }

    #[test]
    fn names_match_whole_or_without_prefix_and_snapshot_and_never_by_beginning() {
        let row = |name: &str| {
            format!("[[model]]\nname = \"{name}\"\nwindow = 9000\nmax_output = 9\ninput = 1\noutput = 2\n")
        };
        let prices = Prices::parse(&format!("version = 1\n{}{}", row("abc"), row("d-4-5"))).unwrap();
        let cases = [
            ("abc", true),
            ("maker/abc", true),
            ("a/b/abc", true),
            ("abc-2025-08-07", true),
            ("abc-20250807", true),
            ("abc-latest", true),
            ("abc-4-5-20250929", false),
            ("d-4-5-20250929", true),
            ("abc-mini", false),
            ("abc-4", false),
            ("ab", false),
            ("abcd", false),
            ("", false),
        ];
        for (name, known) in cases {
            assert_eq!(prices.knows(name), known, "{name:?}");
        }
    }

    #[test]
    fn a_users_table_extends_the_embedded_one_and_wins() {
        let prices = Prices::parse(
            "version = 1\n[[model]]\nname = \"gpt-5\"\nwindow = 5000\nmax_output = 50\ninput = 0.15\noutput = 0\n\
             [unknown]\nwindow = 8192\ninput = 3\n",
        )
        .unwrap();
        let facts = prices.find("gpt-5").unwrap();
        assert_eq!((facts.window, facts.input, facts.output), (5000, MicroUsd(150_000), MicroUsd(0)));
        assert_eq!(prices.unknown().window, 8192);
        assert_eq!(prices.unknown().input, MicroUsd(3_000_000));
        assert_eq!(prices.unknown().max_output, 4096);
        assert!(prices.known().len() >= Prices::default().known().len());
    }

    #[test]
    fn what_is_misspelt_or_out_of_range_is_refused_with_its_place() {
        let row = |keys: &str| format!("version = 1\n[[model]]\nname = \"m\"\n{keys}\n");
        let whole = "window = 9000\nmax_output = 9\noutput = 2\n";
        let cases = [
            ("not toml".to_owned(), "expected"),
            ("[[model]]".to_owned(), "missing field"),
            ("version = 2".to_owned(), "version is 2"),
            ("version = 1\nprice = 3".to_owned(), "unknown field"),
            (row(&format!("{whole}inputs = 1")), "unknown field"),
            (row(&format!("{whole}input = -1")), "input is -1"),
            (row(&format!("{whole}input = nan")), "input is NaN"),
            (row(&format!("{whole}input = 1e9")), "input is 1000000000"),
            (row(whole), "missing field"),
            (row("window = 9000\nmax_output = 9001\ninput = 1\noutput = 2"), "max_output is 9001"),
            (row("window = 3\nmax_output = 1\ninput = 1\noutput = 2"), "window is 3"),
        ];
        for (text, part) in cases {
            let error = Prices::parse(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn money_is_rounded_up_and_never_overflows() {
        let price = Price { input: MicroUsd(150_000), output: MicroUsd(600_000), ..Price::free(PriceSource::Table) };
        assert_eq!(price.usage(1, 0).cost, MicroUsd(1));
        assert_eq!(price.usage(1_000_000, 1_000_000).cost, MicroUsd(750_000));
        assert_eq!(
            price.usage(u64::MAX, u64::MAX).cost.0,
            u128::from(u64::MAX).saturating_mul(3).div_ceil(4).try_into().unwrap_or(u64::MAX)
        );
    }
}
