use std::fs;
use std::os::unix::fs::symlink;

use autoshare_core::outcome::Ending;
use autoshare_workspace::{Kind, WorkspaceError};

use crate::setting::{SECRET, Setting, put};

#[test]
fn a2_links_that_lead_out_are_not_followed() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    let at = |name: &str| setting.inside.join(name);
    symlink("../outside/secret.txt", at("relative")).unwrap();
    symlink(setting.secret(), at("absolute")).unwrap();
    symlink("../outside", at("folder-out")).unwrap();
    symlink(&setting.outside, at("folder-out-absolute")).unwrap();
    symlink("relative", at("link-to-link")).unwrap();
    symlink("folder/../../outside/secret.txt", at("through-folder")).unwrap();
    symlink("..", at("up")).unwrap();
    symlink(format!("/proc/self/root{}", setting.secret().display()), at("magic")).unwrap();
    symlink(at("note.txt"), at("absolute-inside")).unwrap();
    for way in [
        "relative",
        "absolute",
        "folder-out/secret.txt",
        "folder-out-absolute/secret.txt",
        "link-to-link",
        "through-folder",
        "up/outside/secret.txt",
        "magic",
    ] {
        assert_eq!(fs::read_to_string(at(way)).unwrap(), SECRET, "control: {way}");
        let error = workspace.read(way).unwrap_err();
        assert_eq!((error.ending(), error.layer()), (Ending::Refused, "kernel"), "{way}: {error:?}");
        let error = put(&workspace, way, "x").unwrap_err();
        assert_eq!((error.ending(), error.layer()), (Ending::Refused, "kernel"), "{way}: {error:?}");
    }
    for way in ["folder-out", "folder-out-absolute", "up"] {
        assert!(workspace.list(way).is_err(), "{way}");
        assert!(workspace.find("*", way).is_err(), "{way}");
        assert!(workspace.search(SECRET, way, None).is_err(), "{way}");
        assert!(put(&workspace, &format!("{way}/new.txt"), "x").is_err(), "{way}");
        assert!(put(&workspace, &format!("{way}/new/newer.txt"), "x").is_err(), "{way}");
    }
    // An absolute link is a claim about names outside, even where it happens to point back in.
    assert!(matches!(workspace.read("absolute-inside"), Err(WorkspaceError::Outside { .. })));
    setting.outside_is_untouched();
}

#[test]
fn a2_dangling_links_and_loops_end_clearly() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    symlink("nothing-here", setting.inside.join("dangling")).unwrap();
    symlink("../outside/new.txt", setting.inside.join("dangling-out")).unwrap();
    symlink("loop-b", setting.inside.join("loop-a")).unwrap();
    symlink("loop-a", setting.inside.join("loop-b")).unwrap();
    symlink(".", setting.inside.join("here")).unwrap();
    assert!(matches!(workspace.read("dangling"), Err(WorkspaceError::NotFound { .. })));
    assert!(matches!(workspace.read("dangling-out"), Err(WorkspaceError::Outside { .. })));
    assert!(matches!(workspace.read("loop-a"), Err(WorkspaceError::Link { errno: "ELOOP", .. })));
    for link in ["dangling", "dangling-out", "loop-a", "here"] {
        assert!(matches!(put(&workspace, link, "x"), Err(WorkspaceError::Link { .. })), "{link}");
        assert!(fs::symlink_metadata(setting.inside.join(link)).unwrap().is_symlink(), "{link} stays a link");
    }
    let endless = "here/".repeat(60) + "note.txt";
    assert!(matches!(workspace.read(&endless), Err(WorkspaceError::Link { errno: "ELOOP", .. })));
    setting.outside_is_untouched();
}

#[test]
fn a2_links_that_stay_beneath_are_read_and_never_written_through() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    symlink("folder/deep.txt", setting.inside.join("file")).unwrap();
    symlink("folder", setting.inside.join("dir")).unwrap();
    symlink("../note.txt", setting.inside.join("folder/up")).unwrap();
    assert_eq!(workspace.read("file").unwrap(), b"deep\n");
    assert_eq!(workspace.read("dir/deep.txt").unwrap(), b"deep\n");
    assert_eq!(workspace.read("folder/up").unwrap(), b"a note\n");
    for (path, real) in [
        ("note.txt", "note.txt"),
        ("file", "folder/deep.txt"),
        ("dir/deep.txt", "folder/deep.txt"),
        ("dir", "folder"),
        ("dir/up", "note.txt"),
        ("folder/../file", "folder/deep.txt"),
    ] {
        assert_eq!(workspace.look(path).unwrap().0, real, "{path} is told by its real name");
    }
    let (entries, _) = workspace.list("dir").unwrap();
    assert_eq!(entries.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["deep.txt", "up"]);
    assert_eq!(entries[1].kind, Kind::Link);
    for way in ["file", "dir/deep.txt", "dir/new.txt", "folder/up"] {
        let error = put(&workspace, way, "x").unwrap_err();
        assert!(matches!(error, WorkspaceError::Link { errno: "ELOOP", .. }), "{way}: {error:?}");
        assert!(error.to_string().contains("real path"), "{error}");
    }
    assert_eq!(workspace.read("folder/deep.txt").unwrap(), b"deep\n");
}
