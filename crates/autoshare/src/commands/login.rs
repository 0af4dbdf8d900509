//! `login`: a token of a server elsewhere, for whoever signs in in their browser.

use std::process::ExitCode;

use autoshare_guard::encode;
use autoshare_server::login::{ProgramError, ProgramLogin};

use super::runtime;
use crate::exit::{FAILED, Failure, SETTINGS};
use crate::people::Login;
use crate::prompt::{self, Typed};
use crate::screen::{Look, ascii_json, err, out};
use crate::settings::Settings;

/// Characters of a code at most.
const MAX_CODE: usize = 200;

/// `autoshare login`. The token is printed and kept nowhere.
pub(crate) fn login(settings: &Settings, flags: &Login, look: Look) -> Result<ExitCode, Failure> {
    let tenant = settings.tenant.as_ref();
    let tenant = tenant.ok_or_else(|| Failure::new(SETTINGS, "say which tenant you sign in to: --tenant NAME"))?;
    let login = ProgramLogin::new(&flags.server, tenant).map_err(failure)?;
    err(&format!("open this in your browser, and sign in:\n\n  {}\n", encode::terminal(login.url())));
    let code = match prompt::secret("the code that it shows (not shown here): ", MAX_CODE)? {
        Typed::Text(code) => code,
        Typed::TooLong => return Err(Failure::new(SETTINGS, "that is no code: copy what the page shows, and no more")),
        Typed::GivenUp => return Err(Failure::new(FAILED, "nobody signed in")),
    };
    let session = runtime()?.block_on(login.redeem(&code)).map_err(failure)?;
    if look == Look::Json {
        out(&ascii_json(&serde_json::to_value(&session)?));
        return Ok(ExitCode::SUCCESS);
    }
    let shown = |text: &str| encode::terminal_line(text, 200);
    let (name, tenant, end) = (shown(&session.name), shown(&session.tenant), shown(&session.expires_at));
    err(&format!("you are {name}, of {tenant}, until {end}; this token is shown once and kept nowhere:"));
    out(&shown(&session.token));
    Ok(ExitCode::SUCCESS)
}

fn failure(error: ProgramError) -> Failure {
    let code = if matches!(error, ProgramError::Address(_)) { SETTINGS } else { FAILED };
    Failure::new(code, error.to_string())
}
