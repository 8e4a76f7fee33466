"""The portfolio: which compilations of a unit are worth a look, as data, the most promising first.

The order and the priors rest on a census over 180 programs, and on the table in docs/ARCHITECTURE.md ("The portfolio"): about
nine configurations reach 95 % of what 46 reach; a second compiler and checks for overlap at run time are the main levers;
random GCC flags are a bad prior.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from compiler_ai.proposers.base import IsaPolicy

Compiler = Literal["gcc", "clang", "llvm"]
Need = Literal["profile", "polly", "samples"]


# Clang's arguments for a profile of the function's own lines; the last is given the file's name when it is used.
SAMPLED = ("-gline-tables-only", "-fdebug-info-for-profiling", "-fprofile-sample-use")


@dataclass(frozen=True)
class Pipeline:
    """One LLVM new-pass-manager pipeline; `options` are LLVM's own command line options."""

    speed: int = 3
    loop_vectorize: bool = True
    slp_vectorize: bool = True
    unroll: bool = True
    interleave: bool = True
    inlining_threshold: int | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Configuration:
    """One way to compile a unit again.

    ``front_end`` are arguments that shape the code before optimisation (for clang: the IR); ``arguments`` the others.
    ``prior`` (0..1) says how often it wins. ``isa`` is "native" when the host's extensions may be used. ``tuned`` adds
    -mtune for the context's processor. ``keeps_contraction`` says that a*b+c is fused exactly where GCC's own options fuse it.
    """

    compiler: Compiler
    label: str
    arguments: tuple[str, ...]
    prior: float
    front_end: tuple[str, ...] = ()
    pipeline: Pipeline | None = None
    needs: frozenset[Need] = frozenset()
    isa: Literal["same", "native"] = "same"
    tuned: bool = False

    @property
    def keeps_contraction(self) -> bool:
        return self.compiler == "gcc" and not self.tuned and self.isa == "same"


def _gcc(prior: float, flags: str, *, needs: Iterable[Need] = (), tuned: bool = False) -> Configuration:
    suffix = " -mtune" if tuned else ""
    return Configuration(
        "gcc", f"gcc {flags}{suffix}", tuple(flags.split()), prior, needs=frozenset(needs), tuned=tuned
    )


def _clang(
    prior: float, flags: str, *, front_end: str = "-O3", needs: Iterable[Need] = (), tuned: bool = False
) -> Configuration:
    words = tuple(
        word for flag in flags.split() for word in (("-mllvm", flag[1:]) if flag.startswith("@") else (flag,))
    )
    label = " ".join(["clang", front_end, flags.replace("@", "")]).strip() + (" -mtune" if tuned else "")
    return Configuration("clang", label, words, prior, tuple(front_end.split()), needs=frozenset(needs), tuned=tuned)


def _llvm(prior: float, label: str, pipeline: Pipeline, *, tuned: bool = False) -> Configuration:
    suffix = " -mtune" if tuned else ""
    return Configuration("llvm", f"llvm {label}{suffix}", (), prior, ("-O3",), pipeline, tuned=tuned)


_POLLY = "@-polly @-polly-pattern-matching-based-opts=false"
_UNROLLED = "@-unroll-threshold=1200 @-unroll-runtime @-unroll-max-upperbound=16"
_VERSIONED = "@-enable-loop-versioning-licm @-licm-versioning-invariant-threshold=1"
_LLVM_CHECKS = "@-runtime-memory-check-threshold=128 @-memory-check-merge-threshold=4000"
_GCC_CHECKS = "--param=vect-max-version-for-alias-checks=100 --param=vect-max-version-for-alignment-checks=12"

