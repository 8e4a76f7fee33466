"""The gate between a proposer and everything that runs code: text, then the assembler under limits, then object and bytes.

What stopped 47 of 47 attacks in the prototype: an allowlist at each of the three levels. Nothing is assembled before the text
check has passed; nothing is executed here at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from compiler_ai.artifacts import Candidate, Rejection
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.function import Function
from compiler_ai.sandbox.assemble import Limits, assemble
from compiler_ai.sandbox.errors import AssembleError
from compiler_ai.screen import code, elf, isa, object, text, unwind
from compiler_ai.screen.decode import CODE, Decoder
from compiler_ai.screen.layout import Overlay, Piece, SectionKey, View
from compiler_ai.screen.rules import Bounds, Refused, UnitFacts
from compiler_ai.toolchains.description import Toolchain

ASSEMBLE = "screen.assemble"
_KEEP_LABELS = "--keep-locals"
OwnCode = list[tuple[SectionKey, int, int]]


class ScreenError(Exception):
    """The gate cannot judge any candidate of this function: the baseline itself is not understood. One line for the log."""


@dataclass(frozen=True)
class ScreenResult:
    """Either the candidate's object, byte for byte what ships, or why it is refused."""

    object_bytes: bytes = b""
    rejection: Rejection | None = None


def screen(
    candidate: Candidate, baseline_text: str, function: str, spliced_text: str, toolchain: Toolchain,
    assembler: Sequence[str], features: Iterable[str] | None = None,
) -> ScreenResult:  # fmt: skip
    """Screen one candidate; see `Screener`, which is cheaper for several candidates of one function. Raises ScreenError."""
    return Screener(baseline_text, function, toolchain, assembler, features).screen(candidate, spliced_text)


class Screener:
    """The gate for one function of one unit.

    `features` are the ISA extensions (GCC's -m names) that the unit's flags enable; those that the baseline function's own
    instructions prove are too. Raises ScreenError when the baseline cannot be assembled or decoded.
    """

    def __init__(
        self, baseline_text: str, function: str, toolchain: Toolchain, assembler: Sequence[str],
        features: Iterable[str] | None = None, limits: Limits | None = None, bounds: Bounds | None = None,
    ) -> None:  # fmt: skip
        if toolchain.instructions is None:
            raise ScreenError(f"there are no instruction rules for {toolchain.name}")
        self.function, self.toolchain, self.rules = function, toolchain, toolchain.instructions
        self.assembler, self.limits, self.bounds = tuple(assembler), limits or Limits(), bounds or Bounds()
        self.decoder = Decoder(toolchain, self.rules)
        listing = listing_model.parse(baseline_text)
        baseline = listing.function(function)
        if baseline is None:
            raise ScreenError(f"the listing defines no function '{function}'")
        try:
            self.view = View(elf.read(self._assemble(baseline_text, (_KEEP_LABELS,))))
            self.own_labels = baseline.local_labels
            self.unit = _facts(baseline, self.view, listing)
            self.own_code = _code_ranges(self.view, function)
            self.ranges = [self._range(self.view, *piece) for piece in self.own_code]
            self.habits = code.habits(self.ranges, self.rules)
            self.section = baseline.section.directive
            own_text = isa.standalone(baseline.body, "", self.section)
            # A function may have been given more than its unit: __attribute__((target("bmi2"))).
            self.features = frozenset(features or ()) | toolchain.baseline_features
            self.features |= isa.needed_features(own_text, toolchain, self.rules, self._assemble, self.features)
        except (Refused, AssembleError) as error:
            raise ScreenError(f"{function}: the baseline is not understood: {error}") from error

    def screen(self, candidate: Candidate, spliced_text: str) -> ScreenResult:
        """Judge one candidate; never raises for anything that a candidate says."""
        try:
            text.check(candidate, self.unit, self.toolchain, self.bounds)
            alone = isa.standalone(candidate.body, candidate.extra, self.section)
            shipped = self._assemble(spliced_text, ())
            labelled = self._assemble(spliced_text, (_KEEP_LABELS,))
            self._check_object(elf.read(shipped), elf.read(labelled))
            isa.check_isa(alone, self.features | set(candidate.features), self.rules, self._assemble)
        except Refused as refused:
            return ScreenResult(rejection=refused.rejection())
        except AssembleError as error:
            return ScreenResult(rejection=Refused(ASSEMBLE, str(error)).rejection())
        return ScreenResult(object_bytes=shipped)

    def _assemble(self, source: str, arguments: tuple[str, ...]) -> bytes:
        return assemble(source, (*self.assembler, *arguments), self.limits)

    def _check_object(self, shipped: elf.ObjectFile, labelled: elf.ObjectFile) -> None:
        view = View(labelled)
        object.check_headers(shipped, labelled, self.view.contents, self.toolchain)
        object.check_sections(self.view, view)
        object.check_symbols(self.view.contents, labelled, self.function, self.toolchain)
        if view.places[self.function][0] != self.view.places[self.function][0]:
            raise Refused(elf.OBJECT, "the function is in another section than the baseline's")
        entry = self._entry_names()
        overlay = Overlay(self.view, view, self.own_labels | entry, entry)
        pieces = object.compare(overlay, self.own_code, self.decoder)
        object.check_mergeable(pieces)
        object.check_relocation_types(pieces, self.view.contents, self.toolchain)
        callees = self._callees(view)
        own = [*_code_ranges(view, self.function), *callees]
        unwind.check_unwind(overlay, own, self.own_code)
        self._check_code(view, pieces, own)

    def _entry_names(self) -> frozenset[str]:
        """Every function name at the entry: aliases move with the function."""
        key, offset = self.view.places[self.function]
        symbols = self.view.contents.by_name
        return frozenset(name for name in self.view.names_at[key][offset] if symbols[name].type == "STT_FUNC")

    def _callees(self, view: View) -> OwnCode:
        """Functions in the candidate's object that the baseline's has not."""
        found = []
        for name, symbol in view.contents.by_name.items():
            if symbol.type == "STT_FUNC" and name not in self.view.places and name in view.places and symbol.size_bytes:
                key, offset = view.places[name]
                if name != f"{self.function}.cold":
                    found.append((key, offset, offset + symbol.size_bytes))
        return found

    def _range(self, view: View, key: SectionKey, start: int, end: int) -> code.CodeRange:
        section = view.by_key[key]
        instructions = tuple(self.decoder.decode(section.data[start:end], start))
        relocations = {r.offset: r for r in section.relocations if start <= r.offset < end}
        return code.CodeRange(f"{key[0]}+{start:#x}", section.index, start, end, instructions, relocations)

    def _check_code(self, view: View, pieces: list[tuple[SectionKey, Piece]], own: OwnCode) -> None:
        ranges = [self._range(view, *piece) for piece in own]
        self._check_padding(pieces, own)
        code.check_instructions(ranges, self.habits, self.rules, view.contents.sections)
        entries: dict[int, set[int]] = {}
        for symbol in view.contents.symbols:
            if isinstance(symbol.section, int) and symbol.type == "STT_FUNC":
                entries.setdefault(symbol.section, set()).add(symbol.offset)
        code_sections = frozenset(index for index, section in view.contents.sections.items() if section.is_code)
        code.check_flow(
            ranges, {section: frozenset(offsets) for section, offsets in entries.items()},
            frozenset(_table_targets(pieces, code_sections)), self.unit.symbols | self.toolchain.library_symbols,
            self.habits, self.rules, code_sections,
        )  # fmt: skip

    def _check_padding(self, pieces: list[tuple[SectionKey, Piece]], own: OwnCode) -> None:
        """Code that is the candidate's but in no function may only be padding."""
        for key, piece in pieces:
            if not piece.section.is_code:
                continue
            position = piece.start
            for _, start, end in sorted(r for r in own if r[0] == key):
                if end > position and start < piece.end:
                    self._padding(key, piece, position, min(start, piece.end))
                    position = max(position, end)
            self._padding(key, piece, position, piece.end)

    def _padding(self, key: SectionKey, piece: Piece, start: int, end: int) -> None:
        data = piece.section.data[start:end]
        if (
            end > start
            and data.strip(b"\0")
            and not all(map(self.decoder.is_padding, self.decoder.decode(data, start)))
        ):
            raise Refused(CODE, f"there is code in {key[0]} at {start:#x} that belongs to no function")


