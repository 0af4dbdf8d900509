//! Documents of strangers, taken apart where nothing else is.
//!
//! Each document gets a cell of its own without roots, which ends with its answer. The cell is presumed to be taken over
//! by its document: what it says is held to every bound once more ([`Document::checked`]), and its text passes the guard
//! like any other content.

use std::sync::Arc;
use std::time::Duration;

use autoshare_core::document::{Document, Hint, MAX_INPUT, MAX_TEXT, ReadRefusal};
use autoshare_core::wire::{self, FromReader, ToReader};
use autoshare_sandbox::{Cell, CellEnd, CellLimits, CellSpec, Launcher, Tier, Work};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::HostError;

/// What a reader cell may take: one process, half a gibibyte of memory, 20 s of one processor, no files to speak of.
pub const LIMITS: CellLimits = CellLimits {
    memory: 512 << 20,
    processes: 1,
    cpu_percent: 100,
    cpu_weight: 100,
    open_files: 32,
    file_size: 1 << 20,
    cpu_seconds: 20,
    tmp_bytes: 1 << 20,
    tmp_files: 16,
};

/// How long a document may take, the making of its cell included, unless something else is set.
pub const WALL: Duration = Duration::from_secs(60);

/// Reads documents, each in a cell of its own.
#[derive(Debug, Clone)]
pub struct Reader {
    launcher: Arc<Launcher>,
    spec: CellSpec,
    wall: Duration,
}

impl Reader {
    /// Cells come from this launcher and are of this tier at least.
    #[must_use]
    pub fn new(launcher: Arc<Launcher>, least: Tier) -> Self {
        let spec = CellSpec { limits: LIMITS, least, ..CellSpec::new(Work::Tools, Vec::new()) };
        Self { launcher, spec, wall: WALL }
    }

    /// The same with another limit on the time of one document.
    #[must_use]
    pub fn within(self, wall: Duration) -> Self {
        Self { wall, ..self }
    }

    /// Says that a document will come, so that its cell can be made beforehand.
    pub fn expect(&self) {
        self.launcher.expect(&self.spec);
    }

    /// Takes a document apart.
    ///
    /// # Errors
    /// [`HostError::Unread`] if the document is refused, or its cell ended over it; any other if there is no cell.
    pub async fn read(&self, bytes: &[u8], hint: &Hint) -> Result<Document, HostError> {
        if bytes.len() > MAX_INPUT {
            return Err(ReadRefusal::TooLarge { bytes: bytes.len() as u64 }.into());
        }
        let (launcher, spec) = (Arc::clone(&self.launcher), self.spec.clone());
        let mut cell = tokio::task::spawn_blocking(move || launcher.launch(&spec))
            .await
            .map_err(|e| HostError::Task(e.to_string()))??;
        crate::cells::confirm(&cell)?;
        let answer = tokio::time::timeout(self.wall, converse(&cell, bytes, hint)).await;
        let late = answer.is_err();
        match answer {
            Ok(Ok(FromReader::Read { document, .. })) => Ok(document.checked()),
            Ok(Ok(FromReader::Refused { refusal })) => Err(refusal.into()),
            other => {
                let broken = match other {
                    Ok(Err(why)) => why,
                    Ok(Ok(_)) => "it said \"ready\" twice".to_owned(),
                    Err(_) => format!("it took longer than {} s", self.wall.as_secs()),
                };
                // How it ended says more than that its socket closed; a cell that lives on says nothing.
                if late {
                    cell.kill();
                }
                let ended = tokio::task::spawn_blocking(move || end_within(&mut cell));
                let how = match ended.await.map_err(|e| HostError::Task(e.to_string()))? {
                    Some(CellEnd::OutOfMemory) => "out of memory".to_owned(),
                    Some(CellEnd::OutOfTime) => "out of processor time".to_owned(),
                    Some(CellEnd::Exited(101)) => "by a fault in the reader".to_owned(),
                    Some(CellEnd::Signalled(signal)) if !late => format!("by signal {signal}"),
                    _ => broken,
                };
                Err(ReadRefusal::ReaderEnded { how }.into())
            }
        }
    }
}

/// How a cell ended that closed its socket; it is given a second to do so, and then ended.
fn end_within(cell: &mut Cell) -> Option<CellEnd> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    let ended = {
        let ended = cell.ended();
        poll(&mut [PollFd::from_borrowed_fd(ended, PollFlags::IN)], Some(&second))
    };
    if ended == Ok(0) {
        cell.kill();
        return None;
    }
    Some(cell.wait())
}

/// Hands the document over and takes the answer.
async fn converse(cell: &Cell, bytes: &[u8], hint: &Hint) -> Result<FromReader, String> {
    let words = |error: std::io::Error| error.to_string();
    let socket = cell.socket.try_clone().map_err(words)?;
    socket.set_nonblocking(true).map_err(words)?;
    let mut socket = UnixStream::from_std(socket).map_err(words)?;
    if !matches!(receive(&mut socket).await?, FromReader::Ready { .. }) {
        return Err("it did not say that it is ready".to_owned());
    }
    let head = ToReader { hint: hint.clone(), bytes: bytes.len() as u64 };
    let head = wire::encode(&head).map_err(|e| e.to_string())?;
    socket.write_all(&head).await.map_err(words)?;
    socket.write_all(bytes).await.map_err(words)?;
    let mut answer = receive(&mut socket).await?;
    if let FromReader::Read { document, text } = &mut answer {
        let length = usize::try_from(*text).ok().filter(|length| *length <= MAX_TEXT);
        let length = length.ok_or_else(|| format!("it claims a text of {text} bytes; {MAX_TEXT} are taken"))?;
        let body = take(&mut socket, length).await?;
        document.text = String::from_utf8(body).map_err(|_| "its text is not UTF-8".to_owned())?;
    }
    Ok(answer)
}

async fn receive(socket: &mut UnixStream) -> Result<FromReader, String> {
    let mut length = [0u8; 4];
    socket.read_exact(&mut length).await.map_err(|e| e.to_string())?;
    let length = u32::from_be_bytes(length) as usize;
    wire::check_length(length).map_err(|e| e.to_string())?;
    wire::decode(&take(socket, length).await?).map_err(|e| e.to_string())
}

/// As many bytes. Grows as they come.
async fn take(socket: &mut UnixStream, length: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    socket.take(length as u64).read_to_end(&mut body).await.map_err(|e| e.to_string())?;
    if body.len() < length { Err("it closed its socket in the middle of its answer".to_owned()) } else { Ok(body) }
}
