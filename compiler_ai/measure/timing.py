"""Is a candidate faster than its baseline? Paired blocks over random code placements, warm and cold.

One placement alone is worthless: where code lies moved a branchy loop by 14 to 20 %. So the unit of evidence is a
placement's median, and the interval is one over placements. Calls that are timed in turn may still be learnt by heart: what more jumps than
GCC's body has that cannot be foreseen would cost in a program counts as time that the candidate takes.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice

from compiler_ai.artifacts import Interval, Timing
from compiler_ai.errors import AiccError
from compiler_ai.measure.foresight import unforeseen
from compiler_ai.measure.statistics import median_interval, median_ratio
from compiler_ai.measure.turns import MOST_STEPS, Turns, in_turn
from compiler_ai.sandbox.errors import SandboxError
from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.loader import load
from compiler_ai.sandbox.process import Sandbox, Ticks
from compiler_ai.sandbox.timing import time_bodies

_ALIGNMENT_BYTES = 64
_LONGER = 4  # times as many instructions as GCC's body may take where calls are timed in turn
_OFFSETS = 64  # placements are drawn from this many multiples of the alignment: a page's worth


class TimingError(AiccError):
    """Nothing could be timed: no usable capture, or a body that does not run in the sandbox."""


@dataclass(frozen=True)
class Settings:
    """The protocol; times in ns. `hopeless_after` placements that are all below 1 end it early."""

    placements: int = 15
    pairs: int = 25
    cold_placements: int = 6
    cold_pairs: int = 9
    block_ns: int = 10_000
    max_captures: int = 4  # that are timed one after the other
    max_turns: int = 64  # that are timed in turn, where they are short
    threshold: float = 1.02
    confidence: float = 0.95
    hopeless_after: int = 6
    look_placements: int = 3
    look_pairs: int = 9
    much_slower: float = 0.8
    call_ns: int = 4_000_000  # captures are timed together until their calls take this long
    placement_ns: int = 300_000_000  # of calls in one placement, where calls are so long that few pairs are exact
    least_pairs: int = 3
    misprediction_ns: float = 5.0  # 15 to 20 cycles


@dataclass(frozen=True)
class _Group:
    """Calls that are timed together, or one; they stand for `weight` calls."""

    calls: Turns | CaptureImage
    weight: float


@dataclass(frozen=True)
class _Placement:
    ratio: float
    baseline_ns: float
    candidate_ns: float
    pairs: int


class Timer:
    """Times candidates against one baseline on captures of its function; the sandbox stays the caller's to close."""

    def __init__(
        self,
        sandbox: Sandbox,
        baseline_object: bytes,
        function: str,
        images: Sequence[CaptureImage],
        more: Iterable[CaptureImage] = (),
        settings: Settings | None = None,
        seed: int = 0,
    ) -> None:
        """`images` are of pure captures of the function, and `more`, which are only timed in turn. Raises TimingError without any."""
        self.settings = settings or Settings()
        if not images:
            raise TimingError(f"{function}: no capture to time it on")
        self._sandbox = sandbox
        self._baseline = baseline_object
        self._function = function
        cold = self._affordable(images)
        turns = in_turn(sandbox, baseline_object, function, islice(chain(images, more), self.settings.max_turns))
        self._cold: list[_Group] = [_Group(image, 1) for image, _ in cold]
        self._warm, self._call_ns = self._cold, sum(call_ns for _, call_ns in cold)
        if turns is not None:
            long = self._affordable(turns.long)
            self._warm = [_Group(turns, len(turns.states))]
            self._warm += [_Group(image, len(turns.long) / len(long)) for image, _ in long]
            self._call_ns = sum(call_ns for _, call_ns in long)
        self._in_turn = turns.short if turns is not None else ()
        self._random = random.Random(seed)

    def _affordable(self, images: Sequence[CaptureImage]) -> list[tuple[CaptureImage, float]]:
        """The first captures with what a call on each takes, as many as can be timed in a reasonable time; at least one. Raises
        TimingError."""
        chosen: list[tuple[CaptureImage, float]] = []
        for image in images[: self.settings.max_captures]:
            if sum(call_ns for _, call_ns in chosen) > self.settings.call_ns:
                break
            try:
                body = load(self._baseline, self._function, image.bases[0], image.resolver, trap_unresolved=True)
                entry = replace(image.registers, rip=body.entry)
                outcome = self._sandbox.run([image.pages, body.pages], entry, image.return_address)
            except SandboxError as error:
                raise TimingError(f"{self._function}: {error}") from error
            chosen.append((image, outcome.cpu_ns))
        return chosen

    def look(self, candidate_object: bytes) -> float:
        """A short look: the median ratio over a few placements, no evidence; two of them are enough to see that it is much slower, and one
        is not, whatever else ran on the machine then. Raises TimingError."""
        settings = self.settings
        ratios: list[float] = []
        while len(ratios) < settings.look_placements and sum(ratio <= settings.much_slower for ratio in ratios) < 2:
            ratios.append(self._place(candidate_object, settings.look_pairs, False).ratio)
        return median_interval(ratios).ratio

    def measure(self, candidate_object: bytes) -> Timing:
        """The whole protocol. Raises TimingError."""
        settings = self.settings
        warm: list[_Placement] = []
        while len(warm) < settings.placements:
            warm.append(self._place(candidate_object, settings.pairs, False))
            if len(warm) >= settings.hopeless_after and all(place.ratio < 1 for place in warm):
                break
        candidate_ns = statistics.median(place.candidate_ns for place in warm)
        learnt = 1 + self._learnt_ns(candidate_object) / candidate_ns
        ratios = tuple(place.ratio / learnt for place in warm)
        interval = median_interval(ratios, settings.confidence)
        cold: Interval | None = None
        if interval.low > settings.threshold:
            colds = [self._place(candidate_object, settings.cold_pairs, True) for _ in range(settings.cold_placements)]
            cold = median_interval([place.ratio for place in colds], settings.confidence)
        return Timing(
            warm=interval,
            cold=cold,
            placement_ratios=ratios,
            baseline_ns=statistics.median(place.baseline_ns for place in warm),
            candidate_ns=candidate_ns * learnt,
            pairs=sum(place.pairs for place in warm),
        )

    def _learnt_ns(self, candidate_object: bytes) -> float:
        """What the candidate may take longer in a program, for all calls that are timed in turn. Raises TimingError."""
        if not self._in_turn:
            return 0.0
        try:
            more = self._unforeseen(candidate_object) - self._unforeseen_in_baseline
        except SandboxError as error:
            raise TimingError(f"{self._function}: {error}") from error
        return max(0.0, more) * len(self._in_turn) * self.settings.misprediction_ns

    @cached_property
    def _unforeseen_in_baseline(self) -> float:
        return self._unforeseen(self._baseline)

    def _unforeseen(self, object_bytes: bytes) -> float:
        return unforeseen(self._sandbox, object_bytes, self._function, self._in_turn, _LONGER * MOST_STEPS)

    def accepts(self, timing: Timing) -> bool:
        """Whether it is faster beyond doubt: all placements were measured and the interval lies above the threshold."""
        enough = len(timing.placement_ratios) >= self.settings.placements
        return enough and timing.warm.low > self.settings.threshold

    def _place(self, candidate_object: bytes, pairs: int, cold: bool) -> _Placement:
        """One random placement of both bodies, over all captures; each capture weighs what its baseline call takes."""
        groups = self._cold if cold else self._warm
        affordable = max(self.settings.least_pairs, int(self.settings.placement_ns / (2 * max(1.0, self._call_ns))))
        each = min(affordable, max(5, math.ceil(pairs / len(groups))))
        offsets = [_ALIGNMENT_BYTES * self._random.randrange(_OFFSETS) for _ in range(2)]
        swap = self._random.random() < 0.5
        baseline_ns = candidate_ns = expected_ns = 0.0
        for group in groups:
            try:
                ticks = self._time(group.calls, candidate_object, swap, offsets, each, cold)
            except SandboxError as error:
                raise TimingError(f"{self._function}: {error}") from error
            pair_ns = [
                (ticks.ns_per_call(first) * group.weight, ticks.ns_per_call(second) * group.weight)
                for first, second in ticks.pairs
            ]
            own_ns = statistics.median(baseline for baseline, _ in pair_ns)
            baseline_ns += own_ns
            expected_ns += own_ns / median_ratio(pair_ns)
            candidate_ns += statistics.median(candidate for _, candidate in pair_ns)
        return _Placement(baseline_ns / expected_ns, baseline_ns, candidate_ns, each * len(groups))

    def _time(
        self,
        calls: Turns | CaptureImage,
        candidate_object: bytes,
        swap: bool,
        offsets: Sequence[int],
        pairs: int,
        cold: bool,
    ) -> Ticks:
        image = calls.image if isinstance(calls, Turns) else calls
        bases = image.bases[::-1] if swap else image.bases
        objects = (self._baseline, candidate_object)
        loaded = [
            load(code, self._function, base, image.resolver, text_offset=offset, trap_unresolved=True)
            for code, base, offset in zip(objects, bases, offsets, strict=True)
        ]
        sets = [image.pages, loaded[0].pages, loaded[1].pages]
        entries = (loaded[0].entry, loaded[1].entry)
        seed, block_ns = self._random.randrange(1, 1 << 32), self.settings.block_ns
        if isinstance(calls, Turns):
            return self._sandbox.time(
                sets, entries, calls.states, pair_count=pairs, repeat=True, block_ns=block_ns, seed=seed
            )
        return time_bodies(
            self._sandbox, sets, entries, image.registers, image.return_address,
            pair_count=pairs, cold=cold, block_ns=block_ns, seed=seed,
        )  # fmt: skip
