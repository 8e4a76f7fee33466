"""A unit compiled again under another configuration, in a scratch directory, to a listing.

Every configuration compiles the *same preprocessed text* (per front end), so that an extension added for the code
generator cannot change which #ifdef branch, and with it which layout, the source takes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import compiler_ai
from compiler_ai.artifacts import CompileCommand
from compiler_ai.asm import listing as listing_model
from compiler_ai.driver.flags import FULL, level
from compiler_ai.errors import AiccError
from compiler_ai.proposers import compilers, isa, options
from compiler_ai.proposers.arcs import COUNTING, ArcsError, counted_unit, gcda, profile_in
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.configurations import SAMPLED, Configuration
from compiler_ai.proposers.llvm_worker import Job
from compiler_ai.proposers.reduce import ReduceError, reduced
from compiler_ai.proposers.runs import CompilerRuns, RecompileError, TimeoutRecompileError
from compiler_ai.proposers.sampled import LEAST_PLACES, text_profile
from compiler_ai.proposers.shared import Recompiled, SharedListings
from compiler_ai.proposers.variables import declared
from compiler_ai.unit_objects import debug_object

# Without these a body relies on what *its* unit knows of other bodies: registers they leave alone, stack alignment they
# do not need, their being one function with another. A `.cold` part would have to be folded back; it is not made.
_GCC_SELF_CONTAINED = ("-fno-ipa-ra", "-fno-ipa-stack-alignment", "-fno-ipa-icf", "-fno-reorder-blocks-and-partition")
# How often a loop runs at most is never taken from the length of an array: GCC's own body and its dumps, and with them the key,
# need not show it, and a later edit may change it.
_GCC_WITHOUT_LENGTHS = "-fno-aggressive-loop-optimizations"
# What a level below -O2 does not take for granted, for a unit that does not ask for it.
_BELOW_O2 = ("-fno-strict-aliasing", "-fno-finite-loops")
# Promises that the key does not hold either: they are not passed on.
_PROMISE = re.compile(
    r"^[ \t]*#[ \t]*pragma[ \t]+(?:GCC[ \t]+ivdep|clang[ \t]+loop\b.*\bassume_safety)\b.*$", re.MULTILINE
)
_SIMD_PRAGMA = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+omp\b.*\bsimd\b", re.MULTILINE)
_PLAIN_MESSAGES = (
    "-fno-diagnostics-show-caret",
    "-fdiagnostics-color=never",
)  # a caret shows lines of the file that is named
_MARK = '"aicc: the text begins here"'
_MOST_LISTING_BYTES = 64 << 20
_COUNTED = re.compile(r"([A-Za-z_$][\w$]*)\.\d+")  # GCC's names of static variables of functions
# GCC keeps endless loops and x86's result of an out-of-range conversion; clang has to be told.
_CLANG_AS_GCC = ("-fno-finite-loops", "-fno-strict-float-cast-overflow", "-fno-addrsig", "-Qunused-arguments")
# What LLVM may call in place of what the source calls: exp2(x) for pow(2, x), puts(s) for printf("%s\n", s). A unit that does not
# have it already may not be able to link it.
_INTRODUCED = (
    *(f"{name}{suffix}" for name in ("exp2", "exp10", "ldexp", "cbrt", "sincospi") for suffix in ("", "f", "l")),
    "stpcpy", "stpncpy", "mempcpy", "memccpy", "memchr", "memrchr", "strchr", "strnlen", "puts", "putchar", "fputc", "fputs", "fwrite",
)  # fmt: skip


class Recompiler:
    """Compiles one unit again and again; remembers preprocessed text, IR and listings. A context manager (scratch files)."""

    def __init__(
        self,
        command: CompileCommand,
        context: ProposalContext,
        cfi: bool,
        size_bytes: int = 0,
        undefined: frozenset[str] = frozenset(),
    ) -> None:
        """`cfi` says whether the unit's listing has unwind directives; `size_bytes` is that of the sampled body; `undefined` are
        the symbols that the unit takes from elsewhere: LLVM does not replace what they do by what they are not. Raises RecompileError for units that nothing can recompile."""
        self._command = command
        self._context = context
        self._size_bytes, self._undefined = size_bytes, undefined
        self._absent = tuple(f"-fno-builtin-{name}" for name in _INTRODUCED if name not in undefined)
        self._cfi = "-fasynchronous-unwind-tables" if cfi else "-fno-asynchronous-unwind-tables"
        self.runs = CompilerRuns(command, context.compile_timeout_s)
        self._listings: dict[tuple[Configuration, str, bool, bool], Recompiled | RecompileError] = {}
        self._shared = SharedListings(context.shared) if context.shared else None
        self._modules: dict[tuple[str, ...], str | RecompileError] = {}
        self._inputs: dict[str, Path | RecompileError] = {}
        self._statics: Counter[str] | None = None
        self._arcs: Path | None = None
        self._uncounted = "there is no .gcda profile of the unit"
        try:
            self._options = options.split(command.arguments)
            self._language = options.language_of(command.source, self._options.language)
        except options.OptionError as error:
            raise RecompileError(str(error)) from error
        self._directory = tempfile.TemporaryDirectory(prefix="aicc-search-", dir=context.temporary)

    def __enter__(self) -> Recompiler:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._directory.cleanup()

    def listing(
        self, configuration: Configuration, function: str, fuses: bool = False, keep_statics: bool = False
    ) -> Recompiled:
        """The unit's listing under `configuration`, at least as far as `function` needs it. Raises RecompileError.

        LLVM compiles only what ``function`` can reach, and gives it the standard calling convention though it be static (LLVM changes
        signatures of local functions in place; GCC renames those that it changes). ``fuses`` says that the baseline fuses a*b+c, which only
        GCC with the unit's own options repeats bit for bit. ``keep_statics`` makes GCC emit static functions it inlined.
        """
        key = (configuration, function if configuration.compiler != "gcc" else "", fuses, keep_statics)
        if key not in self._listings:
            self._listings[key] = self._shared_or_compiled(*key)
        known = self._listings[key]
        if isinstance(known, RecompileError):
            raise known
        return known

    def source_text(self) -> str:
        """The unit as GCC preprocesses it. Raises RecompileError."""
        return self._read(self._preprocessed("gcc"))

    def expanded(self, text: str) -> str:
        """C text with the unit's macros replaced, as they are at its end; those that put words together out of their arguments
        are not known. Raises RecompileError."""
        macros, given, out = self._path("macros.h"), self._path("expand.c"), self._path("expand.i")
        own = [*self._command.compiler, *self._options.preprocessor, *self._options.language, *self._options.code]
        if not macros.exists():
            self.runs.to(macros, [*own, "-w", "-E", "-dM", "-o", str(macros), self._command.input])
        known = "\n".join(line for line in self._read(macros).splitlines() if not _pastes_arguments(line))
        given.write_text(f"{known}\n{_MARK}\n{text}", encoding="utf-8", errors="surrogateescape")
        standards = options.standards(self._options.language)
        words = [*self._command.compiler, *standards, "-w", "-undef", "-E", "-P", "-x", "c", "-o", str(out), str(given)]
        self.runs.to(out, words)
        return self._read(out).partition(_MARK)[2].lstrip("\n")

    def changed_listing(self, text: str, fuses: bool) -> Recompiled:
        """GCC's listing of a changed preprocessed text of the unit under the unit's own options. Raises RecompileError."""
        source, out = self._path("changed.i"), self._path("changed.s")
        out.unlink(missing_ok=True)
        source.write_text(text, encoding="utf-8", errors="surrogateescape")
        own = Configuration("gcc", "the unit's own options", (), 0.0)
        self._gcc([*self._gcc_arguments(own, fuses, keep_statics=True), *_PLAIN_MESSAGES], out, source)
        if out.stat().st_size > _MOST_LISTING_BYTES:
            raise RecompileError(f"its listing has more than {_MOST_LISTING_BYTES >> 20} MiB")
        return Recompiled(self._read(out), (), own.label)

    def _shared_or_compiled(
        self, configuration: Configuration, function: str, fuses: bool, keep_statics: bool
    ) -> Recompiled | RecompileError:
        """What another worker of this run has compiled already, else compiled now and kept for the others."""
        if self._shared is None:
            return self._compiled(configuration, function, fuses, keep_statics)
        counts = self._arcs.read_bytes() if self._arcs and "profile" in configuration.needs else b""
        key = (*self._key(), configuration, function, fuses, keep_statics, counts)
        with self._shared.claimed(key):
            known = self._shared.get(key)
            if known is not None:
                return RecompileError(known) if isinstance(known, str) else known
            made = self._compiled(configuration, function, fuses, keep_statics)
            if not isinstance(made, TimeoutRecompileError):  # another worker may have more time
                self._shared.put(key, str(made) if isinstance(made, RecompileError) else made)
        return made

    def _key(self) -> tuple[object, ...]:
        """What a listing or module depends on besides the configuration."""
        return self._command, self._cfi, self._absent, self._context.tune, tuple(sorted(self._context.host_features))

    def _compiled(
        self, configuration: Configuration, function: str, fuses: bool, keep_statics: bool
    ) -> Recompiled | RecompileError:
        try:
            return self._compile(configuration, function, fuses, keep_statics)
        except RecompileError as error:
            return error

    def statics(self) -> Mapping[str, int]:
        """How many static variables of its functions the unit has of each C name, by GCC's -O0 listing, which has all of them."""
        if self._statics is None:
            out = self._path("unoptimised.s")
            try:
                self._gcc(["-O0", "-fno-inline", "-fkeep-static-functions"], out)
                labels = listing_model.parse(self._read(out)).data
                counted = (match for label in labels if (match := _COUNTED.fullmatch(label)))
                self._statics = Counter(match[1] for match in counted)
            except RecompileError:
                self._statics = Counter()
        return self._statics

    def _compile(self, configuration: Configuration, function: str, fuses: bool, keep_statics: bool) -> Recompiled:
        if fuses and not configuration.keeps_contraction:
            raise RecompileError(
                "the baseline fuses a*b+c, and only GCC with the unit's own target options fuses in the same places"
            )
        out = self._path(f"{len(self._listings)}.s")
        if configuration.compiler == "gcc":
            added = self._gcc_arguments(configuration, fuses, keep_statics)
            if "profile" in configuration.needs:
                added = self._with_arcs(added, out)
            self._gcc(added, out)
            features = self._features(self._gcc_macros(self._native_gcc(configuration)))
        else:
            if "samples" in configuration.needs:
                self._write_samples(function)
            module = self._module(configuration, function)
            if configuration.compiler == "clang":
                self._clang_back_end(configuration, module, out)
            else:
                self._llvm_back_end(configuration, module, out)
            features = self._features(self._clang_macros(self._clang_isa(configuration)))
        outside = [name for name in features if name not in self._context.host_features]
        if outside:
            raise RecompileError(f"it may need {', '.join(outside)}, which the host does not have")
        if features and configuration.isa == "same":
            raise RecompileError(f"it may need {', '.join(features)}, which the unit's flags do not allow")
        return Recompiled(self._read(out), features, configuration.label)

    # GCC

    def _gcc_arguments(self, configuration: Configuration, fuses: bool, keep_statics: bool) -> list[str]:
        words = [*configuration.front_end, *configuration.arguments]
        words += self._native_gcc(configuration)
        if configuration.tuned:
            words.append(f"-mtune={self._context.tune}")
        if isa.fast_math(self._gcc_macros(())):
            words.append("-ffast-math")  # -Ofast of the unit ends with the configuration's own -O
        if not fuses:
            words.append("-ffp-contract=off")
        if keep_statics:
            words.append("-fkeep-static-functions")
        return [*words, *_GCC_SELF_CONTAINED, _GCC_WITHOUT_LENGTHS]

    def count_arcs(self, fuses: bool) -> None:
        """Has the captured calls count how often the function's arcs are taken, for the configurations that want to know. Not while
        another thread judges candidates."""
        if self._context.profile is not None or self._context.count is None:
            return
        try:
            out, (arcs, named) = self._path("counting.s"), profile_in(Path(self._directory.name))
            plain = Configuration("gcc", "counting", ("-O3",), 0.0)
            self._gcc([*self._gcc_arguments(plain, fuses, keep_statics=False), *COUNTING, *named], out)
            unit = counted_unit(self._read(out))
            arcs.write_bytes(gcda(unit, self._context.count(unit.text, unit.sizes_bytes())))
            self._arcs = arcs
        except (RecompileError, ArcsError, AiccError, OSError) as error:  # a full disk costs the profile
            self._uncounted = f"the captured calls cannot be counted: {error}"

    def _with_arcs(self, words: list[str], out: Path) -> list[str]:
        """The arguments, with the name of the profile that they ask for. Raises RecompileError."""
        if self._context.profile is not None:
            shutil.copyfile(self._context.profile, out.with_suffix(".gcda"))  # where GCC looks for it
            return words
        if self._arcs is None:
            raise RecompileError(self._uncounted)
        return [*words, *profile_in(Path(self._directory.name))[1]]

    def _level_rules(self) -> tuple[str, ...]:
        return _BELOW_O2 if level(self._options.code) != FULL else ()

    def _native_gcc(self, configuration: Configuration) -> tuple[str, ...]:
        return tuple(f"-m{name}" for name in self._added_features(configuration))

    def _gcc(self, added: list[str], out: Path, source: Path | None = None) -> None:
        source = source or self._preprocessed("gcc")
        rules = (*options.standards(self._options.language), *self._level_rules())
        words = [*self._command.compiler, *rules, *self._options.code, *added]
        self.runs.to(out, [*words, "-w", "-g0", self._cfi, "-x", self._language, "-S", "-o", str(out), str(source)])

    def _gcc_macros(self, added: tuple[str, ...]) -> dict[str, str]:
        language = "c" if self._language == "cpp-output" else "c++"
        standards = options.standards(self._options.language)
        words = (
            *self._command.compiler,
            *standards,
            *self._options.code,
            *added,
            "-w",
            "-dM",
            "-E",
            "-x",
            language,
            os.devnull,
        )
        return self.runs.macros(words)

    # clang and LLVM

    def _clang(self) -> compilers.Clang:
        clang = compilers.find_clang()
        if clang is None:
            raise RecompileError("no clang is installed")
        return clang

    def _clang_common(self) -> list[str]:
        """The unit's options as clang is given them, with GCC's effective defaults made explicit."""
        macros = self._gcc_macros(())
        try:
            kept = list(options.for_clang(self._options.code, compilers.gcc_optimizers(self._command.compiler)))
        except options.OptionError as error:
            raise RecompileError(str(error)) from error
        position = isa.position_arguments(macros)
        words = [
            f"--target={compilers.target_triple(self._command.compiler)}",
            *isa.hardening_arguments(macros),
            *self._level_rules(),
            *kept,
            *position,
            *isa.data_arguments(macros, self._options.code),
        ]
        if position[0] in ("-fPIC", "-fpic") and "-fno-semantic-interposition" not in kept:
            words.append("-fsemantic-interposition")
        if isa.fast_math(macros):
            words.append("-ffast-math")
        return [
            *words,
            *options.standards(self._options.language),
            "-ffp-contract=off",
            self._cfi,
            *_CLANG_AS_GCC,
            *self._absent,
            "-w",
            "-g0",
        ]

    def _clang_isa(self, configuration: Configuration) -> tuple[str, ...]:
        """-m options that allow clang exactly what the unit's flags allow GCC, and the host's when native."""
        allowed = (
            isa.features(self._gcc_macros(()), self._context.toolchain) - self._context.toolchain.baseline_features
        )
        off = tuple(
            word
            for word in self._options.code
            if word.startswith("-mno-") and word in _clang_switches(word, self._context)
        )
        wanted = sorted(allowed | set(self._added_features(configuration)))
        words = (*off, *(f"-m{isa.clang_feature(name)}" for name in wanted))
        have = isa.features(self._clang_macros(words), self._context.toolchain)
        extra = have - allowed - self._context.toolchain.baseline_features
        if configuration.isa == "same" and extra:
            words = (*words, *(f"-mno-{isa.clang_feature(name)}" for name in sorted(extra)))
        return words

    def _clang_macros(self, added: tuple[str, ...]) -> dict[str, str]:
        triple = compilers.target_triple(self._command.compiler)
        return self.runs.macros(
            (self._clang().path, f"--target={triple}", *added, "-w", "-dM", "-E", "-x", "c", os.devnull)
        )

    def _module(self, configuration: Configuration, function: str) -> Path:
        """Unoptimised IR (optimisable: made at the configuration's own level with all passes off) of what the function needs."""
        front = (*configuration.front_end, *self._clang_isa(configuration), *self._clang_tune(configuration))
        if front not in self._modules:
            self._modules[front] = self._shared_ir(front)
        module = self._modules[front]
        if isinstance(module, RecompileError):
            raise module
        out = self._path(f"{list(self._modules).index(front)}.{_file_name(function)}.ll")
        if not out.exists():
            try:
                text = reduced(module, function, self._undefined)
            except ReduceError as error:
                raise RecompileError(str(error)) from error
            out.write_text(text, encoding="utf-8", errors="surrogateescape")
        return out

    def _with_samples(self, words: tuple[str, ...]) -> list[str]:
        """The arguments with the name of the function's profile where they ask for one."""
        use = f"{SAMPLED[-1]}={self._path('samples')}"
        return [use if word == SAMPLED[-1] else word for word in words]

    def _write_samples(self, function: str) -> None:
        """Raises RecompileError when the samples say nothing of the function's lines."""
        path = self._path("samples")
        if not path.exists():
            if len(self._context.samples) < LEAST_PLACES:
                raise RecompileError("there are too few samples of the function")
            described = debug_object(self._command, self._context.shared)
            path.write_text(text_profile(described, function, self._size_bytes, self._context.samples))
        if not path.stat().st_size:
            raise RecompileError("the samples of the function cannot be told apart by line")

    def _clang_tune(self, configuration: Configuration) -> tuple[str, ...]:
        return (f"-mtune={self._context.tune}",) if configuration.tuned else ()

    def _shared_ir(self, front: tuple[str, ...]) -> str | RecompileError:
        """The unit's IR, made once for all of its functions."""
        key = (*self._key(), "ir", front)
        known = self._shared.read(key) if self._shared else None
        if known is not None:
            return known.decode(errors="surrogateescape")
        try:
            module = self._ir(front)
        except RecompileError as error:
            return error
        if self._shared:
            self._shared.write(key, module.encode(errors="surrogateescape"))
        return module

    def _ir(self, front: tuple[str, ...]) -> str:
        out = self._path(f"{len(self._modules)}.ll")
        source = self._preprocessed("clang")
        words = [self._clang().path, *self._clang_common(), *self._with_samples(front)]
        words += ["-Xclang", "-disable-llvm-passes", "-emit-llvm"]
        self.runs.to(out, [*words, "-x", self._language, "-S", "-o", str(out), str(source)])
        return declared(self._read(out))

    def _clang_back_end(self, configuration: Configuration, module: Path, out: Path) -> None:
        if "polly" in configuration.needs and not self._clang().polly:
            raise RecompileError("this clang has no Polly")
        common = [word for word in self._clang_common() if not word.startswith(("-std", "--std", "-ansi"))]
        front = self._with_samples(configuration.front_end)
        words = [self._clang().path, *common, *front, *self._clang_isa(configuration), *self._clang_tune(configuration)]
        self.runs.to(out, [*words, *configuration.arguments, "-x", "ir", "-S", "-o", str(out), str(module)])

    def _llvm_back_end(self, configuration: Configuration, module: Path, out: Path) -> None:
        if not compilers.has_llvmlite():
            raise RecompileError("llvmlite cannot be loaded")
        pipeline = configuration.pipeline
        if pipeline is None:
            raise RecompileError("the configuration names no pipeline")
        attributes = _target_attributes(self._read(module))
        static = isa.position_arguments(self._gcc_macros(()))[0] == "-fno-pic"
        job = Job(
            str(module), str(out), attributes.get("target-cpu", ""), attributes.get("target-features", ""),
            "static" if static else "pic", self._code_model(),
            **{**asdict(pipeline), "options": list(pipeline.options)},
        )  # fmt: skip
        description = out.with_suffix(".json")
        description.write_text(json.dumps(asdict(job)), encoding="utf-8")
        root = str(Path(compiler_ai.__file__).resolve().parent.parent)
        inherited = os.environ.get("PYTHONPATH", "")
        path = os.pathsep.join([root, inherited]) if inherited else root
        worker = [sys.executable, "-m", "compiler_ai.proposers.llvm_worker", str(description)]
        self.runs.to(out, worker, {"PYTHONPATH": path})

    def _code_model(self) -> str:
        named = [word.partition("=")[2] for word in self._options.code if word.startswith("-mcmodel=")]
        return named[-1] if named else "default"

    # Common

    def _added_features(self, configuration: Configuration) -> tuple[str, ...]:
        """The host's extensions that a native configuration adds to the unit's, but for those that the unit switches off."""
        if configuration.isa != "native" or isa.without_vectors(self._options.code):
            return ()
        own = isa.features(self._gcc_macros(()), self._context.toolchain)
        off = isa.forbidden(self._options.code)
        return tuple(sorted(self._context.host_features - own - off - self._context.toolchain.baseline_features))

    def _features(self, macros: dict[str, str]) -> tuple[str, ...]:
        own = isa.features(self._gcc_macros(()), self._context.toolchain) | self._context.toolchain.baseline_features
        return tuple(sorted(isa.features(macros, self._context.toolchain) - own))

    def _preprocessed(self, front_end: str) -> Path:
        """The source as the unit's own options preprocess it, by GCC or clang (their system headers differ)."""
        if front_end not in self._inputs:
            out = self._path(f"{front_end}.i")
            own = [*self._options.preprocessor, *self._options.language]
            levels = [word for word in self._options.code if re.fullmatch(r"-O(\d|s|z|g|fast)?", word)]
            try:
                if front_end == "gcc":
                    words = [*self._command.compiler, *own, *self._options.code]
                else:
                    isa_words = self._clang_isa(Configuration("clang", "unit", (), 0.0))
                    words = [self._clang().path, *own, *levels, *self._clang_common(), *isa_words]
                self.runs.to(out, [*words, "-w", "-E", "-o", str(out), self._command.input])
                self._drop_promises(out)
                self._inputs[front_end] = out
            except RecompileError as error:
                self._inputs[front_end] = error
        known = self._inputs[front_end]
        if isinstance(known, RecompileError):
            raise known
        return known

    def _drop_promises(self, preprocessed: Path) -> None:
        """Take out what the source says of independent iterations. Raises RecompileError where that would change its meaning."""
        text = self._read(preprocessed)
        if "-fopenmp" in self._options.code and _SIMD_PRAGMA.search(text):
            raise RecompileError(
                "the source says of loops that their iterations do not depend on each other (omp simd)"
            )
        plain = _PROMISE.sub("", text)
        if plain != text:
            preprocessed.write_text(plain, encoding="utf-8", errors="surrogateescape")

    def _path(self, name: str) -> Path:
        return Path(self._directory.name, name)

    def _read(self, path: Path) -> str:
        return path.read_text(encoding="utf-8", errors="surrogateescape")


def _pastes_arguments(definition: str) -> bool:
    """Whether a macro could make a word out of several that is none of them (`_` and `Pragma`)."""
    match = re.match(r"#define \w+\(([^)]*)\)", definition)
    parameters = {name.strip() for name in match[1].split(",")} | {"__VA_ARGS__"} if match else set()
    return any(word in parameters for word in re.findall(r"##\s*(\w+)", definition))


def _clang_switches(word: str, context: ProposalContext) -> frozenset[str]:
    """`word` itself when it switches off an extension that the target description knows."""
    name = word[len("-mno-") :]
    known = {feature for feature, _ in context.toolchain.cpu_flags} | set(context.toolchain.baseline_features)
    return frozenset({word}) if name in known else frozenset()


def _target_attributes(module: str) -> dict[str, str]:
    """target-cpu and target-features of a module's functions (clang gives all of a unit the same, attributes aside)."""
    return {
        name: match[1]
        for name in ("target-cpu", "target-features")
        if (match := re.search(rf'"{name}"="([^"]*)"', module)) is not None
    }


def _file_name(symbol: str) -> str:
    return re.sub(r"\W", "_", symbol)
