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
//! `VERSION`, and `UNAVAILABLE` for the rest, a lost connection included. After a failed write the sizes of the
//! blobs are read again with the next one. Deliberately absent: reopening a lost connection, a limit on the time
//! a transaction may take, cursors, and the `relaxed` durability.

use super::js::{self, Missing};
use super::{Backend, Blob, LocalFuture, Sync};
use crate::error::{Code, Error, Result};
use js_sys::{Array, Promise, Uint8Array};
use std::cell::{Cell, RefCell};
use wasm_bindgen::prelude::*;
use web_sys::{IdbDatabase, IdbFactory, IdbKeyRange, IdbObjectStore, IdbOpenDbRequest, IdbTransaction};

/// The most bytes in one record.
pub const CHUNK_BYTES_MAX: usize = 60 * 1024;

/// How long a connection may take to close once it is asked to, or was closed with a transaction still open.
const RELEASE_WAIT_MS: u32 = 1000;

const DATABASE_PREFIX: &str = "holdfast:";
const CHUNKS: &str = "chunks";
const META: &str = "meta";
const TERM: &str = "term";
const BARRIER: &str = "barrier";

thread_local! {
    /// The stores this thread has open, once per opening.
    static OPEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

#[wasm_bindgen]
extern "C" {
    type Factory;
    #[wasm_bindgen(method, catch)]
    fn databases(this: &Factory) -> std::result::Result<Promise, JsValue>;
}

/// One opening of a store's database.
pub struct IdbBackend {
    connection: RefCell<Option<Connection>>,
    turn: js::Turn,
    /// The term that the storage must have for us to write.
    term: Cell<f64>,
    /// The term is our own.
    leads: Cell<bool>,
    /// What the engine knows, until we lead.
    listed: RefCell<Option<Vec<Blob>>>,
    /// What is there, while we lead and no write has failed.
    sizes: RefCell<Option<Vec<Blob>>>,
}

/// A connection that yields to whoever wants to delete the database.
struct Connection {
    store: String,
    database: IdbDatabase,
    _on_version_change: Closure<dyn FnMut()>,
}

enum Change<'a> {
    Append(&'a str, &'a [u8]),
    Barrier,
    Remove(&'a [String]),
}

impl IdbBackend {
    /// Opens a store, creating its empty database where there is none. Reads the term and writes nothing.
    pub async fn open(name: &str) -> Result<IdbBackend> {
        let database = match connect(name, Missing::Create).await? {
            Some(database) => database,
            None => return Err(Error::new(Code::Unavailable, js::UNAVAILABLE)),
        };
        let connection = Connection::new(name, database);
        let term = stored_term(&connection.database).await?;
        Ok(IdbBackend {
            connection: RefCell::new(Some(connection)),
            turn: js::Turn::default(),
            term: Cell::new(term.unwrap_or(0.0)),
            leads: Cell::new(false),
            listed: RefCell::new(None),
            sizes: RefCell::new(None),
        })
    }

    fn database(&self) -> Result<IdbDatabase> {
        match &*self.connection.borrow() {
            Some(connection) => Ok(connection.database.clone()),
            None => Err(Error::new(Code::Closed, "the storage is closed")),
        }
    }

    async fn list_now(&self) -> Result<Vec<Blob>> {
        let blobs = tally(&all_keys(&self.database()?).await?);
        if !self.leads.get() {
            *self.listed.borrow_mut() = Some(blobs.clone());
        }
        Ok(blobs)
    }

    async fn read_now(&self, name: &str, offset: u64, bytes_max: u32) -> Result<Vec<u8>> {
        if bytes_max == 0 {
            return self.database().map(|_| Vec::new());
        }
        let store = object_store(&js::read_transaction(&self.database()?, &CHUNKS.into())?, CHUNKS)?;
        let offset = offset as f64;
        let last_end = offset + f64::from(bytes_max) - 1.0 + CHUNK_BYTES_MAX as f64;
        let range = IdbKeyRange::bound_with_lower_open(&js::pair(name, offset), &js::pair(name, last_end), true)
            .map_err(wrong)?;
        let first_key = js::request(store.get_key(&range).map_err(wrong)?);
        let values = js::request(store.get_all_with_key(&range).map_err(wrong)?);
        let (first_key, values) = (first_key.await?, values.await?);

        let mut chunks: Vec<Uint8Array> = Vec::new();
        let mut found: u64 = 0;
        for value in values.unchecked_ref::<Array>().iter() {
            let chunk = value.dyn_into::<Uint8Array>().map_err(|_| corrupt())?;
            found += u64::from(chunk.length());
            chunks.push(chunk);
        }
        let mut bytes = Vec::new();
        js::room(&mut bytes, found.min(u64::from(bytes_max)) as usize)?;
        for (at, chunk) in chunks.iter().enumerate() {
            let skipped = if at == 0 { skipped(&first_key, offset, chunk)? } else { 0 };
            let wanted = bytes_max - bytes.len() as u32;
            js::extend(&mut bytes, chunk, skipped, wanted)?;
        }
        Ok(bytes)
    }

    async fn write(&self, change: Change<'_>, sync: Sync) -> Result<()> {
        let _turn = self.turn.take().await;
        let stores = Array::of2(&CHUNKS.into(), &META.into());
        let transaction = js::write_transaction(&self.database()?, &stores, sync)?;
        let finished = js::event(&transaction, &["oncomplete", "onabort"]);
        let known = self.sizes.take();
        let mut outcome = self.stage(&transaction, &change, known).await;
        if outcome.is_err() {
            let _ = transaction.abort();
        } else if finished.await != "complete" {
            outcome = Err(js::failure(&js::get(&transaction, "error")));
        }
        match outcome {
            Ok(sizes) => {
                *self.sizes.borrow_mut() = Some(sizes);
                if !self.leads.replace(true) {
                    self.term.set(self.term.get() + 1.0);
                }
                Ok(())
            }
            Err(mut error) => {
                if let (Code::Quota, Change::Append(_, bytes)) = (error.code, &change) {
                    error.bytes_needed = Some(bytes.len() as u64);
                }
                Err(error)
            }
        }
    }

    /// Makes the requests of a change and verifies the term. Returns the sizes that hold once the transaction
    /// completes; after an error the transaction is the caller's to abort.
    async fn stage(
        &self,
        transaction: &IdbTransaction,
        change: &Change<'_>,
        known: Option<Vec<Blob>>,
    ) -> Result<Vec<Blob>> {
        let (chunks, meta) = (object_store(transaction, CHUNKS)?, object_store(transaction, META)?);
        let term = js::request(meta.get(&TERM.into()).map_err(wrong)?);
        if let Some(mut sizes) = known {
            make(change, &chunks, &meta, &mut sizes)?;
            self.verify(term_of(&term.await?)?)?;
            return Ok(sizes);
        }
        let keys = js::request(chunks.get_all_keys().map_err(wrong)?);
        self.verify(term_of(&term.await?)?)?;
        let mut sizes = tally(&keys.await?);
        if !self.leads.get() {
            if self.listed.borrow().as_ref().is_some_and(|listed| *listed != sizes) {
                return Err(fenced());
            }
            let term = JsValue::from_f64(self.term.get() + 1.0);
            meta.put_with_key(&term, &TERM.into()).map_err(unchangeable)?;
        }
        make(change, &chunks, &meta, &mut sizes)?;
        Ok(sizes)
    }

    fn verify(&self, stored: Option<f64>) -> Result<()> {
        if stored.unwrap_or(0.0) == self.term.get() { Ok(()) } else { Err(fenced()) }
    }
}

impl Backend for IdbBackend {
    fn list(&self) -> LocalFuture<'_, Result<Vec<Blob>>> {
        Box::pin(self.list_now())
    }

    fn read<'a>(&'a self, name: &'a str, offset: u64, bytes_max: u32) -> LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(self.read_now(name, offset, bytes_max))
    }

    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8], sync: Sync) -> LocalFuture<'a, Result<()>> {
        Box::pin(self.write(Change::Append(name, bytes), sync))
    }

    fn sync<'a>(&'a self, _name: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(self.write(Change::Barrier, Sync::Synced))
    }

    fn remove<'a>(&'a self, names: &'a [String]) -> LocalFuture<'a, Result<()>> {
        Box::pin(self.write(Change::Remove(names), Sync::Synced))
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        Box::pin(async {
            let _turn = self.turn.take().await;
            self.connection.take();
            Ok(())
        })
    }
}

