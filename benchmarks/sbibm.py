"""C2ST on the sbibm tasks: raybayes with one configuration for all, beside published figures.

    ./run python benchmarks/sbibm.py --task two_moons --simulations 10000
    ./run python benchmarks/sbibm.py                       # everything: hours
    ./run python benchmarks/sbibm.py --task slcp --simulations 10000 --rounds 10 --network mixtures

For every task and budget one ensemble is trained on simulations from the prior, single round,
without the likelihood; which of four configurations is used, held-out pairs decide. Each of ten
observations gets 10,000 draws, which a classifier tries to tell from 10,000 draws of the reference
posterior (0.5: it cannot; sbibm's definition: z-scored, two layers of 10 d units, 5 folds).
With --refine, draws that the task's likelihood has weighed and moved stand in a column of their
own. With --rounds, SNPE-C trains a network for every observation, in rounds of equal size: that of
--network, since the first round's few pairs tell too little of which is best.

References: FILE.npz with true_parameters, observations and reference_posterior_samples
[10, 10000, d]; without one, our own observations and draws of their exact posteriors (closed forms,
or nested sampling), which are kept in out/sbibm.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={os.cpu_count()}")

import numpy as np
from training import peer

from raybayes import Estimator, Training, reference_posterior
from raybayes.density import maf_nsf, rnade
from raybayes.diagnostics import c2st
from raybayes.inference.estimator import best_of
from raybayes.inference.sequential import Sequential, inside, snpe_c
from raybayes.inference.tasks import TASKS

DRAWS = 10_000
ROUND = {"epochs": 20, "patience": 20, "learning_rate": 5e-3, "validation": 0.05}  # of SNPE-C
OWN = Path("out/sbibm")
ADAMW = {"learning_rate": 1e-2}
MUON = {"optimiser": "muon", "learning_rate": 1.6e-2}
TWO, FOUR = (64, 64), (48, 48, 48, 48)
CHOICES = {  # a network, its optimiser, and its weight decay by the number of simulations
    "splines": (maf_nsf(bins=16, embedding={"widths": (64,) * 4}), MUON, lambda n: 300 / n),
    "linear and splines": (
        maf_nsf(bins=5, embedding={"widths": TWO}, start="linear"),
        MUON,
        lambda n: 1.0,
    ),
    "mixtures": (
        rnade(embedding={"widths": FOUR}, widths=FOUR, start="linear"),
        MUON,
        lambda n: min(0.5, 1000 / n),
    ),
    "decayed mixtures": (
        rnade(embedding={"widths": TWO}, widths=TWO, start="linear"),
        ADAMW,
        lambda n: 1.0,
    ),
}
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


def estimator(prior, choice, simulations, seed, **training):
    """One of CHOICES."""
    density, optimiser, weight_decay = CHOICES[choice]
    own = {"batch": 100, "weight_decay": weight_decay(simulations), **optimiser, **training}
    return Estimator(prior, density, Training(**own), seed=seed)


def fit(prior, theta, x, seed):
    """An ensemble of what does best for one network on held-out pairs; its fit and its name."""
    epochs = max(80, min(200, round(2e5 / len(theta))))
    own = {"epochs": epochs, "patience": epochs, "validation": min(0.1, 500 / len(theta))}
    tried = {choice: estimator(prior, choice, len(theta), seed, **own) for choice in CHOICES}
    best, *_ = best_of(tried.values(), theta, x)
    choice = next(name for name, one in tried.items() if one is best)
    fitter = replace(best, density=best.density.model_copy(update={"members": 4}))
    return *fitter.train(theta, x), choice


def sequential(task, x_o, network, simulations, rounds, seed):
    """DRAWS draws of SNPE-C's last round."""
    fitter = estimator(task.prior, network, simulations, seed, **ROUND)
    sequence = Sequential(fitter, x_o, task.simulate, snpe_c())
    state = sequence.init()
    for _ in range(rounds):
        state = sequence.step(state, simulations // rounds)
    return inside(state.posterior, x_o, DRAWS, seed)


def references(name, file, count):
    """Observations [count, size] and draws of their posteriors [count, DRAWS, d]."""
    if file:
        with np.load(file, allow_pickle=False) as stored:
            return stored["observations"][:count], stored["reference_posterior_samples"][:count]
    task, rng = TASKS[name](), np.random.default_rng(1_000_000)
    x = task.simulate(task.prior.sample(10, rng), rng)[:count]
    return x, [exact(name, task, i, one) for i, one in enumerate(x)]


def exact(name, task, i, x):
    """DRAWS draws of the exact posterior: its closed form, or nested sampling's, kept in a file."""
    if task.exact is not None:
        return task.exact(x, DRAWS, np.random.default_rng(i))
    cache = OWN / f"{name}-{i}.npy"
    if not cache.exists():
        found = reference_posterior(task.prior, lambda theta: task.log_likelihood(theta, x), DRAWS)
        if not found.converged:
            print(f"reference: its two runs differ, R-hat {found.r_hat.max():.3f}", file=sys.stderr)
        OWN.mkdir(parents=True, exist_ok=True)
        np.save(cache, found.draws)
    return np.load(cache, allow_pickle=False)


def refined(task, posterior, x):
    """DRAWS draws of the network, weighed and moved by the likelihood."""

    def likelihood(theta):
        return task.log_likelihood(theta, x)

    found = posterior.refine(x, likelihood, 5 * DRAWS)
    return posterior.tempered(x, likelihood, found, DRAWS).theta


def by_sbi(python, prior, theta, x, observed):
    """DRAWS draws of sbi's NSF for each observation, trained on the same pairs.

    Those outside the prior are left out, as sbi does.
    """
    with tempfile.TemporaryDirectory() as folder:
        pairs = f"{folder}/pairs.npz"
        arrays = {"theta": theta, "x": x, "observed": observed}
        single = {name: array.astype(np.float32) for name, array in arrays.items()}
        np.savez(pairs, **single, count=8 * DRAWS)
        file = peer(python, pairs, "sbi_draws", np.inf)["draws"]
        draws = np.load(file, allow_pickle=False).astype(np.float64)
    kept = [one[np.isfinite(prior.log_prob(one))][:DRAWS] for one in draws]
    if any(len(one) < DRAWS for one in kept):
        sys.exit(f"of {8 * DRAWS} draws of sbi's NSF fewer than {DRAWS} are inside the prior")
    return kept


def scores(references, posteriors):
    """C2ST of each pair of samples."""
    return [c2st(*pair).accuracy for pair in zip(references, posteriors, strict=True)]


def run(name, simulations, a):
    """One row of the table."""
    task, rng = TASKS[name](), np.random.default_rng(a.seed)
    observed, known = references(name, file_of(name, a), a.observations)
    npe, snpe = PUBLISHED[name].get(simulations, (None, None))
    row = {"task": name, "simulations": simulations, "npe": npe, "snpe": snpe}
    start = time.perf_counter()
    if a.rounds:
        observed = observed.reshape(a.observations, -1)
        drawn = [
            sequential(task, one, a.network, simulations, a.rounds, a.seed + i)
            for i, one in enumerate(observed)
        ]
        row |= {"rounds": a.rounds, "choice": a.network, "seconds": time.perf_counter() - start}
        return row | summary(scores(known, drawn))
    theta = task.prior.sample(simulations, rng)
    x = task.simulate(theta, rng)
    start = time.perf_counter()
    posterior, fitted, choice = fit(task.prior, theta, x, a.seed)
    row["seconds"] = time.perf_counter() - start
    observed = observed.reshape(-1, x.shape[1])
    row |= {"choice": choice, "best_epochs": fitted.best_epochs}
    row |= summary(scores(known, posterior.sample(observed, DRAWS, a.seed)))
    if a.refine:
        likely = scores(known, [refined(task, posterior, one) for one in observed])
        row["c2st_with_likelihood"] = float(np.mean(likely))
    if a.peer:
        row["sbi"] = summary(scores(known, by_sbi(a.peer, task.prior, theta, x, observed)))
    return row


def summary(each):
    """Of the observations' scores."""
    return {
        "c2st": float(np.mean(each)),
        "standard_error": float(np.std(each, ddof=1) / np.sqrt(len(each))) if len(each) > 1 else 0,
        "each": [round(score, 4) for score in each],
    }


def file_of(name, a):
    """The references that were given, or None."""
    if a.references and os.path.isdir(a.references):
        file = os.path.join(a.references, f"{name}.npz")
        return file if os.path.exists(file) else None
    return a.references


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", choices=[*PUBLISHED], action="append")
    parser.add_argument("--simulations", type=int, action="append")
    parser.add_argument("--references", help="FILE.npz, or a folder with TASK.npz files")
    parser.add_argument("--observations", type=int, default=10, help="fewer are quicker")
    parser.add_argument("--rounds", type=int, help="SNPE-C, in so many rounds")
    parser.add_argument("--network", choices=[*CHOICES], default="splines", help="of SNPE-C")
    parser.add_argument("--refine", action="store_true", help="and the draws that it makes exact")
    parser.add_argument("--peer", help="python of an environment with sbi, for its NSF's figures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    a = parser.parse_args()
    if not a.json:
        print(f"{'task':24} simulations  C2ST (s.e.)    likelihood    sbi    NPE   SNPE  training")
    for name in a.task or PUBLISHED:
        for simulations in a.simulations or (1000, 10_000):
            row = run(name, simulations, a)
            print(json.dumps(row) if a.json else line(row), flush=True)


def line(row):
    """Of the table."""
    sbi = row.get("sbi", {}).get("c2st")
    others = (row.get("c2st_with_likelihood"), sbi, row["npe"], row["snpe"])
    score = f"{row['c2st']:.3f} ({row['standard_error']:.3f})"
    numbers = "  ".join("    -" if one is None else f"{one:.3f}" for one in others)
    how = f"{row['rounds']} rounds" if "rounds" in row else f"best epochs {row['best_epochs']}"
    return (
        f"{row['task']:24} {row['simulations']:11d}  {score}"
        f"         {numbers}  {row['seconds']:.0f} s, {row['choice']}, {how}"
    )


if __name__ == "__main__":
    main()
