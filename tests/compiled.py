"""Compiles the kernels into Numba's cache, before two workers start that would each do so."""

import numpy as np

from raybayes.beamline.trace import trace
from raybayes.study.plan import Plan


def main():
    plan, beamline = Plan.read("ue112")
    simulator = plan.simulator(beamline)
    theta = plan.prior.sample(1, np.random.default_rng(0))
    trace(beamline, 1000)
    profile, _ = simulator.profiles(theta)
    simulator.detectors.log_likelihood(simulator.detectors.expected_counts(profile), profile)


if __name__ == "__main__":
    main()
