// The types of a store, as its users have them: what each call takes and gives, and what must not compile.

import { expectTypeOf } from "expect-type";
import {
	type Change,
	destroy,
	type Entry,
	type ErrorCode,
	HoldfastError,
	type ImportReport,
	type Listing,
	type OpenOptions,
	open,
	type SetOptions,
	type Status,
	type Store,
	type StoreInfo,
	stores,
	type Transaction,
	type Written,
} from "holdfast";
import * as inline from "holdfast/inline";
import * as slim from "holdfast/slim";

interface User {
	name: string;
	age?: number;
}

const user: User = { name: "Ada" };
const store = await open<User>("users");

// What `open` gives.
expectTypeOf(store).toEqualTypeOf<Store<User>>();
expectTypeOf(open("any")).resolves.toEqualTypeOf<Store<unknown>>();
expectTypeOf(inline.open<User>("users")).resolves.toEqualTypeOf<Store<User>>();
expectTypeOf(slim.open<User>("users")).resolves.toEqualTypeOf<Store<User>>();
expectTypeOf(stores()).resolves.toEqualTypeOf<StoreInfo[]>();
expectTypeOf(destroy("users")).resolves.toEqualTypeOf<void>();
// A function over any value type.
const openAs = <T>(name: string): Promise<Store<T>> => open<T>(name);
expectTypeOf(openAs<User>("users")).resolves.toEqualTypeOf<Store<User>>();
const copy = async <T>(from: Store<T>, to: Store<T>) => {
	for await (const [key, value] of from.entries()) await to.set(key, value);
};
await copy(store, store);
// @ts-expect-error A name is needed.
open();
// @ts-expect-error A name is a string.
open(1);

// Reads.
expectTypeOf(store.get("1")).resolves.toEqualTypeOf<User | undefined>();
expectTypeOf(store.peek("1")).toEqualTypeOf<User | undefined>();
expectTypeOf(store.getMany(["1", "2"])).resolves.toEqualTypeOf<(User | undefined)[]>();
expectTypeOf(store.getMany(new Set(["1"]))).resolves.toEqualTypeOf<(User | undefined)[]>();
expectTypeOf(store.entry("1")).resolves.toEqualTypeOf<Entry<User> | undefined>();
expectTypeOf(store.has("1")).resolves.toEqualTypeOf<boolean>();
expectTypeOf(store.count({ prefix: "1" })).resolves.toEqualTypeOf<number>();
// @ts-expect-error What is not there is undefined.
store.peek("1").name;
// @ts-expect-error Keys are strings.
store.get(1);

// Writes.
expectTypeOf(store.set("1", user)).resolves.toEqualTypeOf<Written>();
expectTypeOf(store.delete("1")).resolves.toEqualTypeOf<boolean>();
expectTypeOf(store.deleteMany(["1"])).resolves.toEqualTypeOf<number>();
expectTypeOf(store.clear({ prefix: "1" })).resolves.toEqualTypeOf<number>();
expectTypeOf(store.setMany([["1", user]])).resolves.toEqualTypeOf<Written>();
store.setMany(new Map([["1", user]]));
store.setMany({ 1: user });
expectTypeOf(store.update("1", (old) => old && { ...old, age: 36 })).resolves.toEqualTypeOf<User | undefined>();
store.update("1", async (old = user) => old);
store.update("1", () => undefined);
expectTypeOf(store.increment("n", 2)).resolves.toEqualTypeOf<number>();
// @ts-expect-error Another type of value.
store.set("1", "Ada");
// @ts-expect-error A property is missing.
store.set("1", {});
// @ts-expect-error Undefined is no User.
store.set("1", undefined);
// @ts-expect-error Another type of value.
store.setMany({ 1: "Ada" });
// @ts-expect-error Another type of value.
store.update("1", () => "Ada");
// @ts-expect-error One counts in numbers.
store.increment("n", 2n);

// Options.
const writes: SetOptions = { durability: "always", ttl: 1000, expiresAt: new Date(), ifAbsent: true, ifVersion: 0 };
store.set("1", user, writes);
store.set("1", user, { expiresAt: 1 });
store.set("1", user, { ttl: undefined });
// @ts-expect-error There is no such durability.
store.set("1", user, { durability: "sometimes" });
// @ts-expect-error There is no such option.
store.set("1", user, { ttlMs: 1000 });
const options: OpenOptions = {
	preset: "cache",
	mode: "snapshot",
	backend: "auto",
	save: [[60, 1]],
	rewrite: { percentage: 100, minBytes: 4096 },
	recovery: "strict",
	values: "frozen",
	maxBytes: 1 << 20,
	eviction: "lru",
	openTimeoutMs: 1000,
	wasm: new URL("https://example.org"),
	worker: () => new Worker("worker.js"),
	onStatus: (status) => expectTypeOf(status).toEqualTypeOf<Status>(),
};
open("options", options);
// @ts-expect-error There is no such preset.
open("options", { preset: "fast" });
// @ts-expect-error There is no such mode.
open("options", { mode: "disk" });
// @ts-expect-error Rules are pairs.
open("options", { save: [60] });
// @ts-expect-error There is no such option.
open("options", { ttl: 1000 });

