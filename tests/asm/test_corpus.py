"""Whatever compilers write is parsed without loss, and functions, labels and data are where the assembler puts them.

The judge is the assembler: the listing gets a label behind each entry and before each `.size` that the model names, and
the object says whether what lies between is the function that the symbol table describes.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import asm_units
import pytest
from asm_units import GOLDEN, Symbol

from compiler_ai.asm.data import Section
from compiler_ai.asm.listing import Listing, parse

ROOT = Path(__file__).resolve().parents[2]
FEATURES = (GOLDEN / "features.c", GOLDEN / "features.cc")
_BEGIN, _END, _COLD = ".Ltest_begin.", ".Ltest_end.", ".Ltest_cold."

GCC_FLAGS = (
    "-O0", "-O1", "-O2", "-O3", "-Os", "-Og -g", "-O0 -g3", "-O2 -g", "-O3 -g -gdwarf-4", "-O2 -fPIC", "-O3 -fPIC -g",
    "-O2 -fno-pie -mno-red-zone", "-O2 -flto -ffat-lto-objects", "-O1 -flto", "-O2 -fcf-protection=full", "-O2 -fcf-protection=none",
    "-O2 -ffunction-sections -fdata-sections", "-O3 -ffunction-sections -g -fPIC", "-O3 -march=x86-64-v3", "-O3 -march=x86-64-v4",
    "-O2 -fno-asynchronous-unwind-tables", "-O2 -mcmodel=large", "-O2 -mcmodel=medium", "-O2 -fstack-protector-all",
    "-O2 -mindirect-branch=thunk -mfunction-return=thunk", "-O2 -fcommon -fverbose-asm", "-O2 -fpatchable-function-entry=4,2",
    "-O2 -fno-toplevel-reorder -dp", "-O3 -funroll-loops -fexceptions", "-O2 -fno-plt -fPIC -ftls-model=global-dynamic",
    "-O2 -pg -mfentry", "-O2 -fsanitize=address", "-O2 -freorder-blocks-and-partition -fprofile-generate",
)  # fmt: skip
CLANG_FLAGS = (
    "-O0", "-O1", "-O2", "-O3", "-Os", "-Oz -g", "-O2 -g -fPIC", "-O3 -march=x86-64-v3", "-O2 -ffunction-sections -fdata-sections",
    "-O2 -fno-addrsig", "-O3 -fPIC -fcf-protection", "-O2 -fno-asynchronous-unwind-tables", "-O2 -mcmodel=large",
    "-O2 -fbasic-block-sections=all", "-O1 -fverbose-asm", "-O2 -fsanitize=address", "-O3 -march=x86-64-v4 -g",
)  # fmt: skip
PROGRAMS = 20


def cases() -> list[tuple[str, str]]:
    return [("gcc", flags) for flags in GCC_FLAGS] + [("clang-19", flags) for flags in CLANG_FLAGS]


def sources() -> list[Path]:
    """The C that the project itself holds and that compiles on its own."""
    found = [
        *(ROOT / "examples").rglob("*.c"),
        *(path for path in (ROOT / "tests").rglob("*.c") if path.parent.name != "dropin"),
        *(ROOT / "compiler_ai").rglob("*.c"),
    ]
    return sorted(path for path in found if path.name != "features.c")


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """csmith's programs, always the same ones. Without its header: they are compiled only, never run."""
    directory = tmp_path_factory.mktemp("csmith")
    (directory / "csmith.h").write_text(
        "#include <stdint.h>\n#include <string.h>\n#include <stdio.h>\n"
        "extern void transparent_crc(uint64_t, const char *, int), transparent_crc_bytes(void *, int, const char *, int);\n"
        "extern void platform_main_begin(void), platform_main_end(uint32_t, int), crc32_gentab(void);\n"
        "extern uint32_t crc32_context;\n"
    )
    made = []
    for seed in range(1, PROGRAMS + 1):
        path = directory / f"program{seed}.c"
        options = ["--seed", str(seed), "--no-safe-math", "--quiet", "--concise", "--max-funcs", "6", "--no-argc"]
        options += ["--max-block-size", "3", "--float" if seed % 3 == 0 else "--no-float"]
        subprocess.run(
            ["csmith", *options, "--output", str(path)], cwd=directory, check=True, capture_output=True, timeout=120
        )
        made.append(path)
    return made


@pytest.mark.parametrize(("compiler", "flags"), cases())
def test_everything_that_c_and_cxx_can_ask_for(compiler: str, flags: str) -> None:
    for source in FEATURES:
        check(source, compiler, flags)


