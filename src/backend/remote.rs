//! A backend in JavaScript, in another thread or in this one: [`RemoteBackend`] asks, and what it asks answers with promises.
//!
//! Owns the requests, and over a port (any object with `postMessage` and `onmessage` will do) the messages. Whoever makes the worker
//! waits until it serves before it makes a [`RemoteBackend`].
//!
//! - request: `{ call, ... }` with `call` 0 list, 1 read (uses `name`, `offset`, `bytesMax`), 2 append (`name`, `bytes`, `synced`), 3
//!   sync (`name`), 4 remove (`names`), 5 close. Over a port it also has an `id`;
//! - answer: the value, where that of `list` is an array of `[name, bytes]` and that of `read` a Uint8Array, or the error `{ code,
//!   message, cause?, bytesNeeded? }`. Over a port they are `{ id, value }` and `{ id, error }`.
//!
//! Bytes are transferred, not cloned. Large buffers come back for the next request: a read may bring `bytes` as room for what it reads,
//! the answer to an append may have those it brought as `kept`. Requests are begun in order of arrival. A message
//! that is not a request or an answer is ignored, a request that makes no sense is answered with `UNAVAILABLE`.
//! When the worker reports an uncaught error, every outstanding and every later call fails with `UNAVAILABLE`.
//! Deliberately absent: matching answers to requests (`glue.js`), starting and stopping workers, and a limit on the
//! time an answer may take.

use super::call::{Answer, Call, Calls, closed};
use super::js::{self, glue};
use super::{LocalFuture, Sync};
use crate::error::Result;
use js_sys::Promise;
use std::cell::Cell;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/backend/glue.js")]
extern "C" {
    /// The answering end: answers requests that arrive at a port, for good, taking its `onmessage`.
    pub fn serve(storage: &JsValue, port: &JsValue);
}

/// The asking end.
pub struct RemoteBackend {
    storage: JsValue,
    closed: Cell<bool>,
}

impl RemoteBackend {
    /// Asks an object with a method `ask`, which takes a request and gives a promise.
    pub fn new(storage: &JsValue) -> RemoteBackend {
        RemoteBackend { storage: storage.clone(), closed: Cell::new(false) }
    }

    /// Asks over a Worker or a MessagePort whose other end is served, taking its `onmessage`, `onmessageerror` and `onerror`.
    pub fn over(port: &JsValue) -> RemoteBackend {
        RemoteBackend::new(&glue::link(port))
    }

    /// The object that is asked.
    pub fn storage(&self) -> &JsValue {
        &self.storage
    }

    /// What a call is answered with.
    pub(super) fn request(&self, call: &Call<'_>) -> Promise {
        let (mut range, mut content, mut synced, mut removed) = ((0, 0), &[][..], false, String::new());
        let (kind, name) = match *call {
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
                for name in names {
                    removed.push_str(name);
                    removed.push(js::SEPARATOR);
                }
                (4, &*removed)
            }
            Call::Close => (5, ""),
        };
        glue::ask(&self.storage, kind, name, range.0 as f64, range.1, content, synced)
    }

    async fn run_now(&self, call: Call<'_>) -> Result<Answer> {
        let mut answer = Answer::default();
        let closing = matches!(call, Call::Close);
        if self.closed.replace(self.closed.get() || closing) {
            return if closing { Ok(answer) } else { Err(closed()) };
        }
        let value = js::settled(self.request(&call)).await?;
        match call {
            Call::List => answer.blobs = js::blobs(&value)?,
            Call::Read { .. } => {
                answer.bytes = js::bytes(&value)?;
                glue::done(&self.storage, &value);
            }
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
