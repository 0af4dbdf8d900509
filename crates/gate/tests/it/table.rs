//! The policy, pinned: what is done where, after what, and how people are asked.

use autoshare_core::event::AskMode;
use autoshare_core::outcome::Ending;
use autoshare_core::verdict::Decision;
use autoshare_gate::{answer_by_rule, escape};

use crate::world::*;

/// The verdict in one letter: (a)llow, (?) ask a person, (y) asked and answered by `--yes`, (d)eny.
fn letter(world: &World) -> char {
    let verdict = world.decide();
    match verdict.decision {
        Decision::Allow => 'a',
        Decision::Ask if answer_by_rule(&verdict, world.ask).is_some() => 'y',
        Decision::Ask => '?',
        Decision::Deny => 'd',
    }
}

/// The verdicts with nothing untrusted read, and after something was; each by default, with `--ask`, with `--yes`.
fn letters(world: &World) -> String {
    let with = |world: &World, ask| letter(&World { ask, ..world.clone() });
    let three = |world: &World| MODES.map(|ask| with(world, ask)).iter().collect::<String>();
    format!("{} {}", three(world), three(&world.clone().tainted()))
}

/// (path, verdicts, the rule that gives the first of them)
const READS: &[(&str, &str, &str)] = &[
    ("a.md", "aaa aaa", "inside-workspace"),
    ("deep/er/a.md", "aaa aaa", "inside-workspace"),
    ("a/../b.md", "aaa aaa", "inside-workspace"),
    (".", "aaa aaa", "inside-workspace"),
    ("/home/ann/notes/a.md", "aaa aaa", "inside-workspace"),
    ("/srv/reference/x", "aaa aaa", "inside-workspace"),
    (".git/config", "aaa aaa", "inside-workspace"),
    ("AGENTS.md", "aaa aaa", "inside-workspace"),
    ("../report.md", "??y ???", "outside-workspace"),
    ("/home/ann/report.md", "??y ???", "outside-workspace"),
    ("/home/ann/notes2/a.md", "??y ???", "outside-workspace"),
    ("/srv/reference/../x", "??y ???", "outside-workspace"),
    ("/usr/share/doc/x", "??y ???", "outside-workspace"),
    ("/home/ann/.ssh/id_ed25519", "ddd ddd", "protected"),
    ("../.ssh/id_ed25519", "ddd ddd", "protected"),
    ("/home/ann/.local/share/autoshare/tenants/local.db", "ddd ddd", "protected"),
    ("/home/ann", "ddd ddd", "protected"),
    ("..", "ddd ddd", "protected"),
    ("/", "ddd ddd", "protected"),
    ("/home/bob/.aws/credentials", "ddd ddd", "closed"),
    ("/home/bob/.SSH/id_rsa", "ddd ddd", "closed"),
    ("/root/.netrc", "ddd ddd", "closed"),
    ("/home/bob/.bashrc", "ddd ddd", "closed"),
    ("~", "ddd ddd", "closed"),
    ("~/.ssh/id_rsa", "ddd ddd", "closed"),
    ("~/notes/a.md", "ddd ddd", "closed"),
    ("/etc/passwd", "ddd ddd", "closed"),
    ("/etc/../etc/shadow", "ddd ddd", "closed"),
    ("../../../etc/shadow", "ddd ddd", "closed"),
    ("/proc/self/root/home", "ddd ddd", "closed"),
    ("/proc/self/fd/3", "ddd ddd", "closed"),
    ("/sys/kernel", "ddd ddd", "closed"),
    ("/dev/stdin", "ddd ddd", "closed"),
    ("/run/docker.sock", "ddd ddd", "closed"),
    ("/var/run/docker.sock", "ddd ddd", "closed"),
    ("/boot", "ddd ddd", "closed"),
    ("/", "ddd ddd", "closed"),
    ("/var", "ddd ddd", "closed"),
    ("/var/log/x", "??y ???", "outside-workspace"),
    ("", "ddd ddd", "no-path"),
    ("a\0b", "ddd ddd", "no-path"),
];

