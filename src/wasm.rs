//! The JavaScript boundary: the only file that knows both `JsValue` and the engine.
//!
//! Keys and values cross it as bytes in the scratch area, a reused piece of wasm memory that the caller fills before
//! and that answers point into; numbers cross as f64. Structured things off the hot path (status, stats,
//! reports) cross as lists of numbers. Errors are plain objects `{ code, message, cause?, bytesNeeded?, seq? }`. An address is
//! valid until the next call into wasm. JavaScript has an engine by its address: an object of wasm-bindgen's would cost a
//! kilobyte of the download. Deliberately absent: the value codec and every convenience (`src/ts`).

use crate::backend::LocalFuture;
use crate::backend::js::{self, glue};
use crate::backend::remote::RemoteBackend;
use crate::error::{Code, Error, Result};
use crate::host::Host;
use crate::map::{Map, is_system};
use crate::op::{Op, SYSTEM_KEYS_START};
use crate::options::{Durability, Level, Mode, Options, Recovery, RewriteRule, SaveRule};
use crate::store::{Cause, Condition, Direction, Event, Recording, Role, ScanRange, Store, check_ops};
use crate::task;
use crate::{Report, SnapshotInfo};
use js_sys::{Function, Promise};
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
    let number = |given: Option<u64>| given.map_or(-1.0, |number| number as f64);
    let cause = error.cause.as_deref().unwrap_or_default();
    glue::failure(error.code.as_str(), &error.message, cause, number(error.bytes_needed), number(error.seq))
}

impl From<Error> for JsValue {
    fn from(error: Error) -> JsValue {
        error_to_js(&error)
    }
}

/// A list of figures; their order is documented where they are made and named in `src/ts/engine.ts`. Names on this
/// side would cost five times the code.
fn figures(list: &[f64]) -> JsValue {
    glue::list(list.as_ptr() as u32, list.len() as u32)
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

/// Opens a store over a storage in JavaScript, an object with `ask` (`glue.js`). `notify(event, osSeq, diskSeq, detail)` is called at every [`Event`]: 0 progress,
/// 1 poisoned (`detail`: the error), 2 a checkpoint ended (`detail`: the error if it failed), 3 there was no room (`detail`: the error). Resolves
/// to the address of an [`Engine`].
#[wasm_bindgen(unchecked_return_type = "Promise<number>")]
pub fn open_engine(storage: JsValue, options: JsValue, notify: Function) -> Promise {
    let backend = Rc::new(RemoteBackend::new(&storage));
    let options = read_options(&options);
    promise(async move {
        let store = Store::open_checked(backend, Rc::new(JsHost), options?).await?;
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
            glue::tell(&notify, number, os_seq, disk_seq, &detail);
        }));
        let engine = Engine {
            store,
            scratch: RefCell::new(Vec::new()),
            out: Box::default(),
            table: RefCell::default(),
            changed: RefCell::default(),
            views: RefCell::default(),
            ended_view: RefCell::default(),
            staged: RefCell::default(),
            refused: Cell::default(),
        };
        Ok((Box::into_raw(Box::new(engine)) as u32).into())
    })
}

/// One promise for every kind of work: a future of its own type for each would cost its machinery each time.
fn promise(work: impl Future<Output = JsResult<JsValue>> + 'static) -> Promise {
    task::promise(Box::pin(work))
}

/// The options from a list of figures: durability (0 always, 1 everysec, 2 no), mode (0 hybrid, 1 log, 2 memory, 3 snapshot), recovery (0
/// point in time, 1 strict), rewrite percentage and least bytes, then the save rules, two figures each. A list, because
/// reading them from an object by serde costs 13 KB of the download: its errors can print every kind of value.
fn read_options(list: &JsValue) -> Result<Options> {
    let figure = |index| glue::item(list, index).as_f64();
    let number = |index| figure(index).ok_or_else(bad_options);
    let mut save = Vec::new();
    while let Some(seconds) = figure(5 + 2 * save.len() as u32) {
        save.push(SaveRule(seconds as u32, number(6 + 2 * save.len() as u32)? as u64));
    }
    Ok(Options {
        durability: *[Durability::Always, Durability::Everysec, Durability::No]
            .get(number(0)? as usize)
            .ok_or_else(bad_options)?,
        mode: *[Mode::Hybrid, Mode::Log, Mode::Memory, Mode::Snapshot]
            .get(number(1)? as usize)
            .ok_or_else(bad_options)?,
        recovery: if number(2)? == 0.0 { Recovery::PointInTime } else { Recovery::Strict },
        rewrite: RewriteRule { percentage: number(3)? as u32, min_bytes: number(4)? as u64 },
        save,
    })
}

