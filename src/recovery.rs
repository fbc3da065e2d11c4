//! The journey of opening: from the blobs to a state that serves.
//!
//! Owns the recovery table. Writes nothing, so that crashing in it, however often, changes nothing. The numbered
//! steps and the rows are those of FORMAT.md. Deliberately absent: who may open a store (`ts/open.ts`).

use crate::backend::{Backend, Blob};
use crate::checkpoint::{SnapshotInfo, Snapshots};
use crate::commit::{BlobSize, Log, apply_op};
use crate::error::{Code, Error, Result};
use crate::frame::NUMBER_MAX;
use crate::host::Host;
use crate::log::{self, HeaderFault, Kind, Stop, blob_name, parse_name};
use crate::map::Map;
use crate::map::base::Base;
use crate::map::block::Block;
use crate::op::Ops;
use crate::options::{self, Options};
use crate::snapshot::{Damage, Header, Reader};
use crate::store::{Cause, Feed, Phase, Recording, State, Store};
use std::rc::Rc;

/// Bytes of a blob that are read in one call: 1 MiB of IndexedDB's records cost the page up to 20 ms (measured in Chromium).
const READ_BYTES: u32 = 256 << 10;

/// What was found of snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotFound {
    /// There is none; the log begins with the first frame of all.
    None,
    /// The newest one is whole.
    Newest,
    /// The newest one is not, an older one is.
    Previous,
    /// There are some, none is whole.
    Unusable,
}

/// How reading the log ended; where several hold, the last of them counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogFound {
    /// At the end of its last frame.
    Ends,
    /// In front of a segment that begins with a later seq.
    Gap,
    /// At bytes that are not a whole frame.
    Torn,
    /// At a whole frame or segment that contradicts the format.
    Contradicts,
}

/// Whether everything that some blob says had been synced is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    Kept,
    Broken,
}

/// A row of the recovery table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Nothing was ever written.
    Fresh,
    /// Everything is whole.
    Clean,
    /// The end of the log was being written; nothing promised is missing.
    TornTail,
    /// The newest snapshot is not whole; an older one and the log give the same state.
    Fallback,
    /// Something promised is missing behind bytes that are damaged.
    Corrupt,
    /// Something promised is missing altogether.
    Missing,
}

/// The facts that decide, for a store in which blobs were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub snapshot: SnapshotFound,
    pub log: LogFound,
    pub promise: Promise,
}

/// The recovery table: for every combination of facts, one row.
pub fn decide(found: Option<Facts>) -> Row {
    use {LogFound as L, Promise as P, SnapshotFound as S};
    let Some(facts) = found else { return Row::Fresh };
    match (facts.promise, facts.log, facts.snapshot) {
        (_, L::Gap, _) => Row::Missing,
        (_, L::Contradicts, _) => Row::Corrupt,
        (P::Broken, L::Ends | L::Torn, _) => Row::Corrupt,
        (P::Kept, L::Ends | L::Torn, S::Previous | S::Unusable) => Row::Fallback,
        (P::Kept, L::Ends, S::None | S::Newest) => Row::Clean,
        (P::Kept, L::Torn, S::None | S::Newest) => Row::TornTail,
    }
}

/// Frames that were promised and are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataLoss {
    pub from_seq: u64,
    /// The newest one known of.
    pub to_seq: u64,
    pub row: Row,
}

/// What opening found.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovered {
    pub row: Row,
    /// The state is the one after this frame.
    pub seq: u64,
    /// The snapshot it began from.
    pub snapshot_seq: Option<u64>,
    /// Frames replayed from the log.
    pub frames: u64,
    /// Bytes of the log that were not a whole frame.
    pub torn_bytes: u64,
    pub ms: f64,
    pub data_loss: Option<DataLoss>,
}

/// The base of a recovery: a snapshot, or nothing.
pub(crate) struct Start {
    map: Map,
    newest: Option<SnapshotInfo>,
    found: SnapshotFound,
    epoch: u64,
    promised_seq: u64,
    damaged: Vec<(Kind, u64)>,
    /// The generation whose segment goes on from it, and the seq of which it is.
    reached: (u64, u64),
    /// Takes what is replayed, if that is recorded.
    feed: Feed,
    /// Since the snapshot.
    changes: u64,
}

