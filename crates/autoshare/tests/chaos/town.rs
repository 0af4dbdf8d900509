//! The server, its tenants and their models.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use autoshare_testkit::{Canary, Fault, Script, ScriptedModel, Turn};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chance::Chance;

const TENANTS: usize = 20;
/// One in so many has a cap on its money, which its brains meet.
const CAPPED: usize = 7;
/// Actions of each brain.
pub const STEPS: usize = 8;
/// Tokens that each reply is told to have taken, and what they cost together, in millionths of a dollar.
const TOKENS: (u64, u64) = (100, 10);
pub const COST: u64 = 1_500;
/// In dollars: enough for some brains, not for all.
const CAP: &str = "0.2";
pub const CAP_MICROUSD: u64 = 200_000;
/// Bytes of the disk that is filled up at times.
const DISK: &str = "size=400m";

pub struct Tenant {
    pub name: String,
    pub canary: Canary,
    pub model: ScriptedModel,
    /// For each turn of its script, how many requests fail.
    pub failing: Vec<u32>,
    pub token: Mutex<String>,
    pub is_capped: bool,
    /// Whether its person is asked about every action.
    pub is_asked: bool,
}

impl Tenant {
    fn new(number: usize, chance: &mut Chance) -> Self {
        let canary = Canary::new();
        let mut failing = Vec::new();
        let turn = |step: usize| match step {
            step if step == STEPS => Turn::text(&format!("It is done. {}", canary.as_str())),
            step if step % 4 == 3 => {
                Turn::call("write_file", json!({"path": format!("mark-{step}.txt"), "content": canary.as_str()}))
            }
            step => Turn::call("execute_shell", json!({"command": command(step, &canary)})),
        };
        let turns: Vec<Turn> = (0..=STEPS)
            .map(|step| {
                let mut turn = turn(step);
                turn.usage = autoshare_testkit::Reported::Tokens { input: TOKENS.0, output: TOKENS.1 };
                turn.delay_ms = chance.below(150);
                turn.pause_ms = chance.below(3);
                let (turn, times) = failing_at_times(turn, chance);
                failing.push(times);
                turn
            })
            .collect();
        let model = ScriptedModel::start(Script::new(turns));
        let (is_capped, is_asked) = (number.is_multiple_of(CAPPED), number % 4 == 1);
        Self { name: format!("t{number:02}"), canary, model, failing, token: Mutex::default(), is_capped, is_asked }
    }

    pub fn token(&self) -> String {
        self.token.lock().unwrap().clone()
    }

    pub fn goal(&self, number: u64) -> String {
        let commands: Vec<String> = (0..STEPS).map(|step| format!("`{}`", command(step, &self.canary))).collect();
        let (commands, canary) = (commands.join(", then "), self.canary.as_str());
        format!("No. {number}: write the log log.txt and the marks mark-3.txt and mark-7.txt: run {commands}. {canary}")
    }
}

/// What appends one line to the log, however often it is run.
fn command(step: usize, canary: &Canary) -> String {
    format!("echo {step} {} >> log.txt", canary.as_str())
}

/// A turn whose first requests may fail, and how many do.
fn failing_at_times(turn: Turn, chance: &mut Chance) -> (Turn, u32) {
    let status = |status, retry_after: Option<&str>| Fault::Status {
        status,
        retry_after: retry_after.map(str::to_owned),
        location: None,
        message: None,
        code: None,
    };
    let fault = match chance.below(8) {
        0 => status(429, Some("1")),
        1 => status(500, None),
        2 => Fault::Cut { after: 30, clean: false },
        3 => Fault::BadJson { after: 10 },
        _ => return (turn, 0),
    };
    let times = 1 + u32::try_from(chance.below(2)).unwrap();
    (turn.fault_times(times, fault), times)
}

pub struct Town {
    base: TempDir,
    /// What may fill up: data and workspaces.
    pub disk: PathBuf,
    /// Whether the disk is one of its own.
    pub is_small: bool,
    pub tenants: Vec<Tenant>,
    port: u16,
    server: Mutex<Option<Child>>,
    /// Whether the disk is full at times: then a command or a request may fail.
    pub is_full: AtomicBool,
    /// Whether nothing more is done to it.
    pub is_let_be: AtomicBool,
}

