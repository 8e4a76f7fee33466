"""Whatever goes wrong with a profile is one line, and loses nothing that was there."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compiler_ai.artifacts import ProfiledFunction
from compiler_ai.profile.errors import ProfileError
from compiler_ai.profile.model import Profile, Run

TOOL = [sys.executable, "-m", "compiler_ai.tool.main", "profile"]
PROFILE = Profile(
    (Run(("prog",), "perf", "cpu-clock", "samples", 100, date="2026-01-01T00:00:00+00:00"),),
    (ProfiledFunction("f", "/bin/x", "x.c", 16, 32, 1.0),),
)
SPIN = "int main(void){ volatile unsigned s = 0; for (;;) for (unsigned i = 0; i < 1000; i++) s += i * s; }"
SHORT = "int main(void){ volatile unsigned s = 0; for (unsigned i = 0; i < 200000000; i++) s += i; return 7; }"


def program(directory: Path, text: str) -> str:
    source = directory / "spin.c"
    source.write_text(text)
    subprocess.run(["gcc", "-O2", "-o", str(directory / "spin"), str(source)], check=True)
    return str(directory / "spin")


def test_a_profile_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "profile.json"
    PROFILE.save(path)
    before = path.read_bytes()
    big = Profile(PROFILE.runs, PROFILE.functions * 2000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (4096, limits[1])
    )  # Python ignores SIGXFSZ: write fails as on a full disk
    try:
        with pytest.raises(ProfileError, match=r"profile\.json: cannot be written: File too large"):
            big.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["profile.json"]


@pytest.mark.parametrize("kind", ["missing", "directory", "file"])
def test_an_unwritable_place_is_one_error(tmp_path, kind):
    path = tmp_path / "place" / "profile.json"
    if kind == "directory":
        (path / "x").mkdir(parents=True)
    if kind == "file":
        path.parent.write_text("")
    with pytest.raises(ProfileError, match="cannot be written"):
        PROFILE.save(path)


def test_the_command_does_not_run_when_its_profile_could_not_be_written(tmp_path):
    (tmp_path / "place").write_text("")
    words = [*TOOL, "-o", str(tmp_path / "place"), "--", "touch", str(tmp_path / "ran")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "nothing can be written there" in done.stderr
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "profile.json").write_text("{")
    words = [*TOOL, "-o", str(tmp_path / "good"), "--add", "--", "touch", str(tmp_path / "ran")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert not (tmp_path / "ran").exists()


def hostile() -> dict[str, str]:
    good = json.loads(json.dumps({"version": 2, "runs": [], "functions": [], "unmatched": []}))
    function = {
        "symbol": "f", "module": "/x", "source": "", "address": 1, "size_bytes": 1, "cost": 1.0, "samples": [],
    }  # fmt: skip
    run = {
        "command": [], "tool": "", "event": "", "unit": "", "samples": 1, "weight": 1, "note": "", "date": "", "status": 0,
    }  # fmt: skip

    def functions(**change: object) -> str:
        return json.dumps({**good, "functions": [{**function, **change}]})

    return {
        "deep list": "[" * 100_000,
        "deep table": '{"a":' * 100_000,
        "deep inside": json.dumps(good).replace('"runs": []', '"runs": ' + "[" * 900 + "]" * 900),
        "digits": '{"version": 1' + "0" * 5000 + "}",
        "large number": functions(cost=0).replace('"cost": 0', '"cost": ' + "9" * 400),
        "infinity": functions(cost="inf"),
        "not a number": functions(cost="nan"),
        "negative cost": functions(cost=-1.0),
        "negative sample": functions(samples=[{"offset": 0, "count": -1.0}]),
        "negative size": functions(size_bytes=-1),
        "large address": functions(address=1 << 70),
        "path as symbol": functions(symbol="../../../etc/x"),
        "escape as symbol": functions(symbol="f\x1b[2J"),
        "no symbol": functions(symbol=""),
        "weight": json.dumps({**good, "runs": [{**run, "weight": 0}]}),
        "lists": "[]",
        "null": "null",
        "string": '"version"',
        "version list": '{"version": [1]}',
        "version 1 with odd runs": '{"version": 1, "runs": [3], "functions": [], "unmatched": []}',
        "version 1 without runs": '{"version": 1}',
        "unmatched": json.dumps({**good, "unmatched": [{"module": "", "reason": "", "cost": "nan"}]}),
    }


@pytest.mark.parametrize("name", list(hostile()))
def test_hostile_json_is_one_error(tmp_path, name):
    path = tmp_path / "profile.json"
    path.write_text(hostile()[name])
    with pytest.raises(ProfileError, match=r"profile\.json: .*aicc-tool profile") as error:
        Profile.load(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_profile_of_version_1_is_still_read(tmp_path):
    path = tmp_path / "profile.json"
    PROFILE.save(path)
    value = json.loads(path.read_text())
    value["version"] = 1
    for run in value["runs"]:
        del run["date"], run["status"]
    path.write_text(json.dumps(value))
    assert Profile.load(path).functions == PROFILE.functions
    assert Profile.load(path).runs[0].date == ""


@pytest.mark.parametrize("captures", [[], ["--no-captures"]])
def test_the_exit_status_is_the_commands_own(tmp_path, captures):
    command = program(tmp_path, SHORT)
    words = [*TOOL, "-o", str(tmp_path / ".aicc"), *captures, "--", command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    run = Profile.load(tmp_path / ".aicc" / "profile.json").runs[0]
    assert (run.status, run.note) == (7, "the command ended with exit status 7")
    assert done.stderr.count("the command ended with exit status 7\n") == 1
    assert run.date[:2] == "20"


def test_a_command_that_a_signal_ends_has_the_shells_status(tmp_path):
    command = program(tmp_path, SHORT.replace("return 7", "__builtin_trap()"))
    words = [*TOOL, "-o", str(tmp_path / ".aicc"), "--no-captures", "--", command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGILL
    assert "\nthe command ended by signal 4 (SIGILL)\n" in done.stderr


@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "kill"])
def test_an_interrupt_keeps_what_was_sampled(tmp_path, whole_group):
    command = program(tmp_path, SPIN)
    words = [*TOOL, "-o", str(tmp_path / ".aicc"), "--", command]
    tool = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for_sampling(command)
    if whole_group:
        os.killpg(tool.pid, signal.SIGINT)
    else:
        tool.send_signal(signal.SIGINT)
    _, said = tool.communicate(timeout=30)
    assert tool.returncode == 130, said
    assert "Traceback" not in said
    assert "interrupted: the samples until then are kept" in said
    profile = Profile.load(tmp_path / ".aicc" / "profile.json")
    assert profile.functions[0].symbol == "main"
    assert not running(command)


def wait_for_sampling(command: str) -> None:
    for _ in range(600):
        if running(command):
            break
        time.sleep(0.05)
    time.sleep(0.7)


def running(command: str) -> bool:
    for directory in Path("/proc").iterdir():
        try:
            if directory.name.isdigit() and os.readlink(directory / "exe") == command:
                return True
        except OSError:
            continue
    return False


def test_a_function_that_is_never_rewritten_is_named_and_not_captured(tmp_path):
    (tmp_path / "hot.c").write_text(
        "#include <setjmp.h>\nstatic jmp_buf env; volatile unsigned sink;"
        "__attribute__((noinline)) void returns_twice(unsigned n)"
        "{ if (!setjmp(env)) for (unsigned i = 0; i < n; i++) sink += i; }"
        "__attribute__((noinline)) void plain(unsigned n) { for (unsigned i = 0; i < n; i++) sink += i * 3; }"
        "int main(void) { for (unsigned i = 0; i < 3000; i++) { returns_twice(40000 + i); plain(40000 + i); } return 0; }"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "PATH": f"{root / 'bin'}:{os.environ['PATH']}"}

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stderr

    run(sys.executable, "-m", "compiler_ai.tool.main", "init")
    run("aicc", "-O2", "-c", "hot.c")
    run("aicc", "-o", "hot", "hot.o")
    said = run(*TOOL, "--", "./hot")
    assert "returns_twice: never rewritten: it calls a function that returns twice" in said
    kept = {path.name.partition(".")[0] for path in (tmp_path / ".aicc" / "captures").rglob("*.cap")}
    assert kept == {"plain"}
