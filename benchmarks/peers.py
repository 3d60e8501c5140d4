"""The tracer beside xrt, shadow4 and RAYX on one beamline: UE112 PGM-1.

    ./run python benchmarks/peers.py --xrt PYTHON --shadow4 PYTHON --rayx PYTHON

PYTHON is the interpreter of an environment that has the peer: `python -m venv ENV`, then
`ENV/bin/pip install xrt colorama matplotlib scipy`, or `shadow4`, or `rayx`. A peer without one
is skipped.

It prints, all in CPU seconds of one run and one thread:
- seconds per million rays, and milliseconds per misaligned theta of 10,000 rays. Ours draws its
  rays from standard numbers; xrt and shadow4 get theirs for nothing.
- simulations per second at equal accuracy: profiles whose error is 0.5 % of their peak (rms over
  the bins, root mean square over draws from the prior), from our Sobol rays and splats, and from
  as many random rays as that takes;
- the largest distance on the image plane between a ray of ours and the same ray of xrt, shadow4.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from xml.etree import ElementTree

os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from raybayes import Run, read_study
from raybayes.beamline.emission import ENERGY, SIGMA_X, SIGMA_XP, SIGMA_Y, SIGMA_YP, SPREAD
from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.source import STANDARD, emit
from raybayes.beamline.trace import Drawn, trace_rays
from raybayes.optics import RAY
from raybayes.optics.rows import KIND, OPENING, SURFACE, TOROID, WAVELENGTH_SHIFT
from raybayes.simulate.simulator import Simulator, Tracing

RAYS, SETTINGS, FEW, REPEATS, MANY = 200_000, 8, 10_000, 10, 1024
INSTALL = {"xrt": "xrt colorama matplotlib scipy", "shadow4": "shadow4", "rayx": "rayx"}
ERROR = 0.005  # of the peak
OURS = (256, 384, 512, 1024)  # rays
DRAWS = 24


def cpu_seconds(call, *arguments):
    start = time.process_time()
    call(*arguments)
    return time.process_time() - start


def scene_of(study, beamline):
    """Source rays and the frames of the first, perfect and the misaligned thetas."""
    theta = study.prior.sample(SETTINGS + 1, np.random.default_rng(0))
    theta[0] = (study.prior.low + study.prior.high) / 2
    compiled = compile_beamline(beamline, study.prior.names, theta)
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((RAYS, STANDARD))
    samples[:, 4] = rng.uniform(-0.5, 0.5, RAYS)
    samples[:, 5] = 0
    rays = np.empty((RAY, RAYS))
    emit(compiled.emission[0], samples, rays)
    rows = compiled.rows[0]
    radii = np.full((len(rows), 2), np.inf)
    radii[rows[:, KIND] == TOROID] = rows[rows[:, KIND] == TOROID, SURFACE : SURFACE + 2]
    radii[compiled.index("M3")] = np.inf, beamline["M3"].number("radius")
    lines = np.where(rows[:, WAVELENGTH_SHIFT] != 0, beamline["G"].number("lineDensity"), 0)
    scene = {
        "rays": rays,
        "kinds": np.array([element.type for element in beamline.elements[1:]]),
        "origins": compiled.origins[:, 1:],
        "axes": compiled.axes[:, 1:],
        "radii": radii,
        "lines": lines,
        "halves": rows[:, OPENING : OPENING + 2],
        "rml": np.array(point_source(beamline.path, compiled.emission[0])),
    }
    return scene, compiled, samples


def point_source(path, emission):
    """The file with a point source of the same sizes: RAYX's undulator gives NaN."""
    tree = ElementTree.parse(path)
    source = next(tree.getroot().iter("object"))
    source.set("type", "Point Source")
    values = {
        "sourceWidth": emission[SIGMA_X],
        "sourceHeight": emission[SIGMA_Y],
        "horDiv": 1e3 * emission[SIGMA_XP],
        "verDiv": 1e3 * emission[SIGMA_YP],
        "photonEnergy": emission[ENERGY],
        "energySpread": emission[SPREAD],
    }
    for id_ in ("sourceWidth", "sourceHeight", "horDiv", "verDiv"):
        values[f"{id_}Distribution"] = 1
    for id_, value in values.items():
        param = source.find(f"param[@id='{id_}']")
        if param is None:
            param = ElementTree.SubElement(source, "param", id=id_, enabled="T")
        param.text = f"{value:.17g}"
    return ElementTree.tostring(tree.getroot(), encoding="unicode")


def ours(study, beamline, compiled, samples):
    """As `run.py` measures a peer: seconds per million rays and per theta, and the same rays."""
    slots = np.full(compiled.rows.shape[1], -1)

    def trace(i, samples):
        n = len(samples)
        rays = np.empty((RAY, n))
        emission, rows = compiled.emission[i], compiled.rows[i]
        drawn = Drawn(samples, np.zeros((1, 2, 1)), slots)
        nothing = np.empty(0), np.empty((4, 0))
        lost = trace_rays(emission, rows, drawn, rays, *nothing, compiled.tables)
        return rays[:2], lost == 0

    few = samples[:FEW]
    trace(0, few)
    theta = study.prior.sample(MANY, np.random.default_rng(4))
    compiling = cpu_seconds(compile_beamline, beamline, study.prior.names, theta) / MANY
    trace(0, samples)  # what is quick is timed more than once
    traced = [cpu_seconds(trace, s, few) for s in range(1, SETTINGS + 1) for _ in range(REPEATS)]
    million = [cpu_seconds(trace, 0, samples) for _ in range(REPEATS)]
    at, alive = trace(0, few)
    return {
        "per_million": 1e6 / RAYS * np.mean(million),
        "per_theta": compiling + np.mean(traced),
        "arrived": trace(0, samples)[1].mean(),
        "at": at,
        "alive": alive,
    }


