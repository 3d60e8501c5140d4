"""Camera: from a dark frame and frames of a beam to the keys of a study's detector."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.observations.camera import camera
from raybayes.observations.measured import Measured
from raybayes.observations.observation import loaded
from raybayes.observations.options import Reading
from raybayes.observations.soundness import saturated, unsaturated, where

SEED = 0  # of the bootstrap


def camera_of_files(
    dark: str | os.PathLike[str], frames: Sequence[str | os.PathLike[str]]
) -> dict[str, Any]:
    """Gain, read noise and background of a camera, and the keys of a study that say them.

    Args:
        dark: a frame without beam; frames: with one, by the same camera and exposure.

    Raises:
        InputError: a file that cannot be read or is no image; what `camera` refuses.
    """
    files = [Path(dark), *map(Path, frames)]
    if len(files) < 2:
        raise InputError("give a dark frame and at least one frame of a beam")
    read = loaded(files, [Reading()] * len(files), Path())
    values = [_whole(one.path, one.found[0]) for one in read]
    told = camera(values[0], values[1:], np.random.default_rng(SEED))
    return {
        "gain": told.counts,
        "gain_error": told.counts * told.gain_error / told.gain,
        "background": told.background * told.counts,
        "read_noise": told.read_noise * told.counts,
        "read_noise_error": told.read_noise_error * told.counts,
        "frames": [path.name for path in files],
        "done": [f"{one.path.name}: {text}" for one in read for text in one.found[0].told],
        "level": told.level.tolist(),
        "variance": told.variance.tolist(),
    }


def _whole(path: Path, found: Measured) -> Array:
    """[rows, columns]: an image of which every pixel tells its noise.

    Raises:
        InputError: some do not: saturated ones have none, gaps and mended ones another.
    """
    if found.values.ndim != 2:
        raise InputError(f"{path}: is no image; give whole frames of the camera")
    if found.bad is not None and found.bad.any():
        raise InputError(
            f"{path}: {where(found.bad, (0, 0))} no readings; give a part of the frame without them"
        )
    unsaturated(path, found.values, saturated(found.values, found, Reading()), (0, 0))
    return found.values
