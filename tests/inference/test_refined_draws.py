"""Do weighted and moved draws follow the exact posterior, whatever the network says?"""

import jax.numpy as jnp
import numpy as np
import pytest
from exact import Gaussian
from gaussian_task import COVARIANCE, EVIDENCE, MEAN, PRIOR, X, gaussian_posterior, log_likelihood
from scipy.special import logsumexp
from scipy.stats import kstest, norm, truncexpon, uniform

from raybayes.density import deep
from raybayes.density.ensemble import Ensemble
from raybayes.density.trees import stack
from raybayes.errors import InputError
from raybayes.inference.mcmc import mcmc
from raybayes.inference.posterior import Posterior
from raybayes.inference.proposal import refitted
from raybayes.prior import box, log_posterior

WORTH = {"right": (1.0, 0.0, 0.9), "too wide": (1.4, 0.0, 0.3), "shifted": (1.1, 0.4, 0.3)}


@pytest.mark.parametrize("case", WORTH)
def test_refined_draws_follow_the_exact_posterior(case):
    scale, shift, worth = WORTH[case]
    refined = gaussian_posterior(scale, shift).refine(X, log_likelihood, 8000)
    assert refined.trusted and refined.ess > worth * 8000
    error = 5 * np.sqrt(np.diag(COVARIANCE) / refined.ess)
    np.testing.assert_array_less(np.abs(refined.mean() - MEAN), error)
    np.testing.assert_allclose(refined.sd(), np.sqrt(np.diag(COVARIANCE)), rtol=0.06)
    np.testing.assert_allclose(np.cov(refined.sample(8000).T), COVARIANCE, atol=0.02)
    assert refined.standard_error < 0.03
    assert refined.log_evidence == pytest.approx(EVIDENCE, abs=4 * refined.standard_error + 1e-3)
    assert refined.sentence.startswith("Corrected by the exact likelihood: worth ")


def test_standard_error_of_the_evidence_is_its_scatter():
    many = [gaussian_posterior(1.3).refine(X, log_likelihood, 500, seed) for seed in range(60)]
    scatter = np.std([r.log_evidence for r in many])
    assert np.mean([r.standard_error for r in many]) == pytest.approx(scatter, rel=0.35)


def test_a_network_too_narrow_is_not_corrected_in_silence():
    refined = gaussian_posterior(0.3).refine(X, log_likelihood, 4000)
    assert not refined.trusted and "too narrow here to be corrected" in refined.sentence
    assert "Posterior.tempered" in refined.sentence and "> 0.7" in refined.sentence


def test_far_off_is_said_too():
    refined = gaussian_posterior(1.0, 60.0).refine(X, log_likelihood, 2000)
    assert not refined.trusted and refined.ess < 20


def test_moved_draws_are_exact_and_no_duplicates():
    """600 weights of a wrong network give 4000 draws of the right distribution, by one seed."""
    network = gaussian_posterior(1.3, 0.5)
    refined = network.refine(X, log_likelihood, 600)
    assert len(np.unique(refined.sample(4000), axis=0)) < 600
    found = network.tempered(X, log_likelihood, refined, 4000)
    assert len(np.unique(found.theta, axis=0)) > 3900 and 0.1 < found.accepted < 1
    whitened = np.linalg.solve(np.linalg.cholesky(COVARIANCE), (found.theta - MEAN).T)
    assert min(kstest(row, "norm").pvalue for row in whitened) > 1e-3
    np.testing.assert_allclose(np.cov(whitened), np.eye(3), atol=0.08)
    exact = log_likelihood(found.theta) + PRIOR.log_prob(found.theta)
    np.testing.assert_allclose(found.log_p, exact, rtol=1e-12)
    again = network.tempered(X, log_likelihood, refined, 4000)
    assert np.array_equal(found.theta, again.theta)
    assert not np.array_equal(
        found.theta, network.tempered(X, log_likelihood, refined, 4000, 3).theta
    )


@pytest.mark.slow
def test_tempering_leads_to_the_exact_posterior():
    """From a network so narrow, and so far off, that few of 2000 draws have most of the weight."""
    network = gaussian_posterior(0.5, 12.0)
    refined = network.refine(X, log_likelihood, 2000)
    assert refined.ess < 10 and not refined.trusted
    found = network.tempered(X, log_likelihood, refined, 4000)
    assert len(np.unique(found.theta, axis=0)) > 3900
    whitened = np.linalg.solve(np.linalg.cholesky(COVARIANCE), (found.theta - MEAN).T)
    assert min(kstest(row, "norm").pvalue for row in whitened) > 1e-3
    np.testing.assert_allclose(np.cov(whitened), np.eye(3), atol=0.08)
    assert abs(refined.log_evidence - EVIDENCE) > 3  # the weights alone do not know it
    again = refitted(found.theta, log_posterior(PRIOR, log_likelihood), 2000)
    assert again.trusted and again.ess > 1600 and again.standard_error < 0.02
    assert again.log_evidence == pytest.approx(EVIDENCE, abs=4 * again.standard_error)
    duplicates = network.tempered(X, log_likelihood, refined, 4000, moves=0)
    assert len(np.unique(duplicates.theta, axis=0)) < 200 and duplicates.accepted == 0