fn bad_options() -> Error {
    Error::new(Code::OptionInvalid, "no options")
}

/// Exports methods of [`Engine`] with its address in front, which is 0 once JavaScript let go of it: then nothing is done, and the answer
/// is 0. Without wasm-bindgen, which has nothing to do where all is numbers; a value is given to `thread.answer` of `glue.js`.
macro_rules! calls {
    ($($name:ident = $method:ident($($argument:ident: $type:ty),*) $(-> $number:ty)?;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name(engine: Option<&Engine>, $($argument: $type),*) $(-> $number)? {
            engine.map(|engine| engine.$method($($argument),*)).unwrap_or_default()
        }
    )*};
}

calls! {
    engine_scratch = scratch(bytes: u32) -> u32;
    engine_out = out() -> u32;
    engine_write = write(bytes: u32, level: u8, purpose: u8) -> f64;
    engine_get = get(key_bytes: u32) -> u32;
    engine_get_many = get_many(bytes: u32) -> u32;
    engine_scan = scan(number: u32, after_bytes: u32, bytes: u32, entries_max: u32, back: bool, goes_on: bool) -> u32;
    engine_end_scan = end_scan(number: u32);
    engine_count = count(after_bytes: u32, bytes: u32) -> f64;
    engine_live_bytes = live_bytes() -> f64;
    engine_seq = seq() -> f64;
    engine_record_changes = record_changes(on: bool);
    engine_changes = changes() -> u32;
}

#[unsafe(no_mangle)]
extern "C" fn engine_run(engine: Option<&Engine>, work: u8, generation: f64, seq: f64, bytes: f64) {
    if let Some(engine) = engine {
        glue::answer(&engine.run(work, generation, seq, bytes));
    }
}

#[unsafe(no_mangle)]
extern "C" fn engine_cause(engine: Option<&Engine>) {
    if let Some(engine) = engine {
        glue::answer(&engine.cause());
    }
}

#[unsafe(no_mangle)]
extern "C" fn engine_figures(engine: Option<&Engine>) {
    if let Some(engine) = engine {
        glue::answer(&engine.figures());
    }
}

/// Lets go of an engine.
#[unsafe(no_mangle)]
extern "C" fn engine_free(engine: Option<Box<Engine>>) {
    drop(engine);
}

/// An open store, as JavaScript drives it.
struct Engine {
    store: Store,
    scratch: RefCell<Vec<u8>>,
    /// What a call leaves beside its answer.
    out: Box<Cell<[f64; 3]>>,
    /// The answer of `get_many` and `scan`.
    table: RefCell<Vec<u32>>,
    /// The answer of `changes`.
    changed: RefCell<Vec<u8>>,
    /// Maps as they were when a scan that goes on began, by the number of the scan less 1.
    views: RefCell<Vec<Option<Map>>>,
    /// The one whose scan ended last.
    ended_view: RefCell<Option<Map>>,
    /// What is going to take the place of what the store holds.
    staged: RefCell<Map>,
    /// Why the last write was not made, until someone asks.
    refused: Cell<Option<Error>>,
}

type JsResult<T> = std::result::Result<T, JsValue>;

/// In place of a value's length: the key, or the range, is removed.
const REMOVE: u32 = u32::MAX;

/// In the length of a key: more follows, see `write`.
const MORE: u32 = 1 << 31;

