//! Excel: the cells of sheets that are shown.

use std::collections::HashMap;

use autoshare_core::document::{AsideKind, ReadRefusal, RemovedKind};

use super::archive::Archive;
use super::ink::{Ink, colour};
use crate::reader::page::{Gap, Page, Place};
use crate::reader::xml::{Element, Piece, walk};

/// Ranges of hidden columns of a sheet at most.
const MAX_HIDDEN: usize = 1024;

/// How cells look, by the number of their style.
struct Styles {
    cells: Vec<Ink>,
}

pub(super) fn read(archive: &mut Archive<'_>, page: &mut Page) -> Result<(), ReadRefusal> {
    let strings = match archive.part("xl/sharedStrings.xml")? {
        Some(source) => strings(&source)?,
        None => Vec::new(),
    };
    let styles = match archive.part("xl/styles.xml")? {
        Some(source) => styles(&source)?,
        None => Styles { cells: Vec::new() },
    };
    let mut targets = HashMap::new();
    if let Some(source) = archive.part("xl/_rels/workbook.xml.rels")? {
        walk(&source, |piece| {
            if let Piece::Start(element) = piece
                && let (Some(id), Some(target)) = (element.get("Id"), element.get("Target"))
            {
                targets.insert(id, target);
            }
        })?;
    }
    let mut sheets = Vec::new();
    walk(&archive.needed("xl/workbook.xml")?, |piece| {
        if let Piece::Start(element) = piece
            && element.name() == "sheet"
        {
            let hidden = element.get("state").is_some_and(|state| state != "visible");
            sheets.push((element.get("name").unwrap_or_default(), element.get("r:id").unwrap_or_default(), hidden));
        }
    })?;
    for (name, id, hidden) in sheets {
        let Some(target) = targets.get(&id) else { continue };
        let part = target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
        let Some(source) = archive.part(&part)? else { continue };
        let around = Ink { gone: hidden.then_some(Place::Removed(RemovedKind::Hidden)), ..Ink::default() };
        page.gap(Gap::Paragraph);
        page.exact(&name, around.place());
        page.gap(Gap::Line);
        sheet(&source, around, &strings, &styles, page)?;
    }
    for part in archive.parts("xl/comments", ".xml").into_iter().chain(archive.parts("xl/threadedComments/", ".xml")) {
        page.part();
        walk(&archive.needed(&part)?, |piece| match piece {
            Piece::Text(words) => page.exact(words, Place::Aside(AsideKind::Comment)),
            Piece::End("comment" | "threadedComment") => page.part(),
            _ => {}
        })?;
    }
    Ok(())
}

fn strings(source: &str) -> Result<Vec<String>, ReadRefusal> {
    let (mut all, mut current, mut in_text, mut phonetic) = (Vec::new(), String::new(), false, false);
    walk(source, |piece| match piece {
        Piece::Start(element) => match element.name() {
            "t" => in_text = true,
            "rPh" => phonetic = true,
            _ => {}
        },
        Piece::End("t") => in_text = false,
        Piece::End("rPh") => phonetic = false,
        Piece::End("si") => all.push(std::mem::take(&mut current)),
        Piece::Text(words) if in_text && !phonetic => current.push_str(words),
        _ => {}
    })?;
    Ok(all)
}

