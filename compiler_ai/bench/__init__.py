"""Benchmarks of proposers: what models answer, how far it gets, what it is worth."""
