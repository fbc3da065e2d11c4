//! Blobs in the origin private file system, for dedicated workers: only they have synchronous handles.
//!
//! Owns the directory `holdfast/<store>/` of the origin's root. The store's name is percent-encoded: `a-z 0-9 - _`
//! stand for themselves, every other byte of its UTF-8 is `%` and two lowercase hexadecimal digits, and the empty
//! name is `%`. In the directory:
//!
//! - `lock`: empty. Whoever has its exclusive handle has the store; nothing is read before.
//! - `0`, `1`, `2`...: the pool. Its files are made at the first write, six of them and one more whenever none is
//!   free. They are never renamed or deleted, because the browser may keep file names in a database that is not
//!   synced: what a file is, is written inside it.
//!
//! A pool file is a header of 4,096 bytes and then the bytes of one blob. The header is written as zeros before a
//! file is first claimed, so that it can be overwritten on a full disk. It has two slots, at 0 and at 2,048:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic `HFPF` |
//! | 4 | 4 | format version, u32 little-endian: 1 |
//! | 8 | 8 | counter, u64 little-endian |
//! | 16 | 1 | length of the blob's name; 0: the file is free |
//! | 17 | 47 | the name, then zeros |
//! | 64 | 8 | XXH64 with seed 0 of the 64 bytes before, u64 little-endian |
//! | 72 | 1,976 | zeros |
//!
//! The valid slot with the greatest counter rules; an update goes to the other one, with a counter greater than
//! every counter in the pool. Of two files with the same name the one with the greater counter rules, until both
//! are freed together. A file without a valid slot is free if its header is all zeros (it was never claimed, or its
//! first claim was lost), else it is damaged: set aside, never written again. A claimed file without data is as
//! good as free: its first append was lost.
//!
//! Claiming: truncate to the header, write the slot, write the data; nothing is synced until the blob is. Freeing:
//! write the slot, flush, truncate. A write counts only if it returns the full length and the file is as long as it
//! has to be: on a full disk Firefox returns 0 or a number without meaning. A file whose flush failed is never
//! written or trusted again until the store is opened anew.
//!
//! Errors: `LOCKED` while someone else has a file open, `QUOTA` with the bytes needed, `VERSION`, `CLOSED`, and
//! `UNAVAILABLE` for the rest. Deliberately absent: shrinking the pool, `createWritable` (it loses both contents in
//! a power cut) and the non-exclusive handle modes (one engine only).

use super::js::{self, Missing};
use super::{Backend, Blob, LocalFuture, NAME_BYTES_MAX, Sync};
use crate::error::{Code, Error, Result};
use js_sys::{AsyncIterator, Promise, Uint8Array};
use std::cell::{Cell, RefCell, RefMut};
use wasm_bindgen::prelude::*;
use web_sys::{
    File, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions, FileSystemGetFileOptions,
    FileSystemReadWriteOptions, FileSystemRemoveOptions, FileSystemSyncAccessHandle,
};
use xxhash_rust::xxh64::xxh64;

const ROOT: &str = "holdfast";
const LOCK: &str = "lock";
const POOL_FILES: u32 = 6;

const HEADER_BYTES: usize = 4096;
const SLOT_OFFSETS: [usize; 2] = [0, 2048];
const SLOT_BYTES: usize = 72;
const SLOT_HASHED_BYTES: usize = 64;
const MAGIC: [u8; 4] = *b"HFPF";
const FORMAT_VERSION: u32 = 1;

/// How long to wait for a handle that a dying worker still holds: measured at up to 2 s in Chromium.
const HANDLE_WAIT_MS: f64 = 5000.0;
const HANDLE_POLL_MS: u32 = 40;

/// How often to read a file whose content changes while it is read.
const PEEK_TRIES: u32 = 3;

#[wasm_bindgen]
extern "C" {
    type Storage;
    #[wasm_bindgen(method, catch, js_name = getDirectory)]
    fn get_directory(this: &Storage) -> std::result::Result<Promise, JsValue>;

    type Lockable;
    #[wasm_bindgen(method, catch, js_name = createSyncAccessHandle)]
    fn create_sync_access_handle(this: &Lockable) -> std::result::Result<Promise, JsValue>;
}

/// One opening of a store: its lock and its pool.
pub struct OpfsBackend {
    directory: FileSystemDirectoryHandle,
    lock: FileSystemSyncAccessHandle,
    turn: js::Turn,
    pool: RefCell<Vec<PoolFile>>,
    closed: Cell<bool>,
}

