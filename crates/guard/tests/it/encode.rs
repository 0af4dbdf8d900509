use autoshare_guard::encode::{MAX_FILE_NAME, file_name, log_line, terminal, terminal_line};
use proptest::prelude::*;

use crate::nasty;

#[test]
fn d1_a_terminal_is_shown_what_would_act_on_it() {
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str)] = &[
        ("plain lines stay",          "one\n\ttwo",                       "one\n\ttwo"),
        ("a colour",                  "\u{1b}[31mred",                    "\\x1b[31mred"),
        ("a title",                   "\u{1b}]0;x\u{7}",                  "\\x1b]0;x\\x07"),
        ("a link",                    "\u{1b}]8;;http://e\u{1b}\\t",      "\\x1b]8;;http://e\\x1b\\t"),
        ("an 8-bit CSI",              "\u{9b}2J",                         "<U+009B>2J"),
        ("CR, BS, NUL, DEL",          "a\rb\u{8}\0\u{7f}",                "a\\rb\\x08\\x00\\x7f"),
        ("bidi: override",            "\u{202e}gpj.exe",                  "<U+202E>gpj.exe"),
        ("bidi: balanced too",        "\u{2066}a\u{2069}\u{200f}",        "<U+2066>a<U+2069><U+200F>"),
        ("line separators",           "a\u{2028}b\u{85}",                 "a<U+2028>b<U+0085>"),
        ("zero width",                "pa\u{200b}ss\u{feff}",             "pa<U+200B>ss<U+FEFF>"),
        ("tags",                      "x\u{e0041}",                       "x<U+E0041>"),
        ("stray selectors",           "a\u{fe0f}",                        "a<U+FE0F>"),
        ("Persian stays",             "می\u{200c}خواهم",                  "می\u{200c}خواهم"),
        ("emoji stay",                "👩🏽\u{200d}🚀 ❤\u{fe0f}",           "👩🏽\u{200d}🚀 ❤\u{fe0f}"),
    ];
    for (what, text, wanted) in rows {
        assert_eq!(terminal(text), *wanted, "{what}");
    }
}

#[test]
fn a_terminal_line_is_one_line_of_its_width() {
    #[rustfmt::skip]
    let rows: &[(&str, usize, &str)] = &[
        ("fits",                  4, "fits"),
        ("too long",              5, "too …"),
        ("a\nb\r\n\tc",          40, "a⏎b\\r⏎\\tc"),
        ("汉字汉字",              8, "汉字汉字"),
        ("汉字汉字",              7, "汉字汉…"),
        ("汉字汉字",              6, "汉字…"),
        ("👩\u{200d}🚀abcdef",    5, "👩\u{200d}🚀…"),
        ("👩\u{200d}🚀abcdef",    4, "👩…"),
        ("abc",                   1, "…"),
        ("abc",                   0, ""),
        ("",                      0, ""),
    ];
    for (text, width, wanted) in rows {
        assert_eq!(terminal_line(text, *width), *wanted, "{text:?} in {width}");
    }
    assert!(terminal_line(&"\u{301}".repeat(100_000), 10).len() < 2_000, "marks without width are no way round it");
}

#[test]
fn a_log_line_is_one_line_and_says_what_it_was() {
    let forged = "done\n2026-11-24 INFO approved by root\r\n\ttail \\n \u{2028}";
    assert_eq!(log_line(forged), "done\\n2026-11-24 INFO approved by root\\r\\n\\ttail \\\\n <U+2028>");
}

#[test]
fn a9_f9_a_file_name_is_one_harmless_component() {
    #[rustfmt::skip]
    let rows: &[(&str, &str)] = &[
        ("report.pdf",              "report.pdf"),
        ("Q3 report (final).pdf",   "Q3 report _final_.pdf"),
        ("../../etc/passwd",        "_.._etc_passwd"),
        ("/etc/passwd",             "_etc_passwd"),
        ("C:\\boot.ini",            "C__boot.ini"),
        ("",                        "unnamed"),
        (".",                       "unnamed"),
        ("..",                      "unnamed"),
        (".bashrc",                 "bashrc"),
        ("-rf",                     "rf"),
        (" - .x. ",                 "x"),
        ("con",                     "_con"),
        ("NUL.txt",                 "_NUL.txt"),
        ("com1.log",                "_com1.log"),
        ("console",                 "console"),
        ("a\0b\nc\u{202e}d",        "a_b_c_d"),
        ("résumé 履歴書.docx",       "résumé 履歴書.docx"),
        ("हिन्दी.txt",                "हिन्दी.txt"),
        ("quote\"'; rm",            "quote___ rm"),
    ];
    for (text, wanted) in rows {
        assert_eq!(file_name(text), *wanted, "{text:?}");
    }
    let long = file_name(&format!("{}.tar.gz", "ä".repeat(5_000)));
    assert!(long.len() <= MAX_FILE_NAME && long.ends_with("ä.gz"), "{long}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn d1_nothing_that_acts_reaches_a_terminal(text in nasty::text()) {
        let shown = terminal(&text);
        prop_assert!(!shown.chars().any(nasty::acts), "{shown:?}");
        prop_assert!(!shown.bytes().any(|b| (b < 0x20 && b != b'\n' && b != b'\t') || b == 0x7f));
        prop_assert_eq!(terminal(&shown), shown.clone(), "what is shown is shown the same again");
        prop_assert_eq!(shown.lines().count(), text.split('\n').count() - usize::from(text.ends_with('\n') || text.is_empty()));
    }

    #[test]
    fn d1_nothing_that_acts_reaches_a_line_and_it_keeps_its_width(text in nasty::text(), width in 0usize..100) {
        use unicode_width::UnicodeWidthChar as _;
        let shown = terminal_line(&text, width);
        prop_assert!(!shown.chars().any(|c| nasty::acts(c) || c == '\n' || c == '\t'), "{shown:?}");
        prop_assert!(shown.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>() <= width, "{shown:?}");
    }

    #[test]
    fn log_lines_cannot_be_forged_or_confused(one in nasty::text(), two in nasty::text()) {
        let line = log_line(&one);
        prop_assert!(!line.chars().any(|c| nasty::acts(c) || c == '\n' || c == '\t'), "{line:?}");
        if one.is_ascii() && two.is_ascii() {
            prop_assert_eq!(line == log_line(&two), one == two);
        }
    }

    #[test]
    fn a9_any_text_gives_a_harmless_file_name(text in nasty::text()) {
        let name = file_name(&text);
        prop_assert!(!name.is_empty() && name.len() <= MAX_FILE_NAME);
        prop_assert!(!name.starts_with(['.', '-', ' ']) && !name.ends_with(['.', ' ']), "{name:?}");
        prop_assert!(!name.chars().any(|c| nasty::acts(c) || matches!(c, '/' | '\\' | '\n' | '\t' | '\0' | ':')), "{name:?}");
        prop_assert_eq!(std::path::Path::new(&name).components().count(), 1);
        prop_assert_eq!(file_name(&name), name.clone());
    }
}
