"""Names taken out of what is sent to a model and put back into what it answers; strings and comments are not sent.

Names of the language, of registers and instructions, of the C library and of the types that its headers define stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property

from compiler_ai.asm.listing import Listing
from compiler_ai.asm.statements import SYMBOL
from compiler_ai.models.base import Answer
from compiler_ai.models.ctokens import KEYWORDS, TOKEN, WORD
from compiler_ai.models.prompting import Facts

# With names that say nothing of the project, and the preprocessor's.
_KEPT_C = KEYWORDS | frozenset(
    [
        *("_Alignas", "_Alignof", "_Atomic", "_Generic", "_Noreturn", "_Static_assert", "_Thread_local", "bool", "true"),
        *("false", "NULL", "size_t", "ssize_t", "ptrdiff_t", "intptr_t", "uintptr_t", "int8_t", "int16_t"),
        *("int32_t", "int64_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "wchar_t", "FILE", "define"),
        *("include", "ifdef", "ifndef", "endif", "defined"),
    ]
)  # fmt: skip
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_STRING_DIRECTIVE = re.compile(r"^\s*\.(?:string|ascii|asciz)\b.*$", re.MULTILINE)


@dataclass
class Anonymiser:
    """One function's names; the same name gets the same stand-in everywhere."""

    listing: Listing
    kept: frozenset[str]  # names that say nothing of the project: the library's
    _names: dict[str, str] = field(default_factory=dict)

    def facts(self, facts: Facts) -> Facts:
        """What may be sent. The function itself is `function`."""
        self._names[facts.function] = "function"
        plain = facts.function.partition(".")[0]
        self._names.setdefault(plain, "function" if plain == facts.function else "source_function")
        blocks = tuple(replace(block, label=self._assembly(block.label)) for block in facts.hot_blocks)
        return replace(
            facts,
            function="function",
            c_source=self._c(facts.c_source),
            types=self._c(facts.types),
            prototype=self._c(facts.prototype),
            assembly=self._assembly(facts.assembly),
            plain=self._assembly(facts.plain),
            listing=self._assembly(facts.listing),
            data=self._assembly(facts.data),
            hot_blocks=blocks,
        )

    def back(self, answer: Answer) -> Answer:
        """The answer with the project's own names."""
        real = {stand_in: name for name, stand_in in self._names.items()}
        real["function"] = next(name for name, stand_in in self._names.items() if stand_in == "function")

        def replaced(match: re.Match[str]) -> str:
            return real.get(match[0], match[0])

        return replace(answer, text=re.sub(r"(?<![\w.$%@])[A-Za-z_]\w*(?![\w.$])", replaced, answer.text))

    def back_in_c(self, text: str) -> str:
        """C text with the project's own names, those of fields included."""
        real = {stand_in: name for name, stand_in in self._names.items() if stand_in != "source_function"}
        return "".join(real.get(match[0], match[0]) for match in TOKEN.finditer(text))

    def hidden(self, text: str) -> str:
        """A judge's words (an error, a counterexample) as they may be sent: names in parts of other words count too."""

        def replaced(match: re.Match[str]) -> str:
            known = match[0] in self._names or match[0] in self._symbols
            return self._stand_in(match[0]) if known else match[0]

        return re.sub(r"(?<![\w%@])[A-Za-z_]\w*", replaced, self._assembly(text))

    def _c(self, text: str) -> str:
        out = []
        for match in TOKEN.finditer(text):
            token = match[0]
            if token.startswith(("/*", "//")):
                continue
            if token.startswith('"'):
                out.append('""')
            elif WORD.fullmatch(token):
                out.append(self._stand_in(token))
            else:
                out.append(token)
        return "".join(out)

    def _assembly(self, text: str) -> str:
        text = _STRING_DIRECTIVE.sub('\t.string\t""', text)

        def replaced(match: re.Match[str]) -> str:
            before = text[match.start() - 1] if match.start() else ""
            name = match[0]
            if before in ("%", "@") or name.startswith(".") or name not in self._symbols:
                return name
            return self._stand_in(name)

        return SYMBOL.sub(replaced, text)

    @cached_property
    def _symbols(self) -> frozenset[str]:
        return self.listing.defined | self.listing.undefined

    def _stand_in(self, name: str) -> str:
        if name in _KEPT_C or name in self.kept or name.startswith("__builtin"):
            return name
        return self._names.setdefault(name, f"name{len(self._names)}")
