//! `exec`: any program in a cell.

mod advice;
mod ask;
mod explain;
mod network;
mod options;
mod profile;
mod relay;

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use autoshare_broker::egress::Egress;
use autoshare_broker::gateway::{Caller, Gateway};
use autoshare_core::event::{Event, Exchange, Root, RootMode};
use autoshare_core::outcome::Ending;
use autoshare_core::wire::{Exit, Program, Stroke};
use autoshare_guard::encode;
use autoshare_host::exec::{How, Session};
use autoshare_host::{Questions, StartError};
use autoshare_sandbox::{Launcher, Tier, Work};

use tokio::sync::mpsc::UnboundedReceiver;

use crate::args::Exec;
use crate::assemble;
use crate::changes::Detail;
use crate::exit::{Failure, SETTINGS};
use crate::screen::{Look, err};
use crate::settings::Settings;
use explain::Explained;
use options::Options;

/// Exit codes beside the program's own, as of env(1) and others that run programs.
const FAILED: u8 = 125;
const NOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;
/// How often a program is looked at that has a limit on what passes.
const GLANCE: Duration = Duration::from_millis(200);
/// How often what was reached is recorded, where a program takes long.
const RECORD_EVERY: Duration = Duration::from_secs(60);
/// How long a program that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// `autoshare exec -- COMMAND...`.
pub(crate) fn exec(settings: Settings, launcher: Launcher, flags: &Exec) -> Result<ExitCode, Failure> {
    let ours = |failure: Failure| failure.with_code(FAILED);
    let mut options = Options::of(flags, &settings)?;
    let network = network::open(&settings, &mut options)?;
    let (policy, trust) = network.map_or((None, None), |network| (Some(network.policy), network.trust));
    for note in &options.notes {
        err(&format!("autoshare: {}", encode::terminal(note)));
    }
    let mut parts = assemble::parts(&settings, Questions::Deny);
    parts.program_cell = options.limits;
    let mut roots = roots(&settings, flags, &options)?;
    if let Some(trust) = &trust {
        roots.push(trust.root());
    }
    autoshare_host::expect(&launcher, Work::Programs, &roots, &parts);
    let data = assemble::data(&settings).map_err(ours)?;
    let door = match options.models.is_empty() {
        true => None,
        false => Some((assemble::broker(&settings)?, assemble::ledger(&settings, &data.access)?)),
    };
    let runtime = super::runtime()?;
    let code = runtime.block_on(async {
        let dir = roots.first().map_or_else(|| "/".to_owned(), |root| root.path.clone());
        let shown: Vec<String> = roots.iter().map(|root| root.path.clone()).collect();
        let program = Program { argv: flags.command.clone(), env: options.env.clone(), dir };
        // What an agent keeps in a home directory of its own is no work of its: nobody wants a login taken back.
        let is_work = |root: &&Root| options.home.as_ref().is_none_or(|home| Path::new(&root.path) != home);
        let kept = if flags.no_undo { Vec::new() } else { roots.iter().filter(is_work).cloned().collect() };
        let (store, launcher) = (Arc::clone(&data.store), Arc::new(launcher));
        let listen = policy.is_some().then_some(network::PORT);
        let how = How { kept, listen, explain: flags.explain };
        let mut session = Session::open(&data.access, &store, &launcher, &parts, roots, program, how).await?;
        let explained = session.cell.refusals().map(Explained::begin);
        let flow = relay::Flow::new(options.output);
        let answers = ask::Answers::default();
        let (records, exchanges) = tokio::sync::mpsc::unbounded_channel();
        let policy = policy.map(|policy| match door {
            Some((broker, ledger)) => {
                let models = std::mem::take(&mut options.models);
                let caller = Caller {
                    token: None,
                    brain: Some(session.brain.clone()),
                    limits: Arc::new([]),
                    allows: Arc::new(move |name| models.iter().any(|model| model.matches(name))),
                    records,
                };
                policy.with_gateway(Gateway::new(broker, ledger, settings.gateway.clone()), caller)
            }
            None => policy,
        });
        let egress = match (session.cell.listener(), policy) {
            (Some(listener), Some(policy)) if options.ask_hosts => {
                let (ask, questions) = tokio::sync::mpsc::channel(1);
                let (flow, answers) = (Arc::clone(&flow), Arc::clone(&answers));
                tokio::spawn(ask::answer(questions, flow, settings.login.clone(), answers));
                Some(Egress::serve(listener, policy.asking(ask))?)
            }
            (Some(listener), Some(policy)) => Some(Egress::serve(listener, policy)?),
            _ => None,
        };
        let mut way = Way { egress, answers, exchanges };
        if session.cell.cell().tier() == Tier::Narrow {
            err("autoshare: a narrow cell: the program sees the names of this machine's files (autoshare doctor)");
        }
        if let Some(why) = &session.unkept {
            err(&format!("autoshare: what it changes cannot be taken back: {}", encode::terminal(&why.to_string())));
        }
        let brain = session.brain.clone();
        let (code, ending, words) = run(&mut session, flags, &options, &shown, &flow, &mut way).await;
        session.record(way.close().await).await?;
        let (undo, changes) = session.finish(ending, words).await?;
        for line in explained.into_iter().flat_map(Explained::lines) {
            err(&format!("autoshare: {line}"));
        }
        if let (true, Some(undo)) = (flags.diff, undo) {
            crate::commands::undo::show(&undo, None, &changes, Detail::Lines, Look::Plain)?;
        }
        let changed: usize = changes.iter().map(|one| one.changes.len()).sum();
        if changed > 0 && crate::prompt::somebody_is_there() {
            err(&format!("autoshare: {changed} names changed; take it back with: autoshare undo {brain}"));
        }
        // The cell is gone, and whoever ran the program does not wait for what else there is to clear away.
        if let Some(launcher) = Arc::into_inner(launcher) {
            launcher.leave();
        }
        Ok::<u8, Failure>(code)
    });
    // A thread that still waits for input must not keep the process.
    runtime.shutdown_background();
    if let Some(store) = Arc::into_inner(data.store) {
        store.leave();
    }
    Ok(ExitCode::from(code.map_err(ours)?))
}

