"""Refusals of readings that cannot be a beam's."""

import re
from pathlib import Path

import numpy as np

from raybayes.array_types import Array, Bools
from raybayes.errors import InputError
from raybayes.observations.masks import ceiling_of
from raybayes.observations.measured import Measured
from raybayes.observations.options import Reading

LOGARITHM = re.compile(r"\b(log|log10|ln|lg)\b|\bd[Bb]m?\b|log10", re.IGNORECASE)
OTHER_THAN_COUNTS = re.compile(r"%|\bnorm|/\s*\w*m\b|\(k\)|x\s*1000|\bdn/d", re.IGNORECASE)
NOTHING = 1e-3  # of the sum of the readings' sizes
REVERSED = 0.5  # of the same: readings whose sum is so far below 0 have their sign reversed


def saturated(values: Array, measured: Measured, reading: Reading) -> Bools:
    """Where the beam is brighter than the camera can measure."""
    if reading.saturation is not None:
        return values >= reading.saturation
    ceiling = np.inf if measured.ceiling is None else measured.ceiling
    return values >= min(ceiling, ceiling_of(values))


def unsaturated(path: Path, values: Array, over: Bools, corner: tuple[int, int]) -> None:
    """Refuses readings that are saturated."""
    if over.any():
        raise InputError(
            f"{path}: {where(over, corner)} saturated (at {values[over].min():g}); measure with "
            "less light or a shorter exposure, or set saturation if this is none"
        )


def finite(path: Path, values: Array, corner: tuple[int, int]) -> None:
    """Refuses what is no number."""
    bad = ~np.isfinite(values)
    if bad.any():
        raise InputError(f"{path}: {where(bad, corner)} no finite number; mend or mask them")


def beam(path: Path, values: Array) -> None:
    """Refuses readings that are all alike."""
    if values.size == 0 or (np.ptp(values) == 0 and values.size > 1):
        level = f"every reading is {values.flat[0]:g}" if values.size else "all is masked"
        raise InputError(f"{path}: {level}: there is no beam in it")


def light(path: Path, values: Array) -> None:
    """Refuses what adds up to nothing."""
    total, size = float(values.sum()), float(np.abs(values).sum())
    if values.max() <= 0 or abs(total) <= NOTHING * size or total < -REVERSED * size:
        raise InputError(
            f"{path}: what is left of its readings adds up to {total:.4g}: there is no beam in it; "
            "look at the dark frame, the background, the probe and the sign"
        )


def where(bad: Bools, corner: tuple[int, int]) -> str:
    """Which readings, in words; the corner is that of a region of interest."""
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


def meaning(path: Path, name: str) -> tuple[str, ...]:
    """A caution where counts are called something else by their heading or unit.

    Raises:
        InputError: they are logarithms.
    """
    if LOGARITHM.search(name):
        raise InputError(f"{path}: {name!r} are logarithms by their name; give counts")
    if OTHER_THAN_COUNTS.search(name):
        return (f"Caution: {name!r} are taken as counts as they stand; set gain if they are not.",)
    return ()
