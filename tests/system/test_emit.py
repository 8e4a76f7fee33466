"""-faicc-emit=object and -faicc-isa=dispatch in whole builds. The "rewrites" here add 1000, so a program says which body ran."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64
from elftools.elf.elffile import ELFFile

from compiler_ai.artifacts import Candidate, Evidence, Grade, Interval, Rewrite, Timing
from compiler_ai.asm.listing import parse
from compiler_ai.asm.normalise import body_key
from compiler_ai.asm.trees import Trees
from compiler_ai.driver import units
from compiler_ai.proposers.transplant import Source, transplant
from compiler_ai.store.store import Store
from compiler_ai.tune.reproduce import listing_of

HERE = Path(__file__).parent
GCCS = "6 7 6 5 11 11 3 23 6 22 22\n"
APART = "1006 1007 1006 1005 1011 11 1003 23 6 22 22\n"  # what can be kept apart: hot, stateful, scaled
SPLICED = "1006 1007 1006 1005 1011 11 1003 1023 1006 1022 1022\n"
OBJECT = "-faicc-emit=object"


def run(*words: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def project(path: Path, flags: str, features: tuple[str, ...] = (), more: str = "", alike: bool = False) -> Path:
    """A project whose store has a "rewrite" of every function of unit.c as `flags` compile it."""
    (path / ".aicc").mkdir()
    shutil.copy(HERE / "emit_unit.c", path / "unit.c")
    shutil.copy(HERE / "emit_main.c", path / "main.c")
    run("aicc", *flags.split(), "-c", "unit.c", cwd=path)
    (command,) = units.load_all(str(path / ".aicc"))
    made = listing_of(command)
    words = ["gcc", *flags.split(), *more.split(), "-DREWRITTEN", "-S", "unit.c", "-o", "-"]
    other = Source(parse(run(*words, cwd=path)), False, "test", "-DREWRITTEN", features)
    target = parse(made.listing_text)
    for number, function in enumerate(target.functions):
        body = transplant(other, target, function.name, f"t{number}", X86_64)
        if isinstance(body, Candidate):
            body = numbered_alike(body) if alike else body
            key = body_key(target, function.name, made.flags, Trees(made.dump))
            timing = Timing(Interval(1.5, 1.4, 1.6), None)
            Store(path / ".aicc").add(
                Rewrite(key, body, Evidence(Grade.TESTED), timing, "x86_64", str(path / "unit.c"), 0)
            )
    (path / "unit.o").unlink()
    return path


def numbered_alike(candidate: Candidate) -> Candidate:
    """With labels that begin at .Laicc_s0_L0 in each function."""
    names: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f".Laicc_s0_L{len(names)}")

    body, extra = (re.sub(r"\.Laicc_\w+", rename, text) for text in (candidate.body, candidate.extra))
    return replace(candidate, body=body, extra=extra)


def build(path: Path, flags: str, *own: str) -> None:
    for name in ("unit", "main"):
        run("aicc", *flags.split(), *own, "-c", f"{name}.c", cwd=path)


def symbols(path: Path) -> dict[str, tuple[str, bytes]]:
    """Name -> (binding, code) of the functions that an object defines."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        return {
            symbol.name: (
                symbol["st_info"]["bind"],
                elf.get_section(symbol["st_shndx"]).data()[symbol["st_value"] :][: symbol["st_size"]],
            )
            for symbol in elf.get_section_by_name(".symtab").iter_symbols()
            if symbol["st_info"]["type"] == "STT_FUNC" and isinstance(symbol["st_shndx"], int)
        }


def log(path: Path) -> str:
    return (path / ".aicc" / "log").read_text()


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    """Objects of -faicc-emit=object, not linked yet."""
    project(tmp_path, "-O2")
    build(tmp_path, "-O2", OBJECT)
    return tmp_path


def test_splicing_stays_the_default(tmp_path):
    project(tmp_path, "-O2")
    build(tmp_path, "-O2")
    run("aicc", "unit.o", "main.o", "-o", "prog", cwd=tmp_path)
    assert run("./prog", cwd=tmp_path) == SPLICED
    assert not (tmp_path / "unit.aicc.o").exists()


