//! What a step changed is told, and taken back: names of any bytes, links, modes, deletions, kinds.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use autoshare_core::Digest;
use autoshare_core::event::RootMode;
use autoshare_workspace::snapshot::{
    Change, Clash, Node, RelPath, Restored, SHELF_FORMAT, Scope, Shelf, Snapshot, SnapshotError, SnapshotLimits,
    StepChanges, Unkept, What, changes, combine,
};
use autoshare_workspace::{Quota, Workspace};
use rustix::fs::{CWD, FileType, Mode};

use crate::setting::{Setting, handle};

/// A workspace and a shelf beside it.
pub struct Kept {
    pub setting: Setting,
    pub shelf: Shelf,
    pub limits: SnapshotLimits,
}

impl Kept {
    pub fn new() -> Self {
        Self::of(Setting::new())
    }

    pub fn of(setting: Setting) -> Self {
        let dir = setting.outside.parent().unwrap().join("shelf");
        fs::create_dir_all(&dir).unwrap();
        let shelf = Shelf::open(handle(&dir)).unwrap();
        Self { setting, shelf, limits: SnapshotLimits::default() }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.setting.inside.join(name)
    }

    pub fn workspace(&self) -> Workspace {
        self.setting.workspace()
    }

    pub fn look(&self, scope: &Scope, previous: Option<&Snapshot>) -> Snapshot {
        self.workspace().snapshot(scope, &self.shelf, previous, self.limits).unwrap()
    }

    /// What an action did.
    pub fn step(&self, scope: &Scope, action: impl FnOnce(&Path)) -> Vec<Change> {
        let before = self.look(scope, None);
        action(&self.setting.inside);
        changes(&before, &self.look(scope, Some(&before)), &self.shelf).unwrap()
    }

    pub fn restore(&self, changes: &[Change], clash: Clash) -> Result<Restored, SnapshotError> {
        self.workspace().restore(&self.shelf, changes, clash)
    }
}

pub fn everything() -> Scope {
    Scope::Whole { leave_out: Vec::new() }
}

pub fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

/// What is below a folder: by path its kind, its permissions, and its bytes or where it leads.
pub fn picture(dir: &Path) -> BTreeMap<PathBuf, (char, u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        let about = next.symlink_metadata().unwrap();
        let mode = about.mode() & 0o7777;
        let what = if about.is_dir() {
            pending.extend(fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()));
            ('d', mode, Vec::new())
        } else if about.is_symlink() {
            ('l', 0, fs::read_link(&next).unwrap().as_os_str().as_bytes().to_vec())
        } else if about.is_file() {
            ('f', mode, fs::read(&next).unwrap())
        } else {
            ('s', mode, Vec::new())
        };
        found.insert(next.strip_prefix(dir).unwrap().to_owned(), what);
    }
    found
}

