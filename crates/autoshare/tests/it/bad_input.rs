//! Bad input: one or two lines that say what is wrong and what to do, and the exit code that the documentation names.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::desk::{Desk, Ran};

#[test]
fn a_slip_gets_a_clear_word_and_the_documented_code() {
    let desk = Desk::new();
    std::fs::write(desk.home.join("file"), "x").unwrap();
    let home = desk.home.display().to_string();
    let file = format!("{home}/file");
    let missing = format!("{home}/missing");
    for (args, code, words) in [
        (vec!["run", "hello", "--model", "gullible", "--workspace", &missing], 2, "there is no such folder"),
        (vec!["run", "hello", "--model", "gullible", "--workspace", &file], 2, "not a folder"),
        (vec!["run", "hello", "--model", "gullible", "--workspace", "/"], 2, "no workspace"),
        (vec!["run", "", "--model", "gullible"], 2, "say what is to be reached"),
        (vec!["run", "hello", "--model", "gullible", "--max-cost", "minus one"], 2, "amount of dollars"),
        (vec!["run", "hello", "--model", "replay:/missing.json"], 2, "/missing.json"),
        (vec!["show", "zzzz"], 6, "zzzz"),
        (vec!["resume", "zzzz"], 6, "zzzz"),
        (vec!["stop", "zzzz"], 6, "zzzz"),
        (vec!["ps", "--config", &missing], 2, "missing"),
    ] {
        let ran = desk.autoshare(&args);
        assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
        assert!(ran.err.contains(words), "{args:?}: {ran:?}");
        assert!((1..=3).contains(&ran.err.lines().count()), "{args:?}: {ran:?}");
    }
}

#[test]
fn no_model_to_be_found_says_how_to_get_one() {
    let ran = Desk::new().autoshare(["run", "hello"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("OPENAI_API_KEY") && ran.err.contains("autoshare demo"), "{ran:?}");
}

#[test]
fn a8_settings_are_read_in_their_plain_meaning_or_refuse() {
    for (value, code) in [("true", 0), ("1", 0), ("yes", 0), ("Flase", 2), ("", 2), ("sudo, su", 2)] {
        let desk = Desk::new();
        let output = desk.command(["ps"]).env("RESTRICT_TO_WORKSPACE", value).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{value:?}");
    }
}

#[test]
fn a8_an_unknown_key_refuses_to_start_and_is_named() {
    let desk = Desk::new();
    let config = desk.home.join("autoshare.toml");
    std::fs::write(&config, "[workspace]\nrestrikt = false\n").unwrap();
    let ran = desk.autoshare(["ps", "--config", config.to_str().unwrap()]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("restrikt"), "{ran:?}");
    let env = desk.home.join("env");
    std::fs::write(&env, "RESTRICT_TO_WORKSPCE=False\n").unwrap();
    let ran = desk.autoshare(["ps", "--env-file", env.to_str().unwrap()]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("RESTRICT_TO_WORKSPCE"), "{ran:?}");
}

#[test]
fn a9_no_configuration_is_read_from_below_a_workspace() {
    let desk = Desk::new();
    desk.write("autoshare.toml", "[limits]\nmax_steps = 1\n");
    desk.write(".env", "RESTRICT_TO_WORKSPACE=False\n");
    let config = desk.workspace.join("autoshare.toml");
    let named = desk.autoshare(["run", "read a.txt", "--model", "gullible", "--config", config.to_str().unwrap()]);
    assert_eq!(named.code, Some(2), "{named:?}");
    assert!(named.err.contains("below the workspace"), "{named:?}");
    let silent = desk.autoshare(["run", "write \"hi\" to a.txt", "--model", "gullible"]);
    assert_eq!(silent.code, Some(0), "{silent:?}");
    assert!(!silent.err.contains("RESTRICT_TO_WORKSPACE"), "{silent:?}");
}

#[test]
fn a9_a_workspace_that_holds_our_own_data_is_refused() {
    let desk = Desk::new();
    let ran = desk.autoshare(["run", "hello", "--model", "gullible", "--workspace", desk.home.to_str().unwrap()]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("below the workspace"), "{ran:?}");
}

#[test]
fn a9_a_folder_that_holds_this_program_is_refused() {
    let desk = Desk::new();
    let (built, copy) = (env!("CARGO_BIN_EXE_autoshare"), desk.workspace.join("autoshare"));
    if std::fs::hard_link(built, &copy).is_err() {
        std::fs::copy(built, &copy).unwrap();
    }
    let run = |binary: &Path| Ran::of(desk.command_of(binary, ["exec", "--", "true"]).output().unwrap());
    let ran = run(&copy);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("is this program itself"), "{ran:?}");
    assert_eq!(run(Path::new(built)).code, Some(0), "the control");
}

#[test]
fn data_and_keys_are_nobody_elses() {
    let desk = Desk::new();
    assert_eq!(desk.autoshare(["run", "write \"hi\" to a.txt", "--model", "gullible"]).code, Some(0));
    let mut pending = vec![desk.data()];
    let mut seen = 0;
    while let Some(path) = pending.pop() {
        let found = std::fs::symlink_metadata(&path).unwrap();
        assert_eq!(found.permissions().mode() & 0o077, 0, "{}", path.display());
        seen += 1;
        if found.is_dir() {
            pending.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(seen > 4, "{seen}");
}

#[test]
fn a_data_directory_that_others_can_write_is_refused() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.data()).unwrap();
    std::fs::set_permissions(desk.data(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let ran = desk.autoshare(["ps"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("chmod"), "{ran:?}");
}

#[test]
fn a8_settings_that_others_decide_about_are_refused() {
    let desk = Desk::new();
    let path = desk.home.join("settings");
    let config = path.to_str().unwrap();
    std::fs::write(config, "[limits]\nmax_steps = 3\n").unwrap();
    let mode = |mode| std::fs::set_permissions(config, std::fs::Permissions::from_mode(mode)).unwrap();
    for (bits, code) in [(0o600, 0), (0o664, 0), (0o666, 2)] {
        mode(bits);
        let ran = desk.autoshare(["ps", "--config", config]);
        assert_eq!(ran.code, Some(code), "{bits:o}: {ran:?}");
        assert!(code == 0 || ran.err.contains("chmod o-w"), "{ran:?}");
    }
    std::fs::remove_file(config).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, config, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .unwrap();
    for flag in ["--config", "--env-file"] {
        let ran = desk.autoshare(["ps", flag, config]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("not a regular file"), "{ran:?}");
    }
}
