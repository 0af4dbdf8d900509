//! F3, F6 and what other gateways got wrong about keys.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use autoshare_access::{Access, AccessError, Bearer, Grant, MAX_DEPTH, Minted, Refusal, Scope, Tokens};
use autoshare_core::TokenId;
use autoshare_core::budget::{Budget, Cap, Caps, ModelPattern, Rate};
use autoshare_core::usage::MicroUsd;
use autoshare_vault::{Vault, VaultError};

struct House {
    dir: tempfile::TempDir,
    access: Access,
    tokens: Tokens,
}

impl House {
    fn new() -> Self {
        let private = std::fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let access = Access::local(dir.path()).unwrap();
        let tokens = open(dir.path());
        Self { dir, access, tokens }
    }

    fn mint(&self, grant: Grant) -> Minted {
        self.tokens.mint(&self.access, grant).unwrap()
    }

    fn bearer(&self, minted: &Minted) -> Bearer {
        self.tokens.authenticate(minted.token.expose()).unwrap()
    }

    fn file(&self, id: &TokenId) -> PathBuf {
        self.dir.path().join(format!("tenants/local/tokens/{id}.token"))
    }
}

fn open(dir: &Path) -> Tokens {
    Tokens::open(dir, &Vault::open(dir).unwrap()).unwrap()
}

fn pattern(text: &str) -> ModelPattern {
    ModelPattern::parse(text).unwrap()
}

fn a_day(usd: u64) -> Budget {
    let day = Cap { cost: Some(MicroUsd(usd * 1_000_000)), ..Cap::NONE };
    Budget { hard: Caps { day, ..Caps::NONE }, soft: Caps::NONE }
}

type Change<'a> = &'a dyn Fn(&mut Grant);

