//! System calls that neither `rustix` nor `landlock` wraps. All `unsafe` of the project stands in this file.

#![allow(unsafe_code, reason = "the one place; each block says why it is sound")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::process::Pid;

/// A raw call. Only for arguments that point to nothing the kernel writes to, or to memory that outlives the call.
fn call(number: libc::c_long, args: [usize; 6]) -> io::Result<usize> {
    let [a, b, c, d, e, f] = args;
    // SAFETY: private to this module; every caller passes numbers, or pointers to live values of the type that the
    // call expects.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Makes any system call whose arguments are numbers or null, for probing what the kernel answers.
///
/// Numbers that act on this process in a way that Rust must know of (`fork`-like calls) are the caller's to handle.
pub(crate) fn probe(number: libc::c_long, args: [usize; 6]) -> io::Result<usize> {
    call(number, args)
}

/// Tries to open by path, which the kernel reads only.
pub(crate) fn probe_open(path: &CStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    let fd = call(libc::SYS_openat, [libc::AT_FDCWD as usize, path.as_ptr() as usize, flags as usize, 0o600, 0, 0])?;
    own(fd)
}

fn own(fd: usize) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: the kernel has just returned this descriptor as a new one; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A copy of a descriptor of this number, close-on-exec: the number itself stays as it is, whosever it is.
pub(crate) fn copy_of(number: RawFd) -> io::Result<OwnedFd> {
    let fd = call(libc::SYS_fcntl, [number as usize, libc::F_DUPFD_CLOEXEC as usize, 3, 0, 0, 0])?;
    own(fd)
}

/// Which side of a fork this is.
pub(crate) enum Side {
    Child,
    Parent(Pid, OwnedFd),
}

/// `clone(2)` with a copy of the address space, like `fork`, with new namespaces and a pidfd.
///
/// The calling process must have one thread: that makes the child a full copy in which every Rust invariant holds.
pub(crate) fn clone(namespaces: libc::c_int) -> io::Result<Side> {
    let mut pidfd: libc::c_int = -1;
    let flags = namespaces | libc::CLONE_PIDFD | libc::SIGCHLD;
    let pid = call(libc::SYS_clone, [flags as usize, 0, (&raw mut pidfd) as usize, 0, 0, 0])?;
    side(pid, pidfd)
}

/// [`clone`] with a child that is in a cgroup of version 2, given by its directory, from its first moment (clone3(2),
/// Linux 5.7).
pub(crate) fn clone_into(namespaces: libc::c_int, group: BorrowedFd<'_>) -> io::Result<Side> {
    /// `struct clone_args` up to its eleventh field.
    #[repr(C)]
    #[derive(Default)]
    struct Args {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut pidfd: libc::c_int = -1;
    let args = Args {
        flags: u64::from((namespaces | libc::CLONE_PIDFD).cast_unsigned()) | INTO_CGROUP,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: group.as_raw_fd() as u64,
        ..Args::default()
    };
    let pid = call(libc::SYS_clone3, [(&raw const args) as usize, size_of::<Args>(), 0, 0, 0, 0])?;
    side(pid, pidfd)
}

fn side(pid: usize, pidfd: RawFd) -> io::Result<Side> {
    match i32::try_from(pid).ok().and_then(Pid::from_raw) {
        None => Ok(Side::Child),
        Some(pid) => Ok(Side::Parent(pid, own(pidfd as usize)?)),
    }
}

/// `fork(3)`, for the launcher itself: runs the C library's handlers.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the caller has made sure that the process has a single thread, so no lock is held by another.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Ends this process without running destructors or exit handlers, which belong to the process it was copied from.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` touches no memory of this process.
    unsafe { libc::_exit(status) }
}

/// `struct mount_attr` of `mount_setattr(2)`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct MountAttr {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
    pub(crate) userns: u64,
}

pub(crate) const RDONLY: u64 = 1;
pub(crate) const NOSUID: u64 = 2;
pub(crate) const NODEV: u64 = 4;
pub(crate) const NOEXEC: u64 = 8;
pub(crate) const IDMAP: u64 = 0x0010_0000;