impl Connection {
    fn new(store: &str, database: IdbDatabase) -> Connection {
        let yielded = database.clone();
        let on_version_change = Closure::<dyn FnMut()>::new(move || yielded.close());
        js::set(&database, "onversionchange", on_version_change.as_ref());
        OPEN.with_borrow_mut(|open| open.push(store.to_owned()));
        Connection { store: store.to_owned(), database, _on_version_change: on_version_change }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        js::set(&self.database, "onversionchange", &JsValue::NULL);
        self.database.close();
        OPEN.with_borrow_mut(|open| {
            if let Some(at) = open.iter().position(|store| *store == self.store) {
                open.swap_remove(at);
            }
        });
    }
}

/// Whether the store was ever written: never, where the browser has no IndexedDB.
pub async fn exists(name: &str) -> Result<bool> {
    let listed = listed_stores().await;
    if factory().is_err() || listed.is_some_and(|stores| stores.iter().all(|store| store != name)) {
        return Ok(false);
    }
    let Some(database) = connect(name, Missing::Leave).await? else { return Ok(false) };
    let term = stored_term(&database).await;
    database.close();
    Ok(term?.is_some())
}

/// Every store that was ever written, with the bytes of its blobs: 0 where they cannot be read. Finds nothing where
/// the browser cannot list its databases.
pub async fn stores() -> Result<Vec<(String, u64)>> {
    let mut stores = Vec::new();
    for name in listed_stores().await.unwrap_or_default() {
        if let Some(bytes) = stored_bytes(&name).await.unwrap_or(Some(0)) {
            stores.push((name, bytes));
        }
    }
    Ok(stores)
}

