"""What a second and a third observation tell: UE112 PGM-1, M1 and M3 pitch.

    ./run python benchmarks/ue112_settings.py [--pairs 20000] [--json]

Both mirrors move the spot the same way, so one pair of profiles cannot separate them. Posterior sd
/ prior sd at one theta from (1) the profiles at the sample, (2) those and a screen at the exit
slit, (3) those and the image plane moved by 100 mm: of the exact posterior (nested sampling of the
exact likelihood), and of a network trained on all three. Last, a permutation-invariant network
that takes any three image planes, with where they stood as part of each item.
"""

import argparse
import json
import os

os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={os.cpu_count()}")

import numpy as np

from raybayes import Detector, Estimator, Training, read_study, reference_posterior
from raybayes.beamline.derive import with_screen
from raybayes.density import deep
from raybayes.simulate.settings import JointSimulator, Setting
from raybayes.simulate.simulator import Simulator

FOCUS, REACH = "IP.distanceImagePlane", 100.0  # mm
UPSTREAM = 2  # M1 and M3 stand before the exit slit
TRUTH = np.array([0.005, -0.01, 0.02, 0.5, 0.1, 1204.0])
ITEMS = 3


def settings():
    """The study's prior, its simulator, and the three sets of observations."""
    study, beamline = read_study("ue112")
    prior = study.prior
    sample = Simulator(
        beamline, prior.names, (prior.low, prior.high), study.detector, study.tracing
    )
    wide = Detector(bin_width=(0.06, 0.012), photons=study.detector.photons)
    ends = (prior.low[:UPSTREAM], prior.high[:UPSTREAM])
    slit = Simulator(with_screen(beamline, "ES"), prior.names[:UPSTREAM], ends, wide, study.tracing)
    every = (Setting(sample, {}), Setting(slit, {}), Setting(sample, {FOCUS: REACH}))
    names = ("sample", "+ screen at the exit slit", "+ image plane at +100 mm")
    return (
        prior,
        sample,
        {
            name: JointSimulator(prior.names, (prior.low, prior.high), every[: i + 1])
            for i, name in enumerate(names)
        },
    )


def estimator(prior, embedding, offset):
    density = deep(features="counts", offset=offset, embedding=embedding)
    return Estimator(prior, density, Training(epochs=25, patience=25), seed=1)


def amortised(prior, several, pairs, x):
    """sd of a network of all three observations."""
    rng = np.random.default_rng(1)
    theta = prior.sample(pairs, rng)
    profiles, _ = several.profiles(theta, 1)
    fitted = estimator(prior, {"widths": (256, 128)}, 25.4).fit(
        theta, profiles, several.detectors.observe
    )
    return fitted.sample(x, 4000).std(axis=0)


def items(simulator, theta, planes, rng):
    """[n, ITEMS * (bins + 1)]: profiles at theta + plane, and 100 (1 + plane / REACH)."""
    parts = []
    for k in range(ITEMS):
        moved = theta.copy()
        moved[:, -1] += planes[:, k]
        profiles, _ = simulator.profiles(moved, (2, k))
        x = simulator.detector.observe(profiles, rng)
        parts += [x, 100 * (1 + planes[:, k : k + 1] / REACH)]
    return np.concatenate(parts, axis=1)


def invariant(prior, simulator, pairs):
    """sd of the set network at planes 0, +100, -100, and how far an order of them matters."""
    rng = np.random.default_rng(2)
    theta = prior.sample(pairs, rng)
    x = items(simulator, theta, rng.uniform(-REACH, REACH, (pairs, ITEMS)), rng)
    embedding = {"kind": "set", "items": ITEMS, "widths": (256, 128)}
    fitted = estimator(prior, embedding, 25.4).fit(theta, x)
    seen = items(simulator, TRUTH[None], np.array([[0, REACH, -REACH]]), rng)[0]
    turned = np.roll(seen.reshape(ITEMS, -1), 1, axis=0).ravel()
    draws, again = fitted.sample(np.stack([seen, turned]), 4000, 3)
    return draws.std(axis=0), float(np.abs(draws.mean(0) - again.mean(0)).max())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=20_000, help="simulations for the networks")
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    prior, simulator, observed = settings()
    rows, rng = {}, np.random.default_rng(0)
    for name, several in observed.items():
        x = several.detectors.observe(several.profiles(TRUTH[None], None)[0], rng)[0]
        exact = reference_posterior(prior, several.log_likelihood(x), 2000, live=500)
        rows[f"exact: {name}"] = exact.draws.std(axis=0) / prior.sd
    rows["network: all three"] = amortised(prior, several, a.pairs, x) / prior.sd
    sd, _ = invariant(prior, simulator, a.pairs)
    rows["set network: planes at 0, +100, -100 mm"] = sd / prior.sd
    if a.json:
        print(json.dumps({name: list(map(float, row)) for name, row in rows.items()}))
        return
    print(" " * 40 + "  ".join(name.rpartition("error")[0][-12:] or name for name in prior.names))
    for name, row in rows.items():
        print(f"{name:40}" + "  ".join(f"{v:13.3f}" for v in row))


if __name__ == "__main__":
    main()
