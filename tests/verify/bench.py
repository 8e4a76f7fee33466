"""Programs with captures of their functions, compiled once, and verifiers made on demand."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from compiler_ai.capture.modules import Target
from compiler_ai.capture.tracer import Limits, record
from compiler_ai.sandbox.process import Sandbox
from compiler_ai.verify.engine import Settings, Verifier
from compiler_ai.verify.prototype import from_object


@dataclass
class Bench:
    """One unit of a program whose calls were captured."""

    directory: Path
    source: Path
    sandbox: Sandbox
    verifiers: dict[str, Verifier] = field(default_factory=dict)

    def listing(self, command: str) -> str:
        """The unit as `command` compiles it."""
        out = self.directory / "unit.s"
        subprocess.run([*command.split(), "-fPIE", "-S", "-o", out, self.source], check=True)
        return out.read_text()

    def changed(self, function: str, pattern: str, replacement: str) -> bytes:
        """The unit with a regular expression replaced in the body of one function, assembled."""
        text = self.listing("gcc -O2")
        start, end = text.index(f"\n{function}:\n") + 1, text.index(f"\t.size\t{function},")
        body, count = re.subn(pattern, replacement, text[start:end])
        assert count, f"{pattern} is not in GCC's body any more:\n{text[start:end]}"
        return self.assembled(text[:start] + body + text[end:])

    def assembled(self, text: str) -> bytes:
        out = self.directory / "unit.o"
        subprocess.run(["as", "--64", "-o", out, "-"], input=text, text=True, check=True)
        return out.read_bytes()

    def verifier(self, function: str) -> Verifier:
        if function not in self.verifiers:
            self.verifiers[function] = self.new_verifier(function)
        return self.verifiers[function]

    def new_verifier(self, function: str, settings: Settings | None = None) -> Verifier:
        """A verifier of its own; `verifier` keeps one."""
        debug = self.directory / "debug.o"
        subprocess.run(["gcc", "-O2", "-g", "-c", "-o", debug, self.source], check=True)
        captures = sorted(self.directory.glob(f"captures/{function}.*.cap"))
        prototype = from_object(debug.read_bytes(), function)
        baseline = self.assembled(self.listing("gcc -O2"))
        found = Verifier(self.sandbox, baseline, function, captures, prototype, settings or Settings(captures=6))
        found.make_tests()
        return found


@contextmanager
def recorded(
    temporary: pytest.TempPathFactory,
    source: Path,
    main: Path | None,
    functions: Sequence[str],
    options: Sequence[str] = (),
) -> Iterator[Bench]:
    """The unit `source` of a program whose calls of `functions` were captured; without `main`, it has its own under -DMAIN."""
    directory = temporary.mktemp(source.stem)
    record_calls(directory, [source, main] if main else [source], functions, options if main else [*options, "-DMAIN"])
    with Sandbox() as sandbox:
        yield Bench(directory, source, sandbox)


def record_calls(
    directory: Path, sources: Sequence[Path], functions: Sequence[str], options: Sequence[str] = ()
) -> None:
    """Builds the program and captures calls of `functions` into `directory`/captures."""
    program = directory / "program"
    subprocess.run(["gcc", "-O2", "-fno-inline", *options, "-o", program, *sources], check=True)
    with program.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        values = {name: table.get_symbol_by_name(name)[0]["st_value"] for name in functions}
    targets = [Target(str(program), name, value) for name, value in values.items()]
    summary = record([str(program)], targets, lambda _target: directory / "captures", Limits(per_function=8))
    assert summary.status == 0
