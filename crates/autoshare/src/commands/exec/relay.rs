//! This process's terminal, and the one that the program has.

use std::io::{IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use autoshare_core::wire::{Stroke, Window};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, Winsize};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

/// How long the last output of a program that has ended is waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The three streams of this process. Those that are a terminal are not handed over: whoever has a terminal can type into
/// it (`TIOCSTI`). The program gets one of its own instead.
pub(super) struct Streams {
    input: std::io::Stdin,
    output: std::io::Stdout,
    error: std::io::Stderr,
}

impl Streams {
    pub(super) fn of_this_process() -> Self {
        Self { input: std::io::stdin(), output: std::io::stdout(), error: std::io::stderr() }
    }

    /// Those that are handed over as they are.
    pub(super) fn given(&self) -> [Option<BorrowedFd<'_>>; 3] {
        [
            Some(self.input.as_fd()).filter(|_| !self.input.is_terminal()),
            Some(self.output.as_fd()).filter(|_| !self.output.is_terminal()),
            Some(self.error.as_fd()).filter(|_| !self.error.is_terminal()),
        ]
    }

    /// The size of this process's terminal.
    pub(super) fn window(&self) -> Window {
        let fds = [self.input.as_fd(), self.output.as_fd(), self.error.as_fd()];
        let size = fds.iter().find_map(|fd| rustix::termios::tcgetwinsize(fd).ok());
        size.map_or(Window { rows: 24, columns: 80 }, |size| Window { rows: size.ws_row, columns: size.ws_col })
    }

    /// Carries bytes between this process's terminal and the program's until the program's is closed.
    pub(super) fn relay(&self, terminal: OwnedFd) -> Relay {
        let terminal = Arc::new(terminal);
        let raw = if self.input.is_terminal() { Raw::enter(&self.input) } else { None };
        if self.input.is_terminal() {
            let to = Arc::clone(&terminal);
            // It may wait for a key when the program has ended; the process does not wait for it.
            tokio::task::spawn_blocking(move || pump(std::io::stdin().as_fd(), to.as_fd()));
        }
        let from = Arc::clone(&terminal);
        let shown = [self.output.is_terminal(), self.error.is_terminal()];
        let done = tokio::task::spawn_blocking(move || match shown {
            [true, _] => pump(from.as_fd(), std::io::stdout().as_fd()),
            [false, true] => pump(from.as_fd(), std::io::stderr().as_fd()),
            // Only what is typed comes back then: it belongs on the terminal, and in no file.
            [false, false] => pump(from.as_fd(), std::io::stdin().as_fd()),
        });
        Relay { terminal, done, _raw: raw }
    }
}

/// Bytes under way.
pub(super) struct Relay {
    terminal: Arc<OwnedFd>,
    done: JoinHandle<()>,
    /// Restores this process's terminal when it goes.
    _raw: Option<Raw>,
}

impl Relay {
    /// Tells the program's terminal that this one has another size.
    pub(super) fn resized(&self) {
        let window = Streams::of_this_process().window();
        let size = Winsize { ws_row: window.rows, ws_col: window.columns, ws_xpixel: 0, ws_ypixel: 0 };
        let _ = rustix::termios::tcsetwinsize(&*self.terminal, size);
    }

    /// Waits for the last output.
    pub(super) async fn finish(self) {
        let _ = tokio::time::timeout(LAST_WORDS, self.done).await;
        let _ = std::io::stdout().flush();
    }
}

/// Copies until the first side is closed; what the second does not take any more is dropped, so that no writer waits.
fn pump(from: BorrowedFd<'_>, to: BorrowedFd<'_>) {
    let mut buffer = [0u8; 16 * 1024];
    loop {
        match rustix::io::read(from, &mut buffer) {
            Ok(0) => return,
            Ok(read) => {
                let mut rest = buffer.get(..read).unwrap_or_default();
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
