//! The fault list, row by row, as far as a simulated storage can have the fault: each test carries the number of its row.
//!
//! TESTING.md holds the list. A test that looks at every case of something says how many in its assertions. Deliberately
//! absent: the tiers that combine these faults (`crash.rs`), and faults of real browsers (`web_*.rs`, `e2e/`).

#![cfg(not(target_arch = "wasm32"))]

#[path = "support/sim/mod.rs"]
mod sim;

use fastrand::Rng;
use holdfast::op::{Op, encode_batch};
use holdfast::{
    Code, Durability, Host, Level, Mode, Options, Recovery, Result, RewriteRule, Row, SaveRule, frame, log,
};
use sim::choice::{All, Choose, Every, Fixed};
use sim::opening::{Opening, Writer};
use sim::storage::{Fate, Storage};
use sim::{Crash, Effect, Fault, Injection, Kind, Medium, Moment, Sim};
use std::rc::Rc;

const DURABILITIES: [Durability; 3] = [Durability::Always, Durability::Everysec, Durability::No];

fn options(durability: Durability) -> Options {
    // No checkpoint but those that a test asks for.
    Options { durability, save: Vec::new(), ..Options::default() }
}

/// Sets keys one after the other, each at the level of the durability, `os` at least, in a session that is then killed.
fn killed_after(sim: &Rc<Sim>, durability: Durability, keys: &[&'static str]) {
    let keys = keys.to_vec();
    let mut opening = Opening::open(sim, &options(durability), 1);
    opening.check_recovered();
    opening.finish(|writer| async move {
        for key in keys {
            match key {
                "checkpoint" => checkpoint(&writer).await,
                key => drop(writer.set_and_wait(key, key, writer.level.max(Level::Os)).await.expect("acknowledged")),
            }
        }
    });
    drop(opening);
    sim.settle(Crash::Kill, &mut All(Fate::Kept));
}

async fn checkpoint(writer: &Writer) {
    let report = writer.store.checkpoint().await.expect("a checkpoint");
    writer.acknowledged(report.seq, Level::Disk);
}

/// Opens what a crash left, and whatever it is, that it stays so.
fn recover(sim: &Rc<Sim>) -> Opening {
    drop(Opening::recover(sim, &options(Durability::Everysec), 2));
    Opening::recover(sim, &options(Durability::Everysec), 3)
}

/// Opens without asking for more than a prefix.
fn open_at_any_cost(sim: &Rc<Sim>) -> Opening {
    let opening = Opening::open(sim, &options(Durability::Everysec), 4);
    sim.ledger.borrow_mut().forget_promises();
    opening.check_recovered();
    opening
}

fn strict() -> Options {
    Options { recovery: Recovery::Strict, ..options(Durability::Everysec) }
}

/// Why strict recovery refuses, and the seq it names.
fn refusal(sim: &Rc<Sim>) -> Option<(Code, Option<u64>)> {
    let opened = Opening::try_open(sim, &strict(), 5).expect("no crash");
    opened.err().map(|error| (error.code, error.seq))
}

fn copy(sim: &Rc<Sim>) -> Rc<Sim> {
    Sim::at(sim.moment(), 6)
}

fn edit(sim: &Rc<Sim>, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let Medium::Storage(storage) = &mut *sim.medium.borrow_mut() else { panic!("a medium of files") };
    storage.edit(name, change);
}

fn content(sim: &Rc<Sim>, name: &str) -> Vec<u8> {
    sim.medium.borrow().content(name).expect("a blob").to_vec()
}

/// Where the frames of a segment begin, and its end.
fn frames_at(segment: &[u8]) -> Vec<usize> {
    let header = log::read_header(segment).expect("a header");
    let mut starts = vec![log::HEADER_BYTES];
    while let Some(head) = frame::read_header(&segment[starts[starts.len() - 1]..], header.salt) {
        starts.push(starts[starts.len() - 1] + frame::HEADER_BYTES + head.payload_bytes as usize);
    }
    starts
}

fn keys(opening: &Opening) -> String {
    sim::ledger::entries_of(opening.store()).keys().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
}

/// Records the moments of a session from its opening on.
fn moments_of<F: Future<Output = ()> + 'static>(
    sim: &Rc<Sim>,
    options: &Options,
    script: impl FnOnce(Writer) -> F,
) -> Vec<Moment> {
    sim.latency_ms.replace(1..2);
    sim.moments.replace(Some(Vec::new()));
    let mut opening = Opening::open(sim, options, 1);
    opening.finish(script);
    drop(opening);
    let mut moments = sim.moments.take().expect("recorded");
    moments.push(sim.moment());
    moments
}

/// Crashes in each moment, with everything that may be left, and recovers.
fn crash_in_each(moments: &[Moment], crash: Crash) -> u64 {
    let mut recoveries = 0;
    for moment in moments {
        Every::combination(|every| {
            let sim = Sim::at(moment.clone(), 7);
            sim.settle(crash, every);
            recover(&sim);
            recoveries += 1;
        });
    }
    recoveries
}

async fn writes_of_every_kind(writer: Writer) {
    writer.set("a", "1").expect("taken");
    writer.host.sleep(5).await;
    let batch = [
        Op::Set { key: b"b", value: &[7; 1000], expires_at_ms: None },
        Op::Delete { key: b"a" },
        Op::Set { key: b"c", value: b"3", expires_at_ms: None },
    ];
    writer.write(&batch).expect("taken");
    writer.set("d", "4").expect("taken");
    writer.host.sleep(5).await;
    writer.set("d", "5").expect("taken");
    writer.host.sleep(2000).await;
}

#[test]
fn fault_01_killed_mid_batch() {
    for durability in DURABILITIES {
        for sim in [Sim::storage(1), Sim::idb(1)] {
            let moments = moments_of(&sim, &options(durability), writes_of_every_kind);
            assert!(crash_in_each(&moments, Crash::Kill) >= moments.len() as u64);
        }
    }
}

#[test]
fn fault_05_power_cut() {
    for durability in DURABILITIES {
        for sim in [Sim::storage(1), Sim::idb(1)] {
            let moments = moments_of(&sim, &options(durability), writes_of_every_kind);
            assert!(crash_in_each(&moments, Crash::PowerCut) >= moments.len() as u64);
        }
    }
}

/// The same fate for every stretch.
fn cut(moment: &Moment, fate: Fate) -> Opening {
    let sim = Sim::at(moment.clone(), 7);
    sim.settle(Crash::PowerCut, &mut All(fate));
    recover(&sim)
}

