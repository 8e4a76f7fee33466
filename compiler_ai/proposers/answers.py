"""An answer of a model made candidates: assembly is read as it is, C is compiled; whichever of them the answer holds."""

from __future__ import annotations

from dataclasses import dataclass

from compiler_ai.artifacts import Baseline, Candidate
from compiler_ai.asm.aligned_operands import without_aligned_operands
from compiler_ai.asm.function import Function
from compiler_ai.asm.listing import Listing
from compiler_ai.models import answer as reading
from compiler_ai.models import c_answer
from compiler_ai.models.anonymise import Anonymiser
from compiler_ai.models.base import Answer
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.written import Writing, WrittenError

_MOST_TEXTS = 2  # C blocks of one answer that are compiled


@dataclass(frozen=True)
class Bodies:
    """What an answer gave: candidates, why other blocks gave none, and whether one was GCC's own code."""

    candidates: tuple[Candidate, ...] = ()
    reasons: tuple[str, ...] = ()
    copied: bool = False


class AnswerReader:
    """Reads a model's answers about one function. A context manager (scratch files of compilations)."""

    def __init__(
        self,
        baseline: Baseline,
        listing: Listing,
        function: Function,
        context: ProposalContext,
        anonymiser: Anonymiser | None,
        features: tuple[str, ...],
    ) -> None:
        self._baseline, self._listing, self._function = baseline, listing, function
        self._context, self._anonymiser, self._features = context, anonymiser, features
        self._writing: Writing | WrittenError | None = None

    def __enter__(self) -> AnswerReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if isinstance(self._writing, Writing):
            self._writing.close()
        self._writing = None

    def read(self, answer: Answer, prefix: str, model: str, origin: str) -> Bodies:
        """`prefix` makes labels unique (letters, digits, underscores); `origin` says how the answer came about. Never raises."""
        given = self._anonymiser.back(answer) if self._anonymiser else answer
        found = reading.read(given, self._listing, self._function, prefix)
        texts = [] if found.parsed else self._c_texts(answer)
        if texts:
            return self._compiled(texts, prefix, model, origin)
        own = [one for one in found.parsed if not reading.is_baseline(one, self._function)]
        candidates = tuple(
            without_aligned_operands(
                reading.candidate_of(
                    one, self._baseline.function, f"model {model}", _noted(origin, one.repairs), self._features
                ),
                self._listing,
                self._context.toolchain,
            )
            for one in own
        )
        return Bodies(candidates, found.reasons, len(own) < len(found.parsed))

    def _c_texts(self, answer: Answer) -> list[str]:
        text = self._anonymiser.back_in_c(answer.text) if self._anonymiser else answer.text
        return c_answer.texts_of(text, self._baseline.function, answer.truncated)[:_MOST_TEXTS]

    def _compiled(self, texts: list[str], prefix: str, model: str, origin: str) -> Bodies:
        candidates: list[Candidate] = []
        reasons: list[str] = []
        copied = False
        for number, text in enumerate(texts):
            try:
                name = f"{prefix}_{number}" if number else prefix
                body = self._open().body(text, name, f"model {model}", origin)
            except WrittenError as error:
                reasons.append(" ".join(str(error).split())[:300])
                continue
            if body is None:
                copied = True
            elif body not in candidates:
                candidates.append(body)
        return Bodies(tuple(candidates), tuple(reasons), copied)

    def _open(self) -> Writing:
        if self._writing is None:
            try:
                self._writing = Writing(self._baseline, self._listing, self._context)
            except WrittenError as error:
                self._writing = error
        if isinstance(self._writing, WrittenError):
            raise self._writing
        return self._writing


def _noted(origin: str, repairs: tuple[str, ...]) -> str:
    return f"{origin} ({'; '.join(repairs)})" if repairs else origin
