//! A packet's body: a message that says the same when it is sent on, or a refusal.
#![no_main]

use autoshare_core::wire::FromInit;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    if let Ok(message) = serde_json::from_slice::<FromInit>(body) {
        let again = serde_json::to_vec(&message).expect("what was decoded can be sent on");
        assert_eq!(serde_json::from_slice::<FromInit>(&again).ok(), Some(message));
    }
});