#[test]
fn fault_06_torn_write() {
    // At every byte of the last frame.
    let sim = Sim::storage(1);
    let moments = moments_of(&sim, &options(Durability::Always), |writer| async move {
        for value in ["1", "2", "the last one"] {
            writer.set_and_wait("key", value, Level::Disk).await.expect("acknowledged");
        }
    });
    let torn = &moments[moments.len() - 2];
    let Medium::Storage(storage) = &torn.medium else { panic!("a medium of files") };
    let bytes = storage.loose()[0].at.len();
    assert!(bytes > frame::HEADER_BYTES);
    for kept in 0..=bytes {
        let opening = cut(torn, Fate::Torn(kept));
        assert_eq!(opening.store().seq(), if kept < bytes { 2 } else { 3 }, "torn at {kept} of {bytes}");
    }

    // At every sector of a write of many frames, and with any sectors of it.
    let sim = Sim::storage(1);
    let moments = moments_of(&sim, &options(Durability::Always), |writer| async move {
        for number in 0..60 {
            writer
                .write(&[Op::Set { key: &[b'0' + number], value: &[number; 300], expires_at_ms: None }])
                .expect("taken");
        }
        writer.store.flush().await.expect("synced");
    });
    let torn = &moments[moments.len() - 2];
    let mut random = Rng::with_seed(6);
    for sector_bytes in [512, 4096] {
        let mut found = Vec::new();
        for sector in 0..60 * 360 / sector_bytes {
            found.push(cut(torn, Fate::Torn(sector * sector_bytes)).store().seq());
        }
        assert!(found.is_sorted() && found[0] == 0 && found[found.len() - 1] > 40, "{found:?}");
        for _ in 0..500 {
            cut(torn, Fate::Sectors(sector_bytes, random.u64(..)));
        }
    }
}

/// Answers in the order of the questions.
struct InTurn(Vec<Fate>);

impl Choose for InTurn {
    fn among(&mut self, _: usize) -> usize {
        0
    }

    fn fate(&mut self, _: usize) -> Fate {
        self.0.remove(0)
    }
}

#[test]
fn fault_07_reordered_writes() {
    // Three unsynced writes behind a synced one: whichever of them are there, those behind a gap do not count.
    let sim = Sim::storage(1);
    let mut opening = Opening::open(&sim, &options(Durability::Everysec), 1);
    opening.finish(|writer| async move {
        writer.set_and_wait("a", "1", Level::Disk).await.expect("acknowledged");
        for key in ["b", "c", "d"] {
            writer.set_and_wait(key, "2", Level::Os).await.expect("acknowledged");
        }
    });
    drop(opening);
    for subset in 0..8u64 {
        let sim = copy(&sim);
        let fate = |bit: u64| if subset >> bit & 1 == 1 { Fate::Kept } else { Fate::Lost };
        sim.settle(Crash::PowerCut, &mut InTurn(vec![fate(0), fate(1), fate(2)]));
        let opening = recover(&sim);
        assert_eq!(opening.store().seq(), 1 + u64::from(subset.trailing_ones()), "subset {subset:03b}");
    }

    // A snapshot of which any sectors are there, and which was never synced, is not used.
    let sim = Sim::storage(1);
    let moments = moments_of(&sim, &options(Durability::Always), |writer| async move {
        for number in 0..20 {
            writer.set(&format!("key:{number}"), &"v".repeat(200)).expect("taken");
        }
        checkpoint(&writer).await;
    });
    let half = moments.iter().rev().find(|moment| {
        let Medium::Storage(storage) = &moment.medium else { return false };
        storage.loose().iter().any(|loose| loose.name == "snap-2")
    });
    let half = half.expect("a snapshot that is being written");
    for kept in (0..64).map(|bit| !(1u64 << bit)).chain([0, 0x5555_5555]) {
        let opening = cut(half, Fate::Sectors(64, kept));
        assert_eq!(opening.store().seq(), 20);
    }
}

#[test]
fn fault_08_size_extended_without_data() {
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Everysec, &["a", "b"]);
    let bytes = content(&sim, "log-1").len();
    for zeros in [1, 39, 40, 41, 512, 4096, 100_000] {
        let sim = copy(&sim);
        edit(&sim, "log-1", |log| log.resize(bytes + zeros, 0));
        let found = recover(&sim).store().recovered();
        assert_eq!((found.row, found.seq, found.torn_bytes), (Row::Clean, 2, 0));
    }
    // The size of the last write is there, and some of its bytes.
    let mut opening = recover(&sim);
    opening.finish(|writer| async move {
        writer.set_and_wait("c", "3", Level::Os).await.expect("acknowledged");
        writer.set_and_wait("d", "4", Level::Os).await.expect("acknowledged");
    });
    drop(opening);
    let moment = sim.moment();
    for kept in 0..100 {
        cut(&moment, Fate::Extended(kept));
    }
}

#[test]
fn fault_09_size_shrunk() {
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Everysec, &["a", "b", "c"]);
    sim.ledger.borrow_mut().crashed(Crash::PowerCut);
    let whole = content(&sim, "log-1");
    let frames = frames_at(&whole);
    for bytes in 0..=whole.len() {
        let sim = copy(&sim);
        edit(&sim, "log-1", |log| log.truncate(bytes));
        let frames_left = frames.iter().filter(|start| **start <= bytes).count().saturating_sub(1);
        assert_eq!(recover(&sim).store().seq(), frames_left as u64, "cut to {bytes} of {}", whole.len());
    }
}

/// Opens a store with a flipped bit both ways; what is missing has been told, unless nothing on the disk can tell.
fn with_flipped_bit(sim: &Rc<Sim>, name: &str, bit: usize, told: &dyn Fn(u64) -> bool) -> Option<u64> {
    let sim = copy(sim);
    edit(&sim, name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
    let refused = refusal(&sim);
    if refused.is_some_and(|(code, _)| code == Code::Version) {
        // Damage to the version alone is another version (FORMAT.md).
        assert!((64..96).contains(&(bit % 512)), "{name}, bit {bit}");
        return None;
    }
    let opening = open_at_any_cost(&sim);
    let (seq, loss) = (opening.store().seq(), opening.store().recovered().data_loss);
    assert_eq!(refused, loss.map(|loss| (Code::Corrupt, Some(loss.from_seq))), "{name}, bit {bit}");
    assert_eq!(loss.map(|loss| loss.from_seq), told(seq).then_some(seq + 1), "{name}, bit {bit}");
    Some(seq)
}

#[test]
fn fault_12_bit_flip_in_the_log() {
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Always, &["a", "b", "c"]);
    let whole = content(&sim, "log-1");
    let frames = frames_at(&whole);
    for bit in 0..whole.len() * 8 {
        let damaged = frames.iter().filter(|start| **start <= bit / 8).count() as u64;
        // Frame n tells that all before it were synced; nothing tells of the last one.
        let found = with_flipped_bit(&sim, "log-1", bit, &|seq| seq + 1 < 3);
        if let Some(seq) = found {
            assert_eq!(seq, damaged.checked_sub(1).unwrap_or(3), "bit {bit}");
        }
    }
}

