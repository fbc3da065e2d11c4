//! The three journeys over the memory backend, as an application sees them.

#[path = "support/host.rs"]
mod host;

use holdfast::backend::memory::{MemoryBackend, MemoryDisk};
use holdfast::backend::{Backend, Blob, LocalFuture, Sync};
use holdfast::{
    Code, Durability, Error, Event, Host, Level, Mode, Options, Recovery, Result, RewriteRule, Row, SaveRule, Store,
};
use host::{Thread, VirtualHost};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A backend that writes down the calls it passes on, and fails where it is told to.
struct Recorded {
    below: MemoryBackend,
    calls: RefCell<Vec<String>>,
    fail: Cell<Option<(&'static str, Code)>>,
}

impl Recorded {
    fn new(disk: &Rc<MemoryDisk>) -> Rc<Recorded> {
        let below = MemoryBackend::new(disk.clone());
        Rc::new(Recorded { below, calls: RefCell::default(), fail: Cell::new(None) })
    }

    fn note(&self, call: String) -> Result<()> {
        let fails = self.fail.get().filter(|(what, _)| call.starts_with(what));
        self.calls.borrow_mut().push(call);
        fails.map_or(Ok(()), |(_, code)| Err(Error::new(code, "told to fail")))
    }

    fn taken(&self) -> Vec<String> {
        self.calls.take()
    }
}

impl Backend for Recorded {
    fn list(&self) -> LocalFuture<'_, Result<Vec<Blob>>> {
        self.below.list()
    }
    fn read<'a>(&'a self, name: &'a str, offset: u64, bytes_max: u32) -> LocalFuture<'a, Result<Vec<u8>>> {
        self.below.read(name, offset, bytes_max)
    }
    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8], sync: Sync) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            self.note(format!("append {name} {sync:?}"))?;
            self.below.append(name, bytes, sync).await
        })
    }
    fn sync<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            self.note(format!("sync {name}"))?;
            self.below.sync(name).await
        })
    }
    fn remove<'a>(&'a self, names: &'a [String]) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            if !names.is_empty() {
                self.note(format!("remove {}", names.join(" ")))?;
            }
            self.below.remove(names).await
        })
    }
    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.below.close()
    }
}

fn options(durability: Durability) -> Options {
    Options { durability, ..Options::default() }
}

fn open(thread: &mut Thread, backend: Rc<dyn Backend>, options: Options) -> Store {
    try_open(thread, backend, options).expect("the store opens")
}

fn try_open(thread: &mut Thread, backend: Rc<dyn Backend>, options: Options) -> Result<Store> {
    let host: Rc<VirtualHost> = thread.host.clone();
    thread.run(async move { Store::open(backend, host, options).await })
}

fn set_and_wait(thread: &mut Thread, store: &Store, key: &str, value: &str, level: Level) {
    let seq = store.set(key.as_bytes(), value.as_bytes(), None).expect("the write is taken");
    let store = store.clone();
    thread.run(async move { store.settled(seq, level).await }).expect("the write is acknowledged");
}

fn value(store: &Store, key: &str) -> Option<String> {
    store.get(key.as_bytes(), |entry| String::from_utf8(entry.value.to_vec()).expect("text"))
}

fn close(thread: &mut Thread, store: &Store) {
    let store = store.clone();
    thread.run(async move { store.close().await }).expect("the store closes");
}

fn checkpoint(thread: &mut Thread, store: &Store) -> Result<holdfast::Report> {
    let store = store.clone();
    thread.run(async move { store.checkpoint().await })
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    for durability in [Durability::Always, Durability::Everysec, Durability::No] {
        let mut thread = Thread::new(1);
        let disk = Rc::new(MemoryDisk::default());
        let store = open(&mut thread, Recorded::new(&disk), options(durability));
        assert_eq!(store.recovered().row, Row::Fresh);
        for number in 0..100 {
            set_and_wait(&mut thread, &store, &format!("key:{number}"), "v", durability.level());
        }
        store.delete(b"key:7").expect("deleted");
        assert_eq!(store.delete(b"key:7"), Ok(0), "what is not there is not deleted twice");
        close(&mut thread, &store);
        assert_eq!(store.set(b"late", b"v", None).map_err(|error| error.code), Err(Code::Closed));

        let store = open(&mut thread, Recorded::new(&disk), options(durability));
        let found = store.recovered();
        assert_eq!((found.row, found.seq, found.data_loss), (Row::Clean, 101, None));
        assert_eq!((store.count(), value(&store, "key:7")), (99, None));
        assert_eq!(value(&store, "key:99").as_deref(), Some("v"));
    }
}

