//! What a finished cell tries against itself before any other code runs in it.
//!
//! Each attempt is one that must fail; the name is stable, the answer is the kernel's. They are made with raw calls and
//! by path, as an attacker would, so that what is probed is the boundary and not a library.

use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::Path;

use autoshare_core::wire::Probe;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::error::{answer, errno_text};
use crate::spec::{CellSpec, Work};
use crate::{Tier, sys};

/// What the battery must know of the world outside.
pub(crate) struct Battery<'a> {
    pub(crate) spec: &'a CellSpec,
    pub(crate) tier: Tier,
    /// The launcher's pid, which the cell must not see.
    pub(crate) launcher: i32,
    /// The descriptors that the cell is meant to have.
    pub(crate) descriptors: &'a [RawFd],
}

impl Battery<'_> {
    pub(crate) fn run(&self) -> Vec<Probe> {
        let mut probes = self.files();
        probes.extend(strange_calls());
        match (self.spec.work, self.tier) {
            (Work::Tools, _) => probes.extend(nothing_but_files()),
            (Work::Programs, Tier::Narrow) => probes.extend(no_socket()),
            (Work::Programs, Tier::Full) => probes.extend(no_way_out()),
        }
        probes.extend([
            self.extra_descriptors(),
            user(),
            fact("capabilities", sys::capabilities().map(|held| (held == 0, format!("{held:#x}")))),
            control("no-new-privs", libc::PR_GET_NO_NEW_PRIVS, 1),
            control("not-dumpable", libc::PR_GET_DUMPABLE, 0),
            control("seccomp-filter", libc::PR_GET_SECCOMP, 2),
        ]);
        probes.extend(all("read-hidden", self.spec.below_roots(&self.spec.hide), |path| open(path, libc::O_RDONLY)));
        probes.extend(all("write-frozen", self.spec.below_roots(&self.spec.freeze), |path| {
            let inside = open(&format!("{path}/.autoshare-probe"), libc::O_WRONLY | libc::O_CREAT);
            inside.or_else(|_| open(path, libc::O_WRONLY))
        }));
        let listed = self.spec.below_roots(&self.spec.freeze).chain(self.spec.below_roots(&self.spec.hide));
        probes.extend(all("make-missing", listed.filter_map(first_missing), make_folder));
        probes
    }

    /// Files of the host and of its other processes.
    fn files(&self) -> Vec<Probe> {
        vec![
            refused("read-shadow", open("/etc/shadow", libc::O_RDONLY)),
            refused("read-outside", self.outside()),
            refused("read-host-process", open(&format!("/proc/{}/environ", self.launcher), libc::O_RDONLY)),
            refused("read-first-environ", open("/proc/1/environ", libc::O_RDONLY)),
            refused("read-kcore", open("/proc/kcore", libc::O_RDONLY)),
            refused("write-sys", open("/sys/kernel/uevent_helper", libc::O_WRONLY)),
            refused("write-proc-sys", open("/proc/sys/kernel/core_pattern", libc::O_WRONLY)),
            refused("write-usr", open("/usr/autoshare-probe", libc::O_WRONLY | libc::O_CREAT)),
            refused("write-root", open("/autoshare-probe", libc::O_WRONLY | libc::O_CREAT)),
            refused("open-own-binary", open("/proc/self/exe", libc::O_RDONLY)),
            refused("own-memory-file", open("/proc/self/mem", libc::O_RDWR)),
            // Of the host's processes the one that is surely there, and of the same user where that is not root. Not -1:
            // that answers success even where every single process was refused (kill(2)).
            refused("kill", call(libc::SYS_kill, [usize::try_from(self.launcher).unwrap_or(1), 0])),
        ]
    }

    /// Lists a folder of the host that no root has to do with.
    fn outside(&self) -> io::Result<usize> {
        let apart = |folder: &&str| {
            let folder = Path::new(folder);
            !self.spec.roots.iter().any(|root| root.path.starts_with(folder) || folder.starts_with(&root.path))
        };
        let folder = ["/root", "/home", "/var", "/boot", "/srv"].into_iter().find(apart).unwrap_or("/lost+found");
        open(folder, libc::O_RDONLY | libc::O_DIRECTORY)
    }

    fn extra_descriptors(&self) -> Probe {
        let at_once = usize::try_from(self.spec.limits.open_files).unwrap_or(usize::MAX);
        let extra = sys::open_descriptors(at_once).map(|open| {
            let meant = |fd: &RawFd| *fd <= 2 || self.descriptors.contains(fd);
            open.into_iter().filter(|fd| !meant(fd)).collect::<Vec<RawFd>>()
        });
        fact("extra-descriptors", extra.map(|extra| (extra.is_empty(), format!("{extra:?}"))))
    }
}

