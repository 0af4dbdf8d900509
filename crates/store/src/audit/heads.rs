//! Signed heads: what a trail came to at some moments, kept outside it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use autoshare_core::{Digest, Seq, TenantName};
use autoshare_vault::private::{Others, PrivateDir};
use autoshare_vault::sign::{PublicKey, SigningKey};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// The folder of the heads in the data directory.
pub(crate) const FOLDER: &str = "audit";
/// Bytes of one line at most.
const MAX_LINE: u64 = 1024;
const LABEL: &[u8] = b"autoshare/audit-head/1";

/// Number and hash of an entry, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignedHead {
    pub(super) tenant: TenantName,
    pub(super) entries: Seq,
    pub(super) hash: Digest,
    /// When it was signed: milliseconds since 1970 (UTC).
    pub(super) at_ms: u64,
    /// The digest of the head before.
    pub(super) previous: Digest,
    pub(super) signature: String,
}

impl SignedHead {
    /// What is signed, and what the next head names.
    fn digest(&self) -> Digest {
        Digest::of_parts(&[
            LABEL,
            self.tenant.as_str().as_bytes(),
            &self.entries.0.to_be_bytes(),
            self.hash.as_bytes(),
            &self.at_ms.to_be_bytes(),
            self.previous.as_bytes(),
        ])
    }
}

fn genesis(tenant: &TenantName) -> Digest {
    Digest::of_parts(&[b"autoshare/audit-heads/1", tenant.as_str().as_bytes()])
}

/// Heads that are looked at one after another.
pub(super) struct Heads<'a> {
    tenant: &'a TenantName,
    public: &'a PublicKey,
    previous: Digest,
    entries: Seq,
    lines: u64,
}

impl<'a> Heads<'a> {
    pub(super) fn new(tenant: &'a TenantName, public: &'a PublicKey) -> Self {
        Self { tenant, public, previous: genesis(tenant), entries: Seq(0), lines: 0 }
    }

    /// Checks that `head` is the next one.
    pub(super) fn admit(&mut self, head: &SignedHead) -> Result<(), &'static str> {
        self.lines += 1;
        let digest = head.digest();
        if head.tenant != *self.tenant {
            return Err("is of another tenant");
        }
        if !self.public.verify(&[LABEL, digest.as_bytes()], &head.signature) {
            return Err("does not bear this machine's signature");
        }
        if head.previous != self.previous {
            return Err("does not follow the line before");
        }
        if head.entries <= self.entries {
            return Err("is of no later entry than the line before");
        }
        self.previous = digest;
        self.entries = head.entries;
        Ok(())
    }

    /// How many were looked at.
    pub(super) const fn lines(&self) -> u64 {
        self.lines
    }
}

/// The file of a tenant's heads.
#[derive(Debug)]
pub(crate) struct HeadsFile {
    dir: PrivateDir,
    tenant: TenantName,
}

impl HeadsFile {
    pub(crate) const fn new(dir: PrivateDir, tenant: TenantName) -> Self {
        Self { dir, tenant }
    }

    fn name(&self) -> String {
        file_name(&self.tenant)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join(self.name())
    }

    /// Waits for the file: one holder at a time, among all threads and processes.
    pub(crate) fn lock(&self) -> Result<Locked<'_>, StoreError> {
        let file = self.dir.open_or_create(&self.name(), Others::Nothing)?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Locked { heads: self, file }),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(StoreError::Lock { path: self.path(), source: errno.into() }),
            }
        }
    }

    /// Heads that the trail knows of and that are not there.
    pub(super) fn cut(&self, lines: u64, signed: u64) -> StoreError {
        self.wrong(lines + 1, &format!("is missing: a head of entry {signed} was signed"))
    }

    fn wrong(&self, line: u64, why: &str) -> StoreError {
        StoreError::Heads { path: self.path(), line, why: why.to_owned() }
    }

    fn io(&self, what: &'static str) -> impl Fn(std::io::Error) -> StoreError {
        let path = self.path();
        move |source| autoshare_vault::VaultError::Io { what, path: path.clone(), source }.into()
    }
}

pub(crate) fn file_name(tenant: &TenantName) -> String {
    format!("{tenant}.heads")
}

/// The file, while nobody else has it.
pub(crate) struct Locked<'a> {
    heads: &'a HeadsFile,
    file: File,
}

impl Locked<'_> {
    /// All heads in order, each checked. A line without an end was never finished, and counts as not there.
    pub(super) fn each<'a>(
        &'a mut self,
        heads: &'a mut Heads<'_>,
    ) -> Result<impl Iterator<Item = Result<SignedHead, StoreError>>, StoreError> {
        let (file, whole) = (self.heads, self.heads.io("read"));
        self.file.rewind().map_err(&whole)?;
        let mut reader = BufReader::new(&self.file);
        Ok(std::iter::from_fn(move || {
            let mut line = Vec::new();
            match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(_) if line.ends_with(b"\n") => {}
                Ok(read) if read as u64 == MAX_LINE => return Some(Err(file.wrong(heads.lines() + 1, "is too long"))),
                Ok(_) => return None,
                Err(error) => return Some(Err(whole(error))),
            }
            let number = heads.lines() + 1;
            let head = serde_json::from_slice::<SignedHead>(&line).map_err(|_| file.wrong(number, "is not a head"));
            Some(head.and_then(|head| heads.admit(&head).map(|()| head).map_err(|why| file.wrong(number, why))))
        }))
    }

    /// The last head. What a kill or a power cut left unfinished behind it is not looked at.
    pub(super) fn last(&mut self) -> Result<Option<SignedHead>, StoreError> {
        Ok(self.tail()?.0)
    }

    /// The last head, and where its line ends.
    fn tail(&mut self) -> Result<(Option<SignedHead>, u64), StoreError> {
        let io = self.heads.io("read");
        let len = self.file.seek(SeekFrom::End(0)).map_err(&io)?;
        let from = len.saturating_sub(2 * MAX_LINE);
        self.file.seek(SeekFrom::Start(from)).map_err(&io)?;
        let mut tail = Vec::new();
        (&self.file).take(2 * MAX_LINE).read_to_end(&mut tail).map_err(&io)?;
        tail.truncate(tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
        let Some(line) = tail.split_inclusive(|byte| *byte == b'\n').next_back() else { return Ok((None, from)) };
        match serde_json::from_slice(line) {
            Ok(head) => Ok((Some(head), from + tail.len() as u64)),
            Err(_) => Err(self.heads.wrong(0, "is not a head (the last one)")),
        }
    }

    /// Adds a head, durably, unless there is one as far on.
    pub(super) fn add(&mut self, key: &SigningKey, entries: Seq, hash: Digest, at_ms: u64) -> Result<(), StoreError> {
        let (last, end) = self.tail()?;
        if last.as_ref().is_some_and(|last| last.entries >= entries) {
            return Ok(());
        }
        let previous = last.map_or_else(|| genesis(&self.heads.tenant), |last| last.digest());
        let tenant = self.heads.tenant.clone();
        let mut head = SignedHead { tenant, entries, hash, at_ms, previous, signature: String::new() };
        head.signature = key.sign(&[LABEL, head.digest().as_bytes()]);
        let mut line = serde_json::to_vec(&head).map_err(StoreError::Unwritable)?;
        line.push(b'\n');
        let io = self.heads.io("write");
        self.file.set_len(end).map_err(&io)?;
        self.file.seek(SeekFrom::Start(end)).map_err(&io)?;
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).map_err(&io)
    }
}
