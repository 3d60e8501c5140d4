"""The expected profile beside counted rays: right ones pass, wrong ones are seen and measured."""

from dataclasses import replace

import numpy as np
import pytest
from truths import TWO, Bright, simulator

from raybayes.simulate.counted_check import FEWEST, check_points, compare, count
from raybayes.simulate.simulator import TOLERANCE


@pytest.fixture(scope="module")
def points():
    return count(simulator())


def test_points_are_all_over_the_prior():
    theta, words = check_points(simulator())
    low, high = simulator().support
    assert len(theta) == len(words) == 1 + 2 * 2 + 4
    assert ((theta >= low) & (theta <= high)).all() and (theta[1:3, 0] == [low[0], high[0]]).all()
    assert ((theta[-4:] == low).sum(axis=0) == 2).all()  # corners on either side, in balance
    assert words[1] == f"{TWO[0]} = {low[0]:g}"


def test_ue112_agrees_with_counted_rays(points):
    rows = compare(simulator(rays=4096), points)
    assert all(row.good for row in rows)
    off = np.array([row.noise / row.uncertainty for row in rows])
    assert abs(off.mean()) < 1.5 and (np.abs(off) < 5).all()  # without the counts' own noise
    for row in rows:
        share, rays = row.transmission, FEWEST
        error = 5 * np.sqrt(share * (1 - share) / rays)  # of counting
        assert row.point.transmission == pytest.approx(share, abs=error)


def test_a_wrong_profile_is_measured(points):
    """Half as bright again: its error over the noise follows from the counted profile alone."""
    detector = simulator().settings[0].simulator.detector
    for row in compare(simulator(Bright, rays=4096), points):
        mean = row.point.profiles.mean(axis=0)
        variance = detector.variance(detector.expected_counts(mean))
        exact = ((0.5 * detector.photons * mean) ** 2 / variance).mean()
        assert row.noise == pytest.approx(exact, rel=0.15) and exact > 10 * TOLERANCE
        assert not row.good and "off by" in row.sentence


def test_where_no_light_arrives_and_what_is_undecided_is_said(points):
    (row, *_) = compare(simulator(), points)
    assert not row.dark and not row.undecided
    assert replace(row, held=0.0).dark and row.held > 0.9
    assert replace(row, noise=0.3, uncertainty=0.2).undecided
