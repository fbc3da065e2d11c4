import { open } from "holdfast";
import { report, visit } from "./visits.js";

report("page", visit(open, "page"));
