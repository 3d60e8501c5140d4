"""Every diagnostic passes on a right posterior and fails on those that are wrong on purpose.

The truth is a linear Gaussian task: theta ~ N(0, I), x = theta A^T + noise, whose posterior is
N(mean(x), COVARIANCE) exactly. What a diagnostic cannot see is said in its case, and tested.
"""

import matplotlib

matplotlib.use("Agg")
from dataclasses import dataclass, field, is_dataclass

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import kstest, multivariate_normal, norm
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from raybayes import diagnostics
from raybayes.diagnostics import (
    Alarm,
    c2st,
    calibration,
    conformal,
    conformal_hpd_level,
    ecdf_band,
    evidence_alarm,
    hpd,
    local_c2st,
    mahalanobis,
    mmd,
    prdc,
    predictive_check,
    ranks,
    references,
    sbc,
    tarp,
    together,
)
from raybayes.diagnostics.neighbours import expected_coverage
from raybayes.errors import InputError

N, L, M = 1000, 127, 1000  # simulations, draws of each, draws at one observation
TRIALS = 20  # of L-C2ST's null
A = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, -1.0]])
NOISE = 0.5
COVARIANCE = np.linalg.inv(np.eye(2) + A.T @ A / NOISE**2)
ROOT = np.linalg.cholesky(COVARIANCE)
MARGINAL = A @ A.T + NOISE**2 * np.eye(3)


def posterior_mean(x):
    return x @ A @ COVARIANCE / NOISE**2


def simulate(theta, rng):
    return theta @ A.T + NOISE * rng.standard_normal((len(theta), 3))


def log_likelihood(x, theta):
    return norm.logpdf(x, theta @ A.T, NOISE).sum(axis=-1)


@dataclass(frozen=True)
class Claimed:
    """A posterior that is right (scale 1, shift 0) or made wrong; "prior" has learned nothing."""

    scale: float = 1.0
    shift: float = 0.0
    prior: bool = False

    def law(self, x):
        """Mean and root of the covariance."""
        if self.prior:
            return np.zeros((*x.shape[:-1], 2)), np.eye(2)
        return posterior_mean(x) + self.shift * ROOT.diagonal(), self.scale * ROOT

    def draw(self, x, n, rng):
        mean, root = self.law(x)
        return mean[..., None, :] + rng.standard_normal((*x.shape[:-1], n, 2)) @ root.T

    def log_q(self, theta, x):
        mean, root = self.law(x)
        return multivariate_normal([0, 0], root @ root.T).logpdf(theta - mean)


POSTERIORS = {
    "right": Claimed(),
    "too narrow": Claimed(scale=0.6),
    "too wide": Claimed(scale=1.6),
    "shifted": Claimed(shift=0.7),
    "prior": Claimed(prior=True),
}


class Judged:
    """What a diagnostic may ask for: n pairs with draws for each, one observation with many."""

    def __init__(self, posterior, seed=0):
        rng = np.random.default_rng(seed)
        self.theta = rng.standard_normal((N, 2))
        self.x = simulate(self.theta, rng)
        self.draws = posterior.draw(self.x, L, rng)
        each = (self.draws, self.x[:, None])
        self.log_q = posterior.log_q(self.theta, self.x)
        self.log_q_draws = posterior.log_q(*each)
        self.log_l = log_likelihood(self.x, self.theta)
        self.log_l_draws = log_likelihood(each[1], each[0])
        self.x_o = np.array([1.0, -1.2, 1.9])
        self.draws_o = posterior.draw(self.x_o, 2 * M, rng)
        self.exact_o = Claimed().draw(self.x_o, M, rng)
        self.random = rng.uniform(-3, 3, (N, 2))
        self.rng = rng


def readings(j):
    expected = j.draws_o @ A.T
    return j.x_o, expected, np.full_like(expected, NOISE**2), simulate(j.draws_o, j.rng)


def intervals(j):
    return j.theta, *np.quantile(j.draws, [0.16, 0.84], axis=1), 0.68


@dataclass(frozen=True)
class Case:
    """arguments: Judged -> what the diagnostic takes; blind: what it cannot see."""

    diagnostic: object
    arguments: object
    blind: set = field(default_factory=set)

    def run(self, j):
        return self.diagnostic(*self.arguments(j))


