//! The IndexedDB backend in a page: what every backend does, and what only this one promises.

#![cfg(target_arch = "wasm32")]

#[path = "support/conformance.rs"]
mod conformance;

use conformance::{Opener, blob, content, listing, noise, remove};
use holdfast::backend::idb::{self, CHUNK_BYTES_MAX, IdbBackend};
use holdfast::backend::{Backend, Sync};
use holdfast::{Code, Error};
use js_sys::{Array, Function, Promise};
use std::cell::Cell;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

fn opener() -> Box<Opener> {
    Box::new(|name| {
        Box::pin(async move { IdbBackend::open(&name).await.map(|storage| Box::new(storage) as Box<dyn Backend>) })
    })
}

macro_rules! idb {
    ($($case:ident)*) => {
        $(#[wasm_bindgen_test]
        async fn $case() {
            conformance::$case(&*opener(), stringify!($case)).await;
        })*
    };
}

each_case!(idb);

/// Runs JavaScript that sees `store`, the name of a store, and `promise`, which turns a request into a promise.
async fn script(store: &str, body: &str) -> JsValue {
    let whole = format!(
        "const promise = (request) => new Promise((resolve, reject) => {{
            request.onsuccess = () => resolve(request.result);
            request.onerror = () => reject(request.error);
        }});
        return (async () => {{ {body} }})();"
    );
    let started = Function::new_with_args("store", &whole).call1(&JsValue::NULL, &store.into()).unwrap();
    JsFuture::from(Promise::resolve(&started)).await.unwrap()
}

/// Runs JavaScript on an open connection `database` to a store's database.
async fn on_database(store: &str, body: &str) -> JsValue {
    let body = format!(
        "const database = await promise(indexedDB.open('holdfast:' + store));
        try {{ {body} }} finally {{ database.close(); }}"
    );
    script(store, &body).await
}

async fn append(storage: &IdbBackend, name: &str, bytes: &[u8]) -> Result<(), Error> {
    storage.append(name, bytes, Sync::Buffered).await
}

#[wasm_bindgen_test]
async fn records_are_small_and_never_rewritten() {
    let storage = IdbBackend::open("records").await.unwrap();
    append(&storage, "log-1", &noise(1, 100)).await.unwrap();
    append(&storage, "log-1", &noise(2, 2 * CHUNK_BYTES_MAX + 1)).await.unwrap();
    append(&storage, "log-1", &noise(3, 5)).await.unwrap();
    storage.close().await.unwrap();
    let found = on_database(
        "records",
        "const chunks = database.transaction('chunks').objectStore('chunks');
        const [keys, values] = await Promise.all([promise(chunks.getAllKeys()), promise(chunks.getAll())]);
        return keys.map((key, at) => [key[0], key[1], values[at].byteLength, values[at].buffer.byteLength].join());",
    )
    .await;
    let found: Vec<String> = Array::from(&found).iter().map(|row| row.as_string().unwrap()).collect();
    assert_eq!(
        found,
        [
            "log-1,100,100,100",
            "log-1,61540,61440,61440",
            "log-1,122980,61440,61440",
            "log-1,122981,1,1",
            "log-1,122986,5,5"
        ]
    );
}

#[wasm_bindgen_test]
async fn large_calls_one_after_the_other_use_one_buffer() {
    let storage = IdbBackend::open("one buffer").await.unwrap();
    let watch = "self.buffers = 0;
        self.Plain = Uint8Array;
        self.Uint8Array = new Proxy(Uint8Array, { construct(target, given) {
            if (given[0] >= 65536) self.buffers++;
            return new target(...given);
        } });";
    script("", watch).await;
    let whole = noise(1, 20 * 100_000);
    for part in whole.chunks(100_000) {
        append(&storage, "log-1", part).await.unwrap();
    }
    let written = script("", "return self.buffers").await;
    // Records that begin and end beside what is asked for are larger, up to a size.
    for at in (0..whole.len()).step_by(256 << 10) {
        let end = whole.len().min(at + (256 << 10));
        assert!(storage.read("log-1", at as u64, 256 << 10).await.unwrap() == whole[at..end]);
    }
    let all = script("", "self.Uint8Array = self.Plain; return self.buffers").await;
    storage.close().await.unwrap();
    assert_eq!(written, 1);
    assert!(all.as_f64().unwrap() <= 5.0, "{all:?} buffers");
}

