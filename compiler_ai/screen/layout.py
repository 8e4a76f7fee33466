"""Two objects of one unit laid over each other: which pieces are common, which are the function's own, and where each went.

Both objects keep their local labels (`as --keep-locals`), so every label that the candidate did not touch names the same
piece in both, wherever padding, jump tables or other constants moved it.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import dataclass

from compiler_ai.screen.elf import OBJECT, ObjectFile, Section
from compiler_ai.screen.rules import Refused

SectionKey = tuple[str, int]  # name, and the how-manieth of that name


@dataclass(frozen=True)
class Piece:
    """The bytes from one label (or several at the same place) to the next in a section."""

    section: Section
    start: int
    end: int
    names: frozenset[str]

    @property
    def data(self) -> bytes:
        return self.section.data[self.start : self.end]


class View:
    """One object's loaded sections cut at their labels."""

    def __init__(self, contents: ObjectFile) -> None:
        self.contents = contents
        self.keys: dict[int, SectionKey] = {}
        self.by_key: dict[SectionKey, Section] = {}
        seen: dict[str, int] = defaultdict(int)
        for index, section in sorted(contents.sections.items()):
            key = (section.name, seen[section.name])
            seen[section.name] += 1
            self.keys[index], self.by_key[key] = key, section
        self.places: dict[str, tuple[SectionKey, int]] = {}
        at: dict[SectionKey, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for name, symbol in contents.by_name.items():
            if isinstance(symbol.section, int) and symbol.section in self.keys:
                key = self.keys[symbol.section]
                self.places[name] = (key, symbol.offset)
                at[key][symbol.offset].add(name)
        self.names_at = {
            key: {offset: frozenset(names) for offset, names in places.items()} for key, places in at.items()
        }
        self.offsets = {key: sorted({0, *at.get(key, ())}) for key in self.by_key}

    def pieces(self, key: SectionKey) -> list[Piece]:
        section, offsets = self.by_key[key], self.offsets[key]
        ends = [*offsets[1:], section.size_bytes]
        names = self.names_at.get(key, {})
        return [
            Piece(section, start, end, names.get(start, frozenset())) for start, end in zip(offsets, ends, strict=True)
        ]


class Overlay:
    """Where the baseline's pieces are in the candidate's object.

    `own` are the labels that belong to the function: `entry`, its names, and those of its body.
    """

    def __init__(self, baseline: View, candidate: View, own: frozenset[str], entry: frozenset[str]) -> None:
        self.baseline, self.candidate, self.own, self.entry = baseline, candidate, own, entry
        self.common = frozenset(
            name
            for name, (key, _) in baseline.places.items()
            if name not in own and name in candidate.places and candidate.places[name][0] == key
        )

    def is_kept(self, piece: Piece) -> bool:
        """Whether a piece is the unit's and not the function's: one of its labels is common, or it has none at all."""
        return not piece.names or not piece.names.isdisjoint(self.common)

    def positions(self, key: SectionKey, offset: int) -> set[int]:
        """Where in the candidate's section what is at `offset` in the baseline's may be (two answers at a border)."""
        offsets = self.baseline.offsets.get(key, [])
        names = self.baseline.names_at.get(key, {})
        here = names.get(offset, frozenset()) & self.entry
        found = {self.candidate.places[name][1] for name in here if name in self.candidate.places}
        index = bisect.bisect_right(offsets, offset) - 1
        remaining = 2
        while index >= 0 and remaining:
            start = offsets[index]
            places = {self.candidate.places[n][1] + offset - start for n in names.get(start, ()) if n in self.common}
            if start == 0 and not names.get(0):
                places.add(offset)
            if places:
                found |= places
                remaining -= 1
                if start != offset:
                    break
            index -= 1
        return found

    def pair(self, piece: Piece, key: SectionKey) -> Piece:
        """The candidate's piece for a kept baseline piece. Raises Refused."""
        names = piece.names & self.common
        if not names:
            return self.candidate.pieces(key)[0]
        starts = {self.candidate.places[name][1] for name in names}
        if len(starts) != 1:
            raise Refused(OBJECT, f"{key[0]}: {min(names)} and what was at the same place have come apart")
        start = starts.pop()
        if piece.start == piece.end:  # labels at a section's end: what the candidate adds begins there
            return Piece(self.candidate.by_key[key], start, start, names)
        offsets = self.candidate.offsets[key]
        index = bisect.bisect_left(offsets, start)
        section = self.candidate.by_key[key]
        end = offsets[index + 1] if index + 1 < len(offsets) else section.size_bytes
        return Piece(section, start, end, names)
