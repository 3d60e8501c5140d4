"""What is done to a frame or a profile before it is binned, each step with its sentence."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import convolve, median_filter

from raybayes.array_types import Array, Bools
from raybayes.errors import InputError
from raybayes.observations.bins import edges_between
from raybayes.observations.files import read_file
from raybayes.observations.measured import Measured
from raybayes.observations.options import Reading

BORDER = 0.05  # of an image's width, on each side, where there should be no beam
NORMAL = 1.4826  # standard deviation / median absolute deviation


@dataclass(frozen=True)
class Frame:
    """Readings, where they lie, and what was done to them.

    Attributes:
        values: [n] or [rows, columns], rows from below.
        edges: of a profile (None where nothing says where it lies), or of the columns and of the
            rows of an image, from the left and from below in the file; mm, rising or falling.
        done: sentences.
        subtracted: whether a background was.
    """

    values: Array
    edges: tuple[Array | None, ...]
    done: tuple[str, ...] = ()
    subtracted: bool = False

    def after(self, sentence: str, values: Array) -> "Frame":
        """With other values, and a sentence that says what was done."""
        return replace(self, values=values, done=(*self.done, sentence))


def read_frame(path: Path, reading: Reading, folder: Path, axis: int = 0) -> Frame:
    """One file, cut, cleaned and turned as the options say.

    axis: that a profile lies along: 0 is horizontal, 1 vertical.
    """
    measured = read_file(path, reading)
    values, corner = _cut(path, measured.values, reading)
    _finite(path, values, corner)
    over = _saturated(values, measured, reading)
    if reading.hot is None:
        _unsaturated(path, values, over, corner)
    _beam(path, values)
    edges = _edges(path, measured, values, corner, reading, axis)
    frame = Frame(values, edges, _told(path, values))
    if measured.axes is not None and values.ndim == 2:
        where = "Its own axes say where its pixels lie."
        frame = frame.after(
            where if reading.pixel_size is None else "Its own axes are left aside for pixel_size.",
            values,
        )
    if reading.roi is not None:
        frame = frame.after(f"Cut to {_size(values)} pixels at {list(corner)}.", values)
    frame = _without_dark(frame, path, reading, folder, measured.values.shape)
    if reading.hot is not None:
        frame, hot = _mended(frame, path, reading.hot, reading.gain)
        alone = convolve(over.astype(int), np.ones((3, 3), int), mode="constant") == 1
        _unsaturated(path, values, over & ~(hot & alone), corner)
    frame = _without_background(frame, reading)
    if reading.gain != 1:
        frame = frame.after(f"Multiplied by {reading.gain:g} counts per unit.",
                            reading.gain * frame.values)  # fmt: skip
    return turned(frame, reading) if values.ndim == 2 else frame


def _told(path: Path, values: Array) -> tuple[str, ...]:
    what = f"image of {_size(values)} pixels" if values.ndim == 2 else f"profile of {len(values)}"
    return (f"Read {path.name}: {what}.",)


def _size(values: Array) -> str:
    return f"{values.shape[1]} x {values.shape[0]}"


def _cut(path: Path, values: Array, reading: Reading) -> tuple[Array, tuple[int, int]]:
    """The region of interest, and its left and top."""
    if reading.roi is None:
        return values, (0, 0)
    if values.ndim != 2:
        raise InputError(f"{path}: is a profile, and roi cuts images; leave roi out")
    left, top, width, height = reading.roi
    rows, columns = values.shape
    if (
        min(left, top) < 0
        or min(width, height) < 1
        or left + width > columns
        or top + height > rows
    ):
        raise InputError(
            f"{path}: roi {list(reading.roi)} (left, top, width, height) does not lie in the "
            f"image of {columns} x {rows} pixels"
        )
    return values[top : top + height, left : left + width], (left, top)


def _saturated(values: Array, measured: Measured, reading: Reading) -> Bools:
    """Where the beam is brighter than the camera can measure."""
    ceiling = measured.ceiling if reading.saturation is None else reading.saturation
    return values >= (np.inf if ceiling is None else ceiling)


def _unsaturated(path: Path, values: Array, over: Bools, corner: tuple[int, int]) -> None:
    if over.any():
        raise InputError(
            f"{path}: {_where(over, corner)} saturated (at {values[over].min():g}); measure with "
            "less light or a shorter exposure"
        )


def _finite(path: Path, values: Array, corner: tuple[int, int]) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        raise InputError(f"{path}: {_where(bad, corner)} no finite number; mend or cut them out")


def _beam(path: Path, values: Array) -> None:
    if np.ptp(values) == 0 and values.size > 1:
        raise InputError(f"{path}: every reading is {values.flat[0]:g}: there is no beam in it")


def _where(bad: Bools, corner: tuple[int, int]) -> str:
    places = np.argwhere(bad)
    first = [int(i) for i in places[0]]
    at = (
        f"number {first[0] + 1}"
        if len(first) == 1
        else f"pixel x = {first[1] + corner[0]}, y = {first[0] + corner[1]}"
    )
    if len(places) == 1:
        return f"{at} is"
    return f"{len(places)} readings, the first at {at}, are"


def _edges(
    path: Path,
    measured: Measured,
    values: Array,
    corner: tuple[int, int],
    reading: Reading,
    axis: int,
) -> tuple[Array | None, ...]:
    """mm from the optical axis: of a profile's bins, or of an image's columns and rows."""
    if measured.axes is not None and reading.pixel_size is None:
        return _told_edges(path, measured, values, corner, reading)
    pixel = reading.pixel_size or measured.pixel
    if values.ndim == 1:
        if pixel is None:
            return (None,)
        middle = len(values) / 2 if reading.centre is None else reading.centre[axis] + 0.5
        return (np.asarray((np.arange(len(values) + 1) - middle) * pixel[axis], np.float64),)
    if pixel is None:
        raise InputError(
            f"{path}: is an image, and nothing says how large its pixels are; set pixel_size (mm)"
        )
    rows, columns = values.shape
    x, y = columns / 2, rows / 2
    if reading.centre is not None:
        x, y = reading.centre[0] - corner[0] + 0.5, reading.centre[1] - corner[1] + 0.5
    from_below = np.arange(rows + 1) - (rows - y)
    return ((np.arange(columns + 1) - x) * pixel[0], from_below * pixel[1])


def _told_edges(
    path: Path, measured: Measured, values: Array, corner: tuple[int, int], reading: Reading
) -> tuple[Array, ...]:
    """As the file's own axes say, which a centre shifts."""
    assert measured.axes is not None
    shape = measured.values.shape[::-1]  # along x, along y
    edges = [_axis_edges(path, a, n) for a, n in zip(measured.axes, shape, strict=True)]
    if values.ndim == 1:
        return (edges[0],)
    for along, pixel in zip(edges, reading.centre or (), strict=False):
        along -= np.interp(pixel + 0.5, np.arange(len(along)), along)
    (rows, columns), (left, top) = values.shape, corner
    return edges[0][left : left + columns + 1], edges[1][top : top + rows + 1][::-1]


