//! `[share]`: how much tenants may share with one another.

use autoshare_access::ShareBounds;
use autoshare_host::shares::{CopyBounds, SharingSettings};
use serde::Deserialize;

use super::{SettingsError, bounded_in};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ShareSection {
    each: Option<u64>,
    waiting: Option<u64>,
    reaching: Option<u64>,
    days: Option<u64>,
    files: Option<u64>,
    bytes: Option<u64>,
}

impl ShareSection {
    pub(super) fn read(&self) -> Result<SharingSettings, SettingsError> {
        let SharingSettings { bounds, copy } = SharingSettings::default();
        let within = |name, set, usual, most| bounded_in("share", name, set, usual, 1..=most);
        let count = |name, set, usual: usize| {
            within(name, set, usual as u64, 10_000).map(|number| usize::try_from(number).unwrap_or(usual))
        };
        Ok(SharingSettings {
            bounds: ShareBounds {
                each: count("each", self.each, bounds.each)?,
                waiting: count("waiting", self.waiting, bounds.waiting)?,
                reaching: count("reaching", self.reaching, bounds.reaching)?,
                days: within("days", self.days, bounds.days, 365)?,
            },
            copy: CopyBounds {
                files: within("files", self.files, copy.files, 100_000)?,
                bytes: within("bytes", self.bytes, copy.bytes, 1 << 40)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_as_usual_and_what_cannot_be_is_refused() {
        let read = |text: &str| toml::from_str::<ShareSection>(text).unwrap().read();
        assert_eq!(read("").unwrap(), SharingSettings::default());
        assert_eq!(read("days = 1\nbytes = 5").unwrap().copy.bytes, 5);
        let refused = read("waiting = 0").unwrap_err().to_string();
        assert_eq!(refused, "share.waiting is \"0\": use 1 to 10000");
    }
}
