//! A text before the detector: judged the same again, and every span lies in it.
#![no_main]

use autoshare_guard::verify::{Channel, Profile, verify};
use autoshare_guard::{Screen, screen, shown};

libfuzzer_sys::fuzz_target!(|input: (bool, &str)| {
    let (user, text) = input;
    let channel = if user { Channel::User } else { Channel::Content };
    let found = verify(text, channel);
    assert!((0.0..=1.0).contains(&found.score));
    assert!(found.spans.is_sorted_by_key(|one| one.span.start));
    assert!(found.spans.iter().all(|one| text.get(one.span.clone()).is_some_and(|piece| !piece.is_empty())));
    let seen = screen(text, &Screen { max_bytes: usize::MAX, channel, detector: Some(Profile::Cautious) });
    let left = shown(&seen.text, &seen.screening);
    for held in &seen.screening.held {
        let (at, len) = (usize::try_from(held.at).unwrap(), usize::try_from(held.len).unwrap());
        assert!(seen.text.get(at..at + len).is_some_and(|passage| !passage.is_empty()));
    }
    assert!(!seen.screening.held.is_empty() || left == seen.text);
});
