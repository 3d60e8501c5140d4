"""Is a fit without a network, from files, the posterior that a grid finds?"""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.special import logsumexp

from raybayes.analysis.fitting import each_alone, seen_by
from raybayes.errors import InputError
from raybayes.study.run import Run, exact_likelihood
from raybayes.study.study import read_study
from raybayes.workflow.fit import fit_files

STUDY = """
name = "two"
beamline = "ue112_pgm1.rml"
[parameters]
"M4.rotationXerror" = [-0.06, 0.06]
"M4.rotationZerror" = [-0.5, 0.5]
"detector.flux" = {kind = "log_normal", mean = 0, sd = 0.2}
[detector]
photons = 2e3
[tracing]
rays = 256
tolerance = 10
"""
TRUTH = np.array([[0.02, -0.2, 0.8]])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The study's run, a measurement, and what fit says of it."""
    folder = tmp_path_factory.mktemp("fit")
    (folder / "two.toml").write_text(STUDY)
    study, beamline = read_study(folder / "two.toml")
    run = Run(study, beamline, folder / "out")
    _, x, _ = run.pairs(TRUTH, np.random.default_rng(3))
    np.savetxt(folder / "x.txt", x[0])
    return run, x[0], fit_files(folder / "two.toml", [folder / "x.txt"], folder / "out", seed=1)


def test_it_is_that_of_a_grid(fitted):
    """Of three parameters, one of them the flux; each row of the table, and the evidence."""
    run, x, result = fitted
    prior, n = run.study.prior, 36
    middle = np.array([row["mean"] for row in result["parameters"]])
    sd = np.array([row["sd"] for row in result["parameters"]])
    low, high = np.maximum(middle - 6 * sd, prior.low), np.minimum(middle + 6 * sd, prior.high)
    axes = [np.linspace(a, b, n) for a, b in zip(low, high, strict=True)]
    theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    optics = run.study.optics.simulator(run.beamline).traced(run.study.tracing)
    rays = result["simulator"]["rays"]
    optics = optics.traced(run.study.tracing.model_copy(update={"rays": rays}))
    grid = theta.reshape(n * n, n, 3)
    profile = optics.profiles(grid[:, 0, :2], None)[0]
    detectors = run.study.detectors
    log_p = np.array([
        detectors.log_likelihood(x, flux * profile) for flux in axes[2]
    ]).T.ravel() + prior.log_prob(theta)  # fmt: skip
    weight = np.exp(log_p - logsumexp(log_p))
    mean = weight @ theta
    np.testing.assert_allclose((middle - mean) / sd, 0, atol=0.15)
    np.testing.assert_allclose(sd / np.sqrt(weight @ (theta - mean) ** 2), 1, atol=0.12)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    assert result["log_evidence"] == pytest.approx(logsumexp(log_p) + np.log(cell), abs=0.15)
    assert result["trusted"] and len(result["modes"]) == 1
    assert (np.abs(middle - TRUTH[0]) < 4 * sd).all()


def test_what_it_writes(fitted):
    _, _, result = fitted
    json.dumps(result)
    with h5py.File(result["written"]["nexus"]) as file:
        assert "entry" in file
    page = Path(result["written"]["report"]).read_text(encoding="utf-8")
    assert "<code>detector.flux</code>" in page and "no network" in page


def test_its_likelihood_is_widened_as_that_of_refine(fitted):
    """Where no number of rays was enough, by the simulator's own noise."""
    run, x, _ = fitted
    tracing = run.study.tracing.model_copy(update={"noise": 0.7})
    noisy = replace(run, study=run.study.model_copy(update={"tracing": tracing}))
    theta = TRUTH * np.array([[1.0], [1.1], [0.9]])
    z, likely = run.study.prior.to_real(theta), []
    for one in (run, noisy):
        task = seen_by(one, x, set()).task
        likely.append(task.log_likelihood(task.predict(z)))
        np.testing.assert_allclose(likely[-1], exact_likelihood(one, x)(theta))
    assert np.ptp(likely[1]) < 0.9 * np.ptp(likely[0])


def test_why_nothing_can_be_simulated(fitted):
    """A place that fails says why, and others in its batch do not fail with it."""
    run, _, _ = fitted
    reasons = set()
    beyond = np.array([TRUTH[0], [np.nan, 0.0, 1.0], TRUTH[0]])
    profiles = each_alone(run.simulator, beyond, reasons)
    assert np.isnan(profiles[1]).all() and np.isfinite(profiles[[0, 2]]).all()
    assert reasons == {"theta holds a NaN or an infinity"}


def test_steps_of_counting_cannot_be_climbed(tmp_path):
    (tmp_path / "two.toml").write_text(STUDY.replace("rays = 256", 'rays = 256\nmode = "counting"'))
    np.savetxt(tmp_path / "x.txt", np.arange(200.0))
    with pytest.raises(InputError, match="its likelihood has steps"):
        fit_files(tmp_path / "two.toml", [tmp_path / "x.txt"], tmp_path / "out")
