// An I/O worker that never answers.
