//! Rows C1 to C5 against the proxy of a cell, over real sockets of loopback.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use autoshare_broker::egress::{Allow, Egress, Policy, is_public};

#[test]
fn c1_what_is_not_on_the_internet_is_told_from_what_is() {
    let private = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:c0a8:1::1",
        "2001::1",
        "2001:db8::1",
        "3fff::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "100::1",
        "5f00::1",
        "2606:4700::5efe:7f00:1",
        "2606:4700::200:5efe:a00:1",
    ];
    let public = [
        "8.8.8.8",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "126.255.255.255",
        "128.0.0.1",
        "172.15.255.255",
        "172.32.0.1",
        "192.0.1.1",
        "198.17.255.255",
        "198.20.0.1",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
        "2606:4700::1",
        "2a00:1450::1",
        "2001:4860::8888",
    ];
    for address in private {
        assert!(!is_public(address.parse::<IpAddr>().unwrap()), "{address}");
    }
    for address in public {
        assert!(is_public(address.parse::<IpAddr>().unwrap()), "{address}");
    }
}

#[test]
fn hosts_are_named_in_one_way_each() {
    for (text, shown) in [
        ("Example.ORG", "example.org"),
        ("example.org.:8443", "example.org:8443"),
        (".example.org", ".example.org"),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("[::1]:8000", "[::1]:8000"),
        ("localhost:1", "localhost:1"),
        ("https://Example.org", "https://example.org"),
        ("http://example.org/", "http://example.org"),
        ("tcp://git.example.org:22", "tcp://git.example.org:22"),
        ("GET,HEAD https://example.org/data/*", "GET,HEAD https://example.org/data/*"),
        ("POST http://.example.org:8080/exactly", "POST http://.example.org:8080/exactly"),
        ("https://127.0.0.1:8443/a", "https://127.0.0.1:8443/a"),
    ] {
        assert_eq!(Allow::parse(text).unwrap().to_string(), shown, "{text}");
    }
    for text in [
        "",
        ".",
        "..",
        "*",
        "*.example.org",
        "ftp://example.org",
        "example.org/",
        "example.org/data/*",
        "GET example.org",
        "get https://example.org",
        "GET, HEAD https://example.org",
        "GET  https://example.org",
        " https://example.org",
        "GET https://.example.org",
        "https://.example.org/data",
        "https://example.org/a*b",
        "https://example.org/a/../b",
        "https://example.org/a?b",
        "https://user@example.org",
        "tcp://example.org",
        "tcp://example.org:22/x",
        "exa mple.org",
        "example.org:0",
        "example.org:99999",
        "example.org:",
        "a@b",
        "127.1",
        "0x7f000001",
        "2130706433",
        "1.2.3.4.5",
        "exämple.org",
        "-a.org",
        "[::1",
        "a\0b",
        "a..b",
    ] {
        assert!(Allow::parse(text).is_err(), "{text:?}");
    }
}

/// A server that answers every connection alike, and tells what it was asked.
fn origin() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let mut asked = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                asked.extend_from_slice(&buffer[..read]);
                if asked.windows(4).any(|window| window == b"\r\n\r\n") {
                    break;
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\norigin");
            if tell.send(String::from_utf8_lossy(&asked).into_owned()).is_err() {
                return;
            }
        }
    });
    (at, told)
}

/// A proxy that allows these, and a way to send it bytes.
struct Proxy {
    at: SocketAddr,
    egress: Egress,
    _runtime: tokio::runtime::Runtime,
}

