"""The main job with the installed commands: build, profile, tune, build again; the program does the same, faster."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from compiler_ai.report import results as stored_results
from compiler_ai.store.store import Store
from compiler_ai.tune.session import staying

EXAMPLE = Path(__file__).parents[2] / "examples" / "kernels"
PLUGIN = Path(__file__).parents[2] / "examples" / "plugins" / "align_loops.py"


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/kernels, built with aicc, profiled, one function tuned, and built again; the first build in before/."""
    cache = tmp_path_factory.mktemp("cache")
    project = tmp_path_factory.mktemp("project") / "kernels"
    shutil.copytree(EXAMPLE, project)
    environment = {"AICC_CACHE": str(cache)}
    run("aicc-tool", "init", cwd=project, **environment)
    run("make", "CC=aicc", cwd=project, **environment)
    before = project / "before"
    before.mkdir()
    for name in ("kernels", "bytes.o", "numeric.o", "integers.o", "main.o"):
        shutil.copy(project / name, before)
    run("aicc-tool", "profile", "--", "./kernels", "60", cwd=project, **environment)
    plugin = ["--plugin", str(PLUGIN), "--", "-faicc-plugin-arg-align_loops-bytes=32"]
    words = ["aicc-tool", "tune", "--budget", "15m", "--functions", "crc32_bitwise", "-j1", *plugin]
    (project / "tune.log").write_text(run(*words, cwd=project, **environment).stdout)
    run("make", "clean", cwd=project, **environment)
    run("make", "CC=aicc", cwd=project, **environment)
    return project


