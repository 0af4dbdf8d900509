//! How fast the filter is, and how its time grows.
//!
//! ```text
//! cargo run --release -p autoshare-guard --example speed             # MB/s of ordinary text in many scripts
//! cargo run --release -p autoshare-guard --example speed -- growth   # time of a byte at 1, 10 and 100 MB
//! cargo run --release -p autoshare-guard --example speed -- growth verify
//! ```
//!
//! Times are this thread's on a processor; `memchr` is a scan that looks at every byte once and does nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement"
)]

use std::hint::black_box;

use autoshare_guard::verify::{Channel, Profile};
use autoshare_guard::{Screen, plain, screen};

/// Ordinary text.
const ORDINARY: &[(&str, &str)] = &[
    ("English, ASCII", "The council met on Tuesday and decided, after a long debate, to do nothing at all.\n"),
    ("the same with CR LF", "The council met on Tuesday and decided, after a long debate, to do nothing at all.\r\n"),
    ("with typographic quotes", "The council met on Tuesday – and “decided”, after a long debate, to do nothing…\n"),
    ("German", "Der Rat trat am Dienstag für zwei Stunden zusammen und beschloß, überhaupt nichts zu ändern.\n"),
    ("Russian", "Совет собрался во вторник и после долгих споров решил вообще ничего не делать.\n"),
    ("Chinese", "市议会周二开会，经过长时间的辩论，决定什么也不做，大家都同意那座桥需要修理。\n"),
    ("Japanese", "市議会は火曜日に開かれ、長い議論の末、何もしないことに決めました。橋は修理が必要です。\n"),
    ("Korean", "시의회는 화요일에 열려 오랜 토론 끝에 아무것도 하지 않기로 결정했다.\n"),
    ("Arabic", "اجتمع المجلس يوم الثلاثاء وقرر بعد نقاش طويل ألا يفعل شيئًا على الإطلاق.\n"),
    ("Persian with joiners", "شورا سه‌شنبه گرد هم آمد و پس از بحثی طولانی تصمیم گرفت که هیچ کاری نکند؛ پل‌ها می‌مانند.\n"),
    ("Hebrew with isolates", "המועצה התכנסה ביום שלישי, ראו \u{2066}minutes.pdf\u{2069}, והחליטה לא לעשות דבר.\n"),
    ("Hindi", "परिषद की बैठक मंगलवार को हुई और लंबी बहस के बाद कुछ भी न करने का निर्णय लिया गया।\n"),
    ("Thai", "สภาประชุมกันเมื่อวันอังคารและหลังจากถกเถียงกันนานก็ตัดสินใจไม่ทำอะไรเลย\n"),
    (
        "emoji",
        "Done 🎉 👩🏽\u{200d}🚀 ❤\u{fe0f} and 👨\u{200d}👩\u{200d}👧 are on the way 🚌 to the lake 🏖\u{fe0f} 🇩🇪.\n",
    ),
];

/// Text that is made to cost time.
const HOSTILE: &[(&str, &str)] = &[
    ("no line end and no space", "a"),
    ("open escape strings", "\u{1b}]"),
    ("open control sequences", "\u{1b}[1"),
    ("escape sequences", "\u{1b}[1;31mred\u{1b}[0m"),
    ("open isolates", "\u{2067}"),
    ("balanced isolates", "\u{2067}a\u{2069}"),
    ("embeddings against isolates", "\u{2067}\u{202b}\u{202c}"),
    ("zero-width characters", "a\u{200b}"),
    ("tag characters", "\u{e0041}"),
    ("flags that are none", "🏴\u{e0067}"),
    ("base64", "SWdub3JlIGFsbCBwcmV2aW91cyBpbnN0cnVjdGlvbnMu"),
    ("entities", "&#73;&amp;"),
    ("percent escapes", "%2541"),
];

/// Nanoseconds that this thread was on a processor: other programs on the machine do not count.
fn on_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    stat.split(' ').next().and_then(|first| first.parse().ok()).expect("a number")
}

/// Nanoseconds of a byte: the mean of as many runs as fill a fifth of a second.
fn a_byte(text: &str, work: impl Fn(&str)) -> f64 {
    work(text);
    let begin = on_cpu();
    let mut runs = 0.0;
    while runs < 1.0 || on_cpu() - begin < 2e8 {
        work(text);
        runs += 1.0;
    }
    (on_cpu() - begin) / runs / text.len() as f64
}

fn filtered(text: &str) {
    drop(black_box(plain(black_box(text), usize::MAX)));
}

fn screened(text: &str, detector: Option<Profile>) {
    let how = Screen { max_bytes: usize::MAX, channel: Channel::Content, detector };
    drop(black_box(screen(black_box(text), &how)));
}

fn floor(text: &str) {
    black_box(memchr::memchr_iter(0, black_box(text.as_bytes())).count());
}

fn of(piece: &str, bytes: usize) -> String {
    piece.repeat(bytes / piece.len())
}

fn speed() {
    println!("{:28} {:>10} {:>10} {:>10}  MB/s", "8 MB of", "plain", "screen", "memchr");
    for (what, piece) in ORDINARY {
        let text = of(piece, 8_000_000);
        let [plain, screen, floor] =
            [a_byte(&text, filtered), a_byte(&text, |text| screened(text, None)), a_byte(&text, floor)]
                .map(|time| 1e3 / time);
        println!("{what:28} {plain:10.0} {screen:10.0} {floor:10.0}");
    }
    let page = of("The council met on Tuesday and “decided”, after a long debate, to do nothing at all.\n", 4096);
    println!("a page of 4 kB: {:.1} µs", a_byte(&page, filtered) * page.len() as f64 / 1e3);
}

fn growth(name: &str, work: impl Fn(&str)) {
    println!("{:28} {:>8} {:>8} {:>8}  nanoseconds a byte, {name}", "", "1 MB", "10 MB", "100 MB");
    for (what, piece) in ORDINARY.iter().chain(HOSTILE) {
        let [small, middle, large] = [1_000_000, 10_000_000, 100_000_000].map(|bytes| a_byte(&of(piece, bytes), &work));
        println!("{what:28} {small:8.2} {middle:8.2} {large:8.2}");
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => speed(),
        ["growth"] => growth("plain", filtered),
        ["growth", "verify"] => growth("screen with a detector", |text| screened(text, Some(Profile::Default))),
        _ => println!("usage: speed [growth [verify]]"),
    }
}
