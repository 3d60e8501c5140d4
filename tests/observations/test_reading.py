"""Does every kind of file give the counts that stand in it?"""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from targets import BIG, IMAGE, PROFILES, beam, edges

from raybayes.errors import InputError
from raybayes.observations import Reading, Target, read_observation
from raybayes.observations.bins import edges_between, onto


@pytest.mark.parametrize("suffix", ["txt", "csv", "dat", "npy", "npz", "h5", "nxs"])
def test_a_list_of_counts(suffix, tmp_path):
    counts, path = np.arange(1.0, 19.0), tmp_path / f"x.{suffix}"
    if suffix == "npy":
        np.save(path, counts)
    elif suffix == "npz":
        np.savez(path, counts=counts)
    elif suffix in ("h5", "nxs"):
        with h5py.File(path, "w") as file:
            file["a/counts"] = counts
    else:
        path.write_text("# measured\ncounts\n" + "\n".join(f"{c:g}" for c in counts) + "\n")
    found = read_observation([path], PROFILES)
    np.testing.assert_array_equal(found.x, counts)
    assert found.files == (path.name,) and found.done[0] == f"Read {path.name}: profile of 18."


@pytest.mark.parametrize("mode", ["png", "tiff", "bmp", "npy", "csv", "nxs"])
@pytest.mark.parametrize("target", [PROFILES, IMAGE], ids=["profiles", "image"])
def test_an_image(mode, target, tmp_path):
    """One image as pixels or as sums; the upper left corner of a file is left and above."""
    pixels, path = beam(), tmp_path / f"x.{mode}"
    if mode == "npy":
        np.save(path, pixels)
    elif mode == "csv":
        np.savetxt(path, pixels, delimiter=",")
    elif mode == "nxs":
        _nexus(path, pixels)
    else:
        depth = np.uint8 if mode == "bmp" else np.uint16
        pixels = np.round(pixels / 10) if mode == "bmp" else pixels
        Image.fromarray(pixels.astype(depth)).save(path)
    reading = Reading() if mode == "nxs" else Reading(pixel_size=0.002)
    found = read_observation([path], target, reading)
    assert found.x.shape == (target.size,)
    below = pixels[::-1]
    if target.reads == "image":
        centre = found.x.reshape(4, 6)
        inner = below[10:30].reshape(4, 5, 60)[:, :, 15:45].reshape(4, 5, 6, 5).sum((1, 3))
        np.testing.assert_allclose(centre, inner)
        assert centre[:, 3:].sum() > centre[:, :3].sum() and centre[:2].sum() > centre[2:].sum()
    else:
        np.testing.assert_allclose(found.x[:10].sum(), pixels[:, 5:55].sum())
        np.testing.assert_allclose(found.x[:10], below[:, 5:55].sum(0).reshape(10, 5).sum(1))


def _nexus(path, pixels):
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs.update({"NX_class": "NXentry", "default": "data"})
        detector = entry.create_group("instrument/camera")
        detector.attrs["NX_class"] = "NXdetector"
        detector["data"] = pixels
        for axis in "xy":
            detector[f"{axis}_pixel_size"] = 2.0
            detector[f"{axis}_pixel_size"].attrs["units"] = "um"
        data = entry.create_group("data")
        data.attrs.update({"NX_class": "NXdata", "signal": "counts"})
        data["counts"] = detector["data"]
        data["other"] = np.zeros(3)


def test_two_profiles_with_positions(tmp_path):
    """Positions in um, falling, finer than the bins: counts are kept where they lie."""
    paths = []
    for name, half, n in (("h", 60, 240), ("v", 30, 120)):
        place = np.linspace(half, -half, n)
        counts = np.round(1e4 * np.exp(-((place - 5) ** 2) / 200))
        paths.append(tmp_path / f"{name}.csv")
        np.savetxt(paths[-1], np.stack([np.zeros(n), place, counts], 1), delimiter=";")
    reading = Reading(columns=(2, 3), unit="um")
    found = read_observation(paths, PROFILES, reading)
    horizontal = found.x[:10]
    assert horizontal.argmax() == 5 and found.x[10:].argmax() in (4, 5)
    assert horizontal.sum() == pytest.approx(1e4 * np.sqrt(200 * np.pi) / (120 / 239), rel=0.01)
    assert any("horizontal" in text and "240 pixels" in text for text in found.done)


