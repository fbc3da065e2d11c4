// The package's I/O worker, on a platform with a fault.

import "./faults.mjs";
import "/package/dist/worker.js";
