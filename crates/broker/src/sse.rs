//! A reader of server-sent events (WHATWG HTML, section 9.2), for untrusted streams.
//!
//! Only the `data` of events matters here. Lines may end in LF, CR or CRLF; a byte order mark, comments and other
//! fields are skipped; bytes that are no UTF-8 become U+FFFD. What comes out does not depend on how the bytes were cut
//! into chunks, and nothing is kept but the event under way, which is bounded.

/// Bytes of one line at most.
pub(crate) const MAX_LINE: usize = 1024 * 1024;
/// Bytes of one event's data at most.
pub(crate) const MAX_EVENT: usize = 1024 * 1024;
/// Bytes of a whole reply at most.
pub(crate) const MAX_TOTAL: usize = 16 * 1024 * 1024;

/// What a stream has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge {
    /// Of what.
    pub(crate) what: &'static str,
    /// The limit in bytes.
    pub(crate) limit: usize,
}

/// A reader; give it chunks with [`Reader::push`].
#[derive(Debug, Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    data: String,
    has_data: bool,
    total: usize,
    after_cr: bool,
    past_first_line: bool,
    broken: Option<TooLarge>,
}

impl Reader {
    /// Takes the next bytes and adds the data of every event that they complete to `events`. After an error, which is
    /// the same for every chunking, the reader takes nothing more and repeats it.
    pub(crate) fn push(&mut self, bytes: &[u8], events: &mut Vec<String>) -> Result<(), TooLarge> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        self.take(bytes, events).inspect_err(|broken| self.broken = Some(*broken))
    }

    /// The data of an event that the end of the stream left without its blank line.
    pub(crate) fn finish(mut self) -> Option<String> {
        if self.broken.is_some() || (!self.line.is_empty() && self.end_of_line().is_err()) {
            return None;
        }
        self.has_data.then_some(self.data)
    }

    fn take(&mut self, bytes: &[u8], events: &mut Vec<String>) -> Result<(), TooLarge> {
        for byte in bytes {
            self.total += 1;
            if self.total > MAX_TOTAL {
                return Err(TooLarge { what: "a stream", limit: MAX_TOTAL });
            }
            let pair = std::mem::replace(&mut self.after_cr, *byte == b'\r') && *byte == b'\n';
            match byte {
                b'\n' if pair => {}
                b'\n' | b'\r' => {
                    if self.line.is_empty() {
                        self.past_first_line = true;
                        if std::mem::take(&mut self.has_data) {
                            events.push(std::mem::take(&mut self.data));
                        }
                    } else {
                        self.end_of_line()?;
                    }
                }
                _ if self.line.len() == MAX_LINE => return Err(TooLarge { what: "a line", limit: MAX_LINE }),
                _ => self.line.push(*byte),
            }
        }
        Ok(())
    }

    fn end_of_line(&mut self) -> Result<(), TooLarge> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.past_first_line, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        let value = match line.strip_prefix(b"data") {
            Some([]) => &[],
            Some([b':', b' ', value @ ..]) | Some([b':', value @ ..]) => value,
            _ => return Ok(()),
        };
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push('\n');
        }
        self.data.push_str(&String::from_utf8_lossy(value));
        if self.data.len() > MAX_EVENT {
            return Err(TooLarge { what: "an event", limit: MAX_EVENT });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(chunks: &[&[u8]]) -> (Vec<String>, Result<Option<String>, TooLarge>) {
        let (mut reader, mut events) = (Reader::default(), Vec::new());
        for chunk in chunks {
            if let Err(error) = reader.push(chunk, &mut events) {
                assert_eq!(reader.push(b"data: more\n\n", &mut events), Err(error));
                return (events, Err(error));
            }
        }
        (events, Ok(reader.finish()))
    }

    #[test]
    fn the_forms_of_a_stream() {
        let cases: [(&str, &[&str], Option<&str>); 14] = [
            ("data: a\n\n", &["a"], None),
            ("data:a\r\n\r\ndata: b\r\rdata:  c\n\n", &["a", "b", " c"], None),
            ("data: a\r\ndata: b\r\n\r\n", &["a\nb"], None),
            ("\u{feff}data: a\n\n", &["a"], None),
            ("\n\u{feff}data: a\n\n", &[], None),
            (": ping\n\n: ping\ndata: a\n: ping\n\n", &["a"], None),
            ("event: x\nid: 1\nretry: 9\ndata: a\n\n", &["a"], None),
            ("event: x\n\n", &[], None),
            ("data\n\n", &[""], None),
            ("data:\ndata:\n\n", &["\n"], None),
            ("database: x\n data: x\nDATA: x\n\n", &[], None),
            ("data: a\n\ndata: b", &["a"], Some("b")),
            ("data: a\n\ndata: b\n", &["a"], Some("b")),
            ("", &[], None),
        ];
        for (text, events, rest) in cases {
            let (got, end) = read(&[text.as_bytes()]);
            assert_eq!(got, events, "{text:?}");
            assert_eq!(end.unwrap().as_deref(), rest, "{text:?}");
        }
    }

    #[test]
    fn c8_a_line_an_event_and_a_stream_are_bounded() {
        let line = [b"data: ".as_slice(), &vec![b'x'; MAX_LINE - 6]].concat();
        let (events, end) = read(&[&line, b"\n\n"]);
        assert_eq!((events.len(), end), (1, Ok(None)));
        assert_eq!(read(&[&line, b"y"]).1, Err(TooLarge { what: "a line", limit: MAX_LINE }));
        assert_eq!(read(&[&line, b"\n", &line, b"\n"]).1, Err(TooLarge { what: "an event", limit: MAX_EVENT }));
        let comment = [b":".as_slice(), &vec![b'x'; 1022], b"\n"].concat();
        let many: Vec<&[u8]> = std::iter::repeat_n(comment.as_slice(), MAX_TOTAL / 1024 + 1).collect();
        assert_eq!(read(&many).1, Err(TooLarge { what: "a stream", limit: MAX_TOTAL }));
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let words = [
            "data: ",
            "data:",
            "data",
            ":",
            "\n",
            "\n\n",
            "\r",
            "\r\n",
            "\r\n\r\n",
            "\u{feff}",
            "{\"a\":1}",
            "\u{1f600}",
        ];
        prop_oneof![
            proptest::sample::select(words.to_vec()).prop_map(|w| w.as_bytes().to_vec()),
            proptest::collection::vec(any::<u8>(), 0..8),
        ]
    }

    proptest! {
        #[test]
        fn any_chunking_of_any_bytes_reads_the_same(
            pieces in proptest::collection::vec(piece(), 0..60),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let bytes = pieces.concat();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let one_by_one: Vec<&[u8]> = bytes.chunks(1).collect();
            let whole = read(&[&bytes]);
            prop_assert_eq!(&read(&chunks), &whole);
            prop_assert_eq!(&read(&one_by_one), &whole);
        }
    }
}
