"""The files of several settings, one observation after the other."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from raybayes.errors import InputError
from raybayes.observations.frames import Frame, read_frame
from raybayes.observations.observation import Observation, framed, read_observation
from raybayes.observations.options import Reading, Target

Files = list[tuple[list[Path], list[Frame]]]


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
    readings = readings or [Reading()] * len(targets)
    if len(targets) == 1:
        return read_observation(paths, targets[0], readings[0], folder)
    files = [Path(path) for path in paths]
    counts = _counts(len(files), targets)
    if counts:
        each = [(r, axis) for r, n in zip(readings, counts, strict=True) for axis in range(n)]
    elif all(reading == readings[0] for reading in readings):
        each = [(readings[0], 0)]
    else:
        raise InputError(
            f"{files[0]}: the settings' files are read in different ways (observation in "
            "[[settings]]); give one file for each, in this order: "
            + "; ".join(target.name for target in targets)
        )
    frames = [
        read_frame(p, r, Path(folder), axis) for p, (r, axis) in zip(files, each, strict=True)
    ]
    parts = []
    for target, (own, read) in zip(targets, _dealt(files, frames, counts, targets), strict=True):
        one = framed(own, read, target)
        parts.append(replace(one, done=tuple(f"{target.name}: {text}" for text in one.done)))
    return Observation(
        np.concatenate([part.x for part in parts]),
        tuple(sentence for part in parts for sentence in part.done),
        tuple(path.name for path in files),
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


def _dealt(
    files: list[Path], frames: list[Frame], counts: list[int], targets: Sequence[Target]
) -> Files:
    """Files and frames of each setting."""
    if counts:
        ends = np.cumsum(counts).tolist()
        pieces = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        return [(files[piece], frames[piece]) for piece in pieces]
    sizes, values = [target.size for target in targets], frames[0].values
    if values.shape != (sum(sizes),):
        raise InputError(
            f"{files[0]}: holds an array of shape {values.shape}; one file for all settings must "
            f"be a list of {' + '.join(map(str, sizes))} counts, in their order"
        )
    lists = np.split(values, np.cumsum(sizes)[:-1])
    return [(files, [replace(frames[0], values=part)]) for part in lists]
