//! How fast the readers are, and how their time grows.
//!
//! ```text
//! cargo run --release -p autoshare-cell --example readers             # MB/s
//! cargo run --release -p autoshare-cell --example readers -- growth   # time of a byte at 1, 10 and 100 MB
//! ```
//!
//! Each row reads made-up documents on one core. Times are this thread's on a processor: other programs on the machine do
//! not count.
#![allow(clippy::print_stdout, clippy::expect_used, clippy::disallowed_methods, reason = "a measurement")]

use std::hint::black_box;

use autoshare_cell::reader::read;
use autoshare_core::document::Hint;

fn page(bytes: usize) -> String {
    let mut page = String::from(
        "<!doctype html><html><head><title>News</title><style>.ad,.x > p{display:none}#top{color:#333}p.lead{font-size:18px}</style></head><body>",
    );
    let mut at = 0;
    while page.len() < bytes {
        at += 1;
        page.push_str(&format!(
            "<div class=\"story\" id=\"s{at}\"><h2><a href=\"/story/{at}?ref=front\">Story number {at} &amp; what came of it</a></h2>\n\
             <p class=\"lead\">The council met on Tuesday and decided, after a long debate, to do <em>nothing</em> at all about \
             the bridge, which everybody agrees is in need of repair. It was the third such meeting this year.</p>\n\
             <ul class=\"meta\"><li>By <span class=\"author\">A. Writer</span></li><li><time datetime=\"2026-01-01\">today</time></li></ul>\n\
             <div class=\"ad\"><img src=\"https://ads.example/{at}.png\" alt=\"ad\"><!-- slot {at} --></div></div>\n"
        ));
    }
    page
}

fn markdown(bytes: usize) -> String {
    let mut text = String::new();
    let mut at = 0;
    while text.len() < bytes {
        at += 1;
        text.push_str(&format!(
            "## Section {at}\n\nThe council met on *Tuesday* and decided, after a **long** debate, to do `nothing`; see [the \
             minutes](https://a.example/{at}) for more.\n\n- one <!-- x -->\n- two\n\n```rust\nlet x = {at};\n```\n\n"
        ));
    }
    text
}

/// Pages of plain lines, not packed.
fn pdf(bytes: usize) -> String {
    let mut pages = String::new();
    let mut kids = String::new();
    let mut at = 4;
    while pages.len() < bytes {
        let mut content = String::from("BT /F 11 Tf 14 TL 50 750 Td\n");
        for line in 0..50 {
            content.push_str(&format!(
                "[(Line {line} of what the coun) -20 (cil decided, after a long ) 15 (debate.)] TJ T*\n"
            ));
        }
        content.push_str("ET");
        let length = content.len();
        pages.push_str(&format!(
            "{at} 0 obj\n<< /Type /Page /Parent 2 0 R /Contents {} 0 R /Resources << /Font << /F 3 0 R >> >> >>\nendobj\n\
             {} 0 obj\n<< /Length {length} >>\nstream\n{content}\nendstream\nendobj\n",
            at + 1,
            at + 1
        ));
        kids.push_str(&format!("{at} 0 R "));
        at += 2;
    }
    // Without a table: one is made by looking for the objects.
    format!(
        "%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [{kids}] >>\nendobj\n\
         3 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>\nendobj\n{pages}trailer\n<< /Root 1 0 R >>\n"
    )
}

/// A mail of so many parts.
fn mail(bytes: usize) -> String {
    let part = "--x\r\nContent-Type: text/plain\r\n\r\nThe council met on Tuesday and decided to do nothing.\r\n";
    format!(
        "From: a@b.example\r\nTo: c@d.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n{}--x--\r\n",
        part.repeat(bytes / part.len())
    )
}

/// What it is, its name, and who makes one of about so many bytes.
type Row = (&'static str, &'static str, fn(usize) -> String);

const ROWS: &[Row] = &[
    ("html", "a.html", page),
    ("html, nothing but text", "a.html", |bytes| {
        format!("<!doctype html><p>{}", "Words and words. ".repeat(bytes / 17))
    }),
    ("markdown", "a.md", markdown),
    ("mail of many parts", "a.eml", mail),
    ("pdf, not packed", "a.pdf", pdf),
];

