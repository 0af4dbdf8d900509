//! The words of AutoSHARE as types.
//!
//! Everything that crosses a boundary between two crates is spelt here: identifiers, what a tool is ([`tool`]), what a
//! brain's journal says ([`event`]), what is said to a model ([`chat`]), what host and cell say to each other
//! ([`wire`]), what was decided and why ([`verdict`]), what was used ([`usage`]),
//! how much may be ([`budget`]), what an audit trail tells ([`audit`]), and how long things took ([`histogram`]).
//!
//! **Invariant:** no I/O, no clock, no randomness; a value of a type here has been checked by its constructor.
//! This crate does not know who produces or consumes a value.

pub mod audit;
pub mod budget;
pub mod chat;
pub mod day;
pub mod digest;
pub mod document;
pub mod event;
pub mod fair;
pub mod histogram;
pub mod ids;
pub mod origin;
pub mod outcome;
pub mod place;
pub mod screening;
pub mod special;
pub mod tool;
pub mod usage;
pub mod verdict;
pub mod warrant;
pub mod wildcard;
pub mod wire;

pub use digest::{Digest, Digesting};
pub use ids::{BrainId, PersonId, Seq, ShareId, StepNo, TenantName, TokenId, TurnNo};