/// The stores that have a database, even an empty one. None where the browser cannot list its databases.
async fn listed_stores() -> Option<Vec<String>> {
    let listing = factory().ok()?.unchecked_ref::<Factory>().databases().ok()?;
    let databases: Array = js::settled(listing).await.ok()?.dyn_into().ok()?;
    let store = |row: JsValue| js::text(&row, "name").strip_prefix(DATABASE_PREFIX).map(str::to_owned);
    Some(databases.iter().filter_map(store).collect())
}

/// The bytes of a store's blobs, none if it was never written.
async fn stored_bytes(name: &str) -> Result<Option<u64>> {
    let Some(database) = connect(name, Missing::Leave).await? else { return Ok(None) };
    let (term, keys) = (stored_term(&database).await, all_keys(&database).await);
    database.close();
    if term?.is_none() {
        return Ok(None);
    }
    Ok(Some(tally(&keys?).iter().map(|blob| blob.bytes).sum()))
}

/// Deletes a store's database; one that does not exist is not an error. `LOCKED` while this thread has it open, or
/// when another one does not let go of it within a second. In the second case the browser cannot be told to forget
/// the deletion and carries it out later: who can, asks for the store's Web Lock first.
pub async fn destroy(name: &str) -> Result<()> {
    if OPEN.with_borrow(|open| open.iter().any(|store| store == name)) {
        return Err(Error::new(Code::Locked, js::LOCKED));
    }
    let Ok(factory) = factory() else { return Ok(()) };
    let request = factory.delete_database(&database_name(name)).map_err(wrong)?;
    let mut event = js::event(&request, &["onsuccess", "onerror", "onblocked"]).await;
    if event == "blocked" {
        event = js::event_within(&request, &["onsuccess", "onerror"], RELEASE_WAIT_MS).await;
    }
    match event.as_str() {
        "success" => Ok(()),
        "error" => Err(js::failure(&js::get(&request, "error"))),
        _ => Err(Error::new(Code::Locked, js::LOCKED)),
    }
}

fn factory() -> Result<IdbFactory> {
    js::global("indexedDB").map(JsCast::unchecked_into)
}

fn database_name(store: &str) -> String {
    [DATABASE_PREFIX, store].concat()
}

/// Opens a connection. None where there is no database and none shall be made; WebKit then makes an empty one all
/// the same, which is why [`exists`] looks at the listing first.
async fn connect(name: &str, missing: Missing) -> Result<Option<IdbDatabase>> {
    let request = factory()?.open_with_u32(&database_name(name), 1).map_err(wrong)?;
    let event = js::event(&request, &["onupgradeneeded", "onsuccess", "onerror"]).await;
    if event == "upgradeneeded" {
        let finished = js::event(&request, &["onsuccess", "onerror"]);
        let wanted = missing == Missing::Create;
        if !wanted || create(&request).is_err() {
            request.transaction().map(|upgrade| upgrade.abort());
        }
        finished.await;
        if !wanted {
            return Ok(None);
        }
    }
    match js::get(&request, "error") {
        error if error.is_object() => Err(js::failure(&error)),
        _ => Ok(Some(js::get(&request, "result").unchecked_into())),
    }
}

