//! Who is a tenant, who says so, and what that is worth to a token.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use autoshare_access::{
    Access, AccessError, Grant, LOCAL, Operator, Refusal, Scope, TenantRecord, TenantState, Tenants, Terms, Tokens,
};
use autoshare_core::TenantName;
use autoshare_core::budget::Budget;
use autoshare_vault::Vault;

struct House {
    dir: tempfile::TempDir,
    operator: Operator,
    tenants: Tenants,
    tokens: Tokens,
}

impl House {
    fn new() -> Self {
        let private = std::fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let operator = Operator::local(dir.path()).unwrap();
        let (tenants, tokens) = open(dir.path());
        Self { dir, operator, tenants, tokens }
    }

    fn make(&self, name: &str) -> (Access, TenantRecord) {
        let record = self.tenants.create(&self.operator, &tenant(name), Terms::default()).unwrap();
        (self.tenants.access(&self.operator, &tenant(name)).unwrap(), TenantRecord::clone(&record))
    }
}

fn open(dir: &Path) -> (Tenants, Tokens) {
    let vault = Vault::open(dir).unwrap();
    (Tenants::open(dir, &vault).unwrap(), Tokens::open(dir, &vault).unwrap())
}

fn tenant(name: &str) -> TenantName {
    TenantName::parse(name).unwrap()
}

#[test]
fn a_tenant_is_made_once_and_has_a_number_of_its_own() {
    let house = House::new();
    let (acme, record) = house.make("acme");
    assert_eq!((acme.tenant().as_str(), acme.token(), record.number), ("acme", None, 1));
    assert_eq!(house.make("bolt").1.number, 2);
    for taken in ["acme", LOCAL] {
        let again = house.tenants.create(&house.operator, &tenant(taken), Terms::default());
        assert!(matches!(again, Err(AccessError::TenantExists(_))), "{taken}");
    }
    let names: Vec<_> = house.tenants.list(&house.operator).unwrap().iter().map(|t| t.name.to_string()).collect();
    assert_eq!(names, ["acme", "bolt", LOCAL]);
    let none = house.tenants.access(&house.operator, &tenant("nobody"));
    assert!(matches!(none, Err(AccessError::NoTenant(_))));
}

#[test]
fn terms_have_bounds_and_say_so() {
    let house = House::new();
    let wrong: [(&str, Terms); 5] = [
        ("weight", Terms { weight: 0, ..Terms::default() }),
        ("weight", Terms { weight: 1_001, ..Terms::default() }),
        ("awake", Terms { awake: 100_001, ..Terms::default() }),
        ("requests_per_minute", Terms { requests_per_minute: Some(0), ..Terms::default() }),
        ("model", Terms { model: Some(String::new()), ..Terms::default() }),
    ];
    for (what, terms) in wrong {
        match house.tenants.create(&house.operator, &tenant("acme"), terms) {
            Err(AccessError::Terms(words)) => assert!(words.contains(what), "{words}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn a_suspended_tenant_is_turned_away_by_every_process_and_comes_back_as_it_was() {
    let house = House::new();
    let (acme, _) = house.make("acme");
    let token = house.tokens.mint(&acme, Grant::gateway("laptop")).unwrap().token;
    let (other_tenants, other_tokens) = open(house.dir.path());
    assert!(other_tokens.authenticate(token.expose()).is_ok());
    let set = |state| house.tenants.set_state(&house.operator, &tenant("acme"), state).unwrap();
    set(TenantState::Suspended);
    match other_tokens.authenticate(token.expose()) {
        Err(AccessError::Refused { why: Refusal::Suspended, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(other_tenants.of(&acme).unwrap().state, TenantState::Suspended);
    set(TenantState::Active);
    assert_eq!(other_tokens.authenticate(token.expose()).unwrap().access.tenant(), acme.tenant());

    // For good.
    set(TenantState::Leaving);
    assert_eq!(set(TenantState::Active).state, TenantState::Leaving);
    assert!(other_tokens.authenticate(token.expose()).is_err());
}

/// Row F5: a record that was edited, or is another tenant's, gives nobody anything.
#[test]
fn f5_a_record_that_was_edited_or_moved_is_none() {
    let house = House::new();
    let (acme, _) = house.make("acme");
    house.make("bolt");
    let token = house.tokens.mint(&acme, Grant::gateway("laptop")).unwrap().token;
    let file = |name: &str| house.dir.path().join("tenants").join(name).join("tenant");
    let (own, others) = (std::fs::read_to_string(file("acme")).unwrap(), std::fs::read(file("bolt")).unwrap());
    let edited = own.replace("\"weight\":100", "\"weight\":999");
    assert_ne!(own, edited);
    for bytes in [edited.as_bytes(), &others] {
        std::fs::write(file("acme"), bytes).unwrap();
        assert!(matches!(house.tenants.of(&acme), Err(AccessError::Record { .. })));
        assert!(house.tokens.authenticate(token.expose()).is_err());
    }
    std::fs::write(file("acme"), &own).unwrap();
    assert!(house.tokens.authenticate(token.expose()).is_ok(), "the control");
}

#[test]
fn only_the_owner_of_the_machine_makes_tokens_that_make_tenants() {
    let house = House::new();
    let (acme, _) = house.make("acme");
    let grant = || Grant { scopes: vec![Scope::Operator], ..Grant::gateway("boss") };
    assert!(matches!(house.tokens.mint(&acme, grant()), Err(AccessError::Grant(_))));
    let local = Access::local(house.dir.path()).unwrap();
    let boss = house.tokens.mint(&local, grant()).unwrap();
    let bearer = house.tokens.authenticate(boss.token.expose()).unwrap();
    assert_eq!(bearer.operator().unwrap().token(), Some(&boss.id));
    let plain = house.tokens.mint(&local, Grant::gateway("plain")).unwrap();
    assert!(house.tokens.authenticate(plain.token.expose()).unwrap().operator().is_none());
}

#[test]
fn tokens_that_were_made_before_there_was_an_index_are_found_and_those_of_whoever_left_are_not() {
    let house = House::new();
    let (acme, _) = house.make("acme");
    let token = house.tokens.mint(&acme, Grant::gateway("laptop")).unwrap().token;
    std::fs::remove_dir_all(house.dir.path().join("token-index")).unwrap();
    assert!(open(house.dir.path()).1.authenticate(token.expose()).is_ok());

    let leave = || house.tenants.forget(&house.operator, &house.tokens, &tenant("acme"));
    assert!(matches!(leave(), Err(AccessError::Terms(_))), "it is not leaving");
    house.tenants.set_state(&house.operator, &tenant("acme"), TenantState::Leaving).unwrap();
    leave().unwrap();
    assert!(open(house.dir.path()).1.authenticate(token.expose()).is_err());
}

#[test]
fn what_a_tenant_may_name_are_the_models_of_its_terms() {
    let pattern = |text| autoshare_core::budget::ModelPattern::parse(text).unwrap();
    let terms = Terms { models: vec![pattern("gpt-5*")], budget: Budget::NONE, ..Terms::default() };
    assert!(terms.allows_model("gpt-5-mini") && !terms.allows_model("o3"));
    assert!(Terms::default().allows_model("o3"), "all, where none is named");
}
