//! `write_file` and `edit_file`: what a file is to be.

use autoshare_core::outcome::{FileState, Plan, Refusal};
use autoshare_core::tool::Action;
use autoshare_workspace::WorkspaceError;

use super::{Change, failed, need, refusal};
use crate::roots::Spot;

/// `write_file`: path, content, mode `create`, `replace` (when none is given) or `append`.
pub(super) fn write<'a>(spot: Spot<'a>, action: &Action) -> Result<Change<'a>, Refusal> {
    let content = need(action, "content")?;
    let target = spot.workspace.target(&spot.path).map_err(refusal)?;
    let shown = format!("{}{}", spot.prefix, target.path);
    let content = match (action.text("mode").unwrap_or("replace"), &target.content) {
        ("create", Some(_)) => return Err(WorkspaceError::Exists { path: shown }.refusal()),
        ("create" | "replace" | "append", None) | ("replace", Some(_)) => content.into(),
        ("append", Some(before)) => [before, content.as_bytes()].concat(),
        (other, _) => return Err(failed(format!("the mode {other:?} is none of create, replace and append"))),
    };
    Ok(Change { workspace: spot.workspace, target, content, shown })
}

/// `edit_file`: path, old, new, all. `old` must stand in the file exactly once, unless `all` are meant.
pub(super) fn edit<'a>(spot: Spot<'a>, action: &Action) -> Result<Change<'a>, Refusal> {
    let (old, new) = (need(action, "old")?, need(action, "new")?);
    let target = spot.workspace.target(&spot.path).map_err(refusal)?;
    let shown = format!("{}{}", spot.prefix, target.path);
    let Some(before) = &target.content else {
        return Err(WorkspaceError::NotFound { path: shown }.refusal());
    };
    if old.is_empty() {
        return Err(failed(
            "the text to replace is empty; to add to a file, use write_file with mode append".to_owned(),
        ));
    }
    let max = spot.workspace.quota().file;
    if before.len() as u64 > max {
        return Err(WorkspaceError::TooLargeToRead { path: shown, len: before.len() as u64, max }.refusal());
    }
    if old == new {
        return Err(failed("the old and the new text are the same".to_owned()));
    }
    let places = find_all(before, old);
    match (places.len(), action.flag("all")) {
        (0, _) => {
            let windows = old.contains('\n') && !old.contains('\r') && before.windows(2).any(|pair| pair == b"\r\n");
            let hint =
                if windows { "; its lines end in \\r\\n" } else { "; read the file again and copy the text exactly" };
            return Err(failed(format!("{shown:?} does not hold the text to replace{hint}")));
        }
        (count @ 2.., false) => {
            let why = "give more of the text around it, or set all";
            return Err(failed(format!("{shown:?} holds the text to replace {count} times; {why}")));
        }
        _ => {}
    }
    let kept = before.len().saturating_sub(places.len().saturating_mul(old.len()));
    let size = kept.saturating_add(places.len().saturating_mul(new.len()));
    if size as u64 > max {
        return Err(WorkspaceError::FileTooLarge { path: shown, len: size as u64, max }.refusal());
    }
    let mut content = Vec::with_capacity(size);
    let mut rest = 0;
    for place in &places {
        content.extend_from_slice(before.get(rest..*place).unwrap_or_default());
        content.extend_from_slice(new.as_bytes());
        rest = place + old.len();
    }
    content.extend_from_slice(before.get(rest..).unwrap_or_default());
    Ok(Change { workspace: spot.workspace, target, content, shown })
}

/// What an action has done, in words that follow from its plan alone: they are the same when it is only found out later
/// that it was done.
pub(crate) fn done(action: &Action, plan: &Plan, shown: &str, after: &FileState) -> String {
    let deed = match (action.tool.as_str(), action.text("mode"), &plan.before) {
        ("edit_file", ..) => "was changed",
        (_, _, None) => "was created",
        (_, Some("append"), Some(_)) => "was added to",
        _ => "was replaced",
    };
    format!("{shown} {deed} ({} bytes)", after.len)
}

/// Where `needle` stands, without overlaps: linear where the file is UTF-8, byte by byte where it is not.
fn find_all(haystack: &[u8], needle: &str) -> Vec<usize> {
    if let Ok(haystack) = std::str::from_utf8(haystack) {
        return haystack.match_indices(needle).map(|(at, _)| at).collect();
    }
    let (mut places, mut at) = (Vec::new(), 0);
    while let Some(rest) = haystack.get(at..).filter(|rest| rest.len() >= needle.len()) {
        if rest.starts_with(needle.as_bytes()) {
            places.push(at);
            at += needle.len();
        } else {
            at += 1;
        }
    }
    places
}
