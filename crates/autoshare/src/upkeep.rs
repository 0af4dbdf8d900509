//! The command line's grammar: what an operator does beside the work of brains.

use std::path::PathBuf;

use autoshare_vault::sign::PublicKey;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check the whole trail against its chain and its signed heads, or an export against a public key
    Verify {
        /// An export (autoshare audit export); it is checked without any key of this machine
        #[arg(requires = "key")]
        file: Option<PathBuf>,
        /// The public key of the machine that it is from, as `autoshare audit key` prints it there
        #[arg(long, value_name = "PUBLIC", requires = "file")]
        key: Option<PublicKey>,
    },
    /// Print the whole trail as JSON lines that others can check
    Export,
    /// Print the public key that checks this machine's signatures
    Key,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Use new keys from now on; what was sealed before still opens. Others may serve meanwhile
    Rotate(Rotate),
    /// Write all keys into one file, sealed under a recovery key that is printed once, on stdout
    Backup {
        /// The file, which is made
        file: PathBuf,
        /// How long it can be restored, such as 12h, 90d or 52w
        #[arg(long, value_name = "TIME")]
        expires: String,
        /// Write the recovery key into this file (0600) instead of printing it
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// Put back keys that are missing or damaged; the recovery key is asked for or read from standard input
    Restore {
        /// What `autoshare key backup` made
        file: PathBuf,
        /// A file that holds the recovery key
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// List the backups of keys that have not expired; with --tenant, those that hold its key, also where it was destroyed
    Bundles,
}

/// Which keys: the machine's, or those of the tenant that --tenant names.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Rotate {
    /// The key that wraps all tenants' keys
    #[arg(long, conflicts_with = "tenant")]
    pub(crate) machine: bool,
}
