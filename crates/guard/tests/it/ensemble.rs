//! What several verifiers agree on, and what one more could change.

use autoshare_core::screening::Held;
use autoshare_guard::ensemble::{Agreement, DETECTOR, Vote, agreed, undecided};
use autoshare_guard::verify::{Form, Suspicion};
use proptest::prelude::*;

fn suspicion(from: usize, to: usize) -> Suspicion {
    Suspicion { span: from..to, score: 0.9, form: Form::Plain }
}

fn vote(by: &'static str, spans: &[(usize, usize)]) -> Vote {
    Vote { by, found: Ok(spans.iter().map(|(from, to)| suspicion(*from, *to)).collect()) }
}

fn failed(by: &'static str) -> Vote {
    Vote { by, found: Err("it is gone".to_owned()) }
}

fn spans(held: &[Held]) -> Vec<(u64, u64)> {
    held.iter().map(|held| (held.at, held.at + held.len)).collect()
}

/// Votes, and what is held back of a text of 100 bytes under any, most and all.
type Row = (Vec<Vote>, [&'static [(u64, u64)]; 3]);

#[test]
fn a_passage_is_held_back_where_enough_verifiers_found_a_part_of_it() {
    let (a, b, c) = (DETECTOR, "classifier", "judge");
    let table: [Row; 9] = [
        (vec![], [&[], &[], &[]]),
        (vec![vote(a, &[(10, 20)])], [&[(10, 20)], &[(10, 20)], &[(10, 20)]]),
        (vec![vote(a, &[(10, 20)]), vote(b, &[])], [&[(10, 20)], &[], &[]]),
        (vec![vote(a, &[(10, 20)]), vote(b, &[(15, 30)])], [&[(10, 30)], &[(10, 30)], &[(10, 30)]]),
        (vec![vote(a, &[(10, 20)]), vote(b, &[(20, 30)])], [&[(10, 20), (20, 30)], &[], &[]]),
        (
            vec![vote(a, &[(10, 20), (50, 60)]), vote(b, &[(12, 14)]), vote(c, &[(0, 11)])],
            [&[(0, 20), (50, 60)], &[(0, 20)], &[(10, 20)]],
        ),
        // One that could not judge counts as if it had found everything.
        (vec![vote(a, &[(10, 20)]), failed(b)], [&[(0, 100)], &[(10, 20)], &[(10, 20)]]),
        (vec![vote(a, &[(10, 20)]), vote(b, &[]), failed(c)], [&[(0, 100)], &[(10, 20)], &[]]),
        (vec![failed(a), failed(b)], [&[(0, 100)], &[(0, 100)], &[(0, 100)]]),
    ];
    for (votes, expected) in table {
        for (rule, expected) in [Agreement::Any, Agreement::Most, Agreement::All].into_iter().zip(expected) {
            assert_eq!(spans(&agreed(100, &votes, rule)), *expected, "{rule:?} {votes:?}");
        }
    }
    assert!(agreed(0, &[failed(a)], Agreement::Any).is_empty(), "there is nothing to hold back");
}

#[test]
fn what_is_held_back_says_by_whom_or_why() {
    let by = |votes: &[Vote]| agreed(100, votes, Agreement::Any).remove(0).by;
    assert_eq!(by(&[vote(DETECTOR, &[(1, 2)])]), [""; 0], "the detector alone is what is usual");
    assert_eq!(by(&[vote("classifier", &[(1, 2)])]), ["classifier"]);
    assert_eq!(by(&[vote(DETECTOR, &[(1, 4)]), vote("classifier", &[(2, 9)])]), ["classifier", "detector"]);
    let whole = agreed(100, &[failed("judge")], Agreement::Any).remove(0);
    assert_eq!(whole.why, "it could not be judged by judge (it is gone)");
}

#[test]
fn one_more_verifier_is_asked_only_where_its_word_decides() {
    let doubtful = || vec![suspicion(10, 20), suspicion(50, 60)];
    let asked = |votes: &[Vote], rule| -> Vec<usize> {
        undecided(doubtful(), votes, rule).into_iter().map(|suspicion| suspicion.span.start).collect()
    };
    let found = [vote(DETECTOR, &[(10, 20)])];
    assert_eq!(asked(&found, Agreement::Any), [50], "the other is held back in any case");
    assert_eq!(asked(&found, Agreement::All), [10], "the other is shown in any case");
    assert_eq!(asked(&[vote(DETECTOR, &[(10, 20)]), vote("classifier", &[])], Agreement::Most), [10]);
    assert_eq!(asked(&[failed(DETECTOR)], Agreement::All), [10, 50]);
    assert_eq!(asked(&[failed(DETECTOR)], Agreement::Any), [0; 0]);
}

proptest! {
    #[test]
    fn more_agreement_never_holds_back_more(
        votes in prop::collection::vec(prop::option::weighted(0.9, prop::collection::vec((0usize..90, 1usize..10), 0..6)), 0..4),
    ) {
        const NAMES: [&str; 4] = ["a", "b", "c", "d"];
        let of = |(by, found): (&&'static str, Option<Vec<(usize, usize)>>)| Vote {
            by,
            found: found.map(|spans| spans.iter().map(|(at, len)| suspicion(*at, at + len)).collect()).ok_or_else(String::new),
        };
        let votes: Vec<Vote> = NAMES.iter().zip(votes).map(of).collect();
        let covered = |rule| -> Result<Vec<bool>, TestCaseError> {
            let held = agreed(100, &votes, rule);
            prop_assert!(held.windows(2).all(|two| two[0].at + two[0].len <= two[1].at), "{:?}", held);
            let is_held = |at: u64| held.iter().any(|held| (held.at..held.at + held.len).contains(&at));
            Ok((0..100).map(is_held).collect())
        };
        let [any, most, all] = [covered(Agreement::Any)?, covered(Agreement::Most)?, covered(Agreement::All)?];
        for at in 0..100 {
            prop_assert!(any[at] >= most[at] && most[at] >= all[at], "{} {:?}", at, votes);
        }
    }
}
