//! Blobs in IndexedDB, usable from every kind of thread.
//!
//! Owns one database per store, `holdfast:<store>`, at schema version 1 for ever, so that opening never waits for
//! another tab to let go of an older schema. Two object stores, both without key path:
//!
//! - `chunks`: key `[blob name, end]`, value a Uint8Array of 1 to 61,440 bytes: the bytes of the blob up to offset
//!   `end`, from where the record before it ends. So a blob's size is its greatest key. An append adds records and
//!   never rewrites one. At 64 KiB Chromium would move a value into a file of its own, which can outlive a power
//!   cut less well than its record.
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
use super::{Blob, LocalFuture, Sync, stores};
use crate::error::{Code, Error, Result};
use js_sys::Promise;
use std::cell::{Cell, RefCell};
use wasm_bindgen::JsValue;

/// The most bytes in one record.
pub const CHUNK_BYTES_MAX: usize = 60 * 1024;

/// One opening of a store's database.
pub struct IdbBackend {
    connection: JsValue,
    closed: Cell<bool>,
    turn: Turn,
    /// The term that the storage must have for us to write.
    term: Cell<f64>,
    /// The term is our own.
    leads: Cell<bool>,
    /// As last listed, and then as our own writes left it.
    sizes: RefCell<Vec<Blob>>,
    /// Not before the first listing, and not after a write of which we do not know whether it was carried out.
    sizes_known: Cell<bool>,
}

/// A call that writes. Nothing to add and nothing to remove: a barrier.
struct Change<'a> {
    name: &'a str,
    bytes: &'a [u8],
    removed: Option<&'a [String]>,
    strict: bool,
}

impl<'a> Change<'a> {
    fn new(call: &Call<'a>) -> Change<'a> {
        match *call {
            Call::Append { name, bytes, sync } => Change { name, bytes, removed: None, strict: sync == Sync::Synced },
            Call::Remove { names } => Change { name: "", bytes: &[], removed: Some(names), strict: true },
            _ => Change { name: "", bytes: &[], removed: None, strict: true },
        }
    }
}

impl IdbBackend {
    /// Opens a store, creating its empty database where there is none. Reads the term and writes nothing.
    pub async fn open(name: &str) -> Result<IdbBackend> {
        IdbBackend::new(js::settled(glue::idb_open(name)).await?)
    }

    pub(super) fn new(connection: JsValue) -> Result<IdbBackend> {
        let term = js::get(&connection, "term").as_f64();
        let backend = IdbBackend {
            connection,
            closed: Cell::new(false),
            turn: Turn::default(),
            term: Cell::new(term.unwrap_or(-1.0)),
            leads: Cell::new(false),
            sizes: RefCell::new(Vec::new()),
            sizes_known: Cell::new(false),
        };
        if backend.term.get() >= 0.0 {
            Ok(backend)
        } else {
            Err(Error::new(Code::Corrupt, "the database holds records that Holdfast did not write"))
        }
    }

    async fn run_now(&self, call: Call<'_>) -> Result<Answer> {
        let _turn = self.turn.take().await;
        let answer = Answer::default();
        if let Call::Close = call {
            self.close_now();
            return Ok(answer);
        }
        if self.closed.get() {
            return Err(closed());
        }
        match self.attempt(&call).await {
            Err(error) if matches!(error.code, Code::Unavailable | Code::Timeout) => {
                if self.reconnect(&call, error).await? { self.attempt(&call).await } else { Ok(answer) }
            }
            done => done,
        }
    }

    /// Puts a new connection in the place of one that failed with `error`; says whether the call is still to be carried out.
    async fn reconnect(&self, call: &Call<'_>, error: Error) -> Result<bool> {
        if js::settled(glue::idb_reopen(&self.connection)).await.is_err() {
            return Err(error);
        }
        let (Call::Append { .. } | Call::Sync { .. } | Call::Remove { .. }) = call else { return Ok(true) };
        // The transaction was carried out or not: our own term and the size of the blob tell.
        let change = Change::new(call);
        let (before, known) = (self.size_of(change.name), self.sizes.borrow().clone());
        let stored = js::blobs(&js::settled(glue::idb_list(&self.connection)).await?)?;
        *self.sizes.borrow_mut() = stored;
        let after = self.size_of(change.name);
        *self.sizes.borrow_mut() = known;
        let term = js::get(&self.connection, "term").as_f64().unwrap_or(-1.0);
        let taken = if self.leads.get() { self.term.get() } else { self.term.get() + 1.0 };
        if term == self.term.get() && after == before {
            return Ok(true);
        }
        if term != taken || after != before + change.bytes.len() as u64 {
            return Err(Error::new(Code::Fenced, "someone else changed the storage: open the store again"));
        }
        self.done(&change);
        Ok(false)
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Answer> {
        let mut answer = Answer::default();
        let found = match *call {
            Call::Read { name, offset, bytes_max } => {
                Some(glue::idb_read(&self.connection, name, offset as f64, bytes_max, CHUNK_BYTES_MAX as u32))
            }
            Call::List => Some(glue::idb_list(&self.connection)),
            _ if !self.sizes_known.get() => Some(glue::idb_list(&self.connection)),
            _ => None,
        };
        if let Some(found) = found {
            let found = js::settled(found).await?;
            if let Call::Read { .. } = call {
                answer.bytes = js::bytes(&found)?;
                return Ok(answer);
            }
            *self.sizes.borrow_mut() = js::blobs(&found)?;
            self.sizes_known.set(true);
            if let Call::List = call {
                answer.blobs = js::blobs(&found)?;
                return Ok(answer);
            }
        }
        let change = Change::new(call);
        // Whoever does not lead yet changes nothing by failing, and takes over only from the state it has listed.
        self.sizes_known.set(!self.leads.get());
        match js::settled(self.begin(&change)).await {
            Ok(_) => self.done(&change),
            Err(mut error) => {
                if error.code == Code::Quota && !change.bytes.is_empty() {
                    error.bytes_needed = Some(change.bytes.len() as u64);
                }
                return Err(error);
            }
        }
        Ok(answer)
    }

    fn size_of(&self, name: &str) -> u64 {
        self.sizes.borrow().iter().find(|blob| blob.name == name).map_or(0, |blob| blob.bytes)
    }

    /// Starts the one transaction of a change.
    fn begin(&self, change: &Change<'_>) -> Promise {
        glue::idb_write(
            &self.connection,
            self.term.get(),
            !self.leads.get(),
            change.strict,
            change.name,
            self.size_of(change.name) as f64,
            change.bytes,
            CHUNK_BYTES_MAX as u32,
            &change.removed.map_or(JsValue::UNDEFINED, js::names),
        )
    }

    /// Its transaction is complete.
    fn done(&self, change: &Change<'_>) {
        let mut sizes = self.sizes.borrow_mut();
        if let Some(removed) = change.removed {
            sizes.retain(|blob| !removed.contains(&blob.name));
        }
        if !change.bytes.is_empty() {
            let at = sizes.iter().position(|blob| blob.name == change.name).unwrap_or_else(|| {
                sizes.push(Blob { name: change.name.to_owned(), bytes: 0 });
                sizes.len() - 1
            });
            sizes[at].bytes += change.bytes.len() as u64;
        }
        self.sizes_known.set(true);
        if !self.leads.replace(true) {
            self.term.set(self.term.get() + 1.0);
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
    Ok(js::settled(glue::store_exists(name, "idb")).await?.is_truthy())
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
