//! What the filter of a cell refuses, told while it happens (seccomp_unotify(2)): for finding out what a program lacks. The
//! answer is EPERM as ever; a call is never let go on.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};

use crate::{filter, proc, sys};

/// A call that was refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// The program that made it, as the kernel shortens its name (15 bytes); of its own choosing.
    pub program: String,
    /// The call's name, or its number where it has none.
    pub call: String,
    /// Number and value of the arguments on which it depends whether the call is allowed.
    pub arguments: Vec<(u32, u64)>,
}

/// Where a cell's refusals are told. Whoever has this has to ask for them: a call waits until it is answered. When it is
/// dropped, what would be refused answers `ENOSYS` from then on.
#[derive(Debug)]
pub struct Refusals {
    listener: OwnedFd,
    /// Becomes readable when the cell has ended.
    end: Option<OwnedFd>,
}

impl Refusals {
    /// For the launcher, which is there as long as the cell is being made.
    pub(crate) const fn new(listener: OwnedFd) -> Self {
        Self { listener, end: None }
    }

    /// For the host. Of a narrow cell whose launcher was killed, processes may live on: without `end`, they would be waited
    /// for.
    pub(crate) const fn until(listener: OwnedFd, end: OwnedFd) -> Self {
        Self { listener, end: Some(end) }
    }

    /// Waits for the next call that is refused, and refuses it; `None` when the cell has ended. Blocks.
    ///
    /// # Errors
    /// Of poll(2) and ioctl(2).
    pub fn next(&self) -> io::Result<Option<Refused>> {
        loop {
            let mut watched = vec![PollFd::new(&self.listener, PollFlags::IN)];
            watched.extend(self.end.as_ref().map(|end| PollFd::new(end, PollFlags::IN)));
            match poll(&mut watched, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if watched.first().is_some_and(|listener| listener.revents().contains(PollFlags::IN)) {
                if let Some(refused) = self.refuse()? {
                    return Ok(Some(refused));
                }
            } else if watched.iter().any(|fd| !fd.revents().is_empty()) {
                return Ok(None);
            }
        }
    }

    /// Refuses a call that waits; `None` if whoever made it is gone.
    pub(crate) fn refuse(&self) -> io::Result<Option<Refused>> {
        let waiting = match sys::next_notice(&self.listener) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => return Ok(None),
            other => other?,
        };
        let program = proc::read(&format!("/proc/{}/comm", waiting.pid)).unwrap_or_default();
        loop {
            match sys::refuse(&self.listener, waiting.id, libc::EPERM) {
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
                other => break other?,
            }
        }
        let call = filter::call_name(waiting.number).map_or_else(|| waiting.number.to_string(), str::to_owned);
        let value = |argument: u32| Some((argument, *waiting.args.get(usize::try_from(argument).ok()?)?));
        let arguments = filter::tested(waiting.number).filter_map(value).collect();
        Ok(Some(Refused { program: program.trim_end().to_owned(), call, arguments }))
    }
}

impl std::os::fd::AsFd for Refusals {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
