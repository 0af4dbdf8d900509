//! What holds of the profiles whatever the facts.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use autoshare_core::event::AskMode;
use autoshare_core::tool::Effect;
use autoshare_core::verdict::Decision;
use autoshare_gate::facts::{Contract, Facts, Standing, Trust, Values, Where};
use autoshare_gate::policy::{Policy, Profile, read_facts};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

static PROFILES: LazyLock<[Policy; 3]> =
    LazyLock::new(|| Profile::ALL.map(|profile| Policy::builtin(profile).unwrap()));

/// Each profile with one rule more that forbids, in many ways.
static FORBIDDING: LazyLock<[Vec<Policy>; 3]> = LazyLock::new(|| {
    let actions = ["action", "action == Action::\"act\"", "action == Action::\"act_unasked\""];
    let conditions = [
        "true",
        "context.tainted",
        "!context.tainted",
        "resource.served",
        "context.targets.isEmpty()",
        "context.targets.contains(Trust::\"trusted\")",
        "context.warrant == Warrant::\"inside\"",
        "context.fetched_from_source > 3",
        "resource.contract == Contract::\"derived\"",
    ];
    let texts = actions.map(|action| {
        conditions.map(|condition| {
            format!("@id(\"mine\") @because(\"x\") forbid (principal, {action}, resource) when {{ {condition} }};")
        })
    });
    let with_each = |policy: &Policy| texts.iter().flatten().map(|text| policy.add("mine", text).unwrap()).collect();
    PROFILES.each_ref().map(with_each)
});

const TRUSTS: [Trust; 5] = [Trust::Trusted, Trust::Issued, Trust::Model, Trust::Tainted, Trust::Content];

type Role = fn(&mut Facts) -> &mut Values;
const ROLES: [Role; 7] = [
    |facts| &mut facts.targets,
    |facts| &mut facts.amounts,
    |facts| &mut facts.secrets,
    |facts| &mut facts.contents,
    |facts| &mut facts.queries,
    |facts| &mut facts.links,
    |facts| &mut facts.address,
];
/// Where the address is: its order is another one.
const ADDRESS: usize = 6;

fn any_facts() -> impl Strategy<Value = Facts> {
    let effects =
        [Effect::Read, Effect::WriteInside, Effect::RunInside, Effect::Fetch, Effect::External, Effect::Destructive];
    let kind = (
        select(vec![None, Some("mail".to_owned())]),
        select(vec![Contract::Builtin, Contract::Derived, Contract::Operator]),
        select(effects.to_vec()),
        select(vec![Where::Nowhere, Where::Inside, Where::Outside]),
        select(vec![AskMode::Default, AskMode::Always, AskMode::Yes]),
        // Mostly what lets things pass, so that what is changed in them matters.
        prop_oneof![
            3 => Just(Standing::Inside),
            1 => select(vec![Standing::Outside, Standing::OtherTargets, Standing::NotDrawn]),
        ],
    );
    let flag = || prop::bool::weighted(0.2);
    let flags = (any::<bool>(), flag(), flag(), flag(), any::<bool>(), flag(), flag(), flag());
    let values = prop::collection::vec(
        prop_oneof![2 => Just(vec![]), 2 => Just(vec![Trust::Trusted]), 3 => subsequence(TRUSTS.to_vec(), 0..=5)],
        7,
    );
    (kind, flags, values, 0u64..10).prop_map(|(kind, flags, values, fetched)| {
        let mut facts = read_facts("").unwrap();
        (facts.server, facts.contract, facts.effect, facts.place, facts.ask, facts.warrant) = kind;
        let words = |is_so: bool| is_so.then(|| "x".to_owned());
        let (reversible, instructions, destroys, runs, tainted, secret_read, carries, allowed) = flags;
        (facts.reversible, facts.instructions, facts.tainted, facts.allowed_host) =
            (reversible, instructions, tainted, allowed);
        (facts.destroys, facts.runs_from) = (words(destroys), words(runs));
        (facts.secret_read, facts.carries_secret) = (words(secret_read), words(carries));
        facts.fetched_from_source = fetched;
        for (role, trust) in ROLES.iter().zip(values) {
            role(&mut facts).trust = trust.into_iter().collect();
        }
        facts
    })
}

/// The values of a role, one of them made less trusted. What the model put together is the worst of addresses: it can
/// carry data, and what stands in a document cannot.
fn worse(values: &BTreeSet<Trust>, at: usize, steps: usize, role: usize) -> BTreeSet<Trust> {
    let mut order = TRUSTS;
    if role == ADDRESS {
        order.swap(3, 4);
    }
    let mut values = values.clone();
    if let Some(old) = values.iter().nth(at % values.len().max(1)).copied() {
        let place = order.iter().position(|trust| *trust == old).unwrap();
        values.remove(&old);
        values.insert(order[(place + steps).min(order.len() - 1)]);
    }
    values
}

