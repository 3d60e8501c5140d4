"""Does a file on disk stay whole, and belong to one study?"""

import os

import numpy as np
import pytest

from raybayes.errors import InputError
from raybayes.store import Store, write_whole


def test_no_partial_file_replaces_a_whole_one(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_whole(path, b"whole")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_whole(path, b"half")
    assert path.read_bytes() == b"whole" and list(tmp_path.iterdir()) == [path]


def test_store_refuses_another_study(tmp_path):
    data = {"theta": np.zeros((2, 1))}
    Store(tmp_path, {"study": "a"}, 2).fill([0], lambda index, count: (data, {}))
    with pytest.raises(InputError, match="belongs to study a, not to b"):
        Store(tmp_path, {"study": "b"}, 2).read(2)
    with pytest.raises(InputError, match="belongs to study a, not to b"):
        Store(tmp_path, {"study": "b"}, 2).open()