/// The workspace and what else is opened; of a profile also a home directory of its own.
fn roots(settings: &Settings, flags: &Exec, options: &Options) -> Result<Vec<Root>, Failure> {
    let mut roots = assemble::roots(settings, &flags.workspace, &flags.read, &flags.write)?;
    if let Some(home) = &options.home {
        roots.push(Root::new(utf8(home)?, RootMode::Write));
    }
    Ok(roots)
}

fn utf8(path: &Path) -> Result<String, Failure> {
    let wrong = || Failure::new(SETTINGS, "the data directory's path must be UTF-8");
    path.to_str().map(str::to_owned).ok_or_else(wrong)
}

/// The program's way out, if it has one.
struct Way {
    egress: Option<Egress>,
    answers: ask::Answers,
    /// Its calls of models.
    exchanges: UnboundedReceiver<Exchange>,
}

impl Way {
    /// What happened there since this was last asked.
    fn events(&mut self) -> Vec<Event> {
        let mut events = std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner));
        events.extend(self.egress.iter().flat_map(Egress::take).map(Event::Reach));
        while let Ok(exchange) = self.exchanges.try_recv() {
            events.push(Event::Exchange(exchange));
        }
        events
    }

    /// Ends it, and gives what is left to record. The program is gone, and so are soon its connections, which end with it:
    /// each settles its call then.
    async fn close(mut self) -> Vec<Event> {
        let mut events = self.events();
        for line in self.egress.iter().flat_map(Egress::words) {
            err(&format!("autoshare: {}", encode::terminal_line(&line, 400)));
        }
        self.egress = None;
        let rest = async {
            while let Some(exchange) = self.exchanges.recv().await {
                events.push(Event::Exchange(exchange));
            }
        };
        let _ = tokio::time::timeout(GRACE, rest).await;
        events
    }
}

/// Why a program was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    Late,
    Idle,
    Talkative,
}

