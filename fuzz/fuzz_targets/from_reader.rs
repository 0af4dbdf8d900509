//! A frame's body: a message of a reader cell that says the same when it is sent on, or a typed refusal.
#![no_main]

use autoshare_core::wire::{FromReader, decode, encode};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    if let Ok(message) = decode::<FromReader>(body) {
        let again = encode(&message).expect("what was decoded can be sent on");
        assert_eq!(decode::<FromReader>(&again[4..]).as_ref(), Ok(&message));
    }
});