#[test]
fn concurrent_writes_share_one_append_and_one_sync() {
    let mut thread = Thread::new(1);
    let backend = Recorded::new(&Rc::default());
    let store = open(&mut thread, backend.clone(), options(Durability::Always));
    for number in 0..1000 {
        store.set(format!("key:{number}").as_bytes(), b"v", None).expect("taken");
    }
    let waiting = store.clone();
    thread.run(async move { waiting.settled(1000, Level::Disk).await }).expect("acknowledged");
    assert_eq!(backend.taken(), ["append log-1 Synced"]);
}

#[test]
fn everysec_acknowledges_at_os_and_syncs_within_a_second() {
    let mut thread = Thread::new(1);
    let backend = Recorded::new(&Rc::default());
    let store = open(&mut thread, backend.clone(), options(Durability::Everysec));
    set_and_wait(&mut thread, &store, "a", "1", Level::Os);
    assert_eq!((store.reached_seq(Level::Disk), store.unsynced().frames), (0, 1));
    thread.pass(500.0);
    set_and_wait(&mut thread, &store, "b", "2", Level::Os);
    assert_eq!(backend.taken(), ["append log-1 Buffered", "append log-1 Buffered"]);
    thread.pass(501.0);
    assert_eq!(backend.taken(), ["sync log-1"]);
    assert_eq!((store.reached_seq(Level::Disk), store.unsynced().frames), (2, 0));
    thread.pass(10_000.0);
    assert_eq!(backend.taken(), [""; 0], "nothing is synced twice");
}

#[test]
fn no_durability_coalesces_and_never_syncs_by_itself() {
    let mut thread = Thread::new(1);
    let backend = Recorded::new(&Rc::default());
    let store = open(&mut thread, backend.clone(), options(Durability::No));
    store.set(b"a", b"1", None).expect("taken");
    thread.pass(100.0);
    store.set(b"b", b"2", None).expect("taken");
    assert_eq!(backend.taken(), [""; 0]);
    thread.pass(151.0);
    assert_eq!(backend.taken(), ["append log-1 Buffered"]);
    thread.pass(60_000.0);
    assert_eq!(backend.taken(), [""; 0]);
    let flushed = store.clone();
    assert_eq!(thread.run(async move { flushed.flush().await }), Ok(2));
    assert_eq!(backend.taken(), ["sync log-1"]);
}

#[test]
fn a_level_can_be_raised_for_one_write() {
    let mut thread = Thread::new(1);
    let backend = Recorded::new(&Rc::default());
    let store = open(&mut thread, backend.clone(), options(Durability::No));
    let seq = store.set(b"a", b"1", None).expect("taken");
    store.request(Level::Disk, seq).expect("asked");
    let waiting = store.clone();
    thread.run(async move { waiting.settled(seq, Level::Disk).await }).expect("acknowledged");
    assert_eq!(backend.taken(), ["append log-1 Synced"]);
}

#[test]
fn opening_writes_nothing_and_the_first_write_begins_a_generation() {
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    let store = open(&mut thread, Recorded::new(&disk), options(Durability::Everysec));
    set_and_wait(&mut thread, &store, "a", "1", Level::Os);
    // No close: what a killed tab leaves.
    let backend = Recorded::new(&disk);
    let store = open(&mut thread, backend.clone(), options(Durability::Everysec));
    thread.pass(10_000.0);
    assert_eq!(backend.taken(), [""; 0]);
    set_and_wait(&mut thread, &store, "b", "2", Level::Os);
    assert_eq!(backend.taken(), ["sync log-1", "append log-2 Buffered"], "the old tail is synced first");
}

#[test]
fn a_flush_after_opening_syncs_what_a_killed_tab_left() {
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    let store = open(&mut thread, Recorded::new(&disk), options(Durability::Everysec));
    set_and_wait(&mut thread, &store, "a", "1", Level::Os);
    let backend = Recorded::new(&disk);
    let store = open(&mut thread, backend.clone(), options(Durability::Everysec));
    assert_eq!(thread.run(async move { store.flush().await }), Ok(1));
    assert_eq!(backend.taken(), ["sync log-1"]);
}