impl Town {
    pub fn new(chance: &mut Chance, may_mount: bool) -> Self {
        let base = tempfile::tempdir().unwrap();
        let disk = base.path().join("disk");
        std::fs::create_dir(&disk).unwrap();
        if may_mount {
            let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "chaos"]).arg(&disk).status();
            assert!(mounted.unwrap().success(), "a disk of its own is needed");
        } else {
            println!("not done: the disk is not filled up, since only root may mount one of its own");
        }
        let workspaces = disk.join("workspaces");
        std::fs::create_dir(&workspaces).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let tenants: Vec<Tenant> = (0..TENANTS).map(|number| Tenant::new(number, chance)).collect();
        let town = Self {
            base,
            disk,
            is_small: may_mount,
            tenants,
            port,
            server: Mutex::new(None),
            is_full: AtomicBool::new(false),
            is_let_be: AtomicBool::new(false),
        };
        town.settle();
        town
    }

    /// Settings, tenants and their tokens.
    fn settle(&self) {
        let home = self.home();
        std::fs::create_dir_all(home.join(".config/autoshare")).unwrap();
        let prices = home.join("prices.toml");
        std::fs::write(
            &prices,
            "version = 1\n[[model]]\nname = \"scripted\"\nwindow = 32000\nmax_output = 1000\ninput = 10.0\noutput = 50.0\n",
        )
        .unwrap();
        let mut settings = format!(
            "[serve]\nlisten = \"127.0.0.1:{}\"\nworkspaces = {:?}\ndrain_s = 10\n[model]\nprices = {prices:?}\n\
             [fair]\nrequests_per_minute = 1000000\nrequests_at_once = 10000\ncells = 12\nmodel_calls = 16\n",
            self.port,
            self.disk.join("workspaces"),
        );
        for tenant in &self.tenants {
            let key = home.join(format!("{}.key", tenant.name));
            std::fs::write(&key, format!("sk-{}", tenant.canary.as_str())).unwrap();
            std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            settings += &format!(
                "[provider.{}]\nbase_url = {:?}\ndialect = \"chat\"\nkey_file = {key:?}\n",
                tenant.name,
                tenant.model.base_url()
            );
        }
        std::fs::write(home.join(".config/autoshare/autoshare.toml"), settings).unwrap();
        for tenant in &self.tenants {
            let model = format!("{}/scripted", tenant.name);
            let mut args = vec!["tenant", "new", &tenant.name, "--model", &model];
            if tenant.is_capped {
                args.extend(["--month-cost", CAP]);
            }
            self.done(&args);
            let mut args = vec!["--tenant", &tenant.name, "token", "new", "person", "--json"];
            args.extend(["read", "brains", "approve"].iter().flat_map(|scope| ["--scope", scope]));
            *tenant.token.lock().unwrap() = token_of(&self.done(&args));
        }
    }

    fn home(&self) -> PathBuf {
        self.base.path().join("home")
    }

    pub fn aside(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.disk.join("data")
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_autoshare"));
        command.args(args).arg("--data-dir").arg(self.data()).current_dir(self.base.path());
        command.env_clear().env("HOME", self.home()).env("PATH", "/usr/bin:/bin").env("AUTOSHARE_DETECTOR", "off");
        command.stdin(Stdio::null());
        command
    }

    /// What a command says, however it ends.
    pub fn ask(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a command says that must succeed.
    pub fn done(&self, args: &[&str]) -> String {
        let said = self.ask(args);
        assert!(said.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap()
    }

    pub fn lines(&self, args: &[&str]) -> Vec<Value> {
        self.done(args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Starts the server, again and again while the disk is full.
    pub fn start(&self) {
        let begun = Instant::now();
        loop {
            // Beside the disk that is full, or it would be missed that nothing can be said.
            let log = File::options().create(true).append(true).open(self.log()).unwrap();
            let child = self.command(&["serve"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
            // Kept at once, so that it ends with this whatever happens here.
            *self.server.lock().unwrap() = Some(child);
            let mut ended = None;
            while ended.is_none() {
                if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                    return;
                }
                ended = self.server.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
                std::thread::sleep(Duration::from_millis(20));
                assert!(begun.elapsed() < Duration::from_secs(60), "it does not start: {}", self.logged());
            }
            assert!(self.is_full.load(Ordering::SeqCst), "it ended with {ended:?}: {}", self.logged());
            self.empty();
        }
    }

    fn log(&self) -> PathBuf {
        self.aside("serve.log")
    }

    /// The last that the server said.
    pub fn logged(&self) -> String {
        let all = String::from_utf8_lossy(&std::fs::read(self.log()).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = all.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(self.server.lock().unwrap().as_ref().unwrap())
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub fn kill(&self) {
        let mut child = self.server.lock().unwrap().take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks the server to end, as an operator does.
    pub fn end(&self) {
        self.signal(Signal::TERM);
        let ended = self.server.lock().unwrap().take().unwrap().wait().unwrap();
        assert!(ended.success(), "{ended}: {}", self.logged());
    }

    /// Leaves no room on the disk.
    pub fn fill(&self) {
        self.is_full.store(true, Ordering::SeqCst);
        let mut ballast = File::create(self.ballast()).unwrap();
        for size in [1 << 20, 4096, 1] {
            while std::io::Write::write_all(&mut ballast, &vec![0; size]).is_ok() {}
        }
    }

    pub fn empty(&self) {
        let _ = std::fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.disk.join("ballast")
    }
}

/// The token that a command printed.
pub fn token_of(said: &str) -> String {
    let line: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    line["token"].as_str().unwrap().to_owned()
}

/// All bytes below a folder, by file; what goes away meanwhile is left out.
pub fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut pending) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(next) = pending.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            } else if let Ok(bytes) = std::fs::read(entry.path()) {
                found.push((entry.path(), bytes));
            }
        }
    }
    found
}

impl Drop for Town {
    fn drop(&mut self) {
        if let Some(mut child) = self.server.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.is_small {
            let _ = Command::new("umount").arg("--lazy").arg(&self.disk).status();
        }
    }
}
