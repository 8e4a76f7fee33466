"""What a linker command line links, as far as companions matter: its objects and archives with marks. On the compile path.

Sources: GNU ld manual, "Command-line Options" (-l and -L, -Bstatic); ar(5) for archives, thin ones included.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from compiler_ai.emit import marks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_VALUED = frozenset(
    {
        "-o", "-e", "-h", "-m", "-u", "-y", "-z", "-A", "-Map", "-rpath", "-rpath-link", "-soname", "-dynamic-linker",
        "-plugin", "-plugin-opt", "-T", "-b", "-R", "-f", "-F", "-G", "-Y", "--defsym", "--version-script", "--dynamic-list",
        "--output", "--entry", "--undefined", "--script", "--format", "--dependency-file", "--wrap", "--just-symbols",
    }
)  # fmt: skip
_REFUSED = (
    "-r",
    "-i",
    "--relocatable",
    "-Ur",
    "-T",
    "--script",
    "-c",
    "--mri-script",
    "--just-symbols",
    "-R",
    "--wrap",
)


@dataclass(frozen=True)
class Wanted:
    """A companion that an input asks for: the digest, the input (an object, or an archive and its member), its position."""

    digest: str
    path: str
    member: str
    position: int  # of the argument that named the input


@dataclass
class Inputs:
    """What the marks in a command line's inputs say."""

    wanted: list[Wanted] = field(default_factory=list)
    present: set[str] = field(default_factory=set)  # digests of companions that are inputs themselves


def refusal(arguments: Sequence[str]) -> str:
    """Why nothing is to be added to this link, or ""."""
    for word in arguments:
        name = word.partition("=")[0]
        if name in _REFUSED or (name.startswith("-T") and not name.startswith(("-Ttext", "-Tdata", "-Tbss"))):
            return f"the link has {word}"
    return ""


def expanded(arguments: Sequence[str]) -> list[str]:
    """The arguments with response files in place. Raises OSError, ValueError."""
    found: list[str] = []
    for word in arguments:
        if word.startswith("@") and os.path.isfile(word[1:]):
            import shlex

            with open(word[1:], encoding="utf-8", errors="surrogateescape") as file:
                found += expanded(shlex.split(file.read()))
        else:
            found.append(word)
    return found


def read(arguments: Sequence[str]) -> Inputs:
    """The marks of everything that the command line may link. Files that cannot be read are the linker's business."""
    inputs = Inputs()
    for position, path in _files(arguments):
        content = _content(path)  # not mapped: a file that is cut meanwhile would end us with SIGBUS
        if content[:4] == b"\x7fELF":
            if marks.MAGIC in content:
                _note(inputs, content, path, "", position)
        elif (content[:8] == b"!<arch>\n" and marks.MAGIC in content) or content[:8] == b"!<thin>\n":
            for name, member in members(content, path):
                _note(inputs, member, path, name, position)
    return inputs


def _note(inputs: Inputs, content: bytes, path: str, member: str, position: int) -> None:
    inputs.wanted += [Wanted(digest, path, member, position) for digest in marks.needed(content)]
    inputs.present |= set(marks.own(content))


def _files(arguments: Sequence[str]) -> Iterator[tuple[int, str]]:
    directories = [word[2:] or following for word, following in _pairs(arguments) if word.startswith("-L")]
    directories += [word.partition("=")[2] for word in arguments if word.startswith("--library-path=")]
    static = False
    skip = False
    for position, word in enumerate(arguments):
        if skip:
            skip = False
        elif word in _VALUED:
            skip = True
        elif word in ("-Bstatic", "-static", "-dn", "-non_shared", "--static"):
            static = True
        elif word in ("-Bdynamic", "-dy", "-call_shared"):
            static = False
        elif word.startswith("-l") and len(word) > 2:
            found = _library(word[2:], directories, static)
            if found:
                yield position, found
        elif word == "-l":
            found = _library(next(iter(arguments[position + 1 : position + 2]), ""), directories, static)
            if found:
                yield position + 1, found
        elif not word.startswith("-") and os.path.isfile(word):
            yield position, word


def _library(name: str, directories: Sequence[str], static: bool) -> str | None:
    """The archive that -l names, or None when a shared library would be taken."""
    exact = name.startswith(":")
    for directory in directories:
        if exact:
            if os.path.isfile(f"{directory}/{name[1:]}"):
                return f"{directory}/{name[1:]}"
            continue
        if not static and os.path.exists(f"{directory}/lib{name}.so"):
            return None
        if os.path.isfile(f"{directory}/lib{name}.a"):
            return f"{directory}/lib{name}.a"
    return None


def members(content: bytes, path: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each member of an archive; those of a thin one are read from where they lie. Stops at damage."""
    thin = content[:8] == b"!<thin>\n"
    names = b""
    position = 8
    while position + 60 <= len(content):
        header = content[position : position + 60]
        field_ = header[:16].decode(errors="surrogateescape").rstrip()
        size_text = header[48:58].strip()
        if header[58:] != b"`\n" or not size_text.isdigit():
            return
        size = int(size_text)
        start = position + 60
        special = field_ in ("/", "//", "/SYM64/")
        data = content[start : start + size] if special or not thin else b""
        if field_ == "//":
            names = data
        elif not special:
            name = field_.removesuffix("/")
            if field_.startswith("/") and field_[1:].isdigit():
                offset = int(field_[1:])
                name = names[offset : names.find(b"\n", offset)].decode(errors="surrogateescape").removesuffix("/")
            if thin:
                data = _content(os.path.join(os.path.dirname(path), name))
            yield name, data
        position = start + (size + size % 2 if special or not thin else 0)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _pairs(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    return zip(arguments, [*arguments[1:], ""], strict=True)