struct PoolFile {
    number: u32,
    file: FileSystemFileHandle,
    /// Opened when it is first needed.
    handle: Option<FileSystemSyncAccessHandle>,
    /// The slot that rules, none before the first claim.
    slot: Option<Slot>,
    data_bytes: u64,
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Good,
    /// A flush failed: the system may have dropped what it would now report as safe.
    Unsynced,
    /// The header says nothing: what the file holds is unknown.
    Damaged,
}

struct Slot {
    index: usize,
    counter: u64,
    /// The blob's name, empty when the file is free.
    name: String,
}

impl OpfsBackend {
    /// Opens a store. Takes its lock, waiting up to 5 s for it, and then reads the headers of its pool. Writes
    /// nothing but, the first time, the store's directory and its empty `lock`.
    pub async fn open(name: &str) -> Result<OpfsBackend> {
        let stores = made(directory(&origin().await?, ROOT, Missing::Create).await?)?;
        let directory = made(directory(&stores, &encode(name), Missing::Create).await?)?;
        let lock = exclusive(&made(file(&directory, LOCK, Missing::Create).await?)?).await?;
        let backend = OpfsBackend {
            directory,
            lock,
            turn: js::Turn::default(),
            pool: RefCell::new(Vec::new()),
            closed: Cell::new(false),
        };
        let pool = scan(&backend.directory).await?;
        backend.pool.replace(pool);
        Ok(backend)
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.get() { Err(Error::new(Code::Closed, "the storage is closed")) } else { Ok(()) }
    }

    /// The place in the pool of the file that holds a blob.
    fn find(&self, name: &str) -> Option<usize> {
        let pool = self.pool.borrow();
        let holding = pool.iter().enumerate().filter(|(_, file)| file.holds(name));
        holding.max_by_key(|(_, file)| file.counter()).map(|(at, _)| at)
    }

    /// A pool file with its handle open. Not to be held across an await.
    async fn ready(&self, at: usize) -> Result<RefMut<'_, PoolFile>> {
        let unopened = match self.pool.borrow().get(at) {
            Some(file) if file.handle.is_none() => Some(file.file.clone()),
            _ => None,
        };
        let handle = match unopened {
            Some(file) => Some(exclusive(&file).await?),
            None => None,
        };
        let mut file =
            RefMut::filter_map(self.pool.borrow_mut(), |pool| pool.get_mut(at)).map_err(|_| unavailable())?;
        if let Some(handle) = handle {
            file.data_bytes = data_bytes(handle.get_size().map_err(wrong)?);
            file.handle = Some(handle);
        }
        Ok(file)
    }

    /// The place of a file that holds nothing, rather one whose handle is open already.
    async fn free(&self) -> Result<usize> {
        if self.pool.borrow().is_empty() {
            for _ in 0..POOL_FILES {
                self.grow().await?;
            }
        }
        let free = || {
            let pool = self.pool.borrow();
            let free = pool.iter().enumerate().filter(|(_, file)| file.is_free());
            free.min_by_key(|(_, file)| file.handle.is_none()).map(|(at, _)| at)
        };
        match free() {
            Some(at) => Ok(at),
            None => self.grow().await,
        }
    }

    /// Adds a file to the pool and returns its place.
    async fn grow(&self) -> Result<usize> {
        let number = {
            let pool = self.pool.borrow();
            (0..).find(|number| pool.iter().all(|file| file.number != *number)).unwrap_or(0)
        };
        let file = made(file(&self.directory, &number.to_string(), Missing::Create).await?)?;
        let mut pool = self.pool.borrow_mut();
        pool.push(PoolFile { number, file, handle: None, slot: None, data_bytes: 0, standing: Standing::Good });
        Ok(pool.len() - 1)
    }

    fn next_counter(&self) -> u64 {
        self.pool.borrow().iter().map(PoolFile::counter).max().unwrap_or(0).saturating_add(1)
    }

    async fn append_now(&self, name: &str, bytes: &[u8], sync: Sync) -> Result<()> {
        let _turn = self.turn.take().await;
        self.check_open()?;
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Error::new(Code::OptionInvalid, "a blob's name has 1 to 47 bytes"));
        }
        let mut file = match self.find(name) {
            Some(at) => self.ready(at).await?,
            None if bytes.is_empty() => return Ok(()),
            None => {
                let at = self.free().await?;
                let counter = self.next_counter();
                let mut file = self.ready(at).await?;
                file.claim(name, counter)?;
                file
            }
        };
        file.append(bytes)?;
        if sync == Sync::Synced { file.flush() } else { Ok(()) }
    }

    async fn read_now(&self, name: &str, offset: u64, bytes_max: u32) -> Result<Vec<u8>> {
        let _turn = self.turn.take().await;
        self.check_open()?;
        let Some(at) = self.find(name) else { return Ok(Vec::new()) };
        self.ready(at).await?.read(offset, bytes_max)
    }

    async fn sync_now(&self, name: &str) -> Result<()> {
        let _turn = self.turn.take().await;
        self.check_open()?;
        let Some(at) = self.find(name) else { return Ok(()) };
        self.ready(at).await?.flush()
    }

    async fn remove_now(&self, names: &[String]) -> Result<()> {
        let _turn = self.turn.take().await;
        self.check_open()?;
        let files = self.pool.borrow().len();
        for at in 0..files {
            let named = self.pool.borrow().get(at).is_some_and(|file| names.iter().any(|name| file.is_named(name)));
            if named {
                let counter = self.next_counter();
                self.ready(at).await?.release(counter)?;
            }
        }
        Ok(())
    }

    fn close_now(&self) {
        if self.closed.replace(true) {
            return;
        }
        for file in self.pool.take() {
            if let Some(handle) = file.handle {
                handle.close();
            }
        }
        self.lock.close();
    }
}

