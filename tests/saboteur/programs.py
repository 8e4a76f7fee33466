"""Real programs from Debian's source packages, with hot functions of theirs and a workload that calls them."""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

from debian_source import Archive
from gauntlet import Program, Unit, captured

_LUA = r"""
local words, counts, text = {}, {}, {}
for line in io.lines(arg[1]) do
  for word in line:gmatch("%a+") do words[#words + 1] = word; counts[word] = (counts[word] or 0) + 1 end
  text[#text + 1] = line
end
for i = 1, #words do if (i % 3) ~= 0 then counts[i] = tonumber(i .. ".25e1") // 1 end end
table.sort(words)
local joined = table.concat(words, " ")
print(#words, #text, #joined, joined:find("zzz", 1, true), joined:upper():lower() == joined)
for i = 1, 3000 do counts[i % 97 - 5] = (counts[i % 97 - 5] or 0) + i; local _ = "k" .. i; local _ = ("%d"):rep(i % 50) end
"""


@dataclass(frozen=True)
class Source:
    """A source package: how its program is built (the C files of `folder`, or all of them), the functions to damage by the
    file that holds them, and the arguments that it is run with, one command after the other."""

    package: str
    folder: str
    sources: tuple[str, ...]
    options: tuple[str, ...]
    units: tuple[tuple[str, tuple[str, ...]], ...]
    commands: tuple[tuple[str, ...], ...]


PROGRAMS = (
    Source(
        "bzip2", "", ("blocksort", "huffman", "crctable", "randtable", "compress", "decompress", "bzlib", "bzip2"), (),
        (("blocksort", ("mainGtU",)), ("huffman", ("BZ2_hbAssignCodes", "BZ2_hbCreateDecodeTables")),
         ("bzlib", ("add_pair_to_block",))),
        (("-kf", "text"), ("-t", "text.bz2")),
    ),
    Source(
        "zlib", "", ("adler32", "crc32", "deflate", "infback", "inffast", "inflate", "inftrees", "trees", "zutil", "compress",
         "uncompr", "gzclose", "gzlib", "gzread", "gzwrite", "test/minigzip"), ("-DHAVE_UNISTD_H", "-I."),
        (("deflate", ("longest_match", "slide_hash")), ("trees", ("pqdownheap",))),
        (("text",),),
    ),
    Source(
        "lz4", "", ("lib/lz4", "lib/lz4hc", "lib/lz4frame", "lib/lz4file", "lib/xxhash", "programs/bench",
         "programs/datagen", "programs/lz4cli", "programs/lz4io"), ("-Ilib",),
        (("lib/xxhash", ("XXH32_update",)), ("lib/lz4hc", ("LZ4HC_countPattern",))),
        (("-9", "-f", "-q", "text", "text.lz4"),),
    ),
    Source(
        "lua5.4", "src", (), ("-I.",),
        (("lstring", ("luaS_hash",)), ("ltable", ("luaH_getint", "luaH_getshortstr"))),
        (("words.lua", "text"),),
    ),
    Source(
        "expat", "expat", ("lib/xmlparse", "lib/xmlrole", "lib/xmltok", "xmlwf/xmlwf", "xmlwf/xmlfile", "xmlwf/codepage",
         "xmlwf/unixfilemap"),
        ("-I.", "-Ilib", "-DXML_DEV_URANDOM", "-DBYTEORDER=1234", "-DXML_NS", "-DXML_DTD", "-DXML_CONTEXT_BYTES=1024",
         "-DHAVE_UNISTD_H"),
        (("lib/xmltok", ("normal_updatePosition", "utf8_toUtf8", "normal_nameLength")),),
        (("text.xml",), ("-m", "-d", "meta", "text.xml")),  # with -m it asks where it is in the text
    ),
)  # fmt: skip


def fetch(directory: Path) -> None:
    """Unpacks all source packages below `directory`."""
    archive = Archive(directory / "archive")
    (directory / "archive").mkdir()
    for program in PROGRAMS:
        archive.unpack(program.package, directory)


def build(program: Source, unpacked: Path, directory: Path) -> tuple[Program, list[Unit]]:
    """The program as GCC makes it, run under capture in `directory`."""
    source = unpacked / program.package / program.folder
    for header in ("lua5.4-deb-multiarch.h", "expat_config.h"):  # which their own builds write
        (source / header).write_text('#define DEB_HOST_MULTIARCH "x86_64-linux-gnu"\n')
    names = program.sources or sorted(path.stem for path in source.glob("*.c") if path.stem != "luac")
    options = tuple(f"-I{source / option[2:]}" if option.startswith("-I") else option for option in program.options)
    directory.mkdir()
    binary = directory / program.package
    subprocess.run(
        ["gcc", "-O2", "-g", "-w", *options, "-o", binary, *(source / f"{name}.c" for name in names), "-lm"],
        check=True, capture_output=True,
    )  # fmt: skip
    units = [Unit(source / f"{name}.c", ("-w", *options), functions) for name, functions in program.units]
    write_workload(directory)
    return captured(directory, binary, [[str(binary), *arguments] for arguments in program.commands], units), units


def write_workload(directory: Path) -> None:
    """What the programs work on: text of words that come again, lines of one letter, and XML with letters beyond ASCII."""
    chance = random.Random(1)
    words = ["".join(chance.choices("etaoinshrdlucmfwyp", k=chance.randrange(1, 11))) for _ in range(900)]
    lines = [" ".join(chance.choices(words, k=chance.randrange(14))) for _ in range(6_000)]
    lines[::40] = ["z" * chance.randrange(300) for _ in lines[::40]]
    (directory / "text").write_text("\n".join(lines))
    items = [f'<item number="{n}" name="{w}">{w} \u00e9t\u00e9 &amp; \u20ac{n}\n</item>' for n, w in enumerate(words)]
    (directory / "text.xml").write_text('<?xml version="1.0" encoding="UTF-8"?>\n<all>' + "\n".join(items) + "</all>")
    (directory / "meta").mkdir()
    (directory / "words.lua").write_text(_LUA)
