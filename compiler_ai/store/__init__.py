"""Accepted rewrites in the project, and the per-machine cache of everything ever tried."""
