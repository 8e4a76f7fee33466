"""The two files of a stored rewrite: a .asm for people and the assembler, a .json with everything else."""

from __future__ import annotations

import json
from dataclasses import replace

from compiler_ai.artifacts import Evidence, Interval, Rewrite
from compiler_ai.store.codec import CodecError, from_json, to_json
from compiler_ai.store.errors import StoreError

_BODY = "# ---- body\n"
_EXTRA = "\n# ---- extra\n"


def format_assembly(rewrite: Rewrite) -> bytes:
    """The .asm: a header for its reader, then the body and what it brings along, unchanged.

    Raises StoreError for a body that contains this file's own section marks.
    """
    candidate = rewrite.candidate
    if _EXTRA in candidate.body + "\n" or _EXTRA in "\n" + candidate.extra:
        raise StoreError(
            f"{candidate.function}: the body contains the line {_EXTRA.strip()!r}, which separates it from its data"
        )
    header = {
        "function": candidate.function,
        "source": rewrite.source,
        "target": " ".join((rewrite.target, *candidate.features)),
        "key": rewrite.baseline_key,
        "proposer": f"{candidate.proposer} ({candidate.origin})" if candidate.origin else candidate.proposer,
        "grade": _grade(rewrite.evidence),
        "speedup": _speedup("warm", rewrite.timing.warm) + _speedup(", cold", rewrite.timing.cold),
    }
    lines = [f"# {name + ':':<10} {' '.join(value.split())}\n" for name, value in header.items()]
    return ("".join(lines) + _BODY + candidate.body + _EXTRA + candidate.extra).encode(errors="surrogateescape")


def format_evidence(rewrite: Rewrite) -> bytes:
    """The .json: every field of the rewrite except the two texts that the .asm holds."""
    value = to_json(replace(rewrite, candidate=replace(rewrite.candidate, body="", extra="")))
    assert isinstance(value, dict)
    del value["candidate"]["body"], value["candidate"]["extra"]
    return (json.dumps(value, indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode()


def parse(assembly: bytes, evidence: bytes) -> Rewrite:
    """The rewrite that the two files hold. Raises StoreError when either is not what the functions above write."""
    text = assembly.decode(errors="surrogateescape")
    _, body_mark, rest = text.partition(_BODY)
    body, extra_mark, extra = rest.partition(_EXTRA)
    if not body_mark or not extra_mark:
        raise StoreError("the .asm lacks the lines that separate body and data")
    try:
        value = json.loads(evidence)
        value["candidate"].update(body=body, extra=extra)
        return from_json(Rewrite, value)
    except CodecError as error:
        raise StoreError(f"the .json is not understood: {error}") from error
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"the .json is damaged: {error}") from error


def _grade(evidence: Evidence) -> str:
    tests = f"{evidence.captures} captures, {evidence.mutated} mutated, {evidence.generated} generated"
    tests += f", {evidence.answered} answered" if evidence.answered else ""
    return f"{evidence.grade.name.lower()} ({tests}; {evidence.blocks_covered} of {evidence.blocks_total} blocks)"


def _speedup(label: str, interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{label} {interval.ratio:.3f}x [{interval.low:.3f}, {interval.high:.3f}]"