@pytest.mark.parametrize("own", [(), (OBJECT,), ("-faicc-isa=native",)])
def test_rewrites_from_different_compilations_may_have_the_same_labels(tmp_path, own):
    project(tmp_path, "-O2", alike=True)
    build(tmp_path, "-O2", *own)
    run("aicc", "unit.o", "main.o", "-o", "prog", cwd=tmp_path)
    assert run("./prog", cwd=tmp_path) == (APART if OBJECT in own else SPLICED)


def test_the_link_adds_the_companion_that_lies_beside_the_object(apart):
    assert {path.name for path in apart.iterdir() if path.suffix == ".o"} == {"unit.o", "unit.aicc.o", "main.o"}
    run("aicc", "unit.o", "main.o", "-o", "prog", cwd=apart)
    assert run("./prog", cwd=apart) == APART


def test_gccs_object_keeps_gccs_bodies_as_weak_symbols(apart):
    run("gcc", "-O2", "-c", "unit.c", "-o", "gccs.o", cwd=apart)
    gccs, mine, companion = (symbols(apart / name) for name in ("gccs.o", "unit.o", "unit.aicc.o"))
    assert {name: code for name, (_, code) in gccs.items()}.items() <= {
        n: code for n, (_, code) in mine.items()
    }.items()
    assert {name for name in gccs if mine[name][0] != gccs[name][0]} == {"hot", "stateful", "scaled"}
    assert {name: binding for name, (binding, _) in companion.items()} == dict.fromkeys(
        ("hot", "stateful", "scaled"), "STB_GLOBAL"
    )


def test_leaving_the_companion_out_gives_gccs_program(apart):
    run("gcc", "unit.o", "main.o", "-o", "by_gcc", cwd=apart)
    assert run("./by_gcc", cwd=apart) == GCCS
    (apart / "unit.aicc.o").unlink()
    run("aicc", "unit.o", "main.o", "-o", "without", cwd=apart)
    assert run("./without", cwd=apart) == GCCS
    assert "unit.o is not there, GCC's bodies are linked" in log(apart)


def test_what_cannot_be_kept_apart_keeps_gccs_body_and_the_log_says_why(apart):
    said = log(apart)
    assert "local: GCC's body is kept: it is static" in said
    assert "overridable: GCC's body is kept: it is weak" in said
    assert "named: GCC's body is kept: also_named is another name of it" in said


@pytest.mark.parametrize(
    ("flags", "link_flags"),
    [
        ("-O2 -g", "-g"),
        ("-O2 -fno-pie -mcmodel=medium", "-no-pie"),
        ("-O2 -ffunction-sections -fdata-sections", "-Wl,--gc-sections"),
        ("-O2 -fcf-protection -fstack-protector-strong", "-static"),
        ("-O2 -fPIE", "-static-pie"),
        ("-O2 -fuse-ld=gold", "-fuse-ld=gold"),
        ("-O2 -fno-asynchronous-unwind-tables", "-s"),
    ],
)
def test_it_works_under_many_flags(tmp_path, flags, link_flags):
    project(tmp_path, flags)
    build(tmp_path, flags, OBJECT)
    run("aicc", "unit.o", "main.o", *link_flags.split(), "-o", "prog", cwd=tmp_path)
    assert run("./prog", cwd=tmp_path) == APART
    assert ".debug" not in run("readelf", "-SW", "unit.aicc.o", cwd=tmp_path)


@pytest.mark.parametrize("more", ["", "-fno-semantic-interposition", "-fvisibility=protected"])
def test_shared_libraries(tmp_path, more):
    flags = f"-O2 -fPIC {more}"
    project(tmp_path, flags)
    build(tmp_path, flags, OBJECT)
    run("aicc", "-shared", "unit.o", "-Wl,-z,defs", "-o", "libunit.so", cwd=tmp_path)
    run("gcc", "main.o", "-L.", "-lunit", "-Wl,-rpath,$ORIGIN", "-o", "prog", cwd=tmp_path)
    assert run("./prog", cwd=tmp_path) == APART
    run("gcc", "-O2", "-fPIC", "-shared", "unit.c", "-o", "gccs.so", cwd=tmp_path)
    exported = [
        set(re.findall(r" (T|W) (\w+)", run("nm", "-D", "--defined-only", name, cwd=tmp_path)))
        for name in ("gccs.so", "libunit.so")
    ]
    assert exported[0] == exported[1]


