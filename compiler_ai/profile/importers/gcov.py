"""gcov's counts (gcov manual, --json-format; GCC's gcov-io.h for .gcda): how often each line of each function was executed.

A function's self cost is the sum of its lines' counts. Its execution_count is calls, which says nothing of the time in its loops.
"""

from __future__ import annotations

import gzip
import json
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler_ai.profile.errors import ProfileError

GZIP_MAGIC = b"\x1f\x8b"
DATA_MAGICS = {b"adcg": "<", b"gcda": ">"}
_VERSIONS = ("1", "2")  # GCC 9 to 13, and 14 on; what is read here is the same in both
_MOST_BYTES = 1 << 28
_NO_NOTES = "its .gcno must lie beside it as the compiler wrote it"


@dataclass(frozen=True)
class Executed:
    """The line executions of one function of one unit; `unit` is the data file's name without .gcda ("util", "util.c").

    Lines of a header's function that GCC inlined before it counted have no function; then `line` is the line's number.
    """

    function: str
    source: str
    unit: str
    lines: float
    line: int = 0


def read_json(path: Path) -> list[Executed]:
    """What a .gcov.json or .gcov.json.gz holds. Raises ProfileError."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP_MAGIC
        with gzip.open(path) if packed else path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ProfileError(f"{path}: damaged gzip file ({error}): run gcov again") from error
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from error
    if len(text) > _MOST_BYTES:
        raise ProfileError(f"{path}: more than {_MOST_BYTES >> 20} MiB of JSON: import the .gcda files one by one")
    return _functions(text, path)


def read_data(path: Path) -> list[Executed]:
    """What a .gcda holds, read by the gcov of the compiler that wrote it. Raises ProfileError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from error
    major = check_data(data, path)
    gcov = _gcov_of(major, path)
    try:
        done = subprocess.run(
            [gcov, "--json-format", "--stdout", str(path.absolute())], capture_output=True, check=False, cwd=path.parent
        )
    except OSError as error:
        raise ProfileError(f"{gcov}: cannot be run: {error.strerror}") from error
    said = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode or said:
        why = said[0] if said else f"status {done.returncode}"
        raise ProfileError(f"{path}: {gcov} cannot read it ({why}): {_NO_NOTES}")
    return _functions(done.stdout, path)


def check_data(data: bytes, path: Path) -> int:
    """The major version of the GCC that wrote a .gcda which is whole (gcov itself takes a cut one for unexecuted code)."""
    order = DATA_MAGICS.get(data[:4])
    if order is None or len(data) < 16:
        raise ProfileError(f"{path}: not a .gcda, or it ends in its header: run the program again to its end")
    stamp = data[4:8][::-1] if order == "<" else data[4:8]
    major = _major(stamp)
    if major < 9:
        raise ProfileError(f"{path}: written by no GCC that is known (version {stamp!r}): GCC 9 or later is needed")
    unit = 1 if major >= 12 else 4  # GCC 12 changed record lengths from words to bytes
    at = 16 if major >= 12 else 12
    while at + 8 <= len(data) or data[at:] == bytes(4):
        (tag,) = struct.unpack_from(order + "I", data, at)
        if tag == 0:
            return major
        (length,) = struct.unpack_from(order + "i", data, at + 4)
        at += 8 + max(0, length) * unit  # a negative length stands for counters that are all zero
    raise ProfileError(f"{path}: damaged .gcda (it ends in the middle): run the program again to its end")


def _major(stamp: bytes) -> int:
    """GCC's version stamp: "B22*" is 12.2 (gcov-iov.cc: a letter for the tens, a digit for the ones)."""
    if not (b"A" <= stamp[:1] <= b"Z" and stamp[1:2].isdigit()):
        return 0
    return 10 * (stamp[0] - ord("A")) + int(stamp[1:2])


def _gcov_of(major: int, path: Path) -> str:
    for name in (f"gcov-{major}", "gcov"):
        if shutil.which(name) is None:
            continue
        said = subprocess.run([name, "--version"], capture_output=True, text=True, check=False).stdout
        words = said.splitlines()[0].split() if said else []
        if any(word.split(".")[0] == str(major) and "." in word for word in words):
            return name
    raise ProfileError(f"{path}: written by GCC {major}, whose gcov is not here: apt-get install gcc-{major}")


def _functions(text: bytes, path: Path) -> list[Executed]:
    try:
        top = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProfileError(f"{path}: no JSON as gcov writes it ({_short(error)}): run gcov again") from error
    if not isinstance(top, dict) or "format_version" not in top:
        raise ProfileError(f"{path}: no JSON as gcov writes it (it has no format_version): run gcov --json-format")
    if top["format_version"] not in _VERSIONS:
        known = " and ".join(_VERSIONS)
        raise ProfileError(f"{path}: gcov JSON version {top['format_version']!r:.20}, known are {known}")
    unit = Path(str(top.get("data_file", ""))).name.removesuffix(".gcda").removesuffix(".gcno")
    lines: dict[tuple[str, str, int], float] = {}
    try:
        for file in _list(top["files"]):
            source = Path(_text(file["file"])).name
            for line in _list(file["lines"]):
                name, count = line.get("function_name"), line["count"]
                if not isinstance(count, int | float) or isinstance(count, bool) or not 0 <= count < 1e300:
                    raise ValueError(f"count {count!r:.20}")
                key = ("", source, int(line["line_number"])) if name is None else (_text(name), source, 0)
                lines[key] = lines.get(key, 0.0) + float(count)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ProfileError(f"{path}: damaged gcov JSON ({type(error).__name__}: {_short(error)})") from error
    return [Executed(name, source, unit, count, number) for (name, source, number), count in lines.items() if count]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r:.20} is no list")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f"{value!r:.20} is no name")
    return value


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:80] if str(error) else type(error).__name__
