"""The last line of a tuning says how to build so that its rewrites are used."""

from __future__ import annotations

import os

import pytest

from compiler_ai.driver import options
from compiler_ai.tune.session import closing_line


@pytest.mark.parametrize("isa", ["same", "native", "dispatch"])
def test_a_build_as_it_is_told_uses_what_was_tuned(isa: str) -> None:
    line = closing_line(3, 0, 8, isa)
    assert line.startswith("3 of 8 functions have a faster body.")
    told = line.split("Build again with ")[1].split(" to use them")[0]
    environment = dict(word.split("=") for word in told.split())
    assert environment["CC"] == "aicc"
    assert options.parse([], {**os.environ, **environment})[0].values["isa"] == isa


def test_where_nothing_was_found_there_is_nothing_to_build_again():
    assert "Build again" not in closing_line(0, 0, 8, "same")


def test_a_rewrite_of_an_earlier_tuning_is_counted():
    assert closing_line(0, 1, 2, "same") == (
        "1 of 2 functions has a faster body (1 from earlier runs). Build again with CC=aicc to use it."
    )
