"""The linker that GCC finds (see shimming): adds the companions of the objects it is given, then runs the real `ld`.

Run as a file by linkexec/ld, only in projects that have companions (-faicc-emit=object). An object names its companion
by digest; one that is not there any more, or belongs to another build, is left out. Of an archive's members only those
that the linker really takes get theirs, so such a program is linked twice. When a link with companions fails, the link
is done as it was asked for.
"""

from __future__ import annotations

import os
import sys

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(_PACKAGE))

try:
    from compiler_ai.driver import log, shim, starting
except Exception as error:
    from compiler_ai.driver.damaged import run_script

    run_script(
        [f"{_PACKAGE}/linkexec/{sys.argv[2]}", *sys.argv[3:]], sys.argv[1], AICC_SHIM_PYTHON=f"the shim ({error})"
    )

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler_ai.emit.inputs import Wanted


def main(name: str, arguments: list[str]) -> int:
    project = os.environ.get("AICC_SHIM_PROJECT") or None
    real = shim.path_of(shim.real_program(name))  # GCC runs it by its path, which its messages begin with
    try:
        if project and os.path.isdir(project + "/objects") and linked_with_companions(real, arguments, project):
            return 0
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        log.write(project, f"ld: {type(error).__name__}: {error}")
    return shim.become(real, arguments)


def linked_with_companions(real: str, arguments: Sequence[str], project: str) -> bool:
    """Whether the program was linked, with companions. False: nothing to add, or it failed and nothing was said."""
    from compiler_ai.emit import inputs

    words = inputs.expanded(arguments)
    found = inputs.read(words)
    wanted = [one for one in found.wanted if one.digest not in found.present]
    if not wanted:
        return False
    reason = inputs.refusal(words)
    if reason:
        log.write(project, f"ld: no companions are linked: {reason}")
        return False
    companions = _found(wanted, project)
    plain = {one: path for one, path in companions.items() if not one.member}
    packed = {one: path for one, path in companions.items() if one.member}
    if not companions:
        return False
    if packed:  # which members are taken shows in a link
        traced = _run(real, [*_extended(words, plain, {}), "-t", "-t"])
        packed = {one: path for one, path in packed.items() if _is_traced(one, traced.out)}
    linked = _run(real, _extended(words, plain, packed))
    if linked.status != 0:
        log.write(project, f"ld: with companions the link fails, GCC's bodies are used: {_first_line(linked.said)}")
        return False
    starting.say(linked.out, 1)
    starting.say(linked.said)
    return True


class _Linked:
    """One run of the linker: its exit status, what it wrote to standard output and to standard error."""

    def __init__(self, status: int, out: bytes, said: bytes) -> None:
        self.status, self.out, self.said = status, out, said


def _found(wanted: Sequence[Wanted], project: str) -> dict[Wanted, str]:
    """The companions that are there, one of each digest."""
    from compiler_ai.emit import placing

    found: dict[Wanted, str] = {}
    digests: set[str] = set()
    for one in wanted:
        if one.digest in digests:
            continue
        beside = os.path.join(os.path.dirname(one.path), one.member) if one.member else one.path
        path = placing.find(one.digest, beside, project)
        if path is None:
            what = f"{one.path}({one.member})" if one.member else one.path
            log.write(project, f"ld: the companion of {what} is not there, GCC's bodies are linked")
        else:
            digests.add(one.digest)
            found[one] = path
    return found


def _extended(words: Sequence[str], plain: dict[Wanted, str], packed: dict[Wanted, str]) -> list[str]:
    """The command line with companions of objects behind their objects, those of archive members behind all archives.

    Behind, so that a member is taken for what it was taken for before; in front of crtend.o, which ends .eh_frame.
    """
    from compiler_ai.emit import placing

    behind: dict[int, list[str]] = {}
    for one, path in plain.items():
        behind.setdefault(one.position, []).append(path)
    end = len(words)
    while end and not os.path.basename(words[end - 1]).startswith("crtend"):
        end -= 1
    end = end - 1 if end else len(words)
    result: list[str] = []
    for path in (*plain.values(), *packed.values()):
        for introduced in placing.marks_of(path).values():
            result += [word for symbol in introduced for word in ("-u", symbol)]
    for position, word in enumerate(words):
        if position == end:
            result += packed.values()
        result += [word, *behind.get(position, ())]
    return result if end < len(words) else [*result, *packed.values()]


def _is_traced(one: Wanted, trace: bytes) -> bool:
    """Whether `ld -t -t` named the member: `(libx.a)foo.o` (BFD) or `libx.a(foo.o)` (gold, LLVM); of a thin
    archive BFD names the file itself and gold both."""
    outside = os.path.join(os.path.dirname(one.path), one.member)
    names = {f"({one.path}){one.member}", f"{one.path}({one.member})", f"{one.path}({outside})", outside}
    return any(os.fsdecode(line.strip()) in names for line in trace.splitlines())


def _run(real: str, arguments: Sequence[str]) -> _Linked:
    output, errors = os.memfd_create("stdout"), os.memfd_create("stderr")
    if sum(map(len, arguments)) > 100_000:
        listed = shim.memory_file("".join(_quoted(word) + "\n" for word in arguments).encode(errors="surrogateescape"))
        os.set_inheritable(listed, True)
        arguments = [f"@/dev/fd/{listed}"]
    process = os.posix_spawn(
        shim.path_of(real),
        [real, *arguments],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, errors, 2)],
    )
    starting.end_with(process)
    _, status = os.waitpid(process, 0)
    return _Linked(os.waitstatus_to_exitcode(status), _content(output), _content(errors))


def _content(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb") as file:
        return file.read()


def _quoted(word: str) -> str:
    """A word of a response file (GNU ld manual, "Command-line Options")."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _first_line(said: bytes) -> str:
    return next(iter(said.decode(errors="replace").splitlines()), "")


if __name__ == "__main__":
    starting.restore(sys.argv[1])
    sys.exit(main(sys.argv[2], sys.argv[3:]))
