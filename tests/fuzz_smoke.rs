//! Nothing on disk panics the engine: random, damaged and forged bytes as segment, as snapshot and as a whole directory.
//!
//! Opening gives a store or a typed error and asks for no more memory than the bytes explain. What opens takes reads,
//! writes and checkpoints, and what was acknowledged then is there after opening again. A failing case prints its
//! seed; `HOLDFAST_SEED` runs it again.

#![cfg(not(target_arch = "wasm32"))]

#[path = "support/hostile.rs"]
mod hostile;
#[path = "support/session.rs"]
mod session;

use fastrand::Rng;
use holdfast::backend::memory::MemoryDisk;
use holdfast::map::Entry;
use holdfast::map::block::Builder;
use holdfast::op::Op;
use holdfast::{Code, Durability, KEY_BYTES_MAX, Level, Options, RewriteRule, Row, snapshot};
use session::{Blobs, Session, blobs_of, disk_of, strict};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

thread_local! {
    static LIVE_BYTES: Cell<usize> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<usize> = const { Cell::new(0) };
}

/// Counts what each thread holds.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory that it gives out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live_bytes = LIVE_BYTES.get().wrapping_add(layout.size());
        LIVE_BYTES.set(live_bytes);
        PEAK_BYTES.set(PEAK_BYTES.get().max(live_bytes));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE_BYTES.set(LIVE_BYTES.get().wrapping_sub(layout.size()));
        unsafe { System.dealloc(block, layout) }
    }
}

/// What the work asked for at most, beyond what the thread held before.
fn peak_bytes<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = LIVE_BYTES.get();
    PEAK_BYTES.set(before);
    let output = work();
    (PEAK_BYTES.get() - before, output)
}

/// Tells the seed of a case that panics.
struct Case(u64);

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("HOLDFAST_SEED={}", self.0);
        }
    }
}

fn cases(count: usize, mut case: impl FnMut(&mut Rng)) {
    let seeds = match std::env::var("HOLDFAST_SEED") {
        Ok(seed) => vec![seed.parse().expect("HOLDFAST_SEED is a number")],
        Err(_) => std::iter::repeat_with(|| fastrand::u64(..)).take(count).collect(),
    };
    println!("the first of {count} cases has HOLDFAST_SEED={}", seeds[0]);
    for seed in seeds {
        let _told = Case(seed);
        case(&mut Rng::with_seed(seed));
    }
}

/// The bytes of a store that a few sessions left.
fn written(random: &mut Rng) -> Blobs {
    let disk = Rc::new(MemoryDisk::default());
    let durability = [Durability::Always, Durability::Everysec, Durability::No][random.usize(..3)];
    let options = Options { durability, ..Options::default() };
    for _ in 0..random.u8(1..4) {
        let mut session = Session::open(&disk, &options, random.u64(..)).expect("the store opens");
        for _ in 0..random.u8(..20) {
            match random.u8(..20) {
                0..2 => drop(session.checkpoint().expect("a checkpoint")),
                2 => drop(session.store.clear().expect("taken")),
                3..6 => drop(session.store.delete(&user_key(random)).expect("taken")),
                6 => {
                    let (key, value) = (user_key(random), vec![random.u8(..); 20_000]);
                    let ops = [Op::Set { key: &key, value: &value, expires_at_ms: None }, Op::Delete { key: b"\xFFx" }];
                    session.store.write(&ops).expect("taken");
                }
                _ => drop(session.store.set(&user_key(random), &hostile::noise(random, 60), None).expect("taken")),
            }
        }
        session.settle(if random.bool() { Level::Os } else { Level::Disk }).expect("written");
    }
    blobs_of(&disk)
}

fn user_key(random: &mut Rng) -> Vec<u8> {
    format!("key:{}", random.u8(..40)).into_bytes()
}

/// What is known of the snapshots in a directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blocks {
    /// Those whose checksums hold were written by the engine.
    Honest,
    /// Some may hold keys twice, out of order or where no search finds them: what is removed may come back.
    Forged,
}

