//! What a confined host tries, to see that its walls stand.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use autoshare_core::wire::Probe;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::battery::{call, control, executable_memory, fact, open, refused, socket};
use crate::{proc, sys};

/// Each attempt is one that must fail. None would harm a host that is not confined.
pub(super) fn probes(landlock_abi: i32, kept: u64) -> Vec<Probe> {
    let mut probes = vec![
        answered("read-root", open("/", libc::O_RDONLY | libc::O_DIRECTORY), libc::EACCES),
        refused("read-shadow", open("/etc/shadow", libc::O_RDONLY)),
        refused("write-root", open("/autoshare-probe", libc::O_WRONLY | libc::O_CREAT)),
        refused("write-etc", open("/etc/autoshare-probe", libc::O_WRONLY | libc::O_CREAT)),
        refused("write-proc-sys", open("/proc/sys/kernel/core_pattern", libc::O_WRONLY)),
        refused("own-memory-file", open("/proc/self/mem", libc::O_RDWR)),
        // Each of these would do nothing, or fail for another reason, were it allowed.
        answered("exec", call(libc::SYS_execve, [0, 0]), libc::EPERM),
        answered("exec-handle", call(libc::SYS_execveat, [usize::MAX, 0]), libc::EPERM),
        answered("ptrace", call(libc::SYS_ptrace, [libc::PTRACE_PEEKDATA as usize, 0]), libc::EPERM),
        answered("read-memory", call(libc::SYS_process_vm_readv, [0, 0]), libc::EPERM),
        answered("take-descriptor", call(libc::SYS_pidfd_getfd, [usize::MAX, 0]), libc::EPERM),
        answered("unshare", call(libc::SYS_unshare, [0, 0]), libc::EPERM),
        answered("set-namespace", call(libc::SYS_setns, [usize::MAX, 0]), libc::EPERM),
        answered("mount", call(libc::SYS_fsopen, [c"tmpfs".as_ptr() as usize, 0]), libc::EPERM),
        answered(
            "open-tree",
            call(libc::SYS_open_tree, [libc::AT_FDCWD as usize, c"/".as_ptr() as usize]),
            libc::EPERM,
        ),
        answered("chroot", call(libc::SYS_chroot, [0, 0]), libc::EPERM),
        answered("bpf", call(libc::SYS_bpf, [0, 0]), libc::EPERM),
        answered("io-uring", call(libc::SYS_io_uring_setup, [1, 0]), libc::EPERM),
        answered("perf", call(libc::SYS_perf_event_open, [0, 0]), libc::EPERM),
        answered("keyctl", call(libc::SYS_keyctl, [0, usize::MAX]), libc::EPERM),
        answered("userfaultfd", call(libc::SYS_userfaultfd, [0, 0]), libc::EPERM),
        answered("memfd", call(libc::SYS_memfd_create, [c"probe".as_ptr() as usize, 0]), libc::EPERM),
        answered("file-by-handle", call(libc::SYS_open_by_handle_at, [libc::AT_FDCWD as usize, 0]), libc::EPERM),
        answered("load-module", call(libc::SYS_finit_module, [usize::MAX, 0]), libc::EPERM),
        answered("kexec", call(libc::SYS_kexec_load, [0, 0]), libc::EPERM),
        answered("become-another", call(libc::SYS_setuid, [usize::MAX, 0]), libc::EPERM),
        answered("packet-socket", socket(libc::AF_PACKET, libc::SOCK_RAW), libc::EPERM),
        answered("raw-socket", socket(libc::AF_INET, libc::SOCK_RAW), libc::EPERM),
        answered("vsock-socket", socket(libc::AF_VSOCK, libc::SOCK_STREAM), libc::EPERM),
        answered("alg-socket", socket(libc::AF_ALG, libc::SOCK_SEQPACKET), libc::EPERM),
        executable_memory(),
        // Not `PR_GET_SECCOMP`: what sees the filter from outside is the kernel's word, not the filter's.
        status("no-new-privs", "NoNewPrivs", |value| value == "1"),
        status("seccomp-filter", "Seccomp", |value| value == "2"),
        fact("capabilities", sys::capabilities().map(|held| (held & !kept == 0, format!("{held:#x}")))),
        control("not-dumpable", libc::PR_GET_DUMPABLE, 0),
    ];
    if landlock_abi >= 4 {
        probes.push(answered("listen", listen(), libc::EACCES));
    }
    probes
}

/// Refused by the wall that answers so, and not for a reason of the attempt's own.
fn answered(name: &str, result: io::Result<usize>, errno: libc::c_int) -> Probe {
    let is_refused = result.as_ref().is_err_and(|error| error.raw_os_error() == Some(errno));
    Probe { held: is_refused, ..refused(name, result) }
}

/// Takes a port of this machine's loopback.
fn listen() -> io::Result<usize> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(0)
}

fn status(name: &str, field: &str, is_wanted: impl Fn(&str) -> bool) -> Probe {
    let text = proc::read("/proc/thread-self/status");
    let value = text.map(|text| {
        let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        found.unwrap_or_default().trim().to_owned()
    });
    fact(name, value.map(|value| (is_wanted(&value), value)))
}
