//! What is shown of a text in which passages are held back.

use autoshare_core::screening::{Held, Screening};
use autoshare_guard::{held, percent, shown};
use proptest::prelude::*;

fn marks(spans: &[(u64, u64)]) -> Screening {
    let held = spans
        .iter()
        .map(|(at, len)| Held {
            at: *at,
            len: *len,
            form: "plain text".into(),
            percent: 90,
            why: String::new(),
            by: vec![],
        })
        .collect();
    Screening { removed: String::new(), held, set_aside: false }
}

/// Marks, what is left of the text, passages.
type Row = (&'static [(u64, u64)], &'static str, &'static [&'static str]);

#[test]
fn marks_that_do_not_fit_the_text_hide_nothing_else_and_break_nothing() {
    let text = "aé-order-z";
    let table: &[Row] = &[
        (&[], "aé-order-z", &[]),
        (&[(4, 5)], "aé-|-z", &["order"]),
        // In the middle of a character, beyond the end, before the one before it, overflowing.
        (&[(2, 3)], "aé-order-z", &[]),
        (&[(4, 500)], "aé-order-z", &[]),
        (&[(4, 5), (1, 2)], "aé-|-z", &["order", "é"]),
        (&[(u64::MAX, u64::MAX)], "aé-order-z", &[]),
        (&[(0, 11)], "|", &["aé-order-z"]),
    ];
    for (spans, left, passages) in table {
        let screening = marks(spans);
        let seen = shown(text, &screening);
        let parts: Vec<&str> = seen.split('[').flat_map(|part| part.rsplit(']').next()).collect();
        assert_eq!(parts.join("|"), *left, "{spans:?}: {seen}");
        assert_eq!(held(text, &screening).map(|(_, text)| text).collect::<Vec<_>>(), *passages, "{spans:?}");
    }
}

#[test]
fn hundredths_are_rounded_and_never_leave_their_range() {
    let table = [(0.0, 0), (0.004, 0), (0.005, 1), (0.5, 50), (0.996, 100), (1.0, 100), (-1.0, 0), (7.0, 100)];
    for (score, expected) in table {
        assert_eq!(percent(score), expected, "{score}");
    }
    assert_eq!(percent(f32::NAN), 0);
}

proptest! {
    #[test]
    fn nothing_that_is_held_back_is_shown(text in "[a-zé ]{0,60}", spans in prop::collection::vec((0u64..70, 0u64..20), 0..6)) {
        let screening = marks(&spans);
        let seen = shown(&text, &screening);
        let whole: usize = seen.split('[').filter_map(|part| part.rsplit(']').next()).map(str::len).sum();
        prop_assert!(whole <= text.len());
        // A second look at the same marks says the same.
        prop_assert_eq!(shown(&text, &screening), seen);
    }
}
