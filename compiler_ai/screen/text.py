"""The first check: what a candidate's text may say, before any assembler sees it.

An allowlist: every label, directive and operand has a grammar here or is refused. GNU as would otherwise read files
(.incbin, .include), define the unit's symbols, open writable-executable sections, or run out of memory in nested .rept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from compiler_ai.artifacts import Candidate
from compiler_ai.screen.directives import DATA_DIRECTIVES, data_size, is_inert_in_code, is_unwind
from compiler_ai.screen.rules import Bounds, Refused, UnitFacts
from compiler_ai.screen.statements import TEXT, Statement, cut
from compiler_ai.toolchains.description import Toolchain

_READ_ONLY = re.compile(
    r"\.section\s+\.(?:rodata(?:\.[\w.$]+)?|data\.rel\.ro(?:\.local)?(?:\.[\w.$]+)?)"
    r'(?:,"[aMSw]{1,4}"(?:,@progbits(?:,(?:1|2|4|8|16|32|64))?)?)?'
)
_SECTION_WORDS = frozenset({".section", ".text", ".previous"})
_MNEMONIC = re.compile(r"(?:\{(?:vex|vex2|vex3|evex)\}\s*)?[a-z][a-z0-9]*(?:\.s|,p[nt])?")
_PREFIXES = frozenset(
    ["rep", "repe", "repz", "repne", "repnz", "lock", "notrack", "bnd", "data16", "xacquire", "xrelease"]
)
_OPERANDS = re.compile(r"[\w.$%(),*+\-@{}: ]*")
_SYMBOL = re.compile(r"(?<![\w.$%@{])([A-Za-z_.][\w.$]*)(@[A-Za-z]+)?")
_DECORATION = re.compile(r"\{(?:%k[0-7]|z|1to(?:2|4|8|16|32)|sae|r[nduz]-sae)\}")
_RELOCATION_OPERATORS = frozenset(
    {"@PLT", "@GOTPCREL", "@GOTTPOFF", "@gottpoff", "@TPOFF", "@tpoff", "@GOTOFF", "@GOT", "@GOTPCRELX"}
)
_LOCAL = re.compile(r"\.L[\w.$]+")
_EXTRA_NAME = re.compile(r"[A-Za-z_][\w.$]*\.aicc[\w.$]*")


@dataclass
class _State:
    """Where the check stands: which kind of section, and what was defined and used so far."""

    section: str  # "code", "data" or ""
    key: str = ""
    previous: tuple[str, str] = ("", "")
    defined: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    data_bytes: int = 0
    frames: int = 0


def check(candidate: Candidate, unit: UnitFacts, toolchain: Toolchain, bounds: Bounds) -> None:
    """Whether `candidate`'s text keeps to the grammar. Raises Refused with stage screen.text."""
    if candidate.function != unit.function:
        raise Refused(TEXT, f"the candidate is for '{candidate.function}' and not for '{unit.function}'")
    limit = unit.baseline_body_bytes * bounds.body_growth + bounds.body_slack_bytes
    if len(candidate.body) + len(candidate.extra) > limit:
        raise Refused(TEXT, f"the text is more than {limit} bytes long, out of proportion to the baseline's")
    body = _State("code")
    for statement in cut(candidate.body, bounds):
        _statement(statement, body, unit, bounds, in_extra=False)
    if body.section != "code" or (body.key and body.key not in unit.code_sections):
        raise Refused(TEXT, "the body does not end in the function's own section")
    if body.frames:
        raise Refused(TEXT, "the body leaves a .cfi_startproc open")
    extra = _State("", defined=body.defined, used=body.used, data_bytes=body.data_bytes)
    for statement in cut(candidate.extra, bounds):
        _statement(statement, extra, unit, bounds, in_extra=True)
    if extra.frames:
        raise Refused(TEXT, "the extra text leaves a .cfi_startproc open")
    if len(extra.defined) > bounds.labels:
        raise Refused(TEXT, f"there are {len(extra.defined)} labels, at most {bounds.labels} are accepted")
    _references(extra, unit, toolchain)


