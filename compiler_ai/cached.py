"""`functools.cached_property` without `functools`, whose import costs more than all that it would cache. On the compile path."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from functools import cached_property as cached_property
else:

    class cached_property:
        """A property whose value is kept in the instance, under its own name, when it is asked for first."""

        def __init__(self, function):
            self._function = function
            self.__doc__ = function.__doc__

        def __set_name__(self, _owner, name):
            self._name = name

        def __get__(self, instance, _owner=None):
            if instance is None:
                return self
            value = instance.__dict__[self._name] = self._function(instance)
            return value
