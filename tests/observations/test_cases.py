"""Files as people have them, of one known beam: its centroids, or a sentence with what to do."""

import numpy as np
import pytest

from raybayes.errors import InputError
from raybayes.observations import Reading, Target, read_observation

EDGES = tuple((np.arange(101) - 50) * width for width in (0.01, 0.0025))
TARGET = Target("profiles", EDGES)
SIZE = {"pixel_size": 0.0025}
NO_SIZE = "nothing says how large its pixels are"
IMAGES = {
    "nx_yx.nxs": "", "nx_soft.nxs": "", "silx.h5": "", "nx_xy.nxs": "", "ad10.h5": NO_SIZE,
    "multi.tif": NO_SIZE, "t16.tif": NO_SIZE, "matrix_dec.csv": NO_SIZE,
}  # fmt: skip
PAIRS = {
    "um_header_{}.csv": {}, "semi_dec_{}.csv": {}, "bluesky_ts_{}.csv": {}, "cp1252_{}.csv": {},
    "bluesky_gap_{}.csv": {"columns": (2, 4)}, "nonuni_{}.csv": {}, "jitter_{}.csv": {},
    "na_lead_{}.csv": {}, "spec2_{}.spec": {}, "motor_{}.csv": {"origin": (12.345, 12.345)},
}  # fmt: skip


@pytest.fixture
def files(shared):
    folder = shared / "cases" / "files"
    if not folder.is_dir():
        pytest.skip(f"no sample files at {folder}")
    return folder


def is_the_beam(files, names, within=1.0, **options):
    """Within so many um of the centroids of the counts themselves."""
    found = read_observation([files / name for name in names], TARGET, Reading(**options)).x
    wanted = np.loadtxt(files / "ref.txt")
    for part, right, edges in zip(np.split(found, 2), np.split(wanted, 2), EDGES, strict=True):
        middles = 500 * (edges[1:] + edges[:-1])
        off = (part * middles).sum() / part.sum() - (right * middles).sum() / right.sum()
        assert abs(off) < within


@pytest.mark.parametrize("name", IMAGES)
def test_images(name, files):
    if IMAGES[name]:
        with pytest.raises(InputError, match=IMAGES[name]):
            is_the_beam(files, [name])
    else:
        is_the_beam(files, [name])
    is_the_beam(files, [name], **SIZE)


@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name, files):
    is_the_beam(files, [name.format(side) for side in "hv"], **PAIRS[name])


def test_others(files):
    is_the_beam(files, ["both.csv"])
    is_the_beam(files, ["knife_h.csv", "knife_v.csv"], within=8, probe="knife")  # of noisy counts
    for names, options, words in (
        (["sat12.tif"], SIZE, r"1844 readings, .* are saturated \(at 4095\)"),
        (["eiger_gap.h5"], SIZE, "2 of the study's 100 horizontal bins have no reading"),
        (["bluesky_gap_h.csv", "bluesky_gap_v.csv"], {}, "not clear which columns"),
        (["knife_h.csv", "knife_v.csv"], {}, 'set probe to "knife"'),
        (["motor_h.csv", "motor_v.csv"], {}, "say where the optical axis is"),
    ):
        with pytest.raises(InputError, match=words):
            is_the_beam(files, names, **options)
