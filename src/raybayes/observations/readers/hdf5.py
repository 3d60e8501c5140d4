"""One array out of an HDF5 file: the one that NeXus calls the default, or the one named."""

import re
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from raybayes.array_types import Array, Bools
from raybayes.errors import InputError
from raybayes.observations.axes import Axis, mm_in, named
from raybayes.observations.measured import LARGEST, Measured, framed, one_of
from raybayes.observations.options import Reading
from raybayes.observations.soundness import meaning

NESTED = 8  # how many defaults are followed
HOPS = 16  # links on the way to an array
DEPTH, NODES = 32, 20_000  # of groups that are looked at
FIELDS = {"scaling_factor": 1.0, "offset": 0.0}  # of NXdata, and what changes nothing
SHOWN = ("DISPLAY_ORIGIN", "IMAGE_WHITE_IS_ZERO")  # of HDF5's images
FILLS = ("_FillValue", "missing_value")  # of netCDF: a number for no reading
SCALES = ("scaling_factor", "scale_factor", "offset", "add_offset")  # of the numbers stored


def read_hdf5(path: Path, reading: Reading) -> tuple[Measured]:
    """The array, the axes of its NXdata, and what its NXdetector says of pixels and gaps.

    Raises:
        InputError: no such array; one that lies outside the file's folder; damage.
    """
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  more compressions, where it is installed
    try:
        with ExitStack() as opened:
            return (_read(Links(path, opened), reading),)
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        if "filter" in str(error) or "plugin" in str(error):
            raise InputError(
                f"{path}: is packed in a way that needs hdf5plugin; install it "
                "(pip install 'raybayes[formats]')"
            ) from error
        raise InputError(f"{path}: not a whole HDF5 file ({error})") from error


@dataclass
class Links:
    """A file's tree, in which soft links, and links to files of the same folder, are followed."""

    path: Path
    opened: ExitStack
    refused: list[str] = field(default_factory=list)

    def root(self, path: Path) -> h5py.File:
        return self.opened.enter_context(h5py.File(path, "r"))

    def item(self, group: h5py.Group, name: str, hops: int = 0) -> Any:
        """What a path leads to from a group; None where nothing is there or it may not be."""
        here: Any = group.file if name.startswith("/") else group
        parts = [part for part in name.split("/") if part not in ("", ".")]
        for i, part in enumerate(parts):
            if hops > HOPS or not isinstance(here, h5py.Group):
                return None
            link = here.get(part, getlink=True)
            if isinstance(link, h5py.SoftLink):
                rest = "/".join([link.path, *parts[i + 1 :]])
                return self.item(here, rest, hops + 1)
            if isinstance(link, h5py.ExternalLink):
                rest = "/".join(["", link.path, *parts[i + 1 :]])
                beside = self.beside(link.filename)
                return None if beside is None else self.item(self.root(beside), rest, hops + 1)
            here = None if link is None else here[part]
        return here

    def beside(self, name: str) -> Path | None:
        """A file of the same folder; others are not opened."""
        folder = self.path.resolve().parent
        found = (folder / name).resolve()
        if found.parent == folder and found.is_file():
            return found
        self.refused.append(name)
        return None

    def arrays(self, root: h5py.File) -> dict[str, Any]:
        """All arrays of numbers, by their paths."""
        found, waiting, seen = {}, [("", root, 0)], 0
        while waiting:
            name, item, depth = waiting.pop()
            seen += 1
            if depth > DEPTH or seen > NODES:
                raise InputError(f"{self.path}: its groups lie too deep or are too many; set "
                                 "dataset")  # fmt: skip
            if isinstance(item, h5py.Group):
                inner = [(f"{name}/{key}", self.item(item, key), depth + 1) for key in item]
                waiting.extend(reversed(inner))
            elif isinstance(item, h5py.Dataset) and item.ndim > 0 and item.dtype.kind in "uif":
                found[name.strip("/")] = item
        return found


