"""A campaign of many small shards, made by processes that can be killed."""

import subprocess
import sys
import time

from studies import TINY, shards

from raybayes.study.plan import Plan

RAYBAYES = (sys.executable, "-m", "raybayes.cli")
SLOW = """
import time
import numpy as np

def slow(theta):
    time.sleep(0.1)
    return np.repeat(np.abs(theta[:, :1]), 200, axis=1) + 1e-3

def flaky(theta, seed):
    if theta[0] > 0.05 and theta[1] > 0:
        raise RuntimeError("evanescent")
    if theta[0] < -0.05:
        return np.full(200, np.nan)
    if abs(theta[1]) < 0.1:
        return np.zeros(200), 0.0
    if seed % 4 == 0:
        raise TimeoutError("busy")
    return np.full(200, 1e-3), 0.2
"""
ENGINE = """
[engine]
kind = "function"
function = "engine_of_test:slow"
"""
MANY = 40  # shards
PLAN = TINY.partition("[density]")[0]  # nothing to train, so JAX is not loaded


def start(*arguments, before=()):
    words = [str(word) for word in (*before, *RAYBAYES, *arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process, code=0):
    output, errors = process.communicate(timeout=900)
    assert process.returncode == code, errors
    return output + errors


def campaign(study, folder):
    return Plan.read(study)[0].campaign(Plan.read(study)[1], folder)


def whole(study, folder):
    """The files of a campaign that one process made."""
    made = campaign(study, folder)
    made.run(made.store.shards(Plan.read(study)[0].simulations))
    return shards(folder)


def until(condition, seconds=900):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def flaky(tmp_path, rule):
    engine = ENGINE.replace("slow", "flaky") + "batched = false\nseeded = true\n"
    path = tmp_path / "flaky.toml"
    path.write_text(PLAN + engine + "[failures]\n" + rule)
    return path
