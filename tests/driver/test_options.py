"""aicc's own options are taken out of the command line; everything else passes through in order."""

from __future__ import annotations

import pytest

from compiler_ai.driver import options
from compiler_ai.driver.duration import parse_duration_s


def test_everything_else_passes_through_in_order():
    ours, rest = options.parse(["-O3", "-faicc-mode=tune", "-c", "a.c", "-faicc-isa=native", "-o", "a.o"], {})
    assert rest == ["-O3", "-c", "a.c", "-o", "a.o"]
    assert (ours.mode, ours.values["isa"]) == ("tune", "native")


def test_the_command_line_overrides_aicc_flags_which_override_variables():
    environment = {"AICC_MODE": "off", "AICC_FLAGS": "-faicc-mode=tune -faicc-isa=native", "AICC_ISA": "same"}
    assert options.parse([], environment)[0].mode == "tune"
    assert options.parse(["-faicc-mode=apply"], environment)[0].mode == "apply"
    assert options.parse([], environment)[0].values["isa"] == "native"


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("-faicc-mod=off", "did you mean '-faicc-mode='?"),
        ("-faicc-mode=aply", "did you mean 'apply'?"),
        ("-faicc-mode", "missing argument"),
        ("-faicc-budget=soon", "90s, 10m or 1h"),
        ("-faicc-model=", "missing argument"),
        ("-faicc-model-samples=many", "takes a number of answers"),
        ("-faicc-model-cost=1e9", "takes an amount of money"),
        ("-faicc-model-price=1/2/3", "takes the price of a million tokens"),
        ("-faicc-model-anonymise=maybe", "yes, no"),
        ("-faicc-plugin-arg-x", "-faicc-plugin-arg-<name>-<key>"),
        ("-fdump-aicc-", "unrecognized"),
        ("-fopt-info-aiccx", "unrecognized"),
    ],
)
def test_a_wrong_option_is_an_error_with_a_suggestion(flag, words):
    with pytest.raises(options.OptionError, match=words.replace("?", r"\?")):
        options.parse([flag], {})


def test_aicc_flags_takes_only_our_options():
    with pytest.raises(options.OptionError, match="-O3"):
        options.parse([], {"AICC_FLAGS": "-O3"})


def test_a_response_file_is_opened_only_for_our_options(tmp_path):
    plain, ours = tmp_path / "plain", tmp_path / "ours"
    plain.write_text("-O2 -DX='a b'")
    ours.write_text("-O2 -faicc-mode=off -DX='a b'")
    assert options.parse([f"@{plain}"], {})[1] == [f"@{plain}"]
    parsed, rest = options.parse([f"@{ours}", "@missing"], {})
    assert parsed.mode == "off"
    assert rest == ["-O2", "-DX=a b", "@missing"]


def test_flags_repeat_the_options():
    given = [
        "-faicc-mode=tune",
        "-faicc-plugin=p.py",
        "-faicc-plugin-arg-p-key=v",
        "-fdump-aicc-verify",
        "-fopt-info-aicc=f",
    ]
    first, _ = options.parse(given, {})
    second, rest = options.parse(first.flags, {})
    assert not rest
    assert second.flags == first.flags == [*given]


def test_durations():
    assert [parse_duration_s(text) for text in ("90", "90s", "10m", "1h", "1.5m")] == [90, 90, 600, 3600, 90]
    assert [parse_duration_s(text) for text in ("", "x", "-1s", "0", "inf", "nan")] == [None] * 6


def test_several_models_with_their_limits_are_handed_on():
    flags = [
        "-faicc-model=hf:a",
        "-faicc-model=openai:http://b/v1#c",
        "-faicc-model-price=0.15/0.60",
        "-faicc-model-cost=2.5",
    ]
    ours, _ = options.parse(flags, {"AICC_MODEL_SAMPLES": "8", "AICC_MODEL": "gguf:d"})
    assert ours.models == ["gguf:d", "hf:a", "openai:http://b/v1#c"]
    again, rest = options.parse(ours.flags, {})
    assert rest == []
    assert (again.models, again.values) == (ours.models, ours.values)
