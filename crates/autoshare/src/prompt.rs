//! What a person is asked at the terminal: whether an action may run, for a yes, and for a secret text.

use std::io::{BufRead, IsTerminal, Read, Write};

use autoshare_core::event::Answer;
use autoshare_host::Question;
use autoshare_vault::Zeroizing;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::question::{self, Offered};

/// Whether somebody can be asked: both ends must be a terminal.
pub(crate) fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks until there is an answer; the end of input is a no. Blocks.
#[expect(clippy::print_stderr, reason = "the prompt")]
pub(crate) fn ask(question: &Question) -> Answer {
    let offered = Offered::by(question);
    eprint!("{}", question::words(question, &crate::screen::style_for_stderr()));
    loop {
        eprint!("{}", offered.line());
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => return Answer::No,
            Ok(_) => {}
        }
        if let Some(answer) = offered.parse(&line) {
            return answer;
        }
    }
}

/// Asks for a yes at the terminal; anything else is a no. Blocks.
#[expect(clippy::print_stderr, reason = "the prompt")]
pub(crate) fn confirm(question: &str) -> bool {
    eprint!("{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().take(100).read_line(&mut line);
    read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}

/// What came of asking for a secret text.
pub(crate) enum Typed {
    /// It.
    Text(String),
    /// More than there may be.
    TooLong,
    /// The person thought better of it.
    GivenUp,
}

/// One line of secret text: at a terminal asked for and not shown, else all of standard input but for a newline at its
/// end. Never from the command line, which every user of the machine can read.
pub(crate) fn secret(question: &str, max: usize) -> std::io::Result<Typed> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        // As large as can be needed from the start, so that no copy is left behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(max + 3));
        input.lock().take(max as u64 + 3).read_to_end(&mut bytes)?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        return Ok(typed(line.strip_suffix(b"\r").unwrap_or(line), max));
    }
    // Before it is asked for: what is typed at once is not shown either.
    let hidden = Hidden::begin()?;
    let _ = write!(std::io::stderr(), "{question}");
    let mut line = Zeroizing::new(Vec::with_capacity(max + 1));
    let mut lock = input.lock();
    let end = loop {
        let mut byte = [0u8; 1];
        if lock.read(&mut byte)? == 0 {
            break Some(());
        }
        match byte {
            [b'\r' | b'\n' | 4] => break Some(()),
            [3 | 26 | 28] => break None,
            [8 | 127] => drop(line.pop()),
            [21] => line.clear(),
            [byte] if line.len() <= max => line.push(byte),
            _ => {}
        }
    };
    drop(hidden);
    let _ = writeln!(std::io::stderr());
    Ok(end.map_or(Typed::GivenUp, |()| typed(&line, max)))
}

fn typed(line: &[u8], max: usize) -> Typed {
    if line.len() > max {
        return Typed::TooLong;
    }
    // What is not UTF-8 becomes something that is refused as not ASCII.
    Typed::Text(String::from_utf8_lossy(line).into_owned())
}

/// The terminal without echo; as it was before when dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> std::io::Result<Self> {
        let input = std::io::stdin();
        let before = tcgetattr(&input)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&input, OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}