/// A scratch area above this size is given back when a small one is asked for: wasm memory never shrinks.
const SCRATCH_BYTES_KEPT: usize = 1 << 20;

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

    /// The address of three f64: the length of the value that `get` found, its version, and its expiry or 0; how many entries
    /// `write` removed; how many bytes `changes` gives.
    pub fn out(&self) -> u32 {
        self.out.as_ptr() as u32
    }

    /// Applies the ops in the scratch area as one batch, if the conditions in front of them hold, or gives `CONFLICT`. Gives its seq, or -1
    /// where it is refused, and `cause` says why;
    /// where nothing had to change, that of the newest batch. `purpose`: 0 it is asked for, 1 what it removes has to make room, 2 it is
    /// for a map apart, which an empty batch empties. Without any batch: 3 that map takes the place of what the store holds (0: try again
    /// later), 4 everything so far is to be synced, and the seq is that to wait for, 5 the scratch area has frames for a store that
    /// follows ([`Store::follow`]; `level` 1: what they remove had to make room), or nothing, and the store is to begin to follow
    /// ([`Store::stop`]; gives whether it is busy). 6 as 0, but keys may be, as with 2, the engine's own; what is
    /// set under these is left out where nothing else had to change.
    ///
    /// `[u32 bytes of all conditions]`, then each condition as `[u32 key bytes][f64 version or 0][key]`, or `[u32 start bytes +
    /// MORE][f64 seq][u32 end bytes][start][end]` for a range that did not change since; then each op as `[u32 key bytes][u32 value
    /// bytes][key][value]`, with `[f64 expiry]` in front of the key if its length has MORE; with REMOVE in place of the value's
    /// bytes it is a removal, of `[u32 start bytes + MORE][u32 REMOVE][u32 end bytes][start][end]` if that has MORE.
    pub fn write(&self, bytes: u32, level: u8, purpose: u8) -> f64 {
        let scratch = self.scratch.borrow();
        let batch = scratch.get(..bytes as usize).unwrap_or_default();
        self.write_scratch(batch, level, purpose).unwrap_or_else(|error| {
            self.refused.set(Some(error));
            -1.0
        })
    }

    /// The address of the value, 0 where the key is not there.
    pub fn get(&self, key_bytes: u32) -> u32 {
        let scratch = self.scratch.borrow();
        let key = scratch.get(..key_bytes as usize).unwrap_or_default();
        let Some(([address, bytes], version, expires_at_ms)) = self.find(key) else { return 0 };
        self.out.set([f64::from(bytes), version as f64, expires_at_ms as f64]);
        address
    }

    /// The address of a table with `(address or 0, bytes)` for each of the keys `[u32 key bytes][key]...`.
    pub fn get_many(&self, bytes: u32) -> u32 {
        let scratch = self.scratch.borrow();
        let mut rest = scratch.get(..bytes as usize).unwrap_or_default();
        let mut table = self.table.borrow_mut();
        table.clear();
        while let Some((key, after)) = take_u32(rest).and_then(|(key_bytes, rest)| split(rest, key_bytes)) {
            table.extend_from_slice(&self.find(key).map_or([0; 2], |(place, ..)| place));
            rest = after;
        }
        table.as_ptr() as u32
    }

    /// The address of a table: the count, the number of the scan or 0, then `(key address, key bytes, value address, value bytes,
    /// expiry or 0 in two)` of at most `entries_max` entries with `after < key < end`, which are back to back in the scratch area; in key order, or
    /// `back` from the last. Where there are more and the scan `goes_on`, it has a number: with it the next call goes on in the map
    /// as it was at the first, until it gives 0 or `end_scan` is called.
    pub fn scan(&self, number: u32, after_bytes: u32, bytes: u32, entries_max: u32, back: bool, goes_on: bool) -> u32 {
        let scratch = self.scratch.borrow();
        let (after, end) = bounds(&scratch, after_bytes, bytes);
        let direction = if back { Direction::Back } else { Direction::Forwards };
        let mut table = self.table.borrow_mut();
        table.clear();
        table.extend_from_slice(&[0; 2]);
        let mut more = false;
        let mut views = self.views.borrow_mut();
        let index = (number as usize).wrapping_sub(1);
        let view = views.get(index).and_then(Option::as_ref);
        self.store.scan(view, ScanRange { after, end, direction }, &mut |entry| {
            more = table[0] == entries_max;
            if !more {
                let (key, value) = (entry.key, entry.value);
                let expires_at_ms = entry.expires_at_ms.unwrap_or(0);
                let row = [key.as_ptr() as u32, key.len() as u32, value.as_ptr() as u32, value.len() as u32];
                table.extend_from_slice(&row);
                table.extend_from_slice(&[expires_at_ms as u32, (expires_at_ms >> 32) as u32]);
                table[0] += 1;
            }
            !more
        });
        if more && goes_on && number == 0 {
            let free = views.iter().position(Option::is_none).unwrap_or(views.len());
            if free == views.len() {
                views.push(None);
            }
            views[free] = Some(self.store.view());
            table[1] = free as u32 + 1;
        } else if more && goes_on {
            table[1] = number;
        } else if let Some(view) = views.get_mut(index) {
            // The answer may point into it.
            *self.ended_view.borrow_mut() = view.take();
        }
        table.as_ptr() as u32
    }

    /// Ends a scan that has a number.
    pub fn end_scan(&self, number: u32) {
        if let Some(view) = self.views.borrow_mut().get_mut((number as usize).wrapping_sub(1)) {
            *view = None;
        }
    }

    /// How many entries have `after < key < end`, which are back to back in the scratch area.
    pub fn count(&self, after_bytes: u32, bytes: u32) -> f64 {
        let scratch = self.scratch.borrow();
        let (after, end) = bounds(&scratch, after_bytes, bytes);
        self.store.count_range(&[after, &[0]].concat(), end) as f64
    }

    /// Bytes of the keys and values of all user entries.
    pub fn live_bytes(&self) -> f64 {
        self.store.shared.state.borrow().map.user_bytes() as f64
    }

    /// The newest seq.
    pub fn seq(&self) -> f64 {
        self.store.seq() as f64
    }

    /// Begins or ends the record of changes.
    pub fn record_changes(&self, on: bool) {
        self.store.record_changes(if on { Recording::On } else { Recording::Off });
    }

    /// The address of what was recorded since the last call.
    pub fn changes(&self) -> u32 {
        let changed = self.store.take_changes();
        self.out.set([changed.len() as f64, 0.0, 0.0]);
        let address = changed.as_ptr() as u32;
        *self.changed.borrow_mut() = changed;
        address
    }

    /// `work` 0: a checkpoint, resolves to the figures of its report; 1: resolves when the store is closed. 2: recovers again, to lead; 3:
    /// to go on following ([`Store::recover_again`]); the newest snapshot that is known has this generation, 0 for none, -1 for a store
    /// that is to be read anew; resolves to whether it was not. One call, because every kind of promise takes code of its own.
    pub fn run(&self, work: u8, generation: f64, seq: f64, bytes: f64) -> Promise {
        let store = self.store.clone();
        let newest = (generation >= 0.0).then(|| {
            let newest = SnapshotInfo { generation: generation as u64, seq: seq as u64, bytes: bytes as u64 };
            (newest.generation > 0).then_some(newest)
        });
        let role = if work == 2 { Role::Leader } else { Role::Follower };
        promise(async move {
            Ok(match work {
                0 => report_figures(&store.checkpoint().await?),
                1 => store.close().await.map(|()| JsValue::UNDEFINED)?,
                _ => {
                    let kept = store.recover_again(newest, role).await?;
                    // A boolean: nothing in it can fail.
                    serde_wasm_bindgen::to_value(&kept).unwrap_or(JsValue::UNDEFINED)
                }
            })
        })
    }

    /// Why a write was refused, of one that was since the last call; else why the store takes no writes, `undefined` while it does.
    pub fn cause(&self) -> JsValue {
        let error = self.refused.take().or_else(|| self.store.poison());
        error.map_or(JsValue::UNDEFINED, |error| error_to_js(&error))
    }

    /// Everything a status and the stats are made of: seqs applied, os, disk; unsynced ops, bytes, ms;
    /// recovered row, seq, snapshot seq or -1, frames, torn bytes, ms, loss from or -1, loss to; how long the storage has taken over the
    /// writer's present call, ms; entries, bytes of their keys and values; log bytes,
    /// segments, generation; snapshot bytes or -1, seq, generation; wasm bytes, delta entries, delta bytes, base
    /// bytes; appends, syncs, bytes written; checkpoints, running (0 or 1), last ms or -1.
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
            log.calling_since_ms.map_or(0.0, |since_ms| self.store.shared.host.now_ms() - since_ms),
            map.user_entries() as f64,
            map.user_bytes() as f64,
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
        ])
    }
}

