//! People sign in to a real `autoshare serve`, over TLS, through a real provider (oidc-provider, from npm) on pages of its
//! own; the browser is curl with a jar for cookies. What a provider may do wrong is in the tests of `autoshare-server`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use autoshare_testkit::{Canary, Certified};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran};
use crate::packages::{assert_pinned, npm};
use crate::secrets::keep;
use crate::serve::{Server, curl};

const PACKAGE: &str = include_str!("../login/package.json");
const LOCK: &str = include_str!("../login/package-lock.json");
const PROVIDER: &str = include_str!("../login/provider.mjs");

/// A server that people sign in to, and the provider.
struct House {
    desk: Desk,
    _server: Server,
    base: String,
    provider: Child,
    /// What it says, which must have somewhere to go.
    _said: BufReader<ChildStdout>,
    issuer: String,
    /// The authorities of both.
    roots: String,
    secret: Canary,
    owner: String,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.provider.kill();
        let _ = self.provider.wait();
    }
}

impl House {
    /// With ID tokens signed so, and the client known so.
    fn open(algorithm: &str, method: &str) -> Self {
        let (desk, secret) = (Desk::new(), Canary::new());
        let folder = desk.home.join("etc");
        std::fs::create_dir_all(folder.join("tls")).unwrap();
        let (of_server, of_provider) = (Certified::new(&["localhost"]), Certified::new(&["localhost"]));
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        // A port that is free.
        let at = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let base = format!("https://localhost:{}", at.port());
        // Beside its packages, where Node looks for them.
        let program = npm("login", PACKAGE, LOCK).parent().unwrap().join("provider.mjs");
        std::fs::write(&program, PROVIDER).unwrap();
        let mut provider = Command::new("node")
            .arg(program)
            .env("CERT", file("provider.pem", &of_provider.certificate))
            .env("KEY", file("provider.key", &of_provider.key))
            .env("REDIRECT", format!("{base}/login/callback"))
            .env("SECRET", secret.as_str())
            .env("ALGORITHM", algorithm)
            .env("METHOD", method)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(provider.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let issuer = serde_json::from_str::<Value>(&line).unwrap()["issuer"].as_str().unwrap().to_owned();
        let mut config = format!(
            "[serve]\ntls_cert = {:?}\ntls_key = {:?}\n[serve.login]\norigin = {base:?}\nissuer = {issuer:?}\n\
             client_id = \"autoshare\"\nscopes = [\"email\", \"groups\"]\ngroups_claim = \"groups\"\nsession_s = 3600\n\
             ca_file = {:?}\n",
            file("tls/cert.pem", &of_server.certificate),
            file("tls/key.pem", &of_server.key),
            file("provider-ca.pem", &of_provider.ca),
        );
        if method != "none" {
            config.push_str("client_secret = \"OIDC_CLIENT\"\n");
            let kept = keep(&desk, &["OIDC_CLIENT", "--host", issuer.trim_start_matches("https://")], secret.as_str());
            assert_eq!(kept.code, Some(0), "{kept:?}");
        }
        let config = file("autoshare.toml", &config);
        assert_eq!(desk.autoshare(["tenant", "new", "acme"]).code, Some(0));
        let owner = desk.autoshare(["--tenant", "acme", "token", "new", "owner", "--json", "--scope", "audit"]);
        let owner = owner.json_lines()[0]["token"].as_str().unwrap().to_owned();
        let roots = file("roots.pem", &format!("{}{}", of_server.ca, of_provider.ca));
        let listen = at.to_string();
        let server = Server::started(desk.command(["serve", "--listen", &listen, "--json", "--config", &config]));
        Self { desk, _server: server, base, provider, _said: said, issuer, roots, secret, owner }
    }

    fn person(&self, args: &[&str]) {
        let ran = self.desk.autoshare([&["--tenant", "acme", "person", "add"], args].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }

    /// What a browser of its own shows at the end of the way from `url`, where its person types `name`.
    fn browse(&self, url: &str, name: &str) -> String {
        let jar = self.desk.home.join("jar");
        let _ = std::fs::remove_file(&jar);
        let ask = |more: &[&str], url: &str| {
            let jar = jar.to_str().unwrap();
            let usual = ["--cacert", &self.roots, "-L", "-b", jar, "-c", jar, "-w", "\n%{url_effective} %{http_code}"];
            curl(&[&usual[..], more, &[url]].concat())
        };
        let mut page = ask(&[], url);
        for form in ["prompt=login", "prompt=consent"] {
            // The page's one form, unless its person has said yes to that before.
            let Some(action) = page.split("action=\"").nth(1) else { break };
            let action = action.split('"').next().unwrap().to_owned();
            page = ask(&["-d", form, "-d", &format!("login={name}"), "-d", "password=any"], &action);
        }
        page
    }

    fn sign_in(&self, tenant: &str, name: &str) -> String {
        self.browse(&format!("{}/login?tenant={tenant}", self.base), name)
    }

    fn get(&self, path: &str, token: &str) -> Value {
        let bearer = format!("authorization: Bearer {token}");
        let said = curl(&["--cacert", &self.roots, "-H", &bearer, &format!("{}{path}", self.base)]);
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
    }
}

fn copied(page: &str) -> String {
    let code = page.split("<code>").nth(1).unwrap_or_else(|| panic!("{page}"));
    code.split("</code>").next().unwrap().to_owned()
}

#[test]
fn the_lock_pins_every_byte_and_names_no_registry() {
    assert_pinned(LOCK);
}

#[test]
fn people_sign_in_through_a_real_provider_in_a_browser_and_at_a_terminal() {
    let house = House::open("RS256", "client_secret_basic");
    house.person(&["Ann", "--issuer", &house.issuer, "--subject", "ann", "--role", "viewer"]);
    house.person(&["Bob", "--email", "Bob@example.org", "--role", "member"]);
    house.person(&["New", "--email", "newt@example.org", "--role", "owner"]);
    let page = house.sign_in("acme", "ann");
    assert!(page.contains("You are Ann, of acme.") && page.ends_with(" 200"), "{page}");
    let token = copied(&page);
    let last = page.lines().last().unwrap();
    assert!(last.starts_with(&format!("{}/login/callback?code=", house.base)) && !last.contains("as_"), "{last}");
    let me = house.get("/api/v1/me", &token);
    assert_eq!((&me["tenant"], &me["token"]["scopes"]), (&json!("acme"), &json!(["read"])), "{me}");
    assert!(me["token"]["expires_at"].is_string(), "{me}");
    // Invited by an address, which the provider tells at its userinfo endpoint; and groups.
    let token = copied(&house.sign_in("acme", "bob"));
    assert_eq!(house.get("/api/v1/me", &token)["token"]["scopes"], json!(["gateway", "read", "brains"]));
    let people = house.desk.autoshare(["--tenant", "acme", "person", "list", "--json"]).json_lines();
    let bob = people.iter().find(|person| person["name"] == "Bob").unwrap();
    assert_eq!((&bob["identity"]["subject"], &bob["groups"]), (&json!("bob"), &json!(["staff"])), "{bob}");
    // An address that was not verified, somebody whom nobody knows, a tenant that there is not.
    for (tenant, name) in [("acme", "newt"), ("acme", "eve"), ("nothing", "ann")] {
        let page = house.sign_in(tenant, name);
        assert!(page.contains("Nobody is signed in") && page.ends_with(" 403"), "{name} at {tenant}: {page}");
    }

    // At a terminal: the token is printed, and nothing else is.
    let login = |name: &str| {
        let mut command = house.desk.command(["--tenant", "acme", "login", "--server", &house.base]);
        command.env("SSL_CERT_FILE", &house.roots);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let url = told.find_map(|line| line.trim().starts_with("https://").then(|| line.trim().to_owned())).unwrap();
        let page = house.browse(&url, name);
        assert!(page.contains("A program wants to sign in as you") && !page.contains("as_"), "{page}");
        writeln!(child.stdin.take().unwrap(), "{}", copied(&page)).unwrap();
        let said: Vec<String> = told.collect();
        (Ran::of(child.wait_with_output().unwrap()), said.join("\n"))
    };
    let (ran, said) = login("ann");
    assert!(ran.code == Some(0) && said.contains("you are Ann, of acme, until"), "{ran:?} {said}");
    assert_eq!(house.get("/api/v1/me", ran.out.trim())["tenant"], "acme");
    let (ran, said) = login("eve");
    assert!(ran.code == Some(1) && ran.out.is_empty() && said.contains("nobody is signed in"), "{ran:?} {said}");
    let none = house.desk.autoshare(["login", "--server", &house.base]);
    assert!(none.code == Some(2) && none.err.contains("--tenant NAME"), "{none:?}");
    let plain = house.desk.autoshare(["--tenant", "acme", "login", "--server", "http://agents.example.org"]);
    assert!(plain.code == Some(2) && plain.err.contains("plain http"), "{plain:?}");

    // Who is removed is out at once; and the trail tells of each, refused or not.
    let ann = people.iter().find(|person| person["name"] == "Ann").unwrap()["id"].as_str().unwrap().to_owned();
    let token = copied(&house.sign_in("acme", "ann"));
    assert_eq!(house.desk.autoshare(["--tenant", "acme", "person", "remove", &ann]).code, Some(0));
    assert_eq!(house.get("/api/v1/me", &token)["status"], 401);
    let trail = house.get("/api/v1/audit?limit=100", &house.owner);
    let of = |act: &str| trail["items"].as_array().unwrap().iter().filter(|entry| entry["act"] == act).count();
    assert_eq!((of("login"), of("login.refused")), (4, 2), "{trail}");
    // The client's secret is nowhere but in the vault, and in what was sent to the provider.
    assert_eq!(house.secret.find_in(&house.desk.data()), [] as [PathBuf; 0]);
}

/// Each algorithm, and each way of knowing the client, that real providers use.
#[test]
fn whatever_a_real_provider_signs_with_and_however_it_knows_this_server() {
    for (algorithm, method) in [("PS256", "client_secret_post"), ("ES256", "none"), ("EdDSA", "client_secret_basic")] {
        let house = House::open(algorithm, method);
        house.person(&["Ann", "--issuer", &house.issuer, "--subject", "ann", "--role", "viewer"]);
        let page = house.sign_in("acme", "ann");
        assert_eq!(house.get("/api/v1/me", &copied(&page))["tenant"], "acme", "{algorithm} {method}");
        assert!(page.contains("You are Ann"), "{algorithm} {method}: {page}");
    }
}
