// From what was counted to what is proven, and the table of it.
//
// Shapes: a cell is `{ browser, engine, name, version, level, settings, rounds, acknowledged, found, lost, unreadable, writes, syncs,
// problem }`; `syncs` is null where they could not be counted, `problem` a text for what stopped the cell.

const CLASSES = ["none", "D1", "D2", "D3"];

/** The highest class that the counts allow; what was not counted does not lower it. */
export function provenBy({ level, acknowledged, lost, unreadable, writes, syncs, problem }) {
	if (problem || unreadable > 0 || acknowledged === 0) return "none";
	if (lost > 0) return "D1";
	if (syncs === null) return level === "D1" ? "D2" : level;
	return syncs >= writes ? "D3" : "D2";
}

/** Whether the engine may claim its level, in words. */
export function verdictOf(cell) {
	const proven = provenBy(cell);
	if (cell.problem || CLASSES.indexOf(proven) < CLASSES.indexOf(cell.level))
		return `NOT PROVEN: ${cell.problem ?? proven}`;
	if (proven === cell.level)
		return cell.level === "D3" && cell.syncs === null ? "survives kills; syncs not counted" : "proven";
	return `proven, ${proven} in this run`;
}

export function isProven(cell) {
	return !verdictOf(cell).startsWith("NOT");
}

const COLUMNS = {
	Browser: ({ browser }) => browser,
	Engine: ({ name, engine }) => (name === engine ? name : `${name} (${engine})`),
	Version: ({ version }) => version,
	Class: ({ level }) => level,
	Kills: ({ rounds }) => rounds,
	Acknowledged: ({ acknowledged }) => acknowledged,
	Found: ({ found }) => found,
	Lost: ({ lost }) => lost,
	"Syncs per 100 acknowledged writes": ({ syncs, writes }) =>
		syncs === null ? "-" : Math.round((100 * syncs) / writes),
	Verdict: verdictOf,
};

/** The cells as a table in Markdown. */
export function markdownOf(cells) {
	const rows = [Object.keys(COLUMNS), Object.keys(COLUMNS).map(() => "---")];
	for (const cell of cells) rows.push(Object.values(COLUMNS).map((of) => String(of(cell))));
	return rows.map((row) => `| ${row.join(" | ")} |`).join("\n");
}
