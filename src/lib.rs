//! Holdfast: an in-memory map that survives.

pub mod backend;
pub mod error;
pub mod host;
