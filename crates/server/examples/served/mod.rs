//! A release build of the program that serves, and the tenants that ask it.
#![allow(dead_code, reason = "each example takes what it needs")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

/// A server with a data directory of its own, which is removed with it.
pub(crate) struct Served {
    program: String,
    data: tempfile::TempDir,
    /// `http://` and where it listens.
    pub(crate) base: String,
    pub(crate) client: Client,
    process: Option<Child>,
}

impl Served {
    /// Makes the data directory; `settings` are those of `serve` beside where it listens.
    pub(crate) fn new(program: &str, port: u16, settings: &str) -> Self {
        let data = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
        let config = data.path().join("serve.toml");
        std::fs::write(&config, format!("[serve]\nlisten = \"127.0.0.1:{port}\"\n{settings}")).unwrap();
        std::fs::set_permissions(&config, Permissions::from_mode(0o600)).unwrap();
        let client = Client::builder().no_proxy().pool_max_idle_per_host(1_000).build().unwrap();
        Self { program: program.to_owned(), data, base: format!("http://127.0.0.1:{port}"), client, process: None }
    }

    fn data(&self) -> PathBuf {
        self.data.path().join("data")
    }

    fn autoshare(&self) -> Command {
        let mut command = Command::new(&self.program);
        let (home, config) = (self.data.path(), self.data.path().join("serve.toml"));
        command.arg("--data-dir").arg(self.data()).arg("--config").arg(config).env("HOME", home);
        command
    }

    /// What a command of the operator's says.
    pub(crate) fn operator(&self, args: &[&str]) -> String {
        let done = self.autoshare().args(args).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Starts it, and waits until it says that it is ready. How long that took.
    pub(crate) async fn start(&mut self) -> Duration {
        assert!(self.client.get(&self.base).send().await.is_err(), "another listens at {}", self.base);
        let begun = Instant::now();
        let mut process = self.autoshare().arg("serve").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        loop {
            let ready = self.client.get(format!("{}/readyz", self.base)).send().await;
            if ready.is_ok_and(|answer| answer.status() == 200) {
                break;
            }
            assert!(process.try_wait().unwrap().is_none(), "the server has ended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.process = Some(process);
        begun.elapsed()
    }

    /// Has it end by itself.
    pub(crate) fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            let pid = rustix::process::Pid::from_child(&process);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
            process.wait().unwrap();
        }
    }

    /// The process that serves.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Bytes of memory of the server and its launchers, each page counted once (PSS).
    pub(crate) fn memory(&self) -> u64 {
        let Some(process) = &self.process else { return 0 };
        let mut all = vec![process.id().to_string()];
        let mut sum = 0;
        while let Some(pid) = all.pop() {
            let at = Path::new("/proc").join(&pid);
            let children = std::fs::read_to_string(at.join("task").join(&pid).join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().map(str::to_owned));
            let rollup = std::fs::read_to_string(at.join("smaps_rollup")).unwrap_or_default();
            let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
            let kib = pss.and_then(|pss| pss.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse::<u64>().ok());
            sum += kib.unwrap_or(0) * 1_024;
        }
        sum
    }

    pub(crate) fn post(&self, path: &str, token: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).bearer_auth(token).json(body)
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base)).bearer_auth(token)
    }

    /// Begins a brain; its id. `start`: it is driven at once.
    pub(crate) async fn begin(&self, token: &str, goal: &str, start: bool) -> String {
        let made = told(self.post("/api/v1/brains", token, &json!({"goal": goal, "start": start}))).await;
        made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The answer's JSON.
pub(crate) async fn told(request: RequestBuilder) -> Value {
    request.send().await.unwrap().json().await.unwrap()
}
