//! Text that must not be seen.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text, such as a provider's key. Overwritten when dropped; `Debug` and `Display` print `***`. It is neither
/// `Clone` nor serializable: where it goes is seen by searching for [`Sensitive::expose`].
pub struct Sensitive(Zeroizing<String>);

impl Sensitive {
    /// Takes the text; its buffer is overwritten in the end.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
