//! `tenant`: who is served beside the owner of the data directory.

use std::process::ExitCode;

use autoshare_access::{AccessError, TenantRecord, TenantState, Terms};
use autoshare_core::audit::Act;
use autoshare_core::budget::ModelPattern;
use autoshare_core::usage::MicroUsd;
use autoshare_guard::encode;

use super::audit::note_of_owner;
use crate::args::{Tenant, TenantTerms};
use crate::assemble;
use crate::exit::{FAILED, Failure, SETTINGS, UNKNOWN};
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;

/// `autoshare tenant ...`.
pub(crate) fn tenant(settings: &Settings, command: &Tenant, look: Look) -> Result<ExitCode, Failure> {
    let (operator, tenants) = assemble::tenants(settings)?;
    let record = match command {
        Tenant::List => return list(&tenants.list(&operator).map_err(failure)?, look),
        Tenant::New { name, terms } => tenants.create(&operator, name, changed(Terms::default(), terms)?),
        Tenant::Set { name, terms } => {
            let known = tenants.get(&operator, name).map_err(failure)?;
            tenants.set_terms(&operator, name, changed(known.terms.clone(), terms)?)
        }
        Tenant::Suspend { name } => tenants.set_state(&operator, name, TenantState::Suspended),
        Tenant::Resume { name } => tenants.set_state(&operator, name, TenantState::Active),
    };
    let record = record.map_err(failure)?;
    let act = match command {
        Tenant::New { .. } => Act::TenantCreated,
        Tenant::Suspend { .. } => Act::TenantSuspended,
        Tenant::Resume { .. } => Act::TenantResumed,
        Tenant::Set { .. } | Tenant::List => Act::TenantChanged,
    };
    note_of_owner(settings, act, record.name.as_str())?;
    if look == Look::Json {
        out(&ascii_json(&serde_json::to_value(&*record)?));
    } else {
        let (name, state) = (&record.name, state(&record));
        err(&format!("tenant {name} is {state}; `autoshare --tenant {name} token new ...` makes it a token"));
    }
    Ok(ExitCode::SUCCESS)
}

fn failure(error: AccessError) -> Failure {
    let code = match error {
        AccessError::NoTenant(_) => UNKNOWN,
        AccessError::Terms(_) | AccessError::TenantExists(_) => SETTINGS,
        _ => FAILED,
    };
    Failure::new(code, error.to_string())
}

/// The terms with what the command line says in place of what they said.
fn changed(mut terms: Terms, flags: &TenantTerms) -> Result<Terms, Failure> {
    let wrong = |why: String| Failure::new(SETTINGS, why);
    terms.weight = flags.weight.unwrap_or(terms.weight);
    terms.awake = flags.awake.unwrap_or(terms.awake);
    terms.brains = flags.brains.unwrap_or(terms.brains);
    terms.disk_bytes = flags.disk.unwrap_or(terms.disk_bytes);
    terms.model = flags.model.clone().or(terms.model);
    if !flags.allow_model.is_empty() {
        let patterns = flags.allow_model.iter().map(|text| ModelPattern::parse(text));
        terms.models = patterns.collect::<Result<_, _>>().map_err(wrong)?;
    }
    let usd = |text: &Option<String>| text.as_deref().map(MicroUsd::parse_usd).transpose();
    let hard = &mut terms.budget.hard;
    hard.day.cost = usd(&flags.day_cost).map_err(wrong)?.or(hard.day.cost);
    hard.month.cost = usd(&flags.month_cost).map_err(wrong)?.or(hard.month.cost);
    terms.requests_per_minute = flags.requests_per_minute.or(terms.requests_per_minute);
    Ok(terms)
}

const fn state(record: &TenantRecord) -> &'static str {
    match record.state {
        TenantState::Active => "active",
        TenantState::Suspended => "suspended",
        TenantState::Leaving => "leaving",
    }
}

fn list(records: &[std::sync::Arc<TenantRecord>], look: Look) -> Result<ExitCode, Failure> {
    if look != Look::Json {
        out("TENANT                STATE      WEIGHT  AWAKE  MODEL");
    }
    for record in records {
        if look == Look::Json {
            out(&ascii_json(&serde_json::to_value(&**record)?));
            continue;
        }
        let TenantRecord { name, terms, .. } = &**record;
        let model = encode::terminal_line(terms.model.as_deref().unwrap_or("-"), 40);
        out(&format!("{:<20}  {:<9}  {:>6}  {:>5}  {model}", name.as_str(), state(record), terms.weight, terms.awake));
    }
    Ok(ExitCode::SUCCESS)
}