def peaks(theta, places, width=1e-3):
    """Log of as many unit masses on the diagonal."""
    return logsumexp([norm.logpdf(theta, at, width).sum(axis=1) for at in places], axis=0)


def test_two_far_peaks_get_their_masses():
    """Independence moves correct wrong shares; a distribution fitted to them has the evidence."""
    rng = np.random.default_rng(0)
    draws = rng.normal(np.where(rng.random((2000, 1)) < 0.9, -1, 1), 1e-3, (2000, 2))
    found = mcmc(draws, lambda theta: peaks(theta, (-1, 1)))
    assert (found.theta[:, 0] > 0).mean() == pytest.approx(0.5, abs=0.05)
    fitted = refitted(found.theta, lambda theta: peaks(theta, (-1, 1)))
    assert fitted.trusted and fitted.ess > 5000
    assert fitted.log_evidence == pytest.approx(np.log(2), abs=4 * fitted.standard_error)


def test_a_distribution_fitted_to_one_parameter_or_to_what_it_cannot_be():
    rng = np.random.default_rng(0)
    one = refitted(rng.normal(3e6, 2e-3, (500, 1)), lambda t: norm.logpdf(t[:, 0], 3e6, 2e-3))
    assert one.trusted and one.log_evidence == pytest.approx(0, abs=4 * one.standard_error)
    places = np.linspace(0, 1, 40)
    many = rng.normal(np.repeat(places, 25)[:, None], 1e-5, (1000, 2))
    assert not refitted(many, lambda theta: peaks(theta, places, 1e-5)).trusted
    plane, point = (rng.normal(size=(500, 2)) @ to for to in ([[1, 2], [2, 4]], [[1, 0], [0, 0]]))
    with pytest.raises(InputError, match="a linear function of the others"):
        refitted(plane, log_likelihood)
    with pytest.raises(InputError, match="the same in all draws"):
        refitted(point, log_likelihood)


@pytest.mark.slow
def test_a_network_nowhere_near_is_said():
    network = gaussian_posterior(0.3, 300.0)
    refined = network.refine(X, log_likelihood, 1000)
    with pytest.raises(InputError, match=r"after 100 steps the draws are .* train longer"):
        network.tempered(X, log_likelihood, refined, 200)


def test_draws_cut_at_an_end_of_the_prior_weigh_nothing():
    """Half of the network's mass lies where no number is left between z and the end of the box."""
    prior = box(("a", "b"), (0, 0), (1, 1))
    parts = [Gaussian(jnp.zeros(2), 0.5 * jnp.eye(2)), Gaussian(jnp.full(2, 40.0), jnp.eye(2))]
    network = Posterior(prior, Ensemble(stack(parts), 2), deep(), 4, {})

    def likelihood(theta):
        return norm.logpdf(theta, 0.5, 0.1).sum(axis=1)

    refined = network.refine(X, likelihood, 4000)
    assert refined.trusted and refined.ess > 500
    np.testing.assert_allclose(refined.mean(), 0.5, atol=0.02)
    np.testing.assert_allclose(refined.sd(), 0.1, rtol=0.1)


def test_moved_draws_stay_where_they_can_be():
    """Inside a box, where alone the likelihood is asked; units differ by eight digits."""
    prior = box(("small", "large"), (0, 1000), (1e-5, 1010))

    def likelihood(theta):
        assert np.isfinite(prior.log_prob(theta)).all()
        return -3e5 * theta[:, 0]

    network = Posterior(prior, Gaussian(jnp.zeros(2), jnp.eye(2)), deep(), 4, {})  # the prior
    refined = network.refine(X, likelihood, 1000)
    found = network.tempered(X, likelihood, refined, 2000)
    assert found.accepted > 0.1 and len(np.unique(found.theta, axis=0)) > 1950
    exact = truncexpon(3, scale=1e-5 / 3)
    assert kstest(found.theta[:, 0], exact.cdf).pvalue > 1e-3
    assert kstest(found.theta[:, 1], uniform(1000, 10).cdf).pvalue > 1e-3


def test_bad_moves():
    with pytest.raises(InputError, match="in 1 place, and moving them needs 8"):
        mcmc(np.zeros((400, 2)), lambda theta: theta[:, 0])
    draws = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(InputError, match="is NaN"):
        mcmc(draws, lambda theta: np.full(len(theta), np.nan))


def test_refine_takes_one_observation():
    with pytest.raises(InputError, match="one observation at a time"):
        gaussian_posterior().refine(np.stack([X, X]), log_likelihood)