/// Calls that no code in a cell makes.
fn strange_calls() -> Vec<Probe> {
    vec![
        refused("netlink-socket", socket(libc::AF_NETLINK, libc::SOCK_RAW)),
        refused("packet-socket", socket(libc::AF_PACKET, libc::SOCK_RAW)),
        refused("vsock-socket", socket(libc::AF_VSOCK, libc::SOCK_STREAM)),
        refused("alg-socket", socket(libc::AF_ALG, libc::SOCK_SEQPACKET)),
        refused("raw-socket", socket(libc::AF_INET, libc::SOCK_RAW)),
        refused("unshare-user", call(libc::SYS_unshare, [libc::CLONE_NEWUSER as usize, 0])),
        no_child("clone-user", libc::CLONE_NEWUSER),
        refused("mount", call(libc::SYS_fsopen, [c"tmpfs".as_ptr() as usize, 0])),
        refused("open-tree", call(libc::SYS_open_tree, [libc::AT_FDCWD as usize, c"/".as_ptr() as usize])),
        refused("chroot", call(libc::SYS_chroot, [c"/".as_ptr() as usize, 0])),
        refused("set-host-name", call(libc::SYS_sethostname, [c"x".as_ptr() as usize, 1])),
        refused("ptrace", call(libc::SYS_ptrace, [libc::PTRACE_TRACEME as usize, 0])),
        refused("pidfd-getfd", call(libc::SYS_pidfd_getfd, [usize::MAX, 0])),
        refused("bpf", call(libc::SYS_bpf, [0, 0])),
        refused("io-uring", call(libc::SYS_io_uring_setup, [1, 0])),
        refused("perf", call(libc::SYS_perf_event_open, [0, 0])),
        refused("keyctl", call(libc::SYS_keyctl, [0, usize::MAX])),
        refused("add-key", call(libc::SYS_add_key, [c"user".as_ptr() as usize, c"k".as_ptr() as usize])),
        refused("userfaultfd", call(libc::SYS_userfaultfd, [0, 0])),
        refused("memfd", call(libc::SYS_memfd_create, [c"probe".as_ptr() as usize, 0])),
        refused("file-by-handle", call(libc::SYS_open_by_handle_at, [libc::AT_FDCWD as usize, 0])),
        refused("kexec", call(libc::SYS_kexec_load, [0, 0])),
        refused("terminal-input", call(libc::SYS_ioctl, [0, libc::TIOCSTI as usize])),
        refused("no-random-addresses", call(libc::SYS_personality, [libc::ADDR_NO_RANDOMIZE as usize, 0])),
        refused("merge-memory", call(libc::SYS_prctl, [67, 1])),
    ]
}

/// What tools have no use for.
fn nothing_but_files() -> Vec<Probe> {
    let mut probes = no_socket();
    probes.extend([
        refused("pidfd-open", call(libc::SYS_pidfd_open, [1, 0])),
        refused("exec", call(libc::SYS_execve, [c"/bin/true".as_ptr() as usize, 0])),
        executable_memory(),
        no_child("fork", 0),
    ]);
    probes
}

fn no_socket() -> Vec<Probe> {
    vec![
        refused("inet-socket", socket(libc::AF_INET, libc::SOCK_STREAM)),
        refused("inet6-datagram", socket(libc::AF_INET6, libc::SOCK_DGRAM)),
        refused("unix-socket", socket(libc::AF_UNIX, libc::SOCK_STREAM)),
    ]
}

/// Sockets that can be made, and lead nowhere: the cell's network is its own loopback.
fn no_way_out() -> Vec<Probe> {
    // Addresses that are nobody's (RFC 5737, 3849): where there were a way, it would be tried, not reached.
    vec![
        refused("tcp-out", connect(libc::SOCK_STREAM, SocketAddr::from(([192, 0, 2, 1], 443)))),
        refused("udp-out", connect(libc::SOCK_DGRAM, SocketAddr::from(([192, 0, 2, 1], 53)))),
        refused("tcp6-out", connect(libc::SOCK_STREAM, SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 443)))),
        refused("metadata-out", connect(libc::SOCK_DGRAM, SocketAddr::from(([169, 254, 169, 254], 80)))),
    ]
}

