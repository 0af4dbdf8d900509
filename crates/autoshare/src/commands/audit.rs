//! `audit`: who did what, and whether the trail of it holds.

use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::process::ExitCode;

use autoshare_access::{Access, LOCAL};
use autoshare_core::TenantName;
use autoshare_core::audit::{Act, Actor, Entry};
use autoshare_store::Durability;
use autoshare_store::audit::{self as trail, Verified};
use autoshare_vault::Vault;

use crate::exit::{Failure, UNKNOWN};
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;
use crate::upkeep::Audit;

/// `autoshare audit ...`.
pub(crate) fn audit(settings: &Settings, command: &Audit, look: Look) -> Result<ExitCode, Failure> {
    match command {
        Audit::Verify { file: Some(file), key: Some(key), .. } => {
            show(&trail::verify_export(&mut BufReader::new(open(file)?), key)?, look);
        }
        Audit::Verify { of, .. } => {
            let (access, trail) = opened(settings, &of.tenant)?;
            show(&trail.verify(&access)?, look);
        }
        Audit::Export { of } => {
            let (access, trail) = opened(settings, &of.tenant)?;
            let verified = trail.export(&access, &mut BufWriter::new(std::io::stdout().lock()))?;
            err(&format!("{} entries, signed up to the last", verified.entries));
        }
        Audit::Key => {
            let key = Vault::open(&settings.data_dir)?.signing_key()?.public();
            out(&if look == Look::Json {
                ascii_json(&serde_json::json!({"key": key.to_string()}))
            } else {
                key.to_string()
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes down what a person did at this machine.
pub(crate) fn note(settings: &Settings, tenant: &TenantName, act: Act, about: &str) -> Result<(), Failure> {
    let (access, trail) = opened(settings, tenant)?;
    let login = format!("uid {}", rustix::process::geteuid().as_raw());
    let entry = Entry::new(Actor::Local { login: login.as_str().into() }, act, about);
    trail.append(&access, &entry, Durability::Synced)?;
    Ok(())
}

/// The tenant of the data directory's owner.
pub(crate) fn local() -> Result<TenantName, Failure> {
    TenantName::parse(LOCAL).map_err(|error| Failure::new(crate::exit::FAILED, error.to_string()))
}

/// The trail of a tenant, with the right to it.
fn opened(settings: &Settings, tenant: &TenantName) -> Result<(Access, trail::Audit), Failure> {
    let vault = Vault::open(&settings.data_dir)?;
    let access = Access::local(&settings.data_dir)?;
    if access.tenant() != tenant {
        return Err(Failure::new(UNKNOWN, format!("there is no tenant {tenant}")));
    }
    let trail = trail::Audit::open(&settings.data_dir, &access, &vault)?;
    Ok((access, trail))
}

fn show(verified: &Verified, look: Look) {
    let Verified { tenant, entries, head, signed, signed_ms } = verified;
    if look == Look::Json {
        let value = serde_json::json!({
            "tenant": tenant, "entries": entries, "head": head, "signed": signed, "signed_ms": signed_ms,
        });
        out(&ascii_json(&value));
        return;
    }
    out(&format!("tenant {tenant}: {entries} entries, all as they were written; the last is {head}"));
    if signed < entries {
        err(&format!("signed up to entry {signed}: nobody vouches yet that the later ones are all there were"));
    }
}

/// A file that the operator named.
pub(crate) fn open(file: &Path) -> Result<std::fs::File, Failure> {
    std::fs::OpenOptions::new()
        .read(true)
        .open(file)
        .map_err(|error| Failure::new(crate::exit::FAILED, format!("cannot open {}: {error}", file.display())))
}
