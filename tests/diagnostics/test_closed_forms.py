"""Have the diagnostics the values that are known in closed form?"""

import numpy as np
import pytest
from judged import CASES, NOISE, POSTERIORS, A, Claimed, Judged, L, intervals, simulate
from scipy.stats import kstest, norm
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from raybayes.diagnostics import (
    Alarm,
    c2st,
    conformal,
    conformal_hpd_level,
    ecdf_band,
    hpd,
    mahalanobis,
    prdc,
    predictive_check,
    together,
)
from raybayes.diagnostics.neighbours import expected_coverage


def test_units_of_summaries_change_no_distance():
    """Counts beside micrometres: the largest number must not drown the others."""
    rng = np.random.default_rng(6)
    known, seen = rng.standard_normal((400, 5)), rng.standard_normal((10, 5))
    known[:, 4] += known[:, 3]
    units = np.array([1e4, 1.0, 1e-3, 1e-6, 10.0])
    plain, other = mahalanobis(known, seen), mahalanobis(known * units, seen * units)
    np.testing.assert_allclose(other.statistic, plain.statistic, rtol=1e-9)
    np.testing.assert_array_equal(other.p_value, plain.p_value)


def test_what_one_observation_shows_weakly_many_show():
    """log N(x | 0.4, 1) - log N(x | 0, 1): a step of 0.4 sd, seen by 100 at 4 sd of their sum."""
    rng = np.random.default_rng(5)

    def factor(mean, n):
        x = mean + rng.standard_normal(n)
        return 0.4 * x - 0.08

    null = factor(0, 5000)
    shifted, same = Alarm("factor", factor(0.4, 4000), null), Alarm("factor", factor(0, 4000), null)
    assert shifted.raised().mean() < 0.15
    assert together(shifted, 100).raised().mean() > 0.9
    assert together(same, 100).raised().mean() < 0.25


@pytest.mark.parametrize("d", [1, 2])
def test_classifier_is_as_good_as_the_best_one_and_as_scikit_learns(d):
    """Two normal distributions 1 apart: no classifier is right more often than Phi(1/2)."""
    rng = np.random.default_rng(d)
    one, other = rng.standard_normal((2, 2000, d))
    other[:, 0] += 1
    found = c2st(one, other)
    assert found.accuracy == pytest.approx(norm.cdf(0.5), abs=0.025)
    data = StandardScaler().fit(one).transform(np.concatenate([one, other]))
    classifier = MLPClassifier((10 * d, 10 * d), max_iter=10_000, random_state=1)
    folds, target = KFold(5, shuffle=True, random_state=1), np.repeat([0, 1], 2000)
    theirs = cross_val_score(classifier, data, target, cv=folds)
    np.testing.assert_allclose(found.folds, theirs, atol=0.02)


@pytest.mark.parametrize(("n", "m", "published"), [(1000, 1000, 0.969), (1000, 256, 0.681)])
def test_expected_coverage_of_identical_distributions(n, m, published):
    """The published closed form, and Gaussian samples that follow it."""
    assert expected_coverage(n, m, 5) == pytest.approx(published, abs=5e-4)
    rng = np.random.default_rng(2)
    found = [
        prdc(rng.standard_normal((n, 3)), rng.standard_normal((m, 3)), trials=3) for _ in range(8)
    ]
    assert np.mean([f.coverage for f in found]) == pytest.approx(published, abs=0.015)
    assert np.mean([f.density for f in found]) == pytest.approx(1, abs=0.04)
    assert found[0].expected[2:] == (1, expected_coverage(n, m, 5))


def test_precision_and_recall():
    """Half of the reference missed: recall falls and precision does not; the other way round."""
    rng = np.random.default_rng(3)
    two = rng.standard_normal((1000, 2)) + 20 * rng.integers(2, size=(1000, 1))
    one = rng.standard_normal((1000, 2))
    missed, invented = prdc(two, one, trials=3), prdc(one, two, trials=3)
    assert missed.precision > 0.9 and missed.recall == pytest.approx(0.5, abs=0.1)
    assert invented.recall > 0.9 and invented.precision == pytest.approx(0.5, abs=0.1)


def test_predictive_chi2_is_one_on_average():
    rng = np.random.default_rng(6)
    found = []
    for theta in rng.standard_normal((200, 2)):
        x = simulate(theta[None], rng)[0]
        expected = Claimed().draw(x, 60, rng) @ A.T
        result = predictive_check(x, expected, np.full_like(expected, NOISE**2), expected)
        found.append(result.chi2_per_bin)
    assert np.mean(found) == pytest.approx(1, abs=0.12)


def test_p_values_of_right_posteriors_are_uniform():
    """Of the tests without a training in them, over repetitions of the whole experiment."""
    many = [Judged(POSTERIORS["right"], seed) for seed in range(1, 31)]
    for name in ("ranks of parameters", "SBC of the log-likelihood", "HPD coverage", "TARP"):
        results = [CASES[name].run(j) for j in many]
        for kind in ("chi2", "ks"):
            assert kstest([getattr(r, kind)[0] for r in results], "uniform").pvalue > 0.005


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_conformal_intervals_hold_as_often_as_they_say(posterior, judged):
    learned = conformal(*intervals(judged[posterior]))
    fresh = Judged(POSTERIORS[posterior], seed=8)
    theta, low, high, level = intervals(fresh)
    low, high = learned.apply(low, high)
    held = ((theta >= low) & (theta <= high)).mean(axis=0)
    np.testing.assert_allclose(held, level, atol=0.06)  # two binomials of 1,000
    assert np.sign(learned.margin[0]) == {"too narrow": 1, "shifted": 1, "too wide": -1}.get(
        posterior, np.sign(learned.margin[0])
    )


@pytest.mark.parametrize("posterior", ["right", "too narrow", "too wide", "shifted"])
def test_conformal_regions_hold_as_often_as_they_say(posterior, judged):
    j = judged[posterior]
    nominal = conformal_hpd_level(hpd(j.log_q, j.log_q_draws).rank[:, 0], L + 1, 0.8)
    fresh = Judged(POSTERIORS[posterior], seed=8)
    rank = hpd(fresh.log_q, fresh.log_q_draws).rank[:, 0]
    assert (rank + 1 <= nominal * (L + 1)).mean() == pytest.approx(0.8, abs=0.05)
    assert {"right": 0.75, "too narrow": 0.9}.get(posterior, 0) < nominal
    assert nominal < {"right": 0.85, "too wide": 0.6}.get(posterior, 1.01)


def test_band_holds_uniform_ranks_as_often_as_it_says():
    low, high = ecdf_band(500, 64, 0.95)
    rng = np.random.default_rng(1)
    kept = 0
    for _ in range(1000):
        curve = np.cumsum(np.bincount(rng.integers(64, size=500), minlength=64)) / 500
        kept += ((curve >= low) & (curve <= high)).all()
    assert 0.93 < kept / 1000 < 0.975


def test_band_and_p_value_agree_on_what_is_wrong(judged):
    right, wrong = (CASES["ranks of parameters"].run(judged[n]) for n in ("right", "too narrow"))
    assert right.uniform().all() and not wrong.uniform().any() and not wrong.inside.any()
