//! Stores that follow another one's frames, and take its place.
//!
//! A leader and a follower on one medium, driven by random writes, checkpoints, expiries and fail-overs: the follower must hold the
//! same entries, versions and expiries as the leader after every batch of frames, have recorded the same changes, and after taking
//! over what a store that recovers from nothing holds.

#[path = "support/host.rs"]
mod host;

use holdfast::backend::memory::{MemoryBackend, MemoryDisk};
use holdfast::backend::{Backend, Sync};
use holdfast::log;
use holdfast::map::Map;
use holdfast::op::Op;
use holdfast::{Cause, Code, Durability, Level, Options, Recording, Role, ScanRange, SnapshotInfo, Store};
use host::Thread;
use std::rc::Rc;

const SCHEDULES: u64 = 600;

type Entries = Vec<(Vec<u8>, Vec<u8>, u64, Option<u64>)>;

struct Pair {
    thread: Thread,
    disk: Rc<MemoryDisk>,
    leader: Store,
    follower: Store,
    /// The newest snapshot that the leader made.
    newest: Option<SnapshotInfo>,
}

fn backend(disk: &Rc<MemoryDisk>) -> Rc<dyn Backend> {
    Rc::new(MemoryBackend::new(disk.clone()))
}

fn open(thread: &mut Thread, disk: &Rc<MemoryDisk>) -> Store {
    let (backend, host) = (backend(disk), thread.host.clone());
    // A follower never writes, so the policy is the leader's alone; without rules every checkpoint is asked for.
    let options = Options { durability: Durability::Everysec, save: Vec::new(), ..Options::default() };
    let store = thread.run(async move { Store::open(backend, host, options).await }).expect("it opens");
    store.record_changes(Recording::On);
    store
}

fn entries(store: &Store) -> Entries {
    let mut found = Vec::new();
    store.scan(None, ScanRange::ALL, &mut |entry| {
        found.push((entry.key.into(), entry.value.into(), entry.version, entry.expires_at_ms));
        true
    });
    found
}

/// The segments, oldest first.
fn segments(thread: &mut Thread, disk: &Rc<MemoryDisk>) -> Vec<Vec<u8>> {
    let backend = backend(disk);
    thread.run(async move {
        let mut blobs: Vec<_> = backend.list().await.unwrap();
        blobs.retain(|blob| matches!(log::parse_name(&blob.name), Some((log::Kind::Log, _))));
        blobs.sort_by_key(|blob| log::parse_name(&blob.name).unwrap().1);
        let mut segments = Vec::new();
        for blob in blobs {
            segments.push(backend.read(&blob.name, 0, u32::MAX).await.unwrap());
        }
        segments
    })
}

/// What is sent of the frames behind a seq: the header of their segment and one frame, for each.
fn frames_behind(segments: &[Vec<u8>], seq: u64) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for segment in segments {
        let header = log::read_header(segment).expect("a header");
        let mut at = log::HEADER_BYTES;
        while at < segment.len() {
            let head = holdfast::frame::read_header(&segment[at..], header.salt).expect("a frame");
            let end = at + holdfast::frame::HEADER_BYTES + head.payload_bytes as usize;
            if head.seq > seq {
                frames.push([&segment[..log::HEADER_BYTES], &segment[at..end]].concat());
            }
            at = end;
        }
    }
    frames
}

impl Pair {
    fn new(seed: u64) -> Pair {
        let mut thread = Thread::new(seed);
        let disk = Rc::<MemoryDisk>::default();
        let leader = open(&mut thread, &disk);
        let follower = open(&mut thread, &disk);
        assert!(!follower.stop());
        Pair { thread, disk, leader, follower, newest: None }
    }

    fn settle(&mut self) {
        let (store, seq) = (self.leader.clone(), self.leader.seq());
        let _ = self.leader.request(Level::Os, seq);
        self.thread.run(async move { store.settled(seq, Level::Os).await }).expect("stored");
    }

    fn checkpoint(&mut self) {
        let store = self.leader.clone();
        let report = self.thread.run(async move { store.checkpoint().await }).expect("a snapshot");
        if report.generation > 0 {
            self.newest = Some(SnapshotInfo { generation: report.generation, seq: report.seq, bytes: report.bytes });
        }
    }

    fn follow(&mut self) {
        self.settle();
        let segments = segments(&mut self.thread, &self.disk);
        for frames in frames_behind(&segments, self.follower.seq()) {
            if self.follower.follow(&frames, Cause::Asked).is_err() {
                break;
            }
        }
        if self.follower.seq() < self.leader.seq() {
            // They were removed, because a snapshot has what they did.
            let (store, newest) = (self.follower.clone(), Some(self.newest));
            self.thread.run(async move { store.recover_again(newest, Role::Follower).await }).expect("it catches up");
        }
        assert_eq!(self.follower.seq(), self.leader.seq());
        assert_eq!(entries(&self.follower), entries(&self.leader));
    }

