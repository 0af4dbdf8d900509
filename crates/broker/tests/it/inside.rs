//! TLS that ends in the proxy: rules of methods and paths, and credentials that are put in on the way (rows C4, C5, C6).

use autoshare_broker::egress::{Allow, Policy};
use autoshare_testkit::{Canary, PUBLIC, is_own_network};

use crate::network::{Proxy, Server, credential, exchange, get, resolver, text};

/// Repeats what it was asked, or does what the path says.
fn answer(request: &str) -> Vec<u8> {
    let path = request.split(' ').nth(1).unwrap();
    match path.split('?').next().unwrap() {
        "/gzip" => b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx".to_vec(),
        "/away" => b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/header" => {
            let said =
                request.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization")).unwrap_or("");
            format!("HTTP/1.1 200 {said}\r\nX-Said: {said}\r\nContent-Length: 0\r\n\r\n").into_bytes()
        }
        _ => text(request),
    }
}

fn rules(allow: &[&str]) -> Vec<Allow> {
    allow.iter().map(|rule| Allow::parse(rule).unwrap()).collect()
}

/// A server of this machine, and its address as a target.
fn local() -> (Server, String) {
    let server = Server::start("127.0.0.1", &["127.0.0.1"], answer);
    let target = server.at.to_string();
    (server, target)
}

#[test]
fn c6_a_credential_is_put_in_on_the_way_in_each_form_and_struck_from_the_reply() {
    let key = Canary::new();
    let value = key.as_str();
    let basic = |user: &str| {
        let plain = format!("{user}:{value}");
        let mut out = std::process::Command::new("sh");
        let done = out.args(["-c", "printf %s \"$0\" | base64 -w0", &plain]).output().unwrap();
        format!("authorization: basic {}", String::from_utf8(done.stdout).unwrap())
    };
    // `me:placeholder-KEY`
    let hidden = "Authorization: Basic bWU6cGxhY2Vob2xkZXItS0VZ\r\n";
    // (form, what the program sends, the line that the server gets)
    let table = [
        ("bearer", "", format!("authorization: bearer {value}")),
        ("bearer", "Authorization: Bearer placeholder-KEY\r\n", format!("authorization: bearer {value}")),
        ("bearer", "Authorization: token placeholder-KEY\r\n", format!("authorization: token {value}")),
        ("bearer", "Authorization: Bearer its-own\r\n", "authorization: bearer its-own".to_owned()),
        ("header:X-Api-Key", "", format!("x-api-key: {value}")),
        ("header:X-Api-Key", "x-api-key: placeholder-KEY\r\n", format!("x-api-key: {value}")),
        ("basic:x-access-token", "", basic("x-access-token")),
        ("basic:x-access-token", hidden, basic("me")),
    ];
    for (form, sent, got) in table {
        let (server, target) = local();
        let credentials = vec![credential("KEY", &target, form, value)];
        let proxy = Proxy::over(Policy::new(Vec::new(), credentials, 16, Some(&server.ca)).unwrap());
        let answer = proxy
            .ask(&target, &get(&target, "/path?a=b", &format!("{sent}Accept-Encoding: gzip\r\nRange: bytes=1-\r\n")));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("/path?a=b"), "{form}: {answer}");
        let asked = server.asked().concat();
        let lines: Vec<String> = asked
            .lines()
            .map(|line| {
                line.split_once(' ').map_or(line.to_owned(), |(name, rest)| {
                    let kind = rest.split(' ').next().unwrap().to_ascii_lowercase();
                    format!(
                        "{} {}",
                        name.to_ascii_lowercase(),
                        rest.replacen(rest.split(' ').next().unwrap(), &kind, 1)
                    )
                })
            })
            .collect();
        assert!(lines.contains(&got), "{form} {sent}: {lines:?}");
        assert!(
            asked.contains("accept-encoding: identity") && !asked.to_ascii_lowercase().contains("range"),
            "{asked}"
        );
        assert!(!asked.contains("placeholder"), "{asked}");
        assert!(!key.is_in(answer.as_bytes()), "{form}: the reply repeated it: {answer}");
        let reached = proxy.reached();
        let bore = if sent.contains("its-own") { None } else { Some("KEY".to_owned()) };
        assert!(
            reached.iter().any(|one| one.credential == bore && one.connections == 1 && one.received > 0),
            "{reached:?}"
        );
        assert!(!format!("{:?}", proxy.egress).contains(value));
    }
    let (server, target) = local();
    let credentials = vec![credential("KEY", &target, "query:key", "a value+1")];
    let proxy = Proxy::over(Policy::new(Vec::new(), credentials, 16, Some(&server.ca)).unwrap());
    for path in ["/q", "/q?a=b", "/q?key=placeholder-KEY&a=b"] {
        let answer = proxy.ask(&target, &get(&target, path, ""));
        assert!(!answer.contains("a%20value%2B1"), "{answer}");
    }
    let asked: Vec<String> = server.asked().iter().map(|head| head.lines().next().unwrap().to_owned()).collect();
    let query = ["/q?key=a%20value%2B1", "/q?a=b&key=a%20value%2B1", "/q?key=a%20value%2B1&a=b"];
    assert_eq!(asked, query.map(|path| format!("GET {path} HTTP/1.1")));
}

