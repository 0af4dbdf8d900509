//! One thin module per command.

mod approve;
mod audit;
mod demo;
mod doctor;
mod drive;
mod exec;
mod explain;
mod journal;
mod key;
mod login;
mod mcp;
mod model;
mod net;
mod person;
mod policy;
mod run;
mod scan;
mod secret;
mod serve;
mod share;
mod tenant;
pub(crate) mod token;
mod tool;
mod undo;
mod usage;
mod verify;
mod warrant;
mod what_if;

use std::process::ExitCode;

use autoshare_sandbox::{Inside, Launcher};
use clap::CommandFactory;

use crate::args::{Args, Command};
use crate::exit::Failure;
use crate::screen::Look;
use crate::settings::Settings;

/// What runs inside every cell.
pub(crate) fn cell_entry(inside: Inside) -> i32 {
    if let Some(programs) = inside.programs {
        return i32::from(autoshare_cell::serve_programs(inside.socket, programs).is_err());
    }
    // A cell without roots takes a stranger's document apart.
    if inside.roots.is_empty() {
        return i32::from(autoshare_cell::serve_reader(inside.socket, inside.probes).is_err());
    }
    let roots = inside
        .roots
        .into_iter()
        .map(|root| autoshare_cell::CellRoot { path: root.path, dir: root.dir, mode: root.mode })
        .collect();
    match autoshare_cell::serve(inside.socket, roots, inside.quota, inside.probes) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

/// Carries out one command.
pub(crate) fn dispatch(args: Args, launcher: Option<Launcher>) -> Result<ExitCode, Failure> {
    let look = Look::choose(args.json);
    if let Command::Completions { shell } = args.command {
        clap_complete::generate(shell, &mut Args::command(), "autoshare", &mut std::io::stdout());
        return Ok(ExitCode::SUCCESS);
    }
    let launcher = || launcher.ok_or_else(|| Failure::new(crate::exit::FAILED, "the launcher was not started"));
    if matches!(args.command, Command::Doctor) {
        return doctor::doctor(&args.global, look);
    }
    if let Command::Verify(flags) = &args.command {
        return verify::verify(&launcher()?, flags, look);
    }
    // From here on there are keys; the launcher, which others look at, was forked before.
    autoshare_vault::close_to_onlookers()?;
    let settings = Settings::load(&args.global)?;
    for warning in &settings.warnings {
        crate::screen::err(&format!("warning: {}", autoshare_guard::encode::terminal(warning)));
    }
    match args.command {
        Command::Run(flags) => run::run(settings, launcher()?, flags, look),
        Command::Exec(flags) => exec::exec(settings, launcher()?, &flags),
        Command::Serve(flags) => serve::serve(settings, launcher()?, &flags, look),
        Command::Resume(flags) => run::resume(settings, launcher()?, &flags, look),
        Command::Demo(flags) => demo::demo(launcher()?, &flags, look),
        Command::Ps => journal::ps(&settings, look),
        Command::Show(flags) => journal::show(&settings, &flags, look),
        Command::Scan(flags) => scan::scan(&settings, launcher()?, &flags, look),
        Command::Explain(flags) => explain::explain(&settings, &flags, look),
        Command::Logs(flags) => journal::logs(&settings, &flags, look),
        Command::Net(flags) => net::net(&settings, &flags, look),
        Command::Diff(flags) => undo::diff(&settings, &flags, look),
        Command::Undo(flags) => undo::undo(&settings, &flags, look),
        Command::Stop(flags) => approve::stop(&settings, &flags, look),
        Command::Approve(flags) => approve::approve(&settings, &flags, look),
        Command::Model { command: crate::args::Model::List } => model::list(settings, look),
        Command::Model { command: crate::args::Model::Test { name } } => model::test(settings, &name, look),
        Command::Policy { command } => policy::policy(&settings, &command, look),
        Command::Secret { command } => secret::secret(&settings, &command, look),
        Command::Tenant { command } => tenant::tenant(&settings, &command, look),
        Command::Token { command } => token::token(&settings, &command, look),
        Command::Person { command } => person::person(&settings, &command, look),
        Command::Login(flags) => login::login(&settings, &flags, look),
        Command::Share { command } => share::share(&settings, &command, look),
        Command::Mcp { command } => mcp::mcp(&settings, launcher, &command, look),
        Command::Tool { command } => tool::tool(&settings, &command, look),
        Command::Usage(flags) => usage::usage(&settings, &flags, look),
        Command::Audit { command } => audit::audit(&settings, &command, look),
        Command::Key { command } => key::key(&settings, &command, look),
        Command::Backup { dir } => key::back_up_data(&settings, &dir, look),
        Command::Restore { dir } => key::restore_data(&settings, &dir, look),
        Command::Doctor | Command::Verify(_) | Command::Completions { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// The runtime of one command: one thread, and a few for blocking calls.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
