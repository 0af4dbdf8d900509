//! Backups of keys, apart from those of data.
//!
//! A *bundle* is one file that holds all key files of a data directory, sealed under a recovery key that is shown once and
//! kept nowhere. It says when it expires, and from then on it is not restored: so a tenant whose key was destroyed comes
//! back no later than that, and the list of bundles (`keys/bundles`) tells which ones still hold it. The date binds this
//! program. Whoever has bundle, recovery key and another program is not bound by it: with the bundle, destroy its key.

use std::path::Path;

use autoshare_core::TenantName;
use autoshare_core::day::Day;
use zeroize::Zeroizing;

use crate::files::{Files, MACHINE, file_name, machine_in, read_machine, wrapped_in};
use crate::key::{Key, decode, encode, random};
use crate::private::{Others, PrivateDir};
use crate::{Sensitive, Vault, VaultError, recovery};

/// How long a bundle is good at most: ten years, in milliseconds.
pub const MAX_LIFE_MS: u64 = 10 * 366 * 24 * 60 * 60 * 1000;
const TITLE: &str = "autoshare-keys 1";
const LIST: &str = "bundles";
/// Bytes of the list of bundles at most.
const MAX_LIST: usize = 64 * 1024 * 1024;

/// A bundle that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// By which it is known: 8 hexadecimal digits.
    pub name: String,
    /// When it was made: milliseconds since 1970 (UTC).
    pub made_ms: u64,
    /// From when on it is not restored: milliseconds since 1970 (UTC).
    pub expires_ms: u64,
    /// Whose keys it holds.
    pub tenants: Vec<TenantName>,
}

/// What came of restoring a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What became of the machine's keys.
    pub machine: MachineKeys,
    /// Tenants whose keys are there again.
    pub tenants: Vec<TenantName>,
    /// Tenants that had keys, which were left as they are.
    pub kept: Vec<TenantName>,
}

/// The machine's keys beside those of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineKeys {
    /// There were none; they are those of the bundle.
    Restored,
    /// They make the same marks and signatures.
    Same,
    /// They are another machine's, and stay. Tokens made with those of the bundle are not accepted, and heads of audit
    /// trails signed with them do not check.
    Other,
}

impl Bundle {
    fn line(&self) -> String {
        let names: Vec<_> = self.tenants.iter().map(TenantName::as_str).collect();
        format!("{} {} {} {}\n", self.name, self.made_ms, self.expires_ms, names.join(","))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (name, made, expires, names) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let tenants = names.split(',').filter(|name| !name.is_empty()).map(TenantName::parse);
        let tenants = tenants.collect::<Result<_, _>>().ok()?;
        Some(Self { name: name.to_owned(), made_ms: made.parse().ok()?, expires_ms: expires.parse().ok()?, tenants })
    }
}

impl Vault {
    /// All keys as one sealed file, and the recovery key that opens it. The bundle is noted in the list before it is given
    /// out. `now_ms` and `expires_ms` are milliseconds since 1970 (UTC).
    ///
    /// # Errors
    /// [`VaultError::Bundle`] for an expiry that is past or beyond [`MAX_LIFE_MS`], and the system's.
    pub fn bundle(&self, now_ms: u64, expires_ms: u64) -> Result<(Bundle, Vec<u8>, Sensitive), VaultError> {
        if expires_ms <= now_ms || expires_ms - now_ms > MAX_LIFE_MS {
            return Err(VaultError::Bundle { why: "it would expire in the past, or in more than ten years" });
        }
        let _held = self.files.lock()?;
        self.files.reload()?;
        let tenants = self.files.names()?;
        let name = u32::from_be_bytes(random()?);
        let bundle = Bundle { name: format!("{name:08x}"), made_ms: now_ms, expires_ms, tenants };
        let mut list = self.list()?;
        list.retain(|one| one.expires_ms > now_ms);
        list.push(bundle.clone());
        let list: String = list.iter().map(Bundle::line).collect();

        let machine = self.files.machine_file();
        let mut files = Vec::with_capacity(bundle.tenants.len());
        for tenant in &bundle.tenants {
            let file = self.files.wrapped_file(tenant)?.ok_or_else(|| VaultError::NoKey { tenant: tenant.clone() })?;
            files.push((tenant, file));
        }
        let mut parts: Vec<&[u8]> = vec![&machine, list.as_bytes()];
        for (tenant, file) in &files {
            parts.extend([tenant.as_str().as_bytes(), file.as_slice()]);
        }
        let payload = Zeroizing::new(encode(&parts));
        let title = format!("{TITLE} {} {now_ms} {expires_ms}\n", bundle.name);
        let recovery = Key::random()?;
        let mut sealed = title.clone().into_bytes();
        bundle_key(&recovery)?.encrypt(&associated(&title), &payload, &mut sealed)?;
        self.files.dir.replace(LIST, list.as_bytes())?;
        Ok((bundle, sealed, recovery::spell(&recovery)))
    }

    /// The bundles that were made and have not expired, oldest first.
    ///
    /// # Errors
    /// [`VaultError::Format`] for a list that is none, and the system's.
    pub fn bundles(&self, now_ms: u64) -> Result<Vec<Bundle>, VaultError> {
        let mut list = self.list()?;
        list.retain(|one| one.expires_ms > now_ms);
        Ok(list)
    }

