"""UE112 PGM-1: how far is each posterior from the exact one? C2ST, mean over observations.

    ./run python benchmarks/ue112_posterior.py                       # everything: hours
    ./run python benchmarks/ue112_posterior.py --posterior RNADE --refined 0 --simulations 20000

The exact posterior of each observation is sampled with the exact likelihood (nested sampling, two
runs that must agree). A classifier (sbibm's) tells --draws of its draws from as many of each
posterior: 0.5 means that it cannot. Amortised networks are trained once per number of simulations,
or online (no simulation seen twice); "cINN" is `deep()`; "refined" is the same network's draws,
weighed by the exact likelihood and moved by it. SNPE-C and TSNPE train anew for every observation,
in ROUNDS rounds of equal size; there is none online.
"""

import argparse
import hashlib
import json
import os
import time
from functools import partial
from itertools import product
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={os.cpu_count()}")

import numpy as np

from raybayes import Estimator, read_study, reference_posterior
from raybayes.density import deep, flow_matching, nsf, rnade
from raybayes.diagnostics import c2st
from raybayes.errors import InputError
from raybayes.inference.sequential import Sequential, inside, snpe_c, tsnpe
from raybayes.simulate.simulator import Simulator

OBSERVATIONS = 20
DRAWS = 2000
ROUNDS = 4
ONLINE = 20_000  # simulations in each of the online epochs
KEPT = 100  # of them, 16 MB each
EMBEDDING = {"widths": (256, 256, 256, 256)}
DENSITIES = {
    "cINN": deep,
    "NSF": nsf,
    "RNADE": rnade,
    "flow matching": partial(flow_matching, widths=EMBEDDING["widths"]),
}
METHODS = {"SNPE-C": snpe_c, "TSNPE": tsnpe}
SEQUENTIAL = {
    f"{method} with {name}": (method, name)
    for method, name in product(METHODS, ("cINN", "NSF", "RNADE"))
}
POSTERIORS = (*DENSITIES, *SEQUENTIAL)


class Problem:
    """The study ue112, and exact posteriors of observations that no network has seen."""

    def __init__(self, observations, cache, draws):
        self.cache, self.draws, self.made = cache, draws, {}
        self.study, beamline = read_study("ue112")
        self.prior, self.detector = self.study.prior, self.study.detector
        ends = (self.prior.low, self.prior.high)
        self.simulator = Simulator(
            beamline, self.prior.names, ends, self.detector, self.study.tracing
        )
        rng = np.random.default_rng(20)
        theta = self.prior.sample(OBSERVATIONS, rng)
        self.x = self.detector.observe(self.simulator.profiles(theta, None)[0], rng)[:observations]

    def exact(self, i):
        """DRAWS draws of observation i's posterior, sampled once and kept."""
        digest = hashlib.sha256(self.x[i].tobytes()).hexdigest()[:8]
        path = self.cache / f"exact-{i:02d}-{digest}.npy"
        if not path.exists():
            likelihood = self.simulator.log_likelihood(self.x[i])
            found = reference_posterior(self.prior, likelihood, DRAWS, seed=i, live=500)
            if not found.converged:
                print(f"observation {i}: R-hat {found.r_hat.max():.3f}: its two runs differ")
            self.cache.mkdir(parents=True, exist_ok=True)
            np.save(path, np.random.default_rng(i).permutation(found.draws))
        return np.load(path, allow_pickle=False)

    def simulate(self, theta, rng):
        """Expected profiles, with rays of their own."""
        return self.simulator.profiles(theta, tuple(rng.integers(1 << 32, size=2)))[0]

    def noisy(self, theta, rng):
        """Profiles with noise; kept, since networks of one seed ask for the same ones."""
        key = theta.tobytes()
        if key in self.made:
            return self.made[key]
        x = self.detector.observe(self.simulate(theta, rng), rng).astype(np.float32)
        if len(self.made) < KEPT:
            self.made[key] = x
        return x

    def estimator(self, name, epochs, simulations, **training):
        """One network; the fewer simulations it sees, the more its weights decay."""
        own = {"epochs": epochs, "patience": epochs}
        own["weight_decay"] = 1e-4 if simulations == "online" else min(1, 1e7 / simulations**2)
        training = self.study.training.model_copy(update=own | training)
        density = DENSITIES[name](embedding=EMBEDDING, **self.detector.features)
        return Estimator(self.prior, density, training, seed=2)

    def scores(self, posteriors):
        """C2ST of each observation, from its posterior's draws; None: there are no draws."""
        n = self.draws
        return [
            c2st(self.exact(i)[:n], own[:n]).accuracy
            for i, own in enumerate(posteriors)
            if own is not None
        ]


