//! What a PDF has beside its pages: notes, links, fields, properties, attachments, programs.

use autoshare_core::document::{AsideKind, ReadRefusal, RemovedKind};
use hayro_syntax::Pdf;
use hayro_syntax::object::{Array, Dict, Name, Object, Stream, String as Bytes};
use hayro_syntax::page::Page as Leaf;

use super::content::Artist;
use super::geometry::{Bounds, Matrix};
use super::glyphs::text;
use super::state::State;
use crate::reader::link::{self, Target};
use crate::reader::page::Page;
use crate::reader::xml::{Piece, walk};

/// Annotations of a page at most; more are not read.
const MAX_ANNOTATIONS: usize = 4096;
/// Entries of a tree of names, of fields, of actions at most.
const MAX_ENTRIES: usize = 4096;
/// Bytes of a string that are looked at at most.
const MAX_STRING: usize = 64 * 1024;

/// Bits of an annotation that keep it from being seen: hidden, and not shown on a screen.
const UNSEEN: i32 = 2 | 32;

fn string(dict: &Dict<'_>, name: &str) -> Option<String> {
    let bytes = dict.get::<Bytes<'_>>(name)?;
    let bytes = bytes.as_bytes();
    let found = text(bytes.get(..bytes.len().min(MAX_STRING)).unwrap_or_default());
    Some(found.trim().to_owned()).filter(|found| !found.is_empty())
}

fn is(dict: &Dict<'_>, name: &str, value: &[u8]) -> bool {
    dict.get::<Name<'_>>(name).as_deref() == Some(value)
}

/// What is stuck on a page.
pub(super) fn annotations(leaf: &Leaf<'_>, clip: Bounds, artist: &mut Artist<'_>) -> Result<(), ReadRefusal> {
    actions(leaf.raw(), artist)?;
    let Some(list) = leaf.raw().get::<Array<'_>>("Annots") else { return Ok(()) };
    for (at, one) in list.iter::<Dict<'_>>().take(MAX_ANNOTATIONS + 1).enumerate() {
        if at == MAX_ANNOTATIONS {
            artist.page.unread("annotations of a page", MAX_ANNOTATIONS);
            break;
        }
        annotation(&one, leaf, clip, artist)?;
    }
    Ok(())
}

fn annotation<'a>(one: &Dict<'a>, leaf: &Leaf<'a>, clip: Bounds, artist: &mut Artist<'_>) -> Result<(), ReadRefusal> {
    artist.budget.spend(0)?;
    let rectangle = one.get::<[f32; 4]>("Rect").unwrap_or_default().map(f64::from);
    let [x0, y0, x1, y1] = rectangle;
    let bounds = Bounds::around(Matrix::SAME, [x0, y0, x1 - x0, y1 - y0]);
    if is(one, "Subtype", b"Link") {
        let action = one.get::<Dict<'_>>("A").unwrap_or_default();
        match string(&action, "URI") {
            Some(target) => follow(&target, bounds, artist),
            None => act(&action, artist)?,
        }
        return Ok(());
    }
    actions(one, artist)?;
    let hidden = one.get::<i32>("F").unwrap_or(0) & UNSEEN != 0 || artist.layers.hide(one, "OC");
    let contents = string(one, "Contents");
    let field = is(one, "Subtype", b"Widget");
    if let (Some(contents), false) = (&contents, field) {
        let by = string(one, "T").map(|by| format!("{by}: ")).unwrap_or_default();
        artist.page.aside(AsideKind::Comment, &format!("{by}{contents}"));
    }
    if is(one, "Subtype", b"FileAttachment")
        && let Some(file) = one.get::<Dict<'_>>("FS")
    {
        attachment(&file, artist.page);
    }
    if is(one, "Subtype", b"Popup") {
        return Ok(());
    }
    let looks = one.get::<Dict<'a>>("AP").and_then(|looks| match looks.get::<Object<'a>>("N")? {
        Object::Stream(one) => Some(one),
        Object::Dict(states) => states.get::<Stream<'a>>(one.get::<Name<'_>>("AS")?),
        _ => None,
    });
    let Some(looks) = looks else { return Ok(()) };
    let mut state = State::new(clip);
    state.map = fit(&looks, bounds);
    artist.form(&looks, leaf.resources(), state, hidden, 1)
}

