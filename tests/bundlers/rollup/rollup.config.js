import { nodeResolve } from "@rollup/plugin-node-resolve";

const plugins = [nodeResolve()];

export default [
	{ input: "src/main.js", output: { dir: "www/parts" }, plugins },
	{
		input: { inline: "src/inline.js", main: "src/main.js", worker: "holdfast/worker" },
		output: { dir: "www/files" },
		plugins,
	},
];