/// Opens the bytes, works on what opens, and opens again.
fn survive(random: &mut Rng, blobs: &Blobs, blocks: Blocks) {
    let input_bytes: usize = blobs.iter().map(|(name, bytes)| name.len() + bytes.len()).sum();
    let disk = disk_of(blobs);
    let rewrite = RewriteRule { percentage: 100, min_bytes: 4096 };
    let options = Options { rewrite, ..Options::default() };
    let (peak_bytes, opened) = peak_bytes(|| Session::open(&disk, &options, random.u64(..)));
    assert!(peak_bytes <= (256 << 10) + 100 * input_bytes, "{peak_bytes} bytes of memory for {input_bytes}");
    let refused = Session::open(&disk, &strict(), 0).err().map(|error| error.code);
    let mut session = match opened {
        Ok(session) => session,
        Err(error) => {
            assert_eq!((error.code, refused), (Code::Version, Some(Code::Version)));
            return;
        }
    };
    assert_eq!(refused, session.store.recovered().data_loss.map(|_| Code::Corrupt));

    let mut expected: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    for _ in 0..random.u8(1..8) {
        let there = session.rows();
        let known = random
            .choice(&there)
            .map(|row| row.key.clone())
            .filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX);
        let key = known.filter(|_| random.bool()).unwrap_or_else(|| user_key(random));
        let value = hostile::noise(random, 100);
        session.store.scan(Some(&hostile::key(random)), &mut |_: Entry<'_>| random.u8(..10) > 0);
        session.value(&hostile::key(random));
        let done = match random.u8(..10) {
            0..3 => session.checkpoint().map(|_| Vec::new()),
            3 => session.store.clear().map(|_| expected.keys().map(|key| (key.clone(), None)).collect()),
            4..6 => session.store.write(&[Op::Delete { key: &key }]).map(|_| vec![(key, None)]),
            6 => {
                let range = Op::DeleteRange { start: &value, end: &key };
                let kept = Op::Set { key: &key, value: &value, expires_at_ms: None };
                session.store.write(&[range, kept]).map(|_| {
                    // Where keys are out of order, a scan of a range meets any of them.
                    let hit = |other: &&Vec<u8>| blocks == Blocks::Forged || *other >= &value && *other < &key;
                    let mut changed: Vec<_> = expected.keys().filter(hit).map(|key| (key.clone(), None)).collect();
                    changed.push((key, Some(value)));
                    changed
                })
            }
            _ => session.store.set(&key, &value, Some(7)).map(|_| vec![(key, Some(value))]),
        };
        match done {
            Ok(changed) => expected.extend(changed),
            Err(error) => assert!(matches!(error.code, Code::Corrupt | Code::Poisoned), "{error}"),
        }
        if blocks == Blocks::Forged {
            expected.retain(|_, value| value.is_some());
        }
        for (key, value) in &expected {
            assert_eq!(&session.value(key), value, "{key:?}");
        }
    }

    session.settle(Level::Os).expect("what was taken is written");
    let rows = session.rows();
    if random.bool() {
        let poison = session.store.poison();
        assert!(session.close().err().is_none_or(|error| Some(error) == poison));
    } else {
        drop(session);
    }
    let session = Session::open(&disk, &options, random.u64(..)).expect("the store opens again");
    for (key, value) in &expected {
        assert_eq!(&session.value(key), value, "{key:?}");
    }
    assert!(session.rows() == rows || blocks == Blocks::Forged);
}

#[test]
fn random_bytes() {
    cases(400, |random| {
        let mut blobs = Blobs::new();
        for _ in 0..random.u8(1..4) {
            let mut bytes = hostile::noise(random, 600);
            let magic: &[u8] =
                [&b""[..], b"HFLOG\r\n\x1a\x01\0\0\0\0\0\0\0", b"HFSNP\r\n\x1a\x01\0\0\0\0\0\0\0"][random.usize(..3)];
            bytes.splice(..0, magic.iter().copied());
            blobs.insert(hostile::name(random), bytes);
        }
        survive(random, &blobs, Blocks::Honest);
    });
}

