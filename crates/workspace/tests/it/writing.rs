use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use autoshare_core::Digest;
use autoshare_core::outcome::FileState;
use autoshare_workspace::WorkspaceError;

use crate::setting::{Setting, names, put, tag};

fn mode(setting: &Setting, path: &str) -> u32 {
    fs::metadata(setting.inside.join(path)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_write_makes_folders_keeps_permissions_and_leaves_nothing_beside() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    put(&workspace, "new/folder/file.txt", "one").unwrap();
    assert_eq!((mode(&setting, "new/folder/file.txt"), mode(&setting, "new/folder") & 0o722), (0o644, 0o700));
    for kept in [0o600, 0o755, 0o640] {
        fs::set_permissions(setting.inside.join("note.txt"), fs::Permissions::from_mode(kept)).unwrap();
        put(&workspace, "note.txt", &format!("{kept}")).unwrap();
        assert_eq!(mode(&setting, "note.txt"), kept);
    }
    fs::set_permissions(setting.inside.join("note.txt"), fs::Permissions::from_mode(0o4755)).unwrap();
    put(&workspace, "note.txt", "new").unwrap();
    assert_eq!(mode(&setting, "note.txt"), 0o755, "new bytes do not inherit another's right to run");
    assert_eq!(names(&setting.inside), ["folder", "new", "note.txt"]);
    assert_eq!(names(&setting.inside.join("new/folder")), ["file.txt"]);
}

#[test]
fn a_write_happens_only_if_the_file_is_as_expected() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    let seen = workspace.target("note.txt").unwrap();
    assert_eq!(seen.before, Some(FileState { digest: Digest::of(b"a note\n"), len: 7 }));
    fs::write(setting.inside.join("note.txt"), "somebody else").unwrap();
    for expected in [seen.before.as_ref(), None] {
        let error = workspace.write("note.txt", b"mine", expected, tag("t")).unwrap_err();
        assert!(matches!(error, WorkspaceError::Changed { .. }), "{error:?}");
    }
    let error = workspace.write("absent.txt", b"mine", seen.before.as_ref(), tag("t")).unwrap_err();
    assert!(matches!(error, WorkspaceError::Changed { .. }), "{error:?}");
    assert_eq!(workspace.read("note.txt").unwrap(), b"somebody else");
    assert_eq!(names(&setting.inside), ["folder", "note.txt"]);
}

#[test]
fn a_file_marked_read_only_stays_as_it_is() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    fs::set_permissions(setting.inside.join("note.txt"), fs::Permissions::from_mode(0o444)).unwrap();
    assert!(matches!(put(&workspace, "note.txt", "x"), Err(WorkspaceError::ReadOnlyFile { .. })));
    assert_eq!(workspace.read("note.txt").unwrap(), b"a note\n");
}

/// A crash between the temporary file and the rename: the same tag finds it again, another does not touch it.
#[test]
fn what_a_crash_left_is_cleared_by_its_tag_and_does_not_hinder() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    let left = {
        let name = format!(".autoshare-{}.tmp", Digest::of(b"crashed").short());
        setting.inside.join("folder").join(name)
    };
    fs::write(&left, "half").unwrap();
    workspace.clear("folder/deep.txt", tag("another")).unwrap();
    assert!(left.exists());
    workspace.clear("folder/deep.txt", tag("crashed")).unwrap();
    assert!(!left.exists());
    workspace.clear("folder/deep.txt", tag("crashed")).unwrap();
    workspace.clear("not/there.txt", tag("crashed")).unwrap();

    std::os::unix::fs::symlink(setting.secret(), &left).unwrap();
    workspace.write("folder/new.txt", b"whole", None, tag("crashed")).unwrap();
    assert_eq!(workspace.read("folder/new.txt").unwrap(), b"whole");
    assert!(!left.is_symlink(), "a planted link in the temporary file's place is removed, not followed");
    setting.outside_is_untouched();
}
