"""The whole program before and after: snapshots of what was profiled, and paired runs of the two."""
