"""What a GCC command line asks for: its inputs, its output, and the arguments that a repetition needs.

Source: GCC manual, "Option Summary" and "Overall Options"; gcc/gcc.cc and c-family/c.opt for which options take a
separate argument. On the compile path.
"""

from __future__ import annotations

import os

from compiler_ai.driver import response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Options whose argument is the next word.
SEPARATE = frozenset(
    [
        "-o",
        "-I",
        "-D",
        "-U",
        "-L",
        "-l",
        "-x",
        "-include",
        "-imacros",
        "-idirafter",
        "-iprefix",
        "-iwithprefix",
        "-iwithprefixbefore",
        "-isystem",
        "-iquote",
        "-isysroot",
        "--sysroot",
        "-imultilib",
        "-B",
        "-MF",
        "-MT",
        "-MQ",
        "-MD-file",
        "-Xpreprocessor",
        "-Xassembler",
        "-Xlinker",
        "-T",
        "-u",
        "-z",
        "-e",
        "-G",
        "-A",
        "-aux-info",
        "--param",
        "-wrapper",
        "-specs",
        "-dumpbase",
        "-dumpbase-ext",
        "-dumpdir",
        "-Ttext",
        "-Tdata",
        "-Tbss",
        "-Tmark",
        "-h",
        "-R",
        "-arch",
        "-Xclang",
        "-mllvm",
        "-target",
        "-gcc-toolchain",
    ]
)
# Dependency output: a repetition must not write it again.
_DEPENDENCIES_SEPARATE = frozenset({"-MF", "-MT", "-MQ"})
_DEPENDENCIES = frozenset({"-M", "-MM", "-MG", "-MP", "-MD", "-MMD"})
_SOURCE_SUFFIXES = {
    ".c": "c", ".i": "cpp-output", ".cc": "c++", ".cp": "c++", ".cxx": "c++", ".cpp": "c++", ".CPP": "c++",
    ".c++": "c++", ".C": "c++", ".ii": "c++-cpp-output",
}  # fmt: skip
_NO_ASSEMBLY = frozenset(
    [
        "-E",
        "-S",
        "-fsyntax-only",
        "-###",
        "--version",
        "-M",
        "-MM",
        "-dumpmachine",
        "-dumpversion",
        "-dumpfullversion",
        "-dumpspecs",
    ]
)


class Parsed:
    """One command line, taken apart. `kept` is what a repetition of a single input needs, in order."""

    __slots__ = ("compiles_only", "inputs", "kept", "makes_assembly", "output")

    def __init__(self) -> None:
        self.inputs: list[tuple[str, str]] = []  # (path as given, language or "" for assembly, objects and libraries)
        self.kept: list[str] = []
        self.output = ""
        self.compiles_only = False  # -c
        self.makes_assembly = True  # False when no assembler will run: -E, -S, --version ...

    @property
    def sources(self) -> list[str]:
        return [path for path, language in self.inputs if language]


def parse(arguments: Sequence[str]) -> Parsed:
    """Take `arguments` (without the program's name and without aicc's own options) apart, response files
    included. Never raises."""
    parsed = Parsed()
    language = ""
    for argument, value in _pairs(response.expanded(arguments)):
        if argument in _NO_ASSEMBLY or argument.startswith(("-print-", "--help", "--target-help")):
            parsed.makes_assembly = False
        if argument == "-c":
            parsed.compiles_only = True
        elif argument == "-o":
            parsed.output = value or ""
        elif argument.startswith("-o") and value is None:
            parsed.output = argument[2:]
        elif argument == "-x" or (argument.startswith("-x") and value is None):
            language = value if value is not None else argument[2:]
            language = "" if language == "none" else language
            if language:
                parsed.kept += ["-x", language]
        elif (
            argument in _DEPENDENCIES
            or argument in _DEPENDENCIES_SEPARATE
            or argument.startswith(("-MF", "-MT", "-MQ"))
            or argument == "-S"
            or argument.startswith(("-save-temps", "--save-temps"))
            or argument == "-pipe"
        ):
            pass
        elif argument == "-" or not argument.startswith("-"):
            parsed.inputs.append((argument, _language(argument, language)))
        else:
            parsed.kept.append(argument)
            if value is not None:
                parsed.kept.append(value)
    return parsed


def object_path(parsed: Parsed, source: str, directory: str) -> str:
    """The absolute path of the object that compiling `source` yields. A compile-and-link command leaves none; it gets a name by what
    is linked, as GCC's dumps do (-dumpbase), lest it be taken for another compile's."""
    name = os.path.basename(source).rpartition(".")[0] + ".o"
    path = parsed.output or name if parsed.compiles_only else f"{parsed.output or 'a.out'}-{name}"
    return os.path.normpath(os.path.join(directory, path))


def _pairs(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    words = iter(arguments)
    for word in words:
        if word in SEPARATE:
            yield word, next(words, "")
        else:
            yield word, None


def _language(path: str, forced: str) -> str:
    if forced:
        return "" if forced.startswith("assembler") else forced
    return _SOURCE_SUFFIXES.get("." + path.rpartition(".")[2], "") if "." in path else ""
