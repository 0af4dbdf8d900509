//! A person at a desk: a home of their own, a workspace, and the program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

pub struct Desk {
    pub base: TempDir,
    pub home: PathBuf,
    pub workspace: PathBuf,
}

impl Desk {
    pub fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let home = base.path().join("home");
        let workspace = base.path().join("work").join("space");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::create_dir_all(&workspace).unwrap();
        Self { base, home, workspace }
    }

    pub fn write(&self, name: &str, content: &str) -> &Self {
        let path = self.workspace.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.workspace.join(name)).ok()
    }

    /// The program with an environment of this desk's alone.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_autoshare")), args)
    }

    /// The same of a binary that lies elsewhere.
    pub fn command_of<S: AsRef<OsStr>>(&self, binary: &Path, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(binary);
        command
            .args(args)
            .env_clear()
            .env("HOME", &self.home)
            .env("LOGNAME", "tester")
            // What is tested here is a model that is hijacked; `guard` tests how seldom it is.
            .env("AUTOSHARE_DETECTOR", "off")
            .env("PATH", "/usr/bin:/bin")
            .current_dir(&self.workspace)
            .stdin(Stdio::null());
        command
    }

    pub fn autoshare<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    pub fn data(&self) -> PathBuf {
        self.home.join(".local/share/autoshare")
    }

    /// The only brain there is.
    pub fn brain(&self) -> String {
        let rows = self.autoshare(["ps", "--json"]).json_lines();
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows[0]["brain"].as_str().unwrap().to_owned()
    }

    /// The journal of the only brain.
    pub fn journal(&self) -> Vec<serde_json::Value> {
        self.autoshare(["logs", &self.brain(), "--json"]).json_lines()
    }
}

/// The files below a directory with their contents, links not followed.
pub fn tree(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(dir).unwrap().display().to_string();
                found.push((name, std::fs::read(entry.path()).unwrap_or_default()));
            }
        }
    }
    found.sort();
    found
}

#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What a person sees at a terminal in which they run a command line.
pub fn at_terminal(desk: &Desk, steps: &serde_json::Value, args: &[&str]) -> serde_json::Value {
    let run = desk.command([&["exec"], args].concat());
    let mut command = std::process::Command::new("python3");
    let helper = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/terminal.py");
    command.args([helper, &steps.to_string()]).arg(run.get_program()).args(run.get_args());
    command.env_clear().env("HOME", &desk.home).env("PATH", "/usr/bin:/bin").env("TERM", "xterm");
    let done = Ran::of(command.current_dir(&desk.workspace).output().unwrap());
    assert_eq!(done.code, Some(0), "{done:?}");
    let seen: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(seen["as_before"], true, "the terminal is left as it was: {seen}");
    seen
}