const WRITES: &[(&str, &str, &str)] = &[
    ("a.md", "a?a a?a", "inside-workspace"),
    ("deep/er/a.md", "a?a a?a", "inside-workspace"),
    ("/home/ann/notes/a.md", "a?a a?a", "inside-workspace"),
    ("AGENTS.md", "??y ???", "instructions"),
    ("sub/claude.MD", "??y ???", "instructions"),
    (".cursorrules", "??y ???", "instructions"),
    (".mcp.json", "??y ???", "instructions"),
    (".github/copilot-instructions.md", "??y ???", "instructions"),
    (".claude/settings.json", "??y ???", "instructions"),
    (".vscode/tasks.json", "??y ???", "instructions"),
    ("../report.md", "??y ???", "outside-workspace"),
    ("/home/ann/AGENTS.md", "??y ???", "instructions"),
    (".git/hooks/pre-commit", "ddd ddd", "trusted-by-machine"),
    (".git/config", "ddd ddd", "trusted-by-machine"),
    ("sub/x/../.GIT/config", "ddd ddd", "trusted-by-machine"),
    (".envrc", "ddd ddd", "trusted-by-machine"),
    (".bashrc", "ddd ddd", "trusted-by-machine"),
    ("autoshare.toml", "ddd ddd", "trusted-by-machine"),
    ("/srv/reference/x", "ddd ddd", "read-only"),
    ("/home/ann/.ssh/authorized_keys", "ddd ddd", "protected"),
    ("/home/ann/.local/share/autoshare/key", "ddd ddd", "protected"),
    ("/home/bob/.profile", "ddd ddd", "closed"),
    ("/home/bob/.config/autoshare/policy.toml", "ddd ddd", "closed"),
    ("/home/bob/.config/systemd/user/x.service", "ddd ddd", "closed"),
    ("/usr/local/bin/tool", "ddd ddd", "closed"),
    ("/opt/x", "ddd ddd", "closed"),
    ("/etc/cron.d/x", "ddd ddd", "closed"),
    ("~/x", "ddd ddd", "closed"),
    ("", "ddd ddd", "no-path"),
];

#[test]
fn a1_a9_reading_and_writing_by_place() {
    for (rows, make) in [(READS, read as fn(&str) -> _), (WRITES, write)] {
        for (path, expected, rule) in rows {
            let world = World::of(make(path));
            assert_eq!(letters(&world), *expected, "{} {path:?}: {:?}", world.action.tool, world.decide());
            assert!(world.rules().iter().any(|given| given == rule), "{path:?}: {:?}", world.rules());
            if *rule == "closed" {
                let unprotected = World { protected: vec![], ..world };
                assert_eq!(letters(&unprotected), *expected, "{path:?} is closed of itself");
            }
        }
    }
}

#[test]
fn a1_a_path_longer_than_any_is_no_path() {
    let world = World { spec: spec("read_file"), ..World::of(read(&"a/".repeat(2048))) };
    assert_eq!(letters(&world), "ddd ddd");
}

/// A file of so many bytes is replaced, or edited, to so many.
#[test]
fn destroying_is_asked_for_unless_the_file_is_the_brains_own_or_named() {
    let edit = |path| action("edit_file", &[("path", path), ("old", "x"), ("new", "y")]);
    let append = |path| action("write_file", &[("path", path), ("content", "x"), ("mode", "append")]);
    // (action, bytes before, bytes after, verdicts)
    let table = [
        (write("a.md"), None, 100, "a?a a?a"),
        (write("a.md"), Some(0), 100, "a?a a?a"),
        (write("a.md"), Some(100), 100, "a?a a?a"),
        (write("a.md"), Some(100), 99, "a?a ???"),
        (write("a.md"), Some(100), 10, "a?a ???"),
        (write("a.md"), Some(100), 9, "??y ???"),
        (write("a.md"), Some(15), 1, "??y ???"),
        (write("a.md"), Some(100), 0, "??y ???"),
        (write("a.md"), Some(1), 0, "??y ???"),
        (edit("a.md"), Some(100), 50, "a?a a?a"),
        (edit("a.md"), Some(100), 9, "??y ???"),
        (append("a.md"), Some(100), 101, "a?a a?a"),
    ];
    for (action, before, after, expected) in table {
        let world = World { plan: changes("a.md", before, after), ..World::of(action) };
        assert_eq!(letters(&world), expected, "{before:?} to {after}: {:?}", world.action);

        let own = World { own_files: ["a.md".to_owned()].into(), ..world.clone() };
        assert_eq!(letters(&own), "a?a a?a", "its own: {:?}", world.action);
        let mut named = world.clone();
        named.history.trust("Please clear a.md.");
        assert_eq!(letters(&named), "a?a a?a", "named: {:?}", world.action);
        let mut other = world.clone();
        other.history.trust("please clear data.md, xa.md, a.mdx and sub/a.md");
        assert_eq!(letters(&other), expected, "others are named");
    }
}

