"""`aicc-tool report`."""

from __future__ import annotations

import argparse
from pathlib import Path

from compiler_ai.profile.model import Profile
from compiler_ai.report import results as stored_results
from compiler_ai.report.html import render
from compiler_ai.report.table import print_table, workload
from compiler_ai.store.files import write_atomically
from compiler_ai.tool.console import opened
from compiler_ai.tool.locate import project_directory


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page instead of the table")


def run(arguments: argparse.Namespace) -> int:
    project = project_directory()
    tuned, profile = stored_results.load(project), Profile.load(project / "profile.json")
    unfinished = stored_results.why_unfinished(stored_results.unfinished(project))
    console = opened()
    if arguments.html is None:
        for profiled in profile.runs:
            console.print(f"Profiled: {workload(profiled)}", markup=False, highlight=False, soft_wrap=True)
        if tuned:
            print_table(console, tuned, profile)
        if unfinished:
            console.print(unfinished, markup=False, highlight=False, soft_wrap=True)
    else:
        write_atomically(arguments.html, render(tuned, profile, unfinished).encode(errors="backslashreplace"))
        console.print(f"wrote {arguments.html}", markup=False, highlight=False)
    return 0
