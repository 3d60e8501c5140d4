"""Measured files of everybody's writers, harmed: bytes of all kinds, and the structure of HDF5.

A small process that has loaded the readers forks for each case; the child is limited and understood
as that of `decode` is, which costs a second to start. Some cases go through `decode` itself.
"""

import base64
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
from harm import BYTES, VALUES, harmed

from raybayes.observations import decoding
from raybayes.observations.options import Reading
from raybayes.observations.readers import READERS, read_file

sys.path.insert(0, str(Path(__file__).parent / "observations"))
import grid
import pictures_written
import profiles_written

TRULY = 60  # one of so many cases goes through `decode`
READINGS = [
    Reading(), Reading(), Reading(), Reading(frame=2), Reading(frame="mean"), Reading(scan=2),
    Reading(columns=(1, 2)), Reading(columns=("x", "counts")), Reading(dataset="entry/plot/image"),
    Reading(decimal=","),
]  # fmt: skip
TEXT = {".csv", ".txt", ".dat", ".spec"}
# Whose bytes carry checksums, so that no change can pass: of .h5, those that are made so here.
CHECKED = {"Pillow PNG, 8 bits", "Pillow PNG, 16 bits", "NumPy .npz", "h5py, checked"}
NODES = 300  # groups in each other


def h5_checked(stem, frames):
    """HDF5's newest format, whose description has checksums, and so have these arrays."""
    path = stem.with_suffix(".nxs")
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_group("entry/plot")
        file["entry"].attrs["NX_class"] = "NXentry"
        data.attrs.update({"NX_class": "NXdata", "signal": "image", "axes": ["y", "x"]})
        x, y = pictures_written.AXES
        for name, array in (("image", frames[0]), ("x", x), ("y", y)):
            data.create_dataset(name, data=array, chunks=array.shape, fletcher32=True)
            data[name].attrs["units"] = "mm"
    return path


def written(folder):
    """(name, bytes, suffix) of each kind of file."""
    picture = grid.PICTURE
    made = {"h5py, checked": h5_checked(folder / "checked", [picture])}
    for says, own in pictures_written.WRITERS.items():
        for i, (name, write) in enumerate(own.items()):
            stem = folder / f"{says.replace(' ', '_')}{i}"
            made[name] = write(stem, grid.frames_of(name, [picture, picture[::-1, ::-1]]))
    for says, own in profiles_written.WRITERS.items():
        for i, (name, write) in enumerate(own.items()):
            stem = folder / f"p_{says.replace(' ', '_')}{i}"
            made[f"profile, {name}"] = write(stem, grid.sides_of(says))[0]
    return [(name, path.read_bytes(), path.suffix) for name, path in made.items()]


# --- HDF5 -------------------------------------------------------------------------------------


def an_attribute(file, data, rng):
    owner = rng.choice([file, data, *data.values()])
    name = rng.choice(["axes", "signal", "default", "units", "long_name", "NX_class", "offset"])
    value = rng.choice([*VALUES, b"\xff\xfe", "x" * 60_000, np.arange(5), ["a"] * 3, "../..", "."])
    owner.attrs[name] = 0 if value is None or isinstance(value, dict) else value


def a_link(file, data, rng):
    name = rng.choice([*data])
    del data[name]
    to = rng.choice([f"/{data.name}/{name}", "/", "..", "/entry", "nowhere", data.name])
    data[name] = rng.choice(
        [h5py.SoftLink(to), h5py.ExternalLink("case.nxs", to), h5py.ExternalLink("/etc/passwd", to)]
    )


def a_nest(file, data, rng):
    group = data
    for _ in range(NODES):
        group = group.create_group("entry")
        group.attrs.update({"NX_class": rng.choice(["NXentry", "NXdata"]), "default": "entry"})
    group["a"] = np.ones(3)


def a_hard_loop(file, data, rng):
    data["again"] = file["/"]
    data.attrs["default"] = "again"


def an_array(file, data, rng):
    """Another in the place of one: empty, huge, without numbers, packed to almost nothing."""
    name = rng.choice([*data])
    del data[name]
    choice = rng.randrange(6)
    if choice == 0:
        data.create_dataset(name, (2**40,), "f8", chunks=(2**20,))
    elif choice == 1:
        data.create_dataset(name, (4, 2**14, 2**14), "u1", chunks=(1, 2**14, 2**14),
                            compression="gzip", fillvalue=1)  # fmt: skip
    elif choice == 2:
        data[name] = rng.choice(["words", [b"a", b"b"], True, 1j, np.float16(3)])
    elif choice == 3:
        data.create_dataset(name, (0, 5), "f4")
    elif choice == 4:
        data[name] = np.ones(rng.choice([(1,) * 5, (3, 1), (1, 3), (2, 3, 4), (7,)]))
    else:
        data[name] = np.full((60, 80), rng.choice([np.nan, np.inf, 1e308, -1.0, 0.0]))


