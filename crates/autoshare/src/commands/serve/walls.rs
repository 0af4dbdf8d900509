//! What a server stands behind: its own walls, and those of the cells that it makes.

use std::path::{Path, PathBuf};

use autoshare_sandbox::{CellSpec, HostConfinement, HostSpec, Launcher, SandboxError, Tier, Work, confine_host};

use crate::assemble::real;
use crate::exit::{FAILED, Failure};
use crate::settings::{Confine, Settings, variable};

/// Confines this process, unless the settings say that it is not to be. Before it has threads, and after what it listens
/// on is open.
pub(crate) fn confine(settings: &Settings) -> Result<Option<HostConfinement>, Failure> {
    if settings.serve.confine == Confine::Off {
        return Ok(None);
    }
    let spec = HostSpec {
        write: [settings.data_dir.clone(), settings.workspaces()].iter().map(|path| real(path)).collect(),
        read: read(settings).collect(),
    };
    confine_host(&spec).map(Some).map_err(|error| {
        let held = matches!(&error, SandboxError::NotHeld { .. });
        let hint = if held {
            "; a file that serve reads may lie in a folder of the system's: keep it in one of its own"
        } else {
            ""
        };
        Failure::new(FAILED, format!("{error}{hint}. With [serve] confine = \"off\" it serves without"))
    })
}

/// What is read while it serves. A certificate is renewed by others under a new name, so of its files the folders count,
/// where they are named and where links lead.
fn read(settings: &Settings) -> impl Iterator<Item = PathBuf> {
    let tls = settings.serve.tls.iter().flat_map(|tls| tls.files()).flat_map(|file| [file.clone(), real(file)]);
    let folders = tls.filter_map(|file| file.parent().map(Path::to_owned));
    let classifier = settings.classifier.iter().flat_map(|named| [named.folder.clone(), named.runtime.clone()]);
    let authorities = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(variable).map(PathBuf::from);
    settings.read_from.iter().cloned().chain(folders).chain(classifier).chain(authorities)
}

/// Has the launcher make a cell and end it: `serve` takes full ones alone, and this shows that it gets them, from where it
/// now stands.
pub(crate) fn try_cell(launcher: &Launcher) -> Result<(), Failure> {
    let spec = CellSpec { least: Tier::Full, ..CellSpec::new(Work::Tools, Vec::new()) };
    launcher.launch(&spec).map(drop).map_err(|error| {
        Failure::new(
            FAILED,
            format!("serve needs full cells, which keep tenants apart: {error}; see `autoshare doctor`"),
        )
    })
}
