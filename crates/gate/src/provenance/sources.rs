//! Whose words hold a text: every source that was read, not only the first.

use autoshare_core::tool::Role;

use super::index::Search;
use super::{History, MAX_LOOKS};

impl History {
    /// The sources in whose content one of these spellings stands, the first read first, and `most` of them at most. None
    /// where trusted words hold it, where it is an identifier that a tool issued, or where it stands in too many places to
    /// say anything.
    pub(crate) fn held_by(&self, forms: &[String], most: usize) -> Vec<&str> {
        let is_said = forms.iter().any(|form| match self.said.find(form, usize::MAX) {
            Search::All(found) => !found.is_empty(),
            Search::Common => true,
        });
        if is_said || self.issued_as(forms, Role::Content).is_some() {
            return Vec::new();
        }
        let mut sources: Vec<&str> = Vec::new();
        for form in forms {
            let Search::All(found) = self.content.find(form, MAX_LOOKS) else { return Vec::new() };
            for entry in found.iter().filter_map(|found| self.content.entry(found)) {
                if !sources.contains(&entry.source.as_str()) && sources.len() < most {
                    sources.push(&entry.source);
                }
            }
        }
        sources
    }
}
