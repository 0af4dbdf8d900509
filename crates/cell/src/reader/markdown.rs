//! Markdown as a person sees it rendered, in Markdown still: what would not be seen is cut out of the source, and the
//! rest is as it was, byte for byte.
//!
//! Cut out are comments (HTML's, and definitions that nothing refers to), HTML that is hidden by any of the means of
//! [`super::html`] with the Markdown in it, images from elsewhere, what loads by itself, links that run a program;
//! attributes and titles are set aside.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use autoshare_core::document::{AsideKind, Document, Format, RemovedKind};
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, TagEnd};

use super::html::{Found, Kind, Token, Tokens, Tree, decoded, sheet};
use super::link::{self, Target};
use super::page::{Page, Place};

/// Bytes of an alternative text that may stay where it is: the words that a caption has.
const MAX_ALT: usize = 100;
/// Bytes of an attribute's value that may stay where it is.
const MAX_VALUE: usize = 100;

/// Reads Markdown.
pub(crate) fn read(source: &str) -> Document {
    let mut reader = Reader {
        source,
        tree: Tree::new(sheet(source), true),
        edits: Vec::new(),
        used: HashSet::new(),
        links: Vec::new(),
        hidden: None,
        blind: false,
        html: source.contains('<'),
        block: None,
        anchor: None,
    };
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut events = Parser::new_ext(source, options).into_offset_iter();
    for (event, range) in events.by_ref() {
        reader.event(&event, range);
    }
    reader.flush();
    reader.end_hidden(source.len());
    let definitions = events.reference_definitions();
    let definitions: Vec<_> = definitions
        .iter()
        .map(|(label, definition)| {
            let title = definition.title.as_deref().unwrap_or_default().to_owned();
            (label.to_owned(), definition.dest.to_string(), title, definition.span.clone())
        })
        .collect();
    for (label, target, title, span) in definitions {
        reader.definition(&label, &target, &title, span);
    }
    reader.write()
}

/// What is done to a range of the source.
struct Edit {
    range: Range<usize>,
    with: String,
    asides: Vec<(AsideKind, String)>,
    removed: Option<(RemovedKind, String)>,
}

/// A link or an image that has begun.
struct OpenLink<'a> {
    target: CowStr<'a>,
    title: CowStr<'a>,
    /// The title stands in the link itself, and not in a definition.
    inline: bool,
    shown: String,
    /// Where what it shows ends in the source.
    end: usize,
}

struct Reader<'a> {
    source: &'a str,
    tree: Tree<'a>,
    edits: Vec<Edit>,
    /// The definitions that something refers to.
    used: HashSet<String>,
    links: Vec<OpenLink<'a>>,
    /// Where hidden text began.
    hidden: Option<(usize, RemovedKind)>,
    /// A tag or comment never ended: nobody sees what follows.
    blind: bool,
    html: bool,
    /// Lines of HTML that belong together.
    block: Option<Range<usize>>,
    /// Where the text of an open `<a>` begins.
    anchor: Option<(usize, &'a str)>,
}

impl<'a> Reader<'a> {
    fn event(&mut self, event: &Event<'a>, range: Range<usize>) {
        if let Event::Html(_) = event {
            return self.line(range);
        }
        self.flush();
        match event {
            Event::Start(tag) => self.start(tag, &range),
            Event::End(tag) => self.end(*tag, range.clone()),
            Event::InlineHtml(_) => self.html(range.clone()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(link) = self.links.last_mut() {
                    link.shown.push_str(text);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(link) = self.links.last_mut() {
                    link.shown.push(' ');
                }
            }
            _ => {}
        }
        if let Some(link) = self.links.last_mut()
            && !matches!(event, Event::Start(_) | Event::End(TagEnd::Link | TagEnd::Image))
        {
            link.end = link.end.max(range.end);
        }
        self.look(if matches!(event, Event::End(_)) { range.end } else { range.start });
    }

    /// Whether what comes now is hidden, by the HTML around it.
    fn look(&mut self, at: usize) {
        if !self.html {
            return;
        }
        match (self.hidden, self.tree.place()) {
            (None, Place::Removed(kind)) => self.hidden = Some((at, kind)),
            (Some(_), Place::Seen | Place::Aside(_)) if !self.blind => self.end_hidden(at),
            _ => {}
        }
    }

    fn end_hidden(&mut self, at: usize) {
        if let Some((from, kind)) = self.hidden.take()
            && from < at
        {
            self.remove(from..at, kind);
        }
    }

    fn remove(&mut self, range: Range<usize>, kind: RemovedKind) {
        let text = self.slice(&range).to_owned();
        self.edits.push(Edit { range, with: String::new(), asides: Vec::new(), removed: Some((kind, text)) });
    }

    fn slice(&self, range: &Range<usize>) -> &'a str {
        self.source.get(range.clone()).unwrap_or_default()
    }