/// `mount_setattr(2)` on the mount that `tree` stands for, and on all below it if `recursive`.
pub(crate) fn mount_setattr(tree: impl AsFd, attr: &MountAttr, recursive: Recursive) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive == Recursive::Yes { libc::AT_RECURSIVE } else { 0 };
    let fd = tree.as_fd().as_raw_fd() as usize;
    let args =
        [fd, c"".as_ptr() as usize, flags as usize, std::ptr::from_ref(attr) as usize, size_of::<MountAttr>(), 0];
    call(libc::SYS_mount_setattr, args).map(drop)
}

/// Whether a change reaches the mounts below.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recursive {
    Yes,
    No,
}

/// Closes every descriptor but those in `keep`.
pub(crate) fn close_all_but(keep: &mut [RawFd]) -> io::Result<()> {
    keep.sort_unstable();
    let mut from = 0u32;
    for fd in keep.iter().filter_map(|fd| u32::try_from(*fd).ok()) {
        if fd > from {
            call(libc::SYS_close_range, [from as usize, (fd - 1) as usize, 0, 0, 0, 0])?;
        }
        from = from.max(fd + 1);
    }
    call(libc::SYS_close_range, [from as usize, u32::MAX as usize, 0, 0, 0, 0]).map(drop)
}

/// Makes 0, 1 and 2 copies of `null`.
pub(crate) fn null_stdio(null: &OwnedFd) -> io::Result<()> {
    for target in 0..=2 {
        // SAFETY: `dup2` takes numbers; 0 to 2 are owned by nobody in particular and stay open.
        if unsafe { libc::dup2(null.as_raw_fd(), target) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Drops every capability from the bounding set; needs `CAP_SETPCAP`.
pub(crate) fn drop_bounding() -> io::Result<()> {
    for capability in 0..64usize {
        match call(libc::SYS_prctl, [libc::PR_CAPBSET_DROP as usize, capability, 0, 0, 0, 0]) {
            Ok(_) => {}
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => return Ok(()),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Sets what the signals of a process's own limits do. The first process of a pid namespace ignores signals from within
/// that it has no handler for, so an abort and the end of its time are made exits, with the status that a shell would
/// report; writing beyond the file-size limit answers `EFBIG`.
pub(crate) fn set_signals() {
    extern "C" fn exit_with(signal: libc::c_int) {
        exit_now(SIGNAL_STATUS + signal);
    }
    // SAFETY: the handler makes one async-signal-safe call; SIG_IGN runs no code.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::signal(libc::SIGABRT, exit_with as extern "C" fn(libc::c_int) as libc::sighandler_t);
        libc::signal(libc::SIGXCPU, exit_with as extern "C" fn(libc::c_int) as libc::sighandler_t);
    }
}

/// Added to a signal's number where its end is made an exit.
pub(crate) const SIGNAL_STATUS: i32 = 128;

/// Installs a seccomp program, for ever; needs `no_new_privs`. With `told`, gives the descriptor at which calls wait that
/// the program answers with `SECCOMP_RET_USER_NOTIF`.
pub(crate) fn install_filter(program: &[libc::sock_filter], told: bool) -> io::Result<Option<OwnedFd>> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let header = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    const SET_MODE_FILTER: usize = 1;
    const NEW_LISTENER: usize = 1 << 3;
    let flags = if told { NEW_LISTENER } else { 0 };
    let fd = call(libc::SYS_seccomp, [SET_MODE_FILTER, flags, (&raw const header) as usize, 0, 0, 0])?;
    told.then(|| own(fd)).transpose()
}

/// A call that waits for an answer: part of `struct seccomp_notif` (seccomp_unotify(2)).
pub(crate) struct Notice {
    pub(crate) id: u64,
    /// The caller, by this process's numbering.
    pub(crate) pid: u32,
    pub(crate) number: u32,
    pub(crate) args: [u64; 6],
}

/// The next call that waits at `listener`.
pub(crate) fn next_notice(listener: &OwnedFd) -> io::Result<Notice> {
    /// `struct seccomp_notif`, the call in it included.
    #[repr(C)]
    #[derive(Default)]
    struct Notif {
        id: u64,
        pid: u32,
        flags: u32,
        number: u32,
        arch: u32,
        instruction: u64,
        args: [u64; 6],
    }
    const RECEIVE: usize = 0xc050_2100;
    let mut notif = Notif::default();
    let args = [listener.as_raw_fd() as usize, RECEIVE, (&raw mut notif) as usize, 0, 0, 0];
    call(libc::SYS_ioctl, args)?;
    Ok(Notice { id: notif.id, pid: notif.pid, number: notif.number, args: notif.args })
}

/// Answers a call that waits at `listener` with an error.
pub(crate) fn refuse(listener: &OwnedFd, id: u64, errno: libc::c_int) -> io::Result<()> {
    /// `struct seccomp_notif_resp`.
    #[repr(C)]
    struct Response {
        id: u64,
        value: i64,
        error: i32,
        flags: u32,
    }
    const SEND: usize = 0xc018_2101;
    let response = Response { id, value: 0, error: -errno, flags: 0 };
    let args = [listener.as_raw_fd() as usize, SEND, (&raw const response) as usize, 0, 0, 0];
    call(libc::SYS_ioctl, args).map(drop)
}

/// Whether the kernel has seccomp with the action `SECCOMP_RET_ERRNO`.
pub(crate) fn has_seccomp() -> bool {
    const GET_ACTION_AVAIL: usize = 2;
    let action: u32 = libc::SECCOMP_RET_ERRNO;
    call(libc::SYS_seccomp, [GET_ACTION_AVAIL, 0, (&raw const action) as usize, 0, 0, 0]).is_ok()
}

/// The Landlock ABI that the kernel speaks; 0 if none.
pub(crate) fn landlock_abi() -> i32 {
    const VERSION: usize = 1;
    call(libc::SYS_landlock_create_ruleset, [0, 0, VERSION, 0, 0, 0]).map_or(0, |abi| i32::try_from(abi).unwrap_or(0))
}

/// How the processor speculates for this process; `None` where that is not told (PR_GET_SPECULATION_CTRL(2const)).
pub(crate) fn speculation(kind: usize) -> Option<u32> {
    let state = call(libc::SYS_prctl, [libc::PR_GET_SPECULATION_CTRL as usize, kind, 0, 0, 0, 0]).ok()?;
    u32::try_from(state).ok()
}

/// Whether this process takes part in the merging of memory (PR_GET_MEMORY_MERGE, Linux 6.4).
pub(crate) fn merges_memory() -> bool {
    const PR_GET_MEMORY_MERGE: usize = 68;
    call(libc::SYS_prctl, [PR_GET_MEMORY_MERGE, 0, 0, 0, 0, 0]).is_ok_and(|state| state == 1)
}

/// Whether this process shares cores with its like alone; `None` where the kernel cannot see to it (the kernel's
/// `admin-guide/hw-vuln/core-scheduling`).
pub(crate) fn core_scheduling() -> Option<bool> {
    const GET: usize = 0;
    let mut cookie = 0u64;
    let args = [libc::PR_SCHED_CORE as usize, GET, 0, 0, (&raw mut cookie) as usize, 0];
    call(libc::SYS_prctl, args).ok().map(|_| cookie != 0)
}

/// Turns a way of speculating off for this process and what it will start, for good (PR_SET_SPECULATION_CTRL(2const)).
pub(crate) fn stop_speculation(kind: usize) -> io::Result<()> {
    const FORCE_DISABLE: usize = 8;
    let args = [libc::PR_SET_SPECULATION_CTRL as usize, kind, FORCE_DISABLE, 0, 0, 0];
    call(libc::SYS_prctl, args).map(drop)
}

/// Takes this process out of the merging of memory (PR_SET_MEMORY_MERGE, Linux 6.4).
pub(crate) fn stop_merging() -> io::Result<()> {
    const PR_SET_MEMORY_MERGE: usize = 67;
    call(libc::SYS_prctl, [PR_SET_MEMORY_MERGE, 0, 0, 0, 0, 0]).map(drop)
}

/// Lets this process, and what it will start, share a core with nobody else at any one time.
pub(crate) fn schedule_apart() -> io::Result<()> {
    const CREATE: usize = 1;
    const THREAD_GROUP: usize = 1;
    call(libc::SYS_prctl, [libc::PR_SCHED_CORE as usize, CREATE, 0, THREAD_GROUP, 0, 0]).map(drop)
}

/// Gives what this process will start a time namespace of its own (time_namespaces(7)).
pub(crate) fn unshare_time() -> io::Result<()> {
    call(libc::SYS_unshare, [libc::CLONE_NEWTIME as usize, 0, 0, 0, 0, 0]).map(drop)
}

/// Whole seconds that a clock counts (clock_gettime(2)).
pub(crate) fn seconds(clock: libc::clockid_t) -> io::Result<i64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to a live value of the type that it expects.
    match unsafe { libc::clock_gettime(clock, &raw mut time) } {
        0 => Ok(time.tv_sec),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The descriptors of this process among 0 to 1023, asked for `at_once` (its own limit at most) in one call.
pub(crate) fn open_descriptors(at_once: usize) -> io::Result<Vec<RawFd>> {
    let mut open = Vec::new();
    let numbers: Vec<RawFd> = (0..1024).collect();
    for some in numbers.chunks(at_once.clamp(1, 1024)) {
        let mut asked: Vec<libc::pollfd> =
            some.iter().map(|fd| libc::pollfd { fd: *fd, events: 0, revents: 0 }).collect();
        // SAFETY: pointer and length are those of a live vector; `poll` writes `revents` only, and 0 does not wait.
        if unsafe { libc::poll(asked.as_mut_ptr(), asked.len() as libc::nfds_t, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        open.extend(asked.iter().filter(|asked| asked.revents & libc::POLLNVAL == 0).map(|asked| asked.fd));
    }
    Ok(open)
}

/// Permitted and effective capabilities of this thread, as one set of bits.
pub(crate) fn capabilities() -> io::Result<u64> {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let mut data = [0u32; 6];
    call(libc::SYS_capget, [header.as_ptr() as usize, data.as_mut_ptr() as usize, 0, 0, 0, 0])?;
    let [effective, permitted, inheritable, effective_high, permitted_high, inheritable_high] = data;
    let low = u64::from(effective | permitted | inheritable);
    Ok(low | (u64::from(effective_high | permitted_high | inheritable_high) << 32))
}

/// Overwrites the environment and the command line that this process was started with, where a copy of it would still
/// carry them in memory and show them in `/proc/PID/environ`, and gives it the environment `vars`.
///
/// `ranges` are `arg_start`, `arg_end`, `env_start`, `env_end` of `/proc/self/stat`. The process has a single thread.
pub(crate) fn forget_start(ranges: [usize; 4], title: &[u8], vars: &[(&CStr, &CStr)]) {
    let [arg_start, arg_end, env_start, env_end] = ranges;
    // SAFETY: single-threaded, so nobody reads `environ` meanwhile; every entry is a NUL-terminated string (the C
    // library's invariant), owned for the life of the process and never behind a shared Rust reference.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            libc::memset((*entry).cast(), 0, libc::strlen(*entry));
            entry = entry.add(1);
        }
        libc::clearenv();
    }
    for (start, end, text) in [(env_start, env_end, &b""[..]), (arg_start, arg_end, title)] {
        if start == 0 || end <= start {
            continue;
        }
        let text = text.get(..text.len().min(end - start - 1)).unwrap_or_default();
        // SAFETY: the kernel says that these bytes of the stack are the strings this process was started with; they
        // are writable, and no Rust reference points to them (`std::env::args` copies).
        unsafe {
            libc::memset(start as *mut libc::c_void, 0, end - start);
            libc::memcpy(start as *mut libc::c_void, text.as_ptr().cast(), text.len());
        }
    }
    for (name, value) in vars {
        // SAFETY: single-threaded; both are NUL-terminated and are copied.
        unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) };
    }
}

unsafe extern "C" {
    static mut environ: *mut *mut libc::c_char;
}

/// Where one of a new program's first three descriptors leads.
pub(crate) enum Stream<'a> {
    /// To a descriptor of this process.
    Fd(BorrowedFd<'a>),
    /// To the terminal of this path, which becomes the controlling one of its session.
    Terminal(&'a CStr),
}

/// A posix_spawn(3) object that must be destroyed.
struct Actions(libc::posix_spawn_file_actions_t);
struct Attributes(libc::posix_spawnattr_t);

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: it was initialised, and is destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: it was initialised, and is destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

/// `posix_spawn(3)`: the program at `path` in a session of its own, with no signal ignored or blocked. Every other descriptor of this
/// process is close-on-exec, which is for its caller to see to.
pub(crate) fn spawn(path: &CStr, argv: &[CString], envp: &[CString], streams: [Stream<'_>; 3]) -> io::Result<Pid> {
    const NEW_SESSION: libc::c_short = 0x80;
    let done = |error: libc::c_int| if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) };
    let pointers = |texts: &[CString]| -> Vec<*mut libc::c_char> {
        texts.iter().map(|text| text.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect()
    };
    let (argv, envp) = (pointers(argv), pointers(envp));
    // SAFETY: objects are initialised before they are used and destroyed by their guards; pointers are those of live,
    // NUL-terminated strings in null-terminated lists; the library copies paths (POSIX).
    unsafe {
        let mut raw = std::mem::MaybeUninit::uninit();
        done(libc::posix_spawn_file_actions_init(raw.as_mut_ptr()))?;
        let mut actions = Actions(raw.assume_init());
        let mut raw = std::mem::MaybeUninit::uninit();
        done(libc::posix_spawnattr_init(raw.as_mut_ptr()))?;
        let mut attributes = Attributes(raw.assume_init());
        let flags =
            NEW_SESSION | libc::POSIX_SPAWN_SETSIGMASK as libc::c_short | libc::POSIX_SPAWN_SETSIGDEF as libc::c_short;
        let mut signals = std::mem::MaybeUninit::uninit();
        libc::sigemptyset(signals.as_mut_ptr());
        done(libc::posix_spawnattr_setsigmask(&raw mut attributes.0, signals.as_ptr()))?;
        libc::sigfillset(signals.as_mut_ptr());
        done(libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, signals.as_ptr()))?;
        done(libc::posix_spawnattr_setflags(&raw mut attributes.0, flags))?;
        for (target, stream) in (0..).zip(&streams) {
            done(match stream {
                Stream::Fd(fd) => libc::posix_spawn_file_actions_adddup2(&raw mut actions.0, fd.as_raw_fd(), target),
                Stream::Terminal(path) => {
                    libc::posix_spawn_file_actions_addopen(&raw mut actions.0, target, path.as_ptr(), libc::O_RDWR, 0)
                }
            })?;
        }
        let mut pid: libc::pid_t = 0;
        done(libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr(),
            envp.as_ptr(),
        ))?;
        Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ECHILD))
    }
}

