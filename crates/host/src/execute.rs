//! The tools that run programs: what a call means as a program, and what came of it as an outcome.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use autoshare_core::event::{Root, RootMode};
use autoshare_core::outcome::{Ending, Outcome};
use autoshare_core::tool::Action;
use autoshare_core::wire::{Exit, Program, Stroke, Window};
use autoshare_workspace::{Quota, Usage, Workspace};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::output::{Output, locked, read, read_terminal};
use crate::places::CellPlace;
use crate::programs::{self, Job, ProgramCell, StartError, Sweeper};
use crate::{Progress, Settings};

/// How long a program that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long is waited for the rest of the output when a program has ended: what it left running may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How often the workspace is looked at while a program runs, at most.
const LOOK: Duration = Duration::from_secs(1);

/// The programs of one brain: their cell, and those in the background.
pub(crate) struct Shell {
    cell: ProgramCell,
    /// Held until the cell is gone.
    _place: Arc<CellPlace>,
    background: BTreeMap<u64, Background>,
    /// Looks after the quota while nobody waits for a program.
    watch: Option<Watch>,
}

struct Background {
    command: String,
    output: Arc<Mutex<Output>>,
    job: Job,
    /// Why it was ended, if for the quota.
    over_quota: Why,
}

type Why = Arc<Mutex<Option<String>>>;

/// Looks at the workspace as long as something runs in the background, and ends everything there when it holds too much.
struct Watch {
    task: JoinHandle<()>,
    why: Why,
}

impl Watch {
    fn begin(roots: Vec<Root>, quota: Quota, held: Vec<Held>, sweeper: Sweeper) -> Self {
        let why = Why::default();
        let said = Arc::clone(&why);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                if let Some(over) = over_quota(&roots, quota, &held).await {
                    *locked(&said) = Some(over);
                    return sweeper.sweep().await;
                }
            }
        });
        Self { task, why }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a program reads from, and where it prints to.
enum Streams {
    /// Nothing to read; a pipe.
    Plain,
    /// This text to read; a pipe.
    Fed(String),
    /// A terminal, on which the end of input was typed.
    Terminal,
}

/// What a call of a tool means.
enum Call {
    Run { program: Program, streams: Streams, timeout: Duration, background: bool },
    Background { job: u64, stop: bool },
}

/// What they find beside or instead where they have a terminal. Nobody is there to turn pages.
const AT_TERMINAL: [(&str, &str); 3] = [("TERM", "xterm"), ("PAGER", "cat"), ("GIT_PAGER", "cat")];

