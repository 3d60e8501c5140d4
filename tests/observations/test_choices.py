"""Is a key that chooses something of a file refused where the file has no such thing?"""

import numpy as np
import pytest
from targets import IMAGE, PROFILES, beam

from raybayes.errors import InputError
from raybayes.observations import Reading, read_observation

GIVEN = {"columns": (1, 2), "normalise": "monitor", "decimal": ",", "scan": 2, "dataset": "a/b"}
SPEC = "#S 1 ascan m1 0 1 3 1\n#N 2\n#L m1  det\n" + "".join(f"{i} {i * i}\n" for i in range(8))
TEXTS = {
    "list": ("1\n2\n3\n4\n", ("scan", "dataset")),
    "matrix": ("\n".join(" ".join(map(str, row)) for row in beam(8, 9)), ("normalise", "scan")),
    "SPEC": (SPEC, ("decimal", "dataset")),
}


@pytest.mark.parametrize("suffix", [".npy", ".tif", ".png", ".edf"])
@pytest.mark.parametrize("key", GIVEN)
def test_files_without_choices(suffix, key, tmp_path):
    path = tmp_path / f"x{suffix}"
    np.save(tmp_path / "x.npy", beam())
    if suffix != ".npy":
        path.write_bytes(b"whatever: the key is refused before the file is read")
    with pytest.raises(InputError, match=f"{key} means nothing in a file of this kind"):
        read_observation([path], IMAGE, Reading(**{key: GIVEN[key]}))


@pytest.mark.parametrize("kind", TEXTS)
def test_texts(kind, tmp_path):
    text, unknown = TEXTS[kind]
    (tmp_path / "x.txt").write_text(text)
    for key in unknown:
        with pytest.raises(InputError, match=f"{key} means nothing"):
            read_observation([tmp_path / "x.txt"], PROFILES, Reading(**{key: GIVEN[key]}))


def test_archives(tmp_path):
    np.savez(tmp_path / "x.npz", a=beam())
    for key in ("columns", "normalise", "decimal", "scan"):
        with pytest.raises(InputError, match=f"{key} means nothing"):
            read_observation([tmp_path / "x.npz"], IMAGE, Reading(**{key: GIVEN[key]}))
    reading = Reading(dataset="a", pixel_size=0.002)
    assert read_observation([tmp_path / "x.npz"], IMAGE, reading).x.sum() > 0


def test_a_mask_of_another_kind_is_not_asked(tmp_path):
    """`dataset` is of the measurement, whatever the mask is."""
    np.savez(tmp_path / "x.npz", a=beam())
    np.save(tmp_path / "mask.npy", np.zeros((40, 60)))
    reading = Reading(dataset="a", pixel_size=0.002, mask="mask.npy")
    assert read_observation([tmp_path / "x.npz"], IMAGE, reading, tmp_path).x.sum() > 0
