"""`aicc-tool store`."""

from __future__ import annotations

import argparse
import contextlib
import difflib

from rich.table import Table
from rich.text import Text

from compiler_ai.artifacts import Rewrite
from compiler_ai.asm import listing as listing_model
from compiler_ai.driver import units
from compiler_ai.errors import AiccError
from compiler_ai.report import results as stored_results
from compiler_ai.report.table import speedup
from compiler_ai.store.errors import StoreError
from compiler_ai.store.store import Store, named
from compiler_ai.tool.console import opened
from compiler_ai.tool.locate import project_directory
from compiler_ai.tune.outdated import outdated
from compiler_ai.wording import counted


class StoreArgumentError(AiccError):
    """No entry has that name."""


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="every accepted rewrite with its evidence and speedup")
    for name, text in (("show", "print a rewrite with its evidence"), ("diff", "compare a rewrite with GCC's body")):
        actions.add_parser(name, help=text).add_argument(
            "name", help="an entry, what its name begins with, or a function"
        )
    actions.add_parser("drop", help="remove rewrites").add_argument(
        "names", nargs="+", help="entries, what their names begin with, or functions"
    )
    actions.add_parser(
        "verify", help="say what is wrong with the store's files, and which rewrites fit no recorded unit any more"
    )


def run(arguments: argparse.Namespace) -> int:
    project = project_directory()
    store = Store(project)
    console = opened()
    if arguments.action == "list":
        console.print(listed(store))
    elif arguments.action == "verify":
        problems = store.verify()
        for problem in problems:
            console.print(problem, markup=False, highlight=False, soft_wrap=True)
        with contextlib.suppress(StoreError):  # one of a newer aicc: that is the problem, and is said
            for entry in outdated(store, units.load_all(str(project))):
                line = f"{entry.name}: no recorded unit has this code any more (source or flags changed): tune again, or drop it"
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            counts = counted(len(store.entries()), "rewrite"), counted(len(problems), "problem")
            console.print(", ".join(counts), highlight=False)
        return 1 if problems else 0
    elif arguments.action == "drop":
        for dropped in store.drop(*arguments.names):
            console.print(f"dropped {dropped}", markup=False, highlight=False)
    else:
        rewrite = find(store, arguments.name)
        text = described(rewrite)
        if arguments.action == "diff":
            tuned = stored_results.load(project)
            text = differences(
                rewrite,
                next(
                    (r.baseline.listing_text for r in tuned if r.baseline and r.baseline.key == rewrite.baseline_key),
                    "",
                ),
            )
        console.print(text.encode(errors="backslashreplace").decode(), markup=False, highlight=False, soft_wrap=True)
    return 0


def listed(store: Store) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("entry", "source", "grade", "speedup", "from"):
        table.add_column(heading, overflow="fold")
    for entry in store.entries():
        try:
            rewrite = store.load(entry)
        except StoreError as error:
            table.add_row(Text(entry.name), "", "damaged", "", Text(str(error)))
            continue
        grade, gain = rewrite.evidence.grade.name.lower(), speedup(rewrite.timing.warm)
        table.add_row(Text(entry.name), Text(rewrite.source), grade, gain, Text(rewrite.candidate.origin))
    return table


def find(store: Store, name: str) -> Rewrite:
    """The rewrite of that entry (what only its name begins with will do) or function. Raises StoreArgumentError, StoreError."""
    for entry in named(store.entries(), name)[:1]:
        return store.load(entry)
    raise StoreArgumentError(f"no rewrite '{name}': 'aicc-tool store list' shows what there is")


def described(rewrite: Rewrite) -> str:
    evidence, timing = rewrite.evidence, rewrite.timing
    cold = f"\ncold: {speedup(timing.cold)}" if timing.cold else ""
    return (
        f"{rewrite.candidate.function} of {rewrite.source}: {evidence.grade.name.lower()} by {evidence.captures} captures, "
        f"{evidence.mutated} mutated, {evidence.generated} generated inputs, {evidence.answered} with answered calls; "
        f"{evidence.blocks_covered} of "
        f"{evidence.blocks_total} blocks\nwarm: {speedup(timing.warm)}{cold}\nfrom: {rewrite.candidate.origin}; measured on "
        f"{rewrite.machine}\n\n{rewrite.candidate.body}{rewrite.candidate.extra}"
    )


def differences(rewrite: Rewrite, listing_text: str) -> str:
    """A unified diff of the two bodies. Raises StoreArgumentError when GCC's is not on record."""
    function = listing_model.parse(listing_text).function(rewrite.candidate.function) if listing_text else None
    if function is None:
        raise StoreArgumentError("GCC's body is not on record: 'aicc-tool tune' keeps that of its last run")
    old, new = function.body.splitlines(), rewrite.candidate.body.splitlines()
    return "\n".join(difflib.unified_diff(old, new, "GCC", rewrite.candidate.origin, lineterm=""))
