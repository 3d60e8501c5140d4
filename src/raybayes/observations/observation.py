"""Frames and profiles onto the study's bins: the observation."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from raybayes.array_types import Array, Bools
from raybayes.errors import InputError
from raybayes.observations.bins import onto
from raybayes.observations.decoding import Request, decode
from raybayes.observations.frames import GAPS, SIDES, Frame, Source, beside, frame_of
from raybayes.observations.masks import summed
from raybayes.observations.measured import Measured
from raybayes.observations.options import Reading, Target
from raybayes.observations.readers import all_meant

SLACK = 0.01  # of a bin: how far a pixel may be larger, or a measurement short
TOUCHED = 1e-6  # of a pixel without a reading, from which a bin has none


@dataclass(frozen=True)
class Observation:
    """What a study's detector would have read.

    Attributes:
        x: [size], counts; NaN in bins without a reading.
        done: what was done to the data, in sentences.
        files: names of the measured files.
        frames: what was read, in beam coordinates, of each file or part of one.
        paths: of the files, absolute; checksums: SHA-256 of their bytes.
        options: how they were read, as [observation] says it; of several settings, of each.
    """

    x: Array
    done: tuple[str, ...]
    files: tuple[str, ...]
    frames: tuple[Frame, ...] = ()
    paths: tuple[str, ...] = ()
    checksums: tuple[str, ...] = ()
    options: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Part:
    """A profile or an image, its file, and the side that a profile lies along."""

    path: Path
    measured: Measured
    side: int = 0


def read_observation(
    paths: Sequence[str | os.PathLike[str]],
    target: Target,
    reading: Reading | None = None,
    folder: str | os.PathLike[str] = ".",
) -> Observation:
    """Read one image, one list of counts, a table of two profiles, or two files of one each.

    The files are decoded in a process of their own; see `decode`.

    Args:
        folder: where relative paths of the dark frame and the mask begin.

    Raises:
        InputError: a file cannot be read, holds no measurement, or does not fit the study; what,
            where and what to do.
    """
    files = [Path(path) for path in paths]
    most = 1 if target.reads == "image" else 2
    if not 1 <= len(files) <= most:
        raise InputError(f"{len(files)} files were given; this study reads {_wanted(target)}")
    read = loaded(files, [reading or Reading()] * len(files), Path(folder))
    return observed(read, target)


@dataclass(frozen=True)
class Loaded:
    """A file, decoded, with what is needed to clean it."""

    path: Path
    found: tuple[Measured, ...]
    source: Source
    checksum: str


def loaded(files: Sequence[Path], readings: Sequence[Reading], folder: Path) -> list[Loaded]:
    """All files of an observation, with their dark frames and masks, decoded together."""
    for path, reading in zip(files, readings, strict=True):
        all_meant(path, reading)
    requests = [Request(path, reading) for path, reading in zip(files, readings, strict=True)]
    for reading in readings:
        names = (reading.dark, reading.mask)
        requests += [Request(folder / name, beside(reading)) for name in names if name]
    unique = list(dict.fromkeys(requests))
    kept = dict(zip(unique, decode(unique), strict=True))

    def load(path: Path, reading: Reading) -> tuple[Measured, ...]:
        return kept[Request(path, reading)]

    return [
        Loaded(path, load(path, reading), Source(load, reading, folder), _checksum(path))
        for path, reading in zip(files, readings, strict=True)
    ]


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def observed(read: Sequence[Loaded], target: Target) -> Observation:
    """The files of one setting, on its bins."""
    parts = _parts(read, target)
    source = read[0].source
    frames = [frame_of(part.path, part.measured, source, target, part.side) for part in parts]
    return framed(parts, frames, target, read)


def _parts(read: Sequence[Loaded], target: Target) -> list[Part]:
    """What of the files is which profile.

    Raises:
        InputError: another number of files than the study takes.
    """
    sides = [i for i in (0, 1) if target.bins[i]]
    whole = [(one.path, measured) for one in read for measured in one.found]
    most = 1 if target.reads == "image" else len(sides)
    if not 1 <= len(read) <= len(whole) <= most:
        files = f"{len(read)} file{'s were' if len(read) != 1 else ' was'} given"
        more = f", with {len(whole)} profiles" if len(whole) != len(read) else ""
        raise InputError(f"{files}{more}; this study reads {_wanted(target)}")
    if len(read) == 2 and read[0].path == read[1].path:
        raise InputError(
            f"{read[0].path}: is given twice; give each profile in a file of its own, or both in "
            "one table"
        )
    if len(whole) == 1:
        return [Part(*whole[0], sides[0] if len(sides) == 1 else 0)]
    _not_swapped(whole)
    return [Part(path, measured, side) for side, (path, measured) in enumerate(whole)]


def _wanted(target: Target) -> str:
    if target.reads == "image":
        return "one image"
    one = [name for name, bins in zip(SIDES, target.bins, strict=True) if bins]
    return f"one {one[0]} profile, or one image" if len(one) == 1 else "two profiles, or one image"


def _not_swapped(whole: Sequence[tuple[Path, Measured]]) -> None:
    along = [m.axes[0].along if m.axes and m.values.ndim == 1 else "" for _, m in whole]
    if along == ["y", "x"]:
        raise InputError(
            f"{whole[0][0]}: its positions are along y, those of {whole[1][0].name} along x; give "
            "the horizontal profile first"
        )


def framed(
    parts: Sequence[Part], frames: Sequence[Frame], target: Target, read: Sequence[Loaded]
) -> Observation:
    """What was read of one setting, on its bins."""
    x, done = _binned(parts, frames, target, read)
    done += _unknown(parts[0].path, x, target)
    if any(frame.subtracted for frame in frames) and target.background:
        x = x + target.background
        done += (f"The study's own background, {target.background:g} per bin, was put in its "
                 "place.",)  # fmt: skip
    return Observation(
        x,
        done,
        tuple(one.path.name for one in read),
        tuple(frames),
        tuple(str(one.path.absolute()) for one in read),
        tuple(one.checksum for one in read),
        (read[0].source.reading.model_dump(mode="json", exclude_defaults=True),),
    )


def _unknown(path: Path, x: Array, target: Target) -> tuple[str, ...]:
    """How many bins of x [size] have no reading, in a sentence.

    Raises:
        InputError: more than the study's network has learned with.
    """
    if target.reads == "image":
        parts, names = [x], ["pixels"]
    else:
        parts, names = np.split(x, [target.bins[0]]), [f"{side} bins" for side in SIDES]
    told = []
    for part, name in zip(parts, names, strict=True):
        missing = int(np.isnan(part).sum())
        which = f"{missing} of the study's {len(part)} {name} have no reading"
        if missing > target.gaps * len(part):
            raise InputError(f"{path}: {which} (gaps, masked pixels), {_too_many(target)}")
        told += [f"{which}: the posterior leaves them out, and so do the beam's numbers."] * (
            missing > 0
        )
    return tuple(told)


def _too_many(target: Target) -> str:
    if target.gaps:
        return f"more than {target.gaps:.0%}, with which its network has learned; move the beam"
    return f"and its posterior has been trained with readings in all; move the beam, or {GAPS}"


def _binned(
    parts: Sequence[Part], frames: Sequence[Frame], target: Target, read: Sequence[Loaded]
) -> tuple[Array, tuple[str, ...]]:
    """x [size], NaN where nothing is known, and what was done."""
    first = parts[0].path
    if len(frames) == 2:
        return _two_profiles(parts, frames, target)
    if frames[0].values.ndim == 2:
        return _image(first, frames[0], target)
    if 0 in target.bins and target.reads == "profiles":
        side = parts[0].side
        x, done = _profile(first, frames[0], target.edges[side], SIDES[side])
        return x, (*frames[0].done, *_otherwise(parts[0].measured, side), *done)
    return _numbers(parts[0], frames[0], target, read[0].source.reading)


def _numbers(
    part: Part, frame: Frame, target: Target, reading: Reading
) -> tuple[Array, tuple[str, ...]]:
    """One list in the study's own order."""
    path, given = part.path, part.measured.values
    other = "an image" if target.reads == "image" else "two profiles or an image"
    if reading.seen == "downstream":
        raise InputError(
            f"{path}: is one list in the order of the study's bins, and seen mirrors pictures and "
            "profiles; leave seen out"
        )
    if part.measured.axes is not None and not reading.bin_by_bin:
        raise InputError(
            f"{path}: is one profile with positions, and this study reads {other}; give the other "
            "profile too, or set bin_by_bin"
        )
    if len(given) != target.size:
        horizontal, vertical = target.bins
        bins = (
            f"{horizontal} x {vertical} pixels"
            if target.reads == "image"
            else f"{horizontal} horizontal and {vertical} vertical bins"
        )
        raise InputError(
            f"{path}: has {len(given)} readings, but the study's detector has {target.size} "
            f"({bins}); give as many, or {other} with positions to be rebinned"
        )
    return _read(frame), (*frame.done, "Taken as they stand, in the order of the study's bins.")


