"""What callees outside of the unit may answer, by their C types: from debug information, or as ISO C and POSIX declare them."""

from __future__ import annotations

from collections.abc import Mapping

from compiler_ai.sandbox.events import REGISTER_PARAMETERS, Callee, Parameter, Returns, Use
from compiler_ai.verify.calls import Callees
from compiler_ai.verify.passing import GENERAL_ARGUMENTS
from compiler_ai.verify.prototype import Prototype, Type
from compiler_ai.verify.state import integer_parameters

_NEVER_RETURN = frozenset(
    {
        *("abort", "exit", "_exit", "_Exit", "quick_exit", "__assert_fail", "__assert", "__stack_chk_fail", "__chk_fail"),
        *("__fortify_fail", "longjmp", "_longjmp", "siglongjmp", "__longjmp_chk", "pthread_exit", "err", "errx"),
        *("verr", "verrx", "__cxa_throw", "_Unwind_Resume", "__builtin_unreachable"),
    }
)  # fmt: skip
_ALLOCATE = {
    "malloc": (0,), "calloc": (0, 1), "realloc": (1,), "aligned_alloc": (1,), "memalign": (1,), "valloc": (0,),
    "reallocarray": (1, 2),
}  # fmt: skip
_INT, _SIZE, _LONG = Type("integer", 4, True), Type("integer", 8), Type("integer", 8, True)
_TEXT = Type("pointer", 8, target_bytes=1, target_kind="integer", target_const=True, target_signed=True)
_CONST = Type("pointer", 8, target_bytes=1, target_kind="void", target_const=True)
_BUFFER = Type("pointer", 8, target_bytes=1, target_kind="void")
_FILLED = Type("pointer", 8, target_bytes=1, target_kind="unknown")  # with what answers do not make up
_FILE = Type("pointer", 8, target_bytes=216, target_kind="aggregate")


def _declared(returns: Type, *parameters: Type, variadic: bool = False) -> Prototype:
    return Prototype(returns, tuple(("", kind) for kind in parameters), variadic)


# GCC's debug information has no types for what it calls in place of what the source calls.
_LIBRARY = {
    "fwrite": _declared(_SIZE, _CONST, _SIZE, _SIZE, _FILE),
    "fread": _declared(_SIZE, _BUFFER, _SIZE, _SIZE, _FILE),
    "fputs": _declared(_INT, _TEXT, _FILE),
    "puts": _declared(_INT, _TEXT),
    "fputc": _declared(_INT, _INT, _FILE),
    "putc": _declared(_INT, _INT, _FILE),
    "putchar": _declared(_INT, _INT),
    "printf": _declared(_INT, _TEXT, variadic=True),
    "fprintf": _declared(_INT, _FILE, _TEXT, variadic=True),
    "__printf_chk": _declared(_INT, _INT, _TEXT, variadic=True),
    "__fprintf_chk": _declared(_INT, _FILE, _INT, _TEXT, variadic=True),
    "abort": _declared(Type("void")),
    "exit": _declared(Type("void"), _INT),
    "malloc": _declared(_BUFFER, _SIZE),
    "calloc": _declared(_BUFFER, _SIZE, _SIZE),
    "realloc": _declared(_BUFFER, _BUFFER, _SIZE),
    "free": _declared(Type("void"), _BUFFER),
    "sprintf": _declared(_INT, _FILLED, _TEXT, variadic=True),
    "snprintf": _declared(_INT, _FILLED, _SIZE, _TEXT, variadic=True),
    "__sprintf_chk": _declared(_INT, _FILLED, _INT, _SIZE, _TEXT, variadic=True),
    "__snprintf_chk": _declared(_INT, _FILLED, _SIZE, _INT, _SIZE, _TEXT, variadic=True),
    "__memcpy_chk": _declared(_BUFFER, _FILLED, _CONST, _SIZE, _SIZE),
    "__memmove_chk": _declared(_BUFFER, _FILLED, _CONST, _SIZE, _SIZE),
    "__memset_chk": _declared(_BUFFER, _FILLED, _INT, _SIZE, _SIZE),
    "__strcpy_chk": _declared(_BUFFER, _FILLED, _TEXT, _SIZE),
    "__strcat_chk": _declared(_BUFFER, _FILLED, _TEXT, _SIZE),
    "__strncpy_chk": _declared(_BUFFER, _FILLED, _TEXT, _SIZE, _SIZE),
    "__fgets_chk": _declared(_BUFFER, _FILLED, _SIZE, _INT, _FILE),
    "__read_chk": _declared(_LONG, _INT, _FILLED, _SIZE, _SIZE),
    "__stack_chk_fail": _declared(Type("void")),
    "__assert_fail": _declared(Type("void"), _TEXT, _TEXT, Type("integer", 4), _TEXT),
}  # fmt: skip


def prototype_of(name: str, prototypes: Mapping[str, Prototype]) -> Prototype | None:
    """The callee's type: debug information's, else the C library's; None when neither has it."""
    plain = name.partition("@")[0]
    return prototypes.get(plain) or _LIBRARY.get(plain)


def described(callees: Callees) -> dict[int, Callee]:
    """Address -> what answers to that callee look like, for all that is known and not transparent."""
    return {
        address: _callee(name.partition("@")[0], prototype_of(name, callees.prototypes))
        for address, name in callees.names.items()
        if not callees.is_transparent(address)
    }


def _callee(name: str, prototype: Prototype | None) -> Callee:
    never = name in _NEVER_RETURN or (prototype is not None and prototype.never_returns)
    if prototype is None:
        return Callee(never_returns=never)
    kind = prototype.returns
    alone = dict(integer_parameters(prototype))
    kinds = [alone.get(name, Type("unknown")) for name in GENERAL_ARGUMENTS]
    parameters = [_parameter(kinds, n) for n in range(REGISTER_PARAMETERS)] if alone else []
    returns = {"void": Returns.NOTHING, "integer": Returns.INTEGER, "pointer": Returns.POINTER}.get(kind.kind)
    if kind.kind == "float" and kind.size_bytes in (4, 8):
        returns = Returns.FLOAT
    if kind.kind == "integer" and kind.size_bytes > 8:
        returns = None
    return Callee(
        returns if returns is not None else Returns.UNKNOWN,
        kind.size_bytes,
        kind.signed,
        kind.boolean,
        never,
        _ALLOCATE.get(name, ()),
        tuple(parameters),
    )


def _parameter(kinds: list[Type], number: int) -> Parameter:
    """What a callee may write is bounded by the type: one object, or as many bytes as the counts that follow say."""
    kind = kinds[number]
    if kind.kind == "integer":
        return Parameter(Use.INTEGER, kind.size_bytes)
    if kind.target_const:
        return Parameter()
    if kind.target_kind == "pointer":
        return Parameter(Use.TO_POINTER, 8)
    if kind.target_kind in ("integer", "float") and kind.target_bytes in (2, 4, 8):
        return Parameter(Use.TO_NUMBER, kind.target_bytes)
    if kind.target_kind == "aggregate":
        return Parameter(Use.TO_OBJECT, kind.target_bytes)
    counts = []
    for following in range(number + 1, min(number + 3, len(kinds), REGISTER_PARAMETERS)):
        if kinds[following].kind != "integer" or kinds[following].size_bytes != 8:
            break
        counts.append(following)
    if kind.target_bytes == 1 and kind.target_kind in ("void", "integer") and counts:
        return Parameter(Use.TO_BYTES, 1, tuple(counts))
    return Parameter()