impl Drop for OpfsBackend {
    fn drop(&mut self) {
        self.close_now();
    }
}

impl Backend for OpfsBackend {
    fn list(&self) -> LocalFuture<'_, Result<Vec<Blob>>> {
        Box::pin(async {
            let _turn = self.turn.take().await;
            self.check_open()?;
            Ok(blobs(&self.pool.borrow()))
        })
    }

    fn read<'a>(&'a self, name: &'a str, offset: u64, bytes_max: u32) -> LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(self.read_now(name, offset, bytes_max))
    }

    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8], sync: Sync) -> LocalFuture<'a, Result<()>> {
        Box::pin(self.append_now(name, bytes, sync))
    }

    fn sync<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(self.sync_now(name))
    }

    fn remove<'a>(&'a self, names: &'a [String]) -> LocalFuture<'a, Result<()>> {
        Box::pin(self.remove_now(names))
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        Box::pin(async {
            let _turn = self.turn.take().await;
            self.close_now();
            Ok(())
        })
    }
}

impl PoolFile {
    fn counter(&self) -> u64 {
        self.slot.as_ref().map_or(0, |slot| slot.counter)
    }

    fn is_named(&self, name: &str) -> bool {
        self.slot.as_ref().is_some_and(|slot| !slot.name.is_empty() && slot.name == name)
    }

    fn holds(&self, name: &str) -> bool {
        self.data_bytes > 0 && self.is_named(name)
    }

    fn is_free(&self) -> bool {
        let named = self.slot.as_ref().is_some_and(|slot| !slot.name.is_empty());
        self.standing == Standing::Good && !(named && self.data_bytes > 0)
    }

    fn open_handle(&self) -> Result<&FileSystemSyncAccessHandle> {
        self.handle.as_ref().ok_or_else(unavailable)
    }

    fn check_trusted(&self) -> Result<()> {
        match self.standing {
            Standing::Good => Ok(()),
            _ => Err(Error::new(Code::Unavailable, "an earlier flush of this file failed: it is not trusted again")),
        }
    }

    fn claim(&mut self, name: &str, counter: u64) -> Result<()> {
        let handle = self.open_handle()?;
        if handle.get_size().map_err(wrong)? < HEADER_BYTES as f64 {
            write(handle, &[0; HEADER_BYTES], 0)?;
        }
        handle.truncate_with_u32(HEADER_BYTES as u32).map_err(wrong)?;
        self.data_bytes = 0;
        self.rewrite(name, counter)
    }

    /// Makes the file free. Its size is given back if the browser can.
    fn release(&mut self, counter: u64) -> Result<()> {
        self.rewrite("", counter)?;
        self.flush_now()?;
        let _ = self.open_handle()?.truncate_with_u32(HEADER_BYTES as u32);
        self.data_bytes = 0;
        Ok(())
    }

