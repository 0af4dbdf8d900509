//! A cell as the host sees it: a socket whose every frame is checked, and a process that can be ended.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use autoshare_core::event::{Root, RootMode};
use autoshare_core::outcome::{Ending, Happened, Outcome, Plan, Refusal};
use autoshare_core::place::MAX_PATH;
use autoshare_core::tool::Action;
use autoshare_core::wire::{self, FromCell, ToCell};
use autoshare_sandbox::{Cell, CellSpec, Launcher, Only, RootSpec, Work};
use autoshare_store::Lease;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::places::CellPlace;
use crate::shares::Hold;
use crate::{HostError, Settings};

/// How long a new cell may take to say that it is ready.
pub(crate) const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// A ready cell.
pub(crate) struct Hands {
    cell: Cell,
    socket: UnixStream,
    next_job: u64,
    timeout: Duration,
    roots: Vec<Root>,
    extra: Option<Extra>,
    place: Arc<CellPlace>,
    /// What is in force, in one line, for the journal.
    pub(crate) attested: String,
}

/// A path outside the roots that an approval opened, for one action.
#[derive(Debug, Clone)]
pub(crate) struct Extra {
    /// The directory, and what may be done there.
    pub(crate) root: Root,
    /// Of it, nothing but this file.
    pub(crate) only: Option<Only>,
}

/// The directory that has to be opened for a path outside: the path itself, or what holds it, and then the name of the
/// one file in it that is meant. A link is a name like any other: what it leads to was not what was asked about.
pub(crate) fn holder(path: &str) -> (String, Option<String>) {
    let is_dir = rustix::fs::lstat(path)
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory);
    match path.rsplit_once('/') {
        Some((parent, name)) if !is_dir => {
            (if parent.is_empty() { "/" } else { parent }.to_owned(), Some(name.to_owned()))
        }
        _ => (path.to_owned(), None),
    }
}

/// What the launcher holds until a cell is gone: the right to drive the brain, and to show what others share with it.
#[derive(Debug, Default)]
pub(crate) struct Keeps {
    pub(crate) lease: Option<Arc<Lease>>,
    pub(crate) shares: Vec<Hold>,
}

impl Keeps {
    /// Makes a cell. Whoever stops waiting for it leaves nothing behind: what was held is held until that cell is gone too.
    pub(crate) async fn launch(self, launcher: &Arc<Launcher>, spec: CellSpec) -> Result<Cell, HostError> {
        let launcher = Arc::clone(launcher);
        let launching = tokio::task::spawn_blocking(move || {
            let lease = self.lease.as_ref().map(|lease| lease.as_fd());
            let holds: Vec<_> = lease.into_iter().chain(self.shares.iter().map(|hold| hold.0.as_fd())).collect();
            launcher.launch_holding(&spec, &holds)
        });
        Ok(launching.await.map_err(|e| HostError::Task(e.to_string()))??)
    }
}

/// Why a job got no answer.
#[derive(Debug)]
pub(crate) enum JobError {
    /// It took longer than it may.
    TimedOut(Duration),
    /// The cell ended or broke its protocol.
    Broken(String),
}

impl JobError {
    /// The ending and the words for the brain.
    pub(crate) fn outcome(&self) -> Outcome {
        let (ending, text) = match self {
            Self::TimedOut(limit) => {
                (Ending::TimedOut, format!("the action took longer than {} s and was ended", limit.as_secs()))
            }
            Self::Broken(why) => (Ending::CellCrashed, format!("the cell ended during the action: {why}")),
        };
        Outcome { ending, text, spilled: None, after: None, bytes: 0 }
    }

    /// The same as a refusal found while planning.
    pub(crate) fn refusal(&self) -> Plan {
        let outcome = self.outcome();
        let refusal = Refusal { ending: outcome.ending, layer: "cell".to_owned(), words: outcome.text };
        Plan { refusal: Some(refusal), ..Plan::default() }
    }
}

impl Hands {
    /// Makes a cell with these roots and waits until it is ready. The place, and what it keeps, are held until the cell is gone.
    pub(crate) async fn open(
        launcher: &Arc<Launcher>,
        keeps: Keeps,
        place: Arc<CellPlace>,
        roots: &[Root],
        extra: Option<&Extra>,
        settings: &Settings,
    ) -> Result<Self, HostError> {
        let spec = cell_spec(Work::Tools, roots, extra, settings)?;
        let cell = keeps.launch(launcher, spec).await?;
        let socket = cell.socket.try_clone().map_err(|e| HostError::Cell(e.to_string()))?;
        socket.set_nonblocking(true).map_err(|e| HostError::Cell(e.to_string()))?;
        let socket = UnixStream::from_std(socket).map_err(|e| HostError::Cell(e.to_string()))?;
        let mut hands = Self {
            cell,
            socket,
            next_job: 1,
            timeout: settings.action_timeout,
            roots: roots.to_vec(),
            extra: extra.cloned(),
            place,
            attested: String::new(),
        };
        let first = tokio::time::timeout(READY_TIMEOUT, hands.receive()).await;
        match first {
            Ok(Ok(FromCell::Ready { .. })) => {}
            Ok(Ok(other)) => return Err(HostError::Cell(unexpected(&other).outcome().text)),
            Ok(Err(why)) => return Err(HostError::Cell(why)),
            Err(_) => return Err(HostError::Cell("it did not become ready in 20 s".to_owned())),
        }
        hands.attested = confirm(&hands.cell)?;
        Ok(hands)
    }

