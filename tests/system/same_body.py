"""A/A in the product's own path: how often is GCC's own body, offered as a candidate, accepted as faster than itself?

    PATH=$PWD/.venv/bin:$PATH .venv/bin/python tests/system/same_body.py [TIMES]

prints the numbers. A real function of a real profile is spliced, screened, replayed and verified by the passes that tuning
runs; then the measuring pass judges it again and again, each time in other placements. Each offer has labels of other names:
the trial cache and the propose pass know a body by more than that, and would judge it once.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from compiler_ai.passes.measure import Measure
from compiler_ai.passes.replay import Replay
from compiler_ai.passes.screen import Screen
from compiler_ai.passes.verify import Verify
from compiler_ai.toolchains.x86_64 import X86_64
from plug import Project, make_profiled

from compiler_ai.artifacts import Candidate, Timing
from compiler_ai.asm import listing as listing_model
from compiler_ai.driver import options, units
from compiler_ai.profile import hotness
from compiler_ai.profile.model import Profile
from compiler_ai.store.trials import TrialCache
from compiler_ai.tune import plan as planning
from compiler_ai.tune.judges import ASSEMBLER, Judges
from compiler_ai.work import CandidateState, Context, FunctionWork

_LABEL = re.compile(r"\.L(\d+)\b")


@dataclass(frozen=True)
class Outcome:
    """What the measuring pass said of the same body, once an offer."""

    timings: tuple[Timing, ...]
    accepted: int

    def __str__(self) -> str:
        ratios = sorted(timing.warm.ratio for timing in self.timings)
        widths = [timing.warm.high - timing.warm.low for timing in self.timings]
        return (
            f"{self.accepted} of {len(ratios)} accepted as faster; ratio {statistics.median(ratios):.4f} "
            f"(from {ratios[0]:.4f} to {ratios[-1]:.4f}), interval {statistics.median(widths):.4f} wide"
        )


def measure_the_same(project: Project, function: str, times: int) -> Outcome:
    """Offer the function's own body `times` times."""
    profile = Profile.load(project.aicc / "profile.json")
    hot = hotness.select(profile, project.directory, hotness.Rules(only=frozenset({function}))).functions
    matched = hotness.match_units(hot, list(units.load_all(str(project.aicc))))
    (task,) = planning.make(matched.found, (), project.aicc, 0).tasks
    parsed, _ = options.parse([], {})
    unit = listing_model.parse(task.baseline.listing_text)
    work = FunctionWork(task.hot, task.baseline, unit, task.flags, task.captures)
    context = Context(parsed, X86_64, project.aicc)
    trials = TrialCache(project.cache / "aa", X86_64.name, "machine", "judges")
    found = unit.function(function)
    assert found is not None
    timings, accepted = [], 0
    with Judges() as judges:
        first: CandidateState | None = None
        for number in range(times):
            body = _LABEL.sub(rf".Laicc_n{number}_\1", found.body)
            state = CandidateState(Candidate(function, body, proposer="test", origin="GCC's own"), str(number))
            work.candidates = [state]
            Screen(trials, ASSEMBLER).run(work, context)
            if first is None:
                Replay(trials, judges).run(work, context)
                Verify(trials, judges).run(work, context)
                first = replace(state)
            assert state.rejection is None, state.rejection
            state.evidence = first.evidence
            Measure(trials, judges).run(work, context)
            assert state.timing is not None, state.rejection
            timings.append(state.timing)
            accepted += state.alive
    return Outcome(tuple(timings), accepted)


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as directory:
        project = make_profiled(Path(directory))
        for function in ("sum_squares", "sum_differences"):
            print(f"{function}: {measure_the_same(project, function, times)}", flush=True)


if __name__ == "__main__":
    main()
