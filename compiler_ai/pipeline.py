"""Which passes run, in which order, for tuning; plugins included."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

from compiler_ai.driver.options import Options
from compiler_ai.passes.emit import Emit
from compiler_ai.passes.evolve import Evolve
from compiler_ai.passes.measure import Measure
from compiler_ai.passes.propose import Propose
from compiler_ai.passes.rank import Rank
from compiler_ai.passes.refine import Refine
from compiler_ai.passes.replay import Replay
from compiler_ai.passes.screen import Screen
from compiler_ai.passes.select import Select
from compiler_ai.passes.verify import Verify
from compiler_ai.passmanager import Pass, PassManager
from compiler_ai.plugin import PluginContext, load_all
from compiler_ai.proposers.base import default_registry
from compiler_ai.proposers.earlier import EarlierProposer
from compiler_ai.proposers.language_model import LanguageModelProposer, settings_of
from compiler_ai.store.errors import StoreError
from compiler_ai.store.trials import TrialCache
from compiler_ai.tune import training
from compiler_ai.tune.counts import counted
from compiler_ai.tune.judges import ASSEMBLER, Judges

PASS_NAMES = tuple(
    one.name for one in (Propose, Screen, Replay, Rank, Verify, Measure, Refine, Evolve, Select, Emit)
)  # of ours, in their order


def tuning(
    options: Options,
    judges: Judges,
    extend: Callable[[PassManager], None] = lambda _manager: None,
    project: Path | None = None,
) -> PassManager:
    """The function passes (propose to select) and emit, with the models and plugins that `options` name.

    `extend` adds observers before the plugins are loaded; `project` may have prompts of its own. Raises PluginError and
    RegistrationError.
    """
    trials = TrialCache.default(on_failure=_say_forgotten)
    registry = default_registry()
    if project is not None:
        registry.proposers.insert(0, EarlierProposer(trials, project))
    settings = settings_of(options)
    models = [LanguageModelProposer(text, settings, project) for text in dict.fromkeys(options.models)]
    for model in models:
        registry.register(model)
    passes: list[Pass] = [
        Propose(registry.proposers, trials, functools.partial(training.counts, judges)),
        Screen(trials, ASSEMBLER),
        Replay(trials, judges),
        Rank(trials, judges),
        Verify(trials, judges),
        Measure(trials, judges),
        Select(),
        Emit(),
    ]
    manager = PassManager(passes)
    if models:
        counts = functools.partial(counted, judges)
        manager.register_pass(Refine(models, trials, manager.run_part, counts), "measure")
        manager.register_pass(Evolve(models, trials, manager.run_part, counts), "refine")
    extend(manager)
    load_all(options.plugins, options.plugin_arguments, PluginContext(manager, registry.proposers))
    return manager


def _say_forgotten(error: StoreError) -> None:
    sys.stderr.write(f"aicc: {error}; what is tried now will be tried again by the next run\n")
