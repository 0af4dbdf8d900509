//! `doctor`.

use std::process::ExitCode;

use crate::exit::{FAILED, Failure};
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::{Confine, GlobalFlags, Settings};

/// What this machine can confine, and what the settings leave unchecked. Fails when nothing can run here.
pub(crate) fn doctor(flags: &GlobalFlags, look: Look) -> Result<ExitCode, Failure> {
    let report = autoshare_proof::doctor::examine();
    // A settings file that cannot be used is no reason to say nothing of the machine.
    let listed = match Settings::load(flags) {
        Ok(settings) => {
            let mut listed = settings.models.listed();
            if settings.serve.confine == Confine::Off {
                listed.push("serve.confine is off: what serves others keeps every power of its user".to_owned());
            }
            listed
        }
        Err(error) => {
            err(&format!("warning: {}", autoshare_guard::encode::terminal(&error.to_string())));
            Vec::new()
        }
    };
    if look == Look::Json {
        let mut value = serde_json::to_value(&report)?;
        if let Some(map) = value.as_object_mut() {
            map.insert("settings".to_owned(), serde_json::json!(listed));
        }
        out(&ascii_json(&value));
    } else {
        out(autoshare_guard::encode::terminal(&report.text()).trim_end());
        for line in listed {
            out(&format!("settings: {}", autoshare_guard::encode::terminal(&line)));
        }
    }
    Ok(if report.can_run() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
