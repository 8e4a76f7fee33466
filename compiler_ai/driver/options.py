"""aicc's own options: `-faicc-*`, `-fdump-aicc-*`, `-fopt-info-aicc`, their AICC_* variables and AICC_FLAGS.

On the compile path: imports nothing but what the interpreter has loaded already, except where an error is reported.
Precedence, weakest first: AICC_<NAME>, AICC_FLAGS, the command line; a later option overrides an earlier one.
"""

from __future__ import annotations

from compiler_ai.driver import response
from compiler_ai.errors import AiccError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class OptionError(AiccError):
    """An option of ours that cannot be understood; the message is one line for the user."""


# name -> (default, allowed values or () for free text)
_VALUED: dict[str, tuple[str, tuple[str, ...]]] = {
    "mode": ("apply", ("off", "apply", "tune")),
    "profile": ("", ()),
    "verify": ("tested", ("tested", "bounded", "proved")),
    "isa": ("same", ("same", "native", "dispatch")),
    "emit": ("splice", ("splice", "object")),
    "budget": ("", ()),
    "plugin": ("", ()),
    "model": ("", ()),
    "model-prompt": ("", ()),
    "model-samples": ("", ()),
    "model-rounds": ("", ()),
    "model-generations": ("", ()),
    "model-answer-tokens": ("", ()),
    "model-tokens": ("", ()),
    "model-cost": ("", ()),
    "model-price": ("", ()),
    "model-timeout": ("", ()),
    "model-weights": ("auto", ("auto", "float32", "bf16", "4bit")),
    "model-record": ("", ()),
    "model-anonymise": ("no", ("yes", "no")),
}

# name -> what it takes
_NUMBERS = {
    "model-samples": "a number of answers",
    "model-rounds": "a number of rounds",
    "model-generations": "a number of generations",
    "model-answer-tokens": "a number of tokens",
    "model-tokens": "a number of tokens",
    "model-cost": "an amount of money, such as 2.50",
    "model-price": "the price of a million tokens, such as 0.15, or of prompts and answers, such as 0.15/0.60",
    "model-timeout": "a number of seconds",
}


class Options:
    """The options of one invocation. `flags` repeats them in canonical spelling, for handing on to the shim."""

    __slots__ = ("dump_all", "dumps", "models", "opt_info", "plugin_arguments", "plugins", "values")

    def __init__(self) -> None:
        self.values: dict[str, str] = {name: default for name, (default, _) in _VALUED.items()}
        self.plugins: list[str] = []
        self.models: list[str] = []
        self.plugin_arguments: list[tuple[str, str, str]] = []
        self.dumps: set[str] = set()
        self.dump_all = False
        self.opt_info: str | None = None  # a file name, "" for stderr, None for no remarks

    @property
    def mode(self) -> str:
        return self.values["mode"]

    @property
    def wants_passes(self) -> bool:
        """Whether the full pass driver has to run although nothing may be stored: tuning, plugins, dumps, remarks."""
        return self.mode == "tune" or bool(self.plugins or self.dumps or self.dump_all or self.opt_info is not None)

    def dumps_pass(self, name: str) -> bool:
        return self.dump_all or name in self.dumps

    @property
    def flags(self) -> list[str]:
        flags = [f"-faicc-{name}={value}" for name, value in self.values.items() if value != _VALUED[name][0]]
        flags += [f"-faicc-plugin={plugin}" for plugin in self.plugins]
        flags += [f"-faicc-model={model}" for model in self.models]
        flags += [f"-faicc-plugin-arg-{name}-{key}={value}" for name, key, value in self.plugin_arguments]
        flags += [f"-fdump-aicc-{name}" for name in sorted(self.dumps)]
        if self.dump_all:
            flags.append("-fdump-aicc-all")
        if self.opt_info is not None:
            flags.append("-fopt-info-aicc" + (f"={self.opt_info}" if self.opt_info else ""))
        return flags


def is_ours(argument: str) -> bool:
    return argument.startswith(("-faicc-", "-fdump-aicc-", "-fopt-info-aicc"))


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Options, list[str]]:
    """Split a command line into aicc's options and everything else, in order.

    Raises OptionError for an option that starts like ours and is not one, or has a value that is not allowed.
    """
    options = Options()
    for name in _VALUED:
        variable = "AICC_" + name.upper().replace("-", "_")
        value = environment.get(variable)
        if value:
            _set(options, name, value, variable)
    flags = environment.get("AICC_FLAGS")
    if flags:
        for flag in _split_flags(flags):
            if not is_ours(flag):
                raise OptionError(f"AICC_FLAGS takes only aicc's own options, not '{flag}'")
            _apply(options, flag)
    rest: list[str] = []
    for argument in arguments:
        if argument[:2] == "-f" and is_ours(argument) and not (rest and _takes_next(rest[-1])):
            _apply(options, argument)
        elif argument[:1] == "@" and _mentions_ours(argument[1:]):
            for word in response.expanded([argument]):
                if is_ours(word):
                    _apply(options, word)
                else:
                    rest.append(word)
        else:
            rest.append(argument)
    return options, rest


