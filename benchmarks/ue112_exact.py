"""Posterior widths on UE112: the trained network beside the exact posterior and the Fisher matrix.

    ./run python benchmarks/ue112_exact.py out/ue112 --observations 20

The exact posterior is the network's draws, weighted by the simulator's exact likelihood (rays
independent of those that training used); the effective sample size of the weights says how far
to trust that. Widths are posterior sd / prior sd, root mean square over the observations.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from raybayes import Posterior, Run, Tracing, read_study
from raybayes.simulate.derivatives import information

DRAWS = 4000


def weights(simulator, detector, posterior, x, draws):
    """[n]: exact posterior over the network's density at its own draws, summing to 1."""
    profiles, _ = simulator.profiles(draws, None)
    log_w = detector.log_likelihood(x, profiles) + posterior.prior.log_prob(draws)
    log_w -= posterior.log_prob(draws, x)
    weight = np.exp(log_w - log_w.max())
    return weight / weight.sum()


def width(draws, weight):
    """[d]: weighted standard deviation."""
    mean = weight @ draws
    return np.sqrt(weight @ (draws - mean) ** 2)


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
    better = replace(run.simulator, tracing=Tracing(rays=4096), seed=study.seed + 1)
    exact, network, fisher = [], [], []
    for i in range(arguments.observations):
        x = checks.x[i]
        draws = posterior.sample(x, DRAWS, i)
        weight = weights(better, study.detector, posterior, x, draws)
        exact.append(width(draws, weight) / prior.sd)
        network.append(draws.std(axis=0) / prior.sd)
        fisher.append(information(better, checks.theta[i]).sd)
        row = " ".join(f"{a:.3f}/{b:.3f}" for a, b in zip(network[-1], exact[-1], strict=True))
        print(f"{i:3d} ESS {1 / (weight**2).sum():5.0f} of {DRAWS}: {row}", flush=True)
    rms = [np.sqrt(np.mean(np.square(a), axis=0)) for a in (network, exact, fisher)]
    print(f"{'parameter':24} network  exact  network/exact  local Fisher")
    for name, q, p, f in zip(prior.names, *rms, strict=True):
        print(f"{name:24} {q:7.3f} {p:6.3f} {q / p:14.2f} {f:13.3f}")


if __name__ == "__main__":
    main()
