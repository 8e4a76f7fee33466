"""Bodies that check for overlap at run time: apart or overlapping, the program does what GCC's does, each on a path of its own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Candidate, CompileCommand
from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.splice import replace
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.configurations import portfolio
from compiler_ai.proposers.recompile import Recompiler
from compiler_ai.proposers.transplant import Source, transplant
from compiler_ai.tune.plan import function_sizes

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
unsigned char reached[4096];
__attribute__((noinline, noclone))
void product(double *out, double *more, const double *a, const double *b, int n)
{
    for (int i = 0; i < n; i++) {
        out[i] = 0.5 * out[i];
        more[i] = 0.0;
        for (int j = 0; j < n; j++) {
            out[i] += a[i * n + j] * b[j];
            more[i] += b[j];
        }
    }
}
static double pool[4096];
int main(int count, char **arguments)
{
    for (int i = 0; i < 4096; i++)
        pool[i] = (double)((i * 7 + i / 31) % 101) / 101.0;
    int distances = count > 1 ? atoi(arguments[1]) : 0;
    for (int by = 0; by < distances; by++)
        product(pool + 100 + by, pool + 90, pool + 100, pool + 95 + by, 25);
    if (distances == 0)
        product(pool, pool + 100, pool + 200, pool + 2000, 37);
    unsigned char bytes[sizeof pool];
    memcpy(bytes, pool, sizeof pool);
    unsigned long sum = 0;
    for (unsigned long i = 0; i < sizeof pool; i++)
        sum = sum * 31 + bytes[i];
    printf("%lx\n", sum);
    for (int i = 0; i < 4096; i++)
        if (reached[i])
            fprintf(stderr, "%d ", i);
    return 0;
}
"""
# Which registers callers in the unit rely on is the verifier's business (asm.ipa_ra): here they rely on the ABI alone.
FLAGS = ("-O3", "-fno-ipa-ra")
LABEL = re.compile(r"^(\.L[\w.$]+):.*$", re.MULTILINE)
CHECKING = [
    one.label
    for one in portfolio("same")
    if one.compiler == "clang" and ("versioning-licm" in one.label or "polly-optimizer=none" in one.label)
]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> CompileCommand:
    directory = tmp_path_factory.mktemp("overlap")
    (directory / "unit.c").write_text(SOURCE)
    unit = str(directory / "unit.c")
    return CompileCommand(("gcc",), FLAGS, unit, str(directory / "unit.o"), str(directory), X86_64.name)


@pytest.fixture(scope="module")
def text(command: CompileCommand) -> str:
    subprocess.run(["gcc", *FLAGS, "-S", "unit.c", "-o", "unit.s"], cwd=command.directory, check=True)
    return Path(command.directory, "unit.s").read_text()


def with_marks(body: str) -> str:
    """The body, which notes in `reached` every label that it comes by (mov changes no flag)."""
    numbers = {match[1]: number for number, match in enumerate(LABEL.finditer(body))}
    return LABEL.sub(lambda match: f"{match[0]}\n\tmovb\t$1, reached+{numbers[match[1]]}(%rip)", body)


def run(listing: str, directory: Path, *arguments: str) -> tuple[str, set[int]]:
    (directory / "try.s").write_text(listing)
    subprocess.run(["gcc", "try.s", "-o", "try"], cwd=directory, check=True)
    done = subprocess.run(["./try", *arguments], cwd=directory, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout, {int(number) for number in done.stderr.split()}


@pytest.mark.parametrize("label", CHECKING)
def test_both_paths_run_and_both_are_right(label: str, command: CompileCommand, text: str, tmp_path: Path) -> None:
    configuration = next(one for one in portfolio("same") if one.label == label)
    target = listing_model.parse(text)
    with Recompiler(command, ProposalContext(X86_64, "same"), True) as recompiler:
        made = recompiler.listing(configuration, "product")
    source = Source(listing_model.parse(made.text), True, "search", label, made.features)
    candidate = transplant(source, target, "product", "s0", X86_64)
    assert isinstance(candidate, Candidate)
    marked = Candidate("product", with_marks(candidate.body), candidate.extra)
    spliced = replace(target, "product", marked, function_sizes(text)["product"])
    (apart, on_apart), (one, on_overlap), (many, _) = (run(spliced, tmp_path, count) for count in ("0", "1", "40"))
    assert [apart, one, many] == [run(text, tmp_path, count)[0] for count in ("0", "1", "40")]
    assert on_apart - on_overlap, "no path of its own for arrays that are apart"
    assert on_overlap - on_apart, "no path of its own for arrays that overlap"
