"""Mutated RML files: each loads and traces without a NaN, or is refused in one sentence."""

import os
import random
import re

import numpy as np
import pytest
from beamlines import ELEMENTS, SOURCES, emitting, small
from studies import UE112

from raybayes.beamline.rml import read_rml, write_rml
from raybayes.beamline.schema import OBJECTS
from raybayes.beamline.trace import trace
from raybayes.errors import InputError

VALUES = (
    "0", "1", "2", "3", "-1", "0.5", "1e-300", "1e300", "-1e300", "1e17", "90", "180", "1e400",
    "nan", "inf", "", "abc", "1.5", "-0", "99999999999999999999", "0x10", "1_0", "١",
)  # fmt: skip
NUMBER = re.compile(r">(-?[0-9][0-9.eE+-]*)<")
RAYS = 40
# What a file may have: it is reported, and the beamline is traced.
STORED = pytest.mark.filterwarnings("ignore:.*edited after RAY-UI wrote it")
UNKNOWN = pytest.mark.filterwarnings("ignore:.*it is not known here; as RAY-UI derives it")
TWICE = pytest.mark.filterwarnings("ignore:.*its name is given twice; it is called")
NEWER = pytest.mark.filterwarnings("ignore:.*of RML is newer than")


def texts(tmp_path):
    """A file with each type of source and element, and the shipped beamline."""
    beamlines = [small(type_) for type_ in ELEMENTS] + [emitting(type_) for type_ in SOURCES]
    found = [UE112.read_text()]
    for i, beamline in enumerate(beamlines):
        write_rml(beamline, tmp_path / f"{i}.rml")
        found.append((tmp_path / f"{i}.rml").read_text())
    return found


def a_value(text, rng):
    """One number or choice becomes another."""
    place = rng.choice(list(NUMBER.finditer(text)))
    new = rng.choice(VALUES)
    if rng.random() < 0.4:
        new = repr(float(place[1]) * rng.choice((-1, 0.1, 0.9, 1.1, 10, 1e3, 1e6)))
    return text[: place.start(1)] + new + text[place.end(1) :]


def a_parameter(text, rng):
    """A parameter becomes another one that some object knows."""
    ids = list(re.finditer(r'id="(\w+)"', text))
    place = rng.choice(ids)
    new = rng.choice([id_ for known in OBJECTS.values() for id_ in known])
    return text[: place.start(1)] + new + text[place.end(1) :]


def a_type(text, rng):
    place = rng.choice(list(re.finditer(r'type="([^"]+)"', text)))
    return text[: place.start(1)] + rng.choice(list(OBJECTS)) + text[place.end(1) :]


def a_line(text, rng):
    """A line is lost, doubled, or changes places with another."""
    lines = text.splitlines()
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.randrange(3)
    if change == 0:
        del lines[i]
    elif change == 1:
        lines.insert(j, lines[i])
    else:
        lines[i], lines[j] = lines[j], lines[i]
    return "\n".join(lines)


def a_flag(text, rng):
    place = rng.choice(list(re.finditer(r'enabled="([TF])"', text)))
    return (
        text[: place.start()]
        + rng.choice(('enabled="F"', 'auto="T"', 'auto="F"', ""))
        + (text[place.end() :])
    )


def bytes_(text, rng):
    """Some characters are lost or replaced."""
    i = rng.randrange(len(text))
    return (
        text[:i] + rng.choice(("", "<", "&", "\0", "é", '"', "]]>")) + text[i + rng.randrange(9) :]
    )


MUTATIONS = (a_value, a_value, a_value, a_value, a_parameter, a_type, a_line, a_flag, bytes_)


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