    /// A line of an HTML block. What parts it from the line before it may be the signs of a quotation or of a list.
    fn line(&mut self, range: Range<usize>) {
        match self.block.take() {
            Some(block) if self.slice(&(block.end..range.start)).trim().is_empty() && block.end <= range.start => {
                self.block = Some(block.start..range.end);
            }
            Some(block) => {
                self.html(block);
                self.block = Some(range);
            }
            None => self.block = Some(range),
        }
    }

    fn flush(&mut self) {
        if let Some(block) = self.block.take() {
            self.html(block);
        }
    }

    fn html(&mut self, range: Range<usize>) {
        let slice = self.slice(&range);
        let offset = |piece: &str| (piece.as_ptr() as usize).saturating_sub(self.source.as_ptr() as usize);
        let mut tokens = Tokens::new(slice);
        // Where the token begins; the last one ended there.
        let mut at = range.start;
        while let Some(token) = tokens.next() {
            let next = range.end - tokens.left();
            let raw_until = self.tree.last().filter(|open| open.kind.raw().is_some()).map(|open| open.tag.name);
            match token {
                Token::End(name) if raw_until.is_none_or(|raw| raw.eq_ignore_ascii_case(name)) => {
                    self.tree.end(name);
                    if name.eq_ignore_ascii_case("a") {
                        self.end_anchor(at..next);
                    }
                    self.look(next);
                }
                _ if raw_until.is_some() => {}
                Token::Start(tag) => {
                    if let Some((kind, found, raw)) = self.tree.start(tag) {
                        if let Some(raw) = raw {
                            tokens.raw(tag.name, raw);
                        }
                        self.look(at);
                        if self.hidden.is_none() {
                            self.tag(kind, &found, &tag, offset(tag.source)..next);
                        }
                    }
                }
                Token::Comment(text) if self.hidden.is_none() => {
                    if text.trim().is_empty() { /* hides nothing */
                    } else {
                        self.remove(at..next, RemovedKind::SourceComment)
                    }
                }
                _ => {}
            }
            at = next;
        }
        if tokens.broken_off {
            self.blind = true;
            if self.hidden.is_none() {
                self.hidden = Some((at, RemovedKind::Hidden));
            }
        }
    }

    /// A tag that is seen, as far as a tag is.
    fn tag(&mut self, kind: Kind, found: &Found<'a>, tag: &super::html::Tag<'a>, range: Range<usize>) {
        let source = decoded(found.src.or(found.data).or(found.srcset).unwrap_or_default());
        let alt = decoded(found.alt.unwrap_or_default()).into_owned();
        let loads = matches!(kind, Kind::Frame | Kind::Object | Kind::Media | Kind::Link | Kind::Meta)
            || (kind == Kind::Void && !source.is_empty());
        if loads {
            return self.remove(range, RemovedKind::AutoLoad);
        }
        if kind == Kind::Image && (link::is_remote(&source) || link::is_active(&source)) {
            return self.edits.push(Edit {
                range,
                with: "[image]".to_owned(),
                asides: vec![(AsideKind::Alt, alt)],
                removed: Some((RemovedKind::RemoteImage, source.into_owned())),
            });
        }
        if kind == Kind::Anchor
            && let Some(href) = found.href
        {
            if link::is_active(&decoded(href)) {
                return self.remove(range, RemovedKind::ActiveLink);
            }
            self.anchor = Some((range.end, href));
        }
        // An attribute may say anything to whoever reads the source.
        let asides: Vec<(AsideKind, String)> = tag
            .attributes()
            .filter(|(name, value)| !is_plain_attribute(name, value))
            .map(|(name, value)| match name.to_ascii_lowercase().as_str() {
                "alt" => (AsideKind::Alt, decoded(value).into_owned()),
                "title" => (AsideKind::Tooltip, decoded(value).into_owned()),
                _ => (AsideKind::Annotation, format!("{name}={}", decoded(value))),
            })
            .collect();
        if !asides.is_empty() {
            let kept = tag.attributes().filter(|(name, value)| is_plain_attribute(name, value));
            let kept: String =
                kept.map(|(name, value)| format!(" {name}=\"{}\"", value.replace('"', "&quot;"))).collect();
            let with = format!("<{}{kept}>", tag.name);
            self.edits.push(Edit { range, with, asides, removed: None });
        }
    }

