//! `key`, `backup`, `restore`: keys and data, each kept apart from the other.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use autoshare_access::{Access, AccessError, LOCAL};
use autoshare_core::TenantName;
use autoshare_core::audit::Act;
use autoshare_core::day::Day;
use autoshare_store::backup;
use autoshare_vault::bundle::{self, Bundle, MachineKeys};
use autoshare_vault::{Sensitive, Vault, Zeroizing};

use super::audit::{self, note, note_of_owner};
use super::token::{EXPIRES, now_ms, span_ms};
use crate::assemble;
use crate::exit::{FAILED, Failure, SETTINGS};
use crate::prompt::{self, Typed};
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;
use crate::upkeep::Key;

/// Bytes of a bundle at most.
const MAX_BUNDLE: u64 = 128 * 1024 * 1024;
/// Characters of a recovery key at most, with what a person may put around it.
const MAX_RECOVERY: usize = 256;

/// `autoshare key ...`.
pub(crate) fn key(settings: &Settings, command: &Key, look: Look) -> Result<ExitCode, Failure> {
    match command {
        Key::Rotate(which) => rotate(settings, which.machine, look)?,
        Key::Backup { file, expires, key_file } => back_up(settings, file, expires, key_file.as_deref(), look)?,
        Key::Restore { file, key_file } => restore(settings, file, key_file.as_deref(), look)?,
        Key::Bundles => {
            let vault = Vault::open(&settings.data_dir)?;
            let bundles = match &settings.tenant {
                Some(tenant) => vault.bundles_with(tenant, now_ms())?,
                None => vault.bundles(now_ms())?,
            };
            bundles.iter().for_each(|bundle| show(bundle, look));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The machine's key, or that of the tenant which the command line names.
fn rotate(settings: &Settings, is_machine: bool, look: Look) -> Result<(), Failure> {
    let vault = Vault::open(&settings.data_dir)?;
    if !is_machine && settings.tenant.is_none() {
        return Err(Failure::new(SETTINGS, "say which key: --machine, or a tenant's with --tenant NAME"));
    }
    let said = if !is_machine {
        let access = assemble::access(settings)?;
        let tenant = access.tenant();
        let generation = vault.rotate_tenant(tenant)?;
        note(settings, Act::KeyRotated, &format!("tenant {tenant}, generation {generation}"))?;
        tell(look, &serde_json::json!({"tenant": tenant, "generation": generation}));
        format!("what tenant {tenant} seals from now on is sealed under generation {generation}; older ones still open")
    } else {
        let wrapped = vault.rotate_machine()?;
        note_of_owner(settings, Act::KeyRotated, "machine")?;
        tell(look, &serde_json::json!({"machine": true, "tenants": wrapped}));
        format!(
            "the keys of {wrapped} tenants are wrapped under a new machine key; older backups of keys still open theirs"
        )
    };
    if look != Look::Json {
        err(&said);
    }
    Ok(())
}

fn back_up(
    settings: &Settings,
    file: &Path,
    expires: &str,
    key_file: Option<&Path>,
    look: Look,
) -> Result<(), Failure> {
    let span = span_ms(expires).ok_or_else(|| Failure::new(SETTINGS, EXPIRES))?;
    let now = now_ms();
    let vault = Vault::open(&settings.data_dir)?;
    let (bundle, sealed, recovery) = vault.bundle(now, now.saturating_add(span))?;
    // The key last: without the bundle it is of no use to anybody.
    write(file, &sealed)?;
    if let Some(key_file) = key_file {
        let line = Zeroizing::new(format!("{}\n", recovery.expose()));
        write(key_file, line.as_bytes())?;
    }
    note_of_owner(settings, Act::BackupMade, &format!("keys, bundle {}", bundle.name))?;
    if look == Look::Json {
        let mut value = about(&bundle);
        if let (None, Some(fields)) = (key_file, value.as_object_mut()) {
            fields.insert("recovery_key".to_owned(), recovery.expose().into());
        }
        out(&ascii_json(&value));
        return Ok(());
    }
    if key_file.is_none() {
        out(recovery.expose());
    }
    let where_it_is = key_file.map_or_else(
        || "keep what is printed apart from it, it is not shown again".to_owned(),
        |file| format!("keep {} apart from it", file.display()),
    );
    err(&format!(
        "bundle {} holds the keys of {} tenants and can be restored until {}; {where_it_is}",
        bundle.name,
        bundle.tenants.len(),
        Day::of_ms(bundle.expires_ms)
    ));
    Ok(())
}

fn restore(settings: &Settings, file: &Path, key_file: Option<&Path>, look: Look) -> Result<(), Failure> {
    let sealed = read(file, MAX_BUNDLE)?;
    let recovery = match key_file {
        Some(file) => {
            let text = read(file, MAX_RECOVERY as u64)?;
            Sensitive::new(String::from_utf8_lossy(&text).into_owned())
        }
        None => match prompt::secret("recovery key (not shown): ", MAX_RECOVERY)? {
            Typed::Text(text) => Sensitive::new(text),
            Typed::TooLong | Typed::GivenUp => return Err(Failure::new(FAILED, "nothing was restored")),
        },
    };
    let restored = bundle::restore(&settings.data_dir, &sealed, recovery.expose(), now_ms())?;
    let names = |names: &[TenantName]| names.iter().map(TenantName::as_str).collect::<Vec<_>>().join(", ");
    let vault = Vault::open(&settings.data_dir)?;
    if vault.holds(&TenantName::parse(LOCAL).map_err(AccessError::from)?)? {
        note_of_owner(settings, Act::BackupRestored, &format!("keys of {}", names(&restored.tenants)))?;
    }
    if look == Look::Json {
        let machine = match restored.machine {
            MachineKeys::Restored => "restored",
            MachineKeys::Same => "same",
            MachineKeys::Other => "other",
        };
        let value = serde_json::json!({"machine": machine, "tenants": restored.tenants, "kept": restored.kept});
        out(&ascii_json(&value));
        return Ok(());
    }
    for (what, tenants) in [("restored", &restored.tenants), ("there already, and left as they are", &restored.kept)] {
        if !tenants.is_empty() {
            err(&format!("{what}: keys of {}", names(tenants)));
        }
    }
    err(match restored.machine {
        MachineKeys::Restored => "the machine's keys are those of the bundle",
        MachineKeys::Same => "the machine's keys are the same",
        MachineKeys::Other => {
            "the machine's keys are others and stay: make tokens anew, and check audit trails of before with the public \
             key of before"
        }
    });
    Ok(())
}

/// `autoshare backup DIR`.
pub(crate) fn back_up_data(settings: &Settings, to: &Path, look: Look) -> Result<ExitCode, Failure> {
    let manifest = backup::back_up(&settings.data_dir, &Access::local(&settings.data_dir)?, to)?;
    note_of_owner(settings, Act::BackupMade, "data")?;
    tell_manifest(&manifest, "backed up", look);
    if look != Look::Json {
        err(&format!("left out: {} (keys: autoshare key backup)", backup::LEFT_OUT.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}

/// `autoshare restore DIR`.
pub(crate) fn restore_data(settings: &Settings, from: &Path, look: Look) -> Result<ExitCode, Failure> {
    let manifest = backup::restore(from, &settings.data_dir, &Access::local(&settings.data_dir)?)?;
    tell_manifest(&manifest, "restored", look);
    // Where there are no keys yet none is made: those of the backup are to come.
    if !settings.data_dir.join("keys").exists() {
        err("no keys are there: put them back with `autoshare key restore` before anything else");
    } else if Vault::open(&settings.data_dir)?.holds(&TenantName::parse(LOCAL).map_err(AccessError::from)?)? {
        note_of_owner(settings, Act::BackupRestored, "data")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn tell_manifest(manifest: &backup::Manifest, what: &str, look: Look) {
    let (files, bytes, tenants) = (manifest.files.len(), manifest.bytes(), manifest.tenants());
    tell(look, &serde_json::json!({"files": files, "bytes": bytes, "tenants": tenants, "made_ms": manifest.made_ms}));
    if look != Look::Json {
        out(&format!("{what}: {files} files, {bytes} bytes, tenants: {}", tenants.join(", ")));
    }
}

fn tell(look: Look, value: &serde_json::Value) {
    if look == Look::Json {
        out(&ascii_json(value));
    }
}

fn about(bundle: &Bundle) -> serde_json::Value {
    let Bundle { name, made_ms, expires_ms, tenants } = bundle;
    serde_json::json!({"bundle": name, "made_ms": made_ms, "expires_ms": expires_ms, "tenants": tenants})
}

fn show(bundle: &Bundle, look: Look) {
    if look == Look::Json {
        out(&ascii_json(&about(bundle)));
        return;
    }
    let names: Vec<_> = bundle.tenants.iter().map(TenantName::as_str).collect();
    let (made, ends) = (Day::of_ms(bundle.made_ms), Day::of_ms(bundle.expires_ms));
    out(&format!("{}  made {made}  until {ends}  {}", bundle.name, names.join(", ")));
}

/// Makes a file that only its owner may touch.
fn write(file: &Path, contents: &[u8]) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(file);
    made.and_then(|mut made| made.write_all(contents).and_then(|()| made.sync_all()))
        .map_err(|error| Failure::new(FAILED, format!("cannot make {}: {error}", file.display())))
}

fn read(file: &Path, max: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    audit::open(file)?
        .take(max)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(FAILED, format!("cannot read {}: {error}", file.display())))?;
    Ok(bytes)
}
