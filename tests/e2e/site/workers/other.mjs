// A dedicated or a shared worker. Imports nothing before it listens: Firefox has been seen to tell a shared worker of its first page
// while what it imports was still under way, and nobody heard it.

const loading = Promise.all([import("./agent.mjs"), import("/package/dist/index.js")]);

const told = async (event) => {
	const [{ answer }, holdfast] = await loading;
	await answer(holdfast, event);
};
globalThis.onconnect = ({ ports: [port] }) => {
	port.onmessage = told;
};
globalThis.onmessage = told;
const [{ live }] = await loading;
live(name);
