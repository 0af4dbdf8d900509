//! The control socket: JSON lines over a Unix socket in a directory that only its owner may enter.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use autoshare_access::Access;
use autoshare_core::event::{Answer, Answerer};
use autoshare_core::{BrainId, Digest, Seq};
use autoshare_host::{Question, Stop, Switchboard};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast;

/// Bytes of one request line at most.
const MAX_LINE: u64 = 64 * 1024;
/// How long a request may take to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at once at most; a further one is closed.
const MAX_CONNECTIONS: usize = 64;
/// Bytes of a socket's path at most (`sun_path`, unix(7), less its NUL).
const MAX_SOCKET_PATH: usize = 107;

/// What a face asks of the driving process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do", deny_unknown_fields)]
pub enum Ask {
    /// Which questions wait.
    Questions {},
    /// Answer a question.
    Answer {
        /// Whose.
        brain: BrainId,
        /// Exactly what it is about.
        digest: Digest,
        /// The answer.
        answer: Answer,
        /// The login name of the person, for the journal.
        name: String,
    },
    /// Stop a brain.
    Stop {
        /// Which one.
        brain: BrainId,
        /// How soon.
        how: Stop,
    },
    /// Say whenever a brain's journal has grown, until the connection ends.
    Follow {
        /// Which one.
        brain: BrainId,
    },
}

/// What the driving process answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "say")]
pub enum Say {
    /// It is done.
    Done {},
    /// These wait.
    Questions {
        /// The questions.
        waiting: Vec<Question>,
    },
    /// A journal has grown to this record.
    Grown {
        /// The last record.
        seq: Seq,
    },
    /// It was not done.
    Refused {
        /// Why.
        why: String,
    },
}

/// What goes wrong at the control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket cannot be made.
    #[error("the control socket {path} cannot be made: {why}")]
    Listen {
        /// Where.
        path: String,
        /// Why, and what to do.
        why: String,
    },
    /// Nobody answers there.
    #[error(
        "the process {pid} that drives this brain does not answer ({why}); if it hangs, end it and run `autoshare resume`"
    )]
    Unreachable {
        /// Its process id.
        pid: u32,
        /// Why.
        why: String,
    },
    /// It answered something else.
    #[error("the driving process answered with something this version does not know: {0}")]
    Nonsense(String),
}

/// Where the process `pid` listens.
#[must_use]
pub fn socket_path(data_dir: &Path, pid: u32) -> PathBuf {
    data_dir.join("run").join(format!("{pid}.sock"))
}

/// What a handler works with.
struct Face {
    switchboard: Arc<Switchboard>,
    grown: broadcast::Sender<(BrainId, Seq)>,
    data_dir: PathBuf,
}

/// The listening socket; it is removed when dropped.
pub struct Control {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Control {
    /// Listens for this process. `grown` tells of every journaled record.
    ///
    /// # Errors
    /// [`ControlError::Listen`].
    pub fn listen(
        data_dir: &Path,
        switchboard: Arc<Switchboard>,
        grown: broadcast::Sender<(BrainId, Seq)>,
    ) -> Result<Self, ControlError> {
        let path = socket_path(data_dir, std::process::id());
        let refused = |why: String| ControlError::Listen { path: path.display().to_string(), why };
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            return Err(refused(format!(
                "its path is longer than {MAX_SOCKET_PATH} bytes; choose a shorter --data-dir"
            )));
        }
        let dir = data_dir.join("run");
        make_private_dir(&dir).map_err(|e| refused(e.to_string()))?;
        // A socket of our own pid can only be left over from a dead process.
        match rustix::fs::unlink(&path) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(e) => return Err(refused(e.to_string())),
        }
        let listener = UnixListener::bind(&path).map_err(|e| refused(e.to_string()))?;
        rustix::fs::chmod(&path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .map_err(|e| refused(e.to_string()))?;
        let face = Arc::new(Face { switchboard, grown, data_dir: data_dir.to_owned() });
        let task = tokio::spawn(accept(listener, face));
        Ok(Self { path, task })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // It may be gone already; there is nobody to tell.
        let _ = rustix::fs::unlink(&self.path);
    }
}

fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    match rustix::fs::mkdir(dir, rustix::fs::Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(e) => return Err(e.into()),
    }
    let found = dir.symlink_metadata()?;
    if !found.is_dir() || found.permissions().mode() & 0o077 != 0 {
        return Err(std::io::Error::other("its directory is open to others; run chmod 700 on it"));
    }
    Ok(())
}

