//! A page of paper: words with their places, from which lines are made.

use std::collections::{HashSet, VecDeque};

use autoshare_core::document::RemovedKind;

use super::geometry::Bounds;
use crate::reader::page::{Gap, Page, Place};

/// What is painted is remembered so far back.
const MAX_PAINTED: usize = 128;
/// Words of a page that are laid out at once.
const MAX_WORDS: usize = 1 << 15;
/// Bytes of a word after which another begins.
const MAX_WORD: usize = 4096;
/// What every channel of two colours may differ by while nobody sees a difference.
const SAME: u8 = 24;
/// Gaps between letters, in their size, that part words.
const GAP: f64 = 0.17;
/// How often a page may go back to a line that it has left, on average. Columns do so once for each.
const MAX_COLUMNS: usize = 4;

/// A colour: red, green, blue.
pub(super) type Colour = [u8; 3];

/// Letters, with their place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    /// Where they begin and end, on the page.
    pub(super) from: (f64, f64),
    pub(super) to: (f64, f64),
    /// The middle of their ink.
    pub(super) middle: (f64, f64),
    /// How high they are, in points.
    pub(super) size: f64,
}

#[derive(Debug)]
struct Word {
    text: String,
    place: Place,
    /// Along the direction of its line and across it.
    x0: f64,
    x1: f64,
    y: f64,
    size: f64,
    /// The direction of its line, in degrees.
    direction: i16,
    /// The middles of its first and last letter, on the page.
    ends: [(f64, f64); 2],
    /// How much was painted before it.
    painted: u64,
    /// Whether a space came before it.
    space: bool,
}

#[derive(Debug)]
struct Painted {
    bounds: Bounds,
    colour: Option<Colour>,
    /// All of the rectangle is covered, and nothing shows through.
    covers: bool,
    at: u64,
}

/// A page.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    words: Vec<Word>,
    painted: VecDeque<Painted>,
    count: u64,
    /// Whether the last word may go on.
    open: bool,
    space: bool,
}

impl Sheet {
    /// Something is painted over what is there.
    pub(super) fn paint(&mut self, bounds: Bounds, colour: Option<Colour>, covers: bool) {
        self.count += 1;
        self.painted.push_back(Painted { bounds, colour, covers, at: self.count });
        if self.painted.len() > MAX_PAINTED {
            self.painted.pop_front();
        }
    }

    /// Whether a colour is that of what is behind a point.
    pub(super) fn is_lost(&self, colour: Colour, point: (f64, f64)) -> bool {
        let top = self.painted.iter().rev().find(|painted| painted.bounds.has(point));
        let behind = top.map_or(Some([255; 3]), |painted| painted.colour);
        behind.is_some_and(|behind| colour.iter().zip(behind).all(|(one, other)| one.abs_diff(other) <= SAME))
    }

    /// Adds letters.
    pub(super) fn add(&mut self, text: &str, spot: Spot, place: Place) {
        if text.trim().is_empty() {
            self.open = false;
            self.space = true;
            return;
        }
        let ((x, y), (to_x, to_y)) = (spot.from, spot.to);
        let (direction, sin, cos) = if to_y == y && to_x > x {
            (0, 0.0, 1.0)
        } else {
            let angle = (to_y - y).atan2(to_x - x).to_degrees().round();
            let direction = (angle as i16).rem_euclid(360);
            let (sin, cos) = f64::from(direction).to_radians().sin_cos();
            (direction, sin, cos)
        };
        let along = |(x, y): (f64, f64)| x * cos + y * sin;
        let (x0, x1, across) = (along(spot.from), along(spot.to), y * cos - x * sin);
        let middle = spot.middle;
        if self.open
            && let Some(last) = self.words.last_mut()
            && (last.direction, last.place, last.painted) == (direction, place, self.count)
            && (last.y - across).abs() < 0.3 * spot.size
            && (-0.5 * spot.size..GAP * spot.size).contains(&(x0 - last.x1))
            && last.text.len() < MAX_WORD
        {
            last.text.push_str(text);
            last.x1 = last.x1.max(x1);
            last.ends[1] = middle;
            return;
        }
        self.words.push(Word {
            text: text.to_owned(),
            place,
            x0,
            x1,
            y: across,
            size: spot.size,
            direction,
            ends: [middle; 2],
            painted: self.count,
            space: self.space,
        });
        self.open = true;
        self.space = false;
    }

    /// Whether it is time to lay out what is there.
    pub(super) fn is_full(&self) -> bool {
        self.words.len() >= MAX_WORDS
    }

