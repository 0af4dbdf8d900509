//! The folders, the model and the watcher that outlive the hosts.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use autoshare_access::Access;
use autoshare_core::Seq;
use autoshare_core::event::{Event, NoteKind};
use autoshare_core::outcome::Ending;
use autoshare_host::undo::{UndoSettings, undo};
use autoshare_store::Store;
use autoshare_testkit::{ERRAND_EFFECTS, ScriptedModel, errand};
use autoshare_vault::Vault;
use autoshare_workspace::snapshot::{Clash, SnapshotLimits};
use rustix::fs::inotify;

use crate::one_host::{Death, Home, JOB, Job};

pub(crate) struct Scene {
    base: tempfile::TempDir,
    model: ScriptedModel,
    /// Model calls before this errand began.
    called_before: usize,
    watch: OwnedFd,
}

/// What is left of an errand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The files of workspace and archive.
    pub(crate) files: BTreeMap<String, String>,
    /// How often a content was put in place, by file name, as the kernel tells it.
    pub(crate) effects: BTreeMap<String, usize>,
    /// The journal without what only an interruption adds.
    pub(crate) journal: Vec<String>,
    /// Notes that driving went on.
    pub(crate) resumed: usize,
    /// Calls that the model got.
    pub(crate) calls: usize,
    /// Model calls whose reply was not journaled.
    pub(crate) calls_again: usize,
    /// Actions of which it could not be told whether they happened.
    pub(crate) unknown: usize,
    /// The files once the whole run was taken back.
    pub(crate) undone: BTreeMap<String, String>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let model = ScriptedModel::start(errand(base.path().join("archive").to_str().unwrap()));
        let mut scene = Self { base, model, called_before: 0, watch: nothing_watched() };
        scene.reset();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// Everything as it was before the errand, at the same place.
    pub(crate) fn reset(&mut self) {
        for name in ["data", "work", "archive"] {
            let _ = std::fs::remove_dir_all(self.path(name));
        }
        std::fs::create_dir_all(self.path("work/out")).unwrap();
        std::fs::create_dir(self.path("archive")).unwrap();
        let files = [
            ("work/notes.md", "# Notes\ntwo things to do\n"),
            ("work/draft.md", "a draft\n"),
            ("archive/log.txt", "begun\n"),
            ("archive/secret.txt", "the secret\n"),
        ];
        for (name, content) in files {
            std::fs::write(self.path(name), content).unwrap();
        }
        self.called_before = self.model.requests().len();
        self.watch = nothing_watched();
        for name in ["work/out", "archive"] {
            let kinds = inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CREATE | inotify::WatchFlags::MODIFY;
            inotify::add_watch(&self.watch, self.path(name), kinds).unwrap();
        }
    }

    fn home(&self) -> Home {
        Home { data: self.path("data"), workspace: self.path("work"), base_url: self.model.base_url() }
    }

    /// Starts a host of this tenant alone.
    pub(crate) fn host(&self, dies_at: Option<Death>) -> Child {
        host([self], dies_at)
    }

    /// Runs a host to its end; says whether it lived to end by itself.
    pub(crate) fn lives(&self, dies_at: Option<Death>) -> bool {
        ended_well(self.host(dies_at))
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let events = self.events();
        let count = |is: fn(&Event) -> bool| events.iter().filter(|event| is(event)).count();
        let calls = self.model.requests().len() - self.called_before;
        let (files, effects) = (self.files(), self.effects());
        self.undo();
        Outcome {
            files,
            effects,
            journal: told_once(&events),
            resumed: count(|event| matches!(event, Event::Note { kind: NoteKind::Resumed, .. })),
            calls,
            calls_again: calls - count(|event| matches!(event, Event::Thought(_))),
            unknown: count(
                |event| matches!(event, Event::Observation { outcome, .. } if outcome.ending == Ending::Unknown),
            ),
            undone: self.files(),
        }
    }

    /// The files of workspace and archive.
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        ["work", "archive"].into_iter().flat_map(|name| files(&self.path(name))).collect()
    }

    /// Takes the whole run back.
    fn undo(&self) {
        let data = self.path("data");
        let vault = Vault::open(&data).unwrap();
        let access = Access::local(&data).unwrap();
        let store = Store::open(&data, &access, &vault).unwrap();
        let brain = store.brains(&access).unwrap().into_iter().find(|row| row.records > 0).unwrap().id;
        undo(&store, &access, &brain, undo_settings(&data), None, Clash::Refuse).unwrap();
    }

    fn events(&self) -> Vec<Event> {
        let data = self.path("data");
        let vault = Vault::open(&data).unwrap();
        let access = Access::local(&data).unwrap();
        let store = Store::open(&data, &access, &vault).unwrap();
        let rows = store.brains(&access).unwrap();
        let begun: Vec<_> = rows.into_iter().filter(|row| row.records > 0).collect();
        assert_eq!(begun.len(), 1, "one goal, one brain: {begun:?}");
        store.read(&access, &begun[0].id, Seq(1)).unwrap().into_iter().map(|record| record.event).collect()
    }

    fn effects(&self) -> BTreeMap<String, usize> {
        let mut space = [MaybeUninit::uninit(); 64 * 1024];
        let mut events = inotify::Reader::new(&self.watch, &mut space);
        let mut effects = BTreeMap::new();
        loop {
            match events.next() {
                Ok(event) => {
                    assert!(!event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW), "events were lost");
                    let name = event.file_name().unwrap().to_str().unwrap().to_owned();
                    if ERRAND_EFFECTS.iter().any(|(known, _)| *known == name) {
                        *effects.entry(name).or_default() += 1;
                    }
                }
                Err(rustix::io::Errno::AGAIN) => return effects,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Starts a host of these tenants.
pub(crate) fn host<'s>(scenes: impl IntoIterator<Item = &'s Scene>, dies_at: Option<Death>) -> Child {
    let job = Job { homes: scenes.into_iter().map(Scene::home).collect(), dies_at };
    Command::new(std::env::current_exe().unwrap())
        .env(JOB, serde_json::to_string(&job).unwrap())
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

/// As a host has them.
pub(crate) fn undo_settings(data: &Path) -> UndoSettings {
    UndoSettings { data_dir: data.to_owned(), limits: SnapshotLimits::default(), leave_out: Vec::new() }
}

fn nothing_watched() -> OwnedFd {
    inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap()
}

/// Waits for a host; false if it was killed, a failure if it ended in any other way.
pub(crate) fn ended_well(mut host: Child) -> bool {
    let status = host.wait().unwrap();
    assert!(status.success() || status.signal() == Some(9), "a host ended with {status}");
    status.success()
}

/// Files below a directory by their path.
fn files(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            let content = std::fs::read(entry.path()).unwrap();
            found.push((entry.path().display().to_string(), String::from_utf8_lossy(&content).into_owned()));
        }
    }
    found
}

/// The journal without notes of resumptions and of cells, without all but the last reservation for a model call, and without
/// the places in it that verdicts name, which those notes shift.
fn told_once(events: &[Event]) -> Vec<String> {
    let kept: Vec<&Event> = events
        .iter()
        .filter(|event| !matches!(event, Event::Note { kind: NoteKind::Resumed | NoteKind::Cell, .. }))
        .collect();
    let is_followed = |index: usize| {
        matches!((kept[index], kept.get(index + 1)),
            (Event::Budget { turn, .. }, Some(Event::Budget { turn: next, .. })) if turn == next)
    };
    let once = (0..kept.len()).filter(|index| !is_followed(*index));
    once.map(|index| serde_json::to_string(&placeless(kept[index])).unwrap()).collect()
}

fn placeless(event: &Event) -> Event {
    let mut event = event.clone();
    if let Event::Verdict { verdict, .. } = &mut event {
        verdict.origins.iter_mut().for_each(|origin| origin.at = None);
    }
    event
}