#[test]
fn fault_13_bit_flip_on_both_sides_of_a_sync() {
    let sim = Sim::storage(1);
    let mut opening = Opening::open(&sim, &options(Durability::Everysec), 1);
    opening.finish(|writer| async move {
        for (key, level) in [("a", Level::Os), ("b", Level::Os), ("c", Level::Disk)] {
            writer.set_and_wait(key, "1", level).await.expect("acknowledged");
        }
        for key in ["d", "e", "f"] {
            writer.set_and_wait(key, "1", Level::Os).await.expect("acknowledged");
        }
    });
    drop(opening);
    sim.settle(Crash::Kill, &mut All(Fate::Kept));
    let frames = frames_at(&content(&sim, "log-1"));
    for bit in frames[0] * 8..frames[6] * 8 {
        let damaged = frames.iter().filter(|start| **start <= bit / 8).count() as u64;
        // The frames behind the sync say that the first three are synced.
        assert_eq!(with_flipped_bit(&sim, "log-1", bit, &|seq| seq < 3), Some(damaged - 1));
    }
}

#[test]
fn fault_14_bit_flip_in_a_snapshot() {
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Always, &["a", "checkpoint", "b", "checkpoint", "c"]);
    let bits = content(&sim, "snap-3").len() * 8;
    for bit in 0..bits {
        let copy = copy(&sim);
        edit(&copy, "snap-3", |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        if refusal(&copy).is_some() {
            assert!((64..96).contains(&bit), "bit {bit}");
            continue;
        }
        let found = recover(&copy).store().recovered();
        assert_eq!((found.row, found.seq, found.snapshot_seq), (Row::Fallback, 3, Some(1)), "bit {bit}");
    }
}

#[test]
fn fault_14_bit_flip_in_a_snapshot_that_is_being_written() {
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Always, &["a", "checkpoint", "b"]);
    for bit in 0..800 {
        let sim = copy(&sim);
        let mut opening = Opening::recover(&sim, &options(Durability::Always), 2);
        sim.inject(Injection::new(Fault::Rots(bit)).on(Kind::Append, "snap-").times(1));
        opening.finish(|writer| async move {
            let outcome = writer.store.checkpoint().await;
            assert_eq!(outcome.map_err(|error| error.code), Err(Code::Corrupt), "bit {bit}");
        });
        drop(opening);
        assert!(sim.medium.borrow().content("snap-3").is_none(), "a snapshot that is not whole is removed");
        let found = recover(&sim).store().recovered();
        assert_eq!((found.row, found.seq, found.snapshot_seq), (Row::Clean, 2, Some(1)), "bit {bit}");
    }
}

#[test]
fn fault_15_both_snapshots_bad() {
    let damage = |sim: &Rc<Sim>, name: &str| edit(sim, name, |bytes| bytes[100] ^= 1);

    // The log from the first frame on is still there: it alone gives the same state.
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Always, &["a", "checkpoint", "b"]);
    damage(&sim, "snap-2");
    let found = recover(&sim).store().recovered();
    assert_eq!((found.row, found.seq, found.snapshot_seq), (Row::Fallback, 2, None));

    // It is not: that is told, and what is served is no half of anything.
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Always, &["a", "checkpoint", "b", "checkpoint", "c"]);
    damage(&sim, "snap-2");
    damage(&sim, "snap-3");
    assert_eq!(refusal(&sim), Some((Code::Corrupt, Some(1))));
    let mut opening = open_at_any_cost(&sim);
    let loss = opening.store().recovered().data_loss.expect("told");
    assert_eq!((loss.row, loss.from_seq, loss.to_seq, opening.store().count()), (Row::Missing, 1, 2, 0));
    opening.finish(|writer| async move {
        writer.set_and_wait("z", "1", Level::Disk).await.expect("acknowledged");
        checkpoint(&writer).await;
    });
    assert!(sim.medium.borrow().content("snap-3").is_some(), "damaged blobs are left for whoever wants to look");
}

#[test]
fn fault_18_stale_frames_in_a_recycled_segment() {
    // What the file held before: the segment of another store with the same frames in the same places.
    let other = Sim::storage(1);
    let stale = moments_of(&other, &options(Durability::Everysec), |writer| async move {
        for number in 0..10 {
            writer.set_and_wait(&format!("stale {number}"), "1", Level::Os).await.expect("acknowledged");
        }
    });
    let stale = stale[stale.len() - 1].medium.content("log-1").expect("a segment").to_vec();

    let sim = Sim::storage(2);
    let mut opening = Opening::open(&sim, &options(Durability::Everysec), 99);
    opening.finish(|writer| async move {
        for number in 0..10 {
            let level = if number < 4 { Level::Disk } else { Level::Os };
            writer.set_and_wait(&format!("fresh {number}"), "1", level).await.expect("acknowledged");
        }
    });
    drop(opening);
    let fresh = content(&sim, "log-1");
    assert_eq!(frames_at(&fresh), frames_at(&stale), "frames in the same places");
    assert_ne!(log::read_header(&fresh).map(|header| header.salt), log::read_header(&stale).map(|header| header.salt));

    let fates = (0..40).map(Fate::Extended).chain([Fate::Lost]).chain((0..64).map(|bit| Fate::Sectors(16, 1 << bit)));
    for fate in fates {
        let sim = copy(&sim);
        if let Medium::Storage(storage) = &mut *sim.medium.borrow_mut() {
            storage.leave_residue(&stale);
        }
        sim.settle(Crash::PowerCut, &mut Fixed(fate.clone(), 1));
        let seq = recover(&sim).store().seq();
        assert!((4..10).contains(&seq), "{seq} with {fate:?}");
    }
    // The whole file is stale, under the name of a segment of this store.
    edit(&sim, "log-1", |bytes| *bytes = [&fresh[..log::HEADER_BYTES], &stale[log::HEADER_BYTES..]].concat());
    assert_eq!(open_at_any_cost(&sim).store().seq(), 0);
}

/// A value with frames in it that fit this header.
fn value_with_frames(header: &log::Header, first_seq: u64, random: &mut Rng) -> Vec<u8> {
    let mut value = vec![0; random.usize(..50)];
    for seq in first_seq..first_seq + random.u64(1..4) {
        let at = frame::begin(&mut value);
        encode_batch(None, &[Op::Set { key: b"forged", value: b"!", expires_at_ms: None }], &mut value);
        frame::finish(&mut value, at, seq, header.epoch, seq - 1, header.salt);
    }
    value
}

