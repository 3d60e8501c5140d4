"""Posteriors against the exact likelihood: refined draws, the reference sampler, and each other."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from exact import Gaussian
from scipy.special import logsumexp
from scipy.stats import kstest, multivariate_normal, norm, poisson, truncexpon, uniform

from raybayes.density import deep
from raybayes.density.ensemble import Ensemble
from raybayes.density.trees import stack
from raybayes.diagnostics import c2st
from raybayes.errors import InputError
from raybayes.inference.estimator import Estimator
from raybayes.inference.importance import importance
from raybayes.inference.mcmc import mcmc
from raybayes.inference.nested import reference_posterior
from raybayes.inference.posterior import Posterior
from raybayes.inference.proposal import refitted
from raybayes.inference.train import Training
from raybayes.prior import Independent, Normal, box, log_posterior
from raybayes.simulate.detector import Detector
from raybayes.simulate.likelihoods import (
    counting_log_likelihood,
    image_log_likelihood,
    image_marginals,
    separable_image,
)
from raybayes.simulate.simulator import Simulator, Tracing
from raybayes.study.study import read_study

# --- a linear Gaussian task ---------------------------------------------------------------------

A = np.array([[1.0, 0.3, 0.0], [0.0, 1.0, -0.4], [0.2, 0.0, 1.0], [0.5, 0.5, 0.5]])
NOISE = 0.4
PRIOR = Independent(("a", "b", "c"), (Normal(mean=1, sd=2),) * 3)
COVARIANCE = np.linalg.inv(np.eye(3) / 4 + A.T @ A / NOISE**2)
X = np.array([1.5, 0.2, 2.0, 1.0])
MEAN = COVARIANCE @ (np.ones(3) / 4 + A.T @ X / NOISE**2)
EVIDENCE = multivariate_normal(A @ np.ones(3), 4 * A @ A.T + NOISE**2 * np.eye(4)).logpdf(X)


def log_likelihood(theta):
    return norm.logpdf(X, theta @ A.T, NOISE).sum(axis=-1)


def gaussian_posterior(scale=1.0, shift=0.0):
    """The exact posterior, or one made wrong."""
    root = scale * np.linalg.cholesky(COVARIANCE) / 2
    mean = (MEAN - 1) / 2 + shift * root.diagonal()
    density = Gaussian(jnp.asarray(mean, jnp.float32), jnp.asarray(root, jnp.float32))
    return Posterior(PRIOR, density, deep(), 4, {})


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


def test_moved_draws_are_exact_and_no_twins():
    """From 600 weights of a wrong network to 4000 draws of the right law; one seed, one result."""
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


def test_a_bridge_leads_to_the_exact_posterior():
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
    twins = network.tempered(X, log_likelihood, refined, 4000, moves=0)
    assert len(np.unique(twins.theta, axis=0)) < 200 and twins.accepted == 0


def peaks(theta, places, width=1e-3):
    """Log of as many unit masses on the diagonal."""
    return logsumexp([norm.logpdf(theta, at, width).sum(axis=1) for at in places], axis=0)


def test_two_far_peaks_get_their_masses():
    """Draws of the wrong shares leap between them; a law fitted to them knows the evidence."""
    rng = np.random.default_rng(0)
    draws = rng.normal(np.where(rng.random((2000, 1)) < 0.9, -1, 1), 1e-3, (2000, 2))
    found = mcmc(draws, lambda theta: peaks(theta, (-1, 1)))
    assert (found.theta[:, 0] > 0).mean() == pytest.approx(0.5, abs=0.05)
    law = refitted(found.theta, lambda theta: peaks(theta, (-1, 1)))
    assert law.trusted and law.ess > 5000
    assert law.log_evidence == pytest.approx(np.log(2), abs=4 * law.standard_error)


def test_a_law_fitted_to_one_parameter_or_to_what_it_cannot_be():
    rng = np.random.default_rng(0)
    one = refitted(rng.normal(3e6, 2e-3, (500, 1)), lambda t: norm.logpdf(t[:, 0], 3e6, 2e-3))
    assert one.trusted and one.log_evidence == pytest.approx(0, abs=4 * one.standard_error)
    places = np.linspace(0, 1, 40)
    many = rng.normal(np.repeat(places, 25)[:, None], 1e-5, (1000, 2))
    assert not refitted(many, lambda theta: peaks(theta, places, 1e-5)).trusted
    plane, point = (rng.normal(size=(500, 2)) @ to for to in ([[1, 2], [2, 4]], [[1, 0], [0, 0]]))
    with pytest.raises(InputError, match="tell the others"):
        refitted(plane, log_likelihood)
    with pytest.raises(InputError, match="the same in all draws"):
        refitted(point, log_likelihood)


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


def test_reference_posterior_is_exact():
    reference = reference_posterior(PRIOR, log_likelihood, 1000, live=300)
    assert reference.converged and min(reference.ess) >= 500 and reference.evaluations > 12_000
    assert len(np.unique(reference.draws, axis=0)) > 990
    np.testing.assert_allclose(reference.log_evidence, EVIDENCE, atol=0.15)
    np.testing.assert_allclose(reference.draws.mean(axis=0), MEAN, atol=0.06)
    np.testing.assert_allclose(np.cov(reference.draws.T), COVARIANCE, atol=0.02)


def test_reference_posterior_of_one_parameter_and_two_modes():
    prior = box(["a"], [-3], [3])
    both = reference_posterior(
        prior, lambda t: norm.logpdf(np.abs(t[:, 0]), 1.5, 0.4), 500, live=200
    )
    few = reference_posterior(prior, lambda t: norm.logpdf(t[:, 0], 1, 0.4), 5, live=200)
    assert few.draws.shape == (5, 1) and few.converged
    assert both.draws.shape == (500, 1) and (both.draws > 0).mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_allclose(both.log_evidence, np.log(2 / 6), atol=0.15)


def test_reference_says_when_it_did_not_finish():
    stopped = reference_posterior(PRIOR, log_likelihood, 500, live=200, limit=600)
    assert not stopped.finished and not stopped.converged and stopped.evaluations < 2000


BAD = {
    "NaN": (lambda: reference_posterior(PRIOR, lambda t: np.full(len(t), np.nan)), "of them NaN"),
    "shape": (lambda: reference_posterior(PRIOR, lambda t: t), r"one number for each"),
    "none": (lambda: reference_posterior(PRIOR, log_likelihood, 1), "ask for at least 4"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_references(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()


# --- a beamline ---------------------------------------------------------------------------------

STUDY, BEAMLINE = read_study("ue112")
TWO = box(["M4.rotationXerror", "M4.rotationZerror"], [-0.06, -0.5], [0.06, 0.5])
SIMULATOR = Simulator(BEAMLINE, TWO.names, (TWO.low, TWO.high), STUDY.detector, Tracing(rays=64))


def test_refined_and_reference_agree_on_a_beamline():
    """A network of seconds, corrected, and nested sampling that never saw it: one posterior."""
    rng = np.random.default_rng(3)
    theta = TWO.sample(3000, rng)
    profiles = SIMULATOR.profiles(theta, None)[0]
    density = deep(layers=4, widths=(32,), **STUDY.detector.features)
    estimator = Estimator(TWO, density, Training(epochs=12, patience=12))
    posterior = estimator.fit(theta, profiles, STUDY.detector.observe)
    truth = np.array([[0.02, -0.2]])
    x = STUDY.detector.observe(SIMULATOR.profiles(truth, None)[0], rng)[0]
    log_likelihood = SIMULATOR.log_likelihood(x)
    refined = posterior.refine(x, log_likelihood, 4000)
    assert refined.trusted, refined.sentence
    reference = reference_posterior(TWO, log_likelihood, 1000, live=200)
    assert reference.finished
    drawn = posterior.tempered(x, log_likelihood, refined, 1000).theta
    assert c2st(reference.draws, drawn).accuracy < 0.55
    assert refined.log_evidence == pytest.approx(np.mean(reference.log_evidence), abs=0.15)
    assert (np.abs(drawn.mean(axis=0) - truth[0]) < 4 * drawn.std(axis=0)).all()


# --- other likelihoods --------------------------------------------------------------------------


def spot(bins, tilt):
    """A tilted Gaussian spot of 60 % of the light: [rows, columns], rows from below."""
    across, along = np.meshgrid(*(np.linspace(-3, 3, n) for n in bins))
    spot = multivariate_normal([0, 0.5], [[1, tilt], [tilt, 1]])
    image = spot.pdf(np.stack([across, along], axis=-1))
    return 0.6 * image / image.sum()


def test_marginals_of_one_image_have_the_stated_moments():
    detector = Detector(bins=(6, 5), photons=300.0, background=2.0, read_noise=1.5)
    image, rng = spot((6, 5), 0.7), np.random.default_rng(0)
    pixels = rng.poisson(300 * image + 2, (40_000, 5, 6)) + 1.5 * rng.standard_normal(
        (40_000, 5, 6)
    )
    x = np.concatenate([pixels.sum(axis=1), pixels.sum(axis=2)], axis=1)
    mean, covariance = image_marginals(detector, image)
    np.testing.assert_allclose(x.mean(axis=0), mean, atol=5 * np.sqrt(covariance.max() / 40_000))
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.03 * covariance.max())
    # The density of what both profiles say together: 11 numbers, of which 10 are free.
    sd = np.linalg.svd(covariance, compute_uv=False)[:-1]
    constant = -5 * np.log(2 * np.pi) - 0.5 * np.log(sd).sum()
    chi2 = -2 * (image_log_likelihood(x, detector, image) - constant)
    assert chi2.mean() == pytest.approx(10, rel=0.02) and chi2.var() == pytest.approx(20, rel=0.1)


def test_separable_image_has_the_profiles():
    detector = Detector(bins=(6, 5))
    image = spot((6, 5), 0.0)
    profile = np.concatenate([image.sum(axis=0), image.sum(axis=1)])
    np.testing.assert_allclose(separable_image(detector, profile), image, atol=1e-12)
    with pytest.raises(InputError, match=r"\[rows, columns\], is \(5, 6\)"):
        image_marginals(detector, image.T)


def test_a_square_image_is_not_read_transposed():
    """The observation of a study that reads images, and the sums of the same image, share axes."""
    study, beamline = read_study("ue112")
    detector = study.detector.model_copy(update={"reads": "image", "bins": (40, 40)})
    prior = study.prior
    support = prior.low, prior.high
    simulator = Simulator(beamline, prior.names, support, detector, Tracing(rays=64))
    profile = simulator.profiles(prior.sample(1, np.random.default_rng(2)), None)[0][0]
    image = profile.reshape(40, 40)
    mean = image_marginals(detector, image)[0]
    np.testing.assert_allclose(mean, detector.profiles(detector.expected_counts(profile)))
    sums = detector.profiles(detector.observe(profile, np.random.default_rng(3)))
    right, wrong = (image_log_likelihood(sums, detector, each) for each in (image, image.T))
    assert right > wrong + 100


def test_counting_is_multinomial():
    """Bin by bin: the first is binomial, the next binomial among what is left."""
    profile, counts, rays = np.array([0.2, 0.5]), np.array([3, 4]), 10
    exact = np.log(math.comb(10, 3) * math.comb(7, 4) * 0.2**3 * 0.5**4 * 0.3**3)
    assert counting_log_likelihood(counts, profile, rays) == pytest.approx(exact)
    both = counting_log_likelihood(np.stack([counts, counts]), np.stack([profile, profile]), rays)
    np.testing.assert_allclose(both, exact)
    # Of many rays in many bins it is nearly Poisson's, which counts rays as if each were free.
    few = np.full(200, 1e-4)
    near = poisson.logpmf(1, 1.0) * 200
    assert counting_log_likelihood(np.ones(200), few, 10_000) == pytest.approx(near, abs=3)
    with pytest.raises(InputError, match="no more than 10 in all"):
        counting_log_likelihood([6, 6], profile, 10)
