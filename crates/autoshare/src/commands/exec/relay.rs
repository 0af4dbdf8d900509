//! This process's streams and those of the program: handed over, carried through a terminal of the program's own, or
//! carried and counted.

use std::io::{IsTerminal as _, PipeReader, PipeWriter, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use autoshare_core::wire::{Stroke, Window};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, Winsize};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What passes between this process and the program.
pub(super) struct Flow {
    /// Bytes of output that may pass.
    limit: u64,
    written: AtomicU64,
    /// When the last byte came, in milliseconds since `begun`.
    last: AtomicU64,
    begun: Instant,
    /// How many wait for whoever reads this process's output to take some.
    waiting: AtomicUsize,
    /// Who wants the next key that is typed.
    asked: Mutex<Option<oneshot::Sender<u8>>>,
}

impl Flow {
    pub(super) fn new(limit: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.unwrap_or(u64::MAX),
            written: AtomicU64::new(0),
            last: AtomicU64::new(0),
            begun: Instant::now(),
            waiting: AtomicUsize::new(0),
            asked: Mutex::default(),
        })
    }

    /// Gets the next key that is typed, from this moment on, instead of the program.
    pub(super) fn key(&self) -> oneshot::Receiver<u8> {
        let (sender, key) = oneshot::channel();
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        key
    }

    /// What of typed bytes is the program's.
    fn typed<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (asked, bytes.split_first()) {
            (Some(asked), Some((key, rest))) => {
                let _ = asked.send(*key);
                rest
            }
            _ => bytes,
        }
    }

    /// Whether the program wrote more than it may.
    pub(super) fn is_over(&self) -> bool {
        self.written.load(Ordering::Relaxed) > self.limit
    }

    /// How long it has been since the last byte; no time at all, while it is the reader who keeps the program waiting.
    pub(super) fn idle(&self) -> Duration {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }

    fn touch(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// How many of so many bytes of output may still pass.
    fn take(&self, bytes: usize) -> usize {
        let before = self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        usize::try_from(self.limit.saturating_sub(before)).map_or(bytes, |left| left.min(bytes))
    }
}

/// The three streams of this process. Those that are a terminal are not handed over: whoever has a terminal can type into
/// it (`TIOCSTI`). The program gets one of its own instead.
pub(super) struct Streams {
    input: std::io::Stdin,
    output: std::io::Stdout,
    error: std::io::Stderr,
    /// What output and errors go through where they are counted, and are no terminal.
    counted: [Option<(PipeReader, PipeWriter)>; 2],
}

impl Streams {
    /// With `counts`, all output passes this process, so that a limit can hold it.
    pub(super) fn of_this_process(counts: bool) -> std::io::Result<Self> {
        let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let pipe = |is_terminal: bool| (counts && !is_terminal).then(std::io::pipe).transpose();
        let counted = [pipe(output.is_terminal())?, pipe(error.is_terminal())?];
        Ok(Self { input, output, error, counted })
    }

    /// Those that the program gets as they are.
    pub(super) fn given(&self) -> [Option<BorrowedFd<'_>>; 3] {
        let [output, error] = self.counted.each_ref().map(|pipe| pipe.as_ref().map(|(_, writer)| writer.as_fd()));
        [
            Some(self.input.as_fd()).filter(|_| !self.input.is_terminal()),
            output.or(Some(self.output.as_fd()).filter(|_| !self.output.is_terminal())),
            error.or(Some(self.error.as_fd()).filter(|_| !self.error.is_terminal())),
        ]
    }

    /// The size of this process's terminal.
    pub(super) fn window() -> Window {
        let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let fds = [input.as_fd(), output.as_fd(), error.as_fd()];
        let size = fds.iter().find_map(|fd| rustix::termios::tcgetwinsize(fd).ok());
        size.map_or(Window { rows: 24, columns: 80 }, |size| Window { rows: size.ws_row, columns: size.ws_col })
    }

    /// Carries bytes until the program's side is closed: between its terminal and this process's, and what is counted.
    pub(super) fn relay(self, terminal: Option<OwnedFd>, flow: &Arc<Flow>) -> Relay {
        let mut under_way = Vec::new();
        let terminal = terminal.map(Arc::new);
        let mut raw = None;
        if let Some(terminal) = &terminal {
            if self.input.is_terminal() {
                raw = Raw::enter(&self.input);
                let (to, flow) = (Arc::clone(terminal), Arc::clone(flow));
                // It may wait for a key when the program has ended; the process does not wait for it.
                tokio::task::spawn_blocking(move || pump(std::io::stdin().as_fd(), to.as_fd(), &flow, Way::In));
            }
            let (from, flow) = (Arc::clone(terminal), Arc::clone(flow));
            let shown = [self.output.is_terminal(), self.error.is_terminal()];
            under_way.push(tokio::task::spawn_blocking(move || match shown {
                [true, _] => pump(from.as_fd(), std::io::stdout().as_fd(), &flow, Way::FromTerminal),
                [false, true] => pump(from.as_fd(), std::io::stderr().as_fd(), &flow, Way::FromTerminal),
                // Only what is typed comes back then: it belongs on the terminal, and in no file.
                [false, false] => pump(from.as_fd(), std::io::stdin().as_fd(), &flow, Way::FromTerminal),
            }));
        }
        let [output, error] = self.counted.map(|pipe| pipe.map(|(reader, _)| reader));
        if let Some(reader) = output {
            let flow = Arc::clone(flow);
            let carry = move || pump(reader.as_fd(), std::io::stdout().as_fd(), &flow, Way::FromPipe);
            under_way.push(tokio::task::spawn_blocking(carry));
        }
        if let Some(reader) = error {
            let flow = Arc::clone(flow);
            let carry = move || pump(reader.as_fd(), std::io::stderr().as_fd(), &flow, Way::FromPipe);
            under_way.push(tokio::task::spawn_blocking(carry));
        }
        Relay { terminal, under_way, _raw: raw }
    }
}

