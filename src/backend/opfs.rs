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
//! write the slot, flush, truncate in steps. A write counts only if it returns the full length and the file is as long as it
//! has to be: on a full disk Firefox returns 0 or a number without meaning. A file whose flush failed is never
//! written or trusted again until the store is opened anew.
//!
//! Errors: `LOCKED` while someone else has a file open, `QUOTA` with the bytes needed, `VERSION`, `CLOSED`, and
//! `UNAVAILABLE` for the rest. Deliberately absent: directories, handles and their promises (`glue.js`), shrinking the pool, `createWritable` (it loses both contents in
//! a power cut) and the non-exclusive handle modes (one engine only).

use super::call::{Answer, Call, Calls, closed};
use super::js::{self, glue};
use super::{Blob, LocalFuture, NAME_BYTES_MAX, Sync, stores};
use crate::error::{Code, Error, Result};
use crate::hash::xxh64;
use std::cell::RefCell;
use wasm_bindgen::prelude::*;

const POOL_FILES: u32 = 6;
/// What a free file gives back in one call: 100 MB at once take 30 ms.
const SHRINK_BYTES: u64 = 4 << 20;

pub(super) const HEADER_BYTES: usize = 4096;
const SLOT_OFFSETS: [usize; 2] = [0, 2048];
const SLOT_BYTES: usize = 72;
const SLOT_HASHED_BYTES: usize = 64;
const MAGIC: [u8; 4] = *b"HFPF";
const FORMAT_VERSION: u32 = 1;

/// Of what `glue.js` tells of a file, the bytes before its header: its number and its size.
const ROW_PREFIX_BYTES: usize = 16;

/// One opening of a store: its lock and its pool.
pub struct OpfsBackend {
    store: JsValue,
    /// None once it is closed.
    pool: RefCell<Option<Vec<PoolFile>>>,
}

#[derive(Default)]
struct PoolFile {
    number: u32,
    /// Opened when it is first needed; undefined until then.
    handle: JsValue,
    /// The slot that rules; before the first claim, which takes slot 0, the other one.
    slot: usize,
    counter: u64,
    /// The blob's name, empty when the file is free.
    name: String,
    data_bytes: u64,
    /// What a free file still takes besides its header.
    spare_bytes: u64,
    /// A flush failed, so the system may have dropped what it would now report as safe; or the header says nothing,
    /// so what the file holds is unknown.
    distrusted: bool,
}

/// How far a call comes without waiting.
enum Step {
    Done(Answer),
    /// It needs the handle of a file, and so many files made first, from that one on.
    Open(u32, u32),
}

impl OpfsBackend {
    /// Opens a store. Takes its lock, waiting up to 5 s for it, and then reads the headers of its pool. Writes
    /// nothing but, the first time, the store's directory and its empty `lock`.
    pub async fn open(name: &str) -> Result<OpfsBackend> {
        OpfsBackend::new(js::settled(glue::opfs_open(name, HEADER_BYTES as u32)).await?)
    }

    pub(super) fn new(store: JsValue) -> Result<OpfsBackend> {
        let backend = OpfsBackend { store, pool: RefCell::new(Some(Vec::new())) };
        let pool = read_pool(&js::bytes(&js::get(&backend.store, "pool"))?)?;
        *backend.pool.borrow_mut() = Some(pool);
        Ok(backend)
    }

    async fn run_now(&self, call: Call<'_>) -> Result<Answer> {
        loop {
            // A step changes nothing before it has all it needs, so calls that overlap cannot disturb each other.
            let (number, files) = match self.step(&call)? {
                Step::Done(answer) => {
                    if let Call::Remove { .. } = call {
                        while self.shrink() {
                            js::sleep(0).await;
                        }
                    }
                    return Ok(answer);
                }
                Step::Open(number, files) => (number, files),
            };
            let handle = js::settled(glue::opfs_handle(&self.store, number, files)).await?;
            self.keep(number, files, handle)?;
        }
    }

