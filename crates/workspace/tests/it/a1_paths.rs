use std::fs;

use autoshare_core::outcome::Ending;
use autoshare_workspace::{WorkspaceError, ask_kernel};

use crate::setting::{SECRET, Setting, put};

/// Ways out that a plain open would take, relative to the workspace.
const WAYS_OUT: &[&str] = &[
    "../outside/secret.txt",
    "folder/../../outside/secret.txt",
    "folder/../../outside/../outside/secret.txt",
    "./../outside/secret.txt",
    "folder/./.././../outside/secret.txt",
    "..//outside///secret.txt",
    "../inside/../outside/secret.txt",
    "nowhere/../../outside/secret.txt",
];

#[test]
fn a1_dots_do_not_lead_out() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    for way in WAYS_OUT {
        let control = fs::read_to_string(setting.inside.join(way.replace("nowhere/", "folder/")));
        assert_eq!(control.unwrap(), SECRET, "control: {way} leads out where nothing stops it");
        for refused in [workspace.read(way).map(|_| ()), put(&workspace, way, "x"), workspace.list(way).map(|_| ())] {
            let error = refused.unwrap_err();
            assert!(matches!(error, WorkspaceError::Outside { errno: "EXDEV", .. }), "{way}: {error:?}");
            assert_eq!((error.ending(), error.layer()), (Ending::Refused, "kernel"));
        }
    }
    setting.outside_is_untouched();
}

#[test]
fn a1_absolute_paths_do_not_lead_out() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    let descriptor = fs::File::open(&setting.outside).unwrap();
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&descriptor);
    let secret = setting.secret();
    let secret = secret.to_str().unwrap();
    let ways = [
        secret.to_owned(),
        format!("/{secret}"),
        format!("/proc/self/root{secret}"),
        format!("/proc/self/fd/{descriptor}/secret.txt"),
        format!("/proc/self/cwd/../../../../../../../../{secret}"),
        format!("/dev/../{secret}"),
    ];
    for way in &ways {
        assert_eq!(fs::read_to_string(way).unwrap(), SECRET, "control: {way}");
        let error = workspace.read(way).unwrap_err();
        assert!(matches!(error, WorkspaceError::Outside { .. }), "{way}: {error:?}");
        assert!(matches!(put(&workspace, way, "x"), Err(WorkspaceError::Outside { .. })), "{way}");
    }
    setting.outside_is_untouched();
}

#[test]
fn a1_what_is_no_path_is_refused_with_the_reason() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    let long_name = "n".repeat(256);
    let long_path = "d/".repeat(2048);
    for (path, why) in [
        ("", "empty"),
        ("note.txt\0.png", "NUL"),
        ("\0", "NUL"),
        (long_name.as_str(), "too long"),
        (long_path.as_str(), "4095"),
    ] {
        for refused in [workspace.read(path).map(|_| ()), put(&workspace, path, "x")] {
            let error = refused.unwrap_err();
            assert!(matches!(error, WorkspaceError::BadPath { .. }), "{error:?}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}

#[test]
fn a1_a_tilde_is_a_name_like_any_other() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    assert!(matches!(workspace.read("~/note.txt"), Err(WorkspaceError::NotFound { .. })));
    put(&workspace, "~/note.txt", "mine").unwrap();
    assert_eq!(fs::read_to_string(setting.inside.join("~/note.txt")).unwrap(), "mine");
}

#[test]
fn a1_names_that_are_not_utf8_are_shown_and_searched_but_cannot_feign_lines() {
    use std::os::unix::ffi::OsStrExt as _;
    let setting = Setting::new();
    let workspace = setting.workspace();
    fs::write(setting.inside.join(std::ffi::OsStr::from_bytes(b"\xff\n\x1b[31mname")), "needle\n").unwrap();
    let found = workspace.find("*name", ".").unwrap();
    assert_eq!(found.paths, ["\u{fffd}\\n\\u{1b}[31mname"]);
    let hits = workspace.search("needle", ".", None).unwrap().hits;
    assert_eq!(hits[0].path, "\u{fffd}\\n\\u{1b}[31mname");
}

/// The neighbours that must go on working, or the boundary would be a wall.
#[test]
fn a1_paths_that_stay_below_work_however_they_are_written() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    for (path, content) in [
        ("note.txt", "a note\n"),
        ("./note.txt", "a note\n"),
        (".//./note.txt", "a note\n"),
        ("folder/../note.txt", "a note\n"),
        ("folder/deep.txt", "deep\n"),
        ("folder//deep.txt", "deep\n"),
        ("folder/../folder/./deep.txt", "deep\n"),
    ] {
        assert_eq!(workspace.read(path).unwrap(), content.as_bytes(), "{path}");
        put(&workspace, path, content).unwrap();
    }
    for name in ["..note", "a..b", "...", "-rf", "$HOME", "*", "; rm -rf ~", "ä ö\u{1f600}"] {
        put(&workspace, name, name).unwrap();
        assert_eq!(workspace.read(name).unwrap(), name.as_bytes());
    }
}

#[test]
fn a1_a_path_outside_is_tried_against_the_kernel_and_what_it_says_is_reported() {
    let setting = Setting::new();
    let secret = setting.secret();
    let there = ask_kernel(secret.to_str().unwrap());
    assert!(matches!(there, WorkspaceError::OutsideExists { .. }));
    assert_eq!((there.ending(), there.layer()), (Ending::Refused, "workspace"));
    assert!(!there.to_string().contains(SECRET));
    let absent = ask_kernel("/nowhere/at/all");
    assert!(matches!(absent, WorkspaceError::OutsideRefused { errno: "ENOENT", .. }), "{absent:?}");
    assert_eq!((absent.ending(), absent.layer()), (Ending::Refused, "kernel"));
    assert!(matches!(ask_kernel("/a\0b"), WorkspaceError::OutsideRefused { errno: "EINVAL", .. }));
}
