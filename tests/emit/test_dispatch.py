"""-faicc-isa=dispatch: two bodies behind one name do the same, whichever the CPU check chooses."""

from __future__ import annotations

import re
import subprocess

import pytest
from bodies import FUNCTIONS, assemble, candidates, instructions, link, listing, run, set_state, symbols
from compiler_ai.toolchains import x86_64_dispatch
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.asm.listing import parse
from compiler_ai.asm.splice import SpliceError
from compiler_ai.driver import host
from compiler_ai.emit.dispatch import known_features, replace_dispatched

V3 = ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
OTHER = ("-O1", "-march=x86-64-v3", "-ffp-contract=off", "-fno-ipa-cp", "-fno-ipa-sra")


def build(flags: tuple[str, ...], features: tuple[str, ...] = V3) -> tuple[str, str]:
    """GCC's listing, and the one with every function dispatched."""
    target = listing(*flags)
    made = candidates(target, *flags[1:], *OTHER, features=features)
    assert len(made) >= len(FUNCTIONS) - 2
    text = target.text
    for name, candidate in made.items():
        text = replace_dispatched(parse(text), name, candidate, "x86_64")
    return target.text, text


# Without -fipa-ra: nobody has checked here which registers these bodies must leave alone for callers in the unit.
COMMON = ("-O2", "-fno-ipa-cp", "-fno-ipa-sra", "-fno-ipa-ra")


def dispatched(text: str) -> set[str]:
    """Those of FUNCTIONS whose other compilation could be taken over, and differs."""
    return {name for name in FUNCTIONS if f"\n{name}.aicc_baseline:" in text}


@pytest.mark.parametrize(
    ("flags", "link_flags"),
    [
        (COMMON, ()),
        ((*COMMON, "-g"), ()),
        ((*COMMON, "-fPIC", "-fcf-protection"), ("-Wl,-z,now",)),
        ((*COMMON, "-fno-pie", "-ffunction-sections"), ("-no-pie", "-Wl,--gc-sections")),
        ((*COMMON, "-fPIE"), ("-static-pie",)),
        ((*COMMON, "-fno-asynchronous-unwind-tables"), ("-static",)),
    ],
)
def test_the_program_does_the_same_on_either_path(tmp_path, flags, link_flags):
    before, after = build(flags)
    gccs = link(tmp_path / "gccs", assemble(before, tmp_path / "gccs.o"), *link_flags)
    mine = link(tmp_path / "mine", assemble(after, tmp_path / "mine.o"), *link_flags)
    expected = run(gccs)
    assert expected[0] == 0
    assert run(mine) == expected
    for state in (1, 2):
        forced = tmp_path / f"forced{state}"
        forced.write_bytes(mine.read_bytes())
        forced.chmod(0o755)
        assert set_state(forced, state) >= len(FUNCTIONS) - 2
        assert run(forced) == expected


def test_what_a_call_costs_is_one_compare_and_one_branch(tmp_path):
    _, after = build(COMMON)
    program = link(tmp_path / "mine", assemble(after, tmp_path / "mine.o"))
    for name in dispatched(after):
        first, second = instructions(program, name)[:2]
        assert re.fullmatch(rf"cmpb\s+\$0x1,0x[0-9a-f]+\(%rip\)\s+# [0-9a-f]+ <{name}\.aicc_cpu>", first)
        assert second.startswith("jbe ")


def test_the_landing_pad_stays_first(tmp_path):
    _, after = build((*COMMON, "-fcf-protection"))
    program = link(tmp_path / "mine", assemble(after, tmp_path / "mine.o"))
    for name in FUNCTIONS:
        code = instructions(program, name)
        assert ("endbr64" in code) == (code[0] == "endbr64")
        if name in ("many", "table"):  # exported, so their addresses may be taken
            assert code[0] == "endbr64"


def test_gccs_own_body_and_everything_behind_it_keep_their_place_in_the_fetch_block(tmp_path):
    before, after = build((*COMMON, "-fno-pie"))
    old = symbols(assemble(before, tmp_path / "old.o"))
    new = symbols(assemble(after, tmp_path / "new.o"))
    for name in dispatched(after):
        assert old[name][1] % 64 == new[f"{name}.aicc_baseline"][1] % 64
        assert new[f"{name}.aicc_baseline"][0] == "STB_LOCAL"
        assert new[name][0] == old[name][0]
    assert [line for line in instructions(tmp_path / "old.o", "vectors") if "nop" not in line] == [
        line for line in instructions(tmp_path / "new.o", "vectors.aicc_baseline") if "nop" not in line
    ]


def test_the_check_chooses_by_this_processor(tmp_path):
    """Once with what it has, once with something it lacks; the byte is read in the finished process."""
    lacking = sorted(known_features("x86_64") - host.features())
    wanted = {2: tuple(sorted(set(V3) & host.features())), 1: (*V3, *lacking[:1])}
    if not lacking:
        del wanted[1]
    for state, features in wanted.items():
        target = listing(*COMMON)
        made = candidates(target, *COMMON[1:], *OTHER, features=features)
        text = replace_dispatched(target, "many", made["many"], "x86_64")
        program = link(tmp_path / f"p{state}", assemble(text, tmp_path / "p.o"))
        words = [
            "gdb",
            "-batch",
            "-nx",
            "-ex",
            "set breakpoint pending on",
            "-ex",
            "break exit",
            "-ex",
            "run",
            "-ex",
            "print *(char*)&'many.aicc_cpu'",
        ]
        said = subprocess.run([*words, str(program)], capture_output=True, text=True, check=True).stdout
        assert f"$1 = {state} " in said


