//! `autoshare scan`: the guard for anybody's files.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use autoshare_core::document::{Document, Format, Hint, Removed, RemovedKind};
use autoshare_core::screening::Held;
use autoshare_guard::encode;
use autoshare_guard::verify::Channel;
use autoshare_host::{Guard, Reader};
use autoshare_sandbox::{Launcher, Tier};
use console::Style;
use rustix::fs::{FileType, Mode, OFlags};
use serde_json::{Value, json};

use crate::args;
use crate::exit::{FAILED, FOUND, Failure};
use crate::screen::{Look, ascii_json, out, style_for_stdout};
use crate::settings::{Settings, detector};

/// Bytes of a file that are read at most.
const MAX_FILE: u64 = 128 * 1024 * 1024;
/// Bytes of a passage that are shown before it is said how many more there are.
const SHOWN: usize = 2_000;
/// Bytes of text around a passage.
const AROUND: usize = 60;

/// Something that a reader would want to know of a text.
struct Finding {
    /// Its kind, stable: `hidden-text`, `orders`, or `not-allowed` for what a rule of its source or a verifier refuses.
    rule: &'static str,
    /// One sentence.
    words: String,
    /// The line at which it begins, from 1; none where it concerns the whole.
    line: Option<usize>,
    /// The character in that line, from 1.
    column: usize,
    /// The text before it, it, and the text after it.
    passage: Option<[String; 3]>,
    /// In what form it was seen, and how sure that is, in hundredths.
    order: Option<(String, u8)>,
}

/// The findings of one input.
struct Report {
    name: String,
    findings: Vec<Finding>,
}

pub(crate) fn scan(
    settings: &Settings,
    launcher: Launcher,
    flags: &args::Scan,
    look: Look,
) -> Result<ExitCode, Failure> {
    let mut guard = crate::assemble::guard(settings)?;
    // It costs money, and belongs to a brain.
    guard.judge = None;
    if let Some(name) = &flags.detector {
        guard.detector = detector("--detector", name)?;
    }
    let channel = match flags.channel {
        args::Whose::Content => Channel::Content,
        args::Whose::User => Channel::User,
    };
    let stdin = [Path::new("-").to_owned()];
    let files = if flags.files.is_empty() { &stdin[..] } else { &flags.files };
    let reader = Reader::new(Arc::new(launcher), Tier::Narrow);
    let runtime = super::runtime()?;
    let mut reports = Vec::new();
    for file in files {
        let (name, bytes) = read(file)?;
        let hint = Hint { mime: None, name: file.file_name().map(|name| name.to_string_lossy().into_owned()) };
        let document = runtime
            .block_on(reader.read(&bytes, &hint))
            .map_err(|why| Failure::new(FAILED, format!("{name}: {why}")))?;
        let mut found = hidden(&document);
        let source = format!("file:{name}");
        match (document.format, std::str::from_utf8(&bytes)) {
            // As it stands, so that lines and characters are those of the file.
            (Format::Text | Format::Markdown, Ok(text)) => found.extend(findings(&source, text, channel, &guard)),
            _ => {
                found.extend(findings(&source, &document.text, channel, &guard));
                for aside in &document.asides {
                    let beside = findings(&source, &aside.text, channel, &guard);
                    found.extend(beside.into_iter().map(|found| Finding { line: None, ..found }));
                }
                for removed in document.removed.iter().filter(|removed| removed.kind.is_text()) {
                    let unseen = findings(&source, &removed.text, channel, &guard)
                        .into_iter()
                        .filter(|one| one.rule == "orders");
                    found.extend(unseen.map(|one| unseen_orders(one, removed)));
                }
            }
        }
        reports.push(Report { findings: found, name });
    }
    let is_clean = reports.iter().all(|report| report.findings.is_empty());
    if flags.sarif {
        out(&ascii_json(&sarif(&reports)));
    } else if look == Look::Json {
        reports.iter().flat_map(json_lines).for_each(|line| out(&ascii_json(&line)));
    } else {
        let style = style_for_stdout();
        reports.iter().for_each(|report| print(report, &style));
    }
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

fn read(file: &Path) -> Result<(String, Vec<u8>), Failure> {
    let mut bytes = Vec::new();
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let wrong = |why: std::io::Error| Failure::new(FAILED, format!("{name}: {why}"));
    if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(wrong)?;
    } else {
        open(file).map_err(wrong)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(wrong)?;
    }
    if bytes.len() as u64 > MAX_FILE {
        let why = format!("{name} is longer than {} MiB: scan it in parts", MAX_FILE >> 20);
        return Err(Failure::new(FAILED, why));
    }
    Ok((name, bytes))
}

