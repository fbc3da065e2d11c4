//! Random histories against a `BTreeMap`: writes, checkpoints, killed and closed sessions, cut logs.
//!
//! After a kill the state is the one after every acknowledged batch; after a cut it is the one after a prefix of
//! them. A failing run prints its seed; `HOLDFAST_SEED` runs it again.

#[path = "support/host.rs"]
mod host;

use holdfast::backend::Backend;
use holdfast::backend::Sync;
use holdfast::backend::memory::{MemoryBackend, MemoryDisk};
use holdfast::op::Op;
use holdfast::{Durability, Level, Options, RewriteRule, Row, Store};
use host::Thread;
use std::collections::BTreeMap;
use std::rc::Rc;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("HOLDFAST_SEED") {
        Ok(seed) => vec![seed.parse().expect("HOLDFAST_SEED is a number")],
        Err(_) => std::iter::repeat_with(|| fastrand::u64(..)).take(count as usize).collect(),
    }
}

fn open(thread: &mut Thread, disk: &Rc<MemoryDisk>, options: &Options) -> Store {
    let (backend, host, options) = (Rc::new(MemoryBackend::new(disk.clone())), thread.host.clone(), options.clone());
    thread.run(async move { Store::open(backend, host, options).await }).expect("the store opens")
}

fn contents(store: &Store) -> Model {
    let mut all = Model::new();
    store.scan(None, holdfast::ScanRange::ALL, &mut |entry| {
        all.insert(entry.key.to_vec(), entry.value.to_vec());
        true
    });
    assert_eq!(store.count() as usize, all.len());
    all
}

fn random_batch(random: &mut fastrand::Rng, spread: u32) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let many = if random.u8(..) < 20 { random.usize(2..20) } else { 1 };
    std::iter::repeat_with(|| {
        let key = format!("key:{:05}", random.u32(..spread)).into_bytes();
        let bytes = if random.u8(..) < 3 { random.usize(..70_000) } else { random.usize(..150) };
        let value = (random.u8(..) >= 60).then(|| vec![random.u8(..); bytes]);
        (key, value)
    })
    .take(many)
    .collect()
}

fn write(store: &Store, batch: &[(Vec<u8>, Option<Vec<u8>>)]) -> u64 {
    let ops: Vec<Op<'_>> = batch
        .iter()
        .map(|(key, value)| match value {
            Some(value) => Op::Set { key, value, expires_at_ms: None },
            None => Op::Delete { key },
        })
        .collect();
    store.write(&ops).expect("the batch is taken").seq
}

fn apply(model: &mut Model, batch: &[(Vec<u8>, Option<Vec<u8>>)]) {
    for (key, value) in batch {
        match value {
            Some(value) => model.insert(key.clone(), value.clone()),
            None => model.remove(key),
        };
    }
}

#[test]
fn killed_and_closed_sessions_lose_nothing() {
    for seed in seeds(40) {
        println!("HOLDFAST_SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = Rc::new(MemoryDisk::default());
        let durability = [Durability::Always, Durability::Everysec, Durability::No][random.usize(..3)];
        let rewrite = RewriteRule { percentage: 100, min_bytes: 1 << random.u32(12..18) };
        let options = Options { durability, rewrite, ..Options::default() };
        let spread = random.u32(5..2000);
        let mut model = Model::new();
        for _ in 0..random.usize(1..8) {
            // A thread of its own, so that a killed session writes nothing afterwards.
            let mut thread = Thread::new(random.u64(..));
            let store = open(&mut thread, &disk, &options);
            assert_eq!(contents(&store), model);
            assert!(matches!(store.recovered().row, Row::Fresh | Row::Clean), "{:?}", store.recovered());
            for _ in 0..random.usize(..400) {
                match random.u8(..) {
                    0..4 => {
                        let checkpointing = store.clone();
                        thread.run(async move { checkpointing.checkpoint().await }).expect("a checkpoint");
                    }
                    4..6 => {
                        store.clear().expect("cleared");
                        model.clear();
                    }
                    6..20 => thread.pass(random.f64() * 2000.0),
                    _ => {
                        let batch = random_batch(&mut random, spread);
                        write(&store, &batch);
                        apply(&mut model, &batch);
                    }
                }
            }
            assert_eq!(contents(&store), model);
            let last = store.clone();
            if random.bool() {
                thread.run(async move { last.close().await }).expect("the store closes");
            } else {
                // What was acknowledged at `os` survives a kill; the session simply ends.
                let seq = last.request(Level::Os, u64::MAX).expect("asked");
                thread.run(async move { last.settled(seq, Level::Os).await }).expect("acknowledged");
            }
        }
    }
}

#[test]
fn a_cut_log_gives_the_state_after_a_prefix_of_the_batches() {
    for seed in seeds(30) {
        println!("HOLDFAST_SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut thread = Thread::new(seed);
        let disk = Rc::new(MemoryDisk::default());
        let options = Options { durability: Durability::Everysec, ..Options::default() };
        let store = open(&mut thread, &disk, &options);
        let mut states = vec![Model::new()];
        let mut checkpointed = 0;
        for _ in 0..random.usize(1..60) {
            if random.u8(..) < 20 {
                let checkpointing = store.clone();
                checkpointed = thread.run(async move { checkpointing.checkpoint().await }).expect("a checkpoint").seq;
            }
            let batch = random_batch(&mut random, 30);
            write(&store, &batch);
            let mut state = states[states.len() - 1].clone();
            apply(&mut state, &batch);
            states.push(state);
        }
        thread.pass(100.0);
        let logs = thread.run(list(disk.clone())).into_iter().filter(|name| name.starts_with("log-"));
        let newest = logs.max_by_key(|name| name[4..].parse::<u64>().ok()).expect("a log");
        let whole = thread.run(read(disk.clone(), newest.clone()));
        for _ in 0..20 {
            let cut = random.usize(..=whole.len());
            thread.run(replace(disk.clone(), newest.clone(), whole[..cut].to_vec()));
            let store = open(&mut thread, &disk, &options);
            let seq = store.seq();
            assert!(seq >= checkpointed, "a snapshot holds {checkpointed}, found {seq}");
            assert_eq!(contents(&store), states[seq as usize], "cut at {cut} of {}", whole.len());
            assert_eq!(store.recovered().data_loss, None, "nothing of it was promised");
        }
        thread.run(replace(disk.clone(), newest, whole));
        assert_eq!(open(&mut thread, &disk, &options).seq() as usize, states.len() - 1);
    }
}

async fn list(disk: Rc<MemoryDisk>) -> Vec<String> {
    let blobs = MemoryBackend::new(disk).list().await.expect("listed");
    blobs.into_iter().map(|blob| blob.name).collect()
}

async fn read(disk: Rc<MemoryDisk>, name: String) -> Vec<u8> {
    MemoryBackend::new(disk).read(&name, 0, u32::MAX).await.expect("read")
}

async fn replace(disk: Rc<MemoryDisk>, name: String, bytes: Vec<u8>) {
    let backend = MemoryBackend::new(disk);
    backend.remove(std::slice::from_ref(&name)).await.expect("removed");
    backend.append(&name, &bytes, Sync::Synced).await.expect("appended");
}
