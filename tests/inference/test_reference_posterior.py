"""Is nested sampling's posterior exact, and does it say when it is not?"""

import numpy as np
import pytest
from gaussian_task import COVARIANCE, EVIDENCE, MEAN, PRIOR, log_likelihood
from scipy.stats import norm

from raybayes.errors import InputError
from raybayes.inference.nested import reference_posterior
from raybayes.prior import box


@pytest.mark.slow
def test_reference_posterior_is_exact():
    reference = reference_posterior(PRIOR, log_likelihood, 1000, live=300)
    assert reference.converged and min(reference.ess) >= 500 and reference.evaluations > 12_000
    assert len(np.unique(reference.draws, axis=0)) > 990
    np.testing.assert_allclose(reference.log_evidence, EVIDENCE, atol=0.15)
    np.testing.assert_allclose(reference.draws.mean(axis=0), MEAN, atol=0.06)
    np.testing.assert_allclose(np.cov(reference.draws.T), COVARIANCE, atol=0.02)


@pytest.mark.slow
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
