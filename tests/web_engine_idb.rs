//! The Rust engine on IndexedDB in a page.

#![cfg(target_arch = "wasm32")]

#[path = "support/engine.rs"]
mod engine;

use engine::{BrowserHost, Place};
use holdfast::backend::Backend;
use holdfast::backend::idb::{self, IdbBackend};
use holdfast::{Code, Level, Options, Store};
use std::rc::Rc;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

fn place(case: &str) -> Place {
    Place {
        name: format!("engine: {case}"),
        open: |name| Box::pin(async move { Ok(Rc::new(IdbBackend::open(&name).await?) as Rc<dyn Backend>) }),
        destroy: |name| Box::pin(async move { idb::destroy(&name).await }),
    }
}

macro_rules! idb {
    ($($case:ident)*) => {
        $(#[wasm_bindgen_test]
        async fn $case() {
            engine::$case(&place(stringify!($case))).await;
        })*
    };
}

each_engine_case!(idb);

#[wasm_bindgen_test]
async fn an_overtaken_engine_stops_writing_and_loses_nothing_it_acknowledged() {
    const NAME: &str = "engine: overtaken";
    let open = async || {
        let backend = Rc::new(IdbBackend::open(NAME).await.expect("the storage opens"));
        Store::open(backend, Rc::new(BrowserHost), Options::default()).await.expect("the store opens")
    };
    let old = open().await;
    let seq = old.set(b"old", b"acknowledged", None).expect("taken");
    old.settled(seq, Level::Os).await.expect("acknowledged");
    let new = open().await;
    let seq = new.set(b"new", b"acknowledged", None).expect("taken");
    new.settled(seq, Level::Os).await.expect("acknowledged");

    let late = old.set(b"old", b"late", None).expect("taken");
    assert_eq!(old.settled(late, Level::Os).await.expect_err("refused").code, Code::Fenced);
    assert_eq!(old.set(b"old", b"later", None).expect_err("read-only").code, Code::Poisoned);
    let read = |store: &Store, key: &[u8]| store.get(key, |entry| entry.value.to_vec());
    assert_eq!(read(&old, b"new"), None, "an engine sees its own writes only");
    assert_eq!(old.close().await.expect_err("what was late is lost").code, Code::Fenced);
    new.close().await.expect("the store closes");

    let store = open().await;
    for key in [&b"old"[..], b"new"] {
        assert_eq!(read(&store, key).as_deref(), Some(&b"acknowledged"[..]));
    }
    store.close().await.expect("the store closes");
    idb::destroy(NAME).await.expect("destroyed");
}
