//! A throwaway folder with a workspace, its neighbours, what listens there, and a process to be attacked.

#![allow(
    clippy::disallowed_methods,
    reason = "makes, fills and removes a folder of its own; no path here comes from elsewhere"
)]

use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use super::{Terrain, spec};
use crate::error::answer;
use crate::spec::{CellSpec, Tier, Work};
use crate::{Launcher, SandboxError};

/// Whose the folder is where root makes it: an id that owns nothing, and that every container maps.
const STRANGER: u32 = 65_533;

/// Not `/tmp`, which cells have one of their own of, so that Landlock opens whatever has that name.
const BELOW: &str = "/var/tmp";

/// A place to attack. Everything in it goes when it is dropped.
#[derive(Debug)]
pub struct Ground {
    terrain: Terrain,
    ids: [(u64, u64); 2],
    _listeners: (Vec<UnixListener>, TcpListener),
}

impl Ground {
    /// Makes a folder below `/var/tmp` and what is in it; a process of the launcher's is the victim.
    ///
    /// # Errors
    /// [`SandboxError::Step`] where the folder or a listener cannot be made, [`SandboxError::LauncherGone`].
    pub fn make(launcher: &Launcher) -> Result<Self, SandboxError> {
        let folder = folder().map_err(failed)?;
        let made = Self::fill(launcher, &folder);
        if made.is_err() {
            let _ = std::fs::remove_dir_all(&folder);
        }
        made
    }

    fn fill(launcher: &Launcher, folder: &Path) -> Result<Self, SandboxError> {
        let owner = rustix::process::geteuid().is_root().then_some(STRANGER);
        let at = |name: &str| folder.join(name);
        let listeners = lay_out(folder, owner).map_err(failed)?;
        let port = listeners.1.local_addr().map_err(failed)?.port();
        let id = |name: &str| at(name).metadata().map(|meta| (meta.dev(), meta.ino())).map_err(failed);
        let ids = [id("workspace")?, id("shown")?];
        let victim = launcher.victim(folder, ids)?;
        let terrain = Terrain { folder: folder.to_owned(), victim, port, name: abstract_name(folder) };
        Ok(Self { terrain, ids, _listeners: listeners })
    }

    /// What an attempt must know of it.
    #[must_use]
    pub const fn terrain(&self) -> &Terrain {
        &self.terrain
    }

    /// A cell that stands on it.
    #[must_use]
    pub fn spec(&self, work: Work) -> CellSpec {
        spec(&self.terrain.folder, self.ids, work, Tier::Narrow)
    }

    pub(crate) const fn ids(&self) -> [(u64, u64); 2] {
        self.ids
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.terrain.folder);
    }
}

fn failed(error: impl Into<io::Error>) -> SandboxError {
    SandboxError::Step { step: format!("making a throwaway folder below {BELOW}"), answer: answer(&error.into()) }
}

/// A new folder that nobody else may write to.
fn folder() -> io::Result<PathBuf> {
    let mut tries = 0u32;
    loop {
        let path = PathBuf::from(format!("{BELOW}/autoshare-verify-{}-{tries}", std::process::id()));
        match std::fs::DirBuilder::new().mode(0o755).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 100 => tries += 1,
            other => return other.map(|()| path),
        }
    }
}

fn abstract_name(folder: &Path) -> String {
    format!("{}-listener", folder.display())
}

fn lay_out(folder: &Path, owner: Option<u32>) -> io::Result<(Vec<UnixListener>, TcpListener)> {
    use std::os::linux::net::SocketAddrExt as _;
    let at = |name: &str| folder.join(name);
    for name in ["workspace", "shown", "neighbour"] {
        std::fs::create_dir(at(name))?;
    }
    for name in ["neighbour/secret", "neighbour/linked", "shown/note"] {
        std::fs::write(at(name), Terrain::SECRET)?;
    }
    std::os::unix::fs::symlink("../neighbour", at("workspace/way-out"))?;
    std::os::unix::fs::symlink("../neighbour/secret", at("workspace/secret-link"))?;
    std::fs::hard_link(at("neighbour/linked"), at("workspace/hard-link"))?;
    let mut listeners = vec![UnixListener::bind_addr(&SocketAddr::from_abstract_name(abstract_name(folder))?)?];
    for name in ["neighbour/socket", "workspace/socket"] {
        listeners.push(UnixListener::bind(at(name))?);
        std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o777))?;
    }
    if owner.is_some() {
        for name in ["workspace", "shown", "neighbour", "neighbour/secret", "neighbour/linked", "shown/note"] {
            std::os::unix::fs::chown(at(name), owner, owner)?;
        }
    }
    Ok((listeners, TcpListener::bind("127.0.0.1:0")?))
}
