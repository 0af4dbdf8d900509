//! Readers of structured documents: bytes in, a [`Document`] out.
//!
//! Pure code over a stranger's bytes, made to run where nothing else is: in a reader cell, which has one document, no
//! files, no network, and ends with its answer. Parsers of this kind have had every fault there is; so what runs here
//! is trusted with nothing but its own document, and what it says is content.
//!
//! A reader shows what a person would see ([`Document::text`]), sets aside what belongs to the document and is not seen
//! in reading it, and takes out what is hidden, runs, or is fetched, saying how much of each.
//!
//! **Invariants**
//! - No bytes make a reader panic, recurse deeply or grow without bound; its time is linear in the length.
//! - Everything in a [`Document`] is bounded ([`autoshare_core::document`]).
//! - Text and Markdown of which nothing is taken out are the same byte for byte.

mod charset;
mod html;
mod link;
mod mail;
mod markdown;
mod office;
mod page;
mod pdf;
mod sniff;
mod xml;

use autoshare_core::document::{Document, Format, Hint, MAX_INPUT, ReadRefusal};

use self::page::Page;

/// Takes a document apart. What it is, is told by its content; the hint only tells Markdown from text, and is compared.
///
/// # Errors
/// [`ReadRefusal`]: it is too large, not a document, or not well-formed.
pub fn read(bytes: &[u8], hint: &Hint) -> Result<Document, ReadRefusal> {
    if bytes.len() > MAX_INPUT {
        return Err(ReadRefusal::TooLarge { bytes: bytes.len() as u64 });
    }
    let format = sniff::format(bytes, hint)?;
    let mut document = match format {
        Format::Text | Format::Html | Format::Markdown => {
            let (text, charset) = charset::decode(bytes, hint, format);
            let document = match format {
                Format::Html => html::read(&text),
                Format::Markdown => markdown::read(&text),
                _ => {
                    let mut page = Page::new(Format::Text);
                    page.raw(&text);
                    page.into_document()
                }
            };
            Document { charset, ..document }
        }
        Format::Mail => mail::read(bytes)?,
        Format::Docx | Format::Xlsx | Format::Pptx | Format::OpenDocument => office::read(bytes, format)?,
        Format::Pdf => pdf::read(bytes)?,
    };
    document.mismatch = sniff::mismatch(format, hint);
    Ok(document.checked())
}