impl Engine {
    /// Where the value of a key is and how long it is, its version, and its expiry or 0.
    fn find(&self, key: &[u8]) -> Option<([u32; 2], u64, u64)> {
        self.store.get(key, |entry| {
            let place = [entry.value.as_ptr() as u32, entry.value.len() as u32];
            (place, entry.version, entry.expires_at_ms.unwrap_or(0))
        })
    }

    fn write_scratch(&self, batch: &[u8], level: u8, purpose: u8) -> Result<f64> {
        let mut staged = self.staged.borrow_mut();
        match purpose {
            3 => return self.store.replace(&mut staged).map(|seq| seq as f64),
            4 => return self.store.request_sync().map(|seq| seq as f64),
            5 if batch.is_empty() => return Ok(f64::from(u8::from(self.store.stop()))),
            5 => {
                let removed = self.store.follow(batch, if level == 1 { Cause::Evicted } else { Cause::Asked })?;
                self.out.set([removed as f64, 0.0, 0.0]);
                return Ok(self.store.seq() as f64);
            }
            _ => {}
        }
        let mut ops = Vec::new();
        let mut only_removes = true;
        let (mut conditions, mut rest) =
            take_u32(batch).and_then(|(bytes, rest)| split(rest, bytes)).ok_or_else(no_batch)?;
        while !conditions.is_empty() {
            let (condition, after) = take_condition(conditions).ok_or_else(no_batch)?;
            conditions = after;
            if !self.store.holds(&condition) {
                return Err(Error::new(Code::Conflict, "the condition does not hold"));
            }
        }
        if purpose == 2 && rest.is_empty() {
            *staged = Map::default();
        }
        while !rest.is_empty() {
            let (op, after) = take_op(rest).ok_or_else(no_batch)?;
            rest = after;
            let own = matches!(op, Op::Set { key, .. } | Op::Delete { key } if is_system(key));
            if own && purpose & 2 == 0 {
                return Err(no_batch());
            }
            if purpose == 2 {
                check_ops(&[op])?;
                staged.apply(&op, 0);
                continue;
            }
            let nothing_to_do = match op {
                Op::Set { .. } if own => ops.is_empty(),
                Op::Set { .. } => {
                    only_removes = false;
                    false
                }
                Op::Delete { key } => only_removes && !self.store.has(key),
                Op::DeleteRange { start, end } => only_removes && self.store.count_range(start, end) == 0,
            };
            if !nothing_to_do {
                ops.push(op);
            }
        }
        let mut removed = 0;
        let seq = if ops.is_empty() {
            self.store.check_writable()?;
            // That there is nothing to remove may rest on a write that is still on its way.
            self.store.seq()
        } else {
            let done = self.store.commit(&ops, if purpose == 1 { Cause::Evicted } else { Cause::Asked })?;
            removed = done.removed;
            done.seq
        };
        self.out.set([removed as f64, 0.0, 0.0]);
        let level = match level {
            0 => Level::Applied,
            1 => Level::Os,
            _ => Level::Disk,
        };
        // What an earlier session left may have no level yet, and nothing else asks for it.
        let own = if ops.is_empty() { Level::Applied } else { self.store.shared.options.durability.level() };
        if level > own {
            self.store.request(level, seq)?;
        }
        Ok(seq as f64)
    }
}

