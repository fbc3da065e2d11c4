//! The stores of an origin, whichever of the browser's storages they are in.
//!
//! Owns opening one, and finding and removing them without opening. A backend goes by its name, `"opfs"` or `"idb"`.

use super::Backend;
use super::idb::IdbBackend;
use super::js::{self, glue};
use super::opfs::{HEADER_BYTES, OpfsBackend};
use crate::error::Result;
use js_sys::{Array, Promise};
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// Opens a store.
pub async fn open(name: &str, backend: &str) -> Result<Rc<dyn Backend>> {
    let opened = js::settled(glue::open(name, backend, HEADER_BYTES as u32)).await?;
    Ok(if backend == "opfs" { Rc::new(OpfsBackend::new(opened)?) } else { Rc::new(IdbBackend::new(opened)) })
}

/// Every store that was ever written, as an array of `{ name, backend, bytes }`: 0 bytes where they cannot be read.
pub fn list() -> Promise {
    glue::stores(HEADER_BYTES as u32)
}

/// The stores of one backend, with the bytes of their blobs.
pub(super) async fn of_backend(backend: &str) -> Result<Vec<(String, u64)>> {
    let mut stores = Vec::new();
    for row in js::settled(list()).await?.unchecked_ref::<Array>().iter() {
        if js::text(&row, "backend") == backend {
            stores.push((js::text(&row, "name"), js::get(&row, "bytes").as_f64().unwrap_or_default() as u64));
        }
    }
    Ok(stores)
}
