"""Are widths those of closed forms, however many rays there are and whatever they weigh?"""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from raybayes.beamline.widths import encircled, fwhm, profile, rms

NORMAL = 2 * np.sqrt(2 * np.log(2))
CORE, HALO, SHARE = 1.0, 100.0, 0.1  # sd, sd, and the halo's share


def halo(rng, n):
    return rng.standard_normal(n) * np.where(rng.random(n) < SHARE, HALO, CORE)


def halo_fwhm():
    """Half of the maximum of 0.9 N(0, 1) + 0.1 N(0, 100)."""

    def density(x):
        parts = ((1 - SHARE, CORE), (SHARE, HALO))
        return sum(p / s * np.exp(-((x / s) ** 2) / 2) for p, s in parts)

    return 2 * brentq(lambda x: density(x) - density(0) / 2, 0, 10)


def peaks(apart):
    return lambda rng, n: rng.standard_normal(n) + apart * (rng.random(n) < 0.5)


CASES = {
    "normal": (lambda rng, n: rng.standard_normal(n), NORMAL),
    "uniform": (lambda rng, n: rng.uniform(-1, 1, n), 2.0),
    "triangle": (lambda rng, n: rng.random(n) - rng.random(n), 1.0),
    "halo": (halo, halo_fwhm()),
    "cauchy": (lambda rng, n: rng.standard_cauchy(n), 2.0),
    "two peaks": (peaks(10), 10 + NORMAL),
    "peaks far apart": (peaks(100), 100 + NORMAL),
}
# Mean and sd of the relative error that many samples of so many rays may have.
RAYS = {100: (0.2, 0.5), 1000: (0.06, 0.2), 20_000: (0.05, 0.06), 1_000_000: (0.02, 0.02)}


@pytest.mark.parametrize("n", RAYS)
@pytest.mark.parametrize("case", CASES)
def test_half_maximum_does_not_depend_on_how_many_rays(case, n):
    draw, truth = CASES[case]
    samples = 30 if n <= 1000 else 5 if n < 1e5 else 2
    rng = np.random.default_rng(n)
    errors = [fwhm(draw(rng, n), np.ones(n)) / truth - 1 for _ in range(samples)]
    bias, spread = RAYS[n]
    assert abs(np.mean(errors)) < bias and np.std(errors) < spread


def test_peaks_are_counted():
    rng = np.random.default_rng(0)
    assert profile(peaks(10)(rng, 20_000), np.ones(20_000)).parts == 2
    assert profile(rng.standard_normal(20_000), np.ones(20_000)).parts == 1


def test_a_lower_peak_is_no_width():
    """Below half maximum, a second peak is a tail."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(100_000) + 10 * (rng.random(100_000) < 0.25)
    assert fwhm(values, np.ones(100_000)) == pytest.approx(NORMAL, rel=0.03)


def test_weights_are_rays():
    """Uniform rays that weigh as much as a normal density are a normal beam."""
    values = np.random.default_rng(0).uniform(-6, 6, 200_000)
    weights = np.exp(-(values**2) / 2)
    assert fwhm(values, weights) == pytest.approx(NORMAL, rel=0.03)
    assert rms(values, weights) == pytest.approx(1, rel=0.01)
    np.testing.assert_allclose(encircled(values, weights), [1.34898, 3.28971], rtol=0.01)
    # A weight of two at one place is two rays there; what weighs nothing is none.
    assert rms(np.array([0.0, 3.0]), np.array([2.0, 1.0])) == pytest.approx(np.std([0, 0, 3]))
    more = np.append(values, values + 50), np.append(weights, 0 * weights)
    assert fwhm(*more) == pytest.approx(fwhm(values, weights), rel=0.01)


def test_encircled_widths():
    rng, ones = np.random.default_rng(1), np.ones(1 << 17)
    normal = encircled(rng.standard_normal(1 << 17) + 7, ones)
    np.testing.assert_allclose(normal, [1.34898, 3.28971], rtol=0.01)
    np.testing.assert_allclose(encircled(rng.uniform(-1, 1, 1 << 17), ones), [1, 1.8], rtol=0.01)


@pytest.mark.parametrize(
    ("values", "truth"),
    [([5.0] * 9, 0), ([5.0], 0), ([1.0, 1.0, 3.0, 3.0] * 50, 2), ([1.0] * 90 + [4.0] * 10, 0)],
)
def test_lines_are_lines(values, truth):
    values = np.array(values) * (1 + 1e-16)
    assert fwhm(values, np.ones(len(values))) == truth


SOME = st.integers(1, 40)


@given(st.data(), SOME)
@settings(max_examples=200, deadline=None)
def test_any_few_rays_have_a_width(data, n):
    """Whatever they are: no more than their range, and the kernel's tails."""
    number = st.floats(-1e6, 1e6, allow_subnormal=False)
    values = np.array(data.draw(st.lists(number, min_size=n, max_size=n)))
    weight = st.sampled_from([0.0, 1e-9, 0.5, 1.0, 1e6])
    weights = np.array(data.draw(st.lists(weight, min_size=n, max_size=n)))
    weights[0] = 1.0
    found = profile(values, weights)
    assert 0 <= found.fwhm <= 3 * np.ptp(values) and found.parts >= 1
    assert np.isfinite(encircled(values, weights)).all()


@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (1e3, 1e-6), (-5, 1e5)])
def test_place_and_unit_do_not_matter(shift, scale):
    values, ones = np.random.default_rng(2).standard_normal(5000), np.ones(5000)
    moved = fwhm(shift + scale * values, ones)
    assert moved == pytest.approx(scale * fwhm(values, ones), rel=1e-3)


def test_the_curve_is_a_density():
    found = profile(np.random.default_rng(3).standard_normal(100_000), np.ones(100_000))
    normal = np.exp(-(found.places**2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(found.density, normal, atol=0.01)
    assert found.level == pytest.approx(normal.max() / 2, rel=0.02)
    assert found.half[1] - found.half[0] == pytest.approx(found.fwhm)


@pytest.mark.slow
def test_ten_million_rays_cost_no_more_than_sorting_them():
    rng = np.random.default_rng(4)
    values, weights = rng.standard_normal(10_000_000), rng.random(10_000_000)
    start = time.perf_counter()
    np.sort(values)
    middle = time.perf_counter()
    assert fwhm(values, weights) == pytest.approx(NORMAL, rel=0.01)
    assert time.perf_counter() - middle < 5 * (middle - start) + 1
