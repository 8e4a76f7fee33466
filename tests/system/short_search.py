"""A plugin for tests: the search proposer with one of its configurations, so that a tuning takes seconds."""

from __future__ import annotations

from collections.abc import Mapping

from compiler_ai.plugin import PluginContext
from compiler_ai.proposers import search

LABELS = ("gcc -O3 -funroll-loops",)


def plugin_init(_context: PluginContext, _args: Mapping[str, str]) -> None:
    chosen = tuple(one for one in search.portfolio("same") if one.label in LABELS)
    search.portfolio = lambda _isa: chosen
