//! A frame's body: a message that says the same when it is sent on, or a typed refusal.
#![no_main]

use autoshare_core::wire::{FromCell, decode, encode};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    if let Ok(message) = decode::<FromCell>(body) {
        let again = encode(&message).expect("what was decoded can be sent on");
        assert_eq!(decode::<FromCell>(&again[4..]).as_ref(), Ok(&message));
    }
});
