"""Which alarms see a simulator that is wrong? UE112 PGM-1, detection rates at 5 % false alarms.

    ./run demo && ./run python benchmarks/ue112_alarms.py out/ue112 [--observations 300] [--json]
    ./run run benchmarks/ue112_ruler.toml --out out/ue112-ruler
    ./run python benchmarks/ue112_alarms.py out/ue112-ruler

Observations are made by a beamline or a detector that differs from the study's in one thing, and
judged by the study's own posterior and simulator, which know nothing of it: each by itself, or
some together. "alternative" is the log likelihood ratio of what is wrong, named (where nothing is:
of the pixels), against the study's simulator.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from raybayes import with_values
from raybayes.analysis.judge import Judge, Pairs
from raybayes.diagnostics import mmd, together
from raybayes.study.run import open_posterior, open_run

SET, MANY = 20, 60  # observations that are judged together
NULL = 600  # of the alternatives' null
LEVEL = 0.05


def wide(simulator):
    width = tuple(1.03 * p for p in simulator.detector.bin_width)
    return replace(simulator, detector=simulator.detector.model_copy(update={"bin_width": width}))


def bright(simulator):
    background = 1.5 * simulator.detector.background
    detector = simulator.detector.model_copy(update={"background": background})
    return replace(simulator, detector=detector)


def bent(simulator):
    radius = 1.05 * simulator.beamline["M3"].number("radius")
    return replace(simulator, beamline=with_values(simulator.beamline, {"M3.radius": radius}))


def wrongs(simulator):
    """The truth that made the observations, by what is wrong with the study's simulator."""
    return {
        "nothing": simulator,
        "pixels 3 % larger": simulator.changed(wide),
        "radius of M3 5 % larger": simulator.changed(bent),
        "background half as much again": simulator.changed(bright),
    }


def rates(judge, x, alternative):
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
    found = judge.against_alternative(alternative, x, NULL)
    raised["alternative"] = found.raised(LEVEL)
    for size in (SET, MANY):
        raised[f"alternative, of {size}"] = together(found, size).raised(LEVEL)
    return {name: (float(np.mean(r)), len(r)) for name, r in raised.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="of a finished run")
    parser.add_argument("--observations", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    run = open_run(a.folder)
    posterior = open_posterior(run)
    checks = run.check(posterior)
    judge = Judge(posterior, run.simulator, Pairs(checks.theta, checks.x, checks.draws))
    rng, table = np.random.default_rng(6), {}
    truths = wrongs(run.simulator)
    for name, truth in truths.items():
        theta = run.study.prior.sample(a.observations, rng)
        x = truth.detectors.observe(truth.profiles(theta, 9)[0], rng)
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
