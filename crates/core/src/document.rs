//! A document as its reader took it apart: what a person would see of it, what stands beside that, what was taken out.
//!
//! A document comes from a stranger and is taken apart in a cell that has nothing else ([`crate::wire`]); so what the
//! cell says of it is as untrusted as the document. [`Document::checked`] holds every bound once more on the other side.

use serde::{Deserialize, Serialize};

/// Bytes of a document that a reader takes at most.
pub const MAX_INPUT: usize = 128 * 1024 * 1024;
/// Bytes of the text of a document at most; what is longer is cut, and said.
pub const MAX_TEXT: usize = 16 * 1024 * 1024;
/// Asides of a document at most; more are counted.
pub const MAX_ASIDES: usize = 512;
/// Bytes of one aside at most.
pub const MAX_ASIDE: usize = 4 * 1024;
/// Bytes of the text of all that was taken out at most; how much is left out is said of each kind.
pub const MAX_HIDDEN: usize = 64 * 1024;
/// Bytes of programs, style sheets and addresses that were taken out at most, of each kind.
pub const MAX_SAMPLE: usize = 200;
/// Bytes of a MIME type, a name of a charset or a file name at most.
pub const MAX_NAME: usize = 128;

/// What a document is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Text that is nothing else.
    Text,
    /// A web page.
    Html,
    /// Markdown. Only a name or a claim tells it from text.
    Markdown,
    /// A mail (RFC 5322).
    Mail,
    /// A document of Word.
    Docx,
    /// A workbook of Excel.
    Xlsx,
    /// A presentation of PowerPoint.
    Pptx,
    /// A text, sheet or presentation of OpenDocument.
    OpenDocument,
    /// PDF.
    Pdf,
}

impl Format {
    /// Its MIME type.
    #[must_use]
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Html => "text/html",
            Self::Markdown => "text/markdown",
            Self::Mail => "message/rfc822",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Self::OpenDocument => "application/vnd.oasis.opendocument",
            Self::Pdf => "application/pdf",
        }
    }
}

/// What a document was said to be. Untrusted, as the document is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hint {
    /// The MIME type that came with it, parameters included, such as `text/html; charset=iso-8859-1`.
    pub mime: Option<String>,
    /// The file's name.
    pub name: Option<String>,
}

/// A document, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What it is.
    pub format: Format,
    /// What it was said to be, where that is something else.
    pub mismatch: Option<String>,
    /// The charset that it was converted from, where that was not UTF-8 (a name of the Encoding Standard).
    pub charset: Option<String>,
    /// What a person would read.
    pub text: String,
    /// Bytes of text that were left out at the end, because it is longer than it may be.
    pub cut: u64,
    /// What belongs to the document and is not seen in reading it, each with its label.
    pub asides: Vec<Aside>,
    /// Asides that were left out, because they are more than [`MAX_ASIDES`].
    pub more_asides: u64,
    /// One entry a kind of what was taken out, in the order of their first occurrence.
    pub removed: Vec<Removed>,
}

/// What belongs to a document and is not seen in reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aside {
    /// What it is.
    pub kind: AsideKind,
    /// Its text, of [`MAX_ASIDE`] bytes at most.
    pub text: String,
    /// The byte of [`Document::text`] where it belongs.
    pub at: u64,
}

/// What an aside is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AsideKind {
    /// The text that stands for an image.
    Alt,
    /// A title that is shown when somebody points at something.
    Tooltip,
    /// The title of the whole, a description, keywords, an author, machine-readable data.
    Metadata,
    /// A header of a mail, such as `Subject: ...`.
    Header,
    /// The name, type and size of what is attached.
    Attachment,
    /// What a person sees on opening it: closed details.
    Folded,
    /// A note of a reviewer.
    Comment,
    /// What a tracked change deletes.
    Deleted,
    /// A speaker's note.
    Note,
    /// What a link or a field has beside its text.
    Annotation,
}

/// What was taken out of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removed {
    /// The kind.
    pub kind: RemovedKind,
    /// How often.
    pub count: u64,
    /// Bytes of text in all.
    pub bytes: u64,
    /// The byte of [`Document::text`] where the first would stand.
    pub first_at: u64,
    /// Their text, so that it can be judged and shown: what was apart on lines of its own, white space of any length as
    /// a line's end or a space. All of a document are of [`MAX_HIDDEN`] bytes at most; of what is no text for a reader
    /// ([`RemovedKind::is_text`]) it is the beginning, of [`MAX_SAMPLE`] bytes at most.
    pub text: String,
    /// Bytes of it that `text` leaves out.
    pub cut: u64,
}

/// Why something was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovedKind {
    /// A program.
    Script,
    /// A style sheet.
    Style,
    /// A comment in the source.
    SourceComment,
    /// What stands for something else: templates, `noscript`, what is shown in place of an object, the form of a mail that
    /// is not the one shown.
    Template,
    /// Said to be hidden: `hidden`, `display: none`, hidden text, sheets, rows, slides, layers.
    Hidden,
    /// Without ink: `visibility: hidden`, `opacity: 0`, the invisible rendering mode of PDF.
    Transparent,
    /// Too small to be read.
    Tiny,
    /// Beside the page, or clipped away.
    OffPage,
    /// In the colour of what is behind it.
    SameColour,
    /// Kept from whoever has it read aloud.
    AriaHidden,
    /// An image that would be loaded from elsewhere.
    RemoteImage,
    /// What would be loaded or would happen by itself: frames, objects, redirections.
    AutoLoad,
    /// A link that runs a program or holds a document of its own.
    ActiveLink,
    /// The text of a link, which named another host than the one it leads to; the target stands in its place.
    MisleadingLink,
    /// What is nested deeper than a reader follows.
    TooDeep,
}

