//! Content streams: what is drawn, in the order in which it is drawn.

use autoshare_core::document::{ReadRefusal, RemovedKind};
use hayro_syntax::content::{Instruction, UntypedIter};
use hayro_syntax::object::{Dict, Name, Object, Stream};
use hayro_syntax::page::Resources;

use super::font::Fonts;
use super::geometry::{Bounds, Matrix};
use super::layers::Layers;
use super::sheet::{Sheet, Spot};
use super::state::{Part, Space, State, unseen};
use super::unpack::Budget;
use crate::reader::page::{Page, Place};

/// Forms within each other at most.
const MAX_FORMS: usize = 16;
/// Saved states at most; what is saved beyond that is not restored.
const MAX_SAVED: usize = 256;
/// What a letter is written as that nobody knows.
const UNKNOWN: &str = "\u{fffd}";

/// Draws content on a sheet.
pub(super) struct Artist<'p> {
    pub(super) budget: Budget,
    pub(super) layers: Layers,
    pub(super) sheet: Sheet,
    pub(super) page: &'p mut Page,
    pub(super) fonts: Fonts,
    /// Letters that nobody knows.
    pub(super) unknown: u64,
}

/// One content stream while it is drawn.
struct Drawing<'r, 'a> {
    resources: &'r Resources<'a>,
    state: State,
    saved: Vec<State>,
    /// States that were not saved, for want of room.
    unsaved: usize,
    /// Of a text: the map of its lines, and of the next letter.
    line: Matrix,
    letter: Matrix,
    path: Path,
    /// Marked content that is open, and whether each hides what is in it.
    marks: Vec<bool>,
    hidden: usize,
    forms: usize,
}

/// A path, by what is around it.
struct Path {
    bounds: Bounds,
    /// It is one rectangle.
    is_rectangle: bool,
    parts: usize,
    clips: bool,
}

impl Path {
    const EMPTY: Self = Self { bounds: Bounds::NOTHING, is_rectangle: false, parts: 0, clips: false };
}

