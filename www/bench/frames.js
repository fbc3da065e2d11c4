/** Pages of a sample inside the benchmark's page: each a frame of its own, gone with all that it held. See session.js for what a host is. */

/** What ran before may have been broken off and left its databases. */
export const host = {
	isUsed: true,
	async page() {
		const frame = document.createElement("iframe");
		frame.className = "sample";
		frame.title = "a page that a workload runs in";
		const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
		frame.src = new URL("./sample.html", import.meta.url).href;
		document.body.append(frame);
		await loaded;
		return {
			phase: (name, spec) => frame.contentWindow.phase(name, spec),
			close: async () => frame.remove(),
		};
	},
};