    fn step(&self, call: &Call<'_>) -> Result<Step> {
        let mut answer = Answer::default();
        if let Call::Close = call {
            self.close_now();
            return Ok(Step::Done(answer));
        }
        let mut pool = self.pool.borrow_mut();
        let Some(pool) = &mut *pool else { return Err(closed()) };
        match *call {
            Call::List => answer.blobs = blobs(pool),
            Call::Read { name, offset, bytes_max } => {
                if let Some(at) = find(pool, name) {
                    let file = &pool[at];
                    if file.handle.is_undefined() {
                        return Ok(Step::Open(file.number, 0));
                    }
                    let wanted = file.data_bytes.saturating_sub(offset).min(u64::from(bytes_max)) as usize;
                    answer.bytes = read(&file.handle, offset + HEADER_BYTES as u64, wanted)?;
                }
            }
            Call::Append { name, bytes, sync } => {
                if name.is_empty() || name.len() > NAME_BYTES_MAX {
                    return Err(Error::new(Code::OptionInvalid, "a blob's name has 1 to 47 bytes"));
                }
                let counter = next_counter(pool);
                let at = match find(pool, name) {
                    Some(at) => at,
                    None if bytes.is_empty() => return Ok(Step::Done(answer)),
                    None => match free(pool) {
                        Some(at) => at,
                        None if pool.is_empty() => return Ok(Step::Open(0, POOL_FILES)),
                        None => return Ok(Step::Open(unused_number(pool), 1)),
                    },
                };
                let file = &mut pool[at];
                if file.handle.is_undefined() {
                    return Ok(Step::Open(file.number, 0));
                }
                if !file.holds(name) {
                    file.claim(name, counter)?;
                }
                file.append(bytes)?;
                if sync == Sync::Synced {
                    file.flush()?;
                }
            }
            Call::Sync { name } => {
                if let Some(at) = find(pool, name) {
                    let file = &mut pool[at];
                    if file.handle.is_undefined() {
                        return Ok(Step::Open(file.number, 0));
                    }
                    file.check_trusted()?;
                    file.flush()?;
                }
            }
            Call::Remove { names } => {
                let mut counter = next_counter(pool);
                for file in pool {
                    if !file.name.is_empty() && names.contains(&file.name) {
                        if file.handle.is_undefined() {
                            return Ok(Step::Open(file.number, 0));
                        }
                        file.release(counter)?;
                        counter = counter.saturating_add(1);
                    }
                }
            }
            Call::Close => {}
        }
        Ok(Step::Done(answer))
    }

    /// Takes a handle, and the files that were made for it, into the pool.
    fn keep(&self, number: u32, files: u32, handle: JsValue) -> Result<()> {
        let mut pool = self.pool.borrow_mut();
        let Some(pool) = &mut *pool else { return Err(closed()) };
        for number in number..number + files {
            if pool.iter().all(|file| file.number != number) {
                pool.push(PoolFile { number, slot: 1, ..PoolFile::default() });
            }
        }
        for file in pool {
            if file.number == number && file.handle.is_undefined() {
                file.data_bytes = data_bytes(access(&handle, "getSize", &[], 0)?);
                file.handle = handle.clone();
            }
        }
        Ok(())
    }

    /// Gives back some of the room that free files take, if the browser can; false when there is none left. In steps, so
    /// that others get their turn.
    fn shrink(&self) -> bool {
        let mut pool = self.pool.borrow_mut();
        let file = pool.iter_mut().flatten().find(|file| file.spare_bytes > 0 && file.name.is_empty());
        if let Some(file) = file {
            file.spare_bytes = file.spare_bytes.saturating_sub(SHRINK_BYTES);
            let _ = access(&file.handle, "truncate", &[], HEADER_BYTES as u64 + file.spare_bytes);
            return true;
        }
        false
    }

    fn close_now(&self) {
        if self.pool.take().is_some() {
            glue::opfs_close(&self.store);
        }
    }
}

impl Drop for OpfsBackend {
    fn drop(&mut self) {
        self.close_now();
    }
}

impl Calls for OpfsBackend {
    fn run<'a>(&'a self, call: Call<'a>) -> LocalFuture<'a, Result<Answer>> {
        Box::pin(self.run_now(call))
    }
}

impl PoolFile {
    fn holds(&self, name: &str) -> bool {
        self.data_bytes > 0 && !self.name.is_empty() && self.name == name
    }

