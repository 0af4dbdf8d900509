//! A document as everything it could be: within every bound, or a typed refusal.
#![no_main]

use autoshare_cell::reader::read;
use autoshare_core::document::Hint;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for name in ["a.html", "a.md", "a.eml", "a.txt", ""] {
        let hint = Hint { mime: None, name: Some(name.to_owned()) };
        if let Ok(document) = read(bytes, &hint) {
            assert_eq!(document, document.clone().checked());
        }
    }
});
