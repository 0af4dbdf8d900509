//! What becomes of a brain's cells while it waits.

use std::time::Duration;

use crate::cells::Hands;
use crate::execute::Shell;
use crate::places::CellPlaces;

/// How often a brain that waits looks whether another waits for the place of its cells.
const LOOK: Duration = Duration::from_secs(1);

/// The cells of a brain that waits: they are kept for a while, and then let go, or as soon as their place is wanted. They
/// hold nothing that is not on disk but programs in the background, for whose sake a cell is kept.
pub(crate) struct Parking<'a> {
    pub(crate) hands: &'a mut Option<Hands>,
    pub(crate) shell: &'a mut Option<Shell>,
    pub(crate) after: Duration,
    pub(crate) cells: &'a CellPlaces,
}

impl Parking<'_> {
    pub(crate) async fn while_waiting<T>(self, what: impl Future<Output = T>) -> T {
        tokio::pin!(what);
        let mut left = self.after;
        let idle_shell = self.shell.as_ref().is_some_and(|shell| !shell.is_busy());
        let idle = usize::from(self.hands.is_some()) + usize::from(idle_shell);
        while !left.is_zero() && !self.cells.is_due(idle) && (self.hands.is_some() || self.shell.is_some()) {
            let pause = left.min(LOOK);
            tokio::select! {
                done = &mut what => return done,
                () = tokio::time::sleep(pause) => left -= pause,
            }
        }
        *self.hands = None;
        self.shell.take_if(|shell| !shell.is_busy());
        what.await
    }
}
