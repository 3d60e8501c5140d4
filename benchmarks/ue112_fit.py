"""UE112 without a network: `raybayes fit` beside nested sampling, and beside infer + refine.

    ./run python benchmarks/ue112_fit.py out/ue112 --observations 20 [--json]

Each observation is of counted rays, at a theta of the prior. Printed: seconds and simulations of
each, effective sample size and Pareto k of fit's draws, the C2ST (0.5: the same, 1: apart) of its
and of refine's draws to those of nested sampling with the same likelihood, and by how much fit's
log evidence is off, beside how much the two runs of nested sampling differ. Without a trained
posterior in the folder only fit is measured.
"""

import argparse
import json
from pathlib import Path
from time import perf_counter

import numpy as np

from raybayes import Posterior, Run, read_study, reference_posterior
from raybayes.analysis.fitting import fit
from raybayes.diagnostics.classifiers import c2st

DRAWS = 2000


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--study", default="ue112")
    parser.add_argument("--observations", type=int, default=20)
    parser.add_argument("--fast", action="store_true", help="no nested sampling, so no C2ST")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    study, beamline = read_study(arguments.study)
    run = Run(study, beamline, arguments.folder)
    trained = arguments.folder / "posterior.safetensors"
    posterior = Posterior.load(trained) if trained.exists() else None
    rng = np.random.default_rng(study.seed + 1)
    thetas = study.prior.sample(arguments.observations, rng)
    _, xs, _ = run.pairs(thetas, rng)
    fit(run, xs[0], seed=999)  # what is compiled once
    rows = []
    for i, x in enumerate(xs):
        rows.append(one(run, posterior, x, i, arguments.fast))
        if not arguments.json:
            print(" ".join(f"{key} {value:.4g}" for key, value in rows[-1].items()), flush=True)
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    for key in rows[0]:
        values = [row[key] for row in rows]
        print(f"{key:20} median {np.median(values):.4g}, mean {np.mean(values):.4g}, "
              f"{min(values):.4g} .. {max(values):.4g}")  # fmt: skip


def one(run, posterior, x, i, fast):
    """A row of the table."""
    begun = perf_counter()
    found = fit(run, x, seed=i)
    row = {
        "seconds": perf_counter() - begun,
        "simulations": found.found.simulations,
        "rounds": found.found.rounds,
        "ess": found.weighed.ess,
        "k": found.weighed.pareto_k,
        "se": found.weighed.standard_error,
    }
    if posterior is not None:
        begun = perf_counter()
        refined = posterior.refine(x, run.simulator.log_likelihood(x), 4000, i)
        row |= {"refine_seconds": perf_counter() - begun, "refine_ess": refined.ess}
    if fast:
        return row
    begun = perf_counter()
    exact = reference_posterior(run.study.prior, run.simulator.log_likelihood(x), DRAWS, seed=i)
    row |= {
        "nested_seconds": perf_counter() - begun,
        "nested_evaluations": exact.evaluations,
        "c2st": c2st(exact.draws, found.weighed.sample(DRAWS, i)).accuracy,
        "evidence_off": found.weighed.log_evidence - float(np.mean(exact.log_evidence)),
        "nested_differ": float(np.ptp(exact.log_evidence)),
    }
    if posterior is not None:
        row["refine_c2st"] = c2st(exact.draws, refined.sample(DRAWS, i)).accuracy
    return row


if __name__ == "__main__":
    main()
