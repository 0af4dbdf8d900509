//! PDF: what is seen on its pages.
//!
//! A page is a program that draws. It is run here as far as text goes: where each letter stands, how large it is, in what
//! ink, on what ground, in which layer, and what is drawn over it later. What of that a person sees becomes words and
//! lines by their places; the rest is taken out. Notes, properties, fields, links and attachments are set aside; programs
//! are named and never run. No font is opened: what a letter is, its font has to say, and a font can lie.

mod beside;
mod cmap;
mod content;
mod font;
mod geometry;
mod glyphs;
mod layers;
mod sheet;
mod state;
mod unpack;

use autoshare_core::document::{AsideKind, Document, Format, ReadRefusal};
use hayro_syntax::object::{Array, Dict, Object, Stream};
use hayro_syntax::page::Page as Leaf;
use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use self::content::Artist;
use self::font::Fonts;
use self::geometry::Bounds;
use self::layers::Layers;
use self::sheet::Sheet;
use self::state::State;
use self::unpack::{Budget, check_tables};
use super::page::Page;

/// Pages of a document at most.
const MAX_PAGES: usize = 20_000;
/// Objects of a document at most.
const MAX_OBJECTS: usize = 2_000_000;
/// Streams of one page at most; more are not drawn.
const MAX_STREAMS: usize = 4096;

/// Reads a PDF.
pub(crate) fn read(bytes: &[u8]) -> Result<Document, ReadRefusal> {
    check_tables(bytes)?;
    let pdf = Pdf::new(bytes.to_vec()).map_err(refusal)?;
    for (count, limit, what) in [(pdf.len(), MAX_OBJECTS, "objects"), (pdf.pages().len(), MAX_PAGES, "pages")] {
        if count > limit {
            return Err(ReadRefusal::Bomb { what: what.to_owned(), limit: limit as u64 });
        }
    }
    let catalogue = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id()).unwrap_or_default();
    let mut page = Page::new(Format::Pdf);
    let mut artist = Artist {
        budget: Budget::new(),
        layers: Layers::read(&catalogue),
        sheet: Sheet::default(),
        page: &mut page,
        fonts: Fonts::default(),
        unknown: 0,
    };
    for leaf in pdf.pages().iter() {
        draw(leaf, &mut artist)?;
    }
    beside::document(&pdf, &catalogue, &mut artist)?;
    let unknown = artist.unknown;
    if unknown > 0 {
        page.aside(
            AsideKind::Metadata,
            &format!("unreadable: {unknown} letters, whose fonts do not say what they are"),
        );
    }
    Ok(page.finish())
}

/// Draws one page, what is stuck on it included.
fn draw(leaf: &Leaf<'_>, artist: &mut Artist<'_>) -> Result<(), ReadRefusal> {
    let visible = leaf.intersected_crop_box();
    let clip = Bounds { x0: visible.x0, y0: visible.y0, x1: visible.x1, y1: visible.y1 };
    let mut content = Vec::new();
    let streams = streams(leaf.raw());
    if streams.len() > MAX_STREAMS {
        artist.page.unread("streams of a page", MAX_STREAMS);
    }
    for stream in streams.into_iter().take(MAX_STREAMS) {
        content.extend(artist.budget.unpack(&stream)?.unwrap_or_default());
        // A word does not go on in the next stream.
        content.push(b' ');
    }
    artist.draw(&content, leaf.resources(), State::new(clip), false, 0)?;
    beside::annotations(leaf, clip, artist)?;
    artist.sheet.finish(artist.page);
    Ok(())
}

fn streams<'a>(leaf: &Dict<'a>) -> Vec<Stream<'a>> {
    match leaf.get::<Object<'a>>("Contents") {
        Some(Object::Stream(one)) => vec![one],
        Some(Object::Array(list)) => streams_of(&list),
        _ => Vec::new(),
    }
}

fn streams_of<'a>(list: &Array<'a>) -> Vec<Stream<'a>> {
    list.iter::<Object<'a>>().take(MAX_STREAMS + 1).filter_map(Object::into_stream).collect()
}

fn refusal(error: LoadPdfError) -> ReadRefusal {
    let why_not = match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => {
            "it is encrypted, and opens with a password only"
        }
        LoadPdfError::Decryption(_) => "it is encrypted in a way that nobody here knows",
        LoadPdfError::Invalid => "no pages are found in it",
    };
    ReadRefusal::Malformed { format: Format::Pdf.mime().to_owned(), why_not: why_not.to_owned() }
}
