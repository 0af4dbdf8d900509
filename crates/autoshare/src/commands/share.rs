//! `share`: what tenants share with one another.

use std::process::ExitCode;

use autoshare_access::{AccessError, ShareRecord, ShareState};
use autoshare_core::audit::Actor;
use autoshare_core::event::Event;
use autoshare_core::{Seq, TenantName};
use autoshare_guard::encode;
use autoshare_host::shares::{Offered, RISK, ShareError};

use crate::assemble;
use crate::exit::{FAILED, Failure, SETTINGS, UNKNOWN};
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;
use crate::sharing::{OfferShare, Share};

/// `autoshare share ...`.
pub(crate) fn share(settings: &Settings, command: &Share, look: Look) -> Result<ExitCode, Failure> {
    let (access, sharing) = (assemble::access(settings)?, assemble::sharing(settings)?);
    let login = format!("uid {}", rustix::process::geteuid().as_raw());
    let by = Actor::Local { login: login.as_str().into() };
    match command {
        Share::Offer(flags) => offer(settings, flags, &by, look)?,
        Share::List => {
            if look != Look::Json {
                out("SHARE     STATE     FROM                  TO                    FILES      BYTES  NAME");
            }
            for share in sharing.list(&access).map_err(failure)? {
                line(&share, look)?;
            }
        }
        Share::Show { id } => {
            let (share, files) = sharing.show(&access, id).map_err(failure)?;
            if look == Look::Json {
                let mut value = serde_json::to_value(&share)?;
                if let Some(fields) = value.as_object_mut() {
                    let files = files.iter().map(|file| serde_json::json!({"path": file.path, "bytes": file.len}));
                    fields.insert("contents".to_owned(), files.collect());
                    fields.insert("risk".to_owned(), RISK.into());
                }
                out(&ascii_json(&value));
                return Ok(ExitCode::SUCCESS);
            }
            let ShareRecord { from, to, name, note, bytes, digest, .. } = &share;
            out(&format!("{id}: {} of {from}, for {to}", encode::terminal_line(name, 100)));
            if !note.is_empty() {
                out(&format!("{from} says: {}", encode::terminal(note)));
            }
            for file in &files {
                out(&format!("{:>12}  {}", file.len, encode::terminal_line(&file.path, 200)));
            }
            out(&format!("{} files, {bytes} bytes; digest {digest}", files.len()));
            if share.to == *access.tenant() && share.state == ShareState::Offered {
                out(RISK);
                err(&format!("to accept exactly this: {}share accept {id} {digest}", as_tenant(settings)));
            }
        }
        Share::Accept { id, digest } => {
            let share = sharing.accept(&access, &by, id, digest).map_err(failure)?;
            match look {
                Look::Json => line(&share, look)?,
                _ => err(&format!("share {id} is accepted; begin a brain with it: run --share {id}")),
            }
        }
        Share::End { id } => {
            sharing.end(&access, &by, id).map_err(failure)?;
            match look {
                Look::Json => out(&ascii_json(&serde_json::json!({"id": id, "ended": true}))),
                _ => err(&format!("share {id} is over: no brain can read it any more, and its copy is removed")),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn offer(settings: &Settings, flags: &OfferShare, by: &Actor, look: Look) -> Result<(), Failure> {
    let (data, sharing) = (assemble::data(settings)?, assemble::sharing(settings)?);
    let brain = data.store.find(&data.access, &flags.brain)?;
    let records = data.store.read(&data.access, &brain, Seq(1))?;
    let root = records.iter().find_map(|record| match &record.event {
        Event::Goal(goal) => goal.roots.first(),
        _ => None,
    });
    let root = root.ok_or_else(|| Failure::new(UNKNOWN, format!("brain {brain} has no workspace")))?;
    let OfferShare { to, path, name, note, .. } = flags;
    let offered = Offered { to, name, note, workspace: &root.path, path };
    let (share, telling) = sharing.offer(&data.access, by, &offered).map_err(failure)?;
    telling.wait();
    if look == Look::Json {
        return line(&share, look);
    }
    let ShareRecord { id, files, bytes, .. } = share;
    err(&format!("share {id}: {files} files, {bytes} bytes, offered to {to}; `share end {id}` takes it back"));
    Ok(())
}

fn as_tenant(settings: &Settings) -> String {
    settings.tenant.as_ref().map(|tenant: &TenantName| format!("--tenant {tenant} ")).unwrap_or_default()
}

fn line(share: &ShareRecord, look: Look) -> Result<(), Failure> {
    if look == Look::Json {
        out(&ascii_json(&serde_json::to_value(share)?));
        return Ok(());
    }
    let ShareRecord { id, from, to, name, files, bytes, state, .. } = share;
    let state = match state {
        ShareState::Offered => "offered",
        ShareState::Accepted => "accepted",
        ShareState::Ending(_) => "ending",
    };
    let (from, to, name) = (from.as_str(), to.as_str(), encode::terminal_line(name, 40));
    out(&format!("{id}  {state:<8}  {from:<20}  {to:<20}  {files:>5} {bytes:>10}  {name}"));
    Ok(())
}

pub(super) fn failure(error: ShareError) -> Failure {
    let code = match error {
        ShareError::Access(AccessError::NoShare(_)) => UNKNOWN,
        ShareError::Access(_) | ShareError::Copy(_) => SETTINGS,
        _ => FAILED,
    };
    Failure::new(code, error.to_string())
}
