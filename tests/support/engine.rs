//! The Rust engine on a browser's storage: one suite, applied to each backend that it opens directly.
//!
//! A case gets a [`Place`], which opens one storage again and again and has a name that no other case has. Deliberately
//! absent: what every backend does below the engine (`conformance.rs`), and the engine's rules (native tests).

use futures::future::join;
use holdfast::backend::{Backend, LocalFuture};
use holdfast::map::Entry;
use holdfast::op::Op;
use holdfast::{Durability, Host, Level, Options, Result, Row, Store};
use js_sys::{Function, Math, Promise};
use std::collections::BTreeMap;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};

/// What a store holds: values and versions by key.
type Contents = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

type Opening = LocalFuture<'static, Result<Rc<dyn Backend>>>;

/// A storage that is there between openings.
pub struct Place {
    pub name: String,
    pub open: fn(String) -> Opening,
    pub destroy: fn(String) -> LocalFuture<'static, Result<()>>,
}

#[macro_export]
macro_rules! each_engine_case {
    ($tests:ident) => {
        $tests! {
            a_new_store_is_fresh
            every_level_is_reached_under_every_durability
            a_closed_store_is_there_again
            a_store_that_was_not_closed_is_there_again
            a_checkpoint_takes_writes_meanwhile
            many_sessions_follow_each_other
        }
    };
}

/// The browser's own clock and timers.
pub struct BrowserHost;

impl Host for BrowserHost {
    fn now_ms(&self) -> f64 {
        js_sys::Date::now()
    }

    fn sleep(&self, delay_ms: u32) -> LocalFuture<'static, ()> {
        let timer = Function::new_with_args("ms", "return new Promise((done) => setTimeout(done, ms));");
        Box::pin(async move {
            let promise = timer.call1(&JsValue::NULL, &delay_ms.into()).expect("a timer");
            JsFuture::from(Promise::resolve(&promise)).await.expect("a timer");
        })
    }

    fn pause(&self) -> LocalFuture<'static, ()> {
        self.sleep(0)
    }

    fn spawn(&self, task: LocalFuture<'static, ()>) {
        spawn_local(task);
    }

    fn random(&self) -> u64 {
        (Math::random() * 2f64.powi(53)) as u64
    }
}

impl Place {
    /// Opens a store, and gives its backend, so that a case can take that away from it.
    async fn open(&self, durability: Durability) -> (Store, Rc<dyn Backend>) {
        let backend = (self.open)(self.name.clone()).await.expect("the storage opens");
        let options = Options { durability, ..Options::default() };
        let store = Store::open(backend.clone(), Rc::new(BrowserHost), options).await.expect("the store opens");
        (store, backend)
    }

    async fn done(&self, store: &Store) {
        store.close().await.expect("the store closes");
        (self.destroy)(self.name.clone()).await.expect("destroyed");
    }
}

fn contents(store: &Store) -> Contents {
    let mut all = Contents::new();
    store.scan(None, holdfast::ScanRange::ALL, &mut |entry: Entry<'_>| {
        all.insert(entry.key.to_vec(), (entry.value.to_vec(), entry.version));
        true
    });
    assert_eq!(store.count() as usize, all.len());
    for (key, (value, version)) in &all {
        assert!(store.get(key, |entry| entry.value == value && entry.version == *version).expect("it is there"));
    }
    all
}

/// Writes some entries of many sizes, removes some, and a batch; gives the newest seq.
fn write_some(store: &Store, round: u8) -> u64 {
    for number in 0..100u32 {
        let value = vec![round ^ number as u8; (number * 7) as usize];
        store.set(format!("key:{number:03}").as_bytes(), &value, Some(1 << 50)).expect("taken");
    }
    store.set("größer".as_bytes(), &vec![round; 200_000], None).expect("taken");
    store.delete(format!("key:{round:03}").as_bytes()).expect("taken");
    let mark = [round];
    let batch = [Op::Set { key: b"mark", value: &mark, expires_at_ms: None }, Op::Delete { key: b"key:050" }];
    store.write(&batch).expect("taken").seq
}

/// Waits until everything up to `seq` is at a level, asking for it.
async fn settle(store: &Store, seq: u64, level: Level) {
    store.request(level, seq).expect("asked");
    store.settled(seq, level).await.expect("acknowledged");
    assert!(store.reached_seq(level) >= seq);
}

pub async fn a_new_store_is_fresh(place: &Place) {
    let (store, _) = place.open(Durability::Everysec).await;
    assert_eq!((store.recovered().row, store.seq(), store.count()), (Row::Fresh, 0, 0));
    store.close().await.expect("the store closes");
    let (store, _) = place.open(Durability::Everysec).await;
    assert_eq!(store.recovered().row, Row::Fresh, "opening wrote nothing");
    place.done(&store).await;
}

