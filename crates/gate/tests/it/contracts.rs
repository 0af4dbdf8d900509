//! The contracts of the built-in tools.

use autoshare_core::tool::{Effect, Redo, Role, accept_call};
use autoshare_gate::builtin_tools;
use autoshare_gate::policy::Profile;

use crate::world::{action, policy, spec, write};

#[test]
fn the_tools_their_effects_and_their_parameters_are_these() {
    let spell = |spec: &autoshare_core::tool::ToolSpec| {
        let params =
            spec.params.iter().map(|p| format!("{}{}:{:?}", p.name, if p.required { "" } else { "?" }, p.role));
        format!("{} {:?} {:?} {}", spec.name, spec.effect, spec.redo, params.collect::<Vec<_>>().join(" "))
    };
    let expected = [
        "read_file Read Read path:Target offset?:Option limit?:Option encoding?:Option",
        "read_document Read Read path:Target",
        "write_file WriteInside Queryable path:Target content:Content mode?:Option",
        "edit_file WriteInside Queryable path:Target old:Query new:Content all?:Option",
        "list_folder Read Read path?:Target hidden?:Option",
        "find Read Read pattern:Query path?:Target",
        "search Read Read pattern:Query path?:Target glob?:Query",
        "execute_shell RunInside Write command:Target timeout?:Option background?:Option terminal?:Option",
        "execute_python_code RunInside Write code:Target timeout?:Option venv?:Option",
        "execute_python_file RunInside Write file:Target args?:Query timeout?:Option background?:Option venv?:Option",
        "background_job RunInside Idempotent job:Target action?:Option",
    ];
    assert_eq!(builtin_tools().iter().map(spell).collect::<Vec<_>>(), expected);
}

#[test]
fn every_contract_is_well_formed() {
    for spec in builtin_tools() {
        assert!(spec.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && spec.name.len() <= 64);
        assert!(!spec.description.is_empty() && spec.params.iter().all(|param| !param.description.is_empty()));
        assert_eq!(
            spec.effect == Effect::Read,
            spec.redo == Redo::Read,
            "{}: only reading is simply redone",
            spec.name
        );
        assert_eq!(spec.params.iter().filter(|param| param.role == Role::Target).count(), 1, "{}", spec.name);
    }
}

#[test]
fn calls_as_models_make_them_are_accepted_or_explained() {
    // (tool, arguments, what the explanation holds; nothing: accepted)
    let table = [
        ("read_file", r#"{"path":"a"}"#, ""),
        ("read_file", r#"{"path":"a","offset":1,"limit":50,"encoding":"utf-16"}"#, ""),
        ("read_file", r#"{"path":"a","offset":null}"#, ""),
        ("read_file", r#"{"path":"a","offset":0}"#, "from 1"),
        ("read_file", r#"{"path":"a","encoding":"ebcdic"}"#, "auto, utf-8, latin-1, utf-16"),
        ("read_document", r#"{"path":"a.pdf"}"#, ""),
        ("read_document", "{}", "needs the parameter \"path\""),
        ("write_file", r#"{"path":"a","content":""}"#, ""),
        ("write_file", r#"{"path":"a","content":"x","mode":"append"}"#, ""),
        ("write_file", r#"{"path":"a"}"#, "needs the parameter \"content\""),
        ("edit_file", r#"{"path":"a","old":"x","new":"y","all":true}"#, ""),
        ("list_folder", "", ""),
        ("find", r#"{"pattern":"**/*.md"}"#, ""),
        ("search", r#"{"pattern":"fn main","glob":"*.rs","path":"src"}"#, ""),
        ("shell", r#"{"command":"ls"}"#, "the tools are: read_file, read_document, write_file"),
    ];
    for (tool, arguments, words) in table {
        match accept_call(&builtin_tools(), tool, arguments) {
            Ok(_) => assert_eq!(words, "", "{tool} {arguments}"),
            Err(error) => {
                assert!(!words.is_empty() && error.to_string().contains(words), "{tool} {arguments}: {error}")
            }
        }
    }
}

#[test]
fn rules_have_stable_names() {
    let expected = [
        "with-leave",
        "inside-workspace",
        "inside-cell",
        "instructions",
        "outside-workspace",
        "destroys",
        "command-from-content",
        "ask-always",
        "served-read",
        "needed",
        "external",
        "destructive",
        "outside-warrant",
        "warrant-targets",
        "untrusted-target",
        "untrusted-link",
        "untrusted-secret",
        "carries-secret",
        "secret-read",
        "fetch-named",
        "search",
        "fetch-link",
        "fetch-unnamed",
        "fetch-from-content",
        "fetch-cap",
        "fetch-composed",
        "fetch-after-secret",
    ];
    let names = |profile| policy(profile).rules().iter().map(|rule| rule.id.clone()).collect::<Vec<_>>();
    assert_eq!(names(Profile::Default), expected);
    let added = names(Profile::Cautious).split_off(expected.len());
    assert_eq!(
        added,
        ["no-warrant", "search-after-reading", "untrusted-amount", "untrusted-content", "destructive-unnamed"]
    );
    assert!(names(Profile::Trusting).contains(&"named-target".to_owned()));
}

#[test]
fn a_target_is_spelt_so_that_no_two_are_alike() {
    let mut mail = spec("send_mail");
    let mut copy = mail.params[0].clone();
    "cc".clone_into(&mut copy.name);
    copy.required = false;
    mail.params.push(copy);
    let target = |args: &[(&str, &str)]| mail.target(&action("send_mail", args));
    assert_eq!(target(&[("to", "ann"), ("cc", "bob")]), r#"["ann","bob"]"#);
    assert_eq!(target(&[("to", "ann")]), r#"["ann",null]"#);
    assert_ne!(target(&[("to", "ann\",\"bob")]), target(&[("to", "ann"), ("cc", "bob")]));
    assert_eq!(spec("write_file").target(&write("a.md")), "a.md");
    assert_eq!(spec("list_folder").target(&action("list_folder", &[])), "");
}
