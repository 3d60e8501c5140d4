"""Mutated RML files: each loads and traces without a NaN, or is refused in one sentence."""

import os
import random
import re

import numpy as np
import pytest
from mutants import MUTATIONS, texts

from raybayes.beamline.rml import read_rml
from raybayes.beamline.trace import trace
from raybayes.errors import InputError

RAYS = 40
# What a file may have: it is reported, and the beamline is traced.
STORED = pytest.mark.filterwarnings("ignore:.*edited after RAY-UI wrote it")
UNKNOWN = pytest.mark.filterwarnings("ignore:.*it is not known here; as RAY-UI derives it")
TWICE = pytest.mark.filterwarnings("ignore:.*its name is given twice; it is called")
NEWER = pytest.mark.filterwarnings("ignore:.*of RML is newer than")


def attempt(text, path):
    """Load and trace; only an InputError of one sentence for each fault may come, never a NaN."""
    path.write_text(text, encoding="utf-8")
    try:
        rays = trace(read_rml(path), RAYS)
    except InputError as error:
        first, *faults = str(error).splitlines()
        assert first and all(faults)
        listed, left = len(faults), 0
        if faults and (more := re.fullmatch(r"and (\d+) more", faults[-1])):
            listed, left = listed - 1, int(more[1])
        assert not faults or first == f"{listed + left} things are wrong:"
        return "refused"
    arrived = rays.arrived
    assert np.isfinite(rays.values[:, arrived]).all()
    assert np.isfinite(rays.stokes[:, arrived]).all()
    assert np.isfinite(rays.path[arrived]).all()
    return "traced"


def fuzz(count, seed, tmp_path):
    originals = texts(tmp_path)
    rng = random.Random(seed)
    outcomes = {"refused": 0, "traced": 0}
    for i in range(count):
        text = originals[i % len(originals)]
        try:
            for _ in range(rng.choice((1, 1, 2, 4))):
                text = rng.choice(MUTATIONS)(text, rng)
        except (IndexError, ValueError):  # nothing left of this kind to change
            continue
        try:
            outcomes[attempt(text, tmp_path / "mutant.rml")] += 1
        except Exception as error:
            kept = os.environ.get("RAYBAYES_FUZZ_KEEP")
            if kept:
                (tmp_path / "mutant.rml").rename(kept)
            raise AssertionError(f"mutant {i} of seed {seed}: {error!r}") from error
    return outcomes


def test_the_unchanged_files_trace(tmp_path):
    for text in texts(tmp_path):
        if "wave.dat" not in text:
            assert attempt(text, tmp_path / "same.rml") == "traced"


@STORED
@UNKNOWN
@TWICE
@NEWER
def test_some_hundred_mutants(tmp_path):
    outcomes = fuzz(600, 1, tmp_path)
    assert min(outcomes.values()) > 100, outcomes


@STORED
@UNKNOWN
@TWICE
@NEWER
@pytest.mark.slow
def test_ten_thousand_mutants(tmp_path):
    outcomes = fuzz(10_000, 2, tmp_path)
    assert min(outcomes.values()) > 1000, outcomes
