//! The recovery table: one row for every combination of facts, and each row from real bytes.
//!
//! The tests of real bytes are named after their row. Each opens under both recovery options and finds the bytes as
//! they were: opening writes nothing.

#[path = "support/session.rs"]
mod session;

use holdfast::backend::memory::MemoryDisk;
use holdfast::op::{Op, encode_batch};
use holdfast::{
    Code, DataLoss, Durability, Facts, Level, LogFound, Options, Promise, Recovered, Row, SnapshotFound, decide,
};
use holdfast::{frame, log};
use session::{Blobs, Session, blobs_of, disk_of, strict};
use std::rc::Rc;

type Case = (SnapshotFound, LogFound, Promise, Row);

/// Every combination of facts and its row, by hand.
#[rustfmt::skip]
const TABLE: [Case; 32] = {
    use {LogFound as L, Promise as P, SnapshotFound as S};
    [
        (S::None,     L::Ends,        P::Kept,   Row::Clean),
        (S::None,     L::Ends,        P::Broken, Row::Corrupt),
        (S::None,     L::Torn,        P::Kept,   Row::TornTail),
        (S::None,     L::Torn,        P::Broken, Row::Corrupt),
        (S::None,     L::Contradicts, P::Kept,   Row::Corrupt),
        (S::None,     L::Contradicts, P::Broken, Row::Corrupt),
        (S::None,     L::Gap,         P::Kept,   Row::Missing),
        (S::None,     L::Gap,         P::Broken, Row::Missing),
        (S::Newest,   L::Ends,        P::Kept,   Row::Clean),
        (S::Newest,   L::Ends,        P::Broken, Row::Corrupt),
        (S::Newest,   L::Torn,        P::Kept,   Row::TornTail),
        (S::Newest,   L::Torn,        P::Broken, Row::Corrupt),
        (S::Newest,   L::Contradicts, P::Kept,   Row::Corrupt),
        (S::Newest,   L::Contradicts, P::Broken, Row::Corrupt),
        (S::Newest,   L::Gap,         P::Kept,   Row::Missing),
        (S::Newest,   L::Gap,         P::Broken, Row::Missing),
        (S::Previous, L::Ends,        P::Kept,   Row::Fallback),
        (S::Previous, L::Ends,        P::Broken, Row::Corrupt),
        (S::Previous, L::Torn,        P::Kept,   Row::Fallback),
        (S::Previous, L::Torn,        P::Broken, Row::Corrupt),
        (S::Previous, L::Contradicts, P::Kept,   Row::Corrupt),
        (S::Previous, L::Contradicts, P::Broken, Row::Corrupt),
        (S::Previous, L::Gap,         P::Kept,   Row::Missing),
        (S::Previous, L::Gap,         P::Broken, Row::Missing),
        (S::Unusable, L::Ends,        P::Kept,   Row::Fallback),
        (S::Unusable, L::Ends,        P::Broken, Row::Corrupt),
        (S::Unusable, L::Torn,        P::Kept,   Row::Fallback),
        (S::Unusable, L::Torn,        P::Broken, Row::Corrupt),
        (S::Unusable, L::Contradicts, P::Kept,   Row::Corrupt),
        (S::Unusable, L::Contradicts, P::Broken, Row::Corrupt),
        (S::Unusable, L::Gap,         P::Kept,   Row::Missing),
        (S::Unusable, L::Gap,         P::Broken, Row::Missing),
    ]
};

#[test]
fn every_combination_of_facts_has_one_row() {
    assert_eq!(decide(None), Row::Fresh);
    let mut walked = 0;
    for snapshot in [SnapshotFound::None, SnapshotFound::Newest, SnapshotFound::Previous, SnapshotFound::Unusable] {
        for log in [LogFound::Ends, LogFound::Torn, LogFound::Contradicts, LogFound::Gap] {
            for promise in [Promise::Kept, Promise::Broken] {
                let rows: Vec<Row> = TABLE
                    .iter()
                    .filter(|case| (case.0, case.1, case.2) == (snapshot, log, promise))
                    .map(|case| case.3)
                    .collect();
                assert_eq!(rows, [decide(Some(Facts { snapshot, log, promise }))], "{snapshot:?} {log:?} {promise:?}");
                walked += 1;
            }
        }
    }
    assert_eq!(walked, TABLE.len());
}