fn no_batch() -> Error {
    Error::new(Code::ValueInvalid, "no batch")
}

/// The bounds of a scan.
fn bounds(scratch: &[u8], after_bytes: u32, bytes: u32) -> (&[u8], &[u8]) {
    let both = scratch.get(..bytes as usize).unwrap_or_default();
    split(both, after_bytes).unwrap_or_default()
}

/// The first condition in an area, and the rest.
fn take_condition(rest: &[u8]) -> Option<(Condition<'_>, &[u8])> {
    let (key_bytes, rest) = take_u32(rest)?;
    let (seq, rest) = take_f64(rest)?;
    let seq = seq as u64;
    if key_bytes & MORE == 0 {
        return split(rest, key_bytes).map(|(key, rest)| (Condition::Version { key, version: seq }, rest));
    }
    let (start, end, rest) = take_range(rest, key_bytes)?;
    Some((Condition::Unchanged { start, end, since_seq: seq }, rest))
}

/// The first op in an area, and the rest.
fn take_op(rest: &[u8]) -> Option<(Op<'_>, &[u8])> {
    let (key_bytes, rest) = take_u32(rest)?;
    let (value_bytes, mut rest) = take_u32(rest)?;
    let mut expires_at_ms = None;
    if key_bytes & MORE != 0 {
        if value_bytes == REMOVE {
            let (start, end, rest) = take_range(rest, key_bytes)?;
            return Some((Op::DeleteRange { start, end }, rest));
        }
        let (expiry, behind) = take_f64(rest)?;
        (expires_at_ms, rest) = (Some(expiry as u64), behind);
    }
    let (key, rest) = split(rest, key_bytes & !MORE)?;
    if value_bytes == REMOVE {
        return Some((Op::Delete { key }, rest));
    }
    split(rest, value_bytes).map(|(value, rest)| (Op::Set { key, value, expires_at_ms }, rest))
}

/// A start and an end, neither behind the user's keys, and the rest.
fn take_range(rest: &[u8], start_bytes: u32) -> Option<(&[u8], &[u8], &[u8])> {
    let (end_bytes, rest) = take_u32(rest)?;
    let (start, rest) = split(rest, start_bytes & !MORE)?;
    let (end, rest) = split(rest, end_bytes)?;
    Some((start, end.min(&[SYSTEM_KEYS_START]), rest))
}

/// The first bytes of an area, and the rest.
fn split(area: &[u8], bytes: u32) -> Option<(&[u8], &[u8])> {
    area.split_at_checked(bytes as usize)
}

fn take_u32(area: &[u8]) -> Option<(u32, &[u8])> {
    let (four, rest) = split(area, 4)?;
    Some((crate::frame::u32_at(four, 0), rest))
}

fn take_f64(area: &[u8]) -> Option<(f64, &[u8])> {
    let (eight, rest) = area.split_first_chunk()?;
    Some((f64::from_le_bytes(*eight), rest))
}
