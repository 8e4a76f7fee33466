"""A profile: which functions take the time in a workload, with the commands that showed it. The text of `profile.json`."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compiler_ai.artifacts import ProfiledFunction, Sample
from compiler_ai.profile.errors import ProfileError
from compiler_ai.profile.symbols import is_plain
from compiler_ai.store.codec import CodecError, from_json, to_json

VERSION = 2


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
        """Write the profile, whole or not at all: what was there stays until the new one is on disk. Raises ProfileError."""
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(json.dumps(to_json(self), indent=1) + "\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise ProfileError(f"{path}: cannot be written: {error.strerror or error}") from error

    @staticmethod
    def load(path: Path) -> Profile:
        """Raises ProfileError for anything but a whole profile of a version that is known."""
        advice = "run 'aicc-tool profile' again"
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ProfileError(f"there is no {path}: run 'aicc-tool profile -- COMMAND' first") from error
        except OSError as error:
            raise ProfileError(f"{path}: cannot be read ({error.strerror}): {advice}") from error
        except (ValueError, RecursionError) as error:
            raise ProfileError(f"{path}: not a profile ({error}): {advice}") from error
        if isinstance(value, dict) and value.get("version") == 1:
            _from_version_1(value)
        if isinstance(value, dict) and value.get("version") != VERSION:
            raise ProfileError(f"{path}: profile version {value.get('version')!r:.20} is not {VERSION}: {advice}")
        try:
            profile = from_json(Profile, value)
        except (CodecError, OverflowError, RecursionError) as error:
            raise ProfileError(f"{path}: damaged ({error!s:.200}): {advice}") from error
        if wrong := _implausible(profile):
            raise ProfileError(f"{path}: damaged ({wrong}): {advice}")
        return profile


def _from_version_1(value: dict[str, Any]) -> None:
    """Version 1 said neither when a workload ran nor how it ended."""
    runs = value.get("runs")
    for run in runs if isinstance(runs, list) else []:
        if isinstance(run, dict):
            run.setdefault("date", "")
            run.setdefault("status", 0)
    value["version"] = VERSION


def _implausible(profile: Profile) -> str:
    """What no recorder writes, or ""."""
    for run in profile.runs:
        if not (math.isfinite(run.weight) and run.weight > 0 and math.isfinite(run.samples)):
            return f"a run of weight {run.weight}"
    for function in profile.functions:
        if not is_plain(function.symbol):
            return f"a function named {function.symbol!a:.40}"
        if not (0 <= function.address < 1 << 64 and 0 <= function.size_bytes < 1 << 64):
            return f"the address of {function.symbol}"
        counts = [function.cost, *(sample.count for sample in function.samples)]
        if not all(math.isfinite(count) and count >= 0 for count in counts):
            return f"the cost of {function.symbol}"
    if not all(math.isfinite(item.cost) and item.cost >= 0 for item in profile.unmatched):
        return "the cost of what is unmatched"
    return ""


def iso_date(since_epoch_s: float) -> str:
    return datetime.datetime.fromtimestamp(since_epoch_s, datetime.UTC).isoformat(timespec="seconds")


def scaled(run: Run, functions: Sequence[ProfiledFunction], unmatched: Sequence[Unmatched]) -> Profile:
    """A profile of one run whose costs add up to the run's weight. Raises ProfileError when they have no sum."""
    total = sum(function.cost for function in functions) + sum(item.cost for item in unmatched)
    if not math.isfinite(total):
        raise ProfileError(f"{' '.join(run.command)}: damaged: the costs add up to {total}")
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
