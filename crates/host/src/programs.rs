//! A cell in which programs run, as the host holds it: it starts them, hands them their streams, and hears how they end.
//!
//! Output never passes the cell's first process: a program's streams are the host's own pipes, or the caller's own files,
//! or the other side of a terminal that the cell made.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use autoshare_core::wire::{Exit, FromInit, Program, Stroke, ToInit, Window};
use autoshare_sandbox::{Cell, CellEnd, CellSpec, Launcher, Refusals, Strain, parcel};
use autoshare_store::Lease;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::HostError;
use crate::cells::{Keeps, confirm};

/// How long the cell's first process may take to start a program.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long killed programs may take to be gone.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(5);

/// Where programs are looked for in a cell.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// The port of a cell's own loopback on which its way out is.
pub const PROXY_PORT: u16 = 3128;
/// By which programs find it.
const PROXY_VARIABLES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// By which programs in a cell find its way out.
pub fn proxy_environment() -> impl Iterator<Item = (String, String)> {
    let proxy = PROXY_VARIABLES.into_iter().map(|name| (name.to_owned(), format!("http://127.0.0.1:{PROXY_PORT}")));
    // Node asks no proxy unless it is told to.
    proxy.chain([("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned())])
}

/// What every program in a cell finds as its environment: nothing of the host's.
#[must_use]
pub fn environment() -> BTreeMap<String, String> {
    [
        ("PATH", PATH),
        ("HOME", "/tmp"),
        ("TMPDIR", "/tmp"),
        ("LANG", "C.UTF-8"),
        ("USER", "cell"),
        ("LOGNAME", "cell"),
        ("SHELL", "/bin/sh"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// A cell for programs. Dropping it ends everything in it.
pub struct ProgramCell {
    cell: Cell,
    launcher: Arc<Launcher>,
    socket: Arc<UnixStream>,
    waiting: Arc<Waiting>,
    reader: JoinHandle<()>,
    next_job: u64,
    /// What is in force, in one line, for the journal.
    pub attested: String,
}

/// A program that runs in a cell.
#[derive(Debug)]
pub struct Job {
    /// Its number in the cell.
    pub number: u64,
    /// The other side of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
    ended: oneshot::Receiver<Exit>,
    over: Option<Option<Exit>>,
}

impl Job {
    /// How it ended; `None` if the cell is gone.
    pub async fn ended(&mut self) -> Option<Exit> {
        if let Some(over) = self.over {
            return over;
        }
        let over = (&mut self.ended).await.ok();
        *self.over.insert(over)
    }
}

/// Ends every program of a cell, and leaves the cell.
pub(crate) struct Sweeper(Arc<UnixStream>);

impl Sweeper {
    pub(crate) async fn sweep(&self) {
        // A cell that is gone has no programs.
        let _ = self.0.async_io(Interest::WRITABLE, || parcel::send(&*self.0, &ToInit::Sweep {}, &[])).await;
    }
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no such program or folder, or it may not be run.
    #[error("{program:?} could not be started: {error}")]
    Program {
        /// Its name.
        program: String,
        /// What the kernel answered.
        error: std::io::Error,
    },
    /// The cell is gone or does not answer.
    #[error("the cell ended before the program could be started: {0}")]
    Cell(String),
}

type Begun = Result<Option<OwnedFd>, i32>;

/// Who waits for a job's start, and for its end.
type Waiter = (Option<oneshot::Sender<Begun>>, Option<oneshot::Sender<Exit>>);

/// Who waits for what.
#[derive(Default)]
struct Waiting {
    jobs: Mutex<HashMap<u64, Waiter>>,
    swept: Notify,
}

impl Waiting {
    fn with<T>(&self, what: impl FnOnce(&mut HashMap<u64, Waiter>) -> T) -> T {
        what(&mut self.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the cell says, as far as somebody waits for it: anything else is its own affair.
    fn hear(&self, said: FromInit, mut fds: Vec<OwnedFd>) {
        self.with(|waiting| match said {
            FromInit::Started { job } => {
                let begun = waiting.get_mut(&job).and_then(|waiter| waiter.0.take());
                let _ = begun.map(|begun| begun.send(Ok(fds.pop())));
            }
            FromInit::NotStarted { job, errno } => {
                let begun = waiting.remove(&job).and_then(|waiter| waiter.0);
                let _ = begun.map(|begun| begun.send(Err(errno)));
            }
            FromInit::Ended { job, exit } => {
                let ended = waiting.remove(&job).and_then(|waiter| waiter.1);
                let _ = ended.map(|ended| ended.send(exit));
            }
            FromInit::Swept {} => self.swept.notify_waiters(),
        });
    }
}

impl ProgramCell {
    /// Makes a cell. The lease, if there is one, is held until the cell is gone.
    ///
    /// # Errors
    /// [`HostError::Sandbox`], or [`HostError::Cell`] where it does not hold.
    pub async fn open(launcher: &Arc<Launcher>, lease: Option<Arc<Lease>>, spec: CellSpec) -> Result<Self, HostError> {
        Self::keeping(launcher, Keeps { lease, shares: Vec::new() }, spec).await
    }

    /// The same with whatever is to be held until it is gone.
    pub(crate) async fn keeping(launcher: &Arc<Launcher>, keeps: Keeps, spec: CellSpec) -> Result<Self, HostError> {
        let cell = keeps.launch(launcher, spec).await?;
        let attested = confirm(&cell)?;
        let broken = |e: std::io::Error| HostError::Cell(e.to_string());
        cell.socket.set_nonblocking(true).map_err(broken)?;
        // A pair of sequenced packets, of which only the waiting is tokio's.
        let socket = cell.socket.try_clone().and_then(UnixStream::from_std).map(Arc::new).map_err(broken)?;
        let waiting = Arc::<Waiting>::default();
        let reader = tokio::spawn(listen(Arc::clone(&socket), Arc::clone(&waiting)));
        Ok(Self { cell, launcher: Arc::clone(launcher), socket, waiting, reader, next_job: 1, attested })
    }

    /// Starts a program. Streams that are `None` lead to a terminal of the cell's own, of this size.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        &mut self,
        program: Program,
        streams: [Option<BorrowedFd<'_>>; 3],
        window: Window,
    ) -> Result<Job, StartError> {
        let job = self.next_job;
        self.next_job += 1;
        let name = program.argv.first().cloned().unwrap_or_default();
        let (begun, has_begun) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        self.waiting.with(|waiting| waiting.insert(job, (Some(begun), Some(ended))));
        let fds: Vec<BorrowedFd<'_>> = streams.iter().flatten().copied().collect();
        let wants_terminal = fds.len() < streams.len();
        let message = ToInit::Start { job, program, given: streams.map(|stream| stream.is_some()), window };
        // What does not fit a packet is refused here: the cell has not heard of it, and works on.
        if serde_json::to_vec(&message).map_or(usize::MAX, |bytes| bytes.len()) > parcel::MAX_MESSAGE {
            self.waiting.with(|waiting| waiting.remove(&job));
            return Err(StartError::Program { program: name, error: rustix::io::Errno::TOOBIG.into() });
        }
        self.send(&message, &fds).await.map_err(|e| StartError::Cell(e.to_string()))?;
        match tokio::time::timeout(START_TIMEOUT, has_begun).await {
            // A descriptor that nobody asked for is dropped: a cell has no say in what is shown and typed where.
            Ok(Ok(Ok(terminal))) => {
                let terminal = terminal.filter(|_| wants_terminal);
                Ok(Job { number: job, terminal, ended: has_ended, over: None })
            }
            Ok(Ok(Err(errno))) => {
                Err(StartError::Program { program: name, error: std::io::Error::from_raw_os_error(errno) })
            }
            Ok(Err(_)) => Err(StartError::Cell("it hung up".to_owned())),
            Err(_) => {
                self.cell.kill();
                Err(StartError::Cell(format!("it did not answer in {} s", START_TIMEOUT.as_secs())))
            }
        }
    }

    /// Sends a signal to a job and what it started in its process group. A job that is gone is nothing.
    pub async fn signal(&self, job: u64, stroke: Stroke) {
        let _ = self.send(&ToInit::Signal { job, stroke }, &[]).await;
    }

    /// Ends every program in the cell, whoever started it, and waits until all are gone. `false`: the cell does not say so.
    pub async fn sweep(&self) -> bool {
        let swept = self.waiting.swept.notified();
        self.sweeper().sweep().await;
        tokio::time::timeout(SWEEP_TIMEOUT, swept).await.is_ok()
    }

    /// The means to end every program in it, for whoever does not hold the cell.
    pub(crate) fn sweeper(&self) -> Sweeper {
        Sweeper(Arc::clone(&self.socket))
    }

    async fn send(&self, message: &ToInit, fds: &[BorrowedFd<'_>]) -> std::io::Result<()> {
        self.socket.async_io(Interest::WRITABLE, || parcel::send(&*self.socket, message, fds)).await
    }

    /// What listens on the cell's own loopback, if its specification asked for it; once.
    pub fn listener(&mut self) -> Option<std::net::TcpListener> {
        self.cell.listener()
    }

    /// Where the calls that its filter refuses are told, if its specification asked for it; once.
    pub fn refusals(&mut self) -> Option<Refusals> {
        self.cell.refusals()
    }

    /// The cell itself.
    #[must_use]
    pub const fn cell(&self) -> &Cell {
        &self.cell
    }

    /// What met its limit so far; nothing where that cannot be told.
    #[must_use]
    pub fn strain(&self) -> Strain {
        self.launcher.strain(&self.cell).unwrap_or_default()
    }

    /// Ends everything in it, waits until it is gone, and says how it ended.
    pub async fn end(self) -> CellEnd {
        let Self { mut cell, reader, .. } = self;
        cell.kill();
        reader.abort();
        tokio::task::spawn_blocking(move || cell.wait()).await.unwrap_or(CellEnd::Lost)
    }
}

/// Hears what the cell says until it hangs up; whoever waits then learns that there is nothing to wait for.
async fn listen(socket: Arc<UnixStream>, waiting: Arc<Waiting>) {
    while let Ok(Some((said, fds))) =
        socket.async_io(Interest::READABLE, || parcel::receive::<FromInit>(&*socket)).await
    {
        waiting.hear(said, fds);
    }
    waiting.with(HashMap::clear);
}
