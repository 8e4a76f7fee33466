"""Which of a unit's flags a rewrite's evidence rests on. On the compile path."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Flags that decide which bodies fit a unit: its ISA, code model, position independence, hardening and unwind tables.
_FITTING = (
    "-m", "-fpic", "-fPIC", "-fpie", "-fPIE", "-fno-pic", "-fno-PIC", "-fno-pie", "-fno-PIE", "-fcf-protection",
    "-fstack-protector", "-fno-stack-protector", "-fstack-clash", "-fasynchronous-unwind", "-fno-asynchronous-unwind",
    "-funwind-tables", "-fno-unwind-tables", "-fexceptions", "-fplt", "-fno-plt", "-ffunction-sections",
)  # fmt: skip
# Units compiled with these are instrumented: never rewritten (DESIGN, "What behaves the same means").
_INSTRUMENTED = (
    "-fsanitize",
    "-pg",
    "--coverage",
    "-coverage",
    "-fprofile-arcs",
    "-ftest-coverage",
    "-fprofile-generate",
    "-finstrument-functions",
)
_IGNORED = ("-mtune", "-mdumpversion", "-multilib", "-mmultilib")


def target_flags(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The flags of this unit that a rewrite's evidence rests on, from the options that GCC's driver hands to its children.

    GCC manual, "Environment Variables Affecting GCC", and gcc.cc (set_collect_gcc_options).
    """
    words = _unquote(environment.get("COLLECT_GCC_OPTIONS", ""))
    flags = {word for word in words if word.startswith(_FITTING + _INSTRUMENTED) and not word.startswith(_IGNORED)}
    return tuple(sorted(flags))


def is_instrumented(flags: Iterable[str]) -> bool:
    return any(flag.startswith(_INSTRUMENTED) for flag in flags)


def _unquote(options: str) -> list[str]:
    """Split COLLECT_GCC_OPTIONS: words in single quotes, a quote inside written as '\\''."""
    import shlex

    try:
        return shlex.split(options)
    except ValueError:
        return options.replace("'", "").split()
