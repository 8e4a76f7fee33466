"""A small real project that has been profiled, and ways to pull the plug on the commands at work in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Candidate, Evidence, Grade, Interval, Rewrite, Timing
from compiler_ai.asm.listing import parse
from compiler_ai.asm.normalise import body_key
from compiler_ai.asm.trees import Trees
from compiler_ai.driver import units
from compiler_ai.proposers.transplant import Source, transplant
from compiler_ai.store.store import Store
from compiler_ai.tune.reproduce import listing_of

HERE = Path(__file__).parent
SHORT_SEARCH = HERE / "short_search.py"
ROUNDS = "300000"
FUNCTIONS = ("sum_differences", "sum_squares")
DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 8),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "a loop": lambda path: (path.unlink(), path.symlink_to(path)),
}


@dataclass(frozen=True)
class Project:
    """`directory` holds the project's sources and .aicc, `cache` is AICC_CACHE, `expected` what the program prints."""

    directory: Path
    cache: Path
    expected: str

    @property
    def aicc(self) -> Path:
        return self.directory / ".aicc"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "AICC_CACHE": str(self.cache)}

    def run(self, *words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; nothing it says may be a traceback."""
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            **options,  # type: ignore[call-overload]
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done

    def tune(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run(*tune_command(*options))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            words,
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def stored(self) -> set[str]:
        """The functions with a rewrite that will be used; asserts that nothing is wrong with the store."""
        store = Store(self.aicc)
        assert [problem for problem in store.verify() if "not in lock.toml" not in problem] == []
        return {entry.function for entry in store.entries()}

    def build(self) -> None:
        """`make -j2` from scratch; the program must do what GCC's does."""
        self.run("make", "clean")
        made = self.run("make", "-j2", "CC=aicc")
        assert (made.returncode, made.stderr) == (0, ""), made.stderr
        assert self.run("./program", "1000").stdout == self.expected

    def processes(self) -> dict[int, str]:
        """Processes of this project's commands that are alive -> their command lines; sandbox runners among them."""
        found = {}
        mark = f"AICC_CACHE={self.cache}\0".encode()
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "stat").read_text().rpartition(") ")[2][0] != "Z":
                    own = mark in (entry / "environ").read_bytes() + b"\0"
                    if own or os.readlink(entry / "exe").startswith(str(self.cache)):
                        words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                        found[int(entry.name)] = words.decode(errors="replace").strip()
            except OSError:
                continue  # it has ended
        return found

    def wait_for(self, what: str) -> int:
        """Wait for a process whose command line holds `what`, and return its number."""
        return until(lambda: next((pid for pid, words in self.processes().items() if what in words), 0))


def tune_command(*options: str) -> list[str]:
    return ["aicc-tool", "tune", "--budget", "30m", "--plugin", str(SHORT_SEARCH), *options]


def until(condition: Callable[[], int]) -> int:
    """Wait until `condition` gives something, and return it. The test's own limit of time ends it otherwise."""
    while not (found := condition()):
        time.sleep(0.05)
    return found


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def lines_until(process: subprocess.Popen[str], text: str) -> Iterator[str]:
    """The lines that a command prints, up to the one that holds `text`."""
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if text in line:
            return


def make_built(directory: Path) -> Project:
    """Copy the sources and build them; what GCC made is kept in gcc/."""
    project = Project(directory / "sums", directory / "cache", "")
    shutil.copytree(HERE / "sums", project.directory)
    assert project.run("aicc-tool", "init").returncode == 0
    assert project.run("make", "CC=aicc").returncode == 0
    (directory / "gcc").mkdir()
    for name in ("main.o", "sums.o", "program"):
        shutil.copy(project.directory / name, directory / "gcc")
    return Project(project.directory, project.cache, project.run("./program", "1000").stdout)


def make_profiled(directory: Path) -> Project:
    """A built project, profiled and with captures; its .aicc is kept in saved/."""
    project = make_built(directory)
    done = project.run("aicc-tool", "profile", "--captures", "6", "--", "./program", ROUNDS)
    assert done.returncode == 0, done.stderr
    assert project.run(sys.executable, "-c", "import compiler_ai.sandbox.runner as r; r.runner_path()").returncode == 0
    shutil.copytree(project.aicc, directory / "saved")
    return project


def fresh(project: Project, cache: Path) -> Project:
    """The project as it was after profiling, with a trial cache of its own."""
    shutil.rmtree(project.aicc)
    shutil.copytree(project.directory.parent / "saved", project.aicc)
    if (project.cache / "runtime").exists():
        shutil.copytree(project.cache / "runtime", cache / "runtime")
    return Project(project.directory, cache, project.expected)


def gccs(project: Project, name: str) -> bytes:
    """An object as GCC made it."""
    return (project.directory.parent / "gcc" / name).read_bytes()


def on_small_disk(directory: Path, size_kib: int, script: str) -> Sequence[str]:
    """A command that runs a shell script with a tmpfs of that size at `directory`, visible to it alone.

    Needs root or user namespaces. `mount` says why when it may not, and the command then ends with status 32.
    """
    mount = f"mount -t tmpfs -o size={size_kib}k none '{directory}' || exit 32\n"
    unshare = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-rm"]
    return [*unshare, "sh", "-c", mount + script]


def add_rewrites(project: Project) -> None:
    """Give the store a rewrite of each function of sums.c without a tuning: its body as GCC compiles it at -O3."""
    command = next(one for one in units.load_all(str(project.aicc)) if one.source.endswith("/sums.c"))
    made = listing_of(command)
    text = project.run("gcc", "-O3", "-S", "sums.c", "-o", "-").stdout
    source, target = Source(parse(text), False, "test", "gcc -O3", ()), parse(made.listing_text)
    for number, name in enumerate(FUNCTIONS):
        body = transplant(source, target, name, f"t{number}", X86_64)
        assert isinstance(body, Candidate)
        key = body_key(target, name, made.flags, Trees(made.dump))
        timing = Timing(Interval(1.5, 1.4, 1.6), None)
        Store(project.aicc).add(Rewrite(key, body, Evidence(Grade.TESTED), timing, X86_64.name, command.source, 0))