def _takes_next(word: str) -> bool:
    """Whether a word is an option of GCC's whose argument, like `-o -faicc.o`, is the next word."""
    if word[:1] != "-":
        return False
    from compiler_ai.driver.command import SEPARATE

    return word in SEPARATE


def _apply(options: Options, flag: str) -> None:
    if flag.startswith("-fdump-aicc-"):
        name = flag[len("-fdump-aicc-") :]
        if name == "all":
            options.dump_all = True
        elif name:
            options.dumps.add(name)
        else:
            raise _unknown(flag)
        return
    if flag.startswith("-fopt-info-aicc"):
        rest = flag[len("-fopt-info-aicc") :]
        if rest and not rest.startswith("="):
            raise _unknown(flag)
        options.opt_info = rest[1:]
        return
    if flag.startswith("-faicc-plugin-arg-"):
        name_key, equals, value = flag[len("-faicc-plugin-arg-") :].partition("=")
        name, dash, key = name_key.partition("-")
        if not (name and dash and key):
            raise OptionError(f"malformed '{flag}': write -faicc-plugin-arg-<name>-<key>[=<value>]")
        options.plugin_arguments.append((name, key, value if equals else "1"))
        return
    name, equals, value = flag[len("-faicc-") :].partition("=")
    if name not in _VALUED:
        raise _unknown(flag)
    if not (equals and value):
        raise OptionError(f"missing argument to '-faicc-{name}='")
    _set(options, name, value, f"-faicc-{name}=")


def _set(options: Options, name: str, value: str, where: str) -> None:
    if name == "plugin":
        options.plugins.append(value)
        return
    if name == "model":
        options.models.append(value)
        return
    allowed = _VALUED[name][1]
    if allowed and value not in allowed:
        hint = _closest(value, allowed)
        suggestion = f"; did you mean '{hint}'?" if hint else ""
        raise OptionError(f"'{value}' is not valid for '{where}', which takes {', '.join(allowed)}{suggestion}")
    if name == "budget":
        from compiler_ai.driver.duration import parse_duration_s

        if parse_duration_s(value) is None:
            raise OptionError(f"'{value}' is not a duration for '{where}': write 90s, 10m or 1h")
    if name in _NUMBERS and not _is_number(name, value):
        raise OptionError(f"'{value}' is not valid for '{where}', which takes {_NUMBERS[name]}")
    options.values[name] = value


def _is_number(name: str, value: str) -> bool:
    """Whether the text is what `_NUMBERS` asks for: digits, a fraction where money or time is meant, two for a price."""
    parts = value.split("/", 1) if name == "model-price" else [value]
    fraction = name in ("model-price", "model-cost", "model-timeout")
    plain = [part.replace(".", "", 1) if fraction else part for part in parts]
    return all(part.isascii() and part.isdigit() and len(part) < 16 for part in plain)


def _unknown(flag: str) -> OptionError:
    others = ["-fdump-aicc-all", "-fopt-info-aicc", "-faicc-plugin-arg-"]
    spelled, equals, _ = flag.partition("=")
    name = _closest(spelled.removeprefix("-faicc-"), list(_VALUED))  # the beginning that all have says nothing
    hint = f"-faicc-{name}=" if name else _closest(spelled + equals, others)
    return OptionError(f"unrecognized command-line option '{flag}'" + (f"; did you mean '{hint}'?" if hint else ""))


def _closest(word: str, known: Sequence[str]) -> str:
    import difflib  # an error path: start-up time no longer matters

    return next(iter(difflib.get_close_matches(word, known, n=1)), "")


def _split_flags(text: str) -> list[str]:
    if not any(character in text for character in "'\"\\"):
        return text.split()
    import shlex

    try:
        return shlex.split(text)
    except ValueError as error:
        raise OptionError(f"AICC_FLAGS is not well quoted: {error}") from None


def _mentions_ours(path: str) -> bool:
    """Whether a response file, or one that it names, has an option of ours; then its words are passed on one by one."""
    return any(map(is_ours, response.expanded(["@" + path])))
