//! What a store says of its entries: ranges, views, versions and conditions, expiry, the record of changes, snapshots alone.

#[path = "support/host.rs"]
mod host;

use holdfast::backend::memory::{MemoryBackend, MemoryDisk};
use holdfast::map::Entry;
use holdfast::op::Op;
use holdfast::{
    Code, Condition, Direction, Durability, Level, Mode, Options, Recording, Report, Result, SaveRule, ScanRange, Store,
};
use host::Thread;
use std::collections::BTreeMap;
use std::rc::Rc;

const START_MS: u64 = 1_700_000_000_000;

struct Opened {
    thread: Thread,
    store: Store,
}

fn open_with(disk: &Rc<MemoryDisk>, options: Options, clock_ms: u64) -> Opened {
    let mut thread = Thread::new(7);
    thread.pass((clock_ms - START_MS) as f64);
    let (backend, host) = (Rc::new(MemoryBackend::new(disk.clone())), thread.host.clone());
    let store = thread.run(async move { Store::open(backend, host, options).await }).expect("it opens");
    Opened { thread, store }
}

fn open(disk: &Rc<MemoryDisk>) -> Opened {
    open_with(disk, Options::default(), START_MS)
}

impl Opened {
    fn set(&self, key: &str, value: &str, expires_at_ms: Option<u64>) -> u64 {
        self.store.set(key.as_bytes(), value.as_bytes(), expires_at_ms).expect("taken")
    }

    fn checkpoint(&mut self) -> Result<Report> {
        let store = self.store.clone();
        self.thread.run(async move { store.checkpoint().await })
    }

    fn flush(&mut self) -> Result<u64> {
        let store = self.store.clone();
        self.thread.run(async move { store.flush().await })
    }

    fn keys(&self, range: ScanRange<'_>) -> Vec<String> {
        keys(&self.store, None, range)
    }