def _references(state: _State, unit: UnitFacts, toolchain: Toolchain) -> None:
    for name, line in state.defined.items():
        if name in unit.symbols and name not in unit.inside:
            raise Refused(TEXT, f"line {line} defines '{name}', which the unit has already")
        if name in toolchain.library_symbols:
            raise Refused(TEXT, f"line {line} defines the library's '{name}'")
    known = unit.symbols | toolchain.library_symbols
    for name, line in state.used.items():
        if name not in known and name not in state.defined:
            raise Refused(TEXT, f"line {line} refers to '{name}', which the unit neither uses nor defines")


def _statement(statement: Statement, state: _State, unit: UnitFacts, bounds: Bounds, in_extra: bool) -> None:
    if statement.kind == "label":
        _label(statement, state, unit, in_extra)
    elif statement.kind == "directive":
        _directive(statement, state, unit, bounds)
    elif state.section != "code":
        raise Refused(TEXT, f"line {statement.line} has an instruction outside of code: {statement.text[:80]}")
    else:
        _instruction(statement, state)


def _label(statement: Statement, state: _State, unit: UnitFacts, in_extra: bool) -> None:
    name = statement.word
    local = bool(_LOCAL.fullmatch(name)) or name == f"{unit.function}.cold"
    if not local and not (in_extra and _EXTRA_NAME.fullmatch(name)):
        raise Refused(TEXT, f"line {statement.line} defines '{name}'; only local labels (.L...) may be defined")
    if not state.section:
        raise Refused(TEXT, f"line {statement.line} has a label before the extra text names a section")
    if name in state.defined:
        raise Refused(TEXT, f"line {statement.line} defines '{name}' again")
    state.defined[name] = statement.line


def _instruction(statement: Statement, state: _State) -> None:
    words = statement.text.split(None)
    while words and words[0] in _PREFIXES:
        words.pop(0)
    if words and words[0].startswith("{") and len(words) > 1 and words[0].endswith("}"):
        words = [words[0] + words[1], *words[2:]]
    if not words or not _MNEMONIC.fullmatch(words[0]):
        raise Refused(TEXT, f"line {statement.line} is not an instruction in the accepted form: {statement.text[:80]}")
    operands = " ".join(words[1:])
    if not _OPERANDS.fullmatch(operands):
        raise Refused(TEXT, f"line {statement.line} has operands that are not accepted: {operands[:80]}")
    plain = _DECORATION.sub("", operands)
    if "{" in plain or "}" in plain:
        raise Refused(TEXT, f"line {statement.line} has a decoration that is not accepted: {operands[:80]}")
    if plain and not any(mark in plain for mark in "%$(*") and not words[0].startswith(("j", "call", "loop", "xbegin")):
        raise Refused(TEXT, f"line {statement.line} does not look like AT&T syntax: {statement.text[:80]}")
    _use(statement, plain.replace("$", " "), state)


def _use(statement: Statement, expression: str, state: _State) -> None:
    for match in _SYMBOL.finditer(expression):
        name, operator = match[1], match[2]
        if name == ".":
            raise Refused(TEXT, f"line {statement.line} uses the location counter: {statement.text[:80]}")
        if operator and operator not in _RELOCATION_OPERATORS:
            raise Refused(TEXT, f"line {statement.line} has the relocation operator {operator}, which is not accepted")
        state.used.setdefault(name, statement.line)


def section_key(statement_text: str) -> str:
    """A section directive with its white space removed where GNU as ignores it, for comparison."""
    return re.sub(r"\s*,\s*", ",", re.sub(r"\s+", " ", statement_text.strip()))


def _directive(statement: Statement, state: _State, unit: UnitFacts, bounds: Bounds) -> None:
    word = statement.word
    if word in _SECTION_WORDS:
        _section(statement, state, unit)
    elif not state.section:
        raise Refused(TEXT, f"line {statement.line}: the extra text has to begin with a section, not with {word}")
    elif word in (".p2align", ".align", ".balign"):
        state.data_bytes += _alignment(statement, state, bounds)
    elif word in (".type", ".size"):
        _attribute(statement, state, unit)
    elif word == ".set":
        _alias(statement, state)
    elif word in DATA_DIRECTIVES:
        _data(statement, state, bounds)
    elif word == ".cfi_startproc" and not statement.rest and state.section == "code" and not state.frames:
        state.frames = 1
    elif word == ".cfi_endproc" and not statement.rest and state.section == "code" and state.frames:
        state.frames = 0
    elif (
        statement.text in unit.exception_lines
        or (state.frames and is_unwind(statement))
        or (state.section == "code" and is_inert_in_code(statement))
    ):
        return
    else:
        raise Refused(TEXT, f"line {statement.line} has a directive that is not accepted: {statement.text[:80]}")
    if state.data_bytes > bounds.data_bytes:
        raise Refused(TEXT, f"line {statement.line}: more than {bounds.data_bytes} bytes of data")