#[test]
fn fault_19_a_value_that_is_a_perfect_frame() {
    let mut random = Rng::with_seed(19);
    for round in 0..300 {
        let sim = Sim::storage(round);
        killed_after(&sim, Durability::Always, &["a"]);
        let mut opening = recover(&sim);
        let seed = random.u64(..);
        opening.finish(move |writer| async move {
            let mut random = Rng::with_seed(seed);
            for _ in 0..random.u8(1..6) {
                writer.set_and_wait("b", "1", Level::Os).await.expect("acknowledged");
                // Even with the salt and the epoch, which nobody who writes values knows.
                let header = content(&writer.sim, "log-2");
                let header = log::read_header(&header).expect("a header");
                let first_seq = writer.store.seq() + random.u64(1..4);
                let value = value_with_frames(&header, first_seq, &mut random);
                writer.write(&[Op::Set { key: b"c", value: &value, expires_at_ms: None }]).expect("taken");
                writer.host.sleep(1).await;
            }
        });
        drop(opening);
        // Torn anywhere, and damaged anywhere: no state but one after a prefix of the batches that were made.
        let whole = sim.moment();
        for _ in 0..10 {
            let sim = Sim::at(whole.clone(), 7);
            sim.settle(Crash::PowerCut, &mut random);
            assert!(!keys(&open_at_any_cost(&sim)).contains("forged"));
            let sim = Sim::at(whole.clone(), 7);
            edit(&sim, "log-2", |bytes| {
                let at = random.usize(log::HEADER_BYTES..bytes.len());
                bytes[at] ^= 1 << random.u8(..8);
            });
            assert!(!keys(&open_at_any_cost(&sim)).contains("forged"));
        }
    }
}

/// How a session goes whose k-th append has no room, for each k.
fn without_room(sim: fn(u64) -> Rc<Sim>, durability: Durability, effect: Effect) {
    for call in 0..5 {
        let sim = sim(1);
        sim.inject(Injection::new(Fault::Fails(Code::Quota, effect)).on(Kind::Append, "log-").after(call).times(1));
        let mut opening = Opening::open(&sim, &options(durability), 1);
        let rejected = opening.finish(move |writer| async move {
            for number in 0..6 {
                let seq = writer.set(&format!("key:{number}"), "1").expect("taken");
                writer.store.request(Level::Os, seq).expect("asked");
                let _ = writer.store.settled(seq, Level::Os).await;
                writer.check_reads();
            }
            let seq = writer.set("after", "1").expect("the store takes writes");
            writer.store.request(Level::Disk, seq).expect("asked");
            writer.store.settled(seq, Level::Disk).await.expect("there is room again");
            assert_eq!((seq, writer.store.count()), (6, 6), "one of seven was rejected");
            writer.check_reads();
            writer.failures.borrow().clone()
        });
        let what: Vec<_> = rejected.iter().map(|failure| (failure.what, failure.code)).collect();
        assert_eq!(what, [("rejected", Code::Quota)]);
        drop(opening);
        sim.settle(Crash::PowerCut, &mut All(Fate::Lost));
        assert_eq!((recover(&sim).store().seq(), sim.faults.get()), (6, 1));
    }
}

#[test]
fn fault_21_no_room_for_an_append() {
    for durability in DURABILITIES {
        for effect in [Effect::Nothing, Effect::Part(20), Effect::Part(100)] {
            without_room(Sim::storage, durability, effect);
        }
    }

    // A storage that is really full: what was there stays readable, deletes work, and space that comes back is used.
    let sim = Sim::storage(1);
    let mut opening = Opening::open(&sim, &options(Durability::Everysec), 1);
    opening.finish(|writer| async move {
        let value = "v".repeat(1000);
        for number in 0..20 {
            writer.set_and_wait(&format!("key:{number}"), &value, Level::Os).await.expect("acknowledged");
        }
        checkpoint(&writer).await;
        writer.sim.quota_bytes.set(writer.sim.bytes() + 500);
        let seq = writer.set("more", &value).expect("taken");
        let refused = writer.store.settled(seq, Level::Os).await.expect_err("no room");
        assert_eq!((refused.code, refused.bytes_needed.is_some_and(|bytes| bytes > 1000)), (Code::Quota, true));
        writer.check_reads();
        assert_eq!(writer.store.count(), 20);
        for number in 0..20 {
            let seq = writer.delete(&format!("key:{number}")).expect("taken");
            writer.store.settled(seq, Level::Os).await.expect("a delete has room");
        }
        checkpoint(&writer).await;
        checkpoint(&writer).await;
        writer.set_and_wait("more", "v", Level::Disk).await.expect("a checkpoint made room");
        writer.check_reads();
    });
    drop(opening);
    sim.settle(Crash::PowerCut, &mut All(Fate::Lost));
    assert_eq!(recover(&sim).store().count(), 1);
}

#[test]
fn fault_21_a_delete_is_the_first_to_find_no_room() {
    let sim = Sim::storage(1);
    let mut opening = Opening::open(&sim, &options(Durability::Everysec), 1);
    opening.finish(|writer| async move {
        writer.set_and_wait("a", "v", Level::Os).await.expect("acknowledged");
        checkpoint(&writer).await;
        writer.sim.quota_bytes.set(writer.sim.bytes());
        let seq = writer.delete("a").expect("taken");
        writer.store.settled(seq, Level::Os).await.expect("the reserve is room enough");
        writer.check_reads();
    });
}

#[test]
fn fault_22_no_room_for_a_snapshot() {
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Everysec, &["a", "checkpoint", "b"]);
    let old = content(&sim, "snap-2");
    let rules = Options { save: vec![SaveRule(1, 1)], ..options(Durability::Everysec) };
    sim.inject(Injection::new(Fault::Fails(Code::Quota, Effect::Part(50))).on(Kind::Append, "snap-"));
    let mut opening = Opening::recover(&sim, &rules, 2);
    opening.finish(|writer| async move {
        for number in 0..2000 {
            let level = if number % 100 == 0 { Level::Disk } else { Level::Os };
            writer.set_and_wait("c", &number.to_string(), level).await.expect("the log goes on");
            writer.host.sleep(1000).await;
        }
        writer.check_reads();
    });
    let failures = opening.writer.failures.borrow().clone();
    assert!(failures.iter().all(|failure| (failure.what, failure.code) == ("checkpoint failed", Code::Quota)));
    let waits_ms: Vec<f64> = failures.windows(2).map(|two| two[1].at_ms - two[0].at_ms).collect();
    assert!(waits_ms.len() < 20, "{waits_ms:?}");
    assert!(waits_ms.windows(2).all(|two| two[1] >= two[0] * 1.3 || two[1] >= 300_000.0), "{waits_ms:?}");
    assert_eq!(content(&sim, "snap-2"), old);
    sim.heal();
    opening.finish(|writer| async move { checkpoint(&writer).await });
    drop(opening);
    sim.settle(Crash::PowerCut, &mut All(Fate::Lost));
    assert_eq!(recover(&sim).store().seq(), 2002);
}

#[test]
fn fault_23_no_room_at_the_commit_of_a_transaction() {
    for durability in DURABILITIES {
        without_room(Sim::idb, durability, Effect::Nothing);
    }
}

/// One write while the storage fails, and what the store says of it.
fn one_write(sim: &Rc<Sim>, durability: Durability) -> (Opening, Result<()>) {
    let mut opening = recover_under(sim, durability);
    let outcome = opening.finish(|writer| async move {
        let seq = writer.set("new", "1")?;
        let settled = writer.store.settled(seq, Level::Disk);
        writer.store.request(Level::Disk, seq)?;
        settled.await
    });
    (opening, outcome)
}

