"""The second check: what the assembler made of the candidate, against what it made of the baseline.

Sections, symbols, externals and relocations by allowlist; every other function and all other data the same after
relocation; unwind tables of other functions untouched. Sources: System V gABI chapter 4, LSB "Exception Frames".
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable
from typing import Any

from compiler_ai.screen.elf import OBJECT, ObjectFile, Relocation, Symbol
from compiler_ai.screen.layout import Overlay, Piece, SectionKey, View
from compiler_ai.screen.rules import Refused
from compiler_ai.toolchains.description import Toolchain

_READ_ONLY_NAME = re.compile(r"\.(?:rodata|data\.rel\.ro)(?:\.[\w.$]+)?")
_SHF_WRITE, _SHF_EXECINSTR, _SHF_LINKED = 1, 4, 0x40
_COMPARED_FLAGS = ~_SHF_LINKED
_UNWIND_SECTION = ".eh_frame"
_MAX_SHIFT_ZEROS = 64


def check_headers(shipped: ObjectFile, labelled: ObjectFile, baseline: ObjectFile, toolchain: Toolchain) -> None:
    """The object is of the right kind, and the copy with labels is the same code. Raises Refused."""
    if shipped.machine != toolchain.elf_machine or shipped.header != baseline.header:
        raise Refused(
            OBJECT, f"the object is for {shipped.machine} {shipped.header}, the baseline's for {baseline.machine}"
        )
    for index, section in shipped.sections.items():
        twin = labelled.sections.get(index)
        if twin is None or (section.is_loaded and (section.name, section.data) != (twin.name, twin.data)):
            raise Refused(OBJECT, f"section {section.name} depends on whether the assembler keeps local labels")


def check_sections(baseline: View, candidate: View) -> None:
    """Same sections with the same flags, but for read-only data. Raises Refused."""
    for key, section in candidate.by_key.items():
        if section.is_writable and section.is_code:
            raise Refused(OBJECT, f"section {section.name} is writable and executable")
        old = baseline.by_key.get(key)
        if old is not None:
            if (section.type, section.flags, section.entry_bytes) != (old.type, old.flags, old.entry_bytes):
                raise Refused(OBJECT, f"section {section.name} has other flags than the baseline's")
        elif section.type != "SHT_PROGBITS" or not _READ_ONLY_NAME.fullmatch(section.name) or section.is_code:
            raise Refused(OBJECT, f"the candidate adds section {section.name}")
        if (
            section.is_writable
            and not section.name.startswith(".data.rel.ro")
            and (old is None or section.size_bytes != old.size_bytes)
        ):
            raise Refused(OBJECT, f"writable section {section.name} has another size than the baseline's")
    for key, section in baseline.by_key.items():
        if key not in candidate.by_key and not _READ_ONLY_NAME.fullmatch(section.name) and not section.is_code:
            raise Refused(OBJECT, f"the candidate loses section {section.name}")


def check_symbols(baseline: ObjectFile, candidate: ObjectFile, function: str, toolchain: Toolchain) -> None:
    """No new global or undefined symbol beyond the allowed ones, none lost or changed. Raises Refused."""
    old = {symbol.name: symbol for symbol in baseline.symbols if symbol.binding != "STB_LOCAL" and symbol.name}
    undefined = {name for name, symbol in old.items() if symbol.section == "SHN_UNDEF"}
    new = {}
    for symbol in candidate.symbols:
        if symbol.binding == "STB_LOCAL":
            if symbol.type not in ("STT_NOTYPE", "STT_OBJECT", "STT_FUNC", "STT_SECTION", "STT_FILE", "STT_TLS"):
                raise Refused(OBJECT, f"local symbol {symbol.name} is of type {symbol.type}")
            if symbol.type in ("STT_FILE", "STT_TLS") and symbol.name not in _names(baseline, symbol.type):
                raise Refused(OBJECT, f"the candidate adds {symbol.type} {symbol.name}")
        elif symbol.name:
            new[symbol.name] = symbol
    for name, symbol in new.items():
        if symbol.section == "SHN_UNDEF" and name not in undefined | toolchain.library_symbols:
            raise Refused(OBJECT, f"the candidate needs '{name}', which the unit does not use")
        if symbol.section != "SHN_UNDEF" and name not in old:
            raise Refused(OBJECT, f"the candidate defines the global symbol '{name}'")
    for name, symbol in old.items():
        if symbol.section == "SHN_UNDEF" and name not in new:
            continue
        after = new.get(name)
        if after is None or _attributes(symbol, baseline) != _attributes(after, candidate):
            raise Refused(OBJECT, f"symbol '{name}' is lost or has other attributes than the baseline's")
        if name != function and symbol.size_bytes != after.size_bytes and symbol.offset != _offset(baseline, function):
            raise Refused(OBJECT, f"symbol '{name}' has another size than the baseline's")


def _names(contents: ObjectFile, kind: str) -> set[str]:
    return {symbol.name for symbol in contents.symbols if symbol.type == kind}


def _offset(contents: ObjectFile, name: str) -> int:
    return contents.by_name[name].offset


def _attributes(symbol: Symbol, contents: ObjectFile) -> tuple[str, ...]:
    section = contents.sections[symbol.section].name if isinstance(symbol.section, int) else symbol.section
    return (symbol.type, symbol.binding, symbol.visibility, section)


def compare(
    overlay: Overlay, own_code: Iterable[tuple[SectionKey, int, int]], decoder: Any
) -> list[tuple[SectionKey, Piece]]:
    """Compare every kept piece; return the candidate's own pieces (its code, tables and constants). Raises Refused."""
    ranges = list(own_code)
    matched: set[tuple[SectionKey, int]] = set()
    for key, section in overlay.baseline.by_key.items():
        if not section.is_loaded or section.name == _UNWIND_SECTION:
            continue
        for piece in overlay.baseline.pieces(key):
            if not overlay.is_kept(piece) or any(k == key and s <= piece.start < e for k, s, e in ranges):
                continue
            if key not in overlay.candidate.by_key:
                if piece.end > piece.start:
                    raise Refused(OBJECT, f"the candidate loses section {section.name}")
                continue
            other = overlay.pair(piece, key)
            _compare_piece(overlay, key, piece, other, decoder)
            if other.end > other.start:
                matched.add((key, other.start))
    own = []
    for key, section in overlay.candidate.by_key.items():
        if section.is_loaded and section.name != _UNWIND_SECTION:
            own += [
                (key, p) for p in overlay.candidate.pieces(key) if (key, p.start) not in matched and p.end > p.start
            ]
    for key, piece in own:
        if piece.section.is_writable and not piece.section.name.startswith(".data.rel.ro"):
            raise Refused(OBJECT, f"the candidate adds {piece.end - piece.start} bytes to {key[0]}")
    return own