#[test]
fn c4_c6_a_credential_goes_to_no_other_host_and_its_placeholder_to_none() {
    let key = Canary::new();
    let ((server, target), (other, elsewhere)) = (local(), local());
    let credentials = vec![credential("KEY", &target, "bearer", key.as_str())];
    let both = format!("{}{}", server.ca, other.ca);
    let allow = rules(&[&format!("GET https://{elsewhere}/*")]);
    let proxy = Proxy::over(Policy::new(allow, credentials, 16, Some(&both)).unwrap());
    // The control: a redirect is the program's to follow, and its next request is a request of its own.
    let away = proxy.ask(&target, &get(&target, "/away", ""));
    assert!(away.starts_with("HTTP/1.1 302") && away.contains("location: https://127.0.0.1:1/x"), "{away}");
    assert!(proxy.connect("127.0.0.1:1").unwrap_err().starts_with("HTTP/1.1 403"), "c4: it is refused there");
    let plain = proxy.ask(&elsewhere, &get(&elsewhere, "/", ""));
    assert!(plain.starts_with("HTTP/1.1 200") && !plain.contains("authorization"), "{plain}");
    let before = other.asked().len();
    for (path, more) in [
        ("/", "Authorization: Bearer placeholder-KEY\r\n"),
        ("/", "Authorization: Basic bWU6cGxhY2Vob2xkZXItS0VZ\r\n"),
        ("/", "X-Api-Key: placeholder-KEY\r\n"),
        ("/", "Cookie: a=placeholder-KEY; b=c\r\n"),
        ("/?key=placeholder-KEY", ""),
        ("/placeholder-KEY", ""),
    ] {
        let answer = proxy.ask(&elsewhere, &get(&elsewhere, path, more));
        let words = format!("the placeholder of KEY is sent to {elsewhere}, which that secret is not for");
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains(&words), "{path} {more}: {answer}");
    }
    assert_eq!(other.asked().len(), before, "none of it was sent");
    let there = proxy.ask(&target, &get(&target, "/", "X-Other: placeholder-KEY\r\n"));
    assert!(there.starts_with("HTTP/1.1 403") && there.contains("another part of the request"), "{there}");
    let refused: u64 =
        proxy.reached().iter().filter(|one| one.credential.as_deref() == Some("KEY")).map(|one| one.refused).sum();
    assert_eq!(refused, 7, "each is journaled");
    assert!(proxy.egress.words().iter().any(|words| words.contains("refused a request: the placeholder of KEY")));
    assert!(!key.is_in(other.asked().concat().as_bytes()));
}

#[test]
fn c6_a_reply_that_cannot_be_looked_through_is_refused_and_headers_are_struck() {
    let key = Canary::new();
    let (server, target) = local();
    let credentials = vec![credential("KEY", &target, "bearer", key.as_str())];
    let proxy = Proxy::over(Policy::new(Vec::new(), credentials, 16, Some(&server.ca)).unwrap());
    let packed = proxy.ask(&target, &get(&target, "/gzip", ""));
    assert!(packed.starts_with("HTTP/1.1 502") && packed.contains("cannot be looked through"), "{packed}");
    let said = proxy.ask(&target, &get(&target, "/header", ""));
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.contains("***") && !key.is_in(said.as_bytes()), "{said}");
    assert!(server.asked().concat().contains(key.as_str()), "the control: the server had it");
}

