//! Sockets of the host below a cell's roots. To connect to one by its path, a mount that shows it suffices, read-only or
//! not, whatever network namespace either side is in, and before ABI 9 Landlock says nothing about it (unix(7)).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType};

use crate::proc;
use crate::spec::CellSpec;

/// Those that are bound now, by the names that they were bound to. To be asked in the host's network namespace. One that
/// comes to be later is not among them: before ABI 9 a cell reaches it, if it lies where the cell may write.
pub(crate) fn of_the_host(spec: &CellSpec) -> Vec<PathBuf> {
    let bound = proc::read("/proc/net/unix").unwrap_or_default();
    // Every connection to a socket has its name too.
    let names: BTreeSet<&str> = named(&bound).collect();
    let mut found: Vec<PathBuf> = names.into_iter().filter_map(|name| settle(Path::new(name))).collect();
    found.sort();
    found.dedup();
    spec.below_roots(&found).map(Path::to_owned).collect()
}

/// The paths in `/proc/net/unix` (proc_net(5)): the eighth field, which may hold blanks; those before it may be padded.
fn named(bound: &str) -> impl Iterator<Item = &str> {
    let after_field = |line: &'_ str| line.trim_start().split_once(' ').map(|(_, rest)| rest.len());
    bound.lines().skip(1).filter_map(move |line| {
        let path = (0..7).try_fold(line, |rest, _| rest.get(rest.len() - after_field(rest)?..))?.trim_start();
        path.starts_with('/').then_some(path)
    })
}

/// Where a socket is, by no link; `None` if there is none of that name, as after a change of root.
fn settle(name: &Path) -> Option<PathBuf> {
    let path = proc::resolve(name.parent()?)?.join(name.file_name()?);
    let stat = rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    (path.to_str().is_some() && FileType::from_raw_mode(stat.st_mode) == FileType::Socket).then_some(path)
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_told_from_other_sockets() {
        let bound = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                     0000000000000000: 00000002 00000000 00010000 0001 01 17230 /run/a socket\n\
                     0000000000000000: 00000002 00000000 00010000 0001 01   230 /home/x/s\n\
                     0000000000000000: 00000003 00000000 00000000 0001 03 21430\n\
                     0000000000000000: 00000002 00000000 00000000 0002 01 16522 relative\n\
                     0000000000000000: 00000002 00000000 00000000 0002 01 16522 @/tmp/abstract\n";
        assert_eq!(super::named(bound).collect::<Vec<_>>(), ["/run/a socket", "/home/x/s"]);
    }
}
