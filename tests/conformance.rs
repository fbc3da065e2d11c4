//! The memory backend does what every backend does.

#[path = "support/conformance.rs"]
mod conformance;

use conformance::Opener;
use futures::executor::block_on;
use holdfast::backend::Backend;
use holdfast::backend::memory::{MemoryBackend, MemoryDisk};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::ready;
use std::rc::Rc;

/// Storages by name, which outlive their openings.
fn opener() -> Box<Opener> {
    let disks: RefCell<HashMap<String, Rc<MemoryDisk>>> = RefCell::default();
    Box::new(move |name| {
        let disk = disks.borrow_mut().entry(name).or_default().clone();
        let storage: Box<dyn Backend> = Box::new(MemoryBackend::new(disk));
        Box::pin(ready(Ok(storage)))
    })
}

macro_rules! memory {
    ($($case:ident)*) => {
        $(#[test]
        fn $case() {
            block_on(conformance::$case(&*opener(), stringify!($case)));
        })*
    };
}

each_case!(memory);
