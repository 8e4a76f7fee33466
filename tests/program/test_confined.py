"""What a hostile program can do when it is run: nothing but compute and print."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler_ai.program.confined import Bounds, Jail


@pytest.fixture(scope="module")
def jail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jail]:
    """Holds tests/program/hostile.c as 'a' and `cat` of our own as 'b'."""
    scratch = tmp_path_factory.mktemp("programs")
    cat = scratch / "cat.c"
    cat.write_text("#include <stdio.h>\nint main(void) { int c; while ((c = getchar()) >= 0) putchar(c); return 0; }\n")
    for source in (Path(__file__).with_name("hostile.c"), cat):
        subprocess.run(["gcc", "-O1", "-no-pie", "-o", scratch / source.stem, source], check=True)
    with Jail(Bounds(cpu_s=1, wall_s=5.0, output_bytes=1 << 16)) as made:
        made.install({"a": (scratch / "hostile").read_bytes(), "b": (scratch / "cat").read_bytes()})
        yield made


def test_a_harmless_program_runs_as_often_as_asked(jail: Jail) -> None:
    runs, output = jail.run("BBbB", b"hello\n")
    assert [run.status for run in runs] == [0] * 4
    assert all(run.wall_ns > 0 for run in runs)
    assert output == b"hello\n"


@pytest.mark.parametrize("what", ["read", "write", "network", "fork", "kill", "memory"])
def test_nothing_of_the_machine_is_within_reach(jail: Jail, what: str) -> None:
    (run,), output = jail.run("a", what.encode())
    assert (run.status, output) == (3, b"1")


@pytest.mark.parametrize(
    ("what", "ended_by"),
    [("endless", signal.SIGKILL), ("output", signal.SIGXFSZ), ("fault", signal.SIGSEGV)],
)
def test_what_does_not_end_is_ended(jail: Jail, what: str, ended_by: signal.Signals) -> None:
    (run, after), output = jail.run("ab", what.encode())
    assert run.status == -ended_by
    assert after.status == 0
    assert output == what.encode()


def test_a_program_that_waits_for_ever_is_ended(jail: Jail) -> None:
    (run,), _ = jail.run("a", b"sleep")
    assert run.status in (-signal.SIGKILL, -signal.SIGXCPU)


def test_an_ordinary_user_confines_as_well(tmp_path: Path) -> None:
    """Or hears in one line that the machine does not permit it."""
    script = (
        "import os, pathlib, sys\n"
        "from compiler_ai.program.confined import ConfineError, Jail\n"
        "seven = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "with Jail() as jail: jail.install({'a': seven})  # the helper is made, and all is imported\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "try:\n"
        "    with Jail() as jail:\n"
        "        jail.install({'a': seven})\n"
        "        print(jail.run('a', b'')[0][0].status)\n"
        "except ConfineError as error:\n"
        "    print(error)\n"
    )
    source = tmp_path / "seven.c"
    source.write_text("int main(void) { return 7; }\n")
    subprocess.run(["gcc", "-no-pie", "-o", tmp_path / "seven", source], check=True)
    with tempfile.TemporaryDirectory(dir="/tmp") as cache:  # pytest's own directories are closed to other users
        Path(cache).chmod(0o755)
        environment = {**os.environ, "AICC_CACHE": cache, "TMPDIR": "/tmp"}
        words = [sys.executable, "-c", script, str(tmp_path / "seven")]
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == "7" or "cannot be confined here: private namespaces" in done.stdout, done.stderr
