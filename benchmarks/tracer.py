"""Rays and simulations per second of the tracer, beside the same loop in C.

    ./run python benchmarks/tracer.py [--json]

One thread each, the same rays, the same table, best of several repeats in one run. The chain is
M1, M2, G, M3, M4 of UE112 PGM-1. C is compiled with gcc -O3 -march=native where gcc exists.
"""

import argparse
import ctypes
import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np

from raybayes import Run, read_study, with_values
from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.source import STANDARD, emit
from raybayes.beamline.trace import BLOCK
from raybayes.optics import JIT, RAY, through

RAYS, REPEATS, SIMULATIONS = 1 << 18, 9, 2000
CHAIN = ("M1", "M2", "G", "M3", "M4")
POINTER, LONGS = ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_long)


@numba.njit(**JIT)
def numba_chain(rows, rays, out, lost, tables):
    perfect, normals, work = np.empty((2, 0)), np.empty((3, BLOCK)), np.empty((RAY, BLOCK))
    losses = np.empty(BLOCK, np.int64)
    for start in range(0, rays.shape[1], BLOCK):
        work[:] = rays[:, start : start + BLOCK]
        losses[:] = 0
        for k in range(rows.shape[0]):
            through(rows[k], work, losses, k + 1, perfect, normals, tables)
        out[:, start : start + BLOCK] = work
        lost[start : start + BLOCK] = losses


def c_chain():
    """The same loop in C; None where there is no gcc."""
    if shutil.which("gcc") is None:
        return None
    library = Path(tempfile.mkdtemp()) / "chain.so"
    source = Path(__file__).with_name("chain.c")
    flags = ["-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, str(source), "-o", str(library), "-lm"], check=True)
    function = ctypes.CDLL(str(library)).chain

    def call(rows, rays, out, lost, tables):
        arrays = [a.ctypes.data_as(POINTER) for a in (rows, rays, out)]
        n = ctypes.c_long(rays.shape[1])
        function(arrays[0], ctypes.c_long(len(rows)), *arrays[1:], lost.ctypes.data_as(LONGS), n)

    return call


def best(call, *arguments):
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    study, beamline = read_study("ue112")
    five = tuple(e for e in beamline.elements if e.name in ("UE112", *CHAIN))
    lengths = {"M1.distancePreceding": 17000, "M4.distancePreceding": 16000}
    compiled = compile_beamline(with_values(replace(beamline, elements=five), lengths))
    rows, tables = compiled.rows[0], compiled.tables
    rays, samples = (
        np.empty((RAY, RAYS)),
        np.random.default_rng(0).uniform(-0.5, 0.5, (RAYS, STANDARD)),
    )
    emit(compiled.emission[0], samples, rays)

    result = {"rays": RAYS, "elements": len(CHAIN)}
    outs = {}
    for name, call in (("numba", numba_chain), ("c", c_chain())):
        if call is None:
            continue
        out, lost = np.empty_like(rays), np.zeros(RAYS, np.int64)
        call(rows, rays, out, lost, tables)
        outs[name] = out
        result[f"{name}_rays_per_second"] = RAYS / best(call, rows, rays, out, lost, tables)
    if "c" in outs:
        result["largest_difference_mm"] = float(np.abs(outs["c"] - outs["numba"])[:3].max())
        result["c_over_numba"] = result["c_rays_per_second"] / result["numba_rays_per_second"]

    simulator = Run(study, beamline, Path()).simulator
    theta = study.prior.sample(SIMULATIONS, np.random.default_rng(0))
    simulator.profiles(theta[:10])
    start = time.perf_counter()
    simulator.profiles(theta)
    result["simulations_per_second"] = SIMULATIONS / (time.perf_counter() - start)
    result["threads_of_simulations"] = numba.get_num_threads()
    for key, value in result.items():
        if not as_json:
            print(f"{key:26} {value:,.4g}" if value < 1 else f"{key:26} {value:,.2f}")
    if as_json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
