"""EDF and CBF by fabio, an extra."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from raybayes.errors import InputError
from raybayes.observations.measured import Measured, framed
from raybayes.observations.options import Reading
from raybayes.observations.readers.complaints import no_complaint

NUMBER = r"([-+\d.eE]+)"
PIXEL_SIZE = re.compile(rf"Pixel_size\s+{NUMBER}\s*m\s*x\s*{NUMBER}\s*m")  # Dectris, in a CBF
METRE = 1e3  # mm


def read_detector(path: Path, reading: Reading) -> tuple[Measured]:
    """A frame, or the mean of all; its pixels' size where the header says it."""
    try:
        import fabio
    except ImportError as error:
        raise InputError(
            f"{path}: is read by fabio; install it (pip install 'raybayes[formats]')"
        ) from error
    try:
        with no_complaint(path, "fabio", path.suffix[1:].upper()), fabio.open(str(path)) as image:
            count = image.nframes
            # of a single one, fabio's getframe would open the next file of a series
            pictures = [image.getframe(i) for i in range(count)] if count > 1 else [image]
            frames = [np.asarray(picture.data) for picture in pictures]
            header = dict(image.header)
    except InputError:
        raise
    except Exception as error:  # fabio ends in anything on damage
        raise InputError(f"{path}: not a whole {path.suffix[1:].upper()} file ({error})") from error
    if count > 1 and any(frame.shape != frames[0].shape for frame in frames):
        raise InputError(f"{path}: holds frames of several shapes; give one")
    found = framed(path, np.stack(frames) if count > 1 else frames[0], reading.frame)
    pixel = _pixel(header)
    told = (*found.told, "Its header says how large its pixels are.") if pixel else found.told
    return (replace(found, pixel=pixel, told=told),)


def _pixel(header: dict[str, Any]) -> tuple[float, float] | None:
    """mm; ESRF's EDF: PSize_1 and PSize_2 in metres."""
    match = PIXEL_SIZE.search(str(header.get("_array_data.header_contents", "")))
    texts = match.groups() if match else (header.get("PSize_1"), header.get("PSize_2"))
    try:
        x, y = (METRE * float(str(text)) for text in texts)
    except ValueError:
        return None
    return (x, y) if x > 0 and y > 0 else None