#[test]
fn a_checkpoint_syncs_the_log_first_and_removes_only_what_two_snapshots_replace() {
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    let backend = Recorded::new(&disk);
    let store = open(&mut thread, backend.clone(), options(Durability::No));
    store.set(b"a", b"1", None).expect("taken");
    let report = checkpoint(&mut thread, &store).expect("a checkpoint");
    assert_eq!((report.seq, report.generation, report.entries), (1, 2, 1));
    let reserve = "append reserve Buffered";
    assert_eq!(backend.taken(), ["append log-1 Synced", "append snap-2 Buffered", "sync snap-2", reserve]);

    store.set(b"b", b"2", None).expect("taken");
    checkpoint(&mut thread, &store).expect("a checkpoint");
    assert_eq!(backend.taken(), ["append log-2 Synced", "append snap-3 Buffered", "sync snap-3", "remove log-1"]);
    store.set(b"c", b"3", None).expect("taken");
    checkpoint(&mut thread, &store).expect("a checkpoint");
    assert_eq!(
        backend.taken(),
        ["append log-3 Synced", "append snap-4 Buffered", "sync snap-4", "remove snap-2 log-2"]
            .map(String::from)
            .to_vec()
            .as_slice()
    );
    assert_eq!(checkpoint(&mut thread, &store).expect("nothing to do").removed_bytes, 0);
    assert_eq!(backend.taken(), [""; 0], "nothing changed, nothing is written");

    let store = open(&mut thread, Recorded::new(&disk), options(Durability::No));
    let found = store.recovered();
    assert_eq!((found.row, found.seq, found.snapshot_seq, found.frames), (Row::Clean, 3, Some(3), 0));
    assert_eq!(store.count(), 3);
}

#[test]
fn writes_during_a_checkpoint_are_in_the_next_segment() {
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    let backend = Recorded::new(&disk);
    let store = open(&mut thread, backend.clone(), options(Durability::Everysec));
    for number in 0..50_000 {
        store.set(format!("key:{number:06}").as_bytes(), &[1; 100], None).expect("taken");
    }
    let (checkpointing, writing) = (store.clone(), store.clone());
    let (report, ()) = thread.run(async move {
        futures::future::join(checkpointing.checkpoint(), async move {
            for number in 0..200 {
                let seq = writing.set(format!("key:{number:06}").as_bytes(), b"new", None).expect("taken");
                writing.settled(seq, Level::Os).await.expect("acknowledged");
            }
        })
        .await
    });
    assert_eq!(report.expect("a checkpoint").entries, 50_000);
    close(&mut thread, &store);
    let store = open(&mut thread, Recorded::new(&disk), options(Durability::Everysec));
    let found = store.recovered();
    assert_eq!((found.row, store.count()), (Row::Clean, 50_000));
    assert_eq!(value(&store, "key:000199").as_deref(), Some("new"));
    assert_eq!(value(&store, "key:000200").map(|text| text.len()), Some(100));
}

/// A backend whose calls take 2 ms each, and which counts what writes of the log meet.
struct Timed {
    below: MemoryBackend,
    host: Rc<VirtualHost>,
    log_calls: Cell<u32>,
    snapshot_calls: Cell<u32>,
    met: RefCell<Met>,
    /// Pieces of a snapshot that there is room for, and none for the log while they are there.
    room: Cell<u32>,
}

#[derive(Default)]
struct Met {
    pieces: u32,
    piece_bytes_max: usize,
    unsynced_bytes: usize,
    unsynced_bytes_max: usize,
    reads: u32,
    read_bytes_max: u32,
    /// Calls for the snapshot that began while the log was being written.
    pushed_in: u32,
    /// Calls for the snapshot that were under way at once.
    snapshot_calls_max: u32,
    /// Writes of the log since a call for the snapshot began.
    log_calls: u32,
    log_calls_max: u32,
}

impl Timed {
    async fn call<T>(&self, name: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let is_snapshot = name.starts_with("snap");
        let under_way = if is_snapshot { &self.snapshot_calls } else { &self.log_calls };
        under_way.set(under_way.get() + 1);
        {
            let met = &mut *self.met.borrow_mut();
            if is_snapshot {
                met.pushed_in += u32::from(self.log_calls.get() > 0);
                met.snapshot_calls_max = met.snapshot_calls_max.max(self.snapshot_calls.get());
                met.log_calls_max = met.log_calls_max.max(std::mem::take(&mut met.log_calls));
            } else {
                met.log_calls += 1;
            }
        }
        self.host.sleep(2).await;
        under_way.set(under_way.get() - 1);
        let (pieces, room) = (self.met.borrow().pieces, self.room.get());
        let is_full = if is_snapshot { pieces > room } else { pieces > 0 && room < u32::MAX };
        if is_full {
            return Err(Error::new(Code::Quota, "no room"));
        }
        call.await
    }
}

