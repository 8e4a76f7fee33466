"""Plugins: a Python module or file with `plugin_init(context, args)`, named by `-faicc-plugin=`.

`args` holds the `-faicc-plugin-arg-<name>-<key>=<value>` of the plugin's own name (its file name without `.py`).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from compiler_ai.errors import AiccError
from compiler_ai.passmanager import Callback, Event, Pass, PassManager, Position
from compiler_ai.proposers.base import Proposer


class PluginError(AiccError):
    """A plugin cannot be loaded; the message is one line for the user."""


@dataclass
class PluginContext:
    """What a plugin may do: add, replace and observe passes, and add proposers."""

    manager: PassManager
    proposers: list[Proposer] = field(default_factory=list)

    def register_pass(self, pass_: Pass, reference: str, position: Position = Position.AFTER) -> None:
        self.manager.register_pass(pass_, reference, position)

    def register_callback(self, event: Event, callback: Callback) -> None:
        self.manager.register_callback(event, callback)

    def register_proposer(self, proposer: Proposer) -> None:
        self.proposers.append(proposer)


def load_all(plugins: Sequence[str], arguments: Sequence[tuple[str, str, str]], context: PluginContext) -> None:
    """Load each plugin and call its plugin_init. Raises PluginError."""
    names = [Path(plugin).stem if plugin.endswith(".py") else plugin.rpartition(".")[2] for plugin in plugins]
    for name, key, _ in arguments:
        if name not in names:
            raise PluginError(f"-faicc-plugin-arg-{name}-{key}: no plugin '{name}' was given with -faicc-plugin=")
    for plugin, name in zip(plugins, names, strict=True):
        own = {key: value for owner, key, value in arguments if owner == name}
        _initialise(_load(plugin), plugin, context, own)


def _load(plugin: str) -> ModuleType:
    try:
        if not plugin.endswith(".py"):
            return importlib.import_module(plugin)
        specification = importlib.util.spec_from_file_location(f"aicc_plugin_{Path(plugin).stem}", plugin)
        if specification is None or specification.loader is None:
            raise PluginError(f"-faicc-plugin={plugin}: not a Python file")
        module = importlib.util.module_from_spec(specification)
        sys.modules[specification.name] = module
        specification.loader.exec_module(module)
        return module
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(f"-faicc-plugin={plugin}: cannot be loaded: {type(error).__name__}: {error}") from error


def _initialise(module: ModuleType, plugin: str, context: PluginContext, arguments: Mapping[str, str]) -> None:
    initialise = getattr(module, "plugin_init", None)
    if not callable(initialise):
        raise PluginError(f"-faicc-plugin={plugin}: it defines no plugin_init(context, args)")
    try:
        initialise(context, arguments)
    except Exception as error:
        raise PluginError(f"-faicc-plugin={plugin}: plugin_init failed: {type(error).__name__}: {error}") from error
