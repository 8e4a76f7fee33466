"""Tables of object files are unpacked all at once as pyelftools reads them entry by entry."""

import io
import struct
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

from compiler_ai.elf_tables import entries, relocation_entries

UNIT = """
extern int elsewhere; extern __thread int mine; int called(int *);
static int table[4]; int *pointers[] = {table + 1, &elsewhere, 0, table};
int f(int n) { return called(pointers[n & 3] - 1) + elsewhere + table[n] + mine; }
"""


@pytest.fixture(scope="module", params=["-m64", "-m32"])  # with addends, and without
def elf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ELFFile:
    out = tmp_path_factory.mktemp("object") / "unit.o"
    subprocess.run(["gcc", request.param, "-O1", "-c", "-xc", "-", "-o", out], input=UNIT, text=True, check=True)
    return ELFFile(io.BytesIO(Path(out).read_bytes()))


def relocation_sections(elf: ELFFile) -> list[RelocationSection]:
    return [section for section in elf.iter_sections() if isinstance(section, RelocationSection)]


def test_relocations(elf: ELFFile) -> None:
    found = 0
    for section in relocation_sections(elf):
        theirs = [
            (one["r_offset"], one["r_info_sym"], one["r_info_type"], one["r_addend"] if section.is_RELA() else 0)
            for one in section.iter_relocations()
        ]
        assert [(one.offset, one.symbol, one.type, one.addend) for one in relocation_entries(elf, section)] == theirs
        found += len(theirs)
    assert found >= 7


def test_symbols(elf: ELFFile) -> None:
    table = elf.get_section_by_name(".symtab")
    theirs = [(one.name, one["st_value"], one["st_size"]) for one in table.iter_symbols() if one["st_name"]]
    ours = list(entries(elf, table))
    assert [(one.name, one.value, one.size_bytes) for one in ours if one.name] == theirs
    assert len(ours) == table.num_symbols()


def test_a_table_that_ends_within_an_entry(elf: ELFFile) -> None:
    section = relocation_sections(elf)[0]
    section.data = lambda: b"\0" * 13
    with pytest.raises(struct.error):
        list(relocation_entries(elf, section))
