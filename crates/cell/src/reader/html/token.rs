//! HTML cut into tokens, as the HTML Standard does it (section 13.2.5), on slices of the source.
//!
//! What is inside an attribute or a text is not looked at until somebody asks. Whether a tag begins raw text is for the
//! caller to say ([`Tokens::raw`]), as in the standard, where that is up to the tree. A CDATA section is always a
//! comment, which errs towards taking out.

use memchr::memmem::Finder;
use memchr::{memchr, memchr2};

/// A piece of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// Text; character references are still in it.
    Text(&'a str),
    /// Text in which nothing is a reference, such as a script.
    RawText(&'a str),
    /// A start tag.
    Start(Tag<'a>),
    /// An end tag: its name as it is written.
    End(&'a str),
    /// A comment or what is taken as one.
    Comment(&'a str),
    /// `<!doctype ...>`.
    Doctype,
}

/// A start tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    /// Its name as it is written.
    pub(crate) name: &'a str,
    /// All of it, brackets included.
    pub(crate) source: &'a str,
    attributes: &'a str,
}

impl<'a> Tag<'a> {
    /// A tag that stands nowhere.
    pub(crate) const fn implied(name: &'static str) -> Self {
        Self { name, source: "", attributes: "" }
    }

    /// The attributes as they are written; of two with one name, the first counts.
    pub(crate) fn attributes(&self) -> Attributes<'a> {
        Attributes { rest: self.attributes }
    }
}

/// The attributes of a tag: name and value as they are written, without quotes.
#[derive(Debug, Clone)]
pub(crate) struct Attributes<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        match attribute(self.rest) {
            Step::Attribute { name, value, rest } => {
                self.rest = rest;
                Some((name, value))
            }
            Step::End(_) | Step::Open => None,
        }
    }
}

enum Step<'a> {
    Attribute {
        name: &'a str,
        value: &'a str,
        rest: &'a str,
    },
    /// The tag ends here: what comes after `>`.
    End(&'a str),
    /// The source ends within the tag.
    Open,
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

/// The text before the first byte of which `stop` holds, and from it on.
fn until(text: &str, stop: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(stop).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn after(text: &str, bytes: usize) -> &str {
    text.get(bytes..).unwrap_or_default()
}

fn attribute(text: &str) -> Step<'_> {
    let (_, text) = until(text, |b| !is_space(b) && b != b'/');
    match text.bytes().next() {
        None => return Step::Open,
        Some(b'>') => return Step::End(after(text, 1)),
        Some(_) => {}
    }
    // A name may begin with `=`.
    let first = usize::from(text.starts_with('='));
    let (more, _) = until(after(text, first), |b| is_space(b) || matches!(b, b'/' | b'>' | b'='));
    let (name, text) = text.split_at_checked(first + more.len()).unwrap_or((text, ""));
    let (_, next) = until(text, |b| !is_space(b));
    let Some(text) = next.strip_prefix('=') else {
        return Step::Attribute { name, value: "", rest: text };
    };
    let (_, text) = until(text, |b| !is_space(b));
    match text.bytes().next() {
        None => Step::Open,
        Some(quote @ (b'"' | b'\'')) => {
            let text = after(text, 1);
            match memchr(quote, text.as_bytes()).and_then(|end| text.split_at_checked(end)) {
                Some((value, rest)) => Step::Attribute { name, value, rest: after(rest, 1) },
                None => Step::Open,
            }
        }
        Some(b'>') => Step::Attribute { name, value: "", rest: text },
        Some(_) => {
            let (value, rest) = until(text, |b| is_space(b) || b == b'>');
            if rest.is_empty() { Step::Open } else { Step::Attribute { name, value, rest } }
        }
    }
}

/// The tokens of a source.
#[derive(Debug)]
pub(crate) struct Tokens<'a> {
    rest: &'a str,
    /// The element whose raw text comes next.
    raw: Option<(&'a str, Raw)>,
    /// The source ended within a tag or a comment.
    pub(crate) broken_off: bool,
}

/// How the text of an element is read until its end tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raw {
    /// Character references count, tags do not: titles, text areas.
    References,
    /// Nothing counts but the end tag.
    Nothing,
    /// Likewise, but for the odd rule that `<!--<script>` hides the next `</script>`.
    Script,
    /// Nothing counts, and there is no end.
    ToTheEnd,
}

impl<'a> Tokens<'a> {
    pub(crate) const fn new(source: &'a str) -> Self {
        Self { rest: source, raw: None, broken_off: false }
    }

    /// What comes up to the end tag of `name` is text.
    pub(crate) fn raw(&mut self, name: &'a str, how: Raw) {
        self.raw = Some((name, how));
    }

