"""Readings along a line: where they lie, and how many counts that makes of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.observations.axes import Axis
from raybayes.observations.measured import Measured
from raybayes.observations.options import Reading
from raybayes.observations.places import centred, edges_of, lengths, scaled, zero_of

FINE = 16  # cells of a bin, onto which uneven readings are interpolated
GAP = 3.0  # bins that may lie between two readings of an uneven scan
FWHM = 2.3548  # of a Gaussian of sd 1
EDGE_LIKE = 0.5  # of all differences' sum, the net rise from which readings look like a knife's
ENDS = 10  # a share of 1 / ENDS of the readings is one end


@dataclass(frozen=True)
class Line:
    """Counts along a line.

    Attributes:
        values: [n], counts.
        edges: [n + 1], mm from the optical axis, rising or falling; None where nothing says it.
        told: sentences.
    """

    values: Array
    edges: Array | None
    told: tuple[str, ...]


def lined(path: Path, measured: Measured, reading: Reading, side: int, wanted: Array) -> Line:
    """The counts of a profile or a scan, and where they lie.

    Args:
        side: 0 where it lies along x, 1 along y.
        wanted: [m + 1], the edges of the study's bins there, mm.

    Raises:
        InputError: positions that cannot be understood; readings that look like a knife's edge.
    """
    values, axis = measured.values, measured.axes[0] if measured.axes else None
    if reading.bin_by_bin:
        aside = ("Its positions are left aside (bin_by_bin).",) if axis else ()
        return Line(values, None, aside)
    if axis is None:
        return _unplaced(path, values, reading, side)
    if axis.in_pixels or reading.pixel_size is not None:
        return _pixels(path, values, axis, reading, side)
    axis = lengths(path, axis, reading)
    bin_width = float(np.diff(wanted).mean()) if len(wanted) > 1 else np.inf
    line = _scanned(path, values, axis, reading, bin_width)
    assert line.edges is not None
    if reading.origin is not None:
        edges, where = line.edges - reading.origin[side], f"{reading.origin[side]:g} mm (origin)"
    elif reading.centre is not None:
        number = reading.centre[side] + (len(axis.values) - len(values)) / 2  # between edges
        at = float(np.interp(number, np.arange(len(axis.values)), axis.values))
        edges, where = line.edges - at, f"{at:g} mm (reading {reading.centre[side]:g}, centre)"
    else:
        edges, where = line.edges, "0 of its positions"
    line = Line(line.values, edges, (*line.told, f"The optical axis is at {where}."))
    return _reaching(line, wanted) if reading.probe == "knife" or not axis.even else line


def _reaching(line: Line, wanted: Array) -> Line:
    """Up to the study's last bins where less than one is missing, at the density of the end."""
    values, edges = line.values, line.edges
    if edges is None or len(wanted) < 2:
        return line
    if edges[0] > edges[-1]:
        values, edges = values[::-1], edges[::-1]
    bin_width, told = wanted[1] - wanted[0], line.told
    for end, missing in ((0, edges[0] - wanted[0]), (-1, wanted[-1] - edges[-1])):
        if 0 < missing <= bin_width:
            density = values[end] / abs(np.diff(edges)[end])
            at = 0 if end == 0 else len(values)
            values = np.insert(values, at, missing * density)
            edges = np.insert(edges, 0 if end == 0 else len(edges), wanted[end])
            told = (*told, f"Extended by {1e3 * missing:.3g} um to the study's last bin.")
    return Line(values, edges, told)


def _unplaced(path: Path, values: Array, reading: Reading, side: int) -> Line:
    """By the pixel's size that is given, or not at all."""
    if reading.origin is not None:
        raise InputError(
            f"{path}: has no positions, so origin (mm) means nothing; set centre, or bin_by_bin"
        )
    if reading.pixel_size is None and reading.centre is not None:
        raise InputError(
            f"{path}: has no positions, so centre needs pixel_size (mm); set it, or bin_by_bin"
        )
    if reading.pixel_size is None:
        return Line(values, None, ())
    middle = len(values) / 2 if reading.centre is None else reading.centre[side] + 0.5
    edges = np.asarray((np.arange(len(values) + 1) - middle) * reading.pixel_size[side], np.float64)
    where = "in the middle" if reading.centre is None else "where centre says"
    return Line(values, edges, (f"The optical axis is {where}: pixel {middle - 0.5:.1f}.",))


def _pixels(path: Path, values: Array, axis: Axis, reading: Reading, side: int) -> Line:
    """Positions that count pixels, or whose step is replaced: direction and 0 stay."""
    if reading.pixel_size is None:
        raise InputError(f"{path}: its positions are in pixels; set pixel_size (mm), or bin_by_bin")
    edges = scaled(path, axis, len(values), reading, side)
    if reading.centre is not None:
        edges = centred(edges, reading.centre[side])
    told = f"Steps of pixel_size; the optical axis is at reading {zero_of(edges):.1f}, from 0."
    return Line(values, edges, (told,))


