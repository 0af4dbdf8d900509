//! What is taken out of a workspace for somebody else: all that is there, as it is, or nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use autoshare_workspace::{Copied, CopyBounds, CopyError};

use crate::setting::{SECRET, Setting, handle, names};

const BOUNDS: CopyBounds = CopyBounds { files: 100, bytes: 1 << 20 };

fn copied(setting: &Setting, path: &str, bounds: CopyBounds) -> (tempfile::TempDir, Result<Copied, CopyError>) {
    let to = tempfile::tempdir().unwrap();
    let done = setting.workspace().copy_to(path, handle(to.path()), bounds);
    (to, done)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_folder_comes_whole_and_its_digest_is_of_all_that_it_holds() {
    let setting = Setting::new();
    let inner = setting.inside.join("folder/.git/empty");
    fs::create_dir_all(&inner).unwrap();
    fs::write(setting.inside.join("folder/.git/run"), "x").unwrap();
    fs::set_permissions(setting.inside.join("folder/.git/run"), PermissionsExt::from_mode(0o4755)).unwrap();
    fs::hard_link(setting.inside.join("folder/deep.txt"), setting.inside.join("folder/twice.txt")).unwrap();
    let (to, done) = copied(&setting, "folder", BOUNDS);
    let first = done.unwrap();
    assert_eq!((first.files, first.bytes), (3, 11));
    assert_eq!(names(to.path()), [".git", "deep.txt", "twice.txt"]);
    assert_eq!(fs::read_to_string(to.path().join("deep.txt")).unwrap(), "deep\n");
    assert_eq!((mode(&to.path().join(".git/empty")), mode(&to.path().join(".git/run"))), (0o755, 0o644));

    assert_eq!(copied(&setting, "./folder/", BOUNDS).1.unwrap(), first, "the same is the same");
    let path = |name: &str| setting.inside.join("folder").join(name);
    let changes: [(&str, &dyn Fn()); 4] = [
        ("a byte", &|| fs::write(path(".git/run"), "y").unwrap()),
        ("a name", &|| fs::rename(path(".git/run"), path(".git/ran")).unwrap()),
        ("a folder", &|| fs::create_dir(path("new")).unwrap()),
        ("an empty file", &|| fs::write(path("new/none"), "").unwrap()),
    ];
    let mut seen = vec![first.digest];
    for (what, change) in changes {
        change();
        let digest = copied(&setting, "folder", BOUNDS).1.unwrap().digest;
        assert!(!seen.contains(&digest), "{what}");
        seen.push(digest);
    }
}

#[test]
fn a_file_comes_alone_and_bounds_are_kept_to_the_byte() {
    let setting = Setting::new();
    let (to, done) = copied(&setting, "folder/deep.txt", CopyBounds { files: 1, bytes: 5 });
    assert_eq!((done.unwrap().bytes, names(to.path())), (5, vec!["deep.txt".to_owned()]));
    let less = copied(&setting, "folder/deep.txt", CopyBounds { files: 1, bytes: 4 }).1;
    assert!(matches!(less, Err(CopyError::TooManyBytes { max: 4 })), "{less:?}");
    let whole = |files| copied(&setting, ".", CopyBounds { files, bytes: 12 }).1;
    assert!(whole(3).is_ok());
    assert!(matches!(whole(2), Err(CopyError::TooManyFiles { max: 2 })));
}

/// Row A5: while a file and the folder that it is in are exchanged for links to what lies outside, again and again.
#[test]
fn a5_nothing_from_outside_is_copied_while_names_are_exchanged_for_links() {
    let setting = Setting::in_memory();
    let workspace = setting.workspace();
    let (file, folder) = (setting.inside.join("folder/secret.txt"), setting.inside.join("folder"));
    let (aside, link) = (setting.inside.join("aside"), setting.inside.join("link"));
    fs::write(&file, "mine").unwrap();
    symlink(&setting.outside, &link).unwrap();
    assert_eq!(fs::read_to_string(link.join("secret.txt")).unwrap(), SECRET, "control");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                fs::rename(&folder, &aside).unwrap();
                fs::rename(&link, &folder).unwrap();
                fs::rename(&folder, &link).unwrap();
                fs::rename(&aside, &folder).unwrap();
            }
        });
        let (mut whole, mut refused) = (0, 0);
        for round in 0..3_000 {
            let to = tempfile::tempdir_in("/dev/shm").unwrap();
            let path = ["folder", "folder/secret.txt", "."][round % 3];
            match workspace.copy_to(path, handle(to.path()), BOUNDS) {
                Ok(_) => whole += 1,
                Err(_) => refused += 1,
            }
            for found in ["secret.txt", "folder/secret.txt", "link/secret.txt"] {
                let text = fs::read_to_string(to.path().join(found)).unwrap_or_default();
                assert!(!text.contains(SECRET), "{path}");
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(whole > 0 && refused > 0, "it was raced: {whole} whole, {refused} refused");
    });
    setting.outside_is_untouched();
}
