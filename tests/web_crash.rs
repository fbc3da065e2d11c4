//! The random crash schedules of `crash.rs` as wasm in a browser: the engine with 32-bit sizes.
//!
//! Each prints its figures and its seed, which comes from the browser; a build with it in `HOLDFAST_SEED` repeats them. A
//! violation is a panic, and the console then shows the case; a build with that line in `HOLDFAST_CASE` runs nothing else.

#![cfg(target_arch = "wasm32")]

#[path = "support/sim/mod.rs"]
mod sim;

use holdfast::Durability;
use sim::figures::{self, Tier};
use sim::schedule;
use std::sync::Once;
use wasm_bindgen_test::{console_error, console_log, wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

const SCHEDULES: u64 = 10_000;

/// Once for all tests: after a panic no other hook can be set.
static TELLS: Once = Once::new();

fn random_schedules(name: &'static str, durability: Durability) {
    TELLS.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            console_error!("HOLDFAST_CASE='{}'", figures::running());
            told(panic);
        }));
    });
    let mut tier = Tier::new(name);
    let first_seed = js_sys::Math::random() * 2f64.powi(53);
    schedule::run_many(&mut tier, durability, first_seed as u64, SCHEDULES);
    console_log!("{}", tier.line());
    assert!(tier.figures.runs == SCHEDULES || tier.only().is_some());
}

#[wasm_bindgen_test]
fn random_always() {
    random_schedules("random-always", Durability::Always);
}

#[wasm_bindgen_test]
fn random_everysec() {
    random_schedules("random-everysec", Durability::Everysec);
}

#[wasm_bindgen_test]
fn random_no() {
    random_schedules("random-no", Durability::No);
}
