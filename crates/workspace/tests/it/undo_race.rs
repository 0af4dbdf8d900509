//! Somebody changes the workspace while it is looked at or put back, or puts an end to it in the middle.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use autoshare_core::event::RootMode;
use autoshare_workspace::snapshot::{Change, Clash, Node, Shelf, changes};
use autoshare_workspace::{Quota, Workspace};

use crate::a5_race::Swapper;
use crate::setting::{SECRET, Setting, handle, names};
use crate::undo::{Kept, everything, path, picture};

const ROUNDS: u32 = 3_000;

/// `swap` is a folder with `file.txt` inside; `link` leads to a folder outside with another `file.txt`.
fn racing_ground() -> Kept {
    let kept = Kept::of(Setting::in_memory());
    fs::create_dir(kept.at("swap")).unwrap();
    fs::write(kept.at("swap/file.txt"), "inside").unwrap();
    fs::write(kept.setting.outside.join("file.txt"), SECRET).unwrap();
    symlink("../outside", kept.at("link")).unwrap();
    kept
}

#[test]
fn a5_swap_race_no_look_takes_in_what_is_outside() {
    let kept = racing_ground();
    let swapper = Swapper::start(kept.at("swap"), kept.at("link"));
    let mut control = 0u32;
    for round in 0..ROUNDS {
        kept.look(&everything(), None);
        control += u32::from(fs::read(kept.at("swap/file.txt")).is_ok_and(|bytes| bytes == SECRET.as_bytes()));
        if round % 100 == 99 {
            let blobs = kept.setting.outside.join("../shelf/blobs");
            for blob in fs::read_dir(blobs).unwrap() {
                assert_ne!(fs::read(blob.unwrap().path()).unwrap(), SECRET.as_bytes());
            }
            kept.shelf.sweep(&std::collections::BTreeSet::new()).unwrap();
        }
    }
    assert!(swapper.stop() > 0);
    assert!(control > 0, "control: plain opens escape");
}

#[test]
fn a5_swap_race_nothing_is_put_back_outside() {
    let kept = racing_ground();
    let changed = kept.step(&everything(), |dir| {
        fs::write(dir.join("swap/file.txt"), "by the step").unwrap();
        fs::create_dir(dir.join("swap/made")).unwrap();
        fs::write(dir.join("swap/made/more.txt"), "made").unwrap();
    });
    let swapper = Swapper::start(kept.at("swap"), kept.at("link"));
    let (mut done, mut refused) = (0u32, 0u32);
    for _ in 0..ROUNDS {
        match kept.restore(&changed, Clash::Override) {
            Ok(_) => done += 1,
            Err(_) => refused += 1,
        }
        assert_eq!(names(&kept.setting.outside), ["file.txt", "secret.txt"]);
        assert_eq!(fs::read_to_string(kept.setting.outside.join("file.txt")).unwrap(), SECRET);
        for folder in ["swap", "link"] {
            let at = kept.at(folder);
            if !at.is_symlink() {
                let _while_it_is_swapped = fs::write(at.join("again.txt"), "x");
            }
        }
        let _while_it_is_swapped = fs::remove_file(kept.setting.outside.join("again.txt"));
    }
    assert!(swapper.stop() > 0);
    assert!(done > 0, "{done} done, {refused} refused");
}

#[test]
fn a5_swap_race_of_the_file_itself_is_not_put_back_through() {
    let kept = racing_ground();
    symlink("../outside/secret.txt", kept.at("out")).unwrap();
    let changed = kept.step(&everything(), |dir| fs::write(dir.join("note.txt"), "by the step").unwrap());
    let swapper = Swapper::start(kept.at("note.txt"), kept.at("out"));
    for _ in 0..ROUNDS {
        let _either_way = kept.restore(&changed, Clash::Override);
    }
    swapper.stop();
    assert_eq!(fs::read_to_string(kept.setting.secret()).unwrap(), SECRET);
}

const WORKER: &str = "AUTOSHARE_TEST_RESTORE_IN";

/// A FIFO on which a plain open would wait for ever.
#[test]
fn a6_a_file_that_becomes_a_fifo_does_not_hold_up_a_look() {
    let kept = Kept::of(Setting::in_memory());
    let fifo = kept.at("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let (mut as_file, mut as_fifo) = (0u32, 0u32);
    let swapper = Swapper::start(kept.at("note.txt"), fifo);
    for _ in 0..ROUNDS {
        match kept.look(&everything(), None).node(&path("note.txt")) {
            Some(Node::File { .. }) => as_file += 1,
            Some(Node::Special { .. }) => as_fifo += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(swapper.stop() > 0);
    assert!(as_file > 0 && as_fifo > 0, "both sides of the race were met: {as_file}, {as_fifo}");
}

/// What the killed process does.
fn put_back(dir: &Path) {
    let shelf = Shelf::open(handle(&dir.join("shelf"))).unwrap();
    let changed: Vec<Change> = shelf.load("step").unwrap().unwrap();
    let workspace = Workspace::open(handle(&dir.join("inside")), RootMode::Write, Quota::default());
    workspace.restore(&shelf, &changed, Clash::Refuse).unwrap();
}

#[test]
fn a_restore_that_is_killed_is_run_again() {
    if let Some(dir) = std::env::var_os(WORKER) {
        return put_back(Path::new(&dir));
    }
    let mut cut_off = 0;
    for round in 0..12u64 {
        let kept = Kept::new();
        let dir = kept.setting.inside.parent().unwrap().to_owned();
        for n in 0..20 {
            fs::write(kept.at(&format!("old{n}")), n.to_string()).unwrap();
            fs::create_dir_all(kept.at(&format!("was-folder{n}/in"))).unwrap();
            fs::write(kept.at(&format!("was-file{n}")), "file").unwrap();
        }
        let before = picture(&kept.setting.inside);
        let one = kept.look(&everything(), None);
        for n in 0..20 {
            fs::write(kept.at(&format!("old{n}")), "changed").unwrap();
            fs::remove_dir_all(kept.at(&format!("was-folder{n}"))).unwrap();
            fs::write(kept.at(&format!("was-folder{n}")), "now a file").unwrap();
            fs::remove_file(kept.at(&format!("was-file{n}"))).unwrap();
            fs::create_dir_all(kept.at(&format!("was-file{n}/in"))).unwrap();
            fs::write(kept.at(&format!("new{n}")), "new").unwrap();
        }
        let after = picture(&kept.setting.inside);
        let changed = changes(&one, &kept.look(&everything(), Some(&one)), &kept.shelf).unwrap();
        kept.shelf.save("step", &changed).unwrap();
        let mut worker = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "undo_race::a_restore_that_is_killed_is_run_again", "--nocapture"])
            .env(WORKER, &dir)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // From the first change on, in small steps.
        let is_under_way = || kept.shelf.names().unwrap().iter().any(|name| name.starts_with("restoring"));
        while !is_under_way() && worker.try_wait().unwrap().is_none() {}
        std::thread::sleep(std::time::Duration::from_micros(round * 1_000));
        worker.kill().unwrap();
        worker.wait().unwrap();
        let now = picture(&kept.setting.inside);
        cut_off += u32::from(now != before && now != after);
        kept.restore(&changed, Clash::Refuse).unwrap_or_else(|e| panic!("round {round}: {e}"));
        assert_eq!(picture(&kept.setting.inside), before, "round {round}");
    }
    assert!(cut_off > 0, "it was killed in the middle at least once");
}
