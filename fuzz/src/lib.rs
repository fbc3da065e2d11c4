//! What the fuzz targets run: the functions of `tests/support/survival.rs`, which the crate's own tests run too.

#[allow(dead_code)]
#[path = "../../tests/support/hostile.rs"]
mod hostile;
#[path = "../../tests/support/session.rs"]
mod session;
#[allow(dead_code)]
#[path = "../../tests/support/survival.rs"]
pub mod survival;
