"""Does a trained posterior agree with the exact one, and survive its file?"""

from dataclasses import replace

import numpy as np
import pytest
from densities import BOX
from linear_task import exact_posterior
from scipy.stats import multivariate_normal

from raybayes.errors import InputError
from raybayes.inference.posterior import Posterior
from raybayes.prior import (
    Raw,
    box,
)
from raybayes.store import read_arrays, write_arrays


def test_posterior_moments(trained):
    _, _, posterior = trained
    x = np.array([20.4, 19.5, 21.0])
    mean, covariance = exact_posterior(x)
    z = BOX.to_real(posterior.sample(x, 20_000, seed=1))
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(z.mean(axis=0), mean, atol=0.15 * sd.max())
    np.testing.assert_allclose(z.std(axis=0), sd, rtol=0.08)


def test_log_prob_is_the_density_of_theta(trained):
    _, _, posterior = trained
    x = np.array([20.4, 19.5, 21.0])
    draws = posterior.sample(x, 4000, seed=2)
    mean, covariance = exact_posterior(x)
    exact = multivariate_normal(mean, covariance).logpdf(BOX.to_real(draws))
    exact += BOX.log_det_to_real(draws)
    difference = posterior.log_prob(draws, x) - exact
    assert np.abs(difference.mean()) < 0.05 and difference.std() < 0.3
    assert posterior.log_prob([2.0, 3.0], x) == -np.inf


def test_batches(trained):
    _, _, posterior = trained
    x = 20 + np.random.default_rng(0).standard_normal((3, 3))
    draws = posterior.sample(x, 50, seed=3)
    assert draws.shape == (3, 50, 2)
    assert np.isfinite(BOX.log_prob(draws)).all()
    log_q = posterior.log_prob(draws, x)
    assert log_q.shape == (3, 50)
    one = np.stack([posterior.log_prob(d, each) for d, each in zip(draws, x, strict=True)])
    np.testing.assert_allclose(log_q, one, atol=1e-3)
    assert posterior.mean(x).shape == posterior.median(x).shape == (3, 2)
    low, high = posterior.interval(x, 0.9)
    assert (low < high).all()
    inside = (low[:, None] <= draws) & (draws <= high[:, None])
    assert inside.mean() == pytest.approx(0.9, abs=0.06)


def test_few_are_in_memory_at_once(trained, monkeypatch):
    """Many draws of one observation come in blocks, as those of many observations do."""
    _, _, posterior = trained
    x = 20 + np.random.default_rng(0).standard_normal((3, 3))
    whole = posterior.sample(x, 30, seed=1)
    log_q = posterior.log_prob(whole, x)
    monkeypatch.setattr("raybayes.inference.posterior.AT_ONCE", 16)
    np.testing.assert_allclose(posterior.log_prob(whole, x), log_q, atol=1e-4)
    np.testing.assert_allclose(posterior.log_prob(whole[0], x[0]), log_q[0], atol=1e-4)
    draws = posterior.sample(x, np.int64(1001), seed=1)
    assert draws.shape == (3, 1001, 2) and len(np.unique(draws[0], axis=0)) == 1001
    np.testing.assert_array_equal(posterior.sample(x[0], 1001, seed=1), draws[0])
    spread = whole.std(axis=1)
    assert (np.abs(draws.mean(axis=1) - whole.mean(axis=1)) < spread).all()


def test_no_observations(trained):
    none = np.empty((0, 3))
    assert trained[2].sample(none, 5).shape == (0, 5, 2)
    assert trained[2].log_prob(np.empty((0, 5, 2)), none).shape == (0, 5)
    assert trained[2].log_prob(np.empty((0, 2)), np.full(3, 20.0)).shape == (0,)


def test_save_and_load(trained, tmp_path):
    _, _, posterior = trained
    posterior.save(tmp_path / "p.safetensors")
    again = Posterior.load(tmp_path / "p.safetensors")
    x = np.array([20.4, 19.5, 21.0])
    assert np.array_equal(again.sample(x, 10), posterior.sample(x, 10))
    assert again.prior == BOX and again.made_by == posterior.made_by


def test_datatree(trained):
    _, _, posterior = trained
    x = np.array([[20.4, 19.5, 21.0], [20, 20, 20]])
    tree = posterior.to_datatree(x, 30, seed=4)
    draws = posterior.sample(x, 30, seed=4)
    assert tree["posterior"]["b"].dims == ("chain", "draw", "observation")
    np.testing.assert_array_equal(tree["posterior"]["b"].values[0].T, draws[..., 1])
    np.testing.assert_allclose(tree["sample_stats"]["lp"].values[0].T, posterior.log_prob(draws, x))
    one = posterior.to_datatree(x[0], 5)
    assert one["posterior"]["a"].shape == (1, 5) and one["observed_data"]["x"].shape == (3,)
    for name in ("draw", "M1/pitch"):
        other = replace(posterior, prior=replace(BOX, names=("a", name)))
        with pytest.raises(InputError, match=f"a parameter called {name} cannot stand"):
            other.to_datatree(x, 5)


CALLS = {
    "wrong length": (lambda p: p.sample(np.zeros(4), 5), r"has shape \(4,\)"),
    "NaN": (lambda p: p.sample([20.0, np.nan, 20.0], 5), r"not finite in 1 places.*\[1\]"),
    "infinity": (lambda p: p.sample([[20.0, 1, np.inf]], 5), r"first at index \[0, 2\]"),
    "no draws": (lambda p: p.sample(np.full(3, 20.0), 0), "at least one draw"),
    "theta's shape": (lambda p: p.log_prob([1.0], np.full(3, 20.0)), "theta has shape"),
    "theta's batch": (lambda p: p.log_prob(np.zeros((4, 2)), np.full((3, 3), 20.0)), "for each"),
    "level": (lambda p: p.interval(np.full(3, 20.0), 1.5), "between 0 and 1"),
}


@pytest.mark.parametrize("case", CALLS)
def test_bad_calls(case, trained):
    call, message = CALLS[case]
    with pytest.raises(InputError, match=message):
        call(trained[2])


def test_bad_descriptions(trained, tmp_path):
    path = tmp_path / "p.safetensors"
    trained[2].save(path)
    for prior in (box(BOX.names, [-9, -9], [9, 9]), Raw(BOX)):
        with pytest.raises(InputError, match="another prior of the same names"):
            Posterior.load(path, prior)
    arrays, header = read_arrays(path)
    for change in ({"density": {"kind": "flow", "depth": 3}}, {"prior": [{"kind": "magic"}]}):
        write_arrays(path, arrays, header | change)
        with pytest.raises(InputError, match="its description is not one of this version"):
            Posterior.load(path)
    for missing in ("density", "names", "size", "prior", "made_by"):
        write_arrays(path, arrays, {k: v for k, v in header.items() if k != missing})
        with pytest.raises(InputError, match="its description is not one of this version"):
            Posterior.load(path)


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match="none: cannot be read"):
        Posterior.load(tmp_path / "none")
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(InputError, match="is damaged or no file of raybayes"):
        Posterior.load(tmp_path / "junk")


@pytest.mark.parametrize("change", ["fewer arrays", "other shapes"])
def test_a_network_of_another_version(change, trained, tmp_path):
    path = tmp_path / "p.safetensors"
    trained[2].save(path)
    arrays, header = read_arrays(path)
    if change == "fewer arrays":
        del arrays["0"]
    else:
        arrays["0"] = arrays["0"][:1]
    write_arrays(path, arrays, header)
    with pytest.raises(InputError, match="another version of raybayes wrote it"):
        Posterior.load(path)
