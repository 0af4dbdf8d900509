//! A trail as JSON lines, which can be checked without any key of the tenant's.

use std::io::{BufRead, Read as _, Write};

use autoshare_core::{Digest, Seq, TenantName};
use autoshare_vault::sign::PublicKey;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Verified;
use super::heads::{Heads, SignedHead};
use super::trail::{self, Opened};
use crate::StoreError;

const VERSION: u32 = 1;
/// Bytes of one line at most: an entry of all the words that there may be, escaped, and what stands around it.
const MAX_LINE: usize = 64 * 1024;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Title {
    #[serde(rename = "autoshare_audit")]
    version: u32,
    tenant: TenantName,
    public_key: String,
}

/// An entry. `entry` stands there as it was written, byte for byte: the hash covers it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    seq: Seq,
    at_ms: u64,
    act: u16,
    salt: Digest,
    hash: Digest,
    #[serde(borrow)]
    entry: &'a RawValue,
}

/// A head that was signed at the entry before.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    head: SignedHead,
}

pub(super) fn begin(out: &mut dyn Write, tenant: &TenantName, public: &PublicKey) -> Result<(), StoreError> {
    put(out, &Title { version: VERSION, tenant: tenant.clone(), public_key: public.to_string() })
}

pub(super) fn line(out: &mut dyn Write, opened: &Opened<'_>, head: Option<&SignedHead>) -> Result<(), StoreError> {
    let entry = serde_json::from_str(opened.json).map_err(StoreError::Unwritable)?;
    let Opened { seq, at_ms, act, salt, hash, .. } = *opened;
    put(out, &Line { seq, at_ms, act, salt, hash, entry })?;
    head.map_or(Ok(()), |head| put(out, &HeadLine { head: head.clone() }))
}

fn put(out: &mut dyn Write, line: &impl Serialize) -> Result<(), StoreError> {
    let mut text = serde_json::to_vec(line).map_err(StoreError::Unwritable)?;
    text.push(b'\n');
    out.write_all(&text).map_err(StoreError::Stream)
}

/// Checks what [`Audit::export`](super::Audit::export) wrote: that the entries are those that were written, all of them up
/// to [`Verified::signed`], in their order, and that the machine whose `key` this is has signed that. What stands behind the
/// last signed head nobody vouches for.
///
/// # Errors
/// [`StoreError::Export`] with the first line that does not hold, [`StoreError::Stream`].
pub fn verify_export(input: &mut dyn BufRead, key: &PublicKey) -> Result<Verified, StoreError> {
    let mut number = 0;
    let mut text = Vec::new();
    if !next(input, &mut number, &mut text)? {
        return Err(wrong(1, "is missing"));
    }
    let title: Title = serde_json::from_slice(&text).map_err(|_| wrong(1, "is not the first of an export"))?;
    if title.version != VERSION {
        return Err(wrong(1, &format!("is of format {}, and this version knows {VERSION}", title.version)));
    }
    if title.public_key != key.to_string() {
        return Err(wrong(1, &format!("says that it was signed with {:?}", title.public_key)));
    }
    let tenant = title.tenant;
    let mut heads = Heads::new(&tenant, key);
    let (mut seq, mut hash, mut at_ms) = (Seq(0), trail::genesis(&tenant), 0);
    let (mut signed, mut signed_ms) = (0, None);
    while next(input, &mut number, &mut text)? {
        if let Ok(HeadLine { head }) = serde_json::from_slice(&text) {
            heads.admit(&head).map_err(|why| wrong(number, why))?;
            if (head.entries, head.hash) != (seq, hash) {
                return Err(wrong(number, "is a head that was signed of something else"));
            }
            (signed, signed_ms) = (head.entries.0, Some(head.at_ms));
            continue;
        }
        let line: Line<'_> = serde_json::from_slice(&text).map_err(|_| wrong(number, "is neither entry nor head"))?;
        if line.seq != seq.next() {
            return Err(wrong(number, &format!("is entry {} where {} should be", line.seq, seq.next())));
        }
        if line.at_ms < at_ms {
            return Err(wrong(number, "is older than the one before"));
        }
        let commitment = trail::commitment(&line.salt, line.entry.get().as_bytes());
        hash = trail::hash(&tenant, &hash, line.seq, line.act, line.at_ms, &commitment);
        if hash != line.hash {
            return Err(wrong(number, "does not match its hash"));
        }
        (seq, at_ms) = (line.seq, line.at_ms);
    }
    Ok(Verified { tenant, entries: seq.0, head: hash, signed, signed_ms })
}

/// The next line, without its end; whether there was one.
fn next(input: &mut dyn BufRead, number: &mut u64, text: &mut Vec<u8>) -> Result<bool, StoreError> {
    text.clear();
    *number += 1;
    let read = input.take(MAX_LINE as u64).read_until(b'\n', text).map_err(StoreError::Stream)?;
    match text.pop_if(|byte| *byte == b'\n') {
        Some(_) => Ok(true),
        None if read == 0 => Ok(false),
        None => Err(wrong(*number, "is cut off or too long")),
    }
}

fn wrong(line: u64, why: &str) -> StoreError {
    StoreError::Export { line, why: why.to_owned() }
}
