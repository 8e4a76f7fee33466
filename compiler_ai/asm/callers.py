"""Which functions of a listing call which directly, and what mentions a variable. On the compile path.

GCC lets a caller rely on more than the ABI when it knows the callee's code: registers that the callee leaves alone
(-fipa-ra) and the stack alignment that it needs. Calls that the dynamic linker may send elsewhere have no such knowledge.
"""

from __future__ import annotations

from bisect import bisect_right

from compiler_ai.asm.statements import VISIBILITY, directive_of, label_of, symbols_in, without_comment
from compiler_ai.patterns import compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from compiler_ai.asm.function import Function
    from compiler_ai.asm.listing import Listing

_OF_ITS_DEFINITION = (".local", ".comm", ".type", ".size", ".globl", ".weak", *VISIBILITY)
_OPERAND = compiled(r"^\s*[\w.]+\s(?:.*[\s,])?([^\W\d][\w.$]*)$")  # the last operand is a bare symbol


def direct_callers(listing: Listing, name: str) -> list[Function]:
    """The functions with a call or jump to `name`, by this name or an alias, that stays inside of the unit; in order."""
    function = listing.function(name)
    if function is None:
        return []
    found: dict[str, Function] = {}
    for symbol in (name, *function.aliases):
        if symbol not in listing.text:
            continue
        for number in _mentions(listing, symbol):
            caller = _around(listing, number)
            if caller is not None and caller.name != name:
                found.setdefault(caller.name, caller)
    return sorted(found.values(), key=lambda one: one.entry)


def ancestors(listing: Listing, name: str) -> list[Function]:
    """The direct callers, theirs and so on, in textual order, `name` itself left out."""
    found: dict[str, Function] = {}
    pending = [name]
    while pending:
        for caller in direct_callers(listing, pending.pop()):
            if caller.name not in found and caller.name != name:
                found[caller.name] = caller
                pending.append(caller.name)
    return sorted(found.values(), key=lambda one: one.entry)


def users(listing: Listing, variable: str) -> tuple[list[Function], list[str]]:
    """The functions whose code mentions a variable, in order, and the statements elsewhere (data, aliases) that do."""
    found: dict[str, Function] = {}
    others: list[str] = []
    for number in listing.lines_with(variable):
        line = listing.lines[number]
        if (
            variable not in symbols_in(line) or not listing.sections[number].allocated
        ):  # debug information only tells of it
            continue
        function = _around(listing, number)
        if function is not None:
            found.setdefault(function.name, function)
        elif not directive_of(line).startswith(_OF_ITS_DEFINITION):
            others.append(" ".join(without_comment(line).split()))
    return sorted(found.values(), key=lambda one: one.entry), others


def _around(listing: Listing, number: int) -> Function | None:
    """The function whose body a line is in."""
    functions = listing.functions
    at = bisect_right(functions, number, key=lambda one: one.entry) - 1
    return functions[at] if at >= 0 and number < functions[at].size_line else None


def _mentions(listing: Listing, symbol: str) -> list[int]:
    """The lines of instructions whose last operand is the symbol alone."""
    numbers = []
    for number in listing.lines_with(symbol):
        line = without_comment(listing.lines[number])
        if directive_of(line) or label_of(line) or not listing.sections[number].executable:
            continue
        match = _OPERAND.match(line)
        if match and match[1] == symbol:
            numbers.append(number)
    return numbers
