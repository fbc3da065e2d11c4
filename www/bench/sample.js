/** The page of one phase. Whoever opened it, a script or the benchmark's page, calls `phase(name, spec)`. */

import { PHASES } from "./phases.js";

globalThis.phase = (name, spec) => PHASES[name](spec);