def _two_profiles(
    parts: Sequence[Part], frames: Sequence[Frame], target: Target
) -> tuple[Array, tuple[str, ...]]:
    found: list[Array] = []
    done: tuple[str, ...] = ()
    for part, frame, edges, name in zip(parts, frames, target.edges, SIDES, strict=True):
        if frame.values.ndim != 1:
            raise InputError(f"{part.path}: is an image; give it alone, or give two profiles")
        values, sentences = _profile(part.path, frame, edges, name)
        found.append(values)
        done = (*done, *frame.done, *sentences)
    return np.concatenate(found), done


def _profile(path: Path, frame: Frame, wanted: Array, name: str) -> tuple[Array, tuple[str, ...]]:
    edges, values = frame.edges[0], frame.values
    if edges is None:
        if len(values) != len(wanted) - 1:
            raise InputError(
                f"{path}: has {len(values)} readings and no positions, but the study's {name} "
                f"profile has {len(wanted) - 1} bins; give positions or pixel_size (mm)"
            )
        return _read(frame), (f"Taken as the {name} profile, bin by bin.",)
    bad = np.zeros(values.shape, bool) if frame.bad is None else frame.bad
    if edges[0] > edges[-1]:
        edges, values, bad = edges[::-1], values[::-1], bad[::-1]
    _fits(path, edges, wanted, name)
    moved = _moved(np.where(bad, 0.0, values), edges, wanted, name)
    return _onto(values, bad, edges, wanted), (moved,)


