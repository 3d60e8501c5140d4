"""A diagnostic must pass on a right posterior and fail on one made wrong on purpose."""

import numpy as np
import pytest

from raybayes.diagnostics import calibration, ecdf_band, ranks
from raybayes.errors import InputError

N, L = 1000, 255
RNG = np.random.default_rng(4)
MEAN = RNG.standard_normal((N, 1))  # exact posterior: N(MEAN, 1)
THETA = MEAN + RNG.standard_normal((N, 1))
BASE = RNG.standard_normal((N, L, 1))

WRONG = {
    "too narrow": MEAN[:, None] + 0.75 * BASE,
    "too wide": MEAN[:, None] + 1.35 * BASE,
    "shifted": MEAN[:, None] + 0.25 + BASE,
}


def test_right_posterior_passes():
    result = calibration(ranks(THETA, MEAN[:, None] + BASE), L + 1)
    assert result.inside.all() and result.uniform().all() and (result.p_value > 0.01).all()


@pytest.mark.parametrize("case", WRONG)
def test_wrong_posteriors_fail(case):
    result = calibration(ranks(THETA, WRONG[case]), L + 1)
    assert not result.inside.any() and not result.uniform().any()
    assert (result.p_value < 1e-3).all()


def test_band_holds_uniform_ranks_as_often_as_it_says():
    low, high = ecdf_band(500, 64, 0.95)
    rng = np.random.default_rng(1)
    kept = 0
    for _ in range(1000):
        curve = np.cumsum(np.bincount(rng.integers(64, size=500), minlength=64)) / 500
        kept += ((curve >= low) & (curve <= high)).all()
    assert 0.93 < kept / 1000 < 0.975


def test_bad_input():
    with pytest.raises(InputError, match="must be"):
        ranks(THETA, BASE[:5])
    with pytest.raises(InputError, match="NaN"):
        ranks(THETA * np.nan, BASE)
