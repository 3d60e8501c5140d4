"""Energies of a source that are neither a band nor normal: lines, and files."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.data_files import LARGEST, find_file
from raybayes.beamline.model import Beamline
from raybayes.errors import InputError
from raybayes.store import read_text


def separate_energies(u: Array, count: int) -> Array:
    """`count` equally likely energies from end to end of a band of width 1 around 0."""
    count = max(1, count)
    line = np.minimum(np.floor(u * count), count - 1)
    return line / (count - 1) - 0.5 if count > 1 else np.zeros_like(u)


def energies_from_file(beamline: Beamline, u: Array, continuous: bool) -> Array:
    """Energies (eV) with the weights of the file: its lines, or bars around them."""
    energy, weight = _distribution(beamline)
    cumulated = np.cumsum(weight) / weight.sum()
    line = np.minimum(np.searchsorted(cumulated, u, side="right"), len(energy) - 1)
    if not continuous or len(energy) == 1:
        return energy[line]
    below = cumulated[line] - weight[line] / weight.sum()
    share = (u - below) / np.maximum(cumulated[line] - below, 1e-300)
    width = np.gradient(energy)
    return energy[line] + (np.clip(share, 0, 1) - 0.5) * width[line]


def mean_of_file(beamline: Beamline) -> float:
    """The mean energy (eV) of a distribution from a file.

    Raises:
        InputError: the file is missing or is no energy distribution.
    """
    energy, weight = _distribution(beamline)
    return float(np.average(energy, weights=weight))


def _distribution(beamline: Beamline) -> tuple[Array, Array]:
    path = find_file(beamline, beamline.source, "photonEnergyDistributionFile")
    if path is None:
        raise InputError(
            f"{beamline.path}:{beamline.source.line}: {beamline.source.type} "
            f"{beamline.source.name!r}, parameter 'photonEnergyDistributionFile': the file is not "
            "there; put it beside the RML file"
        )
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read(path: Path, _changed: int) -> tuple[Array, Array]:
    """Title; `n start end step`; then rows `E weight`. [n] eV and [n] weights."""
    try:
        rows = [line.split() for line in read_text(path, LARGEST).splitlines()[2:] if line.strip()]
        table = np.array([[float(a), float(b)] for a, b, *_ in rows])
        energy, weight = table.T
        good = np.isfinite(table).all() and (energy > 0).all() and (weight >= 0).all()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: not an energy distribution (a title, a line of numbers, rows of energy and "
            "weight)"
        ) from error
    if not good or weight.sum() <= 0 or (np.diff(energy) <= 0).any():
        raise InputError(f"{path}: energies must rise, and weights must not be negative or all 0")
    return energy, weight