def _otherwise(measured: Measured, side: int) -> tuple[str, ...]:
    """A caution where positions have the name of the other side."""
    axis = measured.axes[0] if measured.axes else None
    if axis is None or axis.along in ("", "xy"[side]):
        return ()
    return (f"Caution: its positions are called {axis.name!r}, and are taken as {SIDES[side]}.",)


def _read(frame: Frame) -> Array:
    """A profile's values, NaN where there is no reading."""
    return frame.values if frame.bad is None else np.where(frame.bad, np.nan, frame.values)


def _onto(values: Array, bad: Bools, edges: Array, wanted: Array) -> Array:
    """Counts in the wanted bins, NaN in those that a reading is missing for."""
    lost = onto(bad.astype(float), edges, wanted) > TOUCHED
    return np.where(lost, np.nan, onto(values, edges, wanted))


def _image(path: Path, frame: Frame, target: Target) -> tuple[Array, tuple[str, ...]]:
    x, y = frame.edges
    assert x is not None and y is not None
    sides = [i for i in (0, 1) if target.bins[i]]
    for i in sides:
        _fits(path, (x, y)[i], target.edges[i], SIDES[i])
    sums = [summed(frame.values, frame.bad, axis) for axis in (0, 1)]
    sentences = tuple(_moved(sums[i][0], (x, y)[i], target.edges[i], SIDES[i]) for i in sides)
    if target.reads == "profiles":
        parts = [_onto(*sums[i], (x, y)[i], target.edges[i]) for i in sides]
        note = "Both profiles are sums of one image, where the study takes two exposures."
        notes = (note,) if len(sides) == 2 else ()
        return np.concatenate(parts), (*frame.done, *sentences, *notes)
    columns = onto(frame.values, x, target.edges[0], axis=1)
    image = onto(columns, y, target.edges[1], axis=0)
    return np.where(_hidden(frame, target), np.nan, image).ravel(), (*frame.done, *sentences)


def _hidden(frame: Frame, target: Target) -> Bools | bool:
    """[rows, columns] of the study's bins: where a pixel has no reading."""
    if frame.bad is None:
        return False
    share = frame.bad.astype(float)
    for axis, edges in ((1, frame.edges[0]), (0, frame.edges[1])):
        assert edges is not None
        share = onto(share, edges, target.edges[1 - axis], axis=axis)
    return np.asarray(share > TOUCHED)


def _fits(path: Path, edges: Array, wanted: Array, name: str) -> None:
    """Pixels must be finer than the study's bins, and reach as far."""
    bin_width, widest = wanted[1] - wanted[0], float(np.diff(edges).max())
    if widest > (1 + SLACK) * bin_width:
        raise InputError(
            f"{path}: its {name} pixels are {1e3 * widest:.4g} um wide, coarser than the study's "
            f"bins of {1e3 * bin_width:.4g} um; mend unit or pixel_size, or train a study with "
            "wider bins"
        )
    if edges[0] > wanted[0] + SLACK * bin_width or edges[-1] < wanted[-1] - SLACK * bin_width:
        raise InputError(
            f"{path}: covers {edges[0]:.4g} to {edges[-1]:.4g} mm ({name}), but the study's bins "
            f"go from {wanted[0]:.4g} to {wanted[-1]:.4g} mm; measure wider, or say where the "
            "optical axis is: origin (mm, of the file's positions), or centre, roi, pixel_size of "
            "an image"
        )


def _moved(values: Array, edges: Array, wanted: Array, name: str) -> str:
    """What the rebinning did along one axis."""
    pixel, bin_width = 1e3 * float(np.diff(edges).mean()), 1e3 * (wanted[1] - wanted[0])
    kept = onto(values, edges, wanted).sum()
    return (
        f"Rebinned ({name}) from {len(values)} pixels of {pixel:.4g} um to {len(wanted) - 1} bins "
        f"of {bin_width:.4g} um; their sum is {kept:.5g} (of all pixels: {values.sum():.5g})."
    )
