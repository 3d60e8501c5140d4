"""UE112 PGM-1: what a recipe reaches on pairs that it has not seen, to choose between recipes.

    ./run python benchmarks/ue112_recipes.py rnade '{}' '{"widths": [256, 256]}' --epochs 10

Each JSON object changes the recipe; its key "training" changes how the study trains it. NLL in
nats with its standard error, on 4,000 fresh pairs that are the same for all, in units of the
prior's half widths; a difference of two recipes is known better than each.
"""

import argparse
import json
import time

import numpy as np

from raybayes import Estimator, Training, density, read_study

RECIPES = ("cinn", "deep", "nsf", "maf_nsf", "mixture", "rnade", "flow_matching")
FRESH = 4000


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("changes", type=json.loads, nargs="+", metavar="JSON")
    parser.add_argument("--simulations", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=10)
    a = parser.parse_args()
    study, beamline = read_study("ue112")
    prior, detector = study.prior, study.detector
    rng = np.random.default_rng(77)
    theta = prior.sample(a.simulations + FRESH, rng)
    profiles = study.simulator(beamline).profiles(theta, (77, 0))[0]
    x = detector.observe(profiles[-FRESH:], rng)
    unit = np.log((prior.high - prior.low) / 2).sum()
    for changes in a.changes:
        what = json.dumps(changes)
        budget = {"epochs": a.epochs, "patience": a.epochs}
        training = study.training.model_dump() | budget | changes.pop("training", {})
        own = detector.features | changes
        fitter = Estimator(prior, getattr(density, a.recipe)(**own), Training(**training), seed=2)
        start = time.perf_counter()
        posterior = fitter.fit(theta[:-FRESH], profiles[:-FRESH], detector.observe)
        seconds = time.perf_counter() - start
        nll = -posterior.log_prob(theta[-FRESH:], x) - unit
        error = nll.std(ddof=1) / np.sqrt(FRESH)
        print(f"{nll.mean():7.3f} ± {error:.3f}  {seconds:4.0f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
