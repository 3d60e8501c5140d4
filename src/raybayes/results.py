"""One measurement and its posterior as one NeXus file.

At /entry stand the groups that NeXus names (silx opens the measurement beside what the posterior
predicts); at /entry/inference the same as netCDF-4 groups, which xarray and ArviZ open as a
DataTree. The file is written whole or not at all.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from raybayes.store import write_whole

Array = NDArray[np.float64]
AXES = ("horizontal", "vertical")


@dataclass(frozen=True)
class Result:
    """What the file holds.

    Attributes:
        edges: of the horizontal and the vertical bins, mm.
        x: [size], the observation: two profiles, or the rows of an image from below.
        predicted: [m, size], readings that the posterior predicts.
        draws: [n, d]; log_prob: [n], in nats.
        done: what was done to the data, and alarms, in sentences.
    """

    title: str
    reads: Literal["profiles", "image"]
    edges: tuple[Array, Array]
    x: Array
    predicted: Array
    names: Sequence[str]
    units: Sequence[str]
    draws: Array
    log_prob: Array
    done: Sequence[str]
    alarms: Sequence[str]
    made_by: Mapping[str, str]


def write_result(path: Path, result: Result) -> None:
    """Write the file.

    Raises:
        InputError: the folder cannot be written.
    """
    buffer, now = io.BytesIO(), datetime.now(UTC).isoformat(timespec="seconds")
    with h5py.File(buffer, "w") as file:
        file.attrs.update({"NX_class": "NXroot", "default": "entry", "file_name": path.name,
                           "file_time": now, "HDF5_Version": h5py.version.hdf5_version,
                           "h5py_version": h5py.__version__})  # fmt: skip
        entry = _group(file, "entry", "NXentry")
        entry["title"] = result.title
        _process(entry, result, now)
        instrument = _group(entry, "instrument", "NXinstrument")
        _positioners(instrument, result)
        (_image if result.reads == "image" else _profiles)(entry, instrument, result)
        _inference(_group(entry, "inference", "NXcollection"), result)
    write_whole(path, buffer.getvalue())


def _group(parent: h5py.Group, name: str, kind: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = kind
    return group


def _numbers(group: h5py.Group, name: str, values: ArrayLike, units: str = "") -> h5py.Dataset:
    data = np.asarray(values)
    packed = {"compression": "gzip"} if data.size > 1000 else {}
    dataset = group.create_dataset(name, data=data, **packed)
    if units:
        dataset.attrs["units"] = units
    return dataset


def _process(entry: h5py.Group, result: Result, now: str) -> None:
    """What made the file, and what was done to the data."""
    process = _group(entry, "process", "NXprocess")
    process["program"], process["date"] = "raybayes", now
    process["version"] = result.made_by.get("raybayes", "")
    process["sequence_index"] = 1
    notes = {
        "data_reduction": ("what was done to the data", result.done),
        "alarms": ("what speaks against the posterior", result.alarms or ("none",)),
        "made_by": ("versions, study and seed", [f"{k} = {v}" for k, v in result.made_by.items()]),
    }
    for index, (name, (description, lines)) in enumerate(notes.items(), 1):
        note = _group(process, name, "NXnote")
        note["type"], note["description"], note["data"] = (
            "text/plain", description, "\n".join(lines),
        )  # fmt: skip
        note["sequence_index"] = index


def _positioners(instrument: h5py.Group, result: Result) -> None:
    """A motor for each parameter; its value is the posterior's median."""
    for j, (name, unit) in enumerate(zip(result.names, result.units, strict=True)):
        draws = result.draws[:, j]
        positioner = _group(instrument, re.sub(r"\W", "_", name, flags=re.ASCII), "NXpositioner")
        positioner["name"] = name
        positioner["description"] = "posterior median; its errors are the posterior sd"
        _numbers(positioner, "value", np.median(draws), unit)
        _numbers(positioner, "value_errors", draws.std(ddof=1), unit)


def _centres(edges: Array) -> Array:
    return (edges[1:] + edges[:-1]) / 2