fn recover_under(sim: &Rc<Sim>, durability: Durability) -> Opening {
    Opening::recover(sim, &options(durability), 8)
}

#[test]
fn fault_24_input_output_error_on_write() {
    for durability in DURABILITIES {
        for effect in [Effect::Nothing, Effect::Part(60), Effect::Lied] {
            let sim = Sim::storage(1);
            killed_after(&sim, durability, &["a", "b"]);
            sim.inject(Injection::new(Fault::Fails(Code::Unavailable, effect)).on(Kind::Append, ""));
            let (opening, outcome) = one_write(&sim, durability);
            assert_eq!(outcome.map_err(|error| error.code), Err(Code::Unavailable));
            let told = opening.writer.failures.borrow().clone();
            assert!(told.iter().any(|failure| (failure.what, failure.code) == ("poisoned", Code::Unavailable)));
            opening.check_reads();
            assert!(!opening.store().has(b"new"), "what was rejected is not shown");
            assert_eq!(opening.writer.set("c", "1").map_err(|error| error.code), Err(Code::Poisoned));
            drop(opening);
            sim.heal();
            sim.settle(Crash::Kill, &mut All(Fate::Kept));
            let mut opening = recover(&sim);
            opening
                .finish(|writer| async move { writer.set_and_wait("c", "1", Level::Disk).await })
                .expect("it works again");

            // Once: the state is rescued, and nobody is refused.
            let sim = Sim::storage(1);
            killed_after(&sim, durability, &["a", "b"]);
            sim.inject(Injection::new(Fault::Fails(Code::Unavailable, effect)).on(Kind::Append, "").times(1));
            let (mut opening, outcome) = one_write(&sim, durability);
            assert_eq!((outcome, opening.store().poison(), sim.faults.get()), (Ok(()), None, 1));
            opening
                .finish(|writer| async move { writer.set_and_wait("c", "1", Level::Disk).await })
                .expect("it goes on");
            drop(opening);
            sim.settle(Crash::PowerCut, &mut All(Fate::Lost));
            assert_eq!(recover(&sim).store().seq(), 4);
        }
    }
}

#[test]
fn fault_25_a_sync_fails_once_and_then_succeeds() {
    for durability in DURABILITIES {
        for kind in [Kind::Sync, Kind::Append] {
            if (durability, kind) == (Durability::Always, Kind::Sync) {
                // Its appends are synced, and nothing is left to sync.
                continue;
            }
            let sim = Sim::storage(1);
            let mut opening = Opening::open(&sim, &options(durability), 1);
            opening.finish(|writer| async move {
                writer.set_and_wait("a", "1", Level::Os).await.expect("acknowledged");
            });
            sim.inject(Injection::new(Fault::Fails(Code::Unavailable, Effect::Dropped)).on(kind, "log-").times(1));
            opening.finish(|writer| async move {
                let value = "v".repeat(100);
                for number in 0..5 {
                    writer.set_and_wait(&format!("key:{number}"), &value, Level::Os).await.expect("acknowledged");
                    writer.store.flush().await.expect("the state is in new blobs");
                }
                writer.check_reads();
            });
            assert_eq!((sim.faults.get(), opening.store().poison()), (1, None));
            let journal = sim.journal.borrow().clone();
            let rescue = journal.iter().position(|call| call.starts_with("append snap-")).expect("a snapshot");
            let broken =
                journal[..rescue].iter().rev().find_map(|call| Some(call.split_once("log-")?.1)).expect("a segment");
            let broken = format!("log-{}", broken.split(' ').next().expect("a number"));
            let later: Vec<_> = journal[rescue..].iter().filter(|call| call.contains(&broken)).collect();
            assert!(later.iter().all(|call| call.starts_with("remove")), "{broken} is left alone: {journal:?}");
            drop(opening);
            sim.settle(Crash::PowerCut, &mut All(Fate::Lost));
            assert_eq!(recover(&sim).store().seq(), 6);
        }
    }

    // For ever: nothing is promised any more.
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Everysec, &["a"]);
    sim.inject(Injection::new(Fault::Fails(Code::Unavailable, Effect::Dropped)).on(Kind::Sync, ""));
    let (opening, outcome) = one_write(&sim, Durability::Everysec);
    assert_eq!(outcome.map_err(|error| error.code), Err(Code::Unavailable));
    assert_eq!(opening.store().reached_seq(Level::Disk), 0);
    assert!(opening.store().poison().is_some());
}

#[test]
fn fault_26_a_sync_hangs_for_half_a_minute() {
    let sim = Sim::storage(1);
    sim.inject(Injection::new(Fault::Stalls(30_000)).on(Kind::Sync, "log-").times(1));
    let mut opening = Opening::open(&sim, &options(Durability::Everysec), 1);
    opening.finish(|writer| async move {
        writer.set_and_wait("a", "1", Level::Os).await.expect("acknowledged");
        let started_ms = writer.host.now_ms();
        let flushing = writer.store.clone();
        let flush = flushing.flush();
        let refused = writer.within(29_000, flush).await;
        assert!(refused.is_none(), "no false acknowledgement: {refused:?}");
        let seq = writer.set("b", "2").expect("taken");
        assert!(writer.within(500, writer.store.settled(seq, Level::Os)).await.is_none(), "it waits its turn");
        assert_eq!((writer.store.reached_seq(Level::Os), writer.store.reached_seq(Level::Disk)), (1, 0));
        let unsynced = writer.store.unsynced();
        assert_eq!(unsynced.frames, 2);
        assert!(unsynced.ms >= 29_000.0, "{unsynced:?}");
        writer.check_reads();
        writer.store.flush().await.expect("synced");
        assert!(writer.host.now_ms() - started_ms >= 30_000.0);
        writer.check_reads();
    });
    drop(opening);
    sim.settle(Crash::PowerCut, &mut All(Fate::Lost));
    assert_eq!(recover(&sim).store().seq(), 2);
}