def test_every_instruction_of_the_check_can_be_unwound(tmp_path):
    _, after = build(COMMON)
    program = link(tmp_path / "mine", assemble(after, tmp_path / "mine.o"))
    script = tmp_path / "walk.py"
    script.write_text(
        "gdb.execute('break *many')\ngdb.execute('run', to_string=True)\nnames = []\n"
        "seen = gdb.execute('info registers rdi rsi rdx rcx r8 r9 rax rbx r10 rsp', to_string=True)\n"
        "steps = 0\n"
        "while True:\n"
        "    names.append(gdb.selected_frame().older().name())\n"
        "    gdb.execute('stepi', to_string=True)\n    steps += 1\n"
        "    if gdb.selected_frame().pc() == int(gdb.parse_and_eval('(long)&many')): break\n"
        "    if steps > 200: break\n"
        "again = gdb.execute('info registers rdi rsi rdx rcx r8 r9 rax rbx r10 rsp', to_string=True)\n"
        "print('STEPS', steps, set(names), seen == again)\n"
    )
    words = ["gdb", "-batch", "-nx", "-x", str(script), str(program)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = re.search(r"STEPS (\d+) (.*) (\w+)$", said, re.MULTILINE)
    assert found, said
    assert int(found[1]) in range(25, 200)
    assert (found[2], found[3]) == ("{'main'}", "True")


def test_threads_may_race_for_the_first_call(tmp_path):
    source = tmp_path / "threads.c"
    source.write_text(
        "#include <pthread.h>\n#include <stdlib.h>\n"
        "__attribute__((noinline)) long work(const long *p, int n)"
        "{ long s = 0; for (int i = 0; i < n; i++) s += p[i] * p[i]; return s; }\n"
        "static pthread_barrier_t gate; static long data[64];\n"
        "static void *go(void *x) { pthread_barrier_wait(&gate); for (int i = 0; i < 100; i++)"
        " if (work(data, 64) != 85344) abort(); return x; }\n"
        "int main(void) { pthread_t t[16]; for (int i = 0; i < 64; i++) data[i] = i; pthread_barrier_init(&gate, 0, 16);\n"
        "for (int i = 0; i < 16; i++) pthread_create(t + i, 0, go, 0);\n"
        "for (int i = 0; i < 16; i++) pthread_join(t[i], 0); return 0; }\n"
    )
    target = listing("-O2", source=source)
    made = candidates(target, "-O3", "-mavx2", features=("avx2",), source=source)
    text = replace_dispatched(target, "work", made["work"], "x86_64")
    program = link(tmp_path / "threads", assemble(text, tmp_path / "threads.o"), "-pthread")
    for _ in range(50):
        assert run(program) == (0, b"")


def test_a_feature_is_checked_with_what_it_rests_on():
    """GNU as accepts AVX with AVX2 enabled, and the operating system has to save the registers (SDM 1, 14.3)."""
    assert {"avx", "osxsave", "popcnt"} <= x86_64_dispatch.required(["avx2"])
    assert {"avx2", "fma", "avx512f"} <= x86_64_dispatch.required(["avx512vnni"])
    avx512, avx2, bmi = (
        x86_64_dispatch.slow([f], "s", ("a", "b", "c"), "d", True) for f in ("avx512f", "avx2", "bmi2")
    )
    assert "$0xe6" in avx512
    assert "$0x6," in avx2
    assert "xgetbv" not in bmi


def test_every_feature_that_proposers_use_can_be_checked():
    assert {name for name, _ in X86_64.cpu_flags} <= known_features("x86_64")


def test_a_body_whose_labels_are_in_data_is_refused(tmp_path):
    source = tmp_path / "goto.c"
    source.write_text(
        "int f(int n, int x) { static void *const t[] = {&&a, &&b, &&c}; goto *t[n];\n"
        "a: return x * 3; b: x += 7; c: return x - 1; }\n"
    )
    target = listing("-O2", source=source)
    made = candidates(listing("-O2"), "-O3", "-mavx2", features=("avx2",))["vectors"]
    with pytest.raises(SpliceError, match="addresses of its code"):
        replace_dispatched(target, "f", made, "x86_64")


def test_a_target_without_a_check_and_an_unknown_feature_are_refused():
    target = listing("-O2")
    made = candidates(target, "-O3", "-mavx2", features=("avx1024",))["vectors"]
    with pytest.raises(SpliceError, match="avx1024"):
        replace_dispatched(target, "vectors", made, "x86_64")
    with pytest.raises(SpliceError, match="no CPU check for riscv64"):
        replace_dispatched(target, "vectors", made, "riscv64")
