//! `scripted-model --script FILE [--port N]`: an OpenAI-compatible endpoint on loopback that plays a script, for
//! developing without a network. The form of a script is described in `crates/testkit/src/script.rs`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a development tool with a plain face")]
#![allow(clippy::disallowed_methods, reason = "a development tool that reads the file it is given")]

use std::path::PathBuf;
use std::process::ExitCode;

use autoshare_testkit::{Script, ScriptedModel};
use clap::Parser;

/// Plays a scripted model on loopback until it is stopped.
#[derive(Parser)]
struct Flags {
    /// The script, as JSON.
    #[arg(long)]
    script: PathBuf,
    /// The port; 0 is any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    match serve(&flags) {
        Ok(server) => {
            println!("{}", server.base_url());
            eprintln!("use it with OPENAI_BASE_URL={} and any --model; Ctrl-C ends it", server.base_url());
            loop {
                std::thread::park();
            }
        }
        Err(error) => {
            eprintln!("scripted-model: {error}");
            ExitCode::from(2)
        }
    }
}

fn serve(flags: &Flags) -> Result<ScriptedModel, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", flags.script.display());
    let text = std::fs::read_to_string(&flags.script).map_err(|e| named(&e))?;
    let script = Script::parse(&text).map_err(|e| named(&e))?;
    ScriptedModel::start_on(script, flags.port).map_err(|e| format!("port {}: {e}", flags.port))
}
