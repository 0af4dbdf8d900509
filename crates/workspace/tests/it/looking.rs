use std::fs;
use std::time::{Duration, Instant};

use autoshare_workspace::{MAX_RESULTS, WorkspaceError};

use crate::setting::{Setting, put};

fn tree() -> Setting {
    let setting = Setting::new();
    for (path, content) in [
        ("src/main.rs", "fn main() {}\n// TODO one\n"),
        ("src/lib.rs", "// todo two\r\n// TODO three"),
        ("src/deep/er/mod.rs", "TODO four\n\n"),
        ("src/data.bin", "TODO\0binary"),
        (".hidden/x.rs", "TODO five\n"),
        (".git/objects/x.rs", "TODO never\n"),
        (".autoshare-results/step-0001.txt", "TODO seen before\n"),
        ("src/.autoshare-results/x.rs", "TODO seen before\n"),
    ] {
        let path = setting.inside.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    setting
}

#[test]
fn find_matches_names_or_paths_in_order() {
    let workspace = tree().keep();
    for (pattern, path, expected) in [
        ("*.rs", ".", &[".hidden/x.rs", "src/deep/er/mod.rs", "src/lib.rs", "src/main.rs"][..]),
        ("*.rs", "src/deep", &["src/deep/er/mod.rs"]),
        ("src/*.rs", ".", &["src/lib.rs", "src/main.rs"]),
        ("**/er/*", ".", &["src/deep/er/mod.rs"]),
        ("de*", ".", &["folder/deep.txt", "src/deep/"]),
        ("{main,lib}.rs", "./src/", &["src/lib.rs", "src/main.rs"]),
        ("nothing*", ".", &[]),
    ] {
        let found = workspace.1.find(pattern, path).unwrap();
        assert_eq!(found.paths, expected, "{pattern} in {path}");
        assert!(found.whole && found.more == 0);
    }
    for bad in ["[", "{a", "a".repeat(2000).as_str()] {
        assert!(matches!(workspace.1.find(bad, "."), Err(WorkspaceError::BadPattern { .. })), "{bad}");
    }
}

impl Setting {
    fn keep(self) -> (Self, autoshare_workspace::Workspace) {
        let workspace = self.workspace();
        (self, workspace)
    }
}

#[test]
fn search_gives_lines_with_their_places() {
    let (_setting, workspace) = tree().keep();
    let said = |pattern: &str, path: &str, glob| {
        let hits = workspace.search(pattern, path, glob).unwrap().hits;
        hits.iter().map(|hit| format!("{}:{}:{}", hit.path, hit.line, hit.text)).collect::<Vec<_>>()
    };
    assert_eq!(
        said("TODO", ".", None),
        [
            ".hidden/x.rs:1:TODO five",
            "src/deep/er/mod.rs:1:TODO four",
            "src/lib.rs:2:// TODO three",
            "src/main.rs:2:// TODO one",
        ]
    );
    assert_eq!(said("(?i)todo two$", ".", None), ["src/lib.rs:1:// todo two"]);
    assert_eq!(said("TODO", "src/main.rs", None), ["src/main.rs:2:// TODO one"]);
    assert_eq!(said("TODO", "src", Some("l*.rs")), ["src/lib.rs:2:// TODO three"]);
    assert_eq!(said("^$", "src/deep", None), ["src/deep/er/mod.rs:2:"], "the end of the last line is no line");
    assert_eq!(workspace.search("TODO", ".", None).unwrap().passed_over, 1, "the binary file");
    assert!(matches!(workspace.search("(", ".", None), Err(WorkspaceError::BadPattern { .. })));
    assert!(matches!(workspace.search("x", "nowhere", None), Err(WorkspaceError::NotFound { .. })));
}

#[test]
fn search_takes_linear_time_and_bounded_memory_whatever_the_pattern() {
    let (setting, workspace) = Setting::new().keep();
    fs::write(setting.inside.join("bomb.txt"), "a".repeat(200_000) + "!\n").unwrap();
    let begun = Instant::now();
    for pattern in ["^(a+)+$", "(a|a)*b", "(.*)*x", "(a?){30}a{30}c"] {
        assert_eq!(workspace.search(pattern, "bomb.txt", None).unwrap().hits.len(), 0, "{pattern}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for pattern in [r"\w{1000}{1000}", "((a{100}){100}){100}", r"\pL{5000}"] {
        let error = workspace.search(pattern, ".", None).unwrap_err();
        assert!(matches!(error, WorkspaceError::BadPattern { .. }), "{pattern}");
    }
}

#[test]
fn what_is_too_much_to_show_is_counted() {
    let (setting, workspace) = Setting::new().keep();
    let lines = (0..MAX_RESULTS + 7).map(|number| format!("hit {number}\n")).collect::<String>();
    fs::write(setting.inside.join("lines.txt"), lines + &"long ".repeat(1000)).unwrap();
    let matches = workspace.search("hit", ".", None).unwrap();
    assert_eq!((matches.hits.len(), matches.more), (MAX_RESULTS, 7));
    assert!(workspace.search("long", ".", None).unwrap().hits[0].text.len() <= 400);
    fs::create_dir(setting.inside.join("many")).unwrap();
    for number in 0..MAX_RESULTS + 5 {
        fs::write(setting.inside.join(format!("many/{number}")), "").unwrap();
    }
    let found = workspace.find("*", "many").unwrap();
    assert_eq!((found.paths.len(), found.more), (MAX_RESULTS, 5));
}

#[test]
fn a_read_only_root_is_read_and_not_written() {
    let (setting, _) = tree().keep();
    let root = autoshare_workspace::Workspace::open(
        crate::setting::handle(&setting.inside),
        autoshare_core::event::RootMode::Read,
        autoshare_workspace::Quota::default(),
    );
    assert_eq!(root.read("note.txt").unwrap(), b"a note\n");
    assert!(matches!(put(&root, "note.txt", "x"), Err(WorkspaceError::ReadOnlyRoot { .. })));
    assert!(matches!(put(&root, "new.txt", "x"), Err(WorkspaceError::ReadOnlyRoot { .. })));
}

#[test]
fn results_that_were_kept_are_passed_over_and_read_by_name() {
    let (_setting, workspace) = tree().keep();
    let (entries, _) = workspace.list(".").unwrap();
    assert!(entries.iter().any(|entry| entry.name == ".hidden"), "the control");
    assert!(entries.iter().all(|entry| entry.name != ".autoshare-results"), "{entries:?}");
    assert!(workspace.find("**", ".").unwrap().paths.iter().all(|path| !path.contains("autoshare")));
    assert!(workspace.search("seen before", ".", None).unwrap().hits.is_empty());
    let kept = ".autoshare-results/step-0001.txt";
    assert_eq!(workspace.read(kept).unwrap(), b"TODO seen before\n");
    assert_eq!(workspace.search("seen", kept, None).unwrap().hits.len(), 1);
    assert_eq!(workspace.search("seen", ".autoshare-results", None).unwrap().hits.len(), 1);
}
