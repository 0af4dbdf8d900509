//! The archive that an office document is, within bounds.

use std::io::{Cursor, Read as _};

use autoshare_core::document::{Format, ReadRefusal};
use zip::ZipArchive;

/// Entries of an archive at most.
const MAX_ENTRIES: usize = 16_384;
/// Bytes of one part at most, unpacked.
const MAX_PART: u64 = 64 * 1024 * 1024;
/// Bytes of all parts that are read at most, unpacked.
const MAX_UNPACKED: u64 = 128 * 1024 * 1024;
/// How much larger a part may be than it was packed. Office programs stay below 100; a bomb has 1000.
const MAX_RATIO: u64 = 400;
/// Bytes up to which nobody asks how well they were packed.
const SMALL: u64 = 1024 * 1024;

/// An archive.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    format: Format,
    /// Bytes that may still be unpacked.
    left: u64,
}

impl<'a> Archive<'a> {
    pub(super) fn open(bytes: &'a [u8], format: Format) -> Result<Self, ReadRefusal> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| malformed(format, &e.to_string()))?;
        if zip.len() > MAX_ENTRIES {
            return Err(ReadRefusal::Bomb { what: "entries".to_owned(), limit: MAX_ENTRIES as u64 });
        }
        Ok(Self { zip, format, left: MAX_UNPACKED })
    }

    /// The text of a part; `None` where there is no such part.
    pub(super) fn part(&mut self, name: &str) -> Result<Option<String>, ReadRefusal> {
        let Some(at) = self.zip.index_for_name(name) else { return Ok(None) };
        let part = self.zip.by_index(at).map_err(|e| malformed(self.format, &e.to_string()))?;
        let packed = part.compressed_size();
        // What the archive says of a size is a claim; what comes out of it is counted.
        let limit = self.left.min(MAX_PART).min(SMALL.max(packed.saturating_mul(MAX_RATIO)));
        let mut bytes = Vec::new();
        part.take(limit + 1).read_to_end(&mut bytes).map_err(|e| malformed(self.format, &e.to_string()))?;
        if bytes.len() as u64 > limit {
            return Err(ReadRefusal::Bomb { what: "bytes".to_owned(), limit });
        }
        self.left -= bytes.len() as u64;
        let text = String::from_utf8(bytes).map_err(|_| malformed(self.format, &format!("{name} is not UTF-8")))?;
        Ok(Some(text))
    }

    /// The text of a part without which there is no document.
    pub(super) fn needed(&mut self, name: &str) -> Result<String, ReadRefusal> {
        let format = self.format;
        self.part(name)?.ok_or_else(|| malformed(format, &format!("it has no {name}, or is encrypted")))
    }

    /// The names of parts that begin and end so, in the order of their numbers.
    pub(super) fn parts(&self, begin: &str, end: &str) -> Vec<String> {
        let names = self.zip.file_names().filter_map(Result::ok);
        let mut found: Vec<String> = names
            .filter(|name| name.starts_with(begin) && name.ends_with(end) && !name.contains("/_rels/"))
            .map(std::borrow::Cow::into_owned)
            .collect();
        let number = |name: &String| -> u64 {
            let digits: String = name.chars().filter(char::is_ascii_digit).collect();
            digits.parse().unwrap_or(0)
        };
        found.sort_by_key(|name| (number(name), name.clone()));
        found
    }
}

fn malformed(format: Format, why: &str) -> ReadRefusal {
    let why: String = why.chars().take(200).collect();
    ReadRefusal::Malformed { format: format.mime().to_owned(), why_not: why }
}
