//! What every backend does: one suite, applied to each of them.
//!
//! A case gets an [`Opener`], which opens one storage again and again, and a label that no other case has, so that it
//! can name storages of its own. `each_case!` hands the names of all cases to a macro, which makes the tests.
//! Deliberately absent: what only one backend promises (its own test file) and faults.

use holdfast::backend::{Backend, Blob, LocalFuture, NAME_BYTES_MAX, Sync};
use holdfast::{Code, Result};
use std::collections::BTreeMap;

/// Opens the storage of that name. One that was never opened is empty.
pub type Opener = dyn Fn(String) -> LocalFuture<'static, Result<Box<dyn Backend>>>;

/// IndexedDB keeps blobs in records of this many bytes: the places where ranges are likely to go wrong.
const CHUNK_BYTES: usize = 60 * 1024;

#[macro_export]
macro_rules! each_case {
    ($tests:ident) => {
        $tests! {
            never_written_is_empty
            reading_and_syncing_nothing_creates_nothing
            appending_nothing_creates_nothing
            appends_add_at_the_end
            ranges_end_at_the_end
            ranges_cross_chunks
            large_appends_arrive_whole
            blobs_are_separate
            names_of_every_legal_length
            removing_and_creating_again_shows_no_old_bytes
            removing_many_leaves_the_others
            removing_what_is_not_there
            reopening_finds_everything
            more_blobs_than_any_pool
            sync_covers_bytes_of_an_earlier_opening
            overlapping_calls_on_different_blobs
            overlapping_reads_see_whole_appends
            large_calls_that_overlap_share_no_bytes
            closing_ends_everything
            random_operations_match_a_model
        }
    };
}

pub async fn never_written_is_empty(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    assert_eq!(listing(&*storage).await, []);
    done(storage).await;
}

pub async fn reading_and_syncing_nothing_creates_nothing(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    assert_eq!(storage.read("log-1", 0, 100).await.unwrap(), b"");
    assert_eq!(storage.read("log-1", 1 << 40, u32::MAX).await.unwrap(), b"");
    storage.sync("log-1").await.unwrap();
    assert_eq!(listing(&*storage).await, []);
    done(storage).await;
}

pub async fn appending_nothing_creates_nothing(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    storage.append("log-1", b"", Sync::Buffered).await.unwrap();
    storage.append("log-1", b"", Sync::Synced).await.unwrap();
    assert_eq!(listing(&*storage).await, []);
    storage.append("log-1", b"a", Sync::Buffered).await.unwrap();
    storage.append("log-1", b"", Sync::Synced).await.unwrap();
    assert_eq!(listing(&*storage).await, [blob("log-1", 1)]);
    done(storage).await;
}

pub async fn appends_add_at_the_end(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    let mut expected = Vec::new();
    for (part, sync) in [("one", Sync::Buffered), ("", Sync::Buffered), ("two", Sync::Synced), ("3", Sync::Buffered)] {
        storage.append("log-1", part.as_bytes(), sync).await.unwrap();
        expected.extend_from_slice(part.as_bytes());
        assert_eq!(content(&*storage, "log-1").await, expected);
        assert_eq!(listing(&*storage).await, [blob("log-1", expected.len())]);
    }
    done(storage).await;
}

pub async fn ranges_end_at_the_end(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    for part in [&b"0123"[..], b"4", b"56789"] {
        storage.append("log-1", part, Sync::Buffered).await.unwrap();
    }
    let whole = b"0123456789";
    for offset in 0..=11_usize {
        for bytes_max in (0..=11).chain([u32::MAX]) {
            let start = offset.min(10);
            let end = offset.saturating_add(bytes_max as usize).min(10);
            let read = storage.read("log-1", offset as u64, bytes_max).await.unwrap();
            assert_eq!(read, whole[start..end], "{bytes_max} bytes at {offset}");
        }
    }
    assert_eq!(storage.read("log-1", (1 << 53) - 1, u32::MAX).await.unwrap(), b"");
    done(storage).await;
}

