//! What calls cost, in counts that do not depend on the machine: allocations, calls of the backend, syncs and bytes.
//!
//! The bounds are what was counted, rounded up; a change that costs more says so here. What a call costs between JavaScript and wasm is
//! counted in `tests/e2e/costs.test.mjs`.

#![cfg(not(target_family = "wasm"))]

#[path = "support/host.rs"]
mod host;

use holdfast::backend::memory::{MemoryBackend, MemoryDisk};
use holdfast::backend::{Backend, Blob, LocalFuture, Sync};
use holdfast::{Durability, Host, Level, Options, Result, RewriteRule, Store};
use host::{Thread, VirtualHost};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// Safety: everything is the system allocator's; a counter without a destructor is all that is added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(place, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `run` allocates.
fn allocations(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

/// What a backend was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Asked {
    reads: u64,
    appends: u64,
    syncs: u64,
    bytes: u64,
}

struct Counted {
    below: MemoryBackend,
    asked: Cell<Asked>,
}

impl Counted {
    fn new(disk: &Rc<MemoryDisk>) -> Rc<Counted> {
        Rc::new(Counted { below: MemoryBackend::new(disk.clone()), asked: Cell::default() })
    }

    fn count(&self, count: impl FnOnce(&mut Asked)) {
        let mut asked = self.asked.get();
        count(&mut asked);
        self.asked.set(asked);
    }
}

impl Backend for Counted {
    fn list(&self) -> LocalFuture<'_, Result<Vec<Blob>>> {
        self.below.list()
    }
    fn read<'a>(&'a self, name: &'a str, offset: u64, bytes_max: u32) -> LocalFuture<'a, Result<Vec<u8>>> {
        self.count(|asked| asked.reads += 1);
        self.below.read(name, offset, bytes_max)
    }
    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8], sync: Sync) -> LocalFuture<'a, Result<()>> {
        self.count(|asked| {
            asked.appends += 1;
            asked.syncs += u64::from(sync == Sync::Synced);
            asked.bytes += bytes.len() as u64;
        });
        self.below.append(name, bytes, sync)
    }
    fn sync<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<()>> {
        self.count(|asked| asked.syncs += 1);
        self.below.sync(name)
    }
    fn remove<'a>(&'a self, names: &'a [String]) -> LocalFuture<'a, Result<()>> {
        self.below.remove(names)
    }
    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.below.close()
    }
}

const VALUE: [u8; 100] = [7; 100];
/// Bytes of a key and a value of these tests.
const LOGICAL_BYTES: u64 = 116;

fn key(number: u64) -> [u8; 16] {
    format!("user:{number:011}").into_bytes().try_into().expect("16 bytes")
}

fn open(thread: &mut Thread, backend: Rc<Counted>, durability: Durability) -> Store {
    let host: Rc<VirtualHost> = thread.host.clone();
    let host: Rc<dyn Host> = host;
    let options = Options {
        durability,
        save: Vec::new(),
        rewrite: RewriteRule { percentage: 100, min_bytes: 1 << 30 },
        ..Options::default()
    };
    thread.run(async move { Store::open(backend, host, options).await }).expect("the store opens")
}

fn settle(thread: &mut Thread, store: &Store, level: Level) {
    let (store, seq) = (store.clone(), store.seq());
    thread.run(async move { store.settled(seq, level).await }).expect("acknowledged");
}

fn set(store: &Store, number: u64) {
    store.set(&key(number), &VALUE, None).expect("taken");
}

fn checkpoint(thread: &mut Thread, store: &Store) {
    let store = store.clone();
    thread.run(async move { store.checkpoint().await }).expect("a checkpoint");
}

/// A store of so many entries, which a checkpoint has just written, and its backend.
fn filled(thread: &mut Thread, disk: &Rc<MemoryDisk>, entries: u64) -> (Store, Rc<Counted>) {
    let backend = Counted::new(disk);
    let store = open(thread, backend.clone(), Durability::Everysec);
    for number in 0..entries {
        set(&store, number);
    }
    settle(thread, &store, Level::Os);
    checkpoint(thread, &store);
    (store, backend)
}