/// Connects without waiting: `EINPROGRESS` means that there is a way.
fn connect(kind: libc::c_int, to: SocketAddr) -> io::Result<usize> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = if kind == libc::SOCK_STREAM { SocketType::STREAM } else { SocketType::DGRAM };
    let socket = socket_with(family, kind, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// One probe for many paths: the first that is not refused, or the last.
fn all<'a>(
    name: &str,
    paths: impl Iterator<Item = &'a Path>,
    attempt: impl Fn(&str) -> io::Result<usize>,
) -> Option<Probe> {
    let mut last = None;
    for path in paths {
        let mut probe = refused(name, attempt(&path.to_string_lossy()));
        if !probe.held {
            probe.answer = format!("{}: {}", path.display(), probe.answer);
            return Some(probe);
        }
        last = Some(probe);
    }
    last
}

/// The first directory on a path, or the path itself, that is not there.
fn first_missing(path: &Path) -> Option<&Path> {
    let mut above: Vec<&Path> = path.ancestors().collect();
    above.reverse();
    above.into_iter().find(|path| {
        open(&path.to_string_lossy(), libc::O_PATH | libc::O_NOFOLLOW)
            .is_err_and(|error| error.raw_os_error() == Some(libc::ENOENT))
    })
}

fn make_folder(path: &str) -> io::Result<usize> {
    let path = CString::new(path).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let here = libc::AT_FDCWD as usize;
    let made = sys::probe(libc::SYS_mkdirat, [here, path.as_ptr() as usize, 0o700, 0, 0, 0])?;
    // A cell that could make it is not used; what it made is taken back.
    let _ = sys::probe(libc::SYS_unlinkat, [here, path.as_ptr() as usize, libc::AT_REMOVEDIR as usize, 0, 0, 0]);
    Ok(made)
}

pub(crate) fn open(path: &str, flags: libc::c_int) -> io::Result<usize> {
    let path = CString::new(path).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    sys::probe_open(&path, flags).map(|_| 0)
}

pub(crate) fn socket(family: libc::c_int, kind: libc::c_int) -> io::Result<usize> {
    call(libc::SYS_socket, [family as usize, kind as usize])
}

pub(crate) fn call(number: libc::c_long, [a, b]: [usize; 2]) -> io::Result<usize> {
    sys::probe(number, [a, b, 0, 0, 0, 0])
}

fn no_child(name: &str, flags: libc::c_int) -> Probe {
    let made = call(libc::SYS_clone, [(flags | libc::SIGCHLD) as usize, 0]);
    if made.as_ref().is_ok_and(|pid| *pid == 0) {
        sys::exit_now(0);
    }
    refused(name, made)
}

pub(crate) fn executable_memory() -> Probe {
    let protection = (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) as usize;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    refused("executable-memory", sys::probe(libc::SYS_mmap, [0, 4096, protection, flags, usize::MAX, 0]))
}

fn user() -> Probe {
    let ids = [rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()];
    fact("user", Ok((!ids.contains(&0), format!("uid {} gid {}", ids[0], ids[1]))))
}

pub(crate) fn control(name: &str, option: libc::c_int, wanted: usize) -> Probe {
    fact(name, call(libc::SYS_prctl, [option as usize, 0]).map(|value| (value == wanted, value.to_string())))
}

pub(crate) fn refused(name: &str, result: io::Result<usize>) -> Probe {
    match result {
        Ok(_) => Probe { name: name.into(), held: false, answer: "it succeeded".into() },
        // The attempt passed the boundary and failed for a reason of its own.
        Err(e) if e.raw_os_error() == Some(libc::EFAULT) => {
            Probe { name: name.into(), held: false, answer: errno_text(libc::EFAULT) }
        }
        Err(error) => Probe { name: name.into(), held: true, answer: answer(&error) },
    }
}

pub(crate) fn fact(name: &str, result: io::Result<(bool, String)>) -> Probe {
    match result {
        Ok((held, answer)) => Probe { name: name.into(), held, answer },
        Err(error) => Probe { name: name.into(), held: false, answer: answer(&error) },
    }
}