#[test]
fn a_file_is_named_by_whichever_of_its_names_the_goal_uses() {
    for goal in ["rewrite sub/a.md", "rewrite /home/ann/notes/sub/a.md", "rewrite ./sub/a.md"] {
        for path in ["sub/a.md", "./sub/a.md", "sub//a.md", "/home/ann/notes/sub/a.md"] {
            let mut world = World { plan: changes("sub/a.md", Some(100), 0), ..World::of(write(path)) };
            assert_eq!(letters(&world), "??y ???", "{path}");
            world.history.trust(goal);
            assert_eq!(letters(&world), "a?a a?a", "{goal}: {path}");
        }
    }
}

#[test]
fn a_file_of_another_root_is_not_the_brains_own_by_its_name_below_that_root() {
    let mut world = World::of(write("/srv/shared/a.md"));
    let root = autoshare_core::event::Root::new("/srv/shared", autoshare_core::event::RootMode::Write);
    world.roots.push(root);
    world.plan = changes("a.md", Some(100), 0);
    world.own_files.insert("a.md".to_owned());
    assert_eq!(letters(&world), "??y ???");
    world.own_files.insert("/srv/shared/a.md".to_owned());
    assert_eq!(letters(&world), "a?a a?a");
}

#[test]
fn what_the_boundary_answered_is_a_denial_inside_and_no_answer_outside() {
    use Ending::{Failed, OverQuota, Refused};
    let table = [
        ("link", Refused, "ddd ddd"),
        ("no-such-file", Failed, "aaa aaa"),
        ("large", OverQuota, "aaa aaa"),
        ("/home/ann/report.md", Refused, "??y ???"),
        ("/etc/passwd", Refused, "ddd ddd"),
    ];
    for (path, ending, expected) in table {
        let world = World { plan: refused(ending, "kernel", "EXDEV: it leads out"), ..World::of(read(path)) };
        assert_eq!(letters(&world), expected, "{path}");
        if expected == "ddd ddd" {
            let why = world.decide().why();
            assert!(why.contains("the kernel refuses it: EXDEV: it leads out"), "{why}");
        }
    }
}

#[test]
fn what_a_link_stands_for_counts_as_well_as_its_name() {
    // (name, what it leads to, verdicts)
    let table = [
        ("a.md", "b.md", "a?a a?a"),
        ("a.md", "AGENTS.md", "??y ???"),
        ("AGENTS.md", "a.md", "??y ???"),
        ("a.md", ".git/hooks/pre-push", "ddd ddd"),
        ("AGENTS.md", ".git/hooks/pre-push", "ddd ddd"),
        (".git/hooks/pre-push", "AGENTS.md", "ddd ddd"),
    ];
    for (name, behind, expected) in table {
        let world = World { plan: changes(behind, None, 1), ..World::of(write(name)) };
        assert_eq!(letters(&world), expected, "{name} -> {behind}");
    }
}

#[test]
fn a_workspace_inside_a_special_directory_is_worked_in_and_special_names_below_it_stay_special() {
    let table = [
        ("/home/ann/.claude/worktrees/x", "src/a.rs", "a?a a?a"),
        ("/home/ann/.claude/worktrees/x", "AGENTS.md", "??y ???"),
        ("/home/ann/.claude/worktrees/x", ".git/config", "ddd ddd"),
        ("/home/bob/.config", "systemd/user/x.service", "ddd ddd"),
        ("/home/bob/.config", "app/settings.json", "a?a a?a"),
    ];
    for (root, path, expected) in table {
        let mut world = World::of(write(path));
        world.roots[0].path = root.to_owned();
        assert_eq!(letters(&world), expected, "{root} {path}");
    }
}

