"""Undulator radiation from a WAVE file: the directions of the photons on a distant screen."""

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from raybayes.array_types import Array
from raybayes.beamline.data_files import find_file
from raybayes.beamline.emission import diffraction_limit
from raybayes.beamline.model import Beamline
from raybayes.beamline.unmodelled import ALLOW
from raybayes.beamline.values import HC
from raybayes.errors import InputError

WAVE = 1  # undulatorFileClassType


def file_angles(beamline: Beamline, u: Array) -> Array:
    """[n, 2] points of the unit square -> [n, 2] horizontal and vertical angles, rad.

    Without the file, where the user lets what is not modelled pass with a warning: the central
    cone of an undulator of that period and number of periods, of which the file is a computation.

    Raises:
        InputError: the file is missing or is no WAVE file.
    """
    path = find_file(beamline, beamline.source, "undulatorFile")
    if path is None or beamline.source.number("undulatorFileClassType", WAVE) != WAVE:
        return _central_cone(beamline, u)
    x, y, weight = _read(path, path.stat().st_mtime_ns)
    distance = beamline.source.number("distributionDistance")
    if distance <= 0:
        raise _error(beamline, "distributionDistance", "it must be positive")
    columns = np.cumsum(weight.sum(axis=0))
    i = np.minimum(np.searchsorted(columns, u[:, 0] * columns[-1]), len(x) - 1)
    within = np.cumsum(weight, axis=0)[:, i]
    j = np.minimum((within < u[:, 1] * within[-1]).sum(axis=0), len(y) - 1)
    # Inside a cell photons are uniform: what u does not say about the cell says where.
    low = columns[i] - weight.sum(axis=0)[i]
    across = (u[:, 0] * columns[-1] - low) / np.maximum(columns[i] - low, 1e-300) - 0.5
    bottom = within[j, np.arange(len(j))] - weight[j, i]
    up = (u[:, 1] * within[-1] - bottom) / np.maximum(weight[j, i], 1e-300) - 0.5
    places = np.stack((x[i] + across * (x[1] - x[0]), y[j] + up * (y[1] - y[0])), axis=1)
    angles = np.arctan(places / distance)
    angles[:, 1] *= -1  # a positive psi points down
    return angles


def _central_cone(beamline: Beamline, u: Array) -> Array:
    source = beamline.source
    name = source.params["undulatorFile"].text if "undulatorFile" in source.params else ""
    there = find_file(beamline, source, "undulatorFile") is not None
    missing = f"the file {name!r} is not {'of WAVE' if there else 'there'}"
    length = np.asarray(
        source.number("undulatorPeriodLength") * 1e-2 * source.number("undulatorPeriodNumber")
    )
    energy = np.asarray(source.number("photonEnergy"))
    if not beamline.lenient or length <= 0 or energy <= 0:
        raise _error(beamline, "undulatorFile", f"{missing}; put it beside the RML file, {ALLOW}")
    warnings.warn(
        f"{beamline.path}: {source.type} {source.name!r}: {missing}; its radiation is replaced by "
        "the central cone of the undulator's period and length",
        stacklevel=2,
    )
    _, angle = diffraction_limit(HC / energy * 1e-9, length, accurate=False)
    return np.asarray(angle * ndtri(u))


def _error(beamline: Beamline, id_: str, message: str) -> InputError:
    source = beamline.source
    return InputError(
        f"{beamline.path}:{source.line}: {source.type} {source.name!r}, parameter {id_!r}: "
        f"{message}"
    )


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> tuple[Array, Array, Array]:
    """`nx ny n3 E WAVE`, then rows `x y S0 S1 S2 S3`: [nx] mm, [ny] mm, [ny, nx] S0."""
    try:
        rows = np.loadtxt(path, skiprows=1, ndmin=2)
        x, y = np.unique(rows[:, 0]), np.unique(rows[:, 1])
        weight = np.zeros((len(y), len(x)))
        weight[np.searchsorted(y, rows[:, 1]), np.searchsorted(x, rows[:, 0])] = rows[:, 2]
    except (OSError, ValueError, IndexError) as error:
        raise InputError(f"{path}: not a WAVE file (a header, rows x y S0 S1 S2 S3)") from error
    bad = len(x) < 2 or len(y) < 2 or not np.isfinite(weight).all() or (weight < 0).any()
    if bad or weight.sum() <= 0:
        raise InputError(f"{path}: a WAVE file is a grid of x and y with S0 not negative")
    return x, y, weight
