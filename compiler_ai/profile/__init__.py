"""Which functions take the time in a workload, and how that was shown."""
