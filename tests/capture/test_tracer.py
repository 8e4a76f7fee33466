"""Traced programs of many kinds behave as without tracing, and what is captured of them can be used."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from capture_runs import Traced, build, finish, plain, start, target, trace

from compiler_ai.capture.errors import CaptureError, RemoteCallError, TargetNotFoundError
from compiler_ai.capture.format import Capture, load
from compiler_ai.capture.modules import Target
from compiler_ai.capture.ptrace import O_TRACECLONE, SEIZE, remote_call, request
from compiler_ai.capture.schedule import Schedule
from compiler_ai.capture.tracer import record

HERE = Path(__file__).parent
LEAVING = ("jumps", "ends_thread", "ends_process", "shares", "reads", "allocates", "both")
PLUGIN = "static long state; {more} long entry(long n) {{ state = state * {key} + n; return state {end}; }}"


def captures(traced: Traced, function: str) -> list[Capture]:
    return [load(Path(path)) for path in traced.functions[function]["files"]]


@pytest.fixture(scope="module", params=[[], ["-static"]], ids=["dynamic", "static"])
def leaving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Traced:
    directory = tmp_path_factory.mktemp("leaving")
    program = build(HERE / "leaving.c", directory, "-pthread", *request.param)
    traced = trace([str(program)], [target(program, name) for name in LEAVING], directory / "out", per_function=6)
    assert (traced.status, traced.stdout) == plain([str(program)]) == (9, b"3000\n")
    return traced


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("jumps", "it leaves by longjmp or another way than its return"),
        ("ends_process", "it ends its process and never returns"),
        ("shares", "it uses memory that other processes share"),
    ],
)
def test_what_cannot_be_replayed_is_marked(leaving, function, reason):
    found = leaving.functions[function]
    assert (found["files"], found["impure"]) == ([], found["taken"])
    assert found["taken"] > 0
    assert set(found["reasons"]) == {reason}


def test_a_function_that_ends_its_thread_is_marked(leaving):
    found = leaving.functions["ends_thread"]
    assert found["files"] == []
    assert found["impure"] == found["taken"] > 0


def test_memory_that_is_shared_but_only_read_can_be_replayed(leaving):
    assert captures(leaving, "reads")


def test_a_function_that_a_short_program_calls_once_at_its_start_is_captured(tmp_path):
    (tmp_path / "once.c").write_text("long once(long n) { return n * 3; }")
    (tmp_path / "short.c").write_text("long once(long); int main(void) { return once(3); }")
    library = build(tmp_path / "once.c", tmp_path, "-shared", "-fPIC", name="libonce.so")
    program = build(tmp_path / "short.c", tmp_path, str(library), "-Wl,-rpath,$ORIGIN")
    taken = []
    for number in range(10):
        traced = trace([str(program)], [target(library, "once")], tmp_path / f"out{number}")
        assert traced.status == 9
        taken.append(traced.functions["once"]["taken"])
    assert taken == [1] * 10


def test_a_short_program_s_first_calls_are_captured_one_after_another(tmp_path):
    (tmp_path / "few.c").write_text(
        "__attribute__((noipa)) long few(long n) { return n * 3; }"
        "int main(void) { long sum = 0; for (long n = 1; n < 5; n++) sum += few(n); return sum; }"
    )
    program = build(tmp_path / "few.c", tmp_path)
    traced = trace([str(program)], [target(program, "few")], tmp_path / "out")
    assert traced.status == 30
    assert [capture.registers["rdi"] for capture in captures(traced, "few")] == [1, 2, 3, 4]


def test_an_entry_is_not_armed_while_a_thread_takes_its_step_over_it(tmp_path, monkeypatch):
    names = [f"step{n}" for n in range(8)]
    functions = "".join(f"__attribute__((noipa)) long {name}(long n) {{ return same(n) * 3; }}\n" for name in names)
    calls = " + ".join(f"{name}(n)" for name in names)
    (tmp_path / "steps.c").write_text(
        "__attribute__((noipa)) long same(long n) { return n; }\n"
        f"{functions} int main(void) {{ long sum = 0; for (long n = 0; n < 24; n++) sum += {calls}; return sum != 6624; }}"
    )
    program = build(tmp_path / "steps.c", tmp_path)
    targets = [Target(*target(program, name)) for name in names]
    monkeypatch.setattr(Schedule, "is_due", lambda schedule, _now_s: schedule.wants_next)
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})  # the program runs only while the tracer waits
    try:
        summary = record(["chrt", "--idle", "0", str(program)], targets, lambda _: tmp_path / "out")
    finally:
        os.sched_setaffinity(0, processors)
    assert summary.status == 0


def test_limited_memory_is_not_taken_in_large_steps(tmp_path):
    """The allocator's settings, which make calls pure, would fail here where the program alone does not."""
    (tmp_path / "limited.c").write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
        "__attribute__((noinline)) char *work(long n) { char *p = malloc(n); if (p) p[0] = 1; return p; }"
        "int main(void) { char *first = sbrk(0); int ok = 0; for (int i = 0; i < 1000; i++) ok += work(1000) != 0;"
        'printf("%d %d\\n", ok, (char *)sbrk(0) - first < 16 << 20); }'
    )
    program = build(tmp_path / "limited.c", tmp_path)
    limit = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 33, limit[1]))
    try:
        traced = trace([str(program)], [target(program, "work")], tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limit)
    assert (traced.status, traced.stdout) == (0, b"1000 1\n") == plain([str(program)])


