"""The store as apply mode reads it: the same answers as `Store.lookup`, without what writing and full parsing import.

Only canonical tables, as `lockfile.format_text` writes them, and files whose hashes fit are read here; whatever looks
otherwise is left to `Store`. On the compile path: this is a third of what a compile with rewrites costs otherwise.
"""

from __future__ import annotations

from compiler_ai.candidates import GRADES, Body
from compiler_ai.regular import opener
from compiler_ai.sha256 import sha256
from compiler_ai.store.index import ASSEMBLY, FORMAT_VERSION, LOCK_NAME, refuse_newer, version_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from compiler_ai.artifacts import Rewrite
    from compiler_ai.candidates import AnyBody

_TABLE = "\n[[rewrite]]\n"
_FIELDS = ("name", "function", "key", "target", "features", "grade", "assembly_sha256", "evidence_sha256")
_BODY = "# ---- body\n"
_EXTRA = "\n# ---- extra\n"


class _Unusual(Exception):
    """Not what aicc itself writes."""


class Applicable:
    """Of a stored rewrite, what applying it takes; `grade` is a rank in GRADES, `gain` orders several for one function."""

    __slots__ = ("baseline_size_bytes", "candidate", "gain", "grade", "target")

    def __init__(self, candidate: AnyBody, grade: int, target: str, baseline_size_bytes: int, gain: float) -> None:
        self.candidate, self.grade, self.target = candidate, grade, target
        self.baseline_size_bytes, self.gain = baseline_size_bytes, gain


def applicable(one: Rewrite) -> Applicable:
    return Applicable(one.candidate, int(one.evidence.grade), one.target, one.baseline_size_bytes, one.timing.warm.low)


class QuickStore:
    """Rewrites of one project's store. Raises StoreError when a newer aicc wrote it."""

    def __init__(self, project_dir: str) -> None:
        self._project = project_dir
        self._directory = project_dir + "/store"
        try:
            with open(
                f"{self._directory}/{LOCK_NAME}", encoding="utf-8", errors="surrogateescape", newline="", opener=opener
            ) as file:
                text = file.read().replace("\r\n", "\n")
        except OSError:
            text = ""
        version = version_of(text)
        refuse_newer(version, self._directory)
        self._tables = ("\n" + text).split(_TABLE)[1:] if version == FORMAT_VERSION else []

    def lookup(self, key: str, function: str, features: Collection[str] | None = None) -> Applicable | None:
        """See Store.lookup."""
        try:
            found = self._intact(key, function, features)
        except (_Unusual, OSError, ValueError, KeyError, TypeError, AttributeError):
            from compiler_ai.store.store import Store

            one = Store(self._project).lookup(key, function, features)
            return applicable(one) if one is not None else None
        return max(found, key=lambda one: one.gain, default=None)

    def lists(self, key: str, function: str) -> bool:
        """Whether lock.toml mentions a rewrite, be it one that cannot be used."""
        return any(key in table and f'"{function}"' in table for table in self._tables)

    def _intact(self, key: str, function: str, features: Collection[str] | None) -> list[Applicable]:
        found = []
        for table in self._tables:
            if key not in table:
                continue
            entry = _entry(table)
            needs = tuple(word.strip('"') for word in entry["features"].split(", ") if word)
            if entry["key"] != key or entry["function"] != function:
                continue
            if features is None or set(needs) <= set(features):
                found.append(self._load(entry, needs))
        return found

    def _load(self, entry: dict[str, str], features: tuple[str, ...]) -> Applicable:
        text = self._contents(entry["name"] + ASSEMBLY, entry["assembly_sha256"]).decode(errors="surrogateescape")
        value = _json(self._contents(entry["name"] + ".json", entry["evidence_sha256"]).decode())
        _, body_mark, rest = text.partition(_BODY)
        body, extra_mark, extra = rest.partition(_EXTRA)
        stated = value["baseline_key"], value["candidate"]["function"], value["candidate"]["features"], value["target"]
        grade, size_bytes = value["evidence"]["grade"], value["baseline_size_bytes"]
        if stated != (entry["key"], entry["function"], list(features), entry["target"]) or grade != entry["grade"]:
            raise _Unusual
        if not (body_mark and extra_mark) or type(size_bytes) is not int:
            raise _Unusual
        gain = float(value["timing"]["warm"]["low"])
        candidate = Body(entry["function"], body, extra, features)
        return Applicable(candidate, GRADES.index(grade), entry["target"], size_bytes, gain)

    def _contents(self, name: str, digest: str) -> bytes:
        with open(f"{self._directory}/{name}", "rb", opener=opener) as file:
            content = file.read()
        if "/" in name or sha256(content).hexdigest() != digest:
            raise _Unusual
        return content


class _Reading:
    """How `json.loads` sets up CPython's scanner, whose import takes `re` along. Numbers that JSON does not have are unusual."""

    strict, object_hook, object_pairs_hook, parse_float, parse_int = True, None, None, float, int
    parse_constant = memo = None


_READING: Any = _Reading()


def _json(text: str) -> Any:
    try:
        from _json import make_scanner

        scan: Any = make_scanner(_READING)
    except ImportError:
        import json

        return json.loads(text)
    try:
        value, end = scan(text, 0)
    except StopIteration:
        raise _Unusual from None
    if text[end:].strip():
        raise _Unusual
    return value


def _entry(table: str) -> dict[str, str]:
    """The fields of a canonical table, their quotes taken off. Raises _Unusual for any other text."""
    lines = table.split("\n")
    entry = {}
    for name, line in zip(_FIELDS, lines, strict=False):
        stated, equals, value = line.partition(" = ")
        opening, closing = ("[", "]") if name == "features" else ('"', '"')
        if (
            stated != name
            or not equals
            or "\\" in value
            or value[:1] != opening
            or value[-1:] != closing
            or len(value) < 2
        ):
            raise _Unusual
        entry[name] = value[1:-1]
    if len(entry) != len(_FIELDS) or any(lines[len(_FIELDS) :]):
        raise _Unusual
    return entry