    /// Bytes that are left.
    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn raw_text(&mut self, name: &str, how: Raw) -> Option<Token<'a>> {
        let end = match how {
            Raw::ToTheEnd => self.rest.len(),
            Raw::Script => script_end(self.rest),
            Raw::References | Raw::Nothing => end_tag(self.rest, name).unwrap_or(self.rest.len()),
        };
        let text = self.take(end);
        match how {
            _ if text.is_empty() => None,
            Raw::References => Some(Token::Text(text)),
            _ => Some(Token::RawText(text)),
        }
    }

    fn markup(&mut self) -> Option<Token<'a>> {
        let text = self.rest;
        let mut head = text.bytes().skip(1);
        match (head.next(), head.next()) {
            (Some(b'a'..=b'z' | b'A'..=b'Z'), _) => self.tag(1),
            (Some(b'/'), Some(b'a'..=b'z' | b'A'..=b'Z')) => self.tag(2),
            (Some(b'/'), Some(b'>')) => {
                self.take(3);
                Some(Token::Comment(""))
            }
            (Some(b'/'), None) | (None, _) => Some(Token::Text(self.take(text.len()))),
            (Some(b'!'), _) if text.starts_with("<!--") => Some(self.comment()),
            (Some(b'!' | b'?' | b'/'), _) => {
                let end = memchr(b'>', text.as_bytes());
                let all = self.take(end.map_or(text.len(), |end| end + 1));
                let inside = after(all, if all.starts_with("<?") { 1 } else { 2 });
                let inside = inside.strip_suffix('>').unwrap_or(inside);
                let doctype = inside.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("doctype"));
                Some(if doctype && all.starts_with("<!") { Token::Doctype } else { Token::Comment(inside) })
            }
            _ => {
                let next = memchr(b'<', after(text, 1).as_bytes()).map_or(text.len(), |next| next + 1);
                Some(Token::Text(self.take(next)))
            }
        }
    }

    fn comment(&mut self) -> Token<'a> {
        let body = after(self.rest, 4);
        for short in [">", "->"] {
            if body.starts_with(short) {
                self.take(4 + short.len());
                return Token::Comment("");
            }
        }
        let mut at = 0;
        loop {
            let Some(dashes) = Finder::new("--").find(after(body, at).as_bytes()).map(|found| at + found) else {
                self.rest = "";
                self.broken_off = true;
                return Token::Comment(body);
            };
            let end = after(body, dashes + 2);
            if let Some(close) = [">", "!>"].iter().find(|close| end.starts_with(**close)) {
                self.take(4 + dashes + 2 + close.len());
                return Token::Comment(body.get(..dashes).unwrap_or_default());
            }
            at = dashes + 1;
        }
    }

    fn tag(&mut self, skip: usize) -> Option<Token<'a>> {
        let whole = self.rest;
        let (name, attributes) = until(after(whole, skip), |b| is_space(b) || matches!(b, b'/' | b'>'));
        let mut rest = attributes;
        let rest = loop {
            match attribute(rest) {
                Step::Attribute { rest: next, .. } => rest = next,
                Step::End(next) => break next,
                Step::Open => {
                    // The standard drops a tag that does not end, with all that follows.
                    self.rest = "";
                    self.broken_off = true;
                    return None;
                }
            }
        };
        self.rest = rest;
        let source = whole.get(..whole.len() - rest.len()).unwrap_or(whole);
        let attributes = attributes.get(..attributes.len() - rest.len()).unwrap_or_default();
        Some(if skip == 1 { Token::Start(Tag { name, source, attributes }) } else { Token::End(name) })
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some((name, how)) = self.raw.take()
            && let Some(text) = self.raw_text(name, how)
        {
            return Some(text);
        }
        match memchr(b'<', self.rest.as_bytes()) {
            _ if self.rest.is_empty() => None,
            Some(0) => self.markup(),
            Some(next) => Some(Token::Text(self.take(next))),
            None => Some(Token::Text(self.take(self.rest.len()))),
        }
    }
}

/// Where the end tag of `name` begins.
fn end_tag(text: &str, name: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += Finder::new("</").find(after(text, at).as_bytes())?;
        if is_tag(after(text, at + 2), name) {
            return Some(at);
        }
        at += 2;
    }
}

/// Whether `text` begins with this name and what ends a name.
fn is_tag(text: &str, name: &str) -> bool {
    text.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name))
        && text.as_bytes().get(name.len()).is_some_and(|b| is_space(*b) || matches!(b, b'/' | b'>'))
}

/// Where the end tag of a script begins: not within `<!-- ... <script ... </script> ... -->`.
fn script_end(text: &str) -> usize {
    let (mut escaped, mut doubly) = (false, false);
    let mut at = 0;
    // Every place that matters begins with `<` or `-`.
    while let Some(found) = memchr2(b'<', b'-', after(text, at).as_bytes()) {
        at += found;
        let here = after(text, at);
        if here.starts_with("-->") {
            (escaped, doubly) = (false, false);
            at += 3;
        } else if !escaped && here.starts_with("<!--") {
            escaped = true;
            // `<!-->` and `<!--->` end at once.
            at += 2;
        } else if is_tag(after(here, 2), "script") && here.starts_with("</") {
            if !doubly {
                return at;
            }
            doubly = false;
            at += 8;
        } else if escaped && !doubly && here.starts_with('<') && is_tag(after(here, 1), "script") {
            doubly = true;
            at += 7;
        } else {
            at += 1;
        }
    }
    text.len()
}