/// How what an annotation looks like comes into its rectangle.
fn fit(looks: &Stream<'_>, into: Bounds) -> Matrix {
    let dict = looks.dict();
    let own = dict.get::<[f32; 6]>("Matrix").map_or(Matrix::SAME, |matrix| Matrix(matrix.map(f64::from)));
    let [x0, y0, x1, y1] = dict.get::<[f32; 4]>("BBox").unwrap_or_default().map(f64::from);
    let from = Bounds::around(own, [x0, y0, x1 - x0, y1 - y0]);
    let scale = |from: f64, into: f64| if from > 0.0 { into / from } else { 1.0 };
    let (across, up) = (scale(from.x1 - from.x0, into.x1 - into.x0), scale(from.y1 - from.y0, into.y1 - into.y0));
    Matrix([across, 0.0, 0.0, up, into.x0 - across * from.x0, into.y0 - up * from.y0])
}

/// A link that lies over words.
fn follow(target: &str, bounds: Bounds, artist: &mut Artist<'_>) {
    let shown = artist.sheet.within(bounds);
    match link::judge(&shown, target) {
        Target::Same => {}
        Target::Elsewhere(target) => {
            let shown = if shown.is_empty() { String::new() } else { format!("{shown}: ") };
            artist.page.aside(AsideKind::Annotation, &format!("link: {shown}{target}"));
        }
        Target::Misleading(target) => artist.sheet.replace(bounds, RemovedKind::MisleadingLink, &format!("({target})")),
        Target::Active => artist.page.removed(RemovedKind::ActiveLink, target),
    }
}

/// What a thing does by itself: when it is opened, shown, entered, left.
fn actions(dict: &Dict<'_>, artist: &mut Artist<'_>) -> Result<(), ReadRefusal> {
    for name in ["A", "OpenAction"] {
        if let Some(action) = dict.get::<Dict<'_>>(name) {
            act(&action, artist)?;
        }
    }
    if let Some(more) = dict.get::<Dict<'_>>("AA") {
        for name in more.keys().take(64) {
            if let Some(action) = more.get::<Dict<'_>>(&name) {
                act(&action, artist)?;
            }
        }
    }
    Ok(())
}

/// An action, and those after it: programs and what leads out of the document.
fn act(action: &Dict<'_>, artist: &mut Artist<'_>) -> Result<(), ReadRefusal> {
    let mut open = vec![action.clone()];
    let mut seen = 0;
    while let Some(action) = open.pop() {
        seen += 1;
        if seen > 64 {
            break;
        }
        artist.budget.spend(0)?;
        let kind = action.get::<Name<'_>>("S");
        match kind.as_deref() {
            Some(b"JavaScript" | b"Rendition") => {
                let program = match action.get::<Object<'_>>("JS") {
                    Some(Object::String(program)) => text(program.as_bytes()),
                    Some(Object::Stream(program)) => {
                        artist.budget.unpack(&program)?.map(|program| text(&program)).unwrap_or_default()
                    }
                    _ => String::new(),
                };
                artist.page.removed(RemovedKind::Script, &program);
            }
            Some(b"Launch" | b"SubmitForm" | b"ImportData" | b"GoToR" | b"GoToE" | b"URI" | b"Movie" | b"Sound") => {
                let target = string(&action, "URI").or_else(|| string(&action, "F"));
                let target = target.or_else(|| string(&action.get::<Dict<'_>>("F")?, "F")).unwrap_or_default();
                artist.page.removed(RemovedKind::AutoLoad, &target);
            }
            _ => {}
        }
        match action.get::<Object<'_>>("Next") {
            Some(Object::Dict(next)) => open.push(next),
            Some(Object::Array(list)) => open.extend(list.iter::<Dict<'_>>().take(64)),
            _ => {}
        }
    }
    Ok(())
}

/// What belongs to the whole.
pub(super) fn document(pdf: &Pdf, catalogue: &Dict<'_>, artist: &mut Artist<'_>) -> Result<(), ReadRefusal> {
    actions(catalogue, artist)?;
    if let Some(names) = catalogue.get::<Dict<'_>>("Names") {
        for program in leaves(&names, "JavaScript") {
            act(&program, artist)?;
        }
        for file in leaves(&names, "EmbeddedFiles") {
            attachment(&file, artist.page);
        }
    }
    if let Some(form) = catalogue.get::<Dict<'_>>("AcroForm") {
        fields(&form, artist)?;
    }
    let properties = pdf.metadata();
    for (name, value) in [
        ("title", &properties.title),
        ("author", &properties.author),
        ("subject", &properties.subject),
        ("keywords", &properties.keywords),
        ("creator", &properties.creator),
        ("producer", &properties.producer),
    ] {
        let value = value.as_deref().map(text).unwrap_or_default();
        if !value.trim().is_empty() {
            artist.page.aside(AsideKind::Metadata, &format!("{name}: {}", value.trim()));
        }
    }
    let Some(stream) = catalogue.get::<Stream<'_>>("Metadata") else { return Ok(()) };
    let Some(source) = artist.budget.unpack(&stream)? else { return Ok(()) };
    let mut name = String::new();
    // What is no XML says nothing; the document is as good without.
    let _ = walk(&String::from_utf8_lossy(&source), |piece| match piece {
        Piece::Start(element) if !matches!(element.name(), "li" | "Alt" | "Seq" | "Bag") => {
            element.name().clone_into(&mut name);
        }
        Piece::Text(value) if !value.trim().is_empty() => {
            artist.page.aside(AsideKind::Metadata, &format!("{name}: {}", value.trim()));
        }
        _ => {}
    });
    Ok(())
}

