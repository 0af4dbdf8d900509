//! The attacks themselves: raw calls, as an attacker would make them.

use std::ffi::CString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use rustix::process::{Pid, Signal, WaitOptions};
use serde::{Deserialize, Serialize};

use super::{Answer, Terrain};
use crate::error::answer;
use crate::sys;

/// One attack, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attempt {
    /// Reads a file beside the workspace.
    ReadNeighbour,
    /// Opens one for writing.
    WriteNeighbour,
    /// Makes one.
    MakeBeside,
    /// Lists the folder that it is in.
    ListNeighbour,
    /// Reads it by a link that lies in the workspace.
    FollowLink,
    /// Gives it a second name in the workspace.
    LinkIn,
    /// Watches it.
    WatchNeighbour,
    /// Opens a file for writing that is there to be read.
    WriteShown,
    /// Changes its mode by a handle.
    ChangeMode,
    /// Changes its times by a handle.
    ChangeTimes,
    /// Reads a file of the system that tells who it is.
    ReadHostname,
    /// Reads the environment of another process of the same user.
    ReadEnvironment,
    /// Reads the program's own binary.
    ReadOwnBinary,
    /// Opens its own memory as a file.
    OpenOwnMemory,
    /// Leaves a set-uid file in the workspace.
    PlantSetUid,
    /// Connects to a listener on the host's loopback.
    ConnectLoopback,
    /// Connects to a socket by its path.
    ConnectPath,
    /// The same to one that lies in the workspace.
    ConnectPathInside,
    /// Connects to an abstract socket.
    ConnectAbstract,
    /// Makes a netlink socket.
    Netlink,
    /// Makes a vsock socket.
    Vsock,
    /// Makes an internet socket.
    InternetSocket,
    /// Makes a user namespace.
    UserNamespace,
    /// Makes one with a network of its own.
    NetworkNamespace,
    /// Makes one in which it may mount.
    MountNamespace,
    /// Signals another process of the same user.
    Signal,
    /// Traces it.
    Trace,
    /// Reads its memory.
    ReadMemory,
    /// Slows it down.
    SlowDown,
    /// Binds it to a processor.
    Pin,
    /// Types into a terminal.
    Type,
    /// io_uring.
    IoUring,
    /// BPF.
    Bpf,
    /// perf events.
    Perf,
    /// userfaultfd.
    Userfaultfd,
    /// A keyring of the kernel.
    Keyring,
    /// A key in it.
    AddKey,
    /// Switches off address randomisation.
    Personality,
    /// A file in memory, which could be executed.
    Memfd,
    /// Memory that is writable and executable.
    ExecutableMemory,
    /// Starts a process.
    Fork,
    /// Runs a program.
    Exec,
    /// Has the host's crash handler started by a crash.
    CrashHandler,
    /// Starts processes without end (bounded here).
    ManyProcesses,
    /// Takes memory without end (bounded here).
    MuchMemory,
    /// Opens files without end (bounded here).
    ManyDescriptors,
    /// Writes a file without end (bounded here).
    LargeFile,
}

impl Attempt {
    /// Makes the attempt with the rights of this process. What it took is given back.
    #[must_use]
    pub fn make(self, on: &Terrain) -> Answer {
        match self.attempt(on) {
            Ok(()) => Answer::Through,
            // It passed the boundary, and failed for a reason of its own.
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Answer::Through,
            Err(error) => Answer::Refused(answer(&error)),
        }
    }

