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

/// What it is, its name, and who makes one of about so many bytes.
type Row = (&'static str, &'static str, fn(usize) -> String);

fn main() {
    let rows: [Row; 4] = [
        ("html", "a.html", page),
        ("html, nothing but text", "a.html", |bytes| {
            format!("<!doctype html><p>{}", "Words and words. ".repeat(bytes / 17))
        }),
        ("markdown", "a.md", markdown),
        ("pdf, not packed", "a.pdf", pdf),
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
