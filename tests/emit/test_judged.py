"""What tuning is told of how a rewrite will be emitted."""

from __future__ import annotations

from bodies import candidates, listing
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.driver.options import parse
from compiler_ai.emit.judged import dispatched_object, is_dispatched, narrowed
from compiler_ai.sandbox.object import read_object

FLAGS = ("-O2", "-fno-ipa-cp", "-fno-ipa-sra")
AS = ("as", "--64")
EVERYTHING = tuple(name for name, _ in X86_64.cpu_flags)


def test_a_rewrite_needs_only_what_its_instructions_need():
    target = listing(*FLAGS)
    made = candidates(target, *FLAGS[1:], "-O3", "-mavx2", "-ffp-contract=off", features=EVERYTHING)
    needs = {name: set(narrowed(body, target, (), X86_64, AS).features) for name, body in made.items()}
    assert needs["local"] == {"avx2"}
    assert needs["vectors"] == {"avx"}
    assert all(found <= {"avx", "avx2"} for found in needs.values())


def test_what_the_unit_has_anyway_is_no_need():
    target = listing(*FLAGS)
    made = candidates(target, *FLAGS[1:], "-O3", "-mavx2", "-ffp-contract=off", features=EVERYTHING)
    assert narrowed(made["local"], target, ("avx2",), X86_64, AS).features == ()


def test_what_is_timed_has_the_check_and_a_constant_verdict():
    target = listing(*FLAGS)
    made = candidates(target, *FLAGS[1:], "-O3", "-mavx2", "-ffp-contract=off", features=("avx2",))
    unit = read_object(dispatched_object(target, made["local"], X86_64, AS))
    (section,) = [section for section in unit.sections.values() if section.name == ".rodata.aicc_cpu"]
    assert section.data[0] == 2


def test_only_rewrites_that_need_more_are_dispatched():
    dispatch, native = (parse([f"-faicc-isa={policy}"], {})[0] for policy in ("dispatch", "native"))
    target = listing(*FLAGS)
    plain, more = (
        candidates(target, *FLAGS[1:], "-O3", "-mavx2", features=features)["vectors"] for features in ((), ("avx2",))
    )
    assert not is_dispatched(plain, dispatch)
    assert is_dispatched(more, dispatch)
    assert not is_dispatched(more, native)
