"""Sorting a unit's GCC options: what every recompilation keeps, what it drops, and what another compiler has to know.

GCC manual, "Option Summary"; Clang command line reference. What is not known here is never guessed: it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field


class OptionError(Exception):
    """An option of the unit that a recompilation cannot honour; the message names it."""


@dataclass
class UnitOptions:
    """A unit's arguments in three groups, each in command line order."""

    preprocessor: list[str] = field(default_factory=list)  # -I, -D, -include ...: for the preprocessing step only
    language: list[str] = field(default_factory=list)  # -std, -x, -ansi: for both steps
    code: list[str] = field(default_factory=list)  # everything that shapes code or semantics


# Options whose value may be the next argument.
_PREPROCESSOR_WITH_VALUE = (
    "-I", "-D", "-U", "-include", "-imacros", "-isystem", "-iquote", "-idirafter", "-iprefix", "-iwithprefix",
    "-iwithprefixbefore", "-isysroot", "--sysroot", "-A", "-imultilib",
)  # fmt: skip
_PREPROCESSOR = ("-nostdinc", "-undef", "-trigraphs", "-fmacro-prefix-map=", "-ffile-prefix-map=", "-finput-charset=",
                 "-fexec-charset=", "-fdollars-in-identifiers", "-fno-dollars-in-identifiers", "-fextended-identifiers",
                 "--sysroot=", "-Wp,-D", "-Wp,-U", "-Wp,-I", "-pthread", "-fopenmp")  # fmt: skip
_DROPPED_WITH_VALUE = ("-o", "-MF", "-MT", "-MQ", "-L", "-l", "-T", "-u", "-z", "-Xlinker", "-Xassembler", "-aux-info",
                       "-dumpbase", "-dumpdir", "-dumpbase-ext", "-B", "-e")  # fmt: skip
_DROPPED = (
    "-W", "-w", "-g", "-M", "-save-temps", "-pipe", "-flto", "-fno-lto", "-fuse-linker-plugin", "-fno-use-linker-plugin",
    "-ffat-lto-objects", "-fno-fat-lto-objects", "-fdump-", "-fopt-info", "-fplugin", "-fdiagnostics-", "-fno-diagnostics-",
    "-fmessage-length=", "-frecord-gcc-switches", "-fno-record-gcc-switches", "-grecord", "-pedantic", "-v", "-###", "-s",
    "-static", "-shared", "-rdynamic", "-r", "-nostdlib", "-nostartfiles", "-nodefaultlibs", "-no-pie", "-pie", "-static-pie",
    "-fuse-ld=", "-fdebug-", "-fno-debug-", "-feliminate-", "-fno-eliminate-", "-fvar-tracking", "-fno-var-tracking", "-time", "-Q",
    "-fno-ident", "-fident", "-fverbose-asm", "-fno-verbose-asm", "-fmax-errors=", "-ftrack-macro-expansion", "-fshow-column",
    "-fno-show-column", "-fstack-usage", "-fcallgraph-info", "-d", "-c", "-S", "-E", "-ftime-report", "-fmem-report", "--param=ggc",
    "-frandom-seed=", "-fcompare-debug", "-fworking-directory", "-fno-working-directory", "-specs=", "--specs=", "-no-canonical-prefixes",
)  # fmt: skip
# A unit compiled with one of these is never rewritten (DESIGN, "What behaves the same means").
_INSTRUMENTED = ("-fsanitize", "-fprofile-arcs", "-ftest-coverage", "--coverage", "-coverage", "-fprofile-generate", "-pg", "-p",
                 "-finstrument-functions", "-fvtable-verify", "-fsplit-stack", "-fpatchable-function-entry")  # fmt: skip


