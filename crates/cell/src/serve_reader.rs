//! The life of a reader cell.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use autoshare_core::document::{MAX_INPUT, ReadRefusal};
use autoshare_core::wire::{FromReader, Probe, ToReader};

use crate::{CellError, frames, reader};

/// Says [`FromReader::Ready`] with `probes`, takes one document from `socket` (a connected stream), says what is in it,
/// and is done: nothing of a document is there when another one comes.
///
/// # Errors
/// The stream failed, or carried what is no message. A document that is not read is answered, and is no error here.
pub fn serve_reader(socket: OwnedFd, probes: Vec<Probe>) -> Result<(), CellError> {
    let mut stream = UnixStream::from(socket);
    frames::send(&mut stream, &FromReader::Ready { probes })?;
    let Some(ToReader { hint, bytes }) = frames::receive(&mut stream)? else { return Ok(()) };
    let read = match usize::try_from(bytes) {
        Ok(length) if length <= MAX_INPUT => reader::read(&frames::bytes(&mut stream, length)?, &hint),
        _ => Err(ReadRefusal::TooLarge { bytes }),
    };
    match read {
        Ok(mut document) => {
            let text = std::mem::take(&mut document.text);
            let head = FromReader::Read { document: Box::new(document), text: text.len() as u64 };
            frames::send(&mut stream, &head)?;
            stream.write_all(text.as_bytes())?;
        }
        Err(refusal) => frames::send(&mut stream, &FromReader::Refused { refusal })?,
    }
    Ok(stream.flush()?)
}
