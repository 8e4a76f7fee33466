"""Package builds that choose their compiler by CC: dpkg-buildpackage and pip. By gcc and by aicc, the packages are the same.

With a store, what is rewritten changes, and the packages' own tests pass (dpkg-buildpackage runs them; pip's are imported).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import debian_source
import own_bodies
import pytest

from compiler_ai.driver import units

pytestmark = [pytest.mark.full, pytest.mark.timeout(3600)]
DEBIAN = ("cjson", "http-parser", "xxhash")  # CMake, make, make
# A source distribution with an extension in C, and how a person would test it.
PYTHON = {
    "bitarray": "import bitarray; assert bitarray.bits2bytes(9) == 2; assert bitarray.test(verbosity=0).wasSuccessful()",
    "markupsafe": "from markupsafe import _speedups, escape; assert escape('<a & \"b\">' * 99) == '&lt;a &amp; &#34;b&#34;&gt;' * 99",
    "simplejson": "import simplejson._speedups, simplejson.tests; assert simplejson.tests.all_tests_suite().run(unittest.TestResult()).wasSuccessful()",
}


def run(directory: Path, *words: str, **variables: str) -> str:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **variables}
    done = subprocess.run(
        words,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def files(directory: Path) -> dict[str, bytes]:
    kept = (one for one in sorted(directory.rglob("*")) if one.is_file() and not one.is_symlink())
    return {str(one.relative_to(directory)): one.read_bytes() for one in kept if one.suffix != ".pyc"}


def programs(content: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in content.items() if data[:4] == b"\x7fELF"}


def fill(project: Path) -> None:
    """Rewrites for what was compiled of the package itself; configuring has compiled files that are gone."""
    recorded = [one for one in units.load_all(str(project)) if Path(one.source).is_relative_to(project.parent)]
    commands = [one for one in recorded if Path(one.source).exists() and Path(one.directory).exists()]
    assert commands, "CC reached the compiles"
    assert own_bodies.fill(project, commands, most=2)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> debian_source.Archive:
    kept = os.environ.get("AICC_TEST_SOURCES")
    return debian_source.Archive(Path(kept) if kept else tmp_path_factory.mktemp("archive"))


@pytest.mark.parametrize("name", DEBIAN)
def test_a_debian_package(name: str, archive: debian_source.Archive, tmp_path: Path) -> None:
    def built(compiler: str) -> dict[str, bytes]:
        """What the .debs hold. The build runs the package's tests."""
        tree = tmp_path / "build" / name
        if tree.exists():
            shutil.rmtree(tree.parent)
        tree.parent.mkdir()
        archive.unpack(name, tree.parent)
        run(tree, "dpkg-buildpackage", "-b", "-uc", "-us", "-d", "-jauto", CC=compiler, FORCE_UNSAFE_CONFIGURE="1")
        packages = sorted(tree.parent.glob("*.deb"))
        assert packages
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").mkdir()
        for one in packages:
            run(tmp_path, "dpkg-deb", "-x", str(one), str(tmp_path / "out" / one.name.partition("_")[0]))
        return files(tmp_path / "out")

    plain = built("gcc")
    (tmp_path / ".aicc").mkdir()
    assert built("aicc") == plain
    fill(tmp_path / ".aicc")
    rewritten = built("aicc")
    assert programs(rewritten) != programs(plain)
    assert rewritten.keys() - programs(rewritten).keys() == plain.keys() - programs(plain).keys()


@pytest.mark.parametrize("name", PYTHON)
def test_a_python_package(name: str, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    from_source = ["--no-binary", ":all:", "--no-build-isolation", "--no-deps"]
    run(tmp_path, *pip, "download", *from_source, name)
    (packed,) = (one for one in tmp_path.iterdir() if one.name.lower().startswith(name))

    def installed(compiler: str) -> dict[str, bytes]:
        """What pip installs from the unpacked source. Debug information would hold the name of its temporary directory."""
        tree, target = tmp_path / "source", tmp_path / "target"
        for directory in (tree, target):
            shutil.rmtree(directory, ignore_errors=True)
        tree.mkdir()
        run(tree, "tar", "xf", str(packed), "--strip-components=1")
        words = [*pip, "install", *from_source, "--target", str(target), str(tree)]
        run(tmp_path, *words, CC=compiler, CFLAGS="-g0 -O2", SOURCE_DATE_EPOCH="1000000000")
        run(tmp_path, sys.executable, "-c", f"import unittest; {PYTHON[name]}", PYTHONPATH=str(target))
        found = files(target)
        assert programs(found), "an extension in C was built"
        return programs(found)

    plain = installed("gcc")
    (tmp_path / ".aicc").mkdir()
    assert installed("aicc") == plain
    fill(tmp_path / ".aicc")
    rewritten = installed("aicc")
    assert rewritten.keys() == plain.keys()
    assert rewritten != plain
