import { open } from "holdfast";
import { visit } from "./visits.js";

visit(open, "worker").then((outcome) => postMessage(outcome));
