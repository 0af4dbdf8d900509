//! A copy of all tenants' data while they are in use, and the way back.
//!
//! [`back_up`] makes one directory: journals, ledgers and audit trails by SQLite's online backup, each as it was at one
//! moment; everything else that is a file as it is (tokens, sealed credentials, records of tenants and servers of tools);
//! and `manifest.json` with the digest of each. **No key is in it**: what is sealed opens with the keys alone, which are
//! backed up apart (`autoshare_vault::bundle`). Ledgers and records that are not sealed in the data directory are not sealed
//! here either.
//!
//! The directory is complete under its name or not there. Digests tell damage, not malice: what an enemy made of a backup is
//! told by the seals and chains within. Between two tenants, and between a tenant's journal and its ledger, there is no
//! common moment.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use autoshare_access::{Access, LOCAL};
use autoshare_core::{Digest, Digesting, TenantName};
use autoshare_vault::VaultError;
use autoshare_vault::private::{Kind, Others, PrivateDir};
use serde::{Deserialize, Serialize};

use crate::audit::{AUDIT, FOLDER, HeadsFile};
use crate::{StoreError, file};

/// What of the data directory is not backed up: keys (`autoshare key backup`), the copies that `undo` goes back to (they
/// are what workspaces held), the homes of programs, and what is made anew at need.
pub const LEFT_OUT: [&str; 4] = ["keys", "undo", "homes", "trust"];
/// Of a tenant's folder: locks of a moment.
const LEASES: &str = "leases";
const TENANTS: &str = "tenants";
const MANIFEST: &str = "manifest.json";
const VERSION: u32 = 1;
/// Bytes of a manifest at most.
const MAX_MANIFEST: usize = 1024 * 1024 * 1024;
/// Bytes that are copied at a time.
const PIECE: usize = 64 * 1024;

/// What stands in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    #[serde(rename = "autoshare_backup")]
    version: u32,
    /// When it was begun: milliseconds since 1970 (UTC).
    pub made_ms: u64,
    /// The files.
    pub files: Vec<Copied>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copied {
    /// Its path below the data directory.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The digest of what it holds.
    pub sha256: Digest,
}

