//! Word: paragraphs, tables, what a run of letters looks like.

use std::collections::HashMap;

use autoshare_core::document::{AsideKind, ReadRefusal, RemovedKind};

use super::archive::Archive;
use super::ink::{Ink, colour};
use crate::reader::link;
use crate::reader::page::{Gap, Page, Place};
use crate::reader::xml::{Element, Piece, walk};

/// How far a style is followed to those it is based on.
const MAX_BASES: usize = 16;

pub(super) fn read(archive: &mut Archive<'_>, page: &mut Page) -> Result<(), ReadRefusal> {
    let styles = match archive.part("word/styles.xml")? {
        Some(source) => styles(&source)?,
        None => HashMap::new(),
    };
    let body = archive.needed("word/document.xml")?;
    let links = links(archive, "word/_rels/document.xml.rels")?;
    text(&body, &styles, &links, None, page)?;
    for part in archive.parts("word/header", ".xml").into_iter().chain(archive.parts("word/footer", ".xml")) {
        page.gap(Gap::Paragraph);
        text(&archive.needed(&part)?, &styles, &HashMap::new(), None, page)?;
    }
    for part in ["word/footnotes.xml", "word/endnotes.xml"] {
        if let Some(source) = archive.part(part)? {
            page.gap(Gap::Paragraph);
            text(&source, &styles, &HashMap::new(), None, page)?;
        }
    }
    if let Some(source) = archive.part("word/comments.xml")? {
        text(&source, &styles, &HashMap::new(), Some(AsideKind::Comment), page)?;
    }
    Ok(())
}

/// The targets of links by their ids.
fn links(archive: &mut Archive<'_>, part: &str) -> Result<HashMap<String, String>, ReadRefusal> {
    let mut found = HashMap::new();
    if let Some(source) = archive.part(part)? {
        walk(&source, |piece| {
            if let Piece::Start(element) = piece
                && element.get("TargetMode").is_some_and(|mode| mode == "External")
                && let (Some(id), Some(target)) = (element.get("Id"), element.get("Target"))
            {
                found.insert(id, target);
            }
        })?;
    }
    Ok(found)
}

/// Sets what one property of a run says.
fn property(element: &Element<'_>, ink: &mut Ink) {
    match element.name() {
        "vanish" | "specVanish" if element.is_on() => ink.hide(RemovedKind::Hidden),
        "sz" => ink.points = element.get("val").and_then(|half| half.parse::<f32>().ok()).map(|half| half / 2.0),
        "color" => {
            let theme = element.get("themeColor").is_some_and(|name| matches!(name.as_str(), "background1" | "light1"));
            ink.colour = if theme { Some([255; 3]) } else { element.get("val").and_then(|value| colour(&value)) };
        }
        "shd" => ink.behind = element.get("fill").and_then(|fill| colour(&fill)).or(ink.behind),
        "highlight" => {
            // Only white and none are like paper.
            let name = element.get("val").unwrap_or_default();
            ink.behind = Some(if matches!(name.as_str(), "white" | "none") { [255; 3] } else { [128, 128, 0] });
        }
        _ => {}
    }
}

fn styles(source: &str) -> Result<HashMap<String, Ink>, ReadRefusal> {
    let mut own: HashMap<String, (Ink, Option<String>)> = HashMap::new();
    let mut current = String::new();
    walk(source, |piece| {
        if let Piece::Start(element) = piece {
            match element.name() {
                "style" => {
                    current = element.get("styleId").unwrap_or_default();
                    own.insert(current.clone(), (Ink::default(), None));
                }
                "basedOn" => {
                    if let Some((_, base)) = own.get_mut(&current) {
                        *base = element.get("val");
                    }
                }
                _ => {
                    if let Some((ink, _)) = own.get_mut(&current) {
                        property(&element, ink);
                    }
                }
            }
        }
    })?;
    let resolved = |id: &String| {
        let mut chain = Vec::new();
        let mut next = Some(id);
        while let Some((ink, base)) = next.and_then(|id| own.get(id)) {
            chain.push(*ink);
            next = base.as_ref().filter(|_| chain.len() < MAX_BASES);
        }
        chain.into_iter().rev().fold(Ink::default(), Ink::with)
    };
    Ok(own.keys().map(|id| (id.clone(), resolved(id))).collect())
}

