"""Where an image's pixels lie: mm from the optical axis, in the file's own order.

One convention: x to the right and y up as seen against the beam, by somebody who faces the source;
these are RAY-UI's x and y of the image plane. Pixels are counted from the upper left corner.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.observations.axes import MOTOR, Axis, mm_in
from raybayes.observations.bins import edges_between
from raybayes.observations.measured import Measured
from raybayes.observations.options import Reading

Z = re.compile(rf"(?:{MOTOR}[_ ]?)?z")
Edges = tuple[Array, Array]


def upright(path: Path, measured: Measured) -> Measured:
    """An image with x along its rows, as the names of its axes say; else as it is.

    Raises:
        InputError: one axis is called z, and the other y.
    """
    if measured.values.ndim != 2 or measured.axes is None:
        return measured
    across, down = measured.axes
    if "y" in (across.along, down.along) and any(
        Z.fullmatch(a.name.lower()) for a in (across, down)
    ):
        raise InputError(
            f"{path}: its axes are called {across.name} and {down.name}, so y may be across or up; "
            "call them x and y"
        )
    if (across.along, down.along) not in (("y", "x"), ("y", ""), ("", "x")):
        return measured
    told = f"Transposed: its rows lie along {across.name}, its columns along {down.name}."
    return replace(
        measured,
        values=measured.values.T,
        axes=(down, across),
        bad=None if measured.bad is None else measured.bad.T,
        told=(*measured.told, told),
    )


def lengths(path: Path, axis: Axis, reading: Reading) -> Axis:
    """The axis in mm, by its own unit or the one that is given for want of it.

    Raises:
        InputError: no unit of length, or another than the one that is given.
    """
    wanted, own = reading.unit, mm_in(axis.unit)
    if own is not None and wanted is not None and own != mm_in(wanted):
        raise InputError(
            f"{path}: its positions are in {axis.unit}, and unit says {wanted}; leave unit out"
        )
    if own is None and wanted is None:
        what = f"in {axis.unit!r}, no unit of length" if axis.unit else "in no unit that is said"
        raise InputError(
            f"{path}: its positions{f' ({axis.name})' if axis.name else ''} are {what}; set unit "
            "(m, cm, mm, um, nm), or pixel_size (mm) where they count pixels"
        )
    return axis.in_mm() if own is not None else replace(axis, unit=wanted or "").in_mm()


def edges_of(path: Path, axis: Axis, n: int) -> Array:
    """[n + 1], from n positions or as many edges, rising or falling, in the axis' unit."""
    values = axis.values
    if not np.isfinite(values).all():
        raise InputError(f"{path}: a position is no finite number; mend or remove its line")
    if (np.diff(values) <= 0).any() and (np.diff(values) >= 0).any():
        raise InputError(f"{path}: its positions neither rise nor fall all along; sort them")
    if len(values) not in (n, n + 1):
        raise InputError(
            f"{path}: has {len(values)} positions for {n} readings; give one for each, or the "
            "edges between them"
        )
    if why := axis.odd(n):
        raise InputError(f"{path}: its positions ({axis.name}), by their name, {why}")
    return values.copy() if len(values) == n + 1 else edges_between(values)


def placed(path: Path, measured: Measured, reading: Reading) -> tuple[Edges, tuple[str, ...]]:
    """[columns + 1], [rows + 1] of a whole upright image, as it is stored, and how they are known.

    Raises:
        InputError: nothing says how large its pixels are, or its axes cannot be understood.
    """
    sides, told = measured.values.shape[::-1], tuple[str, ...]()  # along x, along y
    if measured.axes is None:
        pixel = reading.pixel_size or measured.pixel
        if pixel is None:
            raise InputError(
                f"{path}: is an image, and nothing says how large its pixels are; set pixel_size "
                "(mm)"
            )
        whole = (_plain(sides[0], pixel[0]), -_plain(sides[1], pixel[1]))
        where = "the middle of the frame"
        if reading.origin is not None:
            raise InputError(f"{path}: has no positions, so origin (mm) means nothing; set centre")
    else:
        whole, told = _told_edges(path, measured, reading, sides)
        where = "where its axes are 0"
    x, y = whole
    if reading.origin is not None:
        if reading.pixel_size is None:
            x, y = x - reading.origin[0], y - reading.origin[1]
        where = f"{reading.origin[0]:g}, {reading.origin[1]:g} mm of its own positions (origin)"
    if reading.centre is not None:
        x, y = (centred(edges, at) for edges, at in zip((x, y), reading.centre, strict=True))
        where = "where centre says"
    return (x, y), (*told, _said(x, y, where))


def _plain(n: int, pixel: float) -> Array:
    return np.asarray((np.arange(n + 1) - n / 2) * pixel, np.float64)


def centred(edges: Array, pixel: float) -> Array:
    """With 0 in the middle of a pixel."""
    return edges - np.interp(pixel + 0.5, np.arange(len(edges)), edges)


def zero_of(edges: Array) -> float:
    """The pixel in which a side's 0 lies, from 0 in the first's middle; also beyond its ends."""
    step = (edges[-1] - edges[0]) / (len(edges) - 1)
    rising = edges if step > 0 else edges[::-1]
    if rising[0] <= 0 <= rising[-1]:
        at = float(np.interp(0.0, rising, np.arange(len(edges))))
        return (at if step > 0 else len(edges) - 1 - at) - 0.5
    return float(-edges[0] / step) - 0.5


def _said(x: Array, y: Array, where: str) -> str:
    return (
        f"The optical axis is {where}: pixel x = {zero_of(x):.1f}, y = {zero_of(y):.1f}, counted "
        "from the upper left corner of the whole frame."
    )


def _told_edges(
    path: Path, measured: Measured, reading: Reading, sides: tuple[int, ...]
) -> tuple[Edges, tuple[str, ...]]:
    """By the file's axes; a pixel's size that is given keeps their direction and their 0."""
    assert measured.axes is not None
    across, down = measured.axes
    names = f"{across.name or 'unnamed'} along its rows, {down.name or 'unnamed'} down"
    if reading.pixel_size is None:
        x, y = (
            edges_of(path, lengths(path, axis, reading), n)
            for axis, n in zip(measured.axes, sides, strict=True)
        )
        return (x, y), (f"Its own axes say where its pixels lie ({names}).",)
    x, y = (
        scaled(path, axis, n, reading, side)
        for side, (axis, n) in enumerate(zip(measured.axes, sides, strict=True))
    )
    return (x, y), (f"Its own axes ({names}) say directions and place, pixel_size the size.",)


def scaled(path: Path, axis: Axis, n: int, reading: Reading, side: int) -> Array:
    """[n + 1]: even edges of steps of pixel_size, mm; direction and optical axis stay the axis'.

    Of positions in pixels, the optical axis is in the middle.

    Raises:
        InputError: uneven steps; an origin where the positions are in no length.
    """
    own = edges_of(path, axis, n)
    assert reading.pixel_size is not None
    if not axis.even:
        raise InputError(f"{path}: its axis {axis.name} has uneven steps; leave pixel_size out")
    if reading.origin is None:
        at = n / 2 - 0.5 if axis.in_pixels else zero_of(own)
    elif axis.in_pixels:
        raise InputError(
            f"{path}: its positions are in pixels, so origin (mm) means nothing; set centre"
        )
    else:
        at = zero_of(edges_of(path, lengths(path, axis, reading), n) - reading.origin[side])
    return np.sign(own[-1] - own[0]) * (np.arange(n + 1) - at - 0.5) * reading.pixel_size[side]