/// Runs the program to its end; gives the exit code, and what is recorded.
async fn run(
    session: &mut Session,
    flags: &Exec,
    options: &Options,
    shown: &[String],
    flow: &Arc<relay::Flow>,
    way: &mut Way,
) -> (u8, Ending, String) {
    let counts = options.idle.is_some() || options.output.is_some();
    let streams = match relay::Streams::of_this_process(counts) {
        Ok(streams) => streams,
        Err(error) => {
            err(&format!("autoshare: no pipe for its output: {error}"));
            return (FAILED, Ending::Failed, error.to_string());
        }
    };
    // From here on, a signal is the program's.
    let mut signals = relay::Signals::listen();
    let started = session.start(streams.given(), relay::Streams::window()).await;
    let mut job = match started {
        Ok(job) => job,
        Err(StartError::Program { program, error }) => {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let hint = if missing { advice::where_it_is(&program, &options.path, shown) } else { None };
            let words = format!("{program} could not be started: {error}{}", hint.unwrap_or_default());
            err(&format!("autoshare: {}", encode::terminal(&words)));
            return (if missing { NOT_FOUND } else { NOT_RUN }, Ending::Failed, words);
        }
        Err(error @ StartError::Cell(_)) => {
            err(&format!("autoshare: {}", encode::terminal(&error.to_string())));
            return (FAILED, Ending::CellCrashed, error.to_string());
        }
    };
    let mut relay = streams.relay(job.terminal.take(), flow);
    let strain = session.cell.strain();
    let deadline = tokio::time::sleep(options.time.unwrap_or(Duration::from_secs(u64::from(u32::MAX))));
    tokio::pin!(deadline);
    let mut glance = tokio::time::interval(GLANCE);
    let mut record = tokio::time::interval_at(tokio::time::Instant::now() + RECORD_EVERY, RECORD_EVERY);
    let mut stopped = None;
    let exit = loop {
        tokio::select! {
            biased;
            exit = job.ended() => break exit,
            () = &mut deadline => {
                session.signal(&job, if stopped.is_some() { Stroke::Kill } else { Stroke::End }).await;
                stopped.get_or_insert(Stopped::Late);
                deadline.as_mut().reset(tokio::time::Instant::now() + GRACE);
            }
            _ = glance.tick(), if counts && stopped.is_none() => {
                let idle = options.idle.is_some_and(|limit| flow.idle() >= limit);
                if flow.is_over() || idle {
                    stopped = Some(if flow.is_over() { Stopped::Talkative } else { Stopped::Idle });
                    session.signal(&job, Stroke::End).await;
                    deadline.as_mut().reset(tokio::time::Instant::now() + GRACE);
                }
            }
            _ = record.tick(), if way.egress.is_some() => {
                if let Err(error) = session.record(way.events()).await {
                    err(&format!("autoshare: what it reached is not recorded: {}", encode::terminal(&error.to_string())));
                }
            }
            stroke = signals.next() => match stroke {
                Some(stroke) => session.signal(&job, stroke).await,
                None => relay.resized(),
            },
        }
    };
    // What it left running is to write no more.
    session.cell.sweep().await;
    loop {
        tokio::select! {
            () = relay.drained() => break,
            () = &mut deadline => break,
            // Another size of the terminal is no reason to stop.
            stroke = signals.next() => if stroke.is_some() { break },
        }
    }
    drop(relay);
    if flow.is_over() {
        stopped = Some(Stopped::Talkative);
    }
    let killed = session.cell.strain().out_of_memory > strain.out_of_memory;
    let name = flags.command.first().map(String::as_str).unwrap_or_default();
    let (code, ending, words) = match exit {
        None => (FAILED, Ending::CellCrashed, "its cell ended before it did".to_owned()),
        Some(exit) if stopped.is_some() => {
            let (ending, words) = match stopped {
                Some(Stopped::Talkative) => {
                    let limit = options.output.unwrap_or_default();
                    (Ending::OverQuota, format!("it wrote more than {limit} bytes (--limit output)"))
                }
                Some(Stopped::Idle) => {
                    let limit = options.idle.unwrap_or_default().as_secs();
                    (Ending::TimedOut, format!("nothing came from it for {limit} s (--limit idle)"))
                }
                _ => {
                    let limit = options.time.unwrap_or_default().as_secs();
                    (Ending::TimedOut, format!("ended after {limit} s (--limit time)"))
                }
            };
            // Cut short, whatever it says of itself.
            (status(exit).max(1), ending, words)
        }
        Some(exit) if killed => {
            let memory = options.limits.memory >> 20;
            (status(exit), Ending::OutOfMemory, format!("it needed more than {memory} MiB (--limit memory)"))
        }
        Some(exit @ Exit::Code { code: 0 }) => (status(exit), Ending::Done, "exit status 0".to_owned()),
        Some(Exit::Code { code }) => (status(Exit::Code { code }), Ending::Failed, format!("exit status {code}")),
        Some(Exit::Signal { signal }) => {
            (status(Exit::Signal { signal }), Ending::Failed, format!("ended by signal {signal}"))
        }
    };
    if !matches!(ending, Ending::Done | Ending::Failed) {
        err(&format!("autoshare: {}: {words}", encode::terminal_line(name, 60)));
    }
    (code, ending, words)
}

fn status(exit: Exit) -> u8 {
    u8::try_from(exit.status()).unwrap_or(u8::MAX)
}