def test_calls_that_allocate_can_be_replayed(leaving):
    assert captures(leaving, "allocates")
    assert leaving.functions["allocates"]["impure"] <= 1


def test_calls_without_a_system_call_are_preferred(leaving):
    found = leaving.functions["both"]
    assert any("system call" in reason for reason in found["reasons"])
    kept = captures(leaving, "both")
    assert len(kept) >= 3
    assert all(capture.registers["rdi"] & 0xFFFFFFFF == 0xFFFFFFFF for capture in kept)


def test_rare_kinds_of_calls_are_captured_too(tmp_path):
    program = build(HERE / "kinds.c", tmp_path)
    traced = trace([str(program)], [target(program, "total")], tmp_path / "out", per_function=8)
    assert (traced.status, traced.stdout) == plain([str(program)])
    kept = captures(traced, "total")
    assert len(kept) == 8
    lengths = Counter(capture.registers["rsi"] & 0xFFFFFFFF > 1000 for capture in kept)
    assert lengths[True] >= 1, "one call in 30,000 is of this kind"
    assert lengths[False] >= 4
    starts = {capture.registers["rdi"] for capture in kept}
    assert len(starts) >= 2


def test_files_stay_within_their_bounds(tmp_path):
    program = build(HERE / "kinds.c", tmp_path)
    out = tmp_path / "out"
    bound = 600_000
    traced = trace([str(program)], [target(program, "total")], out, per_function=50, function_bytes=bound)
    sizes = [path.stat().st_size for path in out.iterdir()]
    assert sum(sizes) == traced.size_bytes <= bound
    assert len(sizes) == len(traced.functions["total"]["files"]) > 3
    assert all(path.suffix == ".cap" for path in out.iterdir())


def test_captures_of_an_earlier_run_stay(tmp_path):
    program = build(HERE / "kinds.c", tmp_path)
    wanted, out = [target(program, "total")], tmp_path / "out"
    trace([str(program)], wanted, out, per_function=3)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    second = trace([str(program)], wanted, out, per_function=3)
    assert {name: (out / name).read_bytes() for name in before} == before
    assert len(list(out.iterdir())) == len(before) + len(second.functions["total"]["files"]) == 6


def test_nothing_more_is_captured_when_the_program_was_held_up_long_enough(tmp_path):
    program = build(HERE / "kinds.c", tmp_path)
    traced = trace([str(program)], [target(program, "total")], tmp_path / "out", per_function=50, function_s=0.02)
    assert 0 < traced.functions["total"]["taken"] < 20


@pytest.mark.parametrize("flags", [[], ["-static"]], ids=["dynamic", "static"])
def test_threads_that_fork_and_spawn_are_undisturbed(tmp_path, flags):
    program = build(HERE / "forks.c", tmp_path, "-pthread", *flags)
    traced = trace([str(program)], [target(program, "work")], tmp_path / "out")
    assert (traced.status, traced.stdout) == (5, b"failures 0\n") == plain([str(program)])
    assert captures(traced, "work")


def test_libraries_that_come_and_go_are_captured_and_undisturbed(tmp_path):
    for name, values in {
        "one": {"key": 3, "end": "* 5", "more": ""},
        "two": {"key": 7, "end": "+ 1", "more": ""},
    }.items():
        source = tmp_path / f"{name}.c"
        source.write_text(PLUGIN.format(**values))
        build(source, tmp_path, "-shared", "-fPIC", name=f"{name}.so")
    program = build(HERE / "plugins.c", tmp_path)
    one, two = tmp_path / "one.so", tmp_path / "two.so"
    command = [str(program), str(one), str(two)]
    traced = trace(command, [target(one, "entry")], tmp_path / "out")
    assert (traced.status, traced.stdout) == plain(command)
    assert traced.status == 4, "the libraries share an address, or this shows nothing"
    found = captures(traced, "entry")
    assert found
    for capture in found:
        assert capture.registers.rip == capture.entry_address
        mapping = next(m for m in capture.mappings if m.start <= capture.registers.rip < m.end)
        assert mapping.file == str(one)


def test_a_confined_process_is_left_alone(tmp_path):
    program = build(HERE / "confined.c", tmp_path)
    traced = trace([str(program)], [target(program, "work")], tmp_path / "out")
    assert (traced.status, traced.stdout) == plain([str(program)])
    assert traced.status == 11
    assert list(traced.functions["work"]["reasons"]) == [
        "the process runs under seccomp, which might end it for being copied"
    ]


