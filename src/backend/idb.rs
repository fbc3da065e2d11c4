//! Blobs in IndexedDB, usable from every kind of thread.
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
//! the requests and their events (`glue.js`), cursors, and the `relaxed` durability.

use super::call::{Answer, Call, Calls, closed};
use super::js::{self, Turn, glue};
use super::{LocalFuture, Sync, stores};
use crate::error::Result;
use std::cell::Cell;
use wasm_bindgen::JsValue;

/// The most bytes in one record.
pub const CHUNK_BYTES_MAX: usize = 60 * 1024;

/// The most bytes that one transaction removes: four records, for 2 ms.
const REMOVE_BYTES_MAX: u32 = 4 * CHUNK_BYTES_MAX as u32;

/// One opening of a store's database.
pub struct IdbBackend {
    /// Of `glue.js`: the database, the term, the sizes.
    connection: JsValue,
    closed: Cell<bool>,
    turn: Turn,
}

impl IdbBackend {
    /// Opens a store, creating its empty database where there is none. Reads the term and writes nothing.
    pub async fn open(name: &str) -> Result<IdbBackend> {
        Ok(IdbBackend::new(js::settled(glue::idb_open(name)).await?))
    }

    pub(super) fn new(connection: JsValue) -> IdbBackend {
        IdbBackend { connection, closed: Cell::new(false), turn: Turn::default() }
    }

    async fn run_now(&self, call: Call<'_>) -> Result<Answer> {
        let mut names = match call {
            Call::Remove { names } => names.iter(),
            _ => [].iter(),
        };
        let (mut removing, mut removed_to) = (names.next(), 0.0);
        loop {
            let mut answer = Answer::default();
            if removed_to > 0.0 {
                js::sleep(0).await;
            }
            let _turn = self.turn.take().await;
            if let Call::Close = call {
                self.close_now();
                return Ok(answer);
            }
            if self.closed.get() {
                return Err(closed());
            }
            let connection = &self.connection;
            let record_bytes_max = CHUNK_BYTES_MAX as u32;
            let done = match (&call, removing) {
                (Call::List, _) => glue::idb_list(connection),
                (Call::Read { name, offset, bytes_max }, _) => {
                    glue::idb_read(connection, name, *offset as f64, *bytes_max, record_bytes_max)
                }
                (Call::Append { name, bytes, sync }, _) => {
                    glue::idb_write(connection, *sync == Sync::Synced, name, bytes, record_bytes_max)
                }
                (_, Some(name)) => glue::idb_remove(connection, name, removed_to, REMOVE_BYTES_MAX),
                // A barrier; with nothing to remove, to be sure of the term.
                _ => glue::idb_write(connection, true, "", &[], record_bytes_max),
            };
            let done = js::settled(done).await?;
            match call {
                Call::List => answer.blobs = js::blobs(&done)?,
                Call::Read { .. } => answer.bytes = js::bytes(&done)?,
                _ => {}
            }
            removed_to = done.as_f64().unwrap_or_default();
            if removed_to == 0.0 {
                removing = names.next();
            }
            if removing.is_none() {
                return Ok(answer);
            }
        }
    }

    fn close_now(&self) {
        if !self.closed.replace(true) {
            glue::idb_close(&self.connection);
        }
    }
}

impl Drop for IdbBackend {
    fn drop(&mut self) {
        self.close_now();
    }
}

impl Calls for IdbBackend {
    fn run<'a>(&'a self, call: Call<'a>) -> LocalFuture<'a, Result<Answer>> {
        Box::pin(self.run_now(call))
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
    js::settled(glue::idb_destroy(name)).await.map(drop)
}