@pytest.mark.full
@pytest.mark.parametrize(("compiler", "flags"), cases())
def test_programs_of_many_kinds(programs: list[Path], compiler: str, flags: str) -> None:
    for source in [*programs, *sources()]:
        check(source, compiler, flags)


def check(source: Path, compiler: str, flags: str) -> None:
    driver = {"gcc": "g++", "clang-19": "clang++-19"}[compiler] if source.suffix == ".cc" else compiler
    words = [*flags.split(), f"-I{source.parent}"]
    where = f"{driver} {' '.join(words)} {source}"
    text = asm_units.compiled(source, *words, compiler=driver)
    listing = parse(text)
    assert listing.text == text == "".join(listing.lines), where
    text = without_address_significance(marked(listing))
    found = asm_units.symbols(asm_units.assembled(text, "--keep-locals"))
    check_functions(listing, found, where)
    check_labels(listing, found, where)
    check_data(listing, found, where)


def marked(listing: Listing) -> str:
    """The listing with labels where the model says that functions begin and end."""
    at: dict[int, list[str]] = {}
    for function in listing.functions:
        at.setdefault(function.entry + 1, []).append(f"{_BEGIN}{function.name}:\n")
        at.setdefault(function.size_line, []).append(f"{_END}{function.name}:\n")
        for part in function.parts[1:]:
            at.setdefault(part.start + 1, []).append(f"{_COLD}{function.name}:\n")
    lines = [piece for number, line in enumerate(listing.lines) for piece in [*at.get(number, ()), line]]
    return "".join(lines)


def without_address_significance(text: str) -> str:
    """LLVM's .addrsig directives, which GNU as does not know."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("\t.addrsig"))


def check_functions(listing: Listing, found: list[Symbol], where: str) -> None:
    """The functions are those of the symbol table, each with its size, section, binding and aliases."""
    places = {symbol.name: symbol for symbol in found}
    described = [s for s in found if s.kind in ("STT_FUNC", "STT_LOOS") and s.section != "SHN_UNDEF" and s.size_bytes]
    by_place: dict[tuple[str, int], set[str]] = {}
    for symbol in described:
        by_place.setdefault((symbol.section, symbol.value), set()).add(symbol.name)
    named: set[str] = set()
    for function in listing.functions:
        if ";" in listing.lines[function.entry]:  # by hand, on one line
            named.add(function.name)
            continue
        symbol, begin, end = places[function.name], places[_BEGIN + function.name], places[_END + function.name]
        assert (begin.section, end.section) == (symbol.section, symbol.section), f"{where}: {function.name}"
        assert begin.value == symbol.value, f"{where}: {function.name}"
        assert end.value - begin.value == symbol.size_bytes, f"{where}: {function.name}"
        assert function.is_global == (symbol.binding != "STB_LOCAL"), f"{where}: {function.name}"
        names = {function.name, *function.aliases}
        named |= names
        assert {s.name for s in described if s.name in names} <= by_place.get((symbol.section, symbol.value), names), (
            where
        )
        if len(function.parts) > 1:
            cold = places[_COLD + function.name]
            assert (cold.section, cold.value) == (
                places[function.name + ".cold"].section,
                places[function.name + ".cold"].value,
            )
            named.add(function.name + ".cold")
    assert {symbol.name for symbol in described} <= named, f"{where}: {sorted({s.name for s in described} - named)[:5]}"


def check_labels(listing: Listing, found: list[Symbol], where: str) -> None:
    """Every label lies in the section that the model says."""
    for symbol in found:
        section = listing.label_section(symbol.name)
        if section is not None and not symbol.name.isdigit():
            assert section.name == symbol.section, f"{where}: {symbol.name}"


def check_data(listing: Listing, found: list[Symbol], where: str) -> None:
    """Every object of the symbol table is data of the model, with its size."""
    for symbol in found:
        if symbol.kind not in ("STT_OBJECT", "STT_TLS") or symbol.section in ("SHN_UNDEF", "SHN_ABS"):
            continue
        if symbol.name in listing.aliases or symbol.name.startswith("by_hand"):
            continue
        data = listing.data.get(symbol.name)
        assert data is not None, f"{where}: {symbol.name}"
        assert data.local == (symbol.binding == "STB_LOCAL"), f"{where}: {symbol.name}"
        if symbol.section != "SHN_COMMON":
            assert data.section.name == symbol.section, f"{where}: {symbol.name}"
            assert data.size_bytes == symbol.size_bytes, f"{where}: {symbol.name}"


def test_the_default_sections_flags() -> None:
    assert parse("\tnop\n").sections == [Section(".text", "ax", "\t.text")]
