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
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from raybayes.analysis.beam_rows import BAND
from raybayes.array_types import Array
from raybayes.inference.importance import Refined
from raybayes.observations import Observation, Target
from raybayes.store import write_whole

AXES = ("horizontal", "vertical")


@dataclass(frozen=True)
class Result:
    """What the file holds.

    Attributes:
        targets: what each setting's part of the observation is.
        x: [size], the observation: two profiles, or the rows of an image from below, of each
            setting.
        predicted: [m, size], readings that the posterior predicts.
        draws: [n, d]; log_prob: [n], in nats.
        done: what was done to the data, and alarms, in sentences.
        weighted: all draws with their weights, where `draws` were chosen from them.
        observation: the files, and how they were read; seed: of the draws.
    """

    title: str
    targets: Sequence[Target]
    x: Array
    predicted: Array
    names: Sequence[str]
    units: Sequence[str]
    draws: Array
    log_prob: Array
    done: Sequence[str]
    alarms: Sequence[str]
    made_by: Mapping[str, str]
    weighted: Refined | None = None
    observation: Observation | None = None
    seed: int = 0


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
        _measured(entry, instrument, result)
        if result.observation is not None:
            _given(_group(entry, "given", "NXcollection"), result.observation, result.seed)
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


def _given(group: h5py.Group, observation: Observation, seed: int) -> None:
    """The files as they were given, what stood in them, and every option of their reading."""
    group["seed"] = seed
    if observation.paths:
        text = h5py.string_dtype()
        group.create_dataset("path", data=list(observation.paths), dtype=text)
        group.create_dataset("sha256", data=list(observation.checksums), dtype=text)
    for i, options in enumerate(observation.options, 1):
        name = f"options_{i}" if len(observation.options) > 1 else "options"
        fields = _group(group, name, "NXcollection")
        for key, value in options.items():
            fields[key] = value
    for i, frame in enumerate(observation.frames, 1):
        if frame.raw is not None:
            raw = _numbers(group, f"raw_{i}", frame.raw)
            raw.attrs["long_name"] = "as it stands in the file"


def _positioners(instrument: h5py.Group, result: Result) -> None:
    """A motor for each parameter; its value is the posterior's median."""
    plain = _apart([re.sub(r"\W", "_", name, flags=re.ASCII) for name in result.names])
    for j, (name, unit) in enumerate(zip(result.names, result.units, strict=True)):
        draws = result.draws[:, j]
        positioner = _group(instrument, plain[j], "NXpositioner")
        positioner["name"] = name
        positioner["description"] = "posterior median; its errors are the posterior sd"
        _numbers(positioner, "value", np.median(draws), unit)
        _numbers(positioner, "value_errors", draws.std(ddof=1), unit)


def _apart(names: Sequence[str]) -> list[str]:
    """The same names, those that are alike with their number."""
    return [
        f"{name}_{j + 1}" if list(names).count(name) > 1 else name for j, name in enumerate(names)
    ]


def _datasets(names: Sequence[str]) -> list[str]:
    """Names as HDF5 can hold them: to it a slash is a group."""
    return _apart([name.replace("/", "_") for name in names])


def _centres(edges: Array) -> Array:
    return (edges[1:] + edges[:-1]) / 2


def _measured(entry: h5py.Group, instrument: h5py.Group, result: Result) -> None:
    """Every setting's part; the first one is the default plot."""
    ends = np.cumsum([target.size for target in result.targets])
    for i, (target, end) in enumerate(zip(result.targets, ends, strict=True), 1):
        part = slice(end - target.size, end)
        start = f"setting_{i}_" if len(result.targets) > 1 else ""
        shown = (target, result.x[part], result.predicted[:, part])
        name = (_image if target.reads == "image" else _profiles)(entry, instrument, start, *shown)
        if i == 1:
            entry.attrs["default"] = name


def _profiles(
    entry: h5py.Group, instrument: h5py.Group, start: str, target: Target, x: Array,
    predicted: Array,
) -> str:  # fmt: skip
    """Both profiles; the name of the first plot."""
    parts = (slice(target.bins[0]), slice(target.bins[0], None))
    for name, edges, part in zip(AXES, target.edges, parts, strict=True):
        detector = _group(instrument, f"{start}{name}_detector", "NXdetector")
        detector["description"] = _described(f"{name} profile", target)
        _numbers(detector, "data", x[part], "counts")
        data = _plot(entry, f"{start}{name}", x[part], predicted[:, part], target)
        data.attrs["axes"] = ["position"]
        data.attrs["position_indices"] = [0]
        axis = _numbers(data, "position", _centres(edges), "mm")
        axis.attrs["long_name"] = f"{name} position [mm]"
    return f"{start}{AXES[0]}"


def _image(
    entry: h5py.Group, instrument: h5py.Group, start: str, target: Target, x: Array,
    predicted: Array,
) -> str:  # fmt: skip
    """The image; the name of its plot."""
    shape = target.bins[::-1]
    detector = _group(instrument, f"{start}detector", "NXdetector")
    detector["description"] = _described("image of the beam, rows from below", target)
    _numbers(detector, "data", x.reshape(shape), "counts")
    name_of_plot = f"{start}image"
    data = _plot(entry, name_of_plot, x.reshape(shape), predicted.reshape(-1, *shape), target)
    data.attrs["axes"] = ["y", "x"]
    for index, (name, edges) in enumerate(zip("yx", target.edges[::-1], strict=True)):
        _numbers(detector, f"{name}_pixel_size", edges[1] - edges[0], "mm")
        data.attrs[f"{name}_indices"] = [index]
        axis = _numbers(data, name, _centres(edges), "mm")
        axis.attrs["long_name"] = f"{AXES[1 - index]} position [mm]"
    return name_of_plot


def _described(what: str, target: Target) -> str:
    return f"{what}, {target.name}" if target.name else what


def _plot(entry: h5py.Group, name: str, x: Array, predicted: Array, target: Target) -> h5py.Group:
    """The measurement, and the median and 90 % band of what the posterior predicts."""
    data = _group(entry, name, "NXdata")
    data["title"] = _described("measured, and predicted median", target)
    low, middle, high = np.quantile(predicted, BAND, axis=0)
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
        for j, (name, unit) in enumerate(zip(_datasets(result.names), result.units, strict=True))
    }
    _netcdf(group, "posterior", chains, posterior).attrs.update(result.made_by)
    if result.weighted is not None:
        _weighted(group, result, result.weighted)
    _netcdf(group, "sample_stats", chains, {"lp": (result.log_prob[None], "nat")})
    _netcdf(
        group, "posterior_predictive", {"chain": [0], "draw": predicted, "bin": bins},
        {"x": (result.predicted[None].astype(np.float32), "counts")},
    )  # fmt: skip
    _netcdf(group, "observed_data", {"bin": bins}, {"x": (result.x, "counts")})


def _weighted(group: h5py.Group, result: Result, refined: Refined) -> None:
    chains = {"chain": [0], "draw": np.arange(len(refined.theta))}
    columns = zip(_datasets(result.names), result.units, refined.theta.T, strict=True)
    draws = {name: (column[None], unit) for name, unit, column in columns}
    weights = {"log_weight": (refined.log_weight[None], "nat")}
    _netcdf(group, "weighted", chains, {**draws, **weights})


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
