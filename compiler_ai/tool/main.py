"""`aicc-tool`: everything that is not compiling. One file a command; each has `configure(parser)` and `run(arguments)`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from compiler_ai import __version__
from compiler_ai.errors import AiccError

# command -> what `aicc-tool --help` says of it
_COMMANDS = {
    "init": "create .aicc here, so that compiles record how they are done",
    "profile": "record which functions take the time in a command, and capture calls of them",
    "tune": "find faster bodies for the hot functions and store those with evidence",
    "check": "compare the whole program before and after: output, exit status, paired timing",
    "report": "show the last tuning as a table or as one HTML page",
    "explain": "say what happened to one function and why",
    "store": "list, show, diff, drop and verify the accepted rewrites",
    "bench": "measure models, on this project's functions or by a published protocol, beside the search proposer",
    "toolchain": "make what build systems want: CMake and Meson files, a directory for PATH with aicc under GCC's names",
    "doctor": "say which compiler, assembler, profile and store are in use, and what is missing",
}


class Parser(argparse.ArgumentParser):
    """Argument errors in one line, as everywhere in aicc, by the command that they concern."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:  # else the parser of all commands would say so, which does not know what this one takes
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: error: {message} (try '{self.prog} --help')\n")


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="aicc-tool", description="Everything of aicc that is not compiling.")
    parser.add_argument("--version", action="version", version=f"aicc-tool {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        importlib.import_module(f"compiler_ai.tool.{name}").configure(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Errors that a user can meet are one line on stderr."""
    arguments = build_parser().parse_args(argv)
    command = importlib.import_module(f"compiler_ai.tool.{arguments.command}")
    try:
        return int(command.run(arguments))
    except AiccError as error:
        print(f"aicc-tool {arguments.command}: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"aicc-tool {arguments.command}: interrupted; what was found so far is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"aicc-tool {arguments.command}: error: {error.strerror or error}{where}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
