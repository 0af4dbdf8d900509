//! Names that are special wherever they lie: what the machine runs or trusts, what instructs agents, what holds keys.
//!
//! Words only, of files that are reached in whatever way: a name that is special is refused or asked for, one that is
//! not is no proof of anything.

/// Why a name is special.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protected {
    /// The machine runs or trusts it: writing it is running code later, outside every cell. Never written.
    Trusted,
    /// Agents and editors take instructions from it. Written, but a person is asked.
    Instructions,
}

/// Directories of which everything is special. A name with `/` is matched on consecutive components.
const FOLDERS: &[(&str, Protected)] = &[
    (".git", Protected::Trusted),
    (".ssh", Protected::Trusted),
    (".gnupg", Protected::Trusted),
    (".config/systemd", Protected::Trusted),
    (".config/autostart", Protected::Trusted),
    (".config/environment.d", Protected::Trusted),
    (".config/fish", Protected::Trusted),
    (".config/git", Protected::Trusted),
    (".config/nvim", Protected::Trusted),
    (".config/autoshare", Protected::Trusted),
    (".local/share/systemd", Protected::Trusted),
    (".local/share/autoshare", Protected::Trusted),
    (".emacs.d", Protected::Trusted),
    (".oh-my-zsh", Protected::Trusted),
    (".claude", Protected::Instructions),
    (".cursor", Protected::Instructions),
    (".github/instructions", Protected::Instructions),
];

/// Names of files that hold keys or passwords.
const SECRETS: &[&str] = &[
    ".env",
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".htpasswd",
    ".git-credentials",
    ".dockercfg",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "credentials",
    "credentials.json",
    "secrets.json",
    "secrets.yaml",
    "secrets.yml",
    "secrets.toml",
    "service-account.json",
];
/// Ends of such names.
const SECRET_ENDS: &[&str] = &[".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk"];

/// Whether a path's last name is one that files with keys or passwords have.
#[must_use]
pub fn is_secret(path: &str) -> bool {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_lowercase();
    let is_environment = name.starts_with(".env.") && !name.ends_with(".example");
    is_environment || SECRETS.contains(&name.as_str()) || SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

/// A glob over names that fits every name that [`is_secret`], as long as it is in lower case.
#[must_use]
pub fn secret_glob() -> String {
    let ends = SECRET_ENDS.iter().map(|end| format!("*{end}"));
    let names: Vec<String> = SECRETS.iter().map(|name| (*name).to_owned()).chain(ends).collect();
    format!("{{.env.*,{}}}", names.join(","))
}

/// Files that are special by name, in any directory.
const FILES: &[(&str, Protected)] = &[
    (".bashrc", Protected::Trusted),
    (".bash_profile", Protected::Trusted),
    (".bash_login", Protected::Trusted),
    (".bash_logout", Protected::Trusted),
    (".bash_aliases", Protected::Trusted),
    (".profile", Protected::Trusted),
    (".zshrc", Protected::Trusted),
    (".zshenv", Protected::Trusted),
    (".zprofile", Protected::Trusted),
    (".zlogin", Protected::Trusted),
    (".zlogout", Protected::Trusted),
    (".cshrc", Protected::Trusted),
    (".tcshrc", Protected::Trusted),
    (".login", Protected::Trusted),
    (".logout", Protected::Trusted),
    (".kshrc", Protected::Trusted),
    (".mkshrc", Protected::Trusted),
    (".inputrc", Protected::Trusted),
    (".xprofile", Protected::Trusted),
    (".xinitrc", Protected::Trusted),
    (".xsession", Protected::Trusted),
    (".xsessionrc", Protected::Trusted),
    (".pam_environment", Protected::Trusted),
    (".vimrc", Protected::Trusted),
    (".exrc", Protected::Trusted),
    (".emacs", Protected::Trusted),
    (".tmux.conf", Protected::Trusted),
    (".screenrc", Protected::Trusted),
    (".gdbinit", Protected::Trusted),
    (".lldbinit", Protected::Trusted),
    (".pythonrc", Protected::Trusted),
    (".gitconfig", Protected::Trusted),
    (".netrc", Protected::Trusted),
    (".envrc", Protected::Trusted),
    ("autoshare.toml", Protected::Trusted),
    ("AGENTS.md", Protected::Instructions),
    ("AGENT.md", Protected::Instructions),
    ("CLAUDE.md", Protected::Instructions),
    ("CLAUDE.local.md", Protected::Instructions),
    ("GEMINI.md", Protected::Instructions),
    (".cursorrules", Protected::Instructions),
    (".windsurfrules", Protected::Instructions),
    (".clinerules", Protected::Instructions),
    (".mcp.json", Protected::Instructions),
    (".github/copilot-instructions.md", Protected::Instructions),
    (".vscode/tasks.json", Protected::Instructions),
    (".vscode/settings.json", Protected::Instructions),
    (".vscode/launch.json", Protected::Instructions),
    (".vscode/mcp.json", Protected::Instructions),
];

/// Whether `relative`, a path below a root, names something special: itself, or a directory it lies in. Compared
/// as the most forgiving file systems do: without case, without characters that show nothing, without dots and spaces
/// at a name's end. The stricter of two answers holds.
#[must_use]
pub fn protected(relative: &str) -> Option<Protected> {
    let parts = folded(relative);
    let under = |name: &str| lies_under(&parts, name);
    let ends = |name: &str| parts.ends_with(&name.split('/').map(fold).collect::<Vec<_>>());
    let folders = FOLDERS.iter().filter(|(name, _)| under(name));
    let files = FILES.iter().filter(|(name, _)| ends(name));
    let classes: Vec<Protected> = folders.chain(files).map(|(_, class)| *class).collect();
    if classes.contains(&Protected::Trusted) { Some(Protected::Trusted) } else { classes.first().copied() }
}

/// What the machine executes or trusts only where it lies directly below a home directory: elsewhere these names are
/// anybody's.
const BELOW_HOME: &[&str] = &[
    "bin",
    "go/bin",
    ".bin",
    ".cargo/bin",
    ".cargo/config",
    ".cargo/config.toml",
    ".cargo/env",
    ".rustup",
    ".nvm",
    ".pyenv",
    ".rbenv",
    ".asdf",
    ".local/bin",
    ".local/lib",
    ".local/share/applications",
    ".local/share/dbus-1",
    ".local/share/nvim",
    ".config/pip",
    ".config/zsh",
    ".config/tmux",
    ".config/direnv",
    ".config/sway",
    ".config/i3",
    ".config/hypr",
    ".config/Code",
    ".config/VSCodium",
    ".vscode",
    ".vim",
    ".yarnrc",
    ".gemrc",
    ".mailcap",
];

/// What the machine executes or trusts below a home directory, whoever writes it: every trusted name of [`protected`],
/// and names that are trusted only there. Relative to the home directory.
pub fn executed_below_home() -> impl Iterator<Item = &'static str> {
    let trusted = |table: &'static [(&'static str, Protected)]| {
        table.iter().filter(|(_, class)| *class == Protected::Trusted).map(|(name, _)| *name)
    };
    trusted(FOLDERS).chain(trusted(FILES)).chain(BELOW_HOME.iter().copied())
}

