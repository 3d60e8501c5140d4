"""An append-only record of simulations: immutable shards, each a pure function of its index.

A shard is one safetensors file, written beside its place, fsynced and renamed, so a name that
exists is whole: a killed run leaves at most a temporary file, which the next one sweeps away.
"""

import hashlib
import itertools
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from raybayes.array_types import Array
from raybayes.errors import InputError

Arrays = dict[str, Array]
Simulate = Callable[[int, int], tuple[Arrays, Mapping[str, object]]]
PARTIAL = ".partial-"
STALE = 3600.0  # s: a half-written file of another machine that is older has no living writer


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all: beside, fsync, rename, fsync of the folder."""
    path = Path(path)
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{PARTIAL}{_writer()}-")
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


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, unless it is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from error


def _writer(pid: int | None = None) -> str:
    """Machine and process, as they stand in the name of a half-written file."""
    return f"{socket.gethostname()}-{os.getpid() if pid is None else pid}"


def _abandoned(partial: Path) -> bool:
    """Whether nobody writes this file any more: its process is gone, or it is old."""
    machine, _, pid = partial.name.removeprefix(PARTIAL).rpartition("-")[0].rpartition("-")
    try:
        if machine == socket.gethostname() and pid.isdigit() and not _alive(int(pid)):
            return True
        return time.time() - partial.stat().st_mtime > STALE
    except FileNotFoundError:
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


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


def digest(parts: object, *arrays: NDArray) -> str:
    """Hash of what determines a result: the `repr` of its parts, and the bytes of arrays."""
    found = hashlib.sha256(repr(parts).encode())
    for array in arrays:
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()[:16]


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


def read_header(path: Path) -> dict[str, Any]:
    """The header alone of a file of `write_arrays`; raises as `read_arrays`."""
    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads((file.metadata() or {})["raybayes"])
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
        """Of a shard, whether it is there or not."""
        return self.folder / f"shard-{index:06d}.safetensors"

    def shards(self, n: int) -> range:
        """Those that hold the first n simulations."""
        return range(-(-n // self.shard_size))

    def open(self) -> None:
        """Make the folder, sweep away what killed writers left half-written.

        Raises:
            InputError: it cannot be made, or its shards are those of another study.
        """
        make_folder(self.folder)
        for partial in self.folder.glob(f"{PARTIAL}*"):
            if _abandoned(partial):
                partial.unlink(missing_ok=True)
        for present in itertools.islice(self.folder.glob("shard-*.safetensors"), 1):
            self._check(present, read_header(present))

    def missing(self, shards: Iterable[int]) -> list[int]:
        """Of these shards, those that are not there."""
        there = set(os.listdir(self.folder)) if self.folder.exists() else set()
        return [index for index in shards if self.path(index).name not in there]

    def add(self, index: int, simulate: Simulate) -> tuple[dict[str, Any], bool]:
        """Make one shard, unless it is there: its header, and whether it was written now."""
        path = self.path(index)
        if not path.exists():
            arrays, notes = simulate(index, self.shard_size)
            if not path.exists():  # another writer may have made the same one meanwhile
                header = {**self.header, **notes, "shard": index}
                write_arrays(path, arrays, header)
                return header, True
        return self._header(index), False

    def fill(
        self,
        shards: Iterable[int],
        simulate: Simulate,
        progress: Callable[[dict[str, Any]], object] = lambda header: None,
    ) -> int:
        """Write those of the shards that are not there yet.

        Any number of writers may fill the same folder: one that comes second with a shard goes
        on in the middle of what is left, so that they meet no more.

        Args:
            simulate: (shard index, count) -> arrays and notes for the header; must depend on
                nothing else. Arrays have `count` rows, less those that failed.
            progress: called with the header of each shard that was missing.

        Returns:
            how many shards were written now.
        """
        self.open()
        todo, written = self.missing(shards), 0
        while todo:
            index, *todo = todo
            header, mine = self.add(index, simulate)
            progress(header)
            written += mine
            if not mine:
                todo = todo[len(todo) // 2 :] + todo[: len(todo) // 2]
        return written

    def headers(self, shards: Iterable[int]) -> Iterator[dict[str, Any]]:
        """Of these shards."""
        return map(self._header, shards)

    def _header(self, index: int) -> dict[str, Any]:
        try:
            header = read_header(self.path(index))
        except InputError as error:
            raise InputError(f"{error}; delete it and run again, which makes it anew") from error
        self._check(self.path(index), header)
        return header

    def read(self, n: int) -> Arrays:
        """The first n simulations, less those that failed, in order of their shards."""
        parts: list[Arrays] = []
        for index in self.shards(n):
            arrays, header = read_arrays(self.path(index))
            self._check(self.path(index), header)
            parts.append(arrays)
        return {name: np.concatenate([p[name] for p in parts])[:n] for name in parts[0]}

    def _check(self, path: Path, header: Mapping[str, Any]) -> None:
        if header.get("study") != self.header["study"]:
            raise InputError(
                f"{path}: belongs to study {header.get('study')}, not to "
                f"{self.header['study']}; choose another output folder"
            )
        if path != self.path(header.get("shard", -1)):
            raise InputError(
                f"{path}: is shard {header.get('shard')} by its header; delete it and run again, "
                "which makes it anew"
            )
