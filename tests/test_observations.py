"""Measured files of every format onto a study's bins, and every file that is refused."""

import struct
import zipfile
import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pydantic import ValidationError

from raybayes.errors import InputError
from raybayes.observations import Reading, Target, read_observation
from raybayes.observations.bins import edges_between, onto


def edges(n, pitch):
    return (np.arange(n + 1) - n / 2) * pitch


PROFILES = Target("profiles", (edges(10, 0.01), edges(8, 0.005)))
IMAGE = Target("image", (edges(6, 0.01), edges(4, 0.01)))


def beam(rows=40, columns=60, x=0.2, y=-0.1):
    """An image whose beam stands right of and below its middle; the first row is the top."""
    u, v = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(1, -1, rows))
    return np.round(2000 * np.exp(-(((u - x) / 0.3) ** 2) - ((v - y) / 0.4) ** 2) + 3)


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
    assert "horizontal" in found.done[1] and "240 pixels" in found.done[1]


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


def save(array, suffix="npy"):
    def make(folder):
        path = folder / f"x.{suffix}"
        np.save(path, array)
        return path

    return make


def text(content, suffix="csv"):
    def make(folder):
        path = folder / f"x.{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def picture(array, suffix="png", **options):
    def make(folder):
        path = folder / f"x.{suffix}"
        Image.fromarray(array).save(path, **options)
        return path

    return make


def hdf5(fill):
    def make(folder):
        path = folder / "x.h5"
        with h5py.File(path, "w") as file:
            fill(file, folder)
        return path

    return make


def two_arrays(file, folder):
    file["a"], file["b"] = np.ones(3), np.ones(3)


def in_another_file(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["a"] = np.ones(18)
    layout = h5py.VirtualLayout(18, float)
    layout[:] = h5py.VirtualSource(folder / "other.h5", "a", (18,))
    file.create_virtual_dataset("a", layout)


def linked_to_another_file(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["a"] = np.ones(18)
    data = file.create_group("entry/data")
    file["entry"].attrs["NX_class"] = "NXentry"
    data.attrs.update({"NX_class": "NXdata", "signal": "a", "axes": ["."]})
    data["a"] = h5py.ExternalLink(str(folder / "other.h5"), "/a")


def zipped(folder):
    with zipfile.ZipFile(folder / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(300 << 20))
    return folder / "x.npz"


def pickled(folder):
    np.save(folder / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    return folder / "x.npy"


def holes(at, value):
    counts = np.arange(18.0)
    counts[at] = value
    return counts


def false_colours(folder):
    """As many programs store a picture in colours: an index into a palette."""
    indices = Image.fromarray((beam() / 10).astype(np.uint8), "P")
    indices.putpalette([value for i in range(256) for value in (i, 255 - i, abs(128 - i))])
    indices.save(folder / "x.png")
    return folder / "x.png"


def deep_colours(folder):
    """16 bits in three channels, by hand: Pillow reads them as 8 and cannot write them."""
    rows = b"".join(b"\0" + bytes(range(6)) * 4 for _ in range(4))
    parts = ((b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)),
             (b"IDAT", zlib.compress(rows)), (b"IEND", b""))  # fmt: skip
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    ]
    (folder / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return folder / "x.png"


def huge(folder):
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,)}\n"
    (folder / "x.npy").write_bytes(
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    )
    return folder / "x.npy"


def damaged(folder):
    """A byte of the packed numbers is another."""
    np.savez_compressed(folder / "x.npz", a=np.random.default_rng(0).random(18))
    content = bytearray((folder / "x.npz").read_bytes())
    content[60:80] = bytes(20)
    (folder / "x.npz").write_bytes(content)
    return folder / "x.npz"


