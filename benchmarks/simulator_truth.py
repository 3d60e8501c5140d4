"""Expected profiles against counted rays, and posteriors against counted observations.

    RAYBAYES_SHARED=... ./run python benchmarks/simulator_truth.py [--rays N] [--pulls N] [--json]

Seven beamlines; the public files are read from RAYBAYES_SHARED. For each, at the prior's middle, at
ends of its first parameter and at corners: how far the expected profile is off, as a share of the
variance of a reading (at most .1 is sought) and in transmission (.5 %), beside counted rays. Then
pulls: the posterior of one parameter, the others known, by a grid of the exact likelihood, of
observations of counted photons; (truth - mean) / sd has an rms of 1 where it is right. And how many
simulations a core makes in a second with the rays that were chosen.
"""

import argparse
import json
import os
import time
import tomllib
from pathlib import Path

import numpy as np

from raybayes.beamline.rml import read_rml
from raybayes.simulate.accuracy import choose
from raybayes.simulate.counted_check import check_points, compare, count_at
from raybayes.simulate.photons import counted_observations
from raybayes.study.new import Varied, study_text
from raybayes.study.plan import Plan

SHARED = Path(os.environ.get("RAYBAYES_SHARED", "../shared"))
POINTS = (0, 1, 2, -2, -1)  # of `check_points`
GRID = 41  # of the one parameter
PASSES = 6  # each finer, about where the posterior is
INNER = 0.2  # of its range, beside either end, where no truth is drawn
SPEED = 32  # simulations timed

# What varies in the files that are no studies, in RAY-UI's units.
VARIED = {
    "HRRIXS": (
        "rayui/HRRIXS_100m_1.rml",
        {
            "M1.rotationXerror": (-0.0005, 0.0005),
            "M4_hor.rotationXerror": (-0.005, 0.005),
            "M5_ver.rotationXerror": (-0.005, 0.005),
        },
    ),
    "Energize": (
        "rayui/Energize_EN_500.rml",
        {
            "Toroid.rotationXerror": (-0.02, 0.02),
            "Toroid 1.rotationXerror": (-0.02, 0.02),
            "Toroid 1.rotationZerror": (-0.2, 0.2),
            "Cylinder.rotationXerror": (-0.02, 0.02),
        },
    ),
    "dipole": (
        "rayui/dipole_beamline.rml",
        {
            "DetectorAtFocus.distanceImagePlane": (1450.0, 1550.0),
            "M1.rotationXerror": (-0.02, 0.02),
            "KB1.rotationXerror": (-0.02, 0.02),
            "KB2.rotationXerror": (-0.02, 0.02),
        },
    ),
}
STUDIES = {
    "UE112": "ue112",
    "UE48": SHARED / "cases/optics/ue48_simple.toml",
    "METRIX": Path(__file__).parents[1] / "docs/metrix.toml",
    "drift": SHARED / "cases/optics/drift.toml",
}


def plan_of(name):
    if name in STUDIES:
        return Plan.read(STUDIES[name])
    file, ranges = VARIED[name]
    beamline = read_rml(SHARED / file, "warn")
    varied = [Varied(key, *span) for key, span in ranges.items()]
    return Plan(**tomllib.loads(study_text(beamline, name, str(SHARED / file), varied))), beamline


def truth(simulator, rays):
    """The errors at POINTS, the worst of them."""
    theta, words = check_points(simulator)
    chosen = [theta[i] for i in POINTS], [words[i] for i in POINTS]
    points = count_at(simulator, *chosen, 1, rays)
    rows = [row for row in compare(simulator, points) if not row.dark]
    counted = [np.sqrt(1 / max(row.point.transmission * rays, 1)) for row in rows]
    off = [abs(row.transmission / row.point.transmission - 1) for row in rows]
    return {
        "lit": len(rows),
        "error": max(row.noise for row in rows),
        "uncertainty": max(row.uncertainty for row in rows),
        "off_h_percent": 100 * max(row.error[0] for row in rows),
        "off_v_percent": 100 * max(row.error[1] for row in rows),
        "transmission_percent": 100 * max(off),
        "counting_percent": 100 * max(counted),
    }


