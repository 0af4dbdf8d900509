//! `[fair]`: how tenants share what there is of the machine and of models.

use std::num::NonZero;

use autoshare_core::fair::{Rate, Room};
use serde::Deserialize;

use super::{SettingsError, bounded_in};

/// Requests a minute of a tenant for whom nothing else is set, and how many of them may come at once.
const REQUESTS: u64 = 600;
const AT_ONCE: u64 = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FairSection {
    model_calls: Option<u64>,
    model_calls_each: Option<u64>,
    cells: Option<u64>,
    cells_each: Option<u64>,
    reads: Option<u64>,
    reads_each: Option<u64>,
    queue: Option<u64>,
    queue_each: Option<u64>,
    requests_per_minute: Option<u64>,
    requests_at_once: Option<u64>,
}

/// How much there is to share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fair {
    /// Calls of models.
    pub(crate) model_calls: Room,
    /// Brains that have cells.
    pub(crate) cells: Room,
    /// What is read of journals and workspaces for whoever asks.
    pub(crate) reads: Room,
    /// Requests of a tenant that has no rate of its own.
    pub(crate) requests: Rate,
}

impl FairSection {
    pub(crate) fn read(&self) -> Result<Fair, SettingsError> {
        let model_calls = self.room("model_calls", Room::MODEL_CALLS, self.model_calls, self.model_calls_each)?;
        let cells = self.room("cells", Room::CELLS, self.cells, self.cells_each)?;
        // Two for each processor: while one waits for the disk, another has work.
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let usual = Room { places: (2 * processors).max(Room::READS.places), ..Room::READS };
        let reads = self.room("reads", usual, self.reads, self.reads_each)?;
        let within = |name, set, usual| bounded_in("fair", name, set, usual, 1..=10_000_000);
        let requests = within("requests_per_minute", self.requests_per_minute, REQUESTS)?;
        let at_once = within("requests_at_once", self.requests_at_once, AT_ONCE)?;
        Ok(Fair { model_calls, cells, reads, requests: Rate::a_minute(requests, at_once) })
    }

    fn room(&self, name: &str, usual: Room, places: Option<u64>, each: Option<u64>) -> Result<Room, SettingsError> {
        let within = |name: &str, set, usual, most| {
            bounded_in("fair", name, set, usual as u64, 1..=most).map(|number| usize::try_from(number).unwrap_or(usual))
        };
        let places = within(name, places, usual.places, 1_000_000)?;
        // A quarter is left for whoever comes next.
        let each = within(&format!("{name}_each"), each, (places - places / 4).max(1), places as u64)?;
        let queue = within("queue", self.queue, usual.queue, 1_000_000)?;
        let queue_each = within("queue_each", self.queue_each, usual.queue_each.min(queue), queue as u64)?;
        Ok(Room { places, each, queue, queue_each, ..usual })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Fair, SettingsError> {
        toml::from_str::<FairSection>(text).unwrap().read()
    }

    #[test]
    fn what_is_not_set_is_as_usual_and_a_quarter_is_left_for_others() {
        let fair = read("").unwrap();
        assert_eq!((fair.model_calls, fair.cells), (Room::MODEL_CALLS, Room::CELLS));
        assert_eq!(fair.requests, Rate::a_minute(600, 100));
        assert!(fair.reads.places >= 4 && fair.reads.each < fair.reads.places, "{fair:?}");
        let fair = read("cells = 10\nmodel_calls = 1\nqueue = 50").unwrap();
        assert_eq!((fair.cells.places, fair.cells.each, fair.cells.queue_each), (10, 8, 50));
        assert_eq!((fair.model_calls.places, fair.model_calls.each), (1, 1));
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        for (text, says) in [
            ("cells = 0", "fair.cells is \"0\": use 1 to 1000000"),
            ("cells = 4\ncells_each = 5", "fair.cells_each is \"5\": use 1 to 4"),
            ("queue = 10\nqueue_each = 11", "fair.queue_each is \"11\": use 1 to 10"),
            ("requests_per_minute = 0", "fair.requests_per_minute is \"0\": use 1 to 10000000"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), says);
        }
    }
}
