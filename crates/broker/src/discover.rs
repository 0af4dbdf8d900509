//! Model servers on this machine, found without being told.
//!
//! Any local user can listen on a port, and would then read every conversation. So a server counts only where every
//! socket that could answer belongs to this user or to root, by the kernel's own table (proc(5), `/proc/net/tcp`).
//! A socket that changes hands between this look and a later call is not noticed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;

use crate::client;
use crate::settings::Timeouts;

/// How long a server may take to list its models.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of that list at most.
const MAX_LIST: usize = 1024 * 1024;
/// Models that are taken from one list at most.
const MAX_MODELS: usize = 200;

/// A maker of local model servers, told by the port it listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ollama, port 11434.
    Ollama,
    /// LM Studio, port 1234.
    LmStudio,
    /// vLLM, port 8000.
    Vllm,
    /// llama.cpp's server, port 8080.
    LlamaCpp,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ollama => "Ollama",
            Self::LmStudio => "LM Studio",
            Self::Vllm => "vLLM",
            Self::LlamaCpp => "llama.cpp",
        })
    }
}

/// The ports looked at, in order of preference.
pub const USUAL_PORTS: [(u16, Kind); 4] =
    [(11434, Kind::Ollama), (1234, Kind::LmStudio), (8000, Kind::Vllm), (8080, Kind::LlamaCpp)];

/// A model that a server on this machine offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The model's name. It is the server's word: encode it before it is shown.
    pub name: String,
    /// The server's base URL.
    pub base_url: String,
    /// The server's likely maker.
    pub kind: Kind,
}

impl Found {
    /// Name and address in one, as [`crate::Broker::model`] takes it. Unlike the bare name it means the same server
    /// when it is read again later, and carries no key to it.
    #[must_use]
    pub fn model_name(&self) -> String {
        format!("{}@{}", self.name, self.base_url)
    }
}

/// The chat models of the servers on the usual ports of this machine. No server, or none that answers, is an empty
/// list.
pub async fn discover() -> Vec<Found> {
    discover_on(&USUAL_PORTS).await
}

/// As [`discover`], on other ports.
pub async fn discover_on(ports: &[(u16, Kind)]) -> Vec<Found> {
    let (v4, v6) = (table("/proc/net/tcp"), table("/proc/net/tcp6"));
    let me = rustix::process::geteuid().as_raw();
    let mut found = Vec::new();
    for (port, kind) in ports {
        let Some(host) = trusted_host(&v4, &v6, *port, me) else { continue };
        let base_url = format!("http://{host}:{port}/v1");
        let Ok(names) = timeout(PATIENCE, models_at(&base_url)).await else { continue };
        found.extend(names.into_iter().map(|name| Found { name, base_url: base_url.clone(), kind: *kind }));
    }
    found
}

#[allow(clippy::disallowed_methods, reason = "the kernel's socket table; nobody else reads it")]
fn table(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The loopback address at which this port is served by this user or root alone.
fn trusted_host(v4: &str, v6: &str, port: u16, me: u32) -> Option<&'static str> {
    let sockets: Vec<(IpAddr, u32)> = [v4, v6].iter().flat_map(|table| listeners(table, port)).collect();
    let mine = |answers: &dyn Fn(&IpAddr) -> bool| {
        let owners: Vec<u32> = sockets.iter().filter(|(at, _)| answers(at)).map(|(_, uid)| *uid).collect();
        !owners.is_empty() && owners.iter().all(|uid| *uid == me || *uid == 0)
    };
    // A socket bound to :: may serve both families.
    if mine(&|at| at.to_canonical() == Ipv4Addr::LOCALHOST || at.to_canonical().is_unspecified()) {
        Some("127.0.0.1")
    } else if mine(&|at| *at == Ipv6Addr::LOCALHOST || *at == Ipv6Addr::UNSPECIFIED) {
        Some("[::1]")
    } else {
        None
    }
}

