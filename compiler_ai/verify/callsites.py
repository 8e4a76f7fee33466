"""What the baseline's calls through pointers are of: a pointer that a test changed leads to no function, but stands for one of the
kind that the same place in the code calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
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
        self.members: Mapping[int, int] = {}  # where a call comes back to -> displacement of the member that it is of
        self._called: dict[int, Counter[int]] = {}  # where a call comes back to -> how often it was of which functions

    def note(self, events: Iterable[CallEvent]) -> None:
        """The baseline made these calls."""
        for event in events:
            if self._is_function(event.target) and self._is_behind_one(event.return_to):
                self._called.setdefault(event.return_to, Counter())[event.target] += 1

    def stands_for(self, event: CallEvent) -> int:
        """What a call of the baseline's is of, or, where that is no function, what its place was seen to call most often: what tests
        change is the same in most of them."""
        called = self._called.get(event.return_to)
        return called.most_common(1)[0][0] if called and not self._is_function(event.target) else event.target

    def _is_function(self, target: int) -> bool:
        return target in self._names or self._may_be_called(target)

    def _is_behind_one(self, at: int) -> bool:
        """Whether a call through a pointer comes back to `at`: a jump out of what was called directly comes back there from several."""
        low, high = self._inside
        return low < at < high and self._code(at - _DIRECT_BYTES)[:1] != _DIRECT
