"""What apply mode needs of `artifacts`, which has them too: every data class costs the start of a compile half a millisecond."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Grade(enum.IntEnum):
    """How well the evidence supports "the candidate behaves as the baseline", worst first."""

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
