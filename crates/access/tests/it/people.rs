//! Who may sign in, as what, and for how long what they got is good.

use std::time::Duration;

use autoshare_access::{
    Access, AccessError, Grant, Identity, LOCAL, LoginRefusal, MAX_SESSIONS, NewPerson, Operator, Person, Refusal,
    RoleName, RolePolicy, Scope, Session, SignedIn, TenantState, Tenants, Terms, Tokens,
};
use autoshare_core::{PersonId, TenantName};
use autoshare_vault::Vault;

pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) operator: Operator,
    pub(crate) tenants: Tenants,
    pub(crate) tokens: Tokens,
    pub(crate) length: Duration,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(RolePolicy::builtin().unwrap())
    }

    pub(crate) fn with(policy: RolePolicy) -> Self {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let vault = Vault::open(dir.path()).unwrap();
        let tokens = Tokens::with(dir.path(), &vault, policy.into()).unwrap();
        let (operator, tenants) = (Operator::local(dir.path()).unwrap(), Tenants::open(dir.path(), &vault).unwrap());
        Self { dir, operator, tenants, tokens, length: Duration::from_secs(60) }
    }

    /// Another process over the same directory.
    fn elsewhere(&self) -> Tokens {
        Tokens::open(self.dir.path(), &Vault::open(self.dir.path()).unwrap()).unwrap()
    }

    pub(crate) fn tenant(&self, name: &str) -> Access {
        let name = TenantName::parse(name).unwrap();
        self.tenants.create(&self.operator, &name, Terms::default()).unwrap();
        self.tenants.access(&self.operator, &name).unwrap()
    }

    pub(crate) fn try_add(
        &self,
        access: &Access,
        name: &str,
        identity: Identity,
        given: &[&str],
    ) -> Result<Person, AccessError> {
        self.tokens.people().add(access, NewPerson { name: name.to_owned(), identity, roles: roles(given) })
    }

    pub(crate) fn add(&self, access: &Access, name: &str, identity: Identity, roles: &[&str]) -> PersonId {
        self.try_add(access, name, identity, roles).unwrap().id
    }

    fn log_in(&self, tenant: &str, who: &SignedIn) -> Result<Session, AccessError> {
        self.tokens.log_in(&TenantName::parse(tenant).unwrap(), who, self.length)
    }

    fn access_of(&self, session: &Session) -> Access {
        self.tokens.authenticate(session.minted.token.expose()).unwrap().access
    }
}

fn roles(names: &[&str]) -> Vec<RoleName> {
    names.iter().map(|name| RoleName::parse(name).unwrap()).collect()
}

pub(crate) fn account(subject: &str) -> Identity {
    Identity::Account { issuer: "https://id.example.org".to_owned(), subject: subject.to_owned() }
}

fn invited(email: &str) -> Identity {
    Identity::Invited { email: email.to_owned() }
}

pub(crate) fn signed_in(subject: &str) -> SignedIn {
    let (issuer, subject) = ("https://id.example.org".to_owned(), subject.to_owned());
    SignedIn { issuer, subject, verified_email: None, groups: Vec::new() }
}

fn with_email(subject: &str, email: &str) -> SignedIn {
    SignedIn { verified_email: Some(email.to_owned()), ..signed_in(subject) }
}

