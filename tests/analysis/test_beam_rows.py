"""The measured beam in numbers, and modes of a marginal, against closed forms."""

import numpy as np
import pytest

from raybayes.analysis.beam_rows import beam_rows, half_maximum
from raybayes.analysis.marginal_modes import marginal_modes
from raybayes.simulate.detector import Detector
from raybayes.simulate.settings import Detectors

FWHM = 2 * np.sqrt(2 * np.log(2))


def gaussian(edges, centre, sd):
    middles = (edges[1:] + edges[:-1]) / 2
    return 1000 * np.exp(-((middles - centre) ** 2) / (2 * sd**2))


@pytest.mark.parametrize("sd", [3.0, 8.0])
def test_half_maximum_of_a_gaussian(sd):
    edges = np.linspace(-60, 60, 121)
    assert half_maximum(gaussian(edges, 4.3, sd), edges) == pytest.approx(FWHM * sd, rel=0.01)


def test_two_peaks_are_as_wide_as_both():
    edges = np.linspace(-60, 60, 241)
    both = gaussian(edges, -20, 2.0) + gaussian(edges, 20, 2.0)
    assert half_maximum(both, edges) == pytest.approx(40 + FWHM * 2, rel=0.01)


def test_rows_of_a_known_beam():
    """Centroids, widths and the total of two Gaussians, beside predictions that are the same."""
    detector = Detector(background=0.01, read_noise=0.0)
    edges = [1e3 * detector.edges(axis) for axis in (0, 1)]
    x = 0.01 + np.concatenate([gaussian(edges[0], 50.0, 60.0), gaussian(edges[1], -10.0, 15.0)])
    rows = {row["name"]: row for row in beam_rows(Detectors((detector,)), x, np.tile(x, (5, 1)))}
    truth = {
        "total": x[:100].sum(), "horizontal centroid": 50, "vertical centroid": -10,
        "horizontal FWHM": 60 * FWHM, "vertical FWHM": 15 * FWHM,
    }  # fmt: skip
    for name, value in truth.items():
        assert rows[name]["measured"] == pytest.approx(value, rel=0.01), name
        assert rows[name]["low"] == pytest.approx(rows[name]["measured"])


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_two_modes_are_told_with_their_shares(share):
    rng = np.random.default_rng(0)
    first = rng.random(4000) < share
    draws = np.where(first, rng.normal(1.0, 0.1, 4000), rng.normal(-1.0, 0.2, 4000))
    modes = marginal_modes(draws)
    assert len(modes) == 2
    by_place = sorted(modes, key=lambda mode: mode.mean)
    assert [mode.mean for mode in by_place] == pytest.approx([-1, 1], abs=0.02)
    assert [mode.sd for mode in by_place] == pytest.approx([0.2, 0.1], rel=0.1)
    assert by_place[1].share == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("kind", ["normal", "uniform", "exponential"])
def test_one_mode_is_one(kind):
    rng = np.random.default_rng(1)
    for _ in range(20):
        draws = getattr(rng, kind)(size=4000)
        assert len(marginal_modes(draws)) == 1
    assert len(marginal_modes(np.ones(50))) == 1
    piled = np.where(np.arange(4000) % 2, 0.06, 0.0600001)  # at a prior's end, in two roundings
    assert len(marginal_modes(piled)) == 2 and len(marginal_modes(piled, 0.001)) == 1
