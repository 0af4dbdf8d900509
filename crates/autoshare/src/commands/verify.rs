//! `verify`.

use std::process::ExitCode;

use autoshare_guard::encode;
use autoshare_proof::verify::{Report, Stress, verify as attack};
use autoshare_sandbox::Launcher;

use crate::args::Verify;
use crate::exit::{FAILED, Failure};
use crate::screen::{Look, ascii_json, out};

/// Attacks fresh cells on this machine. Fails when anything got through.
pub(crate) fn verify(launcher: &Launcher, flags: &Verify, look: Look) -> Result<ExitCode, Failure> {
    let stress = if flags.stress { Stress::With } else { Stress::Without };
    let say = |text: &str| {
        if look != Look::Json {
            out(&encode::terminal(text));
        }
    };
    say(&Report::heading());
    let report = attack(launcher, stress, |line| say(&line.text()))?;
    if look == Look::Json {
        out(&ascii_json(&serde_json::to_value(&report)?));
    } else {
        say(&format!("\n{}", report.summary()));
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