    fn changes(&self) -> Vec<Seen> {
        read_changes(&self.store.take_changes())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn keys(store: &Store, view: Option<&holdfast::map::Map>, range: ScanRange<'_>) -> Vec<String> {
    let mut keys = Vec::new();
    store.scan(view, range, &mut |entry: Entry<'_>| {
        keys.push(text(entry.key));
        true
    });
    keys
}

/// Kind, seq, key, old value, new value.
type Seen = (u8, u64, String, Option<String>, Option<String>);

fn read_changes(mut bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !bytes.is_empty() {
        let kind = bytes[0];
        let seq = f64::from_le_bytes(bytes[1..9].try_into().unwrap()) as u64;
        let length = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let lengths = [length(9), length(13), length(17)];
        bytes = &bytes[21..];
        let mut part = |length: u32| {
            (length != u32::MAX).then(|| {
                let (part, rest) = bytes.split_at(length as usize);
                bytes = rest;
                text(part)
            })
        };
        let (key, old, new) = (part(lengths[0]).unwrap(), part(lengths[1]), part(lengths[2]));
        seen.push((kind, seq, key, old, new));
    }
    seen
}

fn seen(kind: u8, seq: u64, key: &str, old: Option<&str>, new: Option<&str>) -> Seen {
    (kind, seq, key.into(), old.map(Into::into), new.map(Into::into))
}

#[test]
fn ranges_are_walked_both_ways_and_counted() {
    let mut opened = open(&Rc::default());
    for key in ["a", "b", "c", "d", "e"] {
        opened.set(key, "1", None);
    }
    opened.checkpoint().expect("a checkpoint");
    opened.set("bb", "2", None);
    opened.store.delete(b"d").expect("taken");
    let back = ScanRange { direction: Direction::Back, ..ScanRange::ALL };
    assert_eq!(opened.keys(ScanRange::ALL), ["a", "b", "bb", "c", "e"]);
    assert_eq!(opened.keys(back), ["e", "c", "bb", "b", "a"]);
    assert_eq!(opened.keys(ScanRange { after: b"a", end: b"e", ..back }), ["c", "bb", "b"]);
    assert_eq!(opened.keys(ScanRange { after: b"a", end: b"c", ..ScanRange::ALL }), ["b", "bb"]);
    let counts = [(&b""[..], &b"\xFF"[..], 5), (b"b", b"e", 3), (b"bb", b"bb\0", 1), (b"d", b"e", 0), (b"e", b"a", 0)];
    for (start, end, count) in counts {
        assert_eq!(opened.store.count_range(start, end), count, "{} to {}", text(start), text(end));
    }
    let removed = opened.store.write(&[Op::DeleteRange { start: b"b", end: b"d" }]).expect("taken").removed;
    assert_eq!((removed, opened.store.count()), (3, 2));
}

#[test]
fn a_view_stays_as_it_was() {
    let mut opened = open(&Rc::default());
    for number in 0..1000 {
        opened.set(&format!("key:{number:04}"), "old", None);
    }
    opened.checkpoint().expect("a checkpoint");
    opened.set("key:0500x", "old", None);
    let view = opened.store.view();
    let then = opened.keys(ScanRange::ALL);
    opened.store.clear().expect("taken");
    opened.set("key:0001", "new", None);
    opened.checkpoint().expect("a checkpoint");
    assert_eq!(opened.keys(ScanRange::ALL), ["key:0001"]);
    assert_eq!(keys(&opened.store, Some(&view), ScanRange::ALL), then);
    opened.store.scan(Some(&view), ScanRange::ALL, &mut |entry: Entry<'_>| entry.value == b"old");
}

#[test]
fn a_condition_that_does_not_hold_changes_nothing() {
    let opened = open(&Rc::default());
    let store = &opened.store;
    let seq = opened.set("a", "1", None);
    let set = [Op::Set { key: b"a", value: b"2", expires_at_ms: None }];
    let version = |version| Condition::Version { key: b"a", version };
    for refused in [version(0), version(seq + 1)] {
        assert_eq!(store.write_if(&[refused], &set).unwrap_err().code, Code::Conflict);
    }
    assert_eq!(store.get(b"a", |entry| (entry.value.to_vec(), entry.version)), Some((b"1".to_vec(), seq)));
    let second = store.write_if(&[version(seq)], &set).expect("it holds").seq;
    let absent = Condition::Version { key: b"b", version: 0 };
    store.write_if(&[absent, version(second)], &set).expect("both hold");
    let unchanged = |since_seq| Condition::Unchanged { start: b"a", end: b"b", since_seq };
    assert!(store.holds(&unchanged(store.seq())) && !store.holds(&unchanged(second)));
    store.delete(b"a").expect("taken");
    assert!(!store.holds(&unchanged(store.seq() - 1)), "a removal is a change");
}

#[test]
fn what_has_expired_is_hidden_at_once_and_removed_soon() {
    let disk = Rc::default();
    let mut opened = open(&disk);
    for number in 0..2000 {
        opened.set(&format!("key:{number:04}"), "1", (number % 2 == 0).then_some(START_MS + 1000));
    }
    opened.set("later", "1", Some(START_MS + 5000));
    opened.flush().expect("synced");
    opened.thread.pass(999.0);
    assert_eq!(opened.store.count(), 2001);
    let frames = opened.store.seq();
    opened.thread.host.skip(1.0);
    assert_eq!((opened.store.count(), opened.keys(ScanRange::ALL).len()), (1001, 1001), "before anything is removed");
    assert_eq!(opened.store.count_range(b"key:0000", b"key:0010"), 5);
    assert!(!opened.store.has(b"key:0000") && opened.store.has(b"key:0001"));
    assert_eq!(opened.store.write_if(&[Condition::Version { key: b"key:0002", version: 0 }], &[]).unwrap().removed, 0);
    opened.thread.pass(100.0);
    assert_eq!(opened.store.view().user_entries(), 1001, "removed");
    // At most 512 in a batch, and one for the write above.
    assert_eq!(opened.store.seq(), frames + 1 + 2);
    assert_eq!(opened.store.delete(b"key:0004").expect("nothing to do"), 0);
    drop(opened);
    // Whoever opens a snapshot finds the expiries in it.
    let mut opened = open(&disk);
    opened.checkpoint().expect("a checkpoint");
    drop(opened);
    let mut opened = open_with(&disk, Options::default(), START_MS + 4000);
    assert!(opened.store.has(b"later"));
    opened.thread.pass(1000.0);
    assert_eq!(
        (opened.store.has(b"later"), opened.store.count(), opened.store.view().user_entries()),
        (false, 1000, 1000)
    );
}

#[test]
fn an_expiry_that_is_replaced_or_taken_back_does_not_count() {
    let mut opened = open(&Rc::default());
    opened.set("a", "1", Some(START_MS + 1000));
    opened.set("a", "2", None);
    opened.set("b", "1", Some(START_MS + 1000));
    opened.set("b", "1", Some(START_MS + 3000));
    opened.set("c", "1", Some(START_MS + 1000));
    opened.store.clear().expect("taken");
    opened.set("c", "2", None);
    opened.set("b", "1", Some(START_MS + 3000));
    opened.thread.pass(2000.0);
    assert_eq!(opened.keys(ScanRange::ALL), ["b", "c"]);
    opened.thread.pass(2000.0);
    assert_eq!(opened.keys(ScanRange::ALL), ["c"]);
}

#[test]
fn a_clock_that_is_set_back_shows_again_what_was_not_removed() {
    let opened = open(&Rc::default());
    opened.set("a", "1", Some(START_MS + 1000));
    opened.thread.host.skip(1000.0);
    assert!(!opened.store.has(b"a"));
    opened.thread.host.skip(-1.0);
    assert!(opened.store.has(b"a"));
}

#[test]
fn changes_are_recorded_once_they_are_with_the_system() {
    let mut opened = open(&Rc::default());
    opened.set("before", "1", None);
    opened.store.record_changes(Recording::On);
    opened.set("a", "1", None);
    opened.set("a", "2", None);
    assert_eq!(opened.changes(), [], "nothing is with the system yet");
    opened.flush().expect("synced");
    assert_eq!(opened.changes(), [seen(0, 2, "a", None, Some("1")), seen(0, 3, "a", Some("1"), Some("2"))]);
    opened.set("e", "x", Some(START_MS + 5000));
    opened.store.delete(b"a").expect("taken");
    opened.flush().expect("synced");
    opened.thread.pass(6000.0);
    opened.store.clear().expect("taken");
    opened.flush().expect("synced");
    let expected = [
        seen(0, 4, "e", None, Some("x")),
        seen(1, 5, "a", Some("2"), None),
        seen(2, 6, "e", Some("x"), None),
        seen(4, 7, "before", Some("1"), None),
    ];
    assert_eq!(opened.changes(), expected);
    opened.store.record_changes(Recording::Off);
    opened.set("z", "1", None);
    opened.flush().expect("synced");
    assert_eq!(opened.changes(), []);
}

#[test]
fn overwriting_what_has_expired_tells_both() {
    let mut opened = open(&Rc::default());
    opened.set("a", "1", Some(START_MS + 1000));
    opened.flush().expect("synced");
    opened.store.record_changes(Recording::On);
    opened.thread.host.skip(1000.0);
    opened.set("a", "2", None);
    opened.flush().expect("synced");
    assert_eq!(opened.changes(), [seen(2, 2, "a", Some("1"), None), seen(0, 2, "a", None, Some("2"))]);
}

#[test]
fn live_bytes_are_those_of_keys_and_values() {
    let mut opened = open(&Rc::default());
    opened.set("key", "value", None);
    opened.set("key", "v", None);
    opened.set("other", "", None);
    assert_eq!(opened.store.view().user_bytes(), 3 + 1 + 5);
    opened.store.delete(b"key").expect("taken");
    opened.checkpoint().expect("a checkpoint");
    assert_eq!(opened.store.view().user_bytes(), 5);
    opened.store.clear().expect("taken");
    assert_eq!(opened.store.view().user_bytes(), 0);
}

#[test]
fn with_snapshots_alone_a_sync_is_a_snapshot() {
    let disk = Rc::new(MemoryDisk::default());
    let options =
        Options { mode: Mode::Snapshot, durability: Durability::No, save: vec![SaveRule(10, 3)], ..Options::default() };
    let found = |disk: &Rc<MemoryDisk>| open_with(disk, options.clone(), START_MS).keys(ScanRange::ALL);
    let mut opened = open_with(&disk, options.clone(), START_MS);
    opened.set("a", "1", None);
    opened.thread.pass(5000.0);
    assert_eq!(opened.store.reached_seq(Level::Os), 0);
    assert_eq!(found(&disk), [""; 0], "nothing is written");
    opened.flush().expect("synced");
    assert_eq!(opened.store.reached_seq(Level::Disk), 1);
    assert_eq!(found(&disk), ["a"]);
    opened.set("b", "1", None);
    opened.thread.pass(60_000.0);
    assert_eq!(found(&disk), ["a"], "one change is not enough for the rule");
    opened.set("c", "1", None);
    opened.set("d", "1", None);
    opened.thread.pass(60_000.0);
    assert_eq!(found(&disk), ["a", "b", "c", "d"]);
    opened.set("e", "1", None);
    let store = opened.store.clone();
    opened.thread.run(async move { store.close().await }).expect("closed");
    assert_eq!(found(&disk), ["a", "b", "c", "d", "e"], "closing keeps everything");
}

/// Random writes with conditions, expiries and time that passes, against a map of ours; opened anew now and then.
#[test]
fn random_entries_match_a_model() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..30 {
        let disk = Rc::default();
        let mut model: BTreeMap<String, (String, Option<u64>)> = BTreeMap::new();
        let mut now_ms = START_MS;
        for _ in 0..4 {
            let mut opened = open_with(&disk, Options::default(), now_ms);
            for _ in 0..random.u32(..120) {
                let key = format!("{:02}", random.u8(..40));
                let now = |(_, expires): &(String, Option<u64>)| expires.is_none_or(|at_ms| at_ms > now_ms);
                match random.u8(..12) {
                    0..6 => {
                        let expires = random.bool().then(|| now_ms + random.u64(1..4000));
                        let value = format!("{}", random.u32(..));
                        opened.set(&key, &value, expires);
                        model.insert(key, (value, expires));
                    }
                    6 => {
                        let absent = Condition::Version { key: key.as_bytes(), version: 0 };
                        let op = Op::Set { key: key.as_bytes(), value: b"new", expires_at_ms: None };
                        let taken = opened.store.write_if(&[absent], &[op]).is_ok();
                        assert_eq!(taken, !model.get(&key).is_some_and(now));
                        if taken {
                            model.insert(key, ("new".into(), None));
                        }
                    }
                    7 => {
                        let removed = opened.store.write(&[Op::Delete { key: key.as_bytes() }]).expect("taken").removed;
                        assert_eq!(removed == 1, model.remove(&key).as_ref().is_some_and(now));
                    }
                    8 => {
                        let ms = random.u64(..1500);
                        opened.thread.pass(ms as f64);
                        now_ms += ms;
                    }
                    9 => drop(opened.checkpoint().expect("a checkpoint")),
                    _ => {
                        let end = format!("{:02}", random.u8(..40));
                        let (start, end) = if key < end { (key, end) } else { (end, key) };
                        let inside = model.range(start.clone()..end.clone()).filter(|(_, value)| now(value)).count();
                        assert_eq!(opened.store.count_range(start.as_bytes(), end.as_bytes()), inside as u64);
                    }
                }
            }
            let live = model.iter().filter(|(_, (_, expires))| expires.is_none_or(|at_ms| at_ms > now_ms));
            assert!(opened.keys(ScanRange::ALL).iter().eq(live.map(|(key, _)| key)), "seed {seed}");
            let store = opened.store.clone();
            opened.thread.run(async move { store.close().await }).expect("closed");
            now_ms = opened.thread.host.now() as u64;
        }
    }
}
