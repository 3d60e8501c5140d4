"""Grey pictures of one frame: PNG, BMP, JPEG, PGM."""

import io
import re
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raybayes.errors import InputError
from raybayes.observations.measured import Measured, measured, one_frame
from raybayes.observations.options import Reading

FORMATS = ("PNG", "TIFF", "BMP", "JPEG", "PPM")
PNG, PNG_DEPTH = b"\x89PNG\r\n\x1a\n", 24  # how it begins, and which byte says bits per channel
PGM = re.compile(rb"P[25](?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+(\d+)\s")
ORIENTATION = 274  # a tag of TIFF and EXIF
LOSSY = (
    "Caution: a JPEG is lossy and, as most cameras write it, not linear in the light (8 bits with "
    "a gamma); store the camera's own numbers as TIFF or PNG."
)
CURVED = (
    "Caution: the file says that its 8 bits are not linear in the light (a gamma of {:.3g}); "
    "store the camera's own numbers."
)


def read_picture(path: Path, reading: Reading) -> tuple[Measured]:
    """A grey picture of one frame."""
    from PIL import Image

    one_frame(path, reading.frame)
    content = path.read_bytes()
    if content.startswith(PNG):
        _checked(path, content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow only warns of a picture that fills the memory
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                found = _pixels(path, content, image)
                told = _told(image)
    except (OSError, SyntaxError, ValueError, Warning, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a picture that can be read ({error})") from error
    return (replace(found, told=(*found.told, *told)),)


def _checked(path: Path, content: bytes) -> None:
    """Refuses a PNG with a part that is not as its checksum says, which Pillow leaves aside."""
    at, name = len(PNG), b""
    while name != b"IEND":
        end = at + 8 + int.from_bytes(content[at : at + 4])  # length, name, and what it holds
        name, checksum = content[at + 4 : at + 8], content[end : end + 4]
        if len(checksum) < 4 or zlib.crc32(content[at + 4 : end]) != int.from_bytes(checksum):
            raise InputError(f"{path}: a damaged PNG (a checksum of it is wrong)")
        at = end + 4


def _pixels(path: Path, content: bytes, image: object) -> Measured:
    from PIL import Image

    assert isinstance(image, Image.Image)
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise InputError(f"{path}: holds {frames} frames; give one")
    if content[: len(PNG)] == PNG and content[PNG_DEPTH] == 16 and image.mode[0] != "I":
        raise InputError(
            f"{path}: has 16 bits in several channels, of which 8 would be lost; store one grey "
            "channel"
        )
    # A palette may be of false colours, which `grey` refuses.
    plain = {"1": "L", "P": "RGB"}.get(image.mode)
    pixels = grey(path, np.asarray(image.convert(plain) if plain else image))
    found = measured(path, pixels)
    top = PGM.match(content)
    if top is None:
        return found
    # Pillow stretches what a PGM may hold to the whole of its own type.
    ceiling, scale = float(top[1]), 65535.0 if pixels.dtype.itemsize > 1 else 255.0
    return replace(found, values=np.round(found.values * ceiling / scale), ceiling=ceiling)


def _told(image: object) -> tuple[str, ...]:
    from PIL import Image

    assert isinstance(image, Image.Image)
    return (*turned(int(image.getexif().get(ORIENTATION, 1))), *_curved(image))


def turned(orientation: int) -> tuple[str, ...]:
    """A caution where a file says that it is to be shown turned or mirrored (EXIF, TIFF 6.0)."""
    if orientation in (0, 1):
        return ()
    return (
        f"Caution: the file says that it is to be shown turned (orientation {orientation}), which "
        "is left aside; set rotate, flip.",
    )


def _curved(image: object) -> tuple[str, ...]:
    if getattr(image, "format", "") == "JPEG":
        return (LOSSY,)
    gamma = getattr(image, "info", {}).get("gamma")
    return () if gamma is None or abs(gamma - 1) < 0.01 else (CURVED.format(1 / gamma),)


def grey(path: Path, pixels: NDArray) -> NDArray:
    """One channel of a picture whose colours are all alike."""
    if pixels.ndim == 2:
        return pixels
    colours = pixels[..., : pixels.shape[-1] - (pixels.shape[-1] in (2, 4))]  # without alpha
    if (colours != colours[..., :1]).any():
        raise InputError(f"{path}: is a colour picture; give the camera's own grey one")
    return colours[..., 0]
