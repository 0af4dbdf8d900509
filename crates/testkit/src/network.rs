//! A network of a test's own.
#![allow(clippy::disallowed_methods, reason = "a test runs itself once more, and is told so by a variable")]

use std::process::Command;

/// Addresses that are somebody's on the internet; in a network of a test's own they are that test's.
pub const PUBLIC: [&str; 2] = ["93.184.216.34", "93.184.216.35"];
const INSIDE: &str = "AUTOSHARE_TEST_NETWORK";

/// Runs the test of this name (as its harness prints it) once more in a network namespace in which the [`PUBLIC`] addresses
/// lie on the loopback, and in which names are asked for at `127.0.0.1:53`; true there. Panics if it fails there. Needs
/// unshare(1), ip(8) and the right to make namespaces.
#[must_use]
pub fn is_own_network(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    match once_more(test) {
        Ok((true, said)) if said.contains("1 passed") => false,
        Ok((_, said)) => panic!("{test}, in a network of its own:\n{said}"),
        Err(error) => panic!("{test}: no network of its own: {error}; are util-linux and iproute2 installed?"),
    }
}

fn once_more(test: &str) -> std::io::Result<(bool, String)> {
    let addresses: String = PUBLIC.iter().map(|at| format!("ip addr add {at}/32 dev lo && ")).collect();
    let names =
        "names=$(mktemp) && echo nameserver 127.0.0.1 >$names && mount --bind $names /etc/resolv.conf && rm $names";
    let script = format!("ip link set lo up && {addresses} {names} && exec \"$@\"");
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--mount", "sh", "-c", &script, "sh"]);
    command.arg(std::env::current_exe()?).args([test, "--exact", "--nocapture"]).env(INSIDE, "1");
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let done = command.output()?;
    let said = [String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)].concat();
    Ok((done.status.success(), said))
}
