// A service worker as an app bundles it: one file that imports nothing later, because service workers cannot.

import * as holdfast from "/package/dist/inline.js";
import { answer, live } from "./agent.mjs";

live(new URL(location.href).searchParams.get("name"));
addEventListener("install", () => skipWaiting());
addEventListener("message", (event) => event.waitUntil(answer(holdfast, event)));