def amortised(problem, name, simulations, passes):
    """The posterior of one network."""
    rng = np.random.default_rng(3)
    if simulations == "online":
        epochs = max(1, passes // ONLINE)
        return problem.estimator(name, epochs, simulations).fit_online(problem.noisy, ONLINE)
    theta = problem.prior.sample(simulations, rng)
    profiles = problem.simulate(theta, rng)
    epochs = max(1, min(60, passes // simulations))
    fitter = problem.estimator(name, epochs, simulations)
    return fitter.fit(theta, profiles, problem.detector.observe)


def refine(problem, posterior, x):
    """Draws, weighed and moved by the exact likelihood; None where the weight is on too few."""
    likelihood = problem.simulator.log_likelihood(x)
    try:
        found = posterior.refine(x, likelihood, 10 * DRAWS)
        return posterior.tempered(x, likelihood, found, problem.draws).theta
    except InputError:
        return None


def sequential(problem, method, name, simulations, x_o, passes):
    """Draws of the last round; small batches, since the first rounds have few pairs."""
    epochs = max(1, min(60, 2 * passes // (simulations * (ROUNDS + 1))))
    fitter = problem.estimator(name, epochs, simulations, batch=128)
    task = Sequential(fitter, x_o, problem.simulate, METHODS[method](), problem.detector.observe)
    state = task.init()
    for _ in range(ROUNDS):
        state = task.step(state, simulations // ROUNDS)
    return inside(state.posterior, x_o, DRAWS, 1)


def rows(problem, budgets, a):
    """One row after the other: what, simulations, scores, seconds of training or refining."""
    for name, simulations in product(a.posterior or POSTERIORS, budgets):
        start = time.perf_counter()
        if name in SEQUENTIAL:
            if simulations == "online":
                continue
            own = (*SEQUENTIAL[name], simulations)
            draws = [sequential(problem, *own, x, a.passes) for x in problem.x[: a.sequential]]
            seconds = time.perf_counter() - start
            yield name, simulations, problem.scores(draws), seconds
            continue
        posterior = amortised(problem, name, simulations, a.passes)
        seconds = time.perf_counter() - start
        yield name, simulations, problem.scores(posterior.sample(problem.x, DRAWS, 1)), seconds
        if a.refined:
            start = time.perf_counter()
            refined = [refine(problem, posterior, x) for x in problem.x[: a.refined]]
            seconds = time.perf_counter() - start
            yield f"{name}, refined", simulations, problem.scores(refined), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--observations",
        type=int,
        default=OBSERVATIONS,
        choices=range(1, OBSERVATIONS + 1),
        metavar="N",
        help=f"the first N of {OBSERVATIONS}",
    )
    parser.add_argument("--posterior", choices=POSTERIORS, action="append", help="default: all")
    parser.add_argument(
        "--refined", type=int, default=OBSERVATIONS, help="observations that are refined"
    )
    parser.add_argument(
        "--sequential", type=int, default=OBSERVATIONS, help="observations of SNPE-C, TSNPE"
    )
    parser.add_argument(
        "--simulations",
        type=lambda text: text if text == "online" else int(text),
        action="append",
        help="or online; default: 5000, 20000, online",
    )
    parser.add_argument("--passes", type=int, default=1_000_000, help="pairs shown to a network")
    parser.add_argument("--draws", type=int, default=DRAWS, help="that a classifier sees; <= 2000")
    parser.add_argument("--cache", type=Path, default=Path("out/ue112-exact"))
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    a = parser.parse_args()
    problem = Problem(a.observations, a.cache, a.draws)
    if not a.json:
        print("posterior               simulations  C2ST (s.e.) of observations       seconds")
    budgets = a.simulations or (5000, 20_000, "online")
    for what, simulations, scores, seconds in rows(problem, budgets, a):
        mean = float(np.mean(scores)) if scores else float("nan")
        error = float(np.std(scores, ddof=1) / np.sqrt(len(scores))) if len(scores) > 1 else 0.0
        if a.json:
            row = {"posterior": what, "simulations": simulations, "c2st": mean, "each": scores}
            print(json.dumps(row | {"standard_error": error, "seconds": seconds}), flush=True)
            continue
        print(
            f"{what:24} {simulations!s:>10}  {mean:.3f} ({error:.3f}) of {len(scores):2d}"
            f"  {seconds:20.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
