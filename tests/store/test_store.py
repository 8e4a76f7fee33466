"""The store holds accepted rewrites as text that survives kills, full disks, merges and hands."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from compiler_ai.artifacts import Candidate, Evidence, Grade, Interval, Rewrite, Timing
from compiler_ai.store.index import Index
from compiler_ai.store.store import Store, StoreError


def rewrite(
    function: str = "hash", key: str = "a" * 64, body: str = "\tmov %edi, %eax\n\tret\n", **changes: object
) -> Rewrite:
    candidate = Candidate(function, body, "\t.section .rodata\n.Lx1:\n\t.long 5\n", "search", "gcc -O2", ())
    timing = Timing(Interval(1.5, 1.4, 1.6), None, (1.4, 1.6), 20.0, 13.0, 375)
    evidence = Evidence(Grade.TESTED, 12, 30, 100, 3, 3)
    return replace(Rewrite(key, candidate, evidence, timing, "x86_64", "/src/hash.c", 64, 0.5, "a cpu"), **changes)  # type: ignore[arg-type]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "p" / ".aicc"
    directory.mkdir(parents=True)
    return directory


def test_what_is_added_is_found_by_its_baseline_key(project: Path) -> None:
    Store(project).add(rewrite())
    assert Store(project).lookup("a" * 64) == rewrite()
    assert Store(project).lookup("b" * 64) is None
    assert Store(project).verify() == []


def test_body_and_data_come_back_exactly(project: Path) -> None:
    odd = Candidate("f", "\tret\n# ---- body\n \udcff no newline", "\n\n")
    Store(project).add(rewrite(candidate=odd))
    found = Store(project).lookup("a" * 64)
    assert found is not None
    assert found.candidate == odd


def test_a_body_that_would_not_come_back_is_refused(project: Path) -> None:
    with pytest.raises(StoreError, match="separates"):
        Store(project).add(rewrite(body="\tret\n# ---- extra\n\tnop\n"))


def test_the_assembly_file_tells_its_reader_what_it_is(project: Path) -> None:
    entry = Store(project).add(rewrite())
    text = (project / "store" / f"{entry.name}.asm").read_text()
    for fact in ("hash", "/src/hash.c", "a" * 64, "tested (12 captures", "1.500x [1.400, 1.600]"):
        assert fact in text


def test_sources_are_kept_relative_to_the_project(project: Path) -> None:
    Store(project).add(rewrite(source=str(project.parent / "lib" / "hash.c")))
    found = Store(project).lookup("a" * 64)
    assert found is not None
    assert found.source == "lib/hash.c"


def test_a_newer_rewrite_replaces_the_older_and_its_files(project: Path) -> None:
    store = Store(project)
    store.add(rewrite())
    store.add(rewrite(body="\tlea (%rdi), %eax\n\tret\n"))
    assert len(store.entries()) == 1
    assert len(list((project / "store").glob("*.asm"))) == 1
    assert store.verify() == []


def test_variants_for_other_processors_live_side_by_side(project: Path) -> None:
    store = Store(project)
    plain = rewrite()
    wide = rewrite(
        candidate=replace(plain.candidate, features=("avx2",)), timing=replace(plain.timing, warm=Interval(3, 2.9, 3.1))
    )
    store.add(plain)
    store.add(wide)
    assert store.lookup("a" * 64) == wide
    assert store.lookup("a" * 64, features=()) == plain
    assert store.lookup("a" * 64, function="another") is None


def test_drop_takes_names_and_functions_and_knows_what_it_has_not(project: Path) -> None:
    store = Store(project)
    entry = store.add(rewrite())
    store.add(rewrite("other", "b" * 64))
    with pytest.raises(StoreError, match="no such entry"):
        store.drop("nothing")
    assert store.drop("other") != ()
    assert store.drop(entry.name) == (entry.name,)
    assert store.names() == ()
    assert store.verify() == []


def test_the_beginning_of_a_name_will_do_where_only_one_begins_so(project: Path) -> None:
    store = Store(project)
    store.add(rewrite())
    second = store.add(rewrite("other", "b" * 64))
    with pytest.raises(StoreError, match="no such entry"):
        store.drop("")
    assert store.drop(second.name[:-2]) == (second.name,)
    for letter in "cd":
        store.add(rewrite("other", letter * 64))
    with pytest.raises(StoreError, match="no such entry"):
        store.drop("oth")
    with pytest.raises(StoreError, match="no such entry"):
        store.drop("has")  # what begins with it is another function
    assert len(store.names()) == 3


@pytest.mark.parametrize("suffix", [".asm", ".json"])
def test_a_file_edited_by_hand_is_reported_and_not_used(project: Path, suffix: str) -> None:
    store = Store(project)
    path = project / "store" / (store.add(rewrite()).name + suffix)
    path.write_bytes(path.read_bytes() + b"\n")
    assert store.lookup("a" * 64) is None
    assert any("edited by hand" in problem for problem in store.verify())


@pytest.mark.parametrize("suffix", [".asm", ".json"])
def test_a_missing_file_costs_only_its_entry(project: Path, suffix: str) -> None:
    store = Store(project)
    (project / "store" / (store.add(rewrite()).name + suffix)).unlink()
    store.add(rewrite("other", "b" * 64))
    assert store.lookup("a" * 64) is None
    assert store.lookup("b" * 64) is not None
    assert len(store.verify()) >= 1


def test_a_clean_of_kbuilds_leaves_the_store_alone(project: Path) -> None:
    """`make clean` of the kernel and of BusyBox deletes by name all over the tree."""
    store = Store(project)
    store.add(rewrite())
    for path in project.rglob("*.[oasi]"):
        path.unlink()
    assert store.verify() == []
    assert store.lookup("a" * 64) is not None


def test_a_store_whose_assembly_has_its_former_name_is_read(project: Path) -> None:
    store = Store(project)
    assembly = project / "store" / f"{store.add(rewrite()).name}.asm"
    assembly.rename(assembly.with_suffix(".s"))
    assert store.verify() == []
    assert store.lookup("a" * 64) is not None
    store.add(rewrite("other", "b" * 64))
    store.drop("hash")
    assert [path.suffix for path in sorted((project / "store").glob("other*"))] == [".asm", ".json"]
    assert not list((project / "store").glob("hash*"))


def test_every_half_of_a_lock_file_is_survived(project: Path) -> None:
    store = Store(project)
    store.add(rewrite())
    store.add(rewrite("other", "b" * 64))
    path = project / "store" / "lock.toml"
    whole = path.read_bytes()
    for size in range(0, len(whole) - 2, 7):
        path.write_bytes(whole[:size])
        fresh = Store(project)
        assert fresh.verify()
        assert fresh.lookup("b" * 64) is None
        Index.load(str(project / "store"))


def test_a_merge_conflict_costs_the_entries_it_touches_and_nothing_is_thrown_away(project: Path) -> None:
    store = Store(project)
    store.add(rewrite("aaa"))
    store.add(rewrite("zzz", "b" * 64))
    path = project / "store" / "lock.toml"
    conflict = path.read_text().replace('function = "zzz"', '<<<<<<< HEAD\nfunction = "zzz"')
    path.write_text(conflict)
    assert store.lookup("a" * 64) is not None
    assert store.lookup("b" * 64) is None
    assert any("line" in problem for problem in store.verify())
    store.add(rewrite("new", "c" * 64))
    assert [kept.read_text() for kept in path.parent.glob("lock.toml.damaged-*")] == [conflict]
    assert store.lookup("a" * 64) is not None


def test_an_entry_cannot_lead_out_of_the_store(project: Path) -> None:
    store = Store(project)
    entry = store.add(rewrite())
    path = project / "store" / "lock.toml"
    path.write_text(path.read_text().replace(entry.name, "../../etc/passwd"))
    assert store.entries() == ()
    assert any("no file name" in problem for problem in store.verify())


def test_a_store_of_a_newer_aicc_is_refused_by_everything(project: Path) -> None:
    store = Store(project)
    store.add(rewrite())
    path = project / "store" / "lock.toml"
    newer = path.read_text().replace("version = 1", "version = 2")
    path.write_text(newer)
    for use in (store.entries, store.names, lambda: store.lookup("a"), lambda: store.add(rewrite()), lambda: store.drop("hash"),
                lambda: Index.load(str(project / "store"))):  # fmt: skip
        with pytest.raises(StoreError, match="newer aicc"):
            use()
    assert path.read_text() == newer
    assert any("newer aicc" in problem for problem in store.verify())


@pytest.mark.parametrize("version", ["99999999999999999999", "1" * 5000])
def test_a_version_of_any_length_is_a_newer_one(project: Path, version: str) -> None:
    Store(project).add(rewrite())
    path = project / "store" / "lock.toml"
    path.write_text(path.read_text().replace("version = 1", f"version = {version}"))
    with pytest.raises(StoreError, match="newer aicc"):
        Index.load(str(project / "store"))
    assert any("newer aicc" in problem for problem in Store(project).verify())


def test_the_index_names_every_function(project: Path) -> None:
    assert Index.load(str(project / "store")).functions() == frozenset()
    for name in ("f.constprop.0", 'quo"te', "back\\slash", "ünïcode", "tab\t"):
        Store(project).add(rewrite(name, name.encode().hex()))
    assert Index.load(str(project / "store")).functions() == {
        "f.constprop.0",
        'quo"te',
        "back\\slash",
        "ünïcode",
        "tab\t",
    }
    assert len(Store(project).entries()) == 5


def test_the_index_imports_nothing_heavy() -> None:
    program = "import os, sys; before = set(sys.modules); import compiler_ai.store.index; print(*sorted(set(sys.modules) - before))"
    root = str(Path(sys.modules["compiler_ai"].__path__[0]).parent)
    code = f"import sys; sys.path.insert(0, {root!r}); {program}"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert all(name == "__future__" or name.startswith("compiler_ai") for name in loaded), loaded


_WRITER = """
import sys
sys.path[:0] = {path!r}
from tests_store_helpers import rewrite
from compiler_ai.store.store import Store
store = Store({project!r})
for i in range({start}, {stop}):
    store.add(rewrite(f"f{{i % 5}}", f"{{i % 5:064x}}", body=f"\\tmov ${{i}}, %eax\\n\\tret\\n"))
    print(i, flush=True)