impl Start {
    /// What a store that follows holds already, and the newest snapshot that is known to be whole.
    pub fn known(State { map, log, feed, .. }: &State, newest: Option<SnapshotInfo>) -> Start {
        let newest_seq = newest.map_or(0, |newest| newest.seq);
        Start {
            map: map.clone(),
            newest,
            found: if newest.is_some() { SnapshotFound::Newest } else { SnapshotFound::None },
            epoch: log.epoch,
            promised_seq: newest_seq,
            damaged: Vec::new(),
            reached: (log.inherited.unwrap_or(0), log.last_seq),
            feed: Feed { recording: feed.recording, bytes: Vec::new() },
            changes: log.last_seq.saturating_sub(newest_seq),
        }
    }
}

/// A segment in memory, with its header if that can be used.
struct Segment {
    generation: u64,
    header: Option<log::Header>,
    bytes: Vec<u8>,
}

/// What the segments say.
struct Tail {
    found: LogFound,
    last_seq: u64,
    frames: u64,
    changes: u64,
    torn_bytes: u64,
    promised_seq: u64,
    epoch: u64,
    /// The newest segment that has frames, and may have some that were never synced.
    inherited: Option<u64>,
    /// The first seq of that segment; everything in front of it was synced.
    synced_before_seq: u64,
}

/// Recovers what the backend holds.
///
/// A store that follows may have most of it: then only what is newer than what is `known` is read, if the backend goes on from it.
/// Says whether it did.
pub(crate) async fn recover(
    backend: &dyn Backend,
    host: &dyn Host,
    options: &Options,
    mut known: Option<Start>,
) -> Result<(State, bool)> {
    let started_ms = host.now_ms();
    // 2 list: the listing is the manifest
    let blobs = backend.list().await?;
    let fresh = blobs.is_empty();
    let (mut snapshots, segments) = sort_by_kind(blobs);
    let newest = [snapshots.first(), segments.last()].into_iter().flatten();
    let newest_generation = newest.fold(0, |newest, blob| blob.generation.max(newest));
    let (mut start, tail, promised_seq, row, is_known) = loop {
        // 3 newest valid snapshot, else the previous one
        let (mut start, is_known) = match known.take() {
            Some(start) => (start, true),
            None => (load_newest_snapshot(backend, &snapshots).await?, false),
        };
        let (generation, seq) = start.reached;
        // 4 replay segments, stop at the first frame that does not fit
        let read = read_segments(backend, &segments, generation).await?;
        if read.iter().any(|segment| segment.replaces(generation + u64::from(is_known), seq)) {
            if !is_known {
                snapshots.retain(|snapshot| snapshot.generation != generation);
            }
            continue;
        }
        let tail = replay_segments(&read, &mut start, host);
        // 5 one row of the table decides
        let promised_seq = start.promised_seq.max(tail.promised_seq);
        let promise = if promised_seq > tail.last_seq { Promise::Broken } else { Promise::Kept };
        let row = decide((!fresh).then_some(Facts { snapshot: start.found, log: tail.found, promise }));
        let newest_seq = start.newest.map_or(0, |newest| newest.seq);
        let goes_on = matches!(row, Row::Clean | Row::TornTail)
            // A newer snapshot may hold what was never in the log.
            && start.newest.map(|newest| newest.blob()) == snapshots.first().copied()
            && tail.last_seq >= seq
            && (tail.inherited.is_some() || newest_seq == seq);
        if !is_known || goes_on {
            break (start, tail, promised_seq, row, is_known);
        }
    };
    let data_loss = match row {
        Row::Fresh | Row::Clean | Row::TornTail | Row::Fallback => None,
        Row::Corrupt | Row::Missing => {
            let from_seq = tail.last_seq + 1;
            Some(DataLoss { from_seq, to_seq: promised_seq.max(from_seq), row })
        }
    };
    if let (Some(loss), options::Recovery::Strict) = (&data_loss, options.recovery) {
        let mut error =
            Error::new(Code::Corrupt, "the data is damaged; recovery \"pointInTime\" opens what was before");
        error.seq = Some(loss.from_seq);
        return Err(error);
    }
    // 6 serve; report what was found
    if data_loss.is_none() {
        start.damaged.clear();
    }
    // A snapshot does not say that it was synced; what was written behind it does.
    let disk_seq = tail.promised_seq.max(tail.synced_before_seq).min(tail.last_seq);
    let snapshot = start.newest.filter(|_| tail.inherited.is_none()).map(|newest| newest.generation);
    let mut log = Log::new(
        tail.last_seq,
        disk_seq,
        start.epoch.max(tail.epoch) + 1,
        newest_generation.saturating_add(1),
        tail.inherited.or(snapshot),
    );
    log.inherited_snapshot = snapshot;
    log.segments = segments;
    // What such a store wrote next could not be read back. No honest one comes near: it would take a million frames
    // a second for a century.
    let poison = (log.last_seq.max(log.epoch).max(log.next_generation) > NUMBER_MAX / 2)
        .then(|| Error::new(Code::Corrupt, "no numbers are left"));
    let recovered = Recovered {
        row,
        seq: tail.last_seq,
        snapshot_seq: start.newest.map(|newest| newest.seq),
        frames: tail.frames,
        torn_bytes: tail.torn_bytes,
        ms: host.now_ms() - started_ms,
        data_loss,
    };
    let state = State {
        map: start.map,
        log,
        snapshots: Snapshots::new(start.newest, tail.changes, host.now_ms(), start.damaged),
        phase: Phase::Open,
        poison,
        recovered,
        feed: start.feed,
    };
    Ok((state, is_known))
}

