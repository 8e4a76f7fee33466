"""How the `as` and `ld` shims get in place: variables for GCC and for the shims. On the compile path.

GCC and Clang look for their subprograms in COMPILER_PATH after every -B of the user's and in front of their own
directories (GCC manual, "Environment Variables"; gcc.cc, process_command; Clang's Driver::Driver). Unlike a -B of ours it leaves the
command line alone, is not searched for headers' and libraries' sake (-B adds -isystem, -L and LIBRARY_PATH), does not win over
the user's own -B, and ccache hashes it: an object made with the shim in place is never taken for one made without it.
"""

from __future__ import annotations

import os

from compiler_ai.driver import assembler
from compiler_ai.errors import AiccError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from compiler_ai.driver.command import Parsed
    from compiler_ai.driver.options import Options

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_NAMES_LIMIT_BYTES = 16_384
_SPECIAL = frozenset(".^$*+?()[]{}|\\")


class Request:
    """One command of the user's: its options of ours, the compiler behind launchers, its arguments, the project."""

    __slots__ = ("compiler", "cwd", "ours", "parsed", "project")

    def __init__(self, ours: Options, compiler: Sequence[str], parsed: Parsed, project: str | None, cwd: str) -> None:
        self.ours, self.compiler, self.parsed, self.project, self.cwd = ours, compiler, parsed, project, cwd


def variables(
    request: Request, functions: Collection[str], companions: bool, environment: Mapping[str, str], cached: bool
) -> dict[str, str]:
    """What to add to GCC's environment. `functions` are those that the store has; `companions`: see -faicc-emit=object; `cached`:
    whether a compiler cache may stand between. Raises AiccError when there is no shim."""
    if not os.path.getsize(_PACKAGE + "/libexec/as"):
        raise AiccError("libexec/as is empty: install aicc anew")
    ours, parsed = request.ours, request.parsed
    links = companions and not parsed.compiles_only
    directories = [_PACKAGE + "/libexec", *([_PACKAGE + "/linkexec"] if links else [])]
    kept = [word for word in environment.get("COMPILER_PATH", "").split(":") if word]
    told = [f"{_PACKAGE}/libexec/{digest(request)}"] if cached else []
    result = {
        "COMPILER_PATH": ":".join([*directories, *kept, *told]),
        "AICC_ACTIVE": "1",
        "AICC_SHIM_PROJECT": request.project or "",
        "AICC_SHIM_FLAGS": "\x1f".join(ours.flags),
        "AICC_SHIM_COMPILER": "\x1f".join(request.compiler),
        "AICC_SHIM_DIRECTORY": request.cwd,
        "AICC_SHIM_SOURCES": "\x1f".join(parsed.sources),
        "AICC_SHIM_ARGUMENTS": "\x1f".join(parsed.kept),
        "AICC_SHIM_OUTPUT": parsed.output if parsed.compiles_only else "",
        "AICC_SHIM_LINKS": "" if parsed.compiles_only else "1",
    }
    real = assembler.remembered(request.compiler, request.project, environment) if request.project else None
    if real:
        result["AICC_SHIM_AS"] = real
        if functions and not companions and not ours.wants_passes:
            result["AICC_SHIM_NAMES"] = _pattern(functions)
    if ours.wants_passes:
        result["CCACHE_DISABLE"] = "1"  # the result depends on more than any cache can see
    return result


def digest(request: Request) -> str:
    """64 hex digits over everything that decides what the shim makes of a listing: for the hash of ccache and its like."""
    import compiler_ai
    from compiler_ai.sha256 import sha256

    state = sha256("\0".join([compiler_ai.__version__, *request.ours.flags]).encode(errors="surrogateescape"))
    if request.ours.values["isa"] == "native":
        state.update(_processor())
    store = f"{request.project}/store" if request.project else ""
    for name in sorted(os.listdir(store)) if os.path.isdir(store) else []:
        try:
            with open(f"{store}/{name}", "rb") as file:
                content = file.read()
        except OSError:
            continue
        state.update(f"\0{name}\0{len(content)}\0".encode(errors="surrogateescape"))
        state.update(content)
    return state.hexdigest()


def _processor() -> bytes:
    try:
        with open("/proc/cpuinfo", "rb") as file:
            return next((line for line in file if line.startswith((b"flags", b"Features"))), b"")
    except OSError:
        return b""


def _pattern(functions: Collection[str]) -> str:
    """A POSIX extended regular expression for the line that begins one of them; empty when it would be too long."""
    names = ("".join("\\" + c if c in _SPECIAL else c for c in name) for name in sorted(functions))
    pattern = f"^({'|'.join(names)}):"
    return pattern if len(pattern) < _NAMES_LIMIT_BYTES and "\n" not in pattern else ""
