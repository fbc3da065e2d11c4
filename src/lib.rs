//! Holdfast: an in-memory map that survives.
//!
//! Reads at memory speed; writes go through an append-only op log and snapshots into a [`backend`], at the
//! durability the caller asks for. ARCHITECTURE.md draws the whole, FORMAT.md gives every byte.

pub mod backend;
mod checkpoint;
mod commit;
mod error;
pub mod frame;
mod hash;
mod host;
pub mod log;
pub mod map;
pub mod op;
mod options;
mod recovery;
pub mod snapshot;
mod store;
#[cfg(target_arch = "wasm32")]
mod task;
#[cfg(target_arch = "wasm32")]
mod wasm;

pub use checkpoint::{Report, SnapshotInfo};
pub use commit::Counts;
pub use error::{Code, Error, Result};
pub use host::Host;
pub use options::{Durability, Level, Mode, Options, Recovery, RewriteRule, SaveRule};
pub use recovery::{DataLoss, Facts, LogFound, Promise, Recovered, Row, SnapshotFound, decide};
pub use store::{
    Cause, Committed, Condition, Direction, Event, KEY_BYTES_MAX, Recording, Role, ScanRange, Store, Unsynced,
};
