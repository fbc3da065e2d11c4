// What the simulation counts, in this order.

export const FIGURES = {
	...{ schedules: 0, events: 0, messages: 0, drops: 0, duplicates: 0, reorders: 0 },
	...{ crashes: 0, freezes: 0, pagesPutAside: 0, steals: 0, takeovers: 0, reloads: 0, failedOpens: 0, reopened: 0 },
	...{ storageCalls: 0, storageFailures: 0, zombieWrites: 0, tornWrites: 0, fences: 0 },
	...{
		operations: 0,
		acknowledged: 0,
		conflicts: 0,
		transactions: 0,
		reads: 0,
		lostReads: 0,
		unknown: 0,
		frames: 0,
		comparisons: 0,
	},
	...{ withGaps: 0 },
};