def _axis_edges(path: Path, axis: Array, n: int) -> Array:
    """[n + 1], from n positions or as many edges."""
    if not np.isfinite(axis).all():
        raise InputError(f"{path}: a position is no finite number; mend or remove its line")
    if (np.diff(axis) <= 0).any() and (np.diff(axis) >= 0).any():
        raise InputError(f"{path}: its positions neither rise nor fall all along; sort them")
    if len(axis) not in (n, n + 1):
        raise InputError(
            f"{path}: has {len(axis)} positions for {n} readings; give one for each, or the edges "
            "between them"
        )
    return axis.copy() if len(axis) == n + 1 else edges_between(axis)


def _without_dark(
    frame: Frame, path: Path, reading: Reading, folder: Path, shape: tuple[int, ...]
) -> Frame:
    if reading.dark is None:
        return frame
    dark_path = folder / reading.dark
    dark = read_file(dark_path, reading).values
    if dark.shape != shape:
        raise InputError(
            f"{dark_path}: the dark frame has the shape {dark.shape}, but {path.name} {shape}; "
            "give one of the same camera"
        )
    cut, corner = _cut(dark_path, dark, reading)
    bad = ~np.isfinite(cut)
    if bad.any():
        raise InputError(f"{dark_path}: {_where(bad, corner)} no finite number; give another")
    return frame.after(
        f"Dark frame {dark_path.name} subtracted (its mean: {cut.mean():.3g}).", frame.values - cut
    )


def _mended(frame: Frame, path: Path, limit: float, gain: float) -> tuple[Frame, Bools]:
    """Without hot pixels, far over the median around, which takes their place; and where."""
    if frame.values.ndim != 2:
        raise InputError(f"{path}: is a profile, and hot mends images; leave hot out")
    around = median_filter(frame.values, size=3, mode="nearest")
    over = frame.values - around
    # Read noise from the dark parts; where there is light, its own noise.
    noise = NORMAL * np.median(np.abs(over - np.median(over))) or 1.0
    hot = over > limit * np.sqrt(noise**2 + np.maximum(around, 0) / gain)
    count = int(hot.sum())
    which = f"{count} hot pixel{'s' if count != 1 else ''}" if count else "No hot pixel"
    mended = np.where(hot, around, frame.values)
    return frame.after(f"{which} replaced by the median around.", mended), hot


def _without_background(frame: Frame, reading: Reading) -> Frame:
    if reading.background == "none":
        return frame
    if reading.background == "edge":
        level, source = float(np.median(_border(frame.values))), "the median of the border"
    else:
        level, source = float(reading.background), "as given"
    cleared = frame.after(f"Background {level:.4g} ({source}) subtracted.", frame.values - level)
    return replace(cleared, subtracted=True)


def _border(values: Array) -> Array:
    inside = np.ones(values.shape, bool)
    widths = [max(1, round(BORDER * n)) for n in values.shape]
    inside[tuple(slice(w, n - w) for w, n in zip(widths, values.shape, strict=True))] = False
    return values[inside]


def turned(frame: Frame, reading: Reading) -> Frame:
    """Rows from below, turned and mirrored about the optical axis."""
    values, (x, y) = frame.values[::-1], frame.edges
    assert x is not None and y is not None
    if x[0] > x[-1]:
        values, x = values[:, ::-1], x[::-1]
    if y[0] > y[-1]:
        values, y = values[::-1], y[::-1]
    for _ in range(reading.rotate // 90):  # (x, y) -> (-y, x)
        values, x, y = values.T[:, ::-1], -y[::-1], x
    if reading.flip == "horizontal":
        values, x = values[:, ::-1], -x[::-1]
    if reading.flip == "vertical":
        values, y = values[::-1], -y[::-1]
    done = frame.done
    if reading.rotate:
        done = (*done, f"Turned by {reading.rotate} degrees counter-clockwise.")
    if reading.flip != "none":
        done = (*done, f"Mirrored, {reading.flip}.")
    return replace(frame, values=values, edges=(x, y), done=done)