#[test]
fn fault_33_connection_lost() {
    // Whether the transaction that was under way had been committed cannot be known: it is there once all the same.
    for durability in DURABILITIES {
        for effect in [Effect::Nothing, Effect::Lied] {
            for kind in [Kind::Append, Kind::Sync] {
                for times in [1, 2, u64::MAX] {
                    let sim = Sim::idb(1);
                    killed_after(&sim, durability, &["a", "b"]);
                    sim.inject(Injection::new(Fault::Fails(Code::Unavailable, effect)).on(kind, "").times(times));
                    let (mut opening, outcome) = one_write(&sim, durability);
                    assert_eq!(outcome.is_ok(), opening.store().poison().is_none());
                    opening.check_reads();
                    sim.heal();
                    let gone_on =
                        opening.finish(|writer| async move { writer.set_and_wait("c", "1", Level::Disk).await });
                    assert_eq!(gone_on.is_ok(), outcome.is_ok());
                    drop(opening);
                    for crash in [Crash::Kill, Crash::PowerCut] {
                        let sim = copy(&sim);
                        sim.settle(crash, &mut All(Fate::Lost));
                        let found = recover(&sim).store().seq();
                        assert!(if outcome.is_ok() { found == 4 } else { (2..4).contains(&found) }, "{found}");
                    }
                }
            }
        }
    }

    // The database is emptied behind our back: whoever wrote to it is overtaken, and the next opening finds nothing.
    let sim = Sim::idb(1);
    killed_after(&sim, Durability::Everysec, &["a", "b"]);
    let mut opening = recover(&sim);
    if let Medium::Idb(idb) = &mut *sim.medium.borrow_mut() {
        idb.empty();
    }
    sim.inject(Injection::new(Fault::Fails(Code::Fenced, Effect::Nothing)));
    let refused = opening.finish(|writer| async move { writer.set_and_wait("c", "1", Level::Os).await });
    assert_eq!(refused.map_err(|error| error.code), Err(Code::Fenced));
    opening.check_reads();
    drop(opening);
    sim.heal();
    sim.settle(Crash::Kill, &mut All(Fate::Lost));
    assert_eq!(open_at_any_cost(&sim).store().recovered().row, Row::Fresh);
}

#[test]
fn fault_40_crash_during_recovery() {
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Everysec, &["a", "checkpoint", "b", "checkpoint", "c", "d"]);
    let mut random = Rng::with_seed(40);
    let mut crashes = 0;
    for first in 1..12 {
        for second in 1..12 {
            for third in 1..12 {
                let sim = copy(&sim);
                for call in [first, second, third] {
                    sim.crash_at.set(sim.calls.get() + call);
                    if let Ok(Ok(mut opening)) = Opening::try_open(&sim, &strict(), 2) {
                        opening.check_recovered();
                        let _ = opening.run(|writer| async move { writer.set_and_wait("e", "1", Level::Disk).await });
                    }
                    crashes += u64::from(sim.calls.get() >= sim.crash_at.get());
                    sim.crash_at.set(u64::MAX);
                    sim.settle(if random.bool() { Crash::Kill } else { Crash::PowerCut }, &mut random);
                }
                recover(&sim);
            }
        }
    }
    assert!(crashes > 11 * 11 * 11, "{crashes}");
}

#[test]
fn fault_41_crash_during_a_checkpoint() {
    for durability in DURABILITIES {
        let sim = Sim::storage(1);
        killed_after(&sim, durability, &["a", "checkpoint", "b", "checkpoint", "c"]);
        let moments = moments_of(&sim, &options(durability), |writer| async move {
            writer.sim.ledger.borrow_mut().recovered(&writer.store, writer.host.now_ms());
            let checkpointing = writer.clone();
            writer.spawn(async move { checkpoint(&checkpointing).await });
            for number in 0..8 {
                writer.set("d", &number.to_string()).expect("taken");
                writer.host.sleep(1).await;
            }
            checkpoint(&writer).await;
        });
        for crash in [Crash::Kill, Crash::PowerCut] {
            assert!(crash_in_each(&moments, crash) >= moments.len() as u64);
        }
    }
}

#[test]
fn fault_47_the_clock_jumps() {
    const HOUR_MS: f64 = 3_600_000.0;
    let jumps_ms = [-1_700_000_000_000.0, -24.0 * HOUR_MS, -HOUR_MS, HOUR_MS, 24.0 * HOUR_MS, 1e13];
    for durability in DURABILITIES {
        for jump_ms in jumps_ms {
            let sim = Sim::storage(1);
            let rules = Options { save: vec![SaveRule(60, 1)], ..options(durability) };
            let mut opening = Opening::open(&sim, &rules, 1);
            let synced = opening.finish(move |writer| async move {
                let mut synced = Vec::new();
                for number in 0..6 {
                    writer.set_and_wait("key", &number.to_string(), writer.level).await.expect("acknowledged");
                    writer.host.sleep(100).await;
                    writer.host.skip(if number % 2 == 0 { jump_ms } else { -jump_ms });
                    writer.host.sleep(1500).await;
                    writer.check_reads();
                    synced.push(writer.store.reached_seq(Level::Disk));
                }
                synced
            });
            // Time that passed is time that passed, whatever the clock on the wall says.
            if durability != Durability::No {
                assert_eq!(synced, [1, 2, 3, 4, 5, 6], "{durability:?}, the clock set by {jump_ms} ms");
            }
            drop(opening);
            sim.settle(Crash::Kill, &mut All(Fate::Kept));
            if durability != Durability::No {
                assert_eq!(recover(&sim).store().seq(), 6);
            }
        }
    }
}

/// As when a machine sleeps for ten minutes, while something expires in five: the timer for that has not come nearer.
#[test]
fn fault_47_the_clock_jumps_over_a_timer() {
    const MINUTE_MS: u64 = 60_000;
    let sim = Sim::storage(1);
    let mut opening = Opening::open(&sim, &options(Durability::Everysec), 1);
    opening.finish(|writer| async move {
        let expires_at_ms = Some(writer.host.now_ms() as u64 + 5 * MINUTE_MS);
        writer.write(&[Op::Set { key: b"a", value: b"1", expires_at_ms }]).expect("taken");
        writer.host.sleep(5000).await;
        writer.host.skip((10 * MINUTE_MS) as f64);
        let seq = writer.set("b", "2").expect("taken");
        writer.host.sleep(1500).await;
        assert!(writer.store.reached_seq(Level::Disk) >= seq, "synced within a second");
        assert_eq!(writer.store.view().user_entries(), 1, "what has expired is removed");
    });
}

#[test]
fn fault_50_the_log_stays_bounded() {
    for (mode, durability) in [(Mode::Hybrid, Durability::Everysec), (Mode::Log, Durability::No)] {
        let sim = Sim::storage(1);
        sim.latency_ms.replace(0..3);
        let rewrite = RewriteRule { percentage: 100, min_bytes: 256 << 10 };
        let rules = Options { mode, rewrite, ..options(durability) };
        let mut opening = Opening::open(&sim, &rules, 1);
        // An hour in which one key is overwritten, 20 MB in all.
        let bytes_most = opening.finish(|writer| async move {
            let mut bytes_most = 0;
            for number in 0..36_000u32 {
                let value = [&number.to_le_bytes()[..], &[7; 500]].concat();
                writer.write(&[Op::Set { key: b"key", value: &value, expires_at_ms: None }]).expect("taken");
                writer.host.sleep(100).await;
                bytes_most = writer.sim.bytes().max(bytes_most);
            }
            bytes_most
        });
        assert!(bytes_most < 4 * (256 << 10), "{bytes_most} bytes for one key, {mode:?}");
        assert_eq!(opening.store().seq(), 36_000);
    }
}

