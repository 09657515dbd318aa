"""The worker: claims jobs, runs them in lanes, writes what became of them, and stays alive meanwhile."""
