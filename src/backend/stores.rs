//! The stores of an origin, whichever of the browser's storages they are in.
//!
//! Owns opening one, and finding and removing them without opening. A backend goes by its name, `"opfs"` or `"idb"`.

use super::Backend;
use super::idb::IdbBackend;
use super::js::{self, glue};
use super::opfs::{self, HEADER_BYTES, OpfsBackend};
use crate::error::Result;
use js_sys::Array;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// Opens a store.
pub async fn open(name: &str, backend: &str) -> Result<Rc<dyn Backend>> {
    if backend == "opfs" {
        Ok(Rc::new(OpfsBackend::new(js::settled(glue::opfs_open(name, HEADER_BYTES as u32)).await?)?))
    } else {
        Ok(Rc::new(IdbBackend::new(js::settled(glue::idb_open(name)).await?)?))
    }
}

/// Every store that was ever written, as an array of `{ name, backend, bytes }`: 0 bytes where they cannot be read.
pub async fn list() -> Result<JsValue> {
    let rows = js::settled(glue::stores(HEADER_BYTES as u32)).await?;
    for row in rows.unchecked_ref::<Array>().iter() {
        // In OPFS it takes the headers of the pool to tell.
        if let Ok(pool) = js::bytes(&js::get(&row, "bytes")) {
            js::set(&row, "bytes", &opfs::stored_bytes(&pool).into());
        }
    }
    Ok(rows)
}

/// The stores of one backend, with the bytes of their blobs.
pub(super) async fn of_backend(backend: &str) -> Result<Vec<(String, u64)>> {
    let mut stores = Vec::new();
    for row in list().await?.unchecked_ref::<Array>().iter() {
        if js::text(&row, "backend") == backend {
            stores.push((js::text(&row, "name"), js::get(&row, "bytes").as_f64().unwrap_or_default() as u64));
        }
    }
    Ok(stores)
}