    fn check_trusted(&self) -> Result<()> {
        if self.distrusted {
            return Err(Error::new(Code::Unavailable, "an earlier flush failed"));
        }
        Ok(())
    }

    fn claim(&mut self, name: &str, counter: u64) -> Result<()> {
        if access(&self.handle, "getSize", &[], 0)? < HEADER_BYTES as f64 {
            write(&self.handle, &[0; HEADER_BYTES], 0)?;
        }
        access(&self.handle, "truncate", &[], HEADER_BYTES as u64)?;
        self.data_bytes = 0;
        self.spare_bytes = 0;
        self.rewrite(name, counter)
    }

    /// Makes the file free.
    fn release(&mut self, counter: u64) -> Result<()> {
        self.rewrite("", counter)?;
        self.flush()?;
        self.spare_bytes = self.data_bytes;
        self.data_bytes = 0;
        Ok(())
    }

    /// Writes the slot that does not rule, which then does.
    fn rewrite(&mut self, name: &str, counter: u64) -> Result<()> {
        let slot = 1 - self.slot;
        write(&self.handle, &encode_slot(name, counter), SLOT_OFFSETS[slot] as u64)?;
        self.slot = slot;
        self.counter = counter;
        self.name = name.to_owned();
        Ok(())
    }

    /// All of it or, if the browser can take the rest back, nothing.
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.check_trusted()?;
        let start = HEADER_BYTES as u64 + self.data_bytes;
        let end = start + bytes.len() as u64;
        let mut written = write(&self.handle, bytes, start);
        if written.is_ok() && access(&self.handle, "getSize", &[], 0)? != end as f64 {
            written = Err(no_room(bytes.len()));
        }
        if written.is_ok() {
            self.data_bytes = end - HEADER_BYTES as u64;
        } else {
            let _ = access(&self.handle, "truncate", &[], start);
            if let Ok(file_bytes) = access(&self.handle, "getSize", &[], 0) {
                self.data_bytes = data_bytes(file_bytes);
            }
        }
        written
    }

    fn flush(&mut self) -> Result<()> {
        access(&self.handle, "flush", &[], 0).map(drop).map_err(|mut error| {
            self.distrusted = true;
            error.code = Code::Unavailable;
            error.message = "written data was not brought to the disk".into();
            error
        })
    }
}

/// Whether the store was ever written: never, where the browser has no such file system.
pub async fn exists(name: &str) -> Result<bool> {
    Ok(js::settled(glue::store_exists(name, "opfs")).await?.is_truthy())
}

/// Every store that was ever written, with the bytes of its blobs: 0 where they cannot be read.
pub async fn stores() -> Result<Vec<(String, u64)>> {
    stores::of_backend("opfs").await
}

/// Removes a store's directory; one that does not exist is not an error. `LOCKED` while someone has it open.
pub async fn destroy(name: &str) -> Result<()> {
    js::settled(glue::opfs_destroy(name)).await.map(drop)
}

/// The place in the pool of the file that holds a blob.
fn find(pool: &[PoolFile], name: &str) -> Option<usize> {
    let mut found: Option<usize> = None;
    for (at, file) in pool.iter().enumerate() {
        if file.holds(name) && found.is_none_or(|other| pool[other].counter < file.counter) {
            found = Some(at);
        }
    }
    found
}

/// The place of a file that holds nothing, rather one whose handle is open already.
fn free(pool: &[PoolFile]) -> Option<usize> {
    let mut found = None;
    for (at, file) in pool.iter().enumerate() {
        if !file.distrusted && (file.name.is_empty() || file.data_bytes == 0) {
            if !file.handle.is_undefined() {
                return Some(at);
            }
            found = found.or(Some(at));
        }
    }
    found
}

fn next_counter(pool: &[PoolFile]) -> u64 {
    pool.iter().fold(0, |newest, file| newest.max(file.counter)).saturating_add(1)
}

/// The least number that no file of the pool has.
fn unused_number(pool: &[PoolFile]) -> u32 {
    let mut number = 0;
    while pool.iter().any(|file| file.number == number) {
        number += 1;
    }
    number
}

