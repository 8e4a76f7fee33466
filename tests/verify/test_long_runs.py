"""Runs too long to be single-stepped: instrumented copies log what they access.

The oracle of the log is single-stepping: on runs that are short enough for both, both give the same footprint, bit for bit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench import Bench, record_calls

from compiler_ai.artifacts import Grade
from compiler_ai.sandbox.process import OutcomeKind, Sandbox
from compiler_ai.verify.conditions import observed
from compiler_ai.verify.coverage import blocks
from compiler_ai.verify.engine import Settings
from compiler_ai.verify.footprint import footprint_of
from compiler_ai.verify.machine import Body
from compiler_ai.verify.testcase import log_body, trace_body

HERE = Path(__file__).parent
COMPILERS = (
    "gcc -O0",
    "gcc -Os",
    "gcc -O3",
    "gcc -O2 -march=native",
    "clang-19 -O2 -fno-addrsig",
    "clang-19 -O3 -march=native -fno-addrsig",
)
SHORT = {
    "kernels": ("checksum", "add_arrays", "clamp", "scale", "lookup"),
    "shapes": ("decide", "magic", "keyword", "report"),
}
LONG = ("smooth", "count")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Bench:
    directory = tmp_path_factory.mktemp("kernels")
    record_calls(directory, [HERE / "kernels.c"], SHORT["kernels"], ["-DMAIN"])
    return Bench(directory, HERE / "kernels.c", sandbox)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Bench:
    directory = tmp_path_factory.mktemp("shapes")
    record_calls(directory, [HERE / "shapes.c", HERE / "shapes_main.c"], SHORT["shapes"])
    return Bench(directory, HERE / "shapes.c", sandbox)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Bench:
    directory = tmp_path_factory.mktemp("many")
    record_calls(directory, [HERE / "many.c"], ["many"], ["-DMAIN"])
    bench = Bench(directory, HERE / "many.c", sandbox)
    few = Settings(captures=6, mutated=10, generated=20, boundary=0, relations=0)
    bench.verifiers["many"] = bench.new_verifier("many", few)
    return bench


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Bench:
    directory = tmp_path_factory.mktemp("long")
    record_calls(directory, [HERE / "long.c"], LONG, ["-DMAIN"])
    return Bench(directory, HERE / "long.c", sandbox)


@pytest.mark.parametrize("command", COMPILERS)
@pytest.mark.parametrize(("unit", "function"), [(unit, name) for unit, names in SHORT.items() for name in names])
def test_a_log_gives_the_footprint_that_single_steps_give(
    unit: str, function: str, command: str, request: pytest.FixtureRequest
) -> None:
    bench: Bench = request.getfixturevalue(unit)
    prepared = bench.verifier(function)._prepared
    body = Body(bench.assembled(bench.listing(command)), function)
    compared = 0
    for test in prepared.tests[::15]:
        state = test.fills[0][0]
        stepped = trace_body(prepared.machine, state, body, prepared.callees, 4_000)
        logged = log_body(prepared.machine, state, body, prepared.callees, 100_000)
        if not stepped.complete or logged.lacking:
            continue
        theirs, mine = footprint_of(stepped.accesses), logged.footprint
        assert mine is not None
        assert (mine.reads, mine.writes) == (theirs.reads, theirs.writes), test.state.name
        assert mine.lowest_stack == theirs.lowest_stack
        assert (bool(mine.below_red_zone), bool(mine.uncertain)) == (
            bool(theirs.below_red_zone),
            bool(theirs.uncertain),
        )
        assert logged.entered <= stepped.executed
        assert not prepared.differ(stepped.trace.outcome, logged.outcome, state, frozenset())
        compared += 1
    assert compared > 1


@pytest.mark.parametrize("command", ["gcc -O2", "clang-19 -O3 -fno-addrsig"])
@pytest.mark.parametrize(
    ("unit", "function"), [*((unit, name) for unit, names in SHORT.items() for name in names), ("many", "many")]
)
def test_a_log_gives_the_flags_that_single_steps_give(
    unit: str, function: str, command: str, request: pytest.FixtureRequest
) -> None:
    bench: Bench = request.getfixturevalue(unit)
    prepared = bench.verifier(function)._prepared
    body = Body(bench.assembled(bench.listing(command)), function)
    context = prepared.machine.contexts[0]
    sites = blocks(prepared.own(body, context)).conditions
    copy = body.instrumented(context, {}, conditions=True)
    assert {at for at in copy.conditions if prepared.own(body, context).holds(at)} == set(sites)
    compared = 0
    for test in prepared.tests[::15]:
        state = test.fills[0][0]
        if state.image is not context.image or state.answers is not None:
            continue
        trace = prepared.machine.trace(state, body.at(context), 4_000)
        outcome, footprint = prepared.machine.log(state, copy, 100_000)
        if trace.outcome.kind is not OutcomeKind.RETURNED:
            continue
        assert outcome.kind is OutcomeKind.RETURNED
        assert footprint is not None
        logged = {(copy.conditions[number], value) for number, flags in footprint.flags.items() for value in flags}
        assert {one for one in logged if one[0] in sites} == observed(trace, sites)
        compared += 1
    assert compared > 0


def test_a_run_that_leaves_for_an_unspecified_callee_is_not_known(shapes: Bench) -> None:
    prepared = shapes.verifier("report")._prepared
    tests = [test for test in prepared.tests if test.traced is not None and test.traced.calls]
    logged = log_body(prepared.machine, tests[0].fills[0][0], prepared.body, prepared.callees, 100_000)
    assert logged.lacking in ("it calls log_number", "it calls log_text")


def test_a_log_that_becomes_too_long_ends_the_run(long: Bench) -> None:
    prepared = long.verifier("smooth")._prepared
    logged = log_body(prepared.machine, prepared.tests[0].fills[0][0], prepared.body, prepared.callees, 10_000)
    assert logged.outcome.kind is OutcomeKind.MAX_STEPS
    assert logged.lacking == "it takes too many steps"


def test_so_do_too_many_conditions(long: Bench) -> None:
    prepared = long.verifier("smooth")._prepared
    context, state = prepared.machine.contexts[0], prepared.tests[0].fills[0][0]
    copy = prepared.body.instrumented(context, {}, conditions=True)
    outcome, footprint = prepared.machine.log(state, copy, 10_000_000)
    assert outcome.kind is OutcomeKind.RETURNED
    assert footprint is not None
    for most, kind in ((footprint.entries, OutcomeKind.MAX_STEPS), (footprint.entries + 1, OutcomeKind.RETURNED)):
        outcome, again = prepared.machine.log(state, copy, most)
        assert outcome.kind is kind
        assert again is not None
        assert again.entries == footprint.entries > 1_000


@pytest.mark.parametrize("function", LONG)
@pytest.mark.parametrize("command", COMPILERS[2:])
def test_long_bodies_of_other_compilers_are_tested(long: Bench, function: str, command: str) -> None:
    if "native" in command and function == "count":
        command += " -fno-tree-vectorize"  # masked and gathering accesses are not known
    evidence = long.verifier(function).check(long.assembled(long.listing(command)))
    assert evidence.grade is Grade.TESTED, evidence
    assert evidence.blocks_covered == evidence.blocks_total > 1


# (function, what is wrong, pattern in GCC's -O2 body, replacement)
WRONG = [
    ("smooth", "stores the same value once more elsewhere", r"(\tret\n)", "\tmovsd\tplane(%rip), %xmm0\n\tmovsd\t%xmm0, plane(%rip)\n\\1"),
    ("smooth", "reads what lies far behind", r"(\tret\n)", "\tmovsd\tletters+20000(%rip), %xmm0\n\\1"),
    ("smooth", "stores below the red zone", r"(\tret\n)", "\tmovq\t$0, -512(%rsp)\n\\1"),
    ("smooth", "uses more stack", r"(\tret\n)", "\tpush\t%rax\n\tmovq\t$0, (%rsp)\n\tsubq\t$4096, %rsp\n\taddq\t$4104, %rsp\n\\1"),
    ("count", "fills eight bytes more", r"movl\t\$128, %ecx", "movl\t$129, %ecx"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "fault", "pattern", "replacement"), WRONG, ids=[f"{w[0]}: {w[1]}" for w in WRONG])
def test_wrong_long_bodies_are_not_tested(
    long: Bench, function: str, fault: str, pattern: str, replacement: str
) -> None:
    evidence = long.verifier(function).check(long.changed(function, pattern, replacement))
    assert evidence.grade is Grade.REFUTED, (fault, evidence)


def test_wrong_unwind_rules_of_a_long_body_leave_it_unknown(long: Bench) -> None:
    listing = long.listing("clang-19 -O3 -fno-addrsig")
    start = listing.index("\ncount:")
    at = listing.index("\t.cfi_offset %rbx, -", start)
    wrong = listing[:at] + listing[at:].replace("\t.cfi_offset %rbx, -", "\t.cfi_offset %rbx, -6", 1)
    evidence = long.verifier("count").check(long.assembled(wrong))
    assert evidence.grade <= Grade.UNKNOWN, evidence