#[test]
fn fault_59_a_sync_that_lies() {
    let mut random = Rng::with_seed(59);
    let mut lost = 0;
    for round in 0..2000 {
        let sim = Sim::storage(round);
        sim.syncs_lie.set(true);
        sim.latency_ms.replace(0..3);
        for _ in 0..random.u8(1..4) {
            let opening = Opening::try_open(&sim, &options(DURABILITIES[random.usize(..3)]), random.u64(..));
            let mut opening = opening.expect("no crash").expect("the store opens, whatever it finds");
            sim.ledger.borrow_mut().forget_promises();
            opening.check_recovered();
            let seed = random.u64(..);
            opening.finish(move |writer| async move {
                let mut random = Rng::with_seed(seed);
                for number in 0..random.u8(..8) {
                    match random.u8(..4) {
                        0 => drop(writer.within(10_000, writer.store.checkpoint()).await),
                        1 => drop(writer.within(10_000, writer.store.flush()).await),
                        _ => drop(writer.set(&format!("key:{}", number % 3), &number.to_string())),
                    }
                    writer.host.sleep(random.u32(..1500)).await;
                }
            });
            let written = opening.store().seq();
            drop(opening);
            sim.settle(Crash::PowerCut, &mut random);
            lost += u64::from(open_at_any_cost(&sim).store().seq() < written);
        }
    }
    assert!(lost > 500, "the lies had an effect {lost} times");
}

#[test]
fn fault_60_a_database_that_cannot_be_read() {
    // What the browser cannot read is no empty store, and nothing is written over it.
    for kind in [Kind::List, Kind::Read] {
        for code in [Code::Unavailable, Code::Corrupt] {
            let sim = Sim::idb(1);
            killed_after(&sim, Durability::Everysec, &["a", "checkpoint", "b"]);
            let changes = sim.changes.get();
            sim.inject(Injection::new(Fault::Fails(code, Effect::Nothing)).on(kind, ""));
            for options in [strict(), options(Durability::Everysec)] {
                let refused = Opening::try_open(&sim, &options, 2).expect("no crash").err().map(|error| error.code);
                assert_eq!((refused, sim.changes.get()), (Some(code), changes));
            }
            sim.heal();
            assert_eq!(recover(&sim).store().seq(), 2);
        }
    }

    // What makes Firefox write without the journal that keeps a database whole is nowhere asked for.
    let sources = concat!(include_str!("../src/backend/glue.js"), include_str!("../src/backend/idb.js"));
    let code: String = sources.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    assert!(code.contains("strict") && !code.contains("relaxed"));
}

#[test]
fn fault_63_names_that_are_not_durable() {
    let mut random = Rng::with_seed(63);
    let (mut lost, mut told) = (0, 0);
    for round in 0..2000 {
        let sim = Sim::new(Medium::Storage(Storage::without_durable_names()), round);
        let steps = ["a", "checkpoint", "b", "c", "checkpoint", "d"];
        killed_after(&sim, Durability::Always, &steps[..random.usize(1..=steps.len())]);
        killed_after(&sim, Durability::Always, &["e"]);
        let written = Opening::recover(&sim, &strict(), 2).store().seq();
        sim.settle(Crash::PowerCut, &mut random);
        let mut opening = open_at_any_cost(&sim);
        lost += u64::from(opening.store().seq() < written);
        told += u64::from(opening.store().recovered().data_loss.is_some());
        opening.finish(|writer| async move { writer.set_and_wait("f", "1", Level::Disk).await }).expect("it goes on");
        opening.check_reads();
    }
    // Whatever is left of the log in front of a gap proves the gap; where nothing is left, nothing can.
    assert!(lost > told && told > 200, "{lost} lost, {told} told");
}

/// A store in every state in which it opens, and what opening says of it.
fn states() -> Vec<(Row, Rc<Sim>)> {
    let session = ["a", "checkpoint", "b", "checkpoint", "c", "d"];
    let left_by = |medium: fn(u64) -> Rc<Sim>, steps: &[&'static str]| {
        let sim = medium(1);
        killed_after(&sim, Durability::Always, steps);
        sim
    };
    let mut states = Vec::new();
    for medium in [Sim::storage as fn(u64) -> Rc<Sim>, Sim::idb] {
        states.push((Row::Fresh, medium(1)));
        for steps in [&session[..1], &["a", "b", "c"], &session[..2], &session] {
            states.push((Row::Clean, left_by(medium, steps)));
        }
    }
    let damaged = |damage: &dyn Fn(&Rc<Sim>)| {
        let sim = left_by(Sim::storage, &session);
        damage(&sim);
        sim
    };
    let flip = |sim: &Rc<Sim>, name: &str| edit(sim, name, |bytes| bytes[log::HEADER_BYTES + 3] ^= 1);
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 3);
    let extend = |bytes: &mut Vec<u8>| bytes.resize(bytes.len() + 4096, 0);
    states.push((Row::Clean, damaged(&|sim| edit(sim, "log-3", extend))));
    states.push((Row::TornTail, damaged(&|sim| edit(sim, "log-3", cut))));
    states.push((Row::Corrupt, damaged(&|sim| flip(sim, "log-3"))));
    states.push((Row::Fallback, damaged(&|sim| flip(sim, "snap-3"))));
    let both = |sim: &Rc<Sim>| ["snap-2", "snap-3"].into_iter().for_each(|name| flip(sim, name));
    states.push((Row::Missing, damaged(&both)));
    states
}

#[test]
fn ten_thousand_opens_change_no_byte() {
    let states = states();
    for row in [Row::Fresh, Row::Clean, Row::TornTail, Row::Fallback, Row::Corrupt, Row::Missing] {
        assert!(states.iter().any(|(of_state, _)| *of_state == row), "{row:?}");
    }
    for (row, sim) in states {
        let blobs = sim.medium.borrow().blobs();
        for seed in 0..10_000 {
            let changes = sim.changes.get();
            let mut opening = Opening::open(&sim, &options(DURABILITIES[seed as usize % 3]), seed);
            assert_eq!(opening.store().recovered().row, row);
            opening.pass(10_000).expect("no crash");
            if seed % 2 == 0 {
                opening.finish(|writer| async move { writer.store.close().await }).expect("closed");
            }
            assert_eq!(sim.changes.get(), changes, "calls that change something");
        }
        assert!(sim.medium.borrow().blobs() == blobs, "{row:?}");
    }
}

// What broke once.

fn fails_once(sim: &Rc<Sim>, code: Code, effect: Effect, kind: Kind, prefix: &'static str) {
    sim.inject(Injection::new(Fault::Fails(code, effect)).on(kind, prefix).times(1));
}

