"""C2ST on the sbibm tasks: raybayes with one configuration for all, beside published figures.

    ./run python benchmarks/sbibm.py --task two_moons --simulations 10000
    ./run python benchmarks/sbibm.py                       # everything: hours

For every task and budget one ensemble is trained on simulations from the prior, single round,
without the likelihood. Each of ten observations gets 10,000 draws, which a classifier tries to
tell from 10,000 draws of the reference posterior (0.5: it cannot; sbibm's definition: z-scored,
two layers of 10 d units, 5 folds). References: FILE.npz with true_parameters, observations and
reference_posterior_samples [10, 10000, d], or the exact posterior where the task has one.
"""

import argparse
import json
import os
import time

os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={os.cpu_count()}")

import numpy as np
from joblib import Parallel, delayed

from raybayes import Estimator, Training
from raybayes.density import maf_nsf
from raybayes.diagnostics import c2st
from raybayes.tasks import TASKS

DRAWS = 10_000
PUBLISHED = {  # mean C2ST of NPE and SNPE, arXiv 2101.04653, at 1e3 and 1e4 simulations
    "two_moons": {1000: (0.725, 0.643), 10_000: (0.606, 0.554)},
    "slcp": {1000: (0.975, 0.965), 10_000: (0.901, 0.845)},
    "gaussian_linear": {1000: (0.694, 0.652), 10_000: (0.552, 0.544)},
    "gaussian_linear_uniform": {1000: (0.696, 0.631), 10_000: (0.553, 0.527)},
    "gaussian_mixture": {1000: (0.731, 0.697), 10_000: (0.661, 0.583)},
    "bernoulli_glm": {1000: (0.863, 0.855), 10_000: (0.678, 0.614)},
    "sir": {1000: (0.815, 0.638), 10_000: (0.680, 0.561)},
    "lotka_volterra": {1000: (0.999, 0.990), 10_000: (0.997, 0.953)},
}


def estimator(prior, simulations, seed):
    """The one configuration; epochs, weight decay and what is held out follow the budget."""
    density = maf_nsf(members=4, bins=16, embedding={"widths": (64, 64)}, start="both")
    epochs = max(80, min(200, round(2e5 / simulations)))
    training = Training(
        epochs=epochs,
        patience=epochs,
        batch=100,
        learning_rate=1e-2,
        weight_decay=300 / simulations,
        validation=min(0.1, 500 / simulations),
    )
    return Estimator(prior, density, training, seed=seed)


def references(task, file, rng):
    """Observations [10, size] and draws of their posteriors [10, DRAWS, d]."""
    if file:
        with np.load(file, allow_pickle=False) as stored:
            return stored["observations"], stored["reference_posterior_samples"]
    if task.exact is None:
        raise SystemExit("this task has no exact posterior: give --references FILE.npz")
    x = task.simulate(task.prior.sample(10, rng), rng)
    return x, np.stack([task.exact(one, DRAWS, rng) for one in x])


def run(name, simulations, file, seed, observations):
    """One row of the table."""
    task, rng = TASKS[name](), np.random.default_rng(seed)
    observed, exact = references(task, file, np.random.default_rng(1_000_000))
    theta = task.prior.sample(simulations, rng)
    x, start = task.simulate(theta, rng), time.perf_counter()
    fitter = estimator(task.prior, simulations, seed)
    posterior = fitter.fit(theta, x)
    seconds = time.perf_counter() - start
    draws = posterior.sample(observed[:observations].reshape(-1, x.shape[1]), DRAWS, seed)
    pairs = zip(exact[:observations], draws, strict=True)
    tests = Parallel(os.cpu_count())(delayed(c2st)(a, b) for a, b in pairs)
    scores = [test.accuracy for test in tests]
    npe, snpe = PUBLISHED.get(name, {}).get(simulations, (None, None))
    return {
        "task": name,
        "simulations": simulations,
        "c2st": float(np.mean(scores)),
        "standard_error": float(np.std(scores, ddof=1) / np.sqrt(len(scores))),
        "npe": npe,
        "snpe": snpe,
        "seconds": seconds,
        "epochs": len(fitter.fit_.history),
        "best_epochs": fitter.fit_.best_epochs,
        "each": [round(float(s), 4) for s in scores],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", choices=[*PUBLISHED], action="append")
    parser.add_argument("--simulations", type=int, action="append")
    parser.add_argument("--references", help="FILE.npz, or a folder with TASK.npz files")
    parser.add_argument("--observations", type=int, default=10, help="fewer are quicker")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    a = parser.parse_args()
    if not a.json:
        print("task                     simulations  C2ST (s.e.)      NPE   SNPE  training")
    for name in a.task or PUBLISHED:
        file = a.references
        if file and os.path.isdir(file):
            file = os.path.join(file, f"{name}.npz")
            file = file if os.path.exists(file) else None
        for simulations in a.simulations or (1000, 10_000):
            row = run(name, simulations, file, a.seed, a.observations)
            if a.json:
                print(json.dumps(row), flush=True)
                continue
            published = "  ".join(
                "-" if p is None else f"{p:.3f}" for p in (row["npe"], row["snpe"])
            )
            print(
                f"{name:24} {simulations:11d}  {row['c2st']:.3f} ({row['standard_error']:.3f})"
                f"   {published}  {row['seconds']:.0f} s, best epochs"
                f" {row['best_epochs']} of {row['epochs']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
