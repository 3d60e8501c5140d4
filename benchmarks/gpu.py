"""A GPU beside the CPU: milliseconds of a training step, and how far log_prob is apart.

    ./run python benchmarks/gpu.py      # needs a jax that sees a GPU

A linear Gaussian problem, theta in R^6 and x in R^200, six epochs over 19,000 pairs. Each
network's log q of 10,000 draws is computed on both devices.
"""

import time
from tempfile import TemporaryDirectory

import jax
import numpy as np

from raybayes import Estimator, Posterior, Training, box, read_study
from raybayes.density import deep, nsf, rnade

PAIRS = 20_000


def row(prior, theta, x, density, training):
    """Milliseconds per step, held-out loss, and the largest and mean difference of log q."""
    training, marks = training.model_copy(update={"epochs": 6}), []
    estimator = Estimator(prior, density, training)
    posterior, fit = estimator.train(
        theta, x, progress=lambda state: marks.append(time.perf_counter())
    )
    steps = int(PAIRS * (1 - training.validation)) // training.batch
    seconds = float(np.median(np.diff(marks[1:])))
    draws = posterior.sample(x[:20], 500)
    here = posterior.log_prob(draws, x[:20])
    with TemporaryDirectory() as folder, jax.default_device(jax.devices("cpu")[0]):
        posterior.save(f"{folder}/posterior.safetensors")
        copy = Posterior.load(f"{folder}/posterior.safetensors")
        there = copy.log_prob(draws, x[:20])
    apart = np.abs(here - there)
    return 1e3 * seconds / steps, fit.history[-1][1], apart.max(), apart.mean()


def main():
    rng = np.random.default_rng(0)
    prior = box([f"p{i}" for i in range(6)], [-1] * 6, [1] * 6)
    theta = prior.sample(PAIRS, rng)
    slopes, noise = rng.standard_normal((6, 200)), rng.standard_normal((PAIRS, 200))
    x = theta @ slopes + 0.3 * noise
    print(f"{jax.devices()[0]}: ms per step, held-out loss, |log q - that on the CPU| max, mean")
    muon = read_study("ue112")[0].training
    for recipe in (deep, nsf, rnade):
        for name, training in (("adamw, 128 pairs", Training()), ("muon, 512 pairs", muon)):
            ms, loss, most, mean = row(prior, theta, x, recipe(), training)
            print(f"{recipe.__name__:6} {name:17} {ms:7.2f} {loss:8.3f} {most:.1e} {mean:.1e}")


if __name__ == "__main__":
    main()
