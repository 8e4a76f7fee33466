"""Tuning all hot functions of a build at once."""