#[test]
fn c5_a_request_inside_tls_is_for_the_host_of_its_tunnel_and_within_its_rules() {
    if !is_own_network("inside::c5_a_request_inside_tls_is_for_the_host_of_its_tunnel_and_within_its_rules") {
        return;
    }
    let server = Server::start(PUBLIC[0], &["files.example", "fronted.example"], answer);
    let port = server.at.port();
    let allow = rules(&[&format!("GET,HEAD https://files.example:{port}/data/*"), &format!("whole.example:{port}")]);
    let known = &[("files.example", PUBLIC[0]), ("whole.example", PUBLIC[0])];
    let proxy =
        Proxy::over(Policy::new(allow, Vec::new(), 16, Some(&server.ca)).unwrap().with_resolver(resolver(known)));
    let target = format!("files.example:{port}");
    let ask = |request: &str| proxy.ask(&target, request);
    assert!(ask(&get(&target, "/data/a?b", "")).starts_with("HTTP/1.1 200"), "the control");
    let absolute = format!("GET https://{target}/data/b HTTP/1.1\r\nHost: {target}\r\n\r\n");
    assert!(ask(&absolute).starts_with("HTTP/1.1 200"), "another control");
    assert_eq!(server.greeted(), vec![Some("files.example".to_owned()); 2]);
    let refused = [
        (get("fronted.example", "/data/a", ""), "421"),
        (get("files.example", "/data/a", ""), "421"),
        (get(&target, "/data/a", "Host: fronted.example\r\n"), "4"),
        (format!("GET https://fronted.example:{port}/data/a HTTP/1.1\r\nHost: {target}\r\n\r\n"), "421"),
        (format!("GET http://{target}/data/a HTTP/1.1\r\nHost: {target}\r\n\r\n"), "421"),
        ("GET /data/a HTTP/1.1\r\n\r\n".to_owned(), "4"),
        (get(&target, "/other", ""), "403"),
        (get(&target, "/data/../other", ""), "403"),
        (get(&target, "/data/%2e%2e/other", ""), "403"),
        (format!("POST /data/a HTTP/1.1\r\nHost: {target}\r\nContent-Length: 0\r\n\r\n"), "403"),
        (format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"), "4"),
        (format!("GET /data/a HTTP/1.1\r\nHost: {target}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), "4"),
        (format!("GET /data/a HTTP/1.1\r\nHost: {target}\r\nTransfer-Encoding: chunked, identity\r\n\r\n"), "4"),
        (format!("GET /data/a HTTP/1.1\r\nHost : {target}\r\n\r\n"), "4"),
    ];
    for (request, status) in refused {
        let answer = ask(&request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:?}: {answer:?}");
    }
    assert_eq!(server.asked().len(), 2, "nothing of it reached the server");
    // Two requests on a connection are two: the second is judged by itself.
    let mut stream = proxy.tls(&target, "files.example", None).unwrap();
    assert!(exchange(&mut stream, &get(&target, "/data/1", "")).starts_with("HTTP/1.1 200"));
    assert!(exchange(&mut stream, &get(&target, "/other", "")).starts_with("HTTP/1.1 403"));
    assert!(exchange(&mut stream, &get(&target, "/data/2", "")).starts_with("HTTP/1.1 200"));
    assert!(proxy.tls(&target, "fronted.example", None).is_err(), "SNI is another's");
    // What no rule looks into stays the program's own from end to end.
    let whole = proxy.tls(&format!("whole.example:{port}"), "whole.example", None).unwrap_err();
    assert!(whole.contains("certificate"), "the server's own certificate, which is not for this name: {whole}");
}

#[test]
fn the_authority_of_a_cell_is_for_its_hosts_alone_and_another_cells_is_another() {
    let (server, target) = local();
    let make = || {
        let credentials = vec![credential("KEY", &target, "bearer", "the value")];
        Proxy::over(Policy::new(Vec::new(), credentials, 16, Some(&server.ca)).unwrap())
    };
    let (one, two) = (make(), make());
    assert!(one.tls(&target, "127.0.0.1", None).is_ok(), "the control");
    let policy = Policy::new(rules(&["https://127.0.0.1:1/", "GET https://127.0.0.1:1/a"]), Vec::new(), 1, None);
    let foreign = policy.unwrap().trust().map(str::to_owned);
    assert!(foreign.is_none(), "a whole host is not looked into");
    let policy = Policy::new(rules(&["GET https://127.0.0.1:1/a"]), Vec::new(), 1, None).unwrap();
    let foreign = policy.trust().unwrap();
    assert!(two.tls(&target, "127.0.0.1", Some(foreign)).is_err(), "another cell does not trust it");
    // The upstream is verified: without its root, nothing is sent.
    let credentials = vec![credential("KEY", &target, "bearer", "the value")];
    let blind = Proxy::over(Policy::new(Vec::new(), credentials, 16, None).unwrap());
    let before = server.asked().len();
    let answer = blind.ask(&target, &get(&target, "/", ""));
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("TLS with it failed"), "{answer}");
    assert_eq!(server.asked().len(), before);
    let wrong = Policy::new(rules(&["GET https://a.org/x"]), Vec::new(), 1, Some("no certificate")).unwrap_err();
    assert!(wrong.to_string().contains("ca_file"), "{wrong}");
}
