//! Between the browser's storage APIs and the backends: exceptions, events, promises, bytes.
//!
//! Owns the meaning of DOMException names (no other module knows one) and the few bindings that web-sys lacks.
//! Nothing here panics on what JavaScript gives: a missing property reads as `undefined`, a missing method is a
//! thrown TypeError, which becomes `UNAVAILABLE`. Bytes are copied in both directions: no view of wasm memory
//! outlives the call that makes it. Deliberately absent: what is stored where (`idb.rs`, `opfs.rs`, `remote.rs`).

use super::Sync;
use crate::error::{Code, Error, Result};
use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{IdbDatabase, IdbRequest, IdbTransaction};

pub const QUOTA: &str = "the origin's quota or the disk is full";
pub const LOCKED: &str = "another tab or worker holds the store: close it there first";
pub const UNAVAILABLE: &str = "the storage cannot be reached";

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(run: &Function, delay_ms: u32) -> JsValue;

    /// Milliseconds since the thread began. Never jumps, unlike the wall clock.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    pub fn now_ms() -> f64;

    type Database;
    #[wasm_bindgen(method, catch)]
    fn transaction(
        this: &Database,
        stores: &JsValue,
        mode: &str,
        options: &JsValue,
    ) -> std::result::Result<IdbTransaction, JsValue>;
}

