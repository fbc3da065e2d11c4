//! Blobs in the origin private file system, in the dedicated worker that this code runs in.
//!
//! The files, their layout and their errors are documented in `opfs.js`, which does everything: a page reaches it through
//! an I/O worker that has no wasm (`remote.rs`).

use super::call::{Answer, Call, Calls};
use super::js;
use super::remote::RemoteBackend;
use super::{LocalFuture, stores};
use crate::error::Result;
use crate::task;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/backend/opfs.js")]
extern "C" {
    #[wasm_bindgen(js_name = open)]
    fn open_opfs(name: &str) -> js_sys::Promise;
}

/// One opening of a store: its lock and its pool, until it is dropped.
pub struct OpfsBackend {
    pool: RemoteBackend,
}

impl OpfsBackend {
    /// Opens a store. Takes its lock, waiting up to 5 s for it, and then reads the headers of its pool. Writes
    /// nothing but, the first time, the store's directory and its empty `lock`.
    pub async fn open(name: &str) -> Result<OpfsBackend> {
        Ok(OpfsBackend { pool: RemoteBackend::new(&js::settled(open_opfs(name)).await?) })
    }

    /// What [`serve`](super::remote::serve) can serve.
    pub fn storage(&self) -> &JsValue {
        self.pool.storage()
    }
}

impl Drop for OpfsBackend {
    fn drop(&mut self) {
        // It closes before it returns; the promise says nothing new.
        let _said = task::settled(&self.pool.request(&Call::Close));
    }
}

impl Calls for OpfsBackend {
    fn run<'a>(&'a self, call: Call<'a>) -> LocalFuture<'a, Result<Answer>> {
        self.pool.run(call)
    }
}

/// Whether the store was ever written: never, where the browser has no such file system.
pub async fn exists(name: &str) -> Result<bool> {
    stores::is_at(name, "opfs").await
}

/// Every store that was ever written, with the bytes of its blobs: 0 where they cannot be read.
pub async fn stores() -> Result<Vec<(String, u64)>> {
    stores::of_backend("opfs").await
}

/// Removes a store's directory; one that does not exist is not an error. `LOCKED` while someone has it open.
pub async fn destroy(name: &str) -> Result<()> {
    js::settled(stores::opfs_destroy(name)).await.map(drop)
}