/// The bytes of a store after these steps: `"checkpoint"`, `"reopen"` (without closing), or the key of a frame of its
/// own, which is acknowledged before the next step.
fn written(durability: Durability, steps: &[&str]) -> Blobs {
    let disk = Rc::new(MemoryDisk::default());
    let options = Options { durability, ..Options::default() };
    let mut session = Session::open(&disk, &options, 1).expect("the store opens");
    for step in steps {
        match *step {
            "checkpoint" => drop(session.checkpoint().expect("a checkpoint")),
            "reopen" => session = Session::open(&disk, &options, 1).expect("the store opens"),
            key => {
                session.store.set(key.as_bytes(), b"value", None).expect("taken");
                session.settle(durability.level()).expect("acknowledged");
            }
        }
    }
    drop(session);
    blobs_of(&disk)
}

/// Where the frames of a segment begin.
fn frames_at(segment: &[u8]) -> Vec<usize> {
    let salt = log::read_header(segment).expect("a header").salt;
    let mut starts = Vec::new();
    let mut at = log::HEADER_BYTES;
    while let Some(header) = frame::read_header(&segment[at..], salt) {
        starts.push(at);
        at += frame::HEADER_BYTES + header.payload_bytes as usize;
    }
    starts
}

/// What opening finds, and the keys that are there; the bytes are the same afterwards.
fn opened(blobs: &Blobs, options: &Options) -> holdfast::Result<(Recovered, Vec<String>)> {
    let disk = disk_of(blobs);
    let session = Session::open(&disk, options, 2)?;
    let keys = session.rows().into_iter().map(|row| String::from_utf8(row.key).expect("text")).collect();
    let recovered = session.store.recovered();
    drop(session);
    assert_eq!(&blobs_of(&disk), blobs, "opening writes nothing");
    Ok((recovered, keys))
}

/// Opens under both options to the same row and state: nothing that was promised is missing.
fn opens(blobs: &Blobs, row: Row, keys: &[&str]) -> Recovered {
    let (found, there) = opened(blobs, &Options::default()).expect("pointInTime opens");
    assert_eq!((found.row, found.data_loss, there), (row, None, keys.iter().map(|key| key.to_string()).collect()));
    assert_eq!(opened(blobs, &strict()).expect("strict opens").0, found);
    found
}

/// Opens to the state before the damage and says what is lost; strict refuses and says where the loss begins.
fn loses(blobs: &Blobs, row: Row, keys: &[&str], from_seq: u64, to_seq: u64) -> Recovered {
    let (found, there) = opened(blobs, &Options::default()).expect("pointInTime opens");
    let loss = Some(DataLoss { from_seq, to_seq, row });
    assert_eq!((found.row, found.data_loss, there), (row, loss, keys.iter().map(|key| key.to_string()).collect()));
    let refused = opened(blobs, &strict()).expect_err("strict refuses");
    assert_eq!((refused.code, refused.seq), (Code::Corrupt, Some(from_seq)));
    found
}

#[test]
fn fresh() {
    let found = opens(&Blobs::new(), Row::Fresh, &[]);
    assert_eq!((found.seq, found.snapshot_seq, found.frames), (0, None, 0));
}

#[test]
fn clean() {
    for durability in [Durability::Always, Durability::Everysec] {
        let found = opens(&written(durability, &["a", "b"]), Row::Clean, &["a", "b"]);
        assert_eq!((found.seq, found.snapshot_seq, found.frames, found.torn_bytes), (2, None, 2, 0));
        let found = opens(&written(durability, &["a", "checkpoint"]), Row::Clean, &["a"]);
        assert_eq!((found.seq, found.snapshot_seq, found.frames), (1, Some(1), 0));
        let found = opens(&written(durability, &["a", "checkpoint", "b", "reopen", "c"]), Row::Clean, &["a", "b", "c"]);
        assert_eq!((found.seq, found.snapshot_seq, found.frames), (3, Some(1), 2));
    }
}

