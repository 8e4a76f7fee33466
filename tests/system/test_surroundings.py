"""What a build brings along besides its sources: exported variables, limits, programs that come and go, other people's files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import own_bodies
import pytest

import compiler_ai
from compiler_ai.driver import units

SOURCE = "int hot(int n) { int s = 0; for (int i = 0; i < n; i++) s += i * i ^ s; return s; }\n"
PACKAGE = Path(compiler_ai.__file__).parent
NAMES = [
    "name",
    "ours",
    "models",
    "up",
    "directory",
    "compiler",
    "first",
    "second",
    "output",
    "option",
    "word",
    "known",
    "key",
    "self",
    "prefix",
    "main",
    "python",
    "line",
    "project",
    "cwd",
    "recorded",
    "record",
    "lock",
    "state",
    "trees",
    "shims",
    "path",
    "command",
    "sources",
    "arguments",
    "object",
    "links",
    "as",
    "names",
    "now",
    "memory",
    "argument",
    "limit",
    "owner",
    "next",
    "tool",
    "base",
    "front",
    "llvm",
    "version",
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a unit whose rewrite is stored."""
    work = tmp_path / "work"
    (work / ".aicc").mkdir(parents=True)
    (work / "hot.c").write_text(SOURCE)
    subprocess.run(["aicc", "-O2", "-c", "hot.c"], cwd=work, check=True)
    assert own_bodies.fill(work / ".aicc", list(units.load_all(str(work / ".aicc")))) == ["hot"]
    time.sleep(0.2)  # a store that may be changing is not noted
    return work