pub async fn ranges_cross_chunks(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    let mut whole = Vec::new();
    for (seed, bytes) in [100, CHUNK_BYTES, 1, 3 * CHUNK_BYTES - 7, CHUNK_BYTES + 1, 5000].into_iter().enumerate() {
        let part = noise(seed as u64, bytes);
        storage.append("snap-1", &part, Sync::Buffered).await.unwrap();
        whole.extend_from_slice(&part);
    }
    assert!(content(&*storage, "snap-1").await == whole);
    let edges =
        [0, 1, 99, 100, 101, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 100, CHUNK_BYTES + 101, whole.len() - 1];
    for start in edges {
        for bytes in [1, 2, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, whole.len()] {
            let read = storage.read("snap-1", start as u64, bytes as u32).await.unwrap();
            let end = (start + bytes).min(whole.len());
            assert!(read == whole[start..end], "{bytes} bytes at {start}: {} arrived or they differ", read.len());
        }
    }
    done(storage).await;
}

pub async fn large_appends_arrive_whole(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    let part = noise(1, (1 << 20) + 12345);
    for sync in [Sync::Buffered, Sync::Synced, Sync::Buffered] {
        storage.append("snap-1", &part, sync).await.unwrap();
    }
    assert_eq!(listing(&*storage).await, [blob("snap-1", 3 * part.len())]);
    assert!(content(&*storage, "snap-1").await == part.repeat(3));
    done(storage).await;
}

pub async fn blobs_are_separate(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    let names = ["log-1", "log-10", "log-2", "snap-1", "log-", "log", "LOG-1", "1"];
    for round in 0..3 {
        for (at, name) in names.into_iter().enumerate() {
            storage.append(name, &noise((round * 100 + at) as u64, 10 + at), Sync::Buffered).await.unwrap();
        }
    }
    for (at, name) in names.into_iter().enumerate() {
        let expected: Vec<u8> = (0..3).flat_map(|round| noise((round * 100 + at) as u64, 10 + at)).collect();
        assert_eq!(content(&*storage, name).await, expected, "{name}");
    }
    assert_eq!(listing(&*storage).await.len(), names.len());
    done(storage).await;
}

pub async fn names_of_every_legal_length(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    let names: Vec<String> = [1, 2, 46, NAME_BYTES_MAX].into_iter().map(|bytes| "z".repeat(bytes)).collect();
    for name in &names {
        storage.append(name, name.as_bytes(), Sync::Synced).await.unwrap();
    }
    let storage = again(open, label, storage).await;
    for name in &names {
        assert_eq!(content(&*storage, name).await, name.as_bytes());
    }
    done(storage).await;
}

pub async fn removing_and_creating_again_shows_no_old_bytes(open: &Opener, label: &str) {
    let mut storage = start(open, label).await;
    for round in 0..4 {
        let (long, short) = (noise(round, 200_000), noise(round + 100, 300));
        storage.append("log-1", &long, Sync::Synced).await.unwrap();
        remove(&*storage, &["log-1"]).await;
        assert_eq!(storage.read("log-1", 0, 1000).await.unwrap(), b"");
        assert_eq!(listing(&*storage).await, []);
        storage.append("log-1", &short, Sync::Synced).await.unwrap();
        storage.append("log-2", &short, Sync::Buffered).await.unwrap();
        storage = again(open, label, storage).await;
        assert_eq!(content(&*storage, "log-1").await, short);
        assert_eq!(content(&*storage, "log-2").await, short);
        remove(&*storage, &["log-1", "log-2"]).await;
        storage = again(open, label, storage).await;
        assert_eq!(listing(&*storage).await, []);
    }
    done(storage).await;
}

pub async fn removing_many_leaves_the_others(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    for number in 1..=6 {
        storage.append(&format!("log-{number}"), &noise(number, 70_000), Sync::Buffered).await.unwrap();
    }
    remove(&*storage, &["log-1", "log-5", "log-6", "log-3"]).await;
    let storage = again(open, label, storage).await;
    assert_eq!(listing(&*storage).await, [blob("log-2", 70_000), blob("log-4", 70_000)]);
    assert!(content(&*storage, "log-2").await == noise(2, 70_000));
    assert!(content(&*storage, "log-4").await == noise(4, 70_000));
    done(storage).await;
}

pub async fn removing_what_is_not_there(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    remove(&*storage, &[]).await;
    remove(&*storage, &["log-1", "log-1"]).await;
    storage.append("log-2", b"kept", Sync::Buffered).await.unwrap();
    remove(&*storage, &["log-1", "log", "log-20"]).await;
    assert_eq!(listing(&*storage).await, [blob("log-2", 4)]);
    done(storage).await;
}

