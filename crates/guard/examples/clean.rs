//! Which of many ordinary documents the guard would change: `cargo run --release -p autoshare-guard --example clean --
//! PATH...`.
//!
//! Every file below these paths that is UTF-8 goes through `plain`, and through `screen` without a detector. What is
//! taken out is printed with its place, a few of each file; the last line counts.
#![allow(clippy::expect_used, clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement of the filter")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use autoshare_guard::verify::Channel;
use autoshare_guard::{Class, Screen, encode, filter, plain, screen};

#[derive(Default)]
struct Count {
    files: usize,
    bytes: usize,
    changed: usize,
    not_utf8: usize,
    classes: BTreeMap<Class, usize>,
}

fn look(file: &Path, count: &mut Count) {
    let Ok(bytes) = std::fs::read(file) else { return };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        count.not_utf8 += 1;
        return;
    };
    count.files += 1;
    count.bytes += text.len();
    let how = Screen { max_bytes: usize::MAX, channel: Channel::Content, detector: None };
    let seen = plain(text, usize::MAX);
    assert_eq!(seen.text, screen(text, &how).text, "{}", file.display());
    assert_eq!(seen.report.is_clean(), seen.text == text, "{}", file.display());
    if seen.report.is_clean() {
        return;
    }
    count.changed += 1;
    println!("{}: {}", file.display(), seen.report.words());
    for finding in filter::visible(text).1 {
        *count.classes.entry(finding.class).or_default() += finding.count;
        let around = |at: usize| text.floor_char_boundary(at.min(text.len()));
        let place = text.get(around(finding.first_at.saturating_sub(24))..around(finding.first_at + 24));
        println!("    at {}: {}", finding.first_at, encode::terminal_line(place.unwrap_or_default(), 100));
    }
}

fn walk(path: PathBuf, count: &mut Count) {
    let Ok(about) = std::fs::symlink_metadata(&path) else { return };
    if about.is_file() {
        return look(&path, count);
    }
    if about.is_dir() {
        let mut below: Vec<PathBuf> =
            std::fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()).collect();
        below.sort();
        below.into_iter().for_each(|path| walk(path, count));
    }
}

fn main() {
    let mut count = Count::default();
    std::env::args_os().skip(1).for_each(|path| walk(path.into(), &mut count));
    println!(
        "{} files of {:.1} MB; changed {}: {:?}; not UTF-8, and passed over, {}",
        count.files,
        count.bytes as f64 / 1e6,
        count.changed,
        count.classes,
        count.not_utf8
    );
}
