//! The list of allowed system calls, and the BPF program made from it.
//!
//! The program answers three ways (allow, EPERM for known calls, ENOSYS for unknown numbers), which is why it is
//! assembled here: a filter with one default answer cannot say it.

use serde::Deserialize;

use crate::SandboxError;

const DATA: &str = include_str!("seccomp.toml");

/// Which code a filter is for. Ordered: a later one has all that an earlier one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// The built-in tools, which start no process.
    Tools,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    #[default]
    Allow,
    Enosys,
}

/// An argument, after the mask, is one of the values. Values fit 32 bits: no call here needs more.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    arg: u32,
    #[serde(default = "all_bits")]
    mask: u64,
    is: Vec<u32>,
}

const fn all_bits() -> u64 {
    u64::MAX
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    profile: Profile,
    #[serde(default)]
    answer: Answer,
    #[serde(default)]
    when: Vec<Test>,
    arch: Option<String>,
    why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    call: Vec<Entry>,
}

/// One line of the list, for people and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The call's name.
    pub name: String,
    /// Its number on this machine.
    pub number: u32,
    /// Whether some arguments are refused (or all of it answers ENOSYS).
    pub conditional: bool,
    /// Why it stands there.
    pub why: String,
}

fn entries(profile: Profile) -> Result<Vec<(u32, Entry)>, SandboxError> {
    let table: Table = toml::from_str(DATA).map_err(|e| SandboxError::Filter(e.to_string()))?;
    let mut listed = Vec::new();
    for entry in table.call {
        if entry.profile > profile || entry.arch.as_deref().is_some_and(|arch| arch != std::env::consts::ARCH) {
            continue;
        }
        let unknown = || SandboxError::Filter(format!("`{}` is no call here", entry.name));
        let number = number(&entry.name).ok_or_else(unknown)?;
        if entry.why.is_empty() || entry.when.iter().any(|test| test.arg > 5 || test.is.is_empty()) {
            return Err(SandboxError::Filter(format!("`{}` lacks a reason or has an empty test", entry.name)));
        }
        listed.push((number, entry));
    }
    listed.sort_by_key(|(number, _)| *number);
    Ok(listed)
}

/// The calls that `profile` allows at least in part.
///
/// # Errors
/// [`SandboxError::Filter`], if the embedded data is wrong.
pub fn listed(profile: Profile) -> Result<Vec<Listed>, SandboxError> {
    let entries = entries(profile)?.into_iter();
    Ok(entries
        .map(|(number, entry)| Listed {
            conditional: !entry.when.is_empty() || entry.answer == Answer::Enosys,
            name: entry.name,
            number,
            why: entry.why,
        })
        .collect())
}

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;

/// The numbers that are calls of some kernel: `0..=OLD_LAST` and `NEW_FIRST..=NEW_LAST` (Linux 6.17). Between them, and
/// beyond, lie numbers that no kernel has given away.
#[cfg(target_arch = "x86_64")]
const OLD_LAST: u32 = 334;
#[cfg(target_arch = "aarch64")]
const OLD_LAST: u32 = 294;
const NEW_FIRST: u32 = 424;
const NEW_LAST: u32 = 469;

