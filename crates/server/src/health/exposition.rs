//! The text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write as _};

use autoshare_core::histogram::{BOUNDS_US, Durations};

/// What a page of this format is.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the samples of a family are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A sum that only grows, until its process ends.
    Counter,
    /// A number that goes up and down.
    Gauge,
}

/// A page, written family by family.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// Names and values. A value may be anything; names are ours.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    /// Begins a family, with what it is in a line.
    pub(super) fn family(&mut self, kind: Kind, name: &'static str, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.head(kind, name, help);
        Family { page: self, name }
    }

    /// A family of one sample.
    pub(super) fn one(&mut self, kind: Kind, name: &'static str, help: &str, value: impl Display) {
        self.family(kind, name, help).sample(&[], value);
    }

    /// A family of histograms, in seconds.
    pub(super) fn histograms<'l>(
        &mut self,
        name: &'static str,
        help: &str,
        all: impl IntoIterator<Item = (Labels<'l>, Durations)>,
    ) {
        self.head("histogram", name, help);
        for (labels, durations) in all {
            let bounds = BOUNDS_US.iter().map(|us| seconds(*us)).chain(["+Inf".to_owned()]);
            let mut count = 0;
            for (bound, here) in bounds.zip(durations.buckets) {
                count += here;
                let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
                self.line(name, "_bucket", &labels, count);
            }
            self.line(name, "_sum", labels, seconds(durations.sum_us));
            self.line(name, "_count", labels, count);
        }
    }

    fn head(&mut self, kind: &str, name: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, suffix: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        self.0.push_str(suffix);
        for (at, (label, text)) in labels.iter().enumerate() {
            let begin = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{begin}{label}=\"{}\"", escaped(text));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// A family whose samples are being written.
pub(super) struct Family<'p> {
    page: &'p mut Page,
    name: &'static str,
}

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) -> &mut Self {
        self.page.line(self.name, "", labels, value);
        self
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Millionths as a decimal number without superfluous digits: seconds, dollars.
pub(super) fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use autoshare_core::histogram::Histogram;

    use super::*;

    #[test]
    fn a_label_is_whatever_it_is_and_stays_in_its_line() {
        let mut page = Page::default();
        page.family(Kind::Gauge, "a", "back\\slash\nand line")
            .sample(&[("x", "\"} 1\nb 2\\"), ("y", "é")], 7)
            .sample(&[], 8);
        let wanted = "# HELP a back\\\\slash\\nand line\n# TYPE a gauge\na{x=\"\\\"} 1\\nb 2\\\\\",y=\"é\"} 7\na 8\n";
        assert_eq!(page.into_text(), wanted);
    }

    #[test]
    fn a_histogram_sums_up_what_is_below_each_bound() {
        let histogram = Histogram::default();
        [1, 2_000, 90_000_000].into_iter().for_each(|us| histogram.observe(Duration::from_micros(us)));
        let mut page = Page::default();
        page.histograms("h", "h", [(&[("of", "x")][..], histogram.read())]);
        let text = page.into_text();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines[0], "h_bucket{of=\"x\",le=\"0.0005\"} 1");
        assert_eq!(lines[2], "h_bucket{of=\"x\",le=\"0.0025\"} 2");
        assert_eq!(lines[13], "h_bucket{of=\"x\",le=\"60\"} 2");
        assert_eq!(
            lines[14..],
            ["h_bucket{of=\"x\",le=\"+Inf\"} 3", "h_sum{of=\"x\"} 90.002001", "h_count{of=\"x\"} 3"]
        );
    }
}
