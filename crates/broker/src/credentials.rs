//! Where keys are looked for, and how one is put into a request.

use std::collections::BTreeMap;
use std::sync::Arc;

use autoshare_vault::Sensitive;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::endpoint::Key;
use crate::provider::Auth;

/// Where keys are looked for: variables that were read at the start, secrets of the vault. Asked at every call, so that
/// a key that was replaced holds at once; whoever answers slowly keeps what he found.
pub trait Credentials: Send + Sync {
    /// The key of this name, for requests to this origin (`https://HOST[:PORT]`): one that is bound to others is none.
    fn find(&self, name: &str, origin: &str) -> Option<Arc<Sensitive>>;
}

/// No keys.
impl Credentials for () {
    fn find(&self, _: &str, _: &str) -> Option<Arc<Sensitive>> {
        None
    }
}

/// Keys that were read at the start.
impl Credentials for BTreeMap<String, Arc<Sensitive>> {
    fn find(&self, name: &str, _: &str) -> Option<Arc<Sensitive>> {
        self.get(name).cloned()
    }
}

/// The first who knows the name.
impl Credentials for Vec<Box<dyn Credentials>> {
    fn find(&self, name: &str, origin: &str) -> Option<Arc<Sensitive>> {
        self.iter().find_map(|one| one.find(name, origin))
    }
}

/// A key and the place in a request that it goes to.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    key: Key,
    auth: Auth,
}

impl Credential {
    pub(crate) const fn new(key: Key, auth: Auth) -> Self {
        Self { key, auth }
    }

    /// The key itself, for looking whether a text repeats it.
    pub(crate) const fn key(&self) -> &Key {
        &self.key
    }

    /// Puts it into a request.
    pub(crate) fn put(&self, url: &mut Url, headers: &mut HeaderMap) {
        match &self.auth {
            Auth::Bearer => put_header(headers, AUTHORIZATION, self.key.bearer()),
            Auth::Header(name) => put_header(headers, name.clone(), self.key.bare()),
            Auth::Query(name) => {
                url.query_pairs_mut().append_pair(name, self.key.expose());
            }
            Auth::None => {}
        }
    }
}

fn put_header(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}
