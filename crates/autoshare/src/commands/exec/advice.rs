//! Why a program of the caller's is not there in a cell, and what shows it.

use std::path::{Path, PathBuf};

use autoshare_host::programs::PATH;
use autoshare_sandbox::SYSTEM;
use rustix::fs::{Access, Mode, OFlags};

/// Bytes of a first line that the kernel looks at (`BINPRM_BUF_SIZE`).
const FIRST_LINE: usize = 256;

/// Where a program is on this machine that could not be started in a cell that shows `roots`, and what shows it. `path` is
/// where the caller's programs are looked for.
pub(super) fn where_it_is(program: &str, path: &str, roots: &[String]) -> Option<String> {
    let found = find(program, path)?;
    let is_shown =
        |file: &Path| SYSTEM.iter().copied().chain(roots.iter().map(String::as_str)).any(|root| file.starts_with(root));
    let (real, missing) = if is_shown(&found) && is_shown(&crate::assemble::real(&found)) {
        let interpreter = interpreter(&found)?;
        (crate::assemble::real(&interpreter), interpreter)
    } else {
        (crate::assemble::real(&found), found.clone())
    };
    // What installers put into the path is often a link: the folder that it leads to is the one that is needed.
    let link =
        if real == missing { String::new() } else { format!("{} leads to {}; ", missing.display(), real.display()) };
    let folder = package_folder(&real)?.display();
    match (missing == found, is_shown(&real)) {
        (true, true) => Some(format!("; {link}run that")),
        (true, false) => Some(format!(
            "; {link}it is in {folder}, which the cell does not show: add --read {folder}, and run {}",
            real.display()
        )),
        (false, true) => None,
        (false, false) => Some(format!(
            "; it is run by {}; {link}that is in {folder}, which the cell does not show: add --read {folder} (and what \
             it needs)",
            missing.display()
        )),
    }
}

/// A program by its full path, or by its name in what of the caller's path a cell does not have.
fn find(program: &str, path: &str) -> Option<PathBuf> {
    let is_there = |file: &PathBuf| rustix::fs::access(file, Access::EXEC_OK).is_ok();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|file| file.is_absolute() && is_there(file));
    }
    let theirs = |folder: &&str| folder.starts_with('/') && !PATH.split(':').any(|known| known == *folder);
    path.split(':').filter(theirs).map(|folder| Path::new(folder).join(program)).find(is_there)
}

/// What runs a script, by its first line.
fn interpreter(script: &Path) -> Option<PathBuf> {
    let file = rustix::fs::open(script, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).ok()?;
    let mut buffer = [0; FIRST_LINE];
    let read = rustix::io::read(&file, &mut buffer).ok()?;
    let first = buffer.get(..read)?.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(first).ok()?.split_ascii_whitespace().next().map(PathBuf::from)
}

/// The folder of a program with what it needs: npm's packages find one another in the outermost `node_modules`.
fn package_folder(program: &Path) -> Option<&Path> {
    let modules = program.ancestors().filter(|folder| folder.file_name().is_some_and(|name| name == "node_modules"));
    modules.last().or_else(|| program.parent())
}
