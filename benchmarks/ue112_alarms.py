"""Which alarms see a simulator that is wrong? UE112 PGM-1, detection rates at 5 % false alarms.

    ./run demo && ./run python benchmarks/ue112_alarms.py out/ue112 [--observations 60] [--json]

Observations are made by a beamline or a detector that differs from the study's in one thing, and
judged by the study's own posterior and simulator, which know nothing of it. MMD judges a set of 20
observations together, the others each observation by itself.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from raybayes import Posterior, read_study, with_values
from raybayes.diagnostics import mmd, predictive_check
from raybayes.study import Run
from raybayes.trust import Judge, Pairs

SET = 20  # observations that MMD judges together
LEVEL = 0.05
DRAWS = 100  # of the posterior, for the predictive check


def wrongs(simulator):
    """The truth that made the observations, by what is wrong with the study's simulator."""
    detector, beamline = simulator.detector, simulator.beamline
    radius = beamline["M3"].number("radius")
    wide = detector.model_copy(update={"pitch": tuple(1.03 * p for p in detector.pitch)})
    bright = detector.model_copy(update={"background": 1.5 * detector.background})
    return {
        "nothing": simulator,
        "pixels 3 % larger": replace(simulator, detector=wide),
        "radius of M3 5 % larger": replace(
            simulator, beamline=with_values(beamline, {"M3.radius": 1.05 * radius})
        ),
        "background half as much again": replace(simulator, detector=bright),
    }


def predictive(judge, x):
    """p-values of the posterior predictive check."""
    found, rng = [], np.random.default_rng(5)
    for i, one in enumerate(x):
        profiles, _ = judge.simulator.profiles(judge.posterior.sample(one, DRAWS, i), None)
        expected, readings = (
            judge.detector.expected(profiles),
            judge.detector.observe(profiles, rng),
        )
        noise = np.maximum(expected, 1) + judge.detector.read_noise**2
        found.append(predictive_check(one, expected, noise, readings).p_value)
    return np.array(found)


def rates(judge, x):
    """Share of alarms, and how many observations or sets were judged."""
    root = lambda counts: np.sqrt(np.maximum(counts, 0))  # noqa: E731
    sets = x.reshape(-1, SET, x.shape[1])
    distance, evidence = judge.alarms(x)
    raised = {
        "Mahalanobis": distance.raised(LEVEL),
        "MMD": [mmd(root(judge.pairs.x), root(s)).raised(LEVEL).any() for s in sets],
        "predictive": predictive(judge, x) <= LEVEL,
        "evidence": evidence.raised(LEVEL),
    }
    return {name: (float(np.mean(r)), len(r)) for name, r in raised.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="of a finished run of the study ue112")
    parser.add_argument("--observations", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    run = Run(*read_study("ue112"), a.folder)
    posterior = Posterior.load(a.folder / "posterior.safetensors")
    checks = run.check(posterior)
    judge = Judge(posterior, run.simulator, Pairs(checks.theta, checks.x, checks.draws))
    rng, table = np.random.default_rng(6), {}
    for name, truth in wrongs(run.simulator).items():
        theta = run.study.prior.sample(a.observations, rng)
        x = truth.detector.observe(truth.profiles(theta, 9)[0], rng)
        table[name] = rates(judge, x)
    if a.json:
        print(json.dumps(table))
        return
    print(f"{'wrong':32}" + "".join(f"{name:>22}" for name in next(iter(table.values()))))
    for name, row in table.items():
        cells = []
        for rate, n in row.values():
            ci = binomtest(round(rate * n), n).proportion_ci()
            cells.append(f"{rate:.0%} ({ci.low:.0%}-{ci.high:.0%})")
        print(f"{name:32}" + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main()