fn odd(dir: &Path, bytes: &[u8]) -> PathBuf {
    dir.join(OsStr::from_bytes(bytes))
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn fifo(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

type Action = fn(&Path);

/// Its name, what was there, what the step does, what is told of it: path and way.
type Row = (&'static str, Action, Action, &'static [(&'static str, What)]);

#[rustfmt::skip]
const STEPS: &[Row] = &[
    ("nothing", |_| {}, |_| {}, &[]),
    ("a file is written",
        |_| {}, |d| fs::write(d.join("note.txt"), "other").unwrap(), &[("note.txt", What::Content)]),
    ("a file is written with what it held",
        |_| {}, |d| fs::write(d.join("note.txt"), "a note\n").unwrap(), &[]),
    ("a file of the same length",
        |_| {}, |d| fs::write(d.join("note.txt"), "a NOTE\n").unwrap(), &[("note.txt", What::Content)]),
    ("a file is made in new folders",
        |_| {}, |d| { fs::create_dir_all(d.join("x/y")).unwrap(); fs::write(d.join("x/y/z"), "z").unwrap(); },
        &[("x", What::Created), ("x/y", What::Created), ("x/y/z", What::Created)]),
    ("a file is deleted", |_| {}, |d| fs::remove_file(d.join("note.txt")).unwrap(), &[("note.txt", What::Deleted)]),
    ("a folder is deleted with all it holds",
        |d| { symlink("deep.txt", d.join("folder/link")).unwrap(); fs::create_dir(d.join("folder/empty")).unwrap(); },
        |d| fs::remove_dir_all(d.join("folder")).unwrap(),
        &[("folder", What::Deleted), ("folder/deep.txt", What::Deleted), ("folder/empty", What::Deleted),
          ("folder/link", What::Deleted)]),
    ("a file is renamed",
        |_| {}, |d| fs::rename(d.join("note.txt"), d.join("moved")).unwrap(),
        &[("moved", What::Created), ("note.txt", What::Deleted)]),
    ("a folder is renamed",
        |_| {}, |d| fs::rename(d.join("folder"), d.join("moved")).unwrap(),
        &[("folder", What::Deleted), ("folder/deep.txt", What::Deleted), ("moved", What::Created),
          ("moved/deep.txt", What::Created)]),
    ("permissions of a file and a folder",
        |_| {}, |d| { chmod(&d.join("note.txt"), 0o755); chmod(&d.join("folder"), 0o700); },
        &[("folder", What::Mode), ("note.txt", What::Mode)]),
    ("permissions of the root itself",
        |d| chmod(d, 0o755), |d| chmod(d, 0o700), &[(".", What::Mode)]),
    ("a file in a folder that is read-only before and after",
        |d| chmod(&d.join("folder"), 0o555),
        |d| { chmod(&d.join("folder"), 0o755); fs::write(d.join("folder/deep.txt"), "x").unwrap(); },
        &[("folder", What::Mode), ("folder/deep.txt", What::Content)]),
    ("a file becomes a folder",
        |_| {}, |d| {
            fs::remove_file(d.join("note.txt")).unwrap();
            fs::create_dir(d.join("note.txt")).unwrap();
            fs::write(d.join("note.txt/in"), "in").unwrap();
        }, &[("note.txt", What::Kind), ("note.txt/in", What::Created)]),
    ("a folder becomes a file",
        |_| {}, |d| { fs::remove_dir_all(d.join("folder")).unwrap(); fs::write(d.join("folder"), "f").unwrap(); },
        &[("folder", What::Kind), ("folder/deep.txt", What::Deleted)]),
    ("a file becomes a link out",
        |_| {}, |d| {
            fs::remove_file(d.join("note.txt")).unwrap();
            symlink("../outside/secret.txt", d.join("note.txt")).unwrap();
        }, &[("note.txt", What::Kind)]),
    ("a folder becomes a link out",
        |_| {}, |d| { fs::remove_dir_all(d.join("folder")).unwrap(); symlink("../outside", d.join("folder")).unwrap(); },
        &[("folder", What::Kind), ("folder/deep.txt", What::Deleted)]),
    ("links: dangling, absolute, looping, leading out",
        |d| {
            symlink("nowhere", d.join("dangling")).unwrap();
            symlink("/etc/passwd", d.join("absolute")).unwrap();
            symlink("loop", d.join("loop")).unwrap();
            symlink("../outside/secret.txt", d.join("out")).unwrap();
        }, |d| {
            for name in ["dangling", "absolute", "loop"] { fs::remove_file(d.join(name)).unwrap(); }
            symlink("elsewhere", d.join("dangling")).unwrap();
            fs::write(d.join("absolute"), "no link").unwrap();
        }, &[("absolute", What::Kind), ("dangling", What::Content), ("loop", What::Deleted)]),
    ("what a link holds is not UTF-8",
        |d| symlink(OsStr::from_bytes(b"\xff\n%41"), d.join("link")).unwrap(),
        |d| fs::remove_file(d.join("link")).unwrap(), &[("link", What::Deleted)]),
    ("hard links that stay inside",
        |d| fs::hard_link(d.join("note.txt"), d.join("twin")).unwrap(),
        |d| fs::write(d.join("twin"), "both").unwrap(), &[("note.txt", What::Content), ("twin", What::Content)]),
    ("FIFOs and sockets that the step makes",
        |_| {}, |d| { fifo(&d.join("fifo")); drop(UnixListener::bind(d.join("socket")).unwrap()); },
        &[("fifo", What::Created), ("socket", What::Created)]),
    ("an empty file and an empty folder",
        |d| { fs::write(d.join("empty"), "").unwrap(); fs::create_dir(d.join("bare")).unwrap(); },
        |d| { fs::remove_file(d.join("empty")).unwrap(); fs::remove_dir(d.join("bare")).unwrap(); },
        &[("bare", What::Deleted), ("empty", What::Deleted)]),
    ("names before and after the separator",
        |_| {}, |d| for name in ["folder-x", "folder.x", "folder/x", "folder0"] { fs::write(d.join(name), "").unwrap(); },
        &[("folder-x", What::Created), ("folder.x", What::Created), ("folder/x", What::Created),
          ("folder0", What::Created)]),
];

#[test]
fn a_step_is_told_and_taken_back() {
    for (name, there, action, told) in STEPS {
        let kept = Kept::new();
        there(&kept.setting.inside);
        let before = picture(&kept.setting.inside);
        let changed = kept.step(&everything(), action);
        let ways: Vec<_> = changed.iter().map(|change| (change.path.to_string(), change.what())).collect();
        let told: Vec<_> = told.iter().map(|(path, what)| ((*path).to_owned(), *what)).collect();
        assert_eq!(ways, told, "{name}");
        let restored = kept.restore(&changed, Clash::Refuse).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(restored.left, [], "{name}");
        assert_eq!(restored.restored, changed.len(), "{name}");
        assert_eq!(picture(&kept.setting.inside), before, "{name}");
        kept.setting.outside_is_untouched();
        assert_eq!(kept.restore(&changed, Clash::Refuse).unwrap().left, [], "{name}: a second time");
        assert_eq!(picture(&kept.setting.inside), before, "{name}: a second time");
    }
}

#[test]
fn names_of_any_bytes() {
    let names: &[&[u8]] =
        &[b"\xff\xfe", b"new\nline", b"\x1b[2J", b"%41", b" ", b"-rf", b"a\\b", "ünï".as_bytes(), &[b'x'; 255], b"..."];
    let kept = Kept::new();
    let dir = &kept.setting.inside;
    for name in names {
        fs::write(odd(dir, name), name).unwrap();
    }
    let before = picture(dir);
    let changed =
        kept.step(&everything(), |dir| names.iter().for_each(|name| fs::remove_file(odd(dir, name)).unwrap()));
    assert_eq!(changed.len(), names.len());
    let text = serde_json::to_string(&changed).unwrap();
    let read: Vec<Change> = serde_json::from_str(&text).unwrap();
    assert_eq!(read, changed, "a record says the same");
    kept.restore(&read, Clash::Refuse).unwrap();
    assert_eq!(picture(dir), before);
}

#[test]
fn a_record_names_nothing_outside() {
    for bad in ["..", "../x", "a/../b", "/etc", "a//b", "", "a/", "./a", "a/.", "a%00b", "%zz", "%4"] {
        let record = serde_json::json!({"path": bad, "before": null, "after": null});
        assert!(serde_json::from_value::<Change>(record).is_err(), "{bad:?}");
    }
}

#[test]
fn a6_what_was_a_fifo_is_left_and_said() {
    let kept = Kept::new();
    fifo(&kept.at("fifo"));
    let changed = kept.step(&everything(), |dir| fs::remove_file(dir.join("fifo")).unwrap());
    let restored = kept.restore(&changed, Clash::Refuse).unwrap();
    assert!(restored.left[0].why.contains("not made again"), "{restored:?}");
    assert!(!kept.at("fifo").exists());
}

#[test]
fn a3_a_file_that_is_also_outside_is_neither_kept_nor_put_back() {
    let kept = Kept::new();
    fs::hard_link(kept.setting.secret(), kept.at("hard")).unwrap();
    let copies = kept.shelf.copies();
    let before = kept.look(&everything(), None);
    assert_eq!(kept.shelf.copies() - copies, 2, "the two files of the setting, and not the third");
    for scope in [everything(), Scope::Paths(vec![path("hard")])] {
        let changed = kept.step(&scope, |dir| {
            fs::remove_file(dir.join("hard")).unwrap();
            fs::write(dir.join("hard"), "mine").unwrap();
        });
        let restored = kept.restore(&changed, Clash::Refuse).unwrap();
        assert!(restored.left[0].why.contains("hard link"), "{restored:?}");
        assert_eq!(fs::read_to_string(kept.at("hard")).unwrap(), "mine");
        fs::remove_file(kept.at("hard")).unwrap();
        fs::hard_link(kept.setting.secret(), kept.at("hard")).unwrap();
    }
    let made =
        kept.step(&everything(), |dir| fs::hard_link(dir.join("../outside/secret.txt"), dir.join("more")).unwrap());
    kept.restore(&made, Clash::Refuse).unwrap();
    assert!(!kept.at("more").exists(), "a name that the step made goes");
    assert!(matches!(before.node(&path("hard")), Some(Node::File { .. })));
    kept.setting.outside_is_untouched();
}

#[test]
fn set_id_bits_are_told_and_never_given() {
    let kept = Kept::new();
    chmod(&kept.at("note.txt"), 0o4755);
    chmod(&kept.at("folder"), 0o2775);
    let changed = kept.step(&everything(), |dir| {
        fs::write(dir.join("note.txt"), "x").unwrap();
        chmod(&dir.join("folder"), 0o2700);
    });
    kept.restore(&changed, Clash::Refuse).unwrap();
    assert_eq!(kept.at("note.txt").metadata().unwrap().mode() & 0o7777, 0o755);
    assert_eq!(kept.at("folder").metadata().unwrap().mode() & 0o7777, 0o2775, "one that it has all along stays");
    let gained = kept.step(&everything(), |dir| chmod(&dir.join("note.txt"), 0o4755));
    assert_eq!(gained[0].what(), What::Mode);
}

#[test]
fn the_point_form_looks_at_nothing_else() {
    let kept = Kept::new();
    let scope = Scope::Paths(vec![path("new/deep/a.txt"), path("note.txt")]);
    let before = picture(&kept.setting.inside);
    let copies = kept.shelf.copies();
    let changed = kept.step(&scope, |dir| {
        fs::create_dir_all(dir.join("new/deep")).unwrap();
        fs::write(dir.join("new/deep/a.txt"), "a").unwrap();
        fs::write(dir.join("note.txt"), "b").unwrap();
        fs::write(dir.join("unseen.txt"), "c").unwrap();
    });
    let ways: Vec<_> = changed.iter().map(|change| (change.path.to_string(), change.what())).collect();
    let told = [
        ("new", What::Created),
        ("new/deep", What::Created),
        ("new/deep/a.txt", What::Created),
        ("note.txt", What::Content),
    ];
    assert_eq!(ways, told.map(|(path, what)| (path.to_owned(), what)));
    assert_eq!(kept.shelf.copies() - copies, 3, "note.txt twice, a.txt");
    kept.restore(&changed, Clash::Refuse).unwrap();
    fs::remove_file(kept.at("unseen.txt")).unwrap();
    assert_eq!(picture(&kept.setting.inside), before);
}

#[test]
fn what_nobody_in_a_cell_can_change_is_left_out() {
    let kept = Kept::new();
    let scope = Scope::Whole { leave_out: vec![path("folder"), path("note.txt")] };
    let changed = kept.step(&scope, |dir| {
        fs::write(dir.join("folder/deep.txt"), "x").unwrap();
        fs::write(dir.join("note.txt"), "x").unwrap();
        fs::write(dir.join("b"), "x").unwrap();
    });
    assert_eq!(changed.iter().map(|change| change.path.to_string()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(kept.shelf.copies(), 1);
}

#[test]
fn only_what_changed_is_copied_again() {
    let kept = Kept::new();
    for n in 0..50 {
        fs::write(kept.at(&format!("file-{n}")), vec![b'x'; 10_000]).unwrap();
    }
    // Past the tick in which the files were written.
    std::thread::sleep(std::time::Duration::from_millis(150));
    let first = kept.look(&everything(), None);
    let (copies, bytes) = (kept.shelf.copies(), kept.shelf.bytes());
    let second = kept.look(&everything(), Some(&first));
    assert_eq!(kept.shelf.copies(), copies, "nothing changed, nothing is copied");
    fs::write(kept.at("file-7"), vec![b'y'; 10_000]).unwrap();
    let third = kept.look(&everything(), Some(&second));
    assert_eq!(kept.shelf.copies(), copies + 1);
    assert!(kept.shelf.bytes() - bytes <= 16 * 1024, "{} of {bytes}", kept.shelf.bytes() - bytes);
    let changed = changes(&first, &third, &kept.shelf).unwrap();
    assert_eq!(changed.iter().map(|c| c.path.to_string()).collect::<Vec<_>>(), ["file-7"]);

    kept.shelf.sweep(&changed.iter().flat_map(Change::blobs).collect()).unwrap();
    assert_eq!(kept.shelf.copies(), 2, "what no record names goes");
    kept.restore(&changed, Clash::Refuse).unwrap();
    assert_eq!(fs::read(kept.at("file-7")).unwrap(), vec![b'x'; 10_000]);
}

/// As git's index once did not: a file that changes in the tick in which it was looked at, with its length and times as
/// they were.
#[test]
fn a_change_within_the_tick_of_the_look_is_seen() {
    let kept = Kept::of(Setting::in_memory());
    for round in 0..50 {
        fs::write(kept.at("note.txt"), format!("{round:06}")).unwrap();
        let first = kept.look(&everything(), None);
        fs::write(kept.at("note.txt"), format!("{:06}", round + 1)).unwrap();
        let second = kept.look(&everything(), Some(&first));
        assert_eq!(changes(&first, &second, &kept.shelf).unwrap().len(), 1, "round {round}");
    }
}

#[test]
fn a7_a_sparse_file_costs_what_it_holds() {
    let kept = Kept::new();
    let sparse = |dir: &Path, text: &str| {
        let file = fs::File::create(dir.join("sparse")).unwrap();
        file.set_len(1 << 40).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), 1 << 39).unwrap();
    };
    sparse(&kept.setting.inside, "one");
    let begun = std::time::Instant::now();
    let changed = kept.step(&everything(), |dir| sparse(dir, "two"));
    assert_eq!(changed.len(), 1);
    kept.restore(&changed, Clash::Refuse).unwrap();
    let file = fs::File::open(kept.at("sparse")).unwrap();
    let mut three = [0; 3];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut three, 1 << 39).unwrap();
    assert_eq!((file.metadata().unwrap().len(), &three), (1 << 40, b"one"));
    assert!(file.metadata().unwrap().blocks() * 512 < 1 << 20, "its holes are holes");
    assert!(kept.shelf.bytes() < 1 << 20, "{}", kept.shelf.bytes());
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn what_is_not_as_the_step_left_it_is_a_conflict_and_nothing_is_changed() {
    type After = (&'static str, Action, &'static str);
    let afterwards: &[After] = &[
        ("written", |d| fs::write(d.join("note.txt"), "newer").unwrap(), "note.txt"),
        ("permissions", |d| chmod(&d.join("note.txt"), 0o600), "note.txt"),
        ("gone", |d| fs::remove_file(d.join("note.txt")).unwrap(), "note.txt"),
        (
            "a link",
            |d| {
                fs::remove_file(d.join("note.txt")).unwrap();
                symlink("../outside/secret.txt", d.join("note.txt")).unwrap();
            },
            "note.txt",
        ),
        ("made again", |d| fs::write(d.join("folder/deep.txt"), "again").unwrap(), "folder/deep.txt"),
        ("edited", |d| fs::write(d.join("new.txt"), "edited").unwrap(), "new.txt"),
    ];
    for (name, afterwards, clashing) in afterwards {
        let kept = Kept::new();
        let before = picture(&kept.setting.inside);
        let changed = kept.step(&everything(), |dir| {
            fs::write(dir.join("note.txt"), "by the step").unwrap();
            fs::remove_file(dir.join("folder/deep.txt")).unwrap();
            fs::write(dir.join("new.txt"), "new").unwrap();
        });
        afterwards(&kept.setting.inside);
        let then = picture(&kept.setting.inside);
        let Err(SnapshotError::Conflicts(conflicts)) = kept.restore(&changed, Clash::Refuse) else {
            panic!("{name}: no conflict");
        };
        assert_eq!(conflicts.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), [*clashing], "{name}");
        assert!(conflicts[0].why.contains("--force"), "{conflicts:?}");
        assert_eq!(picture(&kept.setting.inside), then, "{name}: nothing was changed");
        assert_eq!(kept.restore(&changed, Clash::Override).unwrap().left, [], "{name}");
        assert_eq!(picture(&kept.setting.inside), before, "{name}: --force");
        kept.setting.outside_is_untouched();
    }
}

#[test]
fn a_folder_that_the_step_made_stays_if_somebody_put_something_in_it() {
    let kept = Kept::new();
    let changed = kept.step(&everything(), |dir| {
        fs::create_dir(dir.join("made")).unwrap();
        fs::write(dir.join("made/own"), "").unwrap();
    });
    fs::write(kept.at("made/theirs"), "theirs").unwrap();
    let restored = kept.restore(&changed, Clash::Refuse).unwrap();
    assert_eq!(restored.left.len(), 1);
    assert!(restored.left[0].why.contains("did not make"), "{restored:?}");
    assert!(!kept.at("made/own").exists() && kept.at("made/theirs").exists());
}

#[test]
fn a_saved_copy_that_is_damaged_is_not_put_back() {
    let kept = Kept::new();
    let changed = kept.step(&everything(), |dir| {
        fs::write(dir.join("note.txt"), "x").unwrap();
        fs::remove_file(dir.join("folder/deep.txt")).unwrap();
    });
    let then = picture(&kept.setting.inside);
    for blob in fs::read_dir(kept.setting.outside.join("../shelf/blobs")).unwrap() {
        let blob = blob.unwrap().path();
        if fs::read(&blob).unwrap() == b"deep\n" {
            fs::write(&blob, "D33p\n").unwrap();
        }
    }
    assert!(matches!(kept.restore(&changed, Clash::Override), Err(SnapshotError::Damaged { .. })));
    assert_eq!(picture(&kept.setting.inside), then);
}

#[test]
fn limits_have_messages_and_fail_no_step() {
    let mut kept = Kept::new();
    kept.limits = SnapshotLimits { bytes: 64 * 1024, files: 1000 };
    fs::write(kept.at("large"), vec![b'x'; 100_000]).unwrap();
    let changed = kept.step(&everything(), |dir| fs::write(dir.join("large"), "small").unwrap());
    let Some(Node::File { content, .. }) = &changed[0].before else { panic!() };
    assert_eq!(*content, autoshare_workspace::snapshot::Content::Not(Unkept::ShelfFull));
    let refused = kept.restore(&changed, Clash::Refuse).unwrap_err().to_string();
    assert!(refused.contains("large") && refused.contains("undo_bytes"), "{refused}");
    assert_eq!(fs::read_to_string(kept.at("large")).unwrap(), "small");

    kept.limits = SnapshotLimits { files: 10, ..SnapshotLimits::default() };
    let before = kept.look(&everything(), None);
    assert_eq!(before.incomplete(), None, "control: it fits");
    for n in 0..20 {
        fs::write(kept.at(&format!("n{n:02}")), "").unwrap();
    }
    let after = kept.look(&everything(), Some(&before));
    let why = after.incomplete().unwrap().to_string();
    assert!(why.contains("more than 10") && why.contains("undo_files"), "{why}");
    assert_eq!(changes(&before, &after, &kept.shelf).unwrap(), [], "what was not seen is not called deleted");
}

#[test]
fn a_shelf_of_a_later_version_is_refused() {
    let kept = Kept::new();
    kept.shelf.save("format", &(SHELF_FORMAT + 1)).unwrap();
    let dir = kept.setting.outside.join("../shelf");
    let error = Shelf::open(handle(&dir)).unwrap_err().to_string();
    assert!(error.contains("later"), "{error}");
    kept.shelf.save("format", &SHELF_FORMAT).unwrap();
    assert!(Shelf::open(handle(&dir)).is_ok());
    for name in ["format", "blobs/1"] {
        let mode = dir.join(name).metadata().map_or(0o600, |about| about.mode() & 0o777);
        assert_eq!(mode, 0o600, "{name}");
    }
}

#[test]
fn a_deep_tree_is_kept_as_far_as_a_path_reaches() {
    let kept = Kept::new();
    let mut dir = handle(&kept.setting.inside);
    for _ in 0..100 {
        let name = "d".repeat(100);
        rustix::fs::mkdirat(&dir, &name, Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        dir = rustix::fs::openat(&dir, &name, flags, Mode::empty()).unwrap();
    }
    let changed = kept.step(&everything(), |dir| fs::write(dir.join("note.txt"), "x").unwrap());
    assert_eq!(changed.iter().map(|c| c.path.to_string()).collect::<Vec<_>>(), ["note.txt"]);
    kept.restore(&changed, Clash::Refuse).unwrap();
    assert_eq!(fs::read_to_string(kept.at("note.txt")).unwrap(), "a note\n");
}

/// Between a folder that goes and a file that comes, a name is missing: only a restore that was cut off may meet that.
#[test]
fn a_name_that_is_missing_after_a_restore_was_cut_off_is_no_conflict() {
    let kept = Kept::new();
    let before = picture(&kept.setting.inside);
    let changed = kept.step(&everything(), |dir| {
        fs::remove_file(dir.join("note.txt")).unwrap();
        fs::create_dir(dir.join("note.txt")).unwrap();
    });
    fs::remove_dir(kept.at("note.txt")).unwrap();
    assert!(matches!(kept.restore(&changed, Clash::Refuse), Err(SnapshotError::Conflicts(_))), "control");
    let id = Digest::of(&serde_json::to_vec(&changed).unwrap());
    kept.shelf.save(&format!("restoring-{}", id.short()), &id).unwrap();
    assert_eq!(kept.restore(&changed, Clash::Refuse).unwrap().left, []);
    assert_eq!(picture(&kept.setting.inside), before);
    assert_eq!(kept.shelf.names().unwrap(), [""; 0], "nothing is under way any more");
}

#[test]
fn a7_a_tree_of_long_paths_does_not_fill_the_memory() {
    let kept = Kept::of(Setting::in_memory());
    let mut deep = kept.setting.inside.clone();
    for _ in 0..14 {
        deep.push("d".repeat(250));
    }
    fs::create_dir_all(&deep).unwrap();
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
    let dir = rustix::fs::open(&deep, flags, Mode::empty()).unwrap();
    for n in 0..20_000 {
        rustix::fs::mknodat(&dir, format!("{n:0>250}"), FileType::RegularFile, Mode::RUSR, 0).unwrap();
    }
    let why = kept.look(&everything(), None).incomplete().unwrap().to_string();
    assert!(why.contains("64 MiB"), "{why}");
}

#[test]
fn nothing_is_put_back_where_nothing_may_be_written() {
    let kept = Kept::new();
    let changed = kept.step(&everything(), |dir| fs::write(dir.join("note.txt"), "x").unwrap());
    let workspace = Workspace::open(handle(&kept.setting.inside), RootMode::Read, Quota::default());
    let refused = workspace.restore(&kept.shelf, &changed, Clash::Override).unwrap_err().to_string();
    assert!(refused.contains("read only"), "{refused}");
    assert_eq!(fs::read_to_string(kept.at("note.txt")).unwrap(), "x");
}

#[test]
fn several_steps_are_one() {
    let kept = Kept::new();
    let before = picture(&kept.setting.inside);
    let actions: [Action; 4] = [
        |d| fs::write(d.join("note.txt"), "1").unwrap(),
        |d| {
            fs::create_dir(d.join("new")).unwrap();
            fs::write(d.join("new/a"), "a").unwrap()
        },
        |d| {
            fs::write(d.join("note.txt"), "2").unwrap();
            fs::write(d.join("new/b"), "b").unwrap()
        },
        |d| fs::remove_file(d.join("new/a")).unwrap(),
    ];
    let steps: Vec<StepChanges> = (1..)
        .zip(actions)
        .map(|(step, action)| StepChanges {
            step,
            root: String::new(),
            changes: kept.step(&everything(), action),
            incomplete: None,
            undone_ms: None,
        })
        .collect();
    let whole = combine(&steps);
    assert_eq!(whole.broken, []);
    let paths: Vec<_> = whole.changes.iter().map(|change| change.path.to_string()).collect();
    assert_eq!(paths, ["new", "new/b", "note.txt"], "what came and went is not told");
    kept.restore(&whole.changes, Clash::Refuse).unwrap();
    assert_eq!(picture(&kept.setting.inside), before);

    let by_others = combine(&[steps[0].clone(), StepChanges { step: 2, ..steps[0].clone() }]);
    assert_eq!(by_others.broken, [path("note.txt")], "somebody changed it in between");
}

/// Root goes past permissions, so this is tried as somebody else.
#[test]
fn what_was_deleted_in_a_folder_that_was_then_shut_comes_back() {
    let kept = Kept::new();
    let before = picture(&kept.setting.inside);
    let shelf = kept.setting.outside.join("../shelf");
    for entry in [&kept.setting.inside, &shelf, &shelf.join("blobs"), &shelf.join("format")] {
        std::os::unix::fs::chown(entry, Some(12345), Some(12345)).unwrap_or(());
    }
    for name in ["folder", "folder/deep.txt", "note.txt"] {
        std::os::unix::fs::chown(kept.at(name), Some(12345), Some(12345)).unwrap_or(());
    }
    chmod(kept.setting.inside.parent().unwrap(), 0o755);
    std::thread::scope(|scope| {
        let done = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                let other = rustix::fs::Uid::from_raw(12345);
                rustix::thread::set_thread_res_uid(other, other, other).unwrap();
            }
            let changed = kept.step(&everything(), |dir| {
                fs::remove_file(dir.join("folder/deep.txt")).unwrap();
                chmod(&dir.join("folder"), 0);
            });
            let paths: Vec<_> = changed.iter().map(|change| change.path.to_string()).collect();
            assert_eq!(paths, ["folder", "folder/deep.txt"]);
            assert!(matches!(changed[1].after, Some(Node::Unseen { why: Unkept::Denied })));
            assert_eq!(kept.restore(&changed, Clash::Refuse).unwrap().left, []);
        });
        done.join().unwrap();
    });
    assert_eq!(picture(&kept.setting.inside), before);
}