def test_an_evenly_spaced_nxdata_profile(tmp_path):
    paths = [tmp_path / "h.nxs", tmp_path / "v.nxs"]
    for path, wanted in zip(paths, PROFILES.edges, strict=True):
        with h5py.File(path, "w") as file:
            data = file.create_group("entry/data")
            file["entry"].attrs["NX_class"] = "NXentry"
            data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": "x"})
            data["counts"] = np.arange(1, len(wanted))
            data["x"] = 500 * (wanted[1:] + wanted[:-1])
            data["x"].attrs["units"] = "um"
    found = read_observation(paths, PROFILES)
    np.testing.assert_allclose(found.x, [*range(1, 11), *range(1, 9)])


def test_each_profile_has_its_own_pixels(tmp_path):
    """Width and height of a camera's pixels, and the pixel on its axis."""
    paths = []
    for name, n, step, wanted in (("h", 120, 1e-3, 0.02), ("v", 100, 5e-4, 0.005)):
        place = (np.arange(n) - n / 2 + 0.5) * step
        paths.append(tmp_path / f"{name}.txt")
        np.savetxt(paths[-1], 1e3 * np.exp(-((place / wanted) ** 2)))
    found = read_observation(paths, PROFILES, Reading(pixel_size=(1e-3, 5e-4)))
    vertical, middles = found.x[10:], (PROFILES.edges[1][1:] + PROFILES.edges[1][:-1]) / 2
    width = np.sqrt((vertical * middles**2).sum() / vertical.sum())
    assert width == pytest.approx(0.005 / np.sqrt(2), rel=0.1)
    moved = Reading(pixel_size=(1e-3, 5e-4), centre=(59.5, 59.5))
    assert read_observation(paths, PROFILES, moved).x[10:].argmax() in (2, 3)


def nxdata(path, signal, axes, text=str, **more):
    """A file whose default plot is `signal`, with axes in mm; text: the type of its words."""
    with h5py.File(path, "w") as file:
        file.attrs["default"] = text("entry")
        file.create_group("entry").attrs["NX_class"] = text("NXentry")
        file["entry"].attrs["default"] = text("data")
        data = file.create_group("entry/data")
        names = [f"a{i}" for i in range(len(axes))]
        data.attrs.update({"NX_class": text("NXdata"), "signal": text("n")})
        data.attrs["axes"] = [text(name) for name in names]
        data["n"], data["other"] = signal, signal
        for name, axis in zip(names, axes, strict=True):
            data[name] = axis
            data[name].attrs["units"] = text("mm")
    return path


@pytest.mark.parametrize("rises", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_axes_say_where_an_image_lies(rises, tmp_path):
    """As a NeXus plot shows it, whichever way the axes go and wherever they begin."""
    x, y = (0.002 * s * (np.arange(n) - n / 2 + 0.5) for s, n in zip(rises, (50, 40), strict=True))
    signal = np.exp(-((x - 0.012) ** 2) / 1e-4 - ((y[:, None] - 0.008) ** 2) / 1e-4)
    path = nxdata(tmp_path / "x.nxs", signal, (y, x))
    for target in (PROFILES, IMAGE):
        found = read_observation([path], target)
        image = found.x.reshape(4, 6) if target is IMAGE else None
        sums = (image.sum(0), image.sum(1)) if target is IMAGE else (found.x[:10], found.x[10:])
        for part, edges_, place in zip(sums, target.edges, (0.012, 0.008), strict=True):
            middle = (part * (edges_[1:] + edges_[:-1]) / 2).sum() / part.sum()
            assert middle == pytest.approx(place, abs=2e-3)
        assert "Its own axes say" in found.done[1]
    frames = tmp_path / "frames.nxs"  # one of them, as many cameras write it
    with h5py.File(nxdata(frames, signal[None], (np.zeros(1), y, x)), "a") as file:
        del file["entry/data/a0"].attrs["units"]
        file["entry/data"].attrs["axes"] = "a0:a1:a2"
    np.testing.assert_array_equal(read_observation([frames], IMAGE).x, found.x)
    centre = (24.5 + 6 * rises[0], 19.5 + 4 * rises[1])  # of the beam
    image = read_observation([path], IMAGE, Reading(centre=centre)).x.reshape(4, 6)
    np.testing.assert_allclose(image, image[::-1, ::-1], atol=1e-9)


def test_axes_may_be_edges_and_words_may_be_bytes(tmp_path):
    paths = [
        nxdata(tmp_path / f"{i}.nxs", np.arange(1, len(wanted)), [wanted], np.bytes_)
        for i, wanted in enumerate(PROFILES.edges)
    ]
    np.testing.assert_allclose(read_observation(paths, PROFILES).x, [*range(1, 11), *range(1, 9)])
    wrong = nxdata(tmp_path / "w.nxs", np.arange(10), [np.arange(12.0)])
    with pytest.raises(InputError, match="has 12 positions for 10 readings"):
        read_observation([wrong, paths[1]], PROFILES)


def test_a_hot_pixel_may_be_at_full_scale(tmp_path):
    pixels = np.minimum(beam() / 10, 250).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "clean.png")
    pixels[3, 7] = 255
    Image.fromarray(pixels).save(tmp_path / "x.png")
    with pytest.raises(InputError, match="pixel x = 7, y = 3 is saturated"):
        read_observation([tmp_path / "x.png"], IMAGE, BIG)
    mended = Reading(pixel_size=0.002, hot=10)
    files = [tmp_path / "x.png"], [tmp_path / "clean.png"]
    found, clean = (read_observation(each, IMAGE, mended).x for each in files)
    np.testing.assert_allclose(found, clean, atol=5)
    for several in ((slice(3, 5), slice(7, 9)), (slice(3, 30), 7), (20, slice(0, 9))):
        worse = pixels.copy()
        worse[several] = 255  # no hot pixel, but too much light
        Image.fromarray(worse).save(tmp_path / "x.png")
        with pytest.raises(InputError, match="saturated"):
            read_observation([tmp_path / "x.png"], IMAGE, mended)


