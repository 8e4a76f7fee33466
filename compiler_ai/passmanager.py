"""The pass registry and driver, in the way of GCC's plugin API.

A pass has a `name` and a `scope`: "unit" passes see a UnitWork, "function" passes one FunctionWork; consecutive function
passes run over one function before the next function begins. The function passes from the first to the last that has
`repeats` set (propose to rank) run again and again while `FunctionWork.unexplored` says that there is more to propose.
`register_pass(pass_, reference="verify",
position=Position.AFTER)` is GCC's register_pass_info, `register_callback(event, fn)` its register_callback
(GCC Internals, "Plugins").
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from compiler_ai.errors import AiccError
from compiler_ai.work import Context, FunctionWork, UnitWork


class Position(enum.Enum):
    BEFORE = "before"
    AFTER = "after"
    REPLACE = "replace"


class Event(enum.Enum):
    """When callbacks run. What a callback gets: the unit or function at work, and the pass or candidate concerned."""

    START_UNIT = "start_unit"
    FINISH_UNIT = "finish_unit"
    BEFORE_PASS = "before_pass"
    AFTER_PASS = "after_pass"
    CANDIDATE_REJECTED = "candidate_rejected"
    REWRITE_ACCEPTED = "rewrite_accepted"


class Pass(Protocol):
    """What a pass looks like. `run` changes the work it is given; it raises PassError to give this unit or function up."""

    name: str
    scope: str  # "unit" or "function"

    def run(self, work: Any, context: Context) -> None: ...


class PassError(AiccError):
    """A pass gives up on the unit or function at work; the message is one line for the log."""


class RegistrationError(AiccError):
    """A pass or callback cannot be registered as asked."""


Callback = Callable[[UnitWork | FunctionWork, Any], None]


@dataclass(frozen=True)
class Observer:
    event: Event
    callback: Callback


class PassManager:
    """An ordered list of passes, and callbacks around them."""

    def __init__(self, passes: Iterable[Pass] = ()) -> None:
        self._passes: list[Pass] = []
        self._observers: list[Observer] = []
        for pass_ in passes:
            self.append(pass_)

    @property
    def passes(self) -> tuple[Pass, ...]:
        return tuple(self._passes)

    def append(self, pass_: Pass) -> None:
        self._check(pass_)
        self._passes.append(pass_)

    def register_pass(self, pass_: Pass, reference: str, position: Position = Position.AFTER) -> None:
        """Put `pass_` before, after or in place of the pass named `reference`. Raises RegistrationError."""
        index = next((i for i, known in enumerate(self._passes) if known.name == reference), None)
        if index is None:
            names = ", ".join(known.name for known in self._passes)
            raise RegistrationError(f"pass '{pass_.name}': there is no pass '{reference}'; the passes are {names}")
        self._check(pass_, replacing=reference if position is Position.REPLACE else None)
        if position is Position.REPLACE:
            self._passes[index] = pass_
        else:
            self._passes.insert(index + (position is Position.AFTER), pass_)

    def register_callback(self, event: Event, callback: Callback) -> None:
        self._observers.append(Observer(event, callback))

    def notify(self, event: Event, work: UnitWork | FunctionWork, subject: Any = None) -> None:
        for observer in self._observers:
            if observer.event is event:
                observer.callback(work, subject)

    def run_unit(self, unit: UnitWork, context: Context) -> None:
        """Run every pass over `unit` and its functions. PassError of a function pass ends that function only."""
        self.notify(Event.START_UNIT, unit)
        index = 0
        while index < len(self._passes):
            if self._passes[index].scope == "unit":
                self._run(self._passes[index], unit, context)
                index += 1
                continue
            group = index
            while group < len(self._passes) and self._passes[group].scope == "function":
                group += 1
            for function in unit.functions:
                self._run_group(self._passes[index:group], function, context)
            index = group
        self.notify(Event.FINISH_UNIT, unit)

    def run_function(self, function: FunctionWork, context: Context) -> None:
        """Run the function passes alone, as a tuning worker does."""
        self._run_group([pass_ for pass_ in self._passes if pass_.scope == "function"], function, context)

    def run_part(self, part: FunctionWork, context: Context, after: str, before: str) -> None:
        """Run the function passes between two others over some of a function's candidates; see passes.refine."""
        names = [pass_.name for pass_ in self._passes]
        first = names.index(after) + 1 if after in names else 0
        last = names.index(before) if before in names else len(names)
        self._run_group([one for one in self._passes[first:last] if one.scope == "function"], part, context)

    def _run_group(self, passes: list[Pass], function: FunctionWork, context: Context) -> None:
        repeating = [index for index, pass_ in enumerate(passes) if getattr(pass_, "repeats", False)]
        index = 0
        while index < len(passes) and not function.skipped:
            try:
                self._run(passes[index], function, context)
            except PassError as error:
                function.skipped = f"{passes[index].name}: {error}"
            if repeating and index == repeating[-1] and function.unexplored:
                index = repeating[0]
            else:
                index += 1

    def _run(self, pass_: Pass, work: UnitWork | FunctionWork, context: Context) -> None:
        self.notify(Event.BEFORE_PASS, work, pass_)
        before = {state.digest for state in work.alive} if isinstance(work, FunctionWork) else set()
        pass_.run(work, context)
        if isinstance(work, FunctionWork):
            for state in work.candidates:
                if not state.alive and (state.digest in before or pass_.name == "propose"):
                    self.notify(Event.CANDIDATE_REJECTED, work, state)
            if work.rewrite is not None and pass_.name == "select":
                self.notify(Event.REWRITE_ACCEPTED, work, work.rewrite)
        self.notify(Event.AFTER_PASS, work, pass_)

    def _check(self, pass_: Pass, replacing: str | None = None) -> None:
        if getattr(pass_, "scope", None) not in ("unit", "function") or not getattr(pass_, "name", ""):
            raise RegistrationError(f"{pass_!r} is not a pass: it needs a name, a scope (unit or function) and run()")
        if any(known.name == pass_.name != replacing for known in self._passes):
            raise RegistrationError(f"there is a pass '{pass_.name}' already")
