//! The remote backend: both ends, over a MessagePort, and what happens when the other end dies.

#![cfg(target_arch = "wasm32")]

#[path = "support/conformance.rs"]
mod conformance;

use conformance::Opener;
use holdfast::backend::idb::IdbBackend;
use holdfast::backend::opfs::OpfsBackend;
use holdfast::backend::remote::{RemoteBackend, serve};
use holdfast::backend::{Backend, LocalFuture, Sync};
use holdfast::{Code, Result};
use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Two connected ports.
fn channel() -> (JsValue, JsValue) {
    let ports = Array::from(&script("const { port1, port2 } = new MessageChannel(); return [port1, port2]"));
    (ports.get(0), ports.get(1))
}

fn script(body: &str) -> JsValue {
    Function::new_no_args(body).call0(&JsValue::NULL).unwrap()
}

fn serving(storage: &JsValue) -> RemoteBackend {
    let (near, far) = channel();
    serve(storage, &far);
    RemoteBackend::over(&near)
}

/// A storage, asked through a port.
struct Served {
    remote: RemoteBackend,
    /// What is dropped is closed.
    _storage: Box<dyn Backend>,
}

impl Backend for Served {
    fn list(&self) -> LocalFuture<'_, Result<Vec<holdfast::backend::Blob>>> {
        self.remote.list()
    }

    fn read<'a>(&'a self, name: &'a str, offset: u64, bytes_max: u32) -> LocalFuture<'a, Result<Vec<u8>>> {
        self.remote.read(name, offset, bytes_max)
    }

    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8], sync: Sync) -> LocalFuture<'a, Result<()>> {
        self.remote.append(name, bytes, sync)
    }

    fn sync<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<()>> {
        self.remote.sync(name)
    }

    fn remove<'a>(&'a self, names: &'a [String]) -> LocalFuture<'a, Result<()>> {
        self.remote.remove(names)
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.remote.close()
    }
}

macro_rules! remote {
    ($($case:ident)*) => {
        $(#[wasm_bindgen_test]
        async fn $case() {
            let opener: Box<Opener> = Box::new(|name| {
                Box::pin(async move { Ok(Box::new(open(&format!("remote {name}")).await?) as Box<dyn Backend>) })
            });
            conformance::$case(&*opener, stringify!($case)).await;
        })*
    };
}

mod opfs {
    use super::*;

    async fn open(store: &str) -> Result<Served> {
        let storage = OpfsBackend::open(store).await?;
        Ok(Served { remote: serving(storage.storage()), _storage: Box::new(storage) })
    }

    each_case!(remote);
}

mod idb {
    use super::*;

    async fn open(store: &str) -> Result<Served> {
        let storage = IdbBackend::open(store).await?;
        Ok(Served { remote: serving(storage.storage()), _storage: Box::new(storage) })
    }

    each_case!(remote);
}

/// Fails every append and sync with a full error, and answers the first read only when `letGo` is called.
fn awkward() -> JsValue {
    script(
        "const order = [];
        let letGo;
        const gate = new Promise((resolve) => { letGo = resolve; });
        const answers = [
            () => order.push('list') && [],
            async ({ name }) => {
                order.push(`${name} starts`);
                if (name === 'first') await gate;
                order.push(`${name} ends`);
                return new Uint8Array();
            },
            ({ bytes: { length } }) => {
                throw { code: 'QUOTA', message: 'full up', cause: 'QuotaExceededError: really', bytesNeeded: length };
            },
            () => { throw { code: 'FENCED', message: 'overtaken' }; },
        ];
        return { ask: async (request) => answers[request.call](request), order, letGo };",
    )
}

#[wasm_bindgen_test]
async fn errors_arrive_with_everything_they_say() {
    let remote = serving(&awkward());
    let error = remote.append("log-1", &[0; 17], Sync::Buffered).await.unwrap_err();
    assert_eq!(error.code, Code::Quota);
    assert_eq!(error.message, "full up");
    assert_eq!(error.cause.as_deref(), Some("QuotaExceededError: really"));
    assert_eq!(error.bytes_needed, Some(17));
    let error = remote.sync("log-1").await.unwrap_err();
    assert_eq!((error.code, error.cause.as_deref(), error.bytes_needed), (Code::Fenced, None, None));
}

