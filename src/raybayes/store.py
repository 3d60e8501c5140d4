"""An append-only record of simulations: immutable shards, each a pure function of its index.

A shard is one safetensors file, written beside its place, fsynced and renamed, so a name that
exists is whole: a killed run leaves at most a temporary file, which the next one sweeps away.
What a disk or a copy does to a file later is seen by its checksum, which covers every byte.
"""

import errno
import hashlib
import itertools
import json
import os
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from raybayes.array_types import Array
from raybayes.errors import InputError, stop_if_asked

Arrays = dict[str, Array]
Simulate = Callable[[int, int], tuple[Arrays, Mapping[str, object]]]
PARTIAL = ".partial-"
STALE = 3600.0  # s: a half-written file of another machine that is older has no living writer
EMPTY = "0" * 64  # stands in a file where its checksum will stand, while that is computed
LATER = "1" * 64  # likewise that of the arrays, which stands after it
WRONG = (LookupError, ValueError, TypeError, AttributeError, RecursionError)  # of other JSON
DESCRIBED = 100 << 20  # bytes: no description of arrays is longer
ANEW = "delete it and run again, which makes it anew"
OLD = "it has no checksum: an older raybayes wrote it"


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


def read_whole(path: str | os.PathLike[str], largest: int | None = None) -> bytes:
    """A file's bytes, where it is a file: a pipe or a device might give none, or never end.

    Raises:
        OSError: it cannot be read, is no file, or has more than `largest` bytes.
    """
    try:
        with open(path, "rb", opener=_at_once) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "it is a pipe or a device, not a file")
            if largest is not None and found.st_size > largest:
                raise OSError(errno.EFBIG, f"larger than the {largest / 1e6:g} MB that are read")
            return file.read()
    except ValueError as error:  # a zero byte in its name
        raise OSError(errno.EINVAL, str(error)) from error


def read_text(path: str | os.PathLike[str], largest: int | None = None) -> str:
    """As `read_whole`, of UTF-8; a UnicodeDecodeError where it is not."""
    return read_whole(path, largest).decode("utf-8")


def _at_once(path: str, flags: int) -> int:
    """Open a pipe without waiting for its writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, unless it is there; what killed writers left half-written
    in it is swept away."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for partial in folder.glob(f"{PARTIAL}*"):
            if _abandoned(partial):
                partial.unlink(missing_ok=True)
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


# --- files that say when they are damaged ---------------------------------------------------


def damaged(path: str | os.PathLike[str], why: object, remedy: str = ANEW) -> InputError:
    """Of a file of ours that cannot be read, or is not as it was written."""
    if isinstance(why, OSError):
        return InputError(f"{path}: cannot be read ({why.strerror}); give a file of raybayes")
    return InputError(f"{path}: is damaged or no file of raybayes ({why}); {remedy}")


def _sealed(content: bytes) -> bytes:
    """With the hash of all of it in place of the first EMPTY."""
    mark = hashlib.sha256(content).hexdigest()
    return content.replace(EMPTY.encode(), mark.encode(), 1)


def _opened(content: bytes, text: bytes | str) -> dict[str, Any]:
    """The JSON object `text`, whose "checksum" is that of `content`; without it.

    Raises:
        ValueError: it is no such object, or has no or another checksum.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"a table should stand in it, not {str(text[:20])!r}")
    mark = found.pop("checksum", None)
    if mark is None:
        raise ValueError(OLD)
    if len(str(mark)) != len(EMPTY) or (
        _sealed(content.replace(str(mark).encode(), EMPTY.encode(), 1)) != content
    ):
        raise ValueError("its checksum is wrong")
    return found


def write_json(path: str | os.PathLike[str], content: Mapping[str, object]) -> None:
    """A JSON file of ours: `content`, with a checksum over every byte of the file."""
    text = json.dumps({"checksum": EMPTY, **content}, indent=1) + "\n"
    write_whole(path, _sealed(text.encode()))