/// A token that may mint.
fn issuer() -> Grant {
    Grant { scopes: vec![Scope::Gateway, Scope::Tokens], ..Grant::gateway("issuer") }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn refusal(result: Result<Bearer, AccessError>) -> Refusal {
    match result {
        Err(AccessError::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_gives_access_to_its_tenant_within_its_limits() {
    let house = House::new();
    let grant = Grant {
        models: vec![pattern("gpt-5*")],
        budget: a_day(5),
        rate: Rate { requests: Some(60), tokens: None },
        ..Grant::gateway("laptop")
    };
    let minted = house.mint(grant.clone());
    for tokens in [&house.tokens, &open(house.dir.path())] {
        let bearer = tokens.authenticate(minted.token.expose()).unwrap();
        assert_eq!(bearer.access.tenant(), house.access.tenant());
        assert_eq!(bearer.access.token().unwrap().id, minted.id);
        assert_eq!((bearer.token.budget, bearer.token.rate), (grant.budget, grant.rate));
        assert!(bearer.allows_model("gpt-5-mini") && !bearer.allows_model("gpt-4") && !bearer.allows_model("x-gpt-5"));
        assert!(bearer.has(Scope::Gateway) && !bearer.has(Scope::Tokens));
        assert_eq!(bearer.limits.len(), 1);
    }
}

#[test]
fn f3_unknown_wrong_expired_and_revoked_tokens_are_answered_alike_and_never_repeated() {
    let house = House::new();
    let good = house.mint(Grant::gateway("good"));
    let other = House::new().mint(Grant::gateway("elsewhere"));
    let revoked = house.mint(Grant::gateway("revoked"));
    house.tokens.revoke(&house.access, &revoked.id).unwrap();
    let rotated = house.mint(Grant::gateway("rotated"));
    house.tokens.rotate(&house.access, &rotated.id).unwrap();
    let expired = house.mint(Grant { expires_ms: Some(now_ms() + 30), ..Grant::gateway("expired") });
    assert!(house.tokens.authenticate(expired.token.expose()).is_ok());
    std::thread::sleep(Duration::from_millis(40));
    let text = good.token.expose();
    let typo = text.replacen(&text[20..21], if &text[20..21] == "x" { "y" } else { "x" }, 1);
    let cases: [(&str, &str, Refusal); 15] = [
        ("empty", "", Refusal::Malformed),
        ("a word", "secret", Refusal::Malformed),
        ("cut off", &text[..text.len() - 1], Refusal::Malformed),
        ("mistyped", &typo, Refusal::Malformed),
        ("upper case", &text.to_uppercase(), Refusal::Malformed),
        ("a space", &format!(" {text}"), Refusal::Malformed),
        ("a line break", &format!("{text}\n"), Refusal::Malformed),
        ("twice", &format!("{text}{text}"), Refusal::Malformed),
        ("a path", "as_../../../_x_00000000", Refusal::Malformed),
        ("no ASCII", "as_ääää_ß_00000000", Refusal::Malformed),
        ("very long", &"as_".repeat(1_000_000), Refusal::Malformed),
        ("elsewhere", other.token.expose(), Refusal::Unknown),
        ("rotated", rotated.token.expose(), Refusal::Wrong),
        ("revoked", revoked.token.expose(), Refusal::Revoked),
        ("expired", expired.token.expose(), Refusal::Expired),
    ];
    let words = AccessError::Refused { why: Refusal::Unknown, id: None }.to_string();
    for (name, presented, why) in cases {
        let error = house.tokens.authenticate(presented).unwrap_err();
        assert_eq!(error.to_string(), words, "{name}");
        for said in [format!("{error:?}"), error.for_the_log()] {
            assert!(presented.len() < 9 || !said.contains(presented), "{name}: {said}");
            assert!(!presented.get(12..60).is_some_and(|secret| said.contains(secret)), "{name}: {said}");
        }
        assert_eq!(refusal(house.tokens.authenticate(presented)), why, "{name}");
    }
    assert!(house.tokens.authenticate(text).is_ok());
}

#[test]
fn cve_2026_42208_sql_in_the_authorization_value_is_a_malformed_token() {
    let house = House::new();
    house.mint(Grant::gateway("x"));
    for presented in
        ["' OR '1'='1", "as_' OR 1=1 --_x_00000000", "as_00000000_'; DROP TABLE account; --_00000000", "%", "*"]
    {
        assert_eq!(refusal(house.tokens.authenticate(presented)), Refusal::Malformed, "{presented}");
    }
}

#[test]
fn f3_the_time_for_a_wrong_secret_does_not_depend_on_where_it_differs() {
    // What is compared are marks (HMAC under a key of this machine), so that the first byte of a mark says nothing about
    // the secret: two secrets that differ in their last character have marks that differ everywhere.
    let house = House::new();
    let marks = Vault::open(house.dir.path()).unwrap().token_marks();
    let [a, b] =
        ["x", "y"].map(|last| marks.mark(&[b"label", format!("{}{last}", "s".repeat(51)).as_bytes()]).unwrap());
    let same = a.bytes().zip(b.bytes()).filter(|(a, b)| a == b).count();
    assert!(same < 20, "{same} of 64 digits are the same: {a} {b}");
    assert!(
        !autoshare_vault::is_same(&a, &a[..63])
            && autoshare_vault::is_same(&a, &a)
            && !autoshare_vault::is_same(&a, &b)
    );
}

#[test]
fn c6_neither_token_nor_secret_is_in_any_file() {
    let house = House::new();
    let minted = house.mint(issuer());
    let bearer = house.bearer(&minted);
    let below = house.tokens.mint(&bearer.access, Grant::gateway("below")).unwrap();
    let rotated = house.tokens.rotate(&house.access, &minted.id).unwrap();
    let mut files = 0;
    for entry in walk(house.dir.path()) {
        let bytes = std::fs::read(&entry).unwrap();
        files += 1;
        for token in [&minted, &below, &rotated] {
            let secret = &token.token.expose()[12..64];
            assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{}", entry.display());
        }
        if entry.extension().is_some_and(|e| e == "token") {
            assert_eq!(std::fs::metadata(&entry).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
    assert!(files >= 3);
    assert!(!format!("{minted:?} {bearer:?} {:?}", house.tokens).contains(&minted.token.expose()[12..64]));
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn what_another_process_revokes_rotates_or_removes_is_gone_at_once() {
    let house = House::new();
    let other = open(house.dir.path());
    let minted = house.mint(Grant::gateway("x"));
    let rotating = house.mint(Grant::gateway("y"));
    let removed = house.mint(Grant::gateway("z"));
    for minted in [&minted, &rotating, &removed] {
        other.authenticate(minted.token.expose()).unwrap();
    }
    house.tokens.revoke(&house.access, &minted.id).unwrap();
    assert_eq!(refusal(other.authenticate(minted.token.expose())), Refusal::Revoked);
    let fresh = house.tokens.rotate(&house.access, &rotating.id).unwrap();
    assert_eq!(refusal(other.authenticate(rotating.token.expose())), Refusal::Wrong);
    assert_eq!(other.authenticate(fresh.token.expose()).unwrap().token.id, rotating.id);
    std::fs::remove_file(house.file(&removed.id)).unwrap();
    assert_eq!(refusal(other.authenticate(removed.token.expose())), Refusal::Unknown);
    // A token that has ended stays so.
    assert!(matches!(house.tokens.rotate(&house.access, &minted.id), Err(AccessError::Grant(_))));
    assert!(matches!(house.tokens.revoke(&house.access, &removed.id), Err(AccessError::NoToken(_))));
}

#[test]
fn cve_2026_47101_a_token_mints_nothing_that_it_has_not() {
    let house = House::new();
    let ends = now_ms() + 3_600_000;
    let own = Grant {
        expires_ms: Some(ends),
        models: vec![pattern("gpt-5*"), pattern("o4")],
        budget: a_day(5),
        rate: Rate { requests: Some(60), tokens: Some(1000) },
        ..issuer()
    };
    let bearer = house.bearer(&house.mint(own));
    let below = |change: Change<'_>| {
        let mut grant = Grant::gateway("below");
        change(&mut grant);
        house.tokens.mint(&bearer.access, grant)
    };
    let too_much: [(&str, Change<'_>); 8] = [
        ("later", &|grant| grant.expires_ms = Some(ends + 1)),
        ("another model", &|grant| grant.models = vec![pattern("claude*")]),
        ("more models", &|grant| grant.models = vec![pattern("gpt-5"), pattern("gpt-*")]),
        ("all models", &|grant| grant.models = vec![pattern("*")]),
        ("more money", &|grant| grant.budget = a_day(6)),
        ("more requests", &|grant| grant.rate.requests = Some(61)),
        ("more tokens a minute", &|grant| grant.rate.tokens = Some(1001)),
        ("absurd", &|grant| grant.budget = a_day(u64::MAX / 1_000_000)),
    ];
    for (name, change) in too_much {
        match below(change) {
            Err(AccessError::Beyond(words)) => assert!(words.contains("ask for less"), "{name}: {words}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    // What is not said is the issuer's, not unlimited.
    let bare = house.bearer(&below(&|_| ()).unwrap());
    assert_eq!(bare.token.expires_ms, Some(ends));
    assert_eq!(
        (bare.token.budget, bare.token.rate, &bare.token.models),
        (bearer.token.budget, bearer.token.rate, &bearer.token.models)
    );
    assert!(!bare.has(Scope::Tokens));
    // And what it uses is charged to the issuer too, so that ten tokens have not ten times as much.
    assert_eq!(bare.limits.len(), 2);
    assert_eq!(bare.limits[1], bearer.limits[0]);
    // One without the scope mints nothing at all.
    match house.tokens.mint(&bare.access, Grant::gateway("third")) {
        Err(AccessError::Beyond(words)) => assert!(words.contains("may not make tokens"), "{words}"),
        other => panic!("{other:?}"),
    }
    let less = below(&|grant| {
        grant.models = vec![pattern("gpt-5-mini*")];
        grant.budget = a_day(1);
        grant.expires_ms = Some(ends - 1);
    });
    let less = house.bearer(&less.unwrap());
    assert!(less.allows_model("gpt-5-mini-2") && !less.allows_model("gpt-5"));
}

#[test]
fn litellm_8029_a_token_never_has_more_than_its_owner_whatever_its_record_says() {
    let house = House::new();
    let owner = house.mint(Grant { models: vec![pattern("gpt-5")], ..issuer() });
    let below = house.tokens.mint(&house.bearer(&owner).access, Grant::gateway("below")).unwrap();
    house.bearer(&below);
    house.tokens.revoke(&house.access, &owner.id).unwrap();
    assert_eq!(refusal(house.tokens.authenticate(below.token.expose())), Refusal::Revoked, "it ends with its owner");
    assert!(matches!(
        house.tokens.mint(&house.access, Grant { scopes: Vec::new(), ..Grant::gateway("nothing") }),
        Err(AccessError::Grant(_))
    ));
}

#[test]
fn cve_2026_47102_a_record_that_its_owner_edited_is_no_token() {
    let house = House::new();
    let minted = house.mint(Grant { budget: a_day(5), ..Grant::gateway("x") });
    let good = std::fs::read_to_string(house.file(&minted.id)).unwrap();
    let edits: [(&str, String); 5] = [
        ("a scope", good.replace("\"gateway\"", "\"tokens\"")),
        ("a cap", good.replace("5000000", "9000000")),
        ("no mark", good.split_once('\n').unwrap().1.to_owned()),
        ("cut off", good[..good.len() - 2].to_owned()),
        ("empty", String::new()),
    ];
    for (name, edited) in edits {
        assert_ne!(edited, good, "{name}");
        std::fs::write(house.file(&minted.id), edited).unwrap();
        let error = house.tokens.authenticate(minted.token.expose()).unwrap_err();
        assert!(matches!(error, AccessError::Record { .. }), "{name}: {error:?}");
    }
    std::fs::write(house.file(&minted.id), &good).unwrap();
    house.bearer(&minted);
    // Another tenant's directory, another token's name.
    let foreign = house.dir.path().join("tenants/bolt/tokens");
    std::fs::create_dir_all(&foreign).unwrap();
    for dir in ["tenants/bolt", "tenants/bolt/tokens"] {
        std::fs::set_permissions(house.dir.path().join(dir), std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    std::fs::rename(house.file(&minted.id), foreign.join(format!("{}.token", minted.id))).unwrap();
    assert_eq!(refusal(house.tokens.authenticate(minted.token.expose())), Refusal::Unknown);
    let index = house.dir.path().join(format!("token-index/{}", minted.id));
    std::fs::write(&index, "bolt").unwrap();
    assert!(matches!(house.tokens.authenticate(minted.token.expose()), Err(AccessError::Record { .. })));
    let second = house.mint(Grant::gateway("y"));
    std::fs::rename(foreign.join(format!("{}.token", minted.id)), house.file(&second.id)).unwrap();
    assert!(matches!(house.tokens.authenticate(second.token.expose()), Err(AccessError::Record { .. })));
}

#[test]
fn a_token_sees_and_changes_itself_and_what_is_below_it_alone() {
    let house = House::new();
    let (a, b) = (house.mint(issuer()), house.mint(issuer()));
    let of_a = house.bearer(&a).access;
    let below = house.tokens.mint(&of_a, Grant::gateway("below")).unwrap();
    let ids = |access: &Access| house.tokens.list(access).unwrap().iter().map(|r| r.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&house.access).len(), 3);
    let mut seen = ids(&of_a);
    seen.sort();
    let mut own = vec![a.id.clone(), below.id.clone()];
    own.sort();
    assert_eq!(seen, own);
    // Foreign and unknown ids are answered alike.
    let unknown = TokenId::from_random([9; 5]);
    for id in [&b.id, &unknown] {
        let words = [house.tokens.revoke(&of_a, id).unwrap_err(), house.tokens.rotate(&of_a, id).unwrap_err()];
        assert!(words.iter().all(|error| matches!(error, AccessError::NoToken(_))), "{words:?}");
    }
    house.bearer(&b);
    house.tokens.revoke(&of_a, &below.id).unwrap();
    assert_eq!(refusal(house.tokens.authenticate(below.token.expose())), Refusal::Revoked);
    // With the scope for the gateway alone, nothing is changed.
    let plain = house.bearer(&house.mint(Grant::gateway("plain")));
    assert!(house.tokens.revoke(&plain.access, &plain.token.id).is_err());
    // An access outlives its token for nothing.
    house.tokens.revoke(&house.access, &a.id).unwrap();
    assert!(matches!(house.tokens.mint(&of_a, Grant::gateway("late")), Err(AccessError::Refused { .. })));
    assert!(house.tokens.rotate(&of_a, &a.id).is_err());
}

#[test]
fn tokens_stand_above_one_another_a_bounded_number_of_times() {
    let house = House::new();
    let mut access = house.access.clone();
    let mut depth = 0;
    let error = loop {
        match house.tokens.mint(&access, issuer()) {
            Ok(minted) => access = house.bearer(&minted).access,
            Err(error) => break error,
        }
        depth += 1;
    };
    assert!(matches!(error, AccessError::Beyond(_)), "{error:?}");
    assert_eq!(depth, MAX_DEPTH);
}

#[test]
fn f6_litellm_a_weak_machine_key_is_refused() {
    for (name, body) in
        [("zeros", vec![0; 32]), ("a pattern", b"changeme".repeat(4)), ("short", vec![7; 8]), ("none", vec![])]
    {
        let house = House::new();
        let file = house.dir.path().join("keys/machine.key");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.truncate(8);
        bytes.extend(body);
        std::fs::write(&file, bytes).unwrap();
        assert!(matches!(Vault::open(house.dir.path()), Err(VaultError::Format { .. })), "{name}");
    }
}

#[test]
fn malformed_grants_say_what_is_accepted() {
    let house = House::new();
    let cases = [
        Grant::gateway(""),
        Grant::gateway(&"x".repeat(65)),
        Grant::gateway("a\nb"),
        Grant { expires_ms: Some(now_ms() - 1), ..Grant::gateway("late") },
        Grant { models: vec![pattern("m"); 101], ..Grant::gateway("many") },
    ];
    for grant in cases {
        let error = house.tokens.mint(&house.access, grant.clone()).unwrap_err();
        assert!(matches!(error, AccessError::Grant(_)), "{grant:?}: {error:?}");
    }
    assert_eq!(house.tokens.list(&house.access).unwrap(), []);
}

#[test]
fn a_rotation_that_meets_a_revocation_does_not_undo_it() {
    let house = House::new();
    for _ in 0..20 {
        let minted = house.mint(Grant::gateway("x"));
        let other = open(house.dir.path());
        std::thread::scope(|scope| {
            scope.spawn(|| (0..5).for_each(|_| drop(other.rotate(&house.access, &minted.id))));
            scope.spawn(|| house.tokens.revoke(&house.access, &minted.id).unwrap());
        });
        assert!(house.tokens.list(&house.access).unwrap().iter().all(|record| record.revoked_ms.is_some()));
    }
}

/// Row F7: whoever makes tokens without end takes no descriptors, which all tenants share.
#[test]
fn f7_a_token_that_is_looked_at_holds_nothing_open() {
    let house = House::new();
    let held = || {
        let all =
            std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
        all.filter(|path| path.starts_with(house.dir.path())).count()
    };
    house.bearer(&house.mint(Grant::gateway("first")));
    let before = held();
    assert!(before > 0, "the data directory itself");
    for _ in 0..50 {
        house.bearer(&house.mint(Grant::gateway("more")));
    }
    assert_eq!(held(), before);
}
