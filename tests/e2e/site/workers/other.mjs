// A dedicated or a shared worker.

import * as holdfast from "/package/dist/index.js";
import { answer, live } from "./agent.mjs";

const told = (event) => answer(holdfast, event);
globalThis.onconnect = ({ ports: [port] }) => {
	port.onmessage = told;
};
globalThis.onmessage = told;
live(name);
