"""The ISA check: the assembler itself, told which extensions are enabled, refuses what needs more."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from compiler_ai.sandbox.errors import AssembleError
from compiler_ai.screen.decode import CODE
from compiler_ai.screen.rules import Refused
from compiler_ai.toolchains.description import InstructionRules, Toolchain

Assemble = Callable[[str, tuple[str, ...]], bytes]


def isa_argument(features: Iterable[str], rules: InstructionRules) -> str:
    """GNU as's -march= for the baseline ISA plus `features` (GCC's -m names)."""
    names = dict(rules.assembler_features)
    extensions = sorted({names.get(feature, feature) for feature in features} - {""})
    return "-march=" + "+".join((rules.assembler_isa, *extensions))


def standalone(body: str, extra: str, section: str) -> str:
    """A unit that holds nothing but a candidate's text, without the source positions that need the unit's file table."""
    lines = "\n".join((section, body, extra)).split("\n")
    return "\n".join(line for line in lines if not line.lstrip().startswith((".loc", ".file"))) + "\n"


def check_isa(text: str, features: Iterable[str], rules: InstructionRules, assemble: Assemble) -> None:
    """Whether `text` assembles with no more than `features`. Raises Refused."""
    try:
        assemble(text, (isa_argument(features, rules),))
    except AssembleError as error:
        raise Refused(CODE, f"an instruction needs more than the unit's ISA allows: {error}") from error


def needed_features(
    text: str, toolchain: Toolchain, rules: InstructionRules, assemble: Assemble, given: frozenset[str]
) -> frozenset[str]:
    """A smallest set of extensions, the `given` ones among them, with which `text` assembles."""

    def accepts(features: Iterable[str]) -> bool:
        try:
            assemble(text, (isa_argument(features, rules),))
        except AssembleError:
            return False
        return True

    wanted = set(given)
    if accepts(wanted):
        return frozenset(wanted)
    wanted |= {name for name, _ in toolchain.cpu_flags}
    for name, _ in reversed(toolchain.cpu_flags):
        if name not in given and accepts(wanted - {name}):
            wanted.discard(name)
    return frozenset(wanted)
