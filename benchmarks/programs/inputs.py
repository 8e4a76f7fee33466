"""What the programs work on: text, records, markup, made anew from one seed, so that every run measures the same.

Sizes and mixtures follow what such programs meet: natural-language text has a Zipf vocabulary and sentences, logs repeat
their shape and vary in the fields, records are small integers and floats in binary.
"""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

_SEED = 20
_CONSONANTS = "bcdfghklmnprstv"
_VOWELS = "aeiou"
_ENDS = ["n", "s", "r", "", "", "t", "ng", "ck", "m", "ly", "tion", "ed"]


def vocabulary(source: random.Random, count: int) -> list[str]:
    """`count` made-up words, short ones first, as frequent words are."""
    words = {
        "".join(source.choice(_CONSONANTS) + source.choice(_VOWELS) for _ in range(1 + source.randrange(4)))
        + source.choice(_ENDS)
        for _ in range(count * 2)
    }
    return sorted(words, key=lambda word: (len(word), word))[:count]


def text(size_bytes: int) -> bytes:
    """Prose: sentences of a Zipf vocabulary, with names, numbers and paragraphs."""
    source = random.Random(_SEED)
    words = vocabulary(source, 8000)
    weights = list(itertools.accumulate(1.0 / (rank + 2) for rank in range(len(words))))
    parts: list[str] = []
    length = 0
    while length < size_bytes:
        sentence = source.choices(words, cum_weights=weights, k=source.randrange(4, 26))
        sentence[0] = sentence[0].capitalize()
        if source.random() < 0.15:
            sentence.insert(len(sentence) // 2, str(source.randrange(3000)))
        part = (
            " ".join(sentence)
            + source.choice([".", ".", ".", "?", "!", ";"])
            + ("\n\n" if source.random() < 0.1 else " ")
        )
        parts.append(part)
        length += len(part)
    return "".join(parts).encode()[:size_bytes]


def log(size_bytes: int) -> bytes:
    """Lines of a server's log: one shape, varying fields."""
    source = random.Random(_SEED + 1)
    words = vocabulary(source, 300)
    agents = [" ".join(source.choices(words, k=6)) for _ in range(20)]
    lines: list[str] = []
    length, clock = 0, 0
    while length < size_bytes:
        clock += source.randrange(3)
        path = "/".join(source.choices(words[:80], k=source.randrange(1, 5)))
        host = ".".join(str(source.randrange(256)) for _ in range(4))
        status = source.choices([200, 304, 404, 500], [80, 12, 6, 2])[0]
        when = f"{clock // 3600 % 24:02}:{clock // 60 % 60:02}:{clock % 60:02}"
        line = f'{host} - - [12/Mar/2024:{when} +0000] "GET /{path} HTTP/1.1" {status} {source.randrange(60000)} "{source.choice(agents)}"\n'
        lines.append(line)
        length += len(line)
    return "".join(lines).encode()[:size_bytes]


def records(size_bytes: int) -> bytes:
    """Binary records: a running number, small integers, a measured float, flags."""
    source = random.Random(_SEED + 2)
    value = 100.0
    parts: list[bytes] = []
    for number in range(size_bytes // 24 + 1):
        value += source.gauss(0.0, 0.5)
        flags = source.choice([0, 0, 0, 1, 255])
        parts.append(
            struct.pack(
                "<IHHdIHH",
                number,
                source.randrange(64),
                source.randrange(1000),
                round(value, 2),
                source.getrandbits(20),
                flags,
                0,
            )
        )
    return b"".join(parts)[:size_bytes]


def markup(size_bytes: int) -> bytes:
    """An XML document: nested elements, attributes, entities, comments, CDATA and non-ASCII text."""
    source = random.Random(_SEED + 3)
    words = vocabulary(source, 3000)
    names = words[200:240]
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE library [<!ENTITY house "Haus &amp; Hof">]>\n<library>\n'
    ]
    length = 0

    def element(depth: int) -> Iterator[str]:
        name = source.choice(names)
        attributes = "".join(
            f' {key}="{source.choice(words)}-{source.randrange(10000)}"'
            for key in source.sample(names, source.randrange(4))
        )
        yield f"<{name}{attributes}>"
        for _ in range(source.randrange(1, 5)):
            kind = source.random()
            if depth < 6 and kind < 0.45:
                yield from element(depth + 1)
            elif kind < 0.9:
                yield " ".join(source.choices(words, k=source.randrange(2, 30)))
            elif kind < 0.93:
                yield f"<![CDATA[{source.choice(words)} < {source.randrange(99)} & more]]>"
            elif kind < 0.96:
                yield f"<!-- {' '.join(source.choices(words, k=5))} -->"
            else:
                yield " &lt;&house;&gt; größer als 5 €, 日本 "
        yield f"</{name}>\n"

    while length < size_bytes:
        part = "".join(element(1))
        parts.append(part)
        length += len(part.encode())
    return "".join([*parts, "</library>\n"]).encode()


_KINDS: dict[str, Callable[[int], bytes]] = {"text": text, "log": log, "records": records, "markup": markup}


def write(directory: Path, kind: str, size_bytes: int) -> Path:
    """The input named `kind` of about `size_bytes`, in `directory`; kept when it is there already. Raises OSError."""
    path = directory / f"{kind}-{size_bytes // 1000}k"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(_KINDS[kind](size_bytes))
        temporary.replace(path)
    return path