    /// The leader is gone, and the follower leads; says whether it kept what it had.
    fn fail_over(&mut self, newest: Option<Option<SnapshotInfo>>) -> bool {
        self.settle();
        // Its timers find a store that does nothing.
        self.leader.stop();
        let store = self.follower.clone();
        let kept = self.thread.run(async move { store.recover_again(newest, Role::Leader).await }).expect("it leads");
        let fresh = open(&mut self.thread, &self.disk);
        fresh.stop();
        assert_eq!(entries(&self.follower), entries(&fresh), "what it holds is what is stored");
        assert_eq!(self.follower.seq(), fresh.seq());
        let behind = open(&mut self.thread, &self.disk);
        behind.stop();
        self.leader = std::mem::replace(&mut self.follower, behind);
        kept
    }
}

/// Writes something; most keys are there often.
fn write(store: &Store, random: &mut fastrand::Rng, now_ms: u64) {
    let key = |random: &mut fastrand::Rng| format!("k{}", random.u8(..24)).into_bytes();
    let value = vec![random.u8(..); random.usize(..40)];
    let (one, other) = (key(random), key(random));
    let expires_at_ms = (random.u8(..4) == 0).then(|| now_ms + random.u64(1..3000));
    let ops = match random.u8(..8) {
        0 => vec![Op::Delete { key: &one }, Op::Delete { key: &other }],
        1 => vec![Op::DeleteRange { start: (&one).min(&other), end: (&one).max(&other) }],
        2 => vec![Op::Set { key: &one, value: &value, expires_at_ms }, Op::Delete { key: &other }],
        _ => vec![Op::Set { key: &one, value: &value, expires_at_ms }],
    };
    store.write(&ops).expect("written");
}

#[test]
fn a_follower_is_what_its_leader_is_and_goes_on_from_there() {
    let (mut kept, mut reread, mut writes) = (0, 0, 0);
    for seed in 0..SCHEDULES {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::new(seed);
        for _ in 0..random.u32(5..60) {
            match random.u8(..20) {
                0 => pair.checkpoint(),
                1 => pair.thread.pass(random.u64(1..4000) as f64),
                2..5 => pair.follow(),
                5 => {
                    // Sometimes the follower lacks the newest frames, and sometimes it does not know of the newest snapshot.
                    if random.bool() {
                        pair.follow();
                    }
                    let newest = if random.u8(..4) == 0 { None } else { Some(pair.newest) };
                    if pair.fail_over(newest) {
                        kept += 1;
                    } else {
                        reread += 1;
                    }
                }
                _ => {
                    let now_ms = pair.thread.host.now() as u64;
                    write(&pair.leader, &mut random, now_ms);
                    writes += 1;
                }
            }
        }
        pair.follow();
        println!("seed {seed}");
    }
    println!("{SCHEDULES} schedules, {writes} writes, {kept} fail-overs that kept the map, {reread} that read it anew");
    assert!(kept > SCHEDULES / 8 && reread > SCHEDULES / 32, "{kept} and {reread}: both ways are gone");
}

#[test]
fn changes_are_recorded_as_the_leader_records_them() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::new(seed);
        for _ in 0..random.u32(5..40) {
            // Whether an entry had expired when it was replaced depends on the time; the clock stands still here.
            let now_ms = pair.thread.host.now() as u64;
            write(&pair.leader, &mut random, now_ms);
            if random.bool() {
                pair.follow();
            }
        }
        pair.follow();
        assert_eq!(pair.follower.take_changes(), pair.leader.take_changes(), "seed {seed}");
    }
}

#[test]
fn what_a_follower_lacks_is_recorded_when_it_leads() {
    let mut pair = Pair::new(1);
    pair.leader.set(b"a", b"1", None).unwrap();
    pair.follow();
    pair.follower.take_changes();
    pair.leader.take_changes();
    pair.leader.set(b"b", b"2", None).unwrap();
    pair.leader.delete(b"a").unwrap();
    pair.settle();
    let told = pair.leader.take_changes();
    assert!(pair.fail_over(Some(None)));
    assert_eq!(pair.leader.take_changes(), told);
}