def _compare_piece(overlay: Overlay, key: SectionKey, old: Piece, new: Piece, decoder: Any) -> None:
    where = f"{min(old.names, default='the start')} in {key[0]}"
    before, after = relocations_in(old), relocations_in(new)
    same_places = [(r.offset - old.start, r.type) for r in before] == [(r.offset - new.start, r.type) for r in after]
    if same_places and _same_data(old, new):
        pairs: Iterable[tuple[Relocation, Relocation]] = zip(before, after, strict=True)
    elif old.section.is_code and decoder.same_code(overlay, key, old, new) and len(before) == len(after):
        pairs = zip(before, after, strict=True)
    else:
        raise Refused(OBJECT, f"the candidate changes {where}, which is not its own")
    for first, second in pairs:
        if not _same_target(overlay, old, first, second) and not _is_left_behind(overlay, old, new, first):
            raise Refused(OBJECT, f"the candidate makes {where} refer to something else")


def _is_left_behind(overlay: Overlay, old: Piece, new: Piece, relocation: Relocation) -> bool:
    """Whether a constant table held addresses of the function's own code (computed goto), and nothing refers to it any more."""
    section = old.section
    if section.is_code or (section.is_writable and not section.name.startswith(".data.rel.ro")):
        return False
    contents = overlay.candidate.contents
    if not new.names or any(contents.by_name[name].binding != "STB_LOCAL" for name in new.names):
        return False
    target = relocation.symbol.section
    if not isinstance(target, int) or relocation.symbol.type != "STT_SECTION":
        return False
    places = overlay.baseline.names_at.get(overlay.baseline.keys.get(target, ("", -1)), {})
    inside = places.get(relocation.symbol.offset + relocation.addend, frozenset())
    if inside.isdisjoint(overlay.own - overlay.entry):
        return False
    references = (reference for other in contents.sections.values() for reference in other.relocations)
    return not any(_may_refer_to(new, reference) for reference in references)