/// Bytes under way.
pub(super) struct Relay {
    terminal: Option<Arc<OwnedFd>>,
    under_way: Vec<JoinHandle<()>>,
    /// Restores this process's terminal when it goes.
    _raw: Option<Raw>,
}

impl Relay {
    /// Tells the program's terminal that this one has another size.
    pub(super) fn resized(&self) {
        let Some(terminal) = &self.terminal else { return };
        let window = Streams::window();
        let size = Winsize { ws_row: window.rows, ws_col: window.columns, ws_xpixel: 0, ws_ypixel: 0 };
        let _ = rustix::termios::tcsetwinsize(&**terminal, size);
    }

    /// Waits until the last output is out, when nobody is left who could write more. As long as it takes whoever reads it.
    pub(super) async fn drained(&mut self) {
        for done in &mut self.under_way {
            if !done.is_finished() {
                let _ = done.await;
            }
        }
        let _ = std::io::stdout().flush();
    }
}

/// Whether bytes go to the program, or come from its terminal or through a pipe.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    FromTerminal,
    FromPipe,
}

/// Copies until the first side is closed. What the second does not take any more is dropped where it came from a terminal,
/// so that no writer waits; a pipe is closed then, so that its writer hears of it.
fn pump(from: BorrowedFd<'_>, to: BorrowedFd<'_>, flow: &Flow, way: Way) {
    let mut buffer = [0u8; 16 * 1024];
    loop {
        match rustix::io::read(from, &mut buffer) {
            Ok(0) => return,
            Ok(read) => {
                flow.touch();
                let passes = if way == Way::In { read } else { flow.take(read) };
                let waits = usize::from(way != Way::In);
                flow.waiting.fetch_add(waits, Ordering::Relaxed);
                let mut rest = buffer.get(..passes).unwrap_or_default();
                if way == Way::In {
                    rest = flow.typed(rest);
                }
                while !rest.is_empty() {
                    match rustix::io::write(to, rest) {
                        Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                        Err(rustix::io::Errno::INTR) => {}
                        Err(rustix::io::Errno::AGAIN) => {
                            let _ = poll(&mut [PollFd::new(&to, PollFlags::OUT)], None);
                        }
                        Err(_) => break,
                    }
                }
                flow.touch();
                flow.waiting.fetch_sub(waits, Ordering::Relaxed);
                if !rest.is_empty() && way == Way::FromPipe {
                    return;
                }
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&from, PollFlags::IN)], None);
            }
            // A terminal answers EIO when nobody has its other side any more.
            Err(_) => return,
        }
    }
}

/// A terminal that hands on every key as it is: what a key means is for the program's own terminal to say.
struct Raw {
    before: Termios,
}

impl Raw {
    fn enter(input: &std::io::Stdin) -> Option<Self> {
        let before = rustix::termios::tcgetattr(input).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(input, OptionalActions::Drain, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// What this process is told by signals: to interrupt or end the program, or that its terminal has another size.
pub(super) struct Signals {
    interrupt: Option<Signal>,
    end: Option<Signal>,
    hang_up: Option<Signal>,
    window: Option<Signal>,
    asked: u32,
}

impl Signals {
    pub(super) fn listen() -> Self {
        let listen = |kind| signal(kind).ok();
        Self {
            interrupt: listen(SignalKind::interrupt()),
            end: listen(SignalKind::terminate()),
            hang_up: listen(SignalKind::hangup()),
            window: listen(SignalKind::window_change()),
            asked: 0,
        }
    }

    /// The next; `None` for another size. Whoever asks three times means it.
    pub(super) async fn next(&mut self) -> Option<Stroke> {
        let stroke = tokio::select! {
            () = heard(&mut self.interrupt) => Stroke::Interrupt,
            () = heard(&mut self.end) => Stroke::End,
            () = heard(&mut self.hang_up) => Stroke::End,
            () = heard(&mut self.window) => return None,
        };
        self.asked += 1;
        Some(if self.asked >= 3 { Stroke::Kill } else { stroke })
    }
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
