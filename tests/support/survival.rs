//! What holds whatever bytes lie on the disk: for segments, snapshots, batches and whole directories.
//!
//! Nothing panics; nothing asks for more memory than the bytes explain; what is read is in order and reads the same
//! again. The functions [`segment`], [`snapshot`], [`batch`] and [`directory`] take the inputs of the fuzz targets, which
//! the files in `fuzz/corpus` are. The first byte of an input says how the rest is meant; all but batches can have their
//! checksums made to hold, because a fuzzer would rarely get past them.

use super::hostile;
use super::session::{Blobs, Session, disk_of, strict};
use fastrand::Rng;
use holdfast::frame::NUMBER_MAX;
use holdfast::log::{Kind, RESERVE_NAME, Stop, blob_name, parse_name};
use holdfast::map::Entry;
use holdfast::map::block::Block;
use holdfast::op::{Op, Ops, encode_batch};
use holdfast::{Code, KEY_BYTES_MAX, Level, Options, RewriteRule, log, snapshot};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

/// When nothing that a run stores has expired.
const FAR_MS: u64 = 1 << 52;

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

/// Runs the work, which must not ask for more memory than so many bytes of input explain.
fn explained<T>(input_bytes: usize, work: impl FnOnce() -> T) -> T {
    let (peak_bytes, output) = peak_bytes(work);
    assert!(peak_bytes <= (256 << 10) + 100 * input_bytes, "{peak_bytes} bytes of memory for {input_bytes}");
    output
}

/// The blob in an input: a byte, odd if the blob is to be sealed, and the blob. Also the rest of that byte.
fn blob_in(input: &[u8]) -> Option<(u8, Vec<u8>)> {
    let (mode, blob) = input.split_first()?;
    let mut blob = blob.to_vec();
    if mode & 1 == 1 {
        hostile::seal(&mut blob);
    }
    Some((mode >> 1, blob))
}

/// The ops of a batch, encoded anew.
fn encoded_again(mut ops: Ops<'_>) -> Option<Vec<u8>> {
    let mut decoded: Vec<Op<'_>> = Vec::new();
    while let Some(op) = ops.next_op().ok()? {
        decoded.push(op);
    }
    let mut encoded = Vec::new();
    encode_batch(ops.request, &decoded, &mut encoded);
    Some(encoded)
}

/// The payload of a frame.
pub fn batch(input: &[u8]) {
    let again = explained(input.len(), || Ops::decode(input).ok().and_then(encoded_again));
    let Some(again) = again else { return };
    assert!(again.len() <= input.len(), "a number has no shorter form than the one that is written");
    assert_eq!(Ops::decode(&again).ok().and_then(encoded_again).as_ref(), Some(&again));
}

/// What a segment says up to a seq: its frames' batches, and how reading it ended.
fn replayed(bytes: &[u8], header: &log::Header, superseded_from: u64) -> (Vec<Vec<u8>>, log::Replay) {
    let mut batches = Vec::new();
    let found = log::replay(bytes, header, superseded_from, &mut |seq, ops| {
        let Some(encoded) = encoded_again(ops) else { return false };
        assert_eq!(seq, header.first_seq + batches.len() as u64);
        batches.push(encoded);
        true
    });
    assert!(found.good_bytes <= bytes.len() && found.last_seq < NUMBER_MAX, "{found:?}");
    assert_eq!(found.last_seq, header.first_seq - 1 + batches.len() as u64);
    (batches, found)
}