/// The property of any value, `undefined` where there is none.
pub fn get(target: &JsValue, name: &str) -> JsValue {
    Reflect::get(target, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

/// Sets a property of an object that we made or whose properties are writable by specification.
pub fn set(target: &JsValue, name: &str, value: &JsValue) {
    let _ = Reflect::set(target, &JsValue::from_str(name), value);
}

/// A property as text, empty where there is none.
pub fn text(target: &JsValue, name: &str) -> String {
    get(target, name).as_string().unwrap_or_default()
}

/// What the platform threw, as an operating error with the exception's name and message as its cause.
pub fn failure(thrown: &JsValue) -> Error {
    let mut cause = text(thrown, "name");
    let (code, message) = match cause.as_str() {
        "QuotaExceededError" | "NS_ERROR_FILE_NO_DEVICE_SPACE" => (Code::Quota, QUOTA),
        "NoModificationAllowedError" => (Code::Locked, LOCKED),
        "VersionError" => (Code::Version, "the storage was written by a newer version of Holdfast"),
        _ => (Code::Unavailable, UNAVAILABLE),
    };
    if cause.is_empty() {
        return Error::new(code, message);
    }
    cause.push_str(": ");
    cause.push_str(&text(thrown, "message"));
    Error::new(code, message).because(&cause)
}

/// As [`failure`], for a change inside a transaction that is known to be open: there, Firefox's InvalidStateError
/// means that it admits nothing but deletes, because the disk or the quota is full.
pub fn change_failure(thrown: &JsValue) -> Error {
    let mut error = failure(thrown);
    if text(thrown, "name") == "InvalidStateError" {
        error.code = Code::Quota;
        error.message = QUOTA.into();
    }
    error
}

/// What to do about something that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Create,
    Leave,
}

/// A global that may be missing, or forbidden by the user's settings.
pub fn global(name: &str) -> Result<JsValue> {
    let value = Reflect::get(&js_sys::global(), &JsValue::from_str(name)).map_err(|thrown| failure(&thrown))?;
    if value.is_object() { Ok(value) } else { Err(Error::new(Code::Unavailable, UNAVAILABLE).because(name)) }
}

/// What a promise resolves to.
pub async fn settled(promise: Promise) -> Result<JsValue> {
    JsFuture::from(promise).await.map_err(|thrown| failure(&thrown))
}

/// What a promise resolves to, none if it rejects because a file or directory is not there.
pub async fn found(promise: Promise) -> Result<Option<JsValue>> {
    match JsFuture::from(promise).await {
        Ok(value) => Ok(Some(value)),
        Err(thrown) if text(&thrown, "name") == "NotFoundError" => Ok(None),
        Err(thrown) => Err(failure(&thrown)),
    }
}

/// A promise and the function that resolves it.
pub fn deferred() -> (JsFuture, Function) {
    let mut resolver = None;
    let promise = Promise::new(&mut |resolve, _| resolver = Some(resolve));
    (JsFuture::from(promise), resolver.unwrap_or_else(|| JsValue::UNDEFINED.unchecked_into()))
}

/// Resolves after at least that long.
pub async fn sleep(delay_ms: u32) {
    let (done, resolve) = deferred();
    set_timeout(&resolve, delay_ms);
    let _ = done.await;
}

/// The type of the first of these events that the target fires from now on. Takes the target's `on...` handlers.
/// Resolves inside the event's own turn, so that a transaction is still active for the code that awaits it.
pub fn event(target: &JsValue, handlers: &[&str]) -> impl Future<Output = String> + use<> {
    let (fired, _) = listen(target, handlers);
    async { event_type(fired.await) }
}

/// As [`event`], empty if none of them fires within that time.
pub fn event_within(target: &JsValue, handlers: &[&str], wait_ms: u32) -> impl Future<Output = String> + use<> {
    let (fired, resolve) = listen(target, handlers);
    set_timeout(&resolve, wait_ms);
    async { event_type(fired.await) }
}

fn listen(target: &JsValue, handlers: &[&str]) -> (JsFuture, Function) {
    let (fired, resolve) = deferred();
    for handler in handlers {
        set(target, handler, &resolve);
    }
    (fired, resolve)
}

fn event_type(fired: std::result::Result<JsValue, JsValue>) -> String {
    fired.map_or_else(|_| String::new(), |event| text(&event, "type"))
}

/// The result of a request that was just made.
pub fn request(request: IdbRequest) -> impl Future<Output = Result<JsValue>> {
    let answered = event(&request, &["onsuccess", "onerror"]);
    async move {
        if answered.await == "success" { Ok(get(&request, "result")) } else { Err(failure(&get(&request, "error"))) }
    }
}

/// A transaction that only reads.
pub fn read_transaction(database: &IdbDatabase, stores: &JsValue) -> Result<IdbTransaction> {
    transaction(database, stores, "readonly", &JsValue::UNDEFINED)
}

/// A transaction that writes. The durability is `strict` or not given: `relaxed` can corrupt a database in Firefox.
pub fn write_transaction(database: &IdbDatabase, stores: &JsValue, sync: Sync) -> Result<IdbTransaction> {
    let options = js_sys::Object::new();
    if sync == Sync::Synced {
        set(&options, "durability", &JsValue::from_str("strict"));
    }
    transaction(database, stores, "readwrite", &options)
}

fn transaction(database: &IdbDatabase, stores: &JsValue, mode: &str, options: &JsValue) -> Result<IdbTransaction> {
    let database: &Database = database.unchecked_ref();
    database.transaction(stores, mode, options).map_err(|thrown| failure(&thrown))
}

/// Adds the bytes of a typed array, or those from `skip` on, at most `bytes_max`.
pub fn extend(bytes: &mut Vec<u8>, from: &Uint8Array, skip: u32, bytes_max: u32) -> Result<()> {
    let end = from.length().min(skip.saturating_add(bytes_max));
    let part = from.subarray(skip.min(end), end);
    let start = bytes.len();
    if bytes.capacity() - start < part.length() as usize {
        room(bytes, part.length() as usize)?;
    }
    bytes.resize(start + part.length() as usize, 0);
    part.copy_to(&mut bytes[start..]);
    Ok(())
}

/// Makes room for that many more bytes, or says that there is none.
pub fn room(bytes: &mut Vec<u8>, more: usize) -> Result<()> {
    bytes.try_reserve_exact(more).map_err(|_| Error::new(Code::Unavailable, "no memory is left to read into"))
}

/// An array of two, as keys and rows are.
pub fn pair(first: &str, second: f64) -> JsValue {
    Array::of2(&JsValue::from_str(first), &JsValue::from_f64(second)).into()
}

/// Lets one task in at a time, first come first served. A task that is dropped while it waits gives up its place.
#[derive(Default)]
pub struct Turn {
    tickets: Cell<u32>,
    queue: RefCell<VecDeque<(u32, Option<Waker>)>>,
}

/// The turn is this task's until the guard is dropped.
pub struct Held<'a> {
    turn: &'a Turn,
    ticket: u32,
}

impl Turn {
    pub async fn take(&self) -> Held<'_> {
        let ticket = self.tickets.get();
        self.tickets.set(ticket.wrapping_add(1));
        self.queue.borrow_mut().push_back((ticket, None));
        let held = Held { turn: self, ticket };
        poll_fn(|context| {
            let mut queue = self.queue.borrow_mut();
            if queue.front().is_none_or(|(first, _)| *first == ticket) {
                return Poll::Ready(());
            }
            if let Some((_, waker)) = queue.iter_mut().find(|(waiting, _)| *waiting == ticket) {
                *waker = Some(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
        held
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.turn.queue.borrow_mut();
            queue.retain(|(ticket, _)| *ticket != self.ticket);
            queue.front_mut().and_then(|(_, waker)| waker.take())
        };
        if let Some(waker) = next {
            waker.wake();
        }
    }
}
