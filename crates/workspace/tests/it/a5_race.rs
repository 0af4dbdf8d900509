//! A directory is swapped with a link out, for ever, while tools open beneath it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::fs::{CWD, RenameFlags};

use crate::setting::{SECRET, Setting, names, put};

const READS: u32 = 1_000_000;
const TOOLS: u32 = 100_000;

/// Exchanges two names until it is dropped.
pub struct Swapper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Swapper {
    pub fn start(one: PathBuf, other: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut swaps = 0;
            while !stopped.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                swaps += 1;
            }
            swaps
        });
        Self { stop, thread: Some(thread) }
    }

    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// `swap` is a directory with `file.txt` inside; `link` leads to a directory outside with another `file.txt`.
fn racing_ground() -> (Setting, Swapper) {
    let setting = Setting::in_memory();
    fs::create_dir(setting.inside.join("swap")).unwrap();
    fs::write(setting.inside.join("swap/file.txt"), "inside").unwrap();
    fs::write(setting.outside.join("file.txt"), SECRET).unwrap();
    symlink("../outside", setting.inside.join("link")).unwrap();
    let swapper = Swapper::start(setting.inside.join("swap"), setting.inside.join("link"));
    (setting, swapper)
}

#[test]
fn a5_swap_race_a_million_reads_and_none_escapes() {
    let (setting, swapper) = racing_ground();
    let workspace = setting.workspace();
    let (mut reached, mut refused, mut escaped) = (0u32, 0u32, 0u32);
    for _ in 0..READS {
        match workspace.read("swap/file.txt") {
            Ok(bytes) if bytes == b"inside" => reached += 1,
            Ok(_) => escaped += 1,
            Err(_) => refused += 1,
        }
    }
    let mut control = 0u32;
    for _ in 0..TOOLS {
        control += u32::from(fs::read(setting.inside.join("swap/file.txt")).is_ok_and(|b| b == SECRET.as_bytes()));
    }
    let swaps = swapper.stop();
    println!("{READS} reads, {swaps} swaps: {reached} inside, {refused} refused, {escaped} escaped; control {control}");
    assert_eq!(escaped, 0);
    assert!(reached > 0 && refused > 0, "both sides of the race were met");
    assert!(control > 0, "control: plain opens escape");
}

#[test]
fn a5_swap_race_nothing_is_written_outside() {
    let (setting, swapper) = racing_ground();
    let workspace = setting.workspace();
    let (mut written, mut refused) = (0u32, 0u32);
    for round in 0..TOOLS {
        let path = ["swap/out.txt", "swap/file.txt", "swap/new/out.txt"][round as usize % 3];
        match put(&workspace, path, "inside") {
            Ok(()) => written += 1,
            Err(_) => refused += 1,
        }
    }
    assert_eq!(names(&setting.outside), ["file.txt", "secret.txt"]);
    assert_eq!(fs::read_to_string(setting.outside.join("file.txt")).unwrap(), SECRET);
    assert!(written > 0 && refused > 0, "both sides of the race were met: {written}, {refused}");

    let escaped = (0..TOOLS).any(|_| {
        let _either_way = fs::write(setting.inside.join("swap/control.txt"), "x");
        setting.outside.join("control.txt").exists()
    });
    swapper.stop();
    assert!(escaped, "control: plain writes escape");
}

/// The last name of the path itself is swapped: with a link out, and with a FIFO on which a plain open would block.
#[test]
fn a5_swap_race_of_the_file_itself_is_not_read_through() {
    let setting = Setting::in_memory();
    let workspace = setting.workspace();
    symlink("../outside/secret.txt", setting.inside.join("link")).unwrap();
    let (fifo, mode) = (setting.inside.join("fifo"), rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for (file, other) in [("one.txt", "link"), ("two.txt", "fifo")] {
        fs::write(setting.inside.join(file), "inside").unwrap();
        let swapper = Swapper::start(setting.inside.join(file), setting.inside.join(other));
        let (mut reached, mut refused) = (0u32, 0u32);
        for _ in 0..TOOLS {
            match workspace.read(file) {
                Ok(bytes) => {
                    assert_eq!(bytes, b"inside");
                    reached += 1;
                }
                Err(_) => refused += 1,
            }
        }
        swapper.stop();
        assert!(reached > 0 && refused > 0, "both sides of the race were met: {reached}, {refused}");
    }
}

/// The link may be replaced, for that is what a write does; what it leads to is not touched.
#[test]
fn a5_swap_race_of_the_file_itself_is_not_written_through() {
    let setting = Setting::in_memory();
    let workspace = setting.workspace();
    let at = |name: &str| setting.inside.join(name);
    fs::write(at("file.txt"), "inside").unwrap();
    symlink("../outside/secret.txt", at("link")).unwrap();
    let swapper = Swapper::start(at("file.txt"), at("link"));
    let mut written = 0u32;
    for n in 0..TOOLS {
        if n >= TOOLS / 10 && written > 0 {
            break;
        }
        written += u32::from(put(&workspace, "file.txt", "inside").is_ok());
        if !at("file.txt").is_symlink() && !at("link").is_symlink() {
            symlink("../outside/secret.txt", at("fresh")).unwrap();
            fs::rename(at("fresh"), at("link")).unwrap();
        }
    }
    swapper.stop();
    assert!(written > 0);
    setting.outside_is_untouched();
}

#[test]
fn a5_swap_race_looking_through_folders_never_leaves() {
    let (setting, swapper) = racing_ground();
    let workspace = setting.workspace();
    let mut met = 0u32;
    for _ in 0..TOOLS / 10 {
        for path in [".", "swap"] {
            if let Ok(matches) = workspace.search("inside|SECRET", path, None) {
                assert!(matches.hits.iter().all(|hit| hit.text == "inside"), "{matches:?}");
                met += u32::from(!matches.hits.is_empty());
            }
            if let Ok(found) = workspace.find("secret.txt", path) {
                assert_eq!(found.paths, [""; 0]);
            }
            if let Ok((entries, _)) = workspace.list(path) {
                assert!(entries.iter().all(|entry| entry.name != "secret.txt"));
            }
        }
    }
    swapper.stop();
    assert!(met > 0);
}