#[test]
fn clean_with_zeros_behind_the_last_frame() {
    let mut blobs = written(Durability::Always, &["a", "b"]);
    blobs.get_mut("log-1").expect("a segment").extend([0; 4096]);
    opens(&blobs, Row::Clean, &["a", "b"]);
}

#[test]
fn torn_tail() {
    let whole = written(Durability::Everysec, &["a", "b", "c"]);
    let last = frames_at(&whole["log-1"])[2];
    for end in [last + 1, last + 39, last + 40, whole["log-1"].len() - 1] {
        let mut blobs = whole.clone();
        blobs.get_mut("log-1").expect("a segment").truncate(end);
        let found = opens(&blobs, Row::TornTail, &["a", "b"]);
        assert_eq!((found.seq, found.torn_bytes), (2, (end - last) as u64));
    }
    // The last frame of a group that was being synced: no later frame promised it.
    let mut blobs = written(Durability::Always, &["a", "b"]);
    *blobs.get_mut("log-1").expect("a segment").last_mut().expect("bytes") ^= 1;
    opens(&blobs, Row::TornTail, &["a"]);
}

#[test]
fn torn_tail_of_a_segment_that_was_being_created() {
    for bytes in [1, 63, 100] {
        let mut blobs = written(Durability::Always, &["a", "checkpoint", "b"]);
        let segment = blobs.get_mut("log-2").expect("a segment");
        segment.truncate(bytes);
        segment[0] = 0;
        let found = opens(&blobs, Row::TornTail, &["a"]);
        assert_eq!((found.seq, found.torn_bytes), (1, bytes as u64));
    }
}

#[test]
fn fallback() {
    let whole = written(Durability::Always, &["a", "checkpoint", "b", "checkpoint", "c"]);
    for damage in [|bytes: &mut Vec<u8>| bytes[70] ^= 1, |bytes: &mut Vec<u8>| bytes.truncate(100)] {
        let mut blobs = whole.clone();
        damage(blobs.get_mut("snap-3").expect("a snapshot"));
        let found = opens(&blobs, Row::Fallback, &["a", "b", "c"]);
        assert_eq!((found.seq, found.snapshot_seq, found.frames), (3, Some(1), 2));
    }
}

#[test]
fn fallback_to_the_log_alone() {
    let mut blobs = written(Durability::Always, &["a", "checkpoint", "b"]);
    blobs.get_mut("snap-2").expect("a snapshot")[70] ^= 1;
    let found = opens(&blobs, Row::Fallback, &["a", "b"]);
    assert_eq!((found.seq, found.snapshot_seq, found.frames), (2, None, 2));
}

#[test]
fn corrupt() {
    // The second of four frames is damaged; the fourth says that the third was synced.
    let mut blobs = written(Durability::Always, &["a", "b", "c", "d"]);
    let second = frames_at(&blobs["log-1"])[1];
    for at in [second, second + 8, second + 45] {
        blobs.get_mut("log-1").expect("a segment")[at] ^= 1;
        let found = loses(&blobs, Row::Corrupt, &["a"], 2, 3);
        assert_eq!((found.seq, found.frames), (1, 1));
        assert_eq!(found.torn_bytes, (blobs["log-1"].len() - second) as u64);
        blobs.get_mut("log-1").expect("a segment")[at] ^= 1;
    }
}

#[test]
fn corrupt_behind_a_snapshot() {
    let mut blobs = written(Durability::Always, &["a", "checkpoint", "b", "c", "d"]);
    let first = frames_at(&blobs["log-2"])[0];
    blobs.get_mut("log-2").expect("a segment")[first] ^= 1;
    let found = loses(&blobs, Row::Corrupt, &["a"], 2, 3);
    assert_eq!((found.seq, found.snapshot_seq), (1, Some(1)));
}