_GCC = (
    _gcc(0.93, "-O3 -funroll-loops"),
    _gcc(0.90, "-O3 -fprofile-use", needs=["profile"]),
    # What no captured call runs is still compiled for speed.
    _gcc(0.86, "-O3 -fprofile-use -fprofile-partial-training", needs=["profile"]),
    _gcc(0.85, "-O3 -fno-tree-vectorize"),
    _gcc(0.80, "-O3 -fno-if-conversion -fno-if-conversion2 -fno-tree-loop-if-convert"),
    _gcc(0.76, "-O2"),
    _gcc(0.72, "-O3 -funroll-loops -fno-tree-vectorize"),
    _gcc(0.62, "-O3", tuned=True),
    _gcc(0.60, "-O3 -fno-code-hoisting -fno-tree-tail-merge"),
    _gcc(0.59, "-O3 -fprofile-use -funroll-loops -fno-tree-vectorize", needs=["profile"]),
    _gcc(0.50, "-O3 -funroll-loops", tuned=True),
    # More pairs of pointers are checked for overlap at run time, more misaligned loops get an aligned version.
    _gcc(0.46, f"-O3 {_GCC_CHECKS} -fvect-cost-model=unlimited -funroll-loops"),
    _gcc(0.44, "-O3 -fvect-cost-model=unlimited"),
    _gcc(0.40, "-O3 -fno-ivopts"),
    _gcc(0.39, "-O3 -fno-guess-branch-probability"),
    _gcc(0.38, "-O3 -fno-gcse -fno-crossjumping"),
    _gcc(0.36, "-O3 -fno-tree-slp-vectorize"),
    _gcc(0.34, "-O3 -fno-split-loops -fno-unswitch-loops -fno-peel-loops"),
    _gcc(0.32, "-O3 -fno-split-paths -fno-tree-pre"),
    _gcc(0.31, "-O3 -fno-schedule-insns2"),
    _gcc(0.30, "-O3 -fselective-scheduling2 -fsel-sched-pipelining"),
    _gcc(0.29, "-O3 -fgraphite-identity -floop-nest-optimize"),
    _gcc(0.28, "-O3 -frename-registers -fschedule-insns -fsched-pressure"),
    _gcc(0.26, "-O3 -falign-loops=64 -falign-jumps=32"),
    _gcc(0.24, "-O2 -fno-tree-vectorize -funroll-loops --param=max-unroll-times=4"),
    _gcc(0.20, "-O3 -fira-region=all -fno-ira-share-spill-slots"),
    _gcc(0.18, "-O3 -fno-jump-tables"),
    _gcc(0.17, "-O3 -fno-tree-loop-distribute-patterns -fno-tree-loop-distribution"),
    _gcc(
        0.12,
        "-O3 --param=max-inline-insns-auto=200 --param=max-inline-insns-single=400 --param=large-function-growth=1000",
    ),
    _gcc(0.10, "-Os"),
)

_CLANG = (
    _clang(0.98, ""),
    # Without Polly's own matrix multiplication, which packs operands on the stack: megabytes that the baseline does not use.
    _clang(0.97, _POLLY, needs=["polly"]),
    # Polly's checks for overlap alone: the nest is not reordered, but every later pass knows that its arrays are apart.
    _clang(0.95, f"@-polly @-polly-optimizer=none @-polly-process-unprofitable {_UNROLLED}", needs=["polly"]),
    _clang(0.91, "-fno-vectorize -fno-slp-vectorize"),
    # Loop nests in two versions: where a check at run time finds no overlap, what does not change in the loop leaves it.
    _clang(0.89, f"{_VERSIONED} {_UNROLLED}"),
    _clang(0.88, "@-polly @-polly-optimizer=none @-polly-process-unprofitable", needs=["polly"]),
    _clang(0.87, f"{_POLLY} @-polly-register-tiling", needs=["polly"]),
    _clang(0.82, _UNROLLED),
    _clang(0.74, _VERSIONED),
    _clang(0.70, "@-force-vector-interleave=4"),
    _clang(0.68, "@-force-vector-interleave=1"),
    _clang(0.66, "", front_end=" ".join(["-O3", *SAMPLED]), needs=["samples"]),
    _clang(0.64, "@-phi-node-folding-threshold=0 @-two-entry-phi-node-folding-threshold=0"),
    _clang(0.61, f"{_POLLY} @-polly-reschedule=false", needs=["polly"]),
    _clang(0.58, "@-polly @-polly-vectorizer=stripmine @-polly-2nd-level-tiling", needs=["polly"]),
    _clang(0.56, "", tuned=True),
    _clang(0.54, "", front_end="-O3 -fwrapv -fno-strict-aliasing"),
    _clang(0.52, "-fno-unroll-loops"),
    _clang(0.51, "@-align-all-nofallthru-blocks=5"),
    _clang(0.49, f"{_VERSIONED} {_LLVM_CHECKS} -fno-slp-vectorize"),
    _clang(0.46, "", front_end="-O2"),
    _clang(0.43, "@-inline-threshold=1500"),
    _clang(0.42, "@-x86-cmov-converter=false"),
    _clang(0.41, f"{_POLLY} @-polly-tiling=false", needs=["polly"]),
    _clang(0.39, "-fno-slp-vectorize"),
    _clang(0.37, "@-enable-unroll-and-jam @-unroll-and-jam-threshold=200"),
    _clang(0.35, "@-enable-loopinterchange"),
    _clang(0.33, "@-force-vector-width=4"),
    _clang(0.30, "@-tail-dup-placement-threshold=8 @-tail-dup-size=8 @-jump-threading-threshold=30"),
    _clang(0.29, "-fno-vectorize -fno-slp-vectorize -fno-unroll-loops"),
    _clang(0.28, "@-x86-cmov-converter-force-all"),
    _clang(0.27, "@-extra-vectorizer-passes @-enable-loop-distribute"),
    _clang(0.21, "", front_end="-Os"),
)