def accuracy(simulator, theta, reference, key):
    """Rms over both profiles' bins and all draws, as a fraction of each profile's peak."""
    profiles, _ = simulator.profiles(theta, key)
    half = simulator.detector.bins[0]
    errors = [
        np.sqrt(((a - b) ** 2).mean(axis=1)) / b.max(axis=1)
        for a, b in ((profiles[:, p], reference[:, p]) for p in (slice(half), slice(half, None)))
    ]
    return float(np.sqrt(np.square(errors).mean()))


def at_equal_accuracy(run):
    """Rays of ours and random rays for ERROR, and our CPU seconds per simulation."""
    study, base = run.study, run.simulator.settings[0].simulator
    theta = study.prior.sample(DRAWS, np.random.default_rng(2))

    def simulator(**tracing):
        return Simulator(base.beamline, base.names, base.support, base.detector, Tracing(**tracing))

    reference, _ = simulator(rays=1 << 17, splat=0.1).profiles(theta, None)
    many = 1 << 17
    counted = simulator(mode="counting", rays=many)
    random_rays = many * (accuracy(counted, theta, reference, 0) / ERROR) ** 2
    thetas = study.prior.sample(MANY, np.random.default_rng(3))
    enough = None
    for rays in OURS:
        quick = simulator(rays=rays)
        error = np.sqrt(np.mean([accuracy(quick, theta, reference, k) ** 2 for k in range(8)]))
        seconds = cpu_seconds(quick.profiles, thetas) / len(thetas)
        print(
            f"  {rays:5} Sobol rays: error {100 * error:.2f} %, {1 / seconds:,.0f} per CPU second"
        )
        if enough is None and error <= ERROR:
            enough = quick, seconds
    quick, seconds = enough
    tracemalloc.start()
    for times in (1, 8):
        tracemalloc.reset_peak()
        profiles, _ = quick.profiles(np.tile(thetas, (times, 1)))
        extra = tracemalloc.get_traced_memory()[1] - 2 * profiles.nbytes  # parts, then their sum
        print(f"  {times * MANY:5} thetas: {extra / 2**20:.1f} MiB besides the profiles")
    tracemalloc.stop()
    return random_rays, seconds


def peer(name, python, scene_path):
    """The peer's own numbers; None where it cannot run."""
    target = Path(tempfile.mkdtemp()) / "out.npz"
    script = Path(__file__).with_name("peers") / "run.py"
    command = [python, str(script), name, str(scene_path), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name}: it failed:\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    return dict(np.load(target))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    for name in INSTALL:
        parser.add_argument(f"--{name}", metavar="PYTHON")
    pythons = vars(parser.parse_args())
    study, beamline = read_study("ue112")
    scene, compiled, samples = scene_of(study, beamline)
    scene_path = Path(tempfile.mkdtemp()) / "scene.npz"
    np.savez(scene_path, **scene)
    results = {"raybayes": ours(study, beamline, compiled, samples)}
    for name, python in pythons.items():
        if python is None:
            print(f"{name}: skipped; python -m venv ENV && ENV/bin/pip install {INSTALL[name]}")
        elif (found := peer(name, python, scene_path)) is not None:
            results[name] = found

    print("at equal accuracy, 0.5 % of the peak:")
    random_rays, seconds = at_equal_accuracy(Run(study, beamline, Path()))
    mine = results["raybayes"]
    print(f"  random rays for that: {random_rays:,.0f}")
    columns = ("s per 1e6", "x ours", "ms per theta", "x ours", "arrive", "profiles/s", "ours x")
    print(" " * 10 + "".join(f"{column:>15}" for column in columns) + "   farthest ray")
    for name, found in results.items():
        rate = 1e6 / (random_rays * found["per_million"])
        rate = 1 / seconds if name == "raybayes" else rate
        numbers = (
            found["per_million"],
            found["per_million"] / mine["per_million"],
            1e3 * found["per_theta"],
            found["per_theta"] / mine["per_setting"],
            found["arrived"],
            rate,
            1 / seconds / rate,
        )
        print(f"{name:10}" + "".join(f"{n:15.4g}" for n in numbers) + farthest(mine, found))


def farthest(mine, found):
    """Between the same rays on the image plane; "" for a peer that draws its own."""
    if "at" not in found:
        return ""
    both = mine["alive"] & found["alive"]
    largest = 1e6 * np.abs(found["at"] - mine["at"])[:, both].max()
    return f"   {largest:.2g} nm, {both.sum()} of {mine['alive'].sum()} rays"


if __name__ == "__main__":
    main()
