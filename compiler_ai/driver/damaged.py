"""What is left to do when aicc's modules cannot be imported: hand the command back to the script it came from, without us.

Needs nothing of the package itself.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_OURS = (b"AICC_KNOWN_FILE", b"AICC_KNOWN_KEY", b"LC_CTYPE")


def run_script(words: Sequence[str], before: str, **variables: str) -> NoReturn:
    """Become `sh` with `words`, a script and its arguments, and `variables` added. `before`: see starting.restore."""
    ignored, was_set, lc_ctype = before.partition("=")
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        if not int(ignored or 0) >> (number - 1) & 1:
            _signal.signal(number, _signal.SIG_DFL)
    environment = {name: value for name, value in posix.environ.items() if name not in _OURS}
    if was_set:
        environment[b"LC_CTYPE"] = lc_ctype.encode(errors="surrogateescape")
    for name, text in variables.items():
        environment[name.encode()] = text.encode(errors="surrogateescape")
    posix.execve("/bin/sh", ["sh", *words], environment)
