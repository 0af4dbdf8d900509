//! A file in a form (RFC 7578).

use std::convert::Infallible;

use futures_util::stream;
use hyper::header::CONTENT_TYPE;
use hyper::{StatusCode, body::Bytes};

use super::unprocessable;
use crate::api::ask::Ask;
use crate::api::problem::Problem;

/// Parts of a form, and bytes of one that is no file, at most.
const MAX_PARTS: usize = 8;
const MAX_TEXT: usize = 8 * 1_024;

/// A file that is to be put into a workspace.
pub(super) struct Uploaded {
    /// Where, below the workspace.
    pub(super) path: String,
    pub(super) bytes: Bytes,
}

/// The file of a form: its part `file`, and where it goes, its part `relative_path`.
pub(super) async fn file(ask: &Ask) -> Result<Uploaded, Problem> {
    let kind = ask.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind).map_err(|_| {
        let words = "send a form, with Content-Type: multipart/form-data";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", words)
    })?;
    let body = ask.body.clone();
    let mut form = multer::Multipart::new(stream::iter([Ok::<_, Infallible>(body)]), boundary);
    let broken = |error: multer::Error| unprocessable(format!("the form is broken: {error}"));
    let (mut found, mut folder) = (None, String::new());
    for _ in 0..MAX_PARTS {
        let Some(part) = form.next_field().await.map_err(broken)? else { break };
        match part.name() {
            Some("file") if found.is_none() => {
                let name = part.file_name().unwrap_or_default().to_owned();
                found = Some((name, part.bytes().await.map_err(broken)?));
            }
            Some("relative_path") => {
                let bytes = part.bytes().await.map_err(broken)?;
                let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= MAX_TEXT);
                folder = text.ok_or_else(|| unprocessable("relative_path is no path"))?.to_owned();
            }
            _ => {}
        }
    }
    let (name, bytes) = found.ok_or_else(|| unprocessable("the form has no part `file`"))?;
    Ok(Uploaded { path: path(&folder, &name)?, bytes })
}

/// Where a file of this name goes: into the folder, or to the path, that the form names. The workspace judges it.
fn path(folder: &str, name: &str) -> Result<String, Problem> {
    // A browser of old sends the whole path that a file had on its machine.
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(unprocessable("the part `file` names no file"));
    }
    let folder = folder.trim_end_matches('/');
    let is_whole = folder == name || folder.strip_suffix(name).is_some_and(|folder| folder.ends_with('/'));
    Ok(match folder {
        "" | "." => name.to_owned(),
        path if is_whole => path.to_owned(),
        folder => format!("{folder}/{name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f9_a_file_goes_where_the_form_says_and_its_name_is_one_name() {
        let cases = [
            ("", "a.txt", Ok("a.txt")),
            ("docs", "a.txt", Ok("docs/a.txt")),
            ("docs/", "a.txt", Ok("docs/a.txt")),
            ("docs/a.txt", "a.txt", Ok("docs/a.txt")),
            ("a.txt", "a.txt", Ok("a.txt")),
            ("", "../../etc/passwd", Ok("passwd")),
            ("", "C:\\boot.ini", Ok("boot.ini")),
            ("../..", "a.txt", Ok("../../a.txt")),
            ("", "a\r\nSet-Cookie: x", Err(())),
            ("", "", Err(())),
        ];
        for (folder, name, wanted) in cases {
            let found = path(folder, name);
            assert_eq!(found.as_deref().map_err(|_| ()), wanted, "{folder:?} {name:?}");
        }
    }
}
