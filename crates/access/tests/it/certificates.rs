//! Tokens that are bound to a certificate.

use autoshare_access::{Access, AccessError, Grant, Refusal, Scope, TenantState};
use autoshare_core::{Digest, TenantName};

use crate::people::House;

fn bound(certificate: &Digest) -> Grant {
    let scopes = vec![Scope::Read, Scope::Tokens, Scope::Gateway];
    Grant { scopes, certificate: Some(*certificate), ..Grant::gateway("machine") }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, AccessError>) -> Refusal {
    match result {
        Err(AccessError::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_certificate_is_the_token_that_is_bound_to_it_and_a_bound_token_is_nothing_without_it() {
    let house = House::new();
    let (acme, bolt) = (house.tenant("acme"), house.tenant("bolt"));
    let (own, others, nobodys) = (Digest::of(b"acme's"), Digest::of(b"bolt's"), Digest::of(b"signed, and no more"));
    let machine = house.tokens.mint(&acme, bound(&own)).unwrap();
    house.tokens.mint(&bolt, bound(&others)).unwrap();
    let plain = house.tokens.mint(&acme, Grant::gateway("plain")).unwrap();
    let (machine_text, plain_text) = (machine.token.expose(), plain.token.expose());
    let tokens = &house.tokens;
    let tenant = |access: &Access| access.tenant().to_string();

    let (by_own, by_others) =
        (tokens.authenticate_over(None, Some(&own)).unwrap(), tokens.authenticate_over(None, Some(&others)).unwrap());
    assert_eq!((tenant(&by_own.access), &by_own.token.id), ("acme".to_owned(), &machine.id));
    assert_eq!(tenant(&by_others.access), "bolt");
    assert_eq!(tokens.authenticate_over(Some(machine_text), Some(&own)).unwrap().token.id, machine.id);
    // A token that is bound to none is as good as without.
    assert_eq!(tokens.authenticate_over(Some(plain_text), Some(&own)).unwrap().token.id, plain.id);

    for (what, presented, certificate, why) in [
        ("a bound token alone", Some(machine_text), None, Refusal::Certificate),
        ("with another certificate", Some(machine_text), Some(&others), Refusal::Certificate),
        ("a certificate that no token is bound to", None, Some(&nobodys), Refusal::Certificate),
        ("garbage beside a good certificate", Some("garbage"), Some(&own), Refusal::Malformed),
        ("an empty token beside a good certificate", Some(""), Some(&own), Refusal::Malformed),
        ("nothing", None, None, Refusal::Malformed),
    ] {
        assert_eq!(refusal(tokens.authenticate_over(presented, certificate)), why, "{what}");
    }
    let expired = Grant { expires_ms: Some(now_ms() + 1_500), ..bound(&nobodys) };
    house.tokens.mint(&acme, expired).unwrap();
    assert!(tokens.authenticate_over(None, Some(&nobodys)).is_ok());
    std::thread::sleep(std::time::Duration::from_millis(1_550));
    assert_eq!(refusal(tokens.authenticate_over(None, Some(&nobodys))), Refusal::Certificate);

    house.tenants.set_state(&house.operator, acme.tenant(), TenantState::Suspended).unwrap();
    assert_eq!(refusal(tokens.authenticate_over(None, Some(&own))), Refusal::Suspended);
    house.tenants.set_state(&house.operator, acme.tenant(), TenantState::Active).unwrap();
    tokens.revoke(&acme, &machine.id).unwrap();
    assert_eq!(refusal(tokens.authenticate_over(None, Some(&own))), Refusal::Certificate);
}

#[test]
fn a_certificate_is_bound_to_one_token_at_a_time_whatever_the_tenant() {
    let house = House::new();
    let (acme, bolt) = (house.tenant("acme"), house.tenant("bolt"));
    let shared = Digest::of(b"shared");
    let first = house.tokens.mint(&acme, bound(&shared)).unwrap();
    for access in [&acme, &bolt] {
        assert!(matches!(house.tokens.mint(access, bound(&shared)), Err(AccessError::Grant(_))));
    }
    house.tokens.revoke(&acme, &first.id).unwrap();
    let second = house.tokens.mint(&bolt, bound(&shared)).unwrap();
    let bearer = house.tokens.authenticate_over(None, Some(&shared)).unwrap();
    assert_eq!((bearer.access.tenant().as_str(), &bearer.token.id), ("bolt", &second.id));
    // A tenant that is removed leaves none behind.
    let bolt = TenantName::parse("bolt").unwrap();
    house.tenants.set_state(&house.operator, &bolt, TenantState::Leaving).unwrap();
    house.tenants.forget(&house.operator, &house.tokens, &bolt).unwrap();
    assert_eq!(refusal(house.tokens.authenticate_over(None, Some(&shared))), Refusal::Certificate);
    assert_eq!(std::fs::read_dir(house.dir.path().join("certificate-index")).unwrap().count(), 1, "its lock alone");
}

#[test]
fn what_a_bound_token_makes_is_bound_as_it_is() {
    let house = House::new();
    let acme = house.tenant("acme");
    let (own, other) = (Digest::of(b"own"), Digest::of(b"other"));
    house.tokens.mint(&acme, bound(&own)).unwrap();
    let access = house.tokens.authenticate_over(None, Some(&own)).unwrap().access;
    let below = house.tokens.mint(&access, Grant::gateway("below")).unwrap();
    let text = below.token.expose();
    assert_eq!(refusal(house.tokens.authenticate(text)), Refusal::Certificate, "no way to an unbound one");
    assert_eq!(refusal(house.tokens.authenticate_over(Some(text), Some(&other))), Refusal::Certificate);
    assert!(house.tokens.authenticate_over(Some(text), Some(&own)).is_ok());
    assert!(matches!(house.tokens.mint(&access, bound(&other)), Err(AccessError::Beyond(_))));
}

/// A certificate is no secret: whoever has seen another's must not lead its bearer to a tenant of their own.
#[test]
fn a_token_binds_one_to_no_certificate_but_the_one_that_is_shown() {
    let house = House::new();
    let (acme, bolt) = (house.tenant("acme"), house.tenant("bolt"));
    let (own, bolts) = (Digest::of(b"acme's"), Digest::of(b"bolt's"));
    let free = house.tokens.mint(&acme, Grant { certificate: None, ..bound(&own) }).unwrap();
    let over =
        |shown: Option<&Digest>| house.tokens.authenticate_over(Some(free.token.expose()), shown).unwrap().access;
    for (what, access) in [("without one", over(None)), ("with its own", over(Some(&own)))] {
        let squatted = house.tokens.mint(&access, bound(&bolts));
        assert!(matches!(squatted, Err(AccessError::Beyond(_))), "{what}: {squatted:?}");
    }
    // And is told the same where it is bound already: nobody learns of others' certificates.
    house.tokens.mint(&bolt, bound(&bolts)).unwrap();
    assert!(matches!(house.tokens.mint(&over(Some(&own)), bound(&bolts)), Err(AccessError::Beyond(_))));
    assert_eq!(house.tokens.authenticate_over(None, Some(&bolts)).unwrap().access.tenant(), bolt.tenant());

    let machine = house.tokens.mint(&over(Some(&own)), bound(&own)).unwrap();
    assert_eq!(house.tokens.authenticate_over(None, Some(&own)).unwrap().token.id, machine.id);
}

fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}