    fn attempt(self, on: &Terrain) -> io::Result<()> {
        let here = libc::AT_FDCWD as usize;
        let victim = usize::try_from(on.victim).unwrap_or(usize::MAX);
        match self {
            Self::ReadNeighbour => read(&on.at("neighbour/secret")),
            Self::WriteNeighbour => open(&on.at("neighbour/secret"), libc::O_WRONLY).map(drop),
            Self::MakeBeside => open(&on.at("neighbour/made"), libc::O_WRONLY | libc::O_CREAT).map(drop),
            Self::ListNeighbour => open(&on.at("neighbour"), libc::O_RDONLY | libc::O_DIRECTORY).map(drop),
            Self::FollowLink => read(&on.at("workspace/way-out/secret")),
            Self::LinkIn => {
                let (from, to) = (text(&on.at("neighbour/secret"))?, text(&on.at("workspace/stolen"))?);
                let made = call(libc::SYS_linkat, [here, from.as_ptr() as usize, here, to.as_ptr() as usize, 0, 0]);
                let _ = call(libc::SYS_unlinkat, [here, to.as_ptr() as usize, 0, 0, 0, 0]);
                made
            }
            Self::WatchNeighbour => {
                let watch = rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC)?;
                let events = rustix::fs::inotify::WatchFlags::ALL_EVENTS;
                Ok(rustix::fs::inotify::add_watch(watch, on.at("neighbour/secret"), events).map(drop)?)
            }
            Self::WriteShown => open(&on.at("shown/note"), libc::O_WRONLY).map(drop),
            Self::ChangeMode => {
                let file = open(&on.at("shown/note"), libc::O_RDONLY)?;
                call(libc::SYS_fchmod, [file.as_raw_fd() as usize, 0o644, 0, 0, 0, 0])
            }
            Self::ChangeTimes => {
                let file = open(&on.at("shown/note"), libc::O_RDONLY)?;
                call(libc::SYS_utimensat, [file.as_raw_fd() as usize, 0, 0, 0, 0, 0])
            }
            Self::ReadHostname => read(Path::new("/etc/hostname")),
            Self::ReadEnvironment => open(Path::new(&format!("/proc/{}/environ", on.victim)), libc::O_RDONLY).map(drop),
            Self::ReadOwnBinary => read(Path::new("/proc/self/exe")),
            Self::OpenOwnMemory => open(Path::new("/proc/self/mem"), libc::O_RDWR).map(drop),
            Self::PlantSetUid => plant_set_uid(&on.at("workspace/planted")),
            Self::ConnectLoopback => {
                let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
                Ok(rustix::net::connect(socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, on.port)))?)
            }
            Self::ConnectPath => connect(&SocketAddrUnix::new(on.at("neighbour/socket"))?),
            Self::ConnectPathInside => connect(&SocketAddrUnix::new(on.at("workspace/socket"))?),
            Self::ConnectAbstract => connect(&SocketAddrUnix::new_abstract_name(on.name.as_bytes())?),
            Self::Netlink => socket(libc::AF_NETLINK, libc::SOCK_RAW),
            Self::Vsock => socket(libc::AF_VSOCK, libc::SOCK_STREAM),
            Self::InternetSocket => socket(libc::AF_INET, libc::SOCK_STREAM),
            Self::UserNamespace => unshare(libc::CLONE_NEWUSER),
            Self::NetworkNamespace => unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET),
            Self::MountNamespace => {
                unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
                call(libc::SYS_fsopen, [c"tmpfs".as_ptr() as usize, 0, 0, 0, 0, 0])
            }
            Self::Signal => call(libc::SYS_kill, [victim, 0, 0, 0, 0, 0]),
            Self::Trace => call(libc::SYS_ptrace, [libc::PTRACE_SEIZE as usize, victim, 0, 0, 0, 0]),
            Self::ReadMemory => read_memory(victim),
            Self::SlowDown => call(libc::SYS_setpriority, [libc::PRIO_PROCESS as usize, victim, 10, 0, 0, 0]),
            Self::Pin => {
                let all = [u64::MAX; 16];
                call(libc::SYS_sched_setaffinity, [victim, size_of_val(&all), all.as_ptr() as usize, 0, 0, 0])
            }
            Self::Type => type_into_terminal(),
            Self::IoUring => {
                let mut parameters = [0u64; 15];
                call(libc::SYS_io_uring_setup, [1, parameters.as_mut_ptr() as usize, 0, 0, 0, 0])
            }
            Self::Bpf => {
                // BPF_MAP_CREATE: an array of one.
                let attr = [0x4_0000_0002u64, 0x1_0000_0004, 0, 0, 0, 0, 0, 0, 0];
                call(libc::SYS_bpf, [0, attr.as_ptr() as usize, size_of_val(&attr), 0, 0, 0])
            }
            Self::Perf => {
                // perf_event_attr: a software clock, of this process, without the kernel.
                let attr = [1 | (128u64 << 32), 0, 0, 0, 0, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                call(libc::SYS_perf_event_open, [attr.as_ptr() as usize, 0, usize::MAX, usize::MAX, 0, 0])
            }
            // UFFD_USER_MODE_ONLY, which everybody may.
            Self::Userfaultfd => call(libc::SYS_userfaultfd, [1, 0, 0, 0, 0, 0]),
            // KEYCTL_GET_KEYRING_ID of the thread's, made if need be.
            Self::Keyring => call(libc::SYS_keyctl, [0, usize::MAX, 1, 0, 0, 0]),
            Self::AddKey => {
                let (kind, name, value) = (c"user".as_ptr(), c"autoshare".as_ptr(), c"v".as_ptr());
                const PROCESS_KEYRING: usize = usize::MAX - 1;
                call(libc::SYS_add_key, [kind as usize, name as usize, value as usize, 1, PROCESS_KEYRING, 0])
            }
            Self::Personality => call(libc::SYS_personality, [libc::ADDR_NO_RANDOMIZE as usize, 0, 0, 0, 0, 0]),
            Self::Memfd => call(libc::SYS_memfd_create, [c"x".as_ptr() as usize, 0, 0, 0, 0, 0]),
            Self::ExecutableMemory => {
                let protection = (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) as usize;
                let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
                call(libc::SYS_mmap, [0, 4096, protection, flags, usize::MAX, 0])
            }
            Self::Fork => wait(fork(|| 0)?),
            Self::Exec => {
                let path = c"/bin/true".as_ptr() as usize;
                let argv = [path, 0];
                wait(fork(|| {
                    let _ = call(libc::SYS_execve, [path, argv.as_ptr() as usize, 0, 0, 0, 0]);
                    1
                })?)
            }
            Self::CrashHandler => crash_handler(),
            Self::ManyProcesses => many_processes(),
            Self::MuchMemory => much_memory(),
            Self::ManyDescriptors => {
                let null = open(Path::new("/dev/null"), libc::O_RDONLY)?;
                let copies: io::Result<Vec<OwnedFd>> = (0..2000).map(|_| null.try_clone()).collect();
                copies.map(drop)
            }
            Self::LargeFile => large_file(&on.at("workspace/large")),
        }
    }
}

