//! Sessions: openings of a store over a memory disk, each on a thread of its own, and the bytes that lie on the disk.
//!
//! A session that is dropped is a killed one: its thread is gone and writes nothing afterwards. Every test binary
//! uses a part of this.
#![allow(dead_code)]

#[path = "host.rs"]
mod host;

use futures::executor::block_on;
use holdfast::backend::memory::{MemoryBackend, MemoryDisk};
use holdfast::backend::{Backend, Sync};
use holdfast::map::Entry;
use holdfast::{Host, Level, Options, Recovery, Report, Result, Store};
pub use host::{Thread, VirtualHost};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Blobs by name.
pub type Blobs = BTreeMap<String, Vec<u8>>;

/// An entry as a store gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub version: u64,
    pub expires_at_ms: Option<u64>,
}

pub fn disk_of(blobs: &Blobs) -> Rc<MemoryDisk> {
    let disk = Rc::new(MemoryDisk::default());
    let backend = MemoryBackend::new(disk.clone());
    for (name, bytes) in blobs {
        block_on(backend.append(name, bytes, Sync::Synced)).expect("appended");
    }
    disk
}

pub fn blobs_of(disk: &Rc<MemoryDisk>) -> Blobs {
    let backend = MemoryBackend::new(disk.clone());
    let listed = block_on(backend.list()).expect("listed");
    let read = |name: String| (name.clone(), block_on(backend.read(&name, 0, u32::MAX)).expect("read"));
    listed.into_iter().map(|blob| read(blob.name)).collect()
}

pub fn strict() -> Options {
    Options { recovery: Recovery::Strict, ..Options::default() }
}

pub struct Session {
    thread: Thread,
    pub store: Store,
}

impl Session {
    pub fn open(disk: &Rc<MemoryDisk>, options: &Options, seed: u64) -> Result<Session> {
        Session::open_on(disk, options, Thread::new(seed), |host| host)
    }

    /// Opens with a host made from the thread's own.
    pub fn open_on<H: Host + 'static>(
        disk: &Rc<MemoryDisk>,
        options: &Options,
        mut thread: Thread,
        host: impl FnOnce(Rc<VirtualHost>) -> Rc<H>,
    ) -> Result<Session> {
        let backend = Rc::new(MemoryBackend::new(disk.clone()));
        let (host, options) = (host(thread.host.clone()), options.clone());
        let store = thread.run(async move { Store::open(backend, host, options).await })?;
        Ok(Session { thread, store })
    }

    /// Waits until everything written so far is at that level.
    pub fn settle(&mut self, level: Level) -> Result<()> {
        let store = self.store.clone();
        self.thread.run(async move {
            let seq = store.request(level, u64::MAX)?;
            store.settled(seq, level).await
        })
    }

    pub fn checkpoint(&mut self) -> Result<Report> {
        let store = self.store.clone();
        self.thread.run(async move { store.checkpoint().await })
    }

    pub fn close(mut self) -> Result<()> {
        let store = self.store.clone();
        self.thread.run(async move { store.close().await })
    }

    /// The user entries in the order of a scan.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.store.scan(None, holdfast::ScanRange::ALL, &mut |entry: Entry<'_>| {
            rows.push(Row {
                key: entry.key.to_vec(),
                value: entry.value.to_vec(),
                version: entry.version,
                expires_at_ms: entry.expires_at_ms,
            });
            true
        });
        rows
    }

    pub fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.store.get(key, |entry| entry.value.to_vec())
    }
}
