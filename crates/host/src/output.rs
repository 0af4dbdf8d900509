//! What a program prints, as far as it is kept, and the reading of it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

/// Bytes that are kept of a program's output: so many of its beginning, and as many of its end.
pub const KEPT: usize = 768 * 1024;
/// A program's output, as far as it is kept.
#[derive(Debug, Default)]
pub(crate) struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    pub(crate) total: u64,
    /// Bytes that were shown already.
    shown: u64,
}

impl Output {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(KEPT - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..over);
    }

    /// All that is kept, with a line where something is missing.
    pub(crate) fn text(&self) -> String {
        let kept = (self.head.len() + self.tail.len()) as u64;
        let mut bytes = self.head.clone();
        if self.total > kept {
            bytes.extend_from_slice(format!("\n[{} bytes of output are not kept]\n", self.total - kept).as_bytes());
        }
        bytes.extend(&self.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What came since it was last asked, as far as it is kept. The beginning of a character whose rest is still to come
    /// waits for it.
    pub(crate) fn news(&mut self) -> String {
        let new = self.total - self.shown;
        let from_tail = usize::try_from(new).unwrap_or(usize::MAX).min(self.tail.len());
        let from_head = usize::try_from(new - self.tail_total().min(new)).unwrap_or(usize::MAX).min(self.head.len());
        let mut bytes = self.head.get(self.head.len() - from_head..).unwrap_or_default().to_vec();
        bytes.extend(self.tail.iter().skip(self.tail.len() - from_tail));
        let waits = bytes.utf8_chunks().last().map_or(0, |chunk| incomplete(chunk.invalid()));
        bytes.truncate(bytes.len() - waits);
        self.shown = self.total - waits as u64;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Bytes that came when the head was full.
    fn tail_total(&self) -> u64 {
        self.total - self.head.len() as u64
    }
}

/// How many bytes these are, if they can be the beginning of a character and are not yet one.
fn incomplete(bytes: &[u8]) -> usize {
    let length = match bytes.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => 0,
    };
    if bytes.len() < length { bytes.len() } else { 0 }
}

pub(crate) fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads what comes through a pipe until nobody holds its other end.
pub(crate) async fn read(mut pipe: pipe::Receiver, output: Arc<Mutex<Output>>) {
    let mut buffer = vec![0u8; 64 * 1024];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        locked(&output).push(buffer.get(..read).unwrap_or_default());
    }
}

/// Reads from a terminal until the last program at it is gone. First the end of input is typed: who reads there finds that
/// nobody types.
pub(crate) fn read_terminal(terminal: &OwnedFd, output: &Mutex<Output>) {
    const END_OF_INPUT: &[u8] = &[4];
    let _ = rustix::io::write(terminal, END_OF_INPUT);
    let mut buffer = vec![0u8; 64 * 1024];
    let mut lines = LineEnds::default();
    loop {
        match rustix::io::read(terminal, &mut buffer) {
            Ok(0) => break,
            Ok(read) => locked(output).push(&lines.as_written(buffer.get(..read).unwrap_or_default())),
            Err(rustix::io::Errno::INTR) => {}
            // EIO: nobody has the other side open any more.
            Err(_) => break,
        }
    }
    locked(output).push(lines.rest());
}

/// Takes back what a terminal does to the end of a line: a return before it.
#[derive(Default)]
struct LineEnds {
    /// Whether a return came last, which may be one of those.
    waits: bool,
}

impl LineEnds {
    fn as_written(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut written = Vec::with_capacity(bytes.len() + 1);
        for &byte in bytes {
            if std::mem::take(&mut self.waits) && byte != b'\n' {
                written.push(b'\r');
            }
            if byte == b'\r' {
                self.waits = true;
            } else {
                written.push(byte);
            }
        }
        written
    }

    const fn rest(&self) -> &'static [u8] {
        if self.waits { b"\r" } else { b"" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_keeps_its_beginning_and_its_end_and_says_what_is_missing() {
        let mut output = Output::default();
        output.push(b"first ");
        output.push(&vec![b'x'; 3 * KEPT]);
        output.push(b" last");
        let text = output.text();
        assert!(text.starts_with("first x") && text.ends_with("x last"));
        assert_eq!(output.total, 3 * KEPT as u64 + 11);
        assert!(text.contains(&format!("[{} bytes of output are not kept]", output.total - 2 * KEPT as u64)));
        assert!(text.len() < 2 * KEPT + 100);
    }

    #[test]
    fn news_are_told_once() {
        let mut output = Output::default();
        output.push("aé".as_bytes());
        assert_eq!(output.news(), "aé");
        assert_eq!(output.news(), "");
        output.push(b"b");
        assert_eq!(output.news(), "b");
        // A character that comes in two pieces is told whole; bytes that are none are told at once.
        output.push(&[0xc3]);
        assert_eq!(output.news(), "");
        output.push(&[0xa9, 0xff]);
        assert_eq!(output.news(), "é\u{fffd}");
        output.push(&[0xff; 100]);
        assert_eq!(output.news(), "\u{fffd}".repeat(100));
        // What was shown before the head was full is not shown again.
        output.push(&vec![b'x'; KEPT]);
        assert_eq!(output.news().len(), KEPT);
        output.push(b"end");
        assert_eq!(output.news(), "end");
    }

    #[test]
    fn lines_end_as_the_program_ended_them_however_they_come_in() {
        let (came, written) = (b"a\r\nb\rc\r\r\nd\r", b"a\nb\rc\r\nd\r");
        for piece in 1..=came.len() {
            let mut lines = LineEnds::default();
            let mut all: Vec<u8> = came.chunks(piece).flat_map(|bytes| lines.as_written(bytes)).collect();
            all.extend(lines.rest());
            assert_eq!(all, written, "{piece} at a time");
        }
    }
}