/// Opens a regular file, without waiting for whoever may hold the other end of a pipe.
fn open(file: &Path) -> std::io::Result<std::fs::File> {
    let opened = rustix::fs::open(file, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
    match FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode) {
        FileType::RegularFile => Ok(opened.into()),
        FileType::Directory => Err(std::io::Error::other("it is a folder: name its files")),
        _ => Err(std::io::Error::other("it is no regular file: use `-` and a pipe")),
    }
}

/// What a document keeps from whoever reads it: not what pages hold in any case, such as scripts and style sheets.
fn hidden(document: &Document) -> Vec<Finding> {
    let is_usual = |kind| {
        matches!(
            kind,
            RemovedKind::Script
                | RemovedKind::Style
                | RemovedKind::SourceComment
                | RemovedKind::Template
                | RemovedKind::RemoteImage
                | RemovedKind::AutoLoad
        )
    };
    let finding = |removed: &Removed| {
        let (one, many) = removed.kind.words();
        let what = if removed.count == 1 { one } else { many };
        let left_out =
            if removed.cut > 0 { format!(", of which {} are left out here", removed.cut) } else { String::new() };
        let words = format!("a reader does not see {} {what} ({} bytes{left_out})", removed.count, removed.bytes);
        let passage = Some([String::new(), removed.text.clone(), String::new()]);
        Finding { rule: "hidden-text", words, line: None, column: 1, passage, order: None }
    };
    document.removed.iter().filter(|removed| !is_usual(removed.kind)).map(finding).collect()
}

/// Orders in what a reader does not see.
fn unseen_orders(found: Finding, removed: &Removed) -> Finding {
    let words = format!("{}, and a reader does not see it: it is {}", found.words, removed.kind.words().0);
    Finding { line: None, words, ..found }
}

/// What the guard says of a text.
fn findings(source: &str, text: &str, channel: Channel, guard: &Guard) -> Vec<Finding> {
    let (_, hidden) = autoshare_guard::filter::visible(text);
    let mut place = Place::default();
    let mut found: Vec<Finding> = hidden
        .iter()
        .map(|hidden| {
            let (line, column) = place.of(text, hidden.first_at);
            let words = format!("a reader does not see {}", hidden.words());
            Finding { rule: "hidden-text", words, line: Some(line), column, passage: None, order: None }
        })
        .collect();
    let seen = guard.sift(source, text, channel, usize::MAX);
    let mut place = Place::default();
    for (held, passage) in autoshare_guard::held(&seen.text, &guard.settle(&seen, None)) {
        let at = usize::try_from(held.at).unwrap_or(usize::MAX);
        let (line, column) = place.of(&seen.text, at);
        let before = seen.text.get(seen.text.floor_char_boundary(at.saturating_sub(AROUND))..at).unwrap_or_default();
        let end = at + passage.len();
        let after =
            seen.text.get(end..seen.text.ceil_char_boundary((end + AROUND).min(seen.text.len()))).unwrap_or_default();
        found.push(Finding {
            rule: if held.why.is_empty() { "orders" } else { "not-allowed" },
            words: words_of(held),
            line: Some(line),
            column,
            passage: Some([before, passage, after].map(str::to_owned)),
            order: held.why.is_empty().then(|| (held.form.clone(), held.percent)),
        });
    }
    found
}

fn words_of(held: &Held) -> String {
    match (held.why.as_str(), held.by.as_slice()) {
        ("", []) => "it reads like orders to whoever reads it".to_owned(),
        ("", by) => format!("it reads like orders to whoever reads it, says the {}", by.join(" and the ")),
        (why, _) => why.to_owned(),
    }
}

