//! The tools that run programs: what a call means as a program, and what came of it as an outcome.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoshare_core::event::Root;
use autoshare_core::outcome::{Ending, Outcome};
use autoshare_core::tool::Action;
use autoshare_core::wire::{Exit, Program, Stroke, Window};
use autoshare_workspace::{Quota, Workspace};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;

use crate::programs::{Job, ProgramCell, StartError};
use crate::{Progress, Settings};

/// Bytes that are kept of a program's output: so many of its beginning, and as many of its end.
pub const KEPT: usize = 768 * 1024;
/// Background programs of one brain at most.
const MOST_JOBS: usize = 16;
/// How long a program that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long is waited for the rest of the output when a program has ended: what it left running may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How often the workspace is looked at while a program runs, at most.
const LOOK: Duration = Duration::from_secs(1);

/// The programs of one brain: their cell, and those in the background.
pub(crate) struct Shell {
    cell: ProgramCell,
    background: BTreeMap<u64, Background>,
}

struct Background {
    command: String,
    output: Arc<Mutex<Output>>,
    job: Job,
    ended: Option<Exit>,
}

/// What a call of a tool means.
enum Call {
    Run { program: Program, input: Option<String>, timeout: Duration, background: bool },
    Background { job: u64, stop: bool },
}

/// Whether this tool runs programs.
pub(crate) fn runs_programs(action: &Action) -> bool {
    matches!(action.tool.as_str(), "execute_shell" | "execute_python_code" | "execute_python_file" | "background_job")
}

/// What programs find as their environment: nothing of the host's.
fn environment() -> BTreeMap<String, String> {
    [
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
        ("HOME", "/tmp"),
        ("TMPDIR", "/tmp"),
        ("LANG", "C.UTF-8"),
        ("TERM", "dumb"),
        ("USER", "cell"),
        ("LOGNAME", "cell"),
        ("SHELL", "/bin/sh"),
        ("PYTHONUNBUFFERED", "1"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn call(action: &Action, dir: &str, settings: &Settings) -> Result<Call, String> {
    let need = |name: &str| action.text(name).ok_or_else(|| format!("{} needs the text {name:?}", action.tool));
    let seconds = action.integer("timeout").and_then(|seconds| u64::try_from(seconds).ok());
    let timeout = seconds.map_or(settings.program_timeout, Duration::from_secs);
    let run = |argv: Vec<&str>, input: Option<String>| Call::Run {
        program: Program {
            argv: argv.into_iter().map(str::to_owned).collect(),
            env: environment(),
            dir: dir.to_owned(),
        },
        input,
        timeout,
        background: action.flag("background"),
    };
    // A virtual environment is made where it is asked for and is not there.
    const VENV: &str = "[ -x .venv/bin/python ] || python3 -m venv .venv || python3 -m venv --without-pip .venv || exit; \
                        PATH=$PWD/.venv/bin:$PATH; ";
    let venv = if action.flag("venv") { VENV } else { "" };
    Ok(match action.tool.as_str() {
        "execute_shell" => run(vec!["/bin/bash", "-c", need("command")?], None),
        "execute_python_code" => {
            let code = need("code")?.to_owned();
            run(vec!["/bin/sh", "-c", &format!("{venv}exec python3 -")], Some(code))
        }
        "execute_python_file" => {
            let script = format!("{venv}exec python3 -- \"$1\" {}", action.text("args").unwrap_or_default());
            run(vec!["/bin/sh", "-c", &script, "sh", need("file")?], None)
        }
        "background_job" => {
            let job = action.integer("job").and_then(|job| u64::try_from(job).ok()).unwrap_or_default();
            Call::Background { job, stop: action.text("action") == Some("stop") }
        }
        other => return Err(format!("no program belongs to the tool {other:?}")),
    })
}

/// A program's output, as far as it is kept.
#[derive(Debug, Default)]
struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    /// Bytes that were shown already.
    shown: u64,
}

impl Output {
    fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(KEPT - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..over);
    }

    /// All that is kept, with a line where something is missing.
    fn text(&self) -> String {
        let kept = (self.head.len() + self.tail.len()) as u64;
        let mut bytes = self.head.clone();
        if self.total > kept {
            bytes.extend_from_slice(format!("\n[{} bytes of output are not kept]\n", self.total - kept).as_bytes());
        }
        bytes.extend(&self.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What came since it was last asked, as far as it is kept.
    fn news(&mut self) -> String {
        let all = self.text();
        let new = usize::try_from(self.total - self.shown).unwrap_or(usize::MAX).min(all.len());
        self.shown = self.total;
        all.get(all.ceil_char_boundary(all.len() - new)..).unwrap_or_default().to_owned()
    }
}

fn locked(output: &Mutex<Output>) -> std::sync::MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a program that was waited for came to its end.
enum Over {
    Ended(Exit),
    TimedOut(Duration),
    TooMuchOutput(u64),
    OverQuota(String),
    CellGone,
}

impl Shell {
    pub(crate) const fn new(cell: ProgramCell) -> Self {
        Self { cell, background: BTreeMap::new() }
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
            Ok(Call::Background { job, stop }) => (self.look(job, stop).await, true),
            Ok(Call::Run { background: true, .. }) if self.background.len() >= MOST_JOBS => {
                (failed(format!("{MOST_JOBS} programs run in the background; stop one (background_job) first")), true)
            }
            Ok(Call::Run { program, input, timeout, background }) => {
                let begun = self.start(program, input).await;
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
                    return (self.keep(action, job, output), true);
                }
                self.wait(job, output, reading, timeout, roots, settings, tell).await
            }
        }
    }

    async fn start(
        &mut self,
        program: Program,
        input: Option<String>,
    ) -> Result<(Job, Arc<Mutex<Output>>, tokio::task::JoinHandle<()>), StartError> {
        let cell = |e: std::io::Error| StartError::Cell(e.to_string());
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| cell(e.into()))?;
        let stdin = stdin(input).map_err(cell)?;
        let streams = [Some(stdin.as_fd()), Some(theirs.as_fd()), Some(theirs.as_fd())];
        let job = self.cell.start(program, streams, Window { rows: 24, columns: 80 }).await?;
        drop(theirs);
        rustix::io::ioctl_fionbio(&ours, true).map_err(|e| cell(e.into()))?;
        let reader = pipe::Receiver::from_owned_fd(ours).map_err(cell)?;
        let output = Arc::<Mutex<Output>>::default();
        let reading = tokio::spawn(read(reader, Arc::clone(&output)));
        Ok((job, output, reading))
    }

    fn keep(&mut self, action: &Action, job: Job, output: Arc<Mutex<Output>>) -> Outcome {
        let number = job.number;
        let command = action.text("command").or_else(|| action.text("file")).unwrap_or(&action.tool).to_owned();
        self.background.insert(number, Background { command, output, job, ended: None });
        outcome(
            Ending::Done,
            format!("it runs in the background as job {number}; look at it or stop it with background_job"),
        )
    }

    async fn look(&mut self, number: u64, stop: bool) -> Outcome {
        let Some(background) = self.background.get_mut(&number) else {
            let known: Vec<String> =
                self.background.iter().map(|(number, job)| format!("{number} ({})", head(&job.command, 40))).collect();
            let known = if known.is_empty() { "none runs".to_owned() } else { known.join(", ") };
            return outcome(Ending::Failed, format!("there is no job {number}; {known}"));
        };
        if stop && background.ended.is_none() {
            background.ended = end(&self.cell, &mut background.job).await;
        }
        if background.ended.is_none() {
            background.ended = tokio::time::timeout(Duration::ZERO, background.job.ended()).await.ok().flatten();
        }
        let (news, total) = {
            let mut output = locked(&background.output);
            (output.news(), output.total)
        };
        let ended = background.ended;
        let state = ended.map_or_else(|| "still runs".to_owned(), exit_words);
        if ended.is_some() {
            self.background.remove(&number);
        }
        let text = format!("{news}\n[job {number} {state}; {total} bytes of output so far]");
        Outcome { bytes: news.len() as u64, ..outcome(Ending::Done, text.trim_start().to_owned()) }
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
        tell: &(dyn Fn(Progress) + Sync),
    ) -> (Outcome, bool) {
        let begun = Instant::now();
        let strain = self.cell.strain();
        let mut looks = tokio::time::interval(LOOK);
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
                    if let Some(why) = over_quota(roots, settings.quota).await {
                        break Over::OverQuota(why);
                    }
                }
            }
        };
        let exit = match &over {
            Over::Ended(exit) => Some(*exit),
            Over::CellGone => None,
            Over::TimedOut(_) | Over::TooMuchOutput(_) | Over::OverQuota(_) => end(&self.cell, &mut job).await,
        };
        let _ = tokio::time::timeout(LAST_WORDS, reading).await;
        let text = locked(&output).text();
        let usable = exit.is_some() && !matches!(over, Over::OverQuota(_));
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
        Over::OverQuota(why) => (Ending::OverQuota, format!("it was ended, and its cell with it: {why}")),
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
        // What it left behind in its group goes as well.
        cell.signal(job.number, Stroke::Kill).await;
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

