"""What stands in a measured file, before anything is done to it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raybayes.array_types import Array, Bools
from raybayes.errors import InputError
from raybayes.observations.axes import Axis

LARGEST = 256 * 2**20  # bytes, of a file or of what it unpacks to
MOST = 2**24  # readings of a frame
SCATTER, ALIKE = 20, 3.0  # readings at -1, beside which it counts how many are at 1; the factor
SHOWN = 3  # of the codes in a file
CODES = 2  # how many of the largest whole numbers of 32 bits, or of -1, -2, stand for no reading
UNSIGNED = (2.0**32 - 1, 2.0**32 - 2)  # as Dectris' codes are written into text
# Numbers that programs write where they have none, if no reading comes half as low; and a size
# beyond which all are (9.91e37 of Keithley's meters, 9.97e36 of netCDF, 3.4e38 of others).
FILLS, HUGE = (-999.0, -9999.0, -99999.0, -32768.0, -(2.0**31)), 1e30


@dataclass(frozen=True)
class Measured:
    """What stands in a file.

    Attributes:
        values: [n], or [rows, columns] from the upper left corner.
        axes: along a profile, or along an image's columns and along its rows, in the file's order;
            None where the file has none.
        pixel: width and height, mm; None where the file does not say.
        ceiling: the largest number that the file's own type can hold; a reading there is
            saturated. None for real numbers.
        bad: [as values], where the file says that there is no reading; None for nowhere.
        told: what was chosen, and what the file says that is not used, in sentences.
    """

    values: Array
    axes: tuple[Axis, ...] | None = None
    pixel: tuple[float, float] | None = None
    ceiling: float | None = None
    bad: Bools | None = None
    told: tuple[str, ...] = ()


def one_of(path: Path, names: list[str], wanted: str | None) -> str:
    """The array that is wanted, or the only one."""
    if wanted is not None and wanted in names:
        return wanted
    if wanted is None and len(names) == 1:
        return names[0]
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    asked = f"no array {wanted!r}" if wanted else f"{len(names)} arrays"
    raise InputError(f"{path}: holds {asked}; set dataset to one of: {listed or 'none there'}")


def measured(path: Path, array: NDArray) -> Measured:
    """An array of real or whole numbers; the whole ones have a ceiling, and codes for gaps."""
    if array.dtype.kind not in "uif":
        raise InputError(f"{path}: holds {array.dtype} where numbers are needed")
    if array.size > MOST:
        raise InputError(f"{path}: has {array.size / 1e6:.0f} million readings; give a smaller one")
    ceiling = None if array.dtype.kind == "f" else float(np.iinfo(array.dtype).max)
    if ceiling is not None and noisy(array):
        told = ("Readings of -1 are as frequent as 1: they are readings, not a code for none.",)
        return Measured(array.astype(np.float64), ceiling=ceiling, told=told)
    bad, what = _fills(array) if ceiling is None else _codes(array)
    if not bad.any():
        return Measured(array.astype(np.float64), ceiling=ceiling)
    told = (f"{bad.sum()} pixels hold {what}, a code for no reading: masked.",)
    values = np.where(bad, 0, array).astype(np.float64)
    return Measured(values, ceiling=ceiling, bad=bad, told=told)


def noisy(values: NDArray) -> bool:
    """Whether whole numbers scatter about 0, as those do that have been subtracted from."""
    below, above = int((values == -1).sum()), int((values == 1).sum())
    return below > SCATTER and above / ALIKE < below < ALIKE * above


def coded(values: Array) -> tuple[Bools | None, str]:
    """[n], where numbers in text are a code for no reading (None for nowhere), and which one."""
    known = np.where(np.isfinite(values), values, 0.0)
    whole = (known == np.round(known)).all() and not noisy(known)
    bad, what = _codes(known) if whole else _fills(known)
    return (bad, what) if bad.any() else (None, "")


def _codes(array: NDArray) -> tuple[Bools, str]:
    """Where whole numbers say that there is no reading, and how.

    Dectris' files have 2^32 - 1 and 2^32 - 2 in gaps and at dead pixels (EIGER), or -1 and -2
    (PILATUS); an image with other negative numbers has been subtracted from.
    """
    if array.dtype.kind == "u":
        none, top = np.zeros(array.shape, bool), np.iinfo(array.dtype).max
        return (array > top - CODES, f"{top}") if array.dtype.itemsize >= 4 else (none, "")
    fills, what = _fills(array)
    if fills.any() or array.min(initial=0) < -CODES:
        return fills, what
    return array < 0, "-1 or -2"


def _fills(array: NDArray) -> tuple[Bools, str]:
    """Where a program has filled in that it has no reading, and with what."""
    bad = np.isin(array, UNSIGNED) | (np.abs(array) > HUGE)
    low = array.min(initial=0, where=~(bad | np.isnan(array)))
    if float(low) in FILLS and not ((array > low) & (array < low / 2)).any():
        bad |= array == low
    kinds = np.unique(array[bad])[:SHOWN]
    return bad, " or ".join(f"{each:.10g}" for each in kinds)


def framed(path: Path, array: Any, wanted: int | str | None) -> Measured:
    """A profile, an image, or of a stack [frames, rows, columns] one frame or the mean of all.

    Args:
        array: of NumPy, or what is sliced as one, of which no more than is wanted is loaded.

    Raises:
        InputError: there is no such frame; what `measured` refuses.
    """
    if array.ndim != 3:
        one_frame(path, wanted)
        return measured(path, np.asarray(array))
    count = len(array)
    if wanted == "mean":
        return _mean(path, array)
    number = 1 if wanted is None else int(wanted)
    if not 1 <= number <= count:
        raise InputError(f"{path}: holds {count} frames, so there is no frame {number}")
    found = measured(path, np.asarray(array[number - 1]))
    if count == 1:
        return found
    more = '; set frame to another number, or to "mean"' if wanted is None else ""
    return replace(
        found, told=(f"Holds {count} frames; number {number} is read{more}.", *found.told)
    )


def one_frame(path: Path, wanted: int | str | None) -> None:
    """Refuses a further frame of a file that holds one."""
    if isinstance(wanted, int) and wanted != 1:
        raise InputError(f"{path}: holds 1 frame, so there is no frame {wanted}")


def _mean(path: Path, stack: Any) -> Measured:
    """Of all frames; what is saturated in one is, and what is masked in one is."""
    frames = [measured(path, np.asarray(frame)) for frame in stack]
    values = np.mean([frame.values for frame in frames], axis=0)
    ceiling = frames[0].ceiling
    if ceiling is not None:
        values = np.where(np.any([f.values >= ceiling for f in frames], axis=0), ceiling, values)
    masks = [frame.bad for frame in frames if frame.bad is not None]
    bad = np.any(masks, axis=0) if masks else None
    told = f"Holds {len(frames)} frames; their mean is read."
    if bad is not None:
        told = f"{told} {bad.sum()} pixels hold a code for no reading: masked."
    said = dict.fromkeys(each for frame in frames if frame.bad is None for each in frame.told)
    return Measured(values, ceiling=ceiling, bad=bad, told=(told, *said))
