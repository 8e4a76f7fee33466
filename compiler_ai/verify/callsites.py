"""What the baseline's calls through pointers are of: a pointer that a test changed leads to no function, but stands for one of the
kind that the same place in the code calls."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from functools import cache

from compiler_ai.sandbox.events import CallEvent

_DIRECT, _DIRECT_BYTES = b"\xe8", 5  # call rel32 (Intel SDM volume 2, CALL)


class CallSites:
    """`may_be_called` tells whether a function may start at an address outside; `names` are the addresses of those with names; `code`
    gives the bytes at an address of the baseline, which occupies the half-open range `inside`."""

    def __init__(
        self,
        may_be_called: Callable[[int], bool],
        names: Container[int],
        code: Callable[[int], bytes],
        inside: tuple[int, int],
    ) -> None:
        self._may_be_called = cache(may_be_called)
        self._names = names
        self._code = code
        self._inside = inside
        self._called: dict[int, int] = {}  # where a call comes back to -> the first function that it was of

    def note(self, events: Iterable[CallEvent]) -> None:
        """The baseline made these calls."""
        for event in events:
            at = event.return_to
            if at not in self._called and self._is_function(event.target) and self._is_behind_one(at):
                self._called[at] = event.target

    def stands_for(self, event: CallEvent) -> int:
        """What a call of the baseline's is of, or, where that is no function, of what its place was seen to call."""
        if event.return_to in self._called and not self._is_function(event.target):
            return self._called[event.return_to]
        return event.target

    def _is_function(self, target: int) -> bool:
        return target in self._names or self._may_be_called(target)

    def _is_behind_one(self, at: int) -> bool:
        """Whether a call through a pointer comes back to `at`: a jump out of what was called directly comes back there from several."""
        low, high = self._inside
        return low < at < high and self._code(at - _DIRECT_BYTES)[:1] != _DIRECT
