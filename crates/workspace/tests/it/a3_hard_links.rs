use std::fs;

use autoshare_core::outcome::Ending;
use autoshare_workspace::WorkspaceError;

use crate::setting::{SECRET, Setting, put};

#[test]
fn a3_a_hard_link_to_a_file_outside_is_neither_read_nor_overwritten() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    let link = setting.inside.join("folder/innocent.txt");
    fs::hard_link(setting.secret(), &link).unwrap();
    assert_eq!(fs::read_to_string(&link).unwrap(), SECRET, "control: a plain open reads it");

    for refused in [workspace.read("folder/innocent.txt").map(|_| ()), put(&workspace, "folder/innocent.txt", "x")] {
        let error = refused.unwrap_err();
        assert!(matches!(error, WorkspaceError::HardLink { names: 2, found: 1, .. }), "{error:?}");
        assert_eq!((error.ending(), error.layer()), (Ending::Refused, "workspace"));
    }
    let matches = workspace.search("SECRET", ".", None).unwrap();
    assert_eq!((matches.hits.len(), matches.passed_over), (0, 1));
    setting.outside_is_untouched();
}

/// A second name inside does not make up for the one outside.
#[test]
fn a3_more_names_inside_do_not_hide_the_one_outside() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    for name in ["one", "two", "folder/three"] {
        fs::hard_link(setting.secret(), setting.inside.join(name)).unwrap();
    }
    for name in ["one", "two", "folder/three"] {
        assert!(matches!(workspace.read(name), Err(WorkspaceError::HardLink { names: 4, found: 3, .. })));
    }
    setting.outside_is_untouched();
}

#[test]
fn a3_links_that_stay_inside_work_as_cargo_and_pnpm_make_them() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    fs::create_dir_all(setting.inside.join("store/.hidden")).unwrap();
    for name in ["store/copy.txt", "store/.hidden/copy.txt"] {
        fs::hard_link(setting.inside.join("note.txt"), setting.inside.join(name)).unwrap();
    }
    for name in ["note.txt", "store/copy.txt", "store/.hidden/copy.txt"] {
        assert_eq!(workspace.read(name).unwrap(), b"a note\n");
    }
    assert_eq!(workspace.search("note", ".", None).unwrap().hits.len(), 3);
    // Writing replaces: the name gets bytes of its own, the other names keep theirs.
    put(&workspace, "store/copy.txt", "changed\n").unwrap();
    assert_eq!(workspace.read("store/copy.txt").unwrap(), b"changed\n");
    assert_eq!(workspace.read("note.txt").unwrap(), b"a note\n");
}
