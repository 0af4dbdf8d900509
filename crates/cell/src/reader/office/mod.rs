//! Documents of office programs: packed XML, of which the text that is seen on a page, a sheet or a slide.
//!
//! What a program keeps beside that (comments, deleted text, notes, properties) is set aside; what it hides is taken
//! out. Nothing outside of the archive is looked at, and no macro runs.

mod archive;
mod ink;
mod open_document;
mod sheets;
mod slides;
mod word;

use autoshare_core::document::{AsideKind, Document, Format, ReadRefusal};

use self::archive::Archive;
use super::page::Page;
use super::xml::{Piece, walk};

/// Reads a document of an office program.
pub(crate) fn read(bytes: &[u8], format: Format) -> Result<Document, ReadRefusal> {
    let mut archive = Archive::open(bytes, format)?;
    let mut page = Page::new(format);
    match format {
        Format::Docx => word::read(&mut archive, &mut page)?,
        Format::Xlsx => sheets::read(&mut archive, &mut page)?,
        Format::Pptx => slides::read(&mut archive, &mut page)?,
        _ => open_document::read(&mut archive, &mut page)?,
    }
    for part in ["docProps/core.xml", "docProps/custom.xml", "meta.xml"] {
        properties(&mut archive, part, &mut page)?;
    }
    Ok(page.finish())
}

/// The properties of a document: a person sees them on asking.
fn properties(archive: &mut Archive<'_>, part: &str, page: &mut Page) -> Result<(), ReadRefusal> {
    let Some(source) = archive.part(part)? else { return Ok(()) };
    let mut name = String::new();
    walk(&source, |piece| match piece {
        Piece::Start(element) => element.name().clone_into(&mut name),
        Piece::Text(text) if !text.trim().is_empty() => {
            page.aside(AsideKind::Metadata, &format!("{name}: {}", text.trim()));
        }
        _ => {}
    })
}
