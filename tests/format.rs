//! Format version 1, byte by byte: a store that earlier code wrote, in `fixtures/v1`.
//!
//! Today's code has to write exactly those bytes and to read them to the state that is written down here. Bytes that
//! are on people's disks do not change: where these tests fail, either the change is a mistake or it is a new format
//! version, with files of its own beside these and code that still reads these.

#[path = "support/session.rs"]
mod session;

use holdfast::backend::LocalFuture;
use holdfast::backend::memory::MemoryDisk;
use holdfast::op::{Op, Request, encode_batch};
use holdfast::{Durability, Host, KEY_BYTES_MAX, Level, Options, frame, log, snapshot};
use session::{Blobs, Row, Session, Thread, VirtualHost, blobs_of, disk_of, strict};
use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Once;
use xxhash_rust::xxh64::xxh64;

/// Set to 1, it has the golden files written anew.
const REGENERATE: &str = "HOLDFAST_WRITE_GOLDEN";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

/// A host whose salts no library decides: 1, 2, 3... times an odd number.
struct FixedSalts {
    below: Rc<VirtualHost>,
    given: Cell<u64>,
}

impl Host for FixedSalts {
    fn now_ms(&self) -> f64 {
        self.below.now_ms()
    }
    fn sleep(&self, delay_ms: u32) -> LocalFuture<'static, ()> {
        self.below.sleep(delay_ms)
    }
    fn pause(&self) -> LocalFuture<'static, ()> {
        self.below.pause()
    }
    fn spawn(&self, task: LocalFuture<'static, ()>) {
        self.below.spawn(task);
    }
    fn random(&self) -> u64 {
        self.given.set(self.given.get() + 1);
        self.given.get().wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

fn session(disk: &Rc<MemoryDisk>, durability: Durability, salts_given: u64) -> Session {
    let options = Options { durability, ..Options::default() };
    let opened = Session::open_on(disk, &options, Thread::new(0), |below| {
        Rc::new(FixedSalts { below, given: Cell::new(salts_given) })
    });
    opened.expect("the store opens")
}

fn set<'a>(key: &'a [u8], value: &'a [u8]) -> Op<'a> {
    Op::Set { key, value, expires_at_ms: None }
}

const YEAR_2100_MS: u64 = 4_102_444_800_000;

fn set_until<'a>(key: &'a [u8], value: &'a [u8], expires_at_ms: u64) -> Op<'a> {
    Op::Set { key, value, expires_at_ms: Some(expires_at_ms) }
}

const LONGEST_KEY: [u8; KEY_BYTES_MAX] = [b'k'; KEY_BYTES_MAX];

/// A value that fills more than a block.
fn large() -> Vec<u8> {
    (0..33_000u32).map(|number| (number / 100) as u8).collect()
}

/// Writes the store of the golden files: two sessions, every kind of op, a checkpoint between.
fn written() -> Blobs {
    let disk = Rc::new(MemoryDisk::default());
    let large = large();
    let mut first = session(&disk, Durability::Always, 0);
    let batches: [&[Op<'_>]; 8] = [
        &[set(b"user:1", b"\x01Alice")],
        &[set_until(b"session:9", b"\x01open", 1_800_000_000_000)],
        &[
            set(b"user:2", b""),
            set(b"\xFFcursor", b"\x01engine's own"),
            Op::Delete { key: b"user:1" },
            Op::DeleteRange { start: b"session:", end: b"session;" },
            set_until(b"user:3", b"\x01Carol", u64::MAX),
        ],
        &[Op::Delete { key: b"user:3" }],
        &[Op::DeleteRange { start: b"", end: b"\xFF" }],
        &[set(&LONGEST_KEY, &[7; 300])],
        &[set(b"large", &large)],
        &[
            set("müller".as_bytes(), b"\0"),
            set_until(b"session:10", b"\x01open", YEAR_2100_MS),
            set(b"user:4", b"\x01Dave"),
        ],
    ];
    for batch in batches {
        first.store.write(batch).expect("taken");
        first.settle(Level::Disk).expect("synced");
    }
    first.checkpoint().expect("a checkpoint");
    for batch in [&[set(b"user:4", b"\x01David")][..], &[Op::Delete { key: b"large" }]] {
        first.store.write(batch).expect("taken");
        first.settle(Level::Disk).expect("synced");
    }
    drop(first);
    let mut second = session(&disk, Durability::Everysec, 100);
    for batch in [&[set(b"user:5", b"\x01Eve")][..], &[set(b"user:6", b""), Op::Delete { key: b"session:10" }]] {
        second.store.write(batch).expect("taken");
        second.settle(Level::Os).expect("written");
    }
    drop(second);
    blobs_of(&disk)
}

/// The user entries of that store, with the seqs that wrote them.
fn expected() -> Vec<Row> {
    let row = |key: &[u8], value: &[u8], version| Row {
        key: key.to_vec(),
        value: value.to_vec(),
        version,
        expires_at_ms: None,
    };
    vec![
        row(&LONGEST_KEY, &[7; 300], 6),
        row("müller".as_bytes(), b"\0", 8),
        row(b"user:4", b"\x01David", 9),
        row(b"user:5", b"\x01Eve", 11),
        row(b"user:6", b"", 12),
    ]
}

fn golden() -> Blobs {
    static WRITTEN: Once = Once::new();
    if std::env::var(REGENERATE).is_ok_and(|value| value == "1") {
        WRITTEN.call_once(|| {
            fs::create_dir_all(folder()).expect("the folder is made");
            for (name, bytes) in written() {
                fs::write(folder().join(format!("{name}.bin")), bytes).expect("the golden file is written");
            }
        });
    }
    let names = ["log-1", "log-2", "log-3", "snap-2"];
    let read = |name: &str| {
        let path = folder().join(format!("{name}.bin"));
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}. {}", path.display(), advice()));
        (name.to_owned(), bytes)
    };
    names.into_iter().map(read).collect()
}

fn advice() -> String {
    format!(
        "These bytes are format version 1, as it is on people's disks: a change of them means a new format version, \
         with fixtures of its own, and version 1 still has to be read. Only before version 1 is released: \
         {REGENERATE}=1 cargo test --test format"
    )
}

#[test]
fn the_code_writes_the_golden_files() {
    let (mut written, golden) = (written(), golden());
    assert_eq!(written.remove("reserve"), Some(vec![0; 65_536]), "bytes without meaning");
    assert_eq!(written.keys().collect::<Vec<_>>(), golden.keys().collect::<Vec<_>>(), "{}", advice());
    for (name, bytes) in &written {
        let golden = &golden[name];
        let same = bytes.iter().zip(golden).take_while(|(ours, theirs)| ours == theirs).count();
        assert!(
            bytes == golden,
            "{name}.bin: {} bytes instead of {}, different from byte {same} on. {}",
            bytes.len(),
            golden.len(),
            advice()
        );
    }
}

#[test]
fn the_code_reads_the_golden_files() {
    let whole = golden();
    let without = |names: &[&str]| {
        let mut some = whole.clone();
        some.retain(|name, _| !names.contains(&name.as_str()));
        some
    };
    // What a store holds before, between and after the removals of a checkpoint, all of it the same state.
    for (blobs, snapshot_seq, frames) in
        [(whole.clone(), Some(8), 4), (without(&["log-1"]), Some(8), 4), (without(&["snap-2"]), None, 12)]
    {
        let session = Session::open(&disk_of(&blobs), &strict(), 0).expect("the store opens");
        let found = session.store.recovered();
        assert_eq!((found.row, found.seq, found.data_loss), (holdfast::Row::Clean, 12, None));
        assert_eq!((found.snapshot_seq, found.frames, found.torn_bytes), (snapshot_seq, frames, 0));
        assert_eq!(session.rows(), expected());
        assert_eq!(session.store.count(), 5);
        assert_eq!(session.value(b"\xFFcursor").as_deref(), Some(&b"\x01engine's own"[..]), "clear leaves it");
    }
    let snapshot = Session::open(&disk_of(&without(&["log-1", "log-2", "log-3"])), &strict(), 0).expect("it opens");
    assert_eq!(snapshot.value(b"large"), Some(large()));
    let expiry = snapshot.store.get(b"session:10", |entry| (entry.version, entry.expires_at_ms));
    assert_eq!(expiry, Some((8, Some(YEAR_2100_MS))));
    assert_eq!(snapshot.value(b"user:4").as_deref(), Some(&b"\x01Dave"[..]));
}

#[test]
fn what_is_written_to_a_golden_store_joins_it() {
    let disk = disk_of(&golden());
    let mut session = Session::open(&disk, &strict(), 0).expect("the store opens");
    session.store.set(b"user:7", b"\x01Grace", None).expect("taken");
    session.checkpoint().expect("a checkpoint");
    session.close().expect("the store closes");
    let session = Session::open(&disk, &strict(), 0).expect("the store opens");
    let mut rows = expected();
    rows.push(Row { key: b"user:7".to_vec(), value: b"\x01Grace".to_vec(), version: 13, expires_at_ms: None });
    assert_eq!(session.rows(), rows);
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[test]
fn sizes_and_limits_are_pinned() {
    assert_eq!((log::FORMAT_VERSION, log::HEADER_BYTES, frame::HEADER_BYTES, snapshot::HEADER_BYTES), (1, 128, 40, 64));
    assert_eq!((frame::NUMBER_MAX, frame::PAYLOAD_BYTES_MAX, KEY_BYTES_MAX), ((1 << 53) - 1, 512 << 20, 1024));
    assert_eq!(log::blob_name(log::Kind::Log, 7), "log-7");
    assert_eq!(log::blob_name(log::Kind::Snapshot, 7), "snap-7");
}

#[test]
fn the_layout_of_a_segment_is_pinned() {
    let bytes = &golden()["log-3"];
    for at in [0, 64] {
        assert_eq!(bytes[at..at + 8], *b"HFLOG\r\n\x1a");
        assert_eq!((u32_at(bytes, at + 8), u32_at(bytes, at + 12)), (1, 0), "version, zero");
        assert_eq!((u64_at(bytes, at + 16), u64_at(bytes, at + 24)), (3, 2), "generation, epoch");
        assert_eq!((u64_at(bytes, at + 40), u64_at(bytes, at + 48)), (11, 0), "first seq, zero");
        assert_eq!(u64_at(bytes, at + 56), xxh64(&bytes[at..at + 56], 0));
    }
    let salt = u64_at(bytes, 32);
    let frame = &bytes[128..];
    let payload = &frame[40..40 + u32_at(frame, 0) as usize];
    assert_eq!(payload, b"\x00\x01\x00\x06user:5\x04\x01Eve\x00");
    assert_eq!(u32_at(frame, 4), xxh64(&[&frame[0..4], &frame[8..40]].concat(), salt) as u32);
    assert_eq!((u64_at(frame, 8), u64_at(frame, 16), u64_at(frame, 24)), (11, 2, 9), "seq, epoch, durable seq");
    assert_eq!(u64_at(frame, 32), xxh64(payload, salt));
    let next = &frame[40 + payload.len()..];
    assert_eq!((u64_at(next, 8), u64_at(next, 24)), (12, 10), "seq, durable seq");
}

#[test]
fn the_layout_of_a_snapshot_is_pinned() {
    let bytes = &golden()["snap-2"];
    assert_eq!(bytes[..8], *b"HFSNP\r\n\x1a");
    assert_eq!((u32_at(bytes, 8), u32_at(bytes, 12)), (1, 0), "version, zero");
    assert_eq!((u64_at(bytes, 16), u64_at(bytes, 24)), (2, 1), "generation, epoch");
    assert_eq!((u64_at(bytes, 40), u64_at(bytes, 48)), (8, 0), "seq, zero");
    assert_eq!(u64_at(bytes, 56), xxh64(&bytes[..56], 0));
    let salt = u64_at(bytes, 32);
    let (mut at, mut blocks, mut checks) = (64, Vec::new(), Vec::new());
    loop {
        let head = &bytes[at..at + 24];
        assert_eq!(u32_at(head, 4) as usize, blocks.len(), "chunks are numbered, and the footer has their number");
        assert_eq!(u64_at(head, 16), xxh64(&head[..16], salt));
        at += 24;
        if u32_at(head, 0) == 0 {
            assert_eq!(u64_at(head, 8), xxh64(&checks, salt));
            break;
        }
        let block = &bytes[at..at + u32_at(head, 0) as usize];
        assert_eq!(u64_at(head, 8), xxh64(block, salt));
        checks.extend_from_slice(&head[8..16]);
        blocks.push(block);
        at += block.len();
    }
    assert_eq!((at, blocks.len()), (bytes.len(), 3));

    let block = blocks[2];
    assert_eq!((u32_at(block, 0), u32_at(block, 4)), (4, 8), "entries, slots");
    assert_eq!((u64_at(block, 8), u64_at(block, 16)), (salt, 8), "seed of the hash, version base");
    assert_eq!(
        (u32_at(block, 24) as usize, u32_at(block, 28)),
        (block.len() - 32 - 2 * 8 - 2 * 4, 0),
        "data, an entry expires"
    );
    assert_eq!(u32_at(blocks[0], 28), 1, "no entry expires");
    let entries = [
        &b"\x07\x02\x00m\xc3\xbcller\x00"[..],
        b"\x0a\x0b\x00\x00\xd8\xc3\x2c\xbb\x03\x00\x00session:10\x01open",
        b"\x06\x0a\x00user:4\x01Dave",
        b"\x07\x1a\x05\xFFcursor\x01engine's own",
    ];
    assert_eq!(block[32 + 2 * 8 + 2 * 4..], entries.concat());
    let number_at = |at: usize| usize::from(u16::from_le_bytes([block[at], block[at + 1]]));
    let mut start = 0;
    for (number, (entry, key)) in
        entries.iter().zip([&b"m\xc3\xbcller"[..], b"session:10", b"user:4", b"\xFFcursor"]).enumerate()
    {
        assert_eq!(number_at(32 + 2 * 8 + 2 * number), start, "where entry {number} starts");
        start += entry.len();
        let mut slot = xxh64(key, salt) as usize % 8;
        while number_at(32 + 2 * slot) != number {
            assert_ne!(number_at(32 + 2 * slot), 0xFFFF, "entry {number} is in the table");
            slot = (slot + 1) % 8;
        }
    }
}

#[test]
fn a_batch_with_a_request_is_pinned() {
    let mut payload = Vec::new();
    encode_batch(Some(Request { client: 300, number: 1 }), &[Op::Delete { key: b"k" }], &mut payload);
    assert_eq!(payload, b"\x01\xac\x02\x01\x01\x01\x01k");
}
