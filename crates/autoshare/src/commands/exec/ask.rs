//! Asks the person at the terminal about hosts that no rule names.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use autoshare_broker::egress::Question;
use autoshare_core::event::{Event, NoteKind};
use tokio::sync::mpsc;

use super::relay::Flow;

/// What was asked and answered, for the journal.
pub(super) type Answers = Arc<Mutex<Vec<Event>>>;

/// Answers questions as long as there are any. The next key that is typed is the answer, and goes to no program.
pub(super) async fn answer(mut questions: mpsc::Receiver<Question>, flow: Arc<Flow>, login: String, answers: Answers) {
    while let Some(Question { target, answer }) = questions.recv().await {
        // Before the words: whoever is quick is not to type to the program.
        let key = flow.key();
        say(&format!("\r\nautoshare: allow {target} for this brain? [y/N] "));
        let yes = matches!(key.await, Ok(b'y' | b'Y'));
        let word = if yes { "yes" } else { "no" };
        say(&format!("{word}\r\n"));
        let text = format!("{login} was asked whether {target} may be reached, and said {word}");
        answers.lock().unwrap_or_else(PoisonError::into_inner).push(Event::Note { kind: NoteKind::Host, text });
        let _ = answer.send(yes);
    }
}

fn say(words: &str) {
    let _ = std::io::stderr().write_all(words.as_bytes());
}
