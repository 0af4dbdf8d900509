//! The servers that a tenant knows: how each is reached, and what was approved of it.
//!
//! Each is one file, `mcp/<tenant>/<NAME>.json` (0600) of the data directory, where no cell sees it. It holds no secret:
//! a credential is named, and kept by the vault.

use std::collections::BTreeMap;
use std::path::Path;

use autoshare_core::TenantName;
use autoshare_mcp::{Pins, ServerName};
use autoshare_vault::private::{Others, PrivateDir};
use serde::{Deserialize, Serialize};

use super::ServerError;

/// Bytes of one file at most: what is approved of a server is in it.
const MAX_FILE: usize = 8 * 1024 * 1024;
const VERSION: u8 = 2;
const END: &str = ".json";

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "by")]
pub enum Way {
    /// Over HTTP, at an address that a person named.
    Http {
        /// The address.
        url: String,
        /// The secret that its requests bear.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credential: Option<String>,
    },
    /// As a program in a cell of its own, over its standard streams.
    Program {
        /// The program and its arguments.
        command: Vec<String>,
        /// Variables that it finds beside the usual ones.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<String, String>,
        /// Folders that it may read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        read: Vec<String>,
        /// Folders that it may read and write.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        write: Vec<String>,
        /// Hosts that it may reach, as [`Allow`](autoshare_broker::egress::Allow) spells them; none is no network.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hosts: Vec<String>,
        /// Secrets that its requests to their hosts bear, by the variable in which it finds a placeholder.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        secrets: BTreeMap<String, Injected>,
    },
}

/// A secret that is put into a program's requests; it never has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injected {
    /// Its name in the vault.
    pub secret: String,
    /// Of its hosts, that one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// A server as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    version: u8,
    /// How it is reached.
    pub way: Way,
    /// What was approved of it.
    #[serde(default)]
    pub pins: Pins,
    /// Contracts that the operator wrote for its tools, as they were given; they take the place of derived ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contracts: Option<String>,
}

impl Definition {
    /// A server that is reached so, of which nothing is approved.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self { version: VERSION, way, pins: Pins::default(), contracts: None }
    }
}

/// The servers of one tenant.
#[derive(Debug)]
pub struct Shelf {
    dir: PrivateDir,
}

impl Shelf {
    /// Opens what `tenant` has below `data_dir`; makes the directories (0700) if there are none.
    ///
    /// # Errors
    /// Those of [`PrivateDir::open`].
    pub fn open(data_dir: &Path, tenant: &TenantName) -> Result<Self, ServerError> {
        let dir = PrivateDir::open(data_dir, Others::MayRead)?
            .sub("mcp", Others::Nothing)?
            .sub(tenant.as_str(), Others::Nothing)?;
        Ok(Self { dir })
    }

    /// The server of this name.
    ///
    /// # Errors
    /// [`ServerError::Unknown`] if there is none; [`ServerError::Definition`] for a file that cannot be read.
    pub fn get(&self, name: &ServerName) -> Result<Definition, ServerError> {
        let file = format!("{name}{END}");
        let bytes = self.dir.read(&file, Others::Nothing, MAX_FILE)?;
        let bytes = bytes.ok_or_else(|| ServerError::Unknown(name.as_str().to_owned()))?;
        let wrong = |why: String| ServerError::Definition { path: self.dir.path().join(&file), why };
        let definition: Definition = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        match definition.version {
            VERSION => Ok(definition),
            other => Err(wrong(format!("it is of version {other}, and this program knows {VERSION}"))),
        }
    }

    /// Keeps a server, durably, in place of one of the same name.
    ///
    /// # Errors
    /// [`ServerError::TooLarge`], and the system's.
    pub fn set(&self, name: &ServerName, definition: &Definition) -> Result<(), ServerError> {
        let bytes = serde_json::to_vec_pretty(definition).map_err(|error| ServerError::Definition {
            path: self.dir.path().join(name.as_str()),
            why: error.to_string(),
        })?;
        if bytes.len() > MAX_FILE {
            return Err(ServerError::TooLarge { name: name.as_str().to_owned(), limit: MAX_FILE });
        }
        Ok(self.dir.replace(&format!("{name}{END}"), &bytes)?)
    }

    /// Forgets a server; whether there was one.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self, name: &ServerName) -> Result<bool, ServerError> {
        Ok(self.dir.remove(&format!("{name}{END}"))?)
    }

    /// The names of the servers there are, sorted.
    ///
    /// # Errors
    /// The system's.
    pub fn names(&self) -> Result<Vec<ServerName>, ServerError> {
        let names = self.dir.names()?;
        let mut names: Vec<ServerName> =
            names.iter().filter_map(|name| ServerName::parse(name.strip_suffix(END)?).ok()).collect();
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_and_nobody_else_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let tenant = TenantName::parse("local").unwrap();
        let shelf = Shelf::open(folder.path(), &tenant).unwrap();
        let name = ServerName::parse("time").unwrap();
        assert!(matches!(shelf.get(&name), Err(ServerError::Unknown(_))));
        let way = Way::Http { url: "https://h/mcp".to_owned(), credential: Some("TOKEN".to_owned()) };
        let definition = Definition::new(way);
        shelf.set(&name, &definition).unwrap();
        assert_eq!(shelf.get(&name).unwrap(), definition);
        assert_eq!(shelf.names().unwrap(), std::slice::from_ref(&name));
        let file = folder.path().join("mcp/local/time.json");
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert!(shelf.remove(&name).unwrap() && !shelf.remove(&name).unwrap());
    }
}
