"""Hostile candidates: each file of attacks/ is refused at the stage its first line names, and nothing leaks on the way."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Candidate
from compiler_ai.asm import listing, splice
from compiler_ai.sandbox.assemble import Limits
from compiler_ai.screen.gate import Screener

HERE = Path(__file__).parent
FUNCTION = "target"


@dataclass(frozen=True)
class Attack:
    """A body, text behind it, and (for what the text check would stop) text that a broken splicer lets through."""

    stage: str
    body: str
    extra: str
    spliced: str


def read_attack(path: Path) -> Attack:
    first, _, rest = path.read_bytes().decode("latin-1").partition("\n")
    rest, _, spliced = rest.partition("# --- spliced\n")
    body, _, extra = rest.partition("# --- extra\n")
    return Attack(first.removeprefix("# "), body, extra, spliced)


@pytest.fixture(scope="module")
def unit_text() -> str:
    command = ["gcc", "-O2", "-fno-pie", "-S", "-o", "-", str(HERE / "unit.c")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def screener(unit_text: str) -> Screener:
    return Screener(unit_text, FUNCTION, X86_64, ("as", "--64"), features=(), limits=Limits(cpu_s=3))


def spliced(unit_text: str, candidate: Candidate) -> str:
    return splice.replace(listing.parse(unit_text), FUNCTION, candidate, 0)


@pytest.mark.parametrize("path", sorted((HERE / "attacks").glob("*.s")), ids=lambda path: path.stem)
def test_an_attack_is_refused_at_its_stage(path: Path, unit_text: str, screener: Screener, tmp_path: Path) -> None:
    attack = read_attack(path)
    secret = tmp_path / "secret"
    secret.write_text("xyzzy_secret_word\n")
    attack_text = attack.body.replace("/etc/passwd", str(secret))
    candidate = Candidate(FUNCTION, attack_text, attack.extra.replace("/etc/passwd", str(secret)))
    text = spliced(unit_text, candidate) + attack.spliced.replace("/etc/passwd", str(secret))
    result = screener.screen(candidate, text)
    assert result.rejection is not None
    assert result.object_bytes == b""
    assert (result.rejection.stage, result.rejection.reason) == (attack.stage, result.rejection.reason)
    assert "xyzzy_secret_word" not in result.rejection.reason
    assert result.rejection.reason.isprintable()


def test_there_are_at_least_sixty_attacks() -> None:
    assert len(list((HERE / "attacks").glob("*.s"))) >= 60


def test_the_body_the_attacks_are_built_on_passes(unit_text: str, screener: Screener) -> None:
    attack = read_attack(HERE / "attacks" / "syscall.s")
    candidate = Candidate(FUNCTION, attack.body.replace("\tsyscall\n", ""))
    result = screener.screen(candidate, spliced(unit_text, candidate))
    assert result.rejection is None
    assert result.object_bytes.startswith(b"\x7fELF")


@pytest.mark.parametrize(
    "body", ["\tnop\n" * 100_001, "\tnop\n" * 1_000_000, ".Lx:" * 1_000_000, "\t.p2align 6\n" * 90_000]
)
def test_a_flood_is_refused_before_anything_is_assembled(body: str, screener: Screener) -> None:
    result = screener.screen(Candidate(FUNCTION, body), "this would not assemble")
    assert result.rejection is not None
    assert result.rejection.stage == "screen.text"


def test_an_extension_passes_only_when_the_candidate_names_it(unit_text: str, screener: Screener) -> None:
    body = read_attack(HERE / "attacks" / "popcnt.s").body
    named = Candidate(FUNCTION, body, features=("popcnt",))
    assert screener.screen(named, spliced(unit_text, named)).rejection is None
    other = Candidate(FUNCTION, body, features=("avx2",))
    rejection = screener.screen(other, spliced(unit_text, other)).rejection
    assert rejection is None or rejection.stage == "screen.code"


def test_a_candidate_for_another_function_is_refused(unit_text: str, screener: Screener) -> None:
    rejection = screener.screen(Candidate("other", "\tret\n"), unit_text).rejection
    assert rejection is not None
    assert rejection.stage == "screen.text"


CONSTANT = '\t.section\t.rodata.cst4,"aM",@progbits,4\n\t.align 4\n.Lconstant:\n\t.long 7\n'
ALIGNED_TEXTS = '\t.section\t.rodata.str1.8,"aMS",@progbits,1\n\t.align 8\n.Lone:\n\t.string "some"\n\t.align 8\n.Lother:\n\t.string ""\n'


@pytest.mark.parametrize(
    ("uses", "constants"),
    [
        ("\taddl .Lconstant(%rip), %eax\n", CONSTANT),
        ("\tleaq .Lone(%rip), %rdi\n\tleaq .Lother(%rip), %rsi\n", ALIGNED_TEXTS),
    ],
    ids=["a constant", "aligned texts"],
)
def test_a_static_callee_and_constants_that_a_body_brings_along_pass(
    uses: str, constants: str, unit_text: str, screener: Screener
) -> None:
    attack = read_attack(HERE / "attacks" / "callee_syscall.s")
    body = attack.body.replace("\tcall gadget", f"{uses}\tcall gadget")
    candidate = Candidate(FUNCTION, body, attack.extra.replace("\tsyscall\n", "\tincl %eax\n") + constants)
    assert screener.screen(candidate, spliced(unit_text, candidate)).rejection is None
