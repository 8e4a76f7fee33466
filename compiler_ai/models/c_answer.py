"""A model's answer in C: the function's text, checked to be nothing else, or the reason why it cannot be used.

What is let through can neither direct the preprocessor, nor reach the assembler's text (inline assembly, names and sections in
attributes), nor define anything but the function and constant tables: ISO C11, 5.1.1.2 (phases of translation) and 6.9; GCC
manual, "Extensions to the C Language". Nothing here is compiled.
"""

from __future__ import annotations

import re

from compiler_ai.models.cdeclarations import DeclarationReader
from compiler_ai.models.ctokens import TOKEN, WORD

_MOST_BYTES = 64 << 10
_FENCED = re.compile(r"^\s{0,8}```[ \t]*([\w+#.-]*)[^\n`]*\n(.*?)(?:^\s{0,8}```|\Z)", re.MULTILINE | re.DOTALL)
_LANGUAGES = ("c", "cpp", "c++", "h", "")
_NAME_ALONE = re.compile(r"\A\s*(?:c|cpp|c\+\+)[ \t]*\n", re.IGNORECASE)  # small models write it a second time
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include\b[^\n]*$", re.MULTILINE)
# Other spellings of # and of braces and brackets, of a backslash, and of an attribute (C11, 6.4.6 and 5.2.1.1; C23, 6.7.13).
_OTHER_SPELLINGS = re.compile(r"%:|<%|%>|<:|:>|\?\?|\[\s*\[")
_FORBIDDEN = re.compile(
    r"_*asm_*|_*attribute_*|_Pragma|__pragma|__declspec|_*thread_*|_Thread_local|_*thread_local_*|extern|_Atomic|_*volatile_*|"
    r"__(?:has_\w+|FILE|BASE_FILE|LINE|COUNTER|DATE|TIME|TIMESTAMP|INCLUDE_LEVEL)__|__has_\w+"
)
# Names in the implementation's space that an answer may use (C11, 7.1.3); others stand for what only the compiler's own headers know.
_RESERVED = re.compile(r"_[A-Z_]\w*")
_USABLE = re.compile(
    r"_Bool|_Alignof|_Static_assert|__restrict(__)?|__inline(__)?|__const(__)?|__signed(__)?|__extension__|__typeof(__)?|__alignof(__)?|"
    r"__u?int128(_t)?|__builtin_(expect\w*|unreachable|assume_aligned|prefetch|constant_p|types_compatible_p|choose_expr|offsetof|"
    r"mem(cpy|set|cmp|move|chr)|str(len|cmp|chr|ncmp)|abs|labs|fabsf?|sqrtf?|fma[xf]?|fminf?|fmaxf?|copysignf?|"
    r"bswap(16|32|64|128)|(popcount|clz|ctz|ffs|parity|clrsb)(l|ll)?|(add|sub|mul|sadd|ssub|smul|uadd|usub|umul)\w*_overflow)"
)
_CONSTANT = re.compile(
    r"(?=.*\bconst\b)(?=.*\bstatic\b)[\w\s]+(\s*\[[^\[\]]*\])*", re.DOTALL
)  # the head of a table's definition


class CAnswerError(Exception):
    """The answer's C cannot be used; the message is the reason, in one line."""


def texts_of(answer: str, function: str, truncated: bool) -> list[str]:
    """The blocks of an answer that may be C text with the function's definition; without fences, the whole of it."""
    defines = re.compile(rf"\b{re.escape(function)}\s*\([^;{{}}]*\)\s*\{{")
    plain = answer.replace("\r\n", "\n").replace("\r", "\n")
    if "```" not in plain:
        return [plain] if defines.search(plain) and not truncated else []
    blocks = [match[2] for match in _FENCED.finditer(plain) if match[1].lower() in _LANGUAGES]
    return [_NAME_ALONE.sub("", text) for text in blocks if defines.search(text)]


def checked(text: str, function: str) -> str:
    """The text without comments and #include lines, fit to be put where the function's definition stands. Raises CAnswerError."""
    if len(text.encode(errors="replace")) > _MOST_BYTES:
        raise CAnswerError(f"the C text has more than {_MOST_BYTES >> 10} KiB")
    tokens = _tokens(_INCLUDE.sub("", text), strict=True)
    _check_declarations(tokens, function)
    return "".join(tokens)


def check_expanded(text: str, function: str) -> None:
    """The same after the unit's own macros have been replaced, which may have put words together. Raises CAnswerError."""
    _check_declarations(_tokens(text, strict=False), function)


def _tokens(text: str, strict: bool) -> list[str]:
    """Comments become a space; what could change how the text is read is refused. `strict`: so are reserved names."""
    tokens: list[str] = []
    for match in TOKEN.finditer(text):
        token = match[0]
        if token.startswith(("/*", "//")) and len(token) > 1:
            token = " "
        _check_token(token, tokens[-1] if tokens else "", strict)
        tokens.append(token)
    joined = "".join(tokens)
    if found := _OTHER_SPELLINGS.search(joined):
        raise CAnswerError(f"'{found[0]}' is not allowed")
    if "/*" in joined or "//" in joined:
        raise CAnswerError("a comment without an end")
    return tokens


def _check_token(token: str, before: str, strict: bool) -> None:
    if not token.isspace() and not (token.isascii() and token.isprintable()):
        raise CAnswerError("characters outside of ASCII")
    if token.isspace() and token.strip(" \t\n"):
        raise CAnswerError("a control character")
    if token == "#":
        raise CAnswerError("preprocessor directives are not allowed")
    if token in ("\\", "@", "`", "$", '"', "'"):
        raise CAnswerError(f"a stray {token}")
    if token.startswith('"') and (WORD.fullmatch(before) or before[:1].isdigit()):
        raise CAnswerError("a string with a prefix")  # R"(...)" ends elsewhere than other strings do
    if not WORD.fullmatch(token):
        return
    if _FORBIDDEN.fullmatch(token):
        raise CAnswerError(f"'{token}' is not allowed")
    if strict and _RESERVED.fullmatch(token) and not _USABLE.fullmatch(token):
        raise CAnswerError(f"the name '{token}' is reserved for the compiler")


def _check_declarations(tokens: list[str], function: str) -> None:
    """One definition of the function, and besides it only static const tables and declarations of the function itself."""
    reader = DeclarationReader()
    depth = 0
    for token in tokens:
        depth += (token == "{") - (token == "}")
        if depth < 0:
            raise CAnswerError("a closing brace too many")
        reader.token(token)
    if reader.rest or depth:
        raise CAnswerError("the C text breaks off: it is truncated")
    found = 0
    for one in reader.declarations:
        if one.is_function and one.name == function:
            found += 1
            _check_statics(one.text)
        elif one.is_function:
            raise CAnswerError(f"it defines another function, '{one.name}'")
        elif not _CONSTANT.fullmatch(one.text.partition("=")[0].strip()) or "=" not in one.text:
            raise CAnswerError(f"it declares something besides the function: '{' '.join(one.text.split())[:60]}'")
    if found != 1:
        raise CAnswerError(f"it defines '{function}' {found} times")


def _check_statics(text: str) -> None:
    """A static variable would be memory that the original does not write; constants are none."""
    for head in re.findall(r"[^;{}=]*\bstatic\b[^;{}=]*", text[text.index("{") :]):
        if not re.search(r"\bconst\b", head) or re.search(r"\*(?!\s*const\b)", head):
            raise CAnswerError("a static variable inside the function")
