"""Posterior widths on UE112: the trained network beside the exact posterior and the Fisher matrix.

    ./run python benchmarks/ue112_exact.py out/ue112 --observations 12

The exact posterior is sampled by emcee (extra `bench`) through the simulator's exact
likelihood, with rays independent of those that training used. Its walkers start at draws of the
network, resampled by the exact likelihood, so that each mode is entered with its own weight.
Widths are posterior sd / prior sd, root mean square over the observations.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import emcee
import numpy as np

from raybayes import Posterior, Run, Tracing, read_study

WALKERS, STEPS, KEPT = 96, 400, 200
STEP = 0.01  # of the central differences, in prior half widths


def exact_draws(simulator, detector, posterior, x, seed):
    """[WALKERS * kept, d] draws, and the mean acceptance of the sampler."""
    prior, rng = posterior.prior, np.random.default_rng(seed)

    def log_posterior(theta):
        log_prior = prior.log_prob(theta)
        inside = np.isfinite(log_prior)
        total = np.full(len(theta), -np.inf)
        if inside.any():
            profiles, _ = simulator.profiles(theta[inside], None)
            total[inside] = detector.log_likelihood(x, profiles) + log_prior[inside]
        return total

    start = posterior.sample(x, 4000, seed)
    log_w = log_posterior(start) - posterior.log_prob(start, x)
    weight = np.exp(log_w - log_w.max())
    first = start[rng.choice(len(start), WALKERS, p=weight / weight.sum())]
    first = np.clip(
        first + 1e-4 * prior.width * rng.standard_normal(first.shape),
        np.array(prior.low) + 1e-6 * prior.width,
        np.array(prior.high) - 1e-6 * prior.width,
    )
    moves = [(emcee.moves.DEMove(), 0.7), (emcee.moves.DESnookerMove(), 0.1)]
    moves += [(emcee.moves.StretchMove(), 0.2)]
    sampler = emcee.EnsembleSampler(WALKERS, prior.dim, log_posterior, moves=moves, vectorize=True)
    sampler.random_state = np.random.RandomState(seed).get_state()
    sampler.run_mcmc(first, STEPS)
    ess = weight.sum() ** 2 / (weight**2).sum()
    return (
        sampler.get_chain(discard=STEPS - KEPT, flat=True),
        sampler.acceptance_fraction.mean(),
        ess,
    )


def fisher_widths(simulators, detector, prior, theta):
    """[d]: widths from a Fisher matrix of Jacobians with two independent ray sets."""
    half = prior.width / 2 * STEP
    points = np.concatenate([theta + np.diag(half), theta - np.diag(half)])
    jacobians, means = [], []
    for simulator in simulators:
        counts = detector.expected(simulator.profiles(points, None)[0])
        jacobians.append((counts[: prior.dim] - counts[prior.dim :]) / (2 * half[:, None]))
        means.append(counts.mean(axis=0))
    variance = np.mean(means, axis=0) + detector.read_noise**2
    fisher = jacobians[0] / variance @ jacobians[1].T
    scaled = (fisher + fisher.T) / 2 * np.outer(prior.sd, prior.sd)
    return np.sqrt(np.diag(np.linalg.inv(scaled + np.eye(prior.dim))))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--study", default="ue112")
    parser.add_argument("--observations", type=int, default=12)
    arguments = parser.parse_args()
    study, beamline = read_study(arguments.study)
    run = Run(study, beamline, arguments.folder)
    posterior = Posterior.load(arguments.folder / "posterior.safetensors")
    checks = run.check(posterior)
    prior = study.prior
    better = [
        replace(run.simulator, tracing=Tracing(rays=4096), seed=study.seed + i) for i in (1, 2)
    ]
    exact, network, fisher = [], [], []
    for i in range(arguments.observations):
        x = checks.x[i]
        draws, acceptance, ess = exact_draws(better[0], study.detector, posterior, x, i)
        exact.append(draws.std(axis=0) / prior.sd)
        network.append(posterior.sample(x, 4000, i).std(axis=0) / prior.sd)
        fisher.append(fisher_widths(better, study.detector, prior, checks.theta[i]))
        row = " ".join(f"{a:.3f}/{b:.3f}" for a, b in zip(network[-1], exact[-1], strict=True))
        print(f"{i:3d} acceptance {acceptance:.2f}, start ESS {ess:.0f}: {row}", flush=True)
    rms = [np.sqrt(np.mean(np.square(a), axis=0)) for a in (network, exact, fisher)]
    print(f"{'parameter':24} network  exact  network/exact  local Fisher")
    for name, q, p, f in zip(prior.names, *rms, strict=True):
        print(f"{name:24} {q:7.3f} {p:6.3f} {q / p:14.2f} {f:13.3f}")


if __name__ == "__main__":
    main()