def split(arguments: Sequence[str]) -> UnitOptions:
    """Sort a unit's arguments. Raises OptionError for instrumented units."""
    options = UnitOptions()
    words = iter(arguments)
    for word in words:
        _check_instrumented(word)
        if word in _PREPROCESSOR_WITH_VALUE:
            options.preprocessor += [word, next(words, "")]
        elif word.startswith(_PREPROCESSOR) or (
            word.startswith(_PREPROCESSOR_WITH_VALUE) and not word.startswith("-Wp")
        ):
            options.preprocessor.append(word)
            if word in ("-fopenmp", "-pthread"):
                options.code.append(word)
        elif word in ("-x", "-std", "--std"):
            options.language += [word, next(words, "")]
        elif word.startswith(("-std=", "--std=", "-x", "-fgnu89-inline", "-fno-gnu89-inline")) or word == "-ansi":
            options.language.append(word)
        elif word == "-Xpreprocessor":
            options.preprocessor += [word, next(words, "")]
        elif word == "--param":
            options.code.append(f"--param={next(words, '')}")
        elif word in _DROPPED_WITH_VALUE:
            next(words, "")
        elif _is_dropped(word):
            continue
        else:
            options.code.append(word)
    return options


def _check_instrumented(word: str) -> None:
    exact = ("-p", "-pg", "--coverage", "-coverage")
    if word in exact or (
        word not in exact and word.startswith(tuple(one for one in _INSTRUMENTED if one not in exact))
    ):
        raise OptionError(f"the unit is instrumented or has a split stack ({word}): such functions are never rewritten")


def _is_dropped(word: str) -> bool:
    if word.startswith(("-L", "-l", "-T", "-u")) or not word.startswith("-"):
        return True
    exact = ("-w", "-v", "-s", "-r", "-Q", "-c", "-S", "-E", "-pie", "-static", "-shared")
    if word in exact:
        return True
    return word.startswith(tuple(one for one in _DROPPED if one not in exact))


# What clang understands and has to be told, since it changes the meaning of the source or the fit of the object code.
_CLANG_KEEPS = (
    "-fshort-enums", "-fno-short-enums", "-funsigned-char", "-fno-unsigned-char", "-fsigned-char", "-fno-signed-char", "-fpack-struct",
    "-fshort-wchar", "-fno-short-wchar", "-fcommon", "-fno-common", "-fstack-protector", "-fno-stack-protector", "-fstack-clash-protection",
    "-fno-stack-clash-protection", "-fcf-protection", "-fplt", "-fno-plt", "-ffunction-sections", "-fno-function-sections", "-fdata-sections",
    "-fno-data-sections", "-fstrict-aliasing", "-fno-strict-aliasing", "-fwrapv", "-fno-wrapv", "-ftrapv", "-fno-strict-overflow",
    "-fstrict-overflow", "-fno-delete-null-pointer-checks", "-fdelete-null-pointer-checks", "-ftrapping-math", "-fno-trapping-math",
    "-fmath-errno", "-fno-math-errno", "-frounding-math", "-fno-rounding-math", "-fsigned-zeros", "-fno-signed-zeros", "-ffast-math",
    "-fno-fast-math", "-fassociative-math", "-fno-associative-math", "-freciprocal-math", "-fno-reciprocal-math", "-ffinite-math-only",
    "-fno-finite-math-only", "-funsafe-math-optimizations", "-fno-unsafe-math-optimizations", "-fvisibility=", "-fsemantic-interposition",
    "-fno-semantic-interposition", "-fno-builtin", "-fbuiltin", "-ffreestanding", "-fhosted", "-fexceptions", "-fno-exceptions", "-fno-rtti",
    "-fomit-frame-pointer", "-fno-omit-frame-pointer", "-fno-jump-tables", "-fzero-call-used-regs=", "-ftls-model=", "-fms-extensions",
    "-fno-threadsafe-statics", "-fno-asm", "-fgnu-keywords", "-fno-optimize-sibling-calls", "-foptimize-sibling-calls",
    "-fno-zero-initialized-in-bss", "-fno-inline", "-ftrivial-auto-var-init=", "-fpic", "-fPIC", "-fpie", "-fPIE", "-fno-pic", "-fno-PIC",
    "-fno-pie", "-fno-PIE", "-mcmodel=", "-mno-red-zone", "-mred-zone", "-mgeneral-regs-only", "-msoft-float", "-mstackrealign",
    "-mharden-sls=", "-mno-omit-leaf-frame-pointer", "-momit-leaf-frame-pointer", "-mtls-direct-seg-refs", "-mno-tls-direct-seg-refs",
    "-m64", "-mlong-double-", "-pthread", "-funwind-tables", "-fno-unwind-tables", "-fasynchronous-unwind-tables", "-fno-asynchronous-unwind-tables",
)  # fmt: skip
# What has no counterpart in clang that makes the same code: nothing but GCC may then propose.
_CLANG_REFUSES = (
    "-mindirect-branch", "-mfunction-return", "-mpreferred-stack-boundary", "-mincoming-stack-boundary", "-mabi=", "-mregparm", "-mfpmath=387",
    "-fcall-", "-ffixed-", "-fnon-call-exceptions", "-fstack-check", "-fstack-limit", "-freg-struct-return", "-fpcc-struct-return",
    "-fsplit-stack", "-fsso-struct", "-fopenacc", "-fopenmp", "-fgnu-tm", "-fleading-underscore", "-mrtd", "-m32", "-mx32", "-m16", "-malign-data",
    "-fharden", "-fhardened", "-fstrict-volatile-bitfields", "-fpermitted-flt-eval-methods", "-fexcess-precision=standard", "-fplan9",
    "-fstack-reuse", "-ftrampolines", "-fcx-", "-fsignaling-nans", "-fsingle-precision-constant", "-ffloat-store",
)  # fmt: skip


