//! The Rust engine on OPFS in a dedicated worker.

#![cfg(target_arch = "wasm32")]

#[path = "support/engine.rs"]
mod engine;

use engine::Place;
use holdfast::backend::Backend;
use holdfast::backend::opfs::{self, OpfsBackend};
use std::rc::Rc;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

fn place(case: &str) -> Place {
    Place {
        name: format!("engine: {case}"),
        open: |name| Box::pin(async move { Ok(Rc::new(OpfsBackend::open(&name).await?) as Rc<dyn Backend>) }),
        destroy: |name| Box::pin(async move { opfs::destroy(&name).await }),
    }
}

macro_rules! opfs {
    ($($case:ident)*) => {
        $(#[wasm_bindgen_test]
        async fn $case() {
            engine::$case(&place(stringify!($case))).await;
        })*
    };
}

each_engine_case!(opfs);
