"""Which calls of a function are worth capturing and keeping: of as many kinds as there are, spread over the run.

A kind is what tells calls apart before they are made: where the call comes from and how large its integer arguments are.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from compiler_ai.capture.format import Registers

_HOPELESS = 3  # impure calls of a kind after which it is tried only now and then
_NOW_AND_THEN = 1 / 16
_POINTERS_FROM = 1 << 32


@dataclass(frozen=True)
class Kind:
    """`caller` is the return address; `arguments` are the classes of the first integer arguments."""

    caller: int
    arguments: tuple[str, ...]


def kind_of(registers: Registers, names: tuple[str, ...], caller: int) -> Kind:
    """The kind of a call from the state at its entry; `names` are the registers of its integer arguments."""
    return Kind(caller, tuple(_class(registers[name]) for name in names))


def _class(value: int) -> str:
    """A pointer by its alignment, a number by its sign and its magnitude in powers of two."""
    number = value & 0xFFFFFFFF
    if value >= _POINTERS_FROM and value >> 32 != 0xFFFFFFFF:
        return "aligned" if value % 16 == 0 else "odd" if value % 4 else "pointer"
    return f"-{(-number & 0xFFFFFFFF).bit_length()}" if number >> 31 else str(number.bit_length())


@dataclass(frozen=True)
class Item:
    """One kept capture."""

    kind: Kind
    size_bytes: int
    name: str


@dataclass
class Selection:
    """The captures of one function that stay, at most `most` of them."""

    most: int
    chance: random.Random
    items: list[Item] = field(default_factory=list)
    hits: Counter[Kind] = field(default_factory=Counter)
    pure: Counter[Kind] = field(default_factory=Counter)
    impure: Counter[Kind] = field(default_factory=Counter)

    @property
    def size_bytes(self) -> int:
        return sum(item.size_bytes for item in self.items)

    def wants(self, kind: Kind, room_bytes: int) -> bool:
        """Whether a call of this kind, about to be made, is worth a capture; `room_bytes` is for all of them together.

        While there is room for the kind, every call is. Then they are drawn so that each call of the kind has the same chance to stay.
        """
        self.hits[kind] += 1
        if self.impure[kind] >= _HOPELESS and not self.pure[kind]:
            return self.chance.random() < _NOW_AND_THEN
        share = self._slots(room_bytes) / len(self.hits)
        kept = sum(item.kind == kind for item in self.items)
        return kept < max(1.0, share) or self.chance.random() < max(1.0, share) / self.hits[kind]

    def admit(self, kind: Kind, size_bytes: int, room_bytes: int) -> list[Item] | None:
        """The items that give way to a capture of this kind, or None when it is the one that goes. The first one stays
        whatever its size."""
        self.pure[kind] += 1
        staying = list(self.items)
        leaving: list[Item] = []
        while staying and (
            len(staying) >= self.most or sum(item.size_bytes for item in staying) + size_bytes > room_bytes
        ):
            kept = Counter(item.kind for item in staying)
            most = max(kept.values())
            if size_bytes > room_bytes or (most == 1 and kind not in kept and self._passes_over(len(kept))):
                return None
            crowded = [item for item in staying if kept[item.kind] == most]
            if kept[kind] == most:  # no other kind has more: one of its own gives way
                crowded = [item for item in staying if item.kind == kind]
            victim = self.chance.choice(crowded)
            staying.remove(victim)
            leaving.append(victim)
        return leaving

    def keep(self, item: Item, leaving: list[Item]) -> None:
        self.items = [other for other in self.items if other not in leaving] + [item]

    def refuse(self, kind: Kind) -> None:
        """A call of this kind was impure or could not be captured."""
        self.impure[kind] += 1

    def _slots(self, room_bytes: int) -> float:
        if not self.items:
            return float(self.most)
        return min(float(self.most), room_bytes / max(1.0, self.size_bytes / len(self.items)))

    def _passes_over(self, kept_kinds: int) -> bool:
        """More kinds than places: each has the same chance."""
        return self.chance.random() >= kept_kinds / max(1, len(self.pure))