def size_in_another_file(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["size"] = 2.0
        other["size"].attrs["units"] = "um"
    camera = file.create_group("entry/camera")
    camera.attrs["NX_class"] = "NXdetector"
    camera["data"] = beam()
    for axis in "xy":
        camera[f"{axis}_pixel_size"] = h5py.ExternalLink(str(folder / "other.h5"), "/size")


BIG = Reading(pixel_size=0.002)
RGB = np.zeros((4, 4, 3), np.uint8)
RGB[1, 1, 0] = 9
REFUSED = {
    "missing": (lambda folder: folder / "x.csv", Reading(), "cannot be read"),
    "a folder": (lambda folder: folder, Reading(), "is a folder"),
    "empty": (text(""), Reading(), "is empty"),
    "only words": (text("a\nb\n"), Reading(), "holds no numbers"),
    "word among numbers": (text("1\n2\nx\n"), Reading(), "x.csv:3: 'x' is not a row"),
    "ragged": (text("1,2\n3\n"), Reading(), "x.csv:2: has 1 numbers where the rows above have 2"),
    "not text": (text(b"\xff\xfe\x00\x80", "xyz"), Reading(), "is neither text nor"),
    "no such column": (text("1,2\n3,4\n"), Reading(columns=(1, 3)), "columns \\[1, 3\\] are not"),
    "wrong length": (save(np.arange(17.0)), Reading(), "17 readings, but the study's detector has"),
    "nan": (save(holes(3, np.nan)), Reading(), "number 4 is no finite number"),
    "infinite": (save(holes([3, 5], np.inf)), Reading(), "2 readings, the first at number 4, are"),
    "no beam": (save(np.full(18, 3.0)), Reading(), "every reading is 3: there is no beam"),
    "text array": (save(np.array(["a"])), Reading(), "where numbers are needed"),
    "complex": (save(np.ones(18, complex)), Reading(), "holds complex128 where numbers"),
    "pickled": (pickled, Reading(), "not a whole array of numbers"),
    "cut off": (text(b"\x93NUMPY\x01\x00", "npy"), Reading(), "not a whole array"),
    "three axes": (save(np.ones((2, 3, 4))), Reading(), "an array of shape \\(2, 3, 4\\)"),
    "zip bomb": (zipped, Reading(), "unpacks to 300 MB"),
    "no pixel size": (save(beam()), Reading(), "nothing says how large its pixels are"),
    "coarse": (save(beam()), Reading(pixel_size=0.02), "coarser than the study's bins of 10 um"),
    "too small": (save(beam()), Reading(pixel_size=0.0005), "measure wider, or mend centre"),
    "saturated": (picture(np.full((40, 60), 255, np.uint8)), BIG, "saturated \\(at 255\\)"),
    "told saturated": (
        save(holes(4, 99)), Reading(saturation=99), "number 5 is saturated \\(at 99\\)",
    ),
    "roi outside": (save(beam()), Reading(roi=(50, 0, 20, 20)), "does not lie in the image of 60"),
    "roi of profile": (save(np.arange(18.0)), Reading(roi=(0, 0, 2, 2)), "roi cuts images"),
    "hot profile": (save(np.arange(18.0)), Reading(hot=9), "hot mends images"),
    "no dark": (save(beam()), Reading(pixel_size=0.002, dark="no.npy"), "no.npy: cannot be read"),
    "other dark": (save(beam()), Reading(pixel_size=0.002, dark="d.npy"), "the same camera"),
    "colour": (picture(RGB), BIG, "is a colour picture"),
    "palette": (false_colours, BIG, "is a colour picture"),
    "16 bits of colour": (deep_colours, BIG, "has 16 bits in several channels"),
    "huge": (huge, Reading(), "not a whole file of its kind"),
    "damaged": (damaged, Reading(), "not a whole"),
    "its pixels in another file": (
        hdf5(size_in_another_file), Reading(), "nothing says how large its pixels are",
    ),
    "frames": (
        picture(np.zeros((4, 4), np.uint8), "tiff", save_all=True,
                append_images=[Image.new("L", (4, 4))]), BIG, "holds 2 frames",
    ),
    "no picture": (text("<svg/>", "png"), BIG, "not a picture that can be read"),
    "no hdf5": (text("x", "h5"), Reading(), "not a whole HDF5 file"),
    "two arrays": (hdf5(two_arrays), Reading(), "set dataset to one of: a, b"),
    "no such array": (hdf5(two_arrays), Reading(dataset="c"), "no array 'c'"),
    "another file": (hdf5(in_another_file), Reading(), "lies in another file"),
    "a link": (hdf5(linked_to_another_file), Reading(), "no array 'entry/data/a'"),
    "unsorted": (text("1,5\n3,6\n2,7\n"), Reading(), "has 3 readings|neither rise nor fall"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_a_sentence(case, tmp_path):
    make, reading, message = REFUSED[case]
    np.save(tmp_path / "d.npy", np.ones((3, 3)))
    target = IMAGE if reading.pixel_size else PROFILES
    with pytest.raises(InputError, match=message) as error:
        read_observation([make(tmp_path)], target, reading, tmp_path)
    assert "\n" not in str(error.value)


def test_number_of_files():
    with pytest.raises(InputError, match="this study reads one image"):
        read_observation(["a", "b"], IMAGE)
    with pytest.raises(InputError, match="two profiles, or one image"):
        read_observation(["a", "b", "c"], PROFILES)


@pytest.mark.parametrize(
    "wrong", [{"rotate": 45}, {"flip": "up"}, {"pixel_size": -1}, {"hot": 0}, {"colour": 1}]
)
def test_options(wrong):
    with pytest.raises(ValidationError):
        Reading(**wrong)