impl Manifest {
    /// The tenants that have data in it.
    #[must_use]
    pub fn tenants(&self) -> Vec<&str> {
        let mut names: Vec<_> =
            self.files.iter().filter_map(|file| Some(file.path.strip_prefix("tenants/")?.split_once('/')?.0)).collect();
        names.dedup();
        names
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// Copies the data below `data_dir` into the directory `to`, which is made.
///
/// # Errors
/// [`StoreError::NotOwner`] for an `access` to less than all, [`StoreError::Taken`], and those of the disk and of SQLite.
/// After any error `to` is not there.
pub fn back_up(data_dir: &Path, access: &Access, to: &Path) -> Result<Manifest, StoreError> {
    owner(access)?;
    let (parent, name) = place(to)?;
    let parent = PrivateDir::open(&parent, Others::MayRead)?;
    if parent.entries()?.iter().any(|(there, _)| *there == name) {
        return Err(StoreError::Taken { path: to.to_owned() });
    }
    let (unfinished, staging) = staging(&parent, &name)?;
    let made_ms = crate::writer::now_ms();
    let copied = copy_all(data_dir, &staging).and_then(|files| {
        let manifest = Manifest { version: VERSION, made_ms, files };
        let text = serde_json::to_vec_pretty(&manifest).map_err(StoreError::Unwritable)?;
        staging.create(MANIFEST, &text)?;
        unfinished.move_to(&name, &parent)?;
        Ok(manifest)
    });
    discard(&parent, unfinished)?;
    copied
}

/// Puts the backup `from` below `data_dir`, which must hold nothing, or nothing but keys.
///
/// # Errors
/// [`StoreError::NotOwner`], [`StoreError::NotEmpty`], [`StoreError::Backup`] for one that is not whole, and those of the
/// disk. Nothing is put in its place before all of it was checked.
pub fn restore(from: &Path, data_dir: &Path, access: &Access) -> Result<Manifest, StoreError> {
    owner(access)?;
    let source = PrivateDir::open(from, Others::MayRead)?;
    let wrong = |name: &str, why| StoreError::Backup { path: from.to_owned(), name: name.to_owned(), why };
    let text = source.read(MANIFEST, Others::MayRead, MAX_MANIFEST)?.ok_or_else(|| wrong(MANIFEST, "is not there"))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| wrong(MANIFEST, "is not one"))?;
    if manifest.version != VERSION {
        return Err(wrong(MANIFEST, "is of a later version: use the newer autoshare"));
    }
    let data = PrivateDir::open(data_dir, Others::MayRead)?;
    if let Some((name, _)) = data.entries()?.into_iter().find(|(name, _)| name != "keys") {
        return Err(StoreError::NotEmpty { path: data_dir.to_owned(), name });
    }
    let (unfinished, staging) = staging(&data, "restore")?;
    let restored = restore_into(&source, &staging, &manifest, &wrong).and_then(|()| {
        // Tenants last: where this is cut off, what is there is not taken for the whole.
        let (tenants, others): (Vec<_>, Vec<_>) =
            staging.entries()?.into_iter().map(|(name, _)| name).partition(|name| name == TENANTS);
        others.iter().chain(&tenants).try_for_each(|name| staging.move_to(name, &data)).map_err(StoreError::from)
    });
    discard(&data, unfinished)?;
    restored.map(|()| manifest)
}

fn restore_into(
    source: &PrivateDir,
    staging: &PrivateDir,
    manifest: &Manifest,
    wrong: &impl Fn(&str, &'static str) -> StoreError,
) -> Result<(), StoreError> {
    for one in &manifest.files {
        let mut steps: Vec<&str> = one.path.split('/').collect();
        let is_name = |step: &&str| !step.is_empty() && !step.starts_with('.') && !step.contains('\0');
        let top = steps.first().copied().unwrap_or_default();
        if !steps.iter().all(is_name) || LEFT_OUT.contains(&top) || one.path == MANIFEST {
            return Err(wrong(&one.path, "is no path in a data directory"));
        }
        let Some(name) = steps.pop() else { continue };
        let (mut from, mut to) = (None, None);
        for step in steps {
            let next = from.as_ref().unwrap_or(source).existing(step, Others::MayRead)?;
            from = Some(next.ok_or_else(|| wrong(&one.path, "is not there"))?);
            to = Some(to.as_ref().unwrap_or(staging).sub(step, Others::MayRead)?);
        }
        let (from, to) = (from.as_ref().unwrap_or(source), to.as_ref().unwrap_or(staging));
        let copied = copy_file(from, to, name)?.ok_or_else(|| wrong(&one.path, "is not there"))?;
        if copied != (one.bytes, one.sha256) {
            return Err(wrong(&one.path, "is not what was backed up"));
        }
    }
    Ok(())
}

/// A directory in the making within another of its own, so that it can be moved by its name.
fn staging(within: &PrivateDir, name: &str) -> Result<(PrivateDir, PrivateDir), StoreError> {
    let unfinished = within.sub(&within.temporary(name)?, Others::Nothing)?;
    let staging = unfinished.sub(name, Others::Nothing)?;
    Ok((unfinished, staging))
}

/// Removes what is left of a directory in the making.
fn discard(within: &PrivateDir, unfinished: PrivateDir) -> Result<(), StoreError> {
    unfinished.clear()?;
    let name = unfinished.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    drop(unfinished);
    Ok(within.remove_dir(&name)?)
}

/// Where a directory goes: its parent, and its name.
fn place(to: &Path) -> Result<(PathBuf, String), StoreError> {
    let name =
        to.file_name().and_then(|name| name.to_str()).ok_or_else(|| StoreError::Taken { path: to.to_owned() })?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent.to_owned(), name.to_owned()))
}

fn owner(access: &Access) -> Result<(), StoreError> {
    let all = access.tenant().as_str() == LOCAL && access.token().is_none();
    if all { Ok(()) } else { Err(StoreError::NotOwner) }
}

fn copy_all(data_dir: &Path, to: &PrivateDir) -> Result<Vec<Copied>, StoreError> {
    // SQLite refuses links anywhere in the path; those that lead to the data directory are the operator's own.
    let resolve = |path: &Path| {
        std::fs::canonicalize(path).map_err(|source| VaultError::Io { what: "resolve", path: path.to_owned(), source })
    };
    let data = PrivateDir::open(&resolve(data_dir)?, Others::MayRead)?;
    let to = PrivateDir::open(&resolve(to.path())?, Others::Nothing)?;
    let mut copying = Copying { data: &data, to: &to, files: Vec::new() };
    for (name, kind) in data.entries()? {
        match kind {
            // The heads go with their trails.
            Kind::Dir if name == FOLDER || LEFT_OUT.contains(&name.as_str()) => {}
            Kind::Dir => {
                if let Some(dir) = data.existing(&name, Others::MayRead)? {
                    copying.dir(&dir, &to.sub(&name, Others::Nothing)?, &name)?;
                }
            }
            Kind::File => copying.file(&data, &to, &name, &name)?,
            Kind::Other => {}
        }
    }
    to.sync()?;
    Ok(copying.files)
}