"""


def writer(project: Path, start: int, stop: int, **options: object) -> subprocess.Popen[str]:
    helpers = project.parent / "tests_store_helpers.py"
    if not helpers.exists():  # a writer that runs already may be importing it
        helpers.write_text(Path(__file__).read_text())
    code = _WRITER.format(path=[str(project.parent), *sys.path], project=str(project), start=start, stop=stop)
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )  # type: ignore[call-overload,no-any-return]


def test_a_writer_killed_at_any_moment_loses_nothing_that_was_stored(project: Path) -> None:
    for name in range(5):
        Store(project).add(rewrite(f"f{name}", f"{name:064x}"))
    for round_ in range(12):
        process = writer(project, 0, 100_000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.003 * round_)
        process.send_signal(signal.SIGKILL)
        process.wait()
        store = Store(project)
        assert [store.lookup(f"{name:064x}") is not None for name in range(5)] == [True] * 5
        assert all("not in lock.toml" in problem for problem in store.verify())
    Store(project).add(rewrite("last", "f" * 64))
    assert not list((project / "store").glob(".new-*"))


def test_parallel_writers_all_get_their_entries_in(project: Path) -> None:
    processes = [writer(project, start, start + 1) for start in range(5)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert len(Store(project).entries()) == 5
    assert Store(project).verify() == []


def test_a_full_disk_is_one_clear_error_and_the_store_stays(project: Path) -> None:
    store = Store(project)
    store.add(rewrite())
    before = {path.name: path.read_bytes() for path in (project / "store").iterdir()}
    big = rewrite("big", "b" * 64, body="\tnop\n" * 20_000)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, old[1]))
    try:
        with pytest.raises(StoreError, match="cannot write"):
            store.add(big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert {path.name: path.read_bytes() for path in (project / "store").iterdir()} == before
    assert store.lookup("a" * 64) is not None
    assert os.path.isdir(project)


_ON_A_FULL_DISK = """
import os, pathlib, shutil, subprocess, sys
sys.path[:0] = {path!r}
from tests_store_helpers import rewrite
from compiler_ai.store.store import Store, StoreError
project = pathlib.Path({project!r})
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", project], check=True)
outcomes = set()
for free_pages in range(8):
    shutil.rmtree(project / "store", ignore_errors=True)
    Store(project).add(rewrite())
    with open(project / "filler", "wb") as filler:
        try:
            while True:
                filler.write(bytes(4096))
                filler.flush()
        except OSError:
            pass
        os.ftruncate(filler.fileno(), max(0, os.path.getsize(project / "filler") - 4096 * free_pages))
        try:
            filler.close()
        except OSError:
            pass
    try:
        Store(project).add(rewrite("other", "b" * 64, body="\\tnop\\n" * 900))
        added = True
    except StoreError as error:
        assert "No space left on device" in str(error), error
        added = False
    os.unlink(project / "filler")
    store = Store(project)
    assert store.lookup("a" * 64) == rewrite(), free_pages
    assert (store.lookup("b" * 64) is not None) == added, free_pages
    assert all("not in lock.toml" in problem for problem in store.verify()), store.verify()
    store.add(rewrite("other", "b" * 64))
    assert len(store.entries()) == 2 and store.lookup("b" * 64) is not None
    outcomes.add(added)
assert outcomes == {{True, False}}, outcomes
"""


def test_a_disk_that_fills_up_at_any_step_of_adding_keeps_what_was_there(project: Path) -> None:
    """A tmpfs with no page free, with one, and so on, in a mount namespace of its own: as root or with user namespaces."""
    (project.parent / "tests_store_helpers.py").write_text(Path(__file__).read_text())
    code = _ON_A_FULL_DISK.format(path=[str(project.parent), *sys.path], project=str(project))
    unshare = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-rm"]
    done = subprocess.run([*unshare, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
