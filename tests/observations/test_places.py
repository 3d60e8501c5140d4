"""Where pixels lie, which way is up, and which links of a file are followed."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from targets import IMAGE, PROFILES, beam

from raybayes.errors import InputError
from raybayes.observations import Reading, read_observation
from raybayes.observations.axes import Axis
from raybayes.observations.measured import Measured
from raybayes.observations.places import edges_of, placed, scaled, upright, zero_of
from raybayes.observations.readers import read_file

PATH = "x.nxs"


@pytest.mark.parametrize("edges, pixel", [
    (np.arange(-2.5, 3), 2), (np.arange(2.5, -3, -1), 2), (np.array([0.0, 1, 2, 3]), -0.5),
    (np.array([-4.0, -3, -2]), 3.5), (np.array([4.0, 3, 2]), 3.5),
    (np.array([-3.0, -1, 0, 1]), 1.5),
])  # fmt: skip
def test_the_pixel_of_the_axis(edges, pixel):
    """Also beyond the frame, also with axes that fall."""
    assert zero_of(edges) == pytest.approx(pixel)


def test_edges():
    np.testing.assert_allclose(edges_of(PATH, Axis(np.array([3.0, 2, 0])), 3), [3.5, 2.5, 1, -1])
    np.testing.assert_allclose(edges_of(PATH, Axis(np.array([0.0, 1, 5])), 2), [0, 1, 5])
    for wrong, words in (
        ([0, 1, 0.5], "neither rise nor fall"),
        ([0, 0, 0], "neither rise nor fall"),
        ([0, np.nan, 1], "no finite number"),
        ([0, 1, 2, 3, 4], "has 5 positions for 3 readings"),
    ):
        with pytest.raises(InputError, match=words):
            edges_of(PATH, Axis(np.array(wrong, float)), 3)


def test_names_say_which_way_a_picture_lies():
    across, down = Axis(np.arange(3.0), "x", "mm"), Axis(np.arange(2.0), "y", "mm")
    values = np.arange(6.0).reshape(2, 3)
    right = Measured(values, (across, down))
    assert upright(Path("x"), right) is right
    wrong = Measured(values.T, (down, across), bad=values.T > 3)
    turned = upright(Path("x"), wrong)
    np.testing.assert_array_equal(turned.values, values)
    np.testing.assert_array_equal(turned.bad, values > 3)
    assert turned.axes == (across, down) and "Transposed" in turned.told[-1]
    nameless = Measured(values, (Axis(np.arange(3.0), "u"), Axis(np.arange(2.0), "w")))
    assert upright(Path("x"), nameless) is nameless


def test_the_axis_stays_with_a_region_of_interest():
    """It is that of the whole frame."""
    whole = Measured(np.zeros((40, 60)))
    edges, told = placed("x.npy", whole, Reading(pixel_size=0.1, roi=(30, 5, 20, 20)))
    assert edges[0][30] == pytest.approx(0) and edges[1][20] == pytest.approx(0)
    assert "the middle of the frame: pixel x = 29.5, y = 19.5" in told[-1]


def test_another_size_about_the_axis():
    axis = Axis(np.arange(10) * 2.0 - 4, "x", "um")
    np.testing.assert_allclose(
        scaled(PATH, axis, 10, Reading(pixel_size=0.001), 0), (np.arange(11) - 2.5) * 0.001
    )
    moved = scaled(PATH, axis, 10, Reading(pixel_size=0.001, origin=(0.006, 0)), 0)
    assert zero_of(moved) == pytest.approx(5)  # where its positions are 6 um
    with pytest.raises(InputError, match="set unit"):
        scaled(PATH, Axis(axis.values), 10, Reading(pixel_size=0.001, origin=(0.006, 0)), 0)


@pytest.mark.parametrize("target", [PROFILES, IMAGE], ids=["profiles", "image"])
def test_seen_downstream_is_a_mirror(target, tmp_path):
    np.save(tmp_path / "x.npy", beam())
    np.save(tmp_path / "y.npy", np.fliplr(beam()))
    one = read_observation([tmp_path / "x.npy"], target, Reading(pixel_size=0.002))
    other = read_observation(
        [tmp_path / "y.npy"], target, Reading(pixel_size=0.002, seen="downstream")
    )
    np.testing.assert_allclose(one.x, other.x)


def test_seen_downstream_bin_by_bin(tmp_path):
    """Of two profiles the horizontal one is mirrored; one list has no left."""
    for name, n in (("h", 10), ("v", 8)):
        np.save(tmp_path / f"{name}.npy", np.arange(1.0, n + 1))
    np.save(tmp_path / "all.npy", np.arange(1.0, 19))
    reading = Reading(seen="downstream")
    found = read_observation([tmp_path / "h.npy", tmp_path / "v.npy"], PROFILES, reading)
    np.testing.assert_array_equal(found.x, [*range(10, 0, -1), *range(1, 9)])
    with pytest.raises(InputError, match="leave seen out"):
        read_observation([tmp_path / "all.npy"], PROFILES, reading)


def test_profiles_the_wrong_way_round(tmp_path):
    for name in "xy":
        place = np.linspace(-0.06, 0.06, 61)
        np.savetxt(tmp_path / f"{name}.csv", np.stack([place, place**2], 1), delimiter=",",
                   header=f"{name}_mm,n")  # fmt: skip
    with pytest.raises(InputError, match="give the horizontal profile first"):
        read_observation([tmp_path / "y.csv", tmp_path / "x.csv"], PROFILES)


# --- links ------------------------------------------------------------------------------------


@pytest.fixture
def master(tmp_path):
    """A file whose array lies in another one; and how to say where."""
    (tmp_path / "run").mkdir()
    for folder in (tmp_path, tmp_path / "run"):
        with h5py.File(folder / "raw.h5", "w") as file:
            file["n"] = np.arange(1.0, 19)

    def link(to, dataset="/n"):
        path = tmp_path / "run" / "x.nxs"
        with h5py.File(path, "w") as file:
            file["n"] = h5py.ExternalLink(str(to).format(tmp_path), dataset)
        return path

    return link


@pytest.mark.parametrize("to", ["raw.h5", "./raw.h5", "{}/run/raw.h5", "../run/raw.h5"])
def test_a_link_to_the_same_folder_is_followed(to, master):
    assert read_file(master(to), Reading())[0].values[-1] == 18


@pytest.mark.parametrize("to", ["../raw.h5", "{}/raw.h5", "/etc/passwd", "no.h5", ".", "../run"])
def test_a_link_elsewhere_is_refused(to, master):
    with pytest.raises(InputError, match="not in the same folder; put it there"):
        read_file(master(to), Reading())


def test_a_symbolic_link_out_of_the_folder(master, tmp_path):
    """The file's own place counts, not that of its name."""
    (tmp_path / "run" / "out.h5").symlink_to(tmp_path / "raw.h5")
    with pytest.raises(InputError, match="not in the same folder"):
        read_file(master("out.h5"), Reading())


