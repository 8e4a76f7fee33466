"""Intervals hold what they promise, whatever the noise looks like."""

from __future__ import annotations

import math
import random

import pytest

from compiler_ai.measure.statistics import (
    amdahl,
    false_accept_limit,
    geometric_mean,
    log_ratios,
    median_interval,
    median_ratio,
    sign_interval,
    student_quantile,
)


@pytest.mark.parametrize(("n", "rank"), [(6, 1), (8, 1), (9, 2), (15, 4), (25, 8)])  # Conover, table of the sign test
def test_the_sign_interval_takes_the_tabulated_order_statistics(n: int, rank: int) -> None:
    assert sign_interval([float(i) for i in range(1, n + 1)]) == (rank, n + 1 - rank)


def test_too_few_values_give_no_interval() -> None:
    assert sign_interval([1.0] * 5) == (-math.inf, math.inf)
    assert median_interval([3.0] * 5).low == 0.0


def test_a_sign_interval_covers_the_median_as_often_as_it_says() -> None:
    source = random.Random(1)
    draws = [[source.paretovariate(0.5) for _ in range(15)] for _ in range(2000)]  # no mean at all
    covered = sum(low <= 4.0 <= high for low, high in map(sign_interval, draws))  # the median of that Pareto is 4
    assert 0.95 <= covered / 2000 <= 0.98


def test_outliers_do_not_move_a_median_ratio() -> None:
    assert median_ratio([(20, 10)] * 20 + [(10**9, 10)] * 4) == pytest.approx(2)
    assert log_ratios([(1, 1)]) == [0]


def test_ratios_below_one_are_not_clipped() -> None:
    assert median_interval([0.5] * 15).ratio == pytest.approx(0.5)
    assert geometric_mean([0.5, 2.0]).ratio == pytest.approx(1.0)


def test_noise_alone_is_not_accepted() -> None:
    source = random.Random(2)
    accepted = 0
    for _ in range(2000):
        placements = [math.exp(source.gauss(0, 0.08)) for _ in range(15)]
        accepted += median_interval(placements).low > 1.02
    assert accepted <= false_accept_limit(2000)


@pytest.mark.parametrize(
    ("degrees", "value"), [(1, 12.706), (2, 4.303), (5, 2.571), (10, 2.228), (29, 2.045), (100, 1.984)]
)
def test_student_quantiles_are_the_tabulated_ones(degrees: int, value: float) -> None:
    assert student_quantile(0.975, degrees) == pytest.approx(value, abs=0.001)


def test_amdahl_weighs_by_share_and_refuses_more_than_everything() -> None:
    assert amdahl([(0.5, 2.0)]) == pytest.approx(4 / 3)
    assert amdahl([]) == 1.0
    with pytest.raises(ValueError, match="more than the whole"):
        amdahl([(0.7, 2.0), (0.7, 2.0)])
