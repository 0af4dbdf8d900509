//! HTML as a person sees it in a browser: the text, laid out on lines; what is beside it; what is hidden.
//!
//! One pass over the tokens, with a stack of the open elements; a second one before it, over the style sheets alone,
//! where there are any. Nothing is fetched and no program runs, so a page that a program writes is empty here.
//!
//! What hides text and is not known here: a style sheet from elsewhere, a custom property, a selector with a state or a
//! neighbour, something that lies over the text.

mod element;
mod style;
#[cfg(test)]
mod tests;
mod token;
mod tree;

pub(crate) use element::{Found, Kind};
pub(crate) use token::{Tag, Token, Tokens};
pub(crate) use tree::{Open, Tree, decoded};

use std::borrow::Cow;

use autoshare_core::document::{AsideKind, Document, Format, RemovedKind};

use self::style::Sheet;
use super::link;
use super::page::{Gap, Page, Place};

/// Reads a page.
pub(crate) fn read(source: &str) -> Document {
    let mut page = Page::new(Format::Html);
    write(source, &mut page);
    page.finish()
}

/// Reads a page into another document.
pub(crate) fn write(source: &str, page: &mut Page) {
    let sheet = sheet(source);
    if let Some(limit) = sheet.limit() {
        page.unread("rules of its style sheets, which may hide what is shown here,", limit);
    }
    let mut reader = Reader { tree: Tree::new(sheet, is_quirky(source)), page };
    let mut tokens = Tokens::new(source);
    while let Some(token) = tokens.next() {
        match token {
            Token::Text(text) => {
                let text = if text.contains('&') { htmlize::unescape(text) } else { Cow::Borrowed(text) };
                reader.text(&text);
            }
            Token::RawText(text) => reader.text(text),
            Token::Start(tag) => {
                if let Some((kind, found, raw)) = reader.tree.start(tag) {
                    if let Some(raw) = raw {
                        tokens.raw(tag.name, raw);
                    }
                    // A void element is closed already; it stood in this place all the same.
                    let place = match reader.tree.closed.last().filter(|_| kind.is_void()) {
                        Some(closed) => closed.place,
                        None => reader.tree.last().map_or(Place::Seen, |open| open.place),
                    };
                    reader.settle();
                    reader.begin(kind, &found, tag.name, place);
                }
                reader.settle();
            }
            Token::End(name) => {
                reader.tree.end(name);
                reader.settle();
            }
            Token::Comment(text) => {
                if !text.trim().is_empty() {
                    reader.page.removed(RemovedKind::SourceComment, text);
                }
            }
            Token::Doctype => {}
        }
    }
    reader.tree.finish();
    reader.settle();
}

/// The style sheets of a page, wherever they stand: they hold for what comes before them too.
pub(crate) fn sheet(source: &str) -> Sheet {
    let mut sheet = Sheet::default();
    if !names_style(source) {
        return sheet;
    }
    let mut tokens = Tokens::new(source);
    let mut in_style = false;
    while let Some(token) = tokens.next() {
        match token {
            Token::Start(tag) => {
                let kind = element::kind(tag.name);
                let for_screen = |media: &str| matches!(media.trim(), "" | "all" | "screen");
                in_style = kind == Kind::Style && Found::of(&tag).media.is_none_or(|media| for_screen(&decoded(media)));
                if let Some(raw) = kind.raw() {
                    tokens.raw(tag.name, raw);
                }
            }
            Token::Text(text) | Token::RawText(text) if in_style => sheet.read(text),
            _ => {}
        }
    }
    sheet
}

fn names_style(source: &str) -> bool {
    let bytes = source.as_bytes();
    memchr::memchr_iter(b'<', bytes)
        .any(|at| bytes.get(at + 1..at + 6).is_some_and(|word| word.eq_ignore_ascii_case(b"style")))
}

