"""Which of a unit's flags a rewrite's evidence rests on. On the compile path."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNOPTIMISED = "-O0"  # and -Og: for debugging, and nothing of GCC's listing and dumps shows what the source promises
FULL = "-O2"
# Flags that decide which bodies fit a unit: its ISA, code model, position independence, hardening and unwind tables, and
# what of C the language leaves undefined (a candidate comes from the same source, compiled under the same rules). Not -fplt and
# -ffunction-sections: calls and code reach any place under either, and where the function's own code changes, so does its key.
_FITTING = (
    "-m", "-fpic", "-fPIC", "-fpie", "-fPIE", "-fno-pic", "-fno-PIC", "-fno-pie", "-fno-PIE", "-fcf-protection",
    "-fstack-protector", "-fno-stack-protector", "-fstack-clash", "-fasynchronous-unwind", "-fno-asynchronous-unwind",
    "-funwind-tables", "-fno-unwind-tables", "-fexceptions",
    "-fnon-call-exceptions", "-fsplit-stack", "-ffixed-", "-fcall-", "-ffreestanding", "-fhosted", "-fbuiltin", "-fno-builtin",
    "-fwrapv", "-fno-wrapv", "-ftrapv", "-fno-trapv", "-fstrict-", "-fno-strict-", "-fdelete-null-", "-fno-delete-null-",
    "-ffast-math", "-fno-fast-math", "-Ofast", "-funsafe-math", "-fno-unsafe-math", "-fassociative-math", "-fno-associative-math",
    "-freciprocal-math", "-fno-reciprocal-math", "-ffinite-math", "-fno-finite-math", "-fsigned-zeros", "-fno-signed-zeros",
    "-fmath-errno", "-fno-math-errno", "-ftrapping-math", "-fno-trapping-math", "-frounding-math", "-fno-rounding-math",
    "-fsignaling-nans", "-fno-signaling-nans", "-ffp-contract", "-fexcess-precision", "-ffloat-store",
    "-fallow-store-data-races", "-fno-allow-store-data-races", "-fsemantic-interposition", "-fno-semantic-interposition",
    "-fshort-enums", "-fno-short-enums", "-fpack-struct", "-fsigned-char", "-funsigned-char", "-fno-signed-char",
    "-fno-unsigned-char", "-fno-common", "-fcommon", "-flifetime-dse", "-fno-lifetime-dse", "-fallocation-dce", "-fno-allocation-dce",
    "-ffinite-loops", "-fno-finite-loops", "-fcheck-new", "-fno-check-new", "-fcx-", "-fno-cx-", "-ffp-int", "-fno-fp-int", "-fsso-struct",
    "-fshort-wchar", "-fno-short-wchar",
)  # fmt: skip
# Units compiled with these are instrumented, patched at run time, or hardened in ways that only the compiler keeps up: never
# rewritten (DESIGN, "What behaves the same means").
_INSTRUMENTED = (
    "-fsanitize",
    "-pg",
    "--coverage",
    "-coverage",
    "-fprofile-arcs",
    "-ftest-coverage",
    "-fcondition-coverage",
    "-fpath-coverage",
    "-fprofile-generate",
    "-finstrument-functions",
    "-fvtable-verify",
    "-fpatchable-function-entry",
    "-fsplit-stack",
    "-mfentry",
    "-mnop-mcount",
    "-mrecord-mcount",
    "-mhotpatch",
    "-fzero-call-used-regs",
    "-fharden",
)
# What a level allows of what C leaves undefined: from -O2 on objects are accessed by their own types (-fstrict-aliasing).
_LEVELS = {"-O": "-O1", "-O0": UNOPTIMISED, "-O1": "-O1", "-Og": UNOPTIMISED}
_PROFILED = "-p"  # which many options begin with
_IGNORED = ("-mtune", "-mdumpversion", "-multilib", "-mmultilib")


def target_flags(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The level (one of -O0, -O1 and -O2, for its kind) and the flags of this unit that a rewrite's evidence rests on, from the options that GCC's driver hands to its children.

    In the order given, since of contrary ones the last holds; of equal ones only the last is kept.
    GCC manual, "Environment Variables Affecting GCC", and gcc.cc (set_collect_gcc_options).
    """
    words = _unquote(environment.get("COLLECT_GCC_OPTIONS", ""))
    kept = [word for word in words if word.startswith(_FITTING + _INSTRUMENTED) or word == _PROFILED]
    flags = [word for word in kept if not word.startswith(_IGNORED)]
    return (level(words), *reversed(dict.fromkeys(reversed(flags))))


def level(words: Iterable[str]) -> str:
    """The kind of the optimisation level that holds: -O0 (and -Og), -O1, or -O2 for all above."""
    found = [_LEVELS.get(word, FULL) for word in words if word.startswith("-O")]
    return found[-1] if found else UNOPTIMISED


def excluded_by(flags: Iterable[str]) -> str:
    """The flag that keeps rewrites out of a unit; "" when there is none."""
    out = (*_INSTRUMENTED, UNOPTIMISED)
    return next((flag for flag in flags if flag.startswith(out) or flag == _PROFILED), "")


def _unquote(options: str) -> list[str]:
    """Split COLLECT_GCC_OPTIONS: words in single quotes, a quote inside written as '\\''. (`shlex` costs 3 ms.)"""
    words: list[str] = []
    word: list[str] | None = None
    quoted = False
    position = 0
    while position < len(options):
        character = options[position]
        position += 1
        if quoted:
            end = options.find("'", position - 1)
            end = len(options) if end < 0 else end
            (word := word or []).append(options[position - 1 : end])
            position, quoted = end + 1, False
        elif character == "'":
            word, quoted = word or [], True
        elif character.isspace():
            words += ["".join(word)] if word is not None else []
            word = None
        else:
            if character == "\\":
                character = options[position : position + 1]
                position += 1
            (word := word or []).append(character)
    return [*words, "".join(word)] if word is not None else words