fn create(request: &IdbOpenDbRequest) -> Result<()> {
    let database: IdbDatabase = js::get(request, "result").unchecked_into();
    for store in [CHUNKS, META] {
        database.create_object_store(store).map_err(wrong)?;
    }
    Ok(())
}

async fn stored_term(database: &IdbDatabase) -> Result<Option<f64>> {
    let meta = object_store(&js::read_transaction(database, &META.into())?, META)?;
    term_of(&js::request(meta.get(&TERM.into()).map_err(wrong)?).await?)
}

fn term_of(stored: &JsValue) -> Result<Option<f64>> {
    match stored.as_f64() {
        Some(term) if term >= 0.0 => Ok(Some(term)),
        None if stored.is_undefined() => Ok(None),
        _ => Err(corrupt()),
    }
}

async fn all_keys(database: &IdbDatabase) -> Result<JsValue> {
    let chunks = object_store(&js::read_transaction(database, &CHUNKS.into())?, CHUNKS)?;
    js::request(chunks.get_all_keys().map_err(wrong)?).await
}

/// The blobs that these keys of `chunks`, in their order, make up. A key that is not of ours is passed over.
fn tally(keys: &JsValue) -> Vec<Blob> {
    let mut blobs: Vec<Blob> = Vec::new();
    let mut last = JsValue::UNDEFINED;
    for key in keys.unchecked_ref::<Array>().iter() {
        let Some((name, end)) = parts(&key) else { continue };
        if name != last {
            let Some(text) = name.as_string() else { continue };
            blobs.push(Blob { name: text, bytes: 0 });
            last = name;
        }
        if let Some(blob) = blobs.last_mut() {
            blob.bytes = end as u64;
        }
    }
    blobs
}

/// The two parts of a key of `chunks`.
fn parts(key: &JsValue) -> Option<(JsValue, f64)> {
    let key: &Array = key.dyn_ref()?;
    Some((key.get(0), key.get(1).as_f64()?))
}

/// The bytes of the first chunk of a range that lie before the offset.
fn skipped(first_key: &JsValue, offset: f64, chunk: &Uint8Array) -> Result<u32> {
    let (_, end) = parts(first_key).ok_or_else(corrupt)?;
    let skipped = f64::from(chunk.length()) - (end - offset);
    if skipped >= 0.0 { Ok(skipped as u32) } else { Err(corrupt()) }
}

/// Makes the requests of a change, whose answers need no waiting for: one that fails aborts the transaction.
fn make(change: &Change<'_>, chunks: &IdbObjectStore, meta: &IdbObjectStore, sizes: &mut Vec<Blob>) -> Result<()> {
    match change {
        Change::Append(name, bytes) => {
            let at = sizes.iter().position(|blob| blob.name == *name);
            let mut end = at.map_or(0, |at| sizes[at].bytes);
            for chunk in bytes.chunks(CHUNK_BYTES_MAX) {
                end += chunk.len() as u64;
                chunks.add_with_key(&Uint8Array::from(chunk), &js::pair(name, end as f64)).map_err(unchangeable)?;
            }
            match at {
                Some(at) => sizes[at].bytes = end,
                None if end > 0 => sizes.push(Blob { name: (*name).to_owned(), bytes: end }),
                None => {}
            }
        }
        Change::Barrier => {
            meta.put_with_key(&JsValue::from_f64(0.0), &BARRIER.into()).map_err(unchangeable)?;
        }
        Change::Remove(names) => {
            for name in *names {
                let range = IdbKeyRange::bound(&js::pair(name, 0.0), &js::pair(name, f64::INFINITY)).map_err(wrong)?;
                chunks.delete(&range).map_err(unchangeable)?;
            }
            sizes.retain(|blob| !names.contains(&blob.name));
        }
    }
    Ok(())
}

fn object_store(transaction: &IdbTransaction, name: &str) -> Result<IdbObjectStore> {
    transaction.object_store(name).map_err(wrong)
}

fn wrong(thrown: JsValue) -> Error {
    js::failure(&thrown)
}

fn unchangeable(thrown: JsValue) -> Error {
    js::change_failure(&thrown)
}

fn fenced() -> Error {
    Error::new(Code::Fenced, "another writer took over the storage: open the store again")
}

fn corrupt() -> Error {
    Error::new(Code::Corrupt, "the database holds records that Holdfast did not write")
}