def read_json(path: str | os.PathLike[str], remedy: str = ANEW) -> dict[str, Any]:
    """What `write_json` wrote.

    Args:
        remedy: what a person does where it is damaged.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        content = read_whole(path, DESCRIBED)
        return _opened(content, content)
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, error, remedy) from error


def write_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, NDArray], header: Mapping[str, object]
) -> None:
    """One safetensors file; the header stands in it as one JSON text.

    That text holds the hash of the arrays' bytes, and a checksum over the description before them,
    in which it stands itself: so a header can be read and trusted without the arrays.
    """
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps({"checksum": EMPTY, "data": LATER, "header": header}, sort_keys=True)
    content = save(contiguous, {"raybayes": text})
    size = _described(content)
    data = hashlib.sha256(memoryview(content)[size:]).hexdigest()
    start = content[:size].replace(LATER.encode(), data.encode(), 1)
    write_whole(path, _sealed(start) + content[size:])


def _described(start: bytes) -> int:
    """The length of a safetensors file's description, of which its first 8 bytes tell."""
    return 8 + int.from_bytes(start[:8], "little")


def read_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """The arrays and the header of a file of `write_arrays`.

    Raises:
        InputError: it is missing, damaged, or not one of ours.
    """
    try:
        content = read_whole(path)
        size = _described(content)
        found = _description(content[:size])
        if found["data"] != hashlib.sha256(memoryview(content)[size:]).hexdigest():
            raise ValueError("the checksum of its arrays is wrong")
        return dict(sorted(load(content).items())), found["header"]
    except (OSError, SafetensorError, *WRONG) as error:
        raise damaged(path, error) from error


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The header alone of a file of `write_arrays`, without its arrays; raises as `read_arrays`."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            start = file.read(8)
            size, whole = _described(start), os.fstat(file.fileno()).st_size
            if size > min(DESCRIBED, whole):
                raise ValueError("it is cut off")
            found = _description(start + file.read(size - 8))
            if size + found["size"] != whole:
                raise ValueError("its arrays are cut off")
            return found["header"]
    except (OSError, *WRONG) as error:
        raise damaged(path, error) from error


def _description(content: bytes) -> dict[str, Any]:
    """Of the bytes before a file's arrays: `header`, and of the arrays `data` and `size`.

    Raises:
        WRONG: they are not ours, or damaged.
    """
    if len(content) < 8 or len(content) != _described(content):
        raise ValueError("it is cut off")
    arrays = json.loads(content[8:])
    found = _opened(content, arrays.pop("__metadata__")["raybayes"])
    found["size"] = max((each["data_offsets"][1] for each in arrays.values()), default=0)
    if not isinstance(found["header"], dict):
        raise ValueError("its header is no table")
    return found


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
        """Make the folder.

        Raises:
            InputError: it cannot be made, or its shards are those of another study.
        """
        make_folder(self.folder)
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
            stop_if_asked()
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
        header = read_header(self.path(index))
        self._check(self.path(index), header)
        return header

    def read(self, n: int) -> Arrays:
        """The first n simulations, less those that failed, in order of their shards."""
        parts: list[Arrays] = []
        for index in self.shards(n):
            arrays, header = read_arrays(self.path(index))
            self._check(self.path(index), header)
            parts.append(arrays)
            if len({len(array) for array in arrays.values()}) != 1 or _kinds(parts[0]) != _kinds(
                arrays
            ):
                raise damaged(self.path(index), "its arrays are not those of the other shards")
        return {name: np.concatenate([p[name] for p in parts])[:n] for name in parts[0]}

    def _check(self, path: Path, header: Mapping[str, Any]) -> None:
        if header.get("study") != self.header["study"]:
            raise InputError(
                f"{path}: belongs to study {header.get('study')}, not to "
                f"{self.header['study']}; choose another output folder"
            )
        shard = header.get("shard")
        if not isinstance(shard, int) or path != self.path(shard):
            raise InputError(f"{path}: is shard {shard} by its header; {ANEW}")


def _kinds(arrays: Arrays) -> dict[str, tuple[object, ...]]:
    """What all shards of a store have in common: names, types of numbers, shapes of a row."""
    return {name: (array.dtype, *array.shape[1:]) for name, array in arrays.items()}
