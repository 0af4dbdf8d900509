//! The fourth stage: whether a text tries to give orders to the model that reads it.
//!
//! A small network, trained by us and embedded in the program, judges each sentence, line or field of a text by its own
//! words and by what stands around it: an order in a list of orders is a manual, an order to a reader with hands amid a
//! hotel's reviews is an attack. The text is judged as it stands and in what can be decoded from it ([`Form`]).
//!
//! What is a command from a person is an attack from elsewhere, so the caller says through which [`Channel`] the text
//! came. The result raises suspicion and never trust: nothing may be allowed because this stage was silent. What it
//! was trained on, how well it does and where it fails is in `models/card.md`.

mod forms;
pub(crate) mod net;
mod page;
pub(crate) mod shape;
pub(crate) mod tokens;

use std::ops::Range;
use std::sync::LazyLock;

use net::{Net, Scratch, Segment};
use tokens::Token;

pub use forms::Form;

/// The weights, which `crates/guard/train` makes.
static WEIGHTS: &[u8] = include_bytes!("../../models/verify.bin");

/// Without its weights the stage calls everything suspicious: it fails closed. (A test loads them.)
static NET: LazyLock<Option<Net>> = LazyLock::new(|| Net::new(WEIGHTS));

/// Through which channel a text came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// A person's words to the assistant. Orders are what they are for; an attack is to talk the assistant out of its
    /// rules.
    User,
    /// Text from elsewhere: a page, a file, a mail, what a tool gave back. An attack is to give orders to the reader.
    Content,
}

/// How readily a text is called suspicious.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// More attacks are found, and more harmless sentences with them.
    Cautious,
    /// In between.
    Default,
    /// Only what is hardly anything else.
    Trusting,
}

impl Profile {
    /// The probability from which a span counts, chosen on development data by false alarms in a megabyte of READMEs
    /// and among requests: the card has the table.
    #[must_use]
    pub fn threshold(self, channel: Channel) -> f32 {
        match (channel, self) {
            (Channel::User, Self::Cautious) => 0.5,
            (Channel::User, Self::Default) => 0.8,
            (Channel::User, Self::Trusting) => 0.95,
            (Channel::Content, Self::Cautious) => 0.7,
            (Channel::Content, Self::Default) => 0.85,
            (Channel::Content, Self::Trusting) => 0.98,
        }
    }
}

/// A piece of a text that may be an attack.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspicion {
    /// Where it stands, in bytes of the text that was given: whole sentences, lines or fields, or all of what was
    /// decoded. Always on borders of characters.
    pub span: Range<usize>,
    /// The probability that it is an attack, by the development data's measure.
    pub score: f32,
    /// In what form of the text it was seen.
    pub form: Form,
}

/// What the detector thinks of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// The probability that the text holds an attack: that of its most suspicious piece; zero of an empty text.
    pub score: f32,
    /// The pieces that reach the threshold of [`Profile::Cautious`], in the order of the text. Pieces of different form
    /// may overlap.
    pub spans: Vec<Suspicion>,
    channel: Channel,
}

impl Verification {
    /// The pieces that count under `profile`; those that follow each other are one, for an attack of three sentences is
    /// one attack.
    #[must_use]
    pub fn flagged(&self, profile: Profile) -> Vec<Suspicion> {
        let threshold = profile.threshold(self.channel);
        // Only white space is between sentences that follow each other.
        join(self.spans.iter().filter(|suspicion| suspicion.score >= threshold).cloned(), 2)
    }
}

/// Judges `text`, as it stands and decoded.
///
/// Total and pure; time is linear in the length of the text, memory beyond the result is bounded.
#[must_use]
pub fn verify(text: &str, channel: Channel) -> Verification {
    let Some(net) = &*NET else {
        let all = Suspicion { span: 0..text.len(), score: 1.0, form: Form::Plain };
        return Verification { score: 1.0, spans: vec![all], channel };
    };
    Judge::new(net, channel).text(text)
}

/// One judgement under way, with its buffers.
pub(crate) struct Judge<'a> {
    net: &'a Net,
    channel: Channel,
    tokens: Vec<Token>,
    scratch: Scratch,
    segments: Vec<Segment>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(net: &'a Net, channel: Channel) -> Self {
        Self { net, channel, tokens: Vec::new(), scratch: Scratch::default(), segments: Vec::new() }
    }

    fn nothing(&self) -> Verification {
        Verification { score: 0.0, spans: Vec::new(), channel: self.channel }
    }

    pub(crate) fn text(&mut self, text: &str) -> Verification {
        let mut result = self.nothing();
        for page in page::pages(text) {
            let Some(inside) = text.get(page.clone()) else { continue };
            self.plain(inside, page.start, &mut result);
            forms::decoded(inside, &mut |form, span, decoded| {
                let score = self.decoded(decoded);
                result.score = result.score.max(score);
                if score >= Profile::Cautious.threshold(self.channel) {
                    let span = page.start + span.start..page.start + span.end;
                    result.spans.push(Suspicion { span, score, form });
                }
            });
        }
        result.spans.sort_by_key(|suspicion| (suspicion.span.start, suspicion.span.end));
        // What two pages share was judged twice.
        result.spans = join(result.spans.into_iter(), -1);
        result
    }

    /// Judges a page as it stands.
    fn plain(&mut self, page: &str, offset: usize, result: &mut Verification) {
        tokens::tokenize(page, &mut self.tokens);
        self.net.judge(&self.tokens, &mut self.scratch, &mut self.segments);
        for segment in &self.segments {
            let score = self.net.probability(&segment.logits, self.channel as usize);
            result.score = result.score.max(score);
            let inside = page.get(segment.start..segment.end).unwrap_or_default().trim_end();
            if score >= Profile::Cautious.threshold(self.channel) && !inside.is_empty() {
                let start = offset + segment.start;
                result.spans.push(Suspicion { span: start..start + inside.len(), score, form: Form::Plain });
            }
        }
    }

    /// The score of a decoded text, and of what was encoded in that in turn.
    fn decoded(&mut self, text: &str) -> f32 {
        let mut score = self.score(text);
        forms::encoded(text, &mut |_, _, inner| score = score.max(self.score(inner)));
        score
    }

    /// The score of a text as it stands.
    fn score(&mut self, text: &str) -> f32 {
        let mut result = self.nothing();
        for page in page::pages(text) {
            self.plain(text.get(page).unwrap_or_default(), 0, &mut result);
        }
        result.score
    }
}

/// Joins pieces of one form that have at most `gap` bytes between them; a gap of -1 is an overlap of one byte.
fn join(spans: impl Iterator<Item = Suspicion>, gap: isize) -> Vec<Suspicion> {
    let mut joined: Vec<Suspicion> = Vec::new();
    for next in spans {
        let near =
            |last: &&mut Suspicion| last.form == next.form && next.span.start as isize - last.span.end as isize <= gap;
        match joined.last_mut().filter(near) {
            Some(last) => {
                last.span.end = last.span.end.max(next.span.end);
                last.score = last.score.max(next.score);
            }
            None => joined.push(next),
        }
    }
    joined
}
