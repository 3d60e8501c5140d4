"""Posterior widths on UE112: the trained network beside the exact posterior and the Fisher matrix.

    ./run python benchmarks/ue112_exact.py out/ue112 --observations 20

The exact posterior is the network's draws, weighted by the simulator's exact likelihood (rays
independent of those that training used) and Pareto-smoothed; the effective sample size and
Pareto k say how far to trust that. Widths are posterior sd / prior sd, root mean square over the
observations.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from raybayes import Posterior, Run, Tracing, read_study
from raybayes.simulate.derivatives import information

DRAWS = 4000


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--study", default="ue112")
    parser.add_argument("--observations", type=int, default=20)
    arguments = parser.parse_args()
    study, beamline = read_study(arguments.study)
    run = Run(study, beamline, arguments.folder)
    posterior = Posterior.load(arguments.folder / "posterior.safetensors")
    checks = run.check(posterior)
    prior = study.prior
    better = run.simulator.changed(
        lambda one: replace(one, tracing=Tracing(rays=4096), seed=study.seed + 1)
    )
    exact, network, fisher = [], [], []
    for i in range(arguments.observations):
        x = checks.x[i]
        refined = posterior.refine(x, better.log_likelihood(x), DRAWS, i)
        exact.append(refined.sd() / prior.sd)
        network.append(refined.theta.std(axis=0) / prior.sd)
        fisher.append(information(better, checks.theta[i]).sd)
        row = " ".join(f"{a:.3f}/{b:.3f}" for a, b in zip(network[-1], exact[-1], strict=True))
        k = refined.pareto_k
        print(f"{i:3d} ESS {refined.ess:5.0f} of {DRAWS}, k {k:.2f}: {row}", flush=True)
    rms = [np.sqrt(np.mean(np.square(a), axis=0)) for a in (network, exact, fisher)]
    print(f"{'parameter':24} network  exact  network/exact  local Fisher")
    for name, q, p, f in zip(prior.names, *rms, strict=True):
        print(f"{name:24} {q:7.3f} {p:6.3f} {q / p:14.2f} {f:13.3f}")


if __name__ == "__main__":
    main()