    fn end_anchor(&mut self, end: Range<usize>) {
        let Some((from, href)) = self.anchor.take() else { return };
        let shown: String = Tokens::new(self.slice(&(from..end.start)))
            .filter_map(|token| if let Token::Text(text) = token { Some(text) } else { None })
            .collect();
        if let Target::Misleading(target) = link::judge(&shown, &decoded(href)) {
            let removed = Some((RemovedKind::MisleadingLink, shown));
            self.edits.push(Edit { range: from..end.start, with: target, asides: Vec::new(), removed });
        }
    }

    fn start(&mut self, tag: &pulldown_cmark::Tag<'a>, range: &Range<usize>) {
        use pulldown_cmark::Tag as Md;
        if let Some(name) = element(tag).filter(|_| self.html) {
            self.tree.start(super::html::Tag::implied(name));
        }
        if let Md::Link { link_type, dest_url, title, id } | Md::Image { link_type, dest_url, title, id } = tag {
            let inline = matches!(link_type, LinkType::Inline);
            if !inline {
                self.used.insert(folded(id));
            }
            self.links.push(OpenLink {
                target: dest_url.clone(),
                title: title.clone(),
                inline,
                shown: String::new(),
                end: range.start,
            });
        }
    }

    fn end(&mut self, tag: TagEnd, range: Range<usize>) {
        if let Some(name) = end_element(tag).filter(|_| self.html) {
            self.tree.end(name);
        }
        if matches!(tag, TagEnd::Link | TagEnd::Image)
            && let Some(link) = self.links.pop()
        {
            if let Some(outer) = self.links.last_mut() {
                outer.shown.push_str(if tag == TagEnd::Link { &link.shown } else { "" });
                outer.end = outer.end.max(range.end);
            }
            if tag == TagEnd::Link { self.link(&link, range) } else { self.image(&link, range) }
        }
        self.tree.closed.clear();
    }

    fn link(&mut self, link: &OpenLink<'_>, range: Range<usize>) {
        let mut edit = Edit { range, with: String::new(), asides: Vec::new(), removed: None };
        match link::judge(&link.shown, &link.target) {
            Target::Active => {
                let autolink = link.shown == *link.target;
                edit.with = if autolink { String::new() } else { link.shown.clone() };
                edit.removed = Some((RemovedKind::ActiveLink, link.target.to_string()));
            }
            Target::Misleading(target) => {
                edit.with = target;
                edit.removed = Some((RemovedKind::MisleadingLink, link.shown.clone()));
            }
            Target::Same | Target::Elsewhere(_) if link.inline && !link.title.is_empty() => {
                edit.range.start = link.end.max(edit.range.start + 1);
                edit.with = format!("]({})", destination(&link.target));
                edit.asides.push((AsideKind::Tooltip, link.title.to_string()));
            }
            Target::Same | Target::Elsewhere(_) => return,
        }
        self.edits.push(edit);
    }