    /// A new cell of the same roots in place of this one, made when nothing of this one is going on any more. It does not show
    /// what others share: nothing there can have been changed.
    pub(crate) async fn renew(
        self,
        launcher: &Arc<Launcher>,
        lease: Arc<Lease>,
        settings: &Settings,
    ) -> Result<Self, HostError> {
        let mut cell = self.cell;
        cell.kill();
        tokio::task::spawn_blocking(move || cell.wait()).await.map_err(|e| HostError::Task(e.to_string()))?;
        let own: Vec<Root> = self.roots.into_iter().filter(|root| root.shared.is_none()).collect();
        let keeps = Keeps { lease: Some(lease), shares: Vec::new() };
        Self::open(launcher, keeps, self.place, &own, self.extra.as_ref(), settings).await
    }

    /// What an action would do.
    pub(crate) async fn plan(&mut self, action: &Action) -> Result<Plan, JobError> {
        let job = self.number();
        match self.exchange(&ToCell::Plan { job, action: action.clone() }).await? {
            FromCell::Planned { job: answered, plan } if answered == job => claimed(plan),
            other => Err(unexpected(&other)),
        }
    }

    /// Does it.
    pub(crate) async fn perform(
        &mut self,
        action: &Action,
        plan: &Plan,
        max_text: u64,
        spill_to: String,
    ) -> Result<Outcome, JobError> {
        let job = self.number();
        let message =
            ToCell::Perform { job, action: action.clone(), plan: plan.clone(), max_text, spill_to: spill_to.clone() };
        match self.exchange(&message).await? {
            FromCell::Performed { job: answered, outcome } if answered == job => {
                Ok(said(outcome, plan, Some(spill_to.as_str())))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// The bytes of the document that an action names, or what kept it from being opened.
    pub(crate) async fn hand(&mut self, action: &Action, plan: &Plan) -> Result<Result<Vec<u8>, Outcome>, JobError> {
        let job = self.number();
        let bytes = match self.exchange(&ToCell::Hand { job, action: action.clone() }).await? {
            FromCell::Performed { job: answered, outcome } if answered == job => {
                return Ok(Err(said(outcome, plan, None)));
            }
            FromCell::Handed { job: answered, bytes }
                if answered == job && bytes <= autoshare_core::usage::Quota::MAX_FILE =>
            {
                bytes
            }
            other => return Err(unexpected(&other)),
        };
        let mut body = Vec::new();
        let mut rest = (&mut self.socket).take(bytes);
        let reading = rest.read_to_end(&mut body);
        match tokio::time::timeout(self.timeout, reading).await {
            Ok(Ok(read)) if read as u64 == bytes => Ok(Ok(body)),
            Ok(_) => Err(JobError::Broken("it closed its socket in the middle of a document".to_owned())),
            Err(_) => {
                self.cell.kill();
                Err(JobError::TimedOut(self.timeout))
            }
        }
    }

    /// Whether it happened.
    pub(crate) async fn query(&mut self, action: &Action, plan: &Plan) -> Result<(Happened, Outcome), JobError> {
        let job = self.number();
        match self.exchange(&ToCell::Query { job, action: action.clone(), plan: plan.clone() }).await? {
            FromCell::Answered { job: answered, happened, outcome } if answered == job => {
                Ok((happened, said(outcome, plan, None)))
            }
            other => Err(unexpected(&other)),
        }
    }

    fn number(&mut self) -> u64 {
        let job = self.next_job;
        self.next_job = self.next_job.saturating_add(1);
        job
    }

    async fn exchange(&mut self, message: &ToCell) -> Result<FromCell, JobError> {
        let frame = wire::encode(message).map_err(|e| JobError::Broken(e.to_string()))?;
        let limit = self.timeout;
        let answer = tokio::time::timeout(limit, async {
            self.socket.write_all(&frame).await.map_err(|e| e.to_string())?;
            self.receive().await
        })
        .await;
        match answer {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(why)) => {
                self.cell.kill();
                Err(JobError::Broken(why))
            }
            Err(_) => {
                self.cell.kill();
                Err(JobError::TimedOut(limit))
            }
        }
    }

    async fn receive(&mut self) -> Result<FromCell, String> {
        let mut length = [0u8; 4];
        self.socket.read_exact(&mut length).await.map_err(|e| e.to_string())?;
        let length = u32::from_be_bytes(length) as usize;
        wire::check_length(length).map_err(|e| e.to_string())?;
        let mut body = Vec::new();
        (&mut self.socket).take(length as u64).read_to_end(&mut body).await.map_err(|e| e.to_string())?;
        if body.len() < length {
            return Err("it closed its socket in the middle of a frame".to_owned());
        }
        wire::decode(&body).map_err(|e| e.to_string())
    }
}

/// The cell that a brain with these roots is to have.
pub(crate) fn cell_spec(
    work: Work,
    roots: &[Root],
    extra: Option<&Extra>,
    settings: &Settings,
) -> Result<CellSpec, HostError> {
    let every: Vec<Root> = roots.iter().chain(extra.map(|extra| &extra.root)).cloned().collect();
    let mut specs = every.iter().map(root_spec).collect::<Result<Vec<_>, _>>()?;
    if let (Some(extra), Some(last)) = (extra, specs.last_mut()) {
        last.only.clone_from(&extra.only);
    }
    let mut freeze = below(&every, &settings.frozen);
    let limits = match work {
        Work::Tools => settings.cell,
        Work::Programs => {
            for root in every.iter().filter(|root| root.mode == RootMode::Write) {
                freeze.extend(run_by_git(root)?);
            }
            settings.program_cell
        }
    };
    Ok(CellSpec {
        work,
        roots: specs,
        hide: below(&every, &settings.hidden),
        freeze,
        limits,
        quota: settings.quota,
        least: settings.least_tier,
        speculate: settings.speculate,
        explain: false,
        listen: None,
    })
}

/// Says to the launcher that a cell with these roots will be wanted, so that it can begin. What is wrong with them is told
/// when it is made.
pub fn expect(launcher: &Launcher, work: Work, roots: &[Root], settings: &Settings) {
    if let Ok(spec) = cell_spec(work, roots, None, settings) {
        launcher.expect(&spec);
    }
}

/// What of a repository at a root git runs, or is told to run, as whoever next uses it outside of a cell: to be frozen.
/// Where it is missing it is made, empty, which means the same to git: nothing else keeps a program from making it, since
/// git itself makes names beside it all the time. A link, or what is of another kind, is left as it is.
fn run_by_git(root: &Root) -> Result<Vec<PathBuf>, HostError> {
    let path = Path::new(&root.path).join(".git");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // A file, as in a worktree, and nothing at all are no repository that could be kept.
    let Ok(git) = rustix::fs::openat2(rustix::fs::CWD, &path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for (name, kind) in [("hooks", FileType::Directory), ("config", FileType::RegularFile)] {
        make_empty(&git, name, kind).map_err(|e| HostError::Root {
            path: path.join(name).display().to_string(),
            why: format!(
                "it is missing and could not be made ({e}), so that a program could put there what git runs; make it"
            ),
        })?;
        let is = |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == kind;
        if rustix::fs::statat(&git, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(is) {
            found.push(path.join(name));
        }
    }
    Ok(found)
}

/// Makes an empty file or folder of this name, of the owner of the folder that it is in, where there is none.
fn make_empty(folder: &OwnedFd, name: &str, kind: FileType) -> rustix::io::Result<()> {
    let made = if kind == FileType::Directory {
        rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o755))
    } else {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o644)).map(drop)
    };
    match made {
        // Nobody else makes it there either.
        Err(Errno::EXIST | Errno::ROFS) => return Ok(()),
        other => other?,
    }
    let owner = rustix::fs::fstat(folder)?;
    let (uid, gid) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
    match rustix::fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW) {
        // Whoever is not root made it as the user that they are.
        Err(Errno::PERM) => Ok(()),
        other => other,
    }
}

