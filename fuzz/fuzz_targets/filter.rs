//! A text on its way in: bounded, without what acts, and the same when it comes again.
#![no_main]

use autoshare_guard::plain;

libfuzzer_sys::fuzz_target!(|input: (u16, &str)| {
    let (max, text) = input;
    for max in [usize::from(max), usize::MAX] {
        let once = plain(text, max);
        assert!(once.text.len() <= max);
        let bare = format!("\n{}", once.text.replace("\r\n", "\n")).replace("\n\u{c}", "\n");
        assert!(!bare.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')));
        assert!(!bare.contains(['\u{202d}', '\u{202e}']));
        assert_eq!(once.report.is_clean(), once.text == text);
        let twice = plain(&once.text, max);
        assert!(twice.report.is_clean() && twice.text == once.text);
    }
});