/// The text of a part.
fn text(
    source: &str,
    styles: &HashMap<String, Ink>,
    links: &HashMap<String, String>,
    aside: Option<AsideKind>,
    page: &mut Page,
) -> Result<(), ReadRefusal> {
    let mut inks = vec![Ink { gone: aside.map(Place::Aside), ..Ink::default() }];
    // Within how many of these the walk is; what stands in them is one thing only.
    let (mut fallback, mut in_text, mut instruction, mut in_run, mut cells) = (0u32, false, false, false, 0u32);
    let mut paragraphs = 0u32;
    let mut open_link: Option<(usize, String)> = None;
    walk(source, |piece| match piece {
        Piece::Start(element) => {
            let around = inks.last().copied().unwrap_or_default();
            match element.name() {
                "Fallback" => fallback += 1,
                "p" | "tc" | "tbl" | "r" | "del" | "moveFrom" | "comment" => {
                    let mut ink = around;
                    match element.name() {
                        // The paragraphs of a cell stand on its line.
                        "p" if cells > 0 => {
                            paragraphs += 1;
                            if paragraphs > 1 {
                                page.flow(" ", around.place());
                            }
                        }
                        "p" => page.gap(Gap::Line),
                        "tbl" => page.gap(Gap::Paragraph),
                        "r" => in_run = true,
                        "del" | "moveFrom" if ink.gone.is_none() => ink.gone = Some(Place::Aside(AsideKind::Deleted)),
                        "comment" => page.part(),
                        "tc" => {
                            cells += 1;
                            paragraphs = 0;
                            if cells > 1 && around.place() == Place::Seen {
                                page.exact(" | ", Place::Seen);
                            }
                        }
                        _ => {}
                    }
                    inks.push(ink);
                }
                "tr" => {
                    cells = 0;
                    page.gap(Gap::Line);
                }
                "pStyle" | "rStyle" => {
                    if let Some(style) = element.get("val").and_then(|id| styles.get(&id))
                        && let Some(ink) = inks.last_mut()
                    {
                        *ink = ink.with(*style);
                    }
                }
                "t" | "delText" => in_text = true,
                "instrText" | "delInstrText" => instruction = true,
                "tab" if in_run => page.flow("\t", around.place()),
                "br" | "cr" => page.line(around.place()),
                "docPr" if fallback == 0 => {
                    for name in ["descr", "title"] {
                        if let Some(words) = element.get(name) {
                            page.aside(AsideKind::Alt, words.trim());
                        }
                    }
                }
                "hyperlink" => {
                    open_link =
                        element.get("r:id").and_then(|id| links.get(&id)).map(|target| (page.len(), target.clone()));
                }
                _ => {
                    if let Some(ink) = inks.last_mut() {
                        property(&element, ink);
                    }
                }
            }
        }
        Piece::End(name) => match name {
            "Fallback" => fallback = fallback.saturating_sub(1),
            "p" | "tc" | "tbl" | "r" | "del" | "moveFrom" | "comment" => {
                in_run = false;
                if name == "p" && cells == 0 {
                    page.gap(Gap::Line);
                }
                if inks.len() > 1 {
                    inks.pop();
                }
            }
            "tr" => {
                cells = 0;
                page.gap(Gap::Line);
            }
            "t" | "delText" => in_text = false,
            "instrText" | "delInstrText" => instruction = false,
            "hyperlink" => {
                if let Some((at, target)) = open_link.take() {
                    link::finish(page, at, &target);
                }
            }
            _ => {}
        },
        Piece::Text(words) if in_text && fallback == 0 => {
            page.exact(words, inks.last().copied().unwrap_or_default().place());
        }
        Piece::Text(words) if instruction => page.aside(AsideKind::Annotation, words.trim()),
        Piece::Text(_) => {}
    })
}
