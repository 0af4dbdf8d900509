use std::fs;
use std::os::unix::fs::symlink;

use crate::setting::{SECRET, Setting};

/// Looking through a folder that holds ways out, also after it was renamed: the links are named, never followed.
#[test]
fn a4_a_folder_that_holds_a_link_out_gives_nothing_away() {
    let setting = Setting::new();
    let workspace = setting.workspace();
    symlink("../../outside", setting.inside.join("folder/out")).unwrap();
    symlink("../../outside/secret.txt", setting.inside.join("folder/out.txt")).unwrap();
    fs::hard_link(setting.secret(), setting.inside.join("folder/hard.txt")).unwrap();
    fs::create_dir(setting.inside.join("a")).unwrap();

    for folder in ["folder", "renamed", "a/moved"] {
        if folder != "folder" {
            let from = if folder == "renamed" { "folder" } else { "renamed" };
            fs::rename(setting.inside.join(from), setting.inside.join(folder)).unwrap();
        }
        let matches = workspace.search(SECRET, ".", None).unwrap();
        assert_eq!(matches.hits, [], "{folder}");
        let found = workspace.find("**/*", folder).unwrap().paths;
        let expected = ["deep.txt", "hard.txt", "out", "out.txt"].map(|name| format!("{folder}/{name}"));
        assert_eq!(found, expected);
        for name in ["out/secret.txt", "out.txt", "hard.txt"] {
            assert!(workspace.read(&format!("{folder}/{name}")).is_err(), "{folder}/{name}");
        }
    }
    setting.outside_is_untouched();
}
