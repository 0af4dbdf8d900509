//! A call that waits for its turn.

use autoshare_store::ledger::Reservation;

/// What is set aside for a call of which nothing has been sent: dropped, it is given back.
#[derive(Debug)]
pub struct Unsent(Option<Reservation>);

impl Unsent {
    /// Of a call that waits.
    #[must_use]
    pub const fn new(aside: Reservation) -> Self {
        Self(Some(aside))
    }

    /// The call is made now: from here on, a reservation that is dropped counts in full.
    ///
    /// # Panics
    /// Never: it is taken here, where the whole is used up, and on drop.
    #[expect(clippy::expect_used, reason = "the one place that takes it uses the whole up")]
    pub fn send(mut self) -> Reservation {
        self.0.take().expect("it is there until it is sent or dropped")
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if let Some(aside) = self.0.take() {
            aside.release();
        }
    }
}
