//! Where the host dies.

use std::time::{Duration, Instant};

use autoshare_testkit::{ERRAND_EFFECTS, errand};

use crate::scene::{Outcome, Scene, ended_well};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("g1_killed_before_and_after_every_append", killed_before_and_after_every_append),
    ("g1_killed_again_and_again", killed_again_and_again),
    ("g1_killed_at_any_instant", killed_at_any_instant),
];

/// Instants at which the host is killed.
const INSTANTS: u32 = 60;

/// The errand without an interruption: what every other must come to.
fn undisturbed(scene: &mut Scene) -> Outcome {
    scene.reset();
    let before = scene.files();
    assert!(scene.lives(None));
    let outcome = scene.outcome();
    assert_eq!(outcome.undone, before, "the control: it is taken back");
    let expected = ERRAND_EFFECTS.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(outcome.effects, expected, "the control: the kernel tells of every effect");
    assert_eq!((outcome.resumed, outcome.calls_again, outcome.unknown), (0, 0, 0));
    assert_eq!(outcome.calls, errand("").turns.len());
    outcome
}

/// Compares an errand with so many deaths to one without.
fn compare(found: &Outcome, expected: &Outcome, deaths: usize, when: &str) {
    assert_eq!(found.files, expected.files, "{when}");
    assert_eq!(found.effects, expected.effects, "{when}: an effect ran twice, or not at all");
    let differs = found.journal.iter().zip(&expected.journal).find(|(found, expected)| found != expected);
    assert_eq!(differs, None, "{when}");
    assert_eq!(found.journal.len(), expected.journal.len(), "{when}");
    assert_eq!(found.undone, expected.undone, "{when}: taken back");
    assert_eq!(found.unknown, 0, "{when}: file tools can always tell");
    assert!(found.calls_again <= deaths, "{when}: {} calls were made again", found.calls_again);
    assert!(found.resumed <= deaths, "{when}: {} notes", found.resumed);
}

fn killed_before_and_after_every_append() {
    let mut scene = Scene::new();
    let expected = undisturbed(&mut scene);
    let (mut points, mut called_again) = (0, 0);
    for append in 1.. {
        for after in [false, true] {
            let when = format!("killed {} append {append}", if after { "after" } else { "before" });
            scene.reset();
            if scene.lives(Some((append, after))) {
                assert!(!after && points > 2 * 40, "{append} appends are too few for this errand");
                println!("{points} deaths, {called_again} model calls made again");
                return;
            }
            assert!(scene.lives(None), "{when}");
            let found = scene.outcome();
            compare(&found, &expected, 1, &when);
            points += 1;
            called_again += found.calls_again;
        }
    }
}

/// Each host lives for three appends, the first of which says that the work goes on, and the second that there is a new
/// cell.
fn killed_again_and_again() {
    let mut scene = Scene::new();
    let expected = undisturbed(&mut scene);
    scene.reset();
    let mut deaths = 0;
    while !scene.lives(Some((3, true))) {
        deaths += 1;
        assert!(deaths < 200, "it does not get on");
    }
    compare(&scene.outcome(), &expected, deaths, &format!("killed {deaths} times"));
    assert!(deaths > 40, "{deaths}");
}

fn killed_at_any_instant() {
    let mut scene = Scene::new();
    let expected = undisturbed(&mut scene);
    scene.reset();
    let began = Instant::now();
    assert!(scene.lives(None));
    let whole = began.elapsed();
    let mut deaths = 0;
    for instant in 0..INSTANTS {
        scene.reset();
        let mut host = scene.host(None);
        std::thread::sleep(whole * instant / INSTANTS + Duration::from_micros(u64::from(instant) * 37));
        host.kill().unwrap();
        let died = usize::from(!ended_well(host));
        deaths += died;
        assert!(scene.lives(None), "instant {instant}");
        compare(&scene.outcome(), &expected, died, &format!("killed at {instant}/{INSTANTS} of {whole:?}"));
    }
    assert!(deaths > INSTANTS as usize / 2, "{deaths} deaths: the others came too late");
    println!("{deaths} deaths");
}
