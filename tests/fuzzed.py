"""What is fuzzed: each target writes a harmed file, and says how raybayes would open it."""

import json
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fuzz_files import Observations
from harm import VALUES, harmed, swapped
from mutants import MUTATIONS, texts
from studies import TINY

from raybayes.beamline.rml import read_rml
from raybayes.beamline.trace import trace
from raybayes.errors import InputError
from raybayes.inference.posterior import Posterior
from raybayes.store import read_arrays, read_json, write_arrays, write_json
from raybayes.study.accuracy import Proven, read_proven, write_proven
from raybayes.study.plan import SHIPPED, study_path
from raybayes.study.run import Run, open_run
from raybayes.study.study import read_study

RAYS = 40


@dataclass(frozen=True)
class Case:
    """A harmed file.

    Attributes:
        open: what raybayes does with it.
        damaged: its bytes are not those that were written, so that it must not open.
    """

    file: Path
    open: Callable[[], object]
    damaged: bool = False


class Rml:
    """Files of each source and element: changed in their letters, and in their bytes."""

    def __init__(self, folder):
        self.file, self.texts = folder / "case.rml", texts(folder)
        for text in self.texts:  # Numba compiles each element's code once, for longer than a hang
            self.file.write_text(text)
            with suppress(InputError):  # one that needs a file beside it
                self.open()

    def case(self, rng):
        text = rng.choice(self.texts)
        if rng.random() < 0.5:
            text = _changed(MUTATIONS, text, rng)
        if rng.random() < 0.2:
            text = f"<?xml version='1.0' encoding='{rng.choice(ENCODINGS)}'?>" + re.sub(
                r"<\?.*?\?>", "", text
            )
        data = text.encode("utf-8", "surrogatepass")
        self.file.write_bytes(harmed(data, rng) if rng.random() < 0.5 else data)
        return Case(self.file, self.open)

    def open(self):
        rays = trace(read_rml(self.file), RAYS)
        there = rays.arrived
        numbers = (rays.values[:, there], rays.stokes[:, there], rays.path[there])
        assert all(np.isfinite(each).all() for each in numbers), "what arrives is not finite"


ENCODINGS = (
    "utf-8", "UTF-16", "utf-32", "utf-7", "latin-1", "cp037", "cp864", "shift_jis", "gb18030",
    "zlib", "bz2", "hex", "base64", "rot13", "uu", "quopri", "idna", "punycode", "undefined",
    "unicode_escape", "raw_unicode_escape", "mbcs", "none", "", "a b", "\u00e9",
)  # fmt: skip


class StudyFile:
    """Shipped studies and a small one: values of other types, and changed bytes."""

    def __init__(self, folder):
        self.file = folder / "case.toml"
        self.texts = [TINY, *(study_path(name).read_text() for name in SHIPPED)]

    def case(self, rng):
        text = rng.choice(self.texts)
        if rng.random() < 0.7:
            text = _changed((a_toml_value, a_toml_value, a_toml_line), text, rng)
        data = text.encode("utf-8", "surrogatepass")
        self.file.write_bytes(harmed(data, rng) if rng.random() < 0.4 else data)
        return Case(self.file, self.open)

    def open(self):
        study, _ = read_study(self.file)
        study.readings({})
        assert study.targets and study.prior.dim


def a_toml_value(text, rng):
    """A key's value becomes another, or that of another key."""
    places = list(re.finditer(r"=\s*(\S.*)$", text, re.MULTILINE))
    place = rng.choice(places)
    new = _toml(rng.choice(VALUES)) if rng.random() < 0.7 else rng.choice(places)[1]
    return text[: place.start(1)] + new + text[place.end(1) :]


def a_toml_line(text, rng):
    """A table's head gets lost, or stands in another place: its keys are another's."""
    lines = text.splitlines()
    line = lines.pop(rng.randrange(len(lines)))
    if rng.random() < 0.5:
        lines.insert(rng.randrange(len(lines) + 1), line)
    return "\n".join(lines)


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return "1979-05-27" if value is None else json.dumps(value).replace("\x7f", "")


