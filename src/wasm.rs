//! The JavaScript boundary: the only file that knows both `JsValue` and the engine.
//!
//! Keys and values cross it as bytes in the scratch area, a reused piece of wasm memory that the caller fills before
//! and that answers point into; numbers cross as f64. Structured things off the hot path (options, status, stats,
//! reports) cross by serde. Errors are plain objects `{ code, message, cause?, bytesNeeded?, seq? }`. An address is
//! valid until the next call into wasm. Deliberately absent: the value codec and every convenience (`src/ts`).

use crate::Report;
use crate::backend::memory::{MemoryBackend, MemoryDisk};
use crate::backend::{Backend, LocalFuture, idb, js, opfs, remote};
use crate::error::{Code, Error, Result};
use crate::host::Host;
use crate::map::is_system;
use crate::op::Op;
use crate::options::{Durability, Level, Mode, Options, Recovery, RewriteRule, SaveRule};
use crate::recovery::{Recovered, Row};
use crate::store::{Event, Store};
use js_sys::{Array, Function, Object, Promise};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);
}

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
        spawn_local(task);
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

/// A structured answer. One type for all of them: each derived serializer would cost its own code.
enum Answer {
    Number(f64),
    Text(&'static str),
    Flag(bool),
    Fields(Vec<(&'static str, Answer)>),
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Answer::Number(number) => serializer.serialize_f64(*number),
            Answer::Text(text) => serializer.serialize_str(text),
            Answer::Flag(flag) => serializer.serialize_bool(*flag),
            Answer::Fields(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl Answer {
    fn to_js(&self) -> JsValue {
        // Numbers, texts and flags: nothing in them can fail.
        self.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).unwrap_or(JsValue::UNDEFINED)
    }
}

fn numbers(fields: &[(&'static str, f64)]) -> Vec<(&'static str, Answer)> {
    fields.iter().map(|(name, number)| (*name, Answer::Number(*number))).collect()
}

fn report_answer(report: &Report) -> Answer {
    Answer::Fields(numbers(&[
        ("seq", report.seq as f64),
        ("generation", report.generation as f64),
        ("entries", report.entries as f64),
        ("bytes", report.bytes as f64),
        ("removedBytes", report.removed_bytes as f64),
        ("ms", report.ms),
    ]))
}

/// Where an engine keeps its blobs.
#[wasm_bindgen]
pub struct Storage {
    backend: Rc<dyn Backend>,
}

#[wasm_bindgen]
impl Storage {
    /// Memory of this thread, gone with it.
    pub fn memory() -> Storage {
        Storage { backend: Rc::new(MemoryBackend::new(Rc::new(MemoryDisk::default()))) }
    }

    /// The IndexedDB database of the store.
    #[wasm_bindgen(unchecked_return_type = "Promise<Storage>")]
    pub fn idb(name: String) -> Promise {
        promise(async move { Ok(Storage { backend: Rc::new(idb::IdbBackend::open(&name).await?) }.into()) })
    }

    /// The OPFS directory of the store; dedicated workers only.
    #[wasm_bindgen(unchecked_return_type = "Promise<Storage>")]
    pub fn opfs(name: String) -> Promise {
        promise(async move { Ok(Storage { backend: Rc::new(opfs::OpfsBackend::open(&name).await?) }.into()) })
    }

    /// A storage that [`serve`] serves at the other end of the port, usually a `Worker`.
    pub fn remote(port: &JsValue) -> Storage {
        Storage { backend: Rc::new(remote::RemoteBackend::new(port)) }
    }
}

/// Serves a storage on a port, usually the scope of a dedicated worker.
#[wasm_bindgen]
pub fn serve(storage: &Storage, port: &JsValue) {
    remote::serve(storage.backend.clone(), port);
}

/// The stores of this origin: `{ name, backend, bytes }[]`.
#[wasm_bindgen(unchecked_return_type = "Promise<{ name: string; backend: string; bytes: number }[]>")]
pub fn list_stores() -> Promise {
    promise(async {
        let rows = Array::new();
        for (backend, found) in [("opfs", opfs::stores().await?), ("idb", idb::stores().await?)] {
            for (name, bytes) in found {
                let row = Object::new();
                js::set(&row, "name", &name.into());
                js::set(&row, "backend", &backend.into());
                js::set(&row, "bytes", &(bytes as f64).into());
                rows.push(&row);
            }
        }
        Ok(rows.into())
    })
}

/// Removes a store from every backend.
#[wasm_bindgen(unchecked_return_type = "Promise<void>")]
pub fn destroy_store(name: String) -> Promise {
    promise(async move {
        opfs::destroy(&name).await?;
        idb::destroy(&name).await?;
        Ok(JsValue::UNDEFINED)
    })
}

/// Whether the backend, `"opfs"` or `"idb"`, holds a store of that name.
#[wasm_bindgen(unchecked_return_type = "Promise<boolean>")]
pub fn store_exists(name: String, backend: String) -> Promise {
    promise(async move {
        let exists = if backend == "opfs" { opfs::exists(&name).await? } else { idb::exists(&name).await? };
        Ok(exists.into())
    })
}

/// Opens a store over a storage. `notify(event, osSeq, diskSeq, detail)` is called at every [`Event`]: 0 progress,
/// 1 poisoned (`detail`: the error), 2 a checkpoint ended (`detail`: its report or error).
#[wasm_bindgen(unchecked_return_type = "Promise<Engine>")]
pub fn open_engine(storage: Storage, options: JsValue, notify: Function) -> Promise {
    promise(async move {
        let store = Store::open(storage.backend, Rc::new(JsHost), read_options(&options)?).await?;
        let told = store.clone();
        store.listen(Rc::new(move |event| {
            let (number, detail) = match event {
                Event::Progress { .. } => (0, JsValue::UNDEFINED),
                Event::Poisoned(error) => (1, error_to_js(error)),
                Event::Checkpoint(Ok(report)) => (2, report_answer(report).to_js()),
                Event::Checkpoint(Err(error)) => (2, error_to_js(error)),
            };
            let os_seq = told.reached_seq(Level::Os) as f64;
            let disk_seq = told.reached_seq(Level::Disk) as f64;
            // A listener that throws has its own page to tell.
            let _ = notify.call4(&JsValue::UNDEFINED, &number.into(), &os_seq.into(), &disk_seq.into(), &detail);
        }));
        let engine = Engine {
            store,
            scratch: RefCell::new(Vec::new()),
            value_bytes: Box::new(Cell::new(0)),
            table: RefCell::new(Vec::new()),
        };
        Ok(engine.into())
    })
}

/// One promise for every kind of work: a future of its own type for each would cost its machinery each time.
fn promise(work: impl Future<Output = JsResult<JsValue>> + 'static) -> Promise {
    let work: LocalFuture<'static, JsResult<JsValue>> = Box::pin(work);
    future_to_promise(work)
}

/// The options of an object in which every one of them is there. Read by hand: deserializing them with serde costs
/// 13 KB of the download, because its errors can print every kind of value.
fn read_options(object: &JsValue) -> Result<Options> {
    let bad = |name: &str| Error::new(Code::OptionInvalid, "an option has the wrong type or value").because(name);
    let number = |value: JsValue, name: &str| value.as_f64().filter(|number| *number >= 0.0).ok_or_else(|| bad(name));
    let durability = match js::text(object, "durability").as_str() {
        "always" => Durability::Always,
        "everysec" => Durability::Everysec,
        "no" => Durability::No,
        _ => return Err(bad("durability")),
    };
    let mode = match js::text(object, "mode").as_str() {
        "hybrid" => Mode::Hybrid,
        "log" => Mode::Log,
        _ => return Err(bad("mode")),
    };
    let recovery = match js::text(object, "recovery").as_str() {
        "pointInTime" => Recovery::PointInTime,
        "strict" => Recovery::Strict,
        _ => return Err(bad("recovery")),
    };
    let mut save = Vec::new();
    let rules = js::get(object, "save");
    for rule in rules.dyn_ref::<Array>().ok_or_else(|| bad("save"))?.iter() {
        let pair: &Array = rule.dyn_ref().ok_or_else(|| bad("save"))?;
        save.push(SaveRule(number(pair.get(0), "save")? as u32, number(pair.get(1), "save")? as u64));
    }
    let rule = js::get(object, "rewrite");
    let rewrite = RewriteRule {
        percentage: number(js::get(&rule, "percentage"), "rewrite")? as u32,
        min_bytes: number(js::get(&rule, "minBytes"), "rewrite")? as u64,
    };
    Ok(Options { durability, mode, save, rewrite, recovery })
}

/// An open store, as JavaScript drives it.
#[wasm_bindgen]
pub struct Engine {
    store: Store,
    scratch: RefCell<Vec<u8>>,
    /// The length of the value `get` found.
    value_bytes: Box<Cell<u32>>,
    /// The answer of `get_many` and `scan`.
    table: RefCell<Vec<u32>>,
}

type JsResult<T> = std::result::Result<T, JsValue>;

#[wasm_bindgen]
impl Engine {
    /// The address of a scratch area of at least that many bytes; it stays where it is until a larger one is asked for.
    pub fn scratch(&self, bytes: u32) -> u32 {
        let mut scratch = self.scratch.borrow_mut();
        if scratch.len() < bytes as usize {
            scratch.clear();
            scratch.reserve_exact((bytes as usize).next_power_of_two());
            let capacity = scratch.capacity();
            scratch.resize(capacity, 0);
        }
        scratch.as_ptr() as u32
    }

    /// Gives back a scratch area that one large value made large.
    pub fn shrink_scratch(&self, bytes: u32) {
        let mut scratch = self.scratch.borrow_mut();
        scratch.truncate(bytes as usize);
        scratch.shrink_to_fit();
    }

    /// The address of the u32 at which `get` leaves the length of the value.
    pub fn out(&self) -> u32 {
        self.value_bytes.as_ptr() as u32
    }

    pub fn set(&self, key_bytes: u32, value_bytes: u32, expires_at_ms: f64, level: u8) -> JsResult<f64> {
        let scratch = self.scratch.borrow();
        let (key, rest) = split(&scratch, key_bytes)?;
        let (value, _) = split(rest, value_bytes)?;
        let expires_at_ms = (expires_at_ms > 0.0).then_some(expires_at_ms as u64);
        let seq = self.store.set(user_key(key)?, value, expires_at_ms)?;
        self.raise(seq, level)
    }

    /// The seq of the removal; 0 where the key was not there.
    pub fn delete(&self, key_bytes: u32, level: u8) -> JsResult<f64> {
        let scratch = self.scratch.borrow();
        let (key, _) = split(&scratch, key_bytes)?;
        let seq = self.store.delete(user_key(key)?)?;
        self.raise(seq, level)
    }

    /// How many entries it removed.
    pub fn clear(&self, level: u8) -> JsResult<f64> {
        let done = self.store.clear()?;
        self.raise(done.seq, level)?;
        Ok(done.removed as f64)
    }

    /// The address of the value, 0 where the key is not there.
    pub fn get(&self, key_bytes: u32) -> u32 {
        let scratch = self.scratch.borrow();
        let Some(key) = scratch.get(..key_bytes as usize).filter(|key| !is_system(key)) else { return 0 };
        let found = self.store.get(key, |entry| {
            self.value_bytes.set(entry.value.len() as u32);
            entry.value.as_ptr() as u32
        });
        found.unwrap_or(0)
    }

    pub fn has(&self, key_bytes: u32) -> bool {
        let scratch = self.scratch.borrow();
        scratch.get(..key_bytes as usize).is_some_and(|key| !is_system(key) && self.store.has(key))
    }

    pub fn count(&self) -> f64 {
        self.store.count() as f64
    }

    pub fn seq(&self) -> f64 {
        self.store.seq() as f64
    }

    /// Stores `[u32 keyBytes][u32 valueBytes][key][value]...`, back to back in the scratch area, as one batch.
    pub fn set_many(&self, bytes: u32, level: u8) -> JsResult<f64> {
        let scratch = self.scratch.borrow();
        let (mut rest, _) = split(&scratch, bytes)?;
        let mut ops = Vec::new();
        while !rest.is_empty() {
            let (key_bytes, after) = take_u32(rest)?;
            let (value_bytes, after) = take_u32(after)?;
            let (key, after) = split(after, key_bytes)?;
            let (value, after) = split(after, value_bytes)?;
            ops.push(Op::Set { key: user_key(key)?, value, expires_at_ms: None });
            rest = after;
        }
        self.write(&ops, level).map(|(seq, _)| seq)
    }

    /// Removes the keys `[u32 keyBytes][key]...` as one batch; says how many were there.
    pub fn delete_many(&self, bytes: u32, level: u8) -> JsResult<f64> {
        let scratch = self.scratch.borrow();
        let mut ops = Vec::new();
        for_each_key(&scratch, bytes, |key| {
            if self.store.has(user_key(key)?) {
                ops.push(Op::Delete { key });
            }
            Ok(())
        })?;
        self.write(&ops, level).map(|(_, removed)| removed)
    }

    /// The address of a table with `(address or 0, bytes)` for each of the keys `[u32 keyBytes][key]...`.
    pub fn get_many(&self, bytes: u32) -> JsResult<u32> {
        let scratch = self.scratch.borrow();
        let mut table = self.table.borrow_mut();
        table.clear();
        for_each_key(&scratch, bytes, |key| {
            let found = self.store.get(user_key(key)?, |entry| [entry.value.as_ptr() as u32, entry.value.len() as u32]);
            table.extend(found.unwrap_or_default());
            Ok(())
        })?;
        Ok(table.as_ptr() as u32)
    }

    /// The address of a table: the count, then `(key address, key bytes, value address, value bytes)` of each entry
    /// behind the key in the scratch area, in key order. Fewer than `entries_max` are the last.
    pub fn scan(&self, after_bytes: u32, entries_max: u32) -> u32 {
        let scratch = self.scratch.borrow();
        let after = scratch.get(..after_bytes as usize).filter(|after| !after.is_empty());
        let mut table = self.table.borrow_mut();
        table.clear();
        table.push(0);
        if entries_max > 0 {
            self.store.scan(after, |entry| {
                let (key, value) = (entry.key, entry.value);
                table.extend([key.as_ptr() as u32, key.len() as u32, value.as_ptr() as u32, value.len() as u32]);
                table[0] += 1;
                table[0] < entries_max
            });
        }
        table.as_ptr() as u32
    }

    /// Asks for everything so far to be synced; gives the seq to wait for.
    pub fn flush(&self) -> JsResult<f64> {
        Ok(self.store.request_sync()? as f64)
    }

    #[wasm_bindgen(unchecked_return_type = "Promise<any>")]
    pub fn checkpoint(&self) -> Promise {
        let store = self.store.clone();
        promise(async move { Ok(report_answer(&store.checkpoint().await?).to_js()) })
    }

    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn close(&self) -> Promise {
        let store = self.store.clone();
        promise(async move {
            store.close().await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    pub fn status(&self) -> JsValue {
        let (recovered, unsynced, poison) = (self.store.recovered(), self.store.unsynced(), self.store.poison());
        let state = match (self.store.is_closed(), &poison) {
            (true, _) => "closed",
            (false, Some(_)) => "readonly",
            (false, None) => "open",
        };
        let mut found =
            numbers(&[("seq", recovered.seq as f64), ("tornBytes", recovered.torn_bytes as f64), ("ms", recovered.ms)]);
        found.push(("source", Answer::Text(source(&recovered))));
        if let Some(loss) = &recovered.data_loss {
            let mut lost = numbers(&[("from", loss.from_seq as f64), ("to", loss.to_seq as f64)]);
            lost.push(("reason", Answer::Text(if loss.row == Row::Missing { "missing" } else { "corrupt" })));
            found.push(("dataLoss", Answer::Fields(lost)));
        }
        let unsynced =
            numbers(&[("ops", unsynced.frames as f64), ("bytes", unsynced.bytes as f64), ("ms", unsynced.ms)]);
        let object = Answer::Fields(vec![
            ("state", Answer::Text(state)),
            ("seq", Answer::Number(self.store.seq() as f64)),
            ("unsynced", Answer::Fields(unsynced)),
            ("recovered", Answer::Fields(found)),
            ("fresh", Answer::Flag(recovered.row == Row::Fresh)),
        ])
        .to_js();
        if let Some(error) = poison {
            js::set(&object, "cause", &error_to_js(&error));
        }
        object
    }

    pub fn stats(&self) -> JsValue {
        let state = self.store.shared.state.borrow();
        let (log, map, snapshots) = (&state.log, &state.map, &state.snapshots);
        let newest_generation = log.segments.last().map_or(0, |segment| segment.generation);
        let log_fields = numbers(&[
            ("bytes", log.bytes_from(0) as f64),
            ("segments", log.segments.len() as f64),
            ("generation", newest_generation as f64),
        ]);
        let memory = numbers(&[
            ("wasmBytes", core::arch::wasm32::memory_size(0) as f64 * 65_536.0),
            ("deltaEntries", map.delta_entries() as f64),
            ("deltaBytes", map.delta_bytes() as f64),
            ("baseBytes", map.base().bytes() as f64),
        ]);
        let calls = numbers(&[
            ("appends", log.counts.appends as f64),
            ("syncs", log.counts.syncs as f64),
            ("bytesWritten", log.counts.bytes_written as f64),
        ]);
        let mut checkpoints = numbers(&[("count", snapshots.count as f64)]);
        checkpoints.push(("running", Answer::Flag(snapshots.running)));
        checkpoints.extend(snapshots.last_ms.map(|ms| ("lastMs", Answer::Number(ms))));
        let mut fields = numbers(&[
            ("entries", map.user_entries() as f64),
            ("seq", log.last_seq as f64),
            ("osSeq", log.os_seq as f64),
            ("diskSeq", log.disk_seq as f64),
        ]);
        if let Some(newest) = snapshots.newest {
            let snapshot =
                [("bytes", newest.bytes as f64), ("seq", newest.seq as f64), ("generation", newest.generation as f64)];
            fields.push(("snapshot", Answer::Fields(numbers(&snapshot))));
        }
        fields.extend([
            ("log", Answer::Fields(log_fields)),
            ("memory", Answer::Fields(memory)),
            ("calls", Answer::Fields(calls)),
            ("checkpoints", Answer::Fields(checkpoints)),
        ]);
        Answer::Fields(fields).to_js()
    }
}

impl Engine {
    fn write(&self, ops: &[Op<'_>], level: u8) -> JsResult<(f64, f64)> {
        if ops.is_empty() {
            self.store.check_writable()?;
            return Ok((0.0, 0.0));
        }
        let done = self.store.write(ops)?;
        self.raise(done.seq, level)?;
        Ok((done.seq as f64, done.removed as f64))
    }

    /// Asks for a level above the one the store's durability gives; hands the seq through.
    fn raise(&self, seq: u64, level: u8) -> JsResult<f64> {
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

fn user_key(key: &[u8]) -> Result<&[u8]> {
    if is_system(key) {
        return Err(Error::new(Code::KeyInvalid, "a key is well-formed text"));
    }
    Ok(key)
}

/// The first bytes of an area, and the rest; lengths that do not fit are the caller's mistake.
fn split(area: &[u8], bytes: u32) -> Result<(&[u8], &[u8])> {
    area.split_at_checked(bytes as usize)
        .ok_or_else(|| Error::new(Code::ValueInvalid, "a length does not fit the scratch area"))
}

fn take_u32(area: &[u8]) -> Result<(u32, &[u8])> {
    let (four, rest) = split(area, 4)?;
    Ok((crate::frame::u32_at(four, 0), rest))
}

fn for_each_key<'a>(scratch: &'a [u8], bytes: u32, mut visit: impl FnMut(&'a [u8]) -> Result<()>) -> Result<()> {
    let (mut rest, _) = split(scratch, bytes)?;
    while !rest.is_empty() {
        let (key_bytes, after) = take_u32(rest)?;
        let (key, after) = split(after, key_bytes)?;
        visit(key)?;
        rest = after;
    }
    Ok(())
}

fn source(recovered: &Recovered) -> &'static str {
    match (recovered.row, recovered.snapshot_seq, recovered.frames) {
        (Row::Fresh, ..) => "fresh",
        (_, None, _) => "log",
        (_, Some(_), 0) => "snapshot",
        (_, Some(_), _) => "snapshot+log",
    }
}