/// A segment with frames that have these seqs and durable seqs, whole and with checksums that hold.
fn forged(frames: &[(u64, u64)]) -> Blobs {
    let header = log::Header { generation: 1, epoch: 1, salt: 77, first_seq: 1 };
    let mut bytes = Vec::new();
    log::write_header(&header, &mut bytes);
    for &(seq, durable_seq) in frames {
        forge(seq, durable_seq, header.epoch, &mut bytes);
    }
    Blobs::from([("log-1".to_owned(), bytes)])
}

fn forge(seq: u64, durable_seq: u64, epoch: u64, bytes: &mut Vec<u8>) {
    let at = frame::begin(bytes);
    let key = format!("key:{seq}");
    encode_batch(None, &[Op::Set { key: key.as_bytes(), value: b"", expires_at_ms: None }], bytes);
    frame::finish(bytes, at, seq, epoch, durable_seq, 77);
}

#[test]
fn corrupt_by_whole_frames_that_contradict() {
    assert_eq!(opens(&forged(&[(1, 0), (2, 1)]), Row::Clean, &["key:1", "key:2"]).seq, 2);
    loses(&forged(&[(1, 0), (3, 0)]), Row::Corrupt, &["key:1"], 2, 2);
    loses(&forged(&[(1, 0), (1, 0)]), Row::Corrupt, &["key:1"], 2, 2);
    loses(&forged(&[(1, 0), (2, 2)]), Row::Corrupt, &["key:1"], 2, 2);
    loses(&forged(&[(1, 0), (9, 6)]), Row::Corrupt, &["key:1"], 2, 6);
    // Nobody could be told of a loss up to a seq that a JavaScript number does not hold.
    loses(&forged(&[(1, 0), (u64::MAX, u64::MAX - 1)]), Row::Corrupt, &["key:1"], 2, 2);
    let mut blobs = forged(&[(1, 0)]);
    forge(2, 1, 2, blobs.get_mut("log-1").expect("a segment"));
    loses(&blobs, Row::Corrupt, &["key:1"], 2, 2);
    let mut blobs = forged(&[(1, 0), (3, 0)]);
    let mut later = Vec::new();
    log::write_header(&log::Header { generation: 2, epoch: 2, salt: 78, first_seq: 6 }, &mut later);
    blobs.insert("log-2".to_owned(), later);
    loses(&blobs, Row::Corrupt, &["key:1"], 2, 5);
}

#[test]
fn corrupt_where_only_a_later_segment_tells() {
    // The first segment ends early, or cannot be used at all; the second begins where it should have ended.
    let whole = written(Durability::Always, &["a", "b", "reopen", "c"]);
    let second = frames_at(&whole["log-1"])[1];
    for (end, keys, from_seq) in [(second + 10, &["a"][..], 2), (50, &[], 1)] {
        let mut blobs = whole.clone();
        blobs.get_mut("log-1").expect("a segment").truncate(end);
        loses(&blobs, Row::Corrupt, keys, from_seq, 2);
    }
}

#[test]
fn clean_with_a_snapshot_that_a_later_segment_replaces() {
    let mut blobs = written(Durability::Always, &["a", "checkpoint", "b", "c"]);
    blobs.remove("log-1").expect("a segment");
    let log = forged(&[(1, 0), (2, 1)]).remove("log-1").expect("a segment");
    let mut header = log::read_header(&log).expect("a header");
    header.generation = 3;
    let mut bytes = Vec::new();
    log::write_header(&header, &mut bytes);
    bytes.extend_from_slice(&log[log::HEADER_BYTES..]);
    blobs.insert("log-3".to_owned(), bytes);
    let found = opens(&blobs, Row::Clean, &["key:1", "key:2"]);
    assert_eq!((found.seq, found.snapshot_seq), (2, None));
}

