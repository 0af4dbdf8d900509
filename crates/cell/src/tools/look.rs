//! `read_file`, `list_folder`, `find` and `search`: what a model is shown.

use autoshare_core::outcome::Refusal;
use autoshare_core::tool::Action;
use autoshare_workspace::{Kind, MAX_RESULTS};

use super::text::{Encoding, Window, decode, window};
use super::{failed, need, refusal};
use crate::roots::Spot;

/// Lines that `read_file` shows when no limit is given.
const LINES: u64 = 2_000;

/// Something to look at.
pub(crate) struct Look<'a> {
    spot: Spot<'a>,
    what: What<'a>,
}

enum What<'a> {
    Read {
        encoding: Encoding,
        offset: u64,
        limit: u64,
    },
    /// Nothing: its bytes are read in a cell of their own.
    Document,
    List {
        hidden: bool,
    },
    Find {
        pattern: &'a str,
    },
    Search {
        pattern: &'a str,
        glob: Option<&'a str>,
    },
}

/// What a look shows.
pub(crate) struct Shown {
    pub(crate) text: String,
    /// Bytes that were read from files.
    pub(crate) bytes: u64,
}

impl<'a> Look<'a> {
    pub(super) fn read(spot: Spot<'a>, action: &Action) -> Result<Self, Refusal> {
        let number = |name, default| match action.integer(name) {
            None => Ok(default),
            Some(number) => u64::try_from(number)
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| failed(format!("{name} counts lines from 1; {number} is none"))),
        };
        let (offset, limit) = (number("offset", 1)?, number("limit", LINES)?);
        let encoding = Encoding::parse(action.text("encoding").unwrap_or("auto")).map_err(failed)?;
        Ok(Self { spot, what: What::Read { encoding, offset, limit } })
    }

    pub(super) const fn document(spot: Spot<'a>) -> Self {
        Self { spot, what: What::Document }
    }

    pub(super) fn list(spot: Spot<'a>, action: &Action) -> Self {
        Self { spot, what: What::List { hidden: action.flag("hidden") } }
    }

    pub(super) fn find(spot: Spot<'a>, action: &'a Action) -> Result<Self, Refusal> {
        Ok(Self { spot, what: What::Find { pattern: need(action, "pattern")? } })
    }

    pub(super) fn search(spot: Spot<'a>, action: &'a Action) -> Result<Self, Refusal> {
        Ok(Self { spot, what: What::Search { pattern: need(action, "pattern")?, glob: action.text("glob") } })
    }

    /// Whether it cuts its text itself and says how to go on, so that nothing need be kept elsewhere.
    pub(crate) const fn is_windowed(&self) -> bool {
        matches!(self.what, What::Read { .. })
    }

    /// Whether what is to be looked at can be opened; its path in normal form.
    pub(crate) fn check(&self) -> Result<String, Refusal> {
        let (path, kind) = self.spot.workspace.look(&self.spot.path).map_err(refusal)?;
        match (&self.what, kind) {
            (What::Read { .. } | What::Document, Kind::Folder) => {
                Err(failed(format!("{path:?} is a directory; use list_folder")))
            }
            (What::List { .. } | What::Find { .. }, Kind::File) => {
                Err(failed(format!("{path:?} is a file, not a directory; use read_file or search")))
            }
            _ => Ok(path),
        }
    }

    /// The bytes of the document.
    pub(crate) fn hand(&self) -> Result<Vec<u8>, Refusal> {
        match self.what {
            What::Document => self.spot.workspace.read(&self.spot.path).map_err(refusal),
            _ => Err(failed("no document is named".to_owned())),
        }
    }

    /// Looks. A file's text is cut to `max_text` bytes; everything else is returned whole.
    pub(crate) fn perform(&self, max_text: u64) -> Result<Shown, Refusal> {
        self.check()?;
        match self.what {
            What::Read { encoding, offset, limit } => {
                let bytes = self.spot.workspace.read(&self.spot.path).map_err(refusal)?;
                let (text, charset) =
                    decode(&bytes, encoding).map_err(|why| failed(format!("{:?} {why}", self.spot.path)))?;
                let max = usize::try_from(max_text).unwrap_or(usize::MAX);
                let note = charset.map(|charset| format!("\n[converted from {charset}]")).unwrap_or_default();
                let max = max.saturating_sub(note.len());
                let text = window(&text, &Window { offset, limit, max }).map_err(failed)? + &note;
                Ok(Shown { text, bytes: bytes.len() as u64 })
            }
            What::Document => Err(failed("documents are read in a cell of their own".to_owned())),
            What::List { hidden } => self.list_entries(hidden),
            What::Find { pattern } => self.find_paths(pattern),
            What::Search { pattern, glob } => self.search_lines(pattern, glob),
        }
    }

    fn list_entries(&self, hidden: bool) -> Result<Shown, Refusal> {
        let (entries, whole) = self.spot.workspace.list(&self.spot.path).map_err(refusal)?;
        let all = entries.len();
        let shown: Vec<_> = entries.into_iter().filter(|entry| hidden || !entry.name.starts_with('.')).collect();
        let left_out = all - shown.len();
        let mut lines: Vec<String> = Vec::new();
        for entry in shown.iter().take(MAX_RESULTS) {
            lines.push(match entry.kind {
                Kind::File => format!("{} ({} bytes)", entry.name, entry.len),
                Kind::Folder => format!("{}/", entry.name),
                Kind::Link => format!("{} (symbolic link)", entry.name),
                Kind::Special => format!("{} (device, FIFO or socket: cannot be opened)", entry.name),
            });
        }
        if shown.is_empty() {
            lines.push("(nothing)".to_owned());
        }
        more(&mut lines, shown.len().saturating_sub(MAX_RESULTS) as u64, "entries");
        if left_out > 0 {
            lines.push(format!("({left_out} hidden; set hidden to see them)"));
        }
        incomplete(&mut lines, whole);
        Ok(Shown { text: lines.join("\n"), bytes: 0 })
    }

    fn find_paths(&self, pattern: &str) -> Result<Shown, Refusal> {
        let found = self.spot.workspace.find(pattern, &self.spot.path).map_err(refusal)?;
        let mut lines: Vec<String> = found.paths.iter().map(|path| format!("{}{path}", self.spot.prefix)).collect();
        if lines.is_empty() {
            lines.push("(no path matches)".to_owned());
        }
        more(&mut lines, found.more, "paths");
        incomplete(&mut lines, found.whole);
        Ok(Shown { text: lines.join("\n"), bytes: 0 })
    }

    fn search_lines(&self, pattern: &str, glob: Option<&str>) -> Result<Shown, Refusal> {
        let matches = self.spot.workspace.search(pattern, &self.spot.path, glob).map_err(refusal)?;
        let line =
            |hit: &autoshare_workspace::Hit| format!("{}{}:{}: {}", self.spot.prefix, hit.path, hit.line, hit.text);
        let mut lines: Vec<String> = matches.hits.iter().map(line).collect();
        if lines.is_empty() {
            lines.push(format!("(no line matches in {} files)", matches.files));
        }
        more(&mut lines, matches.more, "lines");
        if matches.passed_over > 0 {
            lines.push(format!("({} files passed over: binary, too large or refused)", matches.passed_over));
        }
        incomplete(&mut lines, matches.whole);
        Ok(Shown { text: lines.join("\n"), bytes: matches.bytes })
    }
}

fn more(lines: &mut Vec<String>, count: u64, what: &str) {
    if count > 0 {
        lines.push(format!("({count} more {what}; narrow it down to see them)"));
    }
}

fn incomplete(lines: &mut Vec<String>, whole: bool) {
    if !whole {
        lines.push(
            "(not everything was looked at: too many entries, too deep, or barred; name a smaller folder)".to_owned(),
        );
    }
}
