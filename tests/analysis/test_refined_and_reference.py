"""Do a corrected network and nested sampling agree on a beamline?"""

import numpy as np
import pytest

from raybayes.density import deep
from raybayes.diagnostics import c2st
from raybayes.inference.estimator import Estimator
from raybayes.inference.nested import reference_posterior
from raybayes.inference.train import Training
from raybayes.prior import box
from raybayes.simulate.simulator import Simulator, Tracing
from raybayes.study.study import read_study

STUDY, BEAMLINE = read_study("ue112")
TWO = box(["M4.rotationXerror", "M4.rotationZerror"], [-0.06, -0.5], [0.06, 0.5])
SIMULATOR = Simulator(BEAMLINE, TWO.names, (TWO.low, TWO.high), STUDY.detector, Tracing(rays=64))


@pytest.mark.slow
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
