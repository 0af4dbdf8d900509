//! Frames on the socket.

use std::io::{ErrorKind, Read, Write};

use autoshare_core::wire::{check_length, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::CellError;

/// The next frame; `None` when the host hung up between two frames. The length is checked before anything is allocated.
pub(crate) fn receive<T: DeserializeOwned>(stream: &mut impl Read) -> Result<Option<T>, CellError> {
    let mut length = [0u8; 4];
    let mut have = 0;
    while let Some(rest) = length.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(CellError::Cut),
            Ok(read) => have += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let length = u32::from_be_bytes(length) as usize;
    check_length(length)?;
    Ok(Some(decode(&bytes(stream, length)?)?))
}

/// As many bytes. Grows as they come: a length that is only claimed takes no memory.
pub(crate) fn bytes(stream: &mut impl Read, length: usize) -> Result<Vec<u8>, CellError> {
    let mut body = Vec::new();
    stream.by_ref().take(length as u64).read_to_end(&mut body)?;
    if body.len() < length { Err(CellError::Cut) } else { Ok(body) }
}

/// Sends one frame.
pub(crate) fn send(stream: &mut impl Write, message: &impl Serialize) -> Result<(), CellError> {
    stream.write_all(&encode(message)?)?;
    Ok(stream.flush()?)
}