pub async fn every_level_is_reached_under_every_durability(place: &Place) {
    for durability in [Durability::Always, Durability::Everysec, Durability::No] {
        let (store, _) = place.open(durability).await;
        for level in [Level::Applied, Level::Os, Level::Disk] {
            let seq = store.set(b"key", format!("{durability:?} {level:?}").as_bytes(), None).expect("taken");
            settle(&store, seq, level).await;
        }
        // Without asking: the durability's own level, and under `everysec` the disk within a second.
        let seq = store.set(b"key", b"unasked", None).expect("taken");
        store.settled(seq, durability.level()).await.expect("acknowledged");
        if durability != Durability::No {
            store.settled(seq, Level::Disk).await.expect("synced");
            assert_eq!(store.unsynced().frames, 0);
        }
        let seq = store.set(b"key", b"flushed", None).expect("taken");
        assert_eq!(store.flush().await, Ok(seq));
        store.close().await.expect("the store closes");
    }
    let (store, _) = place.open(Durability::Always).await;
    assert_eq!((store.recovered().row, store.seq()), (Row::Clean, 15));
    assert_eq!(contents(&store), Contents::from([(b"key".to_vec(), (b"flushed".to_vec(), 15))]));
    place.done(&store).await;
}

pub async fn a_closed_store_is_there_again(place: &Place) {
    for (round, durability) in [Durability::Always, Durability::Everysec, Durability::No].into_iter().enumerate() {
        let (store, _) = place.open(durability).await;
        write_some(&store, round as u8);
        let report = store.checkpoint().await.expect("a checkpoint");
        assert_eq!((report.seq, report.entries), (store.seq(), store.count()));
        write_some(&store, round as u8 + 10);
        let before = contents(&store);
        store.close().await.expect("the store closes");

        let (store, _) = place.open(durability).await;
        let found = store.recovered();
        assert_eq!((found.row, found.snapshot_seq, found.data_loss), (Row::Clean, Some(report.seq), None));
        assert_eq!(found.frames, found.seq - report.seq);
        assert!(contents(&store) == before, "{} of {} entries", store.count(), before.len());
        store.close().await.expect("the store closes");
    }
    (place.destroy)(place.name.clone()).await.expect("destroyed");
}

pub async fn a_store_that_was_not_closed_is_there_again(place: &Place) {
    for durability in [Durability::Always, Durability::Everysec, Durability::No] {
        let (store, backend) = place.open(durability).await;
        let seq = write_some(&store, 1);
        settle(&store, seq, Level::Os).await;
        let before = contents(&store);
        // What a killed tab does: the engine is not asked, and its handles are gone.
        backend.close().await.expect("the storage closes");

        let (store, _) = place.open(durability).await;
        assert_eq!((store.recovered().row, store.seq()), (Row::Clean, seq));
        assert!(contents(&store) == before, "{} of {} entries", store.count(), before.len());
        store.clear().expect("taken");
        place.done(&store).await;
    }
}

pub async fn a_checkpoint_takes_writes_meanwhile(place: &Place) {
    let (store, backend) = place.open(Durability::Everysec).await;
    for number in 0..10_000 {
        store.set(format!("key:{number:05}").as_bytes(), &[1; 100], None).expect("taken");
    }
    let (report, ()) = join(store.checkpoint(), async {
        for number in 0..100 {
            let seq = store.set(format!("key:{number:05}").as_bytes(), b"new", None).expect("taken");
            store.settled(seq, Level::Os).await.expect("acknowledged");
        }
    })
    .await;
    let report = report.expect("a checkpoint");
    assert_eq!((report.seq, report.entries), (10_000, 10_000));
    let before = contents(&store);
    backend.close().await.expect("the storage closes");

    let (store, _) = place.open(Durability::Everysec).await;
    let found = store.recovered();
    assert_eq!((found.row, found.snapshot_seq, found.frames), (Row::Clean, Some(10_000), 100));
    assert!(contents(&store) == before, "{} entries", store.count());
    place.done(&store).await;
}

pub async fn many_sessions_follow_each_other(place: &Place) {
    let mut expected = Contents::new();
    for session in 0..12 {
        let (store, backend) = place.open(Durability::Always).await;
        assert_eq!(contents(&store), expected, "session {session}");
        let seq = store.set(format!("session:{session:02}").as_bytes(), b"was here", None).expect("taken");
        settle(&store, seq, Level::Disk).await;
        if session % 5 == 4 {
            store.checkpoint().await.expect("a checkpoint");
        }
        expected = contents(&store);
        if session % 2 == 0 {
            backend.close().await.expect("the storage closes");
        } else {
            store.close().await.expect("the store closes");
        }
    }
    assert_eq!(expected.len(), 12);
    (place.destroy)(place.name.clone()).await.expect("destroyed");
}
