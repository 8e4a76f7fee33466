"""`aicc` and `aic++`: take our options out of argv and become the real compiler, with the shims in place where needed.

Started by bin/aicc through main.py. Whatever goes wrong here ends in the plain compiler with the user's own arguments.
"""

from __future__ import annotations

import os
import sys

from compiler_ai.driver import command, compiler, log, options, project
from compiler_ai.driver.starting import restore, say
from compiler_ai.errors import AiccError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from compiler_ai.driver.shimming import Request

GUARD = "AICC_ACTIVE"
_TOO_LONG = 7  # E2BIG
_ON_FILES = ("-specs", "--specs", "-B")  # what lies there decides what we may do, and may change


def main(argv: list[str]) -> int:
    """`argv`: what `restore` takes, the name that aicc was called by, the user's arguments."""
    restore(argv[0])
    program, arguments = argv[1], argv[2:]
    if "-faicc-help" in arguments:
        from compiler_ai.driver.help import TEXT

        os.write(1, TEXT.encode())
        return 0
    environment = dict(os.environ)
    asked = environment.pop("AICC_KNOWN_FILE", ""), environment.pop("AICC_KNOWN_KEY", ""), program
    active = environment.get(GUARD) == "1"  # an aicc further up has put the shims in place; AICC_CC has led back to us
    if active:
        environment.pop("AICC_CC", None)
    try:
        ours, rest = options.parse(arguments, environment)
        underlying = compiler.underlying(program, environment)
    except AiccError as error:
        say(f"{os.path.basename(program)}: error: {error}\n".encode(errors="surrogateescape"))
        return 1
    if compiler.is_launcher(underlying[0]):
        environment[compiler.PASSED] = underlying[0]
    directory: str | None = None
    plain = rest, environment  # as if aicc were not there
    if not active:
        try:
            if environment.get("CCACHE_DISABLE"):
                status = _below_ccache(underlying, rest, environment)
                if status is not None:
                    return status
            directory = project.find(os.getcwd(), environment)
            if directory is None and ours.mode != "off":
                directory = project.of_source(command.parse(rest).sources, os.getcwd())
            if ours.mode != "off" and (directory is not None or ours.wants_passes) and _is_unlimited(directory):
                environment = dict(environment)
                rest = [*_shims(ours, underlying, rest, directory, environment, asked), *rest]
        except Exception as error:  # the compiler still runs, as if aicc were not there
            log.write(directory, f"driver: {type(error).__name__}: {error}")
        if environment.get("AICC_CC"):
            environment[GUARD] = plain[1][GUARD] = (
                "1"  # should AICC_CC be a script that runs `gcc` and PATH say that this is us
            )
    failed = _become([*underlying, *rest], environment)
    if failed.errno == _TOO_LONG and not active:
        log.write(
            directory, "driver: the command is too long for what aicc adds to it: it runs as if aicc were not there"
        )
        failed = _become([*underlying, *plain[0]], plain[1])
    name = os.path.basename(program)
    line = f"{name}: error: cannot run {underlying[0]}: {failed.strerror}: set AICC_CC to a compiler\n"
    say(line.encode(errors="surrogateescape"))
    return 1


def _is_unlimited(directory: str | None) -> bool:
    """Whether files may have any size: a limit (`ulimit -f`) counts for ours in memory too, and kills whoever writes them."""
    import resource

    if resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY:
        return True
    log.write(directory, "driver: the size of files is limited (ulimit -f): nothing is rewritten")
    return False


def _below_ccache(underlying: list[str], rest: list[str], environment: dict[str, str]) -> int | None:
    """`ccache aicc`: make ccache give up (the status is returned), or, when it has, put it around the compiler."""
    from compiler_ai.driver import caching

    waiting = caching.running_ccache()
    if waiting is not None:
        return caching.refuse(waiting, command.parse(rest), rest)
    ccache = caching.noted()
    if ccache is not None:
        del environment["CCACHE_DISABLE"]  # ccache set it for its children
        if not compiler.is_launcher(underlying[0]):
            underlying.insert(0, ccache)
    return None


def _shims(
    ours: options.Options, underlying: list[str], rest: list[str], directory: str | None, environment: dict[str, str],
    asked: tuple[str, str, str],
) -> list[str]:  # fmt: skip
    """Record the units of this command, add the variables that put the shims in place to `environment` where any is needed,
    and return the arguments that leave the shims what else they need. `asked`: what `known.Note` takes."""
    from compiler_ai.driver import shimming, treefile

    parsed = command.parse(rest)
    if not parsed.makes_assembly or not parsed.inputs:
        return []
    behind = compiler.without_launcher(underlying, environment)
    request = shimming.Request(ours, behind, parsed, directory, os.getcwd())
    functions: Collection[str] = ()
    companions = False
    records: list[str] | None = []
    note = None
    if directory is not None:
        records = _record(request, directory)
        depends = any(word.startswith(_ON_FILES) for word in rest)
        if asked[0] and records is not None and underlying == behind and len(parsed.inputs) == 1 and not depends:
            from compiler_ai.driver import known

            note = known.Note(asked, request, records)  # before the store is read: a change after that shows
        functions = _stored(directory)
        companions = ours.values["emit"] == "object" or os.path.isdir(directory + "/objects")
    note = None if companions else note
    if not functions and not companions and not ours.wants_passes:
        if note is not None:
            note.keep({}, False)
        return []
    cached = underlying[0] != behind[0] or not treefile.is_gcc(behind[0])  # the store's digest takes reading all of it
    added = shimming.variables(request, functions, companions, environment, cached)
    added["AICC_SHIM_PYTHON"] = sys.executable
    if note is not None:
        note.add_to(added)
    searched = environment.get("COMPILER_PATH", "")
    environment.update(added)
    more = treefile.offer(underlying, behind, parsed.kept, environment, searched) if parsed.sources else []
    if note is not None and not cached:
        note.keep(added, bool(more))
    return more


def _record(request: Request, directory: str) -> list[str] | None:
    """For tuning: how each source of this command is compiled. The records' paths; None when one could not be written."""
    from compiler_ai.driver import units

    paths = []
    for source in request.parsed.sources:
        path = command.object_path(request.parsed, source, request.cwd)
        if source != "-" and path != "/dev/null":
            try:
                kept = request.parsed.kept
                paths.append(units.record(directory, request.compiler, kept, source, path, request.cwd))
            except OSError as error:
                log.write(directory, f"cannot record how {source} is compiled: {error}")
                return None
    return paths


def _stored(directory: str) -> Collection[str]:
    """The functions that the store has rewrites of. Raises StoreError when a newer aicc wrote it."""
    from compiler_ai.store.index import Index

    return Index.load(directory + "/store").functions()


def _become(words: list[str], environment: dict[str, str]) -> OSError:
    """Does not return when the program can be run."""
    try:
        os.execve(words[0], words, environment)
    except OSError as error:
        return error
