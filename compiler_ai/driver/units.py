"""The units of a build: one small file per object in `.aicc/units/`, so that tuning knows how each was compiled.

On the compile path: the text format is `key=value` lines with the value percent-quoted, for want of a cheap JSON.
"""

from __future__ import annotations

import os

from compiler_ai.regular import opener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compiler_ai.artifacts import CompileCommand

_VERSION = "aicc-unit 1"
# What a compile reads from the environment (GCC manual, "Environment Variables").
_ENVIRONMENT = ("CPATH", "C_INCLUDE_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH", "SOURCE_DATE_EPOCH", "LANG", "LC_ALL")


def record(
    project: str, compiler: Sequence[str], arguments: Sequence[str], source: str, object_path: str, directory: str
) -> str:
    """Write how one unit is compiled, unless exactly that is on record; the record's path. Raises OSError when the project is not writable."""
    given, source = source, os.path.normpath(os.path.join(directory, source))
    fields = [_VERSION, "source=" + _quote(source), "object=" + _quote(object_path), "directory=" + _quote(directory)]
    fields.append("given=" + _quote(given))
    fields += ["compiler=" + _quote(word) for word in compiler]
    fields += ["argument=" + _quote(word) for word in arguments]
    fields += [f"environment={name}={_quote(os.environ[name])}" for name in _ENVIRONMENT if name in os.environ]
    text = ("\n".join(fields) + "\n").encode()
    path = f"{project}/units/{_name(object_path, source)}"
    try:
        with open(path, "rb", opener=opener) as file:
            if file.read() == text:
                return path
    except OSError:
        pass  # there is none yet
    from compiler_ai.replacing import replace_file

    replace_file(path, text)
    return path


def load_all(project: str) -> Iterator[CompileCommand]:
    """Every unit on record, in the order of its file names; unreadable and foreign files are passed over."""
    from compiler_ai.artifacts import CompileCommand

    units = project + "/units"
    for name in sorted(os.listdir(units)) if os.path.isdir(units) else []:
        if not name.endswith(".unit"):
            continue
        try:
            with open(f"{units}/{name}", encoding="utf-8", opener=opener) as file:
                lines = file.read().splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        if not lines or lines[0] != _VERSION:
            continue
        fields: dict[str, list[str]] = {}
        for line in lines[1:]:
            key, _, value = line.partition("=")
            fields.setdefault(key, []).append(value)
        if not {"source", "object", "directory", "compiler"} <= fields.keys():
            continue
        pairs = (entry.partition("=") for entry in fields.get("environment", []))
        yield CompileCommand(
            compiler=tuple(map(_unquote, fields["compiler"])),
            arguments=tuple(map(_unquote, fields.get("argument", []))),
            source=_unquote(fields["source"][0]),
            object_path=_unquote(fields["object"][0]),
            directory=_unquote(fields["directory"][0]),
            target="x86_64",
            environment=tuple((name, _unquote(value)) for name, _, value in pairs),
            given=_unquote(fields.get("given", [""])[0]),
        )


def _name(object_path: str, source: str) -> str:
    from binascii import crc32

    base = os.path.basename(object_path)[:80]
    return f"{base}.{crc32((object_path + chr(0) + source).encode(errors='surrogateescape')):08x}.unit"


def _quote(text: str) -> str:
    return (
        text.replace("%", "%25")
        .replace("\n", "%0A")
        .replace("\r", "%0D")
        .encode(errors="surrogateescape")
        .decode(errors="backslashreplace")
    )


def _unquote(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