    /// The words that are seen within a rectangle.
    pub(super) fn within(&self, bounds: Bounds) -> String {
        let inside = |word: &&Word| word.place == Place::Seen && word.ends.iter().all(|end| bounds.has(*end));
        let words: Vec<&str> = self.words.iter().filter(inside).take(256).map(|word| word.text.as_str()).collect();
        words.join(" ")
    }

    /// Takes out the words within a rectangle and puts others in their place.
    pub(super) fn replace(&mut self, bounds: Bounds, kind: RemovedKind, by: &str) {
        let inside = |word: &Word| word.place == Place::Seen && word.ends.iter().all(|end| bounds.has(*end));
        let Some(first) = self.words.iter().position(inside) else { return };
        for word in self.words.iter_mut().filter(|word| inside(word)) {
            word.place = Place::Removed(kind);
        }
        if let Some(word) = self.words.get(first) {
            let word = Word { text: by.to_owned(), place: Place::Seen, space: true, ..*word };
            self.words.insert(first, word);
        }
    }

    /// Writes down what is there, line by line.
    pub(super) fn lay_out(&mut self, page: &mut Page) {
        self.open = false;
        let mut words = std::mem::take(&mut self.words);
        for word in words.iter_mut().filter(|word| word.place == Place::Seen) {
            let over = |painted: &Painted| {
                painted.covers && painted.at > word.painted && word.ends.iter().all(|end| painted.bounds.has(*end))
            };
            if self.painted.iter().any(over) {
                word.place = Place::Removed(RemovedKind::Hidden);
            }
        }
        if is_scattered(&words) {
            words.sort_by(|one, other| {
                let key = |word: &Word| (word.direction, -(2.0 * word.y / word.size.max(1.0)).round() as i64);
                key(one).cmp(&key(other)).then(one.x0.total_cmp(&other.x0))
            });
        }
        let mut line: Vec<Word> = Vec::new();
        let mut above: Option<(f64, i16)> = None;
        for word in words {
            if word.place != Place::Seen {
                page.flow(&format!("{} ", word.text), word.place);
                continue;
            }
            if line.last().is_some_and(|last| !word.is_beside(last)) {
                write(std::mem::take(&mut line), &mut above, page);
            }
            line.push(word);
        }
        write(line, &mut above, page);
    }

    /// Ends the page.
    pub(super) fn finish(&mut self, page: &mut Page) {
        self.lay_out(page);
        page.gap(Gap::Paragraph);
        *self = Self::default();
    }
}

impl Word {
    fn is_beside(&self, other: &Self) -> bool {
        self.direction == other.direction && (self.y - other.y).abs() <= 0.5 * self.size.max(other.size)
    }
}

/// Whether the order in which a page is written has nothing to do with the one in which it is read.
fn is_scattered(words: &[Word]) -> bool {
    let mut lines = HashSet::new();
    let mut turns = 0usize;
    let mut last: Option<&Word> = None;
    for word in words.iter().filter(|word| word.place == Place::Seen) {
        lines.insert((word.direction, word.y.round() as i64));
        let beside = last.is_some_and(|last| word.is_beside(last));
        let back = last.is_some_and(|last| word.x1 < last.x0);
        turns += usize::from(!beside || back);
        last = Some(word);
    }
    turns > MAX_COLUMNS * lines.len() + MAX_COLUMNS
}

fn write(mut line: Vec<Word>, above: &mut Option<(f64, i16)>, page: &mut Page) {
    let Some(first) = line.first() else { return };
    let (y, direction, size) = (first.y, first.direction, first.size);
    let gap = match *above {
        Some((last, same)) if same == direction && (0.0..1.7 * size).contains(&(last - y)) => Gap::Line,
        Some(_) => Gap::Paragraph,
        None => Gap::None,
    };
    *above = Some((y, direction));
    line.sort_by(|one, other| one.x0.total_cmp(&other.x0));
    let mut text = String::new();
    let mut last: Option<&Word> = None;
    for word in &line {
        if let Some(last) = last {
            // Letters drawn twice, a little apart, are bold.
            if word.text == last.text && (word.x0 - last.x0).abs() < 0.3 * word.size {
                continue;
            }
            if word.space || word.x0 - last.x1 > GAP * word.size || last.x0 > word.x0 {
                text.push(' ');
            }
        }
        text.push_str(&word.text);
        last = Some(word);
    }
    page.gap(gap);
    page.flow(&text, Place::Seen);
}
