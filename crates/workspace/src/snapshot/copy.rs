//! Copies and digests of files that cost what the files hold, not how long they say they are.

use std::os::fd::AsFd;

use autoshare_core::Digest;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// Bytes that are read, written or digested at a time.
const BLOCK: usize = 64 * 1024;

/// Makes the empty file `to` hold what `from` holds, `len` bytes: a clone that shares its blocks where the file system
/// can (`FICLONE`), else a copy that leaves holes as holes. Gives the bytes that were copied, `None` if they are more
/// than `most`: then `to` is of no use.
pub(crate) fn copy(from: impl AsFd, to: impl AsFd, len: u64, most: u64) -> Result<Option<u64>, Errno> {
    if rustix::fs::ioctl_ficlone(&to, &from).is_ok() {
        return Ok(Some(0));
    }
    let mut copied = 0;
    let mut at = 0;
    while let Some((start, end)) = data(&from, at, len)? {
        copied += end - start;
        if copied > most {
            return Ok(None);
        }
        copy_range(&from, &to, start, end)?;
        at = end;
    }
    rustix::fs::ftruncate(&to, len)?;
    Ok(Some(copied))
}

/// The next stretch of data from `at` on, below `len`. A file system that does not tell holes has none.
fn data(file: impl AsFd, at: u64, len: u64) -> Result<Option<(u64, u64)>, Errno> {
    if at >= len {
        return Ok(None);
    }
    let start = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL) => return Ok(Some((at, len))),
        Err(errno) => return Err(errno),
    };
    let end = rustix::fs::seek(&file, SeekFrom::Hole(start))?;
    Ok((start < len).then_some((start, end.min(len))))
}

fn copy_range(from: impl AsFd, to: impl AsFd, start: u64, end: u64) -> Result<(), Errno> {
    let (mut at, mut in_kernel) = (start, true);
    let mut buffer = Vec::new();
    while at < end {
        if in_kernel {
            let (mut read, mut written) = (at, at);
            let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(1 << 30);
            match rustix::fs::copy_file_range(&from, Some(&mut read), &to, Some(&mut written), most) {
                Ok(0) => return Ok(()),
                Ok(copied) => at += copied as u64,
                // Other file systems, or one that cannot: by hand.
                Err(_) => in_kernel = false,
            }
            continue;
        }
        let most = usize::try_from(end - at).unwrap_or(BLOCK).min(BLOCK);
        buffer.resize(most, 0);
        let read = rustix::io::pread(&from, &mut buffer, at)?;
        let Some(mut block) = buffer.get(..read).filter(|block| !block.is_empty()) else { return Ok(()) };
        while !block.is_empty() {
            let written = rustix::io::pwrite(&to, block, at)?;
            at += written as u64;
            block = block.get(written..).unwrap_or_default();
        }
    }
    Ok(())
}

/// The digest of a file's content: of its length and of every aligned block of 64 KiB that is not all zero, with where
/// it stands. It is a function of the bytes alone, and costs nothing for holes.
pub(crate) fn digest(file: impl AsFd, len: u64) -> Result<Digest, Errno> {
    let mut digest = Digest::of_parts(&[b"autoshare content 1", &len.to_be_bytes()]);
    let mut buffer = vec![0; BLOCK];
    let mut at = 0;
    while let Some((start, end)) = data(&file, at, len)? {
        at = start - start % BLOCK as u64;
        while at < end {
            let filled = fill(&file, &mut buffer, at)?;
            let block = buffer.get(..filled).unwrap_or_default();
            if block.is_empty() {
                return Ok(digest);
            }
            if block.iter().any(|byte| *byte != 0) {
                digest = Digest::of_parts(&[digest.as_bytes(), &at.to_be_bytes(), block]);
            }
            at += BLOCK as u64;
        }
    }
    Ok(digest)
}

/// Reads from `at` until the buffer is full or the file ends.
fn fill(file: impl AsFd, buffer: &mut [u8], at: u64) -> Result<usize, Errno> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(&file, rest, at + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
