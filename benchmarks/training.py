"""Training and sampling against sbi and FrEIA on the same data, in one run.

    ./run python benchmarks/training.py --peers PYTHON    # an environment with sbi and FrEIA
    ./run python benchmarks/training.py                   # raybayes alone

20,000 pairs of UE112 PGM-1 (theta R^6 in the unit of the prior's half width, x R^200 with the
detector's noise) and 2,000 more for the test. Losses are -log q(theta | x) in nats on the test
pairs, of the weights that did best on the held-out ones. Everybody gets the same pairs; three rows
say what it brings to draw the detector's noise afresh in every epoch, which only a known
detector allows. Peers: pip install torch==2.13.0, then sbi FrEIA.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={os.cpu_count()}")

import jax
import jax.numpy as jnp
import numpy as np

from raybayes import Estimator, Training, box
from raybayes.density import FlowConfig, cinn, deep, nsf, rnade
from raybayes.study.run import Run
from raybayes.study.study import read_study

PAIRS, TEST = 20_000, 2_000
TRIAL = 2  # epochs that tell how many fit into the limit


def make(path):
    """The pairs as a file for all, and the noise-free profiles."""
    run = Run(*read_study("ue112"), Path())
    rng = np.random.default_rng(7)
    theta = run.study.prior.sample(PAIRS + TEST, rng)
    clean, _ = run.simulator.profiles(theta, 7)
    x = run.study.detector.observe(clean, rng).astype(np.float32)
    middle = (run.study.prior.low + run.study.prior.high) / 2
    unit = ((theta - middle) / (run.study.prior.high - middle)).astype(np.float32)
    np.savez(path, theta=unit[:PAIRS], x=x[:PAIRS], test_theta=unit[PAIRS:], test_x=x[PAIRS:])
    return unit, x, clean[:PAIRS], run.study.detector


def timed(function, repeats=3):
    """Best seconds, without the first call, which compiles."""
    function()
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def fitted(density, unit, x, noise, training):
    """The posterior, (seconds, validation loss) after each epoch, and seconds in all."""
    names = [f"theta_{i + 1}" for i in range(unit.shape[1])]
    prior = box(names, [-1.0] * len(names), [1.0] * len(names))
    inside = np.clip(unit.astype(np.float64), -1 + 1e-9, 1 - 1e-9)
    estimator, marks = Estimator(prior, density, training), []
    start = time.perf_counter()

    def mark(state):
        marks.append((time.perf_counter() - start, state))

    posterior = estimator.fit(inside[:PAIRS], x[:PAIRS], noise, mark)
    # A density of z is one of theta less this constant: the mean log-determinant.
    shift = prior.log_det_to_real(inside[PAIRS:]).mean()
    log_q = posterior.log_prob(inside[PAIRS:, None], x[PAIRS:])[:, 0]
    best = np.minimum.accumulate([s.history[-1][1] for _, s in marks[1:]]) - shift
    curve = [(seconds, float(loss)) for (seconds, _), loss in zip(marks[1:], best, strict=True)]
    return posterior, {"curve": curve, "test_nll": -float(log_q.mean()), "epochs": len(curve)}


def ours(density, unit, x, noise, limit, training):
    """As many epochs as the limit allows, compilation included."""
    trial = training.model_copy(update={"epochs": TRIAL + 1})
    _, result = fitted(density, unit, x, noise, trial)
    each = (result["curve"][-1][0] - result["curve"][0][0]) / TRIAL
    epochs = max(2, int((limit - result["curve"][0][0]) / each))
    training = training.model_copy(update={"epochs": epochs, "patience": epochs})
    return fitted(density, unit, x, noise, training)


def sampled(posterior, observed):
    """Seconds: 10,000 draws of one observation, and 256 of each of 2,000."""
    one = timed(lambda: posterior.sample(observed[0], 10_000))
    many = timed(lambda: posterior.sample(observed, 256), 1)
    return {"draws_of_one": one, "draws_of_many": many}


def peak():
    """GFLOP/s of a large float32 product: what this machine can do."""
    a = jnp.ones((2048, 2048), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    return 2 * 2048**3 / timed(lambda: product(a).block_until_ready(), 5) / 1e9


def weights(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree) if getattr(leaf, "ndim", 0) >= 2)


def step_of(config, unit, x):
    """Seconds of a step of 512 pairs, and the GFLOP/s that it reaches: 6 per weight and pair."""
    training = Training(epochs=4, batch=512)
    posterior, result = fitted(config, unit, x, None, training)
    seconds = np.diff([t for t, _ in result["curve"]]).min() / (PAIRS * 0.95 // 512)
    return seconds, 6 * weights(posterior.density.density) * 512 / seconds / 1e9


def peer(python, path, which, limit):
    script = Path(__file__).with_name("training_peers.py")
    done = subprocess.run(
        [python, script, path, which, str(limit)], check=True, text=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def when(curve, loss):
    """Seconds until a curve of validation losses is at `loss`; None: never."""
    return next((seconds for seconds, value in curve if value <= loss), None)


def measure(limit, python, path):
    """All rows, by name."""
    unit, x, clean, detector = make(path)
    rows = {}
    if python:
        for name, which in [
            ("sbi NSF 8 x 256", "sbi_nsf"), ("sbi default", "sbi"), ("FrEIA cINN 8 x 256", "freia")
        ]:  # fmt: skip
            rows[name] = peer(python, path, which, limit)
    redrawn, muon = np.concatenate([clean, x[PAIRS:]]), read_study("ue112")[0].training
    # Few pairs want Muon's weights decayed, and the more so when their noise is always the same.
    same, anew = (muon.model_copy(update={"weight_decay": decay}) for decay in (1.0, 0.025))
    for name, density, training, fresh in [
        ("deep", deep(), Training(), Training()),
        ("nsf", nsf(), Training(), Training()),
        ("rnade, Muon", rnade(), same, anew),
    ]:
        posterior, row = ours(density, unit, x, None, limit, training)
        rows[f"raybayes {name}"] = row | sampled(posterior, x[PAIRS:])
        _, row = ours(density, unit, redrawn, detector.observe, limit, fresh)
        rows[f"raybayes {name}, noise redrawn"] = row
    published = cinn(embedding={"widths": ()})
    rows["raybayes cinn, step"] = dict(
        zip(("step", "gflops"), step_of(published, unit, x), strict=True)
    )
    large = FlowConfig(layers=8, widths=(256, 256), embedding={"widths": (256, 256)})
    rows["raybayes 8 x 256, step"] = dict(
        zip(("step", "gflops"), step_of(large, unit, x), strict=True)
    )
    rows["machine"] = {"gflops": peak()}
    return rows


def show(rows):
    target = rows.get("sbi NSF 8 x 256", {}).get("curve", [[0, -np.inf]])[-1][1]
    print("                                       test    best    to sbi's    10,000     256 draws")
    print(
        "                                       NLL     valid.  best (s)    draws (s)  of 2,000 (s)"
    )
    for name, row in rows.items():
        if "curve" not in row:
            continue
        seconds = when(row["curve"], target)
        cells = [f"{row['test_nll']:7.2f}", f"{row['curve'][-1][1]:7.2f}"]
        cells.append("   never" if seconds is None else f"{seconds:8.0f}")
        cells += [f"{row[k]:10.2f}" for k in ("draws_of_one", "draws_of_many") if k in row]
        print(f"{name:36}", "  ".join(cells), f"  ({row['epochs']} epochs)")
    for name, row in rows.items():
        if "step" in row:
            print(f"{name:36} {1e3 * row['step']:.1f} ms for a step of 512 pairs")
    top = rows["machine"]["gflops"]
    share = rows["raybayes 8 x 256, step"]["gflops"] / top
    print(f"float32 peak of this machine {top:.0f} GFLOP/s; a step at 8 x 256 reaches {share:.0%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peers", help="python of an environment with sbi and FrEIA")
    parser.add_argument("--seconds", type=float, default=120.0, help="for each training")
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(a.seconds, a.peers, str(Path(folder) / "pairs.npz"))
    if a.json:
        print(json.dumps(rows))
    else:
        show(rows)


if __name__ == "__main__":
    main()