pub async fn reopening_finds_everything(open: &Opener, label: &str) {
    let mut storage = start(open, label).await;
    let mut expected = Vec::new();
    for round in 0..4 {
        let part = noise(round, 1000 + 40_000 * round as usize);
        storage.append("log-1", &part, Sync::Buffered).await.unwrap();
        expected.extend_from_slice(&part);
        storage = again(open, label, storage).await;
        assert_eq!(listing(&*storage).await, [blob("log-1", expected.len())]);
        assert!(content(&*storage, "log-1").await == expected);
    }
    done(storage).await;
}

pub async fn more_blobs_than_any_pool(open: &Opener, label: &str) {
    let mut storage = start(open, label).await;
    for number in 0..20 {
        storage.append(&format!("log-{number}"), &noise(number, 100), Sync::Buffered).await.unwrap();
    }
    storage = again(open, label, storage).await;
    assert_eq!(listing(&*storage).await.len(), 20);
    for number in 0..20 {
        assert_eq!(content(&*storage, &format!("log-{number}")).await, noise(number, 100));
    }
    done(storage).await;
}

pub async fn sync_covers_bytes_of_an_earlier_opening(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    storage.append("log-1", b"before", Sync::Buffered).await.unwrap();
    let storage = again(open, label, storage).await;
    storage.sync("log-1").await.unwrap();
    storage.sync("log-2").await.unwrap();
    assert_eq!(listing(&*storage).await, [blob("log-1", 6)]);
    done(storage).await;
}

pub async fn overlapping_calls_on_different_blobs(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    let (log, snap) = (noise(1, 100_000), noise(2, 300_000));
    for _ in 0..3 {
        let (first, second, third, fourth) = futures::join!(
            storage.append("log-1", &log, Sync::Synced),
            storage.append("snap-1", &snap, Sync::Buffered),
            storage.append("log-2", &log, Sync::Buffered),
            storage.list(),
        );
        first.and(second).and(third).unwrap();
        fourth.unwrap();
    }
    assert!(content(&*storage, "log-1").await == log.repeat(3));
    assert!(content(&*storage, "snap-1").await == snap.repeat(3));
    let (kept, names) = (storage.append("log-2", &log, Sync::Buffered), ["log-1".to_owned(), "snap-1".to_owned()]);
    let (kept, removed, synced) = futures::join!(kept, storage.remove(&names), storage.sync("log-2"));
    kept.and(removed).and(synced).unwrap();
    assert_eq!(listing(&*storage).await, [blob("log-2", 4 * log.len())]);
    done(storage).await;
}

pub async fn overlapping_reads_see_whole_appends(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    let part = noise(1, 150_000);
    storage.append("log-1", &part, Sync::Buffered).await.unwrap();
    let (appended, read) =
        futures::join!(storage.append("log-1", &part, Sync::Buffered), storage.read("log-1", 0, 1 << 20),);
    appended.unwrap();
    let read = read.unwrap();
    assert!(read == part || read == part.repeat(2), "{} bytes", read.len());
    done(storage).await;
}

/// Of sizes whose buffers a backend may use again.
pub async fn large_calls_that_overlap_share_no_bytes(open: &Opener, label: &str) {
    let seed = new_seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let storage = start(open, label).await;
    let whole = noise(seed, 1 << 20);
    storage.append("snap-1", &whole, Sync::Buffered).await.unwrap();
    let mut expected = [Vec::new(), Vec::new()];
    for round in 0..6 {
        let mut range = || (random.usize(0..whole.len()), random.usize(CHUNK_BYTES..5 * CHUNK_BYTES));
        let ranges: Vec<_> = (0..4).map(|_| range()).collect();
        let parts: Vec<_> = (0..2).map(|_| range()).map(|(start, bytes)| noise(start as u64, bytes)).collect();
        let reads = ranges.iter().map(|&(start, bytes)| storage.read("snap-1", start as u64, bytes as u32));
        let appends =
            parts.iter().zip(["log-1", "log-2"]).map(|(part, name)| storage.append(name, part, Sync::Buffered));
        let (read, appended) = futures::join!(futures::future::join_all(reads), futures::future::join_all(appends));
        for (&(start, bytes), read) in ranges.iter().zip(read) {
            assert!(read.unwrap() == whole[start..(start + bytes).min(whole.len())], "seed {seed}, round {round}");
        }
        for ((expected, part), appended) in expected.iter_mut().zip(&parts).zip(appended) {
            appended.unwrap();
            expected.extend_from_slice(part);
        }
    }
    for (name, expected) in ["log-1", "log-2"].into_iter().zip(&expected) {
        assert!(content(&*storage, name).await == *expected, "{name}, seed {seed}");
    }
    done(storage).await;
}

