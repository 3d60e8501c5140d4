"""Frames and profiles onto the study's bins: the observation."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.observations.bins import onto
from raybayes.observations.frames import Frame, read_frame
from raybayes.observations.options import Reading, Target

SLACK = 0.01  # of a bin: how far a pixel may be larger, or a measurement short
AXES = ("horizontal", "vertical")


@dataclass(frozen=True)
class Observation:
    """What a study's detector would have read.

    Attributes:
        x: [size], counts.
        done: what was done to the data, in sentences.
        files: names of the measured files.
    """

    x: Array
    done: tuple[str, ...]
    files: tuple[str, ...]


def read_observation(
    paths: Sequence[str | os.PathLike[str]],
    target: Target,
    reading: Reading | None = None,
    folder: str | os.PathLike[str] = ".",
) -> Observation:
    """Read one image, one list of counts, or a horizontal and a vertical profile.

    Args:
        folder: where a relative path of the dark frame begins.

    Raises:
        InputError: a file cannot be read, holds no measurement, or does not fit the study; what,
            where and what to do.
    """
    reading, files = reading or Reading(), [Path(path) for path in paths]
    if len(files) not in (1, 2) or (len(files) == 2 and target.reads == "image"):
        wanted = "one image" if target.reads == "image" else "two profiles, or one image"
        raise InputError(f"{len(files)} files were given; this study reads {wanted}")
    frames = [read_frame(path, reading, Path(folder), axis) for axis, path in enumerate(files)]
    return framed(files, frames, target)


def framed(files: list[Path], frames: list[Frame], target: Target) -> Observation:
    """What was read of one image, one list of counts, or two profiles, on the study's bins."""
    if len(frames) == 2:
        x, done = _two_profiles(files, frames, target)
    elif frames[0].values.ndim == 2:
        x, done = _image(files[0], frames[0], target)
    else:
        x, done = _numbers(files[0], frames[0], target)
    if any(frame.subtracted for frame in frames) and target.background:
        x = x + target.background
        done += (f"The study's own background, {target.background:g} per bin, was put in its "
                 "place.",)  # fmt: skip
    return Observation(x, done, tuple(path.name for path in files))


def _numbers(path: Path, frame: Frame, target: Target) -> tuple[Array, tuple[str, ...]]:
    """One list in the study's own order."""
    if len(frame.values) != target.size:
        horizontal, vertical = target.bins
        bins = (
            f"{horizontal} x {vertical} pixels"
            if target.reads == "image"
            else f"{horizontal} horizontal and {vertical} vertical bins"
        )
        other = "an image" if target.reads == "image" else "two profiles or an image"
        raise InputError(
            f"{path}: has {len(frame.values)} readings, but the study's detector has {target.size} "
            f"({bins}); give as many, or {other} with positions to be rebinned"
        )
    return frame.values, (*frame.done, "Taken as they stand, in the order of the study's bins.")


def _two_profiles(
    files: list[Path], frames: list[Frame], target: Target
) -> tuple[Array, tuple[str, ...]]:
    parts: list[Array] = []
    done: tuple[str, ...] = ()
    for path, frame, edges, name in zip(files, frames, target.edges, AXES, strict=True):
        if frame.values.ndim != 1:
            raise InputError(f"{path}: is an image; give it alone, or give two profiles")
        part, sentences = _profile(path, frame, edges, name)
        parts.append(part)
        done = (*done, *frame.done, *sentences)
    return np.concatenate(parts), done


def _profile(path: Path, frame: Frame, wanted: Array, name: str) -> tuple[Array, tuple[str, ...]]:
    edges, values = frame.edges[0], frame.values
    if edges is None:
        if len(values) != len(wanted) - 1:
            raise InputError(
                f"{path}: has {len(values)} readings and no positions, but the study's {name} "
                f"profile has {len(wanted) - 1} bins; give positions or pixel_size (mm)"
            )
        return values, (f"Taken as the {name} profile, bin by bin.",)
    if edges[0] > edges[-1]:
        edges, values = edges[::-1], values[::-1]
    _fits(path, edges, wanted, name)
    return onto(values, edges, wanted), (_moved(values, edges, wanted, name),)


def _image(path: Path, frame: Frame, target: Target) -> tuple[Array, tuple[str, ...]]:
    x, y = frame.edges
    assert x is not None and y is not None
    for edges, wanted, name in zip((x, y), target.edges, AXES, strict=True):
        _fits(path, edges, wanted, name)
    sums = (frame.values.sum(axis=0), frame.values.sum(axis=1))
    sentences = tuple(
        _moved(sums[i], edges, target.edges[i], AXES[i]) for i, edges in enumerate((x, y))
    )
    if target.reads == "profiles":
        parts = [onto(s, e, w) for s, e, w in zip(sums, (x, y), target.edges, strict=True)]
        note = "Both profiles are sums of one image, where the study takes two exposures."
        return np.concatenate(parts), (*frame.done, *sentences, note)
    columns = onto(frame.values, x, target.edges[0], axis=1)
    return onto(columns, y, target.edges[1], axis=0).ravel(), (*frame.done, *sentences)


def _fits(path: Path, edges: Array, wanted: Array, name: str) -> None:
    """Pixels must be finer than the study's bins, and reach as far."""
    bin_width, widest = wanted[1] - wanted[0], float(np.diff(edges).max())
    if widest > (1 + SLACK) * bin_width:
        raise InputError(
            f"{path}: its {name} pixels are {1e3 * widest:.4g} um wide, coarser than the study's "
            f"bins of {1e3 * bin_width:.4g} um; mend pixel_size, or train a study with wider bins"
        )
    if edges[0] > wanted[0] + SLACK * bin_width or edges[-1] < wanted[-1] - SLACK * bin_width:
        raise InputError(
            f"{path}: covers {edges[0]:.4g} to {edges[-1]:.4g} mm ({name}), but the study's bins "
            f"go from {wanted[0]:.4g} to {wanted[-1]:.4g} mm; measure wider, or mend centre, roi "
            "or pixel_size"
        )


def _moved(values: Array, edges: Array, wanted: Array, name: str) -> str:
    """What the rebinning did along one axis."""
    pixel, bin_width = 1e3 * float(np.diff(edges).mean()), 1e3 * (wanted[1] - wanted[0])
    kept = onto(values, edges, wanted).sum()
    return (
        f"Rebinned ({name}) from {len(values)} pixels of {pixel:.4g} um to {len(wanted) - 1} bins "
        f"of {bin_width:.4g} um; their sum is {kept:.5g} (of all pixels: {values.sum():.5g})."
    )