    /// Writes the slot that does not rule, which then does.
    fn rewrite(&mut self, name: &str, counter: u64) -> Result<()> {
        let index = self.slot.as_ref().map_or(0, |slot| 1 - slot.index);
        write(self.open_handle()?, &encode_slot(name, counter), SLOT_OFFSETS[index] as u64)?;
        self.slot = Some(Slot { index, counter, name: name.to_owned() });
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.check_trusted()?;
        let handle = self.open_handle()?;
        let end = HEADER_BYTES as u64 + self.data_bytes;
        let written = write(handle, bytes, end).and_then(|()| {
            let expected = (end + bytes.len() as u64) as f64;
            if handle.get_size().map_err(wrong)? == expected { Ok(()) } else { Err(no_room(bytes.len())) }
        });
        match written {
            Ok(()) => self.data_bytes += bytes.len() as u64,
            Err(_) => {
                let _ = handle.truncate_with_f64(end as f64);
                if let Ok(file_bytes) = handle.get_size() {
                    self.data_bytes = data_bytes(file_bytes);
                }
            }
        }
        written
    }

    fn read(&self, offset: u64, bytes_max: u32) -> Result<Vec<u8>> {
        let wanted = self.data_bytes.saturating_sub(offset).min(u64::from(bytes_max)) as usize;
        let mut bytes = Vec::new();
        js::room(&mut bytes, wanted)?;
        bytes.resize(wanted, 0);
        let handle = self.open_handle()?;
        let options = FileSystemReadWriteOptions::new();
        let mut filled = 0;
        while filled < wanted {
            options.set_at_f64((HEADER_BYTES as u64 + offset + filled as u64) as f64);
            let rest = &mut bytes[filled..];
            let rest_bytes = rest.len();
            let count = handle.read_with_u8_array_and_options(rest, &options).map_err(wrong)?;
            match progress(count, rest_bytes) {
                Some(count) => filled += count,
                None => break,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.check_trusted()?;
        self.flush_now()
    }

    fn flush_now(&mut self) -> Result<()> {
        self.open_handle()?.flush().map_err(|thrown| {
            self.standing = Standing::Unsynced;
            let mut error = js::failure(&thrown);
            error.code = Code::Unavailable;
            error.message = "the system could not bring written data to the disk".into();
            error
        })
    }
}

/// Whether the store was ever written: never, where the browser has no such file system.
pub async fn exists(name: &str) -> Result<bool> {
    match existing(name).await? {
        Some((_, directory)) => Ok(!pool_numbers(&directory).await?.is_empty()),
        None => Ok(false),
    }
}

/// Every store that was ever written, with the bytes of its blobs: 0 where they cannot be read.
pub async fn stores() -> Result<Vec<(String, u64)>> {
    let mut stores = Vec::new();
    let Some(root) = all_stores().await? else { return Ok(stores) };
    for entry in entries(&root).await? {
        let Some(name) = decode(&entry) else { continue };
        let Some(directory) = directory(&root, &entry, Missing::Leave).await? else { continue };
        if pool_numbers(&directory).await?.is_empty() {
            continue;
        }
        let pool = scan(&directory).await.unwrap_or_default();
        stores.push((name, blobs(&pool).iter().map(|blob| blob.bytes).sum()));
    }
    Ok(stores)
}

/// Removes a store's directory; one that does not exist is not an error. `LOCKED` while someone has it open.
pub async fn destroy(name: &str) -> Result<()> {
    let Some((stores, directory)) = existing(name).await? else { return Ok(()) };
    js::found(directory.remove_entry(LOCK)).await?;
    let options = FileSystemRemoveOptions::new();
    options.set_recursive(true);
    js::found(stores.remove_entry_with_options(&encode(name), &options)).await?;
    Ok(())
}

/// The directory of all stores, if there is one.
async fn all_stores() -> Result<Option<FileSystemDirectoryHandle>> {
    match origin().await {
        Ok(origin) => directory(&origin, ROOT, Missing::Leave).await,
        Err(error) if error.code == Code::Unavailable => Ok(None),
        Err(error) => Err(error),
    }
}

/// The directory of all stores and that of one, if it is there.
async fn existing(name: &str) -> Result<Option<(FileSystemDirectoryHandle, FileSystemDirectoryHandle)>> {
    let Some(stores) = all_stores().await? else { return Ok(None) };
    let store = directory(&stores, &encode(name), Missing::Leave).await?;
    Ok(store.map(|store| (stores, store)))
}

/// The root of the origin's private file system.
async fn origin() -> Result<FileSystemDirectoryHandle> {
    let storage = js::get(&js::global("navigator")?, "storage");
    let root = storage.unchecked_ref::<Storage>().get_directory().map_err(wrong)?;
    js::settled(root).await.map(JsCast::unchecked_into)
}

async fn directory(
    parent: &FileSystemDirectoryHandle,
    name: &str,
    missing: Missing,
) -> Result<Option<FileSystemDirectoryHandle>> {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(missing == Missing::Create);
    let found = js::found(parent.get_directory_handle_with_options(name, &options)).await?;
    Ok(found.map(JsCast::unchecked_into))
}

async fn file(
    parent: &FileSystemDirectoryHandle,
    name: &str,
    missing: Missing,
) -> Result<Option<FileSystemFileHandle>> {
    let options = FileSystemGetFileOptions::new();
    options.set_create(missing == Missing::Create);
    let found = js::found(parent.get_file_handle_with_options(name, &options)).await?;
    Ok(found.map(JsCast::unchecked_into))
}

/// What was asked to be created is there, unless someone removes its directory at this moment.
fn made<T>(handle: Option<T>) -> Result<T> {
    handle.ok_or_else(unavailable)
}

/// The exclusive handle of a file, waiting up to 5 s for whoever has it. There is no queue to wait in.
async fn exclusive(file: &FileSystemFileHandle) -> Result<FileSystemSyncAccessHandle> {
    let file: &Lockable = file.unchecked_ref();
    let give_up_ms = js::now_ms() + HANDLE_WAIT_MS;
    loop {
        match js::settled(file.create_sync_access_handle().map_err(wrong)?).await {
            Err(error) if error.code == Code::Locked && js::now_ms() < give_up_ms => js::sleep(HANDLE_POLL_MS).await,
            opened => return opened.map(JsCast::unchecked_into),
        }
    }
}

/// The names of everything in a directory.
async fn entries(directory: &FileSystemDirectoryHandle) -> Result<Vec<String>> {
    let keys: AsyncIterator = directory.keys();
    let mut names = Vec::new();
    loop {
        let next: Promise = keys.next().map_err(wrong)?.unchecked_into();
        let next = js::settled(next).await?;
        match js::get(&next, "value").as_string() {
            Some(name) => names.push(name),
            None => return Ok(names),
        }
    }
}

async fn pool_numbers(directory: &FileSystemDirectoryHandle) -> Result<Vec<u32>> {
    let names = entries(directory).await?;
    let number = |name: &String| name.parse().ok().filter(|number: &u32| number.to_string() == *name);
    Ok(names.iter().filter_map(number).collect())
}

/// The pool as its headers tell, without opening a handle.
async fn scan(directory: &FileSystemDirectoryHandle) -> Result<Vec<PoolFile>> {
    let mut pool = Vec::new();
    for number in pool_numbers(directory).await? {
        let Some(file) = file(directory, &number.to_string(), Missing::Leave).await? else { continue };
        let (header, file_bytes) = peek(&file).await?;
        let slot = ruling_slot(&header)?;
        let standing = match slot {
            None if header.iter().any(|byte| *byte != 0) => Standing::Damaged,
            _ => Standing::Good,
        };
        pool.push(PoolFile { number, file, handle: None, slot, data_bytes: data_bytes(file_bytes), standing });
    }
    Ok(pool)
}

/// The header of a file, and the size of the file. Usable while another thread writes to it: a snapshot of a file
/// cannot be read once the file has changed, so a fresh one is taken.
async fn peek(file: &FileSystemFileHandle) -> Result<(Vec<u8>, f64)> {
    let mut tries = 1;
    loop {
        let snapshot: File = js::settled(file.get_file()).await?.unchecked_into();
        let header = snapshot.slice_with_i32_and_i32(0, HEADER_BYTES as i32).map_err(wrong)?;
        match js::settled(header.array_buffer()).await {
            Ok(buffer) => {
                let mut bytes = Vec::new();
                js::extend(&mut bytes, &Uint8Array::new(&buffer), 0, HEADER_BYTES as u32)?;
                return Ok((bytes, snapshot.size()));
            }
            Err(error) if tries == PEEK_TRIES => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

/// The blobs that the pool holds.
fn blobs(pool: &[PoolFile]) -> Vec<Blob> {
    let mut blobs: Vec<Blob> = Vec::new();
    let mut newest_first: Vec<&PoolFile> = pool.iter().filter(|file| file.data_bytes > 0).collect();
    newest_first.sort_by_key(|file| u64::MAX - file.counter());
    for file in newest_first {
        if let Some(slot) = &file.slot
            && !slot.name.is_empty()
            && blobs.iter().all(|blob| blob.name != slot.name)
        {
            blobs.push(Blob { name: slot.name.clone(), bytes: file.data_bytes });
        }
    }
    blobs
}

/// The valid slot with the greatest counter, if any. A valid slot of a newer format is an error.
fn ruling_slot(header: &[u8]) -> Result<Option<Slot>> {
    let mut ruling: Option<Slot> = None;
    for (index, offset) in SLOT_OFFSETS.into_iter().enumerate() {
        let Some(slot) = header.get(offset..offset + SLOT_BYTES).and_then(|bytes| decode_slot(index, bytes)) else {
            continue;
        };
        let slot = slot?;
        if ruling.as_ref().is_none_or(|other| other.counter < slot.counter) {
            ruling = Some(slot);
        }
    }
    Ok(ruling)
}

fn encode_slot(name: &str, counter: u64) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[0..4].copy_from_slice(&MAGIC);
    slot[4..8].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    slot[8..16].copy_from_slice(&counter.to_le_bytes());
    slot[16] = name.len() as u8;
    slot[17..17 + name.len()].copy_from_slice(name.as_bytes());
    let hash = xxh64(&slot[..SLOT_HASHED_BYTES], 0);
    slot[SLOT_HASHED_BYTES..].copy_from_slice(&hash.to_le_bytes());
    slot
}

/// None if the slot is not valid.
fn decode_slot(index: usize, slot: &[u8]) -> Option<Result<Slot>> {
    let number = |at: usize| slot.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let (hashed, hash) = (slot.get(..SLOT_HASHED_BYTES)?, number(SLOT_HASHED_BYTES)?);
    if !hashed.starts_with(&MAGIC) || xxh64(hashed, 0) != hash {
        return None;
    }
    if hashed.get(4..8)? != FORMAT_VERSION.to_le_bytes() {
        return Some(Err(Error::new(Code::Version, "the storage was written by a newer version of Holdfast")));
    }
    let name_bytes = usize::from(*hashed.get(16)?);
    let name = std::str::from_utf8(hashed.get(17..17 + name_bytes)?).ok()?;
    Some(Ok(Slot { index, counter: number(8)?, name: name.to_owned() }))
}

/// A store's name as the name of a directory: unambiguous also where upper and lower case are not told apart.
fn encode(name: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_' {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    if encoded.is_empty() {
        encoded.push('%');
    }
    encoded
}

/// The inverse of [`encode`]; none for what it cannot have made.
fn decode(encoded: &str) -> Option<String> {
    let mut name = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    if encoded == "%" {
        rest = &[];
    }
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            name.push(u8::from_str_radix(digits, 16).ok()?);
            rest = rest.get(2..)?;
        } else {
            name.push(byte);
        }
    }
    String::from_utf8(name).ok().filter(|name| encode(name) == encoded)
}

fn data_bytes(file_bytes: f64) -> u64 {
    (file_bytes - HEADER_BYTES as f64) as u64
}

/// Writes all of it or fails. Less than all is continued once from where it stopped.
fn write(handle: &FileSystemSyncAccessHandle, bytes: &[u8], offset: u64) -> Result<()> {
    let options = FileSystemReadWriteOptions::new();
    let mut written = 0;
    let mut tries = 0;
    while written < bytes.len() {
        options.set_at_f64((offset + written as u64) as f64);
        let rest = &bytes[written..];
        let count = handle.write_with_u8_array_and_options(rest, &options).map_err(|thrown| {
            let mut error = js::failure(&thrown);
            if error.code == Code::Quota {
                error.bytes_needed = Some(bytes.len() as u64);
            }
            error
        })?;
        tries += 1;
        match progress(count, rest.len()) {
            Some(count) if tries < 2 || count == rest.len() => written += count,
            _ => return Err(no_room(bytes.len())),
        }
    }
    Ok(())
}

/// A count of transferred bytes that can be true and is not 0.
fn progress(count: f64, bytes_max: usize) -> Option<usize> {
    if count >= 1.0 && count <= bytes_max as f64 && count.fract() == 0.0 { Some(count as usize) } else { None }
}

fn no_room(bytes: usize) -> Error {
    let mut error = Error::new(Code::Quota, js::QUOTA).because("the write stopped short");
    error.bytes_needed = Some(bytes as u64);
    error
}

fn unavailable() -> Error {
    Error::new(Code::Unavailable, js::UNAVAILABLE)
}

fn wrong(thrown: JsValue) -> Error {
    js::failure(&thrown)
}