#[test]
fn damaged_blobs() {
    cases(120, |random| {
        let mut blobs = written(random);
        for bytes in blobs.values_mut() {
            if random.bool() {
                hostile::damage(random, bytes, &[0, 64, 128]);
            }
        }
        survive(random, &blobs, Blocks::Honest);
    });
}

#[test]
fn damaged_blobs_whose_checksums_hold() {
    cases(500, |random| {
        let mut blobs = written(random);
        for bytes in blobs.values_mut() {
            if random.bool() {
                hostile::damage_sealed(random, bytes);
            }
        }
        survive(random, &blobs, Blocks::Forged);
    });
}

#[test]
fn forged_blobs() {
    cases(500, |random| {
        let mut blobs = Blobs::new();
        for generation in 1..random.u64(2..5) {
            if random.bool() {
                blobs.insert(format!("log-{generation}"), hostile::segment(random, generation));
            }
            if random.bool() {
                blobs.insert(format!("snap-{generation}"), hostile::snapshot(random, generation));
            }
        }
        survive(random, &blobs, Blocks::Forged);
    });
}

#[test]
fn damaged_directories() {
    cases(300, |random| {
        let mut blobs = written(random);
        for _ in 0..random.u8(1..5) {
            hostile::damage_directory(random, &mut blobs);
        }
        survive(random, &blobs, Blocks::Forged);
    });
}

/// A snapshot of blocks with these keys whose checksums hold.
fn snapshot_of(blocks: &[&[&str]]) -> Blobs {
    let header = snapshot::Header { generation: 2, epoch: 1, salt: 7, seq: 9 };
    let mut bytes = Vec::new();
    let mut writer = snapshot::Writer::new(&header, &mut bytes);
    for keys in blocks {
        let mut builder = Builder::new(header.salt, header.seq);
        for key in *keys {
            builder.push(&Entry { key: key.as_bytes(), value: b"old", version: 1, expires_at_ms: None });
        }
        writer.chunk(&builder.finish().expect("a block"), &mut bytes);
    }
    writer.finish(&mut bytes);
    Blobs::from([("snap-2".to_owned(), bytes)])
}

#[test]
fn a_checkpoint_of_blocks_out_of_order_fails_and_loses_nothing() {
    for (blocks, keys) in [
        (&[&["a", "z", "c"][..], &["m", "n"]][..], &["b", "p"][..]),
        (&[&["a", "m", "m"], &["n"]], &["b"]),
        (&[&["a", "b"], &["n"]], &["c"]),
    ] {
        let honest = keys == ["c"];
        let disk = disk_of(&snapshot_of(blocks));
        let mut session = Session::open(&disk, &strict(), 0).expect("the store opens");
        for key in keys {
            session.store.set(key.as_bytes(), b"new", None).expect("taken");
        }
        let checkpointed = session.checkpoint().map(|report| report.seq).map_err(|error| error.code);
        assert_eq!(checkpointed, if honest { Ok(10) } else { Err(Code::Corrupt) }, "{blocks:?}");
        session.close().expect("the store closes");
        let session = Session::open(&disk, &strict(), 0).expect("the store opens again");
        assert!(keys.iter().all(|key| session.value(key.as_bytes()).as_deref() == Some(b"new")), "{blocks:?}");
    }
}

#[test]
fn a_snapshot_with_a_block_that_ends_in_front_of_its_start_is_not_used() {
    let disk = disk_of(&snapshot_of(&[&["m", "a"], &["b"]]));
    let session = Session::open(&disk, &strict(), 0).expect("the store opens");
    assert_eq!((session.store.recovered().row, session.store.count()), (Row::Fallback, 0));
}
