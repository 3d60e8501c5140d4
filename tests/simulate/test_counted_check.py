"""The expected profile beside counted rays: right ones pass, wrong ones are seen and measured."""

from dataclasses import replace

import numpy as np
import pytest
from studies import command

from raybayes.simulate import counted_check
from raybayes.simulate.counted_check import (
    FEWEST,
    TOLERANCE,
    check_points,
    compare,
    count,
    enough_rays,
)
from raybayes.simulate.settings import JointSimulator
from raybayes.simulate.simulator import Simulator
from raybayes.study.plan import Plan

PLAN, BEAMLINE = Plan.read("ue112")
TWO = ("M4.rotationXerror", "IP.distanceImagePlane")


def simulator(kind=Simulator, **tracing):
    whole = PLAN.simulator(BEAMLINE).settings[0].simulator
    columns = [list(whole.names).index(name) for name in TWO]
    low, high = (np.asarray(end)[columns] for end in whole.support)
    changed = whole.tracing.model_copy(update=tracing)
    return JointSimulator.alone(kind(BEAMLINE, TWO, (low, high), whole.detector, changed, 1))


class Bright(Simulator):
    """Its expected profile has half as much light again as its rays."""

    def profiles(self, theta, key=0):
        found, transmission = super().profiles(theta, key)
        return (1.5 if self.tracing.mode == "expected" else 1.0) * found, transmission


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


def test_more_rays_are_found_where_they_help(points, monkeypatch):
    monkeypatch.setattr(counted_check, "MORE", (1, 4096))
    assert enough_rays(simulator(rays=4), points) == 4096
    assert enough_rays(simulator(Bright), points) is None


def test_where_no_light_arrives_and_what_is_undecided_is_said(points):
    (row, *_) = compare(simulator(), points)
    assert not row.dark and not row.undecided
    assert replace(row, point=replace(row.point, transmission=0.0)).dark
    assert replace(row, noise=0.3, uncertainty=0.2).undecided


@pytest.mark.slow
def test_a_drift_needs_more_rays(shared):
    """A point source and a screen, with so much light that 512 rays are too few."""
    result = command("check-simulator", shared / "cases" / "optics" / "drift.toml")
    assert result.exit_code == 2 and "set [tracing] rays = 8192" in result.stderr
    assert "TOO LARGE" in result.stdout