impl Artist<'_> {
    /// Draws a content stream; `hidden` where it belongs to a layer that is off.
    pub(super) fn draw(
        &mut self,
        content: &[u8],
        resources: &Resources<'_>,
        state: State,
        hidden: bool,
        forms: usize,
    ) -> Result<(), ReadRefusal> {
        let mut drawing = Drawing {
            resources,
            state,
            saved: Vec::new(),
            unsaved: 0,
            line: Matrix::SAME,
            letter: Matrix::SAME,
            path: Path::EMPTY,
            marks: Vec::new(),
            hidden: usize::from(hidden),
            forms,
        };
        let mut instructions = UntypedIter::new(content);
        while let Some(instruction) = instructions.next() {
            self.step(&mut drawing, &instruction)?;
            if self.sheet.is_full() {
                self.sheet.lay_out(self.page);
            }
        }
        Ok(())
    }

    fn step<'a>(
        &mut self,
        drawing: &mut Drawing<'_, 'a>,
        instruction: &Instruction<'_, '_>,
    ) -> Result<(), ReadRefusal> {
        let numbers: Vec<f64> = instruction
            .operands()
            .filter_map(|object| if let Object::Number(number) = object { Some(number.as_f64()) } else { None })
            .collect();
        let name = || instruction.operands().filter_map(as_name).last();
        let operator: &[u8] = instruction.operator;
        let state = &mut drawing.state;
        match (operator, numbers.as_slice()) {
            (b"q", _) if drawing.saved.len() < MAX_SAVED => drawing.saved.push(drawing.state.clone()),
            (b"q", _) => drawing.unsaved += 1,
            (b"Q", _) if drawing.unsaved > 0 => drawing.unsaved -= 1,
            (b"Q", _) => drawing.state = drawing.saved.pop().unwrap_or_else(|| drawing.state.clone()),
            (b"cm", &[a, b, c, d, e, f]) => state.map = Matrix([a, b, c, d, e, f]).then(state.map),
            (b"gs", _) => {
                if let Some(named) = name().and_then(|name| drawing.resources.get_ext_g_state(name)) {
                    state.set(&named);
                }
            }
            (b"BT", _) => (drawing.line, drawing.letter) = (Matrix::SAME, Matrix::SAME),
            (b"Tc", &[spacing]) => state.spacing = spacing,
            (b"Tw", &[spacing]) => state.word_spacing = spacing,
            (b"Tz", &[percent]) => state.stretch = percent / 100.0,
            (b"TL", &[leading]) => state.leading = leading,
            (b"Ts", &[rise]) => state.rise = rise,
            (b"Tr", &[mode]) => state.mode = mode as i64,
            (b"Tf", &[size]) => {
                state.size = size;
                state.font = match name() {
                    Some(name) => self.fonts.get(&drawing.resources.fonts, name, &mut self.budget)?,
                    None => None,
                };
            }
            (b"Td", &[x, y]) => drawing.next_line(x, y),
            (b"TD", &[x, y]) => {
                state.leading = -y;
                drawing.next_line(x, y);
            }
            (b"Tm", &[a, b, c, d, e, f]) => {
                drawing.line = Matrix([a, b, c, d, e, f]);
                drawing.letter = drawing.line;
            }
            (b"T*", _) => drawing.next_line(0.0, -drawing.state.leading),
            (b"Tj", _) => self.show_all(drawing, instruction),
            (b"TJ", _) => self.show_all(drawing, instruction),
            (b"'", _) => {
                drawing.next_line(0.0, -drawing.state.leading);
                self.show_all(drawing, instruction);
            }
            (b"\"", &[word_spacing, spacing]) => {
                (state.word_spacing, state.spacing) = (word_spacing, spacing);
                drawing.next_line(0.0, -drawing.state.leading);
                self.show_all(drawing, instruction);
            }
            (b"g", numbers) => state.fill.set(Space::Gray, numbers),
            (b"rg", numbers) => state.fill.set(Space::Rgb, numbers),
            (b"k", numbers) => state.fill.set(Space::Cmyk, numbers),
            (b"G", numbers) => state.stroke.set(Space::Gray, numbers),
            (b"RG", numbers) => state.stroke.set(Space::Rgb, numbers),
            (b"K", numbers) => state.stroke.set(Space::Cmyk, numbers),
            (b"cs" | b"CS", _) => {
                let Some(name) = name() else { return Ok(()) };
                let space = Space::read(drawing.resources.get_color_space(name), name);
                let ink = if operator == b"cs" { &mut state.fill } else { &mut state.stroke };
                (ink.space, ink.colour) = (space, space.first());
            }
            (b"sc" | b"scn", numbers) => state.fill.set(state.fill.space, numbers),
            (b"SC" | b"SCN", numbers) => state.stroke.set(state.stroke.space, numbers),
            (b"re", &[x, y, width, height]) => {
                let rectangle = Bounds::around(state.map, [x, y, width, height]);
                drawing.path.bounds.include((rectangle.x0, rectangle.y0));
                drawing.path.bounds.include((rectangle.x1, rectangle.y1));
                drawing.path.is_rectangle = drawing.path.parts == 0 && state.map.is_upright();
                drawing.path.parts += 1;
            }
            (b"m" | b"l" | b"c" | b"v" | b"y", points) => {
                for point in points.chunks_exact(2) {
                    if let &[x, y] = point {
                        drawing.path.bounds.include(state.map.apply(x, y));
                    }
                }
                drawing.path.is_rectangle = false;
                drawing.path.parts += 1;
            }
            (b"W" | b"W*", _) => drawing.path.clips = true,
            (b"f" | b"F" | b"f*" | b"B" | b"B*" | b"b" | b"b*", _) => {
                self.fill(drawing);
                drawing.end_path();
            }
            (b"n" | b"s" | b"S", _) => drawing.end_path(),
            (b"sh", _) => self.sheet.paint(drawing.state.clip, None, false),
            (b"BI", _) => {
                let opaque = instruction.operands().any(|object| match object {
                    Object::Stream(image) => is_opaque(image.dict()),
                    _ => false,
                });
                self.image(drawing, opaque);
            }
            (b"Do", _) => {
                if let Some(name) = name() {
                    self.place(drawing, name)?;
                }
            }
            (b"BMC", _) => drawing.marks.push(false),
            (b"BDC", _) => {
                let layer = instruction.operands().filter_map(as_name).next().is_some_and(|tag| tag.as_ref() == b"OC");
                let named = name().filter(|_| layer);
                let hides = named.is_some_and(|name| self.layers.hide(&drawing.resources.properties, name));
                drawing.hidden += usize::from(hides);
                drawing.marks.push(hides);
            }
            (b"EMC", _) => drawing.hidden -= usize::from(drawing.marks.pop().unwrap_or(false)),
            _ => {}
        }
        Ok(())
    }

    /// Fills the path: text before is covered, text after stands on it.
    fn fill(&mut self, drawing: &Drawing<'_, '_>) {
        let state = &drawing.state;
        if drawing.hidden > 0 || state.fill.is_faint() || drawing.path.parts == 0 {
            return;
        }
        let solid = state.is_solid();
        let bounds = drawing.path.bounds.within(state.clip);
        let covers = solid && drawing.path.is_rectangle && state.clip_is_whole;
        self.sheet.paint(bounds, state.fill.colour.filter(|_| solid), covers);
    }

    fn image(&mut self, drawing: &Drawing<'_, '_>, opaque: bool) {
        let state = &drawing.state;
        if drawing.hidden == 0 && !state.fill.is_faint() {
            let bounds = Bounds::around(state.map, [0.0, 0.0, 1.0, 1.0]).within(state.clip);
            let covers = opaque && state.is_solid() && state.clip_is_whole && state.map.is_upright();
            self.sheet.paint(bounds, None, covers);
        }
    }

    /// Draws what stands by itself: an image, or a form.
    fn place<'a>(&mut self, drawing: &Drawing<'_, 'a>, name: &Name<'_>) -> Result<(), ReadRefusal> {
        let Some(object) = drawing.resources.get_x_object(name) else { return Ok(()) };
        let hidden = drawing.hidden > 0 || self.layers.hide(object.dict(), "OC");
        match object.dict().get::<Name<'_>>("Subtype").as_deref() {
            Some(b"Image") if !hidden => self.image(drawing, is_opaque(object.dict())),
            Some(b"Form") => {
                self.form(&object, drawing.resources, drawing.state.clone(), hidden, drawing.forms + 1)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Draws a form.
    pub(super) fn form<'a>(
        &mut self,
        form: &Stream<'a>,
        around: &Resources<'a>,
        mut state: State,
        hidden: bool,
        forms: usize,
    ) -> Result<(), ReadRefusal> {
        if forms > MAX_FORMS {
            self.page.removed(RemovedKind::TooDeep, "");
            return Ok(());
        }
        let Some(content) = self.budget.unpack(form)? else { return Ok(()) };
        let dict = form.dict();
        if let Some(matrix) = dict.get::<[f32; 6]>("Matrix") {
            state.map = Matrix(matrix.map(f64::from)).then(state.map);
        }
        if let Some([x0, y0, x1, y1]) = dict.get::<[f32; 4]>("BBox").map(|bounds| bounds.map(f64::from)) {
            state.clip = Bounds::around(state.map, [x0, y0, x1 - x0, y1 - y0]).within(state.clip);
            state.clip_is_whole &= state.map.is_upright();
        }
        match dict.get::<Dict<'a>>("Resources") {
            Some(own) => self.draw(&content, &Resources::new(own), state, hidden, forms),
            None => self.draw(&content, around, state, hidden, forms),
        }
    }

    fn show_all(&mut self, drawing: &mut Drawing<'_, '_>, instruction: &Instruction<'_, '_>) {
        for operand in instruction.operands() {
            match operand {
                Object::String(string) => self.show(drawing, string.as_bytes()),
                Object::Array(list) => {
                    for one in list.iter::<Object<'_>>() {
                        match one {
                            Object::String(string) => self.show(drawing, string.as_bytes()),
                            Object::Number(back) => {
                                let state = &drawing.state;
                                let by = -back.as_f64() / 1000.0 * state.size * state.stretch;
                                drawing.letter = drawing.letter.moved(by, 0.0);
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn show(&mut self, drawing: &mut Drawing<'_, '_>, string: &[u8]) {
        let Drawing { state, letter, hidden, .. } = drawing;
        let Some(font) = state.font.clone() else {
            self.unknown += string.len() as u64;
            return;
        };
        let scaled = Matrix([state.size * state.stretch, 0.0, 0.0, state.size, 0.0, 0.0]);
        let mut map = letter.then(state.map);
        let (along, off) = scaled.then(map).sizes();
        // Letters are as high as they are, and wider than their font where they are stretched.
        let size = off.min(2.0 * along) * font.height;
        let half = 0.3 * state.size * font.height;
        font.glyphs(string, |glyph| {
            let width = glyph.width * state.size;
            let across = width + state.spacing + if glyph.space { state.word_spacing } else { 0.0 };
            let (width, across) = (width * state.stretch, across * state.stretch);
            let middle = map.apply(width / 2.0, state.rise + half);
            let spot = Spot { from: map.apply(0.0, state.rise), to: map.apply(across, state.rise), middle, size };
            let place = if *hidden > 0 {
                Place::Removed(RemovedKind::Hidden)
            } else if let Some(kind) = unseen(state, size, middle) {
                Place::Removed(kind)
            } else {
                let lost = |part: &Part| {
                    let ink = state.ink(*part);
                    ink.is_faint() || ink.colour.is_some_and(|colour| self.sheet.is_lost(colour, middle))
                };
                let lost = state.inks().iter().all(lost);
                if lost { Place::Removed(RemovedKind::SameColour) } else { Place::Seen }
            };
            self.unknown += u64::from(glyph.text.is_none());
            self.sheet.add(glyph.text.as_deref().unwrap_or(UNKNOWN), spot, place);
            *letter = letter.moved(across, 0.0);
            map = map.moved(across, 0.0);
        });
    }
}

impl Drawing<'_, '_> {
    fn next_line(&mut self, x: f64, y: f64) {
        self.line = self.line.moved(x, y);
        self.letter = self.line;
    }

    fn end_path(&mut self) {
        let path = std::mem::replace(&mut self.path, Path::EMPTY);
        if path.clips {
            self.state.clip = self.state.clip.within(path.bounds);
            self.state.clip_is_whole &= path.is_rectangle;
        }
    }
}

fn as_name<'b, 'a>(object: &'b Object<'a>) -> Option<&'b Name<'a>> {
    if let Object::Name(name) = object { Some(name) } else { None }
}

/// Whether nothing shows through an image.
fn is_opaque(image: &Dict<'_>) -> bool {
    let mask = image.get::<bool>("ImageMask").or_else(|| image.get::<bool>("IM")).unwrap_or(false);
    !mask && !image.contains_key("SMask") && !image.contains_key("Mask") && !image.contains_key("SMaskInData")
}
