"""TIFF by tifffile: pages, BigTIFF, the pixel sizes of OME and ImageJ."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import defusedxml.ElementTree as ET
import numpy as np
import tifffile

from raybayes.errors import InputError
from raybayes.observations.axes import mm_in
from raybayes.observations.measured import LARGEST, Measured, framed
from raybayes.observations.options import Reading
from raybayes.observations.readers.complaints import no_complaint
from raybayes.observations.readers.pictures import ORIENTATION, grey, read_picture, turned

INCH = 25.4  # mm
CALIBRATION = (("cf", -1), ("c0", 0), ("c1", 1))  # ImageJ's function, offset, factor
UNCHANGED = ([-1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [20.0, 0.0, 1.0], [21.0, 0.0, 1.0])


def read_tiff(path: Path, reading: Reading) -> tuple[Measured]:
    """One page, or the mean of all."""
    try:
        with no_complaint(path, "tifffile", "TIFF"), tifffile.TiffFile(path) as file:
            return (_read(path, file, reading),)
    except InputError:
        raise
    except ValueError as error:
        if "imagecodecs" in str(error):  # Pillow brings the usual compressions itself
            return read_picture(path, reading)
        raise InputError(f"{path}: not a whole TIFF file ({error})") from error
    except Exception as error:  # tifffile ends in anything on damage
        raise InputError(f"{path}: not a whole TIFF file ({error})") from error


def _read(path: Path, file: tifffile.TiffFile, reading: Reading) -> Measured:
    series = file.series[0]
    page: Any = series.pages[0]
    if series.nbytes > LARGEST:
        raise InputError(f"{path}: unpacks to {series.nbytes >> 20} MB; give one frame")
    array = series.asarray()
    if page.samplesperpixel > 1:
        if len(series.pages) > 1:
            raise InputError(f"{path}: holds {len(series.pages)} pages in colours; give grey ones")
        planes = np.moveaxis(array, 0, -1) if page.planarconfig == 2 else array
        array = grey(path, planes)
    elif page.photometric == 3:
        raise InputError(f"{path}: is in false colours (a palette); give the camera's own grey one")
    found = framed(path, np.squeeze(array), reading.frame)
    if page.photometric == 0:
        raise InputError(f"{path}: says that 0 is white; store it with 0 as black")
    curve = file.imagej_metadata or {}
    if [float(curve.get(key, usual)) for key, usual in CALIBRATION] not in UNCHANGED:
        raise InputError(
            f"{path}: ImageJ's calibration says that its numbers are to be changed; store them as "
            "they are meant"
        )
    pixel, told = _pixel(path, file, page)
    told = (*told, *turned(int(page.tags.valueof(ORIENTATION, default=1))))
    more = len(file.series) - 1
    if more:
        told = (*told, f"It holds {more} more series of pictures, which are not read.")
    return replace(found, pixel=pixel, told=(*found.told, *told))


def _pixel(
    path: Path, file: tifffile.TiffFile, page: Any
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Width and height, mm, and where they are from."""
    if file.ome_metadata:
        return _ome(path, file.ome_metadata)
    horizontal, vertical = (_per_unit(page, f"{axis}Resolution") for axis in "XY")
    if not (horizontal and vertical):
        return None, ()
    image = file.imagej_metadata
    unit = mm_in(str(image.get("unit", "")).replace("\\u00B5", "µ")) if image else None
    if unit is not None:
        return (unit / horizontal, unit / vertical), ("ImageJ says how large its pixels are.",)
    if page.tags.valueof("ResolutionUnit") in (2, 3) and horizontal != 1:
        inch = page.tags.valueof("ResolutionUnit") == 2
        per = "inch" if inch else "cm"
        return None, (
            f"Not used: a resolution of {horizontal:g} x {vertical:g} pixels per {per}, which "
            "programs write for printing; set pixel_size where it is the camera's.",
        )
    return None, ()


def _per_unit(page: Any, name: str) -> float:
    """Pixels in a unit of length."""
    numerator, denominator = page.tags.valueof(name, default=(0, 1))
    value = numerator / denominator if denominator else 0.0
    return value if math.isfinite(value) and value > 0 else 0.0


def _ome(path: Path, text: str) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """OME-XML's PhysicalSizeX and Y, by default in micrometres."""
    try:
        root = ET.fromstring(text.encode())
        pixels: Any = next(
            (node for node in root.iter() if node.tag.rpartition("}")[2] == "Pixels"), {}
        )
        sizes = []
        for axis in "XY":
            size = pixels.get(f"PhysicalSize{axis}")
            unit = mm_in(pixels.get(f"PhysicalSize{axis}Unit") or "um")
            sizes.append(float(size) * unit if size and unit else 0.0)
    except (ET.ParseError, ValueError) as error:
        raise InputError(f"{path}: its OME description cannot be read ({error})") from error
    if min(sizes) <= 0:
        return None, ("Its OME description has no size of pixels that is known.",)
    return (sizes[0], sizes[1]), ("Its OME description says how large its pixels are.",)
