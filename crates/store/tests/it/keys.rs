//! Tokens and the ledger together: what other gateways got wrong about keys and budgets.

use autoshare_access::{Bearer, Grant, Scope, Tokens};
use autoshare_core::budget::{Budget, Rate};
use autoshare_core::day::Day;
use autoshare_store::ledger::{Budgets, Ledger, LedgerError, Payer, Reservation, Settled};
use autoshare_vault::Vault;

use crate::ledger::{a_day, cents, open, payer};

struct House {
    _dir: tempfile::TempDir,
    access: autoshare_access::Access,
    tokens: Tokens,
    ledger: Ledger,
}

impl House {
    fn new() -> Self {
        let dir = crate::tempdir();
        let access = autoshare_access::Access::local(dir.path()).unwrap();
        let tokens = Tokens::open(dir.path(), &Vault::open(dir.path()).unwrap()).unwrap();
        let ledger = open(dir.path(), Budgets::default());
        Self { _dir: dir, access, tokens, ledger }
    }

    /// The text of a token with this budget.
    fn token(&self, budget: Budget) -> String {
        let grant = Grant { budget, scopes: vec![Scope::Gateway, Scope::Tokens], ..Grant::gateway("x") };
        self.tokens.mint(&self.access, grant).unwrap().token.expose().to_owned()
    }

    fn bearer(&self, token: &str) -> Bearer {
        self.tokens.authenticate(token).unwrap()
    }

    /// A call of one cent, as the gateway makes it: authenticated each time.
    fn call(&self, token: &str) -> Result<Reservation, LedgerError> {
        let bearer = self.bearer(token);
        self.ledger.reserve(&paying(&bearer), &bearer.limits, cents(1))
    }

    fn calls(&self, token: &str) -> u64 {
        let mut calls = 0;
        while let Ok(reservation) = self.call(token) {
            reservation.settle(cents(1), Settled::Done);
            calls += 1;
            assert!(calls < 10_000, "there is no limit");
        }
        calls
    }
}

fn paying(bearer: &Bearer) -> Payer {
    Payer { token: Some(bearer.token.id.clone()), ..payer("m") }
}

#[test]
fn litellm_39713_limits_hold_when_the_key_is_known_already() {
    let house = House::new();
    let token = house.token(a_day(30));
    assert_eq!(house.calls(&token), 30);
    assert_eq!(house.calls(&token), 0);
    let grant = Grant { rate: Rate { requests: Some(4), tokens: None }, ..Grant::gateway("slow") };
    let slow = house.tokens.mint(&house.access, grant).unwrap();
    assert_eq!(house.calls(slow.token.expose()), 4);
}

#[test]
fn litellm_29142_each_key_has_its_own_budget_whoever_came_before() {
    let house = House::new();
    let (rich, poor) = (house.token(a_day(200)), house.token(a_day(3)));
    for n in 0..10 {
        house.call(&rich).unwrap().settle(cents(1), Settled::Done);
        assert_eq!(house.call(&poor).map(|r| r.settle(cents(1), Settled::Done)).is_ok(), n < 3, "{n}");
    }
    assert_eq!(house.calls(&rich), 190);
}

#[test]
fn litellm_31079_a_new_secret_for_a_key_resets_neither_window_nor_limit() {
    let house = House::new();
    let token = house.token(a_day(30));
    (0..20).for_each(|_| house.call(&token).unwrap().settle(cents(1), Settled::Done));
    let id = house.bearer(&token).token.id.clone();
    let fresh = house.tokens.rotate(&house.access, &id).unwrap();
    assert_eq!(house.calls(fresh.token.expose()), 10);
}

#[test]
fn cve_2026_47101_keys_below_a_key_share_its_budget_however_many_there_are() {
    let house = House::new();
    let owner = house.token(a_day(30));
    let access = house.bearer(&owner).access;
    let below: Vec<_> = (0..5)
        .map(|_| house.tokens.mint(&access, Grant { budget: a_day(25), ..Grant::gateway("below") }).unwrap())
        .collect();
    let calls: u64 = below.iter().map(|minted| house.calls(minted.token.expose())).sum();
    assert_eq!(calls, 30);
    assert_eq!(house.calls(&owner), 0);
}

#[test]
fn litellm_28864_a_key_sees_its_own_spending_and_nobody_elses() {
    let house = House::new();
    let tokens = [house.token(a_day(30)), house.token(a_day(30))];
    for token in &tokens {
        house.call(token).unwrap().settle(cents(1), Settled::Done);
    }
    house.ledger.reserve(&payer("m"), &[], cents(1)).unwrap().settle(cents(1), Settled::Done);
    assert_eq!(house.ledger.usage(&house.access, Day(0)).unwrap().len(), 3);
    for token in &tokens {
        let bearer = house.bearer(token);
        let rows = house.ledger.usage(&bearer.access, Day(0)).unwrap();
        assert_eq!(rows.iter().map(|row| row.token.clone()).collect::<Vec<_>>(), [Some(bearer.token.id.clone())]);
    }
}

#[test]
fn litellm_30670_an_error_about_a_budget_does_not_hold_the_key() {
    let house = House::new();
    let token = house.token(a_day(1));
    house.calls(&token);
    let error = house.call(&token).unwrap_err();
    let said = format!("{error} {error:?} {:?} {:?}", house.ledger, house.bearer(&token));
    assert!(error.to_string().contains("has not enough money left for this day"), "{error}");
    assert!(!said.contains(&token[12..64]), "{said}");
}
