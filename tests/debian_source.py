"""Sources of Debian packages, by apt-get from the archives that the machine already uses, signatures checked by apt."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_APT = Path("/etc/apt")


class SourceError(Exception):
    """The source cannot be had; the message says what apt said."""


class Archive:
    """Downloads below `directory`; what is there is not fetched again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def unpack(self, package: str, into: Path) -> Path:
        """The package's tree with Debian's patches applied, at `into`/PACKAGE. Raises SourceError."""
        kept = self._directory / "sources" / package
        if not list(kept.glob("*.dsc")):
            self._update()
            kept.mkdir(parents=True, exist_ok=True)
            self._run([*self._apt_get(), "source", "--download-only", package], kept)
        (dsc,) = kept.glob("*.dsc")
        tree = into / package
        self._run(["dpkg-source", "--no-check", "-x", str(dsc), str(tree)], into)
        return tree

    def _update(self) -> None:
        parts = self._directory / "parts"
        if parts.exists():
            return
        (self._directory / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        written = self._directory / "parts.new"
        written.mkdir(exist_ok=True)
        for path in [_APT / "sources.list", *sorted((_APT / "sources.list.d").glob("*"))]:
            if path.is_file():
                (written / path.name).write_text(_of_sources(path.read_text(), path.suffix == ".sources"))
        written.rename(parts)
        self._run([*self._apt_get(), "update"], self._directory)

    def _apt_get(self) -> list[str]:
        options = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": f"{self._directory}/parts",
            "Dir::State::lists": f"{self._directory}/lists",
            "APT::Sandbox::User": "",
        }
        return ["apt-get", "-qq", *(word for item in options.items() for word in ("-o", "=".join(item)))]

    @staticmethod
    def _run(words: list[str], directory: Path) -> None:
        done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SourceError(f"{words[0]}: {done.stderr.strip()}")


def _of_sources(text: str, stanzas: bool) -> str:
    """The list with sources in place of binaries; without security updates, whose old versions leave their archive."""
    if not stanzas:
        lines = [line for line in text.splitlines() if line.startswith("deb ") and "security" not in line]
        return "".join(f"deb-src {line[4:]}\n" for line in lines)
    kept = [one for one in re.split(r"\n\s*\n", text) if "security" not in one]
    return "\n\n".join(re.sub(r"^Types:.*$", "Types: deb-src", one, flags=re.MULTILINE) for one in kept) + "\n"