impl Backend for Timed {
    fn list(&self) -> LocalFuture<'_, Result<Vec<Blob>>> {
        self.below.list()
    }
    fn read<'a>(&'a self, name: &'a str, offset: u64, bytes_max: u32) -> LocalFuture<'a, Result<Vec<u8>>> {
        let mut met = self.met.borrow_mut();
        met.reads += 1;
        met.read_bytes_max = met.read_bytes_max.max(bytes_max);
        Box::pin(self.call(name, self.below.read(name, offset, bytes_max)))
    }
    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8], sync: Sync) -> LocalFuture<'a, Result<()>> {
        if name.starts_with("snap") {
            let mut met = self.met.borrow_mut();
            met.pieces += 1;
            met.piece_bytes_max = met.piece_bytes_max.max(bytes.len());
            met.unsynced_bytes += bytes.len();
            met.unsynced_bytes_max = met.unsynced_bytes_max.max(met.unsynced_bytes);
            if sync == Sync::Synced {
                met.unsynced_bytes = 0;
            }
        }
        // What is refused is not carried out.
        let append = Box::pin(async move { self.below.append(name, bytes, sync).await });
        Box::pin(self.call(name, append))
    }
    fn sync<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(self.call(name, self.below.sync(name)))
    }
    fn remove<'a>(&'a self, names: &'a [String]) -> LocalFuture<'a, Result<()>> {
        if names.iter().any(|name| name.starts_with("snap")) {
            self.met.borrow_mut().pieces = 0;
        }
        self.below.remove(names)
    }
    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.below.close()
    }
}

/// A store of 5 MB that makes no checkpoint by itself.
fn large_store(thread: &mut Thread) -> (Store, Rc<Timed>) {
    let backend = Rc::new(Timed {
        below: MemoryBackend::new(Rc::default()),
        host: thread.host.clone(),
        log_calls: Cell::new(0),
        snapshot_calls: Cell::new(0),
        met: RefCell::default(),
        room: Cell::new(u32::MAX),
    });
    let rewrite = RewriteRule { percentage: 100, min_bytes: u64::MAX };
    let never = Options { save: Vec::new(), rewrite, ..options(Durability::Everysec) };
    let store = open(thread, backend.clone(), never);
    for number in 0..4000 {
        store.set(format!("key:{number:06}").as_bytes(), &[1; 1000], None).expect("taken");
    }
    store.set(b"large", &vec![2; 1_000_000], None).expect("taken");
    let flushed = store.clone();
    thread.run(async move { flushed.flush().await }).expect("synced");
    backend.met.take();
    (store, backend)
}

/// Makes a checkpoint of 5 MB with a write every so many ms. Gives what was met, and the writes.
fn checkpoint_among_writes(interval_ms: u32) -> (Met, u32) {
    let mut thread = Thread::new(1);
    let (store, backend) = large_store(&mut thread);
    let ended = Rc::new(Cell::new(false));
    let (writer, stop, host) = (store.clone(), ended.clone(), thread.host.clone());
    let writing = async move {
        let mut writes = 0;
        while !stop.get() {
            writer.set(b"key:000000", b"new", None).expect("taken");
            writes += 1;
            host.sleep(interval_ms).await;
        }
        writes
    };
    let checkpointing = store.clone();
    let (report, writes) = thread.run(async move {
        let checkpoint = async move {
            let report = checkpointing.checkpoint().await;
            ended.set(true);
            report
        };
        futures::future::join(checkpoint, writing).await
    });
    assert!(report.expect("a checkpoint").bytes > 5_000_000);
    (backend.met.take(), writes)
}

#[test]
fn a_checkpoint_goes_in_small_calls_and_lets_the_log_go_first() {
    let (met, writes) = checkpoint_among_writes(5);
    assert!(met.pieces > 40 && met.reads > 40 && writes > 20, "{} {} {writes}", met.pieces, met.reads);
    assert!(met.piece_bytes_max <= 120 << 10, "a piece of {} bytes", met.piece_bytes_max);
    assert!(met.read_bytes_max <= 120 << 10, "a read of {} bytes", met.read_bytes_max);
    assert!(met.unsynced_bytes_max <= (1 << 20) + (120 << 10), "{} bytes in one sync", met.unsynced_bytes_max);
    assert_eq!(met.snapshot_calls_max, 1, "a write of the log may have to wait for more than one call");
    assert_eq!(met.pushed_in, 0, "calls that began while the log was being written");
}

#[test]
fn a_log_that_never_rests_does_not_hold_up_a_checkpoint() {
    let (met, writes) = checkpoint_among_writes(1);
    assert!(met.pushed_in > 80 && writes > 300, "{} {writes}", met.pushed_in);
    assert!(met.log_calls_max <= 5, "{} writes of the log between two calls", met.log_calls_max);
}

