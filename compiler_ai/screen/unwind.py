"""Unwind tables: those of other functions stay as they were, the rewritten function's code is covered where the baseline's was.

Source: LSB 5.0 "Exception Frames" (.eh_frame), DWARF 5 section 6.4.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler_ai.screen.elf import OBJECT, Relocation
from compiler_ai.screen.layout import Overlay, SectionKey, View
from compiler_ai.screen.rules import Refused

_SECTION: SectionKey = (".eh_frame", 0)
Place = tuple[SectionKey, int]


@dataclass(frozen=True)
class Frame:
    """One FDE: the code it covers, and its rules with its CIE's as bytes."""

    place: Place
    size_bytes: int
    rules: bytes


def frames(view: View) -> dict[Place, Frame]:
    """The FDEs of an object by the code they begin at. Raises Refused when the section is malformed."""
    section = view.by_key.get(_SECTION)
    if section is None:
        return {}
    data, found = section.data, {}
    relocations: dict[int, Relocation] = {relocation.offset: relocation for relocation in section.relocations}
    common: dict[int, bytes] = {}
    position = 0
    while position + 4 <= len(data):
        length = int.from_bytes(data[position : position + 4], "little")
        if length == 0:
            position += 4
            continue
        end = position + 4 + length
        if length >= 0xFFFFFFF0 or length < 4 or end > len(data):
            raise Refused(OBJECT, ".eh_frame is malformed")
        back = int.from_bytes(data[position + 4 : position + 8], "little")
        if back == 0:
            common[position] = data[position + 8 : end]
        else:
            relocation = relocations.get(position + 8)
            if relocation is None or not isinstance(relocation.symbol.section, int):
                raise Refused(OBJECT, ".eh_frame describes code that is not in the object")
            key = view.keys[relocation.symbol.section]
            place = (key, relocation.symbol.offset + relocation.addend)
            if place in found:
                raise Refused(OBJECT, f".eh_frame describes offset {place[1]:#x} of {key[0]} twice")
            size = int.from_bytes(data[position + 12 : position + 16], "little")
            rules = common.get(position + 4 - back, b"") + data[position + 16 : end]
            found[place] = Frame(place, size, rules.rstrip(b"\0"))
        position = end
    return found


def check_unwind(
    overlay: Overlay, own: list[tuple[SectionKey, int, int]], old_own: list[tuple[SectionKey, int, int]]
) -> None:
    """`own` and `old_own` are the function's code ranges in the candidate's and the baseline's object. Raises Refused."""
    before, after = frames(overlay.baseline), frames(overlay.candidate)
    remaining = dict(after)
    for place, frame in before.items():
        if any(place[0] == key and start <= place[1] < end for key, start, end in old_own):
            continue
        candidates = [(place[0], offset) for offset in overlay.positions(*place)]
        match = next((remaining.pop(p) for p in candidates if p in remaining), None)
        if match is None:
            raise Refused(OBJECT, f"unwind information at {place[1]:#x} of {place[0][0]} is lost")
        if match.size_bytes == frame.size_bytes and match.rules != frame.rules:
            raise Refused(OBJECT, f"unwind information at {place[1]:#x} of {place[0][0]} changes")
    described = any(place[0] == key and start <= place[1] < end for place in before for key, start, end in old_own)
    for key, start, end in own:
        mine = [remaining.pop(place) for place in list(remaining) if place[0] == key and start <= place[1] < end]
        if any(frame.place[1] + frame.size_bytes > end for frame in mine):
            raise Refused(OBJECT, "unwind information reaches past the function's end")
        if described and sum(frame.size_bytes for frame in mine) < end - start:
            raise Refused(OBJECT, "part of the function has no unwind information, where the baseline's has")
    if remaining:
        raise Refused(OBJECT, "the candidate adds unwind information for code that is not its own")
