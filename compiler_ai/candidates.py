"""What apply mode needs of a candidate; `artifacts` has the whole of it. On the compile path: no data classes, no enumerations."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from compiler_ai.artifacts import Candidate

    AnyBody: TypeAlias = "Body | Candidate"

GRADES = ("REFUTED", "UNKNOWN", "TESTED", "BOUNDED", "PROVED")  # artifacts.Grade, worst first


class Body:
    """The text of a candidate; its fields are those of `artifacts.Candidate`."""

    __slots__ = ("body", "extra", "features", "function")

    def __init__(self, function: str, body: str, extra: str = "", features: tuple[str, ...] = ()) -> None:
        self.function, self.body, self.extra, self.features = function, body, extra, features
