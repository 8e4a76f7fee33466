"""Debian source packages, fetched with an apt configuration of their own: the machine's is read and never changed.

sources.list(5), apt-secure(8): apt checks what it downloads against the signed Release file, by the keys that the
machine's own entries name.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

_ETC = Path("/etc/apt")
_ONE_LINE = re.compile(r"deb(?P<options>\s+\[[^]]*])?\s+(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)")


class SourceError(Exception):
    """A source package cannot be had; the message is one line that says what to do."""


class Archive:
    """apt with its lists and cache below `directory`, and the machine's Debian entries asked for sources."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        parts = directory / "parts"
        self._options = [
            f"-oDir::Etc::sourcelist={parts / 'debian.list'}",
            f"-oDir::Etc::sourceparts={parts}",
            f"-oDir::State::lists={directory / 'lists'}",
            f"-oDir::Cache={directory / 'cache'}",
            "-oAPT::Sandbox::User=",
            "-oAcquire::Languages=none",
        ]

    def prepare(self) -> None:
        """Write the configuration and read the archive's lists, once. Raises SourceError."""
        lists = self._directory / "lists"
        if any(lists.glob("*_Sources*")):
            return
        parts = self._directory / "parts"
        for path in (lists / "partial", self._directory / "cache", parts):
            path.mkdir(parents=True, exist_ok=True)
        codename = _codename()
        stanzas = list(
            source_stanzas((path.read_text() for path in sorted(_ETC.glob("sources.list.d/*.sources"))), codename)
        )
        files = [_ETC / "sources.list", *sorted(_ETC.glob("sources.list.d/*.list"))]
        lines = list(source_lines((path.read_text() for path in files if path.exists()), codename))
        if not stanzas and not lines:
            raise SourceError(
                f"no entry of {_ETC}/sources.list.d is Debian's {codename}: the programs are Debian's sources"
            )
        (parts / "debian.sources").write_text("\n".join(stanzas))
        (parts / "debian.list").write_text("".join(lines))
        _run(["apt-get", *self._options, "-qq", "update"], self._directory)

    def fetch(self, package: str, target: Path) -> str:
        """Unpack the newest version that can be had into `target`; returns that version. Raises SourceError.

        A mirror may list an update that it does not hold: then the version before is taken.
        """
        downloads = self._directory / package
        downloads.mkdir(parents=True, exist_ok=True)
        error = SourceError(f"the archive has no source package {package}")
        for version in self._versions(package):
            try:
                _run(["apt-get", *self._options, "-qq", "source", "--download-only", f"{package}={version}"], downloads)
            except SourceError as failed:
                error = failed
                continue
            name = f"{package}_{version.partition(':')[2] or version}.dsc"
            shutil.rmtree(target, ignore_errors=True)
            _run(["dpkg-source", "--no-check", "-x", name, str(target)], downloads)  # apt has checked it
            return version
        raise error

    def _versions(self, package: str) -> list[str]:
        """The versions there are, the newest first."""
        shown = _run(["apt-cache", *self._options, "showsrc", "--only-source", package], self._directory)
        versions: list[str] = []
        for version in re.findall(r"^Version: (\S+)$", shown, re.MULTILINE):
            place = 0
            while place < len(versions) and _is_newer(versions[place], version):
                place += 1
            versions.insert(place, version)
        return versions


def source_stanzas(files: Iterable[str], codename: str) -> Iterator[str]:
    """The deb822 entries for packages of this Debian, as entries for sources; keys and mirrors stay as they are."""
    for text in files:
        for stanza in re.split(r"\n\s*\n", text):
            suites = re.search(r"^Suites:(.*)$", stanza, re.MULTILINE)
            is_debian = suites is not None and any(_is_of(suite, codename) for suite in suites[1].split())
            if is_debian and re.search(r"^Types:.*\bdeb\b(?!-)", stanza, re.MULTILINE):
                yield re.sub(r"^Types:.*$", "Types: deb-src", stanza.strip("\n"), flags=re.MULTILINE) + "\n"


def source_lines(files: Iterable[str], codename: str) -> Iterator[str]:
    """The same of one-line entries."""
    for text in files:
        for line in text.splitlines():
            entry = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
            if entry and _is_of(entry["suite"], codename):
                yield f"deb-src{entry['options'] or ''} {entry['uri']} {entry['suite']} {entry['components']}\n"


def _is_of(suite: str, codename: str) -> bool:
    return suite in (codename, f"{codename}-updates", f"{codename}-security", f"{codename}/updates")


def _codename() -> str:
    found = re.search(r'^VERSION_CODENAME="?([a-z]+)', Path("/etc/os-release").read_text(), re.MULTILINE)
    if found is None:
        raise SourceError("/etc/os-release names no version: the programs are Debian's sources")
    return found[1]


def _is_newer(one: str, other: str) -> bool:
    return subprocess.run(["dpkg", "--compare-versions", one, "gt", other], check=False).returncode == 0


def _run(command: list[str], directory: Path) -> str:
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise SourceError(
            f"{command[0]}: {error.strerror}: install the packages of benchmarks/programs/debian-packages.txt"
        ) from error
    if done.returncode != 0:
        words = [line for line in done.stderr.splitlines() if line.startswith(("E:", "Err", "dpkg-source: error"))]
        raise SourceError(f"{command[0]} {command[-1]}: {words[0] if words else f'exit status {done.returncode}'}")
    return done.stdout
