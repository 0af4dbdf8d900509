//! A document being written down: the text as a person would read it, the asides, what was taken out.

use autoshare_core::document::{
    Aside, AsideKind, Document, Format, MAX_ASIDE, MAX_ASIDES, MAX_HIDDEN, MAX_SAMPLE, MAX_TEXT, Removed, RemovedKind,
};

/// Where a piece of text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A person sees it.
    Seen,
    /// It belongs to the document, beside the text.
    Aside(AsideKind),
    /// Nobody sees it.
    Removed(RemovedKind),
}

/// What is between two pieces of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gap {
    /// Nothing.
    None,
    /// A new line begins.
    Line,
    /// A paragraph begins.
    Paragraph,
}

/// The page.
#[derive(Debug)]
pub(crate) struct Page {
    document: Document,
    gap: Gap,
    /// A line began since the last piece.
    parted: bool,
    space: bool,
    /// Where the last piece went: what follows in the same place belongs to it.
    last: Place,
    /// Kept back for the line that is about to begin, such as the sign of a list.
    prefix: String,
    /// In how many quotations the text stands.
    quoted: usize,
    /// Bytes that may still be kept of what is taken out.
    hidden_room: usize,
}

/// Signs of quotation before a line at most.
const MAX_QUOTED: usize = 8;