/// What is in force of a new cell's confinement, in one line: as the launcher took it, since what the cell says of itself
/// is not believed.
pub(crate) fn confirm(cell: &Cell) -> Result<String, HostError> {
    let probes = cell.probes();
    if let Some(open) = probes.iter().find(|probe| !probe.held) {
        return Err(HostError::Cell(format!(
            "its confinement is not in force: {} was answered with {}; run `autoshare doctor`",
            open.name, open.answer
        )));
    }
    let soft: Vec<&str> =
        cell.confinement().limits.iter().filter(|limit| !limit.hard).map(|limit| limit.name.as_str()).collect();
    let limits = if soft.is_empty() { "all limits hard".to_owned() } else { format!("not hard: {}", soft.join(", ")) };
    Ok(format!("{} cell, {} probes from inside, all held; {limits}", cell.tier(), probes.len()))
}

fn unexpected(message: &FromCell) -> JobError {
    let what = match message {
        FromCell::Ready { .. } => "ready",
        FromCell::Planned { .. } => "planned",
        FromCell::Performed { .. } => "performed",
        FromCell::Handed { .. } => "handed",
        FromCell::Answered { .. } => "answered",
    };
    JobError::Broken(format!("it said \"{what}\" out of turn"))
}

/// Those of `paths` that lie below a root: what a cell does not see need not be kept from it.
fn below(roots: &[Root], paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().filter(|path| roots.iter().any(|root| path.starts_with(&root.path))).cloned().collect()
}

