//! The open elements of a page, and what of their text a person sees.
//!
//! The rules by which a tag closes others are those of the HTML Standard (section 13.2.6) as far as they decide within
//! which elements a text stands; for where browsers forgive, a page's author can hide. Where this is simpler than the
//! standard, it errs towards hidden.

use std::borrow::Cow;

use autoshare_core::document::{AsideKind, RemovedKind};

use super::element::{Found, Kind, breaks_out, kind, kind_in_foreign};
use super::style::{Background, Colour, Length, Sheet, Style, Subject, colour};
use super::token::{Raw, Tag};
use crate::reader::page::Place;

/// Open elements at most, as in browsers; what is nested deeper is taken out, with all that comes after it.
const MAX_OPEN: usize = 512;
/// Formatting elements that wait to be opened anew at most.
const MAX_PENDING: usize = 32;
/// Of these, alike at most: the HTML Standard says three.
const MAX_SAME: usize = 3;
/// Pixels below which letters cannot be read.
const TINY: f32 = 4.0;
/// What every channel of two colours may differ by while nobody sees a difference.
const SAME: u8 = 24;

/// What text inherits.
#[derive(Debug, Clone, Copy)]
struct State {
    gone: Option<Place>,
    visible: bool,
    font: f32,
    colour: Colour,
    /// `None` where nobody knows.
    behind: Option<[u8; 3]>,
    preserved: bool,
}

const ROOT: State = State {
    gone: None,
    visible: true,
    font: 16.0,
    colour: Some([0, 0, 0]),
    behind: Some([255, 255, 255]),
    preserved: false,
};

/// What an element brings of its own.
#[derive(Debug, Clone, Copy)]
struct Own {
    style: Style,
    gone: Option<Place>,
    /// It is the part of closed details that is seen.
    unfolds: bool,
}

impl State {
    fn under(&self, own: &Own) -> Self {
        let style = &own.style;
        let mut state = *self;
        if own.unfolds && state.gone == Some(Place::Aside(AsideKind::Folded)) {
            state.gone = None;
        }
        let removed = |kind| Some(Place::Removed(kind));
        let new = if style.displayed == Some(false) {
            removed(RemovedKind::Hidden)
        } else if style.opaque == Some(false) {
            removed(RemovedKind::Transparent)
        } else if style.is_off_page() {
            removed(RemovedKind::OffPage)
        } else {
            own.gone
        };
        if !matches!(state.gone, Some(Place::Removed(_))) {
            state.gone = new.or(state.gone);
        }
        state.visible = style.visible.unwrap_or(state.visible);
        state.font = match style.font {
            Some(Length::Pixels(px)) => px,
            Some(Length::Times(times)) => state.font * times,
            None => state.font,
        };
        state.colour = style.colour.unwrap_or(state.colour);
        state.behind = match style.background {
            Some(Background::Plain(rgb)) => Some(rgb),
            Some(Background::Unknown) => None,
            Some(Background::Clear) | None => state.behind,
        };
        state.preserved = style.preserved.unwrap_or(state.preserved);
        state
    }

    fn place(&self) -> Place {
        let same = |one: [u8; 3], two: [u8; 3]| one.iter().zip(two).all(|(a, b)| a.abs_diff(b) <= SAME);
        match (self.gone, self.colour) {
            (Some(removed @ Place::Removed(_)), _) => removed,
            _ if !self.visible => Place::Removed(RemovedKind::Transparent),
            _ if self.font < TINY => Place::Removed(RemovedKind::Tiny),
            (_, None) => Place::Removed(RemovedKind::Transparent),
            (_, Some(ink)) if self.behind.is_some_and(|behind| same(ink, behind)) => {
                Place::Removed(RemovedKind::SameColour)
            }
            (gone, _) => gone.unwrap_or(Place::Seen),
        }
    }
}

/// An open element.
#[derive(Debug)]
pub(crate) struct Open<'a> {
    pub(crate) kind: Kind,
    pub(crate) tag: Tag<'a>,
    /// Where its text goes.
    pub(crate) place: Place,
    /// For whoever lays out the page: where its text began, or how many parts it has had.
    pub(crate) mark: usize,
    /// Where it leads.
    pub(crate) href: Option<&'a str>,
    own: Own,
    state: State,
}

/// The open elements.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    open: Vec<Open<'a>>,
    subjects: Vec<Subject<'a>>,
    /// Formatting elements that were closed with what they stood in; they go on with the next text.
    pending: Vec<Tag<'a>>,
    /// How many of these were there when each open cell began.
    markers: Vec<usize>,
    sheet: Sheet,
    /// No `<!doctype html>`: a table does not end a paragraph.
    quirks: bool,
    too_deep: bool,
    /// What was closed since it was last asked.
    pub(crate) closed: Vec<Open<'a>>,
}

