//! Proof that what AutoSHARE says of itself holds on the machine it stands on.
//!
//! - [`doctor`]: which layers this machine can give, what follows where one is missing, and what would give it.
//! - [`verify`]: the attack battery. Each attack runs in a real cell, and beside it its control, the same attack where
//!   every wall is absent; and with one wall alone at a time, which tells what stops it.
//!
//! The tests of this crate (`tests/it`) hold the house itself: who may depend on whom, who may use what, that every
//! dependency is accounted for in `docs/dependencies.md`.
//!
//! **Invariants**
//!
//! - Nothing is reported as in force because it was configured: only because it was tried.
//! - A missing layer is named together with what it means for whoever runs an agent here, and is never called fine.
//! - Every attack has a control in which it succeeds; without one it counts as not applicable here, not as stopped.
//!
//! **What this crate does not know:** brains, tenants, keys. It is given nothing that would be worth stealing.

pub mod doctor;
pub mod verify;
