/** All phases, by the names that workloads.js calls them. */

import { load, overwrite } from "./phases/bulk.js";
import { checkpoint, leaveTail, sustained } from "./phases/long.js";
import { coldOpen, readRaw, reopen } from "./phases/opening.js";
import { getHot, getMany, getMiss, getShared, getUniform, scan } from "./phases/reads.js";
import { about, removeDatabase } from "./phases/store.js";
import { closeTab, firstTab, readFromOther, secondTab, writeForOther } from "./phases/tabs.js";
import { deletions, mixed, setPar, setSeq, values } from "./phases/writes.js";

export const PHASES = {
	...{ about, removeDatabase },
	...{ coldOpen, reopen, readRaw },
	...{ load, overwrite },
	...{ getHot, getUniform, getMiss, getShared, getMany, scan },
	...{ setSeq, setPar, mixed, values, deletions },
	...{ firstTab, secondTab, writeForOther, readFromOther, closeTab },
	...{ leaveTail, checkpoint, sustained },
};
