//! `model list`.

use std::process::ExitCode;

use autoshare_guard::encode;

use crate::assemble;
use crate::exit::Failure;
use crate::screen::{Look, ascii_json, out};
use crate::settings::Settings;

/// The models with known windows and prices, the stand-ins, and the servers found on this machine.
pub(crate) fn list(mut settings: Settings, look: Look) -> Result<ExitCode, Failure> {
    let broker = assemble::broker(&mut settings)?;
    let found = super::runtime()?.block_on(autoshare_broker::discover());
    for row in broker.known() {
        if look == Look::Json {
            out(&ascii_json(&serde_json::json!({
                "name": row.name, "window": row.window, "max_output": row.max_output,
                "input_usd_per_million": row.input_usd_per_million, "output_usd_per_million": row.output_usd_per_million,
            })));
        } else {
            let (input, output) = (row.input_usd_per_million, row.output_usd_per_million);
            out(&format!("{:<32} window {:>8}  ${input} in, ${output} out per million tokens", row.name, row.window));
        }
    }
    for row in found {
        if look == Look::Json {
            out(&ascii_json(&serde_json::json!({"name": row.name, "base_url": row.base_url})));
        } else {
            let (name, url) = (encode::terminal_line(&row.name, 60), encode::terminal_line(&row.base_url, 60));
            out(&format!("{name:<32} at {url}, on this machine"));
        }
    }
    if look != Look::Json {
        out(
            "gullible                         a stand-in that obeys every instruction it reads (docs/stand-in-models.md)",
        );
        out("replay:FILE                      a stand-in that plays a recorded conversation");
    }
    Ok(ExitCode::SUCCESS)
}