async fn read(mut pipe: pipe::Receiver, output: Arc<Mutex<Output>>) {
    let mut buffer = vec![0u8; 64 * 1024];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        locked(&output).push(buffer.get(..read).unwrap_or_default());
    }
}

/// Why a program may not go on: a root that it may write holds more than it may.
async fn over_quota(roots: &[Root], quota: Quota) -> Option<String> {
    let paths: Vec<String> = roots
        .iter()
        .filter(|root| root.mode == autoshare_core::event::RootMode::Write)
        .map(|root| root.path.clone())
        .collect();
    let look = move || {
        paths.iter().find_map(|path| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = rustix::fs::openat(CWD, path.as_str(), flags, Mode::empty()).ok()?;
            let usage = Workspace::open(dir, autoshare_core::event::RootMode::Read, quota).usage().ok()?;
            if usage.bytes > quota.bytes {
                return Some(format!("{path} holds more than {} bytes (max_workspace_bytes)", quota.bytes));
            }
            (usage.files > quota.files)
                .then(|| format!("{path} holds more than {} files (max_workspace_files)", quota.files))
        })
    };
    tokio::task::spawn_blocking(look).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_keeps_its_beginning_and_its_end_and_says_what_is_missing() {
        let mut output = Output::default();
        output.push(b"first ");
        output.push(&vec![b'x'; 3 * KEPT]);
        output.push(b" last");
        let text = output.text();
        assert!(text.starts_with("first x") && text.ends_with("x last"));
        assert_eq!(output.total, 3 * KEPT as u64 + 11);
        assert!(text.contains(&format!("[{} bytes of output are not kept]", output.total - 2 * KEPT as u64)));
        assert!(text.len() < 2 * KEPT + 100);
    }

    #[test]
    fn news_are_told_once() {
        let mut output = Output::default();
        output.push("aé".as_bytes());
        assert_eq!(output.news(), "aé");
        assert_eq!(output.news(), "");
        output.push(b"b");
        assert_eq!(output.news(), "b");
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
