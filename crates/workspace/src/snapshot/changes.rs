//! What lies between two looks, and what several steps come to.

use std::cmp::Ordering;
use std::collections::HashMap;

use autoshare_core::Digest;
use serde::{Deserialize, Serialize};

use super::node::{BlobId, Content, Node, SET_ID, Unkept};
use super::path::RelPath;
use super::shelf::Shelf;
use super::take::{Entry, Incomplete, Snapshot};
use super::{SnapshotError, copy};

/// A name that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where.
    pub path: RelPath,
    /// What was there, if anything.
    pub before: Option<Node>,
    /// What is there now, if anything.
    pub after: Option<Node>,
}

/// In what way a name changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// There was nothing.
    Created,
    /// There is nothing any more.
    Deleted,
    /// It is of another kind.
    Kind,
    /// A file's bytes, or where a link leads.
    Content,
    /// Permissions only.
    Mode,
}

impl Change {
    /// In what way it changed.
    #[must_use]
    pub fn what(&self) -> What {
        match (&self.before, &self.after) {
            (None, _) => What::Created,
            (_, None) => What::Deleted,
            (Some(before), Some(after)) if !before.is_like(after) => What::Kind,
            (Some(before), Some(after)) if same_content(before, after) => What::Mode,
            _ => What::Content,
        }
    }

    fn nodes(&mut self) -> impl Iterator<Item = &mut Node> {
        self.before.iter_mut().chain(self.after.iter_mut())
    }

    /// The saved copies it names.
    pub fn blobs(&self) -> impl Iterator<Item = BlobId> {
        self.before.iter().chain(&self.after).filter_map(|node| node.kept().map(|(blob, _)| blob))
    }
}

/// What one step did below one root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepChanges {
    /// The step's number.
    pub step: u64,
    /// The root's absolute path, as it was opened.
    pub root: String,
    /// What changed, by path.
    pub changes: Vec<Change>,
    /// Why more may have changed than is known, if so.
    pub incomplete: Option<Incomplete>,
    /// When it was taken back (milliseconds since 1970), if it was.
    pub undone_ms: Option<u64>,
}

/// What changed between two looks of the same scope, by path. Whose a thing is and when it was written counts as no
/// change. Files are compared by their saved copies; a digest that is worked out stands in the result.
///
/// # Errors
/// The shelf cannot be read.
pub fn changes(before: &Snapshot, after: &Snapshot, shelf: &Shelf) -> Result<Vec<Change>, SnapshotError> {
    let partial = before.incomplete.is_some() || after.incomplete.is_some();
    let (shut_before, shut_after) = (shut(before), shut(after));
    let mut found = Vec::new();
    for (one, other) in (Pairs { one: &before.entries, other: &after.entries }) {
        let mut change = match (one, other) {
            (Some(one), Some(other)) => {
                let change =
                    Change { path: one.path.clone(), before: Some(one.node.clone()), after: Some(other.node.clone()) };
                if is_same(one, other, shelf)? {
                    continue;
                }
                change
            }
            (Some(one), None) if !partial => {
                let after = within(&shut_after, &one.path).map(|why| Node::Unseen { why });
                Change { path: one.path.clone(), before: Some(one.node.clone()), after }
            }
            (None, Some(other)) if !partial && within(&shut_before, &other.path).is_none() => {
                Change { path: other.path.clone(), before: None, after: Some(other.node.clone()) }
            }
            _ => continue,
        };
        for node in change.nodes() {
            complete_digest(node, shelf)?;
        }
        found.push(change);
    }
    Ok(found)
}

/// The folders that could not be looked into, and why.
fn shut(snapshot: &Snapshot) -> HashMap<&RelPath, Unkept> {
    let why = |entry: &Entry| if let Node::Folder { shut, .. } = &entry.node { *shut } else { None };
    snapshot.entries.iter().filter_map(|entry| Some((&entry.path, why(entry)?))).collect()
}

/// Why a path was not seen, if it lies in one of them.
fn within(shut: &HashMap<&RelPath, Unkept>, path: &RelPath) -> Option<Unkept> {
    if shut.is_empty() {
        return None;
    }
    std::iter::once(RelPath::root()).chain(path.folders()).find_map(|folder| shut.get(&folder).copied())
}