def _as_stored(links: Links, group: h5py.Group, signal: h5py.Dataset) -> None:
    """Refuses an array that an attribute, or a field of its NXdata, says is to be changed."""
    names = {_text(group.attrs.get("signal")), signal.name.rpartition("/")[2]}
    fields = {
        f"{prefix}{change}": value
        for prefix in ("", *(f"{name}_" for name in sorted(names) if name))
        for change, value in _fields(links, group, prefix).items()
        if value != FIELDS[change]
    }
    _refuse(links.path, signal, group, fields)


def _fields(links: Links, group: h5py.Group, prefix: str) -> dict[str, float | str]:
    """What fields say is to be done to the signal, or to the array that the prefix names."""
    found: dict[str, float | str] = {}
    for change in FIELDS:
        field = links.item(group, prefix + change)
        if not isinstance(field, h5py.Dataset):
            continue
        one = field.size == 1 and field.dtype.kind in "uif"
        if one and not field.external and not field.is_virtual:
            found[change] = float(np.asarray(field).ravel()[0])
        elif prefix:  # without one, a list of this name may be a motor's places
            found[change] = "no number"
    return found


def _refuse(path: Path, item: h5py.Dataset, group: h5py.Group, fields: dict[str, Any]) -> None:
    """Where an array's attributes, or these fields beside it, say to change its numbers."""
    said = [(item.name, name, item.attrs[name]) for name in SCALES if name in item.attrs]
    said += [(group.name, name, value) for name, value in fields.items()]
    for where, name, value in said[:1]:
        raise InputError(
            f"{path}: {where} says that its numbers are to be changed ({name} = {value}); store "
            "them as they are meant"
        )


def _read(links: Links, reading: Reading) -> Measured:
    path, root = links.path, links.root(links.path)
    signal, group, told = _chosen(links, root, reading.dataset)
    _bounded(links, signal)
    ndim = sum(size > 1 for size in signal.shape)
    array = signal if signal.ndim == 3 or ndim == signal.ndim else np.squeeze(np.asarray(signal))
    if signal.ndim == 3 and ndim < 2:
        array = np.squeeze(np.asarray(signal))
    found = framed(path, array, reading.frame)
    _as_stored(links, group, signal)
    axes, more = _axes(links, group, signal, found.values.ndim)
    detector = _detector(group, signal)
    pixel, (bad, filled) = None, _filled(path, signal, found, reading.frame)
    called = " ".join(_text(signal.attrs.get(name)) for name in ("long_name", "units"))
    told = (*told, *filled, *meaning(path, called.strip()))
    if detector is not None:
        pixel = _pixel(links, detector)
        masked = _mask(links, detector, found.values.shape)
        if masked is not None:
            bad = masked if bad is None else bad | masked
            told = (*told, f"{masked.sum()} pixels are masked by its pixel_mask.")
    shown = [f"{name} = {_shown(signal, name)}" for name in SHOWN if name in signal.attrs]
    told = (*told, *(f"Not used: {each}, which asks for another picture." for each in shown))
    return replace(found, axes=axes, pixel=pixel, bad=bad, told=(*told, *found.told, *more))


def _shown(signal: h5py.Dataset, name: str) -> str:
    return _text(signal.attrs[name]) or str(signal.attrs[name])


def _filled(
    path: Path, signal: h5py.Dataset, found: Measured, wanted: int | str | None
) -> tuple[Bools | None, tuple[str, ...]]:
    """Where there is no reading, also by the number that netCDF's attributes give for it.

    Raises:
        InputError: a mean of frames hides it.
    """
    bad = found.bad
    for name in FILLS:
        fill = signal.attrs.get(name)
        if fill is None or np.size(fill) != 1 or np.asarray(fill).dtype.kind not in "uif":
            continue
        none = float(np.ravel(fill)[0])
        if wanted == "mean" and signal.ndim == 3 and any((frame == none).any() for frame in signal):
            raise InputError(
                f"{path}: frames hold {none:g}, its {name}, which their mean hides; set frame to "
                "a number"
            )
        empty: Bools = np.asarray(found.values == none)
        if empty.any():
            bad = empty if bad is None else bad | empty
            return bad, (f"{empty.sum()} readings are {none:g}, its {name}: masked.",)
    return bad, ()


