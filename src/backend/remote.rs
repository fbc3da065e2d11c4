//! A backend in a worker: [`RemoteBackend`] asks, [`serve`] answers.
//!
//! Owns the messages between them, over the worker's own port (any object with `postMessage` and `onmessage` will
//! do). Whoever makes the worker waits until it serves before it makes a [`RemoteBackend`].
//!
//! - request: `{ id, call, ... }` with `call` one of `list`, `read` (`name`, `offset`, `bytesMax`), `append`
//!   (`name`, `bytes`, `synced`), `sync` (`name`), `remove` (`names`), `close`;
//! - answer: `{ id, value }`, where the value of `list` is an array of `[name, bytes]` and that of `read` a
//!   Uint8Array; or `{ id, error: { code, message, cause?, bytesNeeded? } }`.
//!
//! Bytes are transferred, not cloned. Requests are carried out one after another, in order of arrival. A message
//! that is not a request or an answer is ignored, a request that makes no sense is answered with `UNAVAILABLE`.
//! When the worker reports an uncaught error, every outstanding and every later call fails with `UNAVAILABLE`.
//! Deliberately absent: starting and stopping workers, and a limit on the time an answer may take.

use super::{Backend, Blob, LocalFuture, Sync, js};
use crate::error::{Code, Error, Result};
use js_sys::{Array, Function, Object, Uint8Array};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

#[wasm_bindgen]
extern "C" {
    #[derive(Clone)]
    type Port;
    #[wasm_bindgen(method, catch, js_name = postMessage)]
    fn post_message(this: &Port, message: &JsValue, transfer: &Array) -> std::result::Result<(), JsValue>;
}

/// The asking end. Takes the port's `onmessage`, `onmessageerror` and `onerror` until it is dropped.
pub struct RemoteBackend {
    port: Port,
    calls: Rc<Calls>,
    closed: Cell<bool>,
    _on_message: Closure<dyn FnMut(JsValue)>,
    _on_error: Closure<dyn FnMut(JsValue)>,
}

#[derive(Default)]
struct Calls {
    next_id: Cell<u32>,
    outstanding: RefCell<Vec<(u32, Function)>>,
    /// Why nothing can be asked any more, as an answer.
    broken: RefCell<Option<JsValue>>,
}

impl RemoteBackend {
    /// Asks over a Worker or a MessagePort at whose other end [`serve`] runs.
    pub fn new(port: &JsValue) -> RemoteBackend {
        let calls = Rc::new(Calls::default());
        let on_message = {
            let calls = calls.clone();
            Closure::<dyn FnMut(JsValue)>::new(move |event| calls.answer(&js::get(&event, "data")))
        };
        let on_error = {
            let calls = calls.clone();
            Closure::<dyn FnMut(JsValue)>::new(move |event| calls.fail(&js::text(&event, "message")))
        };
        js::set(port, "onmessage", on_message.as_ref());
        js::set(port, "onmessageerror", on_error.as_ref());
        js::set(port, "onerror", on_error.as_ref());
        RemoteBackend {
            port: port.clone().unchecked_into(),
            calls,
            closed: Cell::new(false),
            _on_message: on_message,
            _on_error: on_error,
        }
    }

    /// Sends a request and waits for the value of its answer.
    async fn call(&self, call: &str, request: Object, transfer: Array) -> Result<JsValue> {
        if self.closed.get() {
            return Err(Error::new(Code::Closed, "the storage is closed"));
        }
        if call == "close" {
            self.closed.set(true);
        }
        let broken = self.calls.broken.borrow().clone();
        let answer = match broken {
            Some(answer) => answer,
            None => {
                let id = self.calls.next_id.get();
                self.calls.next_id.set(id.wrapping_add(1));
                js::set(&request, "id", &id.into());
                js::set(&request, "call", &call.into());
                self.port.post_message(&request, &transfer).map_err(|thrown| js::failure(&thrown))?;
                let (answer, resolve) = js::deferred();
                self.calls.outstanding.borrow_mut().push((id, resolve));
                answer.await.map_err(|thrown| js::failure(&thrown))?
            }
        };
        match js::get(&answer, "error") {
            error if error.is_undefined() => Ok(js::get(&answer, "value")),
            error => Err(decode_error(&error)),
        }
    }