impl Page {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            document: Document::of(format, String::new()),
            gap: Gap::None,
            parted: false,
            space: false,
            last: Place::Seen,
            prefix: String::new(),
            quoted: 0,
            hidden_room: MAX_HIDDEN,
        }
    }

    /// How long the text is so far.
    pub(crate) fn len(&self) -> usize {
        self.document.text.len()
    }

    /// What stands in the text from here on.
    pub(crate) fn since(&self, at: usize) -> &str {
        self.document.text.get(at..).unwrap_or_default().trim()
    }

    /// Takes back the text from here on.
    pub(crate) fn take_back(&mut self, at: usize) -> String {
        let at = at.min(self.document.text.len());
        let kept = self.document.text.floor_char_boundary(at);
        self.document.text.split_off(kept)
    }

    /// Begins a line or a paragraph. What came before is at an end.
    pub(crate) fn gap(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
        self.parted = true;
        self.space = false;
    }

    /// Writes text as it is, whatever came before.
    pub(crate) fn raw(&mut self, text: &str) {
        self.push(text);
        self.last = Place::Seen;
    }

    /// Ends a line; where none has begun since the last end, a paragraph.
    pub(crate) fn line(&mut self, place: Place) {
        if place == Place::Seen {
            let gap = if self.gap == Gap::None { Gap::Line } else { Gap::Paragraph };
            self.gap(gap);
        }
    }

    /// Parts what comes from what was before, wherever it goes.
    pub(crate) fn part(&mut self) {
        self.last = Place::Seen;
    }

    /// What the next line begins with.
    pub(crate) fn prefix(&mut self, prefix: &str) {
        self.prefix.clear();
        self.prefix.push_str(prefix);
    }

    /// What comes is quoted: every line begins with one more `>`.
    pub(crate) fn quote(&mut self) {
        self.quoted += 1;
    }

    /// A quotation ends.
    pub(crate) fn unquote(&mut self) {
        self.quoted = self.quoted.saturating_sub(1);
    }

    /// Writes text whose white space is a space each.
    pub(crate) fn flow(&mut self, text: &str, place: Place) {
        match place {
            Place::Seen => {
                let bytes = text.as_bytes();
                let begins = bytes.first().is_some_and(u8::is_ascii_whitespace);
                let ends = bytes.last().is_some_and(u8::is_ascii_whitespace);
                let mut words = text.split_ascii_whitespace();
                let Some(first) = words.next() else {
                    self.space |= begins;
                    return;
                };
                self.space |= begins;
                self.begin();
                self.push(first);
                for word in words {
                    self.push(" ");
                    self.push(word);
                }
                self.space = ends;
                self.last = Place::Seen;
            }
            other => self.elsewhere(text, other),
        }
    }

    /// Writes text as it is.
    pub(crate) fn exact(&mut self, text: &str, place: Place) {
        match place {
            Place::Seen if text.is_empty() => {}
            Place::Seen => {
                self.begin();
                self.push(text);
                self.last = Place::Seen;
            }
            other => self.elsewhere(text, other),
        }
    }

    fn begin(&mut self) {
        if !self.document.text.is_empty() {
            let wanted = match self.gap {
                Gap::None => 0,
                Gap::Line => 1,
                Gap::Paragraph => 2,
            };
            let there = self.document.text.bytes().rev().take(2).take_while(|b| *b == b'\n').count();
            for _ in there..wanted {
                self.push("\n");
            }
            if self.space && wanted == 0 && there == 0 {
                self.push(" ");
            }
        }
        if self.quoted > 0 && (self.document.text.is_empty() || self.document.text.ends_with('\n')) {
            self.push(&format!("{} ", ">".repeat(self.quoted.min(MAX_QUOTED))));
        }
        if !self.prefix.is_empty() {
            let prefix = std::mem::take(&mut self.prefix);
            self.push(&prefix);
        }
        self.gap = Gap::None;
        self.parted = false;
        self.space = false;
    }

    fn push(&mut self, text: &str) {
        let room = MAX_TEXT.saturating_sub(self.document.text.len());
        if text.len() <= room && self.document.cut == 0 {
            self.document.text.push_str(text);
        } else {
            let kept = if self.document.cut == 0 { text.floor_char_boundary(room) } else { 0 };
            self.document.text.push_str(text.get(..kept).unwrap_or_default());
            self.document.cut += (text.len() - kept) as u64;
        }
    }

    fn elsewhere(&mut self, text: &str, place: Place) {
        if text.trim_ascii().is_empty() {
            return;
        }
        let goes_on = self.last == place;
        let parted = std::mem::take(&mut self.parted);
        match place {
            Place::Seen => {}
            Place::Aside(kind) if goes_on => self.go_on(kind, text, parted),
            Place::Aside(kind) => self.aside(kind, text.trim_ascii()),
            Place::Removed(kind) => self.note(kind, text, !goes_on, parted),
        }
        self.last = place;
    }

    fn go_on(&mut self, kind: AsideKind, text: &str, line: bool) {
        let room = match self.document.asides.last_mut().filter(|last| last.kind == kind) {
            Some(last) => {
                if line && last.text.len() < MAX_ASIDE && !last.text.ends_with('\n') {
                    last.text.push('\n');
                }
                let kept = text.floor_char_boundary(MAX_ASIDE.saturating_sub(last.text.len()));
                last.text.push_str(text.get(..kept).unwrap_or_default());
                kept
            }
            None => 0,
        };
        let rest = text.get(room..).unwrap_or_default();
        if !rest.is_empty() {
            self.aside(kind, rest);
        }
    }

    /// Sets text aside, in as many pieces as it takes.
    pub(crate) fn aside(&mut self, kind: AsideKind, text: &str) {
        let at = self.document.text.len() as u64;
        let mut rest = text;
        while !rest.is_empty() {
            if self.document.asides.len() == MAX_ASIDES {
                self.document.more_asides += 1;
                return;
            }
            let (piece, more) = rest.split_at_checked(rest.floor_char_boundary(MAX_ASIDE)).unwrap_or((rest, ""));
            self.document.asides.push(Aside { kind, text: piece.to_owned(), at });
            rest = more;
        }
    }

    /// Says, once, that there is more of something than is looked at.
    pub(crate) fn unread(&mut self, what: &str, limit: usize) {
        let text = format!("unread: {what} after the first {limit}");
        if !self.document.asides.iter().any(|aside| aside.text == text) {
            self.aside(AsideKind::Metadata, &text);
        }
    }

    /// Counts an aside that is left out.
    pub(crate) const fn more_asides(&mut self) {
        self.document.more_asides += 1;
    }

    /// Counts text that is left out, since there is too much of it.
    pub(crate) const fn left_out(&mut self, bytes: usize) {
        self.document.cut += bytes as u64;
    }

    /// Says that something was taken out.
    pub(crate) fn removed(&mut self, kind: RemovedKind, text: &str) {
        self.note(kind, text, true, true);
    }

    fn note(&mut self, kind: RemovedKind, text: &str, new: bool, line: bool) {
        let first_at = self.document.text.len() as u64;
        let removed = &mut self.document.removed;
        let entry = match removed.iter_mut().position(|removed| removed.kind == kind) {
            Some(at) => removed.get_mut(at),
            None => {
                removed.push(Removed { kind, count: 0, bytes: 0, first_at, text: String::new(), cut: 0 });
                removed.last_mut()
            }
        };
        let Some(entry) = entry else { return };
        let new = new || entry.count == 0;
        entry.count += u64::from(new);
        entry.bytes += text.len() as u64;
        if new || line {
            let kept = entry.text.trim_end().len();
            entry.text.truncate(kept);
        }
        let room = if kind.is_text() { self.hidden_room } else { MAX_SAMPLE.saturating_sub(entry.text.len()) };
        let before = entry.text.len();
        entry.cut += append(&mut entry.text, text, new || line, room.min(self.hidden_room)) as u64;
        self.hidden_room -= (entry.text.len() - before).min(self.hidden_room);
    }

    /// The document, its text as it was written.
    pub(crate) fn into_document(mut self) -> Document {
        for removed in &mut self.document.removed {
            removed.text.truncate(removed.text.trim_end().len());
        }
        self.document
    }

    /// The document, its text ended by one line feed.
    pub(crate) fn finish(mut self) -> Document {
        let kept = self.document.text.trim_end().len();
        self.document.text.truncate(kept);
        if !self.document.text.is_empty() {
            self.document.text.push('\n');
        }
        self.into_document()
    }
}

/// Appends the words of a text, of which so many bytes fit: on a line of its own or not, white space of any length as a
/// line's end or a space. Returns how many bytes of the text are left out.
fn append(to: &mut String, text: &str, line: bool, room: usize) -> usize {
    let end = to.len() + room;
    let mut gap = if line { "\n" } else { "" };
    let mut rest = text;
    while !rest.is_empty() {
        let (white, words) = split(rest, |c| !c.is_ascii_whitespace());
        if gap.is_empty() && !white.is_empty() {
            gap = if white.contains('\n') { "\n" } else { " " };
        }
        let (word, after) = split(words, |c| c.is_ascii_whitespace());
        if to.is_empty() || to.ends_with(['\n', ' ']) {
            gap = "";
        }
        let fits = end.saturating_sub(to.len() + gap.len());
        if fits == 0 {
            return rest.trim_ascii().len();
        }
        to.push_str(gap);
        gap = "";
        let kept = word.floor_char_boundary(fits);
        to.push_str(word.get(..kept).unwrap_or_default());
        if kept < word.len() {
            return words.trim_ascii().len() - kept;
        }
        rest = after;
    }
    0
}

fn split(text: &str, at: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(at).unwrap_or(text.len())).unwrap_or((text, ""))
}