async fn accept(listener: UnixListener, face: Arc<Face>) {
    let places = Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let face = Arc::clone(&face);
        tokio::spawn(async move {
            // A peer that went away has nobody to be told.
            let _ = serve(stream, &face).await;
            drop(place);
        });
    }
}

async fn serve(stream: UnixStream, face: &Face) -> std::io::Result<()> {
    let peer = stream.peer_cred()?;
    let (reader, mut writer) = stream.into_split();
    let Ok(_access) = Access::of_peer(&face.data_dir, peer.uid()) else {
        let why = "this control socket answers to its owner alone".to_owned();
        return say(&mut writer, &Say::Refused { why }).await;
    };
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut reader).take(MAX_LINE);
        let read = bounded.read_until(b'\n', &mut line);
        match tokio::time::timeout(READ_TIMEOUT, read).await {
            Ok(Ok(1..)) if line.ends_with(b"\n") => {}
            _ => return Ok(()),
        }
        match serde_json::from_slice(&line) {
            Ok(Ask::Follow { brain }) => return follow(&mut writer, face, &brain).await,
            Ok(ask) => say(&mut writer, &answer(face, ask)).await?,
            Err(error) => {
                let why = format!("not a request: {error}");
                return say(&mut writer, &Say::Refused { why }).await;
            }
        }
    }
}

fn answer(face: &Face, ask: Ask) -> Say {
    match ask {
        Ask::Questions {} => Say::Questions { waiting: face.switchboard.questions() },
        Ask::Answer { brain, digest, answer, name } => {
            match face.switchboard.answer(&brain, &digest, answer, Answerer::Person { name }) {
                Ok(()) => Say::Done {},
                Err(error) => Say::Refused { why: error.to_string() },
            }
        }
        Ask::Stop { brain, how } => {
            face.switchboard.stop(&brain, how);
            Say::Done {}
        }
        Ask::Follow { .. } => Say::Refused { why: "a follower asks nothing else".to_owned() },
    }
}

async fn follow(writer: &mut (impl AsyncWriteExt + Unpin), face: &Face, brain: &BrainId) -> std::io::Result<()> {
    let mut grown = face.grown.subscribe();
    loop {
        match grown.recv().await {
            Ok((of, seq)) if of == *brain => say(writer, &Say::Grown { seq }).await?,
            // One that lags behind reads everything it missed at the next word.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        }
    }
}

async fn say(writer: &mut (impl AsyncWriteExt + Unpin), word: &Say) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// A connection to the process that drives a brain.
pub struct Line {
    pid: u32,
    reader: BufReader<tokio::net::unix::OwnedReadHalf>,
    writer: tokio::net::unix::OwnedWriteHalf,
}

impl Line {
    /// Connects to the process `pid`.
    ///
    /// # Errors
    /// [`ControlError::Unreachable`].
    pub async fn connect(data_dir: &Path, pid: u32) -> Result<Self, ControlError> {
        let stream = UnixStream::connect(socket_path(data_dir, pid))
            .await
            .map_err(|e| ControlError::Unreachable { pid, why: e.to_string() })?;
        let (reader, writer) = stream.into_split();
        Ok(Self { pid, reader: BufReader::new(reader), writer })
    }

    /// Sends a request without waiting for an answer.
    ///
    /// # Errors
    /// When the other side is gone.
    pub async fn send(&mut self, ask: &Ask) -> Result<(), ControlError> {
        let mut line = serde_json::to_vec(ask).map_err(|e| ControlError::Nonsense(e.to_string()))?;
        line.push(b'\n');
        self.writer.write_all(&line).await.map_err(|e| self.unreachable(&e))
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// When the other side is gone or says something unknown.
    pub async fn ask(&mut self, ask: &Ask) -> Result<Say, ControlError> {
        self.send(ask).await?;
        self.next().await?.ok_or_else(|| ControlError::Unreachable { pid: self.pid, why: "it hung up".to_owned() })
    }

    /// The next word; `None` when the other side is done.
    ///
    /// # Errors
    /// As [`Line::ask`].
    pub async fn next(&mut self) -> Result<Option<Say>, ControlError> {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line).await.map_err(|e| self.unreachable(&e))?;
        if read == 0 {
            return Ok(None);
        }
        serde_json::from_slice(&line).map(Some).map_err(|e| ControlError::Nonsense(e.to_string()))
    }

    fn unreachable(&self, error: &std::io::Error) -> ControlError {
        ControlError::Unreachable { pid: self.pid, why: error.to_string() }
    }
}
