"""Gaussians that slits cut: in cells they become the truncated distribution, on every road."""

import numpy as np
import pytest

from raybayes.simulate.openings import SAMPLED, WEIGHT, Bins, moments, new_pile, pass_on

BINS = Bins(
    np.array([0.004, 0.004]), np.array([0.01, 0.01]), np.array([100, 100]), False, np.zeros(2)
)
N = 2_000_000


def passed(mean, cov, halves):
    """The profile, and the light that arrives, of one splat."""
    size = len(mean)
    pile, profile = new_pile(size), np.zeros(200)
    at, spread = moments(pile, 0, size)
    at[:], spread[:] = mean, cov
    pile[0, 0], pile[0, WEIGHT] = 0, 1.0
    light = pass_on(pile, np.zeros(size), halves, SAMPLED, BINS, profile, np.empty(101))
    return profile, light


def drawn(mean, cov, halves):
    """The same by draws: those inside all slits, blurred, counted."""
    rng = np.random.default_rng(0)
    places = rng.multivariate_normal(mean, cov, N)
    places = places[(np.abs(places) < halves).all(axis=1)]
    blurred = places[:, -2:] + 0.004 * rng.standard_normal((len(places), 2))
    edges = np.linspace(-0.5, 0.5, 101)
    profiles = [np.histogram(blurred[:, axis], edges)[0] / N for axis in (0, 1)]
    return np.concatenate(profiles), len(places) / N


@pytest.mark.parametrize("middle", [0.0, 0.12, 0.25])
@pytest.mark.parametrize("correlation", [0.3, 0.9, -0.999])
def test_what_passes_a_slit_is_what_draws_say(middle, correlation):
    """A slit that the splat hits in its middle, at its edge and far off, imaged well and badly."""
    cov = np.zeros((4, 4))
    sds = np.array([0.1, 0.08, 0.1, 0.12])
    cov[np.diag_indices(4)] = sds**2
    cov[0, 2] = cov[2, 0] = correlation * sds[0] * sds[2]
    mean, halves = np.array([middle, 0.0, 0.05, 0.0]), np.array([0.05, 1.0, np.inf, np.inf])
    (found, light), (exact, share) = passed(mean, cov, halves), drawn(mean, cov, halves)
    assert light == pytest.approx(share, abs=4 * np.sqrt(share / N))
    noise = 4 * np.sqrt(exact.max() / N)
    np.testing.assert_allclose(found, exact, atol=0.02 * exact.max() + noise, rtol=0)


def test_two_slits_one_after_the_other():
    jacobian = np.array([[0.1, 0], [0, 0.1], [0.06, 0.03], [0.02, 0.09], [0.1, -0.04], [0.03, 0.1]])
    cov = jacobian @ jacobian.T + 1e-6 * np.eye(6)
    mean = np.array([0.08, -0.05, 0.0, 0.06, 0.02, 0.0])
    halves = np.array([0.06, 0.04, 0.05, 0.06, np.inf, np.inf])
    (found, light), (exact, share) = passed(mean, cov, halves), drawn(mean, cov, halves)
    assert light == pytest.approx(share, abs=3e-4)  # three standard deviations off, in two planes
    noise = 4 * np.sqrt(exact.max() / N)
    np.testing.assert_allclose(found, exact, atol=0.1 * exact.max() + noise, rtol=0)