impl RemovedKind {
    /// Whether it is text that may speak to whoever reads it, and not a program, a style sheet or an address.
    #[must_use]
    pub const fn is_text(self) -> bool {
        !matches!(self, Self::Script | Self::Style | Self::RemoteImage | Self::AutoLoad | Self::ActiveLink)
    }

    /// In words, as in `removed 2 comments in the source`: one, many.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Script => ("script", "scripts"),
            Self::Style => ("style sheet", "style sheets"),
            Self::SourceComment => ("comment in the source", "comments in the source"),
            Self::Template => ("template", "templates"),
            Self::Hidden => ("hidden text", "hidden texts"),
            Self::Transparent => ("transparent text", "transparent texts"),
            Self::Tiny => ("text too small to be read", "texts too small to be read"),
            Self::OffPage => ("text beside the page", "texts beside the page"),
            Self::SameColour => ("text in the colour of its background", "texts in the colour of their background"),
            Self::AriaHidden => ("text kept from being read aloud", "texts kept from being read aloud"),
            Self::RemoteImage => ("remote image", "remote images"),
            Self::AutoLoad => ("thing that loads by itself", "things that load by themselves"),
            Self::ActiveLink => ("link that runs a program", "links that run a program"),
            Self::MisleadingLink => ("link that names another host", "links that name another host"),
            Self::TooDeep => ("text nested too deeply", "texts nested too deeply"),
        }
    }
}

/// Why a document was not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum ReadRefusal {
    /// It is longer than [`MAX_INPUT`].
    #[error("a document of {bytes} bytes; {MAX_INPUT} are read at most. Split it, or name the part that matters")]
    TooLarge {
        /// Its bytes.
        bytes: u64,
    },
    /// It holds more than it seems to: packed, it is larger than its reader unpacks.
    #[error("it unpacks to more than {limit} {what}, as a bomb does. Unpack it elsewhere if you trust it")]
    Bomb {
        /// Of what.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// Nobody here reads that.
    #[error("{what} is no text and no document that can be read. Convert it to text, HTML or an Office format")]
    Unknown {
        /// What it seems to be, as a MIME type.
        what: String,
    },
    /// It is not what it begins as, or is encrypted.
    #[error("it is no well-formed {format}: {why_not}. Open it elsewhere and save it anew")]
    Malformed {
        /// The MIME type that it begins as.
        format: String,
        /// What is wrong.
        why_not: String,
    },
    /// Its reader ended before it had an answer: out of memory or time, or by a fault.
    #[error("its reader ended without an answer: {how}. The document may be made to do that; nothing of it was taken")]
    ReaderEnded {
        /// How.
        how: String,
    },
}

impl Document {
    /// A document of which nothing is known but its text.
    #[must_use]
    pub const fn of(format: Format, text: String) -> Self {
        Self {
            format,
            mismatch: None,
            charset: None,
            text,
            cut: 0,
            asides: Vec::new(),
            more_asides: 0,
            removed: Vec::new(),
        }
    }

    /// The same within every bound: what a cell hands over is taken as this and in no other way.
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.cut = self.cut.saturating_add(shorten(&mut self.text, MAX_TEXT));
        let more = self.asides.len().saturating_sub(MAX_ASIDES);
        self.asides.truncate(MAX_ASIDES);
        self.more_asides = self.more_asides.saturating_add(more as u64);
        let end = self.text.len() as u64;
        for aside in &mut self.asides {
            shorten(&mut aside.text, MAX_ASIDE);
            aside.at = aside.at.min(end);
        }
        let mut seen = Vec::new();
        self.removed.retain(|removed| {
            let new = !seen.contains(&removed.kind);
            seen.push(removed.kind);
            new
        });
        let mut room = MAX_HIDDEN;
        for removed in &mut self.removed {
            let max = if removed.kind.is_text() { room } else { room.min(MAX_SAMPLE) };
            removed.cut = removed.cut.saturating_add(shorten(&mut removed.text, max));
            room = room.saturating_sub(removed.text.len());
            removed.first_at = removed.first_at.min(end);
        }
        for name in [&mut self.mismatch, &mut self.charset].into_iter().flatten() {
            shorten(name, MAX_NAME);
        }
        self
    }

    /// What was taken out, in words, such as `removed 1 script, 2 hidden texts (31 bytes)`; empty if nothing was.
    #[must_use]
    pub fn words(&self) -> String {
        let one = |removed: &Removed| {
            let (one, many) = removed.kind.words();
            format!("{} {} ({} bytes)", removed.count, if removed.count == 1 { one } else { many }, removed.bytes)
        };
        let list: Vec<String> = self.removed.iter().map(one).collect();
        if list.is_empty() { String::new() } else { format!("removed {}", list.join(", ")) }
    }
}

/// Cuts a text at a character's boundary; returns the bytes that are gone.
fn shorten(text: &mut String, max: usize) -> u64 {
    let kept = text.floor_char_boundary(max);
    let gone = text.len().saturating_sub(kept);
    text.truncate(kept);
    gone as u64
}
