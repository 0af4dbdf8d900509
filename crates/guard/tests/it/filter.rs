use autoshare_guard::{Class, plain};
use proptest::prelude::*;

use crate::nasty;

const ROOMY: usize = 1 << 20;

/// Whoever writes in these languages and notations needs characters that others hide in.
const CLEAN: &[(&str, &str)] = &[
    ("English", "Plain text: tabs\tand lines,\nquotes \"'`, symbols ~!@#$%^&*().\n"),
    ("Windows line ends", "one\r\ntwo\r\n"),
    ("a form feed between the parts of a program", "(defun a ())\n\u{c}\n(defun b ())\r\n\u{c}"),
    ("German with soft hyphens", "Donau\u{ad}dampf\u{ad}schiff"),
    ("Vietnamese, precomposed and decomposed", "Tiếng Việt, Tie\u{302}\u{301}ng Vie\u{323}\u{302}t"),
    ("Persian with ZWNJ", "می\u{200c}خواهم کتاب\u{200c}ها را، PDF\u{200c}ها، ۲۰۲۶"),
    ("Arabic with an abbreviated year (ZWJ)", "١٤٤٧ ه\u{200d} السلام عليكم"),
    ("Hebrew with points, CGJ and a mark", "שָׁלוֹם \u{200e}A\u{200f} יְרוּשָׁלַ\u{34f}ִם"),
    ("Hebrew with balanced isolates", "קובץ \u{2066}report.pdf\u{2069} נשמר"),
    ("Arabic with balanced embeddings", "\u{202b}نص \u{202a}abc\u{202c} عربي\u{202c}"),
    ("Hindi with joiners", "क्\u{200d}ष, क्\u{200c}ष, नमस्ते दुनिया"),
    ("Bengali ya-phala with ZWJ", "র\u{200d}্যাব"),
    ("Sinhala", "ශ්\u{200d}රී ලංකා"),
    ("Tamil", "வணக்கம் உலகம்"),
    ("Thai with zero-width spaces", "ภาษา\u{200b}ไทย\u{200b}ง่าย"),
    ("Khmer with zero-width spaces", "ភាសា\u{200b}ខ្មែរ\u{200b} \u{200b}ភាសា"),
    ("Kurdish with a joiner at the end of words", "ئه\u{200c}وه\u{200c} له\u{200c}\n"),
    ("Mongolian with selectors", "ᠪᠠᠶᠢᠨ\u{180e}ᠠ ᠨ\u{180b}"),
    ("Chinese, with an ideographic variation", "汉字，葛\u{e0100}城"),
    ("Japanese, full width", "ｶﾀｶﾅ、全角　スペース「引用」"),
    ("Korean, composed and conjoining", "한국어 \u{1112}\u{1161}\u{11ab}, \u{115f}\u{1161}"),
    (
        "emoji: families, skin, flags, keycaps",
        "👩\u{200d}👩\u{200d}👧 👩🏽\u{200d}🚀 🏳\u{fe0f}\u{200d}🌈 🇩🇪 1\u{fe0f}\u{20e3} ❤\u{fe0f}\u{200d}🔥",
    ),
    ("the flag of Wales", "🏴\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}!"),
    ("mathematics with variations", "A ∩\u{fe00} B ⊂ ℝ, ∀ε>0, 1000\u{fe00}, ℒ\u{fe00}, 𝒜\u{fe01}"),
    ("boxes, blocks, powerline", "┌─┐ █▓ \u{e0b0}"),
];

#[test]
fn clean_text_of_any_language_passes_byte_for_byte() {
    for (what, text) in CLEAN {
        let seen = plain(text, ROOMY);
        assert_eq!(seen.text, *text, "{what}");
        assert!(seen.report.is_clean(), "{what}: {}", seen.report.words());
    }
}

