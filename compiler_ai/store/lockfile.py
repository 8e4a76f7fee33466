"""lock.toml: what the store holds, with the hashes that its files must have.

One table an entry, sorted, so that a version control system merges independent additions and a person can review them.
Every table is parsed by itself: damage (a merge conflict, a half line) costs the entries it touches and no others.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass

from compiler_ai.artifacts import Grade
from compiler_ai.store.codec import CodecError, from_json
from compiler_ai.store.index import FORMAT_VERSION, version_of

_HEAD = f"""# The rewrites that this project accepted, written by aicc: review them like source, change them with 'aicc-tool store'.
# A file that does not have the hash given here is not used.
version = {FORMAT_VERSION}
"""
_TABLE = "\n[[rewrite]]\n"


@dataclass(frozen=True)
class Entry:
    """One stored rewrite. ``name`` is the stem of its two files; ``features`` are Candidate.features."""

    name: str
    function: str
    key: str
    target: str
    features: tuple[str, ...]
    grade: Grade
    assembly_sha256: str
    evidence_sha256: str

    @property
    def identity(self) -> tuple[str, str, tuple[str, ...]]:
        """What an entry is for; a newer rewrite for the same replaces it."""
        return self.key, self.function, self.features


@dataclass(frozen=True)
class LockFile:
    """The intact entries of a lock.toml, and one line for each thing that is wrong with it."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    version: int | None = FORMAT_VERSION


def parse(text: str, key: str = "") -> LockFile:
    """Never raises; whatever cannot be read is a problem. With `key`, only tables that mention it are read: apply mode is quick. Entries are given only for a version that is understood."""
    text = text.replace("\r\n", "\n")
    version = version_of(text)
    if version != FORMAT_VERSION:
        what = f"states format version {version}" if version is not None else "states no format version"
        return LockFile((), (f"lock.toml {what}; expected {FORMAT_VERSION}",), version)
    head, *tables = ("\n" + text).split(_TABLE)
    problems: list[str] = []
    line = head.count("\n")
    _, problem = _table(head)
    if problem:
        problems.append(f"lock.toml line {line}: {problem}")
    entries: dict[str, Entry] = {}
    for table in tables:
        line += 1
        if key not in table:
            line += table.count("\n") + 1
            continue
        entry, problem = _entry(table)
        if entry is None:
            problems.append(f"lock.toml line {line}: {problem}; this entry is ignored")
        elif entry.name in entries:
            problems.append(f"lock.toml line {line}: a second entry {entry.name!r}; this one is ignored")
        else:
            entries[entry.name] = entry
        line += table.count("\n") + 1
    return LockFile(tuple(entries.values()), tuple(problems), version)


def format_text(entries: Iterable[Entry]) -> str:
    """The canonical text: two stores with the same entries have the same bytes."""
    tables = [_HEAD]
    for entry in sorted(entries, key=lambda entry: (entry.function, entry.name)):
        features = ", ".join(_quoted(feature) for feature in entry.features)
        tables.append(
            f"{_TABLE}name = {_quoted(entry.name)}\nfunction = {_quoted(entry.function)}\nkey = {_quoted(entry.key)}\n"
            f"target = {_quoted(entry.target)}\nfeatures = [{features}]\ngrade = {_quoted(entry.grade.name)}\n"
            f"assembly_sha256 = {_quoted(entry.assembly_sha256)}\nevidence_sha256 = {_quoted(entry.evidence_sha256)}\n"
        )
    return "".join(tables)


def _table(text: str) -> tuple[dict[str, object], str]:
    try:
        return tomllib.loads(text), ""
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return {}, str(error)


def _entry(table: str) -> tuple[Entry | None, str]:
    values, problem = _table(table)
    if problem:
        return None, problem
    try:
        entry = from_json(Entry, values)
    except CodecError as error:
        return None, str(error)
    if not is_name(entry.name):
        return None, f"{entry.name!r} is no file name of the store's"
    return entry, ""


def is_name(name: str) -> bool:
    """Whether `name` is the stem of an entry's files: nothing that leads out of the directory."""
    return (
        0 < len(name) <= 200 and name[0] not in ".-" and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)
    )


def _quoted(text: str) -> str:
    """A TOML basic string (TOML 1.0, "String")."""
    escaped = "".join(f"\\{c}" if c in '"\\' else c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in text)
    return f'"{escaped}"'