#[test]
fn rules_start_checkpoints() {
    let mut thread = Thread::new(1);
    let backend = Recorded::new(&Rc::default());
    let rules = Options { save: vec![SaveRule(60, 2)], durability: Durability::No, ..Options::default() };
    let store = open(&mut thread, backend.clone(), rules);
    store.set(b"a", b"1", None).expect("taken");
    thread.pass(120_000.0);
    assert!(!backend.taken().iter().any(|call| call.contains("snap")), "one change is too few");
    store.set(b"b", b"2", None).expect("taken");
    thread.pass(1000.0);
    assert!(backend.taken().contains(&"sync snap-2".to_owned()));
    store.set(b"c", b"3", None).expect("taken");
    store.set(b"d", b"4", None).expect("taken");
    thread.pass(50_000.0);
    assert!(!backend.taken().iter().any(|call| call.contains("snap")), "60 s are not over");
    thread.pass(10_000.0);
    assert!(backend.taken().contains(&"sync snap-3".to_owned()));
}

#[test]
fn the_log_is_rewritten_when_it_outgrows_the_data() {
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    let backend = Recorded::new(&disk);
    let rules = Options {
        mode: Mode::Log,
        rewrite: RewriteRule { percentage: 100, min_bytes: 64 << 10 },
        ..Options::default()
    };
    let store = open(&mut thread, backend.clone(), rules);
    for round in 0..5_000 {
        set_and_wait(&mut thread, &store, "same key", &format!("{round:0100}"), Level::Os);
    }
    let listed = thread.run(async move { backend.list().await }).expect("listed");
    let bytes: u64 = listed.iter().map(|blob| blob.bytes).sum();
    assert!(bytes < 256 << 10, "{bytes} bytes for one key");
}

#[test]
fn many_short_sessions_do_not_pile_up_segments() {
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    for session in 0..60 {
        let store = open(&mut thread, Recorded::new(&disk), options(Durability::Everysec));
        set_and_wait(&mut thread, &store, &format!("key:{session}"), "v", Level::Os);
        thread.pass(1.0);
        close(&mut thread, &store);
    }
    let backend = Recorded::new(&disk);
    let store = open(&mut thread, backend.clone(), options(Durability::Everysec));
    let blobs = thread.run(async move { backend.list().await }).expect("listed").len();
    assert!(store.count() == 60 && blobs < 24, "{blobs} blobs");
}

/// The codes of the events that tell of failures.
fn listen(store: &Store) -> Rc<RefCell<Vec<String>>> {
    let events = Rc::new(RefCell::new(Vec::new()));
    let seen = events.clone();
    store.listen(Rc::new(move |event| match event {
        Event::Rejected(error) => seen.borrow_mut().push(format!("rejected {}", error.code.as_str())),
        Event::Poisoned(error) => seen.borrow_mut().push(format!("poisoned {}", error.code.as_str())),
        _ => {}
    }));
    events
}

#[test]
fn a_write_without_room_is_taken_back_and_the_next_one_counts() {
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    let backend = Recorded::new(&disk);
    let store = open(&mut thread, backend.clone(), options(Durability::Everysec));
    set_and_wait(&mut thread, &store, "a", "1", Level::Os);
    let events = listen(&store);
    backend.fail.set(Some(("append", Code::Quota)));
    let seq = store.set(b"b", b"2", None).expect("taken");
    store.delete(b"a").expect("taken");
    assert_eq!((seq, store.count()), (2, 1));
    let failed = thread.run(store.settled(seq, Level::Os)).expect_err("not acknowledged");
    assert_eq!((failed.code, failed.bytes_needed.is_some()), (Code::Quota, true));
    assert_eq!(*events.borrow(), ["rejected QUOTA"]);
    assert_eq!((store.seq(), store.count(), value(&store, "a").as_deref()), (1, 1, Some("1")));
    backend.fail.set(None);
    set_and_wait(&mut thread, &store, "c", "3", Level::Disk);
    assert_eq!(store.seq(), 2);
    close(&mut thread, &store);
    let store = open(&mut thread, Recorded::new(&disk), options(Durability::Everysec));
    assert_eq!((store.count(), store.seq(), store.recovered().row), (2, 2, Row::Clean));
    assert_eq!(value(&store, "c").as_deref(), Some("3"));
}

#[test]
fn a_flush_does_not_confirm_what_was_taken_back() {
    for code in [Code::Quota, Code::Fenced] {
        let mut thread = Thread::new(1);
        let disk = Rc::new(MemoryDisk::default());
        let backend = Recorded::new(&disk);
        let store = open(&mut thread, backend.clone(), options(Durability::No));
        set_and_wait(&mut thread, &store, "a", "1", Level::Applied);
        backend.fail.set(Some(("append", code)));
        thread.pass(300.0);
        assert_eq!((store.seq(), store.count()), (0, 0));
        backend.fail.set(None);
        let flushing = store.clone();
        let refused = thread.run(async move { flushing.flush().await }).expect_err("it was acknowledged, and is gone");
        assert_eq!(refused.code, code);
        if code == Code::Quota {
            set_and_wait(&mut thread, &store, "b", "2", Level::Applied);
            let flushing = store.clone();
            assert_eq!(thread.run(async move { flushing.flush().await }), Ok(1), "told once");
        }
    }
}

