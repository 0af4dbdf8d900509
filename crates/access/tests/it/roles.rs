//! What roles and groups come to, as the token of whoever has them tells.

use autoshare_access::{AccessError, RoleName, RolePolicy, Scope};

use crate::people::{House, account, signed_in};

/// What somebody with these roles and groups may do in `acme`.
fn scopes(policy: &RolePolicy, roles: &[&str], groups: &[&str]) -> Vec<Scope> {
    let house = House::with(policy.clone());
    let acme = house.tenant("acme");
    house.add(&acme, "Ann", account("ann"), roles);
    let who = autoshare_access::SignedIn {
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..signed_in("ann")
    };
    match house.tokens.log_in(acme.tenant(), &who, house.length) {
        Ok(session) => session.scopes,
        Err(AccessError::Login { .. }) => Vec::new(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn roles_come_to_what_the_builtin_policy_says_and_never_to_operator() {
    use Scope::{Approve, Audit, Brains, EmptySteps, Gateway, People, Read, Shares, Tokens};
    let policy = RolePolicy::builtin().unwrap();
    let named: Vec<&str> = policy.roles().map(RoleName::as_str).collect();
    assert_eq!(named, ["approver", "auditor", "member", "owner", "viewer"]);
    let cases: [(&[&str], &[Scope]); 8] = [
        (&[], &[]),
        (&["viewer"], &[Read]),
        (&["member"], &[Gateway, Read, Brains]),
        (&["approver"], &[Read, Approve]),
        (&["auditor"], &[Read, Audit]),
        (&["viewer", "auditor"], &[Read, Audit]),
        (&["owner"], &[Gateway, Tokens, Read, Brains, Approve, EmptySteps, Shares, Audit, People]),
        (&["owner", "viewer"], &[Gateway, Tokens, Read, Brains, Approve, EmptySteps, Shares, Audit, People]),
    ];
    for (roles, wanted) in cases {
        assert_eq!(scopes(&policy, roles, &[]), wanted, "{roles:?}");
    }
}

#[test]
fn a_policy_of_the_operators_adds_and_takes_away() {
    let policy = RolePolicy::builtin().unwrap();
    let own = r#"
        permit (principal in Group::"sre", action == Action::"approve", resource == Tenant::"acme");
        permit (principal in Group::"elsewhere", action == Action::"audit", resource == Tenant::"bolt");
        permit (principal in Role::"night-shift", action == Action::"read", resource);
        forbid (principal, action == Action::"tokens", resource) unless { principal in Group::"sre" };
    "#;
    let policy = policy.with("people.cedar", own).unwrap();
    let night: RoleName = "night-shift".parse().unwrap();
    assert!(policy.check(&night).is_ok(), "a role that a policy names is one");
    for (roles, groups, has, has_not) in [
        (&["viewer"][..], &["sre"][..], Scope::Approve, Scope::Tokens),
        (&["viewer"], &["elsewhere"], Scope::Read, Scope::Audit),
        (&["night-shift"], &[], Scope::Read, Scope::Brains),
        (&["owner"], &[], Scope::Audit, Scope::Tokens),
        (&["owner"], &["sre"], Scope::Tokens, Scope::Operator),
    ] {
        let found = scopes(&policy, roles, groups);
        assert!(found.contains(&has) && !found.contains(&has_not), "{roles:?} {groups:?}: {found:?}");
    }
    // A group is no role, whatever it is called.
    assert_eq!(scopes(&policy, &["viewer"], &["owner"]), [Scope::Read]);
}

#[test]
fn a_policy_that_does_not_fit_is_refused_with_its_line() {
    let policy = RolePolicy::builtin().unwrap();
    let cases = [
        ("permit (", "line 1"),
        ("\npermit (principal, action == Action::\"operator\", resource);", "operator"),
        ("\n\npermit (principal, action, resource) when { principal.salary > 1 };", "line 3"),
        ("permit (principal in Team::\"x\", action, resource);", "Team"),
        ("permit (principal == ?principal, action, resource);", "placeholder"),
        ("permit (principal in Role::\"Night Shift\", action, resource);", "no role's name"),
        // Of a name whose letters only look like others, a reader would think something else.
        ("permit (principal in Role::\"own\u{435}r\", action, resource);", ""),
    ];
    for (text, part) in cases {
        match policy.with("people.cedar", text) {
            Err(AccessError::RolePolicy(words)) => assert!(words.contains(part), "{text}: {words}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}
