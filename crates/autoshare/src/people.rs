//! The grammar of `person` and `login`.

use autoshare_access::RoleName;
use autoshare_core::PersonId;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum PersonCommand {
    /// Add somebody: an account at a provider, or whoever has an address that is invited
    Add(AddPerson),
    /// List the people
    List,
    /// Give a person these roles, and no others
    Role {
        /// Their id
        id: PersonId,
        /// What they are: viewer, member, approver, auditor, owner (repeatable); none: nothing
        #[arg(value_name = "ROLE", value_parser = RoleName::parse)]
        roles: Vec<RoleName>,
    },
    /// Remove a person, and end what they hold
    Remove {
        /// Their id
        id: PersonId,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Login {
    /// The server: https://HOST[:PORT], or http:// on this machine
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AddPerson {
    /// What they are called
    pub(crate) name: String,
    /// What they are: viewer, member, approver, auditor, owner (repeatable)
    #[arg(long, value_name = "ROLE", value_parser = RoleName::parse)]
    pub(crate) role: Vec<RoleName>,
    /// The provider of their account, as its ID tokens name it
    #[arg(long, value_name = "URL", requires = "subject")]
    pub(crate) issuer: Option<String>,
    /// Their account there
    #[arg(long, value_name = "ID", requires = "issuer")]
    pub(crate) subject: Option<String>,
    /// Instead of an account: the address of whoever is invited, which their provider must have verified
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["issuer", "subject"])]
    pub(crate) email: Option<String>,
}
