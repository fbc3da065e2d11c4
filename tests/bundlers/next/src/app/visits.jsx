"use client";

import { open } from "holdfast";
import { useEffect } from "react";
import { outcomeOf, report, visit } from "../visits.js";

export default function Visits() {
	useEffect(() => {
		report("page", visit(open, "page"));
		report("worker", outcomeOf(new Worker(new URL("../worker.js", import.meta.url), { type: "module" })));
	}, []);
	return <p>{`Client component: open is a ${typeof open}.`}</p>;
}
