//! The log of `serve`: one line an event on stderr, as JSON or for people.
//!
//! Only what this program says is logged, never what a library says, and nothing of it is content: there are no goals, no
//! arguments, no names of files and no bodies, and a tenant goes by its opaque id. Whoever serves never waits for whoever reads
//! the log: lines go through a bounded queue, and how many found it full is logged when there is room again.

use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use autoshare_core::day::Day;
use autoshare_guard::encode;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::exit::{FAILED, Failure};

/// Lines that may wait to be written.
const QUEUE: usize = 4_096;
/// How long it may take to write what waits at the end.
const LAST: Duration = Duration::from_secs(1);
/// What the targets of this program's own events begin with.
const OURS: &str = "autoshare";

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Plain,
}

/// What waits to be written.
enum Entry {
    Line(String),
    /// Somebody waits until all before it is written.
    Mark(SyncSender<()>),
}

/// The end of a log.
pub(super) struct End(SyncSender<Entry>);

impl End {
    /// Waits until what was logged is written, if whoever reads it takes it in time.
    pub(super) fn wait(self) {
        let (done, written) = sync_channel(1);
        if self.0.try_send(Entry::Mark(done)).is_ok() {
            let _ = written.recv_timeout(LAST);
        }
    }
}

/// Begins to log what is at least as grave as `least`; nothing where there is none.
pub(super) fn begin(form: Form, least: Option<Level>) -> Result<Option<End>, Failure> {
    let Some(least) = least else { return Ok(None) };
    let (lines, queue) = sync_channel(QUEUE);
    let failed = |why: String| Failure::new(FAILED, format!("cannot begin to log: {why}"));
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write(&queue))
        .map_err(|error| failed(error.to_string()))?;
    let end = End(lines.clone());
    let log = Log { form, least, lines, lost: AtomicU64::new(0) };
    tracing::subscriber::set_global_default(log).map_err(|error| failed(error.to_string()))?;
    Ok(Some(end))
}

fn write(queue: &Receiver<Entry>) {
    while let Ok(entry) = queue.recv() {
        // That nobody reads, or waits, is no reason not to serve.
        match entry {
            Entry::Line(line) => drop(std::io::stderr().write_all(line.as_bytes())),
            Entry::Mark(done) => drop(done.send(())),
        }
    }
}

struct Log {
    form: Form,
    least: Level,
    lines: SyncSender<Entry>,
    lost: AtomicU64,
}

impl Log {
    fn send(&self, line: Line) {
        if self.lines.try_send(Entry::Line(line.text(self.form))).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What asks whether it would be logged is no event, and no span either.
        !metadata.is_span() && *metadata.level() <= self.least && metadata.target().starts_with(OURS)
    }

    fn event(&self, event: &Event<'_>) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let mut line = Line::new(Level::WARN);
            line.set("message", "lines of this log are missing: whoever reads it does not keep up".into());
            line.set("lines", lost.into());
            // Should this one not fit either, the count stays.
            if self.lines.try_send(Entry::Line(line.text(self.form))).is_err() {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
        let mut line = Line::new(*event.metadata().level());
        event.record(&mut line);
        self.send(line);
    }

    // Nothing here is nested.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// One line: time, level, message, and the other fields in their order.
struct Line(Map<String, Value>);

impl Line {
    fn new(level: Level) -> Self {
        let mut line = Self(Map::new());
        line.set("at", now().into());
        line.set("level", level.as_str().to_ascii_lowercase().into());
        line
    }

    fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    fn text(mut self, form: Form) -> String {
        if form == Form::Json {
            return format!("{}\n", Value::Object(self.0));
        }
        let mut taken = |name: &str| match self.0.remove(name) {
            Some(Value::String(text)) => encode::log_line(&text),
            _ => String::new(),
        };
        let mut text = format!("{} {:5} {}", taken("at"), taken("level"), taken("message"));
        for (name, value) in &self.0 {
            text.push_str(&format!(" {name}={}", encode::log_line(&value.to_string())));
        }
        text.push('\n');
        text
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }
}

/// The time as RFC 3339 has it, in UTC.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let rest = ms % 86_400_000;
    let (hours, minutes, seconds) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!("{}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", Day::of_ms(ms), rest % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(entry: Entry) -> String {
        match entry {
            Entry::Line(line) => line,
            Entry::Mark(_) => panic!("no line"),
        }
    }

    fn logged(form: Form, least: Level, queue: usize) -> Vec<String> {
        let (lines, all) = sync_channel(queue);
        let log = Log { form, least, lines, lost: AtomicU64::new(0) };
        tracing::subscriber::with_default(log, || {
            tracing::info!(target: "autoshare_server::x", status = 200u16, route = "/a\nb", "request");
            tracing::info!(target: "hyper::proto", "what a library says");
            tracing::debug!(target: "autoshare_server::x", "what nobody asked for");
            let mut first: Vec<String> = all.try_iter().map(line).collect();
            tracing::warn!(target: "autoshare_server::x", error = %"\u{1b}[2J\nforged", "it failed");
            first.extend(all.try_iter().map(line));
            first
        })
    }

    #[test]
    fn f8_a_line_is_an_event_of_this_program_and_one_line() {
        let json = logged(Form::Json, Level::INFO, 10);
        assert_eq!(json.len(), 2, "{json:?}");
        let first: Value = serde_json::from_str(&json[0]).unwrap();
        assert_eq!(
            (&first["level"], &first["message"], &first["status"]),
            (&"info".into(), &"request".into(), &200.into())
        );
        let plain = logged(Form::Plain, Level::INFO, 10);
        assert!(plain[0].contains("info  request route=") && plain[0].contains("status=200"), "{plain:?}");
        for line in json.iter().chain(&plain) {
            assert_eq!((line.matches('\n').count(), line.ends_with('\n')), (1, true), "{line:?}");
            assert!(!line.contains('\u{1b}'), "{line:?}");
        }
        assert_eq!(logged(Form::Json, Level::WARN, 10).len(), 1);
    }

    #[test]
    fn whoever_does_not_read_the_log_keeps_nobody_waiting_and_is_told_what_is_missing() {
        let (lines, all) = sync_channel(2);
        let log = Log { form: Form::Json, least: Level::INFO, lines, lost: AtomicU64::new(0) };
        tracing::subscriber::with_default(log, || {
            (0..10).for_each(|n| tracing::info!(target: "autoshare", n, "x"));
            assert_eq!(all.try_iter().count(), 2);
            tracing::info!(target: "autoshare", "again");
            let told: Value = serde_json::from_str(&line(all.try_recv().unwrap())).unwrap();
            assert_eq!(told["lines"], 8);
            assert!(line(all.try_recv().unwrap()).contains("again"));
        });
    }
}