fn styles(source: &str) -> Result<Styles, ReadRefusal> {
    let (mut fonts, mut fills, mut cells): (Vec<Ink>, Vec<Option<[u8; 3]>>, Vec<Ink>) = Default::default();
    let mut blank_formats = Vec::new();
    let mut within = String::new();
    walk(source, |piece| {
        let Piece::Start(element) = piece else { return };
        match (within.as_str(), element.name()) {
            (_, name @ ("fonts" | "fills" | "cellXfs" | "cellStyleXfs" | "borders" | "dxfs")) => {
                name.clone_into(&mut within)
            }
            (_, "numFmt") if element.get("formatCode").is_some_and(|code| code.trim_matches(';').is_empty()) => {
                blank_formats.extend(element.get("numFmtId"));
            }
            ("fonts", "font") => fonts.push(Ink::default()),
            ("fonts", "color") => {
                let theme = element.get("theme").is_some_and(|theme| theme == "0");
                if let Some(font) = fonts.last_mut() {
                    font.colour = if theme { Some([255; 3]) } else { element.get("rgb").and_then(|rgb| colour(&rgb)) };
                }
            }
            ("fonts", "sz") => {
                if let Some(font) = fonts.last_mut() {
                    font.points = element.get("val").and_then(|points| points.parse().ok());
                }
            }
            ("fills", "fill") => fills.push(None),
            ("fills", "fgColor") => {
                if let Some(fill) = fills.last_mut() {
                    // A colour of the theme is some colour, and not that of paper.
                    let theme = element.get("theme").is_some_and(|theme| theme != "0");
                    *fill = if theme { Some([128, 128, 0]) } else { element.get("rgb").and_then(|rgb| colour(&rgb)) };
                }
            }
            ("cellXfs", "xf") => {
                let at = |name: &str| element.get(name).and_then(|at| at.parse::<usize>().ok());
                let mut ink = at("fontId").and_then(|at| fonts.get(at)).copied().unwrap_or_default();
                ink.behind = at("fillId").and_then(|at| fills.get(at)).copied().flatten();
                if element.get("numFmtId").is_some_and(|id| blank_formats.contains(&id)) {
                    ink.hide(RemovedKind::Transparent);
                }
                cells.push(ink);
            }
            _ => {}
        }
    })?;
    Ok(Styles { cells })
}

/// The number of a cell's column, from a reference such as `AB12`.
fn column(reference: &str) -> u32 {
    let letters = reference.bytes().take_while(u8::is_ascii_alphabetic).take(4);
    letters.fold(0, |sum, letter| sum * 26 + u32::from(letter.to_ascii_uppercase() - b'A') + 1)
}

fn is_true(element: &Element<'_>, name: &str) -> bool {
    element.get(name).is_some_and(|value| value == "1" || value == "true")
}

fn sheet(source: &str, around: Ink, strings: &[String], styles: &Styles, page: &mut Page) -> Result<(), ReadRefusal> {
    let mut hidden_columns: Vec<(u32, u32)> = Vec::new();
    let (mut row, mut cell) = (around, around);
    let (mut kind, mut value, mut in_value, mut cells) = (String::new(), String::new(), false, 0u32);
    walk(source, |piece| match piece {
        Piece::Start(element) => match element.name() {
            "col" if is_true(&element, "hidden") && hidden_columns.len() == MAX_HIDDEN => {
                page.unread("ranges of hidden columns, which are shown,", MAX_HIDDEN);
            }
            "col" if is_true(&element, "hidden") => {
                let number = |name| element.get(name).and_then(|at| at.parse().ok()).unwrap_or(0);
                hidden_columns.push((number("min"), number("max")));
            }
            "row" => {
                row = around;
                if is_true(&element, "hidden") {
                    row.hide(RemovedKind::Hidden);
                }
                cells = 0;
                page.gap(Gap::Line);
            }
            "c" => {
                let style =
                    element.get("s").and_then(|at| at.parse::<usize>().ok()).and_then(|at| styles.cells.get(at));
                cell = row.with(style.copied().unwrap_or_default());
                let at = column(&element.get("r").unwrap_or_default());
                if hidden_columns.iter().any(|(min, max)| (*min..=*max).contains(&at)) {
                    cell.hide(RemovedKind::Hidden);
                }
                kind = element.get("t").unwrap_or_default();
                value.clear();
            }
            "v" | "t" => in_value = true,
            _ => {}
        },
        Piece::End("v" | "t") => in_value = false,
        Piece::End("c") => {
            let text = match kind.as_str() {
                "s" => value.trim().parse::<usize>().ok().and_then(|at| strings.get(at)).map_or("", String::as_str),
                _ => value.as_str(),
            };
            if !text.is_empty() {
                if cell.place() == Place::Seen {
                    cells += 1;
                    if cells > 1 {
                        page.exact(" | ", Place::Seen);
                    }
                }
                page.exact(text, cell.place());
            }
        }
        Piece::Text(words) if in_value => value.push_str(words),
        _ => {}
    })
}
