//! The OPFS backend in a dedicated worker: what every backend does, and what only this one promises.

#![cfg(target_arch = "wasm32")]

#[path = "support/conformance.rs"]
mod conformance;

use conformance::{Opener, blob, content, listing, noise, remove};
use holdfast::backend::opfs::{self, OpfsBackend};
use holdfast::backend::{Backend, Sync};
use holdfast::{Code, Error};
use js_sys::{Array, Function, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

const HEADER_BYTES: usize = 4096;
const SLOT_BYTES: usize = 72;

fn opener() -> Box<Opener> {
    Box::new(|name| {
        Box::pin(async move { OpfsBackend::open(&name).await.map(|storage| Box::new(storage) as Box<dyn Backend>) })
    })
}

macro_rules! opfs {
    ($($case:ident)*) => {
        $(#[wasm_bindgen_test]
        async fn $case() {
            conformance::$case(&*opener(), stringify!($case)).await;
        })*
    };
}

each_case!(opfs);

/// Runs JavaScript that sees `directory`, the directory of a store whose name needs no encoding, and `input`.
async fn script(store: &str, input: &JsValue, body: &str) -> JsValue {
    let whole = format!(
        "return (async () => {{
            const root = await navigator.storage.getDirectory();
            const stores = await root.getDirectoryHandle('holdfast', {{ create: true }});
            const directory = await stores.getDirectoryHandle(store, {{ create: true }});
            {body}
        }})();"
    );
    let started = Function::new_with_args("store, input", &whole).call2(&JsValue::NULL, &store.into(), input).unwrap();
    JsFuture::from(Promise::resolve(&started)).await.unwrap()
}

/// The names of everything in a store's directory, sorted.
async fn files(store: &str) -> String {
    let body =
        "const names = []; for await (const name of directory.keys()) names.push(name); return names.sort().join()";
    script(store, &JsValue::NULL, body).await.as_string().unwrap()
}

/// The whole content of a file of a closed store.
async fn peek(store: &str, file: u32) -> Vec<u8> {
    let body = "const file = await (await directory.getFileHandle(String(input))).getFile();
        return new Uint8Array(await file.arrayBuffer())";
    Uint8Array::from(script(store, &file.into(), body).await).to_vec()
}

/// Replaces the whole content of a file of a closed store.
async fn poke(store: &str, file: u32, bytes: &[u8]) {
    let input = Array::of2(&file.into(), &Uint8Array::from(bytes));
    let body = "const file = await directory.getFileHandle(String(input[0]), { create: true });
        const handle = await file.createSyncAccessHandle();
        handle.truncate(0);
        handle.write(input[1], { at: 0 });
        handle.close()";
    script(store, &input, body).await;
}

async fn append(storage: &OpfsBackend, name: &str, bytes: &[u8]) -> Result<(), Error> {
    storage.append(name, bytes, Sync::Buffered).await
}

/// The number of the file that holds a blob: the one whose last slot update names it.
async fn file_of(store: &str, name: &str) -> u32 {
    for file in 0..6 {
        let bytes = peek(store, file).await;
        let named = |slot: usize| bytes.get(slot + 17..).is_some_and(|rest| rest.starts_with(name.as_bytes()));
        if named(0) || named(2048) {
            return file;
        }
    }
    panic!("no file holds {name}");
}

/// Replaces a method of every synchronous handle while the body runs; the replacement sees `original` and `args`.
async fn with_faulty<F: Future>(method: &str, fault: &str, body: F) -> F::Output {
    let patch = Function::new_with_args(
        "method, fault",
        "const handles = FileSystemSyncAccessHandle.prototype;
        const original = handles[method];
        handles[method] = function (...args) { return fault.call(this, original, args); };
        return () => { handles[method] = original; };",
    );
    let fault = Function::new_with_args("original, args", fault);
    let restore: Function = patch.call2(&JsValue::NULL, &method.into(), &fault).unwrap().unchecked_into();
    let output = body.await;
    restore.call0(&JsValue::NULL).unwrap();
    output
}

