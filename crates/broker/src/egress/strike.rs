//! A reply that repeats a credential loses it: each occurrence becomes as many asterisks. What passes is held back only
//! as long as it might be the beginning of one, so that a stream stays one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use autoshare_vault::Zeroizing;
use hyper::body::{Body, Bytes, Frame, SizeHint};

/// What is looked for.
#[derive(Default)]
pub(crate) struct Striker {
    patterns: Vec<Zeroizing<Vec<u8>>>,
    /// Whether a pattern begins with a byte.
    first: Vec<bool>,
    held: Zeroizing<Vec<u8>>,
}

/// Whether more may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coming {
    More,
    Nothing,
}

impl Striker {
    pub(crate) fn new(mut patterns: Vec<Zeroizing<Vec<u8>>>) -> Self {
        patterns.retain(|pattern| !pattern.is_empty());
        // Of those that begin alike, the longest is struck.
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
        let first = (0..=u8::MAX).map(|byte| patterns.iter().any(|pattern| pattern.first() == Some(&byte))).collect();
        Self { patterns, first, held: Zeroizing::default() }
    }

    /// What may pass of `bytes` and of what was held back before.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Bytes {
        self.scan(bytes, Coming::More)
    }

    /// What was held back, at the end.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.scan(&[], Coming::Nothing)
    }

    fn scan(&mut self, bytes: &[u8], coming: Coming) -> Bytes {
        let mut all = std::mem::take(&mut *self.held);
        all.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(rest) = all.get_mut(at..).filter(|rest| !rest.is_empty()) {
            let begins = rest.first().is_some_and(|byte| self.first.get(usize::from(*byte)) == Some(&true));
            if !begins {
                at += 1;
                continue;
            }
            let unfinished = |pattern: &Zeroizing<Vec<u8>>| pattern.len() > rest.len() && pattern.starts_with(rest);
            if coming == Coming::More && self.patterns.iter().any(unfinished) {
                break;
            }
            let found = self.patterns.iter().find(|pattern| rest.starts_with(pattern)).map(|pattern| pattern.len());
            rest.iter_mut().take(found.unwrap_or(0)).for_each(|byte| *byte = b'*');
            at += found.unwrap_or(1);
        }
        *self.held = all.split_off(at.min(all.len()));
        Bytes::from(all)
    }

    /// A whole text.
    pub(crate) fn whole(&mut self, bytes: &[u8]) -> Vec<u8> {
        [self.pass(bytes), self.rest()].concat()
    }
}

/// A body without what is looked for; trailers are left out.
pub(crate) struct Struck<B> {
    inner: B,
    striker: Striker,
    over: bool,
}

impl<B> Struck<B> {
    pub(crate) fn new(inner: B, striker: Striker) -> Self {
        Self { inner, striker, over: false }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Struck<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        while !self.over {
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                None => self.over = true,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    let Some(bytes) = frame.data_ref() else { continue };
                    let passed = self.striker.pass(bytes);
                    if !passed.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(passed))));
                    }
                }
            }
        }
        let rest = self.striker.rest();
        Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
    }

    fn is_end_stream(&self) -> bool {
        self.over && self.striker.held.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        // As many bytes pass as come.
        let mut hint = self.inner.size_hint();
        let held = self.striker.held.len() as u64;
        let (lower, upper) = (hint.lower(), hint.upper());
        if let Some(upper) = upper {
            hint.set_upper(upper + held);
        }
        hint.set_lower(lower + held);
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn striker(patterns: &[&str]) -> Striker {
        Striker::new(patterns.iter().map(|text| Zeroizing::new(text.as_bytes().to_vec())).collect())
    }

    #[test]
    fn c6_a_credential_is_struck_wherever_a_reply_is_cut() {
        let rows = [
            (&["secret-1"][..], "a secret-1 b", "a ******** b"),
            (&["secret-1"], "secret-1secret-1", "****************"),
            (&["secret-1"], "secret-secret-1", "secret-********"),
            (&["aab"], "aaab", "a***"),
            (&["secret", "secret-long"], "secret-long secret-lon", "*********** ******-lon"),
            (&["secret-1"], "secret-", "secret-"),
            (&[], "anything", "anything"),
        ];
        for (patterns, text, expected) in rows {
            for size in 1..=text.len() {
                let mut striker = striker(patterns);
                let mut out = Vec::new();
                for part in text.as_bytes().chunks(size) {
                    out.extend(striker.pass(part));
                }
                out.extend(striker.rest());
                assert_eq!(String::from_utf8_lossy(&out), expected, "{text} by {size}");
            }
        }
    }

    #[test]
    fn what_cannot_be_the_beginning_of_one_passes_at_once() {
        let mut striker = striker(&["secret-1"]);
        assert_eq!(striker.pass(b"data: x\n\n").as_ref(), b"data: x\n\n");
        assert_eq!(striker.pass(b"data: sec").as_ref(), b"data: ");
        assert_eq!(striker.pass(b"ond").as_ref(), b"second");
    }
}