fn call(number: libc::c_long, args: [usize; 6]) -> io::Result<()> {
    sys::probe(number, args).map(drop)
}

fn text(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn open(path: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    sys::probe_open(&text(path)?, flags | libc::O_CLOEXEC)
}

/// Opens and reads a byte.
fn read(path: &Path) -> io::Result<()> {
    let mut byte = [0];
    match rustix::io::read(open(path, libc::O_RDONLY)?, &mut byte)? {
        0 => Err(io::Error::from_raw_os_error(libc::ENODATA)),
        _ => Ok(()),
    }
}

fn socket(family: libc::c_int, kind: libc::c_int) -> io::Result<()> {
    call(libc::SYS_socket, [family as usize, kind as usize, 0, 0, 0, 0])
}

fn connect(to: &SocketAddrUnix) -> io::Result<()> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    Ok(rustix::net::connect(socket, to)?)
}

fn unshare(namespaces: libc::c_int) -> io::Result<()> {
    call(libc::SYS_unshare, [namespaces as usize, 0, 0, 0, 0, 0])
}

/// A file of the cell's making that runs as whoever owns the workspace.
fn plant_set_uid(path: &Path) -> io::Result<()> {
    let file = open(path, libc::O_WRONLY | libc::O_CREAT)?;
    rustix::io::write(&file, b"#!")?;
    let done = call(libc::SYS_fchmod, [file.as_raw_fd() as usize, 0o4755, 0, 0, 0, 0]);
    let _ = rustix::fs::unlink(path);
    done
}

/// A byte that is at the same place in every copy of this program.
static BYTE: u8 = 1;

fn read_memory(of: usize) -> io::Result<()> {
    let mut byte = 0u8;
    // Two `struct iovec`: address and length.
    let (local, remote) = ([(&raw mut byte) as usize, 1], [(&raw const BYTE) as usize, 1]);
    call(libc::SYS_process_vm_readv, [of, local.as_ptr() as usize, 1, remote.as_ptr() as usize, 1, 0])
}

/// TIOCSTI on a new terminal that controls this process (CVE-2017-5226).
fn type_into_terminal() -> io::Result<()> {
    use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let terminal = sys::probe_open(&name, libc::O_RDWR)?;
    let byte = b'x';
    let typed = call(
        libc::SYS_ioctl,
        [terminal.as_raw_fd() as usize, libc::TIOCSTI as usize, (&raw const byte) as usize, 0, 0, 0],
    );
    // Open until this process ends: a terminal that loses its other side hangs up on whom it controls.
    std::mem::forget(master);
    typed
}

fn fork(child: impl FnOnce() -> i32) -> io::Result<Pid> {
    let pid = sys::probe(libc::SYS_clone, [libc::SIGCHLD as usize, 0, 0, 0, 0, 0])?;
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    Pid::from_raw(pid).map_or_else(|| sys::exit_now(child()), Ok)
}

fn wait(child: Pid) -> io::Result<()> {
    match rustix::process::waitpid(Some(child), WaitOptions::empty())? {
        Some((_, status)) if status.exit_status() == Some(0) => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EACCES)),
    }
}

/// Whether a crash here would start what `core_pattern` names: not with a limit of 1 (core(5)), if that stays.
fn crash_handler() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if getrlimit(Resource::Core).current == Some(1) { Err(io::Error::from_raw_os_error(libc::EPERM)) } else { Ok(()) }
}

fn many_processes() -> io::Result<()> {
    const MOST: usize = 200;
    let mut children = Vec::new();
    let mut refused = None;
    while children.len() < MOST {
        match fork(|| {
            rustix::event::pause();
            0
        }) {
            Ok(child) => children.push(child),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    for child in children {
        let _ = rustix::process::kill_process(child, Signal::KILL);
        let _ = rustix::process::waitpid(Some(child), WaitOptions::empty());
    }
    refused.map_or(Ok(()), Err)
}

fn much_memory() -> io::Result<()> {
    const BYTES: usize = 256 << 20;
    let mut hoard: Vec<u8> = Vec::new();
    hoard.try_reserve_exact(BYTES).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    hoard.resize(BYTES, 1);
    if std::hint::black_box(&hoard).len() == BYTES { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ENOMEM)) }
}

fn large_file(path: &Path) -> io::Result<()> {
    const MEGABYTES: usize = 32;
    let file = open(path, libc::O_WRONLY | libc::O_CREAT)?;
    let chunk = vec![0u8; 1 << 20];
    let mut written = 0;
    let mut refused = None;
    while written < MEGABYTES * chunk.len() {
        match rustix::io::write(&file, &chunk) {
            Ok(more) => written += more,
            Err(error) => {
                refused = Some(error.into());
                break;
            }
        }
    }
    let _ = rustix::fs::unlink(path);
    refused.map_or(Ok(()), Err)
}