@pytest.mark.parametrize("kind", ["rcs", "rcsT"])
@pytest.mark.parametrize("linker", ["-fuse-ld=bfd", "-fuse-ld=gold"])
def test_archives_bring_the_companions_of_the_members_that_are_taken(apart, kind, linker):
    (apart / "unused.c").write_text("int unused(void) { return 1; }\n")
    (apart / "lib").mkdir()
    run("aicc", "-O2", "-c", "unused.c", cwd=apart)
    run("ar", kind, "lib/libunit.a", "unused.o", "unit.o", cwd=apart)
    run("aicc", linker, "main.o", "-Llib", "-lunit", "-o", "prog", cwd=apart)
    assert run("./prog", cwd=apart) == APART
    (apart / "other.c").write_text("int unused(void); int main(void) { return unused() - 1; }\n")
    run("aicc", linker, "-O2", "other.c", "lib/libunit.a", "-o", "other", cwd=apart)
    run("./other", cwd=apart)
    assert "hot" not in symbols(apart / "other")


def test_a_member_that_only_its_constructor_makes_matter_is_still_taken(tmp_path):
    project(tmp_path, "-O2")
    with (tmp_path / "unit.c").open("a") as file:
        file.write('int puts(const char *); __attribute__((constructor)) static void hello(void) { puts("hello"); }\n')
    build(tmp_path, "-O2", OBJECT)
    run("ar", "rcs", "libunit.a", "unit.o", cwd=tmp_path)
    (tmp_path / "other.c").write_text("int hot(int); int main(void) { return hot(2) != 1006; }\n")
    run("aicc", "-O2", "other.c", "libunit.a", "-o", "other", cwd=tmp_path)
    assert run("./other", cwd=tmp_path) == "hello\n"


def test_compiling_and_linking_at_once(tmp_path):
    project(tmp_path, "-O2")
    run("aicc", "-O2", OBJECT, "unit.c", "main.c", "-o", "prog", cwd=tmp_path)
    assert run("./prog", cwd=tmp_path) == APART
    assert {path.name for path in tmp_path.iterdir()} == {".aicc", "unit.c", "main.c", "prog"}


def test_objects_elsewhere_moved_and_renamed(tmp_path):
    project(tmp_path, "-O2")
    (tmp_path / "out").mkdir()
    run("aicc", "-O2", OBJECT, "-c", "unit.c", "-o", "out/thing.o", cwd=tmp_path)
    run("aicc", "-O2", OBJECT, "-c", "main.c", cwd=tmp_path)
    assert (tmp_path / "out" / "thing.aicc.o").exists()
    (tmp_path / "out" / "thing.o").rename(tmp_path / "renamed.o")
    run("aicc", "renamed.o", "main.o", "-o", "prog", cwd=tmp_path)
    assert run("./prog", cwd=tmp_path) == APART


def test_a_companion_of_another_build_is_never_linked(apart):
    stale = (apart / "unit.aicc.o").read_bytes()
    run("gcc", "-O2", "-c", "unit.c", cwd=apart)
    run("aicc", "unit.o", "main.o", "-o", "prog", cwd=apart)
    assert run("./prog", cwd=apart) == GCCS
    Store(apart / ".aicc").drop("hot")
    run("aicc", "-O2", OBJECT, "-c", "unit.c", cwd=apart)
    (apart / "unit.aicc.o").write_bytes(stale)
    run("aicc", "unit.o", "main.o", "-o", "prog", cwd=apart)
    assert run("./prog", cwd=apart) == GCCS


def test_a_build_without_rewrites_removes_the_companion_of_an_earlier_one(apart):
    Store(apart / ".aicc").drop("hot", "stateful", "scaled")
    run("aicc", "-O2", OBJECT, "-c", "unit.c", cwd=apart)
    assert not (apart / "unit.aicc.o").exists()
    build(apart, "-O2")
    run("aicc", "unit.o", "main.o", "-o", "prog", cwd=apart)


