//! The graphics state: how what comes next is drawn.

use std::rc::Rc;

use autoshare_core::document::RemovedKind;
use hayro_syntax::object::{Array, Dict, Name, Object, Stream};

use super::font::Font;
use super::geometry::{Bounds, Matrix};
use super::sheet::Colour;

/// Ink of which so little is left is not seen.
const FAINT: f64 = 0.06;
/// Ink of which so much is left lets nothing through.
const SOLID: f64 = 0.95;

/// What the numbers of a colour mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Gray,
    Rgb,
    Cmyk,
    /// Amounts of inks: none of any is white.
    Inks,
    /// Nobody here knows.
    Other,
}

impl Space {
    pub(super) fn read(object: Option<Object<'_>>, name: &Name<'_>) -> Self {
        match object {
            Some(Object::Array(list)) => Self::of_list(&list),
            Some(Object::Name(name)) => Self::by_name(&name),
            _ => Self::by_name(name),
        }
    }

    fn by_name(name: &[u8]) -> Self {
        match name {
            b"DeviceGray" | b"CalGray" | b"G" => Self::Gray,
            b"DeviceRGB" | b"CalRGB" | b"RGB" => Self::Rgb,
            b"DeviceCMYK" | b"CMYK" => Self::Cmyk,
            b"Separation" | b"DeviceN" => Self::Inks,
            _ => Self::Other,
        }
    }

    fn of_list(list: &Array<'_>) -> Self {
        let mut parts = list.iter::<Object<'_>>();
        match (parts.next(), parts.next()) {
            (Some(Object::Name(name)), Some(Object::Stream(profile))) if name.as_ref() == b"ICCBased" => {
                Self::of_profile(&profile)
            }
            (Some(Object::Name(name)), _) => Self::by_name(&name),
            _ => Self::Other,
        }
    }

    fn of_profile(profile: &Stream<'_>) -> Self {
        match profile.dict().get::<i32>("N") {
            Some(1) => Self::Gray,
            Some(3) => Self::Rgb,
            Some(4) => Self::Cmyk,
            _ => Self::Other,
        }
    }

    /// What a colour space begins with.
    pub(super) const fn first(self) -> Option<Colour> {
        match self {
            Self::Gray | Self::Rgb | Self::Cmyk => Some([0; 3]),
            Self::Inks | Self::Other => None,
        }
    }

    /// The colour of these numbers, as far as it is known.
    pub(super) fn colour(self, numbers: &[f64]) -> Option<Colour> {
        let part = |share: f64| (share.clamp(0.0, 1.0) * 255.0) as u8;
        match (self, numbers) {
            (Self::Gray, [gray]) => Some([part(*gray); 3]),
            (Self::Rgb, [red, green, blue]) => Some([part(*red), part(*green), part(*blue)]),
            (Self::Cmyk, [cyan, magenta, yellow, black]) => {
                let left = |ink: &f64| part((1.0 - ink) * (1.0 - black));
                Some([left(cyan), left(magenta), left(yellow)])
            }
            (Self::Inks, inks) if !inks.is_empty() => {
                let most = inks.iter().copied().fold(0.0, f64::max);
                (most < 0.1).then(|| [part(1.0 - most); 3])
            }
            _ => None,
        }
    }
}

/// What letters or areas are drawn with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ink {
    pub(super) space: Space,
    pub(super) colour: Option<Colour>,
    pub(super) alpha: f64,
}

impl Ink {
    const BLACK: Self = Self { space: Space::Gray, colour: Some([0; 3]), alpha: 1.0 };

    pub(super) fn set(&mut self, space: Space, numbers: &[f64]) {
        self.space = space;
        self.colour = space.colour(numbers);
    }

    pub(super) fn is_faint(&self) -> bool {
        self.alpha < FAINT
    }
}

/// The state.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) map: Matrix,
    pub(super) clip: Bounds,
    /// Whether the clip is that rectangle, and not something within.
    pub(super) clip_is_whole: bool,
    pub(super) fill: Ink,
    pub(super) stroke: Ink,
    /// What is drawn is mixed with what is there.
    pub(super) mixed: bool,
    pub(super) font: Option<Rc<Font>>,
    pub(super) size: f64,
    /// Between letters.
    pub(super) spacing: f64,
    /// At spaces.
    pub(super) word_spacing: f64,
    pub(super) stretch: f64,
    pub(super) leading: f64,
    pub(super) rise: f64,
    pub(super) mode: i64,
}

impl State {
    pub(super) fn new(clip: Bounds) -> Self {
        Self {
            map: Matrix::SAME,
            clip,
            clip_is_whole: true,
            fill: Ink::BLACK,
            stroke: Ink::BLACK,
            mixed: false,
            font: None,
            size: 0.0,
            spacing: 0.0,
            word_spacing: 0.0,
            stretch: 1.0,
            leading: 0.0,
            rise: 0.0,
            mode: 0,
        }
    }

    /// Takes over what a named state sets.
    pub(super) fn set(&mut self, named: &Dict<'_>) {
        let number = |name: &str| named.get::<f32>(name).map(f64::from);
        self.fill.alpha = number("ca").unwrap_or(self.fill.alpha);
        self.stroke.alpha = number("CA").unwrap_or(self.stroke.alpha);
        let blend = match named.get::<Object<'_>>("BM") {
            Some(Object::Array(list)) => list.iter::<Name<'_>>().next(),
            Some(Object::Name(name)) => Some(name),
            _ => None,
        };
        if let Some(blend) = blend {
            self.mixed = !matches!(blend.as_ref(), b"Normal" | b"Compatible");
        }
        match named.get::<Object<'_>>("SMask") {
            Some(Object::Dict(_)) => self.mixed = true,
            Some(Object::Name(_)) if !named.contains_key("BM") => self.mixed = false,
            _ => {}
        }
    }

    /// Whether what is filled now lets nothing through.
    pub(super) fn is_solid(&self) -> bool {
        self.fill.alpha >= SOLID && !self.mixed
    }

    /// With which inks letters are drawn; none where they are drawn with no ink at all.
    pub(super) fn inks(&self) -> &'static [Part] {
        match self.mode {
            0 | 4 => &[Part::Fill],
            1 | 5 => &[Part::Stroke],
            2 | 6 => &[Part::Fill, Part::Stroke],
            _ => &[],
        }
    }

    pub(super) fn ink(&self, part: Part) -> Ink {
        match part {
            Part::Fill => self.fill,
            Part::Stroke => self.stroke,
        }
    }
}

/// A part of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Fill,
    Stroke,
}

/// Points below which letters cannot be read.
pub(super) const TINY: f64 = 2.0;

/// Why letters of this size, somewhere, are not seen, whatever their colour.
pub(super) fn unseen(state: &State, size: f64, middle: (f64, f64)) -> Option<RemovedKind> {
    let inks = state.inks();
    match () {
        () if inks.iter().all(|part| state.ink(*part).is_faint()) => Some(RemovedKind::Transparent),
        () if size < TINY => Some(RemovedKind::Tiny),
        () if !state.clip.has(middle) => Some(RemovedKind::OffPage),
        () => None,
    }
}
