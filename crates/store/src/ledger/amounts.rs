//! An amount of each measure.

use autoshare_core::budget::{Cap, Measure};
use autoshare_core::usage::Usage;

/// An amount of each measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Amounts([u64; Measure::ALL.len()]);

impl Amounts {
    /// What one call of `usage` takes, its request included.
    pub(super) fn of(usage: &Usage) -> Self {
        Self(Measure::ALL.map(|measure| measure.of(usage)))
    }

    pub(super) fn from(amount: impl FnMut(Measure) -> u64) -> Self {
        Self(Measure::ALL.map(amount))
    }

    pub(super) fn get(&self, measure: Measure) -> u64 {
        self.0.get(measure as usize).copied().unwrap_or_default()
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0 == [0; Measure::ALL.len()]
    }

    /// The sum; what is too large stays the largest number.
    pub(super) fn plus(self, other: Self) -> Self {
        Self::from(|measure| self.get(measure).saturating_add(other.get(measure)))
    }

    /// What is left when `other` is taken away, not less than nothing.
    pub(super) fn minus(self, other: Self) -> Self {
        Self::from(|measure| self.get(measure).saturating_sub(other.get(measure)))
    }

    /// Only the measures that are `kept`.
    pub(super) fn only(self, kept: Measures) -> Self {
        Self::from(|measure| if kept.has(measure) { self.get(measure) } else { 0 })
    }
}

/// Some of the measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measures(u8);

impl Measures {
    /// Those that either of two has a cap on.
    pub(super) fn capped(hard: &Cap, soft: &Cap) -> Self {
        let has = |measure: &Measure| hard.of(*measure).is_some() || soft.of(*measure).is_some();
        Self(Measure::ALL.into_iter().filter(has).fold(0, |bits, measure| bits | 1 << measure as u8))
    }

    pub(super) const fn has(self, measure: Measure) -> bool {
        self.0 & (1 << measure as u8) != 0
    }

    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }
}
