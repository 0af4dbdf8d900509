//! `serve` as an operator runs it: alone on its data, behind its own walls, started by hand or by systemd, over TLS whose
//! files are renewed beneath it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use autoshare_testkit::{Certified, CertifiedClient, Script, ScriptedModel, Turn};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::desk::{Desk, Ran};

/// A server that listens.
pub struct Server {
    pub child: Child,
    pub base: String,
}

impl Server {
    fn start(desk: &Desk, args: &[&str]) -> Self {
        Self::started(desk.command([&["serve", "--listen", "127.0.0.1:0", "--json"], args].concat()))
    }

    pub fn started(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut words = String::new();
            child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
            panic!("it did not start: {words}");
        }
        let said: Value = serde_json::from_str(&line).unwrap();
        Self { base: said["listening"].as_str().unwrap().to_owned(), child }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Asks it to end, and gives what it said on the way.
    pub fn end(mut self) -> String {
        kill_process(self.pid(), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        let mut words = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
        words
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn curl(args: &[&str]) -> String {
    let output = Command::new("/usr/bin/curl").args(["-sS", "--max-time", "10"]).args(args).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn configured(desk: &Desk, text: &str) -> PathBuf {
    let folder = desk.home.join("etc");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("autoshare.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_server_has_a_data_directory_and_other_commands_work_beside_it() {
    let desk = Desk::new();
    let server = Server::start(&desk, &[]);
    let second = desk.autoshare(["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, Some(5), "{second:?}");
    let by = format!("is served already, by process {}: stop that one first", server.child.id());
    assert!(second.err.contains(&by), "{second:?}");

    let model = ScriptedModel::start(Script::new([Turn::text("done")]));
    let mut run = desk.command(["run", "say done", "--json"]);
    run.env("OPENAI_BASE_URL", model.base_url()).env("OPENAI_API_KEY", "sk-x").env("AUTOSHARE_MODEL", "scripted");
    let ran = Ran::of(run.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(desk.autoshare(["token", "new", "a", "--json"]).code, Some(0));

    // Files are to be read again, of which there are none: that ends nothing.
    kill_process(server.pid(), Signal::HUP).unwrap();
    assert_eq!(curl(&[&format!("{}/livez", server.base)]), "alive");
    // A server that was killed leaves nothing that is in the way of the next.
    kill_process(server.pid(), Signal::KILL).unwrap();
    drop(server);
    Server::start(&desk, &[]).end();
}

#[test]
fn what_it_says_of_itself_is_what_the_kernel_says() {
    let desk = Desk::new();
    let fields = |server: &Server| -> Vec<String> {
        // Every thread, those that came later too.
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap();
        let mut all: Vec<String> = tasks
            .map(|task| {
                let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
                let field =
                    |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
                ["NoNewPrivs:", "Seccomp:", "CapEff:", "CapBnd:"].map(field).join(" ")
            })
            .collect();
        all.sort();
        all.dedup();
        all
    };
    let is_root = rustix::process::geteuid().is_root();
    let server = Server::start(&desk, &[]);
    let found = fields(&server);
    assert_eq!(found.len(), 1, "one thread is as the other: {found:?}");
    let wanted = if is_root { "1 2 000000000000002b 0000000000000000" } else { "1 2 0000000000000000" };
    assert!(found[0].starts_with(wanted), "{found:?}");
    assert!(!server.end().contains("not confined"));

    let config = configured(&desk, "[serve]\nconfine = \"off\"\n");
    let mut command = desk.command(["serve", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()]);
    let mut open = command.stderr(Stdio::piped()).spawn().unwrap();
    let words = BufReader::new(open.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(words.take(3).any(|line| line.contains("warning: this process is not confined")));
    open.kill().unwrap();
    open.wait().unwrap();
}

#[test]
fn it_takes_the_descriptors_that_it_may_and_says_where_those_are_too_few() {
    let desk = Desk::new();
    let serve = desk.command(["serve", "--listen", "127.0.0.1:0"]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -S -n 256 && ulimit -H -n 2000 && exec \"$0\" \"$@\""]);
    command.arg(serve.get_program()).args(serve.get_args()).current_dir(serve.get_current_dir().unwrap()).env_clear();
    command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut served = command.stderr(Stdio::piped()).spawn().unwrap();
    let words = BufReader::new(served.stderr.take().unwrap()).lines().map_while(Result::ok);
    let wanted = "warning: 2000 files may be open, and 1000 connections with 256 open tenants may need 9448";
    assert!(words.take(3).any(|line| line.starts_with(wanted)));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", served.id())).unwrap();
    let own = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(own.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["2000", "2000"], "{own}");
    served.kill().unwrap();
    served.wait().unwrap();
}

#[test]
fn it_does_not_start_where_it_would_not_be_safe() {
    let desk = Desk::new();
    let config = |text: &str| configured(&desk, text).display().to_string();
    let certified = Certified::new(&["localhost"]);
    let file = |name: &str, text: &str| {
        std::fs::create_dir_all(desk.home.join("tls")).unwrap();
        let path = desk.home.join("tls").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (cert, key) = (file("cert.pem", &certified.certificate), file("key.pem", &certified.key));
    let tls = format!("tls_cert = {cert:?}\ntls_key = {key:?}\n");
    let wrong = file("wrong.pem", "nothing");
    // (settings below [serve], what it says)
    let rows = [
        ("listen = \"0.0.0.0:0\"".to_owned(), "can be reached from other machines, and without TLS"),
        (format!("tls_cert = {cert:?}"), "name serve.tls_key as well"),
        (format!("client_ca = {cert:?}"), "callers show certificates over TLS alone"),
        (format!("{tls}client_cert = \"required\""), "name the authority as well, with serve.client_ca"),
        (format!("{tls}client_ca = {wrong:?}"), "no certificate in PEM form"),
        ("workspaces = \"relative\"".to_owned(), "use an absolute path"),
        ("workspaces = \"/nothing/there\"".to_owned(), "name another folder with [serve] workspaces"),
        ("confine = \"perhaps\"".to_owned(), "confine"),
        ("[serve.http2]\nstreams = 0".to_owned(), "serve.http2.streams is \"0\": use 1 to 10000"),
        ("[serve.http2]\nresets = 0".to_owned(), "serve.http2.resets is \"0\": use 1 to 1000000"),
        ("[serve.http2]\nstream_window = 1".to_owned(), "use 65535 to 1073741824"),
    ];
    for (text, wanted) in rows {
        let config = config(&format!("[serve]\n{text}\n"));
        let said = desk.autoshare(["serve", "--config", &config]);
        assert!(said.code != Some(0) && said.err.contains(wanted), "{text}: {said:?}");
    }
    if rustix::process::geteuid().is_root() {
        // Certificates in a folder with the machine's secrets: it sees that it could read them.
        let mut command = desk.command(["serve", "--listen", "127.0.0.1:0"]);
        let said = Ran::of(command.env("SSL_CERT_DIR", "/etc").output().unwrap());
        assert!(said.code != Some(0) && said.err.contains("read-shadow: it succeeded"), "{said:?}");
        // Root who can be nobody else, as in many a container: there is no cell that is not root.
        let mut alone = Command::new("/usr/bin/unshare");
        alone.args(["--user", "--map-root-user", env!("CARGO_BIN_EXE_autoshare"), "serve", "--listen", "127.0.0.1:0"]);
        let said = Ran::of(alone.env_clear().env("HOME", &desk.home).output().unwrap());
        assert!(said.code != Some(0) && said.err.contains("serve needs full cells"), "{said:?}");
    }
}

/// As certbot does: names are links, and what they lead to is new each time.
#[test]
fn certificates_are_renewed_and_names_are_resolved_behind_its_walls() {
    let desk = Desk::new();
    let model = ScriptedModel::start(Script::new([Turn::text("one")]));
    let client = CertifiedClient::new("ann", &["ann.example.org"]);
    let (live, archive) = (desk.home.join("live"), desk.home.join("archive"));
    for folder in [&live, &archive] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let place = |number: u32| {
        let certified = Certified::new(&["127.0.0.1"]);
        let files = [("cert", &certified.certificate), ("key", &certified.key), ("clients", &client.ca)];
        for (name, text) in files {
            let file = archive.join(format!("{name}{number}.pem"));
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            let (new, link) = (live.join("new"), live.join(format!("{name}.pem")));
            std::os::unix::fs::symlink(&file, &new).unwrap();
            std::fs::rename(&new, &link).unwrap();
        }
        let ca = desk.home.join(format!("ca{number}.pem"));
        std::fs::write(&ca, &certified.ca).unwrap();
        ca.display().to_string()
    };
    let first = place(1);
    let path = |name: &str| live.join(name).display().to_string();
    let config = configured(
        &desk,
        &format!(
            "[serve]\ntls_cert = {:?}\ntls_key = {:?}\nclient_ca = {:?}\n[model]\nbase_url = {:?}\n",
            path("cert.pem"),
            path("key.pem"),
            path("clients.pem"),
            // By a name: what it is looked up with is behind the walls as well.
            model.base_url().replace("127.0.0.1", "localhost")
        ),
    );
    let token = desk.autoshare(["token", "new", "a", "--json", "--model", "scripted"]).json_lines()[0]["token"].clone();
    let mut command =
        desk.command(["serve", "--listen", "127.0.0.1:0", "--json", "--config", config.to_str().unwrap()]);
    command.env("OPENAI_API_KEY", "sk-x");
    let server = Server::started(command);
    let shown = desk.home.join("shown.pem");
    std::fs::write(&shown, format!("{}{}", client.certificate, client.key)).unwrap();
    let bearer = format!("authorization: Bearer {}", token.as_str().unwrap());
    let url = format!("{}/gateway/openai/v1/chat/completions", server.base);
    let ask = |ca: &str, shown: Option<&Path>| {
        let body = r#"{"model": "scripted", "messages": [{"role": "user", "content": "hello"}]}"#;
        let json = "content-type: application/json";
        let mut args =
            vec!["--http2", "--cacert", ca, "-w", " %{http_version} %{http_code}", "-H", json, "-H", &bearer];
        args.extend(shown.iter().flat_map(|path| ["--cert", path.to_str().unwrap()]));
        curl(&[&args[..], &["-d", body, &url]].concat())
    };
    let said = ask(&first, Some(&shown));
    assert!(said.contains("\"one\"") && said.ends_with(" 2 200"), "{said}");
    let said = ask(&first, None);
    assert!(said.contains(" 0 000curl: ("), "who shows no certificate is not let in: {said}");

    let second = place(2);
    kill_process(server.pid(), Signal::HUP).unwrap();
    until("the new certificate is not used", || ask(&second, Some(&shown)).ends_with(" 2 200"));
    assert!(server.end().contains("is used from now on"));
}

/// A service manager's end of sd_notify(3).
struct Manager {
    socket: UnixDatagram,
    _folder: tempfile::TempDir,
    at: PathBuf,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("notify");
        let socket = UnixDatagram::bind(&at).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { socket, _folder: folder, at }
    }

    fn hears(&self) -> String {
        let mut said = [0; 256];
        let length = self.socket.recv(&mut said).unwrap();
        String::from_utf8(said[..length].to_vec()).unwrap()
    }
}

#[test]
fn systemd_hands_over_a_socket_and_is_told_how_it_stands() {
    let (desk, manager) = (Desk::new(), Manager::new());
    // A port that is free; systemd-socket-activate takes none that the kernel chooses.
    let at = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = desk.command_of(Path::new("/usr/bin/systemd-socket-activate"), [] as [&str; 0]);
    command.args(["--listen", &at.to_string(), "--fdname", "http"]);
    let setenv = |name: &str, value: &str| format!("--setenv={name}={value}");
    command.arg(setenv("NOTIFY_SOCKET", manager.at.to_str().unwrap())).arg(setenv("WATCHDOG_USEC", "400000"));
    command.arg(setenv("HOME", desk.home.to_str().unwrap()));
    // Another address: the one that is handed over counts.
    command.args([env!("CARGO_BIN_EXE_autoshare"), "serve", "--listen", "127.0.0.1:1"]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    // It is started by the first connection, which waits for it and is answered.
    until("nobody listens", || std::net::TcpStream::connect(at).is_ok());
    assert_eq!(manager.hears(), "READY=1");
    assert_eq!(curl(&[&format!("http://{at}/livez")]), "alive");
    for _ in 0..3 {
        assert_eq!(manager.hears(), "WATCHDOG=1");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    while manager.hears() != "STOPPING=1" {}
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_units_are_ones_that_systemd_takes() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    let unit = |name: &str| {
        let text = std::fs::read_to_string(source.join(name)).unwrap();
        // What is checked is that the command is there.
        let text = text.replace("/usr/bin/autoshare", env!("CARGO_BIN_EXE_autoshare"));
        std::fs::write(folder.path().join(name), &text).unwrap();
        (folder.path().join(name).display().to_string(), text)
    };
    let ((service, text), (socket, _)) = (unit("autoshare.service"), unit("autoshare.socket"));
    let analyze = |args: &[&str]| {
        let output = Command::new("/usr/bin/systemd-analyze").args(args).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (is_good, said) = analyze(&["verify", &service, &socket]);
    assert!(is_good && said.trim().is_empty(), "{said}");
    // 10 is no hardening at all. What cells need costs 1.2, and a server its network 0.8.
    let (is_good, said) = analyze(&["security", "--offline=true", "--no-pager", "--threshold=36", &service]);
    assert!(is_good, "{said}");
    // What would make cells narrow, or impossible.
    for never in
        ["ProtectKernelTunables=", "ProtectKernelLogs=", "ProcSubset=", "ProtectControlGroups=", "PrivateUsers="]
    {
        assert!(!text.lines().any(|line| line.starts_with(never)), "{never}");
    }
}

#[test]
fn f8_behind_its_walls_it_tells_its_figures_and_logs_requests_without_what_is_in_them() {
    let desk = Desk::new();
    let minted = desk.autoshare(["token", "new", "boss", "--scope", "operator", "--scope", "read", "--json"]);
    let minted: Value = serde_json::from_str(&minted.out).unwrap();
    let token = format!("authorization: Bearer {}", minted["token"].as_str().unwrap());
    let server = Server::start(&desk, &[]);
    let page = curl(&["-H", &token, &format!("{}/metrics", server.base)]);
    let value = |series: &str| -> f64 {
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is missing: {page}")).parse().unwrap()
    };
    assert!(value("autoshare_cells_total{result=\"made\"}") >= 1.0, "it had one made before it began");
    assert_eq!(value("autoshare_cells_total{result=\"failed\"}"), 0.0);
    for series in [
        "autoshare_disk_free_bytes{of=\"data\"}",
        "autoshare_disk_size_bytes{of=\"workspaces\"}",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_cpu_seconds_total",
    ] {
        assert!(value(series) > 0.0, "{series} is not to be had behind its walls");
    }
    curl(&["-H", &token, &format!("{}/api/v1/brains/the-brain?secret=the-query", server.base)]);
    curl(&["-X", "WHATEVER", &format!("{}/the-path", server.base)]);
    let log = server.end();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<String> = lines
        .iter()
        .filter(|line| line["message"] == "request")
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            format!("{} {} {} {}", text("face"), text("method"), text("route"), line["status"])
        })
        .collect();
    assert_eq!(told, ["health GET /metrics 200", "api GET /api/v1/brains/{brain} 404", "none other  404"]);
    assert!(lines[0]["tenant"].as_str().is_some_and(|id| id.len() == 12), "{log}");
    for content in ["the-brain", "the-query", "the-path", "WHATEVER", "Bearer", "boss", "local"] {
        assert!(!log.contains(content), "{content:?} is logged: {log}");
    }
}
