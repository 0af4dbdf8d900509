//! What steps change is kept around an action, finished after a kill, and taken back.

use std::fs;
use std::path::{Path, PathBuf};

use autoshare_access::Access;
use autoshare_core::BrainId;
use autoshare_core::event::{Event, NoteKind, Root, RootMode};
use autoshare_host::undo::{Place, Reach, Undo, UndoError, UndoSettings, Undone, reach, undo};
use autoshare_store::Store;
use autoshare_vault::Vault;
use autoshare_workspace::snapshot::{Clash, SnapshotError, SnapshotLimits, StepChanges};

/// A data directory with one brain, and two folders that it may write.
struct Desk {
    base: tempfile::TempDir,
    access: Access,
    store: Store,
    brain: BrainId,
}

impl Desk {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        for (name, text) in [("work/a", "one"), ("work/deep/b", "two"), ("more/c", "three"), ("data/.keep", "")] {
            let path = base.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let data = base.path().join("data");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&data, private).unwrap();
        let vault = Vault::open(&data).unwrap();
        let access = Access::local(&data).unwrap();
        let store = Store::open(&data, &access, &vault).unwrap();
        let brain = BrainId::from_random([7; 5]);
        store.create(&access, &brain).unwrap();
        Self { base, access, store, brain }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    fn roots(&self) -> Vec<Root> {
        let root = |name: &str, mode| Root::new(self.at(name).to_str().unwrap().to_owned(), mode);
        vec![root("work", RootMode::Write), root("more", RootMode::Write), root("data", RootMode::Read)]
    }

    fn settings(&self) -> UndoSettings {
        let (data_dir, limits) = (self.at("data"), SnapshotLimits::default());
        UndoSettings { data_dir, limits, leave_out: vec![self.at("work/deep")] }
    }

    /// As a process that was just started.
    fn undo(&self) -> Undo {
        Undo::open(self.access.tenant(), &self.brain, self.settings()).unwrap()
    }

    fn begin(&self, step: u64) {
        let undo = self.undo();
        let looked = undo.look(Place::whole(&self.roots())).unwrap();
        undo.begin(step, &looked).unwrap();
    }

    fn step(&self, step: u64, action: impl FnOnce(&Path)) -> Vec<StepChanges> {
        self.begin(step);
        action(self.base.path());
        self.undo().finish(step).unwrap()
    }

    fn take_back(&self, step: Option<u64>, clash: Clash) -> Result<Undone, UndoError> {
        undo(&self.store, &self.access, &self.brain, self.settings(), step, clash)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_else(|_| "nothing".to_owned())
    }
}

fn paths(steps: &[StepChanges]) -> Vec<String> {
    steps.iter().flat_map(|one| one.changes.iter().map(|change| change.path.to_string())).collect()
}

#[test]
fn tools_that_run_programs_reach_whole_roots() {
    let names = |wanted: Reach| -> Vec<String> {
        let tools = autoshare_gate::builtin_tools().into_iter();
        tools.filter(|tool| reach(tool) == wanted).map(|tool| tool.name).collect()
    };
    let programs = ["execute_shell", "execute_python_code", "execute_python_file", "background_job"];
    assert_eq!(names(Reach::WholeRoots), programs);
    assert_eq!(names(Reach::OnePath).len(), autoshare_gate::builtin_tools().len() - programs.len());
}

#[test]
fn what_a_program_did_in_all_its_folders() {
    let desk = Desk::new();
    let done = desk.step(1, |base| {
        fs::write(base.join("work/a"), "changed").unwrap();
        fs::remove_file(base.join("more/c")).unwrap();
        fs::write(base.join("work/deep/b"), "left out").unwrap();
        fs::write(base.join("data/x"), "read-only root").unwrap();
    });
    assert_eq!(paths(&done), ["a", "c"]);
    let undone = desk.take_back(Some(1), Clash::Refuse).unwrap();
    assert_eq!((undone.steps, undone.restored, undone.left), (vec![1], 2, vec![]));
    assert_eq!((desk.read("work/a"), desk.read("more/c")), ("one".to_owned(), "three".to_owned()));
    let events = desk.store.read(&desk.access, &desk.brain, autoshare_core::Seq(1)).unwrap();
    let Event::Note { kind: NoteKind::Undone, text } = &events.last().unwrap().event else { panic!("{events:?}") };
    assert!(text.contains("step 1:"), "{text}");
    assert!(matches!(desk.take_back(Some(1), Clash::Refuse), Err(UndoError::Already(_))));
    assert!(matches!(desk.take_back(Some(2), Clash::Refuse), Err(UndoError::NothingChanged(_))));
}