pub async fn closing_ends_everything(open: &Opener, label: &str) {
    let storage = start(open, label).await;
    storage.append("log-1", b"kept", Sync::Buffered).await.unwrap();
    storage.close().await.unwrap();
    assert_eq!(storage.list().await.unwrap_err().code, Code::Closed);
    assert_eq!(storage.read("log-1", 0, 1).await.unwrap_err().code, Code::Closed);
    assert_eq!(storage.append("log-1", b"x", Sync::Synced).await.unwrap_err().code, Code::Closed);
    assert_eq!(storage.sync("log-1").await.unwrap_err().code, Code::Closed);
    assert_eq!(storage.remove(&["log-1".to_owned()]).await.unwrap_err().code, Code::Closed);
    storage.close().await.unwrap();
    let storage = again(open, label, storage).await;
    assert_eq!(content(&*storage, "log-1").await, b"kept");
    done(storage).await;
}

pub async fn random_operations_match_a_model(open: &Opener, label: &str) {
    let seed = new_seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut storage = start(open, label).await;
    for step in 0..150 {
        let context = || format!("seed {seed}, step {step}");
        let name = format!("log-{}", random.u32(0..8));
        match random.u32(0..100) {
            0..50 => {
                let bytes_max = [10, 2000, CHUNK_BYTES * 2][random.usize(0..3)];
                let bytes = noise(random.u64(..), random.usize(1..bytes_max));
                let sync = if random.bool() { Sync::Buffered } else { Sync::Synced };
                storage.append(&name, &bytes, sync).await.unwrap_or_else(|error| panic!("{error}, {}", context()));
                model.entry(name).or_default().extend_from_slice(&bytes);
            }
            50..75 => {
                let whole = model.get(&name).map_or(&[][..], Vec::as_slice);
                let start = random.usize(0..=whole.len());
                let bytes = random.usize(0..=CHUNK_BYTES * 3);
                let read = storage.read(&name, start as u64, bytes as u32).await.unwrap();
                assert!(read == whole[start..(start + bytes).min(whole.len())], "{name} at {start}, {}", context());
            }
            75..80 => storage.sync(&name).await.unwrap_or_else(|error| panic!("{error}, {}", context())),
            80..90 => {
                let names = [name, format!("log-{}", random.u32(0..8))];
                storage.remove(&names).await.unwrap_or_else(|error| panic!("{error}, {}", context()));
                model.retain(|name, _| !names.contains(name));
            }
            90..97 => {
                let expected: Vec<Blob> = model.iter().map(|(name, bytes)| blob(name, bytes.len())).collect();
                assert_eq!(listing(&*storage).await, expected, "{}", context());
            }
            _ => storage = again(open, label, storage).await,
        }
    }
    let storage = again(open, label, storage).await;
    let expected: Vec<Blob> = model.iter().map(|(name, bytes)| blob(name, bytes.len())).collect();
    assert_eq!(listing(&*storage).await, expected, "seed {seed}");
    for (name, bytes) in &model {
        assert!(content(&*storage, name).await == *bytes, "{name}, seed {seed}");
    }
    done(storage).await;
}

/// A different number each time. Off the web there is entropy to be had without asking for it.
fn new_seed() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return js_sys::Math::random().to_bits();
    #[cfg(not(target_arch = "wasm32"))]
    fastrand::u64(..)
}

/// Bytes that look random and are the same for the same seed.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut noise = vec![0; bytes];
    random.fill(&mut noise);
    noise
}

pub fn blob(name: &str, bytes: usize) -> Blob {
    Blob { name: name.to_owned(), bytes: bytes as u64 }
}

/// Every blob, sorted by name.
pub async fn listing(storage: &dyn Backend) -> Vec<Blob> {
    let mut blobs = storage.list().await.unwrap();
    blobs.sort_by(|one, other| one.name.cmp(&other.name));
    blobs
}

pub async fn content(storage: &dyn Backend, name: &str) -> Vec<u8> {
    storage.read(name, 0, u32::MAX).await.unwrap()
}

pub async fn remove(storage: &dyn Backend, names: &[&str]) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    storage.remove(&names).await.unwrap();
}

async fn start(open: &Opener, label: &str) -> Box<dyn Backend> {
    open(label.to_owned()).await.unwrap()
}

async fn again(open: &Opener, label: &str, storage: Box<dyn Backend>) -> Box<dyn Backend> {
    done(storage).await;
    start(open, label).await
}

async fn done(storage: Box<dyn Backend>) {
    storage.close().await.unwrap();
}
