use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use autoshare_core::outcome::Ending;
use autoshare_workspace::{MAX_READ, Quota, WorkspaceError};

use crate::setting::{Setting, names, put};

#[test]
fn a7_one_huge_file_is_refused_and_nothing_is_half_written() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    let max = usize::try_from(workspace.quota().file).unwrap();
    let error = put(&workspace, "new/huge.txt", &"x".repeat(max + 1)).unwrap_err();
    assert!(matches!(error, WorkspaceError::FileTooLarge { .. }), "{error:?}");
    assert_eq!((error.ending(), error.layer()), (Ending::OverQuota, "quota"));
    assert_eq!(names(&setting.inside), ["folder", "note.txt"], "not even the directory");
    put(&workspace, "new/largest.txt", &"x".repeat(max)).unwrap();
}

#[test]
fn a7_the_bytes_of_all_files_are_bounded_and_a_full_workspace_can_be_tidied() {
    let setting = Setting::new();
    let workspace = setting.with_quota(Quota { bytes: 100_000, ..Quota::default() });
    let block = "x".repeat(16_000);
    let mut written = 0;
    let error = loop {
        match put(&workspace, &format!("f{written}"), &block) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, WorkspaceError::TooManyBytes { max: 100_000, .. }), "{error:?}");
    assert!((4..=6).contains(&written), "{written} files of 16 kB fit in 100 kB");
    assert!(!setting.inside.join(format!("f{written}")).exists());
    put(&workspace, "f0", "small").unwrap();
    put(&workspace, "f1", "small").unwrap();
    put(&workspace, "again", &block).unwrap();
}

#[test]
fn a7_a_million_small_files_stop_at_the_quota() {
    let setting = Setting::in_memory();
    let workspace = setting.with_quota(Quota { files: 500, ..Quota::default() });
    let mut written = 3;
    let error = loop {
        match put(&workspace, &format!("f{written}"), "") {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, WorkspaceError::TooManyFiles { would: 501, max: 500 }), "{error:?}");
    assert_eq!(workspace.usage().unwrap().files, 500);
    // Directories that a write would make count too.
    fs::remove_file(setting.inside.join("f3")).unwrap();
    fs::remove_file(setting.inside.join("f4")).unwrap();
    let workspace = setting.with_quota(Quota { files: 500, ..Quota::default() });
    assert!(matches!(put(&workspace, "a/b/c", ""), Err(WorkspaceError::TooManyFiles { would: 501, .. })));
    put(&workspace, "a/c", "").unwrap();
}

/// What somebody else writes is seen when the count is a second old.
#[test]
fn a7_what_others_write_is_counted_soon() {
    let setting = Setting::new();
    let workspace = setting.with_quota(Quota { files: 10, ..Quota::default() });
    put(&workspace, "first", "x").unwrap();
    for number in 0..10 {
        fs::write(setting.inside.join(format!("child{number}")), "x").unwrap();
    }
    let begun = Instant::now();
    while put(&workspace, &format!("more{:?}", begun.elapsed()), "x").is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(600));
    }
}

#[test]
fn a7_a_sparse_file_counts_what_it_holds_and_is_not_read() {
    let setting = Setting::new();
    let workspace = setting.with_quota(Quota { bytes: 1_000_000, ..Quota::default() });
    let sparse = fs::File::create(setting.inside.join("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    assert!(workspace.usage().unwrap().bytes < 1_000_000);
    put(&workspace, "still.txt", "fits").unwrap();
    let begun = Instant::now();
    for error in [workspace.read("sparse").unwrap_err(), put(&workspace, "sparse", "x").unwrap_err()] {
        assert!(matches!(error, WorkspaceError::TooLargeToRead { max: MAX_READ, .. }), "{error:?}");
        assert_eq!(error.ending(), Ending::OverQuota);
    }
    assert_eq!(workspace.search("x", ".", Some("sparse")).unwrap().passed_over, 1);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a7_a_deep_tree_is_refused_and_one_that_is_there_is_survived() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    let deepest = "d/".repeat(63) + "f";
    put(&workspace, &deepest, "x").unwrap();
    let error = put(&workspace, &("e/".repeat(64) + "f"), "x").unwrap_err();
    assert!(matches!(error, WorkspaceError::TooDeep { depth: 65, max: 64, .. }), "{error:?}");
    assert!(!setting.inside.join("e").exists());

    // Deeper than any path can name: made one step at a time.
    let mut dir = crate::setting::handle(&setting.inside);
    for _ in 0..3_000 {
        rustix::fs::mkdirat(&dir, "x", rustix::fs::Mode::RWXU).unwrap();
        dir = rustix::fs::openat(&dir, "x", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    }
    let found = workspace.find("f", ".").unwrap();
    assert!(!found.whole && found.paths.len() == 1);
    assert!(!workspace.search("x", ".", None).unwrap().whole);
    put(&workspace, "beside.txt", "x").unwrap();
}

/// The disk is full in the middle of a write. A limit on file size stands in for the disk: it needs no privilege, and
/// the kernel cuts the write short in the same way.
#[test]
fn a7_a_full_disk_leaves_the_old_file_and_no_temporary_one() {
    const INSIDE: &str = "AUTOSHARE_TEST_FILE_SIZE_LIMIT";
    if std::env::var_os(INSIDE).is_none() {
        let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact \"$1\" --nocapture";
        let test = "a7_quota::a7_a_full_disk_leaves_the_old_file_and_no_temporary_one";
        let mut child = Command::new("sh");
        child.args(["-c", script]).arg(std::env::current_exe().unwrap()).arg(test);
        let output = child.env(INSIDE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let setting = Setting::new();
    let workspace = setting.workspace();
    let large = "x".repeat(1_000_000);
    assert!(fs::write(setting.outside.join("control"), &large).is_err(), "control: the limit is in force");
    for path in ["note.txt", "new.txt", "new/folder/new.txt"] {
        let error = put(&workspace, path, &large).unwrap_err();
        assert!(matches!(error, WorkspaceError::DiskFull { errno: "EFBIG", .. }), "{error:?}");
        assert_eq!((error.ending(), error.layer()), (Ending::OverQuota, "kernel"));
    }
    assert_eq!(workspace.read("note.txt").unwrap(), b"a note\n");
    assert_eq!(names(&setting.inside), ["folder", "note.txt"], "no temporary file, no directory");
    put(&workspace, "small.txt", "fits").unwrap();
}