/// Snapshots newest first, segments oldest first. Names of no kind are left alone.
fn sort_by_kind(blobs: Vec<Blob>) -> (Vec<BlobSize>, Vec<BlobSize>) {
    let (mut snapshots, mut segments) = (Vec::<BlobSize>::new(), Vec::<BlobSize>::new());
    for blob in blobs {
        let Some((kind, generation)) = parse_name(&blob.name) else { continue };
        // A handful of names: inserting in place costs less code than sorting.
        let (among, at) = match kind {
            Kind::Snapshot => {
                let at = snapshots.partition_point(|other| other.generation > generation);
                (&mut snapshots, at)
            }
            Kind::Log => {
                let at = segments.partition_point(|other| other.generation < generation);
                (&mut segments, at)
            }
        };
        among.insert(at, BlobSize { generation, bytes: blob.bytes });
    }
    (snapshots, segments)
}

fn newer_version() -> Error {
    Error::new(Code::Version, "a newer version of Holdfast wrote this store")
}

async fn load_newest_snapshot(backend: &dyn Backend, snapshots: &[BlobSize]) -> Result<Start> {
    let mut start = Start {
        map: Map::default(),
        newest: None,
        found: if snapshots.is_empty() { SnapshotFound::None } else { SnapshotFound::Unusable },
        epoch: 0,
        promised_seq: 0,
        damaged: Vec::new(),
        reached: (0, 0),
        feed: Feed::default(),
        changes: 0,
    };
    for (age, named) in snapshots.iter().enumerate() {
        let mut blocks = Vec::new();
        let name = blob_name(Kind::Snapshot, named.generation);
        let loaded = load_snapshot(backend, &name, READ_BYTES, None, &mut |block| blocks.push(Rc::new(block))).await?;
        let whole = match loaded {
            Err(Damage::Newer(_)) => return Err(newer_version()),
            Ok(header) if header.generation == named.generation => Base::new(blocks).map(|base| (header, base)),
            _ => None,
        };
        let Some((header, base)) = whole else {
            start.damaged.push((Kind::Snapshot, named.generation));
            continue;
        };
        start.map = Map::new(base, header.seq);
        start.newest = Some(SnapshotInfo { generation: named.generation, seq: header.seq, bytes: named.bytes });
        start.found = if age == 0 { SnapshotFound::Newest } else { SnapshotFound::Previous };
        start.epoch = header.epoch;
        start.promised_seq = header.seq;
        start.reached = (named.generation, header.seq);
        break;
    }
    Ok(start)
}

/// Reads a snapshot, verifies it whole and hands its blocks on; where a store is named, its log goes first. The outer error is
/// the backend's.
pub(crate) async fn load_snapshot(
    backend: &dyn Backend,
    name: &str,
    read_bytes: u32,
    behind: Option<&Store>,
    block: &mut dyn FnMut(Block),
) -> Result<std::result::Result<Header, Damage>> {
    let mut reader = Reader::default();
    let mut offset = 0;
    loop {
        if let Some(store) = behind {
            store.let_log_go_first().await;
        }
        let bytes = backend.read(name, offset, read_bytes).await?;
        offset += bytes.len() as u64;
        if let Err(damage) = reader.push(&bytes, block) {
            return Ok(Err(damage));
        }
        if bytes.len() < read_bytes as usize {
            return Ok(reader.finish());
        }
    }
}