def _scanned(path: Path, values: Array, axis: Axis, reading: Reading, bin_width: float) -> Line:
    if len(axis.values) == len(values) + 1:  # edges: a histogram
        return Line(values, edges_of(path, axis, len(values)), ())
    if len(axis.values) != len(values):
        edges_of(path, axis, len(values))
    if not np.isfinite(axis.values).all():
        raise InputError(f"{path}: a position is no finite number; mend or remove its line")
    places, values, told = _sorted(path, axis.values, values)
    axis = Axis(places, axis.name, axis.unit)
    if reading.probe == "knife":
        return _differentiated(path, places, values, reading, told)
    if reading.probe is None:
        _no_knife(path, values)
    if len(places) > 1 and axis.even and reading.slit is None:
        return Line(values, edges_of(path, axis, len(values)), told)
    return _interpolated(path, axis, values, reading, bin_width, told)


def _one_place(last: Array, others: Array) -> bool:
    """Whether the last positions are one that stands between the others, as of empty rows."""
    inside = others.min() < last[0] < others.max() if len(last) else False
    return bool(inside) and bool((last == last[0]).all())


def _sorted(path: Path, places: Array, values: Array) -> tuple[Array, Array, tuple[str, ...]]:
    """Rising or falling; readings at one place become their mean."""
    steps = np.diff(places)
    if (steps > 0).all() or (steps < 0).all():
        return places, values, ()
    rising = np.sign(np.median(steps)) * steps > 0
    ends = len(steps) - int(rising[::-1].argmax())  # the steps up to the last that goes on
    if rising[:ends].all() and rising.any() and _one_place(places[ends + 1 :], places[: ends + 1]):
        raise InputError(
            f"{path}: its last row ({places[-1]:g}) goes back, after positions in one order; "
            "remove it, if it is no reading"
        )
    found, first = np.unique(places, return_inverse=True)
    means = np.bincount(first, values) / np.bincount(first)
    told = []
    if not ((steps >= 0).all() or (steps <= 0).all()):
        told.append("Sorted by position.")
    if len(found) < len(places):
        told.append(f"{len(places) - len(found)} repeated readings merged into means.")
    return found, means, tuple(told)


def _no_knife(path: Path, values: Array) -> None:
    """Refuses readings that go from one level to another, as behind an edge."""
    end = max(len(values) // ENDS, 1)
    first, last = np.median(values[:end]), np.median(values[-end:])
    if abs(last - first) > EDGE_LIKE * np.ptp(values) and len(values) > 2 * ENDS:
        raise InputError(
            f"{path}: its readings go from {first:.4g} at one end to {last:.4g} at the other, as "
            'behind a knife\'s edge; set probe to "knife", or to "slit" if the beam is cut there'
        )


def _differentiated(
    path: Path, places: Array, values: Array, reading: Reading, told: tuple[str, ...]
) -> Line:
    """What has come between two places of the edge; readings are where bins meet."""
    if len(places) < 3:
        raise InputError(f"{path}: has {len(places)} readings of a knife's edge; give more")
    step = float(np.abs(np.diff(places)).mean())
    over = f"over steps of {1e3 * step:.4g} um"
    if reading.smoothing is not None:
        if not Axis(places).even:
            raise InputError(
                f"{path}: smoothing needs even steps of the knife's edge; leave it out"
            )
        from scipy.ndimage import gaussian_filter1d  # slow to load, and seldom needed

        values = gaussian_filter1d(values, reading.smoothing / FWHM / step, mode="nearest")
        over = f"after smoothing by a Gaussian of {1e3 * reading.smoothing:.4g} um FWHM"
    counts = np.diff(values)
    falls = counts.sum() < 0
    way = "falling" if falls else "rising"
    sentence = f"A {way} knife's edge, differentiated {over}."
    return Line(-counts if falls else counts, places, (*told, sentence))


def _interpolated(
    path: Path, axis: Axis, values: Array, reading: Reading, bin_width: float, told: tuple[str, ...]
) -> Line:
    """Readings of a slit of one width, as density along the line, times the width of fine cells."""
    places = axis.values if axis.values[0] <= axis.values[-1] else axis.values[::-1]
    values = values if axis.values[0] <= axis.values[-1] else values[::-1]
    if len(places) < 2:
        raise InputError(f"{path}: has one reading; give a whole scan")
    steps = np.diff(places)
    if steps.mean() > 1.01 * bin_width or steps.max() > GAP * bin_width:
        raise InputError(
            f"{path}: its readings are {1e3 * steps.mean():.4g} um apart on average and "
            f"{1e3 * steps.max():.4g} um at most, too coarse for the study's bins of "
            f"{1e3 * bin_width:.4g} um; scan finer, or train a study with wider bins"
        )
    slit = reading.slit or bin_width
    whose = "slit" if reading.slit else "a bin of the study; set slit to its width"
    half = steps.mean() / 2
    n = int(np.ceil((places[-1] - places[0] + 2 * half) / bin_width * FINE))
    edges = np.linspace(places[0] - half, places[-1] + half, n + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    counts = np.interp(middles, places, values) * np.diff(edges) / slit
    uneven = (
        "" if axis.even else f"Steps from {1e3 * steps.min():.3g} to {1e3 * steps.max():.3g} um. "
    )
    sentence = (
        f"{uneven}Each reading is that of a slit {1e3 * slit:.4g} um wide ({whose}); between them "
        "the density is interpolated."
    )
    return Line(counts, edges, (*told, sentence))