/// A segment, replayed whole and up to some seq.
pub fn segment(input: &[u8]) {
    let Some((frames_wanted, bytes)) = blob_in(input) else { return };
    let Ok(header) = log::read_header(&bytes) else { return };
    let mut anew = Vec::new();
    log::write_header(&header, &mut anew);
    assert_eq!(log::read_header(&anew), Ok(header));

    let (batches, whole) = explained(bytes.len(), || replayed(&bytes, &header, u64::MAX));
    assert_ne!(whole.stop, Stop::Superseded);

    let (again, good) = replayed(&bytes[..whole.good_bytes], &header, u64::MAX);
    assert_eq!((&again, good.stop, good.good_bytes), (&batches, Stop::End, whole.good_bytes));
    assert!(good.promised_seq <= whole.promised_seq && good.promised_seq <= good.last_seq);

    let superseded_from = header.first_seq + u64::from(frames_wanted);
    let (some, found) = replayed(&bytes, &header, superseded_from);
    assert_eq!(some, batches[..batches.len().min(usize::from(frames_wanted))]);
    assert_eq!(found.stop == Stop::Superseded, batches.len() >= usize::from(frames_wanted));
}

type SnapshotRead = (Result<snapshot::Header, snapshot::Damage>, Vec<Block>);

fn read_snapshot(bytes: &[u8], piece_bytes: usize) -> SnapshotRead {
    let mut reader = snapshot::Reader::default();
    let mut blocks = Vec::new();
    for piece in bytes.chunks(piece_bytes) {
        if let Err(damage) = reader.push(piece, &mut |block| blocks.push(block)) {
            return (Err(damage), blocks);
        }
    }
    (reader.finish(), blocks)
}

/// A snapshot, read whole and in pieces, and every entry of its blocks.
pub fn snapshot(input: &[u8]) {
    let Some((piece_bytes, bytes)) = blob_in(input) else { return };
    let (found, blocks) = explained(bytes.len(), || read_snapshot(&bytes, usize::MAX));
    let (again, same) = read_snapshot(&bytes, usize::from(piece_bytes) + 1);
    assert_eq!(again, found);
    assert!(blocks.iter().map(Block::bytes).eq(same.iter().map(Block::bytes)));

    for block in &blocks {
        assert!(block.entry(block.entries()).is_none());
        for entry in (0..block.entries()).filter_map(|number| block.entry(number)) {
            assert!(entry.version <= block.version_base());
            assert!(block.get(entry.key).is_none_or(|other| other.key == entry.key));
            assert!(block.first_not(|key| key < entry.key) <= block.entries());
        }
    }
    if let Ok(header) = found {
        let mut anew = Vec::new();
        let mut writer = snapshot::Writer::new(&header, &mut anew);
        blocks.iter().for_each(|block| writer.chunk(block, &mut anew));
        writer.finish(&mut anew);
        assert_eq!(anew.len(), bytes.len());
        assert!(anew[snapshot::HEADER_BYTES..] == bytes[snapshot::HEADER_BYTES..], "there is one way to write it");
    }
}

/// The generations that numbers from this on stand for: those at which a store still takes writes, takes none, and does
/// not know the name any more.
const LIMITS_FROM: u8 = 0x78;
const LIMITS: [u64; 6] = [NUMBER_MAX / 2 - 2, NUMBER_MAX / 2, NUMBER_MAX / 2 + 1, NUMBER_MAX - 1, NUMBER_MAX, u64::MAX];

/// The name that a byte stands for: the high bit says snapshot, the others its generation.
fn name_of(byte: u8) -> String {
    let kind = if byte & 0x80 == 0 { Kind::Log } else { Kind::Snapshot };
    let number = byte & 0x7F;
    match (number.checked_sub(LIMITS_FROM), kind) {
        (None, _) => blob_name(kind, u64::from(number)),
        (Some(limit), _) if usize::from(limit) < LIMITS.len() => blob_name(kind, LIMITS[usize::from(limit)]),
        (_, Kind::Log) => RESERVE_NAME.to_owned(),
        (_, Kind::Snapshot) => "log-01".to_owned(),
    }
}