/// Blocks `SIGCHLD` and gives a descriptor that is readable when one waits (signalfd(2)).
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    let mut signals = std::mem::MaybeUninit::uninit();
    // SAFETY: the set is filled in before it is used; both calls only read it.
    let fd = unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGCHLD);
        if libc::sigprocmask(libc::SIG_BLOCK, signals.as_ptr(), std::ptr::null_mut()) < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::signalfd(-1, signals.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 { Err(io::Error::last_os_error()) } else { own(fd.cast_unsigned() as usize) }
}

/// Empties a descriptor that does not block.
pub(crate) fn drain(fd: &OwnedFd) {
    let mut buffer = [0u8; 1024];
    while rustix::io::read(fd, &mut buffer).is_ok_and(|read| read > 0) {}
}

/// `kill(-1, SIGKILL)`, which spares the caller (kill(2)).
pub(crate) fn kill_others() {
    let _ = call(libc::SYS_kill, [usize::MAX, libc::SIGKILL as usize, 0, 0, 0, 0]);
}

/// Brings up the loopback of this process's network namespace (netdevice(7)).
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket =
        call(libc::SYS_socket, [libc::AF_INET as usize, (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as usize, 0, 0, 0, 0])?;
    let socket = own(socket)?;
    // `struct ifreq`: 16 bytes of name, then a union of 24 whose first two bytes are the flags.
    let mut request = [0u8; 40];
    if let Some(name) = request.get_mut(..2) {
        name.copy_from_slice(b"lo");
    }
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as u16;
    if let Some(place) = request.get_mut(16..18) {
        place.copy_from_slice(&flags.to_ne_bytes());
    }
    call(
        libc::SYS_ioctl,
        [socket.as_raw_fd() as usize, libc::SIOCSIFFLAGS as usize, request.as_ptr() as usize, 0, 0, 0],
    )
    .map(drop)
}