STRUCTURE = (an_attribute, an_attribute, a_link, a_nest, a_hard_loop, an_array, an_array)


def restructured(data, rng):
    """An HDF5 file with one to three of these done to it; as it is where one cannot be."""
    store = io.BytesIO(data)
    try:
        with h5py.File(store, "r+") as file:
            inside = []
            file.visititems(lambda _, item: inside.append(item))
            groups = [each for each in inside if isinstance(each, h5py.Group) and len(each)]
            for _ in range(rng.choice((1, 1, 2, 3))):
                if groups:
                    rng.choice(STRUCTURE)(file, groups[-1], rng)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError):
        return data
    return store.getvalue()


# --- the process that forks -------------------------------------------------------------------


def serve():
    """For each line on stdin (as `decode` asks), one on stdout: how the child ended, and its words.

    Its memory is in kB, beside what the process had.
    """
    for module, _ in READERS.values():
        import_module(f"raybayes.observations.readers.{module}")
    for each in ("fabio", "hdf5plugin", "imagecodecs", "PIL.Image"):
        import_module(each)
    for line in sys.stdin:
        print(json.dumps(_child(line)), flush=True)


def _child(line):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid, end = os.fork(), time.monotonic() + decoding.SECONDS
        if pid == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.stdin, code = io.StringIO(line), 0
            try:
                decoding.main()
            except BaseException:
                traceback.print_exc()
                code = 1
            sys.stdout.flush()
            os._exit(code)
        late, ended = False, os.wait4(pid, os.WNOHANG)
        while not ended[0]:
            if time.monotonic() > end:
                late = True
                os.kill(pid, 9)
                ended = os.wait4(pid, 0)
                break
            time.sleep(0.001)
            ended = os.wait4(pid, os.WNOHANG)
        out.seek(0)
        err.seek(0)
        words = [base64.b64encode(stream.read()).decode() for stream in (out, err)]
        return [*words, late, os.waitstatus_to_exitcode(ended[1]), ended[2].ru_maxrss]


class Forking:
    """What `decode` does, by such a process."""

    def __init__(self):
        code = "from fuzz_files import serve; serve()"
        paths = [str(Path(__file__).parent), *filter(None, sys.path)]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip

    def decode(self, requests):
        asked = [[str(one.path), one.reading.model_dump_json()] for one in requests]
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        out, err, late, code, kilobytes = json.loads(self.process.stdout.readline())
        assert kilobytes < 1.5e6, f"took {kilobytes / 1e3:.0f} MB"
        return decoding.understood(
            requests, base64.b64decode(out), base64.b64decode(err), late, code
        )

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


# --- the target -------------------------------------------------------------------------------


class Harmed:
    """A file with other bytes; what it was, and whether a change of what it says must be seen."""

    def __init__(self, file, request, decode, right):
        self.file, self.request, self.decode, self.right = file, request, decode, right
        self.damaged = False

    def open(self):
        found = self.decode([self.request])[0]
        self.damaged = self.right is not None and not alike(found, self.right)


def alike(found, right):
    """Whether two files say the same."""
    if len(found) != len(right):
        return False
    pairs = [(a.values, b.values) for a, b in zip(found, right, strict=True)]
    for a, b in zip(found, right, strict=True):
        axes = (a.axes or (), b.axes or ())
        if len(axes[0]) != len(axes[1]) or a.pixel != b.pixel:
            return False
        pairs += [(p.values, q.values) for p, q in zip(*axes, strict=True)]
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


class Observations:
    """Files of all kinds. What no checksum covers may change unseen, but not by being cut."""

    def __init__(self, folder):
        self.folder, self.kinds = folder / "files", {}
        self.folder.mkdir(exist_ok=True)
        for name, data, suffix in written(self.folder):
            path = self.folder / f"case{suffix}"
            path.write_bytes(data)
            right = read_file(path, Reading())
            self.kinds.setdefault(suffix, []).append((name, data, right))
        self.forking = Forking()

    def close(self):
        self.forking.close()

    def case(self, rng):
        suffix = rng.choice(sorted(self.kinds))
        name, whole, right = rng.choice(self.kinds[suffix])
        file, reading = self.folder / f"case{suffix}", rng.choice(READINGS)
        data = whole
        if whole.startswith(b"\x89HDF") and rng.random() < 0.4:
            data, right = restructured(whole, rng), None
        elif rng.random() < 0.3:
            data = rng.choice(BYTES)(whole, rng)
        else:
            data = harmed(whole, rng)
        file.write_bytes(data)
        shortened = suffix not in TEXT and whole.startswith(data)
        seen = reading == Reading() and (name in CHECKED or shortened)
        decode = decoding.decode if rng.randrange(TRULY) == 0 else self.forking.decode
        request = decoding.Request(file, reading)
        return Harmed(file, request, decode, right if seen else None)