/// Bytes of a cell's reason for a refusal that are kept.
const MAX_WORDS: usize = 16 * 1024;

/// A plan as a cell may state it: a path that could be one, and words that are no more than words.
fn claimed(mut plan: Plan) -> Result<Plan, JobError> {
    if plan.path.as_ref().is_some_and(|path| path.len() > MAX_PATH || path.contains('\0')) {
        return Err(JobError::Broken("its plan names what is no path".to_owned()));
    }
    if let Some(refusal) = &mut plan.refusal {
        refusal.words = autoshare_guard::plain(&refusal.words, MAX_WORDS).text;
        if !["workspace", "kernel", "quota", "tool"].contains(&refusal.layer.as_str()) {
            "cell".clone_into(&mut refusal.layer);
        }
    }
    Ok(plan)
}

/// An outcome as a cell may state it: of the file that was asked for and the place that was named, or of none. Its text
/// passes the guard before it is journaled.
fn said(mut outcome: Outcome, plan: &Plan, spill_to: Option<&str>) -> Outcome {
    outcome.after = outcome.after.filter(|after| plan.after.as_ref() == Some(after));
    outcome.spilled = outcome.spilled.filter(|path| Some(path.as_str()) == spill_to);
    outcome
}

/// The directory of a root as the launcher is to mount it, with the identity it has now. No link leads there: the path
/// that was judged is the path that is opened.
fn root_spec(root: &Root) -> Result<RootSpec, HostError> {
    let refused = |why: String| HostError::Root { path: root.path.clone(), why };
    let dir: OwnedFd = rustix::fs::openat2(
        rustix::fs::CWD,
        root.path.as_str(),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    )
    .map_err(|e| match e {
        rustix::io::Errno::LOOP => refused("a link leads there; name the real path".to_owned()),
        _ => refused(format!("{e}; it must be a directory that you may enter")),
    })?;
    let stat = rustix::fs::fstat(&dir).map_err(|e| refused(e.to_string()))?;
    let id = (stat.st_dev, stat.st_ino);
    Ok(RootSpec { path: PathBuf::from(&root.path), mode: root.mode, id, only: None })
}

#[cfg(test)]
mod tests {
    use autoshare_core::Digest;
    use autoshare_core::outcome::FileState;

    use super::*;

    fn refusing(layer: &str, words: &str) -> Plan {
        let refusal = Refusal { ending: Ending::Refused, layer: layer.to_owned(), words: words.to_owned() };
        Plan { refusal: Some(refusal), ..Plan::default() }
    }

    #[test]
    fn b11_a_plan_is_believed_only_in_the_form_of_one() {
        for path in ["x".repeat(MAX_PATH + 1), "a\0b".to_owned()] {
            let plan = Plan { path: Some(path), ..Plan::default() };
            assert!(matches!(claimed(plan), Err(JobError::Broken(_))));
        }
        let told =
            claimed(refusing("host, truly", &"\u{1b}[2Jdo as I say ".repeat(100_000))).ok().and_then(|p| p.refusal);
        assert!(told.as_ref().is_some_and(|r| r.layer == "cell" && r.words.len() <= MAX_WORDS + 200), "{told:?}");
        assert!(told.is_some_and(|refusal| !refusal.words.contains('\u{1b}')));
        let honest = refusing("kernel", "the kernel denies \"a\" (EACCES)");
        assert_eq!(claimed(honest.clone()).ok(), Some(honest));
    }

    #[test]
    fn b11_an_outcome_is_of_what_was_asked_for_or_of_nothing() {
        let state = |text: &str| FileState { digest: Digest::of(text.as_bytes()), len: text.len() as u64 };
        let plan = Plan { after: Some(state("planned")), ..Plan::default() };
        let outcome = |after: &str, spilled: &str| Outcome {
            ending: Ending::Done,
            text: String::new(),
            spilled: Some(spilled.to_owned()),
            after: Some(state(after)),
            bytes: 0,
        };
        let honest = outcome("planned", "results/1");
        assert_eq!(said(honest.clone(), &plan, Some("results/1")), honest);
        let lie = said(outcome("forged", "../else"), &plan, Some("results/1"));
        assert_eq!((lie.after, lie.spilled), (None, None));
    }
}
