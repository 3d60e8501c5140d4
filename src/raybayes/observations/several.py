"""The files of several settings, one observation after the other."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from raybayes.errors import InputError
from raybayes.observations.observation import (
    Loaded,
    Observation,
    loaded,
    observed,
    read_observation,
)
from raybayes.observations.options import Reading, Target


def read_settings(
    paths: Sequence[str | os.PathLike[str]],
    targets: Sequence[Target],
    readings: Sequence[Reading] | None = None,
    folder: str | os.PathLike[str] = ".",
) -> Observation:
    """Read the files of each setting, in the settings' order; see `read_observation`.

    Args:
        targets: one for each setting. One alone takes what `read_observation` takes; of several,
            each takes one file, or each that reads profiles takes two, or all take one list of
            counts together.
        readings: one for each setting; default: plain ones.

    Raises:
        InputError: as `read_observation`; another number of files, with the number needed; one
            list for settings whose readings differ.
    """
    readings = list(readings or [Reading()] * len(targets))
    files = [Path(path) for path in paths]
    if len(targets) == 1:
        return read_observation(files, targets[0], readings[0], folder)
    counts = _counts(len(files), targets)
    if counts:
        each = [r for r, n in zip(readings, counts, strict=True) for _ in range(n)]
    elif all(reading == readings[0] for reading in readings):
        each = [readings[0]]
    else:
        raise InputError(
            f"{files[0]}: the settings' files are read in different ways (observation in "
            "[[settings]]); give one file for each, in this order: "
            + "; ".join(target.name for target in targets)
        )
    read = loaded(files, each, Path(folder))
    parts = []
    for target, own in zip(targets, _dealt(read, counts, targets), strict=True):
        one = observed(own, target)
        parts.append(replace(one, done=tuple(f"{target.name}: {text}" for text in one.done)))
    return Observation(
        np.concatenate([part.x for part in parts]),
        tuple(sentence for part in parts for sentence in part.done),
        tuple(path.name for path in files),
        tuple(frame for part in parts for frame in part.frames),
        tuple(str(one.path.absolute()) for one in read),
        tuple(one.checksum for one in read),
        tuple(options for part in parts for options in part.options),
    )


def _counts(n: int, targets: Sequence[Target]) -> list[int]:
    """How many of n files each setting takes; none where one file holds all."""
    ones, twos = [1] * len(targets), [2 if t.reads == "profiles" else 1 for t in targets]
    if n not in (1, sum(ones), sum(twos)):
        twice = f", or {sum(twos)} with two profiles for each" if sum(twos) > sum(ones) else ""
        names = "; ".join(target.name for target in targets)
        raise InputError(
            f"{n} files were given; this study has {len(targets)} settings ({names}): give one "
            f"file for each in this order{twice}, or one list of all "
            f"{sum(target.size for target in targets)} counts"
        )
    return [] if n == 1 else ones if n == len(ones) else twos


def _dealt(read: list[Loaded], counts: list[int], targets: Sequence[Target]) -> list[list[Loaded]]:
    """The files of each setting; of one list of all counts, each setting's part."""
    if counts:
        ends = np.cumsum(counts).tolist()
        return [read[end - count : end] for end, count in zip(ends, counts, strict=True)]
    sizes, whole = [target.size for target in targets], read[0].found[0]
    if whole.values.shape != (sum(sizes),) or whole.axes is not None:
        raise InputError(
            f"{read[0].path}: holds an array of shape {whole.values.shape}; one file for all "
            f"settings must be a list of {' + '.join(map(str, sizes))} counts, in their order"
        )
    lists = np.split(whole.values, np.cumsum(sizes)[:-1])
    return [[replace(read[0], found=(replace(whole, values=part),))] for part in lists]
