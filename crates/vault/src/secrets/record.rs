//! What is sealed of a credential: form, origins (one a line) and value, each preceded by its length.

use std::str;

use autoshare_core::origin::Origin;
use zeroize::Zeroizing;

use super::{About, Form, Secret, SecretName};
use crate::Sensitive;
use crate::key::encode;

pub(super) fn write(secret: &Secret) -> Zeroizing<Vec<u8>> {
    let About { hosts, form, .. } = &secret.about;
    let hosts: Vec<String> = hosts.iter().map(Origin::to_string).collect();
    let (form, hosts) = (form.to_string(), hosts.join("\n"));
    // `encode` takes room for all of it at once, so that no copy of the value is left behind.
    Zeroizing::new(encode(&[form.as_bytes(), hosts.as_bytes(), secret.value.expose().as_bytes()]))
}

pub(super) fn read(name: &SecretName, bytes: &[u8]) -> Option<Secret> {
    let (form, rest) = part(bytes)?;
    let (hosts, rest) = part(rest)?;
    let (value, rest) = part(rest)?;
    if !rest.is_empty() {
        return None;
    }
    let hosts = hosts.lines().map(Origin::parse).collect::<Result<_, _>>().ok()?;
    let about = About { name: name.clone(), hosts, form: Form::parse(form).ok()? };
    Secret::new(about, Sensitive::new(value.to_owned())).ok()
}

/// The first part, and what follows it.
fn part(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (part, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    Some((str::from_utf8(part).ok()?, rest))
}
