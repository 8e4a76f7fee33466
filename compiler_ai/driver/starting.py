"""The process that the interpreter runs in, from its start, which changes what the compiler and its children inherit, to its end.

On the compile path.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` takes 2 ms: it builds enumerations
import os


def restore(before: str) -> None:
    """Give the environment its LC_CTYPE back, and the signals the actions that they had.

    `before` is the set of ignored signals as a number, or nothing where that is not known, then `=` and LC_CTYPE when that was set.
    Python sets it in the C locale (PEP 538), which would change the quotes in GCC's messages; it ignores SIGPIPE and
    SIGXFSZ, and programs that are executed inherit that; and it turns SIGINT into an exception, where a compiler just ends.
    """
    ignored, was_set, lc_ctype = before.partition("=")
    if was_set:
        os.environ["LC_CTYPE"] = lc_ctype
    else:
        os.environ.pop("LC_CTYPE", None)
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        if not int(ignored or 0) >> (number - 1) & 1:
            _signal.signal(number, _signal.SIG_DFL)
    if _signal.getsignal(_signal.SIGINT) is not _signal.SIG_IGN:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    descriptor = 0
    try:
        while descriptor <= 2:  # a closed standard stream: files of ours must not get its number; closed again by exec
            descriptor = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.close(descriptor)
    except OSError:  # there is none in some chroots
        pass


def end_with(process: int) -> None:
    """Make what ends this process end `process`, a child, too. The child's own clean-up is left to it."""

    def stop(number: int, _frame: object) -> None:
        try:
            os.kill(process, number)
        except OSError:
            pass
        _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)

    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        if _signal.getsignal(number) is not _signal.SIG_IGN:
            _signal.signal(number, stop)


def say(said: bytes, descriptor: int = 2) -> None:
    """Write messages, as far as they can be written: that they are lost is no failure."""
    try:
        while said:
            said = said[os.write(descriptor, said) :]
    except OSError:
        pass