def _code_ranges(view: View, function: str) -> OwnCode:
    """Where the function's hot and cold parts are in an object. Raises Refused."""
    found: OwnCode = []
    for name in (function, f"{function}.cold"):
        symbol = view.contents.by_name.get(name)
        if symbol is None or name not in view.places:
            continue
        key, offset = view.places[name]
        end = offset + symbol.size_bytes
        if not view.by_key[key].is_code or end > view.by_key[key].size_bytes:
            raise Refused(elf.OBJECT, f"'{name}' is not in code")
        if not symbol.size_bytes and name != function:
            end = next(
                (o for o in view.offsets[key] if o > offset and _starts_function(view, key, o)),
                len(view.by_key[key].data),
            )
        found.append((key, offset, end))
    if not found or found[0][2] <= found[0][1]:
        raise Refused(elf.OBJECT, f"'{function}' has no code")
    return found


def _starts_function(view: View, key: SectionKey, offset: int) -> bool:
    return any(view.contents.by_name[name].type == "STT_FUNC" for name in view.names_at[key].get(offset, ()))


def _table_targets(pieces: list[tuple[SectionKey, Piece]], code_sections: frozenset[int]) -> Iterable[tuple[int, int]]:
    """Where the entries of the candidate's own tables point to in code. Table-relative ones count from their table's start."""
    for _, piece in pieces:
        if piece.section.is_code:
            continue
        for relocation in object.relocations_in(piece):
            target = relocation.symbol.section
            if isinstance(target, int) and target in code_sections:
                relative = relocation.offset - piece.start if "PC" in relocation.type else 0
                yield target, relocation.symbol.offset + relocation.addend - relative


def _facts(baseline: Function, view: View, listing: listing_model.Listing) -> UnitFacts:
    own = {part.section.name for part in baseline.parts}
    keys: dict[bool, set[str]] = {True: set(), False: set()}
    for section in {section.directive: section for section in listing.sections}.values():
        key = text.section_key(section.directive)
        # Once it is declared, its name alone opens it again.
        keys[True].update({key, key.partition(",")[0]} if section.name in own else ())
    for line in baseline.body_lines:
        key = text.section_key(line)
        if (
            key.startswith(".section ")
            and text.is_read_only(key.split(",")[0])
            and "x" not in key.partition('"')[2].partition('"')[0]
        ):
            keys[False].add(key)
    names = {
        symbol.name
        for symbol in view.contents.symbols
        if symbol.name and symbol.type not in ("STT_FILE", "STT_SECTION")
    }
    exceptions = frozenset(
        " ".join(line.split())
        for line in baseline.body_lines
        if line.lstrip().startswith((".cfi_personality", ".cfi_lsda", ".file\t", ".file "))
    )
    return UnitFacts(
        baseline.name, frozenset(names) | baseline.local_labels, baseline.local_labels, frozenset(keys[True]),
        frozenset(keys[False]), len(baseline.body), exceptions,
    )  # fmt: skip
