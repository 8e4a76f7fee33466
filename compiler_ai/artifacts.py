"""The data classes that flow between passes; docs/ARCHITECTURE.md draws the flow.

Everything here is plain data: no class in this module reads a file, runs a command or imports another part of aicc.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

# The stage of a rejection that is no verdict: there was no time, and the next run tries.
OUT_OF_TIME = "budget"

# Of a field that stored evidence of earlier versions does not have: it is not written while it has its default.
ADDED = {"added": True}


class Grade(enum.IntEnum):
    """How well the evidence supports "the candidate behaves as the baseline", worst first; `candidates.GRADES` are its names."""

    REFUTED = 0
    UNKNOWN = 1
    TESTED = 2
    BOUNDED = 3
    PROVED = 4


@dataclass(frozen=True)
class Candidate:
    """A proposed body.

    ``body`` replaces the lines between the function's entry label and its ``.size`` (both exclusive; `.cfi_startproc` to
    `.cfi_endproc` included). ``extra`` is appended at the end of the listing: read-only constants, jump tables and local
    static callees that the body brings along, every label in it already renamed so that nothing in the unit clashes.
    ``features`` names the ISA extensions (GCC's -m names without "-m") the code needs beyond the unit's own flags.
    """

    function: str
    body: str
    extra: str = ""
    proposer: str = ""
    origin: str = ""  # how it came about: a command line, a model and its seed
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rejection:
    """Why a candidate went no further.

    ``stage`` is dotted, from coarse to fine: ``screen.text``, ``screen.object``, ``screen.code``, ``verify.memory``,
    ``verify.coverage``, ``measure.slower`` ... ``reason`` is one line for a person, with the offending text or values.
    """

    stage: str
    reason: str


@dataclass(frozen=True)
class CompileCommand:
    """One compile of one translation unit, as it can be repeated.

    ``compiler`` is the underlying GCC with its leading arguments; ``arguments`` is everything else of the command line
    (aicc's own options removed, response files expanded) *without* the input, ``-o``, ``-c``/``-S`` and the
    dependency-output options. ``source`` and ``object_path`` are absolute; ``given`` is what the command line calls the
    source, which `__FILE__` puts into the code.
    """

    compiler: tuple[str, ...]
    arguments: tuple[str, ...]
    source: str
    object_path: str
    directory: str
    target: str  # a name in toolchains/, such as "x86_64"
    environment: tuple[tuple[str, str], ...] = ()
    given: str = ""

    @property
    def input(self) -> str:
        """The source as a repetition names it, in ``directory``."""
        return self.given or self.source


@dataclass(frozen=True)
class Sample:
    """Self cost of one address of a function; ``offset`` is in bytes from the function's first byte."""

    offset: int
    count: float


@dataclass(frozen=True)
class ProfiledFunction:
    """One function of one module (executable or shared object) with its self cost.

    ``symbol`` is the assembled name (``f.constprop.0``); a ``.cold`` part is folded into its function.
    ``source`` is the unit's STT_FILE name (a basename such as ``util.c``, or "" when the module has none).
    ``address`` is the symbol's value in the module's symbol table, which tells two static ``f`` apart.
    """

    symbol: str
    module: str
    source: str
    address: int
    size_bytes: int
    cost: float
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class HotFunction:
    """A profiled function that the hotness pass selected; ``share`` is its part (0..1) of the project's own samples."""

    profiled: ProfiledFunction
    share: float


@dataclass(frozen=True)
class Baseline:
    """GCC's own body of a hot function, inside its unit's listing.

    ``listing_text`` is the whole .s of the unit as the shim sees it, without what only a debugger reads. ``key`` is the hash of the normalised body
    and of everything in the unit that it depends on (asm.normalise.body_key).
    """

    function: str
    command: CompileCommand
    listing_text: str
    key: str
    size_bytes: int = 0


@dataclass(frozen=True)
class Counterexample:
    """An entry state on which baseline and candidate differ, and the first difference, in words."""

    test: str
    difference: str


@dataclass(frozen=True)
class Evidence:
    """What backs a grade. ``answered`` counts tests in which calls out of the unit were answered instead of made; ``blocks_covered``/``blocks_total`` count the candidate's basic blocks that tests executed."""

    grade: Grade
    captures: int = 0
    mutated: int = 0
    generated: int = 0
    blocks_total: int = 0
    blocks_covered: int = 0
    counterexample: Counterexample | None = None
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    answered: int = field(default=0, metadata=ADDED)


@dataclass(frozen=True)
class Interval:
    """A ratio baseline time / candidate time (above 1 is faster) with a confidence interval."""

    ratio: float
    low: float
    high: float
    confidence: float = 0.95


@dataclass(frozen=True)
class Timing:
    """A measured comparison; ``placement_ratios`` are the raw medians, one a code placement."""

    warm: Interval
    cold: Interval | None
    placement_ratios: tuple[float, ...] = ()
    baseline_ns: float = 0.0
    candidate_ns: float = 0.0
    pairs: int = 0


@dataclass(frozen=True)
class Trial:
    """Everything that happened to one candidate; what the trial cache keeps. ``digest`` names the candidate body."""

    candidate: Candidate
    digest: str
    rejection: Rejection | None = None
    evidence: Evidence | None = None
    timing: Timing | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Rewrite:
    """An accepted candidate with its evidence; what the store keeps."""

    baseline_key: str
    candidate: Candidate
    evidence: Evidence
    timing: Timing
    target: str
    source: str
    baseline_size_bytes: int
    share: float = 0.0
    machine: str = ""


@dataclass
class FunctionResult:
    """The outcome of the function passes for one hot function."""

    hot: HotFunction
    baseline: Baseline | None
    trials: list[Trial] = field(default_factory=list)
    rewrite: Rewrite | None = None
    skipped: str = ""  # why nothing was tried, "" when something was
    not_proposed: list[Rejection] = field(default_factory=list)  # what proposers could not offer, and why
