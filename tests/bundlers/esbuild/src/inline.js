import { open } from "holdfast/inline";
import { report, visit } from "./visits.js";

report("page", visit(open, "page"));
