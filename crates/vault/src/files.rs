//! The key files: how they are read, written and kept from being written twice at once.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use autoshare_core::TenantName;
use zeroize::Zeroizing;

use crate::VaultError;
use crate::key::{KEY, Key, NONCE, TAG, encode};
use crate::private::{Held, Others, PrivateDir, Stamp};
use crate::ring::Ring;

pub(crate) const MACHINE: &str = "machine.key";
/// A key file is this, a version byte, and the keys: plain for the machine's, wrapped for a tenant's.
const MAGIC: &[u8; 7] = b"asharek";
/// 1: one key. 2: several.
const VERSION: u8 = 2;
const HEADER: usize = MAGIC.len() + 1;
/// Generations of a tenant's key at most: one a day for eleven years.
pub const MAX_GENERATIONS: u32 = 4096;
const MAX_WRAPPED: usize = NONCE + KEY * MAX_GENERATIONS as usize + TAG;
/// Token key, signing key, and wrapping keys: one, or two while everything is wrapped anew.
const MAX_MACHINE: usize = 4 * KEY;
/// How often a file is read again before it counts as damaged: a rotation may be under way.
const TRIES: usize = 4;

/// What `machine.key` holds.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) wrapping: Ring,
    pub(crate) tokens: Key,
    pub(crate) signing: Key,
}

impl Machine {
    fn random() -> Result<Self, VaultError> {
        Ok(Self { wrapping: Ring::random()?, tokens: Key::random()?, signing: Key::random()? })
    }

    /// From the body of a file; `Err` says what is wrong with it.
    fn parse(version: u8, body: &[u8]) -> Result<Self, VaultErrorOr> {
        const LENGTH: VaultErrorOr = VaultErrorOr::Why("wrong length");
        let machine = if version == 1 {
            let root = Key::from_slice(body).ok_or(LENGTH)?;
            let derive = |purpose| root.derive(purpose).map_err(VaultErrorOr::Error);
            let (tokens, signing) = (derive(b"autoshare/token-key/1")?, derive(b"autoshare/signing-key/1")?);
            let wrapping = derive(b"autoshare/wrapping-key/1")?;
            if root.is_weak() {
                return Err(VaultErrorOr::Why(WEAK));
            }
            let wrapping = Ring::from_slice(wrapping.bytes()).ok_or(LENGTH)?;
            Self { wrapping, tokens, signing }
        } else {
            let (tokens, rest) = body.split_first_chunk::<KEY>().ok_or(LENGTH)?;
            let (signing, wrapping) = rest.split_first_chunk::<KEY>().ok_or(LENGTH)?;
            Self {
                wrapping: Ring::from_slice(wrapping).filter(|ring| ring.generation() <= 2).ok_or(LENGTH)?,
                tokens: Key::from_slice(tokens).ok_or(LENGTH)?,
                signing: Key::from_slice(signing).ok_or(LENGTH)?,
            }
        };
        if machine.wrapping.iter().chain([&machine.tokens, &machine.signing]).any(Key::is_weak) {
            return Err(VaultErrorOr::Why(WEAK));
        }
        Ok(machine)
    }

    fn file(&self) -> Zeroizing<Vec<u8>> {
        let wrapping = self.wrapping.bytes();
        file(&[self.tokens.bytes(), self.signing.bytes(), &wrapping])
    }

    /// A tenant's file.
    pub(crate) fn wrap(&self, tenant: &TenantName, ring: &Ring) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let newest = self.wrapping.newest().ok_or(VaultError::Open)?;
        let mut wrapped = Vec::new();
        newest.encrypt(&associated(tenant), &ring.bytes(), &mut wrapped)?;
        Ok(file(&[&wrapped]))
    }

    /// The keys in the body of a tenant's file.
    pub(crate) fn unwrap(&self, tenant: &TenantName, wrapped: &[u8]) -> Option<Ring> {
        let associated = associated(tenant);
        let opened = self.wrapping.iter().find_map(|key| key.decrypt(&associated, wrapped))?;
        Ring::from_slice(&opened)
    }
}

const WEAK: &str = "its bytes repeat, so that it can be guessed";

/// An error that is whole, or the reason of one that still lacks its path.
enum VaultErrorOr {
    Error(VaultError),
    Why(&'static str),
}

fn associated(tenant: &TenantName) -> Vec<u8> {
    encode(&[b"autoshare/wrapped-key/1", tenant.as_str().as_bytes()])
}

fn file(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    // As large as needed from the start: a buffer that grows leaves copies of keys behind.
    let mut file = Zeroizing::new(Vec::with_capacity(HEADER + parts.iter().map(|part| part.len()).sum::<usize>()));
    file.extend_from_slice(MAGIC);
    file.push(VERSION);
    parts.iter().for_each(|part| file.extend_from_slice(part));
    file
}

/// Version and body of a key file.
fn body(file: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    let rest = file.strip_prefix(MAGIC).ok_or(Malformed::Foreign("it does not begin like one"))?;
    match rest.split_first() {
        Some((&found, _)) if found > VERSION => Err(Malformed::Newer(found)),
        Some((&version, body)) if version > 0 => Ok((version, body)),
        _ => Err(Malformed::Foreign("wrong length")),
    }
}

enum Malformed {
    Newer(u8),
    Foreign(&'static str),
}

impl Malformed {
    fn at(self, path: std::path::PathBuf) -> VaultError {
        match self {
            Self::Newer(found) => VaultError::Newer { path, found, known: VERSION },
            Self::Foreign(why) => VaultError::Format { path, why },
        }
    }
}

/// The machine's keys in a file that was read from `path`.
pub(crate) fn machine_in(file: &[u8], path: &std::path::Path) -> Result<Machine, VaultError> {
    let (version, body) = body(file).map_err(|why| why.at(path.to_owned()))?;
    Machine::parse(version, body).map_err(|error| match error {
        VaultErrorOr::Error(error) => error,
        VaultErrorOr::Why(why) => VaultError::Format { path: path.to_owned(), why },
    })
}

/// The wrapped keys in a tenant's file that was read from `path`.
pub(crate) fn wrapped_in<'a>(file: &'a [u8], path: &std::path::Path) -> Result<&'a [u8], VaultError> {
    let (version, body) = body(file).map_err(|why| why.at(path.to_owned()))?;
    let keys = body.len().checked_sub(NONCE + TAG).filter(|len| *len > 0 && len.is_multiple_of(KEY));
    match keys.map(|len| len / KEY) {
        Some(1) => Ok(body),
        Some(2..) if version > 1 && body.len() <= MAX_WRAPPED => Ok(body),
        _ => Err(VaultError::Format { path: path.to_owned(), why: "wrong length" }),
    }
}

