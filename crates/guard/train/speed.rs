//! How fast the detector is, beside a scan that looks at every byte once and does nothing.

use crate::verify::net::Net;
use crate::verify::{Channel, Judge};

/// Nanoseconds that this thread was on a processor: other programs on the machine do not count.
fn on_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    stat.split(' ').next().and_then(|first| first.parse().ok()).expect("a number")
}

/// Nanoseconds of one run, the mean of many: the clock of the processor's time ticks in milliseconds.
fn mean(runs: usize, mut work: impl FnMut()) -> f64 {
    let begin = on_cpu();
    (0..runs).for_each(|_| work());
    (on_cpu() - begin) / runs as f64
}

/// Prints MB/s over `documents`, and the time of a page of 4 kB.
pub(crate) fn measure(net: &Net, documents: &[(String, String)]) {
    let whole: String = documents.iter().map(|(_, text)| text.as_str()).collect();
    let bytes = whole.len() as f64;
    let judged = mean(3, || drop(std::hint::black_box(Judge::new(net, Channel::Content).text(&whole))));
    let scanned = mean(2000, || {
        std::hint::black_box(memchr::memchr_iter(0, whole.as_bytes()).count());
    });
    println!(
        "verify, {:.1} MB of READMEs: {:.2} MB/s; memchr beside it {:.0} MB/s",
        bytes / 1e6,
        1e3 * bytes / judged,
        1e3 * bytes / scanned
    );
    let page = &whole[..whole.floor_char_boundary(4096)];
    let judged = mean(500, || drop(std::hint::black_box(Judge::new(net, Channel::Content).text(page))));
    println!("verify, a page of 4 kB: {:.2} ms", judged / 1e6);
}