// Walks.
expectTypeOf(store.keys()).toEqualTypeOf<Listing<string>>();
expectTypeOf(store.values({ prefix: "1" }).toArray()).resolves.toEqualTypeOf<User[]>();
expectTypeOf(store.entries({ reverse: true }).toArray()).resolves.toEqualTypeOf<[key: string, value: User][]>();
for await (const [key, value] of store.entries({ start: "1", end: "2", after: "1", limit: 1 })) {
	expectTypeOf(key).toEqualTypeOf<string>();
	expectTypeOf(value).toEqualTypeOf<User>();
}
// @ts-expect-error There is no such bound.
store.keys({ from: "1" });

// Transactions.
const result = store.transaction(async (tx) => {
	expectTypeOf(tx).toEqualTypeOf<Transaction<User>>();
	expectTypeOf(tx.get("1")).resolves.toEqualTypeOf<User | undefined>();
	expectTypeOf(tx.set("1", user)).toEqualTypeOf<void>();
	expectTypeOf(tx.entries().toArray()).resolves.toEqualTypeOf<[key: string, value: User][]>();
	// @ts-expect-error Another type of value.
	tx.set("1", "Ada");
	// @ts-expect-error A transaction has none of its own.
	tx.transaction;
	return 1;
});
expectTypeOf(result).resolves.toEqualTypeOf<number>();
expectTypeOf(store.transaction(() => "at once")).resolves.toEqualTypeOf<string>();

// Changes.
const stop = store.watch("1", (changes) => expectTypeOf(changes).toEqualTypeOf<Change<User>[]>());
expectTypeOf(stop).toEqualTypeOf<() => void>();
store.watch({ prefix: "1" }, () => {});
expectTypeOf(store.changes({ prefix: "1" })).toEqualTypeOf<AsyncIterable<Change<User>>>();
expectTypeOf<Change<User>["cause"]>().toEqualTypeOf<"set" | "delete" | "expire" | "evict" | "clear" | "reread">();
expectTypeOf(store.changes("1", { since: 7 })).toEqualTypeOf<AsyncIterable<Change<User>>>();
// @ts-expect-error A listener is needed.
store.watch("1");
expectTypeOf(store.log({ from: 1 })).toEqualTypeOf<AsyncIterable<string>>();

// Export and import.
expectTypeOf(store.export({ format: "ndjson", range: { prefix: "1" } })).toEqualTypeOf<
	ReadableStream<Uint8Array<ArrayBuffer>>
>();
expectTypeOf(store.import(store.export())).resolves.toEqualTypeOf<ImportReport>();
store.import(new Blob([]), { maxBytes: 1 });
// @ts-expect-error There is no such format.
store.export({ format: "csv" });
// @ts-expect-error A text is no stream.
store.import("text");

// Namespaces: of the same values unless told otherwise.
expectTypeOf(store.namespace("admin:")).toEqualTypeOf<Store<User>>();
expectTypeOf(store.namespace<number>("visits:", { ttl: 1000 })).toEqualTypeOf<Store<number>>();
// @ts-expect-error Another type of value.
store.namespace<number>("visits:").set("1", user);

// One store of several types, by prefix.
interface App {
	"user:": User;
	"theme:": "light" | "dark";
}
const app = await open("app");
const part = <P extends keyof App>(prefix: P) => app.namespace<App[P]>(prefix);
expectTypeOf(part("user:")).toEqualTypeOf<Store<User>>();
expectTypeOf(part("theme:").get("1")).resolves.toEqualTypeOf<"light" | "dark" | undefined>();
// @ts-expect-error There is no such part.
part("usr:");
// @ts-expect-error Another type of value.
part("theme:").set("1", "blue");

// Events, status and the end.
store.on("expired", ({ key, value }) => {
	expectTypeOf(key).toEqualTypeOf<string>();
	expectTypeOf(value).toEqualTypeOf<unknown>();
});
store.on("error", (error) => expectTypeOf(error).toEqualTypeOf<HoldfastError>());
// @ts-expect-error There is no such event.
store.on("change", () => {});
expectTypeOf(store.status).toEqualTypeOf<Status>();
// @ts-expect-error It cannot be set.
store.status = app.status;
expectTypeOf(new HoldfastError("CLOSED", "closed").code).toEqualTypeOf<ErrorCode>();
expectTypeOf(store.close()).resolves.toEqualTypeOf<void>();
{
	await using disposed = await open<User>("users");
	await disposed.get("1");
}