def _bounded(links: Links, signal: h5py.Dataset) -> None:
    """Refuses what lies elsewhere or would fill the memory."""
    sources = [source.file_name for source in signal.virtual_sources()] if signal.is_virtual else []
    outside = [name for name in sources if name != "." and links.beside(name) is None]
    if signal.external or outside:
        raise InputError(
            f"{links.path}: {signal.name} lies in another file, in another folder; give that file"
        )
    frame = signal.nbytes // (signal.shape[0] if signal.ndim == 3 and signal.shape[0] else 1)
    chunk = int(np.prod(signal.chunks)) * signal.dtype.itemsize if signal.chunks else 0
    if max(frame, chunk) > LARGEST:
        raise InputError(
            f"{links.path}: {signal.name} has {max(frame, chunk) >> 20} MB in a frame or a chunk; "
            "give a smaller frame or a profile"
        )


def _chosen(
    links: Links, root: h5py.File, dataset: str | None
) -> tuple[h5py.Dataset, h5py.Group, tuple[str, ...]]:
    """The array, the group where it is found (its axes lie beside), and why it."""
    arrays = links.arrays(root)
    wanted = dataset.strip("/") if dataset else _default(links, root) or _marked(arrays)
    told: tuple[str, ...] = ()
    if wanted is None and len(arrays) > 1:
        images = [name for name, item in arrays.items() if item.ndim > 1]
        if len(images) == 1:
            wanted, told = images[0], (f"Of {len(arrays)} arrays, {images[0]} is read.",)
    if links.refused and (wanted is None or wanted not in arrays):
        raise InputError(
            f"{links.path}: leads to {links.refused[0]}, which is not in the same folder; put it "
            "there, or give that file"
        )
    name = one_of(links.path, list(arrays), wanted)
    holder = name.rpartition("/")[0]
    return arrays[name], links.item(root, holder) if holder else root, told


def _default(links: Links, file: h5py.File) -> str | None:
    """The signal of the NXdata that the `default` attributes lead to, or of the only one."""
    group: Any = file
    name = ""
    for _ in range(NESTED):
        if _class(group) == "NXdata":
            break
        inner = _text(group.attrs.get("default")) or _only(links, group)
        if not inner:
            return None
        group, name = links.item(group, inner), f"{name}/{inner}"
        if not isinstance(group, h5py.Group):
            return None
    signal = _text(group.attrs.get("signal"))
    return f"{name}/{signal}".strip("/") if signal else None


def _marked(arrays: dict[str, Any]) -> str | None:
    """The only array that its group or itself calls the signal, also without NeXus' classes."""
    found = [
        name
        for name, item in arrays.items()
        if _text(item.parent.attrs.get("signal")) == name.rpartition("/")[2]
        or _text(np.ravel(item.attrs.get("signal")).astype(str)) == "1"
    ]
    return found[0] if len(found) == 1 else None


def _text(value: Any) -> str:
    """An attribute; programs in C and Java write bytes, or an array of one."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.flat[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _only(links: Links, group: h5py.Group) -> str:
    """The one group of NeXus' kind that there is to follow."""
    inner = {name: links.item(group, name) for name in group}
    kinds = ("NXentry", "NXdata")
    found = [n for n, g in inner.items() if isinstance(g, h5py.Group) and _class(g) in kinds]
    return found[0] if len(found) == 1 else ""


def _class(group: h5py.Group) -> str:
    return _text(group.attrs.get("NX_class"))


def _axes(
    links: Links, group: h5py.Group, signal: h5py.Dataset, ndim: int
) -> tuple[tuple[Axis, ...] | None, tuple[str, ...]]:
    """The axes of an NXdata, those along columns first; those of a stack or of one reading aside.

    Where one is named and not there, none is used, which is said.
    """
    given = group.attrs.get("axes", signal.attrs.get("axes", []))
    names = [_text(name) for name in np.ravel(given)]
    if len(names) == 1 and names[0]:  # as older NeXus writes them: "y:x" or "[y,x]"
        names = re.split("[:,]", names[0].strip("[]"))
    names = [name for name in names if name] or _scales(signal)
    if not any(name != "." for name in names):
        beside = _alike(links, group, signal)
        if not beside:
            return None, ()
        return None, (f"Not used: {', '.join(beside)}, which nothing names as its axis.",)
    listed = ", ".join(names)
    if len(names) != signal.ndim:
        return None, (f"Not used: axes ({listed}) for {signal.ndim} sides of the array.",)
    _indexed(links.path, group, names)
    sides = list(zip(names, signal.shape, strict=True))
    sides = sides[-ndim:] if signal.ndim == 3 and ndim == 2 else [s for s in sides if s[1] > 1]
    if len(sides) != ndim:
        return None, (f"Not used: axes ({listed}), of which some have one position.",)
    found = [_axis(links, group, name) for name, _ in sides]
    whole = [axis for axis in found if axis is not None]
    if len(whole) < len(found):
        return None, (f"Not used: axes ({listed}), of which not all are lists of numbers.",)
    return tuple(whole[::-1]), ()


