"""What the captured calls of a function count, when they run on a body that GCC has instrumented."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from compiler_ai.sandbox.assemble import assemble
from compiler_ai.sandbox.image import CaptureImage
from compiler_ai.sandbox.loader import SPAN_BYTES, load
from compiler_ai.sandbox.pages import PAGE_BYTES, PageSet, Prot, Region, page_ceil
from compiler_ai.sandbox.process import Sandbox
from compiler_ai.sandbox.symbols import Reference, Resolver
from compiler_ai.tune.judges import ASSEMBLER, JudgeError, Judges
from compiler_ai.work import Context, FunctionWork

_COUNTER = struct.Struct("<Q")
_ALIGN_BYTES = 64
_CPU_LIMIT_NS = 1_000_000_000  # of one call: what it has counted by then says enough


@dataclass(frozen=True)
class _WithCounters:
    """Knows where the counters lie, besides all that `module` knows."""

    module: Resolver
    counters: Mapping[str, int]

    def resolve(self, reference: Reference) -> int | None:
        known = self.counters.get(reference.name)
        return self.module.resolve(reference) if known is None else known

    def contents(self, address: int, size_bytes: int) -> bytes | None:
        return self.module.contents(address, size_bytes)


def counts(
    judges: Judges, work: FunctionWork, context: Context, listing_text: str, sizes_bytes: Mapping[str, int]
) -> dict[str, bytes]:
    """`totals` on all captured calls of the function that replay. Raises AiccError."""
    images = [image for _, image in judges.verifier(work, context).images]
    return totals(judges.sandbox, images, work.baseline.function, listing_text, sizes_bytes)


def totals(
    sandbox: Sandbox,
    images: Iterable[CaptureImage],
    function: str,
    listing_text: str,
    sizes_bytes: Mapping[str, int],
) -> dict[str, bytes]:
    """What 64-bit counters that the listing leaves undefined (name -> size) hold in the end, added up over the calls. Raises AiccError
    when the body cannot be run, or counts nothing."""
    object_bytes = assemble(listing_text, ASSEMBLER)
    offsets, end_bytes = _laid_out(sizes_bytes)
    size_bytes = page_ceil(end_bytes)
    sums = {name: bytes(size) for name, size in sizes_bytes.items()}
    for image in images:
        start = image.bases[0] + SPAN_BYTES - size_bytes
        resolver = _WithCounters(image.resolver, {name: start + at for name, at in offsets.items()})
        body = load(object_bytes, function, image.bases[0], resolver, trap_unresolved=True)
        memory = PageSet((Region(start, Prot.READ | Prot.WRITE, bytes(size_bytes)),))
        outcome = sandbox.run(
            [image.pages, body.pages, memory],
            replace(image.registers, rip=body.entry),
            image.return_address,
            cpu_limit_ns=_CPU_LIMIT_NS,
        )
        pages = (outcome.changed.get(at, bytes(PAGE_BYTES)) for at in range(start, start + size_bytes, PAGE_BYTES))
        held = b"".join(pages)
        for name, at in offsets.items():
            sums[name] = _sum(sums[name], held[at : at + sizes_bytes[name]])
    if not any(any(held) for held in sums.values()):
        raise JudgeError("no captured call runs on the instrumented body")
    return sums


def _laid_out(sizes_bytes: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """Where each counter lies, and where the last one ends."""
    offsets, end = {}, 0
    for name, size_bytes in sizes_bytes.items():
        offsets[name] = end
        end += -(-size_bytes // _ALIGN_BYTES) * _ALIGN_BYTES
    return offsets, max(end, 1)


def _sum(left: bytes, right: bytes) -> bytes:
    pairs = zip(_COUNTER.iter_unpack(left), _COUNTER.iter_unpack(right), strict=True)
    return b"".join(_COUNTER.pack((one + other) % (1 << 64)) for (one,), (other,) in pairs)