#[wasm_bindgen_test]
async fn the_layout_is_what_the_format_says() {
    let storage = OpfsBackend::open("layout").await.unwrap();
    append(&storage, "log-1", b"hello").await.unwrap();
    storage.close().await.unwrap();
    assert_eq!(files("layout").await, "0,1,2,3,4,5,lock");
    let first = peek("layout", 0).await;
    assert_eq!(first.len(), HEADER_BYTES + 5);
    assert_eq!(first[HEADER_BYTES..], *b"hello");
    let mut slot = Vec::new();
    slot.extend_from_slice(b"HFPF\x01\0\0\0\x01\0\0\0\0\0\0\0\x05log-1");
    slot.resize(64, 0);
    slot.extend_from_slice(&xxhash_rust::xxh64::xxh64(&slot, 0).to_le_bytes());
    assert_eq!(first[..SLOT_BYTES], slot);
    assert!(first[SLOT_BYTES..HEADER_BYTES].iter().all(|byte| *byte == 0));

    let storage = OpfsBackend::open("layout").await.unwrap();
    remove(&storage, &["log-1"]).await;
    storage.close().await.unwrap();
    let freed = peek("layout", 0).await;
    assert_eq!(freed.len(), HEADER_BYTES);
    assert_eq!(freed[..SLOT_BYTES], slot, "an update leaves the slot that ruled alone");
    assert_eq!(freed[2048..2048 + 17], *b"HFPF\x01\0\0\0\x02\0\0\0\0\0\0\0\0");
}