#[test]
fn a_store_without_room_takes_deletes() {
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    let backend = Recorded::new(&disk);
    let store = open(&mut thread, backend.clone(), options(Durability::Everysec));
    set_and_wait(&mut thread, &store, "a", "1", Level::Os);
    checkpoint(&mut thread, &store).expect("a checkpoint, which sets the reserve aside");
    backend.fail.set(Some(("append", Code::Quota)));
    let seq = store.set(b"b", b"2", None).expect("taken");
    thread.run(store.settled(seq, Level::Os)).expect_err("no room");
    backend.fail.set(None);
    backend.taken();
    let seq = store.delete(b"a").expect("taken");
    thread.run(store.settled(seq, Level::Os)).expect("acknowledged");
    assert_eq!(backend.taken()[..2], ["remove reserve", "append log-3 Buffered"]);
}

#[test]
fn a_delete_that_finds_the_room_taken_by_a_checkpoint_is_tried_again_after_it() {
    let mut thread = Thread::new(1);
    let (store, backend) = large_store(&mut thread);
    backend.room.set(10);
    let (checkpointing, deleting, host) = (store.clone(), store.clone(), thread.host.clone());
    let (report, deleted) = thread.run(async move {
        futures::future::join(checkpointing.checkpoint(), async move {
            host.sleep(10).await;
            let seq = deleting.delete(b"large").expect("taken");
            deleting.settled(seq, Level::Os).await
        })
        .await
    });
    assert_eq!(report.expect_err("no room").code, Code::Quota);
    deleted.expect("acknowledged");
    assert_eq!(store.count(), 4000);
}

#[test]
fn fault_23_a_sync_without_room_is_tried_again_later() {
    for durability in [Durability::Everysec, Durability::No] {
        let mut thread = Thread::new(1);
        let disk = Rc::new(MemoryDisk::default());
        let backend = Recorded::new(&disk);
        let store = open(&mut thread, backend.clone(), options(durability));
        let flush = |thread: &mut Thread| {
            let flushing = store.clone();
            thread.run(async move { flushing.flush().await }).map_err(|error| error.code)
        };
        set_and_wait(&mut thread, &store, "a", "1", Level::Os);
        thread.pass(300.0);
        backend.fail.set(Some(("sync", Code::Quota)));
        backend.taken();
        assert_eq!(flush(&mut thread), Err(Code::Quota));
        assert_eq!(backend.taken(), ["sync log-1", "remove reserve", "sync log-1"]);
        thread.pass(999.0);
        assert_eq!(backend.taken(), [""; 0], "not at once");
        thread.pass(1.0);
        let tried = if durability == Durability::Everysec { 3 } else { 0 };
        assert_eq!(backend.taken().len(), tried, "{durability:?}");
        // The next segment would begin in front of the sync.
        let seq = store.set(b"b", b"2", None).expect("taken");
        store.request(Level::Os, seq).expect("asked");
        let refused = thread.run(store.settled(seq, Level::Os)).expect_err("no room");
        assert_eq!((refused.code, refused.bytes_needed.is_some_and(|bytes| bytes > 0)), (Code::Quota, true));
        assert_eq!(checkpoint(&mut thread, &store).map_err(|error| error.code), Err(Code::Quota));
        assert_eq!((store.poison(), store.count(), store.reached_seq(Level::Disk)), (None, 1, 0));
        backend.fail.set(None);
        if durability == Durability::No {
            assert_eq!(flush(&mut thread), Err(Code::Quota), "that b was taken back is told");
        }
        set_and_wait(&mut thread, &store, "c", "3", Level::Os);
        assert_eq!(flush(&mut thread), Ok(2));
        close(&mut thread, &store);
        let store = open(&mut thread, Recorded::new(&disk), options(durability));
        assert_eq!((store.count(), store.seq(), store.recovered().row), (2, 2, Row::Clean));
    }
}

