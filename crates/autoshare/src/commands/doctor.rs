//! `doctor`.

use std::process::ExitCode;

use crate::exit::{FAILED, Failure};
use crate::screen::{Look, ascii_json, out};

/// What this machine can confine. Fails when nothing can run here.
pub(crate) fn doctor(look: Look) -> Result<ExitCode, Failure> {
    let report = autoshare_proof::doctor::examine();
    if look == Look::Json {
        out(&ascii_json(&serde_json::to_value(&report)?));
    } else {
        out(autoshare_guard::encode::terminal(&report.text()).trim_end());
    }
    Ok(if report.can_run() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
