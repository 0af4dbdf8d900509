//! A text on its way out: whatever it is, it is inert where it goes.
#![no_main]

use autoshare_guard::encode;

libfuzzer_sys::fuzz_target!(|input: (u8, &str)| {
    let (width, text) = input;
    let acts = |shown: &str| shown.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert!(!acts(&encode::terminal(text)));
    for line in [encode::terminal_line(text, usize::from(width)), encode::log_line(text), encode::file_name(text)] {
        assert!(!acts(&line) && !line.contains(['\n', '\u{2028}', '\u{2029}']));
    }
    assert!(!encode::html(text).contains(['<', '>', '"', '\'', '`']));
    assert_eq!(serde_json::from_str::<String>(&encode::json_string(text)).unwrap(), text);
    let value = encode::header_value(text);
    assert!(value.bytes().all(|byte| (b'!'..=b'~').contains(&byte) || byte == b' ' || byte == b'\t'));
    let word = encode::shell_word(text);
    assert!(word.starts_with('\'') && word.ends_with('\''));
    let sql = encode::sql_literal(text);
    assert!(sql.starts_with('\'') && sql.ends_with('\''));
    assert_eq!(sql.matches('\'').count() % 2, 0);
    let (markdown, field) = (encode::markdown(text), encode::csv_field(text));
    assert!(!acts(&markdown));
    assert!(field.starts_with('"') && field.ends_with('"') && field.matches('"').count() % 2 == 0);
    let mark = "0123456789abcdef0123456789abcdef";
    let framed = encode::prompt_data(mark, text, text);
    assert_eq!(framed.matches(mark).count(), 2);
    assert_eq!(framed.matches("[end of data").count(), 1);
});
