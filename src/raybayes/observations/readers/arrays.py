"""NumPy's files; never unpickled."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from raybayes.errors import InputError
from raybayes.observations.measured import LARGEST, Measured, framed, one_of
from raybayes.observations.options import Reading


def read_numpy(path: Path, reading: Reading) -> tuple[Measured]:
    """A .npy file."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a whole array of numbers ({error})") from error
    return (framed(path, np.asarray(array), reading.frame),)


def read_npz(path: Path, reading: Reading) -> tuple[Measured]:
    """A .npz file of one array, or of several and the name of one."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > LARGEST:
            raise InputError(f"{path}: unpacks to {unpacked >> 20} MB; give one frame or profile")
        with np.load(path, allow_pickle=False) as arrays:
            name = one_of(path, arrays.files, reading.dataset)
            array, others = arrays[name], [each for each in arrays.files if each != name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a whole archive of arrays ({error})") from error
    found = framed(path, array, reading.frame)
    if not others:
        return (found,)
    told = f"Of {len(others) + 1} arrays, {name} is read; not used: {', '.join(others)}."
    return (replace(found, told=(told, *found.told)),)