def test_dark_hot_background_and_gain(tmp_path):
    """What is put on a beam is taken off again; each step leaves a sentence."""
    clean, rng = beam(), np.random.default_rng(0)
    dark = 40 + rng.integers(0, 3, clean.shape)
    dirty = clean + dark + 7
    dirty[3, 5] += 5000
    np.save(tmp_path / "x.npy", dirty.astype(np.uint16))
    np.save(tmp_path / "dark.npy", dark.astype(np.uint16))
    reading = Reading(pixel_size=0.002, dark="dark.npy", hot=10, background="edge", gain=2)
    study = Target("image", IMAGE.edges, background=5.0)
    found = read_observation([tmp_path / "x.npy"], study, reading, tmp_path)
    np.save(tmp_path / "clean.npy", clean - 3)
    plain = read_observation([tmp_path / "clean.npy"], IMAGE, Reading(pixel_size=0.002))
    np.testing.assert_allclose(found.x, 2 * plain.x + 5, atol=1)
    text = " ".join(found.done)
    for part in ("Dark frame dark.npy", "1 hot pixel replaced", "Background 10", "2 counts per",
                 "The study's own background, 5 per bin"):  # fmt: skip
        assert part in text


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", ["none", "horizontal", "vertical"])
def test_turned_like_the_picture(rotate, flip, tmp_path):
    """Reading a file turned is reading the turned file."""
    pixels = beam(40, 40)
    np.save(tmp_path / "a.npy", pixels)
    expected = np.rot90(pixels, rotate // 90)
    expected = {"none": lambda a: a, "horizontal": np.fliplr, "vertical": np.flipud}[flip](expected)
    np.save(tmp_path / "b.npy", expected)
    square = Target("image", (edges(6, 0.01), edges(6, 0.01)))
    reading = Reading(pixel_size=0.002, rotate=rotate, flip=flip)
    turned = read_observation([tmp_path / "a.npy"], square, reading)
    plain = read_observation([tmp_path / "b.npy"], square, Reading(pixel_size=0.002))
    np.testing.assert_allclose(turned.x, plain.x)


def test_roi_and_centre(tmp_path):
    """The optical axis goes through the middle of the pixel that is named."""
    pixels = np.ones((40, 60))
    pixels[12, 33] = 100
    np.save(tmp_path / "x.npy", pixels)
    target = Target("image", (edges(5, 0.002), edges(5, 0.002)))
    reading = Reading(pixel_size=0.002, centre=(33, 12), roi=(20, 5, 30, 20))
    found = read_observation([tmp_path / "x.npy"], target, reading).x.reshape(5, 5)
    assert found[2, 2] == pytest.approx(100) and found.sum() == pytest.approx(124)


@settings(deadline=None, max_examples=50)
@given(
    hnp.arrays(float, st.integers(2, 40), elements=st.floats(0, 1e6)),
    st.integers(1, 30),
    st.floats(0.1, 3),
)
def test_counts_are_preserved(values, bins, pixel):
    """Whatever the bins, as long as they reach as far as the pixels."""
    own = edges(len(values), pixel)
    wanted = np.linspace(own[0] - 1, own[-1] + 1, bins + 1)
    moved = onto(values, own, wanted)
    assert moved.sum() == pytest.approx(values.sum(), rel=1e-9, abs=1e-6)
    assert (moved >= -1e-6).all()
    np.testing.assert_allclose(onto(values, own, own), values, atol=1e-6)


def test_edges_lie_half_way():
    np.testing.assert_allclose(edges_between(np.array([0.0, 1.0, 3.0])), [-0.5, 0.5, 2.0, 4.0])
