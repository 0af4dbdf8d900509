//! The policy as an operator meets it: read, checked, tried out, named in settings, and never below a workspace.

use serde_json::json;

use crate::desk::Desk;

const RULE: &str = r#"
//? ask by look-at-every-mail: tool=send_mail server=mail effect=external warrant=inside targets=trusted
@id("look-at-every-mail")
@because("every mail is looked at: it goes to {targets}")
forbid (principal, action == Action::"act_unasked", resource == Tool::"send_mail");
"#;
const MAIL: [&str; 5] = ["tool=send_mail", "server=mail", "effect=external", "warrant=inside", "targets=trusted"];

#[test]
fn explain_prints_every_rule_in_words() {
    let desk = Desk::new();
    let ran = desk.autoshare(["policy", "explain"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("profile default\n"), "{ran:?}");
    assert!(ran.out.contains("carries-secret         it would carry something secret out: {secret}"), "{ran:?}");
    for (profile, rule) in [("cautious", "untrusted-amount"), ("trusting", "named-target")] {
        let ran = desk.autoshare(["policy", "explain", "--json", "--profile", profile]);
        let lines = ran.json_lines();
        let found = lines.iter().find(|line| line["rule"] == rule).unwrap_or_else(|| panic!("{ran:?}"));
        assert_eq!(found["file"], profile);
        assert!(lines.len() > 20 && found["because"].is_string() && found["line"].is_u64(), "{found}");
    }
}

#[test]
fn a_file_is_checked_and_tried_out_beside_what_is_in_force() {
    let desk = Desk::new();
    let path = desk.home.join("rules.cedar");
    std::fs::write(&path, RULE).unwrap();
    let file = path.to_str().unwrap();
    let ran = desk.autoshare(["policy", "check", file]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("1 rules over the profile default"), "{ran:?}");

    let args = ["policy", "test", "--json", file, "--facts"].into_iter().chain(MAIL);
    let both = desk.autoshare(args).json_lines().remove(0);
    assert_eq!(both["with_file"]["decision"], "ask", "{both}");
    assert_eq!(both["with_file"]["reasons"][0]["rule"], "look-at-every-mail", "{both}");
    assert_eq!(
        both["in_force"],
        json!({ "decision": "allow", "reasons": [{ "rule": "needed", "words": "the goal needs send_mail" }] })
    );

    std::fs::write(desk.home.join("autoshare.toml"), format!("[gate]\nprofile = \"cautious\"\npolicy = {file:?}\n"))
        .unwrap();
    let config = desk.home.join("autoshare.toml").display().to_string();
    let ran = desk.autoshare(["policy", "explain", "--config", &config]);
    assert!(ran.out.starts_with("profile cautious, and ") && ran.out.contains("look-at-every-mail"), "{ran:?}");
}

#[test]
fn what_is_wrong_with_a_policy_is_said_with_its_line() {
    let desk = Desk::new();
    let path = desk.home.join("rules.cedar");
    let file = path.to_str().unwrap();
    let config = desk.home.join("autoshare.toml");
    for (text, words) in [
        ("forbid (principal, action, resource);", vec!["line 1", "@id"]),
        ("\n@id(\"x\") @because(\"x\") forbid (everything);", vec!["line 2"]),
        ("//? allow: effect=destructive", vec!["line 1", "expects allow", "says ask by destructive"]),
        (&RULE.replace("{targets}", "{tragets}"), vec!["look-at-every-mail", "{tragets}"]),
    ] {
        std::fs::write(&path, text).unwrap();
        for args in [vec!["policy", "check", file], vec!["policy", "explain", "--policy", file]] {
            let ran = desk.autoshare(&args);
            assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
            assert!(ran.err.contains(file) && words.iter().all(|word| ran.err.contains(word)), "{args:?}: {ran:?}");
        }
    }
    std::fs::write(&path, RULE).unwrap();
    for (section, args, words) in [
        ("", vec!["policy", "explain", "--profile", "careless"], "use cautious, default, trusting or none"),
        ("", vec!["policy", "explain", "--profile", "none"], "name a file of rules too"),
        ("profile = \"careless\"", vec!["ps"], "use cautious, default, trusting or none"),
        ("policy = \"/missing.cedar\"", vec!["ps"], "/missing.cedar"),
        ("", vec!["policy", "check", "/missing.cedar"], "/missing.cedar"),
        ("", vec!["policy", "test", file, "--facts", "tained"], "docs/policy.md"),
    ] {
        std::fs::write(&config, format!("[gate]\n{section}\n")).unwrap();
        let config = config.to_str().unwrap();
        let ran = desk.autoshare(args.iter().copied().chain(["--config", config]));
        assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
        assert!(ran.err.contains(words), "{args:?}: {ran:?}");
    }
}

/// A brain that may write its own rules has none.
#[test]
fn a_policy_below_the_workspace_is_refused() {
    let desk = Desk::new();
    let file = desk.workspace.join("rules.cedar");
    std::fs::write(&file, RULE).unwrap();
    let config = desk.home.join("autoshare.toml");
    let run = ["run", "say done", "--model", "gullible"];
    for (section, flags) in [(format!("policy = {file:?}"), vec![]), (String::new(), vec!["--policy", "rules.cedar"])] {
        std::fs::write(&config, format!("[gate]\n{section}\n")).unwrap();
        let config = ["--config", config.to_str().unwrap()];
        let ran = desk.autoshare(run.into_iter().chain(config).chain(flags));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("below the workspace") && ran.err.contains("rules.cedar"), "{ran:?}");
    }
}
