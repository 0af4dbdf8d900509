//! Rows C1, C3 and C5 for tunnels: what a name leads to, and for whom TLS is.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use autoshare_broker::egress::{Allow, Policy, Resolver};
use autoshare_testkit::{PUBLIC, is_own_network};

use crate::network::{Proxy, Server, exchange, get, resolver, text};

fn policy(allow: &[&str]) -> Policy {
    Policy::new(allow.iter().map(|rule| Allow::parse(rule).unwrap()).collect(), Vec::new(), 16, None).unwrap()
}

#[test]
fn c5_a_tunnel_carries_tls_for_the_host_that_was_allowed_and_nothing_else() {
    if !is_own_network("tunnels::c5_a_tunnel_carries_tls_for_the_host_that_was_allowed_and_nothing_else") {
        return;
    }
    let names = ["allowed.example", "fronted.example"];
    let server = Server::start(PUBLIC[0], &names, |_| text("origin"));
    let port = server.at.port();
    let known = &[("allowed.example", PUBLIC[0]), ("fronted.example", PUBLIC[0]), ("bytes.example", PUBLIC[0])];
    let rules = [format!("allowed.example:{port}"), format!("tcp://bytes.example:{port}")];
    let proxy = Proxy::over(policy(&[&rules[0], &rules[1]]).with_resolver(resolver(known)));
    let target = format!("Allowed.Example.:{port}");

    let mut stream = proxy.tls(&target, "allowed.example", Some(&server.ca)).unwrap();
    assert!(exchange(&mut stream, &get(&target, "/", "")).ends_with("origin"), "the control");
    assert_eq!(server.asked().len(), 1);
    // The same server would answer for another name, and is not asked to.
    let fronted = proxy.tls(&target, "fronted.example", Some(&server.ca)).unwrap_err();
    assert!(fronted.contains("UnrecognisedName") || fronted.contains("UnrecognizedName"), "{fronted}");
    let unnamed = proxy.tls(&target, PUBLIC[0], Some(&server.ca)).unwrap_err();
    assert!(unnamed.contains("ecogni"), "{unnamed}");
    let said = |bytes: &[u8]| {
        let mut stream = proxy.connect(&target).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    assert_eq!(said(b"GET / HTTP/1.1\r\nHost: fronted.example\r\n\r\n"), [21, 3, 3, 0, 2, 2, 112]);
    assert_eq!(said(b"SSH-2.0-OpenSSH_9.2\r\n"), [21, 3, 3, 0, 2, 2, 112]);
    assert_eq!(server.asked().len(), 1, "nothing of it reached the server");
    let words = proxy.egress.words().join("\n");
    for part in ["it was for \"fronted.example\" in TLS (SNI)", "no SNI", "is no TLS; a rule tcp://HOST:PORT"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let reached = proxy.reached();
    let here = reached.iter().find(|one| one.target == format!("allowed.example:{port}")).unwrap();
    assert!(here.refused == 4 && here.connections == 5, "{here:?}");
    // Where a rule opens a host to any bytes, none of them are looked at.
    assert!(proxy.tls(&format!("bytes.example:{port}"), "fronted.example", Some(&server.ca)).is_ok());
}

#[test]
fn c3_a_name_is_resolved_once_and_what_was_looked_at_is_connected_to() {
    if !is_own_network("tunnels::c3_a_name_is_resolved_once_and_what_was_looked_at_is_connected_to") {
        return;
    }
    let outside = Server::start(PUBLIC[0], &["rebound.example"], |_| text("outside"));
    let port = outside.at.port();
    let inside = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    inside.set_nonblocking(true).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // Public when it is looked at; whoever asked again, to connect, would be led inside.
    let rebinding = Resolver::new(move |_| {
        let at = if count.fetch_add(1, Ordering::SeqCst) == 0 { PUBLIC[0] } else { "127.0.0.1" };
        Ok(vec![at.parse().unwrap()])
    });
    let proxy = Proxy::over(policy(&[&format!("rebound.example:{port}")]).with_resolver(rebinding));
    let target = format!("rebound.example:{port}");
    let mut stream = proxy.tls(&target, "rebound.example", Some(&outside.ca)).unwrap();
    assert!(exchange(&mut stream, &get(&target, "/", "")).ends_with("outside"));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // The next connection is looked at anew, and refused.
    let refused = proxy.connect(&target).unwrap_err();
    assert!(
        refused.starts_with("HTTP/1.1 502") && refused.contains("127.0.0.1, which is not on the internet"),
        "{refused}"
    );
    assert!(inside.accept().is_err(), "nobody came inside");
    // Of several addresses, the private ones are passed over, wherever they stand.
    let mixed =
        resolver(&[("rebound.example", "10.0.0.1"), ("rebound.example", "::1"), ("rebound.example", PUBLIC[0])]);
    let proxy = Proxy::over(policy(&[&target]).with_resolver(mixed));
    assert!(proxy.connect(&target).is_ok() && inside.accept().is_err());
}

#[test]
fn no_more_connections_than_there_are_places_are_served_at_once_tunnels_included() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    let policy = Policy::new(vec![Allow::parse(&target).unwrap()], Vec::new(), 1, None).unwrap();
    let proxy = Proxy::over(policy);
    let first = proxy.connect(&target).unwrap();
    let there = server.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| proxy.connect(&target).is_ok());
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(server.accept().is_err() && !second.is_finished(), "the one place is taken");
        drop((first, there));
        assert!(second.join().unwrap(), "and given to the next");
    });
}