/// The folder of a workspace where the results go that are too long to be shown. Whoever looks through a workspace
/// passes it over: it holds what was seen before.
pub const RESULTS: &str = ".autoshare-results";

/// Names below a home directory that hold keys, logins or what this program itself knows.
pub const PRIVATE: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".s3cfg",
    ".boto",
    ".vault-token",
    ".terraform.d",
    ".git-credentials",
    ".password-store",
    ".pki",
    ".Xauthority",
    ".ICEauthority",
    ".mozilla",
    ".thunderbird",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".psql_history",
    ".mysql_history",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".m2/settings.xml",
    ".gradle/gradle.properties",
    ".cache/huggingface/token",
    ".config/autoshare",
    ".config/gcloud",
    ".config/gh",
    ".config/hub",
    ".config/op",
    ".config/rclone",
    ".config/sops",
    ".config/google-chrome",
    ".config/chromium",
    ".config/BraveSoftware",
    ".local/share/autoshare",
    ".local/share/keyrings",
    ".local/share/kwalletd",
];

/// Whether `path` names one of [`PRIVATE`], or something in it, in any directory. Compared as [`protected`] does.
#[must_use]
pub fn is_private(path: &str) -> bool {
    let parts = folded(path);
    PRIVATE.iter().any(|name| lies_under(&parts, name))
}

fn folded(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(fold(other)),
        }
    }
    parts
}

fn lies_under(parts: &[String], name: &str) -> bool {
    let name: Vec<String> = name.split('/').map(fold).collect();
    parts.windows(name.len()).any(|window| *window == *name)
}

/// A name as a case-insensitive file system may see it: upper case first, so that letters whose lower case differs
/// but whose upper case is the same (such as the long s) fold together.
fn fold(name: &str) -> String {
    let folded: String = name.chars().filter(|c| !shows_nothing(*c)).flat_map(char::to_uppercase).collect();
    let folded = folded.to_lowercase();
    let folded = folded.trim_end_matches(['.', ' ']);
    if folded == "git~1" { ".git".to_owned() } else { folded.to_owned() }
}

/// Characters that Unicode lets a comparison ignore (`Default_Ignorable_Code_Point`), and so do ext4 and f2fs with
/// case folding.
const fn shows_nothing(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
