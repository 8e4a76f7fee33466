"""The bounds of verification. All of them count work, so that a verdict does not depend on the machine or its load."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """`preserved` are call-clobbered registers that in-unit callers rely on; `local` says that GCC may call the function with a
    stack aligned to 8 only (its unit calls it); `recursive` that it may call itself, so that what one call takes of the stack is taken
    many times.

    `captures`, `mutated` and `generated` are how many tests of each kind are wanted; `attempts` bounds the states tried for
    them, `directed` those tried for blocks that no test reached (this, like all that is tried for relations, for every 64 blocks of a function), `boundary` those tried for comparisons that come out
    equal (for every 128 blocks), `walks` those in which jumps through tables lead elsewhere, `sums` those for comparisons of what several inputs make up, which at most `sum_steps` single steps find, `stretches` those in which what is compared goes on to agree,
    `swept` those in which bytes that are loaded, and those that are passed, go through all values, each,
    `varied` the tests with other data in blocks that few come to, `telling` those tried with other data for conditions whose coming out otherwise no test tells (for every 64 blocks),
    `relations` those tried for relations of compared values that no test has shown, by at most `relation_steps` (single
    steps or what logging costs in them), `within_calls` those in which what a callee reads has every value, for one condition on its result, `decided_steps` the blocks
    that are followed to find out what a body's conditions decide on whatever it is called with, `answered` the states tried with answered calls, of which `answered_kept` are kept though they reach nothing new. A
    test is traced for at most `trace_steps` instructions; `traced_steps` bounds the traces of one candidate together (it too for every 64 blocks),
    `logged_runs` and `logged_entries` its longer runs and the accesses that these log; of made tests, and of those on which
    comparisons come out equal, `logged_small` each are logged besides.
    The `*_limit_ns` are safety limits on CPU time, far above what tests take: a generated state on which the baseline runs
    into its limit is no test, and a candidate that runs into its own is not judged.
    """

    captures: int = 10
    mutated: int = 70
    generated: int = 200
    attempts: int = 600
    directed: int = 400
    boundary: int = 640
    walks: int = 480
    sums: int = 96
    sum_steps: int = 40_000
    stretches: int = 240
    swept: int = 384
    varied: int = 1_500
    telling: int = 600
    relations: int = 300
    relation_steps: int = 120_000
    within_calls: int = 4_096
    decided_steps: int = 300_000
    answered: int = 160
    answered_kept: int = 48
    traces: int = 16
    trace_steps: int = 1_500
    long_trace_steps: int = 20_000
    traced_steps: int = 60_000
    logged_runs: int = 24
    logged_small: int = 32
    logged_entries: int = 200_000_000
    baseline_limit_ns: int = 100_000_000
    captured_limit_ns: int = 2_000_000_000
    stack_allowance_bytes: int = 2_048
    preserved: frozenset[str] = frozenset()
    local: bool = False
    recursive: bool = False
    seed: int = 1