fn is_same(one: &Entry, other: &Entry, shelf: &Shelf) -> Result<bool, SnapshotError> {
    if let (Node::File { mode, len, content, .. }, Node::File { mode: mode2, len: len2, content: content2, .. }) =
        (&one.node, &other.node)
    {
        return Ok(mode == mode2
            && len == len2
            && match (content, content2) {
                (Content::Kept { blob, .. }, Content::Kept { blob: blob2, .. }) => {
                    blob == blob2 || digest_of(*blob, *len, shelf)? == digest_of(*blob2, *len, shelf)?
                }
                _ => one.stamp == other.stamp,
            });
    }
    Ok(match (&one.node, &other.node) {
        (Node::Folder { mode, shut, .. }, Node::Folder { mode: mode2, shut: shut2, .. }) => {
            mode == mode2 && shut == shut2
        }
        (one, other) => same_content(one, other),
    })
}

/// Whether two recorded nodes hold the same, permissions and owners apart. Of a content that was not kept, its length is
/// all that is known.
fn same_content(one: &Node, other: &Node) -> bool {
    match (one, other) {
        (Node::File { len, content, .. }, Node::File { len: len2, content: content2, .. }) => {
            len == len2
                && match (content, content2) {
                    (Content::Kept { blob, digest }, Content::Kept { blob: blob2, digest: digest2 }) => {
                        blob == blob2 || (digest.is_some() && digest == digest2)
                    }
                    (Content::Not(why), Content::Not(why2)) => why == why2,
                    _ => false,
                }
        }
        (Node::Link { target, .. }, Node::Link { target: target2, .. }) => target == target2,
        (Node::Special { what }, Node::Special { what: what2 }) => what == what2,
        (Node::Folder { .. }, Node::Folder { .. }) | (Node::Unseen { .. }, Node::Unseen { .. }) => true,
        _ => false,
    }
}

/// Whether two recorded nodes are the same, as far as it is put back.
pub(crate) fn same(one: Option<&Node>, other: Option<&Node>) -> bool {
    let mode = |node: &Node| node.mode().map(|mode| mode & !SET_ID);
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => mode(one) == mode(other) && same_content(one, other),
        _ => false,
    }
}

fn digest_of(blob: BlobId, len: u64, shelf: &Shelf) -> Result<Digest, SnapshotError> {
    copy::digest(shelf.blob(blob)?, len).map_err(SnapshotError::shelf("read", format!("copy {}", blob.0)))
}

fn complete_digest(node: &mut Node, shelf: &Shelf) -> Result<(), SnapshotError> {
    if let Node::File { len, content: Content::Kept { blob, digest: digest @ None }, .. } = node {
        *digest = Some(digest_of(*blob, *len, shelf)?);
    }
    Ok(())
}

/// Goes through two lists that are ordered by path, side by side.
struct Pairs<'a> {
    one: &'a [Entry],
    other: &'a [Entry],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Option<&'a Entry>, Option<&'a Entry>);

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.one.first(), self.other.first()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => one.path.cmp(&other.path),
        };
        let take = |list: &mut &'a [Entry], wanted: bool| {
            let (first, rest) = wanted.then(|| list.split_first()).flatten()?;
            *list = rest;
            Some(first)
        };
        let one = take(&mut self.one, order != Ordering::Greater);
        let other = take(&mut self.other, order != Ordering::Less);
        Some((one, other))
    }
}

/// What several steps come to below one root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Combined {
    /// What is not as it was before the first of them, by path.
    pub changes: Vec<Change>,
    /// What somebody else changed between two of them, which taking back both would take back too.
    pub broken: Vec<RelPath>,
    /// Why more may have changed than is known, if so.
    pub incomplete: Option<Incomplete>,
}

/// What `steps`, in the order in which they were taken, come to below the root they share.
#[must_use]
pub fn combine<'a>(steps: impl IntoIterator<Item = &'a StepChanges>) -> Combined {
    let mut all: std::collections::BTreeMap<RelPath, Change> = std::collections::BTreeMap::new();
    let mut combined = Combined::default();
    for step in steps {
        combined.incomplete = combined.incomplete.or(step.incomplete);
        for change in &step.changes {
            match all.get_mut(&change.path) {
                None => {
                    all.insert(change.path.clone(), change.clone());
                }
                Some(known) => {
                    if !same(known.after.as_ref(), change.before.as_ref()) {
                        combined.broken.push(change.path.clone());
                    }
                    known.after.clone_from(&change.after);
                }
            }
        }
    }
    combined.broken.sort();
    combined.broken.dedup();
    combined.changes =
        all.into_values().filter(|change| !same(change.before.as_ref(), change.after.as_ref())).collect();
    combined
}
