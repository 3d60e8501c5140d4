"""Which alarms see a simulator that is wrong? UE112 PGM-1, detection rates at 5 % false alarms.

    ./run demo && ./run python benchmarks/ue112_alarms.py out/ue112 [--observations 300] [--json]

Observations are made by a beamline or a detector that differs from the study's in one thing, and
judged by the study's own posterior and simulator, which know nothing of it: each by itself, or
some together. "suspect" is the log Bayes factor of what is wrong, named (where nothing is: of the
pixels), against the study's simulator.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from raybayes import Posterior, read_study, with_values
from raybayes.diagnostics import mmd, together
from raybayes.study import Run
from raybayes.trust import Judge, Pairs

SET, MANY = 20, 60  # observations that are judged together
NULL = 600  # of the suspects' null
LEVEL = 0.05


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


def rates(judge, x, suspect):
    """Share of alarms, and how many observations or sets were judged."""
    root = lambda counts: np.sqrt(np.maximum(counts, 0))  # noqa: E731
    sets = x.reshape(-1, SET, x.shape[1])
    distance, predictive, evidence = judge.alarms(x)
    raised = {
        "Mahalanobis": distance.raised(LEVEL),
        "MMD of 20": [mmd(root(judge.pairs.x), root(s)).raised(LEVEL).any() for s in sets],
        "predictive": predictive.raised(LEVEL),
        "evidence": evidence.raised(LEVEL),
    }
    suspicion = judge.suspicion(suspect, x, NULL)
    raised["suspect"] = suspicion.raised(LEVEL)
    for size in (SET, MANY):
        raised[f"suspect, of {size}"] = together(suspicion, size).raised(LEVEL)
    return {name: (float(np.mean(r)), len(r)) for name, r in raised.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="of a finished run of the study ue112")
    parser.add_argument("--observations", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    run = Run(*read_study("ue112"), a.folder)
    posterior = Posterior.load(a.folder / "posterior.safetensors")
    checks = run.check(posterior)
    judge = Judge(posterior, run.simulator, Pairs(checks.theta, checks.x, checks.draws))
    rng, table = np.random.default_rng(6), {}
    truths = wrongs(run.simulator)
    for name, truth in truths.items():
        theta = run.study.prior.sample(a.observations, rng)
        x = truth.detector.observe(truth.profiles(theta, 9)[0], rng)
        table[name] = rates(judge, x, truth if name != "nothing" else truths["pixels 3 % larger"])
    if a.json:
        print(json.dumps(table))
        return
    print(f"{'wrong':32}" + "".join(f"{name:>18}" for name in next(iter(table.values()))))
    for name, row in table.items():
        cells = []
        for rate, n in row.values():
            ci = binomtest(round(rate * n), n).proportion_ci()
            cells.append(f"{rate:.0%} ({ci.low:.0%}-{ci.high:.0%})")
        print(f"{name:32}" + "".join(f"{cell:>18}" for cell in cells))


if __name__ == "__main__":
    main()
