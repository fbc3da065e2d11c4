//! The stores of an origin, whichever of the browser's storages they are in.
//!
//! Owns finding and removing them without opening. A backend goes by its name, `"opfs"` or `"idb"`.

use super::js::{self, glue};
use crate::error::Result;
use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/backend/stores.js")]
extern "C" {
    fn stores() -> Promise;
    #[wasm_bindgen(js_name = opfsDestroy)]
    pub(super) fn opfs_destroy(name: &str) -> Promise;
    #[wasm_bindgen(js_name = idbDestroy)]
    pub(super) fn idb_destroy(name: &str) -> Promise;
}

/// Every store that was ever written, as an array of `{ name, backend, bytes }`: 0 bytes where they cannot be read.
pub fn list() -> Promise {
    stores()
}

/// Whether a store was ever written there.
pub(super) async fn is_at(name: &str, backend: &str) -> Result<bool> {
    let home = js::settled(glue::home_of(name)).await?;
    Ok(js::text(&home, "0") == backend && !glue::property(&home, "1").is_truthy())
}

/// The stores of one backend, with the bytes of their blobs.
pub(super) async fn of_backend(backend: &str) -> Result<Vec<(String, u64)>> {
    let mut stores = Vec::new();
    for row in js::settled(list()).await?.unchecked_ref::<Array>().iter() {
        if js::text(&row, "backend") == backend {
            stores.push((js::text(&row, "name"), glue::property(&row, "bytes").as_f64().unwrap_or_default() as u64));
        }
    }
    Ok(stores)
}
