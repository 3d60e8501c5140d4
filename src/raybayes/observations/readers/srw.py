"""Intensities that SRW saves as text (srwl_uti_save_intens_ascii): ranges above, then numbers."""

import re
from pathlib import Path

import numpy as np

from raybayes.errors import InputError
from raybayes.observations.axes import Axis, named
from raybayes.observations.measured import Measured

RANGE = re.compile(r"^#\s*(\S+)\s*#\s*(Initial|Final|Number of points vs) (.+?)\s*$", re.MULTILINE)
SIDES = ("Photon Energy", "Horizontal Position", "Vertical Position")  # the innermost first


def is_srw(text: str) -> bool:
    """Whether a text begins with the ranges that SRW writes."""
    return bool(RANGE.search(text[:4000]))


def read(path: Path, text: str) -> tuple[Measured]:
    """An image, or a profile where one side has a single point."""
    found: dict[str, dict[str, float]] = {}
    units: dict[str, str] = {}
    for value, what, label in RANGE.findall(text):
        name, unit = named(label)
        try:
            found.setdefault(name, {})[what] = float(value)
        except ValueError as error:
            raise InputError(f"{path}: {what} {label} is {value!r}, no number") from error
        units[name] = units.get(name) or unit
    for side in SIDES:
        if set(found.get(side, ())) != {"Initial", "Final", "Number of points vs"}:
            raise InputError(f"{path}: says no whole range of the {side}")
    counts = [int(found[side]["Number of points vs"]) for side in SIDES]
    try:
        lines = [line for line in text.splitlines() if line.strip() and line[0] != "#"]
        values = np.array([float(line) for line in lines])
    except ValueError as error:
        raise InputError(f"{path}: {error} below its ranges") from error
    if counts[0] != 1 or len(values) != counts[1] * counts[2]:
        raise InputError(
            f"{path}: has {len(values)} numbers for {' x '.join(map(str, counts))} (energies, "
            "horizontal, vertical); give one energy and one component"
        )
    x, y = (
        Axis(np.linspace(found[side]["Initial"], found[side]["Final"], n), side, units[side])
        for side, n in zip(SIDES[1:], counts[1:], strict=True)
    )
    told = (f"Ranges as SRW gives them: {text.partition(chr(10))[0].lstrip('# ')[:80]}.",)
    if 1 in counts[1:]:
        return (Measured(values, (x if counts[2] == 1 else y,), told=told),)
    return (Measured(values.reshape(counts[2], counts[1]), (x, y), told=told),)
