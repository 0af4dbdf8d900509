//! The written policy: what is taken, what is refused, and what the profiles say.

use autoshare_gate::policy::{Policy, Profile};

#[test]
fn the_profiles_load_and_their_examples_hold() {
    for profile in Profile::ALL {
        let policy = Policy::builtin(profile).unwrap_or_else(|why| panic!("{}: {why}", profile.name()));
        assert!(policy.rules().len() > 20, "{}", profile.name());
    }
}
