import { nodeResolve } from "@rollup/plugin-node-resolve";

export default {
	input: { inline: "src/inline.js", files: "src/files.js", worker: "holdfast/worker" },
	output: { dir: "www/build" },
	plugins: [nodeResolve()],
};
