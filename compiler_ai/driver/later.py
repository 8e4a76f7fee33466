"""Modules that are imported when something of them is wanted. On the compile path."""

from __future__ import annotations

import sys
from types import ModuleType


class _Later(ModuleType):
    def __getattr__(self, name: str) -> object:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(__import__(self.__name__), name)


def put_off(module: str) -> None:
    """Make `import module` cost nothing until something of it is used."""
    if module not in sys.modules:
        sys.modules[module] = _Later(module)