/// What the programs of a brain find as their environment.
fn environment() -> BTreeMap<String, String> {
    let mut env = programs::environment();
    let quiet = [
        ("TERM", "dumb"),
        ("PYTHONUNBUFFERED", "1"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ];
    env.extend(quiet.map(|(name, value)| (name.to_owned(), value.to_owned())));
    env
}

fn call(action: &Action, dir: &str, settings: &Settings) -> Result<Call, String> {
    let need = |name: &str| action.text(name).ok_or_else(|| format!("{} needs the text {name:?}", action.tool));
    let seconds = action.integer("timeout").and_then(|seconds| u64::try_from(seconds).ok());
    let timeout = seconds.map_or(settings.program_timeout, Duration::from_secs);
    let run = |argv: Vec<&str>, streams: Streams| {
        let mut env = environment();
        if matches!(streams, Streams::Terminal) {
            env.extend(AT_TERMINAL.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        let argv = argv.into_iter().map(str::to_owned).collect();
        let program = Program { argv, env, dir: dir.to_owned() };
        Call::Run { program, streams, timeout, background: action.flag("background") }
    };
    // A virtual environment is made where it is asked for and is not there.
    const VENV: &str = "[ -x .venv/bin/python ] || python3 -m venv .venv || python3 -m venv --without-pip .venv || exit; \
                        PATH=$PWD/.venv/bin:$PATH; ";
    let venv = if action.flag("venv") { VENV } else { "" };
    Ok(match action.tool.as_str() {
        "execute_shell" => {
            let streams = if action.flag("terminal") { Streams::Terminal } else { Streams::Plain };
            run(vec!["/bin/bash", "-c", "--", need("command")?], streams)
        }
        "execute_python_code" => {
            let code = need("code")?.to_owned();
            run(vec!["/bin/sh", "-c", &format!("{venv}exec python3 -")], Streams::Fed(code))
        }
        "execute_python_file" => {
            let script = format!("{venv}exec python3 -- \"$@\"");
            // Words, not a piece of a script: what stands among the arguments is handed to the program and never run.
            let args = words(action.text("args").unwrap_or_default())?;
            let fixed = ["/bin/sh", "-c", &script, "sh", need("file")?];
            run(fixed.into_iter().chain(args.iter().map(String::as_str)).collect(), Streams::Plain)
        }
        "background_job" => {
            let job = action.integer("job").and_then(|job| u64::try_from(job).ok()).unwrap_or_default();
            Call::Background { job, stop: action.text("action") == Some("stop") }
        }
        other => return Err(format!("no program belongs to the tool {other:?}")),
    })
}

/// The words of a command line: blanks part them, quotation marks and backslashes hold them together as in a shell, and
/// nothing else has a meaning.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                word.get_or_insert_default().push(chars.next().ok_or("the arguments end in a backslash")?);
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(format!("the arguments hold a {open} that nothing closes"));
    }
    words.extend(word);
    Ok(words)
}

/// A program that runs, what it prints, and who reads that.
type Begun = (Job, Arc<Mutex<Output>>, JoinHandle<()>);

/// The size of a terminal that nobody looks at.
const WINDOW: Window = Window { rows: 24, columns: 80 };

/// How a program that was waited for came to its end.
enum Over {
    Ended(Exit),
    TimedOut(Duration),
    TooMuchOutput(u64),
    Full(String),
    CellGone,
}

impl Shell {
    pub(crate) const fn new(cell: ProgramCell, place: Arc<CellPlace>) -> Self {
        Self { cell, _place: place, background: BTreeMap::new(), watch: None }
    }

    /// What is in force, in one line.
    pub(crate) fn attested(&self) -> &str {
        &self.cell.attested
    }

    /// Whether something runs in it that nobody waits for.
    pub(crate) fn is_busy(&self) -> bool {
        !self.background.is_empty()
    }

    /// Does what a tool was called for. The text is what the model is to see, unchecked. `false` says that the cell is of
    /// no use any more.
    pub(crate) async fn run(
        &mut self,
        action: &Action,
        roots: &[Root],
        settings: &Settings,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> (Outcome, bool) {
        let dir = roots.first().map_or("/tmp", |root| root.path.as_str());
        let failed = |text: String| outcome(Ending::Failed, text);
        match call(action, dir, settings) {
            Err(why) => (failed(why), true),
            Ok(Call::Background { job, stop }) => self.look(job, stop).await,
            Ok(Call::Run { background: true, .. }) if self.background.len() >= settings.background_jobs => {
                let most = settings.background_jobs;
                (failed(format!("{most} programs run in the background; stop one (background_job) first")), true)
            }
            Ok(Call::Run { program, streams, timeout, background }) => {
                let held = held(roots, settings.quota).await;
                let begun = match streams {
                    Streams::Plain => self.start(program, None).await,
                    Streams::Fed(text) => self.start(program, Some(text)).await,
                    Streams::Terminal => self.start_at_terminal(program).await,
                };
                let (job, output, reading) = match begun {
                    Ok(begun) => begun,
                    Err(StartError::Program { program, error }) => {
                        return (failed(format!("{program} could not be started: {error}")), true);
                    }
                    Err(error @ StartError::Cell(_)) => {
                        return (outcome(Ending::CellCrashed, error.to_string()), false);
                    }
                };
                if background {
                    return (self.keep(action, job, output, roots, settings.quota, held), true);
                }
                let (outcome, usable) = self.wait(job, output, reading, timeout, roots, settings, &held, tell).await;
                (outcome, usable && self.tidy().await)
            }
        }
    }

    /// After a program that was waited for, nothing of it goes on: what it left running would change files that nobody
    /// looks at any more. Where programs run in the background, only its own process group can be told from theirs.
    async fn tidy(&mut self) -> bool {
        !self.background.is_empty() || self.cell.sweep().await
    }

    async fn start(&mut self, program: Program, input: Option<String>) -> Result<Begun, StartError> {
        let cell = |e: std::io::Error| StartError::Cell(e.to_string());
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| cell(e.into()))?;
        let stdin = stdin(input).map_err(cell)?;
        let streams = [Some(stdin.as_fd()), Some(theirs.as_fd()), Some(theirs.as_fd())];
        let job = self.cell.start(program, streams, WINDOW).await?;
        drop(theirs);
        rustix::io::ioctl_fionbio(&ours, true).map_err(|e| cell(e.into()))?;
        let reader = pipe::Receiver::from_owned_fd(ours).map_err(cell)?;
        let output = Arc::<Mutex<Output>>::default();
        let reading = tokio::spawn(read(reader, Arc::clone(&output)));
        Ok((job, output, reading))
    }

    /// The same at a terminal of the cell's own, whose other side is this process's.
    async fn start_at_terminal(&mut self, program: Program) -> Result<Begun, StartError> {
        let mut job = self.cell.start(program, [None, None, None], WINDOW).await?;
        // Whatever else a cell might hand over could be waited for long after the cell is gone.
        let terminal = job.terminal.take().filter(|terminal| rustix::pty::ptsname(terminal, Vec::new()).is_ok());
        let Some(terminal) = terminal else {
            return Err(StartError::Cell("it handed over no terminal".to_owned()));
        };
        let output = Arc::<Mutex<Output>>::default();
        let kept = Arc::clone(&output);
        let reading = tokio::task::spawn_blocking(move || read_terminal(&terminal, &kept));
        Ok((job, output, reading))
    }

    fn keep(
        &mut self,
        action: &Action,
        job: Job,
        output: Arc<Mutex<Output>>,
        roots: &[Root],
        quota: Quota,
        held: Vec<Held>,
    ) -> Outcome {
        let number = job.number;
        let command = action.text("command").or_else(|| action.text("file")).unwrap_or(&action.tool).to_owned();
        // One that has ended everything does not look any more.
        self.watch.take_if(|watch| watch.task.is_finished());
        let watch = self.watch.get_or_insert_with(|| Watch::begin(roots.to_vec(), quota, held, self.cell.sweeper()));
        let over_quota = Arc::clone(&watch.why);
        self.background.insert(number, Background { command, output, job, over_quota });
        outcome(
            Ending::Done,
            format!("it runs in the background as job {number}; look at it or stop it with background_job"),
        )
    }

    async fn look(&mut self, number: u64, stop: bool) -> (Outcome, bool) {
        let Some(background) = self.background.get_mut(&number) else {
            let known: Vec<String> =
                self.background.iter().map(|(number, job)| format!("{number} ({})", head(&job.command, 40))).collect();
            let known = if known.is_empty() { "none runs".to_owned() } else { known.join(", ") };
            return (outcome(Ending::Failed, format!("there is no job {number}; {known}")), true);
        };
        let stopped = if stop { end(&self.cell, &mut background.job).await } else { None };
        let over = match stopped {
            Some(exit) => Some(Some(exit)),
            None => tokio::time::timeout(Duration::ZERO, background.job.ended()).await.ok(),
        };
        let (news, total) = {
            let mut output = locked(&background.output);
            (output.news(), output.total)
        };
        let why = locked(&background.over_quota).clone();
        let (ending, state) = match (over, why) {
            (None, _) => (Ending::Done, "still runs".to_owned()),
            (Some(Some(_)), Some(why)) => (Ending::OverQuota, format!("was ended: {why}")),
            (Some(Some(exit)), None) => (Ending::Done, exit_words(exit)),
            (Some(None), _) => (Ending::CellCrashed, "is gone: its cell ended, and every program in it".to_owned()),
        };
        if over.is_some() {
            self.background.remove(&number);
        }
        if self.background.is_empty() {
            self.watch = None;
        }
        let text = format!("{news}\n[job {number} {state}; {total} bytes of output so far]");
        let outcome = Outcome { bytes: news.len() as u64, ..outcome(ending, text.trim_start().to_owned()) };
        (outcome, over != Some(None))
    }

    #[expect(clippy::too_many_arguments, reason = "one program, and what it may take")]
    async fn wait(
        &mut self,
        mut job: Job,
        output: Arc<Mutex<Output>>,
        reading: tokio::task::JoinHandle<()>,
        timeout: Duration,
        roots: &[Root],
        settings: &Settings,
        held: &[Held],
        tell: &(dyn Fn(Progress) + Sync),
    ) -> (Outcome, bool) {
        let begun = Instant::now();
        let strain = self.cell.strain();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = tokio::time::sleep(timeout);
        tokio::pin!(deadline);
        let over = loop {
            tokio::select! {
                biased;
                ended = job.ended() => break ended.map_or(Over::CellGone, Over::Ended),
                () = &mut deadline => break Over::TimedOut(timeout),
                _ = looks.tick() => {
                    let (news, total) = { let mut output = locked(&output); (output.news(), output.total) };
                    if !news.is_empty() {
                        tell(Progress::Output(news));
                    }
                    if total > settings.max_output {
                        break Over::TooMuchOutput(total);
                    }
                    if let Some(why) = over_quota(roots, settings.quota, held).await {
                        break Over::Full(why);
                    }
                }
            }
        };
        // What is ended for the sake of one in the background, is told so.
        let why = self.watch.as_ref().and_then(|watch| locked(&watch.why).clone());
        let over = match (over, why) {
            (Over::Ended(Exit::Signal { .. }), Some(why)) => Over::Full(why),
            (over, _) => over,
        };
        let exit = match &over {
            Over::Ended(exit) => Some(*exit),
            Over::CellGone => None,
            Over::TimedOut(_) | Over::TooMuchOutput(_) | Over::Full(_) => end(&self.cell, &mut job).await,
        };
        let _ = tokio::time::timeout(LAST_WORDS, reading).await;
        let text = locked(&output).text();
        let usable = exit.is_some() && !matches!(over, Over::Full(_));
        let killed = self.cell.strain().out_of_memory > strain.out_of_memory;
        (told(&over, &text, begun.elapsed(), killed, settings), usable)
    }
}

/// What came of a program, in words for the model.
fn told(over: &Over, text: &str, took: Duration, killed: bool, settings: &Settings) -> Outcome {
    let seconds = took.as_secs_f64();
    let (ending, last) = match over {
        Over::Ended(_) if killed => {
            let limit = settings.program_cell.memory >> 20;
            (Ending::OutOfMemory, format!("it needed more than the {limit} MiB of memory that a cell has"))
        }
        Over::Ended(Exit::Code { code: 0 }) => (Ending::Done, format!("exit status 0, {seconds:.1} s")),
        Over::Ended(exit) => (Ending::Failed, format!("{}, {seconds:.1} s", exit_words(*exit))),
        Over::TimedOut(limit) => (
            Ending::TimedOut,
            format!("it was ended after {} s; give it a longer timeout, or run it in the background", limit.as_secs()),
        ),
        Over::TooMuchOutput(total) => (
            Ending::OverQuota,
            format!("it was ended: {total} bytes of output, and {} are allowed; write to a file", settings.max_output),
        ),
        Over::Full(why) => (Ending::OverQuota, format!("it was ended, and its cell with it: {why}")),
        Over::CellGone => (Ending::CellCrashed, "its cell ended before it did".to_owned()),
    };
    let hint = if ending == Ending::Failed { hint(text) } else { None };
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    Outcome { bytes: text.len() as u64, ..outcome(ending, format!("{text}{gap}[{last}{hint}]")) }
}

/// What helps a program on that met a wall: the first of these that its last words speak of.
fn hint(text: &str) -> Option<&'static str> {
    const HINTS: [(&[&str], &str); 5] = [
        (
            &[
                "Network is unreachable",
                "Could not resolve host",
                "Temporary failure in name resolution",
                "Name or service not known",
                "ENETUNREACH",
                "EAI_AGAIN",
            ],
            "there is no network in this cell: work with what is in the workspace",
        ),
        (&["Read-only file system", "EROFS"], "only the workspace and /tmp can be written; the system is read-only"),
        (
            &["No space left on device", "Disk quota exceeded", "ENOSPC"],
            "/tmp is small: put large files into the workspace",
        ),
        (
            &["Resource temporarily unavailable", "Cannot fork", "EAGAIN", "can't start new thread"],
            "a cell has a limited number of processes and threads: run fewer at once",
        ),
        (
            &["Operation not permitted", "EPERM", "Permission denied", "EACCES"],
            "the cell refuses what needs privileges, other people's files, or system calls that programs do without",
        ),
    ];
    let last = text.get(text.ceil_char_boundary(text.len().saturating_sub(4096))..).unwrap_or_default();
    HINTS.iter().find(|(signs, _)| signs.iter().any(|sign| last.contains(sign))).map(|(_, hint)| *hint)
}