#[wasm_bindgen_test]
async fn requests_are_begun_in_order_and_a_slow_one_holds_up_no_other() {
    let storage = awkward();
    let order = || Array::from(&Reflect::get(&storage, &"order".into()).unwrap()).join(",");
    let remote = serving(&storage);
    let (first, second, third, ()) = futures::join!(
        remote.read("first", 0, 1),
        remote.read("second", 0, 1),
        remote.list(),
        // Enough round trips for the later requests to have been answered.
        async {
            let other = serving(&awkward());
            for _ in 0..20 {
                other.list().await.unwrap();
            }
            assert_eq!(order(), "first starts,second starts,second ends,list");
            let let_go: Function = Reflect::get(&storage, &"letGo".into()).unwrap().unchecked_into();
            let_go.call0(&JsValue::NULL).unwrap();
        },
    );
    first.and(second).unwrap();
    third.unwrap();
    assert_eq!(order(), "first starts,second starts,second ends,list,first ends");
}

#[wasm_bindgen_test]
async fn bytes_are_transferred_and_their_buffers_come_back() {
    let (near, far) = channel();
    let pool = OpfsBackend::open("transferred").await.unwrap();
    serve(pool.storage(), &far);
    for port in [&near, &far] {
        Reflect::set(port, &"transfers".into(), &Array::new()).unwrap();
        let spy = Function::new_with_args(
            "message, transfer",
            "this.transfers.push(transfer.length); MessagePort.prototype.postMessage.call(this, message, transfer)",
        );
        Reflect::set(port, &"postMessage".into(), &spy).unwrap();
    }
    let remote = RemoteBackend::over(&near);
    remote.append("log-1", &[7; 1000], Sync::Synced).await.unwrap();
    remote.append("log-2", &[8; 100_000], Sync::Synced).await.unwrap();
    // More than there is, so that nothing behind it is read ahead.
    assert_eq!(remote.read("log-2", 0, 100_001).await.unwrap(), [8; 100_000]);
    assert_eq!(remote.read("log-1", 0, 1001).await.unwrap(), [7; 1000]);
    // Small bytes are left to the collector, large ones go to and fro.
    for (port, transfers) in [(&near, "1,1,1,0"), (&far, "0,1,1,1")] {
        let seen = Array::from(&Reflect::get(port, &"transfers".into()).unwrap());
        assert_eq!(seen.join(","), transfers);
    }
}

#[wasm_bindgen_test]
async fn a_blob_is_read_one_piece_ahead_and_again_where_it_was_written_since() {
    let storage = script(
        "const blob = [1, 2, 3, 4, 5];
        const reads = [];
        const ask = async ({ call, offset, bytesMax, bytes }) => {
            if (call === 2) blob.push(...bytes);
            if (call !== 1) return;
            reads.push(offset);
            return Uint8Array.from(blob.slice(offset, offset + bytesMax));
        };
        return { ask, reads };",
    );
    let reads = || Array::from(&Reflect::get(&storage, &"reads".into()).unwrap()).join(",");
    let remote = serving(&storage);
    assert_eq!(remote.read("log", 0, 2).await.unwrap(), [1, 2]);
    assert_eq!(remote.read("log", 2, 2).await.unwrap(), [3, 4]);
    remote.append("log", &[6], Sync::Buffered).await.unwrap();
    assert_eq!(reads(), "0,2,4");
    assert_eq!(remote.read("log", 4, 2).await.unwrap(), [5, 6]);
    assert_eq!(remote.read("log", 6, 2).await.unwrap(), [0; 0]);
    assert_eq!(reads(), "0,2,4,4,6");
}