/// A session that is killed while its rescue waits for the sync of the snapshot.
fn killed_in_a_rescue() -> Rc<Sim> {
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Always, &["a"]);
    fails_once(&sim, Code::Unavailable, Effect::Nothing, Kind::Append, "log-");
    sim.inject(Injection::new(Fault::Hangs).on(Kind::Sync, "snap-"));
    let mut opening = recover_under(&sim, Durability::Always);
    opening.finish(|writer| async move {
        let seq = writer.set("b", "1").expect("taken");
        assert!(writer.within(1000, writer.store.settled(seq, Level::Disk)).await.is_none());
    });
    drop(opening);
    sim.heal();
    sim.settle(Crash::Kill, &mut All(Fate::Kept));
    sim
}

#[test]
fn a_snapshot_that_was_never_synced_is_synced_before_something_is_written_behind_it() {
    let sim = killed_in_a_rescue();
    let mut opening = recover_under(&sim, Durability::Always);
    assert_eq!(opening.store().seq(), 2, "the snapshot holds what no segment does");
    opening.finish(|writer| async move { writer.set_and_wait("c", "1", Level::Disk).await }).expect("acknowledged");
    drop(opening);
    sim.settle(Crash::PowerCut, &mut All(Fate::Lost));
    assert_eq!(recover(&sim).store().seq(), 3);

    // Whoever asks for the disk gets it, also where nothing has to be written.
    for checkpoints in 0..2 {
        let sim = killed_in_a_rescue();
        let mut opening = recover_under(&sim, Durability::Always);
        opening.finish(move |writer| async move {
            match checkpoints {
                0 => drop(writer.store.flush().await.expect("synced")),
                _ => checkpoint(&writer).await,
            }
        });
        drop(opening);
        sim.settle(Crash::PowerCut, &mut All(Fate::Lost));
        assert_eq!(recover(&sim).store().seq(), 2);
    }
}

#[test]
fn no_generation_is_given_up_for_a_snapshot_that_was_never_synced() {
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Always, &["a", "b"]);
    let mut opening = recover_under(&sim, Durability::Always);
    sim.inject(Injection::new(Fault::Hangs).on(Kind::Sync, "snap-"));
    opening.finish(|writer| async move {
        writer.set_and_wait("c", "1", Level::Disk).await.expect("acknowledged");
        assert!(writer.within(1000, writer.store.checkpoint()).await.is_none());
        writer.set_and_wait("d", "1", Level::Disk).await.expect("acknowledged");
    });
    drop(opening);
    sim.heal();
    sim.settle(Crash::Kill, &mut All(Fate::Kept));
    sim.inject(Injection::new(Fault::Fails(Code::Quota, Effect::Nothing)).on(Kind::Append, "snap-"));
    let mut opening = recover_under(&sim, Durability::Always);
    let refused = opening.finish(|writer| async move { writer.store.checkpoint().await });
    assert_eq!(refused.map_err(|error| error.code), Err(Code::Quota));
    drop(opening);
    sim.heal();
    sim.settle(Crash::PowerCut, &mut Fixed(Fate::Lost, 1));
    assert_eq!(recover(&sim).store().seq(), 4);
}

#[test]
fn a_segment_that_breaks_behind_a_snapshot_under_way_is_not_written_again() {
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Always, &["a"]);
    let mut opening = recover_under(&sim, Durability::Always);
    sim.inject(Injection::new(Fault::Stalls(1000)).on(Kind::Append, "snap-").times(1));
    opening.finish(|writer| async move {
        writer.set_and_wait("b", "1", Level::Disk).await.expect("acknowledged");
        let checkpointing = writer.clone();
        writer.spawn(async move { checkpoint(&checkpointing).await });
        writer.host.sleep(100).await;
        fails_once(&writer.sim, Code::Unavailable, Effect::Part(60), Kind::Append, "log-");
        let seq = writer.set("c", "1").expect("taken");
        writer.store.settled(seq, Level::Disk).await.expect("in another snapshot, or in another segment");
    });
    assert_eq!(sim.faults.get(), 2);
    drop(opening);
    sim.settle(Crash::Kill, &mut All(Fate::Kept));
    assert_eq!(recover(&sim).store().seq(), 3);
}

#[test]
fn a_segment_that_breaks_behind_a_snapshot_before_it_is_begun_is_not_written_again() {
    let sim = Sim::storage(1);
    let mut opening = recover_under(&sim, Durability::Always);
    sim.inject(Injection::new(Fault::Stalls(1000)).on(Kind::Append, "log-1").times(1));
    opening.finish(|writer| async move {
        writer.set("a", "1").expect("taken");
        let checkpointing = writer.clone();
        writer.spawn(async move { checkpoint(&checkpointing).await });
        // The segment in front is synced, and the one behind fails before the checkpoint comes to see that.
        fails_once(&writer.sim, Code::Unavailable, Effect::Part(60), Kind::Append, "log-2");
        writer.host.sleep(100).await;
        let seq = writer.set("b", "1").expect("taken");
        writer.store.settled(seq, Level::Disk).await.expect("in another snapshot, or in another segment");
    });
    assert_eq!(sim.faults.get(), 2);
    drop(opening);
    sim.settle(Crash::Kill, &mut All(Fate::Kept));
    assert_eq!(recover(&sim).store().seq(), 2);
}

#[test]
fn the_count_of_entries_is_right_after_a_failure_that_poisons() {
    let sim = Sim::storage(1);
    killed_after(&sim, Durability::Everysec, &["a", "b"]);
    let mut opening = recover_under(&sim, Durability::Everysec);
    opening.finish(|writer| async move {
        writer.set_and_wait("c", "1", Level::Os).await.expect("acknowledged");
        writer.sim.latency_ms.replace(50..51);
        fails_once(&writer.sim, Code::Fenced, Effect::Nothing, Kind::Sync, "log-");
        writer.store.request_sync().expect("asked");
        writer.host.sleep(10).await;
        // While that sync is under way, the checkpoint asks for one more.
        writer.store.checkpoint().await.expect_err("overtaken");
        writer.check_reads();
        assert_eq!(writer.store.count(), 3);
    });
}

#[test]
fn a_snapshot_of_rejected_writes_that_comes_back_is_not_used() {
    // The rescue fails, its snapshot is removed, and a power cut undoes the removal.
    let sim = Sim::storage(1);
    fails_once(&sim, Code::Unavailable, Effect::Part(60), Kind::Append, "log-");
    fails_once(&sim, Code::Unavailable, Effect::Lied, Kind::Append, "snap-");
    let (opening, outcome) = one_write(&sim, Durability::Everysec);
    assert!(outcome.is_err());
    drop(opening);
    sim.settle(Crash::Kill, &mut All(Fate::Kept));
    let mut opening = recover_under(&sim, Durability::Everysec);
    assert_eq!(opening.store().seq(), 0);
    opening.finish(|writer| async move { writer.set_and_wait("other", "1", Level::Os).await }).expect("acknowledged");
    drop(opening);
    sim.settle(Crash::PowerCut, &mut Fixed(Fate::Kept, 0));
    assert!(sim.medium.borrow().list().iter().any(|blob| blob.name.starts_with("snap-")), "it came back");
    assert_eq!(keys(&recover(&sim)), "other");
}