struct Copying<'a> {
    data: &'a PrivateDir,
    to: &'a PrivateDir,
    files: Vec<Copied>,
}

impl Copying<'_> {
    fn dir(&mut self, from: &PrivateDir, to: &PrivateDir, path: &str) -> Result<(), StoreError> {
        for (name, kind) in from.entries()? {
            let below = format!("{path}/{name}");
            match kind {
                _ if name.starts_with('.') || name == LEASES => {}
                Kind::Dir => {
                    if let Some(dir) = from.existing(&name, Others::MayRead)? {
                        self.dir(&dir, &to.sub(&name, Others::Nothing)?, &below)?;
                    }
                }
                // A log is part of what SQLite copies.
                Kind::File if name.ends_with(".db-wal") || name.ends_with(".db-shm") => {}
                Kind::File if name == AUDIT.file => self.trail(from, to, &below)?,
                Kind::File => self.file(from, to, &name, &below)?,
                Kind::Other => {}
            }
        }
        Ok(to.sync()?)
    }

    /// A trail with its heads: none is signed between the two copies.
    fn trail(&mut self, from: &PrivateDir, to: &PrivateDir, path: &str) -> Result<(), StoreError> {
        let tenant = path.split('/').nth(1).and_then(|name| TenantName::parse(name).ok());
        let Some(tenant) = tenant else { return self.file(from, to, AUDIT.file, path) };
        let folder = self.data.sub(FOLDER, Others::Nothing)?;
        let heads = HeadsFile::new(folder, tenant.clone());
        let name = heads.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let held = heads.lock()?;
        self.file(from, to, AUDIT.file, path)?;
        let folder = self.data.sub(FOLDER, Others::Nothing)?;
        let copies = self.to.sub(FOLDER, Others::Nothing)?;
        self.file(&folder, &copies, &name, &format!("{FOLDER}/{name}"))?;
        drop(held);
        Ok(copies.sync()?)
    }

    fn file(&mut self, from: &PrivateDir, to: &PrivateDir, name: &str, path: &str) -> Result<(), StoreError> {
        let copied = if name.ends_with(".db") {
            to.create(name, b"")?;
            file::copy(&from.path().join(name), &to.path().join(name))?;
            digest(to, name)?
        } else {
            copy_file(from, to, name)?
        };
        // One that went away meanwhile was not there.
        if let Some((bytes, sha256)) = copied {
            self.files.push(Copied { path: path.to_owned(), bytes, sha256 });
        }
        Ok(())
    }
}

/// Length and digest of a file.
fn digest(dir: &PrivateDir, name: &str) -> Result<Option<(u64, Digest)>, StoreError> {
    let Some(mut file) = dir.open_to_read(name, Others::MayRead)? else { return Ok(None) };
    let io = |source| VaultError::Io { what: "read", path: dir.path().join(name), source };
    let (mut piece, mut bytes, mut digesting) = (vec![0; PIECE], 0, Digesting::default());
    loop {
        let read = file.read(&mut piece).map_err(io)?;
        let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else { break };
        digesting.update(part);
        bytes += part.len() as u64;
    }
    file.sync_all().map_err(io)?;
    Ok(Some((bytes, digesting.finish())))
}

/// Copies a file, durably; `None` if there is none. Returns length and digest of what was copied.
fn copy_file(from: &PrivateDir, to: &PrivateDir, name: &str) -> Result<Option<(u64, Digest)>, StoreError> {
    let Some(mut source) = from.open_to_read(name, Others::MayRead)? else { return Ok(None) };
    let io = |what: &'static str, dir: &PrivateDir| {
        let path = dir.path().join(name);
        move |source| VaultError::Io { what, path: path.clone(), source }
    };
    let (read_error, write_error) = (io("read", from), io("write", to));
    let mut target = to.open_or_create(name, Others::MayRead)?;
    let (mut piece, mut bytes, mut digesting) = (vec![0; PIECE], 0, Digesting::default());
    loop {
        let read = source.read(&mut piece).map_err(&read_error)?;
        let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else { break };
        digesting.update(part);
        bytes += part.len() as u64;
        target.write_all(part).map_err(&write_error)?;
    }
    target.sync_all().map_err(&write_error)?;
    Ok(Some((bytes, digesting.finish())))
}
