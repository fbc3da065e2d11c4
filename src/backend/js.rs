//! Between JavaScript and the backends: promises, errors, bytes.
//!
//! Owns the bindings to `glue.js`, which does the waiting. Nothing here panics on what JavaScript gives: a missing
//! property reads as `undefined`. Bytes are copied in both directions: no view of wasm memory outlives the call that
//! makes it. Deliberately absent: what is stored where (`idb.rs`, `opfs.js`).

use super::Blob;
use crate::error::{Code, Error, Result};
use crate::task;
use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::*;

/// The functions of `glue.js`, documented there.
pub mod glue {
    use js_sys::{Function, Promise};
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(module = "/src/backend/glue.js")]
    extern "C" {
        pub fn sleep(delay_ms: u32) -> Promise;

        #[wasm_bindgen(js_namespace = thread)]
        pub fn attach(exports: &JsValue);
        #[wasm_bindgen(js_namespace = thread)]
        pub fn schedule();
        #[wasm_bindgen(js_namespace = thread)]
        pub fn wait(promise: &Promise, number: u32) -> JsValue;
        #[wasm_bindgen(js_namespace = thread)]
        pub fn fulfilled(wait: &JsValue) -> bool;
        #[wasm_bindgen(js_namespace = thread)]
        pub fn outcome(wait: &JsValue) -> JsValue;
        #[wasm_bindgen(js_namespace = thread)]
        pub fn owe(number: u32) -> Promise;
        #[wasm_bindgen(js_namespace = thread)]
        pub fn settle(number: u32, fulfilled: bool, outcome: &JsValue);
        #[wasm_bindgen(js_namespace = thread)]
        pub fn answer(value: &JsValue);
        #[wasm_bindgen(js_namespace = thread)]
        pub fn tell(notify: &Function, event: u32, os_seq: f64, disk_seq: f64, detail: &JsValue);

        #[wasm_bindgen(js_name = property)]
        pub fn item(target: &JsValue, index: u32) -> JsValue;
        pub fn property(target: &JsValue, name: &str) -> JsValue;
        pub fn explain(thrown: &JsValue) -> JsValue;
        pub fn failure(code: &str, message: &str, cause: &str, bytes_needed: f64, seq: f64) -> JsValue;

        #[wasm_bindgen(js_name = homeOf)]
        pub fn home_of(name: &str) -> Promise;

        pub fn link(port: &JsValue) -> JsValue;
        pub fn ask(
            storage: &JsValue,
            call: u32,
            name: &str,
            offset: f64,
            bytes_max: u32,
            bytes: &[u8],
            synced: bool,
        ) -> Promise;
        pub fn done(storage: &JsValue, bytes: &JsValue);
    }

    // Nothing calls it from here: a module has to be named to be there for those that import it.
    #[wasm_bindgen(module = "/src/backend/rows.js")]
    extern "C" {
        pub fn tally(keys: &JsValue) -> JsValue;
    }
}

/// Behind each of several names, none of which has it.
pub const SEPARATOR: char = '\n';

/// A property as text, empty where there is none.
pub fn text(target: &JsValue, name: &str) -> String {
    glue::property(target, name).as_string().unwrap_or_default()
}

/// What the platform or another thread threw.
pub fn failure(thrown: &JsValue) -> Error {
    let thrown = glue::explain(thrown);
    let code = Code::from_name(&text(&thrown, "code")).unwrap_or(Code::Unavailable);
    let mut error = Error::new(code, text(&thrown, "message"));
    error.cause = glue::property(&thrown, "cause").as_string().map(Into::into);
    error.bytes_needed = glue::property(&thrown, "bytesNeeded").as_f64().map(|bytes| bytes as u64);
    error
}

/// What a promise resolves to.
pub async fn settled(promise: Promise) -> Result<JsValue> {
    task::settled(&promise).await.map_err(|thrown| failure(&thrown))
}

/// Resolves after at least that long.
pub async fn sleep(delay_ms: u32) {
    // It never rejects.
    let _ = task::settled(&glue::sleep(delay_ms)).await;
}

/// The blobs of an array of `[name, bytes]`.
pub fn blobs(rows: &JsValue) -> Result<Vec<Blob>> {
    let mut blobs = Vec::new();
    for index in 0..rows.dyn_ref::<Array>().ok_or_else(malformed)?.length() {
        let row = glue::item(rows, index);
        let (name, bytes) = (glue::item(&row, 0).as_string(), glue::item(&row, 1).as_f64());
        let (Some(name), Some(bytes)) = (name, bytes) else { return Err(malformed()) };
        blobs.push(Blob { name, bytes: bytes as u64 });
    }
    Ok(blobs)
}

/// So many zeros to read over, or the news that there is no memory for them.
pub fn zeros(bytes: usize) -> Result<Vec<u8>> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(bytes).map_err(|_| Error::new(Code::Unavailable, "no memory is left to read into"))?;
    zeros.resize(bytes, 0);
    Ok(zeros)
}

/// The bytes of a Uint8Array.
pub fn bytes(from: &JsValue) -> Result<Vec<u8>> {
    let from: &Uint8Array = from.dyn_ref().ok_or_else(malformed)?;
    let mut bytes = zeros(from.length() as usize)?;
    from.copy_to(&mut bytes);
    Ok(bytes)
}

#[cold]
pub fn malformed() -> Error {
    Error::new(Code::Unavailable, "the storage's answers make no sense")
}
