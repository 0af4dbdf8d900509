use std::fs;
use std::os::unix::fs::symlink;

use autoshare_core::outcome::Ending;
use autoshare_workspace::{Protected, WorkspaceError, protected};

use crate::setting::{Setting, put};

const TRUSTED: &[&str] = &[
    ".git/hooks/pre-commit",
    ".git/config",
    ".git",
    "sub/module/.git/hooks/post-checkout",
    ".git/modules/a/hooks/post-merge",
    ".git/modules/a/config",
    ".bashrc",
    "home/.bashrc",
    ".bash_profile",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".config/fish/config.fish",
    ".ssh/authorized_keys",
    ".ssh/config",
    ".ssh",
    ".envrc",
    "project/.envrc",
    ".config/systemd/user/evil.service",
    ".local/share/systemd/user/evil.timer",
    ".config/autostart/evil.desktop",
    ".config/autoshare/autoshare.toml",
    "autoshare.toml",
    ".gitconfig",
    // The same, as a forgiving file system would see it.
    ".GIT/hooks/pre-commit",
    ".Git/Config",
    ".BASHRC",
    ".baſhrc",
    ".g\u{200c}it/hooks/pre-commit",
    ".git./config",
    ".git /config",
    "GIT~1/config",
    ".SSH/id",
    "x/../.ssh/id",
    "./.git/./hooks/x",
    ".git//hooks//x",
];

const INSTRUCTIONS: &[&str] = &[
    "AGENTS.md",
    "CLAUDE.md",
    "deep/in/CLAUDE.md",
    "agents.MD",
    ".cursorrules",
    ".mcp.json",
    ".github/copilot-instructions.md",
    ".claude/settings.json",
    ".claude/hooks/x.sh",
    ".vscode/tasks.json",
    ".VSCode/Tasks.json",
];

const ORDINARY: &[&str] = &[
    "note.txt",
    ".gitignore",
    ".gitattributes",
    "git/hooks/pre-commit",
    "hooks/pre-commit",
    "config",
    "ssh/config",
    "bashrc",
    ".bashrc.md",
    "docs/AGENTS.md.txt",
    ".github/workflows.md",
    "copilot-instructions.md",
    "tasks.json",
    ".env",
    ".config/app.toml",
    "systemd/user/a.service",
];

#[test]
fn a9_what_the_machine_trusts_is_never_written() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    for path in TRUSTED {
        assert_eq!(protected(path), Some(Protected::Trusted), "{path}");
        let error = put(&workspace, path, "evil").unwrap_err();
        assert!(matches!(error, WorkspaceError::Protected { .. }), "{path}: {error:?}");
        assert_eq!((error.ending(), error.layer()), (Ending::Refused, "workspace"));
    }
    assert_eq!(fs::read_dir(&setting.inside).unwrap().count(), 2, "nothing was made");
}

#[test]
fn a9_what_is_there_is_read_and_stays_as_it_is() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    fs::create_dir_all(setting.inside.join(".git/hooks")).unwrap();
    for path in [".git/config", ".git/hooks/pre-commit", ".bashrc"] {
        fs::write(setting.inside.join(path), "kept").unwrap();
        assert_eq!(workspace.read(path).unwrap(), b"kept");
        assert!(put(&workspace, path, "evil").is_err());
        assert_eq!(workspace.read(path).unwrap(), b"kept");
    }
}

#[test]
fn a9_another_name_for_the_same_folder_does_not_help() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    fs::create_dir_all(setting.inside.join(".git/hooks")).unwrap();
    symlink(".git", setting.inside.join("innocent")).unwrap();
    symlink(".git/hooks", setting.inside.join("scripts")).unwrap();
    for path in ["innocent/hooks/pre-commit", "innocent/config", "scripts/pre-commit", "folder/../scripts/pre-commit"] {
        fs::write(setting.inside.join(path), "control: a plain write goes through").unwrap();
        fs::remove_file(setting.inside.join(path)).unwrap();
        assert!(matches!(put(&workspace, path, "evil"), Err(WorkspaceError::Link { .. })), "{path}");
    }
    assert_eq!(fs::read_dir(setting.inside.join(".git/hooks")).unwrap().count(), 0);
}

#[test]
fn a9_instructions_to_agents_are_known_and_written_when_the_gate_let_them() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    for path in INSTRUCTIONS {
        assert_eq!(protected(path), Some(Protected::Instructions), "{path}");
        put(&workspace, path, "be nice").unwrap();
    }
    assert_eq!(protected(".git/AGENTS.md"), Some(Protected::Trusted), "the stricter class holds");
}

#[test]
fn a9_ordinary_names_are_ordinary() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    for path in ORDINARY {
        assert_eq!(protected(path), None, "{path}");
        put(&workspace, path, "x").unwrap();
    }
}
