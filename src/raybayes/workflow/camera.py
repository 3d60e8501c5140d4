"""Camera: from a dark frame and frames of a beam to the keys of a study's detector."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from raybayes.errors import InputError
from raybayes.observations.camera import camera
from raybayes.observations.masks import filled
from raybayes.observations.observation import loaded
from raybayes.observations.options import Reading

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
    values = []
    for one in loaded(files, [Reading()] * len(files), Path()):
        found = one.found[0]
        if found.values.ndim != 2:
            raise InputError(f"{one.path}: is no image; give whole frames of the camera")
        bad = np.zeros(found.values.shape, bool) if found.bad is None else found.bad
        values.append(filled(found.values, bad)[0])
    told = camera(values[0], values[1:], np.random.default_rng(SEED))
    return {
        "gain": told.counts,
        "gain_error": told.counts * told.gain_error / told.gain,
        "background": told.background * told.counts,
        "read_noise": told.read_noise * told.counts,
        "read_noise_error": told.read_noise_error * told.counts,
        "frames": [path.name for path in files],
        "level": told.level.tolist(),
        "variance": told.variance.tolist(),
    }
