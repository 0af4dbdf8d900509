//! The written policy: what is taken, what is refused and why, and how a verdict comes out.

use autoshare_core::verdict::Decision::{Allow, Ask, Deny};
use autoshare_core::verdict::{Decision, Reason};
use autoshare_gate::policy::{MAX_NESTED, MAX_POLICY, MAX_RULE, Policy, Profile, Says, read_facts};

const UNASKED: &str = r#"principal, action == Action::"act_unasked", resource"#;

/// A rule: its id, and its text after the annotations.
fn rule(id: &str, rest: &str) -> String {
    format!("@id(\"{id}\")\n@because(\"{{tool}} because of {id}\")\n{rest};\n")
}

/// A policy that allows everything, with more text.
fn open(more: &str) -> String {
    rule("open", "permit (principal, action, resource)") + more
}

fn said(policy: &Policy, facts: &str) -> (Decision, Vec<Reason>) {
    policy.decide(&read_facts(facts).unwrap())
}

fn decision(policy: &Policy, facts: &str) -> Decision {
    said(policy, facts).0
}

/// The decision, and the rules that gave it.
fn rules(policy: &Policy, facts: &str) -> (Decision, Vec<String>) {
    let (decision, reasons) = said(policy, facts);
    (decision, reasons.into_iter().map(|reason| reason.rule).collect())
}

/// The message with which a text is refused.
fn refusal(text: &str) -> String {
    Policy::parse(text).expect_err(text).to_string()
}

#[test]
fn the_profiles_load_and_their_examples_hold() {
    for profile in Profile::ALL {
        let policy = Policy::builtin(profile).unwrap_or_else(|why| panic!("{}: {why}", profile.name()));
        assert!(policy.rules().iter().any(|rule| rule.file == profile.name()), "{}", profile.name());
        assert_eq!(Profile::named(profile.name()), Some(profile));
    }
    assert_eq!(Profile::named("careless"), None);
}

/// Each rule of a profile is the one that decides in some example of it.
#[test]
fn each_rule_of_a_profile_is_shown_by_an_example() {
    for profile in Profile::ALL {
        let (file, text) = profile.files().last().unwrap();
        for rule in Policy::builtin(profile).unwrap().rules().iter().filter(|rule| rule.file == *file) {
            let shown = text.lines().any(|line| line.contains(&format!("by {}: ", rule.id)));
            assert!(shown || rule.says == Says::MayBeAsked, "{file}: no example of {}", rule.id);
        }
    }
}