/// Local address and owner of every listening socket of this port.
fn listeners(table: &str, port: u16) -> Vec<(IpAddr, u32)> {
    const LISTEN: &str = "0A";
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (at, its_port) = fields.get(1)?.split_once(':')?;
        let listens = *fields.get(3)? == LISTEN && u16::from_str_radix(its_port, 16) == Ok(port);
        listens.then_some((address(at)?, fields.get(7)?.parse().ok()?))
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// The kernel writes an address as 32-bit words, each in hexadecimal and in the machine's own byte order.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[derive(Deserialize)]
struct List {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
}

/// The names of the chat models that a server lists; none if it lists nothing that can be understood.
async fn models_at(base_url: &str) -> Vec<String> {
    let Ok(client) = client::http_client(false, &Timeouts { connect: PATIENCE, ..Timeouts::default() }) else {
        return Vec::new();
    };
    let Ok(mut response) = client.get(format!("{base_url}/models")).send().await else { return Vec::new() };
    if response.status().as_u16() != 200 {
        return Vec::new();
    }
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_LIST {
            return Vec::new();
        }
    }
    let Ok(list) = serde_json::from_slice::<List>(&bytes) else { return Vec::new() };
    let usable = |name: &String| {
        (1..=256).contains(&name.len())
            && !name.chars().any(|c| c.is_control() || c.is_whitespace())
            && !name.to_ascii_lowercase().contains("embed")
    };
    list.data.into_iter().map(|entry| entry.id).filter(usable).take(MAX_MODELS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn row(address: &str, port: u16, state: &str, uid: u32) -> String {
        format!(
            "   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  {uid}        0 29 1\n"
        )
    }

    fn hex(octets: &[u8]) -> String {
        octets.chunks(4).map(|four| format!("{:08X}", u32::from_ne_bytes(four.try_into().unwrap()))).collect()
    }

    #[test]
    fn only_a_port_whose_every_listener_is_mine_or_roots_is_trusted() {
        let (local, any, other) = (Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(192, 168, 0, 1));
        let (local, any, other) = (&*hex(&local.octets()), &*hex(&any.octets()), &*hex(&other.octets()));
        let (local6, any6) = (&*hex(&Ipv6Addr::LOCALHOST.octets()), &*hex(&[0; 16]));
        let mapped = &*hex(&Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
        let me = 1000;
        type Rows<'a> = &'a [(&'a str, u16, &'a str, u32)];
        let cases: [(&str, Rows<'_>, Rows<'_>, Option<&str>); 13] = [
            ("nobody listens", &[], &[], None),
            ("mine", &[(local, 11434, "0A", me)], &[], Some("127.0.0.1")),
            ("root's", &[(any, 11434, "0A", 0)], &[], Some("127.0.0.1")),
            ("somebody else's", &[(local, 11434, "0A", 1001)], &[], None),
            (
                "mine, and another's that could answer too",
                &[(any, 11434, "0A", me), (local, 11434, "0A", 1001)],
                &[],
                None,
            ),
            ("another port", &[(local, 11435, "0A", me)], &[], None),
            ("a connection, no listener", &[(local, 11434, "01", me)], &[], None),
            ("another interface", &[(other, 11434, "0A", me)], &[], None),
            ("mine for both families", &[], &[(any6, 11434, "0A", me)], Some("127.0.0.1")),
            ("another's for both families", &[], &[(any6, 11434, "0A", 1001)], None),
            ("another's, mapped", &[(any, 11434, "0A", me)], &[(mapped, 11434, "0A", 1001)], None),
            ("mine on ::1 only", &[], &[(local6, 11434, "0A", me)], Some("[::1]")),
            (
                "another's on v4, mine on ::1",
                &[(local, 11434, "0A", 1001)],
                &[(local6, 11434, "0A", me)],
                Some("[::1]"),
            ),
        ];
        let text = |rows: Rows<'_>| rows.iter().fold(HEAD.to_owned(), |t, r| t + &row(r.0, r.1, r.2, r.3));
        for (name, v4, v6, expected) in cases {
            assert_eq!(trusted_host(&text(v4), &text(v6), 11434, me), expected, "{name}");
        }
    }

    #[test]
    fn a_table_that_is_none_has_no_listeners() {
        for text in ["", "x", "a\nb c d\n", "h\n 0: : : 0A\n", "h\n0: zz:FFFFF 0 0A 0 0 0 -1\n"] {
            assert!(listeners(text, 1).is_empty(), "{text:?}");
        }
    }
}
