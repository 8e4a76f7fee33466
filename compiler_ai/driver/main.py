"""`aicc` and `aic++`: take our options out of argv and become the real compiler, with the `as` shim where it is needed.

Run as a file under `python3 -I -S` by bin/aicc, with the name it was called by as the first argument. Whatever goes
wrong here ends in the plain compiler with the user's own arguments.
"""

from __future__ import annotations

import os
import sys

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(_PACKAGE))

from compiler_ai.driver import command, compiler, log, options, project, treefile  # noqa: E402

GUARD = "AICC_ACTIVE"


def main(argv: list[str]) -> int:
    program, arguments = argv[0], argv[1:]
    try:
        ours, rest = options.parse(arguments, os.environ)
        underlying = compiler.underlying(program, os.environ)
    except (options.OptionError, compiler.CompilerError) as error:
        sys.stderr.write(f"{os.path.basename(program)}: error: {error}\n")
        return 1
    environment = dict(os.environ)
    extra: list[str] = []
    if ours.mode != "off" and environment.get(GUARD) != "1":
        directory: str | None = None
        try:
            directory = project.find(os.getcwd(), environment)
            if directory is not None or ours.wants_passes:
                extra = _prepare(ours, underlying, rest, directory, environment)
        except Exception as error:  # the compiler still runs, as if aicc were not there
            log.write(directory, f"driver: {type(error).__name__}: {error}")
    return _become(program, underlying, [*extra, *rest], environment)


def _prepare(
    ours: options.Options, underlying: list[str], rest: list[str], directory: str | None, environment: dict[str, str]
) -> list[str]:
    """Record the units of this command and say which arguments put the shim in place; none when no shim is needed."""
    parsed = command.parse(rest)
    if not parsed.makes_assembly or not parsed.inputs:
        return []
    working = os.getcwd()
    if directory is not None:
        from compiler_ai.driver import units

        for source in parsed.sources:
            path = command.object_path(parsed, source, working)
            if source != "-" and path != "/dev/null":
                try:
                    units.record(directory, underlying, parsed.kept, source, path, working)
                except OSError as error:
                    log.write(directory, f"cannot record how {source} is compiled: {error}")
                    break
    companions = _may_have_companions(ours, directory)
    if not ours.wants_passes and not companions and (directory is None or not _store_has_entries(directory)):
        return []
    environment[GUARD] = "1"
    environment["AICC_SHIM_PYTHON"] = sys.executable
    environment["AICC_SHIM_PROJECT"] = directory or ""
    environment["AICC_SHIM_FLAGS"] = "\x1f".join(ours.flags)
    environment["AICC_SHIM_COMPILER"] = "\x1f".join(underlying)
    environment["AICC_SHIM_DIRECTORY"] = working
    environment["AICC_SHIM_SOURCES"] = "\x1f".join(parsed.sources)
    environment["AICC_SHIM_ARGUMENTS"] = "\x1f".join(parsed.kept)
    environment["AICC_SHIM_OUTPUT"] = parsed.output if parsed.compiles_only else ""
    environment["AICC_SHIM_LINKS"] = "" if parsed.compiles_only else "1"
    links = companions and not parsed.compiles_only
    trees = treefile.offer(underlying, rest, environment) if parsed.sources else []
    return [f"-B{_PACKAGE}/libexec/", *([f"-B{_PACKAGE}/linkexec/"] if links else []), *trees]


def _may_have_companions(ours: options.Options, directory: str | None) -> bool:
    """Whether there are objects of -faicc-emit=object, which a link adds and a compile replaces or removes."""
    return directory is not None and (ours.values["emit"] == "object" or os.path.isdir(directory + "/objects"))


def _store_has_entries(directory: str) -> bool:
    try:
        with open(directory + "/store/lock.toml", "rb") as file:
            return b"[[rewrite]]" in file.read()
    except FileNotFoundError:
        return False
    except OSError:
        return True  # there is something: the shim will say what is wrong with it


def _become(program: str, underlying: list[str], arguments: list[str], environment: dict[str, str]) -> int:
    try:
        os.execve(underlying[0], [*underlying, *arguments], environment)
    except OSError as error:
        sys.stderr.write(f"{os.path.basename(program)}: error: cannot run {underlying[0]}: {error.strerror}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