def functions(path: Path) -> dict[str, bytes]:
    """The code of every function of an object."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        table = elf.get_section_by_name(".symtab")
        found = {}
        for symbol in table.iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC" and isinstance(symbol["st_shndx"], int):
                data = elf.get_section(symbol["st_shndx"]).data()
                found[symbol.name] = data[symbol["st_value"] : symbol["st_value"] + symbol["st_size"]]
        return found


def test_a_rewrite_is_found_stored_and_reported(tuned):
    said = (tuned / "tune.log").read_text()
    assert "crc32_bitwise" in said
    assert "tested" in said
    assert "1 of 1 function has a faster body" in said
    (assembly,) = (tuned / ".aicc" / "store").glob("crc32_bitwise-*.asm")
    assert "crc32_bitwise" in assembly.read_text()
    assert (tuned / ".aicc" / "store" / "lock.toml").read_text().count("[[rewrite]]") == 1


def test_the_plugin_proposed_too(tuned):
    explained = run("aicc-tool", "explain", "crc32_bitwise", cwd=tuned).stdout
    assert "loop heads aligned" in explained


def test_what_the_captured_calls_count_is_a_profile_for_gcc(tuned):
    (result,) = json.loads((tuned / ".aicc" / "results.json").read_text())["results"]
    assert "gcc -O3 -fprofile-use" in [trial["candidate"]["origin"] for trial in result["trials"]]


def test_what_an_earlier_run_stored_is_said_to_stay_where_a_later_one_finds_nothing(tuned):
    (result,) = stored_results.load(tuned / ".aicc")
    assert staying([result], Store(tuned / ".aicc")) == []
    (line,) = staying([replace(result, rewrite=None)], Store(tuned / ".aicc"))
    assert "crc32_bitwise: an earlier run's rewrite" in line
    other = replace(result, rewrite=None, baseline=replace(result.baseline, key="another"))
    assert staying([other], Store(tuned / ".aicc")) == []


def test_a_profile_that_is_written_elsewhere_is_of_the_same_project(tuned, tmp_path):
    words = ["aicc-tool", "profile", "--no-captures", "-o", str(tmp_path / "other"), "--", "./kernels", "30"]
    said = run(*words, cwd=tuned).stderr
    (share,) = re.findall(r"^(\d+)% of all samples are in the project's own functions", said, re.MULTILINE)
    assert int(share) > 50
    assert (tmp_path / "other" / "profile.json").exists()


def test_the_rebuilt_program_does_the_same(tuned):
    before, after = (run(f"./{name}", "30", cwd=tuned).stdout for name in ("before/kernels", "kernels"))
    assert before == after


def test_only_the_rewritten_function_changed(tuned):
    for name in ("bytes.o", "numeric.o", "integers.o", "main.o"):
        old, new = functions(tuned / "before" / name), functions(tuned / name)
        assert old.keys() == new.keys()
        changed = {function for function in old if old[function] != new[function]}
        assert changed == ({"crc32_bitwise"} if name == "bytes.o" else set())


def test_without_the_store_the_object_is_gccs_again(tuned, tmp_path):
    run("aicc", "-O3", "-faicc-mode=off", "-c", "bytes.c", "-o", str(tmp_path / "off.o"), cwd=tuned)
    assert (tmp_path / "off.o").read_bytes() == (tuned / "before" / "bytes.o").read_bytes()


def test_a_changed_baseline_keeps_gccs_body(tuned, tmp_path):
    run("aicc", "-O1", "-c", "bytes.c", "-o", str(tmp_path / "mine.o"), cwd=tuned)
    run("gcc", "-O1", "-c", "bytes.c", "-o", str(tmp_path / "gcc.o"), cwd=tuned)
    assert (tmp_path / "mine.o").read_bytes() == (tmp_path / "gcc.o").read_bytes()


def test_a_changed_type_keeps_gccs_body_though_the_code_is_the_same(tuned, tmp_path):
    copy = tmp_path / "kernels"
    shutil.copytree(tuned, copy)
    for name in ("bytes.c", "kernels.h"):
        text = (copy / name).read_text()
        start = text.index("crc32_bitwise")
        other = text[start:].replace("size_t length", "unsigned long long length", 1)
        (copy / name).write_text(text[:start] + other)
    run("aicc", "-O3", "-c", "bytes.c", "-o", str(tmp_path / "mine.o"), cwd=copy)
    assert functions(tmp_path / "mine.o") == functions(tuned / "before" / "bytes.o")


def test_changes_elsewhere_in_the_unit_keep_the_rewrite(tuned, tmp_path):
    copy = tmp_path / "kernels"
    shutil.copytree(tuned, copy)
    text = (copy / "bytes.c").read_text()
    more = "\nstatic int twice(int a) { return a * 2; }\nint more(int n) { int s = 0; while (n--) s += twice(n); return s; }\n"
    (copy / "bytes.c").write_text(text.replace("\n\n", "\n" + more, 1))
    run("aicc", "-O3", "-c", "bytes.c", "-o", str(tmp_path / "mine.o"), cwd=copy)
    mine = functions(tmp_path / "mine.o")
    assert mine["crc32_bitwise"] == functions(tuned / "bytes.o")["crc32_bitwise"]
    assert "more" in mine


def test_a_store_file_edited_by_hand_is_not_applied(tuned, tmp_path):
    copy = tmp_path / "kernels"
    shutil.copytree(tuned, copy)
    (assembly,) = (copy / ".aicc" / "store").glob("crc32_bitwise-*.asm")
    assembly.write_text(assembly.read_text() + "\tnop\n")
    run("aicc", "-O3", "-c", "bytes.c", "-o", str(tmp_path / "mine.o"), cwd=copy)
    assert (tmp_path / "mine.o").read_bytes() == (tuned / "before" / "bytes.o").read_bytes()
    done = subprocess.run(["aicc-tool", "store", "verify"], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "crc32_bitwise" in done.stdout + done.stderr


def test_remarks_say_what_apply_mode_did(tuned, tmp_path):
    done = run("aicc", "-O3", "-fopt-info-aicc", "-c", "bytes.c", "-o", str(tmp_path / "mine.o"), cwd=tuned)
    assert re.fullmatch(r"bytes\.c:\d+: optimized: crc32_bitwise: rewritten from the store\n", done.stderr)
    assert functions(tmp_path / "mine.o") == functions(tuned / "bytes.o")


def test_apply_mode_dumps_the_listing_that_it_assembles(tuned, tmp_path):
    run("aicc", "-O3", "-fdump-aicc-all", "-c", "bytes.c", "-o", str(tmp_path / "mine.o"), cwd=tuned)
    (dump,) = tmp_path.glob("mine.c.*")
    assert dump.name.endswith("a.emit")
    (tmp_path / "again.s").write_text(dump.read_text().partition("\n")[2])  # without the line that names the unit
    run("gcc", "-c", str(tmp_path / "again.s"), "-o", str(tmp_path / "again.o"), cwd=tuned)
    assert functions(tmp_path / "again.o") == functions(tmp_path / "mine.o")


def test_a_dump_that_there_is_not_costs_no_rewrite(tuned, tmp_path):
    done = run("aicc", "-O3", "-fdump-aicc-nosuch", "-c", "bytes.c", "-o", str(tmp_path / "mine.o"), cwd=tuned)
    assert done.stderr.startswith("aicc: -fdump-aicc-nosuch: there is no such pass: ")
    (tuned / ".aicc" / "log").unlink()  # which says so too
    assert functions(tmp_path / "mine.o") == functions(tuned / "bytes.o")


def test_tune_mode_works_inside_one_compile(tuned, tmp_path):
    """The whole pipeline in one compile, with a numbered dump a pass beside the object."""
    text = (tuned / "bytes.c").read_text()
    (tmp_path / "bytes.c").write_text(text[: text.index("}\n\n", text.index("crc32_bitwise")) + 2])  # one hot function
    shutil.copy(tuned / "kernels.h", tmp_path)
    flags = ["-faicc-mode=tune", "-faicc-budget=15m", "-fdump-aicc-all", "-fopt-info-aicc"]
    environment = {"AICC_DIR": str(tuned / ".aicc"), "AICC_CACHE": str(tmp_path / "cache")}
    done = run("aicc", "-O3", *flags, "-c", "bytes.c", "-o", "mine.o", cwd=tmp_path, **environment)
    assert "bytes.c:3: optimized: crc32_bitwise: rewritten, " in done.stderr
    assert not (tuned / ".aicc" / "log").exists()  # nothing went wrong, in the compiles within either
    names = {path.name for path in tmp_path.iterdir()}
    assert {"mine.o", "mine.c.001a.propose", "mine.c.002a.screen"} <= names  # named as GCC names its dumps
    run("gcc", "-O3", "-c", "bytes.c", "-o", "gcc.o", cwd=tmp_path)
    assert functions(tmp_path / "mine.o")["crc32_bitwise"] != functions(tmp_path / "gcc.o")["crc32_bitwise"]


def test_the_demo_compares_before_and_after_when_something_was_stored(tuned):
    script = 'show() { echo "$@"; }; tune_and_check "--budget 1m" "--budget 20s" ./kernels 20'
    words = ["sh", "-c", f'. "$0"; {script}', str(EXAMPLE.parents[1] / "scripts" / "main-job")]
    said = subprocess.run(words, cwd=tuned, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "aicc-tool check --budget 20s -- ./kernels 20"


def test_check_compares_before_and_after(tuned):
    figures = tuned / "check.json"
    options = ("--pairs", "8", "--budget", "20s", "--json", str(figures))
    said = run("aicc-tool", "check", *options, "--", "./kernels", "20", cwd=tuned).stdout
    kept = json.loads(figures.read_text())
    assert kept["difference"] == ""
    assert kept["cpu"]["low"] <= kept["cpu"]["ratio"] <= kept["cpu"]["high"]
    assert "same output and exit status" in said
    assert "nothing was compared" not in said
    assert "CPU time" in said
