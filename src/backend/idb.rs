//! Blobs in IndexedDB, usable from every kind of thread; a page does so through an I/O worker (`remote.rs`).
//!
//! Owns one database per store, `holdfast:<store>`, at schema version 1 for ever, so that opening never waits for
//! another tab to let go of an older schema. Two object stores, both without key path:
//!
//! - `chunks`: key `[blob name, end]`, value a Uint8Array of 1 to 61,440 bytes: the bytes of the blob up to offset
//!   `end`, from where the record before it ends. So a blob's size is its greatest key. An append adds records and
//!   never rewrites one. At 64 KiB Chromium would move a value into a file of its own, which can outlive a power
//!   cut less well than its record. A removal takes them from the front, in steps: a blob whose beginning is missing is one
//!   that was being removed, and reads as empty.
//! - `meta`: key `term`, value a number, the term of the newest writer, absent until the first write; key
//!   `barrier`, value a number without meaning, rewritten by every sync.
//!
//! Opening reads the term. The first write takes the next one, provided that nobody wrote since: the term is still
//! the one read at opening, and the blobs are as they were last listed. Every later write verifies in its own
//! transaction that the term is still its own. Whoever was overtaken gets `FENCED` and changes nothing.
//!
//! A write counts when its transaction completes, not when its requests succeed: a full disk shows at the commit.
//! Errors: `QUOTA` with the bytes needed, `FENCED`, `CLOSED`, `CORRUPT` for records that contradict the layout,
//! `VERSION`, `TIMEOUT`, and `UNAVAILABLE` for the rest. After a failed write the sizes of the blobs are read again with the
//! next one. A connection that fails, or does not answer within ten seconds, is replaced once for each call: the term and
//! the size of the blob tell whether the transaction was carried out, so that nothing is added twice. Deliberately absent:
//! what is asked of the browser (`idb.js`: all of it, since each step is a call to it), cursors, and the `relaxed` durability.

use super::call::{Answer, Call, Calls};
use super::js;
use super::remote::RemoteBackend;
use super::{LocalFuture, stores};
use crate::error::Result;
use crate::task;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/backend/idb.js")]
extern "C" {
    #[wasm_bindgen(js_name = open)]
    fn open_idb(name: &str) -> js_sys::Promise;
}

/// The most bytes in one record.
pub const CHUNK_BYTES_MAX: usize = 60 * 1024;

/// One opening of a store's database, until it is dropped.
pub struct IdbBackend {
    database: RemoteBackend,
}

impl IdbBackend {
    /// Opens a store, creating its empty database where there is none. Reads the term and writes nothing.
    pub async fn open(name: &str) -> Result<IdbBackend> {
        Ok(IdbBackend { database: RemoteBackend::new(&js::settled(open_idb(name)).await?) })
    }

    /// What [`serve`](super::remote::serve) can serve.
    pub fn storage(&self) -> &JsValue {
        self.database.storage()
    }
}

impl Drop for IdbBackend {
    fn drop(&mut self) {
        // The promise has nothing to say.
        let _said = task::settled(&self.database.request(&Call::Close));
    }
}

impl Calls for IdbBackend {
    fn run<'a>(&'a self, call: Call<'a>) -> LocalFuture<'a, Result<Answer>> {
        self.database.run(call)
    }
}

/// Whether the store was ever written: never, where the browser has no IndexedDB.
pub async fn exists(name: &str) -> Result<bool> {
    stores::is_at(name, "idb").await
}

/// Every store that was ever written, with the bytes of its blobs: 0 where they cannot be read. Finds nothing where
/// the browser cannot list its databases.
pub async fn stores() -> Result<Vec<(String, u64)>> {
    stores::of_backend("idb").await
}

/// Deletes a store's database; one that does not exist is not an error. `LOCKED` while this thread has it open, or
/// when another one does not let go of it within a second. In the second case the browser cannot be told to forget
/// the deletion and carries it out later: who can, asks for the store's Web Lock first.
pub async fn destroy(name: &str) -> Result<()> {
    js::settled(stores::idb_destroy(name)).await.map(drop)
}
