//! What runs inside a cell: the file tools, and the first process of a cell for programs.
//!
//! [`serve`] is the whole life of a cell's hands: it says what it found out about its own confinement, then answers one
//! frame after another, single-threaded, until the host hangs up. It is called in a process that is confined already,
//! with one socket and the directory handles of its roots; it holds no state but what lies on disk.
//!
//! Each tool turns an action into either text (`read_file`, `list_folder`, `find`, `search`) or a *change*
//! (`write_file`, `edit_file`): one file, its bytes before and after. Planning reports a change, performing makes it if
//! the file still is as planned, querying compares the file with both states. So the three cannot disagree about what a
//! call means.
//!
//! [`serve_programs`] is its counterpart in a cell where programs run that anybody may have chosen: it starts them by the
//! right that the cell's making gave it ([`autoshare_sandbox::Programs`]) and says how they ended. Their output does not
//! pass it.
//!
//! [`serve_reader`] is the whole life of a reader cell: one document in, what is in it out ([`reader`]), and the end.
//!
//! **Invariants**
//! - Files are touched through `autoshare_workspace` alone. Which root is asked is decided by words
//!   (`autoshare_core::place`), whether a file is reached by the kernel. A path outside every root is tried with
//!   `O_PATH` and never read, so that the refusal tells what the boundary really answered.
//! - Planning and querying change nothing (querying removes the temporary file of the action it asks about).
//! - A frame that is not a message ends the loop with an error; a tool that fails does not. Nothing panics.
//! - No reply is larger than the frame allows: what is longer than `max_text` goes to a file of the workspace.
//!
//! It knows no tenant, brain, key or model, has no clock, and does not judge whether an action *should* be done.

mod frames;
mod init;
pub mod reader;
mod roots;
mod serve;
mod serve_reader;
mod tools;

pub use init::serve_programs;
pub use roots::CellRoot;
pub use serve::serve;
pub use serve_reader::serve_reader;

use autoshare_core::wire::FrameError;

/// Why a cell's loop ended before the host hung up.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The host sent what is no message.
    #[error("the host sent what is no message: {0}. Host and cell must be of one version")]
    Frame(#[from] FrameError),
    /// The stream ended inside a frame.
    #[error("the host hung up in the middle of a message. Look for why the host ended")]
    Cut,
    /// The socket failed.
    #[error("the socket to the host failed: {0}. Look for why the host ended")]
    Socket(#[from] std::io::Error),
}
