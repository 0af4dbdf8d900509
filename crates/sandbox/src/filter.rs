//! The list of allowed system calls, and the BPF program made from it.
//!
//! The program answers three ways (allow, EPERM for known calls, ENOSYS for unknown numbers), which is why it is
//! assembled here: a filter with one default answer cannot say it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use crate::SandboxError;

/// `seccomp.toml`, as `build.rs` makes a table of it.
static LIST: &[Entry] = include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));
/// `host.toml`, likewise.
static HOST: &[Entry] = include!(concat!(env!("OUT_DIR"), "/host.rs"));
const CALLS: &str = include_str!("syscalls.txt");

/// Which code a filter is for, and what else holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// The built-in tools, which start no process.
    Tools,
    /// The same in a full cell, where mounts keep what is read-only.
    ToolsFull,
    /// Any program.
    Programs,
    /// Any program in a full cell.
    ProgramsFull,
    /// Any program in a full cell whose memory a cgroup counts.
    ProgramsCounted,
    /// No cell: the host itself ([`crate::confine_host`]).
    Host,
}

impl Profile {
    /// Every profile of a cell.
    pub const ALL: [Self; 5] =
        [Self::Tools, Self::ToolsFull, Self::Programs, Self::ProgramsFull, Self::ProgramsCounted];

    /// Whether it has what is listed for `other`.
    const fn has(self, other: Self) -> bool {
        match self {
            Self::Tools => matches!(other, Self::Tools),
            Self::ToolsFull => matches!(other, Self::Tools | Self::ToolsFull),
            Self::Programs => matches!(other, Self::Tools | Self::Programs),
            Self::ProgramsFull => !matches!(other, Self::ProgramsCounted | Self::Host),
            Self::ProgramsCounted => !matches!(other, Self::Host),
            Self::Host => matches!(other, Self::Host),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Allow,
    Enosys,
    /// Success, though nothing is done.
    Done,
}

/// An argument, after the mask, is one of the values. Values fit 32 bits: no call here needs more.
#[derive(Debug)]
struct Test {
    arg: u32,
    mask: u64,
    is: &'static [u32],
}

/// A line of `seccomp.toml`.
#[derive(Debug)]
struct Entry {
    name: &'static str,
    profile: Profile,
    answer: Answer,
    when: &'static [Test],
    arch: Option<&'static str>,
    why: &'static str,
}

/// One line of the list, for people and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The call's name.
    pub name: String,
    /// Its number on this machine.
    pub number: u32,
    /// Whether some arguments are refused (or all of it is answered without being done).
    pub conditional: bool,
    /// Why it stands there.
    pub why: String,
}

fn entries(profile: Profile) -> Result<Vec<(u32, &'static Entry)>, SandboxError> {
    let numbers: BTreeMap<&str, u32> = calls().collect();
    let mut listed = Vec::new();
    for entry in LIST.iter().chain(HOST) {
        if !profile.has(entry.profile) || entry.arch.is_some_and(|arch| arch != std::env::consts::ARCH) {
            continue;
        }
        let unknown = || SandboxError::Filter(format!("`{}` is no call here", entry.name));
        let number = *numbers.get(entry.name).ok_or_else(unknown)?;
        if number > NEW_LAST {
            return Err(SandboxError::Filter(format!("`{}` lies beyond the last known call", entry.name)));
        }
        if entry.why.is_empty() || entry.when.iter().any(|test| test.arg > 5 || test.is.is_empty()) {
            return Err(SandboxError::Filter(format!("`{}` lacks a reason or has an empty test", entry.name)));
        }
        listed.push((number, entry));
    }
    listed.sort_by_key(|(number, _)| *number);
    Ok(listed)
}

#[cfg(target_arch = "x86_64")]
const COLUMN: usize = 1;
#[cfg(target_arch = "aarch64")]
const COLUMN: usize = 2;

/// Every call of this machine that has a name, with its number.
fn calls() -> impl Iterator<Item = (&'static str, u32)> {
    CALLS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut columns = line.split(' ');
        Some((columns.next()?, columns.nth(COLUMN - 1)?.parse().ok()?))
    })
}

/// The name of a call of this machine, for telling what was refused.
#[must_use]
pub fn call_name(number: u32) -> Option<&'static str> {
    calls().find(|(_, found)| *found == number).map(|(name, _)| name)
}

/// The arguments of a call on which it depends whether any cell may make it.
pub(crate) fn tested(number: u32) -> impl Iterator<Item = u32> {
    static TESTED: OnceLock<BTreeSet<(u32, u32)>> = OnceLock::new();
    let tested = TESTED.get_or_init(|| {
        let listed = Profile::ALL.iter().filter_map(|profile| entries(*profile).ok()).flatten();
        listed.flat_map(|(number, entry)| entry.when.iter().map(move |test| (number, test.arg))).collect()
    });
    tested.range((number, 0)..=(number, u32::MAX)).map(|(_, argument)| *argument)
}