fn login_refusal<T: std::fmt::Debug>(result: Result<T, AccessError>) -> LoginRefusal {
    match result {
        Err(error @ AccessError::Login { why }) => {
            assert_eq!(error.to_string(), AccessError::Login { why: LoginRefusal::Tenant }.to_string());
            why
        }
        other => panic!("{other:?}"),
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, AccessError>) -> Refusal {
    match result {
        Err(AccessError::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_signs_in_gets_a_token_of_their_tenant_that_ends() {
    let mut house = House::new();
    let acme = house.tenant("acme");
    let ann = house.add(&acme, "Ann", account("ann"), &["member"]);
    house.length = Duration::from_millis(1_500);
    let session = house.log_in("acme", &signed_in("ann")).unwrap();
    assert_eq!((&session.person, session.name.as_str()), (&ann, "Ann"));
    let bearer = house.tokens.authenticate(session.minted.token.expose()).unwrap();
    assert_eq!(bearer.access.tenant(), acme.tenant());
    assert_eq!((bearer.token.person.as_ref(), bearer.token.name.as_str()), (Some(&ann), "Ann"));
    assert_eq!(bearer.token.scopes, [Scope::Gateway, Scope::Read, Scope::Brains]);
    assert!(bearer.operator().is_none());
    std::thread::sleep(Duration::from_millis(1_550));
    assert_eq!(refusal(house.tokens.authenticate(session.minted.token.expose())), Refusal::Expired);
}

#[test]
fn strangers_are_told_one_thing_whatever_the_reason() {
    let house = House::new();
    let (acme, _bolt) = (house.tenant("acme"), house.tenant("bolt"));
    house.add(&acme, "Ann", account("ann"), &["viewer"]);
    house.add(&acme, "Nil", account("nil"), &[]);
    let elsewhere = SignedIn { issuer: "https://other.example.org".to_owned(), ..signed_in("ann") };
    for (who, tenant, account, why) in [
        ("nobody that is known", "acme", signed_in("eve"), LoginRefusal::Person),
        ("a person of another tenant", "bolt", signed_in("ann"), LoginRefusal::Person),
        ("a tenant that is none", "nobody", signed_in("ann"), LoginRefusal::Tenant),
        ("the same subject elsewhere", "acme", elsewhere, LoginRefusal::Person),
        ("a person without a role", "acme", signed_in("nil"), LoginRefusal::Nothing),
        ("a subject in other letters", "acme", signed_in("Ann"), LoginRefusal::Person),
    ] {
        assert_eq!(login_refusal(house.log_in(tenant, &account)), why, "{who}");
    }
    house.tenants.set_state(&house.operator, acme.tenant(), TenantState::Suspended).unwrap();
    assert_eq!(login_refusal(house.log_in("acme", &signed_in("ann"))), LoginRefusal::Tenant);
}

#[test]
fn two_people_with_one_subject_at_two_issuers_are_two() {
    let house = House::new();
    let acme = house.tenant("acme");
    let other = |subject: &str| Identity::Account { issuer: "https://b.example".into(), subject: subject.into() };
    let first = house.add(&acme, "Ann", account("1"), &["owner"]);
    let second = house.add(&acme, "Bob", other("1"), &["viewer"]);
    let bob = SignedIn { issuer: "https://b.example".to_owned(), ..signed_in("1") };
    let (ann, bob) = (house.log_in("acme", &signed_in("1")).unwrap(), house.log_in("acme", &bob).unwrap());
    assert_eq!((ann.person, bob.person), (first, second));
    assert_eq!(bob.scopes, [Scope::Read]);
    // What stands on the boundary of two texts is not taken for another split of them.
    house.add(&acme, "Cid", Identity::Account { issuer: "https://b.example/x".into(), subject: "y".into() }, &[]);
    let split = SignedIn { issuer: "https://b.example/".to_owned(), ..signed_in("xy") };
    assert_eq!(login_refusal(house.log_in("acme", &split)), LoginRefusal::Person);
    for again in [account("1"), other("1")] {
        assert!(matches!(house.try_add(&acme, "x", again, &[]), Err(AccessError::Person(_))));
    }
}

#[test]
fn an_invitation_is_taken_up_once_by_a_verified_address_and_bound_to_the_account_from_then_on() {
    let house = House::new();
    let (acme, bolt) = (house.tenant("acme"), house.tenant("bolt"));
    let ann = house.add(&acme, "Ann", invited("Ann@Example.org"), &["viewer"]);
    house.add(&bolt, "Bob", invited("bob@example.org"), &["viewer"]);
    for (who, account) in [
        ("whose address is not verified", signed_in("eve")),
        ("another address", with_email("eve", "eve@example.org")),
        ("an address that begins alike", with_email("eve", "ann@example.org.evil.test")),
        ("somebody invited elsewhere", with_email("bob", "bob@example.org")),
    ] {
        assert_eq!(login_refusal(house.log_in("acme", &account)), LoginRefusal::Person, "{who}");
    }
    assert_eq!(house.log_in("acme", &with_email("a-1", "ann@EXAMPLE.org")).unwrap().person, ann);
    // The address counts for nothing any more: neither for whoever has it next, nor for her, who has another now.
    assert_eq!(login_refusal(house.log_in("acme", &with_email("a-2", "ann@example.org"))), LoginRefusal::Person);
    assert_eq!(house.log_in("acme", &with_email("a-1", "new@example.org")).unwrap().person, ann);
    assert!(matches!(house.try_add(&acme, "x", invited("no address"), &[]), Err(AccessError::Person(_))));
}

#[test]
fn who_is_removed_or_loses_a_role_has_lost_it_in_every_process() {
    let house = House::new();
    let acme = house.tenant("acme");
    let (ann, bob) = (
        house.add(&acme, "Ann", account("ann"), &["owner"]),
        house.add(&acme, "Bob", account("bob"), &["viewer", "approver"]),
    );
    let session = house.log_in("acme", &signed_in("ann")).unwrap();
    let below = house.tokens.mint(&house.access_of(&session), Grant::gateway("below")).unwrap();
    let other = house.elsewhere();
    let texts = [session.minted.token.expose(), below.token.expose()];
    texts.iter().for_each(|text| drop(other.authenticate(text).unwrap()));
    assert!(other.limits(&below.id).unwrap().is_some());

    // Another role that covers less: both are refused, also the one whose own scope she still has.
    house.tokens.people().set_roles(&acme, &ann, roles(&["member"])).unwrap();
    for text in texts {
        assert_eq!(refusal(other.authenticate(text)), Refusal::Person);
    }
    assert!(other.limits(&below.id).unwrap().is_none(), "a brain that is charged to it stops");
    // Given back, they are good again; with more than before, they have what they had.
    house.tokens.people().set_roles(&acme, &ann, roles(&["owner", "viewer"])).unwrap();
    texts.iter().for_each(|text| drop(other.authenticate(text).unwrap()));
    house.tokens.people().remove(&acme, &ann).unwrap();
    for text in texts {
        assert_eq!(refusal(other.authenticate(text)), Refusal::Person);
        assert_eq!(refusal(house.tokens.authenticate(text)), Refusal::Person);
    }
    assert_eq!(login_refusal(house.log_in("acme", &signed_in("ann"))), LoginRefusal::Person);

    // Who stays within what is left keeps what they hold.
    let session = house.log_in("acme", &signed_in("bob")).unwrap();
    house.tokens.people().set_roles(&acme, &bob, roles(&["approver"])).unwrap();
    assert!(other.authenticate(session.minted.token.expose()).is_ok());
}

#[test]
fn groups_are_those_of_the_last_login() {
    let text = r#"permit (principal in Group::"sre", action == Action::"approve", resource);"#;
    let house = House::with(RolePolicy::builtin().unwrap().with("own", text).unwrap());
    let acme = house.tenant("acme");
    house.add(&acme, "Ann", account("ann"), &["viewer"]);
    let sre = SignedIn { groups: vec!["sre".to_owned()], ..signed_in("ann") };
    let with = house.log_in("acme", &sre).unwrap();
    assert_eq!(with.scopes, [Scope::Read, Scope::Approve]);
    let without = house.log_in("acme", &signed_in("ann")).unwrap();
    assert_eq!(without.scopes, [Scope::Read]);
    assert_eq!(refusal(house.tokens.authenticate(with.minted.token.expose())), Refusal::Person);
    assert!(house.tokens.authenticate(without.minted.token.expose()).is_ok());
}

#[test]
fn nobody_gives_or_takes_what_they_have_not() {
    let house = House::new();
    let (acme, bolt) = (house.tenant("acme"), house.tenant("bolt"));
    let people = house.tokens.people();
    let owner = house.add(&acme, "Ann", account("ann"), &["owner"]);
    let viewer = house.add(&acme, "Bob", account("bob"), &["viewer"]);
    let with = |scopes: &[Scope]| {
        let minted = house.tokens.mint(&acme, Grant { scopes: scopes.to_vec(), ..Grant::gateway("x") }).unwrap();
        house.tokens.authenticate(minted.token.expose()).unwrap().access
    };
    let beyond = |result: Result<Person, AccessError>| matches!(result, Err(AccessError::Beyond(_)));
    let new = |role: &str| NewPerson { name: "New".into(), identity: account(role), roles: roles(&[role]) };
    let (reader, clerk) = (with(&[Scope::Read, Scope::Tokens]), with(&[Scope::Read, Scope::People]));
    assert!(beyond(people.add(&reader, new("viewer"))), "without the scope people");
    assert!(people.list(&reader).is_err());
    assert!(beyond(people.add(&clerk, new("approver"))), "a role with more than the clerk has");
    assert!(beyond(people.set_roles(&clerk, &viewer, roles(&["owner"]))));
    assert!(beyond(people.set_roles(&clerk, &owner, roles(&["viewer"]))), "from one who has more");
    assert!(matches!(people.remove(&clerk, &owner), Err(AccessError::Beyond(_))));
    people.add(&clerk, new("viewer")).unwrap();
    people.remove(&clerk, &viewer).unwrap();
    // An owner who signed in, the tenant's owner at the terminal; and never those of another tenant.
    let session = house.access_of(&house.log_in("acme", &signed_in("ann")).unwrap());
    people.add(&session, new("owner")).unwrap();
    for foreign in [people.set_roles(&bolt, &owner, Vec::new()).map(drop), people.remove(&bolt, &owner)] {
        assert!(matches!(foreign, Err(AccessError::NoPerson(_))));
    }
    assert_eq!((people.list(&session).unwrap().len(), people.list(&bolt).unwrap().len()), (3, 0));
    assert!(matches!(people.set_roles(&acme, &owner, roles(&["king"])), Err(AccessError::Person(_))));
}

#[test]
fn the_last_who_may_add_people_stays_unless_the_operator_says_otherwise() {
    let house = House::new();
    let acme = house.tenant("acme");
    let people = house.tokens.people();
    let ann = house.add(&acme, "Ann", account("ann"), &["owner"]);
    // Who was invited may never come, and who has lesser roles is nobody to add people.
    house.add(&acme, "Bob", invited("bob@example.org"), &["owner"]);
    house.add(&acme, "Cid", account("cid"), &["viewer"]);
    let session = house.access_of(&house.log_in("acme", &signed_in("ann")).unwrap());
    let last = |result: Result<(), AccessError>| matches!(result, Err(AccessError::LastPerson(id)) if id == ann);
    assert!(last(people.remove(&session, &ann)));
    assert!(last(people.set_roles(&session, &ann, roles(&["viewer"])).map(drop)));
    assert!(last(people.set_roles(&session, &ann, Vec::new()).map(drop)));
    people.set_roles(&session, &ann, roles(&["owner", "viewer"])).unwrap();

    house.log_in("acme", &with_email("bob", "bob@example.org")).unwrap();
    people.remove(&session, &ann).unwrap();
    let bob = people.list(&acme).unwrap().iter().find(|person| person.name == "Bob").unwrap().id.clone();
    people.remove(&acme, &bob).unwrap();
    assert_eq!(people.list(&acme).unwrap().len(), 1, "by the operator");
}

#[test]
fn a_role_that_counts_for_a_group_alone_is_given_by_nobody_who_has_less() {
    let text = r#"
        permit (principal in Role::"oncall", action == Action::"approve", resource)
        when { principal in Group::"sre" };
        permit (principal in Group::"sre", action == Action::"audit", resource);
    "#;
    let house = House::with(RolePolicy::builtin().unwrap().with("own", text).unwrap());
    let acme = house.tenant("acme");
    let scopes = vec![Scope::Read, Scope::People];
    let clerk = house.tokens.mint(&acme, Grant { scopes, ..Grant::gateway("clerk") }).unwrap();
    let clerk = house.tokens.authenticate(clerk.token.expose()).unwrap().access;
    // Of the accomplice it is not known yet that they are of the group.
    assert!(matches!(house.try_add(&clerk, "Eve", account("eve"), &["oncall"]), Err(AccessError::Beyond(_))));
    // What the group has by itself, the clerk does not give.
    house.try_add(&clerk, "Eve", account("eve"), &["viewer"]).unwrap();
    house.add(&acme, "Ann", account("ann"), &["oncall"]);
    let sre = SignedIn { groups: vec!["sre".to_owned()], ..signed_in("ann") };
    assert_eq!(house.log_in("acme", &sre).unwrap().scopes, [Scope::Approve, Scope::Audit]);
}

#[test]
fn an_owner_of_the_operators_own_tenant_is_no_operator() {
    let house = House::new();
    let local = house.tenants.access(&house.operator, &TenantName::parse(LOCAL).unwrap()).unwrap();
    house.add(&local, "Ann", account("ann"), &["owner"]);
    let session = house.log_in(LOCAL, &signed_in("ann")).unwrap();
    let bearer = house.tokens.authenticate(session.minted.token.expose()).unwrap();
    assert!(bearer.operator().is_none());
    let wish = Grant { scopes: vec![Scope::Operator], ..Grant::gateway("more") };
    assert!(matches!(house.tokens.mint(&bearer.access, wish), Err(AccessError::Beyond(_))));
}

#[test]
fn a_person_holds_so_many_tokens_and_leaves_no_files_behind() {
    let mut house = House::new();
    let acme = house.tenant("acme");
    house.add(&acme, "Ann", account("ann"), &["owner"]);
    house.add(&acme, "Bob", account("bob"), &["viewer"]);
    let bob = house.log_in("acme", &signed_in("bob")).unwrap();
    let first = house.log_in("acme", &signed_in("ann")).unwrap();
    let below = house.tokens.mint(&house.access_of(&first), Grant::gateway("below")).unwrap();
    for _ in 1..MAX_SESSIONS {
        house.log_in("acme", &signed_in("ann")).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(house.tokens.authenticate(below.token.expose()).is_ok());
    house.log_in("acme", &signed_in("ann")).unwrap();
    for gone in [first.minted.token.expose(), below.token.expose()] {
        assert_eq!(refusal(house.tokens.authenticate(gone)), Refusal::Unknown);
    }
    assert_eq!(house.tokens.list(&acme).unwrap().len(), MAX_SESSIONS + 1);
    assert!(house.tokens.authenticate(bob.minted.token.expose()).is_ok(), "of nobody else");

    house.length = Duration::from_millis(1);
    let short = house.log_in("acme", &signed_in("bob")).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    house.log_in("acme", &signed_in("bob")).unwrap();
    assert_eq!(refusal(house.tokens.authenticate(short.minted.token.expose())), Refusal::Unknown);
}

#[test]
fn a_record_that_was_edited_or_moved_is_none() {
    let house = House::new();
    let (acme, bolt) = (house.tenant("acme"), house.tenant("bolt"));
    let ann = house.add(&acme, "Ann", account("ann"), &["viewer"]);
    house.add(&bolt, "Bob", account("bob"), &["viewer"]);
    let session = house.log_in("acme", &signed_in("ann")).unwrap();
    let folder = |tenant: &str| house.dir.path().join(format!("tenants/{tenant}/people"));
    let file = folder("acme").join(format!("{ann}.person"));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::copy(&file, folder("bolt").join(format!("{ann}.person"))).unwrap();
    assert!(matches!(house.log_in("bolt", &signed_in("ann")), Err(AccessError::Record { .. })));
    std::fs::write(&file, text.replace("viewer", "owners")).unwrap();
    let presented = house.tokens.authenticate(session.minted.token.expose());
    assert!(matches!(presented, Err(AccessError::Record { .. })), "{presented:?}");
}