ENDLESS = """
__attribute__((noinline)) long work(long n) { long s = n; for (long i = 0; i < 3000; i++) s = s * 33 + (s >> 7); return s; }
int main(void) { volatile long s = 0; for (long i = 0; ; i++) s += work(i & 1023); }
"""


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    (tmp_path / "endless.c").write_text(ENDLESS)
    return build(tmp_path / "endless.c", tmp_path)


def processes_of(program: Path) -> list[int]:
    """The processes that run a program, their copies included."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "exe") == str(program):
                found.append(int(entry.name))
        except OSError:
            continue
    return sorted(found)


def started(program: Path, out: Path) -> tuple[subprocess.Popen, int]:
    tracer = start([str(program)], [target(program, "work")], out)
    while not list(out.glob("*.cap")):
        time.sleep(0.02)
    return tracer, processes_of(program)[0]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("attempt", range(3))
def test_a_program_that_is_killed_while_it_is_captured_ends_like_any_other(endless, tmp_path, number, attempt):
    tracer, process = started(endless, tmp_path / "out")
    time.sleep(0.013 * attempt)
    os.kill(process, number)
    assert finish(tracer, 20).status == -number
    assert not processes_of(endless)


def test_a_program_can_be_stopped_and_continued_while_it_is_captured(endless, tmp_path):
    tracer, process = started(endless, tmp_path / "out")
    for _ in range(60):
        os.kill(process, signal.SIGSTOP)
        time.sleep(0.003)
        os.kill(process, signal.SIGCONT)
        time.sleep(0.004)
    os.kill(process, signal.SIGSTOP)
    time.sleep(0.3)
    before = cpu_ticks(process)
    time.sleep(0.3)
    assert cpu_ticks(process) == before, "stopped is stopped"
    os.kill(process, signal.SIGCONT)
    time.sleep(0.3)
    assert cpu_ticks(process) > before
    os.kill(process, signal.SIGTERM)
    assert finish(tracer, 20).status == -signal.SIGTERM


def cpu_ticks(process: int) -> int:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "kill"])
def test_an_interrupt_ends_the_command_and_keeps_its_captures(endless, tmp_path, whole_group):
    tracer, _ = started(endless, tmp_path / "out")
    if whole_group:
        os.killpg(tracer.pid, signal.SIGINT)
        time.sleep(0.2)
    else:
        os.kill(tracer.pid, signal.SIGINT)
    if tracer.poll() is None and processes_of(endless):
        os.killpg(tracer.pid, signal.SIGINT)
    traced = finish(tracer, 20)
    assert traced.status == -signal.SIGINT
    assert captures(traced, "work")


def test_what_the_command_leaves_running_goes_on_untraced(endless, tmp_path):
    tracer = start(["sh", "-c", f"{endless} >/dev/null 2>&1 & exit 3"], [target(endless, "work")], tmp_path / "out")
    traced = finish(tracer, 30)
    assert traced.status == 3
    left = processes_of(endless)
    try:
        assert len(left) == 1
        status = Path(f"/proc/{left[0]}/status").read_text()
        assert "TracerPid:\t0" in status
        before = cpu_ticks(left[0])
        time.sleep(0.3)
        assert cpu_ticks(left[0]) > before
    finally:
        for process in left:
            os.kill(process, signal.SIGKILL)


def test_a_thread_that_ends_under_a_remote_call_is_a_typed_error():
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    request(SEIZE, child, 0, O_TRACECLONE)
    os.kill(child, signal.SIGKILL)
    with pytest.raises(RemoteCallError) as error:
        remote_call(child, 0x1000, 39)
    assert isinstance(error.value, CaptureError)
    assert os.waitpid(child, 0)[0] == child


def test_a_function_that_is_not_there_is_an_error_of_its_own(endless, tmp_path):
    module, symbol, value = target(endless, "work")
    there, gone = Target(module, symbol, value), Target(module, symbol, value + 16)
    with pytest.raises(TargetNotFoundError, match="profile again"):
        record([str(endless)], [gone], lambda _: tmp_path)
    with pytest.raises(CaptureError, match="not a program or library"):
        record([str(endless)], [Target(__file__, "f", 0)], lambda _: tmp_path)
    summary = record(["/bin/true"], [there, gone], lambda _: tmp_path)
    assert list(summary.functions[gone].reasons) == [f"{module}: no work at {value + 16:#x}: it was linked anew or "
                                                     "stripped since it was profiled: profile again"]  # fmt: skip


def test_a_command_that_cannot_run_is_one_error(endless, tmp_path):
    wanted = [Target(*target(endless, "work"))]
    with pytest.raises(CaptureError, match="cannot be run: No such file"):
        record(["/no/such/program"], wanted, lambda _: tmp_path)
    with pytest.raises(CaptureError, match="cannot be run: embedded null"):
        record(["/bin/true", "a\0b"], wanted, lambda _: tmp_path)
    with pytest.raises(CaptureError, match="cannot be written"):
        record(["/bin/true"], wanted, lambda _: Path(__file__) / "out")
