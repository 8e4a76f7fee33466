"""A profile goes on to count for functions that a new build has put elsewhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler_ai.artifacts import ProfiledFunction, Sample
from compiler_ai.profile.model import Profile, merge
from compiler_ai.profile.rebuilt import found_again
from compiler_ai.profile.symbols import ModuleSymbols

ONE = "static __attribute__((noipa)) int work(int n) { return n * 3; } int one(int n) { return work(n); }"
TWO = "static __attribute__((noipa)) int work(int n) { return n * 5; } int two(int n) { return work(n); }"
MAIN = "int one(int), two(int); __attribute__((noipa)) int gone(int n) { return n; } int main(void) { return gone(one(1) + two(2)); }"
SHORTER_MAIN = "int one(int), two(int); int main(void) { return one(1) + two(2); }"


def built(directory: Path, **sources: str) -> str:
    for name, text in sources.items():
        (directory / f"{name}.c").write_text(text)
    program = directory / "program"
    subprocess.run(["gcc", "-O1", "-o", program, *(f"{name}.c" for name in sources)], cwd=directory, check=True)
    return str(program)


def profiled(program: str) -> Profile:
    """One sample at the second byte of every function of the three units."""
    module = ModuleSymbols(program)
    names = ("work", "one", "two", "gone", "main")
    return Profile(
        (),
        tuple(
            ProfiledFunction(
                symbol.name,
                program,
                module.source_of(symbol),
                symbol.address,
                symbol.size_bytes,
                1.0,
                (Sample(1, 1.0),),
            )
            for name in names
            for symbol in module.named(name)
        ),
    )


def test_functions_are_found_where_they_lie_now(tmp_path: Path) -> None:
    before = profiled(built(tmp_path, one=ONE, two=TWO, main=MAIN))
    longer = ONE.replace("n * 3", "n % 7 * (n ^ 5)")
    after = profiled(built(tmp_path, main=SHORTER_MAIN, two=TWO, one=longer))
    found = found_again(before)
    assert {(one.symbol, one.source, one.address) for one in found.functions} == {
        (one.symbol, one.source, one.address) for one in after.functions
    }
    assert [(item.reason, item.cost) for item in found.unmatched] == [
        ("gone is not in the module any more, or more than once", 1.0)
    ]
    assert found.total == before.total
    assert len(merge(found, after).functions) == len(after.functions) == 5
    samples = {(one.symbol, one.source): one.samples for one in found.functions}
    assert samples["work", "two.c"] == (Sample(1, 1.0),)
    assert samples["work", "one.c"] == ()


def test_a_profile_of_what_is_as_it_was_or_is_gone_stays_as_it_is(tmp_path: Path) -> None:
    program = built(tmp_path, one=ONE, two=TWO, main=MAIN)
    profile = profiled(program)
    assert found_again(profile) == profile
    Path(program).unlink()
    assert found_again(profile) == profile


@pytest.mark.parametrize("flags", [[], ["-g"]])
def test_a_function_is_the_same_with_and_without_debug_information(tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "all.c").write_text(
        MAIN.replace("int one(int), two(int);", "int one(int n) { return n; }\n#define two one\n")
    )
    program = tmp_path / "program"
    subprocess.run(["gcc", "-O1", "-o", program, "all.c"], cwd=tmp_path, check=True)
    profile = profiled(str(program))
    subprocess.run(["gcc", "-O1", "-falign-functions=256", *flags, "-o", program, "all.c"], cwd=tmp_path, check=True)
    found = found_again(profile)
    assert not found.unmatched
    assert {one.address for one in found.functions} == {one.address for one in profiled(str(program)).functions}