    /// The bundles that hold the key of `tenant`, whether or not it was destroyed since: until the last of them expires, it
    /// can be restored.
    ///
    /// # Errors
    /// As [`Vault::bundles`].
    pub fn bundles_with(&self, tenant: &TenantName, now_ms: u64) -> Result<Vec<Bundle>, VaultError> {
        let mut list = self.bundles(now_ms)?;
        list.retain(|one| one.tenants.contains(tenant));
        Ok(list)
    }

    fn list(&self) -> Result<Vec<Bundle>, VaultError> {
        let path = self.files.dir.path().join(LIST);
        let Some(text) = self.files.dir.read(LIST, Others::Nothing, MAX_LIST)? else { return Ok(Vec::new()) };
        parse_list(&text).ok_or(VaultError::Format { path, why: "it is not a list of bundles" })
    }
}

/// Puts back the keys in a bundle below `data_dir`: the machine's where there are none, and those of each tenant that has
/// none, wrapped anew for the machine's keys that are there. May be done again where it was cut off.
///
/// # Errors
/// [`VaultError::Recovery`] for a mistyped recovery key, [`VaultError::Bundle`] for one that opens something else and for a
/// file that is damaged or none, [`VaultError::Expired`], and the system's.
pub fn restore(data_dir: &Path, bundle: &[u8], recovery: &str, now_ms: u64) -> Result<Restored, VaultError> {
    let none = || VaultError::Bundle { why: "it is not a bundle of keys" };
    let (title, sealed) = split_title(bundle).ok_or_else(none)?;
    let words = title.strip_prefix(TITLE).ok_or_else(none)?;
    let expires_ms: u64 = words.split_whitespace().nth(2).and_then(|word| word.parse().ok()).ok_or_else(none)?;
    let closed = || VaultError::Bundle { why: "it was damaged or edited, or this is the recovery key of another" };
    let payload = bundle_key(&recovery::parse(recovery)?)?.decrypt(&associated(title), sealed).ok_or_else(closed)?;
    // Only now: the date in a title that was edited is nobody's.
    if expires_ms <= now_ms {
        return Err(VaultError::Expired { day: Day::of_ms(expires_ms).to_string() });
    }
    let parts = decode(&payload).ok_or_else(none)?;
    let [machine_file, list, tenants @ ..] = parts.as_slice() else { return Err(none()) };
    let path = Path::new("the bundle");
    let bundled = machine_in(machine_file, path)?;

    let keys = PrivateDir::open(data_dir, Others::MayRead)?.sub("keys", Others::Nothing)?;
    let fresh = {
        let _held = keys.lock()?;
        let fresh = read_machine(&keys)?.is_none();
        if fresh {
            keys.create(MACHINE, machine_file)?;
        }
        fresh
    };
    let files = Files::open(keys)?;
    let _held = files.lock()?;
    files.reload()?;
    let same = {
        let here = files.machine();
        (here.tokens.bytes(), here.signing.bytes()) == (bundled.tokens.bytes(), bundled.signing.bytes())
    };
    let machine = match (fresh, same) {
        (true, _) => MachineKeys::Restored,
        (false, true) => MachineKeys::Same,
        (false, false) => MachineKeys::Other,
    };
    let mut restored = Restored { machine, tenants: Vec::new(), kept: Vec::new() };
    for pair in tenants.chunks(2) {
        let [name, file] = pair else { return Err(none()) };
        let name = std::str::from_utf8(name).ok().and_then(|name| TenantName::parse(name).ok()).ok_or_else(none)?;
        match files.ring(&name) {
            Ok(Some(_)) => {
                restored.kept.push(name);
                continue;
            }
            // One that is damaged is no loss.
            Ok(None) | Err(VaultError::Unwrap { .. } | VaultError::Format { .. }) => {}
            Err(error) => return Err(error),
        }
        let ring = bundled.unwrap(&name, wrapped_in(file, path)?).ok_or_else(none)?;
        let wrapped = files.machine().wrap(&name, &ring)?;
        files.tenants.replace(&file_name(&name), &wrapped)?;
        restored.tenants.push(name);
    }
    merge_list(&files.dir, list)?;
    Ok(restored)
}

/// Adds bundles that this list does not know of.
fn merge_list(dir: &PrivateDir, other: &[u8]) -> Result<(), VaultError> {
    let mut list = dir.read(LIST, Others::Nothing, MAX_LIST)?.and_then(|text| parse_list(&text)).unwrap_or_default();
    let added = parse_list(other).unwrap_or_default();
    list.extend(added.into_iter().filter(|one| !list.iter().any(|known| known.name == one.name)).collect::<Vec<_>>());
    list.sort_by_key(|one| one.made_ms);
    dir.replace(LIST, list.iter().map(Bundle::line).collect::<String>().as_bytes())
}

fn parse_list(text: &[u8]) -> Option<Vec<Bundle>> {
    std::str::from_utf8(text).ok()?.lines().map(Bundle::parse).collect()
}

fn bundle_key(recovery: &Key) -> Result<Key, VaultError> {
    recovery.derive(b"autoshare/bundle-key/1")
}

fn associated(title: &str) -> Vec<u8> {
    encode(&[b"autoshare/bundle/1", title.as_bytes()])
}

/// The first line, with its end, and what follows.
fn split_title(bundle: &[u8]) -> Option<(&str, &[u8])> {
    let end = bundle.iter().take(256).position(|byte| *byte == b'\n')?;
    let (title, sealed) = bundle.split_at_checked(end + 1)?;
    Some((std::str::from_utf8(title).ok()?, sealed))
}
