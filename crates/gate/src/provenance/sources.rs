//! Whose words hold a text: every source that was read, not only the first.

use autoshare_core::tool::Role;

use super::{History, MAX_LOOKS};

impl History {
    /// The sources in whose content one of these spellings stands, the first read first, and `most` of them at most. None
    /// where trusted words hold it, where it is an identifier that a tool issued, or where it stands in too many places to
    /// say anything.
    pub(crate) fn held_by(&self, forms: &[String], most: usize) -> Vec<&str> {
        let is_said =
            forms.iter().any(|form| self.said.find(form, usize::MAX).is_none_or(|mut found| found.next().is_some()));
        if is_said || self.issued_as(forms, Role::Content).is_some() {
            return Vec::new();
        }
        let mut sources: Vec<&str> = Vec::new();
        for form in forms {
            let Some(found) = self.content.find(form, MAX_LOOKS) else { return Vec::new() };
            for entry in found.filter_map(|found| self.content.entry(&found)) {
                if !sources.contains(&entry.source.as_str()) && sources.len() < most {
                    sources.push(&entry.source);
                }
            }
        }
        sources
    }
}
