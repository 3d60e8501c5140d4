"""Does a file on disk stay whole, and belong to one study?"""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from raybayes.errors import InputError
from raybayes.store import (
    PARTIAL,
    Store,
    make_folder,
    read_arrays,
    read_header,
    read_json,
    write_arrays,
    write_json,
    write_whole,
)


def test_no_partial_file_replaces_a_whole_one(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_whole(path, b"whole")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_whole(path, b"half")
    assert path.read_bytes() == b"whole" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("begin", [make_folder, lambda folder: Store(folder, {}, 2).open()])
def test_what_killed_writers_left_is_swept_away(begin, tmp_path):
    """But not what somebody else may still be writing, here or on another machine."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = socket.gethostname()
    names = [f"{PARTIAL}{who}-x" for who in (f"{here}-{gone.pid}", f"{here}-{os.getpid()}", "a-1")]
    for name in (*names, "result.nxs"):
        (tmp_path / name).touch()
    begin(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*names[1:], "result.nxs"}


def test_store_refuses_another_study(tmp_path):
    data = {"theta": np.zeros((2, 1))}
    Store(tmp_path, {"study": "a"}, 2).fill([0], lambda index, count: (data, {}))
    with pytest.raises(InputError, match="belongs to study a, not to b"):
        Store(tmp_path, {"study": "b"}, 2).read(2)
    with pytest.raises(InputError, match="belongs to study a, not to b"):
        Store(tmp_path, {"study": "b"}, 2).open()


# -- damage

ARRAYS = {"theta": np.arange(6.0).reshape(3, 2), "x": np.ones((3, 4), np.float32)}


def arrays_file(path):
    write_arrays(path, ARRAYS, {"study": "a", "shard": 0, "failed": []})
    return read_arrays


def json_file(path):
    write_json(path, {"hash": "abc", "at": [1, 2.5, None], "name": "0" * 64})
    return read_json


FILES = {"arrays": arrays_file, "json": json_file}


@pytest.mark.parametrize("kind", FILES)
def test_every_changed_byte_is_seen(kind, tmp_path):
    path = tmp_path / "file"
    read = FILES[kind](path)
    whole, found = path.read_bytes(), read(path)
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :])
        with pytest.raises(InputError, match=r"is damaged or no file of raybayes .*delete it"):
            read(path)
    for i in range(len(whole)):
        for harmed in (whole[:i], whole[:i] + b"\0" + whole[i:]):
            path.write_bytes(harmed)
            with pytest.raises(InputError, match="is damaged"):
                read(path)
    path.write_bytes(whole)
    assert repr(read(path)) == repr(found)


def test_a_header_is_checked_without_its_arrays(tmp_path):
    path = tmp_path / "file"
    arrays_file(path)
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    assert read_header(path) == read_arrays(path)[1]
    for i in range(start):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        with pytest.raises(InputError, match="is damaged"):
            read_header(path)
    for other in (whole[:start], whole[:-1], whole + b"a"):
        path.write_bytes(other)
        with pytest.raises(InputError, match="arrays are cut off"):
            read_header(path)


def test_files_are_the_same_every_time(tmp_path):
    for kind, make in FILES.items():
        make(tmp_path / f"{kind}1"), make(tmp_path / f"{kind}2")
        assert (tmp_path / f"{kind}1").read_bytes() == (tmp_path / f"{kind}2").read_bytes()


def test_others_can_read_the_arrays(tmp_path):
    arrays_file(tmp_path / "file")
    found = load_file(tmp_path / "file")
    assert all((found[name] == array).all() for name, array in ARRAYS.items())


NOT_OURS = {
    "list": "[1]",
    "number": "3",
    "null": "null",
    "text": '"a"',
    "empty": "",
    "no JSON": "{",
    "deep": "[" * 100_000,
    "many digits": "9" * 5000,
    "binary": "\udcff\udcfe",
    "older": '{"hash": "a"}',
    "checksum of another type": '{"checksum": []}',
    "checksum of another length": '{"checksum": "a"}',
}


@pytest.mark.parametrize("case", NOT_OURS)
def test_other_json_is_refused(case, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(NOT_OURS[case], errors="surrogateescape")
    with pytest.raises(InputError, match=r"a\.json: is damaged or no file of raybayes"):
        read_json(path)


def test_an_older_file_is_called_so(tmp_path):
    (tmp_path / "a.json").write_text('{"hash": "a"}')
    save_file(ARRAYS, tmp_path / "b", {"raybayes": '{"study": "a"}'})
    for read, name in ((read_json, "a.json"), (read_arrays, "b"), (read_header, "b")):
        with pytest.raises(InputError, match="no checksum: an older raybayes wrote it"):
            read(tmp_path / name)


def no_file(folder):
    """What may stand where a file should."""
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    (folder / "to nowhere").symlink_to(folder / "none")
    (folder / "around").symlink_to(folder / "around")
    names = ("pipe", "folder", "to nowhere", "around", "none", "a" * 400, "a\0b")
    return [*(folder / name for name in names), "/dev/zero", "/dev/null"]


@pytest.mark.parametrize("read", [read_json, read_arrays, read_header])
def test_what_is_no_file(read, tmp_path):
    for path in no_file(tmp_path):
        with pytest.raises(InputError, match=r"cannot be read|is damaged"):
            read(path)


def test_shards_that_do_not_fit(tmp_path):
    store = Store(tmp_path, {"study": "a"}, 3)
    others = {"lengths": {**ARRAYS, "x": ARRAYS["x"][:2]}, "names": {"theta": ARRAYS["theta"]}}
    others |= {"widths": {**ARRAYS, "x": ARRAYS["x"][:, :2]}, "none": {}}
    for arrays in others.values():
        write_arrays(store.path(0), ARRAYS, {"study": "a", "shard": 0})
        write_arrays(store.path(1), arrays, {"study": "a", "shard": 1})
        with pytest.raises(InputError, match=r"000001\.safetensors: is damaged"):
            store.read(6)
    for shard in (1, "0", None, [0]):
        write_arrays(store.path(0), ARRAYS, {"study": "a", "shard": shard})
        with pytest.raises(InputError, match="by its header; delete it"):
            store.read(3)
