//! What a person is asked at the terminal: exactly what would run, and for a secret text.

use std::io::{BufRead, IsTerminal, Read, Write};

use autoshare_core::event::Answer;
use autoshare_core::verdict::Provenance;
use autoshare_guard::encode;
use autoshare_host::Question;
use autoshare_vault::Zeroizing;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Bytes of one value that a question shows before it says how many more there are. Nothing is left out unsaid, and
/// `autoshare show` prints the whole.
const SHOWN: usize = 2_000;

/// Whether somebody can be asked: both ends must be a terminal.
pub(crate) fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The question in words; every value is neutralised, so that what is seen is what would run.
pub(crate) fn words(question: &Question) -> String {
    if question.action.tool == autoshare_host::SOFT_CAP {
        return format!(
            "\nThe next model call of {} would pass a soft cap of a budget and needs your word:\n  {}\n  action {}\n",
            question.brain,
            encode::terminal(&question.verdict.why()),
            question.digest.short()
        );
    }
    let mut text = format!(
        "\nStep {} of {} wants to run {} and needs your word:\n",
        question.step,
        question.brain,
        encode::terminal_line(&question.action.tool, 64)
    );
    for (name, value) in &question.action.args {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let shown: String = value.char_indices().take_while(|(at, _)| *at < SHOWN).map(|(_, c)| c).collect();
        let more = value.len() - shown.len();
        let shown = encode::terminal(&shown).replace('\n', "\n      ");
        let from = question.verdict.origins.iter().find(|origin| origin.param == *name);
        let from = from.map(|origin| format!("  ({})", provenance(&origin.provenance))).unwrap_or_default();
        text.push_str(&format!("  {}: {shown}{from}\n", encode::terminal_line(name, 64)));
        if more > 0 {
            text.push_str(&format!("      ... and {more} bytes more (autoshare show {})\n", question.brain));
        }
    }
    text.push_str(&format!("  why asked: {}\n", encode::terminal(&question.verdict.why())));
    text.push_str(&format!("  action {}\n", question.digest.short()));
    text
}

/// Where a value stands, for a person.
pub(crate) fn provenance(from: &Provenance) -> String {
    match from {
        Provenance::Operator => "from the operator".to_owned(),
        Provenance::User => "in your own words".to_owned(),
        Provenance::Issued { tool, field } => {
            format!("issued by {} as {}", encode::terminal_line(tool, 40), encode::terminal_line(field, 40))
        }
        Provenance::Model => "made by the model".to_owned(),
        Provenance::TaintedModel => "made by the model after it read what others wrote".to_owned(),
        Provenance::Content { source } => {
            format!("from {}, which you did not write", encode::terminal_line(source, 80))
        }
    }
}

/// Asks until there is an answer; the end of input is a no. Blocks.
#[expect(clippy::print_stderr, reason = "the prompt")]
pub(crate) fn ask(question: &Question) -> Answer {
    eprint!("{}", words(question));
    loop {
        eprint!("  [y]es, [n]o, [a]lways for this tool and target, or words for the brain: ");
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => return Answer::No,
            Ok(_) => {}
        }
        match line.trim() {
            "" => {}
            "y" | "Y" | "yes" => return Answer::Yes,
            "n" | "N" | "no" => return Answer::No,
            "a" | "A" | "always" => return Answer::Always,
            words => return Answer::Feedback { text: words.to_owned() },
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
    let _ = write!(std::io::stderr(), "{question}");
    let hidden = Hidden::begin()?;
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
