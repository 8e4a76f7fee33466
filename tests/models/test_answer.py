"""What becomes of answers: golden ones in answers/, and properties that hold for any text."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.statements import directive_of, label_of
from compiler_ai.models import excerpt
from compiler_ai.models.answer import is_baseline, read
from compiler_ai.models.base import Answer

ANSWERS = Path(__file__).with_name("answers")
KERNELS = Path(__file__).parents[2] / "examples" / "kernels"
UNIT = listing_model.parse((ANSWERS / "unit.s").read_text())
SUM = UNIT.function("sum")
assert SUM is not None


@pytest.mark.parametrize("path", sorted(ANSWERS.glob("*.txt")), ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    found = read(Answer(path.read_text()), UNIT, SUM, "m1")
    said = ""
    for one in found.parsed:
        said += f"body ({'; '.join(one.repairs) or 'as it is'}):\n{one.body}"
        said += f"extra:\n{one.extra}" if one.extra else ""
    said += "".join(f"refused: {reason}\n" for reason in found.reasons)
    assert said == path.with_suffix(".expected").read_text()


def kernels() -> list[listing_model.Listing]:
    texts = [
        subprocess.run(["gcc", *flags, "-w", "-S", "-o", "-", str(source)], check=True, capture_output=True, text=True)
        for source in sorted(KERNELS.glob("*.c"))
        for flags in (["-O3"], ["-O1", "-g", "-fcf-protection"])
    ]
    return [listing_model.parse(one.stdout) for one in texts]


def test_gccs_own_code_comes_back_as_itself() -> None:
    functions = [(unit, function) for unit in kernels() for function in unit.functions if len(function.parts) == 1]
    assert len(functions) > 20
    for unit, function in functions:
        for shown in (excerpt.bare(function), excerpt.complete(unit, function)):
            found = read(Answer(f"Here it is:\n```assembly\n{shown}```\n"), unit, function, "m1")
            assert not found.reasons, (function.name, found.reasons)
            assert [is_baseline(one, function) for one in found.parsed] == [True], function.name


@given(st.text(alphabet=st.sampled_from('`\n:.#%$(),; sumLretmovaxjd123[]"\\/*@\t'), max_size=400), st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_text_is_too_strange(text: str, truncated: bool) -> None:
    found = read(Answer(text, truncated=truncated), UNIT, SUM, "m1")
    assert all(reason.isprintable() for reason in found.reasons)


PIECES = st.sampled_from(
    [
        "sum:", "\tret", "\txorl\t%eax, %eax", "\tjne\t.L3", ".L3:", "done:", "\tjmp done", "1:", "\tje 1b", "```", "```assembly",
        "mov eax, [rdi]", "\t.section .rodata", ".LC0:", "\t.long 1, 2", "\t.text", "\t.incbin \"x\"", "# no", "So:", "\tpushq %rbx",
        "\tpopq %rbx", "\t.size sum, .-sum", "\tmovq .LC0(%rip), %rax", "", "\t.globl malloc", "\t.cfi_startproc", "\tcall system",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=25))
@settings(max_examples=250, deadline=None)
def test_a_body_holds_code_and_local_labels_only(lines: list[str]) -> None:
    found = read(Answer("\n".join(lines)), UNIT, SUM, "m1")
    for one in found.parsed:
        body = one.body.splitlines()
        assert body[0] == "\t.cfi_startproc"
        assert body[-1] == "\t.cfi_endproc"
        labels = [label for line in [*body, *one.extra.splitlines()] if (label := label_of(line))]
        assert all(label.startswith(".L") for label in labels)
        assert len(labels) == len(set(labels))
        allowed = re.compile(r"\.cfi_\w+|\.p2align|\.align|\.balign|")
        assert all(allowed.fullmatch(directive_of(line)) for line in body if not label_of(line))
        assert not one.extra or one.extra.startswith("\t.section\t.rodata")


@given(st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_what_is_cut_short_is_a_whole_function_or_refused(length: int) -> None:
    """Cut anywhere, an answer gives GCC's own body, or nothing; never a part of it."""
    whole = f"```assembly\n{excerpt.complete(UNIT, SUM)}"
    found = read(Answer(whole[:length], truncated=True), UNIT, SUM, "m1")
    assert all(is_baseline(one, SUM) for one in found.parsed)
    assert found.parsed or found.reasons