def test_links_that_go_round(master, tmp_path):
    with pytest.raises(InputError):
        read_file(master("x.nxs"), Reading())
    path = tmp_path / "soft.h5"
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
        file["deep/up"] = h5py.SoftLink("/")
        file["n"] = np.arange(1.0, 19)
    with pytest.raises(InputError, match="too deep or are too many"):
        read_file(path, Reading())
    with h5py.File(path, "a") as file:
        del file["deep"]
    assert read_file(path, Reading())[0].values[-1] == 18


@pytest.mark.parametrize("n", [1, 2])
def test_frames_of_a_stack_in_a_dark_file_are_averaged(n, tmp_path):
    """Whichever frame of the measurement is read."""
    clean, dark = beam(), np.random.default_rng(0).integers(0, 9, (2, 40, 60))
    np.save(tmp_path / "x.npy", np.stack([clean, 2 * clean]) + dark.mean(0))
    np.save(tmp_path / "dark.npy", dark)
    reading = Reading(pixel_size=0.002, dark="dark.npy", frame=n)
    found = read_observation([tmp_path / "x.npy"], IMAGE, reading, tmp_path)
    np.save(tmp_path / "y.npy", n * clean)
    plain = read_observation([tmp_path / "y.npy"], IMAGE, Reading(pixel_size=0.002))
    np.testing.assert_allclose(found.x, plain.x)
