//! PowerPoint: the text of slides, and what lies beside them.

use autoshare_core::document::{AsideKind, ReadRefusal, RemovedKind};

use super::archive::Archive;
use super::ink::{Ink, colour};
use crate::reader::page::{Gap, Page, Place};
use crate::reader::xml::{Piece, walk};

pub(super) fn read(archive: &mut Archive<'_>, page: &mut Page) -> Result<(), ReadRefusal> {
    let mut size = (12_192_000i64, 6_858_000i64);
    walk(&archive.needed("ppt/presentation.xml")?, |piece| {
        if let Piece::Start(element) = piece
            && element.name() == "sldSz"
        {
            let number = |name| element.get(name).and_then(|value| value.parse().ok());
            size = (number("cx").unwrap_or(size.0), number("cy").unwrap_or(size.1));
        }
    })?;
    for part in archive.parts("ppt/slides/slide", ".xml") {
        page.gap(Gap::Paragraph);
        text(&archive.needed(&part)?, size, None, page)?;
    }
    for (folder, kind) in [("ppt/notesSlides/", AsideKind::Note), ("ppt/comments/", AsideKind::Comment)] {
        for part in archive.parts(folder, ".xml") {
            page.part();
            text(&archive.needed(&part)?, size, Some(kind), page)?;
        }
    }
    Ok(())
}

fn text(
    source: &str,
    (width, height): (i64, i64),
    aside: Option<AsideKind>,
    page: &mut Page,
) -> Result<(), ReadRefusal> {
    let start = Ink { gone: aside.map(Place::Aside), ..Ink::default() };
    // Slide, shape, run: each begins as what it stands in.
    let (mut slide, mut shape, mut run) = (start, start, start);
    let (mut in_text, mut in_run_properties, mut in_shape_properties) = (false, false, false);
    let mut offset = None;
    walk(source, |piece| match piece {
        Piece::Start(element) => match element.name() {
            "sld" if element.get("show").is_some_and(|show| show == "0" || show == "false") => {
                slide.hide(RemovedKind::Hidden);
                shape = slide;
            }
            "sp" | "graphicFrame" | "pic" | "cxnSp" => {
                shape = slide;
                page.gap(Gap::Line);
            }
            "cNvPr" => {
                if element.get("hidden").is_some_and(|hidden| hidden == "1" || hidden == "true") {
                    shape.hide(RemovedKind::Hidden);
                }
                for name in ["descr", "title"] {
                    if let Some(words) = element.get(name) {
                        page.aside(AsideKind::Alt, words.trim());
                    }
                }
            }
            "off" => {
                let number = |name| element.get(name).and_then(|value| value.parse::<i64>().ok()).unwrap_or(0);
                offset = Some((number("x"), number("y")));
            }
            "ext" => {
                let number = |name| element.get(name).and_then(|value| value.parse::<i64>().ok());
                if let (Some((x, y)), Some(cx), Some(cy)) = (offset.take(), number("cx"), number("cy")) {
                    let outside = x >= width || y >= height || x.saturating_add(cx) <= 0 || y.saturating_add(cy) <= 0;
                    if outside {
                        shape.hide(RemovedKind::OffPage);
                    }
                }
            }
            "spPr" => in_shape_properties = true,
            "p" | "text" => page.gap(Gap::Line),
            "r" | "fld" => run = shape,
            "rPr" => {
                in_run_properties = true;
                let size = element.get("sz").and_then(|size| size.parse::<f32>().ok());
                run.points = size.map(|hundredths| hundredths / 100.0).or(run.points);
            }
            "srgbClr" | "schemeClr" | "sysClr" => {
                let value = element.get("val").unwrap_or_default();
                let found = match value.as_str() {
                    "bg1" | "lt1" | "window" => Some([255; 3]),
                    value => colour(value),
                };
                if in_run_properties {
                    run.colour = found.or(run.colour);
                } else if in_shape_properties {
                    shape.behind = found.or(shape.behind);
                }
            }
            "alpha" if in_run_properties && element.get("val").is_some_and(|value| value == "0") => {
                run.hide(RemovedKind::Transparent);
            }
            "br" => page.line(run.place()),
            "tc" => page.flow(" ", run.place()),
            "t" => in_text = true,
            _ => {}
        },
        Piece::End(name) => match name {
            "rPr" => in_run_properties = false,
            "spPr" => in_shape_properties = false,
            "t" => in_text = false,
            "p" => page.gap(Gap::Line),
            _ => {}
        },
        Piece::Text(words) if in_text => page.exact(words, run.place()),
        // Comments of older versions have no runs.
        Piece::Text(words) if aside == Some(AsideKind::Comment) => page.exact(words, start.place()),
        Piece::Text(_) => {}
    })
}