#[test]
fn what_two_questions_come_to() {
    let ask = rule("asks", &format!("forbid ({UNASKED}) when {{ context.tainted }}"));
    let deny = rule("denies", "forbid (principal, action, resource) when { context.secret_read }");
    let policy = Policy::parse(&open(&(ask + &deny))).unwrap();
    assert_eq!(rules(&policy, ""), (Allow, vec!["open".to_owned()]));
    assert_eq!(rules(&policy, "tainted"), (Ask, vec!["asks".to_owned()]));
    assert_eq!(rules(&policy, "secret_read"), (Deny, vec!["denies".to_owned()]));
    assert_eq!(rules(&policy, "tainted secret_read"), (Deny, vec!["denies".to_owned()]));

    let only_with_leave = Policy::parse(&rule("leave", r#"permit (principal, action == Action::"act", resource)"#));
    assert_eq!(rules(&only_with_leave.unwrap(), ""), (Ask, vec!["nothing-allows-it".to_owned()]));
    let without_leave = Policy::parse(&rule("never-alone", &format!("permit ({UNASKED})"))).unwrap();
    assert_eq!(rules(&without_leave, ""), (Deny, vec!["nothing-allows-it".to_owned()]));
    assert_eq!(rules(&Policy::parse("").unwrap(), ""), (Deny, vec!["nothing-allows-it".to_owned()]));
}

/// Cedar itself leaves a rule out that it cannot evaluate: one that forbids would be gone.
#[test]
fn e3_a_rule_that_cannot_be_evaluated_denies() {
    let overflows = "context.fetched_from_source * 9223372036854775807 > 5";
    for effect in ["permit", "forbid"] {
        for action in ["action == Action::\"act\"", "action == Action::\"act_unasked\"", "action"] {
            let erring = rule("erring", &format!("{effect} (principal, {action}, resource) when {{ {overflows} }}"));
            let policy = Policy::parse(&open(&erring)).unwrap();
            assert_eq!(decision(&policy, "fetched_from_source=0"), Allow, "{effect} {action}");
            let (decision, reasons) = said(&policy, "fetched_from_source=2");
            assert_eq!((decision, reasons[0].rule.as_str()), (Deny, "policy-error"), "{effect} {action}");
            assert!(reasons[0].words.contains("erring"), "{reasons:?}");
        }
    }
}

#[test]
fn words_are_filled_from_the_facts() {
    let policy = Policy::builtin(Profile::Default).unwrap();
    let mut facts = read_facts("tool=send_mail effect=external warrant=inside tainted targets=content").unwrap();
    facts.targets.words = "\"x@evil.org\" (from file:a.md, which you did not write)".to_owned();
    let words = policy.decide(&facts).1.remove(0).words;
    assert_eq!(words, "it would be done to \"x@evil.org\" (from file:a.md, which you did not write)");

    let mut facts = read_facts("effect=run_inside runs_content").unwrap();
    facts.runs_from = Some("file:\u{1b}[2J\n".to_owned());
    let words = policy.decide(&facts).1.remove(0).words;
    assert!(words.contains(r#""file:\u{1b}[2J\n""#), "{words}");
    let long = "s".repeat(1000);
    facts.runs_from = Some(long.clone());
    assert!(policy.decide(&facts).1.remove(0).words.len() < 400);

    // The same facts with other words are the same case, and told in their own words.
    let mut other = read_facts("tool=send_mail effect=external warrant=inside tainted targets=content").unwrap();
    other.targets.words = "another".to_owned();
    assert_eq!(policy.decide(&other).1.remove(0).words, "it would be done to another");
}

#[test]
fn rules_may_be_about_tenants_brains_servers_and_tools() {
    let about = |id: &str, scope: &str| rule(id, &format!("forbid ({scope})"));
    let text = open(
        &(about("tenant", r#"principal in Tenant::"acme", action, resource == Tool::"a""#)
            + &about("brain", r#"principal == Brain::"b1", action, resource == Tool::"b""#)
            + &about("server", r#"principal, action, resource in Server::"mail""#)
            + &about("tool", r#"principal, action, resource == Tool::"d""#)),
    );
    let policy = Policy::parse(&text).unwrap();
    let (acme, b1) = (policy.for_brain("acme", "x"), policy.for_brain("local", "b1"));
    assert_eq!(decision(&policy, "tool=a"), Allow);
    assert_eq!(decision(&b1, "tool=a"), Allow);
    assert_eq!(decision(&acme, "tool=a"), Deny);
    assert_eq!(decision(&acme, "tool=b"), Allow);
    assert_eq!(decision(&b1, "tool=b"), Deny);
    assert_eq!(decision(&policy, "tool=c server=mail"), Deny);
    assert_eq!(decision(&policy, "tool=c server=calendar"), Allow);
    assert_eq!(decision(&policy, "tool=c"), Allow);
    assert_eq!(decision(&policy, "tool=d"), Deny);
}

/// A server may call itself whatever it likes; what is built in is no server's.
#[test]
fn a_server_s_tool_is_never_taken_for_a_built_in_one() {
    let policy = Policy::builtin(Profile::Default).unwrap();
    for server in ["builtin", "local", "tool"] {
        let facts = format!("server={server} effect=run_inside");
        assert_eq!(rules(&policy, &facts), (Ask, vec!["nothing-allows-it".to_owned()]));
    }
}

#[test]
fn a_text_may_add_to_a_policy_and_replace_rules_of_it() {
    let default = Policy::builtin(Profile::Default).unwrap();
    let mail = "server=mail tool=send effect=external warrant=outside targets=trusted";
    assert_eq!(rules(&default, mail), (Ask, vec!["outside-warrant".to_owned()]));

    let never = rule("no-mail", r#"forbid (principal, action, resource in Server::"mail")"#);
    let stricter = default.add("mine.cedar", &never).unwrap();
    assert_eq!(rules(&stricter, mail), (Deny, vec!["no-mail".to_owned()]));
    let added = stricter.rules().last().unwrap();
    assert_eq!((added.file.as_str(), added.line, added.says), ("mine.cedar", 1, Says::Deny));

    let milder = format!(
        "//? allow: {mail}\n//? ask by outside-warrant: {}\n@replaces(\"outside-warrant\")\n{}{}",
        mail.replace("mail", "chat"),
        rule(
            "outside-warrant",
            &format!(
                "forbid ({UNASKED}) when {{ context.warrant == Warrant::\"outside\" && !(resource in Server::\"mail\") }}"
            )
        ),
        rule("mail", "permit (principal, action, resource in Server::\"mail\")"),
    );
    let milder = default.add("mine.cedar", &milder).unwrap();
    assert_eq!(decision(&milder, mail), Allow);
    assert_eq!(milder.rules().len(), default.rules().len() + 1);

    let again = default.add("mine.cedar", &rule("external", &format!("forbid ({UNASKED})"))).unwrap_err();
    assert!(again.to_string().contains("@replaces"), "{again}");
    let wrong = format!("@replaces(\"extrenal\")\n{}", rule("external", &format!("forbid ({UNASKED})")));
    let wrong = default.add("mine.cedar", &wrong).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "line 1, rule \"external\": it replaces \"extrenal\", and there is no such rule beneath: correct @replaces"
    );
}

/// (what is wrong, text, what the message holds)
#[test]
fn what_is_wrong_is_refused_with_line_rule_and_advice() {
    let when = |condition: &str| format!("\n\n{}", rule("mine", &format!("forbid ({UNASKED}) when {{ {condition} }}")));
    let because = |words: &str| format!("@id(\"mine\") @because(\"{words}\") permit (principal, action, resource);");
    let rows: &[(&str, String, &[&str])] = &[
        ("no Cedar", "\n\nforbid (everything);".to_owned(), &["line 3"]),
        ("no end", "@id(\"mine\")\npermit (principal, action, resource)".to_owned(), &["line 2", ";"]),
        ("no id", "\npermit (principal, action, resource);".to_owned(), &["line 2", "permit", "@id"]),
        ("bad id", rule("My Rule", "permit (principal, action, resource)"), &["line 1", "My Rule", "a to z"]),
        ("same id", open(&open("")), &["open", "same @id"]),
        (
            "no because",
            "@id(\"mine\") permit (principal, action, resource);".to_owned(),
            &["line 1", "mine", "@because"],
        ),
        ("empty because", because(" "), &["mine", "@because is empty"]),
        ("unknown placeholder", because("{target}"), &["mine", "{target}", "targets"]),
        ("open placeholder", because("{targets"), &["mine", "has no }"]),
        ("unknown annotation", format!("@becuase(\"x\") {}", open("")), &["open", "@becuase", "@because"]),
        ("template", rule("mine", "permit (principal == ?principal, action, resource)"), &["?placeholder"]),
        ("unknown fact", when("context.taintde"), &["line 5", "mine", "taintde", "tainted"]),
        ("unknown word", when("context.targets.contains(Trust::\"contnet\")"), &["line 5", "mine", "contnet"]),
        ("wrong type", when("context.warrant == \"inside\""), &["line 5", "mine"]),
        ("text for a set", when("context.targets == Trust::\"content\""), &["line 5", "mine"]),
        (
            "unknown action",
            rule("mine", "forbid (principal, action == Action::\"act_unaskd\", resource)"),
            &["mine", "act_unaskd"],
        ),
        ("unknown entity", rule("mine", "forbid (principal == User::\"ann\", action, resource)"), &["mine", "User"]),
        ("may be absent", when("resource.owner == \"x\""), &["mine", "owner"]),
        ("never applies", when("context.tainted && !context.tainted && false"), &["mine"]),
        ("look-alike", rule("mine", "forbid (principal, action, resource == Tool::\"s\u{435}nd\")"), &["mine"]),
        ("example without colon", "//? ask".to_owned(), &["line 1", "VERDICT"]),
        ("example with a wrong verdict", "//? perhaps: tainted".to_owned(), &["line 1", "VERDICT"]),
        ("example with a wrong fact", "\n//? ask: tained".to_owned(), &["line 2", "tained", "docs/policy.md"]),
        ("example with a wrong value", "//? ask: targets=contnet".to_owned(), &["contnet", "content"]),
        ("example with a fact twice", "//? ask: tainted tainted".to_owned(), &["twice"]),
        ("example that does not hold", open("//? ask: tainted\n"), &["line 4", "expects ask", "says allow by open"]),
        ("example by another rule", open("//? allow by mine: tainted\n"), &["line 4", "\"mine\"", "open does"]),
    ];
    for (what, text, parts) in rows {
        let message = refusal(text);
        for part in *parts {
            assert!(message.contains(part), "{what}: {message}");
        }
    }
}

#[test]
fn a_text_is_bounded() {
    let fits = " ".repeat(MAX_POLICY);
    assert!(Policy::parse(&fits).is_ok());
    assert!(refusal(&(fits + " ")).contains("262145 bytes, at most 262144"));

    let long = |bytes: usize| {
        rule(
            "long",
            &format!("forbid ({UNASKED}) when {{ context.tainted{} }}", " ||context.tainted".repeat(bytes / 17)),
        )
    };
    assert!(Policy::parse(&long(MAX_RULE - 400)).is_ok());
    assert!(
        refusal(&long(MAX_RULE)).contains("line 3: the rule has more than 4096 bytes"),
        "{}",
        refusal(&long(MAX_RULE))
    );
    // Comments and many rules are not counted as one.
    let comment = format!("// ((({}\n", "[".repeat(MAX_RULE));
    let words = rule("words", &format!("forbid (principal, action, resource == Tool::\"{}\\\"\")", "(".repeat(100)));
    assert!(Policy::parse(&(comment + &long(2000) + &long(2000).replace("long", "other") + &words)).is_ok());
}

/// The reader must not run out of stack, whatever the text.
#[test]
fn what_is_nested_too_deeply_is_refused() {
    let deep = |depth: usize, [open, close]: [&str; 2]| {
        let condition = format!("{}context.tainted{}", open.repeat(depth), close.repeat(depth));
        rule("deep", &format!("forbid ({UNASKED}) when {{ {condition} }}"))
    };
    let rounds = ["(", ")"];
    assert!(Policy::parse(&deep(MAX_NESTED - 1, rounds)).is_ok());
    let too_deep = refusal(&deep(MAX_NESTED, rounds));
    assert!(too_deep.contains("line 3: the rule has brackets more than 32 deep"), "{too_deep}");
    for brackets in [
        rounds,
        ["!(", ")"],
        ["[", "]"],
        ["{a: ", "}"],
        ["if true then true else ", ""],
        ["-", ""],
        ["!", ""],
        ["\"", "\""],
    ] {
        for depth in [33, 160, 20_000] {
            let text = deep(depth, brackets);
            if let Ok(policy) = Policy::parse(&open(&text)) {
                assert!(matches!(decision(&policy, "tainted"), Allow | Ask | Deny), "{brackets:?} {depth}");
            }
        }
    }
    for half in ["(", "[", "{", "\"", "//", "/", "\\", "@", "@id(", "@id(\"", "//?", "\u{0}", ";"] {
        let _refused_or_empty = Policy::parse(half);
    }
}

/// The rules in docs/policy.md can be used as they stand there.
#[test]
fn what_the_documentation_shows_holds() {
    let page = include_str!("../../../../docs/policy.md");
    let texts: Vec<&str> = page.split("```cedar\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(texts.len(), 2);
    let default = Policy::builtin(Profile::Default).unwrap();
    for text in &texts {
        assert!(text.contains("//? "), "{text}");
        default.add("docs/policy.md", text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    }
    for limit in [MAX_POLICY, MAX_RULE] {
        let shown = format!("{},{:03}", limit / 1000, limit % 1000);
        assert!(page.contains(&shown), "docs/policy.md does not say {shown}");
    }
    for rule in ["policy-error", "nothing-allows-it", "with-leave"] {
        assert!(page.contains(rule), "{rule}");
    }
}