/// The calls that `profile` allows at least in part.
///
/// # Errors
/// [`SandboxError::Filter`], if the embedded data is wrong.
pub fn listed(profile: Profile) -> Result<Vec<Listed>, SandboxError> {
    let entries = entries(profile)?.into_iter();
    Ok(entries
        .map(|(number, entry)| Listed {
            conditional: !entry.when.is_empty() || entry.answer != Answer::Allow,
            name: entry.name.to_owned(),
            number,
            why: entry.why.to_owned(),
        })
        .collect())
}

/// The program that the kernel is given for `profile`, one word an instruction as it lies in memory (`struct
/// sock_filter`): for comparing it with the one that is in force.
///
/// # Errors
/// [`SandboxError::Filter`], if the embedded data is wrong.
pub fn words(profile: Profile) -> Result<Vec<u64>, SandboxError> {
    let word = |op: &libc::sock_filter| {
        u64::from(op.code) | u64::from(op.jt) << 16 | u64::from(op.jf) << 24 | u64::from(op.k) << 32
    };
    Ok(program(profile, false)?.iter().map(word).collect())
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
const IF_GE: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const DONE: u32 = libc::SECCOMP_RET_ERRNO;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

const fn op(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// The program for `profile`: a binary search for the number. The kernel runs it once for each number when it is
/// installed, to know which are always allowed, so that its depth counts there.
///
/// With `told`, what it refuses waits to be answered by somebody ([`crate::Refusals`]), who refuses it.
pub(crate) fn program(profile: Profile, told: bool) -> Result<Vec<libc::sock_filter>, SandboxError> {
    let refusal = if told { libc::SECCOMP_RET_USER_NOTIF } else { EPERM };
    const OFFSET_NUMBER: u32 = 0;
    const OFFSET_ARCH: u32 = 4;
    let entries = entries(profile)?;
    let calls: BTreeMap<u32, &[(u32, &Entry)]> =
        entries.chunk_by(|a, b| a.0 == b.0).filter_map(|same| Some((same.first()?.0, same))).collect();
    let mut ranges: Vec<Range> = Vec::new();
    for number in 0..=NEW_LAST + 1 {
        let code = match calls.get(&number) {
            Some(same_call) => call(same_call, refusal)?,
            None => vec![op(RETURN, if is_known(number) { refusal } else { ENOSYS })],
        };
        if ranges.last().is_none_or(|range| !range.is_answered_by(&code)) {
            ranges.push(Range { first: number, code });
        }
    }
    let mut program =
        vec![op(LOAD, OFFSET_ARCH), jump(IF_EQ, AUDIT_ARCH, 1, 0), op(RETURN, KILL), op(LOAD, OFFSET_NUMBER)];
    program.extend(search(&ranges)?);
    Ok(program)
}

/// Numbers from `first` up to the next range, which have the same answer.
struct Range {
    first: u32,
    /// Ends with an answer on every way through it.
    code: Vec<libc::sock_filter>,
}

impl Range {
    fn is_answered_by(&self, code: &[libc::sock_filter]) -> bool {
        let same =
            |a: &libc::sock_filter, b: &libc::sock_filter| (a.code, a.jt, a.jf, a.k) == (b.code, b.jt, b.jf, b.k);
        self.code.len() == code.len() && self.code.iter().zip(code).all(|(a, b)| same(a, b))
    }
}

/// Leads to the code of the range that holds the number.
fn search(ranges: &[Range]) -> Result<Vec<libc::sock_filter>, SandboxError> {
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (Some(_), Some(middle)) = (low.first(), high.first()) else {
        return Ok(ranges.iter().flat_map(|range| range.code.clone()).collect());
    };
    let low = search(low)?;
    let mut code = match u8::try_from(low.len()) {
        Ok(length) => vec![jump(IF_GE, middle.first, length, 0)],
        Err(_) => {
            let length = u32::try_from(low.len()).map_err(|_| SandboxError::Filter("it is too long".into()))?;
            vec![jump(IF_GE, middle.first, 0, 1), op(JUMP, length)]
        }
    };
    code.extend(low);
    code.extend(search(high)?);
    Ok(code)
}

/// Answers one call.
fn call(same_call: &[(u32, &Entry)], refusal: u32) -> Result<Vec<libc::sock_filter>, SandboxError> {
    let mut code = Vec::new();
    for (_, entry) in same_call {
        code.extend(rule(entry)?);
    }
    if same_call.iter().all(|(_, entry)| !entry.when.is_empty()) {
        code.push(op(RETURN, refusal));
    }
    Ok(code)
}

fn short(length: usize) -> Result<u8, SandboxError> {
    u8::try_from(length).map_err(|_| SandboxError::Filter("a condition is too long for a jump".into()))
}

/// Answers if all tests of the entry hold, else falls through to what follows.
fn rule(entry: &Entry) -> Result<Vec<libc::sock_filter>, SandboxError> {
    let answer = match entry.answer {
        Answer::Allow => ALLOW,
        Answer::Enosys => ENOSYS,
        Answer::Done => DONE,
    };
    let mut code = vec![op(RETURN, answer)];
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