_LLVM = (
    _llvm(0.84, "-O3", Pipeline()),
    _llvm(0.57, "-O3 without vectorisation", Pipeline(loop_vectorize=False, slp_vectorize=False)),
    _llvm(0.48, "-O3 unroll-and-jam", Pipeline(options=("-enable-unroll-and-jam", "-unroll-and-jam-threshold=200"))),
    _llvm(0.47, "-O3 loop versioning", Pipeline(options=tuple(_VERSIONED.replace("@", "").split()))),
    _llvm(0.40, "-O3 unroll-threshold=1200", Pipeline(options=("-unroll-threshold=1200", "-unroll-runtime"))),
    _llvm(0.33, "-O3 without interleaving", Pipeline(interleave=False)),
    _llvm(0.31, "-O3 without unrolling", Pipeline(unroll=False)),
    _llvm(0.29, "-O3 inline-threshold=1500", Pipeline(inlining_threshold=1500)),
    _llvm(0.22, "-O2", Pipeline(speed=2)),
)

# What is worth compiling with the host's extensions too, by label.
_NATIVE = frozenset(
    one.label
    for one in _GCC + _CLANG + _LLVM
    if not one.tuned and (one.prior >= 0.66 or "cost-model=unlimited" in one.label or "profile-use" in one.label)
)


def portfolio(policy: IsaPolicy) -> tuple[Configuration, ...]:
    """The configurations for -faicc-isa=`policy`, the highest prior first."""
    same = _GCC + _CLANG + _LLVM
    if policy == "same":
        chosen = list(same)
    else:
        # What needs no new instruction stays in the race, behind its native twin.
        chosen = [replace(one, prior=one.prior * 0.7) for one in same] + list(_native(same))
    return tuple(sorted(chosen, key=lambda one: (-one.prior, one.label)))


def _native(same: Iterable[Configuration]) -> Iterable[Configuration]:
    yield Configuration("gcc", "gcc -O3 native", ("-O3",), 0.85, isa="native", tuned=True)
    for one in same:
        if one.label not in _NATIVE:
            continue
        native = replace(one, label=f"{one.label} native", isa="native", tuned=True)
        yield native
        if one.label in ("clang -O3", "llvm -O3", "gcc -O3 -funroll-loops"):
            for width, factor in (("256", 0.8), ("512", 0.82)):
                preference = f"-mprefer-vector-width={width}"
                label, prior = f"{native.label} {preference}", one.prior * factor
                yield replace(native, label=label, front_end=(*native.front_end, preference), prior=prior)
