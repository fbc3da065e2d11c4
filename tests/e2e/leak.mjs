// Ten million mixed operations in one page: `npm run test:leak`. The test of api.test.mjs, longer; it takes some minutes.
//
//   npm run test:leak -- [--operations 10000000]

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values: given } = parseArgs({ options: { operations: { type: "string", default: "10000000" } } });
const file = fileURLToPath(new URL("api.test.mjs", import.meta.url));
const only = ["--test-name-pattern", "mixed operations"];
const { status } = spawnSync(process.execPath, ["--test", ...only, "--test-reporter=spec", file], {
	stdio: "inherit",
	env: { ...process.env, HOLDFAST_SOAK: given.operations },
});
process.exit(status ?? 1);
