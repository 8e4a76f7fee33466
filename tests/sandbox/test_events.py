"""Calls out of a body that are answered instead of made."""

from __future__ import annotations

import itertools

import pytest
from sandbox_bodies import DATA, RETURN_ADDRESS, STACK_POINTER, Body, body, compile_object, data

from compiler_ai.sandbox.events import Answers, Callee, Parameter, Returns, Use
from compiler_ai.sandbox.process import Outcome, OutcomeKind, Sandbox, Trace

OUTSIDE, NEVER = 0x6000_0000, 0x6000_1000
INTEGER = Callee(Returns.INTEGER, 4, signed=True, parameters=(Parameter(Use.INTEGER, 4),) * 2)
SOURCE = """
extern int outside(int, int);
extern _Noreturn void never(int);
int twice(int a, int b, int *memory) {
    *memory = a;
    int first = outside(a, b);
    *memory = b;
    return outside(first, b) + *memory;
}
int leave(int a) { if (a < 0) never(a); return a; }
int ended(int *memory) { return outside(1, 2) + *memory; }
"""


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compile_object(SOURCE, tmp_path_factory.mktemp("events"), "-O2")


def made(unit: bytes, function: str, content: bytes = bytes(16)) -> Body:
    return body(unit, function, data(content), symbols={"outside": OUTSIDE, "never": NEVER})


def run(sandbox: Sandbox, made_body: Body, answers: Answers, **general: int) -> Outcome:
    inside = made_body.loaded.pages.regions[0].address, made_body.loaded.pages.regions[-1].end
    return sandbox.run(
        made_body.image,
        made_body.registers(**general),
        RETURN_ADDRESS,
        cpu_limit_ns=100_000_000,
        inside=inside,
        answers=answers,
    )


def trace(sandbox: Sandbox, made_body: Body, answers: Answers, **general: int) -> Trace:
    inside = made_body.loaded.pages.regions[0].address, made_body.loaded.pages.regions[-1].end
    return sandbox.trace(
        made_body.image, made_body.registers(**general), RETURN_ADDRESS, inside=inside, answers=answers
    )


def test_a_call_gets_the_chosen_answer(sandbox: Sandbox, unit: bytes) -> None:
    answers = Answers(1, {OUTSIDE: INTEGER}, chosen=((0, 40), (1, 2)))
    outcome = run(sandbox, made(unit, "twice"), answers, rdi=5, rsi=7, rdx=DATA)
    assert outcome.kind is OutcomeKind.RETURNED
    assert outcome.registers["rax"] & 0xFFFFFFFF == 2 + 7
    assert [event.target for event in outcome.events] == [OUTSIDE, OUTSIDE]
    assert [event.arguments[0] & 0xFFFFFFFF for event in outcome.events] == [5, 40]


def test_without_answers_the_same_call_is_a_fault(sandbox: Sandbox, unit: bytes) -> None:
    twice = made(unit, "twice")
    outcome = twice.run(sandbox, twice.registers(rdi=5, rsi=7, rdx=DATA))
    assert (outcome.kind, outcome.rip) == (OutcomeKind.FAULT, OUTSIDE)


def test_the_same_seed_gives_the_same_answers_and_another_seed_others(sandbox: Sandbox, unit: bytes) -> None:
    results = [
        tuple(
            event.answer
            for event in run(sandbox, made(unit, "twice"), Answers(seed, {OUTSIDE: INTEGER}), rdx=DATA).events
        )
        for seed in (1, 1, *range(2, 12))
    ]
    assert results[0] == results[1]
    assert len(set(results)) > 6


def test_digests_tell_memory_at_the_call_apart(sandbox: Sandbox, unit: bytes) -> None:
    answers = Answers(1, {OUTSIDE: INTEGER}, chosen=((0, 1), (1, 1)))
    twice = made(unit, "twice")
    first, same, other = (run(sandbox, twice, answers, rdi=a, rsi=7, rdx=DATA).events for a in (5, 5, 6))
    assert [e.digest for e in first] == [e.digest for e in same]
    assert first[0].digest not in (None, other[0].digest)
    assert first[1].digest == other[1].digest  # what differed has been overwritten


def test_nothing_is_left_in_registers_that_a_callee_may_overwrite(sandbox: Sandbox, unit: bytes) -> None:
    steps = list(trace(sandbox, made(unit, "ended"), Answers(3, {OUTSIDE: INTEGER}), rdi=DATA, r10=77, r11=78, rcx=79))
    assert all(step.rip != OUTSIDE for step in steps)
    pairs = itertools.pairwise(steps)
    before, after = [(a, b) for a, b in pairs if b.rip - a.rip == 5][-1]  # the call; a mov of 5 bytes comes before
    for number in (1, 2, 6, 7, 8, 9, 10, 11):  # rcx rdx rsi rdi r8 r9 r10 r11
        assert after.general[number] != before.general[number]
    for number in (3, 5, 12, 13, 14, 15):  # rbx rbp r12 to r15
        assert after.general[number] == before.general[number]