    fn image(&mut self, link: &OpenLink<'_>, range: Range<usize>) {
        let remote = link::is_remote(&link.target) || link::is_active(&link.target);
        if !remote && link.shown.len() <= MAX_ALT && (link.title.is_empty() || !link.inline) {
            return;
        }
        let asides = [(AsideKind::Alt, &*link.shown), (AsideKind::Tooltip, &*link.title)];
        self.edits.push(Edit {
            range,
            with: "[image]".to_owned(),
            asides: asides.map(|(kind, text)| (kind, text.to_owned())).into(),
            removed: remote.then(|| (RemovedKind::RemoteImage, link.target.to_string())),
        });
    }

    fn definition(&mut self, label: &str, target: &str, title: &str, span: Range<usize>) {
        if !self.used.contains(&folded(label)) {
            self.remove(span, RemovedKind::SourceComment);
        } else if !title.is_empty() {
            self.edits.push(Edit {
                range: span,
                with: format!("[{label}]: {}", destination(target)),
                asides: vec![(AsideKind::Tooltip, title.to_owned())],
                removed: None,
            });
        }
    }

    fn write(mut self) -> Document {
        let mut page = Page::new(Format::Markdown);
        // Of two that overlap, the outer one begins first.
        self.edits.sort_by_key(|edit| (edit.range.start, std::cmp::Reverse(edit.range.end)));
        let mut at = 0;
        for edit in &self.edits {
            if edit.range.start < at {
                continue;
            }
            page.raw(self.source.get(at..edit.range.start).unwrap_or_default());
            for (kind, text) in edit.asides.iter().filter(|(_, text)| !text.trim().is_empty()) {
                page.aside(*kind, text.trim());
            }
            if let Some((kind, text)) = &edit.removed {
                page.removed(*kind, text);
            }
            page.raw(&edit.with);
            at = edit.range.end;
        }
        page.raw(self.source.get(at..).unwrap_or_default());
        page.into_document()
    }
}

/// Attributes that lay out a page, with values as these have.
fn is_plain_attribute(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let short = value.len() <= MAX_VALUE;
    match name.as_str() {
        "href" | "src" => true,
        "alt" => short,
        "align" | "width" | "height" | "id" | "class" | "style" | "name" | "target" | "rel" | "colspan" | "rowspan"
        | "valign" | "border" | "open" | "type" | "start" | "dir" | "lang" | "color" | "size" | "srcset" | "media" => {
            // Words that make no sentence.
            short && value.split_whitespace().count() <= 8
        }
        _ => false,
    }
}

fn folded(label: &str) -> String {
    label.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn destination(target: &str) -> Cow<'_, str> {
    if target.contains([' ', '(', ')', '<', '>']) {
        Cow::Owned(format!("<{}>", target.replace('<', "%3C").replace('>', "%3E")))
    } else {
        Cow::Borrowed(target)
    }
}

/// The element that a renderer writes, which bounds how far HTML in it reaches.
const fn element(tag: &pulldown_cmark::Tag<'_>) -> Option<&'static str> {
    use pulldown_cmark::Tag as Md;
    Some(match tag {
        Md::Paragraph => "p",
        Md::Heading { .. } => "h1",
        Md::BlockQuote(_) => "blockquote",
        Md::CodeBlock(_) => "pre",
        Md::List(_) => "ul",
        Md::Item => "li",
        Md::Table(_) => "table",
        Md::TableHead | Md::TableRow => "tr",
        Md::TableCell => "td",
        Md::Emphasis => "em",
        Md::Strong => "strong",
        Md::Strikethrough => "s",
        _ => return None,
    })
}

const fn end_element(tag: TagEnd) -> Option<&'static str> {
    Some(match tag {
        TagEnd::Paragraph => "p",
        TagEnd::Heading(_) => "h1",
        TagEnd::BlockQuote(_) => "blockquote",
        TagEnd::CodeBlock => "pre",
        TagEnd::List(_) => "ul",
        TagEnd::Item => "li",
        TagEnd::Table => "table",
        TagEnd::TableHead | TagEnd::TableRow => "tr",
        TagEnd::TableCell => "td",
        TagEnd::Emphasis => "em",
        TagEnd::Strong => "strong",
        TagEnd::Strikethrough => "s",
        _ => return None,
    })
}
