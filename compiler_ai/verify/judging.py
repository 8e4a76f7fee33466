"""What is known of one candidate so far, and how it comes to be refuted or to stay undecided."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from compiler_ai.sandbox.events import CallEvent
from compiler_ai.verify.coverage import Blocks
from compiler_ai.verify.decided import Decided
from compiler_ai.verify.escaping import Replaced
from compiler_ai.verify.frames import Paths
from compiler_ai.verify.machine import Body
from compiler_ai.verify.prepare import Preparation
from compiler_ai.verify.state import EntryState
from compiler_ai.verify.testcase import Test
from compiler_ai.verify.unwinding import UnwindTable


class Refuted(Exception):
    """A difference was found: the test's name and the difference in words."""


class Undecided(Exception):
    """A safety limit was hit, or something is not understood: nothing more can be said of the candidate. Why, in words."""


class Judging:
    """One candidate, and what its function's tests have shown of it. All offsets are relative to its entry."""

    def __init__(self, prepared: Preparation, object_bytes: bytes) -> None:
        self._prepared = prepared
        self._settings = prepared.settings
        self._machine = prepared.machine
        self._object = object_bytes
        self._body = prepared.body
        self._tests = list(prepared.tests)
        self._counts = {"captured": 0, "mutated": 0, "generated": 0, "answered": 0}
        self._starts: set[int] = set()
        self._uncovered: set[int] = set()
        self._uncompared: set[int] = set()
        self._indirect: set[int] = set()
        self._tables: dict[tuple[Body, int], UnwindTable | None] = {}
        self._paths: dict[int, Paths] = {}
        self._replaced: dict[int, list[Replaced]] = {}
        self._steps = 0
        self._entries = 0
        self._logged_runs = 0
        self._unlogged: set[str] = set()
        self._lacking: list[str] = []
        self._reaching: list[EntryState] = []  # of tests that were the first in a block
        self._coming: dict[int, list[Test]] = {}  # to its blocks, as long as these are few
        self._rare: set[int] = set()  # blocks that few come to
        self._first_there: list[tuple[Test, int]] = []  # tests that were made for a block, and the block
        self._found: Blocks | None = None
        self._is_decided = False
        self._decided_always: Decided | None = None
        self._unreachable: set[int] = set()  # blocks
        self._decided: Refuted | Undecided | None = None
        self._doubt = ""

    def _held_against(self, test: Test, compare: Callable[[Test], None]) -> bool:
        """`compare(test)`; False when it finds a difference where the source itself breaks, which is none, nor does that test show
        anything else then."""
        uncovered, uncompared = set(self._uncovered), set(self._uncompared)
        try:
            compare(test)
        except (Refuted, Undecided):
            if not self._prepared.is_undefined(test):
                raise
            self._uncovered, self._uncompared = uncovered, uncompared
            return False
        return True

    def _note_doubt(self, test: Test, theirs: Sequence[CallEvent], mine: Sequence[CallEvent]) -> None:
        """What calls pass may differ: the body may be wrong, but that is not known."""
        if not self._doubt:
            found = self._prepared.doubt(theirs, mine, test.fills[0][0], self._body)
            if found and not self._prepared.is_undefined(test):
                self._doubt = f"{test.state.name}: {found}"