#[test]
fn a_get_allocates_nothing() {
    let mut thread = Thread::new(1);
    let (store, _) = filled(&mut thread, &Rc::default(), 10_000);
    for number in 0..5_000 {
        set(&store, 2 * number);
    }
    let keys: Vec<_> = (0..20_000).map(key).collect();
    let mut bytes = 0;
    let get = |key: &[u8; 16]| bytes += store.get(key, |entry| entry.value.len()).unwrap_or(0);
    assert_eq!(allocations(|| keys.iter().for_each(get)), 0, "hits in both layers, and misses");
    assert_eq!(bytes, 10_000 * VALUE.len());
}

#[test]
fn sets_in_flight_are_one_append_and_at_most_one_sync() {
    for (durability, syncs) in [(Durability::Always, 1), (Durability::Everysec, 1), (Durability::No, 0)] {
        let mut thread = Thread::new(1);
        let backend = Counted::new(&Rc::default());
        let store = open(&mut thread, backend.clone(), durability);
        (0..1000).for_each(|number| set(&store, number));
        settle(&mut thread, &store, durability.level());
        thread.pass(5_000.0);
        let asked = backend.asked.get();
        assert_eq!((asked.appends, asked.syncs), (1, syncs), "1,000 sets under {durability:?}");
    }
}

#[test]
fn awaited_sets_are_an_append_each_and_sync_as_promised() {
    for (durability, appends, syncs) in
        [(Durability::Always, 1000, 1000), (Durability::Everysec, 1000, 1), (Durability::No, 1, 0)]
    {
        let mut thread = Thread::new(1);
        let backend = Counted::new(&Rc::default());
        let store = open(&mut thread, backend.clone(), durability);
        for number in 0..1000 {
            set(&store, number);
            settle(&mut thread, &store, durability.level());
        }
        thread.pass(5_000.0);
        let asked = backend.asked.get();
        assert_eq!((asked.appends, asked.syncs), (appends, syncs), "1,000 sets under {durability:?}");
    }
}

#[test]
fn what_is_written_is_little_more_than_what_is_stored() {
    let entries = 10_000;
    let mut thread = Thread::new(1);
    let backend = Counted::new(&Rc::default());
    let store = open(&mut thread, backend.clone(), Durability::Everysec);
    (0..entries).for_each(|number| set(&store, number));
    settle(&mut thread, &store, Level::Os);
    let logical_bytes = entries * LOGICAL_BYTES;
    let log_bytes = backend.asked.get().bytes;
    // A frame has 40 bytes in front, and an op 5 beside its key and value.
    assert!(log_bytes <= logical_bytes * 140 / 100, "{log_bytes} bytes of log for {logical_bytes}");
    checkpoint(&mut thread, &store);
    let snapshot_bytes = backend.asked.get().bytes - log_bytes;
    assert!(snapshot_bytes <= logical_bytes * 116 / 100, "{snapshot_bytes} bytes of snapshot for {logical_bytes}");
}

#[test]
fn a_set_allocates_its_key_its_value_and_little_more() {
    let mut thread = Thread::new(1);
    let (store, _) = filled(&mut thread, &Rc::default(), 10_000);
    let sets = 10_000;
    let keys: Vec<_> = (0..sets).map(key).collect();
    let set_all = || keys.iter().for_each(|key| _ = store.set(key, &VALUE, None).expect("taken"));
    let overwrites = allocations(set_all);
    let again = allocations(set_all);
    assert!(overwrites <= sets * 21 / 10, "{overwrites} allocations for {sets} sets");
    assert!(again <= sets + sets / 100, "{again} allocations for {sets} sets of what was changed before");
}

#[test]
fn opening_costs_per_block_and_not_per_entry() {
    let entries = 100_000;
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    let (store, _) = filled(&mut thread, &disk, entries);
    thread.run(async move { store.close().await }).expect("closed");
    let backend = Counted::new(&disk);
    let mut opened = None;
    let count = allocations(|| opened = Some(open(&mut thread, backend.clone(), Durability::Everysec)));
    assert_eq!(opened.map(|store| store.count()), Some(entries));
    assert!(count <= entries / 50, "{count} allocations for {entries} entries");
    let asked = backend.asked.get();
    // 256 KiB a read.
    assert!(asked.reads <= entries * LOGICAL_BYTES * 116 / 100 / (256 << 10) + 3, "{asked:?}");
    assert_eq!((asked.appends, asked.syncs), (0, 0));
}