#[test]
fn a_home_as_root_still_protects_what_is_protected() {
    let home = |action| {
        let mut world = World::of(action);
        world.roots[0].path = "/home/ann".to_owned();
        letters(&world)
    };
    assert_eq!(home(read(".ssh/id_rsa")), "ddd ddd");
    assert_eq!(home(read("x/../.local/share/autoshare/key")), "ddd ddd");
    assert_eq!(home(action("list_folder", &[])), "aaa aaa", "the cell shows nothing in the protected place");
}

#[test]
fn tools_that_reach_out_or_take_away_are_asked_for() {
    for tool in ["send_mail", "delete_account"] {
        let world = World::of(action(tool, &[("to", "ann@example.org")]));
        assert_eq!(letters(&world), "??y ???", "{tool}");
    }
}

#[test]
fn a_write_that_names_no_place_is_allowed_by_nothing() {
    let mut world = World::of(action("set_title", &[("to", "x")]));
    world.spec.effect = autoshare_core::tool::Effect::WriteInside;
    assert_eq!((letters(&world).as_str(), world.rules()), ("??y ???", vec!["nothing-allows-it".to_owned()]));
}

#[test]
fn e2_an_action_that_its_contract_does_not_cover_is_denied() {
    let good = World::of(read("a.md"));
    let mut other_tool = good.clone();
    other_tool.spec = spec("list_folder");
    let mut no_such_argument = good.clone();
    no_such_argument.action.args.insert("as_root".to_owned(), true.into());
    let mut missing = good.clone();
    missing.action.args.clear();
    let mut wrong_kind = good.clone();
    wrong_kind.action.args.insert("offset".to_owned(), "first".into());
    let mut null = good;
    null.action.args.insert("offset".to_owned(), serde_json::Value::Null);
    for world in [other_tool, no_such_argument, missing, wrong_kind, null] {
        assert_eq!(letters(&world), "ddd ddd", "{:?}", world.action);
        assert!(world.rules().contains(&"contract".to_owned()));
    }
}

#[test]
fn the_strictest_rule_holds_and_only_its_reasons_are_given() {
    // Outside, an instruction file, and --ask: three questions, each with its reason.
    let mut world = World::of(write("/home/ann/AGENTS.md"));
    world.ask = AskMode::Always;
    assert_eq!(world.rules(), ["instructions", "outside-workspace", "ask-always"]);
    // A denial on top: the questions are moot.
    world.protected.push("/home/ann/AGENTS.md".to_owned());
    assert_eq!(world.rules(), ["protected"]);
}

#[test]
fn every_path_that_is_asked_for_and_no_other_would_be_opened_by_a_yes() {
    for (rows, make) in [(READS, read as fn(&str) -> _), (WRITES, write)] {
        for (path, expected, rule) in rows {
            let world = World::of(make(path));
            let opened = escape(&world.action, &world.spec, &world.roots).map(|escape| escape.path);
            let is_outside = autoshare_core::place::place(&world.roots, path);
            let is_outside = matches!(is_outside, autoshare_core::place::Place::Outside { .. });
            match *rule {
                // Known to the verdict alone; escape says what it would open otherwise.
                "protected" => {}
                _ if is_outside && *expected == "??y ???" => {
                    let absolute = autoshare_core::place::normal(&format!("{WORKSPACE}/{path}"));
                    let absolute = if path.starts_with('/') { autoshare_core::place::normal(path) } else { absolute };
                    assert_eq!(opened, Some(absolute));
                }
                _ => assert_eq!(opened, None, "{path}"),
            }
        }
    }
}

#[test]
fn d1_a_path_in_a_reason_cannot_speak_to_a_terminal() {
    let path = "/home/ann/\u{1b}[2J\u{202e}\r\nroot@host#".to_owned() + &"x".repeat(3000);
    let why = World::of(read(&path)).decide().why();
    assert!(why.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{why:?}");
    assert!(why.len() < 500, "{}", why.len());
}
