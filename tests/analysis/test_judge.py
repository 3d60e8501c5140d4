"""A trained posterior before its judge: right, made wrong, and of an instrument that changed."""

from dataclasses import replace

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from exact import Gaussian

from raybayes.analysis.beam_alarms import outside
from raybayes.analysis.judge import Judge, Pairs
from raybayes.density import deep
from raybayes.inference.estimator import Estimator
from raybayes.inference.posterior import Posterior
from raybayes.inference.train import Training
from raybayes.prior import box
from raybayes.report import checks_page as trusted
from raybayes.simulate.settings import JointSimulator
from raybayes.simulate.simulator import Simulator, Tracing
from raybayes.study.parameters import Parameter
from raybayes.study.study import read_study

STUDY, BEAMLINE = read_study("ue112")
DETECTOR = STUDY.detector.model_copy(update={"photons": 2e3})  # little light: wide posteriors
TWO = box(["M4.rotationXerror", "M4.rotationZerror"], [-0.06, -0.5], [0.06, 0.5])
SIMULATOR = JointSimulator.alone(
    Simulator(BEAMLINE, TWO.names, (TWO.low, TWO.high), DETECTOR, Tracing(rays=64))
)
SHOWN = [Parameter(n, "mrad", a, b) for n, a, b in zip(TWO.names, TWO.low, TWO.high, strict=True)]
FRESH = 200


def pairs_of(posterior):
    rng = np.random.default_rng(7)
    theta = TWO.sample(FRESH, rng)
    x = DETECTOR.observe(SIMULATOR.profiles(theta, None)[0], rng)
    return Pairs(theta, x, posterior.sample(x, 127))


@pytest.fixture(scope="module")
def judge():
    rng = np.random.default_rng(3)
    theta = TWO.sample(4000, rng)
    density = deep(layers=4, widths=(32,), **DETECTOR.features)
    estimator = Estimator(TWO, density, Training(epochs=60, patience=60))
    posterior = estimator.fit(theta, SIMULATOR.profiles(theta, None)[0], DETECTOR.observe)
    return Judge(posterior, SIMULATOR, pairs_of(posterior))


@pytest.fixture(scope="module")
def observed():
    profile = SIMULATOR.profiles(np.array([[0.02, -0.2]]), None)[0]
    return DETECTOR.observe(profile, np.random.default_rng(1))[0]


@pytest.mark.slow
def test_a_good_network_is_trusted(judge, observed):
    verdict = judge.at(observed)
    assert judge.calibration.rank.shape == (FRESH, 4)  # two parameters, log q, log-likelihood
    assert (judge.coverage.p_value > 1e-4).all() and (judge.tarp_coverage.p_value > 1e-4).all()
    assert verdict.refined.trusted and verdict.c2st.accuracy < 0.7  # trained for seconds
    assert verdict.prdc.coverage > verdict.prdc.expected[3] - 0.15
    assert verdict.predictive.p_value > 0.01
    said = " ".join(verdict.sentences())
    assert said.startswith("Corrected by the exact likelihood: worth ")


@pytest.mark.slow
def test_the_page_has_all_of_it(judge, observed):
    verdict = judge.at(observed)
    content = trusted.content(judge, verdict, SHOWN)
    assert len(content["estimates"]) == len(content["intervals"]) == 2
    assert all("±" in row["exact"] for row in content["estimates"])
    assert sum(float(m["mass"].rstrip("%")) for m in content["modes"]) == pytest.approx(100, abs=2)
    assert [float(row["nats"]) for row in content["next"]] == sorted(
        (float(row["nats"]) for row in content["next"]), reverse=True
    )
    assert "2 of 2 directions" in content["identifiable"]
    for figure in trusted.figures(judge, verdict, SHOWN).values():
        assert all(axis.has_data() for axis in figure.axes if axis.axison)
        plt.close(figure)


@pytest.mark.slow
def test_an_instrument_that_changed_raises_an_alarm(judge):
    """Four times the background, unknown to the study; an alternative model names it, too."""
    bright = DETECTOR.model_copy(update={"background": 4 * DETECTOR.background})
    rng, theta = np.random.default_rng(5), TWO.sample(20, np.random.default_rng(4))
    profiles, _ = SIMULATOR.profiles(theta, None)
    bright_x = bright.observe(profiles, rng)
    changed = SIMULATOR.changed(lambda one: replace(one, detector=bright))
    alternative = judge.against_alternative(changed, bright_x)
    assert alternative.raised().mean() > 0.9
    assert max(alarm.raised().mean() for alarm in judge.alarms(bright_x)) > 0.5
    right = DETECTOR.observe(SIMULATOR.profiles(theta, None)[0], rng)
    assert all(alarm.raised().mean() < 0.3 for alarm in judge.alarms(right))


@pytest.mark.slow
def test_a_network_made_too_narrow_is_seen(judge, observed):
    """It says one place with certainty, whatever x is."""
    narrow = Gaussian(jnp.zeros(2), 0.05 * jnp.eye(2))
    wrong = Posterior(TWO, narrow, deep(), DETECTOR.size, {})
    found = Judge(wrong, SIMULATOR, pairs_of(wrong))
    assert (found.calibration.p_value[:3] < 1e-3).all() and found.coverage.p_value[0] < 1e-3
    verdict = found.at(observed)
    assert verdict.exact is None and verdict.c2st is None
    assert "too narrow here to be corrected" in " ".join(verdict.sentences())
    assert verdict.predictive.p_value < 0.01


def test_a_summary_well_beyond_the_simulated_ones_is_named():
    """The narrowest of all beams is that of a beamline aligned at its best, and no alarm."""
    known = np.linspace([8.0, 100.0], [38.0, 200.0], 400)
    assert outside(["width", "total"], known, np.array([7.8, 150.0])) == ""
    said = outside(["width", "total"], known, np.array([7.8, 90.0]))
    assert said == "Outside all of 400 simulated beams: total 90 (simulated: 100 to 200)."