def run(where: Path, what: str, /, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(what, shell=True, cwd=where, env=environment, capture_output=True, text=True, check=False)


def same(directory: Path, line: str, times: int = 2, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line by gcc and, `times` times, by aicc: all end and say the same. The last of aicc's is returned."""
    expected = run(directory, line.replace("$CC", "gcc"), **variables)
    for _ in range(times):
        (directory / "hot.o").unlink(missing_ok=True)
        done = run(directory, line.replace("$CC", "aicc"), **variables)
        assert (done.returncode, done.stdout, done.stderr) == (expected.returncode, expected.stdout, expected.stderr)
    return done


def is_rewritten(directory: Path) -> bool:
    made = (directory / "hot.o").read_bytes()
    subprocess.run(["gcc", "-O2", "-c", "hot.c", "-o", "gcc.o"], cwd=directory, check=True)
    return made != (directory / "gcc.o").read_bytes()


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("where", ["project", "elsewhere"])
def test_exported_variables_reach_the_compiler_as_they_are(where: str, project: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "gcc", f'#!/bin/sh\nenv >{tmp_path}/seen\nexec {shutil.which("gcc")} "$@"\n')
    variables = {name: f"{name} of mine" for name in NAMES} | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    directory = project if where == "project" else tmp_path
    (directory / "hot.c").write_text(SOURCE)
    for _ in range(2):
        assert run(directory, "aicc -O2 -c hot.c", **variables).returncode == 0
        seen = (tmp_path / "seen").read_text().splitlines()
        assert [name for name in NAMES if f"{name}={name} of mine" not in seen] == []


def test_the_archiver_gets_them_too(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "gcc-ar", f"#!/bin/sh\nenv >{tmp_path}/seen\n")
    variables = {name: f"{name} of mine" for name in NAMES} | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    assert run(tmp_path, "aicc-ar t x.a", **variables).returncode == 0
    seen = (tmp_path / "seen").read_text().splitlines()
    assert [name for name in NAMES if f"{name}={name} of mine" not in seen] == []


def test_a_strangers_project_is_none(project: Path) -> None:
    """In a directory that all may write to, it could name the program that is our assembler."""
    same(project, "$CC -O2 -c hot.c")
    assert is_rewritten(project)
    stranger = 65534
    os.chown(project / ".aicc", stranger, stranger)
    for line in ("$CC -O2 -c hot.c", "$CC -O2 -c hot.c -faicc-mode=apply"):
        assert run(project, line.replace("$CC", "aicc")).returncode == 0
        assert not is_rewritten(project)
    os.chown(project, stranger, stranger)  # whose sources these are, too
    same(project, "$CC -O2 -c hot.c")
    assert is_rewritten(project)


@pytest.mark.parametrize("blocks", [4, 8, 40])
def test_a_limit_of_file_sizes_is_for_what_gcc_writes(blocks: int, project: Path) -> None:
    same(project, "$CC -O2 -c hot.c")
    same(project, f"ulimit -f {blocks}; $CC -O2 -c hot.c")
    assert not is_rewritten(project)
    assert "ulimit -f" in (project / ".aicc" / "log").read_text()


def test_a_compiler_proper_that_gets_no_descriptors(project: Path) -> None:
    cc1 = subprocess.run(["gcc", "-print-prog-name=cc1"], capture_output=True, text=True, check=True).stdout.strip()
    text = f"#!{sys.executable}\nimport subprocess, sys\nsys.exit(subprocess.call([{cc1!r}, *sys.argv[1:]]))\n"
    program(project / "b" / "cc1", text)
    same(project, f"$CC -B{project}/b -O2 -c hot.c")
    same(project, "$CC -O2 -c hot.c", COMPILER_PATH=f"{project}/b")
    (project / "b" / "cc1").rename(project / "b" / "other")
    same(project, f"$CC -B{project}/b -O2 -c hot.c")
    assert is_rewritten(project)


@pytest.mark.parametrize("source", ["hot.c", "cold.c"])
def test_an_assembler_that_goes(source: str, project: Path) -> None:
    (project / "cold.c").write_text("int cold(int n) { return n * 3; }\n")
    program(project / "bin" / "as", f'#!/bin/sh\nexec {shutil.which("as")} "$@"\n')
    variables = {"PATH": f"{project}/bin:{os.environ['PATH']}"}
    same(project, f"$CC -O2 -c {source}", 3, **variables)
    (known,) = (project / ".aicc" / "cache" / "known").glob(f"*{source}.known")
    known.write_text(known.read_text().replace("\nas\n", f"\n{project}/bin/as\n"))
    same(project, f"$CC -O2 -c {source}", **variables)
    (project / "bin" / "as").unlink()
    same(project, f"$CC -O2 -c {source}", **variables)


def test_assembly_that_follows_a_source_gets_nothing_of_its_dumps(project: Path) -> None:
    """The source's `hot` is the rewrite's; the assembly is of one with other types and the same code."""
    (project / "hot.c").write_text("void hot(int *p, int n) { while (n--) { *p = n; p += 3; } }\n")
    subprocess.run(["aicc", "-O1", "-c", "hot.c"], cwd=project, check=True)
    assert own_bodies.fill(project / ".aicc", list(units.load_all(str(project / ".aicc")))) == ["hot"]
    (project / "other.c").write_text("void hot(volatile int *p, int n) { while (n--) { *p = n; p += 3; } }\n")
    subprocess.run(["gcc", "-O1", "-S", "other.c"], cwd=project, check=True)
    for words in ("hot.c other.s", "-pipe hot.c other.s", "cold.c other.s"):
        (project / "cold.c").write_text("int cold(void) { return 1; }\n")
        same(project, f"$CC -O1 -c {words} && cat other.o | od -c")


def test_a_full_dev_shm_is_not_told(project: Path) -> None:
    line = "mount -t tmpfs -o size=64k none /dev/shm; cat /dev/zero >/dev/shm/full 2>/dev/null; $CC -O2 -c hot.c; ls /dev/shm"
    same(project, "$CC -O2 -c hot.c")
    same(project, f"unshare -m sh -c '{line}'", 3)


def test_a_pipe_of_somebodys_in_dev_shm_keeps_nobody_waiting(project: Path) -> None:
    line = "mount -t tmpfs none /dev/shm; mkfifo /dev/shm/aicc-trees-$$; exec $CC -O2 -c hot.c"
    same(project, "$CC -O2 -c hot.c")
    same(project, f"unshare -m timeout 20 sh -c '{line}'")
    assert is_rewritten(project)


@pytest.mark.parametrize(("flags", "blocks"), [("-O2 -pipe", 200), ("-O2 -flto -pipe", 1000)])
def test_a_limit_between_the_objects_size_and_the_listings(flags: str, blocks: int, project: Path) -> None:
    (project / "hot.c").write_text(SOURCE + "".join(f"int f{i}(int a) {{ return a + {i}; }}\n" for i in range(900)))
    same(project, f"$CC {flags} -c hot.c")
    assert same(project, f"ulimit -f {blocks}; $CC {flags} -c hot.c").returncode == 0


def test_warnings_of_the_assembler_that_nobody_gets(project: Path) -> None:
    (project / "hot.c").write_text(SOURCE + 'asm(".warning \\"x\\"");\n')
    same(project, "$CC -O2 -c hot.c 2>/dev/full && ls hot.o", 3)
    assert is_rewritten(project)


@pytest.mark.parametrize("flags", ["-O2", "-O2 -x c"])
def test_an_ignored_sigpipe_stays_ignored(flags: str, project: Path) -> None:
    (project / "hot.c").write_text(SOURCE + 'asm(".warning \\"x\\""); int unused(int a) { int b; return a; }\n')
    ignoring = f"""
import os, signal, subprocess, sys
reader, writer = os.pipe()
os.close(reader)
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
words = [sys.argv[1], *"-Wall {flags} -c hot.c".split()]
sys.exit(subprocess.run(words, stderr=writer, restore_signals=False).returncode)
"""
    (project / "ignoring.py").write_text(ignoring)
    same(project, f"{sys.executable} ignoring.py $CC && ls hot.o", 3)


def test_an_unreadable_compiler_is_not_looked_into(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "gcc", "")
    shutil.copy(shutil.which("true") or "", tmp_path / "bin" / "gcc")
    (tmp_path / "bin" / "gcc").chmod(0o711)
    tmp_path.chmod(0o755)
    shutil.copy(Path(__file__).parents[2] / "bin" / "aicc", tmp_path / "aicc")
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(tmp_path, Path(directory) / "all")
        Path(directory).chmod(0o755)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        words = [*nobody, "/bin/sh", f"{directory}/all/aicc", "-c", "x.c"]
        environment = {**os.environ, "PATH": f"{directory}/all/bin:{os.environ['PATH']}"}
        done = subprocess.run(words, cwd="/", env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def installation(prefix: Path) -> tuple[Path, dict[str, str]]:
    """A copy of aicc that a test may damage: its package, and the variables by which it is the one that runs."""
    package = prefix / "lib" / "python3.11" / "site-packages" / "compiler_ai"
    shutil.copytree(PACKAGE, package)
    launcher = prefix / "bin" / "aicc"
    launcher.parent.mkdir()
    shutil.copy(shutil.which("aicc") or "", launcher)
    (launcher.parent / "python3.11").symlink_to(sys.executable)
    return package, {"PATH": f"{launcher.parent}:{os.environ['PATH']}"}


_IMPORTED = (
    "driver/launch.py", "driver/shim.py", "driver/starting.py", "driver/assembler.py", "driver/log.py", "driver/apply.py",
    "regular.py", "errors.py", "asm/trees.py",
)  # fmt: skip


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *((file, "") for file in ("driver/main.py", "driver/as_main.py", "libexec/as", *_IMPORTED)),
        *((file, "def damaged(:\n") for file in _IMPORTED),
    ],
)
def test_a_damaged_installation_compiles(file: str, content: str, project: Path, tmp_path: Path) -> None:
    """A file is empty, as after a crash, or Python cannot read it."""
    package, variables = installation(tmp_path / "prefix")
    for damaged in (False, True):
        if damaged:
            (package / file).write_text(content)
        for flags in ("-O2", "-O2 -pipe"):
            same(project, f"$CC {flags} -c hot.c && nm hot.o", 3, **variables)
            assert damaged or is_rewritten(project)
        shutil.rmtree(project / ".aicc" / "cache" / "known")
        same(project, "$CC -O2 -c hot.c && nm hot.o", 3, **variables)


def test_a_damaged_installation_does_not_lead_back_to_itself(project: Path, tmp_path: Path) -> None:
    """AICC_CC may be a script that runs `gcc`, and PATH may say that this is us."""
    package, variables = installation(tmp_path / "prefix")
    (tmp_path / "prefix" / "bin" / "gcc").symlink_to("aicc")
    program(
        tmp_path / "other",
        f'#!/bin/sh\necho . >>{tmp_path}/rounds\n[ $(wc -l <{tmp_path}/rounds) -lt 9 ] && exec gcc "$@"\n',
    )
    for damaged in (False, True):
        if damaged:
            (package / "driver" / "launch.py").write_text("import nonesuch\n")
        assert (
            run(project, "gcc -O2 -c hot.c && rm hot.o", AICC_CC=str(tmp_path / "other"), **variables).returncode == 0
        )
        assert len((tmp_path / "rounds").read_text().splitlines()) < 9
        (tmp_path / "rounds").unlink()


@pytest.mark.parametrize("prelude", ["", "trap '' PIPE XFSZ; "])
def test_the_compiler_gets_its_signals_and_its_locale(prelude: str, project: Path, tmp_path: Path) -> None:
    package, variables = installation(tmp_path / "prefix")
    spy = program(tmp_path / "spy", "#!/bin/sh\ngrep SigIgn /proc/self/status\nenv | grep ^LC_\n")
    variables |= {"LC_ALL": "", "LANG": "", "AICC_CC": str(spy)}
    expected = run(project, f"{prelude}{spy}", **variables).stdout
    for damaged in (False, True):
        if damaged:
            (package / "driver" / "launch.py").write_text("import nonesuch\n")
        assert run(project, f"{prelude}aicc -c hot.c", **variables).stdout == expected


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_an_error_that_nobody_gets_is_one(stderr: str, project: Path) -> None:
    (project / "hot.o").unlink(missing_ok=True)
    assert run(project, f"aicc -faicc-bogus -c hot.c {stderr}").returncode == 1
    assert run(project, f"AICC_CC=/nonexistent/cc aicc -c hot.c {stderr}").returncode == 1
    assert not (project / "hot.o").exists()


def test_a_log_that_may_not_grow(project: Path) -> None:
    (project / ".aicc" / "log").write_text("old\n" * 200_000)
    same(project, "ulimit -f 500; $CC -O2 -c hot.c && ls hot.o", 3)
    same(project, "ulimit -f 0; $CC -fsyntax-only hot.c", 3)


def test_specs_with_dumps_of_their_own(project: Path) -> None:
    (project / "d.specs").write_text("*cc1:\n+ -fdump-tree-optimized=mine.txt\n")
    same(project, "rm -f mine.txt; $CC -O2 -specs=d.specs -c hot.c && ls mine.txt")
    (project / "d.specs").write_text("*cc1:\n+ -fno-tree-vectorize\n")
    same(project, "$CC -O2 -specs=d.specs -c hot.c")
    assert is_rewritten(project)


@pytest.mark.parametrize(
    "line",
    [
        "$CC -O2 -c hot.c -o -faicc-o.o && ls ./-faicc-o.o",
        "$CC -c hot.c -MD -MF -fdump-aicc-x && cat ./-fdump-aicc-x",
        "$CC -c hot.c -iquote -fdump-aicc-all",
    ],
)
def test_an_options_argument_is_no_option_of_ours(line: str, project: Path) -> None:
    same(project, line)


def test_the_linker_speaks_under_its_own_name(project: Path) -> None:
    (project / ".aicc" / "objects").mkdir()
    (project / "u.c").write_text("int nope(int); int main(void) { return nope(1); }\n")
    said = same(project, "$CC -O2 u.c 2>&1 | sed 's/cc[A-Za-z0-9]*\\.o/X.o/'").stdout
    assert "ld: " in said


def test_without_a_null_device_standard_streams_stay_as_they_are() -> None:
    text = f"""
import os, sys
sys.path.insert(0, {str(PACKAGE.parent)!r})
from compiler_ai.driver.starting import restore
os.devnull = "/nonexistent/null"
restore("")
"""
    subprocess.run([sys.executable, "-I", "-c", text], check=True)


def test_no_object_appears_after_the_driver_has_gone(project: Path) -> None:
    """With -pipe the listing's end comes when the driver is killed, and it has removed its outputs by then."""
    listing = subprocess.run(
        ["gcc", "-O2", "-S", "hot.c", "-o", "-"], cwd=project, capture_output=True, check=True
    ).stdout
    environment = {**os.environ, "AICC_SHIM_PYTHON": sys.executable, "AICC_SHIM_PROJECT": str(project / ".aicc")}
    for dies in (False, True):
        (project / "late.o").unlink(missing_ok=True)
        reader, writer = os.pipe()
        line = f'exec 3<&0; "{PACKAGE}/libexec/as" --64 -o late.o <&3 & ' + ("sleep 1" if dies else "wait")
        with subprocess.Popen(["sh", "-c", line], cwd=project, env=environment, stdin=reader) as driver:
            os.close(reader)
            if dies:
                driver.wait()
            os.write(writer, listing)
            os.close(writer)
        time.sleep(1.5 if dies else 0)
        assert (project / "late.o").exists() != dies


@pytest.mark.parametrize(
    "pattern", ["store/lock.toml", "store/*.asm", "store/*.json", "units/*", "cache/as-*", "cache/patterns-*", "log"]
)
def test_a_pipe_in_the_place_of_a_file_of_ours_keeps_nobody_waiting(pattern: str, project: Path) -> None:
    same(project, "$CC -O2 -c hot.c")
    (project / ".aicc" / "log").touch()
    found = list((project / ".aicc").glob(pattern))
    assert found
    shutil.rmtree(project / ".aicc" / "cache" / "known")
    for path in found:
        path.unlink()
        os.mkfifo(path)
    same(project, "timeout 20 $CC -O2 -c hot.c")
