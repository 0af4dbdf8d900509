//! Places on a page.

/// An affine map, as PDF writes it: `[a b c d e f]` takes (x, y) to (ax + cy + e, bx + dy + f).
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix(pub(super) [f64; 6]);

impl Matrix {
    pub(super) const SAME: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    /// This one first, then the other.
    pub(super) fn then(self, after: Self) -> Self {
        let Self([a, b, c, d, e, f]) = self;
        let (x, y) = after.apply(e, f);
        let Self([ga, gb, gc, gd, ..]) = after;
        Self([a * ga + b * gc, a * gb + b * gd, c * ga + d * gc, c * gb + d * gd, x, y])
    }

    pub(super) fn apply(self, x: f64, y: f64) -> (f64, f64) {
        let Self([a, b, c, d, e, f]) = self;
        (a * x + c * y + e, b * x + d * y + f)
    }

    /// Moved by so much before it is applied.
    pub(super) fn moved(self, x: f64, y: f64) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y]).then(self)
    }

    /// How long what is 1 long becomes along the first axis, and how far off that line what is 1 off it.
    pub(super) fn sizes(self) -> (f64, f64) {
        let Self([a, b, c, d, ..]) = self;
        let along = a.hypot(b);
        (along, if along > 0.0 { (a * d - b * c).abs() / along } else { 0.0 })
    }

    /// Whether rectangles stay rectangles.
    pub(super) fn is_upright(self) -> bool {
        let Self([a, b, c, d, ..]) = self;
        let zero = |n: f64| n.abs() < 1e-6;
        zero(b) && zero(c) || zero(a) && zero(d)
    }
}

/// A rectangle with upright sides. One without points has `x1 < x0`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) x0: f64,
    pub(super) y0: f64,
    pub(super) x1: f64,
    pub(super) y1: f64,
}

impl Bounds {
    pub(super) const NOTHING: Self =
        Self { x0: f64::INFINITY, y0: f64::INFINITY, x1: f64::NEG_INFINITY, y1: f64::NEG_INFINITY };

    pub(super) fn include(&mut self, (x, y): (f64, f64)) {
        *self = Self { x0: self.x0.min(x), y0: self.y0.min(y), x1: self.x1.max(x), y1: self.y1.max(y) };
    }

    /// Around a rectangle of a map's own plane.
    pub(super) fn around(matrix: Matrix, [x, y, width, height]: [f64; 4]) -> Self {
        let mut bounds = Self::NOTHING;
        for corner in [(x, y), (x + width, y), (x, y + height), (x + width, y + height)] {
            bounds.include(matrix.apply(corner.0, corner.1));
        }
        bounds
    }

    pub(super) fn within(self, other: Self) -> Self {
        Self {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        }
    }

    pub(super) fn has(self, (x, y): (f64, f64)) -> bool {
        self.x0 <= x && x <= self.x1 && self.y0 <= y && y <= self.y1
    }
}