#[wasm_bindgen_test]
async fn opening_alone_writes_nothing() {
    let storage = OpfsBackend::open("untouched").await.unwrap();
    assert_eq!(files("untouched").await, "lock");
    assert!(!opfs::exists("untouched").await.unwrap());
    assert!(opfs::stores().await.unwrap().iter().all(|(name, _)| name != "untouched"));
    append(&storage, "log-1", b"x").await.unwrap();
    assert!(opfs::exists("untouched").await.unwrap());
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn files_are_reused_and_never_removed() {
    let storage = OpfsBackend::open("reuse").await.unwrap();
    for generation in 0..30 {
        append(&storage, &format!("log-{generation}"), &noise(generation, 100)).await.unwrap();
        append(&storage, &format!("snap-{generation}"), &noise(generation, 1000)).await.unwrap();
        remove(&storage, &[&format!("log-{}", generation.wrapping_sub(2)), &format!("snap-{generation}")]).await;
    }
    storage.close().await.unwrap();
    assert_eq!(files("reuse").await, "0,1,2,3,4,5,lock");
}

#[wasm_bindgen_test]
async fn only_one_opening_at_a_time() {
    let storage = OpfsBackend::open("locked").await.unwrap();
    append(&storage, "log-1", b"x").await.unwrap();
    let error = OpfsBackend::open("locked").await.err().unwrap();
    assert_eq!(error.code, Code::Locked);
    assert!(error.cause.as_deref().unwrap().starts_with("NoModificationAllowedError"));
    append(&storage, "log-1", b"y").await.unwrap();
    storage.close().await.unwrap();
    let storage = OpfsBackend::open("locked").await.unwrap();
    assert_eq!(content(&storage, "log-1").await, b"xy");
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn opening_waits_for_a_holder_that_lets_go() {
    let holder = OpfsBackend::open("handed over").await.unwrap();
    append(&holder, "log-1", b"x").await.unwrap();
    let refused = "self.refused = 0;
        const create = FileSystemFileHandle.prototype.createSyncAccessHandle;
        self.restore = () => { FileSystemFileHandle.prototype.createSyncAccessHandle = create; };
        return new Promise((done) => {
            self.three = new Promise((three) => {
                FileSystemFileHandle.prototype.createSyncAccessHandle = async function () {
                    try { return await create.call(this); } catch (error) { if (++self.refused === 3) three(); throw error; }
                };
            });
            done();
        });";
    script("handed%20over", &JsValue::NULL, refused).await;
    let (opened, ()) = futures::join!(OpfsBackend::open("handed over"), async {
        script("handed%20over", &JsValue::NULL, "await self.three").await;
        append(&holder, "log-1", b"y").await.unwrap();
        append(&holder, "log-2", b"z").await.unwrap();
        holder.close().await.unwrap();
    });
    script("handed%20over", &JsValue::NULL, "self.restore()").await;
    let opened = opened.unwrap();
    assert_eq!(listing(&opened).await, [blob("log-1", 2), blob("log-2", 1)], "read before the lock was had");
    assert_eq!(content(&opened, "log-1").await, b"xy");
    opened.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn dropping_gives_everything_back() {
    let storage = OpfsBackend::open("dropped").await.unwrap();
    append(&storage, "log-1", b"x").await.unwrap();
    drop(storage);
    let storage = OpfsBackend::open("dropped").await.unwrap();
    assert_eq!(content(&storage, "log-1").await, b"x");
}

/// A closed store with three blobs of 10 bytes, `log-1` to `log-3`.
async fn three_blobs(store: &str) {
    let storage = OpfsBackend::open(store).await.unwrap();
    for name in ["log-1", "log-2", "log-3"] {
        append(&storage, name, &[name.as_bytes()[4]; 10]).await.unwrap();
    }
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_header_of_garbage_harms_no_other_blob() {
    three_blobs("garbage").await;
    let victim = file_of("garbage", "log-2").await;
    let mut bytes = peek("garbage", victim).await;
    let intact = bytes.clone();
    bytes[..HEADER_BYTES].copy_from_slice(&noise(7, HEADER_BYTES));
    poke("garbage", victim, &bytes).await;

    let storage = OpfsBackend::open("garbage").await.unwrap();
    assert_eq!(listing(&storage).await, [blob("log-1", 10), blob("log-3", 10)]);
    assert_eq!(content(&storage, "log-1").await, b"1111111111");
    assert_eq!(content(&storage, "log-3").await, b"3333333333");
    for number in 10..16 {
        append(&storage, &format!("log-{number}"), b"more").await.unwrap();
    }
    remove(&storage, &["log-2", "log-10"]).await;
    storage.close().await.unwrap();
    assert!(peek("garbage", victim).await == bytes, "a damaged file was written to");

    poke("garbage", victim, &intact).await;
    let storage = OpfsBackend::open("garbage").await.unwrap();
    assert_eq!(content(&storage, "log-2").await, b"2222222222", "what was set aside is still there");
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_slot_update_torn_at_any_byte_leaves_the_old_state_or_the_new() {
    three_blobs("torn").await;
    let victim = file_of("torn", "log-2").await;
    let before = peek("torn", victim).await;
    let storage = OpfsBackend::open("torn").await.unwrap();
    remove(&storage, &["log-2"]).await;
    storage.close().await.unwrap();
    let after = peek("torn", victim).await;
    let slot = if before[..SLOT_BYTES] == after[..SLOT_BYTES] { 2048 } else { 0 };
    for cut in 0..=SLOT_BYTES {
        let mut torn = before.clone();
        torn[slot..slot + cut].copy_from_slice(&after[slot..slot + cut]);
        poke("torn", victim, &torn).await;
        let storage = OpfsBackend::open("torn").await.unwrap();
        let old = [blob("log-1", 10), blob("log-2", 10), blob("log-3", 10)];
        let new = [blob("log-1", 10), blob("log-3", 10)];
        assert_eq!(listing(&storage).await, if cut < SLOT_BYTES { &old[..] } else { &new[..] }, "cut at {cut}");
        storage.close().await.unwrap();
    }
}

#[wasm_bindgen_test]
async fn every_flipped_bit_of_a_slot_is_noticed() {
    let storage = OpfsBackend::open("flipped").await.unwrap();
    append(&storage, "log-1", b"x").await.unwrap();
    storage.close().await.unwrap();
    let intact = peek("flipped", 0).await;
    for byte in 0..SLOT_BYTES {
        let mut flipped = intact.clone();
        flipped[byte] ^= 1 << (byte % 8);
        poke("flipped", 0, &flipped).await;
        let storage = OpfsBackend::open("flipped").await.unwrap();
        assert_eq!(listing(&storage).await, [], "byte {byte}");
        storage.close().await.unwrap();
    }
}

#[wasm_bindgen_test]
async fn half_made_and_missing_files_are_made_good() {
    three_blobs("missing").await;
    let (second, third) = (file_of("missing", "log-2").await, file_of("missing", "log-3").await);
    script("missing", &second.into(), "await directory.removeEntry(String(input))").await;
    script("missing", &5.into(), "await directory.removeEntry(String(input))").await;
    poke("missing", 4, &[0; 1000]).await;
    assert_ne!((second, third), (4, 5));
    let storage = OpfsBackend::open("missing").await.unwrap();
    assert_eq!(listing(&storage).await, [blob("log-1", 10), blob("log-3", 10)]);
    for number in 10..14 {
        append(&storage, &format!("log-{number}"), &noise(number, 100)).await.unwrap();
    }
    storage.close().await.unwrap();
    assert_eq!(files("missing").await, "0,1,2,3,4,5,lock");
    let storage = OpfsBackend::open("missing").await.unwrap();
    for number in 10..14 {
        assert_eq!(content(&storage, &format!("log-{number}")).await, noise(number, 100));
    }
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn of_two_files_with_one_name_the_newer_rules() {
    three_blobs("twice").await;
    let file = file_of("twice", "log-2").await;
    let old = peek("twice", file).await;
    let storage = OpfsBackend::open("twice").await.unwrap();
    remove(&storage, &["log-2"]).await;
    append(&storage, "log-2", b"newer").await.unwrap();
    storage.close().await.unwrap();
    poke("twice", 77, &old).await;
    let storage = OpfsBackend::open("twice").await.unwrap();
    assert_eq!(listing(&storage).await, [blob("log-1", 10), blob("log-2", 5), blob("log-3", 10)]);
    assert_eq!(content(&storage, "log-2").await, b"newer");
    remove(&storage, &["log-2"]).await;
    storage.close().await.unwrap();
    let storage = OpfsBackend::open("twice").await.unwrap();
    assert_eq!(listing(&storage).await, [blob("log-1", 10), blob("log-3", 10)]);
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_newer_format_is_refused() {
    three_blobs("newer").await;
    let mut bytes = peek("newer", 1).await;
    bytes[4] = 2;
    let hash = xxhash_rust::xxh64::xxh64(&bytes[..64], 0);
    bytes[64..72].copy_from_slice(&hash.to_le_bytes());
    poke("newer", 1, &bytes).await;
    assert_eq!(OpfsBackend::open("newer").await.err().unwrap().code, Code::Version);
    assert_eq!(OpfsBackend::open("newer").await.err().unwrap().code, Code::Version, "the lock was kept");
    assert!(opfs::stores().await.unwrap().iter().any(|(name, _)| name == "newer"));
}

#[wasm_bindgen_test]
async fn a_short_write_is_continued_once() {
    let half = "const [bytes, options] = args;
        return original.call(this, bytes.subarray(0, Math.ceil(bytes.length / 2)), options);";
    let once = "if (self.shortened) return original.apply(this, args);
        self.shortened = true;
        const [bytes, options] = args;
        return original.call(this, bytes.subarray(0, 10), options);";
    let storage = OpfsBackend::open("short").await.unwrap();
    append(&storage, "log-1", b"before").await.unwrap();
    let bytes = noise(1, 1000);
    with_faulty("write", once, append(&storage, "log-1", &bytes)).await.unwrap();
    assert_eq!(content(&storage, "log-1").await, [b"before", &bytes[..]].concat());
    let error = with_faulty("write", half, append(&storage, "log-1", &bytes)).await.unwrap_err();
    assert_eq!((error.code, error.bytes_needed), (Code::Quota, Some(1000)));
    assert_eq!(listing(&storage).await, [blob("log-1", 1006)], "the part that was written is taken back");
    append(&storage, "log-1", b"after").await.unwrap();
    assert_eq!(content(&storage, "log-1").await, [b"before", &bytes[..], b"after"].concat());
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_full_disk_is_quota_and_leaves_nothing_behind() {
    let faults = [
        // Firefox at its quota.
        "return 0",
        // Firefox on a full disk, where the number means nothing: also when it happens to look right.
        "return 32682",
        "return args[0].length",
        "return -1",
        "return NaN",
        "return 0.5",
        "return undefined",
        // Chromium.
        "throw new DOMException('full', 'QuotaExceededError')",
    ];
    let storage = OpfsBackend::open("full").await.unwrap();
    append(&storage, "log-1", b"before").await.unwrap();
    for fault in faults {
        for bytes in [1000, 32682, 2 * 32682, 100_000] {
            let error = with_faulty("write", fault, append(&storage, "log-1", &noise(1, bytes))).await.unwrap_err();
            assert_eq!((error.code, error.bytes_needed), (Code::Quota, Some(bytes as u64)), "{fault}, {bytes} bytes");
            assert_eq!(listing(&storage).await, [blob("log-1", 6)]);
        }
    }
    append(&storage, "log-1", b" and after").await.unwrap();
    storage.close().await.unwrap();
    let storage = OpfsBackend::open("full").await.unwrap();
    assert_eq!(content(&storage, "log-1").await, b"before and after");
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_first_append_that_fails_leaves_its_file_free() {
    let storage = OpfsBackend::open("first fails").await.unwrap();
    // Headers, of at most 4,096 bytes, can be written; data cannot.
    let fault = "return args[0].length > 4096 ? 0 : original.apply(this, args)";
    for number in 0..20 {
        let name = format!("log-{number}");
        let error = with_faulty("write", fault, append(&storage, &name, &[1; 5000])).await.unwrap_err();
        assert_eq!(error.code, Code::Quota);
        assert_eq!(listing(&storage).await, []);
    }
    append(&storage, "log-20", b"room again").await.unwrap();
    storage.close().await.unwrap();
    assert_eq!(files("first%20fails").await, "0,1,2,3,4,5,lock");
    let storage = OpfsBackend::open("first fails").await.unwrap();
    assert_eq!(listing(&storage).await, [blob("log-20", 10)]);
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_failed_write_of_another_kind_is_unavailable() {
    let storage = OpfsBackend::open("broken").await.unwrap();
    append(&storage, "log-1", b"before").await.unwrap();
    let fault = "throw new DOMException('failed', 'InvalidStateError')";
    let error = with_faulty("write", fault, append(&storage, "log-1", b"x")).await.unwrap_err();
    assert_eq!((error.code, error.cause.as_deref()), (Code::Unavailable, Some("InvalidStateError: failed")));
    let error = with_faulty("read", fault, storage.read("log-1", 0, 9)).await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_failed_flush_is_never_believed_again() {
    let storage = OpfsBackend::open("flush fails").await.unwrap();
    for name in ["log-1", "log-2"] {
        storage.append(name, b"before", Sync::Synced).await.unwrap();
    }
    let fault = "throw new DOMException('failed', 'InvalidStateError')";
    let error = with_faulty("flush", fault, storage.append("log-1", b"x", Sync::Synced)).await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
    assert_eq!(storage.sync("log-1").await.unwrap_err().code, Code::Unavailable);
    assert_eq!(append(&storage, "log-1", b"x").await.unwrap_err().code, Code::Unavailable);
    storage.append("log-2", b"x", Sync::Synced).await.unwrap();
    remove(&storage, &["log-1"]).await;
    assert_eq!(listing(&storage).await, [blob("log-2", 7)]);
    for number in 10..16 {
        storage.append(&format!("log-{number}"), b"x", Sync::Synced).await.unwrap();
    }
    storage.close().await.unwrap();
    let distrusted = peek("flush%20fails", 0).await;
    assert_eq!(distrusted.len(), HEADER_BYTES, "the file of the failed flush was used again");
}

#[wasm_bindgen_test]
async fn what_is_buffered_is_not_flushed_and_a_sync_is_one_flush() {
    let storage = OpfsBackend::open("flushes").await.unwrap();
    let count = "self.flushes = (self.flushes ?? 0) + 1; return original.apply(this, args)";
    let flushes = || Function::new_no_args("return self.flushes ?? 0").call0(&JsValue::NULL).unwrap().as_f64();
    with_faulty("flush", count, async {
        append(&storage, "log-1", b"x").await.unwrap();
        append(&storage, "log-1", b"x").await.unwrap();
        assert_eq!(flushes(), Some(0.0));
        storage.append("log-1", b"x", Sync::Synced).await.unwrap();
        assert_eq!(flushes(), Some(1.0));
        storage.sync("log-1").await.unwrap();
        assert_eq!(flushes(), Some(2.0));
        storage.sync("log-2").await.unwrap();
        assert_eq!(flushes(), Some(2.0));
    })
    .await;
    storage.close().await.unwrap();
}

const MIB: usize = 1 << 20;

/// The calls that write and that give room back while a blob of so many MiB is removed and so many bytes are appended to another.
async fn removal_beside_an_append(mib: usize, bytes: usize) -> String {
    let storage = OpfsBackend::open("steps").await.unwrap();
    append(&storage, "snap-1", &noise(1, mib * MIB)).await.unwrap();
    append(&storage, "log-1", b"x").await.unwrap();
    let note = "(self.calls ??= []).push(`${original.name} ${args[0].length ?? args[0]}`);
        return original.apply(this, args)";
    let names = ["snap-1".to_owned()];
    let part = noise(2, bytes);
    with_faulty("truncate", note, async {
        with_faulty("write", note, async {
            let writing = append(&storage, "log-1", &part);
            let (removed, written) = futures::future::join(storage.remove(&names), writing).await;
            removed.unwrap();
            written.unwrap();
        })
        .await;
    })
    .await;
    storage.close().await.unwrap();
    let calls = Function::new_no_args("return self.calls.splice(0).join()").call0(&JsValue::NULL).unwrap();
    calls.as_string().unwrap()
}

fn truncate(mib: usize) -> String {
    format!("truncate {}", HEADER_BYTES + mib * MIB)
}

#[wasm_bindgen_test]
async fn a_file_gives_its_room_back_in_steps_between_which_others_write() {
    let steps = [format!("write {SLOT_BYTES}"), truncate(2), "write 1".to_owned(), truncate(1), truncate(0)];
    assert_eq!(removal_beside_an_append(3, 1).await, steps.join(","));
}

#[wasm_bindgen_test]
async fn a_file_gives_back_more_than_others_write_meanwhile() {
    let written = format!("write {}", 2 * MIB);
    let steps = [format!("write {SLOT_BYTES}"), truncate(5), written, truncate(1), truncate(0)];
    assert_eq!(removal_beside_an_append(6, 2 * MIB).await, steps.join(","));
}

#[wasm_bindgen_test]
async fn names_that_are_too_long_are_refused() {
    let storage = OpfsBackend::open("long names").await.unwrap();
    for name in ["", &"x".repeat(48), &"x".repeat(300)] {
        assert_eq!(append(&storage, name, b"x").await.unwrap_err().code, Code::OptionInvalid);
    }
    assert_eq!(listing(&storage).await, []);
    storage.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn any_name_of_a_store_is_its_own() {
    let names = [
        "",
        ".",
        "..",
        "a",
        "A",
        "%",
        "%61",
        "a b",
        "a/b",
        "a\\b",
        "../a",
        "ä",
        "Ä",
        "\u{0}",
        "🔒",
        "con",
        "x:y*?\"<>|",
        "lock",
        "holdfast",
        "-",
        "_",
        "a.",
        "a ",
    ];
    for (at, name) in names.into_iter().enumerate() {
        let storage = OpfsBackend::open(name).await.unwrap();
        assert_eq!(listing(&storage).await, [], "{name:?}");
        append(&storage, "log-1", &vec![1; at + 1]).await.unwrap();
        storage.close().await.unwrap();
    }
    let found = opfs::stores().await.unwrap();
    for (at, name) in names.into_iter().enumerate() {
        assert!(found.contains(&(name.to_owned(), at as u64 + 1)), "{name:?} in {found:?}");
        assert!(opfs::exists(name).await.unwrap());
        opfs::destroy(name).await.unwrap();
        assert!(!opfs::exists(name).await.unwrap());
    }
    assert!(opfs::stores().await.unwrap().iter().all(|(name, _)| !names.contains(&name.as_str())));
}

#[wasm_bindgen_test]
async fn an_open_store_is_not_destroyed() {
    let storage = OpfsBackend::open("in use").await.unwrap();
    append(&storage, "log-1", b"x").await.unwrap();
    assert_eq!(opfs::destroy("in use").await.unwrap_err().code, Code::Locked);
    append(&storage, "log-1", b"y").await.unwrap();
    assert!(opfs::stores().await.unwrap().contains(&("in use".to_owned(), 2)));
    storage.close().await.unwrap();
    let storage = OpfsBackend::open("in use").await.unwrap();
    assert_eq!(content(&storage, "log-1").await, b"xy");
    storage.close().await.unwrap();
    opfs::destroy("in use").await.unwrap();
    opfs::destroy("in use").await.unwrap();
}

#[wasm_bindgen_test]
async fn without_a_file_system_nothing_opens_and_nothing_is_found() {
    let hide = Function::new_no_args(
        "const original = StorageManager.prototype.getDirectory;
        delete StorageManager.prototype.getDirectory;
        return () => { StorageManager.prototype.getDirectory = original; };",
    );
    let restore: Function = hide.call0(&JsValue::NULL).unwrap().unchecked_into();
    let (opened, listed) = (OpfsBackend::open("hidden").await, opfs::stores().await);
    let (found, destroyed) = (opfs::exists("hidden").await, opfs::destroy("hidden").await);
    restore.call0(&JsValue::NULL).unwrap();
    assert_eq!(opened.err().unwrap().code, Code::Unavailable);
    assert_eq!((listed, found, destroyed), (Ok(Vec::new()), Ok(false), Ok(())));
}
