"""Does a file that hangs, fills the memory or ends its reader end in a sentence, within limits?"""

import json
import os
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from targets import PROFILES

from raybayes.errors import InputError
from raybayes.observations import Reading, decoding, observation
from raybayes.observations.decoding import Request, decode

COUNTS = np.arange(1.0, 19.0)


@pytest.fixture
def good(tmp_path):
    np.save(tmp_path / "x.npy", COUNTS)
    return Request(tmp_path / "x.npy", Reading())


def test_a_file_by_way_of_the_process(good, tmp_path, monkeypatch):
    """What comes back is what the reader found: axes, sizes, masks, sentences."""
    monkeypatch.setattr(observation, "decode", decode)
    np.testing.assert_array_equal(observation.read_observation([good.path], PROFILES).x, COUNTS)
    pixels = np.arange(48, dtype="u4").reshape(6, 8)
    pixels[2, 3] = 2**32 - 1
    with h5py.File(tmp_path / "x.nxs", "w") as file:
        data = file.create_group("entry/plot")
        file["entry"].attrs["NX_class"] = "NXentry"
        data.attrs.update({"NX_class": "NXdata", "signal": "n", "axes": ["y", "x"]})
        data["n"], data["x"], data["y"] = pixels, np.arange(8.0), np.arange(6.0)
        data["x"].attrs["units"] = "um"
    ((image,), (counts,)) = decode([Request(tmp_path / "x.nxs", Reading()), good])
    assert image.bad.sum() == 1 and image.bad[2, 3] and image.ceiling == 2**32 - 1
    assert [(a.name, a.unit, len(a.values)) for a in image.axes] == [("x", "um", 8), ("y", "", 6)]
    assert "1 pixels hold" in image.told[0] and image.pixel is None
    np.testing.assert_array_equal(counts.values, COUNTS)
    assert counts.axes is None and counts.bad is None and counts.ceiling is None


def test_the_first_fault_is_said(good, tmp_path):
    (tmp_path / "a.csv").write_text("no numbers")
    wrong = Request(tmp_path / "a.csv", Reading())
    with pytest.raises(InputError, match=r"a.csv: holds no numbers"):
        decode([good, wrong, Request(tmp_path / "b.csv", Reading())])


def test_a_file_that_hangs(shared):
    """An HDF5 file by which its library goes round for ever."""
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"hang\.nxs: takes more than 3 s to read"):
        decode([Request(shared / "cases" / "files" / "hang.nxs", Reading())])
    assert time.monotonic() - begun < 10


def a_program(monkeypatch, code):
    """The process runs this instead of the readers."""
    popen = subprocess.Popen

    def start(command, **options):
        return popen([sys.executable, "-c", code], **options)

    monkeypatch.setattr(decoding.subprocess, "Popen", start)


ENDS = {
    "a process that sleeps": (
        "import time; print('.', end='', flush=True); time.sleep(60)",
        "has not been read within 1.0 s; if the machine is busy, try again",
    ),
    "one that counts": (
        "from raybayes.observations.decoding import _limited; _limited()\nwhile True: pass",
        "takes more than 3 s to read",
    ),
    "one that wants memory": (
        "from raybayes.observations.decoding import _limited; _limited(); bytearray(2**31)",
        "takes more than 1024 MB to read",
    ),
    "one that falls": (
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        r"ends the program that reads it \(signal 11\)",
    ),
    "one that raises": ("raise KeyError('a')", r"ends the program that reads it \(KeyError: 'a'"),
}  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="limits of the system's that Windows does not have")
@pytest.mark.parametrize("case", ENDS)
def test_what_ends_the_process(case, good, monkeypatch):
    code, words = ENDS[case]
    monkeypatch.setattr(decoding, "SECONDS", 1.0 if "sleeps" in case else 30.0)
    a_program(monkeypatch, code)
    with pytest.raises(InputError, match=f"x.npy: {words}") as error:
        decode([good])
    assert "\n" not in str(error.value)


def test_a_half_answer_is_none(good, monkeypatch):
    """And what came before it counts."""
    whole = decoding._packed(decoding.read_file(good.path, good.reading))
    assert len(decoding.understood([good], whole, b"", False, 0)) == 1
    with pytest.raises(InputError, match="ends the program"):
        decoding.understood([good, good], whole + whole[:-5], b"", False, -11)


def test_a_library_that_complains(good):
    """What it says on stderr is damage; in C, there is no other way."""
    whole = decoding._packed(decoding.read_file(good.path, good.reading))
    with pytest.raises(InputError, match=r"x.npy: is damaged \(bad block\)"):
        decoding.understood([good], whole, b"bad block\nmore\n", False, 0)


def test_requests_are_json(good):
    assert Reading.model_validate_json(json.loads(json.dumps(good.reading.model_dump_json())))