#[test]
fn after_a_failed_write_or_sync_the_state_is_rescued_into_new_blobs() {
    for (fails, durability) in [
        ("append log-1", Durability::Always),
        ("append log-1", Durability::Everysec),
        ("append log-1", Durability::No),
        ("sync log-1", Durability::Everysec),
    ] {
        let mut thread = Thread::new(1);
        let disk = Rc::new(MemoryDisk::default());
        let backend = Recorded::new(&disk);
        let store = open(&mut thread, backend.clone(), options(durability));
        set_and_wait(&mut thread, &store, "a", "1", durability.level());
        thread.pass(300.0);
        let events = listen(&store);
        backend.fail.set(Some((fails, Code::Unavailable)));
        let seq = store.set(b"b", b"2", None).expect("taken");
        if fails.starts_with("sync") {
            thread.run(store.settled(seq, Level::Os)).expect("acknowledged");
        }
        store.request(Level::Disk, seq).expect("asked");
        thread.run(store.settled(seq, Level::Disk)).expect("acknowledged once it is in the snapshot");
        assert_eq!(*events.borrow(), [""; 0], "{fails} {durability:?}");
        let calls = backend.taken().join(", ");
        let (_, after) = calls.split_once("append snap-2").expect("a snapshot");
        assert!(!after.contains("log-1"), "the broken segment is left alone: {calls}");
        set_and_wait(&mut thread, &store, "c", "3", durability.level());
        close(&mut thread, &store);
        let store = open(&mut thread, Recorded::new(&disk), options(durability));
        assert_eq!((store.count(), store.seq(), store.recovered().row), (3, 3, Row::Clean));
    }
}

#[test]
fn a_store_that_cannot_be_rescued_stops_writes_but_not_reads() {
    for code in [Code::Unavailable, Code::Fenced] {
        let mut thread = Thread::new(1);
        let disk = Rc::new(MemoryDisk::default());
        let backend = Recorded::new(&disk);
        let store = open(&mut thread, backend.clone(), options(Durability::Everysec));
        set_and_wait(&mut thread, &store, "a", "1", Level::Os);
        let events = listen(&store);
        backend.fail.set(Some(("append", code)));
        let seq = store.set(b"a", b"2", None).expect("taken");
        let failed = thread.run(store.settled(seq, Level::Os)).expect_err("not acknowledged");
        assert_eq!((failed.code, &*events.borrow()), (code, &vec![format!("poisoned {}", code.as_str())]));
        backend.fail.set(None);
        assert_eq!(store.set(b"c", b"3", None).map_err(|error| error.code), Err(Code::Poisoned));
        assert_eq!((value(&store, "a").as_deref(), store.count()), (Some("1"), 1), "as it is stored");
        let closing = store.clone();
        assert!(thread.run(async move { closing.close().await }).is_err());
        let store = open(&mut thread, Recorded::new(&disk), options(Durability::Everysec));
        assert_eq!((store.count(), store.recovered().row), (1, Row::Clean));
    }
}

#[test]
fn a_checkpoint_without_room_gives_up_what_it_can() {
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    let backend = Recorded::new(&disk);
    let store = open(&mut thread, backend.clone(), options(Durability::Everysec));
    for (key, generation) in [("a", 2), ("b", 3)] {
        set_and_wait(&mut thread, &store, key, "1", Level::Os);
        assert_eq!(checkpoint(&mut thread, &store).expect("a checkpoint").generation, generation);
    }
    set_and_wait(&mut thread, &store, "c", "1", Level::Os);
    backend.taken();
    backend.fail.set(Some(("append snap", Code::Quota)));
    assert_eq!(checkpoint(&mut thread, &store).map_err(|error| error.code), Err(Code::Quota));
    let calls = backend.taken();
    let tries = ["append snap-4 Buffered", "remove snap-2 log-2", "remove snap-4 reserve", "append snap-4 Buffered"];
    assert!(calls.join(", ").contains(&tries.join(", ")), "{calls:?}");
    let store = open(&mut thread, Recorded::new(&disk), options(Durability::Everysec));
    assert_eq!((store.count(), store.recovered().row), (3, Row::Clean));
}

#[test]
fn a_failed_checkpoint_leaves_everything_and_is_tried_again_later() {
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    let backend = Recorded::new(&disk);
    let store = open(&mut thread, backend.clone(), options(Durability::Everysec));
    set_and_wait(&mut thread, &store, "a", "1", Level::Os);
    backend.fail.set(Some(("sync snap", Code::Quota)));
    assert_eq!(checkpoint(&mut thread, &store).map_err(|error| error.code), Err(Code::Quota));
    backend.fail.set(None);
    set_and_wait(&mut thread, &store, "b", "2", Level::Os);
    assert_eq!(store.count(), 2);
    assert_eq!(checkpoint(&mut thread, &store).expect("a checkpoint").entries, 2);
    let store = open(&mut thread, Recorded::new(&disk), options(Durability::Everysec));
    assert_eq!((store.count(), store.recovered().row), (2, Row::Clean));
}

