//! Puts the parts together for one invocation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use autoshare_access::Access;
use autoshare_broker::Broker;
use autoshare_core::event::{Root, RootMode};
use autoshare_host::{Host, Questions};
use autoshare_sandbox::{Launcher, Tier};
use autoshare_store::Store;
use autoshare_vault::Vault;

use crate::exit::{Failure, SETTINGS};
use crate::settings::Settings;

/// The store with the right to use it.
pub(crate) struct Data {
    pub(crate) access: Access,
    pub(crate) store: Arc<Store>,
}

/// Opens the data directory, making it at first use.
pub(crate) fn data(settings: &Settings) -> Result<Data, Failure> {
    let vault = Vault::open(&settings.data_dir)?;
    let access = Access::local(&settings.data_dir)?;
    let store = Arc::new(Store::open(&settings.data_dir, &access, &vault)?);
    Ok(Data { access, store })
}

/// The broker over the settings.
pub(crate) fn broker(settings: &mut Settings) -> Result<Arc<Broker>, Failure> {
    let mut parts = autoshare_broker::Settings {
        api_key: settings.api_key.take(),
        base_url: settings.base_url.clone(),
        ..autoshare_broker::Settings::default()
    };
    if let Some(text) = &settings.prices {
        parts.prices = autoshare_broker::Prices::parse(text)?;
    }
    Ok(Arc::new(Broker::new(parts)?))
}

/// The host over its parts.
pub(crate) fn host(settings: &Settings, data: &Data, broker: Arc<Broker>, launcher: Launcher, wait: Questions) -> Host {
    let parts = autoshare_host::Settings {
        protected: protected(settings),
        hidden: hidden(settings),
        frozen: frozen(settings),
        least_tier: Tier::Narrow,
        max_text: settings.max_text,
        action_timeout: settings.action_timeout,
        questions: wait,
    };
    Host::new(data.access.clone(), Arc::clone(&data.store), Arc::new(launcher), broker, parts)
}

/// Keys and logins below a home directory that no approval opens and no cell shows.
const PRIVATE: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".netrc",
    ".config/gcloud",
    ".config/gh",
    ".config/autoshare",
    ".local/share/autoshare",
    ".password-store",
    ".mozilla",
    ".config/google-chrome",
    ".npmrc",
    ".pypirc",
    ".cargo/credentials.toml",
    ".git-credentials",
];

fn hidden(settings: &Settings) -> Vec<PathBuf> {
    let home = settings.home.iter().flat_map(|home| PRIVATE.iter().map(move |name| home.join(name)));
    [settings.data_dir.clone()].into_iter().chain(settings.config_dir.clone()).chain(home).collect()
}

/// What a machine executes or trusts below a home directory.
const EXECUTED: &[&str] = &[
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".config/fish",
    ".config/systemd",
    ".config/autostart",
    ".config/git",
    ".gitconfig",
    ".cargo/bin",
    ".cargo/config.toml",
    ".local/bin",
    ".vimrc",
    ".config/nvim",
    ".emacs",
    ".emacs.d",
    ".tmux.conf",
    ".inputrc",
    ".xinitrc",
    ".xprofile",
    "bin",
];

fn frozen(settings: &Settings) -> Vec<PathBuf> {
    settings.home.iter().flat_map(|home| EXECUTED.iter().map(move |name| home.join(name))).collect()
}

fn protected(settings: &Settings) -> Vec<String> {
    let files = settings.read_from.iter().cloned();
    hidden(settings).into_iter().chain(files).map(|path| path.display().to_string()).collect()
}

/// The roots of a new brain: its workspace, then the extra ones.
pub(crate) fn roots(
    settings: &Settings,
    workspace: &Path,
    read: &[PathBuf],
    write: &[PathBuf],
) -> Result<Vec<Root>, Failure> {
    let mut roots = vec![root(settings, workspace, RootMode::Write)?];
    for path in read {
        roots.push(root(settings, path, RootMode::Read)?);
    }
    for path in write {
        roots.push(root(settings, path, RootMode::Write)?);
    }
    if !settings.restrict {
        let home = settings.home.as_deref().ok_or_else(|| {
            Failure::new(SETTINGS, "RESTRICT_TO_WORKSPACE is off, but there is no home directory (HOME is not set)")
        })?;
        roots.push(Root { path: text(home)?, mode: RootMode::Write });
    }
    Ok(roots)
}

fn root(settings: &Settings, path: &Path, mode: RootMode) -> Result<Root, Failure> {
    let wrong = |why: String| Failure::new(SETTINGS, format!("{}: {why}", path.display()));
    let real = path.canonicalize().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => wrong("there is no such folder; make it first, or name another".to_owned()),
        _ => wrong(format!("{e}; name a folder that you may enter")),
    })?;
    if !real.is_dir() {
        return Err(wrong("not a folder".to_owned()));
    }
    if real == Path::new("/") {
        return Err(wrong("the root of the file system is no workspace; name a folder in it".to_owned()));
    }
    let wanted = if mode == RootMode::Write {
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::READ_OK | rustix::fs::Access::EXEC_OK
    } else {
        rustix::fs::Access::READ_OK | rustix::fs::Access::EXEC_OK
    };
    rustix::fs::access(&real, wanted).map_err(|e| {
        let need = if mode == RootMode::Write { "write in" } else { "read" };
        wrong(format!("you may not {need} this folder ({e}); choose another, or change its permissions"))
    })?;
    settings.check_workspace(&real)?;
    Ok(Root { path: text(&real)?, mode })
}

fn text(path: &Path) -> Result<String, Failure> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(SETTINGS, format!("{}: a folder's path must be UTF-8; rename it", path.display())))
}
