"""An append-only record of simulations: immutable shards, each a pure function of its index.

A shard is one safetensors file, written beside its place, fsynced and renamed, so a name that
exists is whole: a killed run leaves at most a temporary file, which the next one sweeps away.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from raybayes.errors import InputError

Arrays = dict[str, NDArray[np.float64]]
PARTIAL = ".partial-"


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all: beside, fsync, rename, fsync of the folder."""
    path = Path(path)
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=PARTIAL)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's files are for their owner only
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True) if temporary else None
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_arrays(path: Path, arrays: Mapping[str, NDArray], header: Mapping[str, object]) -> None:
    """One safetensors file; the header stands in it as one JSON text."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    write_whole(path, save(contiguous, {"raybayes": json.dumps(header, sort_keys=True)}))


def read_arrays(path: Path) -> tuple[dict[str, NDArray], dict[str, object]]:
    """The arrays and the header of a file of `write_arrays`.

    Raises:
        InputError: it is missing, damaged, or not one of ours.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["raybayes"])
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a whole raybayes file ({error})") from error


@dataclass(frozen=True)
class Store:
    """Shards of simulations in a folder.

    Attributes:
        folder: made when it does not exist.
        header: stands in every shard; "study" is the hash that a shard must carry to belong.
        shard_size: simulations per shard.
    """

    folder: Path
    header: Mapping[str, object]
    shard_size: int

    def path(self, index: int) -> Path:
        return self.folder / f"shard-{index:06d}.safetensors"

    def open(self) -> None:
        """Make the folder, sweep away what a killed run left half-written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be made ({error.strerror})") from error
        for partial in self.folder.glob(f"{PARTIAL}*"):
            partial.unlink(missing_ok=True)

    def fill(
        self,
        n: int,
        simulate: Callable[[int, int], Arrays],
        progress: Callable[[int], object] = lambda done: None,
    ) -> int:
        """Write the shards that n simulations need and that are not there yet.

        Args:
            simulate: (shard index, count) -> arrays with `count` rows; must depend on
                nothing else.
            progress: called with the number of simulations that each shard adds.

        Returns:
            how many simulations were made now.
        """
        self.open()
        made = 0
        for index in range(-(-n // self.shard_size)):
            if not self.path(index).exists():
                arrays = simulate(index, self.shard_size)
                write_arrays(self.path(index), arrays, {**self.header, "shard": index})
                made += self.shard_size
            progress(self.shard_size)
        return made

    def read(self, n: int) -> Arrays:
        """The first n simulations, in order of their shards."""
        parts: list[Arrays] = []
        for index in range(-(-n // self.shard_size)):
            arrays, header = read_arrays(self.path(index))
            if header.get("study") != self.header["study"]:
                raise InputError(
                    f"{self.path(index)}: belongs to study {header.get('study')}, not to "
                    f"{self.header['study']}; choose another output folder"
                )
            parts.append(arrays)
        return {name: np.concatenate([p[name] for p in parts])[:n] for name in parts[0]}