/// Replays the segments over the start. Waits for nothing: everything was read.
fn replay_segments(segments: &[Segment], start: &mut Start, host: &dyn Host) -> Tail {
    let (first_generation, base_seq) = start.reached;
    let mut tail = Tail {
        found: LogFound::Ends,
        last_seq: base_seq,
        frames: 0,
        changes: start.changes,
        torn_bytes: 0,
        promised_seq: 0,
        epoch: 0,
        inherited: None,
        synced_before_seq: 0,
    };
    let damaged = &mut start.damaged;
    for (number, segment) in segments.iter().enumerate() {
        if segment.generation < first_generation {
            continue;
        }
        let Some(header) = &segment.header else {
            tail.stop_at(LogFound::Torn, segment.bytes.len(), segment, damaged);
            continue;
        };
        tail.epoch = tail.epoch.max(header.epoch);
        // A later segment's word counts: it was begun by someone who had recovered what came before it.
        let later = segments[number + 1..].iter().filter_map(|later| later.header.map(|header| header.first_seq));
        let superseded_from = later.fold(u64::MAX, u64::min);
        if header.first_seq >= superseded_from {
            continue;
        }
        // Nothing gets into a segment before everything in front of it is synced.
        tail.promised_seq = tail.promised_seq.max(header.first_seq - 1);
        if header.first_seq > tail.last_seq + 1 {
            // Nothing of it is applied, but what it promised is known.
            let promised_seq = log::promised_behind(&segment.bytes, header, tail.last_seq, superseded_from);
            tail.promised_seq = tail.promised_seq.max(promised_seq);
            tail.stop_at(LogFound::Gap, 0, segment, damaged);
            continue;
        }
        let (changes, frames) = (&mut tail.changes, &mut tail.frames);
        let (map, feed) = (&mut start.map, &mut start.feed);
        let found = log::replay(&segment.bytes, header, superseded_from, &mut |seq, ops| {
            if seq <= base_seq {
                return true;
            }
            let fits = apply(map, seq, ops, Cause::Asked, host, feed, changes).is_some();
            *frames += u64::from(fits);
            fits
        });
        tail.promised_seq = tail.promised_seq.max(found.promised_seq);
        tail.last_seq = found.last_seq;
        tail.inherited = Some(segment.generation);
        tail.synced_before_seq = header.first_seq - 1;
        tail.found = LogFound::Ends;
        let torn_bytes = segment.bytes.len() - found.good_bytes;
        match found.stop {
            Stop::End | Stop::Superseded => {}
            Stop::Torn => tail.stop_at(LogFound::Torn, torn_bytes, segment, damaged),
            Stop::Contradiction => tail.stop_at(LogFound::Contradicts, torn_bytes, segment, damaged),
        }
    }
    tail
}

impl Segment {
    /// Whether whoever began it had recovered a state without that snapshot: the word of the segment counts.
    fn replaces(&self, generation: u64, seq: u64) -> bool {
        self.generation >= generation && self.header.is_some_and(|header| header.first_seq <= seq)
    }
}

impl Tail {
    fn stop_at(&mut self, found: LogFound, torn_bytes: usize, at: &Segment, damaged: &mut Vec<(Kind, u64)>) {
        self.found = self.found.max(found);
        self.torn_bytes += torn_bytes as u64;
        damaged.push((Kind::Log, at.generation));
    }
}

/// Applies a frame's ops, all or none, and says how many live entries they removed; nothing if they do not decode.
pub(crate) fn apply(
    map: &mut Map,
    seq: u64,
    mut ops: Ops<'_>,
    cause: Cause,
    host: &dyn Host,
    feed: &mut Feed,
    changes: &mut u64,
) -> Option<u64> {
    let mut decoded = Vec::new();
    loop {
        match ops.next_op() {
            Ok(Some(op)) => decoded.push(op),
            Ok(None) => break,
            Err(_) => return None,
        }
    }
    let mut removed = 0;
    for op in &decoded {
        let feed = if feed.recording == Recording::On { Some(&mut feed.bytes) } else { None };
        removed += apply_op(map, op, cause, seq, host, feed);
    }
    *changes += decoded.len() as u64;
    Some(removed)
}

/// Reads the segments of a generation and later ones whole; the headers say which of their frames count.
async fn read_segments(backend: &dyn Backend, sizes: &[BlobSize], first_generation: u64) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for BlobSize { generation, .. } in sizes {
        let name = blob_name(Kind::Log, *generation);
        let mut bytes = Vec::new();
        let mut done = *generation < first_generation;
        while !done {
            let more = backend.read(&name, bytes.len() as u64, READ_BYTES).await?;
            bytes.extend_from_slice(&more);
            done = more.len() < READ_BYTES as usize;
        }
        let header = match log::read_header(&bytes) {
            Err(HeaderFault::Newer(_)) => return Err(newer_version()),
            Ok(header) if header.generation == *generation => Some(header),
            _ => None,
        };
        segments.push(Segment { generation: *generation, header, bytes });
    }
    Ok(segments)
}