/// A store of two sessions, all of it promised: three frames, the second damaged by `damage`.
fn damaged(thread: &mut Thread) -> Rc<MemoryDisk> {
    let disk = Rc::new(MemoryDisk::default());
    let store = open(thread, Recorded::new(&disk), options(Durability::Always));
    for key in ["a", "b", "c", "d"] {
        set_and_wait(thread, &store, key, "value", Level::Disk);
    }
    let backend = MemoryBackend::new(disk.clone());
    thread.run(async move {
        let mut bytes = backend.read("log-1", 0, 1 << 20).await.expect("read");
        let frame_bytes = (bytes.len() - 128) / 4;
        bytes[128 + frame_bytes + 45] ^= 1;
        backend.remove(&["log-1".to_owned()]).await.expect("removed");
        backend.append("log-1", &bytes, Sync::Synced).await.expect("appended");
    });
    disk
}

#[test]
fn damage_to_what_was_promised_is_told() {
    let mut thread = Thread::new(1);
    let disk = damaged(&mut thread);
    let strict = Options { recovery: Recovery::Strict, ..Options::default() };
    let refused = try_open(&mut thread, Recorded::new(&disk), strict.clone()).err().expect("strict refuses");
    assert_eq!((refused.code, refused.seq), (Code::Corrupt, Some(2)));

    let store = open(&mut thread, Recorded::new(&disk), Options::default());
    let loss = store.recovered().data_loss.expect("loss is reported");
    assert_eq!((loss.row, loss.from_seq, loss.to_seq, store.count()), (Row::Corrupt, 2, 3, 1));

    // Whoever writes on accepts what is left: the damage is behind it from then on.
    set_and_wait(&mut thread, &store, "e", "value", Level::Disk);
    let store = try_open(&mut thread, Recorded::new(&disk), strict).expect("the later segment's word counts");
    assert_eq!((store.count(), store.seq()), (2, 2));
}

#[test]
fn a_missing_segment_is_told() {
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    for key in ["a", "b", "c"] {
        let store = open(&mut thread, Recorded::new(&disk), options(Durability::Always));
        set_and_wait(&mut thread, &store, key, "value", Level::Disk);
    }
    let backend = MemoryBackend::new(disk.clone());
    thread.run(async move { backend.remove(&["log-2".to_owned()]).await }).expect("removed");
    let store = open(&mut thread, Recorded::new(&disk), Options::default());
    let loss = store.recovered().data_loss.expect("loss is reported");
    assert_eq!((loss.row, loss.from_seq, loss.to_seq, store.count()), (Row::Missing, 2, 2, 1));
}

#[test]
fn a_damaged_snapshot_falls_back_to_the_previous_one() {
    let mut thread = Thread::new(1);
    let disk = Rc::new(MemoryDisk::default());
    let store = open(&mut thread, Recorded::new(&disk), options(Durability::Always));
    for key in ["a", "b", "c"] {
        set_and_wait(&mut thread, &store, key, "value", Level::Disk);
        checkpoint(&mut thread, &store).expect("a checkpoint");
    }
    set_and_wait(&mut thread, &store, "d", "value", Level::Disk);
    let backend = MemoryBackend::new(disk.clone());
    thread.run(async move {
        let mut bytes = backend.read("snap-4", 0, 1 << 20).await.expect("read");
        bytes[100] ^= 1;
        backend.remove(&["snap-4".to_owned()]).await.expect("removed");
        backend.append("snap-4", &bytes, Sync::Synced).await.expect("appended");
    });
    let store = open(&mut thread, Recorded::new(&disk), Options::default());
    let found = store.recovered();
    assert_eq!((found.row, found.seq, found.snapshot_seq, store.count()), (Row::Fallback, 4, Some(2), 4));
}

#[test]
fn bad_input_changes_nothing() {
    let mut thread = Thread::new(1);
    let backend = Recorded::new(&Rc::default());
    let store = open(&mut thread, backend.clone(), Options::default());
    for key in [&b""[..], &[b'k'; 1025]] {
        assert_eq!(store.set(key, b"v", None).map_err(|error| error.code), Err(Code::KeyInvalid));
        assert_eq!(store.delete(key).map_err(|error| error.code), Err(Code::KeyInvalid));
    }
    thread.pass(5000.0);
    assert_eq!((store.seq(), store.count(), backend.taken().len()), (0, 0, 0));
    let bad = Options { save: vec![SaveRule(0, 1)], ..Options::default() };
    assert_eq!(try_open(&mut thread, backend, bad).err().map(|error| error.code), Some(Code::OptionInvalid));
}