/// The blobs that the pool holds.
fn blobs(pool: &[PoolFile]) -> Vec<Blob> {
    let mut blobs = Vec::new();
    for (at, file) in pool.iter().enumerate() {
        if find(pool, &file.name) == Some(at) {
            blobs.push(Blob { name: file.name.clone(), bytes: file.data_bytes });
        }
    }
    blobs
}

/// The pool as its headers tell. `rows` has of each file its number and its size, as f64, and its header.
fn read_pool(rows: &[u8]) -> Result<Vec<PoolFile>> {
    let mut pool = Vec::new();
    for row in rows.chunks_exact(ROW_PREFIX_BYTES + HEADER_BYTES) {
        let mut file = PoolFile { slot: 1, distrusted: true, ..PoolFile::default() };
        file.number = f64::from_bits(u64_at(row, 0)) as u32;
        file.data_bytes = data_bytes(f64::from_bits(u64_at(row, 8)));
        let header = &row[ROW_PREFIX_BYTES..];
        for (index, offset) in SLOT_OFFSETS.into_iter().enumerate() {
            let slot = &header[offset..offset + SLOT_BYTES];
            let hashed = &slot[..SLOT_HASHED_BYTES];
            if !slot.starts_with(&MAGIC) || xxh64(hashed, 0) != u64_at(slot, SLOT_HASHED_BYTES) {
                continue;
            }
            if slot[4..8] != FORMAT_VERSION.to_le_bytes() {
                return Err(Error::new(
                    Code::Version,
                    "a newer version of Holdfast wrote this store; use that version to open it",
                ));
            }
            let name = hashed.get(17..17 + usize::from(slot[16])).filter(|name| name.is_ascii());
            let (Some(name), counter) = (name, u64_at(slot, 8)) else { continue };
            if file.distrusted || file.counter < counter {
                let name = name.iter().copied().map(char::from).collect();
                (file.slot, file.counter, file.name, file.distrusted) = (index, counter, name, false);
            }
        }
        // Nothing but zeros: never claimed, or the first claim was lost.
        if header.iter().all(|byte| *byte == 0) {
            file.distrusted = false;
        }
        pool.push(file);
    }
    Ok(pool)
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

/// The offset is within the bytes.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

fn data_bytes(file_bytes: f64) -> u64 {
    (file_bytes - HEADER_BYTES as f64) as u64
}

/// A call on a handle, with those of the arguments that its method takes.
fn access(handle: &JsValue, method: &str, bytes: &[u8], at: u64) -> Result<f64> {
    outcome(&glue::access(handle, method, bytes, at as f64))
}

fn outcome(outcome: &JsValue) -> Result<f64> {
    outcome.as_f64().ok_or_else(|| js::failure(outcome))
}

fn read(handle: &JsValue, offset: u64, wanted: usize) -> Result<Vec<u8>> {
    let mut bytes = js::zeros(wanted)?;
    let mut filled = 0;
    while filled < wanted {
        let rest = &mut bytes[filled..];
        let most = rest.len();
        let count = outcome(&glue::access_into(handle, "read", rest, (offset + filled as u64) as f64))?;
        match progress(count, most) {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Writes all of it or fails. Less than all is continued once from where it stopped.
fn write(handle: &JsValue, bytes: &[u8], offset: u64) -> Result<()> {
    let mut written = 0;
    for _ in 0..2 {
        let rest = &bytes[written..];
        if rest.is_empty() {
            break;
        }
        let count = access(handle, "write", rest, offset + written as u64).map_err(|mut error| {
            if error.code == Code::Quota {
                error.bytes_needed = Some(bytes.len() as u64);
            }
            error
        })?;
        match progress(count, rest.len()) {
            0 => break,
            count => written += count,
        }
    }
    if written == bytes.len() { Ok(()) } else { Err(no_room(bytes.len())) }
}

/// A count of transferred bytes, 0 if it cannot be true.
fn progress(count: f64, bytes_max: usize) -> usize {
    let whole = count as usize;
    if whole as f64 == count && whole <= bytes_max { whole } else { 0 }
}

#[cold]
fn no_room(bytes: usize) -> Error {
    let mut error =
        Error::new(Code::Quota, "the origin's quota or the disk is full").because("the write stopped short");
    error.bytes_needed = Some(bytes as u64);
    error
}