def for_clang(options: Iterable[str], optimizers: frozenset[str]) -> Iterator[str]:
    """The part of a unit's code options that clang is given; ISA and tuning options are translated elsewhere (isa.py).

    ``optimizers`` are GCC's own pure optimisation options (positive names): they change speed, not meaning, and are dropped.
    Raises OptionError for an option that might change the meaning or the ABI and that clang cannot honour.
    """
    for word in options:
        if word.startswith(_CLANG_REFUSES):
            raise OptionError(f"clang has no equivalent of {word}")
        if word.startswith("-O") or word.startswith(("--param", "-ffp-contract")):
            continue
        if word.startswith(_CLANG_KEEPS):
            yield word
        elif word.startswith("-m"):
            continue
        elif not (word.startswith("-f") and _positive(word) in optimizers):
            raise OptionError(f"whether clang may ignore {word} is not known")


def _positive(word: str) -> str:
    name = word.partition("=")[0]
    return "-f" + name[len("-fno-") :] if name.startswith("-fno-") else name


def language_of(source: str, language: Sequence[str]) -> str:
    """The -x name of the preprocessed source: "cpp-output" for C, "c++-cpp-output" for C++. Raises OptionError for others."""
    explicit = ""
    for index, word in enumerate(language):
        if word == "-x" and index + 1 < len(language):
            explicit = language[index + 1]
        elif word.startswith("-x") and len(word) > 2:
            explicit = word[2:]
    if explicit == "c" or (explicit in ("", "none") and source.endswith(".c")):
        return "cpp-output"
    if explicit == "c++" or (
        explicit in ("", "none") and source.endswith((".cc", ".cpp", ".cxx", ".C", ".c++", ".CPP", ".cp"))
    ):
        return "c++-cpp-output"
    raise OptionError(f"neither C nor C++: {explicit or source}")


def standards(language: Sequence[str]) -> list[str]:
    """The language options without -x, for the step that gets preprocessed source."""
    kept: list[str] = []
    words = iter(language)
    for word in words:
        if word == "-x":
            next(words, "")
        elif not word.startswith("-x"):
            kept.append(word)
    return kept