#[wasm_bindgen_test]
async fn nonsense_is_ignored_or_refused() {
    let (near, far) = channel();
    let pool = OpfsBackend::open("nonsense").await.unwrap();
    serve(pool.storage(), &far);
    let talk = Function::new_with_args(
        "port",
        "const requests = [
            null, undefined, 7, 'text', [], {}, { id: 1 }, { call: 0 }, { id: 'x', call: 0 },
            { id: {}, call: 5 }, { holdfast: 'start' },
            { id: 10, call: 6 }, { id: 11, call: 1 }, { id: 12, call: 1, name: 'a', offset: 'b' },
            { id: 13, call: 2, name: 'a' }, { id: 14, call: 2, name: 'a', bytes: [1, 2] },
            { id: 15, call: 2, name: 7, bytes: new Uint8Array(1) }, { id: 16, call: 4, names: 'a' },
            { id: 17, call: 4, names: [1] }, { id: 18, call: 3 },
            { id: 19, call: 1, name: 'a', offset: -1, bytesMax: NaN }, { id: 20, call: 0 },
        ];
        return new Promise((resolve) => {
            const answers = [];
            port.onmessage = ({ data }) => {
                answers.push(data.id + (data.error ? data.error.code : ':' + data.value));
                if (data.id === 20) resolve(answers.join(' '));
            };
            for (const request of requests) port.postMessage(request);
        });",
    );
    let answers = JsFuture::from(Promise::resolve(&talk.call1(&JsValue::NULL, &near).unwrap())).await.unwrap();
    let refused: Vec<String> = (10..=18).map(|id| format!("{id}UNAVAILABLE")).collect();
    assert_eq!(answers.as_string().unwrap(), format!("{} 19: 20:", refused.join(" ")));
}

#[wasm_bindgen_test]
async fn strange_answers_do_not_break_the_asking_end() {
    let answering = |body: &str| {
        let worker = script(&format!(
            "return {{ postMessage(request) {{
                const say = (data) => Promise.resolve().then(() => this.onmessage({{ type: 'message', data }}));
                for (const noise of [null, 7, [], {{ id: 'x' }}, {{ id: 999 }}, {{ holdfast: 'ready' }},
                    {{ kept: 7 }}, {{ kept: {{ buffer: {{ byteLength: 100_000 }} }} }}]) say(noise);
                say({{ id: request.id, {body} }});
            }} }}"
        ));
        RemoteBackend::over(&worker)
    };
    assert_eq!(answering("value: 7").list().await.unwrap_err().code, Code::Unavailable);
    assert_eq!(answering("value: [7]").list().await.unwrap_err().code, Code::Unavailable);
    assert_eq!(answering("value: [[7, 'x']]").list().await.unwrap_err().code, Code::Unavailable);
    assert_eq!(answering("value: 'bytes'").read("a", 0, 1).await.unwrap_err().code, Code::Unavailable);
    assert_eq!(answering("error: null").sync("a").await.unwrap_err().code, Code::Unavailable);
    assert_eq!(answering("error: { code: 'NEW' }").sync("a").await.unwrap_err().code, Code::Unavailable);
    assert_eq!(answering("error: { code: 'LOCKED' }").sync("a").await.unwrap_err().code, Code::Locked);
    answering("").sync("a").await.unwrap();
    answering("kept: 'bytes'").append("a", &[1; 100_000], Sync::Synced).await.unwrap();
}

#[wasm_bindgen_test]
async fn a_worker_that_fails_fails_every_call() {
    let worker = script(
        "const source = 'onmessage = ({ data }) => { if (data.call === 4) throw new Error(\"broken\") }';
        return new Worker(URL.createObjectURL(new Blob([source])))",
    );
    let remote = RemoteBackend::over(&worker);
    let removed = ["log-1".to_owned()];
    let (listed, read, removed) = futures::join!(remote.list(), remote.read("log-1", 0, 1), remote.remove(&removed));
    for error in [listed.unwrap_err(), read.unwrap_err(), removed.unwrap_err()] {
        assert_eq!(error.code, Code::Unavailable);
        assert!(error.cause.as_deref().unwrap().contains("broken"));
    }
    assert_eq!(remote.append("log-1", b"x", Sync::Buffered).await.unwrap_err().code, Code::Unavailable);
    assert_eq!(remote.close().await.unwrap_err().code, Code::Unavailable);
    assert_eq!(remote.list().await.unwrap_err().code, Code::Closed);
}
