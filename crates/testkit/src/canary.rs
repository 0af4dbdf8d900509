//! Marks that are planted and looked for.

use std::fmt;
use std::path::{Path, PathBuf};

/// A text that occurs nowhere by chance: `canary-` and 128 random bits in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary(String);

impl Canary {
    /// A new one.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "every canary differs; a default would not say so")]
    pub fn new() -> Self {
        let mut bits = [0; 16];
        if let Err(error) = getrandom::fill(&mut bits) {
            panic!("no randomness for a canary: {error}");
        }
        Self(format!("canary-{}", hex(&bits)))
    }

    /// A text that the test has chosen itself.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether bytes hold it: as it is, in hexadecimal, or in base64 at any of its three alignments.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms().iter().any(|form| memchr::memmem::find(bytes, form).is_some())
    }

    /// The regular files below `dir` that hold it, links not followed. What cannot be read is reported as holding it:
    /// silence would be taken for absence.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "test support looks at everything there is")]
    pub fn find_in(&self, dir: &Path) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(dir) else { return vec![dir.to_owned()] };
        let mut found = Vec::new();
        for entry in entries {
            let Ok(entry) = entry else { return vec![dir.to_owned()] };
            let path = entry.path();
            if self.is_in(entry.file_name().as_encoded_bytes()) {
                found.push(path.clone());
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => found.extend(self.find_in(&path)),
                Ok(kind) if kind.is_file() => match std::fs::read(&path) {
                    Ok(bytes) if !self.is_in(&bytes) => {}
                    _ => found.push(path),
                },
                Ok(_) => {}
                Err(_) => found.push(path),
            }
        }
        found.sort();
        found.dedup();
        found
    }

    fn forms(&self) -> Vec<Vec<u8>> {
        let text = self.0.as_bytes();
        let aligned = (0..3).map(|skip| base64_core(text.get(skip..).unwrap_or_default()));
        [text.to_vec(), hex(text).into_bytes()].into_iter().chain(aligned).collect()
    }
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Base64 of the whole groups of three: the part that does not depend on what follows.
fn base64_core(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits = three.iter().fold(0u32, |bits, byte| (bits << 8) | u32::from(*byte));
        [18, 12, 6, 0].map(|shift| ALPHABET.get(((bits >> shift) & 63) as usize).copied().unwrap_or_default())
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_found_in_every_form_and_only_there() {
        let canary = Canary::new();
        let text = canary.as_str();
        assert_ne!(canary, Canary::new());
        assert!(canary.is_in(format!("x{text}y").as_bytes()));
        assert!(canary.is_in(hex(text.as_bytes()).as_bytes()));
        for before in ["", "a", "ab", "abc"] {
            let mut padded = format!("{before}{text}").into_bytes();
            padded.resize(padded.len().next_multiple_of(3), b'.');
            assert!(canary.is_in(&base64_core(&padded)), "{before:?}");
        }
        assert!(!canary.is_in(b""));
        assert!(!canary.is_in(Canary::new().as_str().as_bytes()));
        assert_eq!(base64_core(b"foobar"), b"Zm9vYmFy");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test")]
    fn files_names_and_depth() {
        let canary = Canary::new();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/deep"), format!("\0\u{1}{canary}")).unwrap();
        std::fs::write(dir.path().join("a/clean"), "nothing").unwrap();
        std::fs::write(dir.path().join(canary.as_str()), "").unwrap();
        let mut expected = vec![dir.path().join("a/b/deep"), dir.path().join(canary.as_str())];
        expected.sort();
        assert_eq!(canary.find_in(dir.path()), expected);
        assert_eq!(canary.find_in(&dir.path().join("not-there")), [dir.path().join("not-there")]);
    }
}
