"""Files of all kinds -> what stands in them; nothing is unpickled, run, or followed elsewhere."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from raybayes.errors import InputError
from raybayes.observations.measured import LARGEST, Measured
from raybayes.observations.options import Reading

Reader = Callable[[Path, Reading], tuple[Measured, ...]]
# The module and the function of each suffix; a module is loaded when a file of its kind comes.
READERS = {
    **dict.fromkeys((".txt", ".csv", ".tsv", ".dat"), ("text", "read_text")),
    **dict.fromkeys((".spec", ".spc"), ("spec", "read_spec")),
    ".npy": ("arrays", "read_numpy"),
    ".npz": ("arrays", "read_npz"),
    **dict.fromkeys((".tif", ".tiff"), ("tiff", "read_tiff")),
    **dict.fromkeys((".png", ".bmp", ".jpg", ".jpeg", ".pgm"), ("pictures", "read_picture")),
    **dict.fromkeys((".edf", ".cbf"), ("detectors", "read_detector")),
    **dict.fromkeys((".h5", ".hdf5", ".nxs", ".hdf", ".nx5"), ("hdf5", "read_hdf5")),
}

# Suffixes of what is not read, and what to do.
UNREAD = {
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".7z"), "unpack it"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save the sheet as CSV"),
    **dict.fromkeys((".mat", ".fits", ".fit", ".pkl", ".pickle"), "save its array as HDF5 or .npy"),
    **dict.fromkeys((".gif", ".webp", ".heic", ".raw"), "save it as TIFF or PNG"),
    ".pdf": "give the numbers, not a drawing of them",
}

# Keys of [observation] that choose something in a file, and who knows of it.
CHOOSE = {
    "columns": ("read_text", "read_spec"),
    "normalise": ("read_text", "read_spec"),
    "decimal": ("read_text",),
    "scan": ("read_text", "read_spec"),
    "dataset": ("read_npz", "read_hdf5"),
}


def all_meant(path: Path, reading: Reading) -> None:
    """Refuses a key that chooses something which files of this kind do not have."""
    _, function = READERS.get(path.suffix.lower(), READERS[".txt"])
    for key, readers in CHOOSE.items():
        if getattr(reading, key) is not None and function not in readers:
            raise InputError(
                f"{path}: {key} means nothing in a file of this kind ({path.suffix or 'text'}); "
                f"leave {key} out"
            )


def read_file(path: Path, reading: Reading) -> tuple[Measured, ...]:
    """What a file holds, by its suffix; a file of no known suffix is read as text.

    Two come only from a table of a horizontal and a vertical profile.

    Raises:
        InputError: it is missing, too large, damaged, or not of that format.
    """
    _readable(path)
    suffix = path.suffix.lower()
    if suffix in UNREAD:
        raise InputError(f"{path}: files of this kind ({suffix}) are not read; {UNREAD[suffix]}")
    module, function = READERS.get(suffix, READERS[".txt"])
    reader: Reader = getattr(import_module(f"raybayes.observations.readers.{module}"), function)
    try:
        found = reader(path, reading)
    except InputError:
        raise
    except Exception as error:  # a damaged file may end in anything, also for want of memory
        raise InputError(f"{path}: not a whole file of its kind ({error})") from error
    for one in found:
        if one.values.ndim not in (1, 2) or one.values.size == 0:
            raise InputError(
                f"{path}: holds an array of shape {one.values.shape}; give one profile or one image"
            )
    return found


def _readable(path: Path) -> None:
    try:
        size, kind = path.stat().st_size, "a folder" if path.is_dir() else ""
        kind = kind or ("" if path.is_file() else "no plain file")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if kind or size == 0:
        raise InputError(f"{path}: is {kind or 'empty'}; give a file")
    if size > LARGEST:
        raise InputError(
            f"{path}: has {size / 2**20:.0f} MB, more than the {LARGEST >> 20} MB that one "
            "observation may have; give one frame or profile"
        )