#[wasm_bindgen_test]
async fn an_overtaken_writer_changes_nothing() {
    let old = IdbBackend::open("overtaken").await.unwrap();
    append(&old, "log-1", b"old").await.unwrap();
    let new = IdbBackend::open("overtaken").await.unwrap();
    assert_eq!(content(&new, "log-1").await, b"old");
    append(&old, "log-1", b" still").await.unwrap();
    append(&new, "log-2", b"new").await.unwrap();
    for _ in 0..2 {
        assert_eq!(append(&old, "log-1", b" late").await.unwrap_err().code, Code::Fenced);
        assert_eq!(old.append("log-9", b"late", Sync::Synced).await.unwrap_err().code, Code::Fenced);
        assert_eq!(old.remove(&["log-2".to_owned()]).await.unwrap_err().code, Code::Fenced);
        assert_eq!(old.sync("log-1").await.unwrap_err().code, Code::Fenced);
    }
    append(&new, "log-2", b"er").await.unwrap();
    assert_eq!(listing(&new).await, [blob("log-1", 9), blob("log-2", 5)]);
    assert_eq!(content(&new, "log-1").await, b"old still");
    assert_eq!(content(&new, "log-2").await, b"newer");
    old.close().await.unwrap();
    new.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn of_two_that_opened_at_once_the_first_writer_wins() {
    let first = IdbBackend::open("at once").await.unwrap();
    let second = IdbBackend::open("at once").await.unwrap();
    append(&second, "log-1", b"second").await.unwrap();
    assert_eq!(append(&first, "log-1", b"first").await.unwrap_err().code, Code::Fenced);
    assert_eq!(content(&first, "log-1").await, b"second");
    first.close().await.unwrap();
    second.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn who_listed_before_the_last_write_cannot_take_over() {
    let writer = IdbBackend::open("stale list").await.unwrap();
    append(&writer, "log-1", b"seen").await.unwrap();
    let stale = IdbBackend::open("stale list").await.unwrap();
    assert_eq!(listing(&stale).await, [blob("log-1", 4)]);
    append(&writer, "log-1", b", and acknowledged after").await.unwrap();
    assert_eq!(append(&stale, "log-2", b"x").await.unwrap_err().code, Code::Fenced);
    // What it may go on from is what it saw first: an engine that asks again, for another, has not read that.
    assert_eq!(listing(&stale).await, [blob("log-1", 28)]);
    assert_eq!(append(&stale, "log-2", b"x").await.unwrap_err().code, Code::Fenced);
    stale.close().await.unwrap();
    let anew = IdbBackend::open("stale list").await.unwrap();
    assert_eq!(listing(&anew).await, [blob("log-1", 28)]);
    append(&anew, "log-2", b"x").await.unwrap();
    assert_eq!(append(&writer, "log-1", b"late").await.unwrap_err().code, Code::Fenced);
    writer.close().await.unwrap();
    anew.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn only_what_must_be_is_strict_and_nothing_is_relaxed() {
    script(
        "",
        "self.asked = [];
        self.original = IDBDatabase.prototype.transaction;
        IDBDatabase.prototype.transaction = function (stores, mode, options) {
            if (mode === 'readwrite') self.asked.push(options?.durability ?? 'default');
            return self.original.call(this, stores, mode, options);
        };",
    )
    .await;
    let storage = IdbBackend::open("strict").await.unwrap();
    append(&storage, "log-1", b"x").await.unwrap();
    storage.append("log-1", b"x", Sync::Synced).await.unwrap();
    storage.sync("log-1").await.unwrap();
    remove(&storage, &["log-1"]).await;
    storage.close().await.unwrap();
    let asked =
        script("", "IDBDatabase.prototype.transaction = self.original; return self.asked.splice(0).join()").await;
    assert_eq!(asked, "default,strict,strict,strict");
}

/// How long every transaction that removes was: its durability and its range.
const WATCH_REMOVALS: &str = "self.removals = [];
    self.original = IDBObjectStore.prototype.delete;
    IDBObjectStore.prototype.delete = function (range) {
        self.removals.push(`${this.transaction.durability} ${range.lower[1]} ${range.upper[1]}`);
        return self.original.call(this, range);
    };";
const REMOVALS: &str = "IDBObjectStore.prototype.delete = self.original; return self.removals.join()";

/// A blob of ten records.
async fn ten_records(storage: &IdbBackend, name: &str) {
    for seed in 0..5 {
        append(storage, name, &noise(seed, 2 * CHUNK_BYTES_MAX)).await.unwrap();
    }
}

#[wasm_bindgen_test]
async fn a_blob_is_removed_from_the_front_in_steps_between_which_others_write() {
    let storage = IdbBackend::open("steps").await.unwrap();
    ten_records(&storage, "snap-1").await;
    script("", WATCH_REMOVALS).await;
    let names = ["snap-1".to_owned()];
    let writing = async {
        append(&storage, "log-1", b"x").await.unwrap();
        script("", "self.removals.push('appended')").await
    };
    let (removed, _) = futures::future::join(storage.remove(&names), writing).await;
    removed.unwrap();
    let steps = script("", REMOVALS).await;
    // The next step begins as soon as the append has ended, which is told a little later.
    assert_eq!(
        steps.as_string().unwrap().replace("appended,", ""),
        "default 0 245760,default 245760 491520,strict 491520 737280"
    );
    assert!(!steps.as_string().unwrap().ends_with("appended"));
    assert_eq!(listing(&storage).await, [blob("log-1", 1)]);
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_removal_is_faster_than_any_appends_beside_it() {
    let storage = IdbBackend::open("faster").await.unwrap();
    let part = noise(1, 10 * CHUNK_BYTES_MAX);
    for _ in 0..4 {
        append(&storage, "log-1", &part).await.unwrap();
    }
    let removed = Cell::new(false);
    let names = ["log-1".to_owned()];
    let removing = async {
        storage.remove(&names).await.unwrap();
        removed.set(true);
    };
    let appending = async {
        let mut appends = 0;
        while !removed.get() {
            append(&storage, "log-2", &part).await.unwrap();
            appends += 1;
        }
        appends
    };
    let (_, appends) = futures::future::join(removing, appending).await;
    assert!(appends <= 4, "{appends} appends of as much as a quarter of what was removed");
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_blob_whose_removal_was_cut_short_has_no_bytes_and_can_be_removed() {
    let storage = IdbBackend::open("cut short").await.unwrap();
    ten_records(&storage, "snap-1").await;
    append(&storage, "snap-2", b"x").await.unwrap();
    storage.close().await.unwrap();
    let first_step = "const chunks = database.transaction('chunks', 'readwrite').objectStore('chunks');
        await promise(chunks.delete(IDBKeyRange.bound(['snap-1', 0], ['snap-1', 245760], true)))";
    on_database("cut short", first_step).await;
    let storage = IdbBackend::open("cut short").await.unwrap();
    assert_eq!(listing(&storage).await, [blob("snap-1", 10 * CHUNK_BYTES_MAX), blob("snap-2", 1)]);
    for bytes_max in [1, 120 << 10, 256 << 10, 1 << 20] {
        assert_eq!(storage.read("snap-1", 0, bytes_max).await.unwrap(), b"", "{bytes_max} bytes");
    }
    remove(&storage, &["snap-1"]).await;
    assert_eq!(listing(&storage).await, [blob("snap-2", 1)]);
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn who_writes_lists_without_asking_the_storage() {
    let storage = IdbBackend::open("lists").await.unwrap();
    append(&storage, "log-1", b"x").await.unwrap();
    let watch = "self.listings = 0;
        self.original = IDBObjectStore.prototype.getAllKeys;
        IDBObjectStore.prototype.getAllKeys = function () {
            self.listings++;
            return self.original.call(this);
        };";
    script("", watch).await;
    append(&storage, "snap-1", &noise(1, 2 * CHUNK_BYTES_MAX + 1)).await.unwrap();
    remove(&storage, &["log-1"]).await;
    assert_eq!(listing(&storage).await, [blob("snap-1", 2 * CHUNK_BYTES_MAX + 1)]);
    let listings = script("", "IDBObjectStore.prototype.getAllKeys = self.original; return self.listings").await;
    assert_eq!(listings, 0);
    storage.close().await.unwrap();
}

/// Puts a fault into every record that is added while the body runs.
async fn with_faulty_add<F: Future>(fault: &str, body: F) -> F::Output {
    let patch = format!(
        "self.add = IDBObjectStore.prototype.add;
        IDBObjectStore.prototype.add = function (value, key) {{ {fault} }};"
    );
    script("", &patch).await;
    let output = body.await;
    script("", "IDBObjectStore.prototype.add = self.add").await;
    output
}

#[wasm_bindgen_test]
async fn a_full_disk_is_quota_and_leaves_nothing_behind() {
    let faults = [
        // Chromium, and whoever refuses the request.
        "throw new DOMException('full', 'QuotaExceededError')",
        // Firefox, in a transaction that admits only deletes.
        "throw new DOMException('only deletes', 'InvalidStateError')",
    ];
    let storage = IdbBackend::open("full").await.unwrap();
    append(&storage, "log-1", b"before").await.unwrap();
    for fault in faults {
        let error = with_faulty_add(fault, append(&storage, "log-1", &[0; 1000])).await.unwrap_err();
        assert_eq!((error.code, error.bytes_needed), (Code::Quota, Some(1000)), "{fault}");
        assert!(error.cause.is_some());
        assert_eq!(listing(&storage).await, [blob("log-1", 6)]);
    }
    append(&storage, "log-1", b" and after").await.unwrap();
    assert_eq!(content(&storage, "log-1").await, b"before and after");
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn success_without_completion_is_a_failure() {
    let storage = IdbBackend::open("aborted").await.unwrap();
    append(&storage, "log-1", b"before").await.unwrap();
    let abort_after_success = "
        const request = self.add.call(this, value, key);
        request.addEventListener('success', () => this.transaction.abort());
        return request;";
    for bytes in [&b"lost"[..], b"lost again"] {
        let outcome = with_faulty_add(abort_after_success, append(&storage, "log-1", bytes)).await;
        assert_eq!(outcome.unwrap_err().code, Code::Unavailable);
    }
    append(&storage, "log-1", b" and after").await.unwrap();
    assert_eq!(content(&storage, "log-1").await, b"before and after");
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_failed_first_write_can_be_followed_by_another() {
    let storage = IdbBackend::open("first fails").await.unwrap();
    let fault = "throw new DOMException('full', 'QuotaExceededError')";
    with_faulty_add(fault, append(&storage, "log-1", b"lost")).await.unwrap_err();
    assert!(!idb::exists("first fails").await.unwrap());
    append(&storage, "log-1", b"kept").await.unwrap();
    assert_eq!(content(&storage, "log-1").await, b"kept");
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn opening_alone_writes_nothing() {
    let storage = IdbBackend::open("untouched").await.unwrap();
    assert!(!idb::exists("untouched").await.unwrap());
    assert!(idb::stores().await.unwrap().iter().all(|(name, _)| name != "untouched"));
    append(&storage, "log-1", b"x").await.unwrap();
    assert!(idb::exists("untouched").await.unwrap());
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn stores_are_found_and_destroyed() {
    let names = ["kept ümlaut", "kept", "", "a/b"];
    for (at, name) in names.into_iter().enumerate() {
        let storage = IdbBackend::open(name).await.unwrap();
        append(&storage, "log-1", &noise(1, 70_000)).await.unwrap();
        append(&storage, "log-2", &noise(1, at)).await.unwrap();
        storage.close().await.unwrap();
    }
    script("", "(await promise(indexedDB.open('somebody else'))).close()").await;
    let found = idb::stores().await.unwrap();
    for (at, name) in names.into_iter().enumerate() {
        assert!(found.contains(&(name.to_owned(), 70_000 + at as u64)), "{found:?}");
        assert!(idb::exists(name).await.unwrap());
        idb::destroy(name).await.unwrap();
        assert!(!idb::exists(name).await.unwrap());
    }
    let found = idb::stores().await.unwrap();
    assert!(found.iter().all(|(name, _)| !names.contains(&name.as_str()) && name != "somebody else"), "{found:?}");
}

#[wasm_bindgen_test]
async fn asking_for_a_store_that_never_was_creates_nothing() {
    assert!(!idb::exists("never").await.unwrap());
    let databases = script("", "return (await indexedDB.databases()).map((database) => database.name)").await;
    assert!(!Array::from(&databases).includes(&"holdfast:never".into(), 0));
    idb::destroy("never").await.unwrap();
}

#[wasm_bindgen_test]
async fn a_browser_that_cannot_list_databases_is_probed() {
    let storage = IdbBackend::open("probed").await.unwrap();
    append(&storage, "log-1", b"x").await.unwrap();
    storage.close().await.unwrap();
    script(
        "",
        "self.databases = IDBFactory.prototype.databases;
        delete IDBFactory.prototype.databases;",
    )
    .await;
    let (found, missing, listed) = (idb::exists("probed").await, idb::exists("not probed").await, idb::stores().await);
    script("", "IDBFactory.prototype.databases = self.databases").await;
    assert_eq!((found, missing, listed), (Ok(true), Ok(false), Ok(Vec::new())));
}

#[wasm_bindgen_test]
async fn an_open_store_is_not_destroyed() {
    let storage = IdbBackend::open("in use").await.unwrap();
    append(&storage, "log-1", b"x").await.unwrap();
    assert_eq!(idb::destroy("in use").await.unwrap_err().code, Code::Locked);
    assert_eq!(content(&storage, "log-1").await, b"x");
    storage.close().await.unwrap();
    idb::destroy("in use").await.unwrap();
}

#[wasm_bindgen_test]
async fn a_connection_that_does_not_yield_does_not_hang_destroy() {
    let storage = IdbBackend::open("stubborn").await.unwrap();
    append(&storage, "log-1", b"x").await.unwrap();
    storage.close().await.unwrap();
    script("stubborn", "self.stubborn = await promise(indexedDB.open('holdfast:' + store))").await;
    assert_eq!(idb::destroy("stubborn").await.unwrap_err().code, Code::Locked);
    script("stubborn", "self.stubborn.close()").await;
}

#[wasm_bindgen_test]
async fn yields_to_a_deletion_from_elsewhere() {
    let storage = IdbBackend::open("yielding").await.unwrap();
    append(&storage, "log-1", b"x").await.unwrap();
    script("yielding", "await promise(indexedDB.deleteDatabase('holdfast:' + store))").await;
    assert_eq!(append(&storage, "log-1", b"x").await.unwrap_err().code, Code::Fenced);
    assert_eq!(storage.list().await.unwrap_err().code, Code::Fenced);
    storage.close().await.unwrap();
    assert!(!idb::exists("yielding").await.unwrap());
}

/// Has the next transaction run, but `happens` done to it.
async fn next_transaction(happens: &str) {
    let body = format!(
        "const real = IDBDatabase.prototype.transaction;
        IDBDatabase.prototype.transaction = function (...args) {{
            IDBDatabase.prototype.transaction = real;
            const transaction = real.apply(this, args);
            {happens}
            return transaction;
        }}"
    );
    script("", &body).await;
}

const IS_LOST: &str = "transaction.abort(); throw new DOMException('closing', 'InvalidStateError');";
const COMMITS_BUT_LOOKS_LOST: &str = "transaction.addEventListener('complete', (event) => {
    event.stopImmediatePropagation();
    transaction.onabort();
});";

#[wasm_bindgen_test]
async fn fault_33_a_lost_connection_is_replaced_and_every_write_is_carried_out_once() {
    let storage = IdbBackend::open("lost").await.unwrap();
    let mut expected = Vec::new();
    // From the first write on, which also takes the term.
    for (round, happens) in [COMMITS_BUT_LOOKS_LOST, IS_LOST, COMMITS_BUT_LOOKS_LOST, IS_LOST].into_iter().enumerate() {
        for sync in [Sync::Buffered, Sync::Synced] {
            let bytes = noise(round as u64, CHUNK_BYTES_MAX + 7);
            // The first write lists, which is a transaction of its own.
            storage.list().await.unwrap();
            next_transaction(happens).await;
            storage.append("log-1", &bytes, sync).await.unwrap();
            expected.extend_from_slice(&bytes);
        }
        assert_eq!(content(&storage, "log-1").await, expected, "round {round}");
        next_transaction(happens).await;
        storage.sync("log-1").await.unwrap();
        append(&storage, "snap-1", b"x").await.unwrap();
        next_transaction(happens).await;
        storage.remove(&["snap-1".to_owned()]).await.unwrap();
        assert_eq!(listing(&storage).await, [blob("log-1", expected.len())]);
    }
    next_transaction(IS_LOST).await;
    assert_eq!(content(&storage, "log-1").await, expected);
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn fault_33_a_connection_is_not_replaced_under_a_newer_writer() {
    let storage = IdbBackend::open("lost to another").await.unwrap();
    append(&storage, "log-1", b"x").await.unwrap();
    let newer = IdbBackend::open("lost to another").await.unwrap();
    listing(&newer).await;
    append(&newer, "log-2", b"y").await.unwrap();
    next_transaction(IS_LOST).await;
    assert_eq!(append(&storage, "log-1", b"z").await.unwrap_err().code, Code::Fenced);
    assert_eq!(listing(&newer).await, [blob("log-1", 1), blob("log-2", 1)]);
    storage.close().await.unwrap();
    newer.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn foreign_records_are_corruption_not_a_crash() {
    let storage = IdbBackend::open("foreign").await.unwrap();
    append(&storage, "log-1", b"ours").await.unwrap();
    storage.close().await.unwrap();
    on_database(
        "foreign",
        "const chunks = database.transaction('chunks', 'readwrite').objectStore('chunks');
        for (const key of [7, 'text', ['x'], [['x'], 1], ['x', 'y'], [1, 2], new Date(), []]) chunks.put('foreign', key);
        await promise(chunks.put('not bytes', ['log-2', 9]));
        await promise(chunks.put(new Uint8Array(5), ['log-3', 9]));",
    )
    .await;
    let storage = IdbBackend::open("foreign").await.unwrap();
    let listed = listing(&storage).await;
    assert_eq!(listed, [blob("log-1", 4), blob("log-2", 9), blob("log-3", 9)]);
    assert_eq!(storage.read("log-2", 0, 100).await.unwrap_err().code, Code::Corrupt);
    assert_eq!(storage.read("log-3", 0, 100).await.unwrap_err().code, Code::Corrupt);
    assert_eq!(content(&storage, "log-1").await, b"ours");
    storage.close().await.unwrap();
    on_database(
        "foreign",
        "await promise(database.transaction('meta', 'readwrite').objectStore('meta').put('foreign', 'term'))",
    )
    .await;
    assert_eq!(IdbBackend::open("foreign").await.err().unwrap().code, Code::Corrupt);
}

#[wasm_bindgen_test]
async fn a_newer_schema_is_a_newer_version() {
    script("newer", "(await promise(indexedDB.open('holdfast:' + store, 2))).close()").await;
    assert_eq!(IdbBackend::open("newer").await.err().unwrap().code, Code::Version);
}

#[wasm_bindgen_test]
async fn no_database_to_be_had_is_unavailable() {
    let forbid = "self.open_ = IDBFactory.prototype.open; IDBFactory.prototype.open = () => {
        throw new DOMException('forbidden', 'SecurityError');
    }";
    script("", forbid).await;
    let error = IdbBackend::open("forbidden").await.err().unwrap();
    script("", "IDBFactory.prototype.open = self.open_").await;
    assert_eq!(error.code, Code::Unavailable);
    assert_eq!(error.cause.as_deref(), Some("SecurityError: forbidden"));
}

#[wasm_bindgen_test]
async fn without_indexeddb_nothing_opens_and_nothing_is_found() {
    let hide = "self.hidden = Object.getOwnPropertyDescriptor(self, 'indexedDB');
        Object.defineProperty(self, 'indexedDB', { value: undefined, configurable: true })";
    script("", hide).await;
    let opened = IdbBackend::open("hidden").await;
    let (listed, found, destroyed) = (idb::stores().await, idb::exists("hidden").await, idb::destroy("hidden").await);
    script("", "Object.defineProperty(self, 'indexedDB', self.hidden)").await;
    assert_eq!(opened.err().unwrap().code, Code::Unavailable);
    assert_eq!((listed, found, destroyed), (Ok(Vec::new()), Ok(false), Ok(())));
    assert!(!idb::exists("hidden").await.unwrap());
}
