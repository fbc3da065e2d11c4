//! A backend in a worker: [`RemoteBackend`] asks, [`serve`] answers.
//!
//! Owns the messages between them, over the worker's own port (any object with `postMessage` and `onmessage` will
//! do). Whoever makes the worker waits until it serves before it makes a [`RemoteBackend`].
//!
//! - request: `{ id, call, ... }` with `call` 0 list, 1 read (uses `name`, `offset`, `bytesMax`), 2 append
//!   (`name`, `bytes`, `synced`), 3 sync (`name`), 4 remove (`names`), 5 close;
//! - answer: `{ id, value }`, where the value of `list` is an array of `[name, bytes]` and that of `read` a
//!   Uint8Array; or `{ id, error: { code, message, cause?, bytesNeeded? } }`.
//!
//! Bytes are transferred, not cloned. Requests are begun in order of arrival. A message
//! that is not a request or an answer is ignored, a request that makes no sense is answered with `UNAVAILABLE`.
//! When the worker reports an uncaught error, every outstanding and every later call fails with `UNAVAILABLE`.
//! Deliberately absent: matching answers to requests (`glue.js`), starting and stopping workers, and a limit on the
//! time an answer may take.

use super::call::{Answer, Call, Calls, closed};
use super::js::{self, glue};
use super::{Backend, LocalFuture, Sync};
use crate::error::Result;
use crate::task;
use js_sys::{Array, Uint8Array};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// The asking end. Takes the port's `onmessage`, `onmessageerror` and `onerror`.
pub struct RemoteBackend {
    ends: JsValue,
    closed: Cell<bool>,
}

impl RemoteBackend {
    /// Asks over a Worker or a MessagePort at whose other end [`serve`] runs.
    pub fn new(port: &JsValue) -> RemoteBackend {
        RemoteBackend { ends: glue::link(port), closed: Cell::new(false) }
    }

    async fn run_now(&self, call: Call<'_>) -> Result<Answer> {
        let mut answer = Answer::default();
        let closing = matches!(call, Call::Close);
        if self.closed.replace(self.closed.get() || closing) {
            return if closing { Ok(answer) } else { Err(closed()) };
        }
        let (mut range, mut content, mut synced, mut removed) = ((0, 0), &[][..], false, JsValue::UNDEFINED);
        let (kind, name) = match call {
            Call::List => (0, ""),
            Call::Read { name, offset, bytes_max } => {
                range = (offset, bytes_max);
                (1, name)
            }
            Call::Append { name, bytes, sync } => {
                (content, synced) = (bytes, sync == Sync::Synced);
                (2, name)
            }
            Call::Sync { name } => (3, name),
            Call::Remove { names } => {
                removed = js::names(names);
                (4, "")
            }
            Call::Close => (5, ""),
        };
        let value = glue::ask(&self.ends, kind, name, range.0 as f64, range.1, content, synced, &removed);
        let value = js::settled(value).await?;
        match call {
            Call::List => answer.blobs = js::blobs(&value)?,
            Call::Read { .. } => answer.bytes = js::bytes(&value)?,
            _ => {}
        }
        Ok(answer)
    }
}

impl Calls for RemoteBackend {
    fn run<'a>(&'a self, call: Call<'a>) -> LocalFuture<'a, Result<Answer>> {
        Box::pin(self.run_now(call))
    }
}

/// Answers requests that arrive at a port, for as long as the thread lives: in a worker the port is its global
/// scope. Takes the port's `onmessage`.
pub fn serve(backend: Rc<dyn Backend>, port: &JsValue) {
    let requests = glue::receive(port);
    task::spawn(Box::pin(async move {
        // It never rejects.
        while let Ok(request) = task::settled(&glue::next(&requests)).await {
            let (backend, requests) = (backend.clone(), requests.clone());
            task::spawn(Box::pin(async move {
                match carry_out(&*backend, &request).await {
                    Ok(value) => glue::reply(&requests, &request, true, &value),
                    Err(error) => glue::reply(&requests, &request, false, &error.into()),
                }
            }));
        }
    }));
}

async fn carry_out(backend: &dyn Backend, request: &JsValue) -> Result<JsValue> {
    let name = js::get(request, "name").as_string();
    let name = || name.as_deref().ok_or_else(js::malformed);
    let bytes;
    let mut names = Vec::new();
    let changed = match js::get(request, "call").as_f64().unwrap_or(-1.0) as i32 {
        0 => {
            let rows = Array::new();
            for blob in backend.list().await? {
                rows.push(&Array::of2(&blob.name.into(), &(blob.bytes as f64).into()));
            }
            return Ok(rows.into());
        }
        1 => {
            let (offset, bytes_max) = (js::get(request, "offset").as_f64(), js::get(request, "bytesMax").as_f64());
            let (Some(offset), Some(bytes_max)) = (offset, bytes_max) else { return Err(js::malformed()) };
            let bytes = backend.read(name()?, offset as u64, bytes_max as u32).await?;
            return Ok(Uint8Array::from(&bytes[..]).into());
        }
        2 => {
            bytes = js::bytes(&js::get(request, "bytes"))?;
            let sync = if js::get(request, "synced").is_truthy() { Sync::Synced } else { Sync::Buffered };
            backend.append(name()?, &bytes, sync)
        }
        3 => backend.sync(name()?),
        4 => {
            let list = js::get(request, "names");
            for name in list.dyn_ref::<Array>().ok_or_else(js::malformed)?.iter() {
                names.push(name.as_string().ok_or_else(js::malformed)?);
            }
            backend.remove(&names)
        }
        5 => backend.close(),
        _ => return Err(js::malformed()),
    };
    changed.await?;
    Ok(JsValue::UNDEFINED)
}
