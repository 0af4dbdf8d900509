//! Where the host dies.

use std::time::{Duration, Instant};

use autoshare_testkit::{ERRAND_EFFECTS, errand};

use crate::one_host::Death;
use crate::scene::{Outcome, Scene, ended_well, host};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("g1_killed_before_and_after_every_append", killed_before_and_after_every_append),
    ("g1_killed_again_and_again", killed_again_and_again),
    ("g1_killed_at_any_instant", killed_at_any_instant),
    ("g1_killed_under_ten_tenants_load", killed_under_ten_tenants_load),
];

/// Tenants whose brains a host drives at the same time.
const TENANTS: usize = 10;
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
    // What the journal tells of it comes first: it says more than the files do.
    let differs = found.journal.iter().zip(&expected.journal).find(|(found, expected)| found != expected);
    assert_eq!(differs, None, "{when}");
    assert_eq!(found.files, expected.files, "{when}");
    assert_eq!(found.effects, expected.effects, "{when}: an effect ran twice, or not at all");
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
            if scene.lives(Some(Death { tenant: 0, append, after })) {
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
    while !scene.lives(Some(Death { tenant: 0, append: 3, after: true })) {
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

/// Ten tenants' brains are driven by hosts that die at an append to the journal of one of them, each time of another, before
/// it and after it by turns: what each has to show in the end is what it would have had alone and undisturbed. A host lives
/// for three appends of one of them, so all come slowly through their journals, and hosts die all along.
///
/// `./test --long` also begins anew for each append, before it and after it.
fn killed_under_ten_tenants_load() {
    let mut scenes: Vec<Scene> = (0..TENANTS).map(|_| Scene::new()).collect();
    let expected: Vec<Outcome> = scenes.iter_mut().map(undisturbed).collect();
    scenes.iter_mut().for_each(Scene::reset);
    let mut deaths = 0;
    // The first brain whose end comes before its host's lets that host live, and end the others.
    while dies(&scenes, Death { tenant: deaths % TENANTS, append: 3, after: (deaths / TENANTS).is_multiple_of(2) }) {
        deaths += 1;
        assert!(deaths < 1_000, "they do not get on");
    }
    all_as_expected(&scenes, &expected, deaths, &format!("killed {deaths} times"));
    assert!(deaths > 20, "{deaths}");
    println!("{deaths} deaths of hosts with {TENANTS} tenants");
    if std::env::var_os("AUTOSHARE_TEST_LONG").is_none() {
        return println!("not one for each append: that takes a quarter of an hour, and is for ./test --long");
    }
    let mut points = 0;
    for append in 1.. {
        let tenant = usize::try_from(append).unwrap() % TENANTS;
        for after in [false, true] {
            scenes.iter_mut().for_each(Scene::reset);
            if !dies(&scenes, Death { tenant, append, after }) {
                assert!(!after && points > 2 * 40, "{append} appends are too few for this errand");
                return println!("{points} deaths, one at each append");
            }
            assert!(ended_well(host(&scenes, None)));
            all_as_expected(
                &scenes,
                &expected,
                1,
                &format!("killed at append {append} of tenant {tenant}, after: {after}"),
            );
            points += 1;
        }
    }
}

fn dies(scenes: &[Scene], death: Death) -> bool {
    !ended_well(host(scenes, Some(death)))
}

fn all_as_expected(scenes: &[Scene], expected: &[Outcome], deaths: usize, when: &str) {
    for (tenant, (scene, expected)) in scenes.iter().zip(expected).enumerate() {
        compare(&scene.outcome(), expected, deaths, &format!("tenant {tenant}: {when}"));
    }
}
