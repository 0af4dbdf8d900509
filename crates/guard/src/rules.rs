//! What an operator says of the sources that a text may come from: of what kind it may be, which characters it may hold, how
//! much of it there may be, and how readily a passage of it is held back.

use std::borrow::Cow;

use autoshare_core::wildcard;
use regex_syntax::hir::{Class, ClassUnicode, HirKind};

use crate::records::Records;
use crate::verify::Profile;

/// Bytes of a text in which it is looked for what a page of the web begins with.
const HEAD: usize = 64 * 1024;
/// Elements with which a part of a page begins.
const TAGS: [&str; 26] = [
    "a", "article", "aside", "br", "center", "div", "footer", "form", "h1", "h2", "h3", "head", "header", "img",
    "link", "main", "meta", "nav", "ol", "p", "script", "section", "span", "style", "table", "title",
];

/// What a text is by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// A JSON object or list.
    Json,
    /// A web page, or a part of one.
    Html,
    /// Other XML.
    Xml,
    /// Text that is nothing else.
    Text,
}

impl Type {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Json, Self::Html, Self::Xml, Self::Text];

    /// Its name in a rule.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
            Self::Xml => "xml",
            Self::Text => "text",
        }
    }

    /// What `text` is.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut begin = text.trim_start_matches('\u{feff}').trim_start();
        if begin.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(begin).is_ok() {
            return Self::Json;
        }
        // A comment may stand before everything else.
        while let Some((_, after)) = begin.strip_prefix("<!--").and_then(|rest| rest.split_once("-->")) {
            begin = after.trim_start();
        }
        let head = begin.get(..begin.floor_char_boundary(HEAD)).unwrap_or_default().to_ascii_lowercase();
        let holds = |tag: &str| head.contains(tag);
        if ["<!doctype html", "<html", "<body"].into_iter().any(holds) {
            return Self::Html;
        }
        if head.starts_with("<?xml") {
            return Self::Xml;
        }
        let tag = head.strip_prefix('<').unwrap_or_default();
        let name = tag.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        if TAGS.contains(&name) { Self::Html } else { Self::Text }
    }
}

/// A set of characters, written as a regular expression's class, such as `[\p{Latin}\p{Common}]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Characters {
    written: String,
    class: ClassUnicode,
}

impl Characters {
    /// Reads one.
    ///
    /// # Errors
    /// Why it is no class of characters.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hir = regex_syntax::parse(text).map_err(|error| error.to_string())?;
        match hir.into_kind() {
            HirKind::Class(Class::Unicode(class)) => Ok(Self { written: text.to_owned(), class }),
            _ => Err("it is no class of characters: write one such as [\\p{Latin}\\p{Common}]".to_owned()),
        }
    }

    fn holds(&self, c: char) -> bool {
        let ranges = self.class.ranges();
        let next = ranges.partition_point(|range| range.end() < c);
        ranges.get(next).is_some_and(|range| range.start() <= c)
    }

    /// The text without what is not among these, and how many characters that were.
    fn keep<'t>(&self, text: &'t str) -> (Cow<'t, str>, usize) {
        let others = text.chars().filter(|c| !self.holds(*c)).count();
        if others == 0 { (Cow::Borrowed(text), 0) } else { (text.chars().filter(|c| self.holds(*c)).collect(), others) }
    }
}

/// What is said of the sources that a pattern fits. What it does not speak of is as it is everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceRule {
    /// Which sources: a name such as `mcp:mail/search`, in which `*` stands for anything.
    pub source: String,
    /// What their texts may be; empty is anything.
    pub types: Vec<Type>,
    /// The characters that they may hold: others are taken out.
    pub characters: Option<Characters>,
    /// Bytes of one text at most: a longer one is refused.
    pub max_bytes: Option<usize>,
    /// Levels of one that is JSON at most.
    pub max_depth: Option<usize>,
    /// How readily a passage is held back; the inner `None` never does.
    pub detector: Option<Option<Profile>>,
}

impl SourceRule {
    /// Whether it speaks of this source.
    #[must_use]
    pub fn fits(&self, source: &str) -> bool {
        wildcard::matches(&self.source, source)
    }

    /// The text with the characters that it may hold, and in words what was taken out.
    ///
    /// # Errors
    /// Why its source may not say such a thing at all, in words that hold nothing of the text.
    pub fn apply<'t>(&self, text: &'t str) -> Result<(Cow<'t, str>, Option<String>), String> {
        if let Some(max) = self.max_bytes.filter(|max| text.len() > *max) {
            return Err(format!("it has {} bytes, and its source may send {max}", text.len()));
        }
        let is = Type::of(text);
        if !self.types.is_empty() && !self.types.contains(&is) {
            let may: Vec<&str> = self.types.iter().map(|one| one.name()).collect();
            return Err(format!("it is {}, and its source may send {} only", is.name(), may.join(", ")));
        }
        if let Some(max) = self.max_depth
            && let Some(depth) = Records::read(text).map(|records| records.depth()).filter(|depth| *depth > max)
        {
            return Err(format!("it has {depth} levels of JSON, and its source may send {max}"));
        }
        let Some(characters) = &self.characters else { return Ok((Cow::Borrowed(text), None)) };
        let (kept, others) = characters.keep(text);
        let words = match others {
            0 => None,
            1 => Some(format!("removed 1 character outside {}", characters.written)),
            many => Some(format!("removed {many} characters outside {}", characters.written)),
        };
        Ok((kept, words))
    }
}
