"""`aicc-tool doctor`: one screen that says what is in use, what is missing, and the fix for each."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

import compiler_ai
from compiler_ai.driver import compiler, log, options, project, treefile, units
from compiler_ai.errors import AiccError
from compiler_ai.models import spec
from compiler_ai.tool.console import opened
from compiler_ai.wording import counted

_MODEL_PACKAGES = {"openai": ("openai",), "hf": ("torch", "transformers"), "gguf": ("torch", "transformers", "gguf")}
_PACKAGE = Path(compiler_ai.__file__).resolve().parent


@dataclass(frozen=True)
class Finding:
    """One line of the screen; `fix` is empty when nothing is to be done."""

    subject: str
    state: str
    fix: str = ""
    fatal: bool = False


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", type=int, default=5, metavar="N", help="show the last N lines of the log (default: 5)")


def run(arguments: argparse.Namespace) -> int:
    found = project.find(os.getcwd(), os.environ)
    findings = [
        *compiler_findings(),
        *tool_findings(),
        *verifier_findings(),
        *model_findings(),
        *project_findings(found),
    ]
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        mark = "[red]missing[/]" if finding.fatal else "[yellow]note[/]" if finding.fix else "[green]ok[/]"
        table.add_row(mark, finding.subject, finding.state + (f"\n-> {finding.fix}" if finding.fix else ""))
    console = opened()
    console.print(table)
    if found and (lines := log.tail(found, arguments.log)):
        console.print(f"\nthe last lines of {found}/log:")
        for line in lines:
            console.print(f"  {line}", markup=False, highlight=False)
    return 1 if any(finding.fatal for finding in findings) else 0


def compiler_findings() -> Iterator[Finding]:
    try:
        command = compiler.underlying("aicc", os.environ)
    except AiccError as error:
        advice = "set AICC_CC to another compiler, or unset it" if os.environ.get("AICC_CC") else "apt-get install gcc"
        yield Finding("compiler", str(error), advice, fatal=True)
        return
    yield Finding("compiler", f"{' '.join(command)}: {first_line([*command, '--version'])}")
    real = first_line([*command, "-print-prog-name=as"])
    shim = f"{_PACKAGE}/libexec/as"
    behind = compiler.without_launcher(command, os.environ)
    seen = first_line([*behind, "-print-prog-name=as"], COMPILER_PATH=f"{_PACKAGE}/libexec")
    yield Finding("assembler", f"{real}: {first_line([real, '--version'])}")
    if seen and os.path.realpath(seen) == os.path.realpath(shim):
        yield Finding("shim", f"{shim} is found through COMPILER_PATH")
    else:
        yield Finding(
            "shim",
            f"this compiler ignores COMPILER_PATH for its assembler ({seen})",
            "use a GCC that was not configured --with-as",
            True,
        )
    if not treefile.is_gcc(behind[0]):
        yield Finding(
            "types",
            f"{behind[0]} is not GCC's own executable: its builds are left as they are",
            "set AICC_CC to a gcc to have rewrites",
        )


def tool_findings() -> Iterator[Finding]:
    for name, package, use in (
        ("perf", "linux-perf", "profiles"),
        ("valgrind", "valgrind", "profiles where perf is not permitted"),
        ("clang-19", "clang-19", "the search proposer's most useful compiler"),
    ):
        path = shutil.which(name)
        yield Finding(name, path or f"not found ({use})", "" if path else f"apt-get install {package}")
    try:
        scope = Path("/proc/sys/kernel/yama/ptrace_scope").read_text(encoding="ascii").strip()
    except OSError:
        scope = "0"
    yield Finding(
        "ptrace",
        f"ptrace_scope {scope}",
        "" if scope in "012" else "captures and replays need it: sysctl kernel.yama.ptrace_scope=1",
        scope == "3",
    )


def verifier_findings() -> Iterator[Finding]:
    try:
        from compiler_ai.sandbox.process import Sandbox
        from compiler_ai.verify import engine

        with Sandbox():
            yield Finding("verifier", f"replays calls in its sandbox ({Path(engine.__file__).parent})")
    except ImportError as error:
        yield Finding("verifier", f"the Python package {error.name} is missing", f"pip install {error.name}", True)
    except (AiccError, OSError) as error:
        yield Finding("verifier", f"its sandbox does not start: {error}", "apt-get install gcc libc6-dev", True)


def model_findings() -> Iterator[Finding]:
    """The models that AICC_MODEL and AICC_FLAGS name for tuning. None is loaded or asked."""
    try:
        named = options.parse([], os.environ)[0].models
        if not named:
            yield Finding("model", "none is named: the search proposer works alone ('aicc-tool tune --model' adds one)")
        for text in named:
            yield _model_finding(spec.parse(text))
    except AiccError as error:
        yield Finding("model", str(error), "correct AICC_MODEL or AICC_FLAGS")


def _model_finding(model: spec.ModelSpec) -> Finding:
    missing = [name for name in _MODEL_PACKAGES.get(model.kind, ()) if importlib.util.find_spec(name) is None]
    if missing:
        extra = "openai" if model.kind == "openai" else "transformers"
        return Finding("model", f"{model.text}: {', '.join(missing)} is missing", f"pip install 'aicc[{extra}]'")
    if model.kind in ("gguf", "replay") and not Path(model.location).is_file():
        return Finding("model", f"{model.text}: there is no such file", "name one that is there")
    return Finding("model", model.text)


def project_findings(found: str | None) -> Iterator[Finding]:
    if found is None:
        yield Finding(
            "project",
            "no .aicc at or above this directory: aicc is plain gcc",
            "aicc-tool init, or set AICC_DIR to one",
        )
        return
    if not os.access(found, os.W_OK):
        yield Finding("project", f"{found} cannot be written: compiles are not recorded", f"chown or chmod {found}")
    recorded = list(units.load_all(found))
    yield Finding(
        "project", f"{found}, {counted(len(recorded), 'unit')} recorded", "" if recorded else "build with CC=aicc"
    )
    profile = Path(found, "profile.json")
    yield Finding(
        "profile",
        str(profile) if profile.exists() else "none",
        "" if profile.exists() else "aicc-tool profile -- COMMAND",
    )
    captures = list(Path(found, "captures").glob("**/*.cap"))
    yield Finding("captures", counted(len(captures), "call"))
    try:
        from compiler_ai.store.store import Store

        store = Store(Path(found))
        problems = store.verify()
        count = len(list(store.entries()))
        yield Finding(
            "store", counted(count, "rewrite"), problems[0] if problems else "" if count else "aicc-tool tune"
        )
    except AiccError as error:
        yield Finding("store", str(error), "aicc-tool store verify")


def first_line(command: list[str], **variables: str) -> str:
    environment = {**os.environ, **variables}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot be run: {error}"
    return (done.stdout or done.stderr).partition("\n")[0]