def test_a_companion_that_was_named_already_is_not_added_again(apart):
    """A makefile that links or packs *.o."""
    for compiler in ("aicc", "gcc"):
        run(compiler, "main.o", "unit.aicc.o", "unit.o", "-o", "prog", cwd=apart)
        assert run("./prog", cwd=apart) == APART
        run("ar", "rcs", "all.a", "unit.aicc.o", "unit.o", cwd=apart)
        run(compiler, "main.o", "all.a", "-o", "prog", cwd=apart)
        assert run("./prog", cwd=apart)
    assert "fails" not in log(apart)


def test_a_partial_link_is_left_alone_and_the_final_one_gets_the_companion(apart):
    run("aicc", "-r", "unit.o", "main.o", "-o", "both.o", cwd=apart)
    run("aicc", "both.o", "-o", "prog", cwd=apart)
    assert run("./prog", cwd=apart) == APART


def test_response_files(apart):
    (apart / "objects").write_text("unit.o\nmain.o\n")
    run("aicc", "@objects", "-o", "prog", cwd=apart)
    assert run("./prog", cwd=apart) == APART


def test_a_link_that_fails_with_companions_is_done_without(apart):
    mark = re.search(rb"aicc-pair:1:is:[0-9a-f]{64}:[^;]*;", (apart / "unit.aicc.o").read_bytes())
    assert mark
    (apart / "unit.aicc.o").write_bytes(b"\x7fELF garbage " + mark[0])
    run("aicc", "unit.o", "main.o", "-o", "prog", cwd=apart)
    assert run("./prog", cwd=apart) == GCCS
    assert "with companions the link fails" in log(apart)


