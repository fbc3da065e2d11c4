//! The JavaScript boundary: the only file that knows both `JsValue` and the engine.
//!
//! Keys and values cross it as bytes in the scratch area, a reused piece of wasm memory that the caller fills before
//! and that answers point into; numbers cross as f64. Structured things off the hot path (options, status, stats,
//! reports) cross by serde. Errors are plain objects `{ code, message, cause?, bytesNeeded?, seq? }`. An address is
//! valid until the next call into wasm. Deliberately absent: the value codec and every convenience (`src/ts`).

use crate::Report;
use crate::backend::memory::Nowhere;
use crate::backend::remote::RemoteBackend;
use crate::backend::{Backend, LocalFuture, js};
use crate::error::{Code, Error, Result};
use crate::host::Host;
use crate::map::is_system;
use crate::op::{Op, SYSTEM_KEYS_START};
use crate::options::{Durability, Level, Mode, Options, Recovery, RewriteRule, SaveRule};
use crate::store::{Event, Store};
use crate::task;
use js_sys::{Function, Object, Promise};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);
}

/// Half the code of the standard library's allocator, and constant time.
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// The thread the page's JavaScript runs in.
struct JsHost;

impl Host for JsHost {
    fn now_ms(&self) -> f64 {
        js_sys::Date::now()
    }

