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
#[path = "support/survival.rs"]
mod survival;

use fastrand::Rng;
use holdfast::backend::memory::MemoryDisk;
use holdfast::map::Entry;
use holdfast::map::block::Builder;
use holdfast::op::{Op, Request, encode_batch};
use holdfast::{Code, Durability, Level, Options, Row, frame, log, snapshot};
use session::{Blobs, Session, blobs_of, disk_of, strict};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use survival::survive;

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
                3..6 => drop(session.store.delete(&hostile::user_key(random)).expect("taken")),
                6 => {
                    let (key, value) = (hostile::user_key(random), vec![random.u8(..); 20_000]);
                    let ops = [Op::Set { key: &key, value: &value, expires_at_ms: None }, Op::Delete { key: b"\xFFx" }];
                    session.store.write(&ops).expect("taken");
                }
                _ => drop(
                    session.store.set(&hostile::user_key(random), &hostile::noise(random, 60), None).expect("taken"),
                ),
            }
        }
        session.settle(if random.bool() { Level::Os } else { Level::Disk }).expect("written");
    }
    blobs_of(&disk)
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
        survive(random, &blobs);
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
        survive(random, &blobs);
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
        survive(random, &blobs);
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
        survive(random, &blobs);
    });
}

#[test]
fn damaged_directories() {
    cases(300, |random| {
        let mut blobs = written(random);
        for _ in 0..random.u8(1..5) {
            hostile::damage_directory(random, &mut blobs);
        }
        survive(random, &blobs);
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

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Small inputs by target and file name, made of the golden files. Where those have a large value, only what stands in
/// front of it is taken, because a fuzzer learns little from long inputs.
fn seeds() -> BTreeMap<PathBuf, Vec<u8>> {
    const AS_IT_IS: u8 = 0;
    const SEALED: u8 = 1;
    let golden = |name: &str| fs::read(folder("tests/fixtures/v1").join(name)).expect("a golden file");
    let (mut first, mut batches) = (golden("log-1.bin"), Vec::new());
    let header = log::read_header(&first).expect("a header");
    let mut at = log::HEADER_BYTES;
    while let Some(frame) = frame::read_header(&first[at..], header.salt).filter(|frame| frame.payload_bytes < 4096) {
        let end = at + frame::HEADER_BYTES + frame.payload_bytes as usize;
        batches.push(first[at + frame::HEADER_BYTES..end].to_vec());
        at = end;
    }
    first.truncate(at);
    let mut request = Vec::new();
    encode_batch(Some(Request { client: 300, number: 1 }), &[Op::Delete { key: b"k" }], &mut request);
    batches.push(request);

    let mut blocks = Vec::new();
    let mut reader = snapshot::Reader::default();
    reader.push(&golden("snap-2.bin"), &mut |block| blocks.push(block)).expect("a snapshot");
    let mut small = Vec::new();
    let mut writer = snapshot::Writer::new(&reader.finish().expect("whole"), &mut small);
    blocks.iter().filter(|block| block.bytes().len() < 4096).for_each(|block| writer.chunk(block, &mut small));
    writer.finish(&mut small);

    let (second, third) = (golden("log-2.bin"), golden("log-3.bin"));
    let blobs = |some: &[(&str, &Vec<u8>)]| -> Blobs {
        some.iter().map(|(name, bytes)| ((*name).to_owned(), (*bytes).clone())).collect()
    };
    let directories = [
        ("first", blobs(&[("log-1", &first)])),
        ("second", blobs(&[("snap-2", &small), ("log-2", &second)])),
        ("third", blobs(&[("log-1", &first), ("snap-2", &small), ("log-2", &second), ("log-3", &third)])),
        ("gap", blobs(&[("snap-2", &small), ("log-3", &third)])),
    ];

    let mut seeds = BTreeMap::new();
    for (mode, suffix) in [(AS_IT_IS, ""), (SEALED, "-sealed")] {
        for (name, bytes) in [("log-1", &first), ("log-2", &second), ("log-3", &third)] {
            seeds.insert(format!("segment/{name}{suffix}"), [&[mode | 4 << 1], &bytes[..]].concat());
        }
        seeds.insert(format!("snapshot/snap-2{suffix}"), [&[mode | 99 << 1], &small[..]].concat());
        for (seed, (name, blobs)) in (1..).zip(&directories) {
            seeds.insert(format!("directory/{name}{suffix}"), survival::directory_input(mode, seed, blobs));
        }
    }
    for (number, batch) in (1..).zip(batches) {
        seeds.insert(format!("batch/{number}"), batch);
    }
    seeds.into_iter().map(|(path, bytes)| (folder("fuzz/corpus").join(path), bytes)).collect()
}

/// Set to 1, it has the seeds of the corpus written anew.
const WRITE_SEEDS: &str = "HOLDFAST_WRITE_CORPUS";

type Target = fn(&[u8]);

#[test]
fn the_corpus_survives() {
    let seeds = seeds();
    if std::env::var(WRITE_SEEDS).is_ok_and(|value| value == "1") {
        for (path, bytes) in &seeds {
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
            fs::write(path, bytes).expect("the seed is written");
        }
    }
    let targets: [(&str, Target); 4] = [
        ("batch", survival::batch),
        ("directory", survival::directory),
        ("segment", survival::segment),
        ("snapshot", survival::snapshot),
    ];
    let mut paths = BTreeSet::new();
    for (target, run) in targets {
        for file in fs::read_dir(folder("fuzz/corpus").join(target)).expect("a corpus") {
            let path = file.expect("a file").path();
            println!("{}", path.display());
            run(&fs::read(&path).expect("read"));
            paths.insert(path);
        }
    }
    for (path, bytes) in &seeds {
        let same = paths.contains(path) && fs::read(path).expect("read") == *bytes;
        assert!(
            same,
            "{}: other golden files, other seeds. {WRITE_SEEDS}=1 cargo test --test fuzz_smoke",
            path.display()
        );
    }
    println!("{} inputs, {} of them seeds", paths.len(), seeds.len());
}