impl<'a> Tree<'a> {
    pub(crate) const fn new(sheet: Sheet, quirks: bool) -> Self {
        Self {
            open: Vec::new(),
            subjects: Vec::new(),
            pending: Vec::new(),
            markers: Vec::new(),
            sheet,
            quirks,
            too_deep: false,
            closed: Vec::new(),
        }
    }

    /// The innermost open element.
    pub(crate) fn last(&mut self) -> Option<&mut Open<'a>> {
        self.open.last_mut()
    }

    /// The innermost open element of a kind.
    pub(crate) fn innermost(&mut self, kind: Kind) -> Option<&mut Open<'a>> {
        self.open.iter_mut().rev().find(|open| open.kind == kind)
    }

    /// Where text that comes now goes.
    pub(crate) fn place(&mut self) -> Place {
        if self.too_deep {
            return Place::Removed(RemovedKind::TooDeep);
        }
        self.resume();
        self.parent_state(Kind::Other).place()
    }

    /// Whether white space counts.
    pub(crate) fn preserves(&self) -> bool {
        self.open.last().is_some_and(|open| open.state.preserved)
    }

    fn foreign(&self) -> bool {
        let nearest =
            self.open.iter().rev().find(|open| matches!(open.kind, Kind::Vector | Kind::Formula | Kind::Integration));
        nearest.is_some_and(|open| open.kind != Kind::Integration)
    }

    /// What is put directly into a table's structure goes before the table.
    fn parent_state(&self, child: Kind) -> State {
        let fits = child.is_of_table() || matches!(child, Kind::Script | Kind::Style | Kind::Template);
        let mut above = self.open.iter().rev();
        let parent = match above.next() {
            Some(last) if last.kind.is_structure() && !fits => {
                if last.kind != Kind::Table {
                    above.by_ref().find(|open| open.kind == Kind::Table);
                }
                above.next()
            }
            last => last,
        };
        parent.map_or(ROOT, |parent| parent.state)
    }

    /// Opens again what goes on.
    fn resume(&mut self) {
        let from = self.markers.last().copied().unwrap_or(0);
        if from < self.pending.len() {
            for tag in self.pending.split_off(from) {
                let kind = kind(tag.name);
                let found = Found::of(&tag);
                self.push(kind, tag, &found);
            }
        }
    }

    /// A start tag. Returns whether it opened anything or is a void element that counts, and how what it holds is read.
    pub(crate) fn start(&mut self, tag: Tag<'a>) -> Option<(Kind, Found<'a>, Option<Raw>)> {
        if self.too_deep {
            // Raw text is still not markup.
            let kind = kind(tag.name);
            return Some((Kind::Other, Found::default(), self.raw_of(kind, &tag)));
        }
        let mut foreign = self.foreign();
        if foreign && breaks_out(tag.name) {
            while foreign && self.pop().is_some() {
                foreign = self.foreign();
            }
        }
        let kind = if foreign { kind_in_foreign(tag.name) } else { kind(tag.name) };
        let found = Found::of(&tag);
        if !foreign {
            if kind.is_of_table() && !self.is_in_table() {
                return None;
            }
            self.make_room(kind, tag.name);
            if matches!(kind, Kind::Html | Kind::Body) && self.innermost(kind).is_some() {
                return None;
            }
            if !kind.is_of_table()
                && !matches!(
                    kind,
                    Kind::Paragraph | Kind::Division | Kind::Block | Kind::Quote | Kind::Table | Kind::List
                )
            {
                self.resume();
            }
        }
        let raw = if foreign { None } else { self.raw_of(kind, &tag) };
        let self_closing = foreign && tag.source.ends_with("/>");
        self.push(kind, tag, &found);
        if kind.is_void() && !foreign || self_closing {
            self.pop();
        }
        Some((kind, found, raw))
    }

    fn raw_of(&self, kind: Kind, tag: &Tag<'a>) -> Option<Raw> {
        match kind.raw() {
            Some(_) if self.foreign() => None,
            Some(_) if tag.name.eq_ignore_ascii_case("plaintext") => Some(Raw::ToTheEnd),
            raw => raw,
        }
    }

    fn is_in_table(&self) -> bool {
        let nearest = self.open.iter().rev().find(|open| matches!(open.kind, Kind::Table | Kind::Template));
        nearest.is_some_and(|open| open.kind == Kind::Table)
    }

    /// Closes what cannot hold an element of this kind.
    fn make_room(&mut self, kind: Kind, name: &'a str) {
        if kind.ends_paragraph() || kind == Kind::Table && !self.quirks {
            self.close_within(|open| open.kind == Kind::Paragraph, |open| open.is_scope() || open == Kind::Button);
        }
        match kind {
            Kind::Item | Kind::Term => {
                let wall = |open: Kind| open.is_special() && !matches!(open, Kind::Division | Kind::Paragraph);
                self.close_within(|open| open.kind == kind, wall);
            }
            Kind::Heading | Kind::Choice if self.open.last().is_some_and(|open| open.kind == kind) => {
                self.pop();
            }
            Kind::Button => {
                self.close_within(|open| open.kind == Kind::Button, Kind::is_scope);
            }
            Kind::Anchor => {
                self.close_one(|open| open.kind == Kind::Anchor, Kind::is_scope);
                self.pending.retain(|tag| !tag.name.eq_ignore_ascii_case(name));
            }
            Kind::Cell => self.close_above(&[Kind::Row, Kind::Section, Kind::Table]),
            Kind::Row => self.close_above(&[Kind::Section, Kind::Table]),
            Kind::Section | Kind::Caption => self.close_above(&[Kind::Table]),
            Kind::Body => {
                self.close_within(|open| open.kind == Kind::Head, |_| false);
            }
            _ => {}
        }
    }

    /// An end tag.
    pub(crate) fn end(&mut self, name: &str) {
        if self.too_deep {
            return;
        }
        let kind = kind(name);
        let same = |open: &Open<'_>| open.tag.name.eq_ignore_ascii_case(name);
        match kind {
            Kind::Html | Kind::Body => {}
            _ if self.foreign() => {
                // Up to the nearest of this name, out of `svg` and `math` as well.
                self.close_within(same, Kind::is_scope);
            }
            Kind::Anchor | Kind::Format => {
                if !self.close_one(same, Kind::is_scope)
                    && let Some(at) = self.pending.iter().rposition(|tag| tag.name.eq_ignore_ascii_case(name))
                {
                    self.pending.remove(at);
                }
            }
            Kind::Heading => {
                self.close_within(|open| open.kind == Kind::Heading, Kind::is_scope);
            }
            Kind::Item => {
                self.close_within(same, |open| open.is_scope() || open == Kind::List);
            }
            Kind::Paragraph => {
                self.close_within(same, |open| open.is_scope() || open == Kind::Button);
            }
            Kind::Table | Kind::Section | Kind::Row | Kind::Cell | Kind::Caption => {
                let wall = |open: Kind| matches!(open, Kind::Table | Kind::Template | Kind::Html);
                self.close_within(same, wall);
            }
            Kind::Template => {
                self.close_within(same, |_| false);
            }
            _ if kind.is_special() => {
                self.close_within(same, Kind::is_scope);
            }
            _ => {
                self.close_within(same, Kind::is_special);
            }
        }
    }

    fn find(&self, wanted: impl Fn(&Open<'a>) -> bool, wall: impl Fn(Kind) -> bool) -> Option<usize> {
        for (at, open) in self.open.iter().enumerate().rev() {
            if wanted(open) {
                return Some(at);
            }
            if wall(open.kind) {
                return None;
            }
        }
        None
    }

    /// Closes the innermost that is wanted with all that stands in it, unless a wall is between.
    fn close_within(&mut self, wanted: impl Fn(&Open<'a>) -> bool, wall: impl Fn(Kind) -> bool) -> bool {
        let Some(at) = self.find(wanted, wall) else { return false };
        while self.open.len() > at + 1 {
            self.pop_to_go_on();
        }
        self.pop();
        true
    }

    /// Closes the innermost that is wanted and leaves open what stands in it.
    fn close_one(&mut self, wanted: impl Fn(&Open<'a>) -> bool, wall: impl Fn(Kind) -> bool) -> bool {
        let Some(at) = self.find(wanted, wall) else { return false };
        let closed = self.open.remove(at);
        self.subjects.remove(at);
        let mut state = at.checked_sub(1).and_then(|before| self.open.get(before)).map_or(ROOT, |open| open.state);
        for open in self.open.iter_mut().skip(at) {
            state = state.under(&open.own);
            open.state = state;
            open.place = state.place();
        }
        self.closed.push(closed);
        true
    }

    fn close_above(&mut self, kinds: &[Kind]) {
        while self.open.last().is_some_and(|open| !kinds.contains(&open.kind)) {
            self.pop_to_go_on();
        }
    }

    fn pop_to_go_on(&mut self) {
        if let Some((kind, tag)) = self.pop()
            && matches!(kind, Kind::Format | Kind::Anchor)
            && self.pending.len() < MAX_PENDING
        {
            // The outer one is closed last and opened first.
            let at = self.markers.last().copied().unwrap_or(0).min(self.pending.len());
            let same = self.pending.iter().skip(at).filter(|other| other.source == tag.source).count();
            if same < MAX_SAME {
                self.pending.insert(at, tag);
            }
        }
    }

    fn pop(&mut self) -> Option<(Kind, Tag<'a>)> {
        let open = self.open.pop()?;
        self.subjects.pop();
        if matches!(open.kind, Kind::Cell | Kind::Caption | Kind::Object | Kind::Scope | Kind::Template) {
            let marker = self.markers.pop().unwrap_or(0);
            self.pending.truncate(marker);
        }
        let popped = (open.kind, open.tag);
        self.closed.push(open);
        Some(popped)
    }

    fn push(&mut self, kind: Kind, tag: Tag<'a>, found: &Found<'a>) {
        if self.open.len() >= MAX_OPEN {
            self.too_deep = true;
            return;
        }
        let (id, class) = (decoded(found.id.unwrap_or_default()), decoded(found.class.unwrap_or_default()));
        let subject = Subject::new(tag.name, id, class);
        let style = if found.style.is_none() && self.sheet.is_empty() {
            Style::default()
        } else {
            self.sheet.style(&subject, &decoded(found.style.unwrap_or_default()), &self.subjects)
        };
        let own = own(kind, tag.name, found, style);
        let details = self.open.last().is_some_and(|open| open.kind == Kind::Details);
        let own = Own { unfolds: kind == Kind::Summary && details, ..own };
        let state = self.parent_state(kind).under(&own);
        if matches!(kind, Kind::Cell | Kind::Caption | Kind::Object | Kind::Scope | Kind::Template) {
            self.markers.push(self.pending.len());
        }
        self.subjects.push(subject);
        self.open.push(Open { kind, tag, place: state.place(), mark: 0, href: found.href, own, state });
    }

    /// Closes everything.
    pub(crate) fn finish(&mut self) {
        while self.pop().is_some() {}
    }
}

/// Character references resolved.
pub(crate) fn decoded(value: &str) -> Cow<'_, str> {
    if value.contains('&') { htmlize::unescape_attribute(value) } else { Cow::Borrowed(value) }
}

/// What an element brings by its kind and attributes; what a style says comes after that.
fn own(kind: Kind, name: &str, found: &Found<'_>, mut style: Style) -> Own {
    let old = |value: Option<&str>| value.and_then(|value| colour(&decoded(value).trim().to_ascii_lowercase()));
    let plain = |rgb| Some(Some(rgb));
    if style.colour.is_none() {
        style.colour = match kind {
            Kind::Anchor if found.href.is_some() => plain([0, 0, 238]),
            Kind::Button | Kind::Select | Kind::Textarea | Kind::Mark => plain([0, 0, 0]),
            Kind::Body => old(found.text),
            Kind::Format => old(found.colour),
            _ => None,
        };
    }
    if style.background.is_none() {
        style.background = match kind {
            Kind::Button | Kind::Select | Kind::Textarea => Some(Background::Plain([239, 239, 239])),
            Kind::Mark => Some(Background::Plain([255, 255, 0])),
            _ if found.background.is_some() => Some(Background::Unknown),
            _ => old(found.bgcolor).flatten().map(Background::Plain),
        };
    }
    if style.preserved.is_none() && matches!(kind, Kind::Preformatted | Kind::Textarea | Kind::Verbatim) {
        style.preserved = Some(true);
    }
    let removed = |kind| Some(Place::Removed(kind));
    let shown = style.displayed == Some(true);
    let gone = match kind {
        Kind::Script => removed(RemovedKind::Script),
        Kind::Style => removed(RemovedKind::Style),
        Kind::Template | Kind::Fallback | Kind::Frame | Kind::Object | Kind::Media | Kind::Undisplayed => {
            removed(RemovedKind::Template)
        }
        Kind::Dialog if found.open.is_none() && !shown => removed(RemovedKind::Hidden),
        _ if found.hidden.is_some() && !shown => removed(RemovedKind::Hidden),
        _ if found.popover.is_some() && !shown => removed(RemovedKind::Hidden),
        _ if found.aria_hidden.is_some_and(|value| value.eq_ignore_ascii_case("true")) => {
            removed(RemovedKind::AriaHidden)
        }
        Kind::Title => Some(Place::Aside(AsideKind::Metadata)),
        Kind::Vector => Some(Place::Aside(AsideKind::Alt)),
        Kind::Details if found.open.is_none() => Some(Place::Aside(AsideKind::Folded)),
        Kind::Choice if name.eq_ignore_ascii_case("option") => Some(Place::Aside(AsideKind::Folded)),
        _ => None,
    };
    Own { style, gone, unfolds: false }
}
