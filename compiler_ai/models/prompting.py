"""Prompts: what a model is told of a function, through templates that a project can replace.

`NAME.jinja` in the project's `.aicc/prompts/` replaces the one of that name here; `-faicc-model-prompt=` names another or a
file. A template's blocks `system` and `user` are the two messages; one without blocks is the user's message. A block `answer`
that holds `c` says that answers are asked for in C; each line of a block `hints` is a hint that one answer is asked for with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import jinja2.sandbox

from compiler_ai.artifacts import Baseline, Sample
from compiler_ai.asm import listing as listing_model
from compiler_ai.models import excerpt
from compiler_ai.models.base import Message, ModelError
from compiler_ai.models.source import source_of
from compiler_ai.toolchains.description import Toolchain

_BUILT_IN = Path(__file__).with_name("prompts")
_NOT_FIRST = ("feedback", "evolution")  # templates of later messages
LANGUAGES = ("assembly", "c")  # of answers
_ABI = {
    "x86_64": "System V AMD64. Arguments in rdi, rsi, rdx, rcx, r8, r9 and xmm0 to xmm7, results in rax, rdx and xmm0, xmm1; "
    "rbx, rbp, rsp and r12 to r15 are preserved; 128 bytes below rsp may be used in a function that calls nothing."
}


@dataclass(frozen=True)
class Facts:
    """What templates may use; see docs/MANUAL.md."""

    function: str
    c_source: str
    types: str
    assembly: str
    plain: str
    listing: str
    data: str
    prototype: str
    target: str
    abi: str
    features: tuple[str, ...]
    hot_blocks: tuple[excerpt.HotBlock, ...]


def facts_of(baseline: Baseline, toolchain: Toolchain, features: Sequence[str], samples: Sequence[Sample]) -> Facts:
    """Everything a prompt may say of a function. Raises ModelError when the listing does not define it."""
    listing = listing_model.parse(baseline.listing_text)
    function = listing.function(baseline.function)
    if function is None:
        raise ModelError("GCC's listing does not define the function")
    source = source_of(baseline.command, baseline.function)
    head = source.function.partition("{")[0]
    return Facts(
        function=baseline.function,
        c_source=source.function,
        types=source.types,
        assembly=excerpt.bare(function, samples, toolchain),
        plain=excerpt.bare(function),
        listing=excerpt.complete(listing, function),
        data=excerpt.data(listing, function),
        prototype=" ".join(head.split()),
        target=toolchain.name.replace("_", "-"),
        abi=_ABI.get(toolchain.name, "the target's standard one."),
        features=tuple(sorted(features)),
        hot_blocks=tuple(excerpt.hot_blocks(function, samples, toolchain)) if samples else (),
    )


class Prompts:
    """The templates of one project."""

    def __init__(self, project: Path | None) -> None:
        directories = [project / "prompts"] if project is not None else []
        loader = jinja2.FileSystemLoader([*map(str, directories), str(_BUILT_IN)])
        self._environment = jinja2.sandbox.SandboxedEnvironment(
            loader=loader,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,
        )

    def messages(self, name: str, facts: Facts, hint: str = "") -> list[Message]:
        """The first messages of a conversation, with one of the prompt's hints. Raises ModelError for a template that is missing
        or faulty."""
        template, values = self._template(name), {**vars(facts), "hint": hint}
        try:
            if "user" not in template.blocks:
                return [Message("user", template.render(values))]
            context = template.new_context(dict(values))
            found = [
                Message(role, "".join(template.blocks[role](context)).strip("\n"))
                for role in ("system", "user")
                if role in template.blocks
            ]
        except Exception as error:  # a template is a user's program
            raise ModelError(f"prompt '{name}': {error}") from None
        return [message for message in found if message.content]

    def language(self, name: str) -> str:
        """What answers are asked for in: what the template's block `answer` says, "c", or "assembly". Raises ModelError."""
        said = self._block(name, "answer", {}).strip() or LANGUAGES[0]
        if said not in LANGUAGES:
            raise ModelError(f"prompt '{name}': its block 'answer' says '{said[:40]}' and not {' or '.join(LANGUAGES)}")
        return said

    def hints(self, name: str, facts: Facts) -> tuple[str, ...]:
        """The lines of the template's block `hints`, of which every request gets another one; () without. Raises ModelError."""
        return tuple(line.strip() for line in self._block(name, "hints", vars(facts)).splitlines() if line.strip())

    def _block(self, name: str, block: str, values: Mapping[str, Any]) -> str:
        template = self._template(name)
        try:
            return (
                "".join(template.blocks[block](template.new_context(dict(values)))) if block in template.blocks else ""
            )
        except Exception as error:  # a template is a user's program
            raise ModelError(f"prompt '{name}': {error}") from None

    def feedback(self, values: Mapping[str, Any]) -> Message:
        """The message that tells a model what became of its answer. Raises ModelError."""
        return self._said("feedback", values)

    def evolution(self, values: Mapping[str, Any]) -> Message:
        """The message that gives a model verified bodies to improve or combine. Raises ModelError."""
        return self._said("evolution", values)

    def _said(self, name: str, values: Mapping[str, Any]) -> Message:
        try:
            return Message("user", self._template(name).render(values).strip("\n"))
        except Exception as error:  # a template is a user's program
            raise ModelError(f"prompt '{name}': {error}") from None

    def _template(self, name: str) -> jinja2.Template:
        try:
            if "/" in name or name.endswith(".jinja"):
                return self._environment.from_string(Path(name).read_text(encoding="utf-8"))
            return self._environment.get_template(f"{name}.jinja")
        except jinja2.TemplateNotFound:
            known = ", ".join(sorted(path.stem for path in _BUILT_IN.glob("*.jinja") if path.stem not in _NOT_FIRST))
            raise ModelError(f"there is no prompt '{name}'; there are {known}, or name a .jinja file") from None
        except (OSError, UnicodeDecodeError, jinja2.TemplateSyntaxError) as error:
            raise ModelError(f"prompt '{name}': {error}") from None


def prompt_name(wanted: str, model: str) -> str:
    """Which prompt a model gets: what was asked for, or SuperCoder's own for models trained on it (arXiv 2505.11480)."""
    if wanted and wanted != "auto":
        return wanted
    plain = model.lower()
    return "supercoder" if "supercoder" in plain or "superoptimizer" in plain else "aicc"


def prompt_hash(messages: Sequence[Message]) -> str:
    """Twelve hex digits that name a conversation in logs and trials."""
    text = "\0".join(f"{message.role}\0{message.content}" for message in messages)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
