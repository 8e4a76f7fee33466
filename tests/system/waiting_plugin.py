"""A plugin for tests: a compile in tune mode that waits in it, once it has said so by making the file that it is told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from compiler_ai.passmanager import Event
from compiler_ai.plugin import PluginContext


def plugin_init(context: PluginContext, args: Mapping[str, str]) -> None:
    def wait(_work: object, _pass: object) -> None:
        Path(args["file"]).touch()
        time.sleep(3600)

    context.register_callback(Event.BEFORE_PASS, wait)
