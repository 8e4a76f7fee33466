"""A profile: which functions take the time in a workload, with the commands that showed it. The text of `profile.json`."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compiler_ai.artifacts import ProfiledFunction, Sample
from compiler_ai.profile.errors import ProfileError
from compiler_ai.store.codec import CodecError, from_json, to_json

VERSION = 1


@dataclass(frozen=True)
class Run:
    """One recorded or imported workload. `samples` is what the tool counted; `unit` is "samples", "instructions" ...

    `date` is when it ran (ISO 8601, UTC; "" when not known); `status` is the command's exit status as a shell gives it.
    """

    command: tuple[str, ...]
    tool: str
    event: str
    unit: str
    samples: float
    weight: float = 1.0
    note: str = ""
    date: str = ""
    status: int = 0


@dataclass(frozen=True)
class Unmatched:
    """Cost that belongs to no function of a known symbol table."""

    module: str
    reason: str
    cost: float


@dataclass(frozen=True)
class Profile:
    """Functions by self cost, over all runs, each scaled to its weight (a run's costs add up to its weight)."""

    runs: tuple[Run, ...]
    functions: tuple[ProfiledFunction, ...]
    unmatched: tuple[Unmatched, ...] = ()
    version: int = VERSION

    @property
    def total(self) -> float:
        return sum(function.cost for function in self.functions) + sum(item.cost for item in self.unmatched)

    def save(self, path: Path) -> None:
        """Write the profile, whole or not at all. Raises OSError."""
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(json.dumps(to_json(self), indent=1) + "\n", encoding="utf-8")
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    @staticmethod
    def load(path: Path) -> Profile:
        """Raises ProfileError for anything but a whole profile of this version."""
        advice = "run 'aicc-tool profile' again"
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ProfileError(f"{path}: cannot be read ({error.strerror}): {advice}") from error
        except ValueError as error:
            raise ProfileError(f"{path}: not a profile ({error}): {advice}") from error
        if isinstance(value, dict) and value.get("version") != VERSION:
            raise ProfileError(f"{path}: profile version {value.get('version')!r} is not {VERSION}: {advice}")
        try:
            return from_json(Profile, value)
        except CodecError as error:
            raise ProfileError(f"{path}: damaged ({error}): {advice}") from error


def iso_date(since_epoch_s: float) -> str:
    return datetime.datetime.fromtimestamp(since_epoch_s, datetime.UTC).isoformat(timespec="seconds")


def scaled(run: Run, functions: Sequence[ProfiledFunction], unmatched: Sequence[Unmatched]) -> Profile:
    """A profile of one run whose costs add up to the run's weight."""
    total = sum(function.cost for function in functions) + sum(item.cost for item in unmatched)
    factor = run.weight / total if total else 0.0
    return Profile(
        (run,),
        tuple(_scaled(function, factor) for function in sorted(functions, key=lambda f: -f.cost)),
        tuple(replace(item, cost=item.cost * factor) for item in unmatched),
    )


def merge(first: Profile, second: Profile) -> Profile:
    """Both workloads together; equal functions (same module, symbol and address) add up."""
    functions: dict[tuple[str, str, int], ProfiledFunction] = {}
    for function in (*first.functions, *second.functions):
        key = (function.module, function.symbol, function.address)
        known = functions.get(key)
        functions[key] = function if known is None else _added(known, function)
    unmatched: dict[tuple[str, str], float] = {}
    for item in (*first.unmatched, *second.unmatched):
        unmatched[item.module, item.reason] = unmatched.get((item.module, item.reason), 0.0) + item.cost
    return Profile(
        first.runs + second.runs,
        tuple(sorted(functions.values(), key=lambda f: -f.cost)),
        tuple(Unmatched(module, reason, cost) for (module, reason), cost in unmatched.items()),
    )


def _scaled(function: ProfiledFunction, factor: float) -> ProfiledFunction:
    samples = tuple(Sample(sample.offset, sample.count * factor) for sample in function.samples)
    return replace(function, cost=function.cost * factor, samples=samples)


def _added(one: ProfiledFunction, other: ProfiledFunction) -> ProfiledFunction:
    counts: dict[int, float] = {}
    for sample in (*one.samples, *other.samples):
        counts[sample.offset] = counts.get(sample.offset, 0.0) + sample.count
    samples = tuple(Sample(offset, counts[offset]) for offset in sorted(counts))
    return replace(one, cost=one.cost + other.cost, samples=samples)
