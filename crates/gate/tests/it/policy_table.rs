//! What the profiles say, pinned: `policy_table.txt`. A change of it is a change of what happens to people. To write it
//! anew, on purpose: `PIN=1 cargo test -p autoshare-gate --test it -- policy_table`, and read the difference.

use std::fmt::Write as _;

use autoshare_core::verdict::Decision;
use autoshare_gate::policy::{Policy, Profile, read_facts};

const TRUSTS: [&str; 6] = ["", "trusted", "issued", "model", "tainted", "content"];
const WARRANTS: [&str; 4] = ["inside", "other_targets", "outside", "not_drawn"];
const STATES: [(&str, &str); 3] = [("clean", ""), ("tainted", "tainted"), ("secret", "tainted secret_read")];

/// (an effect, the role that varies)
const ROWS: &[(&str, &str)] = &[
    ("effect=external", "targets"),
    ("effect=external targets=trusted", "amounts"),
    ("effect=external targets=trusted", "secrets"),
    ("effect=external targets=trusted", "contents"),
    ("effect=external targets=trusted", "links"),
    ("effect=external targets=trusted", "queries"),
    ("effect=external targets=trusted carries_secret", "contents"),
    ("effect=external reversible", "targets"),
    ("effect=external reversible targets=trusted", "amounts"),
    ("effect=external reversible targets=trusted", "secrets"),
    ("effect=external reversible targets=trusted", "contents"),
    ("effect=external reversible targets=trusted", "links"),
    ("effect=destructive", "targets"),
    ("effect=destructive targets=trusted", "amounts"),
    ("effect=fetch", "address"),
    ("effect=fetch fetched_from_source=5", "address"),
    ("effect=fetch allowed_host", "address"),
    ("effect=fetch allowed_host address=trusted", "links"),
    ("effect=fetch server=s", "queries"),
    ("effect=fetch server=s", "links"),
    ("effect=read server=s", "queries"),
    ("effect=read server=s", "targets"),
    ("effect=read server=s carries_secret", "queries"),
    ("effect=write_inside server=s place=inside", "contents"),
    ("effect=run_inside server=s", "targets"),
    ("effect=read", "queries"),
    ("effect=read place=inside", "targets"),
    ("effect=read place=outside", "targets"),
    ("effect=write_inside place=inside", "contents"),
    ("effect=write_inside place=inside instructions", "contents"),
    ("effect=write_inside place=inside destroys", "contents"),
    ("effect=write_inside place=inside ask=always", "contents"),
    ("effect=write_inside place=outside", "contents"),
    ("effect=run_inside", "targets"),
    ("effect=run_inside runs_content", "targets"),
];

const HEAD: &str = "\
# What the profiles say: of each three letters the first is `cautious`, the second `default`, the third `trusting`;
# a: allow, ?: ask, d: deny. Where its values stand, in the role that is named: nowhere, trusted, issued, model, tainted,
# content. At the end of a line: how the action stands to the warrant.
";

/// The verdicts of the three profiles in one letter each.
fn letters(policies: &[Policy], facts: &str) -> String {
    let facts = read_facts(facts).unwrap();
    let letter = |policy: &Policy| match policy.decide(&facts).0 {
        Decision::Allow => 'a',
        Decision::Ask => '?',
        Decision::Deny => 'd',
    };
    policies.iter().map(letter).collect()
}

fn table() -> String {
    let policies = Profile::ALL.map(|profile| Policy::builtin(profile).unwrap());
    let mut table = HEAD.to_owned();
    for (effect, role) in ROWS {
        writeln!(table, "\n{effect}, {role}:").unwrap();
        for (state, flags) in STATES {
            let row = |warrant: &str| {
                TRUSTS.map(|trust| {
                    let values = if trust.is_empty() { String::new() } else { format!("{role}={trust}") };
                    letters(&policies, &format!("{effect} {flags} warrant={warrant} {values}"))
                })
            };
            let mut rows: Vec<(String, String)> = Vec::new();
            for warrant in WARRANTS {
                let cells = row(warrant).join("  ");
                match rows.last_mut() {
                    Some((warrants, last)) if *last == cells => write!(warrants, ", {warrant}").unwrap(),
                    _ => rows.push((warrant.to_owned(), cells)),
                }
            }
            for (warrants, cells) in rows {
                let warrants = if warrants == WARRANTS.join(", ") { "any" } else { &warrants };
                writeln!(table, "  {state:<8} {cells}  {warrants}").unwrap();
            }
        }
    }
    table
}

#[test]
fn policy_table_is_as_pinned() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/policy_table.txt");
    let table = table();
    if std::env::var_os("PIN").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let pinned = std::fs::read_to_string(path).unwrap_or_default();
    let section =
        |text: &str, at: usize| text.lines().take(at + 1).filter(|line| line.ends_with(':')).last().map(str::to_owned);
    for (at, (is, was)) in table.lines().zip(pinned.lines()).enumerate() {
        assert_eq!(
            is,
            was,
            "line {} of policy_table.txt, {:?}: left is what the profiles say",
            at + 1,
            section(&table, at)
        );
    }
    assert_eq!(table.lines().count(), pinned.lines().count());
}