#[test]
fn d1_d4_what_a_reader_would_not_see_is_taken_out_and_counted() {
    use Class::*;
    // Two of 127 are too deep, and go with their ends; one end has no start.
    let (open, close) = ("\u{2067}", "\u{2069}");
    let deep = format!("{}a{}", open.repeat(127), close.repeat(128));
    let deep_left = format!("{}a{}", open.repeat(125), close.repeat(125));
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str, Class, usize)] = &[
        ("a colour",                 "a\u{1b}[1;31mred\u{1b}[0m",             "ared",    EscapeSequence, 2),
        ("a title",                  "\u{1b}]0;pwned\u{7}x",                  "x",       EscapeSequence, 1),
        ("a link, with its address", "\u{1b}]8;;https://e.example\u{1b}\\go\u{1b}]8;;\u{1b}\\", "go", EscapeSequence, 2),
        ("the clipboard",            "\u{1b}]52;c;cm0gLXJm\u{9c}x",           "x",       EscapeSequence, 1),
        ("an 8-bit CSI",             "a\u{9b}2Jb",                            "ab",      EscapeSequence, 1),
        ("a device string",          "\u{1b}P+q544e\u{1b}\\x",                "x",       EscapeSequence, 1),
        ("a reset",                  "a\u{1b}cb",                             "ab",      EscapeSequence, 1),
        ("an open string, which swallows nothing", "\u{1b}]0;rest of\nthe page", "]0;rest of\nthe page", Control, 1),
        ("an open CSI",              "\u{1b}[31",                             "[31",     Control, 1),
        ("backspaces over a word",   "rm\u{8}\u{8}ls",                        "rmls",    Control, 2),
        ("a carriage return over a line", "evil\rgood",                       "evil\ngood", Control, 1),
        ("NUL, BEL, DEL, NEL",       "a\0\u{7}\u{7f}\u{85}b",                 "ab",      Control, 4),
        ("form feeds in a row and in a line", "\u{c}\u{c}a\u{c}b",            "\u{c}ab", Control, 2),
        ("an override",              "\u{202e}fdp.exe\u{202c}",               "fdp.exe", Bidi, 2),
        ("an isolate left open",     "if \u{2067}x { // end",                 "if x { // end", Bidi, 1),
        ("an isolate closed on another line", "\u{2067}a\nb\u{2069}",         "a\nb",    Bidi, 2),
        ("isolates deeper than count", &deep,                                 &deep_left, Bidi, 5),
        ("an end without a start",   "a\u{2069}b\u{202c}",                    "ab",      Bidi, 2),
        ("bits written in marks",    "a\u{200e}\u{200f}\u{200e}b",            "a\u{200e}b", Bidi, 2),
        ("a split word",             "ig\u{200b}no\u{200d}re\u{2060} th\u{200c}is", "ignore this", ZeroWidth, 4),
        ("a byte order mark",        "\u{feff}text",                          "text",    ZeroWidth, 1),
        ("soft hyphens as padding",  " \u{ad} \u{ad} \u{34f} x",              "    x",   ZeroWidth, 3),
        ("Hangul fillers",           "\u{3164}\u{115f}\u{1160}\u{ffa0}x",     "x",       ZeroWidth, 4),
        ("ASCII in tags",            "hi\u{e0001}\u{e0072}\u{e006d}",         "hi",      Tag, 3),
        ("tags behind a flag",       "🏴\u{e0072}\u{e006d}\u{e007f}",         "🏴",      Tag, 3),
        ("bytes in selectors",       "😀\u{fe0f}\u{e0120}\u{fe01}\u{fe02}",   "😀\u{fe0f}", VariationSelector, 3),
        ("selectors after letters",  "a\u{fe0f}b\u{fe00}1\u{fe0f}",           "ab1",     VariationSelector, 3),
    ];
    for (what, text, wanted, class, count) in rows {
        let seen = plain(text, ROOMY);
        assert_eq!(seen.text, *wanted, "{what}");
        let found: Vec<_> = seen.report.findings.iter().map(|f| (f.class, f.count)).collect();
        assert_eq!(found, [(*class, *count)], "{what}");
        let removed: usize = seen.report.findings.iter().map(|f| f.bytes).sum();
        let replaced = usize::from(text.contains('\r'));
        assert_eq!(removed, text.len() - wanted.len() + replaced, "{what}: every byte is accounted for");
    }
}

#[test]
fn a_report_says_what_and_where() {
    let seen = plain("é\u{200b}x\u{1b}[1my\u{200b}", ROOMY);
    assert_eq!(seen.report.words(), "removed 2 zero-width characters, 1 escape sequence");
    assert_eq!(seen.report.findings.iter().map(|f| f.first_at).collect::<Vec<_>>(), [2, 6]);
}

#[test]
fn a_long_text_keeps_head_and_tail_and_says_what_is_missing() {
    let text: String = (0..1000).map(|n| format!("line {n} ü\n")).collect();
    let seen = plain(&text, 400);
    assert!(seen.text.len() <= 400, "{} bytes", seen.text.len());
    assert!(seen.text.starts_with("line 0 ü\nline 1 ü\n"), "{}", seen.text);
    assert!(seen.text.ends_with("line 998 ü\nline 999 ü\n"), "{}", seen.text);
    let cut = seen.report.cut.expect("a cut");
    let note = format!("\n[... {} bytes left out here ...]\n", cut.omitted);
    assert_eq!(seen.text.find(&note), Some(cut.at));
    assert_eq!(seen.text.len() - note.len() + cut.omitted, text.len());
    assert_eq!(seen.report.words(), format!("left out {} bytes in the middle", cut.omitted));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn d1_plain_text_holds_nothing_that_acts_and_passes_again_unchanged(text in nasty::text(), max in 0usize..400) {
        for max in [max, ROOMY] {
            let once = plain(&text, max);
            prop_assert!(once.text.len() <= max);
            let bare = format!("\n{}", once.text.replace("\r\n", "\n")).replace("\n\u{c}", "\n");
            prop_assert!(!bare.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "{:?}", once.text);
            prop_assert!(!bare.contains(['\u{202d}', '\u{202e}']), "{:?}", once.text);
            let twice = plain(&once.text, max);
            prop_assert_eq!(&twice.text, &once.text);
            prop_assert!(twice.report.is_clean());
            prop_assert_eq!(once.report.is_clean(), once.text == text);
        }
    }

    #[test]
    fn printable_ascii_is_never_touched(text in "[ -~\n\t]{0,400}") {
        prop_assert_eq!(plain(&text, ROOMY).text, text);
    }
}
