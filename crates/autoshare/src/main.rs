//! `autoshare`: the command line. One thin module per command; what another face would need lives in a crate below.
//!
//! The order in [`main`] matters: the launcher is forked while the process has one thread and holds no key, before
//! settings are read and before the runtime starts.

mod args;
mod assemble;
mod changes;
mod commands;
mod exit;
mod grounds;
mod people;
mod prompt;
mod question;
mod screen;
mod settings;
mod sharing;
mod upkeep;
mod values;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use exit::Failure;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn run(args: Args) -> Result<ExitCode, Failure> {
    // Only the cells of `verify` can attack.
    let entry = match args.command {
        args::Command::Verify(_) => autoshare_proof::verify::entry,
        _ => commands::cell_entry,
    };
    let launcher = if args.command.needs_cells() { Some(autoshare_sandbox::Launcher::start(entry)?) } else { None };
    commands::dispatch(args, launcher)
}
