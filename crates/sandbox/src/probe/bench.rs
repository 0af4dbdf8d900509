//! The launcher's side of a probe: one process, held by the walls that were chosen, makes one attempt and ends.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions};

use super::{Answer, Attempt, ProbeConfinement, Terrain, Wall, spec};
use crate::cgroup::{self, Group};
use crate::error::Step as _;
use crate::making::{self, Who, Workshop};
use crate::spec::{CellSpec, InsideRoot, Tier, Work};
use crate::sys::{self, Side};
use crate::{SandboxError, filter, full, parcel, seal, spare};

/// How long an attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes an attempt within `walls`. Whoever makes it is not root and has no capability, as in a cell.
pub(crate) fn probe(
    workshop: &mut Workshop,
    walls: &ProbeConfinement,
    ids: [(u64, u64); 2],
    terrain: &Terrain,
    attempt: Attempt,
) -> Result<Answer, SandboxError> {
    let has = |wall: Wall| walls.walls.contains(&wall);
    let spec = spec(&terrain.folder, ids, walls.work, walls.tier);
    // The folder is nobody's that is root, so the tier does not matter for this.
    let who = workshop.who(&spec, Tier::Narrow)?;
    let group = if has(Wall::Limits) { workshop.limited_group(&spec.limits)? } else { None };
    let shown = if has(Wall::Namespaces) { workshop.shown(&spec, who)? } else { Default::default() };
    let (ours, theirs) = parcel::pair().step("making a socket pair")?;
    let flags = if has(Wall::Namespaces) { making::NAMESPACES } else { 0 };
    let (side, must_enter) =
        cgroup::clone(group.as_ref(), flags).offered(Tier::Full, "making namespaces", "see `autoshare doctor`")?;
    match side {
        Side::Child => {
            drop(ours);
            let run = std::panic::AssertUnwindSafe(|| {
                let group = group.as_ref().filter(|_| must_enter);
                let joined = group.map_or(Ok(()), Group::enter).step("joining its cgroup");
                let answer =
                    joined.and_then(|()| confine(&spec, walls, &shown, who, &theirs)).map(|()| attempt.make(terrain));
                let _ = parcel::send(&theirs, &answer, &[]);
            });
            sys::exit_now(i32::from(std::panic::catch_unwind(run).is_err()))
        }
        Side::Parent(pid, pidfd) => {
            drop(theirs);
            let mapped = if has(Wall::Namespaces) { making::map_ids(pid, who) } else { Ok(()) };
            let begun = mapped.and_then(|()| parcel::send(&ours, &(), &[]).step("speaking to the probe"));
            let heard = begun.map(|()| parcel::receive_within::<Result<Answer, SandboxError>>(&ours, PATIENCE));
            let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
            let status = rustix::process::waitpid(Some(pid), WaitOptions::empty());
            if let (Some(Some(groups)), Some(group)) = (workshop.groups.as_mut(), group) {
                groups.give_back(group);
            }
            match heard? {
                Ok((answer, _)) => answer,
                Err(error) if error.raw_os_error() == Some(libc::ETIMEDOUT) => Ok(Answer::Ended("out of time".into())),
                // It ended without an answer, for what it tried.
                Err(_) => {
                    let signal = status.ok().flatten().and_then(|(_, status)| status.terminating_signal());
                    Ok(Answer::Ended(signal.map_or("no answer".into(), |signal| format!("signal {signal}"))))
                }
            }
        }
    }
}

/// As the making of a cell, less the walls that were left out.
fn confine(
    spec: &CellSpec,
    walls: &ProbeConfinement,
    (trees, sockets): &(full::Trees, Vec<PathBuf>),
    who: Who,
    pair: &OwnedFd,
) -> Result<(), SandboxError> {
    let has = |wall: Wall| walls.walls.contains(&wall);
    parcel::receive_within::<()>(pair, PATIENCE).step("hearing the launcher")?;
    let roots: Vec<InsideRoot> = if has(Wall::Namespaces) {
        making::become_id(who, full::INSIDE_ID, full::INSIDE_ID)?;
        let root = full::found(spec.work)?;
        let roots = full::furnish(&root, spec, trees, sockets)?;
        if spec.work == Work::Programs {
            sys::loopback_up().step("bringing up the probe's own loopback")?;
        }
        roots
    } else {
        let open = |root: &crate::RootSpec| {
            let dir = full::open_root(root, OFlags::RDONLY)?;
            Ok(InsideRoot { path: root.path.display().to_string(), dir, mode: root.mode, file: None })
        };
        let roots = spec.roots.iter().map(open).collect::<Result<_, SandboxError>>()?;
        if who.by_root {
            let _ = sys::drop_bounding();
            making::become_id(who, who.uid, who.gid)?;
        }
        roots
    };
    rustix::process::setsid().step("leaving the session")?;
    if has(Wall::Limits) {
        seal::limit(spec, walls.tier)?;
    }
    seal::drop_privileges()?;
    if has(Wall::Landlock) {
        seal::landlock(spec.work, walls.tier, &roots)?;
    }
    seal::die_with_parent()?;
    let kept: Vec<_> = roots.iter().map(|root| &root.dir).chain([pair]).map(|fd| fd.as_raw_fd()).collect();
    seal::close_the_rest(&kept)?;
    // A change of user hides a process from itself (PR_SET_DUMPABLE in prctl(2)), which is no wall of these.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).step("showing the probe to itself")?;
    if has(Wall::Seccomp) {
        let profile = spare::profile(spec.work, walls.tier, false);
        sys::install_filter(&filter::program(profile, false)?, false).step("installing the seccomp filter")?;
    }
    // What was opened for the walls stays open, as in a cell.
    std::mem::forget(roots);
    Ok(())
}

/// A process that waits to be attacked, of the user that cells on a ground run as; it ends with the launcher.
pub(crate) fn victim(workshop: &Workshop, ids: [(u64, u64); 2], folder: &Path) -> Result<Pid, SandboxError> {
    let who = workshop.who(&spec(folder, ids, Work::Tools, Tier::Narrow), Tier::Narrow)?;
    let (ours, theirs) = parcel::pair().step("making a socket pair")?;
    match sys::clone(0).step("starting a victim")? {
        Side::Child => {
            drop(ours);
            let become_it = if who.by_root { making::become_id(who, who.uid, who.gid) } else { Ok(()) };
            let ready =
                become_it.and_then(|()| seal::drop_privileges()).and_then(|()| seal::die_with_parent()).and_then(
                    |()| rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).step("showing the victim"),
                );
            let _ = parcel::send(&theirs, &ready, &[]);
            // A signal that does not end it changes nothing.
            loop {
                rustix::event::pause();
            }
        }
        Side::Parent(pid, _) => {
            drop(theirs);
            parcel::receive_within::<Result<(), SandboxError>>(&ours, PATIENCE).step("starting a victim")?.0?;
            Ok(pid)
        }
    }
}
