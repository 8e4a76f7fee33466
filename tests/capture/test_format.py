"""A capture survives the file; a damaged file is reported, never half read."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest

from compiler_ai.capture.errors import CaptureError
from compiler_ai.capture.format import (
    GENERAL,
    MAGIC,
    Capture,
    Mapping,
    Module,
    Page,
    Registers,
    from_bytes,
    load,
    save,
    to_bytes,
)


def example(impure: str = "") -> Capture:
    registers = Registers(
        {name: 2**64 - 1 - i for i, name in enumerate(GENERAL)}, 0x401000, 0x246, 1 << 46, 0, b"x" * 832
    )
    return Capture(
        function="f.constprop.0",
        address=0x1000,
        module=Module("/usr/lib/caf\udce9.so", "00ff", 0x400000),
        registers=registers,
        exit_registers=None if impure else registers,
        pages={0x7000: Page(3, bytes(range(256)) * 16), 0x401000: Page(5, b"\x90" * 4096)},
        changed={} if impure else {0x7000: b"\1" * 4096},
        mappings=(Mapping(0x7000, 0x9000, 3, "[heap]", 0),),
        symbols={"memcpy": 0x7FFF00001000},
        return_address=0x7FFFFF000000,
        impure=impure,
        cpu_ns=1234,
        ordinal=3,
    )


@pytest.mark.parametrize("impure", ["", "system call write"])
def test_what_is_saved_is_loaded(tmp_path: Path, impure: str) -> None:
    capture = example(impure)
    size_bytes = save(capture, tmp_path / "a.cap")
    assert load(tmp_path / "a.cap") == capture
    assert size_bytes == (tmp_path / "a.cap").stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["a.cap"]


def test_every_truncation_is_an_error() -> None:
    data = to_bytes(example())
    for size in range(len(data)):
        with pytest.raises(CaptureError, match=r"^capture: "):
            from_bytes(data[:size])


def test_no_flipped_byte_goes_unnoticed() -> None:
    data = to_bytes(example())
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x41
        try:
            assert from_bytes(bytes(damaged)) == example()  # some bits of a deflate stream carry no information
        except CaptureError:
            continue


def rewritten(**changes: object) -> bytes:
    raw = zlib.decompress(to_bytes(example())[len(MAGIC) :])
    (size,) = struct.unpack_from("<I", raw)
    header = json.loads(raw[4 : 4 + size])
    header.update(changes)
    text = json.dumps(header).encode()
    return MAGIC + zlib.compress(struct.pack("<I", len(text)) + text + raw[4 + size :])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"function": None}, "function: no text"),
        ({"pages": [[0x7001, 3], [0x401000, 5]]}, "pages: 0x7001 is no page address"),
        ({"pages": [[0x7000, 9], [0x401000, 5]]}, "pages: no protection: 9"),
        ({"pages": [[0x7000, 3], [0x7000, 3]]}, "pages: an address occurs twice"),
        ({"pages": [[0x7000, 3]]}, "header: it announces"),
        ({"changed": [0x9000]}, "changed: a changed page is not among the touched ones"),
        ({"exit_registers": None}, "header: it announces"),
        ({"symbols": {"memcpy": -1}}, "symbols.memcpy: no unsigned 64-bit number: -1"),
        ({"cpu_ns": True}, "cpu_ns: no unsigned 64-bit number"),
        ({"mappings": [[0x9000, 0x7000, 3, "", 0]]}, "mappings: 0x9000 to 0x7000 is empty"),
        ({"registers": {"xstate_bytes": 832}}, "registers.general: no table"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CaptureError, match=message.replace("[", r"\[")):
        from_bytes(rewritten(**changes))


def test_trailing_bytes_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="3 bytes after its end"):
        from_bytes(to_bytes(example()) + b"abc")
    with pytest.raises(CaptureError, match="not a capture file"):
        from_bytes(b"\x7fELF")
    with pytest.raises(CaptureError, match="cannot read the capture"):
        load(tmp_path / "missing.cap")


def test_an_unwritable_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot write the capture"):
        save(example(), tmp_path / "missing" / "a.cap")
