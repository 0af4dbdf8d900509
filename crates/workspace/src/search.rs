//! Finding lines by a regular expression, in linear time.

use std::ops::ControlFlow;

use regex::bytes::{Regex, RegexBuilder};

use crate::beneath::Follow;
use crate::find::{Names, prefix};
use crate::limits::{MAX_LINE, MAX_PATTERN, MAX_REGEX, MAX_RESULTS, MAX_SCAN, MAX_VISITED};
use crate::walk::{Coverage, Kind, Order, Walk, shown};
use crate::{Workspace, WorkspaceError};

/// A line that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its file, below the workspace.
    pub path: String,
    /// Its number; the first is 1.
    pub line: u64,
    /// The line, cut to 400 bytes; bytes that are not UTF-8 as U+FFFD.
    pub text: String,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matches {
    /// The lines, by file and number. [`MAX_RESULTS`] at most.
    pub hits: Vec<Hit>,
    /// How many more lines match.
    pub more: u64,
    /// Files that were read.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Files that were passed over: binary, too large, or refused.
    pub passed_over: u64,
    /// Whether everything was looked at.
    pub whole: bool,
}

impl Workspace {
    /// The lines that match `pattern` in the file `path`, or in the files below the directory `path` whose names match
    /// `glob`. Links are not followed below a directory; what lies in a `.git` or among results is passed over.
    ///
    /// # Errors
    /// The path cannot be opened, or a pattern is none.
    pub fn search(&self, pattern: &str, path: &str, glob: Option<&str>) -> Result<Matches, WorkspaceError> {
        let regex = compile(pattern)?;
        let names = glob.map(Names::new).transpose()?;
        let mut matches = Matches { whole: true, ..Matches::default() };
        let reader = self.reader();
        let (path, kind) = self.look(path)?;
        if kind == Kind::File {
            matches.add(&path, &reader.read(&path)?, &regex);
            return Ok(matches);
        }
        let start = self.folder(&path)?;
        let prefix = prefix(&path)?;
        let walk = Walk { order: Order::Sorted, levels: self.quota.depth, entries: MAX_VISITED, kept: false };
        let coverage = walk.run(&start, |met| {
            if met.kind != Kind::File || names.as_ref().is_some_and(|names| !names.matches(met.path)) {
                return ControlFlow::Continue(());
            }
            if matches.bytes > MAX_SCAN {
                matches.whole = false;
                return ControlFlow::Break(());
            }
            match reader.read_at(&start, met.path, Follow::Nothing) {
                Ok((bytes, _)) => matches.add(&format!("{prefix}{}", shown(met.path)), &bytes, &regex),
                Err(_) => matches.passed_over += 1,
            }
            ControlFlow::Continue(())
        })?;
        matches.whole &= coverage == Coverage::Whole;
        matches.hits.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        Ok(matches)
    }
}

impl Matches {
    fn add(&mut self, path: &str, bytes: &[u8], regex: &Regex) {
        self.bytes += bytes.len() as u64;
        if bytes.iter().take(8192).any(|byte| *byte == 0) {
            self.passed_over += 1;
            return;
        }
        self.files += 1;
        let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        for (number, line) in (1..).zip(lines.split(|byte| *byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !regex.is_match(line) {
                continue;
            }
            if self.hits.len() < MAX_RESULTS {
                let text = String::from_utf8_lossy(line.get(..MAX_LINE).unwrap_or(line)).into_owned();
                self.hits.push(Hit { path: path.to_owned(), line: number, text });
            } else {
                self.more += 1;
            }
        }
    }
}

fn compile(pattern: &str) -> Result<Regex, WorkspaceError> {
    let bad = |why: String| WorkspaceError::BadPattern { pattern: pattern.chars().take(200).collect(), why };
    if pattern.len() > MAX_PATTERN {
        return Err(bad(format!("it is longer than {MAX_PATTERN} bytes")));
    }
    let built = RegexBuilder::new(pattern).size_limit(MAX_REGEX).dfa_size_limit(MAX_REGEX).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => bad("it is too large once compiled; use smaller counts".to_owned()),
        other => bad(other.to_string()),
    })
}
