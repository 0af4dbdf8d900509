//! `[budget]`: what the tenant may use.

use std::collections::BTreeMap;

use autoshare_core::budget::{Budget, Cap, Caps, ModelPattern};
use autoshare_core::usage::MicroUsd;
use autoshare_store::ledger::Budgets;
use serde::Deserialize;

use super::SettingsError;

/// Patterns of models that have a budget, at most.
const MAX_MODELS: usize = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BudgetSection {
    call: CapSection,
    run: CapSection,
    day: CapSection,
    month: CapSection,
    soft: WindowsSection,
    models: BTreeMap<String, ModelSection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WindowsSection {
    call: CapSection,
    run: CapSection,
    day: CapSection,
    month: CapSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ModelSection {
    call: CapSection,
    run: CapSection,
    day: CapSection,
    month: CapSection,
    soft: WindowsSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CapSection {
    requests: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    tokens: Option<u64>,
    cost: Option<String>,
}

/// The budgets of a file.
pub(super) fn budgets(section: &BudgetSection) -> Result<Budgets, SettingsError> {
    let BudgetSection { call, run, day, month, soft, models } = section;
    let tenant = Budget { hard: caps("budget", [call, run, day, month])?, soft: soft.caps("budget.soft")? };
    if models.len() > MAX_MODELS {
        let (name, value) = ("budget.models".to_owned(), models.len().to_string());
        return Err(SettingsError::Wrong { name, value, why: format!("use {MAX_MODELS} patterns at most") });
    }
    let model = |(pattern, section): (&String, &ModelSection)| {
        let name = format!("budget.models.{pattern:?}");
        let wrong = |why| SettingsError::Wrong { name: name.clone(), value: pattern.clone(), why };
        let ModelSection { call, run, day, month, soft } = section;
        let hard = caps(&name, [call, run, day, month])?;
        let soft = soft.caps(&format!("{name}.soft"))?;
        Ok((ModelPattern::parse(pattern).map_err(wrong)?, Budget { hard, soft }))
    };
    Ok(Budgets { tenant, models: models.iter().map(model).collect::<Result<_, _>>()? })
}

impl WindowsSection {
    fn caps(&self, name: &str) -> Result<Caps, SettingsError> {
        caps(name, [&self.call, &self.run, &self.day, &self.month])
    }
}

fn caps(name: &str, [call, run, day, month]: [&CapSection; 4]) -> Result<Caps, SettingsError> {
    Ok(Caps {
        call: call.cap(&format!("{name}.call"))?,
        run: run.cap(&format!("{name}.run"))?,
        day: day.cap(&format!("{name}.day"))?,
        month: month.cap(&format!("{name}.month"))?,
    })
}

impl CapSection {
    fn cap(&self, name: &str) -> Result<Cap, SettingsError> {
        let usd = |text: &String| {
            MicroUsd::parse_usd(text).map_err(|why| SettingsError::Wrong {
                name: format!("{name}.cost"),
                value: text.clone(),
                why,
            })
        };
        Ok(Cap {
            requests: self.requests,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            tokens: self.tokens,
            cost: self.cost.as_ref().map(usd).transpose()?,
        })
    }
}