def test_a_callee_that_never_returns_ends_the_run(sandbox: Sandbox, unit: bytes) -> None:
    answers = Answers(1, {NEVER: Callee(never_returns=True)})
    left = run(sandbox, made(unit, "leave"), answers, rdi=0xFFFFFFFF)
    assert (left.kind, len(left.events), left.events[0].target) == (OutcomeKind.LEFT, 1, NEVER)
    assert run(sandbox, made(unit, "leave"), answers, rdi=3).kind is OutcomeKind.RETURNED


def test_a_run_ends_at_the_first_call_that_is_not_answered(sandbox: Sandbox, unit: bytes) -> None:
    answers = Answers(1, {OUTSIDE: INTEGER}, max_events=1)
    outcome = run(sandbox, made(unit, "twice"), answers, rdi=5, rsi=7, rdx=DATA)
    assert (outcome.kind, len(outcome.events)) == (OutcomeKind.MAX_EVENTS, 2)
    assert outcome.changed[DATA][:4] == (7).to_bytes(4, "little")


def test_callees_write_through_arguments_what_their_type_allows(sandbox: Sandbox, unit: bytes) -> None:
    writes = Callee(
        Returns.INTEGER, 4, parameters=(Parameter(Use.OPAQUE), Parameter(Use.OPAQUE), Parameter(Use.TO_NUMBER, 4))
    )
    seen = set()
    for seed in range(12):
        answers = Answers(seed, {OUTSIDE: writes}, effects=True)
        outcome = run(sandbox, made(unit, "ended"), answers, rdi=DATA, rdx=DATA + 4)
        assert outcome.kind is OutcomeKind.RETURNED
        content = outcome.changed.get(DATA, bytes(16))
        assert content[:4] == content[8:12] == bytes(4)
        seen.add(content[4:8])
    assert len(seen) > 3


def test_returned_memory_has_room_for_what_was_asked(sandbox: Sandbox, unit: bytes) -> None:
    """A slot, or null when it is too small; never the same slot twice."""
    arena = 0x4000_0000
    allocates = Callee(Returns.POINTER, 8, sizes=(0,), parameters=(Parameter(Use.INTEGER, 4),))
    answers = [
        event.answer
        for size in (16, 17)
        for seed in range(8)
        for event in run(
            sandbox, made(unit, "twice"), Answers(seed, {OUTSIDE: allocates}, arena, 16, 2), rdi=size, rdx=DATA
        ).events[:1]
    ]
    assert set(answers[:8]) == {0, arena}
    assert set(answers[8:]) == {0}
    assert STACK_POINTER not in answers


PASSING = """
extern void passed(int, double, long, long, long, long, long, long, long);
void pass(long a, double b) { passed(1, b, 2, 3, 4, 5, 6, a, a + 1); passed(1, b + 1, 2, 3, 4, 5, 6, a, a + 2); }
void passed_on(const double *behind);
void hand(double b) { double own[2] = {b, 7}; passed_on(own); }
"""


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compile_object(PASSING, tmp_path_factory.mktemp("passing"), "-O2")


def test_an_event_holds_vectors_and_what_lies_on_the_stack(sandbox: Sandbox, passing: bytes) -> None:
    made_body = body(passing, "pass", data(bytes(16)), symbols={"passed": OUTSIDE, "passed_on": NEVER})
    first, second = run(sandbox, made_body, Answers(1, {}), rdi=9).events
    for event, stacked in ((first, (9, 10)), (second, (9, 11))):
        assert event.arguments[5] == 6
        assert event.in_frame(event.stack_pointer + 8, 16) == b"".join(word.to_bytes(8, "little") for word in stacked)
        assert event.in_frame(event.stack_pointer - 8, 8) is None
    assert second.vectors[0][:8] == bytes.fromhex("000000000000f03f")


def test_an_event_holds_the_callers_frame(sandbox: Sandbox, passing: bytes) -> None:
    made_body = body(passing, "hand", data(bytes(16)), symbols={"passed": OUTSIDE, "passed_on": NEVER})
    (event,) = run(sandbox, made_body, Answers(1, {})).events
    assert event.in_frame(event.arguments[0], 16) == bytes(8) + bytes.fromhex("0000000000001c40")
