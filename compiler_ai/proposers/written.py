"""Bodies out of C that a model has written: its text takes the place of the function's definition in the preprocessed unit,
the unit's own compiler compiles that with the unit's own options, and the body is transplanted like one of the search
proposer's. Nothing else of that compilation is used."""

from __future__ import annotations

import re

from compiler_ai.artifacts import Baseline, Candidate, Rejection
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.listing import Listing
from compiler_ai.models.c_answer import CAnswerError, check_expanded, checked
from compiler_ai.models.source import declarations_of, definition
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.recompile import Recompiler
from compiler_ai.proposers.runs import RecompileError
from compiler_ai.proposers.transplant import Source, transplant

_FUSED = re.compile(r"\bvfn?m(add|sub)\w*[ps][sd]\b")
_CLONE = re.compile(r"\.(?:constprop|isra|part)\.\d+")
_FILE = "answer.c"  # what the compiler's messages call the model's text
_COMPILE_S = 20.0
_PREFIX = re.compile(r"^[\w.+-]+: ")


class WrittenError(Exception):
    """A text gives no body; the message is the reason, in one line."""


class Writing:
    """Compiles texts for one function. A context manager (scratch files)."""

    def __init__(self, baseline: Baseline, target: Listing, context: ProposalContext) -> None:
        """Raises WrittenError for functions that no C text can stand for."""
        self._target, self._name = target, baseline.function
        self._context = context
        function = target.function(baseline.function)
        if _CLONE.search(baseline.function):
            raise WrittenError("GCC made this function of another one: no C text stands for it")
        if function is None:
            raise WrittenError("GCC's listing does not define the function")
        self._fuses = bool(_FUSED.search(function.body))
        cfi = ".cfi_startproc" in baseline.listing_text
        try:
            self._recompiler = Recompiler(baseline.command, context, cfi, baseline.size_bytes, target.undefined)
        except RecompileError as error:
            raise WrittenError(str(error)) from None
        try:
            text = self._recompiler.source_text()
            found = definition(declarations_of(text), baseline.function)
            if found is None or not baseline.command.source.endswith(".c"):
                raise WrittenError("the function's definition is not found in the C source")
        except RecompileError as error:
            self.close()
            raise WrittenError(str(error)) from None
        except WrittenError:
            self.close()
            raise
        self._before, self._behind = text[: found.start], text[found.end :]
        self._resume = f'\n# {found.last_line} "{baseline.command.given or baseline.command.source}"\n'

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._recompiler.close()

    def body(self, text: str, prefix: str, proposer: str, origin: str) -> Candidate | None:
        """The body that GCC makes of the text; None when it is the baseline's own. Raises WrittenError.

        `prefix` makes its labels unique (letters, digits, underscores).
        """
        try:
            plain = checked(text, self._name)
            self._recompiler.runs.limit(_COMPILE_S)
            expanded = self._recompiler.expanded(plain)
            check_expanded(expanded, self._name)
            unit = f'{self._before}\n# 1 "{_FILE}"\n{expanded}{self._resume}{self._behind}'
            made = self._recompiler.changed_listing(unit, self._fuses)
        except CAnswerError as error:
            raise WrittenError(str(error)) from None
        except RecompileError as error:
            raise WrittenError(f"the compiler refuses it: {_PREFIX.sub('', str(error))}") from None
        source = Source(
            listing_model.parse(made.text),
            own_conventions=False,
            proposer=proposer,
            origin=f"{origin}, C compiled with {made.description}",
            features=(),
            statics=self._recompiler.statics,
        )
        found = transplant(source, self._target, self._name, prefix, self._context.toolchain)
        if isinstance(found, Rejection):
            raise WrittenError(found.reason.removeprefix(f"{source.origin}: "))
        return found