#[test]
fn missing() {
    let whole = written(Durability::Always, &["a", "b", "reopen", "c", "reopen", "d"]);
    let mut blobs = whole.clone();
    blobs.remove("log-2").expect("a segment");
    let found = loses(&blobs, Row::Missing, &["a", "b"], 3, 3);
    assert_eq!((found.seq, found.frames), (2, 2));
    let mut blobs = whole;
    blobs.remove("log-1").expect("a segment");
    loses(&blobs, Row::Missing, &[], 1, 3);
}

#[test]
fn missing_and_what_later_segments_promised() {
    let steps = ["a", "reopen", "b", "reopen", "c", "d", "reopen", "e", "f", "g"];
    let mut blobs = written(Durability::Always, &steps);
    blobs.remove("log-2").expect("a segment");
    loses(&blobs, Row::Missing, &["a"], 2, 6);
    blobs.get_mut("log-4").expect("a segment").truncate(64);
    loses(&blobs, Row::Missing, &["a"], 2, 4);
    blobs.get_mut("log-4").expect("a segment").truncate(20);
    loses(&blobs, Row::Corrupt, &["a"], 2, 3);
}

#[test]
fn missing_where_no_snapshot_is_whole() {
    let mut blobs = written(Durability::Always, &["a", "checkpoint", "b", "checkpoint", "c"]);
    for name in ["snap-2", "snap-3"] {
        blobs.get_mut(name).expect("a snapshot")[70] ^= 1;
    }
    assert!(!blobs.contains_key("log-1"), "the second checkpoint removed it");
    loses(&blobs, Row::Missing, &[], 1, 2);
}

#[test]
fn numbers_near_their_end_are_read_only() {
    let limit = frame::NUMBER_MAX / 2;
    let forged = |generation, epoch, first_seq| {
        let mut bytes = Vec::new();
        log::write_header(&log::Header { generation, epoch, salt: 1, first_seq }, &mut bytes);
        let at = frame::begin(&mut bytes);
        encode_batch(None, &[Op::Set { key: b"a", value: b"", expires_at_ms: None }], &mut bytes);
        frame::finish(&mut bytes, at, first_seq, epoch, 0, 1);
        let blobs = Blobs::from([(log::blob_name(log::Kind::Log, generation), bytes)]);
        Session::open(&disk_of(&blobs), &Options::default(), 0).expect("pointInTime opens")
    };
    for (generation, epoch, code) in [(1, 1, None), (limit, 1, Some(Code::Poisoned)), (1, limit, Some(Code::Poisoned))]
    {
        let session = forged(generation, epoch, 1);
        assert_eq!((session.store.count(), session.store.seq()), (1, 1), "it can be read");
        let refused = session.store.set(b"b", b"", None).err();
        assert_eq!(refused.map(|error| error.code), code, "generation {generation}, epoch {epoch}");
    }
}

#[test]
fn after_a_loss_the_first_write_makes_the_state_whole() {
    let steps = ["a", "b", "c", "d", "reopen", "e", "reopen", "f", "g"];
    let mut damaged = written(Durability::Always, &steps);
    let second = frames_at(&damaged["log-1"])[1];
    damaged.get_mut("log-1").expect("a segment")[second] ^= 1;
    let mut without = written(Durability::Always, &steps);
    without.remove("log-1").expect("a segment");
    for (blobs, row, before) in [(damaged, Row::Corrupt, &["a"][..]), (without, Row::Missing, &[])] {
        loses(&blobs, row, before, before.len() as u64 + 1, 6);
        let disk = disk_of(&blobs);
        let mut session = Session::open(&disk, &Options::default(), 3).expect("pointInTime opens");
        session.store.set(b"z", b"value", None).expect("taken");
        session.settle(Level::Disk).expect("synced");
        drop(session);
        let found = opens(&blobs_of(&disk), Row::Clean, &[before, &["z"]].concat());
        assert_eq!((found.seq, found.frames), (before.len() as u64 + 1, before.len() as u64 + 1));
    }
}