def _changed(mutations, text, rng):
    """By one to three mutations; as it is where nothing is left for one to change."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        try:
            text = rng.choice(mutations)(text, rng)
        except (IndexError, ValueError):
            return text
    return text


class Artefacts:
    """What a run keeps: bytes that changed, and files that are whole but hold other values."""

    def __init__(self, folder):
        whole = folder / "whole"
        if not whole.exists():
            finished_run(whole)
        self.whole, self.out = whole / "out", folder / "out"
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.copytree(self.whole, self.out)
        self.run = open_run(self.whole)
        self.opens = {
            "study.json": lambda: open_run(self.out),
            "simulator.json": lambda: read_proven(self.out),
            "simulations/shard-000000.safetensors": self._simulations,
            "training.safetensors": self._training,
            "posterior.safetensors": lambda: Posterior.load(self.out / "posterior.safetensors"),
        }

    def _simulations(self):
        store = Run(self.run.study, self.run.beamline, self.out).store
        store.open()
        list(store.headers(range(2)))
        return store.read(self.run.study.simulations), _again(self.run, self.out).notes

    def _training(self):
        run = _again(self.run, self.out)
        run.train(run.store.read(run.study.simulations), lambda state: None)

    def case(self, rng):
        shutil.copytree(self.whole, self.out, dirs_exist_ok=True)
        name = rng.choice([*self.opens])
        file = self.out / name
        damaged = rng.random() < 0.6
        if damaged:
            before = file.read_bytes()
            file.write_bytes(after := harmed(before, rng))
            damaged = before != after
        elif file.suffix == ".json":
            write_json(file, _table(swapped(read_json(file), rng)))
        else:
            write_arrays(file, *_other(*read_arrays(file), rng))
        return Case(file, self.opens[name], damaged)


def _again(run, out):
    return Run(run.study, run.beamline, out)


def _table(value):
    return value if isinstance(value, dict) else {"a": value}


def _other(arrays, header, rng):
    """A header or arrays as nobody wrote them."""
    if rng.random() < 0.6:
        return arrays, _table(swapped(header, rng))
    name = rng.choice(sorted(arrays))
    array = np.atleast_1d(arrays.pop(name))
    new = (array[:1], array.astype("f2"), array[None], np.full_like(array, -1), array.ravel()[:0])
    if rng.random() < 0.8:
        arrays[rng.choice((name, name, "other"))] = rng.choice(new)
    return arrays, header


SMALL = TINY.replace("600", "200").replace("shard = 50", "shard = 100").partition("[density]")[0]
LEARNED = """
[density]
kind = "mixture"
embedding = {widths = [8]}
[training]
epochs = 2
"""


def finished_run(folder):
    """As `raybayes run` leaves it, without its pages; of numbers that nobody simulated."""
    folder.mkdir()
    path = folder / "small.toml"
    path.write_text(SMALL + LEARNED)
    run = Run(*read_study(path), folder / "out")
    run.claim()
    write_proven(
        Proven(run.identity(), run.study.tracing, 0.0, 0.0, 0.0, "a corner", ""), run.folder
    )
    run.store.fill(range(2), _made_up)
    run.train(run.store.read(run.study.simulations), lambda state: None)


def _made_up(index, count):
    rng = np.random.default_rng(index)
    theta = rng.uniform(-0.05, 0.05, (count, 2))
    arrays = {"theta": theta, "profile": np.abs(theta[:, :1]) + np.full((count, 200), 1e-3)}
    notes = {"failed": [], "retried": 0, "lost": 0}
    return {**arrays, "transmission": np.ones(count)}, notes


TARGETS = {"rml": Rml, "study": StudyFile, "artefacts": Artefacts, "observations": Observations}
