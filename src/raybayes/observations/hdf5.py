"""One array out of an HDF5 file: the one that NeXus calls the default, or the one named."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from raybayes.errors import InputError
from raybayes.observations.files import LARGEST, one_of
from raybayes.observations.options import Array

LENGTHS = {"m": 1e3, "cm": 10.0, "mm": 1.0, "um": 1e-3, "µm": 1e-3, "micron": 1e-3, "nm": 1e-6}
NESTED = 8  # how many defaults are followed


def read(
    path: Path, dataset: str | None
) -> tuple[NDArray, Array | None, tuple[float, float] | None]:
    """Values, positions of a profile (mm), size of a pixel (mm).

    Raises:
        InputError: no such array, or one that lies in another file.
    """
    try:
        with h5py.File(path, "r") as file:
            signal = file[_chosen(path, file, dataset)]
            if signal.external or signal.is_virtual:
                raise InputError(f"{path}: {signal.name} lies in another file; give that file")
            if signal.nbytes > LARGEST:
                raise InputError(f"{path}: {signal.name} has {signal.nbytes >> 20} MB; give one "
                                 "frame or profile")  # fmt: skip
            values = np.squeeze(np.asarray(signal))
            axes = _axes(signal)
            pixel = _pixel(signal) or _spacing(axes)
            return values, axes[0] if len(axes) == values.ndim == 1 else None, pixel
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a whole HDF5 file ({error})") from error


def _chosen(path: Path, file: h5py.File, dataset: str | None) -> str:
    arrays: list[str] = []

    def collect(name: str, item: Any) -> None:  # follows no links
        if isinstance(item, h5py.Dataset) and item.ndim > 0 and item.dtype.kind in "uif":
            arrays.append(name)

    file.visititems(collect)
    wanted = dataset.strip("/") if dataset else _default(file)
    return one_of(path, arrays, wanted)


def _default(file: h5py.File) -> str | None:
    """The signal of the NXdata that the `default` attributes lead to, or of the only one."""
    group: h5py.Group = file
    for _ in range(NESTED):
        if _class(group) == "NXdata":
            break
        name = group.attrs.get("default")
        inner = group.get(name) if isinstance(name, str) and _own(group, name) else _only(group)
        if not isinstance(inner, h5py.Group):
            return None
        group = inner
    signal = group.attrs.get("signal")
    return f"{group.name}/{signal}".strip("/") if isinstance(signal, str) else None


def _own(group: h5py.Group, name: str) -> bool:
    """Whether the group itself holds it, no other file and no path elsewhere."""
    plain = name not in ("", ".") and "/" not in name
    return plain and isinstance(group.get(name, getlink=True), h5py.HardLink)


def _only(group: h5py.Group) -> h5py.Group | None:
    """The one group of NeXus' kind that there is to follow."""
    inner = [group[name] for name in group if _own(group, name)]
    found = [g for g in inner if isinstance(g, h5py.Group) and _class(g) in ("NXentry", "NXdata")]
    return found[0] if len(found) == 1 else None


def _class(group: h5py.Group) -> str:
    name = group.attrs.get("NX_class", "")
    return name.decode() if isinstance(name, bytes) else str(name)


def _axes(signal: h5py.Dataset) -> list[Array]:
    """The axes of an NXdata, mm; none where they have no length as unit."""
    names = np.atleast_1d(signal.parent.attrs.get("axes", []))
    found = []
    for name in (str(n) for n in names):
        if not _own(signal.parent, name):
            return []
        axis = signal.parent[name]
        unit = LENGTHS.get(str(axis.attrs.get("units", "")))
        if unit is None or axis.ndim != 1:
            return []
        found.append(unit * np.asarray(axis, np.float64))
    return found if len(found) == signal.ndim else []


def _spacing(axes: list[Array]) -> tuple[float, float] | None:
    """Width and height of a pixel where an image's axes are even."""
    if len(axes) != 2 or min(len(a) for a in axes) < 2:
        return None
    steps = [np.diff(axis) for axis in axes]
    if any(not np.allclose(step, step[0]) or step[0] == 0 for step in steps):
        return None
    return float(abs(steps[1][0])), float(abs(steps[0][0]))


def _pixel(signal: h5py.Dataset) -> tuple[float, float] | None:
    """Of the NXdetector that holds the array, or of the only one in its entry."""
    holder: h5py.Group = signal.parent
    detectors = [holder] if _class(holder) == "NXdetector" else _detectors(holder.parent)
    if len(detectors) != 1:
        return None
    sizes = [detectors[0].get(f"{axis}_pixel_size") for axis in "xy"]
    if any(not isinstance(size, h5py.Dataset) or size.size != 1 for size in sizes):
        return None
    units = [LENGTHS.get(str(size.attrs.get("units", ""))) for size in sizes]
    if None in units:
        return None
    width, height = (float(np.ravel(s)[0]) * u for s, u in zip(sizes, units, strict=True) if u)
    return width, height


def _detectors(entry: h5py.Group) -> list[h5py.Group]:
    found: list[h5py.Group] = []
    entry.visititems(
        lambda _, item: (
            found.append(item)
            if isinstance(item, h5py.Group) and _class(item) == "NXdetector"
            else None
        )
    )
    return found
