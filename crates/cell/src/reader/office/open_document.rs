//! OpenDocument: texts, sheets and presentations in one vocabulary.

use std::collections::HashMap;

use autoshare_core::document::{AsideKind, ReadRefusal, RemovedKind};

use super::archive::Archive;
use super::ink::{Ink, colour};
use crate::reader::link;
use crate::reader::page::{Gap, Page, Place};
use crate::reader::xml::{Element, Piece, walk};

/// Elements that are open at most; the walk over the part holds to fewer.
const MAX_OPEN: usize = 1024;

pub(super) fn read(archive: &mut Archive<'_>, page: &mut Page) -> Result<(), ReadRefusal> {
    let mut styles = HashMap::new();
    let content = archive.needed("content.xml")?;
    for source in archive.part("styles.xml")?.iter().chain([&content]) {
        read_styles(source, &mut styles)?;
    }
    text(&content, &styles, page)
}

fn read_styles(source: &str, styles: &mut HashMap<String, Ink>) -> Result<(), ReadRefusal> {
    let mut current = String::new();
    walk(source, |piece| {
        let Piece::Start(element) = piece else { return };
        if element.name() == "style" {
            current = element.get("style:name").unwrap_or_default();
            let base = element.get("parent-style-name").and_then(|base| styles.get(&base)).copied().unwrap_or_default();
            styles.insert(current.clone(), base);
            return;
        }
        if !element.name().ends_with("-properties") {
            return;
        }
        let Some(ink) = styles.get_mut(&current) else { return };
        let is = |name: &str, value: &str| element.get(name).is_some_and(|has| has == value);
        if is("text:display", "none") || is("table:display", "false") || is("presentation:visibility", "hidden") {
            ink.hide(RemovedKind::Hidden);
        }
        ink.colour = element.get("fo:color").and_then(|value| colour(&value)).or(ink.colour);
        ink.behind = element.get("fo:background-color").and_then(|value| colour(&value)).or(ink.behind);
        let points = element.get("fo:font-size").and_then(|size| size.strip_suffix("pt")?.parse().ok());
        ink.points = points.or(ink.points);
    })
}

/// What an element adds to how its text looks, or where that goes.
fn own(element: &Element<'_>, styles: &HashMap<String, Ink>) -> Ink {
    let mut ink = element.get("style-name").and_then(|name| styles.get(&name)).copied().unwrap_or_default();
    let aside = |kind| Some(Place::Aside(kind));
    match element.name() {
        "annotation" => ink.gone = aside(AsideKind::Comment),
        "tracked-changes" => ink.gone = aside(AsideKind::Deleted),
        "notes" => ink.gone = aside(AsideKind::Note),
        "title" | "desc" => ink.gone = aside(AsideKind::Alt),
        "hidden-text" | "hidden-paragraph" | "script" | "forms" => ink.hide(RemovedKind::Hidden),
        "table-row" | "table-column" | "table" if element.get("visibility").is_some_and(|value| value != "visible") => {
            ink.hide(RemovedKind::Hidden);
        }
        _ => {}
    }
    if element.get("condition").is_some() && element.name() == "section" {
        ink.hide(RemovedKind::Hidden);
    }
    ink
}

fn text(source: &str, styles: &HashMap<String, Ink>, page: &mut Page) -> Result<(), ReadRefusal> {
    let mut inks: Vec<Ink> = vec![Ink::default()];
    let (mut in_body, mut cells) = (false, 0u32);
    let mut open_link: Option<(usize, String)> = None;
    walk(source, |piece| {
        let around = inks.last().copied().unwrap_or_default();
        match piece {
            Piece::Start(element) => {
                in_body |= element.name() == "body";
                let ink = if in_body { around.with(own(&element, styles)) } else { around };
                match element.name() {
                    "p" | "h" if cells == 0 => page.gap(Gap::Line),
                    "page" | "table" => page.gap(Gap::Paragraph),
                    "annotation" | "notes" | "changed-region" => page.part(),
                    "table-row" => {
                        page.gap(Gap::Line);
                        cells = 1;
                    }
                    "table-cell" => {
                        cells += 1;
                        if cells > 2 && ink.place() == Place::Seen {
                            page.exact(" | ", Place::Seen);
                        }
                    }
                    "s" | "tab" => page.flow(" ", ink.place()),
                    "line-break" => page.line(ink.place()),
                    "hidden-text" => {
                        let words = element.get("string-value").unwrap_or_default();
                        page.flow(&words, ink.place());
                    }
                    "a" => open_link = element.get("href").map(|target| (page.len(), target)),
                    _ => {}
                }
                if inks.len() < MAX_OPEN {
                    inks.push(ink);
                }
            }
            Piece::End(name) => {
                match name {
                    "p" | "h" if cells == 0 => page.gap(Gap::Line),
                    "table-row" => cells = 0,
                    "a" => {
                        if let Some((at, target)) = open_link.take().filter(|_| around.place() == Place::Seen) {
                            link::finish(page, at, &target);
                        }
                    }
                    _ => {}
                }
                if inks.len() > 1 {
                    inks.pop();
                }
            }
            Piece::Text(words) if in_body => page.flow(words, around.place()),
            Piece::Text(_) => {}
        }
    })
}
