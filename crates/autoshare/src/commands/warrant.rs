//! What a person says of a goal's warrant before the work begins.

use std::io::{BufRead, Write};

use autoshare_core::event::Goal;
use autoshare_core::warrant::{DrawnBy, Warrant};
use autoshare_gate::{draft, read_warrant, write_warrant};
use autoshare_guard::encode;

use crate::exit::{Failure, SETTINGS};
use crate::screen::{Look, err};
use crate::settings::{WarrantMode, read_text};

/// The warrant that a person gives: `Some(None)` leaves it to the host, `None` means that the person thought better of it.
#[expect(clippy::option_option, reason = "a person may give one, give none, or stop")]
pub(crate) fn given(how: &WarrantMode, goal: &Goal, look: Look) -> Result<Option<Option<Warrant>>, Failure> {
    match how {
        WarrantMode::Auto | WarrantMode::Draft => Ok(Some(None)),
        WarrantMode::File(path) => Ok(Some(Some(read(path, goal)?))),
        WarrantMode::Ask => ask(goal, look),
    }
}

fn read(path: &std::path::Path, goal: &Goal) -> Result<Warrant, Failure> {
    let text = read_text(path)?;
    read_warrant(&text, &goal.tools).map_err(|e| Failure::new(SETTINGS, format!("{}: {e}", path.display())))
}

#[expect(clippy::option_option, reason = "as above")]
#[expect(clippy::print_stderr, reason = "the prompt")]
fn ask(goal: &Goal, look: Look) -> Result<Option<Option<Warrant>>, Failure> {
    let proposed = draft(&goal.text, &goal.tools);
    let text = write_warrant(&proposed).map_err(|e| Failure::new(SETTINGS, e.to_string()))?;
    if look == Look::Json || !crate::prompt::somebody_is_there() {
        let why = "--warrant ask needs somebody at a terminal; use draft, auto, or a file";
        return Err(Failure::new(SETTINGS, why));
    }
    err("What this goal may do outside the workspace:");
    err(&encode::terminal(&text));
    loop {
        eprint!("  [y]es, [n]o, or the name of a file with another warrant (begin with the text above): ");
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
        match line.trim() {
            "" => {}
            "y" | "Y" | "yes" => return Ok(Some(Some(Warrant { by: DrawnBy::Person, ..proposed }))),
            "n" | "N" | "no" => return Ok(None),
            path => match read(std::path::Path::new(path), goal) {
                Ok(warrant) => return Ok(Some(Some(warrant))),
                Err(failure) => drop(failure.report()),
            },
        }
    }
}
