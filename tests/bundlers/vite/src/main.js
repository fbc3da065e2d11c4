import { open } from "holdfast";
import { outcomeOf, report, visit } from "./visits.js";

report("page", visit(open, "page"));
report("worker", outcomeOf(new Worker(new URL("./worker.js", import.meta.url), { type: "module" })));