fn exit_words(exit: Exit) -> String {
    match exit {
        Exit::Code { code } => format!("exit status {code}"),
        Exit::Signal { signal } => format!("ended by signal {signal}"),
    }
}

fn outcome(ending: Ending, text: String) -> Outcome {
    Outcome { ending, text, spilled: None, after: None, bytes: 0 }
}

fn head(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

/// Asks a program to end, then makes it.
async fn end(cell: &ProgramCell, job: &mut Job) -> Option<Exit> {
    cell.signal(job.number, Stroke::End).await;
    if let Ok(ended) = tokio::time::timeout(GRACE, job.ended()).await {
        return ended;
    }
    cell.signal(job.number, Stroke::Kill).await;
    tokio::time::timeout(GRACE, job.ended()).await.ok().flatten()
}

/// Nothing to read, or this text.
fn stdin(input: Option<String>) -> std::io::Result<OwnedFd> {
    let Some(text) = input else {
        return Ok(rustix::fs::openat(CWD, "/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?);
    };
    let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    let mut sender = pipe::Sender::from_owned_fd(ours)?;
    // A program that does not read it all is no failure.
    tokio::spawn(async move { sender.write_all(text.as_bytes()).await });
    Ok(theirs)
}

/// What a root that may be written held before a program ran.
struct Held {
    path: String,
    usage: Usage,
}

async fn held(roots: &[Root], quota: Quota) -> Vec<Held> {
    let paths: Vec<String> =
        roots.iter().filter(|root| root.mode == RootMode::Write).map(|root| root.path.clone()).collect();
    let look = move || {
        let usage = |path: String| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = rustix::fs::openat(CWD, path.as_str(), flags, Mode::empty()).ok()?;
            let usage = Workspace::open(dir, RootMode::Read, quota).usage().ok()?;
            Some(Held { path, usage })
        };
        paths.into_iter().filter_map(usage).collect()
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

/// Why a program may not go on: a root that it may write holds more than it may. One that was over its quota before is
/// not to grow, so that something can be deleted there.
async fn over_quota(roots: &[Root], quota: Quota, before: &[Held]) -> Option<String> {
    held(roots, quota).await.into_iter().find_map(|Held { path, usage }| {
        let before = before.iter().find(|held| held.path == path).map(|held| held.usage).unwrap_or_default();
        if usage.bytes > quota.bytes.max(before.bytes) {
            return Some(format!("{path} holds more than {} bytes (max_workspace_bytes)", quota.bytes));
        }
        (usage.files > quota.files.max(before.files))
            .then(|| format!("{path} holds more than {} files (max_workspace_files)", quota.files))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_words_and_never_a_script() {
        let table: [(&str, Option<&[&str]>); 9] = [
            ("", Some(&[])),
            ("  a  b ", Some(&["a", "b"])),
            ("'a b' \"c d\" e\\ f", Some(&["a b", "c d", "e f"])),
            ("--name='x y' \"\" ''", Some(&["--name=x y", "", ""])),
            (
                "x; rm -rf . && $(id) `id` > out *",
                Some(&["x;", "rm", "-rf", ".", "&&", "$(id)", "`id`", ">", "out", "*"]),
            ),
            (r#"'a\b' "a\"b""#, Some(&[r"a\b", "a\"b"])),
            ("'open", None),
            ("\"open", None),
            ("end\\", None),
        ];
        for (line, expected) in table {
            let expected = expected.map(|words| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
            assert_eq!(words(line).ok(), expected, "{line}");
        }
    }

    #[test]
    fn what_a_wall_says_is_explained() {
        for (said, part) in [
            ("curl: (6) Could not resolve host: example.org", "no network"),
            ("touch: cannot touch '/usr/x': Read-only file system", "only the workspace"),
            ("bash: fork: Resource temporarily unavailable", "processes"),
            ("mount: /mnt: Operation not permitted", "privileges"),
        ] {
            assert!(hint(said).is_some_and(|hint| hint.contains(part)), "{said}");
        }
        assert_eq!(hint("error[E0308]: mismatched types"), None);
    }
}