def _may_refer_to(piece: Piece, reference: Relocation) -> bool:
    if reference.symbol.type != "STT_SECTION":
        return reference.symbol.name in piece.names
    if reference.symbol.section != piece.section.index:
        return False
    # A PC-relative field's addend counts from the end of its instruction, behind which immediate operands may lie.
    biases = (4, 5, 6, 8) if "PC" in reference.type else (0,)
    return any(piece.start <= reference.addend + bias < piece.end for bias in biases)


def relocations_in(piece: Piece) -> list[Relocation]:
    """The relocations of fields that begin in `piece`."""
    entries = piece.section.relocations
    first = bisect.bisect_left(entries, piece.start, key=lambda entry: entry.offset)
    last = bisect.bisect_left(entries, piece.end, key=lambda entry: entry.offset)
    return list(entries[first:last])


def _same_data(old: Piece, new: Piece) -> bool:
    if old.section.type == "SHT_NOBITS":
        return old.end - old.start == new.end - new.start
    first, second = old.data, new.data
    if first == second:
        return True
    if old.section.is_code or old.section.is_writable or abs(len(first) - len(second)) >= _MAX_SHIFT_ZEROS:
        return False
    return first.rstrip(b"\0") == second.rstrip(b"\0")  # only the padding for what follows differs


def _same_target(overlay: Overlay, piece: Piece, old: Relocation, new: Relocation) -> bool:
    if old.type != new.type:
        return False
    if old.symbol.type != "STT_SECTION" or new.symbol.type != "STT_SECTION":
        return (old.symbol.name, old.addend) == (new.symbol.name, new.addend)
    section, other = old.symbol.section, new.symbol.section
    if not isinstance(section, int) or not isinstance(other, int):
        return False
    key = overlay.baseline.keys.get(section)
    if key is None or overlay.candidate.keys.get(other) != key:
        return False
    # A PC-relative field's addend counts from the end of its instruction, a table's from the table's start.
    biases = (0, 4, 5, 6, 8, piece.start - old.offset)
    return any(new.addend + bias in overlay.positions(key, old.addend + bias) for bias in biases)


def check_mergeable(pieces: Iterable[tuple[SectionKey, Piece]]) -> None:
    """What the candidate adds to a section whose entries the linker merges is within one of these: the next one may come to lie
    anywhere (gABI chapter 4, SHF_MERGE and SHF_STRINGS). Raises Refused."""
    for key, piece in pieces:
        section = piece.section
        if not section.is_merged:
            continue
        size = section.entry_bytes
        if section.is_text:
            characters = [piece.data[at : at + size] for at in range(0, len(piece.data), size)]
            end = characters.index(bytes(size)) + 1 if bytes(size) in characters else len(characters)
            # Behind it is at most what aligns the next.
            is_one = not any(piece.data[end * size :]) and len(piece.data) - end * size < section.alignment_bytes
        else:
            is_one = piece.start // size == (piece.end - 1) // size
        if not is_one:
            raise Refused(
                OBJECT,
                f"{piece.end - piece.start} bytes in {key[0]} are more than one entry, which the linker may part",
            )


def check_relocation_types(
    pieces: Iterable[tuple[SectionKey, Piece]], baseline: ObjectFile, toolchain: Toolchain
) -> None:
    """Relocations of the candidate's own code and data are of accepted types, or of types the unit has. Raises Refused."""
    accepted = toolchain.relocations | {
        r.type for section in baseline.sections.values() if section.is_code for r in section.relocations
    }
    for key, piece in pieces:
        for relocation in relocations_in(piece):
            if relocation.type not in accepted:
                raise Refused(OBJECT, f"{key[0]} has a relocation of type {relocation.type}, which is not accepted")
