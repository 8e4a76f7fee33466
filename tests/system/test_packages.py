"""Real Debian packages, built by gcc and by aicc with a store that rewrites functions of theirs: their own tests agree.

Each package is built three times at one path: by gcc; by aicc without a store, which has to give the same objects; by aicc with
rewrites of the largest functions of every unit, where no other function may change by a byte. A rewrite here is GCC's own
body with an instruction in front that does nothing: the same by construction, and told apart in the object.

`make test-packages` runs them all and prints the table.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import debian_source
import object_code
import own_bodies
import pytest

from compiler_ai.driver import units

pytestmark = [pytest.mark.full, pytest.mark.timeout(3600)]
FUNCTIONS_A_UNIT = 3
VERDICT = re.compile(r"^(?:# )?(?:TOTAL|PASS|SKIP|XFAIL|FAIL|XPASS|ERROR)\b.*", re.MULTILINE)
CONFIGURE = "./configure -q CC=$CC && make -j2 CC=$CC MAKEINFO=true"


@dataclass(frozen=True)
class Package:
    """A source package: how a shell builds it with $CC, runs its tests, and goes back to what is to be compiled."""

    name: str
    build: str = CONFIGURE
    test: str = "make check CC=$CC"
    clean: str = "make clean"


# Kbuild: a few applets that the tests know many cases of.
APPLETS = "BUSYBOX SHOW_USAGE AWK SED GREP SORT UNIQ CUT TR SUM CKSUM MD5SUM SHA1SUM SHA256SUM GUNZIP BUNZIP2 OD EXPR PRINTF WC HEAD TAIL CMP DIFF UUDECODE FACTOR CAT ECHO TEST"
BUSYBOX = (
    "make -s allnoconfig KCONFIG_NOTIMESTAMP=1"
    f" && for one in {APPLETS}; do sed -i s/^..CONFIG_$one.is.not.set/CONFIG_$one=y/ .config; done"
    " && yes '' | make -s oldconfig KCONFIG_NOTIMESTAMP=1 && make -s -j2 CC=$CC HOSTCC=$CC KCONFIG_NOTIMESTAMP=1"
)

PACKAGES = [
    Package("busybox", BUSYBOX, "make -s check CC=$CC HOSTCC=$CC SKIP_KNOWN_BUGS=1"),
    Package("bzip2", "make CC=$CC libbz2.a bzip2 bzip2recover", "make test CC=$CC"),
    Package("cjson", 'make CC="$CC -O2" all', 'make test CC="$CC -O2"'),
    Package("ed", "./configure CC=$CC && make CC=$CC all"),
    Package("gzip", test="make check CC=$CC MAKEINFO=true"),
    Package("hello", test="make check CC=$CC MAKEINFO=true"),
    Package("http-parser", "make CC=$CC package test_g test_fast", "make test CC=$CC"),
    Package("jansson", f"autoreconf -fi && {CONFIGURE}"),
    Package("libyaml", f"autoreconf -fi && {CONFIGURE}"),
    Package("lzo2", test="make check test CC=$CC"),
    Package("mawk"),
    Package("xxhash", "make CC=$CC xxhsum libxxhash.a", "make check CC=$CC"),
    Package("zlib", "CC=$CC ./configure && make -j2", "make test"),
]


class Tree:
    """A package's tree, at the same path each time that it is unpacked."""

    def __init__(self, package: Package, archive: debian_source.Archive, top: Path) -> None:
        self.package, self._top = package, top
        self.directory = archive.unpack(package.name, top)

    @property
    def project(self) -> Path:
        return self.directory / ".aicc"

    def build(self, compiler: str, kept: Path) -> None:
        """Build, and keep the objects at their paths below `kept`."""
        done = self._shell(self.package.build, compiler)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        for one in self.directory.rglob("*.o"):
            copy = kept / one.relative_to(self.directory)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(one, copy)

    def test(self, compiler: str) -> tuple[int, list[str]]:
        """Exit status and verdicts of the package's own tests."""
        done = self._shell(self.package.test, compiler)
        return done.returncode, sorted(VERDICT.findall(done.stdout))

    def clean(self, compiler: str) -> None:
        assert self._shell(self.package.clean, compiler).returncode == 0

    def _shell(self, line: str, compiler: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-ec", line],
            cwd=self.directory,
            env={**os.environ, "CC": compiler, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "1", "FORCE_UNSAFE_CONFIGURE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )


@dataclass(frozen=True)
class Row:
    """What was seen of one package: how its tests ended both ways, and its functions by what became of them."""

    package: str
    units: int
    rewritten: int
    identical: int
    tests: str

    def __str__(self) -> str:
        return f"{self.package:14}{self.units:8}{self.rewritten:12}{self.identical:12}  {self.tests}"


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> debian_source.Archive:
    kept = os.environ.get("AICC_TEST_SOURCES")
    return debian_source.Archive(Path(kept) if kept else tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[Row]]:
    rows: list[Row] = []
    yield rows
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{'package':14}{'units':>8}{'rewritten':>12}{'identical':>12}  its tests, gcc and aicc")
        print(*rows, sep="\n")


@pytest.mark.parametrize("package", PACKAGES, ids=lambda one: one.name)
def test_a_package_is_the_same_both_ways(
    package: Package, archive: debian_source.Archive, tmp_path: Path, table: list[Row]
) -> None:
    plain, same, rewritten = (tmp_path / name for name in ("plain", "same", "rewritten"))
    tree = Tree(package, archive, tmp_path)
    tree.build("gcc", plain)
    outcome = tree.test("gcc")
    assert outcome[0] == 0, "the package's tests pass here without aicc"
    shutil.rmtree(tree.directory)

    tree = Tree(package, archive, tmp_path)
    tree.project.mkdir()
    tree.build("aicc", same)
    assert contents(same) == contents(plain)
    commands = [one for one in units.load_all(str(tree.project)) if Path(one.source).exists()]
    stored = set(own_bodies.fill(tree.project, commands, most=FUNCTIONS_A_UNIT))
    tree.clean("aicc")
    tree.build("aicc", rewritten)
    assert tree.test("aicc") == outcome

    assert contents(rewritten).keys() == contents(plain).keys()
    changed: set[str] = set()
    functions = spliced = 0
    for name in contents(plain):
        different = object_code.differing(plain / name, rewritten / name)
        functions += len(object_code.functions(plain / name))
        spliced += len(different)
        changed |= different
    assert changed, "rewrites were spliced"
    assert changed <= stored, "no other function changed"
    table.append(Row(package.name, len(contents(plain)), spliced, functions - spliced, said(outcome)))


def said(outcome: tuple[int, list[str]]) -> str:
    """The outcome of the tests in a few words."""
    passed = sum(line.lstrip("# ").startswith("PASS: ") and not line.startswith("#") for line in outcome[1])
    return f"status {outcome[0]}" + (f", {passed} passed" if passed else "")


def contents(directory: Path) -> dict[str, bytes]:
    return {str(one.relative_to(directory)): one.read_bytes() for one in sorted(directory.rglob("*.o"))}
