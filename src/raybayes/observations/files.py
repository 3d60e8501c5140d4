"""Files of numbers: text, NumPy, pictures, HDF5; never unpickled, never followed elsewhere."""

import io
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.observations.measured import LARGEST, Measured, measured, one_of
from raybayes.observations.options import Reading

UNITS = {"mm": 1.0, "um": 1e-3}
SEPARATORS = re.compile(r"[,;\s]+")


def read_file(path: Path, reading: Reading) -> Measured:
    """The numbers of a file, by its suffix; a file of no known suffix is read as text.

    Raises:
        InputError: it is missing, too large, damaged, or not of that format.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if path.is_dir() or size == 0:
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'is empty'}; give a file")
    if size > LARGEST:
        raise InputError(
            f"{path}: has {size / 2**20:.0f} MB, more than the {LARGEST >> 20} MB that one "
            "observation may have; give one frame or profile"
        )
    try:
        measured = READERS.get(path.suffix.lower(), read_text)(path, reading)
    except InputError:
        raise
    except Exception as error:  # a damaged file may end in anything, also for want of memory
        raise InputError(f"{path}: not a whole file of its kind ({error})") from error
    if measured.values.ndim not in (1, 2) or measured.values.size == 0:
        raise InputError(
            f"{path}: holds an array of shape {measured.values.shape}; give one profile or one "
            "image"
        )
    return measured


def read_text(path: Path, reading: Reading) -> Measured:
    """One number per line, a table of positions and counts, or an image of many columns."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: is neither text nor of a known suffix ({', '.join(READERS)})"
        ) from error
    table = _table(path, lines)
    if reading.columns is not None:
        table = table[:, _columns(path, reading.columns, table.shape[1])]
    if table.shape[1] == 1:
        return Measured(table[:, 0])
    if table.shape[1] == 2:
        return Measured(table[:, 1], (table[:, 0] * UNITS[reading.unit],))
    return Measured(table)


def _table(path: Path, lines: list[str]) -> Array:
    """[rows, columns] of the lines that hold numbers; words may stand above them, not below."""
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            row = [float(word) for word in SEPARATORS.split(text.strip(",;"))]
        except ValueError as error:
            if not rows:  # a header
                continue
            raise InputError(f"{path}:{number}: {text[:40]!r} is not a row of numbers") from error
        if rows and len(row) != len(rows[0]):
            raise InputError(
                f"{path}:{number}: has {len(row)} numbers where the rows above have {len(rows[0])}"
            )
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: holds no numbers")
    return np.array(rows)


def _columns(path: Path, wanted: tuple[int, int], found: int) -> list[int]:
    if not all(1 <= column <= found for column in wanted):
        raise InputError(
            f"{path}: has {found} columns, so columns {list(wanted)} are not there; they count "
            "from 1"
        )
    return [column - 1 for column in wanted]


def read_numpy(path: Path, reading: Reading) -> Measured:
    """A .npy file."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a whole array of numbers ({error})") from error
    return measured(path, np.asarray(array))


def read_npz(path: Path, reading: Reading) -> Measured:
    """A .npz file of one array, or of several and the name of one."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > LARGEST:
            raise InputError(f"{path}: unpacks to {unpacked >> 20} MB; give one frame or profile")
        with np.load(path, allow_pickle=False) as arrays:
            return measured(path, arrays[one_of(path, arrays.files, reading.dataset)])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a whole archive of arrays ({error})") from error


def read_picture(path: Path, reading: Reading) -> Measured:
    """A grey PNG, TIFF or BMP of one frame."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow only warns of a picture that fills the memory
            content = path.read_bytes()
            with Image.open(io.BytesIO(content), formats=PICTURES) as image:
                if (frames := getattr(image, "n_frames", 1)) > 1:
                    raise InputError(f"{path}: holds {frames} frames; give one")
                if content[: len(PNG)] == PNG and content[PNG_DEPTH] == 16 and image.mode[0] != "I":
                    raise InputError(
                        f"{path}: has 16 bits in several channels, of which 8 would be lost; store "
                        "one grey channel"
                    )
                # A palette may be of false colours, which `_grey` refuses.
                plain = {"1": "L", "P": "RGB"}.get(image.mode)
                pixels = np.asarray(image.convert(plain) if plain else image)
    except (OSError, SyntaxError, ValueError, Warning, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a picture that can be read ({error})") from error
    return measured(path, _grey(path, pixels))


PICTURES = ("PNG", "TIFF", "BMP")
PNG, PNG_DEPTH = b"\x89PNG\r\n\x1a\n", 24  # how it begins, and which byte says bits per channel


def _grey(path: Path, pixels: NDArray) -> NDArray:
    """One channel of a picture whose colours are all alike."""
    if pixels.ndim == 2:
        return pixels
    colours = pixels[..., : pixels.shape[-1] - (pixels.shape[-1] in (2, 4))]  # without alpha
    if (colours != colours[..., :1]).any():
        raise InputError(f"{path}: is a colour picture; give the camera's own grey one")
    return colours[..., 0]


def read_hdf5(path: Path, reading: Reading) -> Measured:
    """HDF5 and NeXus; see `hdf5`."""
    from raybayes.observations import hdf5

    values, axes, pixel = hdf5.read(path, reading.dataset)
    plain = measured(path, values)
    return Measured(plain.values, axes, pixel, plain.ceiling)


READERS: dict[str, Callable[[Path, Reading], Measured]] = {
    ".txt": read_text,
    ".csv": read_text,
    ".dat": read_text,
    ".npy": read_numpy,
    ".npz": read_npz,
    ".png": read_picture,
    ".tif": read_picture,
    ".tiff": read_picture,
    ".bmp": read_picture,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".nxs": read_hdf5,
}
