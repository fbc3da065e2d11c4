//! Holdfast: an in-memory map that survives.

pub mod backend;
pub mod error;
pub mod frame;
pub mod host;
pub mod log;
pub mod map;
pub mod op;
pub mod options;
pub mod snapshot;