CASES = {
    "ranks of parameters": Case(calibration, lambda j: (ranks(j.theta, j.draws), L + 1), {"prior"}),
    "SBC of the log-likelihood": Case(sbc, lambda j: (j.log_l, j.log_l_draws)),
    "HPD coverage": Case(hpd, lambda j: (j.log_q, j.log_q_draws), {"prior"}),
    "TARP": Case(tarp, lambda j: (j.theta, j.draws, references(j.theta, j.x))),
    "TARP, references without x": Case(tarp, lambda j: (j.theta, j.draws, j.random), {"prior"}),
    "C2ST": Case(c2st, lambda j: (j.exact_o, j.draws_o[:M])),
    "L-C2ST": Case(
        local_c2st, lambda j: (j.theta, j.draws[:, 0], j.x, j.x_o, j.draws_o[:M], TRIALS)
    ),
    "PRDC": Case(prdc, lambda j: (j.exact_o[:500], j.draws_o[:500])),
    # Of one observation; the next test is of what it does see.
    "posterior predictive": Case(predictive_check, readings, {"too narrow", "too wide", "shifted"}),
    "conformal intervals": Case(conformal, intervals, {"prior"}),
}


@pytest.fixture(scope="module")
def judged():
    return {name: Judged(posterior) for name, posterior in POSTERIORS.items()}


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("case", CASES)
def test_right_passes_and_wrong_fails(case, posterior, judged):
    p_value = np.min(CASES[case].run(judged[posterior]).p_value)
    if posterior == "right" or posterior in CASES[case].blind:
        assert p_value > 0.01
    else:
        assert p_value < 1e-3


@pytest.mark.parametrize("posterior", [Claimed(scale=5), Claimed(shift=6)])
def test_predictive_check_sees_what_shows_in_the_data(posterior):
    result = predictive_check(*readings(Judged(posterior)))
    assert result.p_value < 1e-3 and result.chi2_per_bin > 4


# --- the model, not the posterior ---------------------------------------------------------------


def evidence(x):
    return multivariate_normal(np.zeros(3), MARGINAL).logpdf(x)


OBSERVED = {
    "right": lambda rng: simulate(rng.standard_normal((40, 2)), rng),
    "other noise": lambda rng: (
        simulate(rng.standard_normal((40, 2)), rng) + 3 * rng.standard_normal((40, 3))
    ),
    "shifted": lambda rng: simulate(rng.standard_normal((40, 2)), rng) + np.array([3, -3, -3]),
}
ALARMS = {
    "Mahalanobis": Case(mahalanobis, lambda simulated, x: (simulated, x)),
    "MMD": Case(mmd, lambda simulated, x: (simulated, x, 2000)),
    "evidence": Case(evidence_alarm, lambda simulated, x: (evidence(simulated), evidence(x))),
    "sets": Case(
        together,
        lambda simulated, x: (evidence_alarm(evidence(simulated), evidence(x)), min(10, len(x))),
    ),
}


@pytest.mark.parametrize("observed", OBSERVED)
@pytest.mark.parametrize("alarm", ALARMS)
def test_alarms(alarm, observed):
    rng = np.random.default_rng(4)
    x, simulated = OBSERVED[observed](rng), simulate(rng.standard_normal((2400, 2)), rng)
    result = ALARMS[alarm].diagnostic(*ALARMS[alarm].arguments(simulated, x))
    if observed == "right":
        assert result.p_value.min() > 0.01 / len(result.p_value)
        assert result.raised().mean() < 0.15
    else:
        assert result.p_value.min() < 1e-3 and result.raised().mean() > 0.4


def test_units_of_summaries_change_no_distance():
    """Counts beside micrometres: the largest number must not drown the others."""
    rng = np.random.default_rng(6)
    known, seen = rng.standard_normal((400, 5)), rng.standard_normal((10, 5))
    known[:, 4] += known[:, 3]
    units = np.array([1e4, 1.0, 1e-3, 1e-6, 10.0])
    plain, other = mahalanobis(known, seen), mahalanobis(known * units, seen * units)
    np.testing.assert_allclose(other.statistic, plain.statistic, rtol=1e-9)
    np.testing.assert_array_equal(other.p_value, plain.p_value)


def test_what_one_observation_hardly_shows_many_do():
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