/// Whether a page does not begin with `<!doctype html>`, comments aside.
fn is_quirky(source: &str) -> bool {
    let head = source.get(..source.floor_char_boundary(64 * 1024)).unwrap_or_default();
    for token in Tokens::new(head) {
        match token {
            Token::Text(text) if text.trim().is_empty() => {}
            Token::Comment(_) => {}
            Token::Doctype => {
                let at = head.to_ascii_lowercase().find("<!doctype").unwrap_or(0);
                let line = head.get(at..).and_then(|rest| rest.split('>').next()).unwrap_or_default();
                return !line.trim().eq_ignore_ascii_case("<!doctype html");
            }
            _ => return true,
        }
    }
    true
}

struct Reader<'a, 'p> {
    tree: Tree<'a>,
    page: &'p mut Page,
}

impl<'a> Reader<'a, '_> {
    fn text(&mut self, text: &str) {
        let blank = text.trim_ascii().is_empty();
        let place = if blank { self.tree.last().map_or(Place::Seen, |open| open.place) } else { self.tree.place() };
        if self.tree.last().is_some_and(|open| open.kind == Kind::Script && is_data(&open.tag)) {
            return self.page.aside(AsideKind::Metadata, text.trim());
        }
        if self.tree.preserves() {
            self.page.exact(text, place);
        } else {
            self.page.flow(text, place);
        }
    }

    /// A start tag: what it shows by itself, and how the page goes on.
    fn begin(&mut self, kind: Kind, found: &Found<'a>, name: &str, place: Place) {
        self.beside(found, place);
        match kind {
            Kind::Paragraph | Kind::Heading | Kind::Preformatted | Kind::Table | Kind::Rule => {
                self.page.gap(Gap::Paragraph);
            }
            Kind::Division
            | Kind::Block
            | Kind::Row
            | Kind::Caption
            | Kind::Term
            | Kind::Details
            | Kind::Summary
            | Kind::Dialog
            | Kind::Choice => self.page.gap(Gap::Line),
            Kind::List => {
                let first = self.tree.innermost(Kind::Item).is_none();
                self.page.gap(if first { Gap::Paragraph } else { Gap::Line });
            }
            Kind::Quote => {
                self.page.gap(Gap::Paragraph);
                if let Some(open) = self.tree.last().filter(|_| place == Place::Seen) {
                    open.mark = 1;
                    self.page.quote();
                }
            }
            Kind::Item => self.item(place),
            Kind::Cell if place == Place::Seen => {
                if let Some(row) = self.tree.innermost(Kind::Row) {
                    row.mark += 1;
                    if row.mark > 1 {
                        self.page.exact(" | ", place);
                    }
                }
            }
            Kind::Break => self.page.line(place),
            Kind::Anchor => {
                let at = self.page.len();
                if let Some(open) = self.tree.last() {
                    open.mark = at;
                }
            }
            Kind::Image => {
                let source = decoded(found.src.or(found.srcset).unwrap_or_default());
                if !source.is_empty() && !source.starts_with("data:") {
                    self.page.removed(RemovedKind::RemoteImage, &source);
                }
            }
            Kind::Frame | Kind::Object | Kind::Media => {
                let source = found.src.or(found.data).or(found.srcdoc).or(found.code).unwrap_or_default();
                if !source.is_empty() {
                    self.page.removed(RemovedKind::AutoLoad, &decoded(source));
                }
            }
            Kind::Void if name.eq_ignore_ascii_case("embed") || name.eq_ignore_ascii_case("frame") => {
                self.page.removed(RemovedKind::AutoLoad, &decoded(found.src.unwrap_or_default()));
            }
            Kind::Input => self.input(found, place),
            Kind::Meta => self.meta(found),
            _ => {}
        }
    }

    /// What stands in attributes and is not seen.
    fn beside(&mut self, found: &Found<'_>, place: Place) {
        let texts = [
            (found.alt, AsideKind::Alt),
            (found.title, AsideKind::Tooltip),
            (found.placeholder, AsideKind::Annotation),
            (found.label, AsideKind::Annotation),
        ];
        for (value, kind) in texts {
            let Some(value) = value.map(decoded).filter(|value| !value.trim().is_empty()) else { continue };
            match place {
                Place::Removed(kind) => self.page.removed(kind, &value),
                _ => self.page.aside(kind, value.trim()),
            }
        }
    }

    fn item(&mut self, place: Place) {
        self.page.gap(Gap::Line);
        let prefix = match self.tree.innermost(Kind::List) {
            Some(list) if list.tag.name.eq_ignore_ascii_case("ol") => {
                if list.mark == 0 {
                    let start = Found::of(&list.tag).start.and_then(|start| start.parse::<u16>().ok()).unwrap_or(1);
                    list.mark = usize::from(start);
                }
                list.mark += 1;
                format!("{}. ", list.mark - 1)
            }
            _ => "- ".to_owned(),
        };
        if place == Place::Seen {
            self.page.prefix(&prefix);
        }
    }

    fn input(&mut self, found: &Found<'_>, place: Place) {
        let value = decoded(found.value.unwrap_or_default());
        if value.trim().is_empty() {
            return;
        }
        let kind = found.kind.unwrap_or_default().to_ascii_lowercase();
        match kind.as_str() {
            "hidden" => self.page.removed(RemovedKind::Hidden, &value),
            // Their value is sent and not shown.
            "checkbox" | "radio" | "password" | "image" | "file" | "color" | "range" => {
                self.page.aside(AsideKind::Annotation, value.trim());
            }
            _ => self.page.flow(&format!(" [{}] ", value.trim()), place),
        }
    }

    fn meta(&mut self, found: &Found<'_>) {
        let content = decoded(found.content.unwrap_or_default());
        if content.trim().is_empty() {
            return;
        }
        match (found.http_equiv, found.name.or(found.property)) {
            (Some(what), _) if what.eq_ignore_ascii_case("refresh") => {
                self.page.removed(RemovedKind::AutoLoad, &content);
            }
            (Some(_), _) => {}
            (None, Some("viewport")) => {}
            (None, Some(name)) => {
                self.page.aside(AsideKind::Metadata, &format!("{}: {}", decoded(name).trim(), content.trim()));
            }
            (None, None) => {}
        }
    }

    /// Ends what was closed.
    fn settle(&mut self) {
        if self.tree.closed.is_empty() {
            return;
        }
        for open in std::mem::take(&mut self.tree.closed) {
            match open.kind {
                Kind::Paragraph | Kind::Heading | Kind::Preformatted | Kind::Table => self.page.gap(Gap::Paragraph),
                Kind::List => {
                    let first = self.tree.innermost(Kind::Item).is_none();
                    self.page.gap(if first { Gap::Paragraph } else { Gap::Line });
                }
                Kind::Item => {
                    self.page.prefix("");
                    self.page.gap(Gap::Line);
                }
                Kind::Division
                | Kind::Block
                | Kind::Row
                | Kind::Caption
                | Kind::Term
                | Kind::Details
                | Kind::Summary
                | Kind::Dialog
                | Kind::Choice => self.page.gap(Gap::Line),
                Kind::Quote => {
                    self.page.gap(Gap::Paragraph);
                    if open.mark > 0 {
                        self.page.unquote();
                    }
                }
                Kind::Anchor => self.anchor(&open),
                Kind::Script | Kind::Style | Kind::Title | Kind::Template | Kind::Fallback => self.page.part(),
                // Not within what is hidden as a whole.
                _ if open.place != self.tree.last().map_or(Place::Seen, |outer| outer.place) => self.page.part(),
                _ => {}
            }
        }
    }

    fn anchor(&mut self, open: &Open<'_>) {
        let Some(href) = open.href.filter(|_| open.place == Place::Seen) else { return };
        link::finish(self.page, open.mark, &decoded(href));
    }
}

/// Whether a script is none, but data about the page.
fn is_data(tag: &Tag<'_>) -> bool {
    Found::of(tag).kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/ld+json"))
}
