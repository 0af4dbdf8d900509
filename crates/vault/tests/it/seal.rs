//! Sealing to a place.

use std::collections::HashSet;
use std::sync::LazyLock;

use autoshare_core::{BrainId, Digest, Seq, TenantName};
use autoshare_vault::{OVERHEAD, Place, TenantKey, Vault, VaultError};
use proptest::prelude::*;

use crate::tenant;

/// Two tenants' keys, of one machine.
static KEYS: LazyLock<[TenantKey; 2]> = LazyLock::new(|| {
    // Kept until the end of all tests: a key that is in use looks at its file.
    static DIR: LazyLock<tempfile::TempDir> =
        LazyLock::new(|| crate::tempdir_in(std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))));
    let vault = Vault::open(DIR.path()).unwrap();
    ["acme", "bolt"].map(|name| vault.tenant(&tenant(name)).unwrap())
});

/// A place that owns what it names.
#[derive(Debug, Clone, PartialEq)]
struct Spot {
    brain: BrainId,
    seq: Seq,
    kind: u8,
    previous: Digest,
}

impl Spot {
    fn of<'a>(&'a self, tenant: &'a TenantName) -> Place<'a> {
        Place { tenant, brain: &self.brain, seq: self.seq, kind: self.kind, previous: &self.previous }
    }
}

fn spot() -> impl Strategy<Value = Spot> {
    // Small ranges too, so that two spots often agree in all but one part.
    let seq = prop_oneof![0..4u64, any::<u64>()];
    (prop_oneof![Just([0; 5]), any::<[u8; 5]>()], seq, 0..4u8, prop_oneof![Just([0; 32]), any::<[u8; 32]>()]).prop_map(
        |(brain, seq, kind, previous)| Spot {
            brain: BrainId::from_random(brain),
            seq: Seq(seq),
            kind,
            previous: Digest::from_bytes(previous),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_sealed_opens_in_its_place(at in spot(), text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let key = &KEYS[0];
        let sealed = key.seal(&at.of(key.tenant()), &text).unwrap();
        prop_assert_eq!(sealed.len(), text.len() + OVERHEAD);
        prop_assert_eq!(&**key.open(&at.of(key.tenant()), &sealed).unwrap(), &text);
    }

    #[test]
    fn f5_it_opens_in_no_other_place(at in spot(), other in spot(), text in ".{0,40}") {
        prop_assume!(at != other);
        let key = &KEYS[0];
        let sealed = key.seal(&at.of(key.tenant()), text.as_bytes()).unwrap();
        prop_assert!(matches!(key.open(&other.of(key.tenant()), &sealed), Err(VaultError::Open)));
    }

    #[test]
    fn f5_it_does_not_open_when_any_part_of_its_place_differs(at in spot(), text in ".{0,40}") {
        let key = &KEYS[0];
        let sealed = key.seal(&at.of(key.tenant()), text.as_bytes()).unwrap();
        let mut bytes = *at.previous.as_bytes();
        bytes[31] ^= 1;
        let others = [
            Spot { seq: Seq(at.seq.0 ^ 1), ..at.clone() },
            Spot { seq: Seq(at.seq.0 ^ (1 << 63)), ..at.clone() },
            Spot { kind: at.kind ^ 1, ..at.clone() },
            Spot { previous: Digest::from_bytes(bytes), ..at.clone() },
            Spot { brain: BrainId::from_random([0xff; 5]), ..at.clone() },
        ];
        for other in others.iter().filter(|other| **other != at) {
            prop_assert!(matches!(key.open(&other.of(key.tenant()), &sealed), Err(VaultError::Open)), "{other:?}");
        }
    }

    #[test]
    fn f5_it_does_not_open_with_another_tenants_key(at in spot(), text in ".{0,40}") {
        let [acme, bolt] = &*KEYS;
        let sealed = acme.seal(&at.of(acme.tenant()), text.as_bytes()).unwrap();
        prop_assert!(matches!(bolt.open(&at.of(bolt.tenant()), &sealed), Err(VaultError::Open)));
        let (opened, sealed) = (bolt.open(&at.of(acme.tenant()), &sealed), acme.seal(&at.of(bolt.tenant()), b""));
        let refused = [matches!(opened, Err(VaultError::Tenant { .. })), matches!(sealed, Err(VaultError::Tenant { .. }))];
        prop_assert_eq!(refused, [true, true]);
    }

    #[test]
    fn it_does_not_open_with_a_bit_changed_a_byte_less_or_a_byte_more(at in spot(), text in ".{0,40}", bit in 0..8u32) {
        let key = &KEYS[0];
        let place = at.of(key.tenant());
        let sealed = key.seal(&place, text.as_bytes()).unwrap();
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1u8 << bit;
            prop_assert!(key.open(&place, &changed).is_err(), "bit {bit} of byte {position}");
            prop_assert!(key.open(&place, &sealed[..position]).is_err(), "cut to {position}");
        }
        let mut longer = sealed.clone();
        longer.push(0);
        prop_assert!(key.open(&place, &longer).is_err());
    }

    #[test]
    fn bytes_that_were_never_sealed_do_not_open(at in spot(), bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let key = &KEYS[0];
        prop_assert!(key.open(&at.of(key.tenant()), &bytes).is_err());
    }
}

#[test]
fn sealing_twice_gives_two_texts_and_never_the_same_nonce() {
    let key = &KEYS[0];
    let at = Spot { brain: BrainId::from_random([1; 5]), seq: Seq(1), kind: 1, previous: Digest::of(b"") };
    let nonces =
        (0..1000).map(|_| key.seal(&at.of(key.tenant()), b"same").unwrap()[5..29].to_vec()).collect::<HashSet<_>>();
    assert_eq!(nonces.len(), 1000);
}

#[test]
fn a_later_format_is_named_as_such() {
    let key = &KEYS[0];
    let at = Spot { brain: BrainId::from_random([1; 5]), seq: Seq(1), kind: 1, previous: Digest::of(b"") };
    let mut sealed = key.seal(&at.of(key.tenant()), b"x").unwrap();
    assert_eq!(sealed[0], 2);
    sealed[0] = 3;
    let error = key.open(&at.of(key.tenant()), &sealed).unwrap_err();
    assert!(matches!(error, VaultError::NewerSeal { found: 3, known: 2 }), "{error}");
    assert!(error.to_string().contains("newer autoshare"), "{error}");
}