impl Proxy {
    fn allowing(hosts: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let allow = hosts.iter().map(|host| Allow::parse(host).unwrap()).collect();
        let policy = Policy::new(allow, Vec::new(), 256, None).unwrap();
        let egress = runtime.block_on(async { Egress::serve(listener, policy) }).unwrap();
        Self { at, egress, _runtime: runtime }
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[test]
fn c1_c2_c5_only_what_is_allowed_is_reached_however_it_is_spelt() {
    let (at, told) = origin();
    let port = at.port();
    let proxy = Proxy::allowing(&[&format!("127.0.0.1:{port}"), ".allowed.example", "allowed.test:8443"]);
    let get = |url: &str| format!("GET {url} HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n");
    let connect = |target: &str| format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");

    // The control: what is allowed is reached, and is told the host that was looked at, not the one that was claimed.
    let answer = proxy.ask(&format!(
        "GET http://127.0.0.1:{port}/a?b HTTP/1.1\r\nHost: elsewhere.example\r\nProxy-Authorization: Basic c2VjcmV0\r\n\
         Connection: x-hop\r\nX-Hop: 1\r\nX-Kept: 1\r\n\r\n"
    ));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("origin"), "{answer}");
    let asked = told.recv_timeout(Duration::from_secs(5)).unwrap().to_ascii_lowercase();
    assert!(
        asked.starts_with("get /a?b http/1.1\r\n") && asked.contains(&format!("host: 127.0.0.1:{port}\r\n")),
        "{asked}"
    );
    assert!(asked.contains("x-kept: 1") && !asked.contains("secret") && !asked.contains("x-hop"), "{asked}");
    assert!(!asked.contains("c2vjcmv0") && !asked.contains("elsewhere"), "{asked}");
    let answer = proxy.ask(&connect(&format!("127.0.0.1:{port}")));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let _ = told.recv_timeout(Duration::from_secs(5));

    let refused = [
        get(&format!("http://127.0.0.1:{}/", port.wrapping_add(1).max(1))),
        get("http://127.0.0.1/"),
        get(&format!("http://127.1:{port}/")),
        get(&format!("http://0x7f000001:{port}/")),
        get(&format!("http://2130706433:{port}/")),
        get(&format!("http://0:{port}/")),
        get(&format!("http://[::ffff:127.0.0.1]:{port}/")),
        get(&format!("http://[::1]:{port}/")),
        get(&format!("http://localhost:{port}/")),
        get(&format!("http://127.0.0.1:{port}@evil.example/")),
        get("http://evilallowed.example/"),
        get("http://allowed.example/"),
        get("http://allowed.example.evil.test/"),
        get("http://allowed.test/"),
        get("http://169.254.169.254/latest/meta-data/"),
        get("https://allowed.test:8443/"),
        get("ftp://allowed.test:8443/"),
        get("/"),
        connect("evil.example:443"),
        connect("127.0.0.1:22"),
        connect("x.allowed.example:22"),
        format!("GET http://127.0.0.1:{port}\\@allowed.test/ HTTP/1.1\r\n\r\n"),
        "GARBAGE\r\n\r\n".to_owned(),
    ];
    for request in refused {
        let answer = proxy.ask(&request);
        assert!(answer.starts_with("HTTP/1.1 4"), "{request:?} was answered {answer:?}");
    }
    assert!(told.try_recv().is_err(), "nothing of it reached the origin");
    let refused = proxy.ask(&connect("evil.example:443"));
    assert!(refused.contains("allowed hosts: 127.0.0.1:") && refused.contains(".allowed.example"), "{refused}");
    let reached = proxy.egress.take();
    let at = |target: &str| reached.iter().find(|one| one.target == target).unwrap();
    let here = at(&format!("127.0.0.1:{port}"));
    assert!(here.connections == 2 && here.sent > 0 && here.received > 0, "{here:?}");
    assert!(at("evil.example:443").refused == 2 && at("evil.example:443").connections == 0);
    assert!(proxy.egress.take().is_empty(), "what was taken is not counted again");
}

/// A name that leads to this machine is refused although it is allowed; the control names the address.
#[test]
fn c1_c3_a_name_that_leads_inside_is_refused_after_it_is_resolved() {
    let (at, told) = origin();
    let proxy = Proxy::allowing(&[&format!("localhost:{}", at.port())]);
    let answer = proxy.ask(&format!("GET http://localhost:{}/ HTTP/1.1\r\n\r\n", at.port()));
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("not on the internet"), "{answer}");
    assert!(told.try_recv().is_err());
}

#[test]
fn c5_a_second_request_on_a_connection_is_a_request_of_its_own() {
    let (at, told) = origin();
    let proxy = Proxy::allowing(&[&format!("127.0.0.1:{}", at.port())]);
    let port = at.port();
    let answer = proxy.ask(&format!(
        "GET http://127.0.0.1:{port}/one HTTP/1.1\r\nHost: a\r\n\r\nGET http://evil.example/two HTTP/1.1\r\nHost: b\r\n\r\n"
    ));
    let asked = told.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(asked.contains("/one") && !asked.contains("two"), "{asked}");
    assert!(answer.contains("origin") && answer.contains("403"), "{answer}");
    // A body whose length is told twice, differently, is nobody's request.
    let answer = proxy.ask(&format!(
        "POST http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
         GET http://127.0.0.1:{port}/smuggled HTTP/1.1\r\n\r\n"
    ));
    assert!(!told.try_iter().any(|asked| asked.contains("Content-Length: 4")), "{answer}");
}

#[test]
fn c5_methods_and_paths_of_plain_requests_are_held_to_their_rules() {
    let (at, told) = origin();
    let port = at.port();
    let proxy = Proxy::allowing(&[&format!("GET,HEAD http://127.0.0.1:{port}/data/*")]);
    let ask = |method: &str, path: &str| {
        proxy.ask(&format!("{method} http://127.0.0.1:{port}{path} HTTP/1.1\r\nHost: a\r\n\r\n"))
    };
    for (method, path) in [("GET", "/data/a"), ("HEAD", "/data/"), ("GET", "/data/a?b=/../c"), ("GET", "/data/%41")] {
        assert!(ask(method, path).starts_with("HTTP/1.1 200"), "{method} {path}");
        let _ = told.recv_timeout(Duration::from_secs(5)).unwrap();
    }
    for (method, path) in [
        ("POST", "/data/a"),
        ("get", "/data/a"),
        ("GET", "/"),
        ("GET", "/data"),
        ("GET", "/Data/a"),
        ("GET", "/data/../secret"),
        ("GET", "/data/%2e%2E/secret"),
        ("GET", "/data/.%2e/secret"),
        ("GET", "/data/..%2fsecret"),
        ("GET", "/data/..%5csecret"),
        ("GET", "/data/..;/secret"),
        ("GET", "//data/a"),
        ("TRACE", "/data/a"),
    ] {
        let answer = ask(method, path);
        assert!(answer.starts_with("HTTP/1.1 4"), "{method} {path}: {answer}");
    }
    // What some servers believe instead of the first line goes no further, where that line was judged.
    let instead =
        "X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /secret\r\nX-Rewrite-URL: /secret\r\nX-Kept: 1\r\n";
    proxy.ask(&format!("GET http://127.0.0.1:{port}/data/a HTTP/1.1\r\nHost: a\r\n{instead}\r\n"));
    let asked = told.recv_timeout(Duration::from_secs(5)).unwrap().to_ascii_lowercase();
    assert!(asked.contains("x-kept") && !asked.contains("delete") && !asked.contains("secret"), "{asked}");
    let tunnel = proxy.ask(&format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n"));
    assert!(tunnel.starts_with("HTTP/1.1 403"), "nothing of it goes through a tunnel: {tunnel}");
    assert!(told.try_recv().is_err());
}
