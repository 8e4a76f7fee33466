"""The assembler that GCC finds through `-B`: splices stored rewrites into GCC's listing, then runs the real `as`.

Run as a file under `python3 -I -S`. In apply mode only the store's index is consulted; a listing none of whose functions
has an entry goes to the real assembler untouched. Any failure of ours, and any failure of the real assembler on a spliced
listing, ends with the real assembler on GCC's own listing.
"""

from __future__ import annotations

import os
import sys

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(_PACKAGE))

from compiler_ai.driver import log  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Options of GNU as whose argument is the next word (as(1)).
_SEPARATE = frozenset({"-o", "-I", "--defsym", "--MD", "-J", "--debug-prefix-map", "--listing-lhs-width", "-G"})
# Set for the real assembler's own children nothing of ours.
_OURS = ("AICC_SHIM_", "AICC_ACTIVE")


def main(arguments: list[str]) -> int:
    project = os.environ.get("AICC_SHIM_PROJECT") or None
    real = real_program("as")
    source = input_of(arguments)
    if source is None:
        return become(real, arguments)
    text: bytes | None = None
    spliced: str | None = None
    try:
        text = read_input(source)
        if is_compiler_output(text):
            from compiler_ai.driver.apply import rewrite_listing

            spliced = rewrite_listing(text, arguments, project)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        log.write(project, f"as: {type(error).__name__}: {error}")
    if text is None:
        return become(real, arguments)
    if spliced is not None:
        without_input = [word for word in arguments if word is not source]
        status, message = run_quietly(real, without_input, spliced.encode(errors="surrogateescape"))
        if status == 0:
            return 0
        log.write(project, f"as: the spliced listing does not assemble, GCC's own is used: {message}")
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


def real_program(name: str) -> str:
    """The assembler or linker that the underlying compiler would run under this name without our `-B`."""
    compiler = os.environ.get("AICC_SHIM_COMPILER", "gcc").split("\x1f")
    reader, writer = os.pipe()
    arguments = [word for word in compiler[1:] if word.startswith("-")]
    process = os.posix_spawn(
        compiler[0],
        [compiler[0], *arguments, f"-print-prog-name={name}"],
        clean_environment(),
        file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_CLOSE, reader)],
    )
    os.close(writer)
    with open(reader, "rb") as pipe:
        found = os.fsdecode(pipe.read().strip()) or name
    os.waitpid(process, 0)
    if "/" in found:
        return found
    for directory in os.environ.get("PATH", os.defpath).split(":"):
        path = f"{directory or '.'}/{found}"
        if os.access(path, os.X_OK) and not os.path.realpath(path).startswith(os.path.realpath(_PACKAGE) + "/"):
            return path
    return "/usr/bin/" + found


def clean_environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    for name in ("COMPILER_PATH", "GCC_EXEC_PREFIX"):
        environment.pop(name, None)  # set by GCC for its children, with our -B directory in front
    return environment


def run_quietly(program: str, arguments: Sequence[str], text: bytes) -> tuple[int, str]:
    """Run the assembler on `text` as standard input; return its exit status and the first line it said."""
    source, output = memory_file(text), os.memfd_create("stderr")
    process = os.posix_spawn(
        program,
        [program, *arguments],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, output, 2)],
    )
    _, status = os.waitpid(process, 0)
    os.close(source)
    os.lseek(output, 0, os.SEEK_SET)
    said = [
        line
        for line in os.read(output, 65536).decode(errors="replace").splitlines()
        if "Assembler messages" not in line
    ]
    os.close(output)
    return os.waitstatus_to_exitcode(status), (said or [""])[0]


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
        os.execv(program, [program, *arguments])
    except OSError as error:
        sys.stderr.write(f"{os.path.basename(program)}: cannot run {program}: {error.strerror}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
