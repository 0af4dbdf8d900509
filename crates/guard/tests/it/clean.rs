//! Ordinary documents pass byte for byte: the collection in `corpus/`, and this crate's own source.

use std::fs;
use std::path::{Path, PathBuf};

use autoshare_guard::verify::Channel;
use autoshare_guard::{Screen, plain, screen};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.is_file());
    files
}

/// Every file of a folder, of which there are so many at least.
fn passes(folder: &str, least: usize) {
    let files = files(folder);
    assert!(files.len() >= least, "{folder}: {} files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.is_empty(), "{}", file.display());
        let seen = plain(&text, usize::MAX);
        assert!(seen.text == text && seen.report.is_clean(), "{}: {}", file.display(), seen.report.words());
        let how = Screen { max_bytes: usize::MAX, channel: Channel::Content, detector: None };
        let screened = screen(&text, &how);
        assert!(screened.text == text && screened.screening.removed.is_empty(), "{}", file.display());
    }
}

#[test]
fn documents_in_eighty_languages_pass_byte_for_byte() {
    passes("tests/it/corpus/languages", 80);
}

#[test]
fn source_code_in_forty_languages_passes_byte_for_byte() {
    passes("tests/it/corpus/code", 45);
    passes("src", 6);
}

#[test]
fn emoji_variants_and_mathematics_pass_byte_for_byte() {
    passes("tests/it/corpus/symbols", 3);
}

/// The collection holds what a careless filter takes out.
#[test]
fn the_documents_need_characters_without_ink() {
    let all: String = ["tests/it/corpus/languages", "tests/it/corpus/symbols"]
        .into_iter()
        .flat_map(files)
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    for needed in ['\u{200b}', '\u{200c}', '\u{200d}', '\u{180b}', '\u{180e}', '\u{fe00}', '\u{fe0f}', '\u{e007f}'] {
        assert!(all.matches(needed).count() > 1, "{needed:?}");
    }
}