def pulls(plan, simulator, n):
    """[n]: (truth - mean) / sd of the first parameter, the others in the middle of the prior."""
    low, high = (np.asarray(end, np.float64) for end in simulator.support)
    rng = np.random.default_rng(5)
    theta = np.tile((low + high) / 2, (n, 1))
    theta[:, 0] = low[0] + (high - low)[0] * rng.uniform(INNER, 1 - INNER, n)
    found = []
    for i in range(n):
        x, _ = counted_observations(simulator, theta[i : i + 1], (11, i))
        found.append(_pull(simulator, x[0], theta[i]))
    return np.array(found)


def _pull(simulator, x, theta):
    """A grid over the whole range, then one over where the posterior is."""
    likelihood = simulator.log_likelihood(x)
    a, b = (float(end[0]) for end in simulator.support)
    for _ in range(PASSES):
        grid = np.linspace(a, b, GRID)
        points = np.tile(theta, (GRID, 1))
        points[:, 0] = grid
        log_p = likelihood(points)
        p = np.exp(log_p - log_p.max())
        p /= p.sum()
        mean = p @ grid
        step = grid[1] - grid[0]
        sd = max(np.sqrt(p @ (grid - mean) ** 2), 0.4 * step)
        if sd > 1.2 * step:  # a sum over a smooth density is exact with coarser steps than that
            break
        a, b = max(a, mean - 8 * sd), min(b, mean + 8 * sd)
    return (theta[0] - mean) / sd


def speed(simulator, plan):
    """Simulations a second and core."""
    theta = plan.prior.sample(SPEED, np.random.default_rng(2))
    simulator.profiles(theta[:2])
    start = time.process_time()
    simulator.profiles(theta)
    return SPEED / (time.process_time() - start)


def measured(name, rays, n):
    plan, beamline = plan_of(name)
    simulator, start = plan.simulator(beamline), time.perf_counter()
    accuracy = choose(simulator, plan.tracing, plan.seed)
    seconds = time.perf_counter() - start
    simulator = simulator.traced(accuracy.tracing)
    found = pulls(plan, simulator, n)
    tracing = accuracy.tracing
    return {
        "beamline": name,
        "rays": tracing.rays,
        "divergence": tracing.divergence_splat > 0,
        "widened": tracing.noise,
        "good": accuracy.good,
        "choosing_seconds": seconds,
        "own_error": accuracy.error.variance,
        **truth(simulator, rays),
        "parameter": simulator.names[0],
        "pull_rms": float(np.sqrt((found**2).mean())),
        "pull_error": float(1 / np.sqrt(2 * n)),
        "per_second_and_core": speed(simulator, plan),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rays", type=float, default=1e7, help="counted at each theta")
    parser.add_argument("--pulls", type=int, default=50)
    parser.add_argument("--only", nargs="*", help="beamlines")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    names = arguments.only or ["UE112", "UE48", "HRRIXS", "Energize", "dipole", "METRIX", "drift"]
    rows = []
    if not arguments.json:
        print(
            "beamline  rays (choosing, s)  error / noise variance  h, v, % of peak  "
            "transmission, % (counting)  pulls, rms       simulations / s and core"
        )
    for name in names:
        row = measured(name, int(arguments.rays), arguments.pulls)
        rows.append(row)
        if not arguments.json:
            print(
                f"{name:9} {row['rays']:5} {'+div' if row['divergence'] else '    '} "
                f"({row['choosing_seconds']:4.0f})   {row['error']:7.3f} ± "
                f"{row['uncertainty']:.3f}        {row['off_h_percent']:5.2f}, "
                f"{row['off_v_percent']:5.2f}     "
                f"{row['transmission_percent']:5.2f} ({row['counting_percent']:.2f})"
                f"             {row['pull_rms']:5.2f} ± {row['pull_error']:.2f}    "
                f"{row['per_second_and_core']:8.1f}  {row['parameter']}",
                flush=True,
            )
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