#[test]
fn what_a_killed_host_had_begun_is_finished_later() {
    let desk = Desk::new();
    desk.begin(1);
    fs::write(desk.at("work/a"), "changed").unwrap();
    assert_eq!(desk.undo().steps().unwrap(), []);
    // A brain that goes on begins the action again; what was kept first is what was there before.
    desk.begin(1);
    fs::write(desk.at("work/new"), "new").unwrap();
    desk.undo().settle().unwrap();
    assert_eq!(paths(&desk.undo().steps().unwrap()), ["a", "new"]);
    desk.take_back(None, Clash::Refuse).unwrap();
    assert_eq!((desk.read("work/a"), desk.read("work/new")), ("one".to_owned(), "nothing".to_owned()));
}

#[test]
fn an_action_done_once_more_after_its_record_is_one_step() {
    let desk = Desk::new();
    desk.step(1, |base| fs::write(base.join("work/a"), "first").unwrap());
    desk.step(1, |base| fs::write(base.join("work/a"), "second").unwrap());
    assert_eq!(paths(&desk.undo().steps().unwrap()), ["a"]);
    desk.take_back(None, Clash::Refuse).unwrap();
    assert_eq!(desk.read("work/a"), "one");
    // And one that was taken back in between begins anew.
    desk.step(1, |base| fs::write(base.join("work/a"), "third").unwrap());
    desk.take_back(None, Clash::Refuse).unwrap();
    assert_eq!(desk.read("work/a"), "one");
}

#[test]
fn a_step_that_changes_nothing_leaves_nothing() {
    let desk = Desk::new();
    assert_eq!(desk.step(1, |_| {}), []);
    assert_eq!(desk.undo().steps().unwrap(), []);
    assert!(matches!(desk.take_back(None, Clash::Refuse), Err(UndoError::NothingChanged(_))));
}

#[test]
fn where_one_folder_has_a_conflict_the_other_is_not_touched() {
    let desk = Desk::new();
    desk.step(1, |base| {
        fs::write(base.join("work/a"), "changed").unwrap();
        fs::write(base.join("more/c"), "changed").unwrap();
    });
    for (mine, theirs, left) in [("more/c", "work/a", "one"), ("work/a", "more/c", "three")] {
        fs::write(desk.at(mine), "mine").unwrap();
        fs::write(desk.at(theirs), "changed").unwrap();
        let refused = desk.take_back(None, Clash::Refuse);
        assert!(matches!(refused, Err(UndoError::Snapshot(SnapshotError::Conflicts(_)))), "{refused:?}");
        assert_eq!((desk.read(mine), desk.read(theirs)), ("mine".to_owned(), "changed".to_owned()), "not {left}");
    }
    desk.take_back(None, Clash::Override).unwrap();
    assert_eq!((desk.read("work/a"), desk.read("more/c")), ("one".to_owned(), "three".to_owned()));
}

#[test]
fn what_somebody_else_changed_between_two_steps_is_not_lost_unasked() {
    let desk = Desk::new();
    desk.step(1, |base| fs::write(base.join("work/a"), "by step 1").unwrap());
    fs::write(desk.at("work/a"), "by a person").unwrap();
    desk.step(2, |base| fs::write(base.join("work/a"), "by step 2").unwrap());
    let refused = desk.take_back(None, Clash::Refuse).unwrap_err().to_string();
    assert!(refused.contains("somebody else changed it between two steps"), "{refused}");
    desk.take_back(Some(2), Clash::Refuse).unwrap();
    assert_eq!(desk.read("work/a"), "by a person");
}

#[test]
fn a_folder_that_became_a_link_is_not_followed() {
    let desk = Desk::new();
    desk.step(1, |base| fs::write(base.join("work/a"), "changed").unwrap());
    fs::rename(desk.at("work"), desk.at("moved")).unwrap();
    std::os::unix::fs::symlink("more", desk.at("work")).unwrap();
    assert!(matches!(desk.take_back(None, Clash::Override), Err(UndoError::Root { .. })));
    assert_eq!(desk.read("more/a"), "nothing");
}

#[test]
fn copies_do_not_pile_up() {
    let desk = Desk::new();
    for n in 0..30 {
        fs::write(desk.at(&format!("work/still-{n}")), n.to_string()).unwrap();
    }
    let steps = 15;
    for step in 1..=steps {
        desk.step(step, |base| fs::write(base.join("work/a"), step.to_string()).unwrap());
    }
    // All files as they are, and a copy of one file before and after each step at most.
    let most = 32 + 2 * usize::try_from(steps).unwrap();
    let copies = desk.undo().shelf().copies();
    assert!(copies <= most, "{copies} copies, {most} at most");
    desk.take_back(None, Clash::Refuse).unwrap();
    assert_eq!(desk.read("work/a"), "one");
}
