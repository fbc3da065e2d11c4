//! The seam: everything the engine asks of a storage.
//!
//! A backend keeps named blobs that only grow at the end or are removed whole. The engine never assumes that
//! an append is atomic, that appends between two syncs keep their order, that a blob which was never synced
//! exists after power loss, that a removed blob stays removed before the next sync, or that a failed sync can
//! be repeated. It does assume that appends to one blob are issued one at a time (the engine has a single-flight
//! writer per blob); calls on different blobs may overlap, and the backend orders them as it needs.
//!
//! Deliberately absent: what is in a blob (`log.rs`, `snapshot.rs`) and what its name means (`log.rs`).

use crate::error::Result;
use std::future::Future;
use std::pin::Pin;

mod call;
#[cfg(target_arch = "wasm32")]
pub mod idb;
#[cfg(target_arch = "wasm32")]
pub(crate) mod js;
pub mod memory;
#[cfg(target_arch = "wasm32")]
pub mod opfs;
#[cfg(target_arch = "wasm32")]
pub mod remote;
#[cfg(target_arch = "wasm32")]
pub(crate) mod stores;

/// A future that stays on its thread: the engine is single-threaded by design.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The longest blob name, in bytes. Names are ASCII: letters, digits and `-`.
pub const NAME_BYTES_MAX: usize = 47;

/// One row of [`Backend::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    pub name: String,
    pub bytes: u64,
}

/// How far an append has to get before it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// The operating system has the bytes: they survive a killed browser.
    Buffered,
    /// As after [`Backend::sync`].
    Synced,
}

/// Six calls on named blobs.
pub trait Backend {
    /// Every blob, in any order. Writes nothing, and on a storage that was never written finds nothing.
    fn list(&self) -> LocalFuture<'_, Result<Vec<Blob>>>;

    /// The bytes of `[offset, offset + bytes_max)` that the blob has: fewer than asked for only at its end, none
    /// for a blob that does not exist.
    fn read<'a>(&'a self, name: &'a str, offset: u64, bytes_max: u32) -> LocalFuture<'a, Result<Vec<u8>>>;

    /// Adds bytes at the end of a blob, which the first append creates. Success means that every byte got as far
    /// as asked; after an error any part of them may be there. `QUOTA` says that there was no room and no sync was
    /// tried, so that what the blob had before can still be synced.
    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8], sync: Sync) -> LocalFuture<'a, Result<()>>;

    /// Makes everything appended to the blob so far survive an OS crash, including bytes appended by an earlier
    /// process. After an error the blob must not be synced again: the system may have dropped the data and
    /// would report success. Except after `QUOTA`: it says that there was no room for a sync, and that none was begun. A blob that
    /// does not exist is not an error.
    fn sync<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<()>>;

    /// Removes blobs whole. Names that do not exist are not an error.
    fn remove<'a>(&'a self, names: &'a [String]) -> LocalFuture<'a, Result<()>>;

    /// Gives back handles and connections. Every later call fails with `CLOSED`.
    fn close(&self) -> LocalFuture<'_, Result<()>>;
}
