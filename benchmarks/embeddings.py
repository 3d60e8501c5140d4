"""An embedding trained jointly with the density, or separately: UE112 PGM-1, profiles and images.

    ./run python benchmarks/embeddings.py [--figure docs/image_modes.png] [--json]

The two options of Steinbach (2021) on the same pairs, with the same epochs for the density:
jointly; or first by regression of theta, or by classification of binned theta, the last layer
dropped, and then frozen or tuned further. Losses are -log q(theta | x) in nats on fresh pairs,
beside the difference to the joint one, whose standard error is that of the same pairs. The figure
shows the yaw of M4 from two profiles and from an image of the same beam.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={os.cpu_count()}")

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from raybayes import Estimator, Training, read_study
from raybayes.density import Pretraining, deep
from raybayes.diagnostics.style import BLUE, GREY, ORANGE
from raybayes.study.run import Run

PAIRS, TEST, EPOCHS = 10_000, 1000, 30
YAW = 3  # of theta
STUDIES = {"two profiles": "ue112", "an image": "ue112-image"}
EMBEDDINGS = {
    "two profiles": {"widths": (256, 128)},
    "an image": {"kind": "convolution", "shape": (1, 40, 40), "channels": (8, 16, 32)},
}
WAYS = {"jointly": None} | {
    f"{target}, then {'frozen' if frozen else 'tuned'}": Pretraining(
        target=target, frozen=frozen, epochs=EPOCHS // 2
    )
    for target in ("regression", "classification")
    for frozen in (True, False)
}


def observed(what):
    """The run, theta and noise-free x of all pairs."""
    run = Run(*read_study(STUDIES[what]), Path())
    theta = run.study.prior.sample(PAIRS + TEST, np.random.default_rng(11))
    return run, theta, run.simulator.profiles(theta, 11)[0]


def fitted(what, run, theta, clean, pretraining):
    """The posterior and the seconds that it took."""
    density = deep(embedding=EMBEDDINGS[what])
    training = Training(epochs=EPOCHS, patience=EPOCHS)
    start = time.perf_counter()
    estimator = Estimator(run.study.prior, density, training, pretraining)
    posterior = estimator.fit(theta[:PAIRS], clean[:PAIRS], run.study.detector.observe)
    return posterior, time.perf_counter() - start


def compare(what):
    """A row for each way; and the joint posterior with its run."""
    run, theta, clean = observed(what)
    x = run.study.detector.observe(clean[PAIRS:], np.random.default_rng(12))
    rows, joint = {}, None
    for way, pretraining in WAYS.items():
        posterior, seconds = fitted(what, run, theta, clean, pretraining)
        loss = -posterior.log_prob(theta[PAIRS:, None], x)[:, 0]
        joint = joint or (run, posterior, loss)
        apart = loss - joint[2]
        rows[way] = {
            "nll": float(loss.mean()),
            "standard_error": float(loss.std() / np.sqrt(TEST)),
            "to_joint": float(apart.mean()),
            "to_joint_error": float(apart.std() / np.sqrt(TEST)),
            "seconds": seconds,
        }
    return rows, joint[:2]


def figure(trained, path, beams=4):
    """Yaw of M4 from two profiles and from an image of the same beams."""
    run, _ = trained["two profiles"]
    middle = (run.study.prior.low + run.study.prior.high) / 2
    theta = np.tile(middle, (beams, 1))
    theta[:, YAW] = np.linspace(-1.5, 1.5, beams)
    figure, axes = plt.subplots(
        2, beams, figsize=(3 * beams, 4.5), layout="constrained", sharex=True, sharey="row"
    )
    edges = np.linspace(run.study.prior.low[YAW], run.study.prior.high[YAW], 81)
    for (what, (run, posterior)), row, colour in zip(
        trained.items(), axes, (BLUE, ORANGE), strict=True
    ):
        x = run.observe(theta, np.random.default_rng(13))
        draws = posterior.sample(x, 20_000)[..., YAW]
        for axis, one, truth in zip(row, draws, theta[:, YAW], strict=True):
            axis.hist(one, edges, density=True, color=colour)
            axis.axvline(truth, color=GREY, linestyle="--")
        row[0].set_ylabel(f"density, {what}")
    for axis in axes[1]:
        axis.set_xlabel("M4 yaw, mrad")
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    table, trained = {}, {}
    for what in STUDIES:
        table[what], trained[what] = compare(what)
        if a.json:
            continue
        print(f"{what:32} NLL (s.e.)      to the joint one   seconds")
        for way, row in table[what].items():
            print(
                f"  {way:30} {row['nll']:6.2f} ({row['standard_error']:.2f})   "
                f"{row['to_joint']:+.2f} ± {row['to_joint_error']:.2f}     {row['seconds']:6.0f}",
                flush=True,
            )
    if a.json:
        print(json.dumps(table))
    if a.figure:
        figure(trained, a.figure)


if __name__ == "__main__":
    main()