    fn sleep(&self, delay_ms: u32) -> LocalFuture<'static, ()> {
        Box::pin(js::sleep(delay_ms))
    }

    fn pause(&self) -> LocalFuture<'static, ()> {
        self.sleep(0)
    }

    fn spawn(&self, task: LocalFuture<'static, ()>) {
        task::spawn(task);
    }

    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        get_random_values(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

fn error_to_js(error: &Error) -> JsValue {
    let object = Object::new();
    js::set(&object, "code", &error.code.as_str().into());
    js::set(&object, "message", &(&*error.message).into());
    if let Some(cause) = &error.cause {
        js::set(&object, "cause", &(&**cause).into());
    }
    if let Some(bytes) = error.bytes_needed {
        js::set(&object, "bytesNeeded", &(bytes as f64).into());
    }
    if let Some(seq) = error.seq {
        js::set(&object, "seq", &(seq as f64).into());
    }
    object.into()
}

impl From<Error> for JsValue {
    fn from(error: Error) -> JsValue {
        error_to_js(&error)
    }
}

/// A list of figures; their order is documented where they are made and named in `src/ts/engine.ts`. Names on this
/// side would cost five times the code.
fn figures(list: &[f64]) -> JsValue {
    // Numbers: nothing in them can fail.
    serde_wasm_bindgen::to_value(list).unwrap_or(JsValue::UNDEFINED)
}

/// seq, generation, entries, bytes, removed bytes, milliseconds.
fn report_figures(report: &Report) -> JsValue {
    figures(&[
        report.seq as f64,
        report.generation as f64,
        report.entries as f64,
        report.bytes as f64,
        report.removed_bytes as f64,
        report.ms,
    ])
}

/// The memory that addresses are about.
#[wasm_bindgen(unchecked_return_type = "WebAssembly.Memory")]
pub fn linear_memory() -> JsValue {
    wasm_bindgen::memory()
}

/// Where an engine keeps its blobs.
#[wasm_bindgen]
pub struct Storage {
    backend: Rc<dyn Backend>,
}

#[wasm_bindgen]
impl Storage {
    /// None besides the map; for mode memory.
    pub fn memory() -> Storage {
        Storage { backend: Rc::new(Nowhere) }
    }

    /// A storage in JavaScript: what is served at the other end of a port, usually a `Worker`, or in this thread an object with `ask`.
    pub fn remote(port: &JsValue) -> Storage {
        Storage { backend: Rc::new(RemoteBackend::new(port)) }
    }
}

/// Opens a store over a storage. `notify(event, osSeq, diskSeq, detail)` is called at every [`Event`]: 0 progress,
/// 1 poisoned (`detail`: the error), 2 a checkpoint ended (`detail`: the error if it failed), 3 there was no room (`detail`: the error).
#[wasm_bindgen(unchecked_return_type = "Promise<Engine>")]
pub fn open_engine(storage: Storage, options: &[f64], notify: Function) -> Promise {
    let options = read_options(options);
    promise(async move {
        let store = Store::open_checked(storage.backend, Rc::new(JsHost), options?).await?;
        // Weak, or the store would hold itself for ever.
        let told = Rc::downgrade(&store.shared);
        store.listen(Rc::new(move |event| {
            let (number, detail) = match event {
                Event::Progress { .. } => (0, JsValue::UNDEFINED),
                Event::Poisoned(error) => (1, error_to_js(error)),
                Event::Rejected(error) => (3, error_to_js(error)),
                Event::CheckpointEnded => (2, JsValue::UNDEFINED),
                Event::CheckpointFailed(error) => (2, error_to_js(error)),
            };
            let Some(shared) = told.upgrade() else { return };
            let (os_seq, disk_seq) = {
                let state = shared.state.borrow();
                (state.log.os_seq as f64, state.log.disk_seq as f64)
            };
            // A listener that throws has its own page to tell.
            let _ = notify.call4(&JsValue::UNDEFINED, &number.into(), &os_seq.into(), &disk_seq.into(), &detail);
        }));
        let engine = Engine {
            store,
            scratch: RefCell::new(Vec::new()),
            out: Box::new(Cell::new(0)),
            table: RefCell::new(Vec::new()),
        };
        Ok(engine.into())
    })
}

/// One promise for every kind of work: a future of its own type for each would cost its machinery each time.
fn promise(work: impl Future<Output = JsResult<JsValue>> + 'static) -> Promise {
    task::promise(Box::pin(work))
}

/// The options from a list of figures: durability (0 always, 1 everysec, 2 no), mode (0 hybrid, 1 log, 2 memory), recovery (0
/// point in time, 1 strict), rewrite percentage and least bytes, then the save rules, two figures each. A list, because
/// reading them from an object by serde costs 13 KB of the download: its errors can print every kind of value.
fn read_options(figures: &[f64]) -> Result<Options> {
    let [durability, mode, recovery, percentage, min_bytes, ref save @ ..] = *figures else {
        return Err(bad_options());
    };
    Ok(Options {
        durability: *[Durability::Always, Durability::Everysec, Durability::No]
            .get(durability as usize)
            .ok_or_else(bad_options)?,
        mode: *[Mode::Hybrid, Mode::Log, Mode::Memory].get(mode as usize).ok_or_else(bad_options)?,
        recovery: if recovery == 0.0 { Recovery::PointInTime } else { Recovery::Strict },
        rewrite: RewriteRule { percentage: percentage as u32, min_bytes: min_bytes as u64 },
        save: save.chunks_exact(2).map(|rule| SaveRule(rule[0] as u32, rule[1] as u64)).collect(),
    })
}

fn bad_options() -> Error {
    Error::new(Code::OptionInvalid, "no options")
}

/// An open store, as JavaScript drives it.
#[wasm_bindgen]
pub struct Engine {
    store: Store,
    scratch: RefCell<Vec<u8>>,
    /// The length of the value `get` found, or how many entries `write` removed.
    out: Box<Cell<u32>>,
    /// The answer of `get_many` and `scan`.
    table: RefCell<Vec<u32>>,
}

type JsResult<T> = std::result::Result<T, JsValue>;

/// In place of a value's length: the key is removed. With an empty key: everything is.
const REMOVE: u32 = u32::MAX;

/// A scratch area above this size is given back when a small one is asked for: wasm memory never shrinks.
const SCRATCH_BYTES_KEPT: usize = 1 << 20;

#[wasm_bindgen]
impl Engine {
    /// The address of a scratch area of at least that many bytes; it stays where it is until a larger one is asked
    /// for, or a small one after a very large one.
    pub fn scratch(&self, bytes: u32) -> u32 {
        let mut scratch = self.scratch.borrow_mut();
        let bytes = bytes as usize;
        if scratch.len() < bytes || scratch.len() > SCRATCH_BYTES_KEPT && bytes < SCRATCH_BYTES_KEPT {
            *scratch = vec![0; bytes];
        }
        scratch.as_ptr() as u32
    }

    /// The address of a u32: the length of the value `get` found, or how many entries `write` removed.
    pub fn out(&self) -> u32 {
        self.out.as_ptr() as u32
    }

    /// Applies `[u32 key bytes][u32 value bytes or REMOVE][key][value]...`, back to back in the scratch area, as one
    /// batch. Gives its seq; where nothing had to change, that of the newest batch.
    pub fn write(&self, bytes: u32, level: u8) -> JsResult<f64> {
        let scratch = self.scratch.borrow();
        self.write_scratch(scratch.get(..bytes as usize).unwrap_or_default(), level).map_err(JsValue::from)
    }

    /// The address of the value, 0 where the key is not there.
    pub fn get(&self, key_bytes: u32) -> u32 {
        let scratch = self.scratch.borrow();
        let [address, bytes] = self.find(scratch.get(..key_bytes as usize).unwrap_or_default());
        self.out.set(bytes);
        address
    }

    /// The address of a table with `(address or 0, bytes)` for each of the keys `[u32 key bytes][key]...`.
    pub fn get_many(&self, bytes: u32) -> u32 {
        let scratch = self.scratch.borrow();
        let mut rest = scratch.get(..bytes as usize).unwrap_or_default();
        let mut table = self.table.borrow_mut();
        table.clear();
        while let Some((key, after)) = take_u32(rest).and_then(|(key_bytes, rest)| split(rest, key_bytes)) {
            table.extend_from_slice(&self.find(key));
            rest = after;
        }
        table.as_ptr() as u32
    }

    /// The address of a table: the count, then `(key address, key bytes, value address, value bytes)` of each entry
    /// behind the key in the scratch area, in key order. Fewer than `entries_max` are the last.
    pub fn scan(&self, after_bytes: u32, entries_max: u32) -> u32 {
        let scratch = self.scratch.borrow();
        let after = scratch.get(..after_bytes as usize).filter(|after| !after.is_empty());
        let mut table = self.table.borrow_mut();
        table.clear();
        table.push(0);
        self.store.scan(after, &mut |entry| {
            let more = table[0] < entries_max;
            if more {
                let (key, value) = (entry.key, entry.value);
                let row = [key.as_ptr() as u32, key.len() as u32, value.as_ptr() as u32, value.len() as u32];
                table.extend_from_slice(&row);
                table[0] += 1;
            }
            more
        });
        table.as_ptr() as u32
    }

    pub fn count(&self) -> f64 {
        self.store.count() as f64
    }

    /// Asks for everything so far to be synced; gives the seq to wait for.
    pub fn flush(&self) -> JsResult<f64> {
        Ok(self.store.request_sync()? as f64)
    }

    /// Resolves to the figures of the report.
    #[wasm_bindgen(unchecked_return_type = "Promise<number[]>")]
    pub fn checkpoint(&self) -> Promise {
        let store = self.store.clone();
        promise(async move { Ok(report_figures(&store.checkpoint().await?)) })
    }

    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn close(&self) -> Promise {
        let store = self.store.clone();
        promise(async move {
            store.close().await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Why the store takes no writes, `undefined` while it does.
    pub fn cause(&self) -> JsValue {
        self.store.poison().map_or(JsValue::UNDEFINED, |error| error_to_js(&error))
    }

    /// Everything a status and the stats are made of: seqs applied, os, disk; unsynced ops, bytes, ms;
    /// recovered row, seq, snapshot seq or -1, frames, torn bytes, ms, loss from or -1, loss to; entries; log bytes,
    /// segments, generation; snapshot bytes or -1, seq, generation; wasm bytes, delta entries, delta bytes, base
    /// bytes; appends, syncs, bytes written; checkpoints, running (0 or 1), last ms or -1; how long the storage has taken over
    /// the writer's present call, ms.
    #[wasm_bindgen(unchecked_return_type = "number[]")]
    pub fn figures(&self) -> JsValue {
        let unsynced = self.store.unsynced();
        let state = self.store.shared.state.borrow();
        let (log, map, snapshots, recovered) = (&state.log, &state.map, &state.snapshots, &state.recovered);
        let loss = recovered.data_loss.map_or((-1.0, 0.0), |loss| (loss.from_seq as f64, loss.to_seq as f64));
        let newest = snapshots
            .newest
            .map_or((-1.0, 0.0, 0.0), |newest| (newest.bytes as f64, newest.seq as f64, newest.generation as f64));
        figures(&[
            log.last_seq as f64,
            log.os_seq as f64,
            log.disk_seq as f64,
            unsynced.frames as f64,
            unsynced.bytes as f64,
            unsynced.ms,
            f64::from(recovered.row as u8),
            recovered.seq as f64,
            recovered.snapshot_seq.map_or(-1.0, |seq| seq as f64),
            recovered.frames as f64,
            recovered.torn_bytes as f64,
            recovered.ms,
            loss.0,
            loss.1,
            map.user_entries() as f64,
            log.bytes_from(0) as f64,
            log.segments.len() as f64,
            log.segments.last().map_or(0.0, |segment| segment.generation as f64),
            newest.0,
            newest.1,
            newest.2,
            core::arch::wasm32::memory_size(0) as f64 * 65_536.0,
            map.delta_entries() as f64,
            map.delta_bytes() as f64,
            map.base().bytes() as f64,
            log.counts.appends as f64,
            log.counts.syncs as f64,
            log.counts.bytes_written as f64,
            snapshots.count as f64,
            f64::from(u8::from(snapshots.running)),
            snapshots.last_ms.unwrap_or(-1.0),
            log.calling_since_ms.map_or(0.0, |since_ms| self.store.shared.host.now_ms() - since_ms),
        ])
    }
}

impl Engine {
    /// Where the value of a key is and how long it is; zeros where it is not.
    fn find(&self, key: &[u8]) -> [u32; 2] {
        if is_system(key) {
            return [0, 0];
        }
        let place = |value: &[u8]| [value.as_ptr() as u32, value.len() as u32];
        self.store.get(key, |entry| place(entry.value)).unwrap_or_default()
    }

    fn write_scratch(&self, mut rest: &[u8], level: u8) -> Result<f64> {
        let mut ops = Vec::new();
        let mut only_removes = true;
        while !rest.is_empty() {
            let (op, after) = take_op(rest).ok_or_else(|| Error::new(Code::ValueInvalid, "no batch"))?;
            rest = after;
            let nothing_to_do = match op {
                Op::Set { .. } => {
                    only_removes = false;
                    false
                }
                Op::Delete { key } => only_removes && !self.store.has(key),
                Op::DeleteRange { .. } => only_removes && self.store.count() == 0,
            };
            if !nothing_to_do {
                ops.push(op);
            }
        }
        self.out.set(0);
        let seq = if ops.is_empty() {
            self.store.check_writable()?;
            // That there is nothing to remove may rest on a write that is still on its way.
            self.store.seq()
        } else {
            let done = self.store.write(&ops)?;
            self.out.set(done.removed as u32);
            done.seq
        };
        let level = match level {
            0 => Level::Applied,
            1 => Level::Os,
            _ => Level::Disk,
        };
        if level > self.store.shared.options.durability.level() {
            self.store.request(level, seq)?;
        }
        Ok(seq as f64)
    }
}

/// The first op of a batch in the scratch area, and the rest.
fn take_op(rest: &[u8]) -> Option<(Op<'_>, &[u8])> {
    let (key_bytes, rest) = take_u32(rest)?;
    let (value_bytes, rest) = take_u32(rest)?;
    let (key, rest) = split(rest, key_bytes)?;
    if is_system(key) {
        return None;
    }
    match value_bytes {
        REMOVE if key.is_empty() => Some((Op::DeleteRange { start: key, end: &[SYSTEM_KEYS_START] }, rest)),
        REMOVE => Some((Op::Delete { key }, rest)),
        _ => split(rest, value_bytes).map(|(value, rest)| (Op::Set { key, value, expires_at_ms: None }, rest)),
    }
}

/// The first bytes of an area, and the rest.
fn split(area: &[u8], bytes: u32) -> Option<(&[u8], &[u8])> {
    area.split_at_checked(bytes as usize)
}

fn take_u32(area: &[u8]) -> Option<(u32, &[u8])> {
    let (four, rest) = split(area, 4)?;
    Some((crate::frame::u32_at(four, 0), rest))
}