def _section(statement: Statement, state: _State, unit: UnitFacts) -> None:
    key = section_key(statement.text)
    here = (state.section, state.key)
    if key == ".previous":
        if not state.previous[0]:
            raise Refused(TEXT, f"line {statement.line}: .previous without a section before")
        state.section, state.key = state.previous
    elif key in unit.code_sections:
        state.section, state.key = "code", key
    elif key in unit.data_sections or is_read_only(key):
        state.section, state.key = "data", key
    else:
        raise Refused(TEXT, f"line {statement.line} enters a section that is not accepted: {key[:80]}")
    state.previous = here


def is_read_only(key: str) -> bool:
    """Whether a section directive leads into read-only data (`.data.rel.ro` is written by the dynamic linker only)."""
    flags = key.partition('"')[2].partition('"')[0]
    return _READ_ONLY.fullmatch(key) is not None and ("w" not in flags or ".data.rel.ro" in key)


def _alignment(statement: Statement, state: _State, bounds: Bounds) -> int:
    """`.p2align n[,[fill][,max]]` and `.align`/`.balign bytes`; returns the padding it can cause in data, in bytes."""
    match = re.fullmatch(r"(\d{1,2})(?:\s*,\s*(0x90)?\s*(?:,\s*(\d{1,2}))?)?", statement.rest)
    amount = int(match[1]) if match else 0
    size = 1 << amount if statement.word == ".p2align" else amount
    if match is None or size > bounds.alignment_bytes or size & (size - 1) or (match[2] and state.section != "code"):
        raise Refused(TEXT, f"line {statement.line} has an alignment that is not accepted: {statement.text[:80]}")
    return size if state.section == "data" else 0


def _attribute(statement: Statement, state: _State, unit: UnitFacts) -> None:
    """`.type X, @function|@object` and `.size X, N|.-X`, of what the candidate itself has defined."""
    if statement.word == ".type":
        match = re.fullmatch(r"([\w.$]+)\s*,\s*@(function|object)", statement.rest)
    else:
        match = re.fullmatch(
            r"([\w.$]+)\s*,\s*(?:\d{1,7}|\.\s*-\s*([\w.$]+)|\.L[\w.$]+\s*-\s*([\w.$]+))", statement.rest
        )
        if match and any(name not in (None, match[1]) for name in match.groups()[1:]):
            match = None
    if match is None:
        raise Refused(TEXT, f"line {statement.line} is not accepted: {statement.text[:80]}")
    name = match[1]
    if name in unit.symbols and name not in unit.inside:
        raise Refused(
            TEXT, f"line {statement.line} changes '{name}', which is not the candidate's: {statement.text[:80]}"
        )
    if name == unit.function or not (
        _LOCAL.fullmatch(name) or _EXTRA_NAME.fullmatch(name) or name == f"{unit.function}.cold"
    ):
        raise Refused(
            TEXT, f"line {statement.line} changes '{name}', which is not the candidate's: {statement.text[:80]}"
        )
    state.used.setdefault(name, statement.line)


def _alias(statement: Statement, state: _State) -> None:
    """`.set .Lnew, .Lold[+n]`: how GCC names a part of a larger constant."""
    match = re.fullmatch(r"(\.L[\w.$]+)\s*,\s*(\.L[\w.$]+)(?:\s*\+\s*\d{1,5})?", statement.rest)
    if match is None or match[1] in state.defined:
        raise Refused(TEXT, f"line {statement.line} is not accepted: {statement.text[:80]}")
    state.defined[match[1]] = statement.line
    state.used.setdefault(match[2], statement.line)


def _data(statement: Statement, state: _State, bounds: Bounds) -> None:
    if state.section != "data":
        raise Refused(TEXT, f"line {statement.line} has data in code: {statement.text[:80]}")
    size = data_size(statement, bounds.data_bytes)
    if size is None:
        raise Refused(TEXT, f"line {statement.line} has data that is not accepted: {statement.text[:80]}")
    state.data_bytes += size
    if '"' not in statement.rest:
        _use(statement, statement.rest, state)