#[test]
fn frames_that_do_not_fit_change_nothing() {
    let mut pair = Pair::new(1);
    for number in 0..3u8 {
        pair.leader.set(&[b'k', number], b"value", None).unwrap();
    }
    pair.settle();
    let stored = segments(&mut pair.thread, &pair.disk);
    let frames = frames_behind(&stored, 0);
    let refused = |frames: &[u8]| pair.follower.follow(frames, Cause::Asked).unwrap_err().code;
    assert_eq!(refused(&frames[1]), Code::Corrupt, "one is missing");
    assert_eq!(refused(&frames[0][..frames[0].len() - 1]), Code::Corrupt, "half of one");
    for bit in (log::HEADER_BYTES * 8)..frames[0].len() * 8 {
        let mut bad = frames[0].clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(refused(&bad), Code::Corrupt, "bit {bit}");
    }
    assert_eq!(refused(b"no frames at all"), Code::Corrupt);
    assert_eq!((pair.follower.seq(), entries(&pair.follower)), (0, Vec::new()));
    for each in &frames {
        pair.follower.follow(each, Cause::Asked).unwrap();
    }
    assert_eq!(refused(&frames[2]), Code::Corrupt, "one it has");
    assert_eq!(entries(&pair.follower), entries(&pair.leader));
}

/// Of the log's newest segment only so many bytes are left.
fn shorten(pair: &mut Pair, kept_bytes: usize) {
    let backend = backend(&pair.disk);
    pair.thread.run(async move {
        let mut names: Vec<String> = backend.list().await.unwrap().into_iter().map(|blob| blob.name).collect();
        names.retain(|name| name.starts_with("log-"));
        names.sort();
        let name = names.pop().unwrap();
        let bytes = backend.read(&name, 0, u32::MAX).await.unwrap();
        backend.remove(std::slice::from_ref(&name)).await.unwrap();
        backend.append(&name, &bytes[..kept_bytes], Sync::Buffered).await.unwrap();
    });
}

#[test]
fn a_storage_that_lost_the_end_of_what_a_follower_has_is_read_anew() {
    for kept in [0, 1, 2] {
        let mut pair = Pair::new(1);
        pair.leader.set(b"snapshot", b"value", None).unwrap();
        pair.checkpoint();
        for number in 0..3u8 {
            pair.leader.set(&[b'k', number], b"value", None).unwrap();
        }
        pair.follow();
        let frame_bytes = frames_behind(&segments(&mut pair.thread, &pair.disk), 1)[0].len() - log::HEADER_BYTES;
        shorten(&mut pair, if kept == 0 { 0 } else { log::HEADER_BYTES + kept * frame_bytes });
        let newest = pair.newest;
        assert!(!pair.fail_over(Some(newest)), "{kept} frames kept");
        assert_eq!(entries(&pair.leader).len(), 1 + kept);
    }
}

#[test]
fn a_follower_takes_no_writes_and_makes_none() {
    let mut pair = Pair::new(1);
    pair.leader.set(b"k", b"v", Some(pair.thread.host.now() as u64 + 50)).unwrap();
    pair.follow();
    let stored = segments(&mut pair.thread, &pair.disk);
    assert_eq!(pair.follower.set(b"k", b"v", None).unwrap_err().code, Code::Closed);
    pair.leader.stop();
    pair.thread.pass(10_000.0);
    assert_eq!(entries(&pair.follower), Vec::new(), "what has expired is hidden");
    assert_eq!(segments(&mut pair.thread, &pair.disk), stored, "and removed by a leader alone");
}

#[test]
fn a_snapshot_of_which_a_follower_was_not_told_is_read() {
    let mut pair = Pair::new(1);
    pair.leader.set(b"old", b"1", None).unwrap();
    pair.follow();
    let mut map = Map::default();
    map.apply(&Op::Set { key: b"new", value: b"2", expires_at_ms: None }, 0);
    // What takes the place of everything is in a snapshot, and in no frame.
    pair.leader.replace(&mut map).unwrap();
    let store = pair.leader.clone();
    pair.thread.run(async move { store.flush().await }).unwrap();
    assert!(!pair.fail_over(Some(None)));
    assert_eq!(entries(&pair.leader).len(), 1);
    assert_eq!(entries(&pair.leader)[0].0, b"new");
}

#[test]
fn whoever_waits_for_a_store_that_begins_to_follow_is_told() {
    let mut pair = Pair::new(1);
    pair.leader.set(b"k", b"v", None).unwrap();
    let store = pair.leader.clone();
    let ended = pair.thread.run(async move {
        let mut closing = Box::pin(store.close());
        assert!(futures::poll!(&mut closing).is_pending());
        store.stop();
        closing.await
    });
    assert_eq!(ended.unwrap_err().code, Code::Closed);
}

#[test]
fn a_storage_that_lost_what_a_follower_has_is_read_anew() {
    let mut pair = Pair::new(1);
    for number in 0..5u8 {
        pair.leader.set(&[b'k', number], b"value", None).unwrap();
    }
    pair.follow();
    let backend = backend(&pair.disk);
    let names: Vec<String> = pair.thread.run(async move {
        let names: Vec<String> = backend.list().await.unwrap().into_iter().map(|blob| blob.name).collect();
        backend.remove(&names).await.unwrap();
        names
    });
    assert_eq!(names.len(), 1);
    assert!(!pair.fail_over(Some(None)));
    assert_eq!(entries(&pair.leader), Vec::new());
}