def _scales(signal: h5py.Dataset) -> list[str]:
    """The dimension scales of HDF5 that are attached to the sides of an array."""
    return [dim[0].name if len(dim) else "." for dim in signal.dims]


def _indexed(path: Path, group: h5py.Group, names: list[str]) -> None:
    """Refuses axes that stand in another order than their indices say."""
    for side, name in enumerate(names):
        said = np.ravel(group.attrs.get(f"{name}_indices", side))
        if len(said) == 1 and said[0] != side:
            raise InputError(
                f"{path}: {group.name} lists {name} as its axis {side}, and {name}_indices says "
                f"{said[0]}; mend one of them"
            )


def _alike(links: Links, group: h5py.Group, signal: h5py.Dataset) -> list[str]:
    """The names of lists beside an array that are as long as one of its sides."""
    sides = {size for size in signal.shape[signal.ndim == 3 :] if size > 1}
    items = {name: links.item(group, name) for name in group}
    return [
        name
        for name, item in items.items()
        if isinstance(item, h5py.Dataset)
        and item != signal
        and item.dtype.kind in "uif"
        and item.size == max(item.shape, default=0) in sides
    ]


def _axis(links: Links, group: h5py.Group, name: str) -> Axis | None:
    """A list of positions with its name and unit; None where it is none."""
    item = links.item(group, name)
    if not isinstance(item, h5py.Dataset) or item.ndim > 1 or item.dtype.kind not in "uif":
        return None
    if item.external or item.is_virtual or item.nbytes > LARGEST:
        return None
    long_name, unit = named(_text(item.attrs.get("long_name")))
    bare = name.rpartition("/")[2]
    label = bare if Axis(np.zeros(0), bare).along else long_name or bare
    if long_name and not Axis(np.zeros(0), label).odd(0) and Axis(np.zeros(0), long_name).odd(0):
        label = long_name
    fields = _fields(links, group, f"{name}_")
    _refuse(links.path, item, group, {f"{name}_{change}": v for change, v in fields.items()})
    values: Array = np.ravel(np.asarray(item, np.float64))
    return Axis(values, label, _text(item.attrs.get("units")) or unit)


def _detector(group: h5py.Group, signal: h5py.Dataset) -> h5py.Group | None:
    """The NXdetector that holds the array, or the only one in its entry."""
    for holder in (group, signal.parent):
        if _class(holder) == "NXdetector":
            return holder
    found: list[h5py.Group] = []
    group.parent.visititems(
        lambda _, item: (
            found.append(item)
            if isinstance(item, h5py.Group) and _class(item) == "NXdetector"
            else None
        )
    )
    return found[0] if len(found) == 1 else None


def _pixel(links: Links, detector: h5py.Group) -> tuple[float, float] | None:
    sizes = []
    for side in "xy":
        axis = _axis(links, detector, f"{side}_pixel_size")
        unit = mm_in(axis.unit) if axis is not None else None
        if axis is None or len(axis.values) != 1 or unit is None or axis.values[0] <= 0:
            return None
        sizes.append(unit * float(axis.values[0]))
    return sizes[0], sizes[1]


def _mask(links: Links, detector: h5py.Group, shape: tuple[int, ...]) -> Bools | None:
    item = links.item(detector, "pixel_mask")
    if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
        return None
    array = np.squeeze(np.asarray(item)) if item.nbytes <= LARGEST else np.zeros(0)
    return array != 0 if array.shape == shape and array.any() else None