/// What the leaves of a tree of names hold.
fn leaves<'a>(names: &Dict<'a>, name: &str) -> Vec<Dict<'a>> {
    let mut open: Vec<Dict<'a>> = names.get::<Dict<'a>>(name).into_iter().collect();
    let mut found = Vec::new();
    let mut seen = 0;
    while let Some(node) = open.pop() {
        seen += 1;
        if seen > MAX_ENTRIES || found.len() > MAX_ENTRIES {
            break;
        }
        if let Some(list) = node.get::<Array<'a>>("Names") {
            found.extend(list.iter::<Object<'a>>().take(2 * MAX_ENTRIES).filter_map(Object::into_dict));
        }
        if let Some(kids) = node.get::<Array<'a>>("Kids") {
            open.extend(kids.iter::<Dict<'a>>().take(MAX_ENTRIES));
        }
    }
    found
}

fn attachment(file: &Dict<'_>, page: &mut Page) {
    let name = string(file, "UF").or_else(|| string(file, "F")).unwrap_or_default();
    let about = string(file, "Desc").map(|about| format!(" ({about})")).unwrap_or_default();
    page.aside(AsideKind::Attachment, &format!("{name}{about}"));
}

/// The values of a form's fields. Those that are seen are on the page as well.
fn fields(form: &Dict<'_>, artist: &mut Artist<'_>) -> Result<(), ReadRefusal> {
    let mut open: Vec<Dict<'_>> = form
        .get::<Array<'_>>("Fields")
        .map(|list| list.iter::<Dict<'_>>().take(MAX_ENTRIES + 1).collect())
        .unwrap_or_default();
    open.reverse();
    let mut seen = 0;
    while let Some(field) = open.pop() {
        seen += 1;
        if seen > MAX_ENTRIES {
            artist.page.unread("fields of its form", MAX_ENTRIES);
            break;
        }
        artist.budget.spend(0)?;
        // One that is on a page was met there.
        if !is(&field, "Subtype", b"Widget") {
            actions(&field, artist)?;
        }
        if let Some(value) = string(&field, "V") {
            let name = string(&field, "T").unwrap_or_default();
            artist.page.aside(AsideKind::Annotation, &format!("field {name}: {value}"));
        }
        if let Some(kids) = field.get::<Array<'_>>("Kids") {
            open.extend(kids.iter::<Dict<'_>>().take(MAX_ENTRIES));
        }
    }
    Ok(())
}