fn changed(facts: &Facts, change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = facts.clone();
    change(&mut facts);
    facts
}

proptest! {
    /// Every case has a verdict with a reason, and the same one when it is judged by a policy that has judged nothing yet.
    #[test]
    fn total_and_deterministic(facts in any_facts()) {
        for policy in PROFILES.iter() {
            let verdict = policy.decide(&facts);
            prop_assert!(!verdict.1.is_empty());
            prop_assert!(verdict.1.iter().all(|reason| !reason.words.is_empty() && reason.rule != "policy-error"));
            prop_assert_eq!(&verdict, &policy.decide(&facts));
            prop_assert_eq!(&verdict, &policy.for_brain("", "").decide(&facts));
        }
    }

    /// What is less trusted is never judged more mildly, nor is one more untrusted value.
    #[test]
    fn less_trust_is_never_milder(facts in any_facts(), role in 0..ROLES.len(), at in 0usize..5, steps in 1usize..5) {
        let less = changed(&facts, |facts| {
            let values = ROLES[role](facts);
            values.trust = worse(&values.trust, at, steps, role);
        });
        let more = [Trust::Tainted, Trust::Content].map(|trust| changed(&facts, |facts| {
            ROLES[role](facts).trust.insert(trust);
        }));
        for policy in PROFILES.iter() {
            let before = policy.decide(&facts).0;
            for after in [&less].into_iter().chain(&more) {
                prop_assert!(policy.decide(after).0 >= before, "{:?} then {:?}", policy.decide(&facts), policy.decide(after));
            }
        }
    }

    /// Nor is what was read, what it reaches, or what cannot be taken back.
    #[test]
    fn what_is_worse_is_never_milder(facts in any_facts(), more in 1u64..10) {
        let x = || Some("x".to_owned());
        let worse = [
            changed(&facts, |facts| facts.tainted = true),
            changed(&facts, |facts| facts.secret_read = x()),
            changed(&facts, |facts| facts.carries_secret = x()),
            changed(&facts, |facts| facts.instructions = true),
            changed(&facts, |facts| facts.destroys = x()),
            changed(&facts, |facts| facts.runs_from = x()),
            changed(&facts, |facts| facts.reversible = false),
            changed(&facts, |facts| facts.allowed_host = false),
            changed(&facts, |facts| facts.place = Where::Outside),
            changed(&facts, |facts| facts.ask = AskMode::Always),
            changed(&facts, |facts| facts.fetched_from_source += more),
        ];
        for policy in PROFILES.iter() {
            let before = policy.decide(&facts).0;
            for after in &worse {
                prop_assert!(policy.decide(after).0 >= before, "{:?}", after);
            }
        }
    }

    /// What the goal does not need is never judged more mildly than what it does.
    #[test]
    fn outside_the_warrant_is_never_milder(facts in any_facts()) {
        let inside = changed(&facts, |facts| facts.warrant = Standing::Inside);
        for standing in [Standing::OtherTargets, Standing::Outside, Standing::NotDrawn] {
            let outside = changed(&facts, |facts| facts.warrant = standing);
            for policy in PROFILES.iter() {
                prop_assert!(policy.decide(&outside).0 >= policy.decide(&inside).0, "{:?}", standing);
            }
        }
    }

    /// The profiles are ordered.
    #[test]
    fn cautious_is_never_milder_than_default_nor_that_than_trusting(facts in any_facts()) {
        let decisions = PROFILES.each_ref().map(|policy| policy.decide(&facts).0);
        prop_assert!(decisions.is_sorted_by(|one, other| one >= other), "{:?}", decisions);
    }

    /// An operator's rules that forbid make it stricter, whatever they say.
    #[test]
    fn forbidding_is_never_milder(facts in any_facts()) {
        for (policy, stricter) in PROFILES.iter().zip(FORBIDDING.iter()) {
            let before = policy.decide(&facts).0;
            prop_assert!(stricter.iter().all(|stricter| stricter.decide(&facts).0 >= before));
        }
    }

    /// No profile lets anything out that carries a secret, or does unasked what others chose and nobody can take back.
    #[test]
    fn what_no_profile_allows(facts in any_facts()) {
        let reaches = matches!(facts.effect, Effect::External | Effect::Destructive);
        let others = [Trust::Tainted, Trust::Content].iter().any(|trust| facts.targets.trust.contains(trust));
        for policy in PROFILES.iter() {
            let decision = policy.decide(&facts).0;
            if reaches && facts.carries_secret.is_some() {
                prop_assert_eq!(decision, Decision::Deny);
            }
            if reaches && (facts.secret_read.is_some() || (others && !facts.reversible)) {
                prop_assert!(decision >= Decision::Ask);
            }
        }
    }
}
