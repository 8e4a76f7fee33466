"""A hot function belongs to the unit whose object holds its code; everything else is left alone with the reason."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler_ai.artifacts import CompileCommand, HotFunction, ProfiledFunction
from compiler_ai.profile.collect import RawSample, collect
from compiler_ai.profile.hotness import Rules, inlined_into, match_units, select
from compiler_ai.profile.model import Profile
from compiler_ai.profile.symbols import ModuleSymbols

WORK = """
static __attribute__((noinline)) unsigned work(unsigned *p, unsigned n)
{ unsigned s = 0; for (unsigned i = 0; i < n; i++) s = s * 33 + p[i]; return s; }
unsigned NAME(unsigned *p, unsigned n) { return work(p, n) + EXTRA; }
"""
MAIN = "unsigned one(unsigned*,unsigned); int main(int c, char **v) { unsigned a[9] = {c}; return one(a, 9) == 7; }\n"


def compile_unit(source: Path, output: str, *flags: str) -> CompileCommand:
    path = source.with_name(output)
    subprocess.run(["gcc", *flags, "-c", str(source), "-o", str(path)], check=True)
    return CompileCommand(("gcc",), tuple(flags), str(source), str(path), str(source.parent), "x86_64")


def link(directory: Path, *objects: str, flags: tuple[str, ...] = ()) -> Path:
    subprocess.run(["gcc", *flags, *objects, "-o", "program"], cwd=directory, check=True)
    return directory / "program"


def hot(program: Path, symbol: str, index: int = 0) -> HotFunction:
    module = ModuleSymbols(str(program))
    found = module.named(symbol)[index]
    return HotFunction(
        ProfiledFunction(symbol, str(program), module.source_of(found), found.address, found.size_bytes, 1.0), 1.0
    )


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "one.c").write_text(WORK)
    (tmp_path / "main.c").write_text(MAIN)
    return tmp_path


FIRST = ("-DNAME=one", "-DEXTRA=1", "-O2")


@pytest.mark.parametrize("other", ["-O3", "-Os", "-fPIC"])
@pytest.mark.parametrize("linked", ["a.o", "b.o"])
def test_one_source_compiled_twice_is_told_apart_by_its_code(sources, other, linked):
    units = [
        compile_unit(sources / "one.c", "a.o", *FIRST),
        compile_unit(sources / "one.c", "b.o", *FIRST, other, "-DPAD" if other != "-fPIC" else "-DEXTRA2"),
        compile_unit(sources / "main.c", "main.o", "-O2"),
    ]
    if other == "-fPIC":  # the same body of `work` in both: the rest of the unit tells
        (sources / "one.c").write_text(WORK + "unsigned more(void) { return 5; }\n")
        units[1] = compile_unit(sources / "one.c", "b.o", *FIRST, other)
    program = link(sources, linked, "main.o")
    matched = match_units([hot(program, "work")], units)
    assert [Path(unit.object_path).name for _, unit in matched.found] == [linked]


@pytest.mark.parametrize(("flags", "expected"), [((), "a.o"), (("-no-pie",), "a.o"), (("-shared",), "b.o")])
def test_of_objects_with_the_same_code_the_one_that_is_for_such_a_module_is_taken(sources, flags, expected):
    hidden = (*FIRST, "-fvisibility=hidden")
    units = [
        compile_unit(sources / "one.c", "b.o", *hidden, "-fPIC"),
        compile_unit(sources / "one.c", "a.o", *hidden),
        compile_unit(sources / "one.c", "c.o", *hidden, "-fPIC"),
    ]
    objects = ("b.o",) if "-shared" in flags else ("a.o",)
    main = () if "-shared" in flags else (compile_unit(sources / "main.c", "main.o", "-O2").object_path,)
    program = link(sources, *objects, *main, flags=flags)
    matched = match_units([hot(program, "work")], units)
    assert [Path(unit.object_path).name for _, unit in matched.found] == [expected]


def test_of_a_source_and_another_that_includes_it_the_one_that_was_linked_is_taken(sources):
    (sources / "test.c").write_text(
        '#include "one.c"\nint main(void) { unsigned a[2] = {1, 2}; return one(a, 2) == 7; }\n'
    )
    units = [
        compile_unit(sources / "test.c", "test.o", *FIRST),
        compile_unit(sources / "one.c", "one.o", *FIRST),
        compile_unit(sources / "main.c", "main.o", "-O2"),
    ]
    program = link(sources, "one.o", "main.o")
    matched = match_units([hot(program, "one")], units)
    assert [Path(unit.object_path).name for _, unit in matched.found] == ["one.o"]
    both = match_units([hot(link(sources, "test.o"), "one")], units)
    assert [Path(unit.object_path).name for _, unit in both.found] == ["test.o"]


def test_units_that_were_compiled_and_linked_at_once_are_compiled_again(sources):
    words = (*FIRST, "-fno-inline")
    subprocess.run(["gcc", *words, "one.c", "main.c", "-o", "program"], cwd=sources, check=True)
    units = [
        CompileCommand(("gcc",), words, str(sources / name), str(sources / f"program-{name}.o"), str(sources), "x86_64")
        for name in ("one.c", "main.c")
    ]
    matched = match_units([hot(sources / "program", "one")], units)
    assert [Path(unit.source).name for _, unit in matched.found] == ["one.c"]
    (sources / "one.c").unlink()
    assert "no recorded unit defines it" in match_units([hot(sources / "program", "one")], units).unmatched[0][1]


def test_a_single_unit_of_other_code_is_refused(sources):
    units = [compile_unit(sources / "one.c", "a.o", *FIRST), compile_unit(sources / "main.c", "main.o", "-O2")]
    program = link(sources, "a.o", "main.o")
    wanted = [hot(program, "work")]
    assert match_units(wanted, units).found
    compile_unit(sources / "one.c", "a.o", *FIRST, "-fno-tree-vectorize", "-O3", "-funroll-all-loops")
    refused = match_units(wanted, units)
    assert not refused.found
    assert "other code" in refused.unmatched[0][1]
    link(sources, "a.o", "main.o")
    assert match_units(wanted, units).found, "linked anew: the profile is older, but the unit is the program's"


def test_a_single_unit_of_the_same_size_and_other_bytes_is_refused(sources):
    (sources / "main.c").write_text(
        "unsigned one(unsigned*p,unsigned n){return p[0]+n*5;} int main(int c,char**v){unsigned a=c;return one(&a,2);}"
    )
    units = [compile_unit(sources / "main.c", "main.o", "-O2", "-fno-inline", "-fno-ipa-cp")]
    program = link(sources, "main.o")
    text = (sources / "main.c").read_text().replace("n*5", "n*9")
    (sources / "main.c").write_text(text)
    wanted = [hot(program, "one")]
    compile_unit(sources / "main.c", "main.o", "-O2", "-fno-inline", "-fno-ipa-cp")
    assert not match_units(wanted, units).found


def test_a_program_that_is_gone_is_judged_by_size(sources):
    units = [
        compile_unit(sources / "one.c", "a.o", *FIRST),
        compile_unit(sources / "one.c", "b.o", *FIRST, "-Os"),
        compile_unit(sources / "main.c", "main.o", "-O2"),
    ]
    program = link(sources, "b.o", "main.o")
    wanted = hot(program, "work")
    program.unlink()
    assert [Path(unit.object_path).name for _, unit in match_units([wanted], units).found] == ["b.o"]
    assert not match_units([wanted], units[:1]).found


@pytest.mark.parametrize("flags", [("-static",), ("-pie",), ("-no-pie",)])
def test_relocations_and_what_the_linker_relaxes_do_not_matter(sources, flags):
    (sources / "one.c").write_text(
        "#include <errno.h>\n#include <string.h>\n#include <stdlib.h>\nextern int shared; int shared = 3;"
        "static __thread int tls; extern __thread int far; __thread int far;"
        "unsigned one(unsigned*p,unsigned n){ char*q=malloc(n); memset(q,1,n); tls+=q[0]; far++; errno=shared;"
        " qsort(p,n,4,(int(*)(const void*,const void*))strcmp); return tls+far; }"
    )
    units = [
        compile_unit(sources / "one.c", "a.o", "-O2", "-fPIC"),
        compile_unit(sources / "main.c", "main.o", "-O2"),
    ]
    assert match_units([hot(link(sources, "a.o", "main.o", flags=flags), "one")], units).found


@pytest.mark.parametrize(
    ("text", "flags", "reason"),
    [
        ("#include <setjmp.h>\njmp_buf b; unsigned one(unsigned*p,unsigned n){return setjmp(b)?p[0]:n;}", (), "setjmp"),
        ("unsigned one(unsigned*p,unsigned n){return p[n-1];}", ("-fsanitize=address",), "sanitizers"),
        ("void g(void);unsigned one(unsigned*p,unsigned n){return p[n-1];}", ("-finstrument-functions",), "profiling"),
    ],
)
def test_what_is_never_rewritten_is_said_before_anything_is_tried(sources, text, flags, reason):
    (sources / "one.c").write_text(text)
    if "-finstrument-functions" in flags:
        (sources / "main.c").write_text(
            MAIN + "__attribute__((no_instrument_function)) void __cyg_profile_func_enter(void*a,void*b){}"
            "__attribute__((no_instrument_function)) void __cyg_profile_func_exit(void*a,void*b){}"
        )
    units = [compile_unit(sources / "one.c", "a.o", "-O2", *flags), compile_unit(sources / "main.c", "main.o", "-O2")]
    matched = match_units([hot(link(sources, "a.o", "main.o", flags=flags), "one")], units)
    assert [function.profiled.symbol for function in matched.never] == ["one"]
    assert reason in matched.unmatched[0][1]


def test_two_directories_with_the_same_file_and_static_function_are_kept_apart(tmp_path):
    units = []
    for index, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "util.c").write_text(WORK.replace("33", str(33 + 32 * index)))
        units.append(compile_unit(tmp_path / name / "util.c", "util.o", f"-DNAME={name}", "-DEXTRA=1", "-O2"))
    (tmp_path / "main.c").write_text(MAIN)
    units.append(compile_unit(tmp_path / "main.c", "main.o", "-O2"))
    program = link(tmp_path, "one/util.o", "two/util.o", "main.o")
    both = [hot(program, "work", index) for index in range(2)]
    matched = match_units(both, units)
    assert [Path(unit.source).parent.name for _, unit in matched.found] == ["one", "two"]


COLD = """
#include <stdlib.h>
#include <stdio.h>
static __attribute__((noinline)) int f(int n)
{ if (__builtin_expect(n < KEY, 0)) { puts("TEXT" "cold"); for (int i = 0; i < n + 50; i++) putchar(i + KEY); abort(); } return n * KEY; }
int NAME(int n) { return f(n) + 1; }
"""


@pytest.mark.parametrize("debug", [[], ["-g"], ["-gdwarf-4"]])
@pytest.mark.parametrize("names", [("same.c", "same.c"), ("one.c", "two.c")])
def test_the_cold_part_of_each_of_several_static_functions_is_its_own(tmp_path, debug, names):
    for index, (unit, name) in enumerate(zip(("one", "two"), names, strict=True)):
        (tmp_path / unit).mkdir()
        (tmp_path / unit / name).write_text(COLD)
        flags = ["-O2", *debug, f"-DNAME={unit}", f"-DKEY={3 + index}"]
        subprocess.run(["gcc", *flags, "-c", f"{unit}/{name}", "-o", f"{unit}.o"], cwd=tmp_path, check=True)
    (tmp_path / "main.c").write_text("int one(int),two(int); int main(int c,char**v){return one(c+9)+two(c+9);}")
    subprocess.run(["gcc", "-O2", "-o", "program", "main.c", "one.o", "two.o"], cwd=tmp_path, check=True)
    module = ModuleSymbols(str(tmp_path / "program"))
    parts = module.named("f.cold")
    assert len(parts) == 2, "GCC splits both"
    owners = [module.owner(part) for part in parts]
    assert {owner.name for owner in owners} == {"f"}
    assert [owner.unit for owner in owners] == [part.unit for part in parts]
    assert len(set(owners)) == 2
    if debug:
        starts = {module.debug.parts[part.address] for part in parts}
        assert starts == {owner.address for owner in owners}
        assert {module.source_of(owner) for owner in owners} == set(names)


def test_the_cold_part_of_a_global_function_is_not_taken_for_a_static_one_of_another_unit(tmp_path):
    (tmp_path / "one.c").write_text(COLD.replace("static ", ""))
    (tmp_path / "two.c").write_text(COLD)
    for index, unit in enumerate(("one", "two")):
        flags = ["-O2", f"-DNAME={unit}", f"-DKEY={3 + index}"]
        subprocess.run(["gcc", *flags, "-c", f"{unit}.c", "-o", f"{unit}.o"], cwd=tmp_path, check=True)
    (tmp_path / "main.c").write_text("int one(int),two(int); int main(int c,char**v){return one(c+9)+two(c+9);}")
    subprocess.run(["gcc", "-O2", "-o", "program", "main.c", "one.o", "two.o"], cwd=tmp_path, check=True)
    module = ModuleSymbols(str(tmp_path / "program"))
    owners = {module.owner(part).is_local: part.source for part in module.named("f.cold")}
    assert owners == {False: "one.c", True: "two.c"}


@pytest.mark.parametrize("suffix", [".aicc_baseline", ".aicc_baseline.aicc.0123456789abcdef"])
def test_gccs_body_behind_a_cpu_check_counts_for_its_function(tmp_path, suffix):
    """As -faicc-isa=dispatch makes them: `f` holds the check and the rewrite, and a local symbol GCC's body."""
    for name, other in (("one", ""), ("two", "static __attribute__((noinline)) ")):
        (tmp_path / f"{name}.c").write_text(
            f'static int baseline(int n) __asm__("f{suffix}"); __attribute__((noinline)) static int baseline(int n) '
            f"{{ return n * 3 + {len(other)}; }} {other}int f(int n) {{ return baseline(n) + 1; }} int {name}(int n) {{ return f(n) * 2; }}"
        )
        compile_unit(
            tmp_path / f"{name}.c", f"{name}.o", "-O2", "-fno-inline", "-fno-ipa-cp", "-fno-optimize-sibling-calls"
        )
    (tmp_path / "main.c").write_text("int one(int),two(int); int main(int c,char**v){return one(c+9)+two(c+9);}")
    compile_unit(tmp_path / "main.c", "main.o", "-O2")
    module = ModuleSymbols(str(link(tmp_path, "main.o", "one.o", "two.o")))
    parts = module.named(f"f{suffix}")
    assert len(parts) == 2
    owners = {part.source: module.owner(part) for part in parts}
    assert {(source, owner.name, owner.is_local) for source, owner in owners.items()} == {
        ("one.c", "f", False),
        ("two.c", "f", True),
    }
    samples = [RawSample(module.path, part.address, 2.0) for part in parts]
    assert [(function.symbol, function.cost) for function in collect(samples)[0]] == [("f", 2.0), ("f", 2.0)]


def test_inlined_functions_are_named_with_what_holds_them(tmp_path):
    (tmp_path / "main.c").write_text(
        "static unsigned deep(unsigned n){unsigned s=n;for(unsigned i=0;i<n;i++)s=s*5+(s>>7);return s;}"
        "__attribute__((noinline)) unsigned holder(unsigned n){return deep(n)*3;} int main(int c,char**v){return holder(c);}"
    )
    compile_unit(tmp_path / "main.c", "main.o", "-O2", "-g")
    program = link(tmp_path, "main.o")
    function = hot(program, "holder").profiled
    assert [(item.function, item.reason) for item in inlined_into([HotFunction(function, 1.0)])] == [
        ("deep", "inlined into holder, where it counts")
    ]
    asked = select(Profile((), (function,)), tmp_path, Rules(only=frozenset({"deep", "none"})))
    reasons = {item.function: item.reason for item in asked.left_out}
    assert "inlined into holder" in reasons["deep"]
    assert "not in the profile" in reasons["none"]
