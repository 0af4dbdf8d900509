//! `read_document`: a file of the workspace as a person would see it. The brain's cell hands its bytes over, and a cell
//! that has nothing else takes them apart.

use std::fmt::Write as _;
use std::sync::Arc;

use autoshare_core::StepNo;
use autoshare_core::document::{AsideKind, Document, Hint};
use autoshare_core::outcome::{Ending, Outcome, Plan};
use autoshare_core::tool::Action;

use crate::cells::{Hands, JobError};
use crate::drive::Driver;
use crate::{HostError, Reader};

impl Driver<'_> {
    pub(crate) async fn read_document(
        &mut self,
        own: Option<Hands>,
        step: StepNo,
        action: &Action,
        plan: &Plan,
    ) -> Result<Outcome, HostError> {
        let is_own = own.is_some();
        let Some(mut hands) = own.or_else(|| self.hands.take()) else {
            return Ok(JobError::Broken("there is no cell".to_owned()).outcome());
        };
        let handed = hands.hand(action, plan).await;
        if !is_own && handed.is_ok() {
            self.hands = Some(hands);
        }
        let bytes = match handed {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(outcome)) => return Ok(outcome),
            Err(error) => return Ok(error.outcome()),
        };
        let name = plan.path.as_deref().and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        let reader = Reader::new(Arc::clone(&self.host.launcher), self.host.settings.least_tier);
        let (ending, text) = match reader.read(&bytes, &Hint { mime: None, name }).await {
            Ok(document) => {
                self.unseen = unseen(&document);
                (Ending::Done, rendered(&document))
            }
            Err(error) => (Ending::Failed, error.to_string()),
        };
        let outcome = Outcome { ending, text, spilled: None, after: None, bytes: bytes.len() as u64 };
        Ok(self.fit(step, outcome).await)
    }
}

/// A document as text: the headers of a mail, what a person would read, and then, labelled, what belongs to it and is not
/// seen in reading it, and what was taken out.
#[must_use]
pub fn rendered(document: &Document) -> String {
    let mut out = String::new();
    let (headers, rest): (Vec<_>, Vec<_>) = document.asides.iter().partition(|aside| aside.kind == AsideKind::Header);
    for header in &headers {
        let _ = writeln!(out, "{}", header.text);
    }
    if !headers.is_empty() {
        out.push('\n');
    }
    out.push_str(document.text.trim_end());
    let mut notes: Vec<String> = rest.iter().map(|aside| format!("{}: {}", label(aside.kind), aside.text)).collect();
    if document.more_asides > 0 {
        notes.push(format!("{} more of these", document.more_asides));
    }
    if document.cut > 0 {
        notes.push(format!("{} bytes at its end are left out", document.cut));
    }
    if let Some(mismatch) = &document.mismatch {
        notes.push(format!("it is {}, and says that it is {mismatch}", document.format.mime()));
    }
    if let Some(charset) = &document.charset {
        notes.push(format!("converted from {charset}"));
    }
    let removed = document.words();
    if !removed.is_empty() {
        notes.push(removed);
    }
    if !notes.is_empty() {
        let _ = write!(out, "\n\n[beside the text]\n{}", notes.join("\n"));
    }
    out
}

/// The text that a document keeps from whoever reads it, each kind behind what it is; empty if there is none.
pub(crate) fn unseen(document: &Document) -> String {
    let kinds = document.removed.iter().filter(|removed| removed.kind.is_text() && !removed.text.is_empty());
    kinds.map(|removed| format!("{}:\n{}\n", removed.kind.words().1, removed.text)).collect()
}

const fn label(kind: AsideKind) -> &'static str {
    match kind {
        AsideKind::Alt => "text for an image",
        AsideKind::Tooltip => "tooltip",
        AsideKind::Metadata => "metadata",
        AsideKind::Header => "header",
        AsideKind::Attachment => "attached",
        AsideKind::Folded => "folded away",
        AsideKind::Comment => "a reviewer's comment",
        AsideKind::Deleted => "deleted by a tracked change",
        AsideKind::Note => "a speaker's note",
        AsideKind::Annotation => "annotation",
    }
}
