//! The grammar of `share`.

use autoshare_core::{Digest, ShareId, TenantName};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Share {
    /// Offer another tenant a copy of a file or a folder of a brain's workspace, to be read
    Offer(OfferShare),
    /// List what you share, and what is shared with you
    List,
    /// Show a share: its files, and the risk of it
    Show {
        /// Its id
        id: ShareId,
    },
    /// Accept what is offered to you, as it was shown
    Accept {
        /// Its id
        id: ShareId,
        /// The digest that `share show` shows
        digest: Digest,
    },
    /// End a share: take it back, decline it, or give it back
    End {
        /// Its id
        id: ShareId,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OfferShare {
    /// The tenant; whether there is one of this name is not told
    pub(crate) to: TenantName,
    /// The brain, or the beginning of its id
    pub(crate) brain: String,
    /// The file or folder, below the brain's workspace; `.` is all of it
    pub(crate) path: String,
    /// What it is called
    #[arg(long, value_name = "NAME", default_value = "files")]
    pub(crate) name: String,
    /// What you say of it
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
}
