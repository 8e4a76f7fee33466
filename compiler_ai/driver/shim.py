"""The assembler that GCC finds (see shimming): splices stored rewrites into GCC's listing, then runs the real `as`.

Run by libexec/as through as_main.py. In apply mode only the store's index is consulted; a listing none of whose functions
has an entry goes to the real assembler untouched. Any failure of ours, and any failure of the real assembler on a spliced
listing, ends with the real assembler on GCC's own listing.
"""

from __future__ import annotations

import os

from compiler_ai.driver import starting
from compiler_ai.driver.assembler import ask, on_path, without_shim
from compiler_ai.driver.log import write as log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Options of GNU as whose argument is the next word (as(1)).
_SEPARATE = frozenset({"-o", "-I", "--defsym", "--MD", "-J", "--debug-prefix-map", "--listing-lhs-width", "-G"})


def main(arguments: list[str]) -> int:
    project = os.environ.get("AICC_SHIM_PROJECT") or None
    real, driver = real_assembler(), os.getppid()
    source = input_of(arguments)
    if source is None:
        return become(real, arguments)
    text: bytes | None = None
    spliced: str | None = None
    try:
        from compiler_ai.driver import treefile

        text = read_input(source)
        try:
            if is_compiler_output(text):
                from compiler_ai.driver.apply import rewrite_listing

                spliced = rewrite_listing(text, arguments, project)
        finally:
            treefile.forget(os.environ)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        log(project, f"as: {type(error).__name__}: {error}")
    if text is None:
        return become(real, arguments)
    if os.getppid() != driver:  # it was killed and has removed its outputs: none may appear after it
        return 1
    if spliced is not None:
        from_input = ["-" if word is source else word for word in arguments]
        status, said = run(real, from_input, spliced.encode(errors="surrogateescape"))
        if status == 0:
            starting.say(said)
            return 0
        log(project, f"as: the spliced listing does not assemble, GCC's own is used: {_first_line(said)}")
    if source == "-":
        os.dup2(memory_file(text), 0)
    return become(real, arguments)


def input_of(arguments: Sequence[str]) -> str | None:
    """The one input of an assembler command line ("-" for standard input), or None when there is not exactly one."""
    inputs: list[str] = []
    words = iter(arguments)
    for word in words:
        if word in _SEPARATE:
            next(words, None)
        elif word == "--":
            return None
        elif not word.startswith("-") or word == "-":
            inputs.append(word)
        elif word in ("--version", "--help", "--target-help"):
            return None
    if not inputs:
        return "-"
    return inputs[0] if len(inputs) == 1 and not inputs[0].startswith("@") else None


def read_input(source: str) -> bytes:
    with open(0 if source == "-" else source, "rb", closefd=source != "-") as file:
        return file.read()


def is_compiler_output(text: bytes) -> bool:
    """Whether GCC or Clang wrote this listing; hand-written assembly is never touched.

    Both end a listing with `.ident`; GCC begins it with `.file`. Preprocessed assembly begins with a line marker.
    """
    return b'\t.ident\t"' in text[-4096:] and (text.lstrip()[:6] == b".file\t" or b"\n\t.file\t" in text[:4096])


def real_assembler() -> str:
    """What the underlying compiler calls its assembler: a path, or a name on PATH, which messages begin with."""
    known = os.environ.get("AICC_SHIM_AS", "")
    gone = "/" in known and not os.access(known, os.X_OK)  # since it was noted
    return real_program("as") if gone or not known else known


def real_program(name: str) -> str:
    """What the underlying compiler would run under that name without us."""
    compiler = os.environ.get("AICC_SHIM_COMPILER", "gcc").split("\x1f")
    return ask(compiler, name, without_shim(os.environ)) or name


def run(program: str, arguments: Sequence[str], text: bytes) -> tuple[int, bytes]:
    """Run the assembler on `text` as standard input; return its exit status and what it wrote to standard error."""
    source, output = memory_file(text), os.memfd_create("stderr")
    try:
        process = os.posix_spawn(
            path_of(program),
            [program, *arguments],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, output, 2)],
        )
    except OSError as error:
        return 127, f"cannot run {program}: {error.strerror}".encode()
    starting.end_with(process)
    _, status = os.waitpid(process, 0)
    os.close(source)
    os.lseek(output, 0, os.SEEK_SET)
    with open(output, "rb") as file:
        said = file.read()
    return os.waitstatus_to_exitcode(status), said


def run_quietly(program: str, arguments: Sequence[str], text: bytes) -> tuple[int, str]:
    """Like `run`, with the first line of what was said."""
    status, said = run(program, arguments, text)
    return status, _first_line(said)


def _first_line(said: bytes) -> str:
    lines = (line for line in said.decode(errors="replace").splitlines() if "Assembler messages" not in line)
    return next(lines, "")


def path_of(program: str) -> str:
    """Where `program` is, past our own shims."""
    return on_path(program, without_shim(os.environ)) or program


def memory_file(content: bytes) -> int:
    """An anonymous file that holds `content`, positioned at its start: nothing to delete, whatever kills us."""
    descriptor = os.memfd_create("listing")
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def become(program: str, arguments: Sequence[str]) -> int:
    try:
        os.execv(path_of(program), [program, *arguments])
    except OSError as error:
        starting.say(f"{os.path.basename(program)}: cannot run {program}: {error.strerror}\n".encode(errors="replace"))
    return 1