/// What a careless reader goes over again and again: what stands once, and what comes after it as often as it fits.
const HOSTILE: &[(&str, &str, &str)] = &[
    ("a.html", "", "<"),
    ("a.html", "", "<!--"),
    ("a.html", "", "<a x='"),
    ("a.html", "", "<div>"),
    ("a.html", "", "<b><p>"),
    ("a.html", "", "<table><td>"),
    ("a.html", "", "<a href=x>y"),
    ("a.html", "", "<a href=x>y<table><td>"),
    ("a.html", "", "<script><!--"),
    ("a.html", "", "&"),
    ("a.html", "", "&a"),
    ("a.html", "", "&#x41;"),
    ("a.html", "", "<p hidden>x"),
    ("a.html", "", "<p title=x>y"),
    ("a.html", "", "a"),
    ("a.html", "<style>.x{color:red}</style>", "<p class=x>y"),
    ("a.html", "<style>", ".x{color:red}"),
    ("a.html", "<style>", "@media screen{"),
    ("a.html", "<style>", "x,"),
    ("a.html", "<p style='", "color:red;"),
    ("a.html", "<p style='", "/*"),
    ("a.html", "<p ", "class=x "),
    ("a.md", "", "<!--"),
    ("a.md", "", "["),
    ("a.md", "", "]("),
    ("a.md", "", "!["),
    ("a.md", "", "*a_"),
    ("a.md", "", "> "),
    ("a.md", "", "- "),
    ("a.md", "", "`"),
    ("a.md", "", "`a``"),
    ("a.md", "", "[a]: b\n"),
    ("a.md", "", "[a](b) "),
    ("a.md", "", "<div hidden>\n\n"),
    ("a.md", "", "|a\n|-\n"),
    ("a.md", "", "a"),
    ("a.md", "", "\n    "),
    ("a.eml", "From: a@b\nTo: c@d\n\n", "From: a\n"),
    ("a.eml", "From: a@b\nTo: ", "c@d, "),
    ("a.eml", "From: a@b\nTo: c@d\nSubject: ", "=?utf-8?q?x?= "),
    ("a.eml", "From: a@b\nTo: c@d\nContent-Type: multipart/mixed; boundary=x\n\n", "--x\n\n"),
    (
        "a.eml",
        "From: a@b\nTo: c@d\nContent-Type: multipart/mixed; boundary=x\n\n",
        "--x\nContent-Type: text/html\n\n<p>a\n",
    ),
    ("a.eml", "From: a@b\nTo: c@d\n", "X: y\n"),
    ("a.txt", "", "a"),
    ("a.txt", "", "\u{1b}]"),
];

/// Nanoseconds that this thread was on a processor.
fn on_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    stat.split(' ').next().and_then(|first| first.parse().ok()).expect("a number")
}

/// Nanoseconds of a byte: the mean of as many runs as fill a fifth of a second.
fn a_byte(name: &str, source: &str) -> f64 {
    let hint = Hint { mime: None, name: Some(name.to_owned()) };
    let begin = on_cpu();
    let mut runs = 0.0;
    while runs < 1.0 || on_cpu() - begin < 2e8 {
        let _ = black_box(read(black_box(source.as_bytes()), &hint));
        runs += 1.0;
    }
    (on_cpu() - begin) / runs / source.len() as f64
}

fn speed() {
    for (what, name, make) in ROWS {
        let (page, large) = (make(4 << 10), make(8 << 20));
        a_byte(name, &page);
        let (short, long) = (a_byte(name, &page) * page.len() as f64, 1e3 / a_byte(name, &large));
        println!("{what:24} {long:6.0} MB/s of {} bytes; {:4.0} µs for {} bytes", large.len(), short / 1e3, page.len());
    }
}

fn grow(what: &str, name: &str, make: impl Fn(usize) -> String) {
    let times = [1_000_000, 10_000_000, 100_000_000].map(|bytes| a_byte(name, &make(bytes)));
    let [small, middle, large] = times;
    let mark = if large > 3.0 * small { "  grows" } else { "" };
    println!("{what:48} {small:8.2} {middle:8.2} {large:8.2}{mark}");
}

fn growth(only: &str) {
    println!("{:48} {:>8} {:>8} {:>8}  nanoseconds a byte", "", "1 MB", "10 MB", "100 MB");
    for (what, name, make) in ROWS.iter().filter(|(what, ..)| what.contains(only)) {
        grow(what, name, make);
    }
    for (name, once, piece) in HOSTILE {
        let doctype = if *name == "a.html" { "<!doctype html>" } else { "" };
        let what = format!("{name} {once:.24?} {piece:?}");
        if !what.contains(only) {
            continue;
        }
        grow(&what, name, |bytes| format!("{doctype}{once}{}", piece.repeat(bytes / piece.len())));
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => speed(),
        ["growth"] => growth(""),
        ["growth", only] => growth(only),
        _ => println!("usage: readers [growth [PART OF A NAME]]"),
    }
}