def test_a_link_that_fails_fails_with_the_linkers_own_words(apart):
    said = []
    for compiler in ("aicc", "gcc"):
        words = [compiler, "unit.o", "-o", "prog"]
        done = subprocess.run(words, cwd=apart, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        said.append([line for line in done.stderr.splitlines() if "ld" not in line.split(":")[0]])
    assert said[0] == said[1]


def test_an_option_that_tells_objects_apart_means_no_companions(apart):
    run("aicc", "unit.o", "main.o", "-Wl,--wrap=nothing", "-o", "prog", cwd=apart)
    assert run("./prog", cwd=apart) == GCCS
    assert "no companions are linked: the link has --wrap" in log(apart)


@pytest.mark.parametrize("packed", [False, True])
def test_what_the_linker_prints_is_printed_once(apart, packed):
    run("ar", "rcs", "libunit.a", "unit.o", cwd=apart)
    words = ["main.o", "libunit.a" if packed else "unit.o", "-Wl,--print-map", "-o", "prog"]
    said = run("aicc", *words, cwd=apart)
    assert said.count("Linker script and memory map") == 1
    assert "unit.aicc.o" in said
    assert run("./prog", cwd=apart) == APART


def test_link_time_optimisation_keeps_gccs_bodies(tmp_path):
    project(tmp_path, "-O2")
    for flags in ("-O2 -flto", "-O2 -flto -ffat-lto-objects"):
        build(tmp_path, flags, OBJECT)
        run("aicc", *flags.split(), OBJECT, "unit.o", "main.o", "-o", "prog", cwd=tmp_path)
        assert run("./prog", cwd=tmp_path) == GCCS


def test_the_program_keeps_its_hardening_marks(tmp_path):
    flags = "-O2 -fcf-protection"
    project(tmp_path, flags)
    build(tmp_path, flags, OBJECT)
    run("aicc", "unit.o", "main.o", "-o", "prog", cwd=tmp_path)
    run("gcc", *flags.split(), "unit.c", "main.c", "-o", "gccs", cwd=tmp_path)
    notes = [re.findall(r"Properties: .*", run("readelf", "-n", name, cwd=tmp_path)) for name in ("gccs", "prog")]
    stacks = [re.findall(r"GNU_STACK.*\n.*", run("readelf", "-lW", name, cwd=tmp_path)) for name in ("gccs", "prog")]
    assert notes[0] == notes[1]
    assert [line.split()[-2] for line in stacks[0]] == [line.split()[-2] for line in stacks[1]]
    assert ".gnu.aicc" not in run("readelf", "-SW", "prog", cwd=tmp_path)


def test_parallel_make(tmp_path):
    project(tmp_path, "-O2")
    makefile = "prog: a.o b.o unit.o main.o\n\t$(CC) -o $@ $^\n%.o: %.c\n\t$(CC) -O2 $(OWN) -c $< -o $@\n"
    (tmp_path / "Makefile").write_text(makefile + "clean:\n\trm -f *.o prog\n")
    for name in ("a", "b"):
        text = (HERE / "emit_unit.c").read_text()
        text = re.sub(
            r"\b(hot|stateful|scaled|overridable|named|also_named|inside|address|through|state)\b", rf"\1_{name}", text
        )
        (tmp_path / f"{name}.c").write_text(text)
    run("make", "-j2", "CC=aicc", f"OWN={OBJECT}", cwd=tmp_path)
    assert run("./prog", cwd=tmp_path) == APART
    run("make", "clean", cwd=tmp_path)
    assert not list(tmp_path.glob("*.o"))


def test_the_same_build_twice_is_byte_for_byte_the_same(apart):
    before = {name: (apart / name).read_bytes() for name in ("unit.o", "unit.aicc.o")}
    build(apart, "-O2", OBJECT)
    assert before == {name: (apart / name).read_bytes() for name in before}


def forced(path: Path, state: int) -> None:
    """Write every dispatch byte of a program as if the check had come out that way."""
    content = bytearray(path.read_bytes())
    with path.open("rb") as file:
        elf = ELFFile(file)
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            if symbol.name.endswith(".aicc_cpu"):
                section = elf.get_section(symbol["st_shndx"])
                content[section["sh_offset"] + symbol["st_value"] - section["sh_addr"]] = state
    path.write_bytes(content)


@pytest.mark.parametrize("own", [(), (OBJECT,)])
@pytest.mark.parametrize("flags", ["-O2", "-O2 -g -fPIC -fcf-protection -ffunction-sections"])
def test_dispatch_runs_the_rewrite_where_the_processor_can_and_gccs_body_elsewhere(tmp_path, own, flags):
    project(tmp_path, flags, features=("sse3",), more="-msse3")
    build(tmp_path, flags, "-faicc-isa=dispatch", *own)
    run("aicc", "unit.o", "main.o", "-o", "prog", cwd=tmp_path)
    assert run("./prog", cwd=tmp_path) == (APART if own else SPLICED)
    forced(tmp_path / "prog", 1)
    assert run("./prog", cwd=tmp_path) == GCCS


def test_without_dispatch_a_rewrite_that_needs_more_is_not_used_and_the_log_says_what_to_do(tmp_path):
    project(tmp_path, "-O2", features=("sse3",), more="-msse3")
    build(tmp_path, "-O2")
    run("aicc", "unit.o", "main.o", "-o", "prog", cwd=tmp_path)
    assert run("./prog", cwd=tmp_path) == GCCS
    assert "hot: the rewrite needs sse3; build with -faicc-isa=dispatch or native to use it" in log(tmp_path)
    build(tmp_path, "-O2", "-faicc-isa=native")
    run("aicc", "unit.o", "main.o", "-o", "prog", cwd=tmp_path)
    assert run("./prog", cwd=tmp_path) == SPLICED


def test_the_large_code_model_has_no_dispatch(tmp_path):
    flags = "-O2 -mcmodel=large -fno-pie"
    project(tmp_path, flags, features=("sse3",), more="-msse3")
    build(tmp_path, flags, "-faicc-isa=dispatch")
    run("aicc", "unit.o", "main.o", "-no-pie", "-o", "prog", cwd=tmp_path)
    assert run("./prog", cwd=tmp_path) == GCCS
    assert "hot: no CPU check is made in this code model" in log(tmp_path)


def test_a_grade_below_the_one_asked_for_is_not_used(tmp_path):
    project(tmp_path, "-O2")
    build(tmp_path, "-O2", "-faicc-verify=proved")
    run("aicc", "unit.o", "main.o", "-o", "prog", cwd=tmp_path)
    assert run("./prog", cwd=tmp_path) == GCCS
    assert "hot: the rewrite is only tested" in log(tmp_path)
