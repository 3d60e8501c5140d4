"""What is done to a frame or a profile before it is binned, each step with its sentence."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raybayes.array_types import Array, Bools
from raybayes.errors import InputError
from raybayes.observations.masks import dead_lines, filled
from raybayes.observations.measured import Measured
from raybayes.observations.options import Reading, Target
from raybayes.observations.places import placed, upright
from raybayes.observations.scans import lined
from raybayes.observations.soundness import beam, finite, light, saturated, unsaturated, where

BORDER = 0.05  # of an image's width, on each side, where there should be no beam
LEVELS = 32  # values of a mask: a detector's says why, in bits
NORMAL = 1.4826  # standard deviation / median absolute deviation
SIDES = ("horizontal", "vertical")

Load = Callable[[Path, Reading], tuple[Measured, ...]]


@dataclass(frozen=True)
class Frame:
    """Readings, where they lie, and what was done to them.

    Attributes:
        values: [n] or [rows, columns], rows from below.
        edges: of a profile (None where nothing says where it lies), or of the columns and of the
            rows of an image, from the left and from below; mm.
        done: sentences.
        subtracted: whether a background was.
        bad: [as values], where there is no reading; None for nowhere.
        raw: what stood in the file, before anything was done.
        whole: the whole frame before a region of interest was cut, as it lies at the beam; None
            for a profile.
    """

    values: Array
    edges: tuple[Array | None, ...]
    done: tuple[str, ...] = ()
    subtracted: bool = False
    bad: Bools | None = None
    raw: Array | None = None
    whole: "Frame | None" = None

    def after(self, sentence: str, values: Array) -> "Frame":
        """With other values, and a sentence that says what was done."""
        return replace(self, values=values, done=(*self.done, sentence))


@dataclass(frozen=True)
class Source:
    """Where files come from: how one is read, how, and the folder of relative paths."""

    load: Load
    reading: Reading
    folder: Path


def frame_of(path: Path, measured: Measured, source: Source, target: Target, side: int) -> Frame:
    """One profile or image, cut, cleaned and turned as the options say.

    Args:
        side: that a profile lies along: 0 is horizontal, 1 vertical.

    Raises:
        InputError: it cannot be used; what, where, what to do.
    """
    measured = upright(path, measured)
    if measured.values.ndim == 1:
        return _profile(path, measured, source, target, side)
    return _image(path, measured, source, bool(target.gaps))


def _profile(path: Path, measured: Measured, source: Source, target: Target, side: int) -> Frame:
    reading, values = source.reading, measured.values
    _meant(path, reading, OF_IMAGES, "a profile")
    bad = _unread(path, measured, target)
    if bad is not None:  # what stands there counts for nothing, but must not disturb the rest
        places = np.arange(len(values))
        values = np.interp(places, places[~bad], values[~bad])
    unsaturated(path, values, saturated(values, measured, reading), (0, 0))
    beam(path, values)
    lost = () if bad is None else (f"{bad.sum()} of its readings are none.",)
    told = (f"Read {path.name}: profile of {len(values)}.", *measured.told, *lost)
    frame = Frame(values, (None,), told, bad=bad, raw=measured.values)
    frame = _without_dark(frame, path, source, values.shape, (0, 0))
    frame = _without_background(frame, reading)
    line = lined(path, replace(measured, values=frame.values), reading, side, target.edges[side])
    edges = line.edges
    if bad is not None:
        _in_place(path, measured, reading, len(line.values))
    frame = replace(
        frame, values=line.values, edges=(edges,), done=(*frame.done, *line.told),
        subtracted=frame.subtracted or reading.probe == "knife",  # by the differences
    )  # fmt: skip
    frame = _amplified(frame, reading)
    light(path, frame.values)
    if side == 0 and reading.seen == "downstream":
        mirrored = None if edges is None else -edges[::-1]
        bad = None if bad is None else bad[::-1]
        return replace(frame, values=frame.values[::-1], edges=(mirrored,), bad=bad,
                       done=(*frame.done, SEEN))  # fmt: skip
    return frame


def _unread(path: Path, measured: Measured, target: Target) -> Bools | None:
    """[n], where a profile has no reading; None for nowhere.

    Raises:
        InputError: somewhere, where the study cannot use such a profile; or everywhere.
    """
    bad = ~np.isfinite(measured.values)
    bad = bad if measured.bad is None else bad | measured.bad
    if bad.any() and not target.gaps:
        lines = "remove the lines without one, or " if measured.axes else ""
        raise InputError(
            f"{path}: {where(bad, (0, 0))} no finite number, or a code for none; {lines}{GAPS}"
        )
    if bad.all():
        raise InputError(f"{path}: no reading is a finite number")
    return bad if bad.any() else None


def _in_place(path: Path, measured: Measured, reading: Reading, n: int) -> None:
    """Refuses a profile with gaps whose readings have been moved or merged."""
    steps = np.diff(measured.axes[0].values) if measured.axes else np.ones(1)
    if reading.probe == "knife" or n != len(measured.values) or not _one_way(steps):
        raise InputError(
            f"{path}: some readings are no numbers, and its positions are not even; remove the "
            "lines of these readings, so that the scan is interpolated between the others"
        )


def _one_way(steps: Array) -> bool:
    return bool((steps > 0).all() or (steps < 0).all())


# What to do where bins have no reading.
GAPS = "set gaps = 0.3 in the study and train it again, so that its network knows such data"

# Keys of [observation] that are of images alone, with what they do; and of scans.
OF_IMAGES = {"roi": "cuts images", "hot": "mends images", "mask": "is of images",
             "rotate": "turns images", "flip": "mirrors images"}  # fmt: skip
OF_PROFILES = {"bin_by_bin": "is of profiles", "probe": "is of scans", "slit": "is of scans",
               "smoothing": "is of scans"}  # fmt: skip


def _meant(path: Path, reading: Reading, keys: dict[str, str], what: str) -> None:
    """Refuses an option that would be left aside."""
    plain = Reading()
    for key, does in keys.items():
        if getattr(reading, key) != getattr(plain, key):
            raise InputError(f"{path}: is {what}, and {key} {does}; leave {key} out")


SEEN = "Mirrored: it was seen as the beam goes (downstream)."


def _image(path: Path, measured: Measured, source: Source, gaps: bool) -> Frame:
    reading = source.reading
    if gaps:  # elsewhere a pixel that is no number is refused
        lost = np.isnan(measured.values)
        lost = lost if measured.bad is None else lost | measured.bad
        measured = replace(measured, values=np.where(lost, 0.0, measured.values), bad=lost)
    _meant(path, reading, OF_PROFILES, "an image")
    values, corner = _cut(path, measured.values, reading)
    bad, told = _masked(path, measured, source)
    bad = bad[corner[1] : corner[1] + len(values), corner[0] : corner[0] + values.shape[1]]
    finite(path, np.where(bad, 0.0, values), corner)
    over = saturated(values, measured, reading) & ~bad
    if reading.hot is None:
        unsaturated(path, values, over, corner)
    beam(path, values[~bad])
    edges, where = placed(path, measured, reading)
    frame = Frame(
        values,
        _cut_edges(edges, corner, values),
        (f"Read {path.name}: image of {_size(measured.values)} pixels.", *measured.told, *told,
         *where, *dead_lines(values, bad)),
        raw=measured.values,
    )  # fmt: skip
    if reading.roi is not None:
        frame = frame.after(f"Cut to {_size(values)} pixels at {list(corner)}.", values)
    frame = _without_dark(frame, path, source, measured.values.shape, corner)
    mended, bad, told = filled(frame.values, bad)
    frame = replace(frame, values=mended, bad=bad, done=(*frame.done, *told))
    if reading.hot is not None:
        frame, hot = _mended(frame, reading.hot, reading.gain)
        from scipy.ndimage import convolve  # slow to load, and seldom needed

        alone = convolve(over.astype(int), np.ones((3, 3), int), mode="constant") == 1
        unsaturated(path, values, over & ~(hot & alone), corner)
    whole = turned(Frame(measured.values, edges), reading)
    frame = replace(_amplified(_without_background(frame, reading), reading), whole=whole)
    light(path, frame.values)
    return turned(frame, reading)


def _size(values: Array) -> str:
    return f"{values.shape[1]} x {values.shape[0]}"


def _cut(path: Path, values: Array, reading: Reading) -> tuple[Array, tuple[int, int]]:
    """The region of interest, and its left and top."""
    if reading.roi is None:
        return values, (0, 0)
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


def _cut_edges(
    edges: tuple[Array, Array], corner: tuple[int, int], values: Array
) -> tuple[Array, Array]:
    """Of the region of interest; the optical axis stays that of the whole frame."""
    (x, y), (left, top), (rows, columns) = edges, corner, values.shape
    return x[left : left + columns + 1], y[top : top + rows + 1]


def _masked(path: Path, measured: Measured, source: Source) -> tuple[Bools, tuple[str, ...]]:
    """[rows, columns] of the whole frame: no reading, by the file or by the mask that is given."""
    shape, name = measured.values.shape, source.reading.mask
    bad = np.zeros(shape, bool) if measured.bad is None else measured.bad
    if name is None:
        return bad, ()
    mask_path = source.folder / name
    mask = upright(mask_path, _only(mask_path, source)).values
    if mask.shape != shape:
        raise InputError(
            f"{mask_path}: the mask has the shape {mask.shape}, but {path.name} {shape}; give one "
            "of the same camera"
        )
    if len(np.unique(mask)) > LEVELS:
        raise InputError(
            f"{mask_path}: has {len(np.unique(mask))} different values, as a picture has and no "
            "mask; give one that is 0 where there is a reading"
        )
    masked = mask != 0
    return bad | masked, (f"{int(masked.sum())} pixels are masked by {mask_path.name}.",)


def beside(reading: Reading) -> Reading:
    """How a dark frame or a mask is read: the mean of all, where a file holds several."""
    return Reading(dataset=reading.dataset, frame="mean", columns=reading.columns)


def _only(path: Path, source: Source) -> Measured:
    found = source.load(path, beside(source.reading))
    if len(found) != 1:
        raise InputError(f"{path}: holds two profiles; give one")
    return found[0]


def _without_dark(
    frame: Frame, path: Path, source: Source, shape: tuple[int, ...], corner: tuple[int, int]
) -> Frame:
    if source.reading.dark is None:
        return frame
    dark_path = source.folder / source.reading.dark
    dark = upright(dark_path, _only(dark_path, source)).values
    if dark.shape != shape or (frame.values.ndim == 1 and len(frame.values) != len(dark)):
        raise InputError(
            f"{dark_path}: the dark frame has the shape {dark.shape}, but {path.name} {shape}; "
            "give one of the same camera"
        )
    cut = dark
    if dark.ndim == 2:
        (left, top), (rows, columns) = corner, frame.values.shape
        cut = dark[top : top + rows, left : left + columns]
    bad = ~np.isfinite(cut)
    if bad.any():
        raise InputError(f"{dark_path}: {where(bad, corner)} no finite number; give another")
    cleared = frame.after(
        f"Dark frame {dark_path.name} subtracted (its mean: {cut.mean():.3g}).", frame.values - cut
    )
    return replace(cleared, subtracted=True)


def _mended(frame: Frame, limit: float, gain: float) -> tuple[Frame, Bools]:
    """Without hot pixels, far over the median around, which takes their place; and where."""
    from scipy.ndimage import median_filter

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
        level, source = float(np.median(_border(frame))), "the median of the border"
    else:
        level, source = float(reading.background), "as given"
    cleared = frame.after(f"Background {level:.4g} ({source}) subtracted.", frame.values - level)
    return replace(cleared, subtracted=True)


def _border(frame: Frame) -> Array:
    shape: tuple[int, ...] = frame.values.shape
    inside = np.ones(shape, bool)
    widths = [max(1, round(BORDER * n)) for n in shape]
    inside[tuple(slice(w, n - w) for w, n in zip(widths, shape, strict=True))] = False
    return frame.values[inside if frame.bad is None else inside & ~frame.bad]


def _amplified(frame: Frame, reading: Reading) -> Frame:
    if reading.gain == 1:
        return frame
    sentence = f"Multiplied by {reading.gain:g} counts per unit."
    return frame.after(sentence, reading.gain * frame.values)


def _ascending(frame: Frame) -> Frame:
    """Columns from the left and rows from below."""
    x, y = frame.edges
    assert x is not None and y is not None
    down, across = (-1 if edges[0] > edges[-1] else 1 for edges in (y, x))
    values: Array = frame.values[::down, ::across]
    bad: Bools | None = None if frame.bad is None else frame.bad[::down, ::across]
    return replace(frame, values=values, edges=(x[::across], y[::down]), bad=bad)


def turned(frame: Frame, reading: Reading) -> Frame:
    """Rows from below and columns from the left, turned and mirrored about the optical axis."""
    frame = _ascending(frame)
    pictures: list[NDArray] = [frame.values, *([] if frame.bad is None else [frame.bad])]
    x, y = frame.edges
    assert x is not None and y is not None
    for _ in range(reading.rotate // 90):  # (x, y) -> (-y, x)
        pictures, x, y = [picture.T[:, ::-1] for picture in pictures], -y[::-1], x
    if (reading.flip == "horizontal") != (reading.seen == "downstream"):
        pictures, x = [picture[:, ::-1] for picture in pictures], -x[::-1]
    if reading.flip == "vertical":
        pictures, y = [picture[::-1] for picture in pictures], -y[::-1]
    done = frame.done
    if reading.rotate:
        done = (*done, f"Turned by {reading.rotate} degrees counter-clockwise.")
    if reading.flip != "none":
        done = (*done, f"Mirrored, {reading.flip}.")
    if reading.seen == "downstream":
        done = (*done, SEEN)
    values: Array = pictures[0]
    bad: Bools | None = pictures[1] if len(pictures) > 1 else None
    return replace(frame, values=values, edges=(x, y), done=done, bad=bad)