/// What the input of [`directory`] says: a byte, odd if the blobs are to be sealed; eight bytes, the seed of what is done
/// with the store; and for each blob a byte for its name ([`name_of`]), two for its size, little-endian, and its bytes.
fn directory_in(input: &[u8]) -> Option<(u64, Blobs)> {
    let (mode, rest) = input.split_first()?;
    let (seed, mut rest) = rest.split_first_chunk()?;
    let mut blobs = Blobs::new();
    while let Some((&[name, low, high], behind)) = rest.split_first_chunk() {
        let (bytes, others) = behind.split_at(behind.len().min(usize::from(u16::from_le_bytes([low, high]))));
        let mut bytes = bytes.to_vec();
        if mode & 1 == 1 {
            hostile::seal(&mut bytes);
        }
        blobs.insert(name_of(name), bytes);
        rest = others;
    }
    Some((u64::from_le_bytes(*seed), blobs))
}

/// The inverse of [`directory_in`], for generations below [`LIMITS_FROM`] and blobs below 64 KiB.
pub fn directory_input(mode: u8, seed: u64, blobs: &Blobs) -> Vec<u8> {
    let mut input = vec![mode];
    input.extend(seed.to_le_bytes());
    for (name, bytes) in blobs {
        let (kind, generation) = parse_name(name).expect("a name of the format");
        let high = if kind == Kind::Snapshot { 0x80 } else { 0 };
        input.push(high | u8::try_from(generation).expect("a small generation"));
        input.extend(u16::try_from(bytes.len()).expect("a small blob").to_le_bytes());
        input.extend_from_slice(bytes);
    }
    input
}

/// A directory: opened, worked on, and opened again.
pub fn directory(input: &[u8]) {
    if let Some((seed, blobs)) = directory_in(input) {
        survive(&mut Rng::with_seed(seed), &blobs);
    }
}

/// What is known of the snapshots in a directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blocks {
    /// Those that are whole hold what the engine could have written.
    Honest,
    /// Some may hold keys twice, out of order or where no search finds them: what is removed may come back.
    Forged,
}

fn blocks_in(blobs: &Blobs) -> Blocks {
    let is_honest = |bytes: &[u8]| {
        let (_, blocks) = read_snapshot(bytes, usize::MAX);
        let entries =
            blocks.iter().flat_map(|block| (0..block.entries()).map(move |number| (block, block.entry(number))));
        let mut last_key: Option<&[u8]> = None;
        let mut in_place = entries.map(|(block, entry)| {
            entry.is_some_and(|entry| {
                let in_order = last_key.replace(entry.key).is_none_or(|last| last < entry.key);
                in_order && block.get(entry.key).is_some()
            })
        });
        in_place.all(|is| is)
    };
    let snapshots = blobs.iter().filter(|(name, _)| matches!(parse_name(name), Some((Kind::Snapshot, _))));
    if snapshots.map(|(_, bytes)| bytes).all(|bytes| is_honest(bytes)) { Blocks::Honest } else { Blocks::Forged }
}

/// Opens the bytes, works on what opens, and opens again.
pub fn survive(random: &mut Rng, blobs: &Blobs) {
    let blocks = blocks_in(blobs);
    let input_bytes: usize = blobs.iter().map(|(name, bytes)| name.len() + bytes.len()).sum();
    let disk = disk_of(blobs);
    let rewrite = RewriteRule { percentage: 100, min_bytes: 4096 };
    let options = Options { rewrite, ..Options::default() };
    let opened = explained(input_bytes, || Session::open(&disk, &options, random.u64(..)));
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
        let key = known.filter(|_| random.bool()).unwrap_or_else(|| hostile::user_key(random));
        let value = hostile::noise(random, 100);
        let after = hostile::key(random);
        let range = holdfast::ScanRange { after: &after, ..holdfast::ScanRange::ALL };
        session.store.scan(None, range, &mut |_: Entry<'_>| random.u8(..10) > 0);
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
            _ => session.store.set(&key, &value, Some(FAR_MS)).map(|_| vec![(key, Some(value))]),
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
