//! How fast the readers are: `cargo run --release -p autoshare-cell --example readers`.
//!
//! Each row reads made-up documents of two sizes on one core and prints MB/s, and how the time grew with the size.
#![allow(clippy::print_stdout, reason = "a measurement")]

use std::hint::black_box;
use std::time::{Duration, Instant};

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

fn main() {
    let rows: [(&str, &str, fn(usize) -> String); 3] = [
        ("html", "a.html", page),
        ("html, nothing but text", "a.html", |bytes| {
            format!("<!doctype html><p>{}", "Words and words. ".repeat(bytes / 17))
        }),
        ("markdown", "a.md", markdown),
    ];
    for (what, name, make) in rows {
        let hint = Hint { mime: None, name: Some(name.to_owned()) };
        let time = |bytes: usize| {
            let source = make(bytes);
            let runs = (0..5).map(|_| {
                let start = Instant::now();
                let _ = black_box(read(black_box(source.as_bytes()), &hint));
                start.elapsed()
            });
            (source.len(), runs.min().unwrap_or(Duration::ZERO))
        };
        let (small, short) = time(4 << 10);
        let (large, long) = time(8 << 20);
        let speed = |bytes: usize, time: Duration| bytes as f64 / time.as_secs_f64() / 1e6;
        println!(
            "{what:24} {:6.0} MB/s of {large} bytes; {:4.0} µs for {small} bytes",
            speed(large, long),
            short.as_secs_f64() * 1e6
        );
    }
}