    async fn call_named(&self, call: &str, name: &str) -> Result<JsValue> {
        self.call(call, named(name), Array::new()).await
    }

    async fn list_now(&self) -> Result<Vec<Blob>> {
        let rows = self.call("list", Object::new(), Array::new()).await?;
        let rows: &Array = rows.dyn_ref().ok_or_else(malformed)?;
        rows.iter().map(|row| decode_row(&row).ok_or_else(malformed)).collect()
    }

    async fn read_now(&self, name: &str, offset: u64, bytes_max: u32) -> Result<Vec<u8>> {
        let request = named(name);
        js::set(&request, "offset", &(offset as f64).into());
        js::set(&request, "bytesMax", &bytes_max.into());
        let value = self.call("read", request, Array::new()).await?;
        decode_bytes(&value)
    }

    async fn append_now(&self, name: &str, bytes: &[u8], sync: Sync) -> Result<()> {
        let request = named(name);
        let bytes = Uint8Array::from(bytes);
        js::set(&request, "bytes", &bytes);
        js::set(&request, "synced", &(sync == Sync::Synced).into());
        self.call("append", request, Array::of1(&bytes.buffer())).await.map(drop)
    }

    async fn remove_now(&self, names: &[String]) -> Result<()> {
        let request = Object::new();
        let list = Array::new();
        for name in names {
            list.push(&name.as_str().into());
        }
        js::set(&request, "names", &list);
        self.call("remove", request, Array::new()).await.map(drop)
    }
}

impl Drop for RemoteBackend {
    fn drop(&mut self) {
        for handler in ["onmessage", "onmessageerror", "onerror"] {
            js::set(&self.port, handler, &JsValue::NULL);
        }
    }
}

impl Backend for RemoteBackend {
    fn list(&self) -> LocalFuture<'_, Result<Vec<Blob>>> {
        Box::pin(self.list_now())
    }

    fn read<'a>(&'a self, name: &'a str, offset: u64, bytes_max: u32) -> LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(self.read_now(name, offset, bytes_max))
    }

    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8], sync: Sync) -> LocalFuture<'a, Result<()>> {
        Box::pin(self.append_now(name, bytes, sync))
    }

    fn sync<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move { self.call_named("sync", name).await.map(drop) })
    }

    fn remove<'a>(&'a self, names: &'a [String]) -> LocalFuture<'a, Result<()>> {
        Box::pin(self.remove_now(names))
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        Box::pin(async {
            match self.call("close", Object::new(), Array::new()).await {
                Err(error) if error.code == Code::Closed => Ok(()),
                outcome => outcome.map(drop),
            }
        })
    }
}

impl Calls {
    fn answer(&self, answer: &JsValue) {
        let Some(id) = js::get(answer, "id").as_f64() else { return };
        let resolve = {
            let mut outstanding = self.outstanding.borrow_mut();
            let at = outstanding.iter().position(|(asked, _)| f64::from(*asked) == id);
            at.map(|at| outstanding.remove(at).1)
        };
        if let Some(resolve) = resolve {
            let _ = resolve.call1(&JsValue::UNDEFINED, answer);
        }
    }

    fn fail(&self, cause: &str) {
        let error = Error::new(Code::Unavailable, "the storage worker failed: open the store again").because(cause);
        let answer = Object::new();
        js::set(&answer, "error", &encode_error(&error));
        *self.broken.borrow_mut() = Some(answer.clone().into());
        for (_, resolve) in self.outstanding.take() {
            let _ = resolve.call1(&JsValue::UNDEFINED, &answer);
        }
    }
}