/// The keys of one data directory, as all who hold something of them share them.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) dir: PrivateDir,
    pub(crate) tenants: PrivateDir,
    machine: RwLock<Machine>,
}

impl Files {
    pub(crate) fn open(dir: PrivateDir) -> Result<Self, VaultError> {
        let tenants = dir.sub("tenants", Others::Nothing)?;
        let machine = match read_machine(&dir)? {
            Some(machine) => machine,
            None => make_machine(&dir, &tenants)?,
        };
        Ok(Self { dir, tenants, machine: RwLock::new(machine) })
    }

    /// The right to change key files: one holder at a time, among all processes.
    pub(crate) fn lock(&self) -> Result<Held, VaultError> {
        self.dir.lock()
    }

    pub(crate) fn machine(&self) -> RwLockReadGuard<'_, Machine> {
        self.machine.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the machine's keys again: another process may have renewed them.
    pub(crate) fn reload(&self) -> Result<(), VaultError> {
        let path = self.dir.path().join(MACHINE);
        let machine = read_machine(&self.dir)?.ok_or(VaultError::MachineKeyMissing { path })?;
        *self.machine.write().unwrap_or_else(PoisonError::into_inner) = machine;
        Ok(())
    }

    /// Writes the machine's keys, changed by `change`. To be called under the lock.
    pub(crate) fn change_machine(
        &self,
        change: impl FnOnce(&mut Machine) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        self.reload()?;
        let mut machine = self.machine.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut machine)?;
        let written = self.dir.replace(MACHINE, &machine.file());
        drop(machine);
        // What stands on the disk counts.
        written.and_then(|()| self.reload())
    }

    /// The keys of `tenant`, and what tells whether they are others by now.
    pub(crate) fn ring(&self, tenant: &TenantName) -> Result<Option<(Ring, Stamp)>, VaultError> {
        let name = file_name(tenant);
        for attempt in 0..TRIES {
            if attempt > 0 {
                self.reload()?;
            }
            // In this order: a file that changes in between is read once more.
            let Some(stamp) = self.tenants.stamp(&name, Others::Nothing)? else { return Ok(None) };
            let Some(file) = self.tenants.read(&name, Others::Nothing, HEADER + MAX_WRAPPED)? else { return Ok(None) };
            let wrapped = wrapped_in(&file, &self.tenants.path().join(&name))?;
            if let Some(ring) = self.machine().unwrap(tenant, wrapped) {
                return Ok(Some((ring, stamp)));
            }
        }
        Err(VaultError::Unwrap { path: self.tenants.path().join(&name) })
    }

    /// Makes keys for `tenant` unless it has some by now.
    pub(crate) fn make(&self, tenant: &TenantName) -> Result<(), VaultError> {
        let _held = self.lock()?;
        // A rotation may have gone by.
        self.reload()?;
        let wrapped = self.machine().wrap(tenant, &Ring::random()?)?;
        self.tenants.create(&file_name(tenant), &wrapped).map(drop)
    }

    /// The tenants that have keys, by name.
    pub(crate) fn names(&self) -> Result<Vec<TenantName>, VaultError> {
        let names = self.tenants.names()?;
        let mut names: Vec<_> =
            names.iter().filter_map(|name| TenantName::parse(name.strip_suffix(".key")?).ok()).collect();
        names.sort();
        Ok(names)
    }

    /// The file of `tenant` as it is.
    pub(crate) fn wrapped_file(&self, tenant: &TenantName) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        self.tenants.read(&file_name(tenant), Others::Nothing, HEADER + MAX_WRAPPED)
    }

    /// The machine's file as it is.
    pub(crate) fn machine_file(&self) -> Zeroizing<Vec<u8>> {
        self.machine().file()
    }
}

pub(crate) fn file_name(tenant: &TenantName) -> String {
    format!("{tenant}.key")
}

pub(crate) fn read_machine(dir: &PrivateDir) -> Result<Option<Machine>, VaultError> {
    let Some(file) = dir.read(MACHINE, Others::Nothing, HEADER + MAX_MACHINE)? else { return Ok(None) };
    machine_in(&file, &dir.path().join(MACHINE)).map(Some)
}

fn make_machine(dir: &PrivateDir, tenants: &PrivateDir) -> Result<Machine, VaultError> {
    let path = || dir.path().join(MACHINE);
    let _held = dir.lock()?;
    if let Some(machine) = read_machine(dir)? {
        return Ok(machine);
    }
    // A machine key is there before any tenant key is.
    if tenants.names()?.iter().any(|name| name.ends_with(".key") && !name.starts_with('.')) {
        return Err(VaultError::MachineKeyMissing { path: path() });
    }
    dir.create(MACHINE, &Machine::random()?.file())?;
    read_machine(dir)?.ok_or_else(|| VaultError::Format { path: path(), why: "gone right after it was made" })
}
