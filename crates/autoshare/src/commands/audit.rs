//! `audit`: who did what, and whether the trail of it holds.

use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::process::ExitCode;

use autoshare_access::Access;
use autoshare_core::audit::{Act, Actor, Entry};
use autoshare_store::Durability;
use autoshare_store::audit::{self as trail, Verified};
use autoshare_vault::Vault;

use crate::assemble;
use crate::exit::Failure;
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;
use crate::upkeep::Audit;

/// `autoshare audit ...`.
pub(crate) fn audit(settings: &Settings, command: &Audit, look: Look) -> Result<ExitCode, Failure> {
    match command {
        Audit::Verify { file: Some(file), key: Some(key) } => {
            show(&trail::verify_export(&mut BufReader::new(open(file)?), key)?, look);
        }
        Audit::Verify { .. } => {
            let (access, trail) = opened(settings)?;
            show(&trail.verify(&access)?, look);
        }
        Audit::Export => {
            let (access, trail) = opened(settings)?;
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

/// Writes down what a person did at this machine, in the trail of the tenant that the command line names.
pub(crate) fn note(settings: &Settings, act: Act, about: &str) -> Result<(), Failure> {
    let (access, trail) = opened(settings)?;
    write(&access, &trail, act, about)
}

/// The same in the trail of the data directory's owner, whom it concerns whatever tenant is named.
pub(crate) fn note_of_owner(settings: &Settings, act: Act, about: &str) -> Result<(), Failure> {
    let access = Access::local(&settings.data_dir)?;
    let trail = trail::Audit::open(&settings.data_dir, &access, &Vault::open(&settings.data_dir)?)?;
    write(&access, &trail, act, about)
}

fn write(access: &Access, trail: &trail::Audit, act: Act, about: &str) -> Result<(), Failure> {
    let login = format!("uid {}", rustix::process::geteuid().as_raw());
    let entry = Entry::new(Actor::Local { login: login.as_str().into() }, act, about);
    trail.append(access, &entry, Durability::Synced)?;
    Ok(())
}

/// The trail of the tenant that the command line names, with the right to it.
fn opened(settings: &Settings) -> Result<(Access, trail::Audit), Failure> {
    let vault = Vault::open(&settings.data_dir)?;
    let access = assemble::access(settings)?;
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
