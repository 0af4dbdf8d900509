//! Whether letters on paper are seen.

use autoshare_core::document::RemovedKind;

use crate::reader::page::Place;

/// Points below which letters cannot be read.
const TINY: f32 = 3.0;
/// What every channel of two colours may differ by while nobody sees a difference.
const SAME: u8 = 24;

/// How letters are printed. What is not set is taken from around them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ink {
    pub(super) gone: Option<Place>,
    pub(super) points: Option<f32>,
    pub(super) colour: Option<[u8; 3]>,
    pub(super) behind: Option<[u8; 3]>,
}

impl Ink {
    /// With what is set in `over`.
    pub(super) fn with(self, over: Self) -> Self {
        Self {
            gone: self.gone.or(over.gone),
            points: over.points.or(self.points),
            colour: over.colour.or(self.colour),
            behind: over.behind.or(self.behind),
        }
    }

    pub(super) fn hide(&mut self, kind: RemovedKind) {
        self.gone = self.gone.or(Some(Place::Removed(kind)));
    }

    pub(super) fn place(&self) -> Place {
        let behind = self.behind.unwrap_or([255; 3]);
        let same = |ink: [u8; 3]| ink.iter().zip(behind).all(|(one, other)| one.abs_diff(other) <= SAME);
        match self.gone {
            Some(gone) => gone,
            None if self.points.is_some_and(|points| points < TINY) => Place::Removed(RemovedKind::Tiny),
            None if self.colour.is_some_and(same) => Place::Removed(RemovedKind::SameColour),
            None => Place::Seen,
        }
    }
}

/// A colour of six digits, with or without `#` or an alpha before it.
pub(super) fn colour(text: &str) -> Option<[u8; 3]> {
    let text = text.trim_start_matches('#');
    let digits = text.get(text.len().checked_sub(6)?..)?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    let [_, red, green, blue] = number.to_be_bytes();
    Some([red, green, blue])
}