/// Whether `number` is a call that this program knows of: refused with EPERM rather than ENOSYS.
#[must_use]
pub const fn is_known(number: u32) -> bool {
    number <= OLD_LAST || (number >= NEW_FIRST && number <= NEW_LAST)
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const IF_EQ: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_GT: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
const IF_GE: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

const fn op(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// The program for `profile`.
pub(crate) fn program(profile: Profile) -> Result<Vec<libc::sock_filter>, SandboxError> {
    const OFFSET_NUMBER: u32 = 0;
    const OFFSET_ARCH: u32 = 4;
    let mut program =
        vec![op(LOAD, OFFSET_ARCH), jump(IF_EQ, AUDIT_ARCH, 1, 0), op(RETURN, KILL), op(LOAD, OFFSET_NUMBER)];
    let entries = entries(profile)?;
    for same_call in entries.chunk_by(|a, b| a.0 == b.0) {
        let Some((number, _)) = same_call.first() else { continue };
        let mut body = Vec::new();
        for (_, entry) in same_call {
            body.extend(rule(entry)?);
        }
        if same_call.iter().all(|(_, entry)| !entry.when.is_empty()) {
            body.push(op(RETURN, EPERM));
        }
        program.push(jump(IF_EQ, *number, 0, short(body.len())?));
        program.extend(body);
    }
    program.extend([
        jump(IF_GT, NEW_LAST, 2, 0),
        jump(IF_GE, NEW_FIRST, 2, 0),
        jump(IF_GT, OLD_LAST, 0, 1),
        op(RETURN, ENOSYS),
        op(RETURN, EPERM),
    ]);
    Ok(program)
}

fn short(length: usize) -> Result<u8, SandboxError> {
    u8::try_from(length).map_err(|_| SandboxError::Filter("a condition is too long for a jump".into()))
}

/// Answers if all tests of the entry hold, else falls through to what follows.
fn rule(entry: &Entry) -> Result<Vec<libc::sock_filter>, SandboxError> {
    let mut code = vec![op(RETURN, if entry.answer == Answer::Allow { ALLOW } else { ENOSYS })];
    // Backwards, so that each test knows how far it must jump to leave the rule.
    for test in entry.when.iter().rev() {
        let mut before = Vec::new();
        let (low, high) = (16 + 8 * test.arg, 16 + 8 * test.arg + 4);
        let values = test.is.len();
        let low_mask = (test.mask & u64::from(u32::MAX)) as u32;
        let high_mask = (test.mask >> 32) as u32;
        let low_length = 1 + usize::from(low_mask != u32::MAX) + values;
        if high_mask != 0 {
            before.push(op(LOAD, high));
            if high_mask != u32::MAX {
                before.push(op(AND, high_mask));
            }
            before.push(jump(IF_EQ, 0, 0, short(low_length + code.len())?));
        }
        before.push(op(LOAD, low));
        if low_mask != u32::MAX {
            before.push(op(AND, low_mask));
        }
        for (place, value) in test.is.iter().enumerate() {
            let left = values - 1 - place;
            let miss = if left == 0 { short(code.len())? } else { 0 };
            before.push(jump(IF_EQ, *value, short(left)?, miss));
        }
        before.append(&mut code);
        code = before;
    }
    Ok(code)
}

macro_rules! numbers {
    ($($name:ident = $constant:ident),* $(,)?) => {
        fn number(name: &str) -> Option<u32> {
            let number = match name {
                $(stringify!($name) => libc::$constant,)*
                #[cfg(target_arch = "x86_64")]
                "poll" => libc::SYS_poll,
                #[cfg(target_arch = "x86_64")]
                "epoll_wait" => libc::SYS_epoll_wait,
                _ => return None,
            };
            u32::try_from(number).ok()
        }
    };
}
numbers! {
    brk = SYS_brk,
    capget = SYS_capget,
    clock_getres = SYS_clock_getres,
    clock_gettime = SYS_clock_gettime,
    clock_nanosleep = SYS_clock_nanosleep,
    clone = SYS_clone,
    clone3 = SYS_clone3,
    close = SYS_close,
    close_range = SYS_close_range,
    copy_file_range = SYS_copy_file_range,
    dup = SYS_dup,
    epoll_create1 = SYS_epoll_create1,
    epoll_ctl = SYS_epoll_ctl,
    epoll_pwait = SYS_epoll_pwait,
    eventfd2 = SYS_eventfd2,
    exit = SYS_exit,
    exit_group = SYS_exit_group,
    faccessat = SYS_faccessat,
    faccessat2 = SYS_faccessat2,
    fadvise64 = SYS_fadvise64,
    fallocate = SYS_fallocate,
    fchdir = SYS_fchdir,
    fchmod = SYS_fchmod,
    fcntl = SYS_fcntl,
    fdatasync = SYS_fdatasync,
    fgetxattr = SYS_fgetxattr,
    flock = SYS_flock,
    fstat = SYS_fstat,
    fstatfs = SYS_fstatfs,
    fsync = SYS_fsync,
    ftruncate = SYS_ftruncate,
    futex = SYS_futex,
    getcwd = SYS_getcwd,
    getdents64 = SYS_getdents64,
    getegid = SYS_getegid,
    geteuid = SYS_geteuid,
    getgid = SYS_getgid,
    getgroups = SYS_getgroups,
    getpid = SYS_getpid,
    getrandom = SYS_getrandom,
    getresgid = SYS_getresgid,
    getresuid = SYS_getresuid,
    getrusage = SYS_getrusage,
    getsockopt = SYS_getsockopt,
    gettid = SYS_gettid,
    gettimeofday = SYS_gettimeofday,
    getuid = SYS_getuid,
    ioctl = SYS_ioctl,
    linkat = SYS_linkat,
    lseek = SYS_lseek,
    madvise = SYS_madvise,
    mkdirat = SYS_mkdirat,
    mmap = SYS_mmap,
    mprotect = SYS_mprotect,
    mremap = SYS_mremap,
    munmap = SYS_munmap,
    nanosleep = SYS_nanosleep,
    newfstatat = SYS_newfstatat,
    openat = SYS_openat,
    openat2 = SYS_openat2,
    pipe2 = SYS_pipe2,
    ppoll = SYS_ppoll,
    prctl = SYS_prctl,
    pread64 = SYS_pread64,
    prlimit64 = SYS_prlimit64,
    pwrite64 = SYS_pwrite64,
    read = SYS_read,
    readlinkat = SYS_readlinkat,
    readv = SYS_readv,
    recvfrom = SYS_recvfrom,
    recvmsg = SYS_recvmsg,
    renameat = SYS_renameat,
    renameat2 = SYS_renameat2,
    restart_syscall = SYS_restart_syscall,
    rseq = SYS_rseq,
    rt_sigaction = SYS_rt_sigaction,
    rt_sigprocmask = SYS_rt_sigprocmask,
    rt_sigreturn = SYS_rt_sigreturn,
    sched_getaffinity = SYS_sched_getaffinity,
    sched_yield = SYS_sched_yield,
    sendmsg = SYS_sendmsg,
    sendto = SYS_sendto,
    set_robust_list = SYS_set_robust_list,
    set_tid_address = SYS_set_tid_address,
    setsockopt = SYS_setsockopt,
    shutdown = SYS_shutdown,
    sigaltstack = SYS_sigaltstack,
    statx = SYS_statx,
    sync_file_range = SYS_sync_file_range,
    tgkill = SYS_tgkill,
    umask = SYS_umask,
    unlinkat = SYS_unlinkat,
    utimensat = SYS_utimensat,
    write = SYS_write,
    writev = SYS_writev,
}