/// Line and character of bytes of a text, each from 1, asked for in the order of the text: it is counted once.
struct Place {
    at: usize,
    line: usize,
    column: usize,
}

impl Default for Place {
    fn default() -> Self {
        Self { at: 0, line: 1, column: 1 }
    }
}

impl Place {
    fn of(&mut self, text: &str, at: usize) -> (usize, usize) {
        for c in text.get(self.at..at).unwrap_or_default().chars() {
            (self.line, self.column) = if c == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        }
        self.at = self.at.max(at);
        (self.line, self.column)
    }
}

fn print(report: &Report, style: &Style) {
    let name = encode::terminal_line(&report.name, 200);
    if report.findings.is_empty() {
        return out(&format!("{name}: nothing found"));
    }
    for found in &report.findings {
        let at = found.line.map(|line| format!(":{line}:{}", found.column)).unwrap_or_default();
        let order = found.order.as_ref().map(|(form, percent)| format!(" ({percent} %, as {form})"));
        out(&format!("{name}{at}: {} [{}]{}", found.words, found.rule, order.unwrap_or_default()));
        if let Some([before, passage, after]) = &found.passage {
            let (dim, red) = (style.clone().dim(), style.clone().red());
            let shown = passage.get(..passage.floor_char_boundary(SHOWN)).unwrap_or_default();
            let more = if shown.len() < passage.len() {
                format!(" ... and {} bytes more", passage.len() - shown.len())
            } else {
                String::new()
            };
            let parts = [
                paint(&last_line(before), &dim),
                paint(&format!("{}{more}", encode::terminal(shown)), &red),
                paint(&first_line(after), &dim),
            ];
            out(&format!("    | {}", parts.concat().replace('\n', "\n    | ")));
        }
    }
}

/// Each line by itself, so that the bars before them keep their own colour.
fn paint(text: &str, style: &Style) -> String {
    text.split('\n').map(|line| style.apply_to(line).to_string()).collect::<Vec<_>>().join("\n")
}

fn last_line(text: &str) -> String {
    encode::terminal(text.rsplit('\n').next().unwrap_or_default())
}

fn first_line(text: &str) -> String {
    encode::terminal(text.split('\n').next().unwrap_or_default())
}

fn json_lines(report: &Report) -> Vec<Value> {
    let line = |found: &Finding| {
        json!({
            "file": report.name, "rule": found.rule, "words": found.words, "line": found.line, "column": found.column,
            "passage": found.passage.as_ref().map(|[_, passage, _]| passage),
            "form": found.order.as_ref().map(|(form, _)| form),
            "percent": found.order.as_ref().map(|(_, percent)| percent),
        })
    };
    report.findings.iter().map(line).collect()
}

/// Static Analysis Results Interchange Format 2.1.0 (OASIS).
fn sarif(reports: &[Report]) -> Value {
    let rule = |id: &str, words: &str| json!({"id": id, "shortDescription": {"text": words}});
    let result = |report: &Report, found: &Finding| {
        let mut region = json!({"startLine": found.line.unwrap_or(1), "startColumn": found.column});
        let mut result = json!({
            "ruleId": found.rule,
            "level": if found.rule == "hidden-text" { "warning" } else { "error" },
            "message": {"text": found.words},
        });
        // No member may be null there.
        if let (Some([_, passage, _]), Some(region)) = (&found.passage, region.as_object_mut()) {
            region.insert("snippet".to_owned(), json!({"text": passage}));
        }
        let location = json!({"artifactLocation": {"uri": report.name}, "region": region});
        if let Some(result) = result.as_object_mut() {
            result.insert("locations".to_owned(), json!([{"physicalLocation": location}]));
            if let Some((_, percent)) = &found.order {
                result.insert("rank".to_owned(), json!(f64::from(*percent)));
            }
        }
        result
    };
    let results: Vec<Value> =
        reports.iter().flat_map(|report| report.findings.iter().map(|found| result(report, found))).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "autoshare", "version": env!("CARGO_PKG_VERSION"), "rules": [
                rule("hidden-text", "Text that a reader does not see"),
                rule("orders", "Orders to whoever reads the text"),
                rule("not-allowed", "What its source may not hold, or what could not be judged"),
            ]}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}
