"""One array out of an HDF5 file: the one that NeXus calls the default, or the one named."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.observations.measured import LARGEST, one_of

LENGTHS = {"m": 1e3, "cm": 10.0, "mm": 1.0, "um": 1e-3, "µm": 1e-3, "micron": 1e-3, "nm": 1e-6}
NESTED = 8  # how many defaults are followed


def read(
    path: Path, dataset: str | None
) -> tuple[NDArray, tuple[Array, ...] | None, tuple[float, float] | None]:
    """Values, where they lie along x and y (mm), size of a pixel (mm).

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
            return values, axes[::-1] if len(axes) == values.ndim else None, _pixel(signal)
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
        name = _text(group.attrs.get("default"))
        inner = group.get(name) if _own(group, name) else _only(group)
        if not isinstance(inner, h5py.Group):
            return None
        group = inner
    signal = _text(group.attrs.get("signal"))
    return f"{group.name}/{signal}".strip("/") if signal else None


def _text(value: Any) -> str:
    """An attribute; programs in C and Java write bytes, or an array of one."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.flat[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


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
    return _text(group.attrs.get("NX_class"))


def _axes(signal: h5py.Dataset) -> tuple[Array, ...]:
    """The axes of an NXdata, mm, in the order of the array's; none where no length is their unit.

    Those of one reading alone, which `read` leaves out, are left out here too.
    """
    given = signal.parent.attrs.get("axes", signal.attrs.get("axes", []))
    names = [_text(name) for name in np.ravel(given)]
    if len(names) == 1:  # as older NeXus writes them: "y:x" or "[y,x]"
        names = re.split("[:,]", names[0].strip("[]"))
    if len(names) != signal.ndim:
        return ()
    found = []
    for name, size in zip(names, signal.shape, strict=True):
        if size == 1:
            continue
        unit, axis = _length(signal.parent, name)
        if axis is None:
            return ()
        found.append(unit * axis)
    return tuple(found)


def _length(group: h5py.Group, name: str) -> tuple[float, Array | None]:
    """A group's own list of lengths, and mm in one of its units; None where it is none."""
    item = group.get(name) if _own(group, name) else None
    if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
        return 1.0, None
    unit = LENGTHS.get(_text(item.attrs.get("units")))
    if unit is None or item.ndim > 1 or item.dtype.kind not in "uif" or item.nbytes > LARGEST:
        return 1.0, None
    return unit, np.ravel(np.asarray(item, np.float64))


def _pixel(signal: h5py.Dataset) -> tuple[float, float] | None:
    """Of the NXdetector that holds the array, or of the only one in its entry."""
    holder: h5py.Group = signal.parent
    detectors = [holder] if _class(holder) == "NXdetector" else _detectors(holder.parent)
    if len(detectors) != 1:
        return None
    found = [_length(detectors[0], f"{axis}_pixel_size") for axis in "xy"]
    sizes = [unit * size[0] for unit, size in found if size is not None and len(size) == 1]
    return (float(sizes[0]), float(sizes[1])) if len(sizes) == 2 else None


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