/// Answers requests that arrive at a port, for as long as the thread lives: in a worker the port is its global
/// scope. Takes the port's `onmessage`.
pub fn serve(backend: Rc<dyn Backend>, port: &JsValue) {
    let turn = Rc::new(js::Turn::default());
    let replies: Port = port.clone().unchecked_into();
    let on_message = Closure::<dyn FnMut(JsValue)>::new(move |event| {
        let request = js::get(&event, "data");
        let (id, Some(call)) = (js::get(&request, "id"), js::get(&request, "call").as_string()) else { return };
        if id.as_f64().is_none() {
            return;
        }
        let (backend, turn, replies) = (backend.clone(), turn.clone(), replies.clone());
        spawn_local(async move {
            let _turn = turn.take().await;
            let (answer, transfer) = (Object::new(), Array::new());
            js::set(&answer, "id", &id);
            match carry_out(&*backend, &call, &request, &transfer).await {
                Ok(value) => js::set(&answer, "value", &value),
                Err(error) => js::set(&answer, "error", &encode_error(&error)),
            }
            // A port that refuses a message of plain data and a fresh buffer has nobody at its other end.
            let _ = replies.post_message(&answer, &transfer);
        });
    });
    js::set(port, "onmessage", on_message.as_ref());
    on_message.forget();
}

/// Carries out one request. Buffers that the answer gives away are added to `transfer`.
async fn carry_out(backend: &dyn Backend, call: &str, request: &JsValue, transfer: &Array) -> Result<JsValue> {
    let name = || js::get(request, "name").as_string().ok_or_else(malformed);
    match call {
        "list" => {
            let rows = Array::new();
            for blob in backend.list().await? {
                rows.push(&js::pair(&blob.name, blob.bytes as f64));
            }
            return Ok(rows.into());
        }
        "read" => {
            let (offset, bytes_max) = (js::get(request, "offset").as_f64(), js::get(request, "bytesMax").as_f64());
            let (Some(offset), Some(bytes_max)) = (offset, bytes_max) else { return Err(malformed()) };
            let bytes = Uint8Array::from(&backend.read(&name()?, offset as u64, bytes_max as u32).await?[..]);
            transfer.push(&bytes.buffer());
            return Ok(bytes.into());
        }
        "append" => {
            let bytes = decode_bytes(&js::get(request, "bytes"))?;
            let sync = if js::get(request, "synced").is_truthy() { Sync::Synced } else { Sync::Buffered };
            backend.append(&name()?, &bytes, sync).await?;
        }
        "sync" => backend.sync(&name()?).await?,
        "remove" => {
            let names = js::get(request, "names");
            let names: &Array = names.dyn_ref().ok_or_else(malformed)?;
            let names: Option<Vec<String>> = names.iter().map(|name| name.as_string()).collect();
            backend.remove(&names.ok_or_else(malformed)?).await?;
        }
        "close" => backend.close().await?,
        _ => return Err(malformed()),
    }
    Ok(JsValue::UNDEFINED)
}

fn named(name: &str) -> Object {
    let request = Object::new();
    js::set(&request, "name", &name.into());
    request
}

fn decode_row(row: &JsValue) -> Option<Blob> {
    let row: &Array = row.dyn_ref()?;
    Some(Blob { name: row.get(0).as_string()?, bytes: row.get(1).as_f64()? as u64 })
}

fn decode_bytes(value: &JsValue) -> Result<Vec<u8>> {
    let from: &Uint8Array = value.dyn_ref().ok_or_else(malformed)?;
    let mut bytes = Vec::new();
    js::extend(&mut bytes, from, 0, u32::MAX)?;
    Ok(bytes)
}

fn encode_error(error: &Error) -> JsValue {
    let object = Object::new();
    js::set(&object, "code", &error.code.as_str().into());
    js::set(&object, "message", &(&*error.message).into());
    if let Some(cause) = &error.cause {
        js::set(&object, "cause", &(&**cause).into());
    }
    if let Some(bytes) = error.bytes_needed {
        js::set(&object, "bytesNeeded", &(bytes as f64).into());
    }
    object.into()
}

fn decode_error(object: &JsValue) -> Error {
    let code = Code::from_name(&js::text(object, "code")).unwrap_or(Code::Unavailable);
    let mut error = Error::new(code, js::text(object, "message"));
    error.cause = js::get(object, "cause").as_string().map(Into::into);
    error.bytes_needed = js::get(object, "bytesNeeded").as_f64().map(|bytes| bytes as u64);
    error
}

fn malformed() -> Error {
    Error::new(Code::Unavailable, "a message between the page and its storage worker makes no sense")
}
