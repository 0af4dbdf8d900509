//! What can go wrong, said so that a person knows what to do.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Tier;

/// Why there is no cell.
///
/// Crosses the socket between host and launcher, so kernel answers are kept as text (`EPERM (1)`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SandboxError {
    /// The launcher is forked, and a fork of a threaded process may deadlock or carry secrets along.
    #[error("the launcher must start first: this process already has {0} threads; start it at the top of main")]
    TooLate(usize),
    /// The launcher is gone; its cells ended with it.
    #[error("the launcher is gone ({0}); end this process and start it again, its brains can be resumed")]
    LauncherGone(String),
    /// The launcher itself could not be set up.
    #[error("the launcher cannot start: {step}: {answer}; see `autoshare doctor`")]
    Start {
        /// What was tried.
        step: String,
        /// What the kernel answered.
        answer: String,
    },
    /// This machine lacks a control that the tier needs.
    #[error("no {tier} cell here: {step}: {answer}; {fix}")]
    Unavailable {
        /// The tier that was wanted.
        tier: Tier,
        /// What was tried.
        step: String,
        /// What the kernel answered.
        answer: String,
        /// What gives it.
        fix: String,
    },
    /// The host cannot be confined here.
    #[error("this process cannot be confined here ({found}); what is needed: {fix}")]
    NoWall {
        /// What was found.
        found: String,
        /// What gives it.
        fix: String,
    },
    /// A root, hidden or frozen path cannot be used.
    #[error("{path}: {why}")]
    Path {
        /// Which.
        path: String,
        /// Why, and what to do.
        why: String,
    },
    /// Something that works on every machine did not; the cell was not used.
    #[error("the cell was not made: {step}: {answer}; see `autoshare doctor`")]
    Step {
        /// What was tried.
        step: String,
        /// What the kernel answered.
        answer: String,
    },
    /// An attempt from inside the finished cell succeeded that must not.
    #[error("the cell does not hold: {name}: {answer}; nothing was run in it; see `autoshare doctor`")]
    NotHeld {
        /// The probe's name.
        name: String,
        /// What the kernel answered.
        answer: String,
    },
    /// Seen from outside, the cell is not what it should be.
    #[error("the cell does not hold, seen from outside: {0}; nothing was run in it; see `autoshare doctor`")]
    NotConfined(String),
    /// The embedded list of system calls is wrong: a fault of this program.
    #[error("the list of allowed system calls is wrong: {0}; please report it")]
    Filter(String),
}

/// A kernel answer as text, such as `EPERM (1)`.
pub(crate) fn answer(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => errno_text(number),
        None => error.to_string(),
    }
}

pub(crate) fn errno_text(number: i32) -> String {
    let name = match number {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::EIO => "EIO",
        libc::EBADF => "EBADF",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EFAULT => "EFAULT",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::EXDEV => "EXDEV",
        libc::ENOTDIR => "ENOTDIR",
        libc::EISDIR => "EISDIR",
        libc::EINVAL => "EINVAL",
        libc::EMFILE => "EMFILE",
        libc::ETXTBSY => "ETXTBSY",
        libc::ENOSPC => "ENOSPC",
        libc::EROFS => "EROFS",
        libc::ELOOP => "ELOOP",
        libc::ENOSYS => "ENOSYS",
        libc::EOVERFLOW => "EOVERFLOW",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::EAFNOSUPPORT => "EAFNOSUPPORT",
        libc::ESRCH => "ESRCH",
        libc::EFBIG => "EFBIG",
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::ENETUNREACH => "ENETUNREACH",
        libc::ENOTCONN => "ENOTCONN",
        libc::ENXIO => "ENXIO",
        libc::ENODEV => "ENODEV",
        libc::ENODATA => "ENODATA",
        libc::ECHILD => "ECHILD",
        _ => return io::Error::from_raw_os_error(number).to_string(),
    };
    format!("{name} ({number})")
}

/// Gives a failed system call its place: what was tried.
pub(crate) trait Step<T> {
    fn step(self, step: &str) -> Result<T, SandboxError>;
    /// For what only some machines offer.
    fn offered(self, tier: Tier, step: &str, fix: &str) -> Result<T, SandboxError>;
    fn at(self, path: &Path, hint: &str) -> Result<T, SandboxError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &str) -> Result<T, SandboxError> {
        self.map_err(|e| SandboxError::Step { step: step.to_owned(), answer: answer(&e.into()) })
    }

    fn offered(self, tier: Tier, step: &str, fix: &str) -> Result<T, SandboxError> {
        self.map_err(|e| {
            let error = e.into();
            let (step, answer) = (step.to_owned(), answer(&error));
            match error.raw_os_error() {
                // Short of something for the moment, which says nothing about the machine.
                Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN | libc::EINTR) => {
                    SandboxError::Step { step, answer }
                }
                _ => SandboxError::Unavailable { tier, step, answer, fix: fix.to_owned() },
            }
        })
    }

    fn at(self, path: &Path, hint: &str) -> Result<T, SandboxError> {
        self.map_err(|e| SandboxError::Path {
            path: path.display().to_string(),
            why: format!("{}; {hint}", answer(&e.into())),
        })
    }
}
