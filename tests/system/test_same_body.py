"""A body is not faster than itself, whatever the passes of a tuning are offered."""

from __future__ import annotations

from pathlib import Path

import pytest
from plug import make_profiled
from same_body import measure_the_same


@pytest.mark.full
def test_the_same_body_offered_200_times_is_accepted_at_most_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = measure_the_same(make_profiled(tmp_path), "sum_squares", 200)
    with capsys.disabled():
        print(f"\n{outcome}")
    assert len(outcome.timings) == 200
    assert outcome.accepted <= 2
