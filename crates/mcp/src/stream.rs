//! MCP over a pair of byte streams: one JSON text a line, each bounded.

use std::sync::Arc;

use rmcp::model::{ClientJsonRpcMessage, ErrorData, RequestId, ServerJsonRpcMessage};
use rmcp::service::RoleClient;
use rmcp::transport::Transport;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::Mutex;

use crate::handler::Shared;
use crate::limits::Limits;

/// Lines that are no messages (what a careless server prints on its standard output) that are passed over.
const MAX_NOISE: usize = 1_000;

/// A connection over streams.
pub(crate) struct Lines<R, W> {
    read: BufReader<R>,
    line: Vec<u8>,
    write: Arc<Mutex<Option<W>>>,
    shared: Arc<Shared>,
    limits: Limits,
    noise: usize,
}

impl<R: AsyncRead + Unpin, W> Lines<R, W> {
    pub(crate) fn new(read: R, write: W, shared: Arc<Shared>, limits: Limits) -> Self {
        let write = Arc::new(Mutex::new(Some(write)));
        Self { read: BufReader::new(read), line: Vec::new(), write, shared, limits, noise: 0 }
    }

    /// Reads on to the end of a line; false at the end of the stream, or when it is ended from here. What was read of a
    /// line is kept when this is dropped half way.
    async fn read_line(&mut self) -> bool {
        loop {
            let available = match self.read.fill_buf().await {
                Ok([]) | Err(_) => return false,
                Ok(available) => available,
            };
            let end = available.iter().position(|byte| *byte == b'\n');
            let take = end.map_or(available.len(), |at| at + 1);
            if self.line.len() + take > self.limits.frame {
                self.shared.end(format!("it sent a message of more than {} bytes", self.limits.frame));
                return false;
            }
            self.line.extend_from_slice(available.get(..take).unwrap_or_default());
            self.read.consume(take);
            if end.is_some() {
                return true;
            }
        }
    }

    /// The message that the line is; `None` for what is passed over.
    fn take_line(&mut self) -> Result<Option<ServerJsonRpcMessage>, String> {
        let line = std::mem::take(&mut self.line);
        let text = line.trim_ascii();
        if text.is_empty() {
            return Ok(None);
        }
        if text.first() != Some(&b'{') {
            self.noise += 1;
            if self.noise > MAX_NOISE {
                return Err(format!("it printed more than {MAX_NOISE} lines that are no messages"));
            }
            return Ok(None);
        }
        // Twice, so that an answer in an odd form is an error of that one call.
        let value: Value = serde_json::from_slice(text).map_err(|error| format!("it sent what is no JSON: {error}"))?;
        match serde_json::from_value(value.clone()) {
            Ok(message) => Ok(Some(message)),
            Err(error) => Ok(odd(&value, &error)),
        }
    }
}

/// What stands for an answer that fits no form: an error under its number. Anything else of an odd form is passed over.
pub(crate) fn odd(value: &Value, error: &serde_json::Error) -> Option<ServerJsonRpcMessage> {
    if value.get("method").is_some() {
        return None;
    }
    let id: RequestId = serde_json::from_value(value.get("id")?.clone()).ok()?;
    let why = format!("its answer has a form that MCP does not know ({error})");
    Some(ServerJsonRpcMessage::error(ErrorData::internal_error(why, None), Some(id)))
}

impl<R, W> Transport<RoleClient> for Lines<R, W>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = std::io::Error;

    fn send(&mut self, message: ClientJsonRpcMessage) -> impl Future<Output = std::io::Result<()>> + Send + 'static {
        let write = Arc::clone(&self.write);
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            let mut write = write.lock().await;
            let stream = write.as_mut().ok_or(std::io::ErrorKind::NotConnected)?;
            stream.write_all(&line).await?;
            stream.flush().await
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            if !self.read_line().await {
                return None;
            }
            match self.take_line() {
                Ok(Some(message)) => {
                    let unasked = is_unasked(&message);
                    if unasked && !self.shared.may_be_unasked(self.limits.unasked) {
                        return None;
                    }
                    return Some(message);
                }
                Ok(None) => {}
                Err(why) => {
                    self.shared.end(why);
                    return None;
                }
            }
        }
    }

    async fn close(&mut self) -> std::io::Result<()> {
        // Its standard input ends: that is how a server is asked to go. One that reads no more is not waited for.
        if let Ok(mut write) = self.write.try_lock() {
            *write = None;
        }
        Ok(())
    }
}

/// Whether nobody asked for a message.
pub(crate) fn is_unasked(message: &ServerJsonRpcMessage) -> bool {
    matches!(message, ServerJsonRpcMessage::Request(_) | ServerJsonRpcMessage::Notification(_))
}