def _profiles(entry: h5py.Group, instrument: h5py.Group, result: Result) -> None:
    entry.attrs["default"] = AXES[0]
    start = 0
    for name, edges in zip(AXES, result.edges, strict=True):
        part = slice(start, start + len(edges) - 1)
        start = part.stop
        detector = _group(instrument, f"{name}_detector", "NXdetector")
        detector["description"] = f"{name} profile"
        _numbers(detector, "data", result.x[part], "counts")
        data = _plot(entry, name, result.x[part], result.predicted[:, part])
        data.attrs["axes"] = ["position"]
        data.attrs["position_indices"] = [0]
        axis = _numbers(data, "position", _centres(edges), "mm")
        axis.attrs["long_name"] = f"{name} position [mm]"


def _image(entry: h5py.Group, instrument: h5py.Group, result: Result) -> None:
    entry.attrs["default"] = "image"
    shape = (len(result.edges[1]) - 1, len(result.edges[0]) - 1)
    detector = _group(instrument, "detector", "NXdetector")
    detector["description"] = "image of the beam, rows from below"
    _numbers(detector, "data", result.x.reshape(shape), "counts")
    data = _plot(entry, "image", result.x.reshape(shape), result.predicted.reshape(-1, *shape))
    data.attrs["axes"] = ["y", "x"]
    for index, (name, edges) in enumerate(zip("yx", result.edges[::-1], strict=True)):
        _numbers(detector, f"{name}_pixel_size", edges[1] - edges[0], "mm")
        data.attrs[f"{name}_indices"] = [index]
        axis = _numbers(data, name, _centres(edges), "mm")
        axis.attrs["long_name"] = f"{AXES[1 - index]} position [mm]"


def _plot(entry: h5py.Group, name: str, x: Array, predicted: Array) -> h5py.Group:
    """The measurement, and the median and 90 % band of what the posterior predicts."""
    data = _group(entry, name, "NXdata")
    data["title"] = "measured, and predicted median"
    low, middle, high = np.quantile(predicted, [0.05, 0.5, 0.95], axis=0)
    _numbers(data, "measured", x, "counts").attrs["long_name"] = "counts per bin"
    parts = {"predicted_median": middle, "predicted_low": low, "predicted_high": high}
    for part, values in parts.items():
        _numbers(data, part, values, "counts")
    data.attrs["signal"] = "measured"
    data.attrs["auxiliary_signals"] = ["predicted_median"]
    return data


def _inference(group: h5py.Group, result: Result) -> None:
    """ArviZ' groups; a dimension is an HDF5 scale of its group."""
    n, m = len(result.draws), len(result.predicted)
    draw, predicted, bins = np.arange(n), np.arange(m), np.arange(len(result.x))
    chains = {"chain": [0], "draw": draw}
    posterior = {
        name: (result.draws[None, :, j], unit)
        for j, (name, unit) in enumerate(zip(result.names, result.units, strict=True))
    }
    _netcdf(group, "posterior", chains, posterior).attrs.update(result.made_by)
    _netcdf(group, "sample_stats", chains, {"lp": (result.log_prob[None], "nat")})
    _netcdf(
        group, "posterior_predictive", {"chain": [0], "draw": predicted, "bin": bins},
        {"x": (result.predicted[None].astype(np.float32), "counts")},
    )  # fmt: skip
    _netcdf(group, "observed_data", {"bin": bins}, {"x": (result.x, "counts")})


def _netcdf(
    parent: h5py.Group,
    name: str,
    coordinates: Mapping[str, Any],
    variables: Mapping[str, tuple[Array, str]],
) -> h5py.Group:
    group = _group(parent, name, "NXcollection")
    for dimension, values in coordinates.items():
        _numbers(group, dimension, np.asarray(values, np.int64)).make_scale(dimension)
    for variable, (array, unit) in variables.items():
        dataset = _numbers(group, variable, array, unit)
        for axis, dimension in enumerate(coordinates):
            dataset.dims[axis].attach_scale(group[dimension])
    return group
