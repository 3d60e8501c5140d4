"""Are importance weights right, and not trusted where they cannot be?"""

import numpy as np
import pytest
from arviz_stats.base.array import array_stats
from scipy.stats import norm

from raybayes.errors import InputError
from raybayes.inference.importance import Refined, importance
from raybayes.inference.mcmc import mcmc


def test_one_draw_above_all_others():
    """The others' weights are no numbers any more beside it; that is said, and nothing is NaN."""
    theta = np.arange(4000.0)[:, None]
    refined = importance(theta, -np.linspace(0, 1e5, 4000), np.zeros(4000))
    assert not refined.trusted and refined.ess == pytest.approx(1)
    assert np.isfinite(refined.mean()).all()


def test_equal_weights_have_no_tail():
    theta = np.arange(200.0)[:, None]
    refined = importance(theta, np.full(200, -3.0), np.full(200, -1.0))
    assert refined.ess == pytest.approx(200) and refined.log_evidence == pytest.approx(-2)
    assert refined.trusted and refined.standard_error < 1e-6


def test_a_tail_of_equal_weights_is_not_trusted():
    """Nothing can be fitted to it."""
    log_p = np.where(np.arange(2000) < 300, 5e4, 0.0)
    refined = importance(np.arange(2000.0)[:, None], log_p, np.zeros(2000))
    assert not refined.trusted and refined.ess == pytest.approx(300)


def test_draws_in_one_place_are_not_trusted():
    """A network that was never shown anything like x may put all at one corner of the prior."""
    refined = importance(np.ones((4000, 3)), np.full(4000, -3.0), np.zeros(4000))
    assert not refined.trusted and "could have made this are in 1 place" in refined.sentence
    with pytest.raises(InputError, match="the draws are in 1 place, and moving them needs 12"):
        mcmc(refined.theta, lambda theta: np.zeros(len(theta)))
    few = importance(np.random.default_rng(0).random((200, 60)), np.zeros(200), np.zeros(200))
    assert few.trusted


def test_draws_that_cannot_be_weigh_nothing():
    rng = np.random.default_rng(0)
    theta = rng.uniform(-1, 1, (4000, 1))
    inside = np.where(theta[:, 0] > 0, norm.logpdf(theta[:, 0], 0.5, 0.4), -np.inf)
    refined = importance(theta, inside, np.full(4000, -np.log(2)))
    mass = norm.cdf(1.0, 0.5, 0.4) - norm.cdf(0.0, 0.5, 0.4)
    assert refined.log_evidence == pytest.approx(np.log(mass), abs=4 * refined.standard_error)
    assert (refined.sample(1000) > 0).all()


WEIGHTS = {
    "shapes": ((np.zeros((200, 1)), np.zeros(200), np.zeros(3)), "must be"),
    "NaN": ((np.zeros((200, 1)), np.full(200, np.nan), np.zeros(200)), "a weight is NaN"),
    "none": ((np.zeros((200, 1)), np.full(200, -np.inf), np.zeros(200)), "0 of 200 draws could"),
    "few": ((np.zeros((20, 1)), np.zeros(20), np.zeros(20)), "needs 100"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_bad_weights(case):
    arguments, message = WEIGHTS[case]
    with pytest.raises(InputError, match=message):
        importance(*arguments)


def test_weighted_quantiles():
    theta = np.random.default_rng(0).standard_normal((100_000, 1))
    log_weight = theta[:, 0] - 0.5  # of N(0, 1) becomes N(1, 1)
    log_weight -= np.log(np.exp(log_weight).sum())
    found = Refined(theta, log_weight, 0.0, 0.0, 0.0).quantile([0.16, 0.5, 0.84])
    np.testing.assert_allclose(found[:, 0], [0.0055, 1, 1.9945], atol=0.03)


def test_weights_that_underflow_are_not_trusted():
    """All of the tail but the largest: smoothing gives NaN beside a small k."""
    log_p = -1e6 * np.random.default_rng(0).standard_normal(1000) ** 2
    found = importance(np.arange(1000.0)[:, None], log_p, np.zeros(1000))
    assert not found.trusted and 1 <= found.ess < 2 and np.isfinite(found.sample(10)).all()


@pytest.mark.parametrize("d", [1, 2, 6])
@pytest.mark.parametrize("width", [0.1, 0.3, 0.45, 0.8, 1.0, 1.5])
def test_how_narrow_a_proposal_is_told(d, width):
    """Of N(0, width^2) for N(0, 1), k = 1 - width^2, also where few draws reach the tail."""
    rng = np.random.default_rng(d)
    for n in (1000, 10_000):
        theta = width * rng.standard_normal((n, d))
        log_q = norm.logpdf(theta, 0, width).sum(axis=1)
        found = importance(theta, norm.logpdf(theta).sum(axis=1), log_q)
        assert found.trusted == (width > 0.5), (n, found.pareto_k)
        if width < 1:
            assert found.pareto_k == pytest.approx(1 - width**2, abs=0.25)


def test_a_narrow_proposal_that_the_largest_weights_do_not_tell():
    """ArviZ' estimate alone is right in the limit only: of 1,000 draws it depends on chance."""
    found = []
    for seed in range(8):
        theta = 0.1 * np.random.default_rng(seed).standard_normal((1000, 1))
        log_p, log_q = norm.logpdf(theta).sum(axis=1), norm.logpdf(theta, 0, 0.1).sum(axis=1)
        found.append(float(array_stats.psislw(log_q - log_p)[1]))
        assert importance(theta, log_p, log_q).pareto_k > 0.9
    assert min(found) < 0.6 and max(found) > 1