# --- closed forms -------------------------------------------------------------------------------


def test_every_diagnostic_has_a_case():
    """A new function that returns a result needs a case above."""
    public = [getattr(diagnostics, name) for name in diagnostics.__all__]
    results = {one for one in public if is_dataclass(one)}
    makers = {
        f
        for f in public
        if callable(f) and getattr(f, "__annotations__", {}).get("return") in results
    }
    assert makers == {case.diagnostic for case in (*CASES.values(), *ALARMS.values())}
    assert all(callable(result.plot) for result in results)


@pytest.mark.parametrize("d", [1, 2])
def test_classifier_is_as_good_as_the_best_one_and_as_scikit_learns(d):
    """Two normal laws a shift of 1 apart: no classifier is right more often than Phi(1/2)."""
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
def test_expected_coverage_of_identical_laws(n, m, published):
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
def test_repaired_intervals_hold_as_often_as_they_say(posterior, judged):
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
def test_repaired_regions_hold_as_often_as_they_say(posterior, judged):
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


# --- figures and wrong input --------------------------------------------------------------------


@pytest.mark.parametrize("case", [*CASES, *ALARMS])
def test_results_draw_themselves(case, judged):
    if case in CASES:
        result = CASES[case].run(judged["too narrow"])
    else:
        x = simulate(np.zeros((200, 2)), np.random.default_rng(0))
        result = ALARMS[case].diagnostic(*ALARMS[case].arguments(x[:-3], x[-3:]))
    figure, ax = plt.subplots()
    result.plot(ax)
    assert ax.get_xlabel() or ax.get_xticklabels()
    assert ax.has_data() and (ax.get_legend() is not None)
    plt.close(figure)


GOOD = Judged(POSTERIORS["right"])
BAD = {
    "shapes": (lambda: ranks(GOOD.theta, GOOD.draws[:5]), r"draws has shape \(5, 127, 2\)"),
    "NaN": (lambda: ranks(GOOD.theta * np.nan, GOOD.draws), "theta holds 2000 values"),
    "few simulations": (lambda: sbc(GOOD.theta[:50], GOOD.draws[:50]), "50 simulations"),
    "rank": (lambda: calibration(np.full((200, 1), 9), 5), r"from 9 to 9, not 0\.\.4"),
    "quantity": (lambda: hpd(GOOD.log_q, GOOD.log_q_draws[:, :, None]), "draws has shape"),
    "references": (lambda: tarp(GOOD.theta, GOOD.draws, GOOD.x), r"references has shape"),
    "few for references": (lambda: references(GOOD.theta[:9], GOOD.x[:9]), "9 simulations"),
    "unequal": (lambda: c2st(GOOD.exact_o, GOOD.draws_o), r"draws has shape \(2000, 2\)"),
    "few draws": (lambda: c2st(GOOD.exact_o[:9], GOOD.draws_o[:9]), "9 draws are too few"),
    "one observation": (
        lambda: local_c2st(GOOD.theta, GOOD.theta, GOOD.x, GOOD.x[:2], GOOD.draws_o),
        "x_o has shape",
    ),
    "few neighbours": (lambda: prdc(GOOD.exact_o[:9], GOOD.exact_o), "9 draws are too few"),
    "no draws": (lambda: prdc(GOOD.exact_o[:0], GOOD.exact_o), "reference is empty"),
    "predictions": (
        lambda: predictive_check(GOOD.x_o, GOOD.x, GOOD.x[:5], GOOD.x),
        "variance has shape",
    ),
    "summaries": (lambda: mmd(GOOD.x, GOOD.theta), "observed has shape"),
    "sets": (lambda: together(evidence_alarm(GOOD.x[:, 0], [1, 2, 3]), 2), "do not make sets of 2"),
    "few evidences": (lambda: evidence_alarm([1, 2], [1]), "2 simulations are too few"),
    "interval": (lambda: conformal(GOOD.theta, GOOD.theta, GOOD.theta, 0.5), "not below its high"),
    "level": (lambda: conformal_hpd_level(np.arange(9), 10, 1.2), "between 0 and 1"),
    "few for a level": (lambda: conformal_hpd_level(np.arange(9), 10, 0.95), "9 pairs are too few"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_wrong_input_is_refused_in_words(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()
