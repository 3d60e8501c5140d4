"""Is every file that cannot be read refused in one sentence?"""

import struct
import zipfile
import zlib

import h5py
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from targets import BIG, IMAGE, PROFILES, beam

from raybayes.errors import InputError
from raybayes.observations import Reading, read_observation


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


def elsewhere(folder):
    """A file of another folder."""
    (folder / "other").mkdir(exist_ok=True)
    return folder / "other" / "x.h5"


def two_arrays(file, folder):
    file["a"], file["b"] = np.ones(3), np.ones(3)


def in_another_file(file, folder):
    with h5py.File(elsewhere(folder), "w") as other:
        other["a"] = np.ones(18)
    layout = h5py.VirtualLayout(18, float)
    layout[:] = h5py.VirtualSource(elsewhere(folder), "a", (18,))
    file.create_virtual_dataset("a", layout)


def linked_to_another_file(file, folder):
    with h5py.File(elsewhere(folder), "w") as other:
        other["a"] = np.ones(18)
    data = file.create_group("entry/data")
    file["entry"].attrs["NX_class"] = "NXentry"
    data.attrs.update({"NX_class": "NXdata", "signal": "a", "axes": ["."]})
    data["a"] = h5py.ExternalLink(str(elsewhere(folder)), "/a")


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
    with h5py.File(elsewhere(folder), "w") as other:
        other["size"] = 2.0
        other["size"].attrs["units"] = "um"
    camera = file.create_group("entry/camera")
    camera.attrs["NX_class"] = "NXdetector"
    camera["data"] = beam()
    for axis in "xy":
        camera[f"{axis}_pixel_size"] = h5py.ExternalLink(str(elsewhere(folder)), "/size")


RGB = np.zeros((4, 4, 3), np.uint8)
RGB[1, 1, 0] = 9
REFUSED = {
    "missing": (lambda folder: folder / "x.csv", Reading(), "cannot be read"),
    "a folder": (lambda folder: folder, Reading(), "is a folder"),
    "empty": (text(""), Reading(), "is empty"),
    "only words": (text("a\nb\n"), Reading(), "holds no numbers"),
    "word among numbers": (text("1\n2\nx\n"), Reading(), "x.csv:3: 'x' is not a row"),
    "ragged": (text("1 2\n3\n"), Reading(), "x.csv:1: has 2 numbers where the rows below have 1"),
    "not text": (text(b"\xff\xfe\x00\x80", "xyz"), Reading(), "holds no numbers"),
    "no such column": (text("1,2\n3,4\n"), Reading(columns=(1, 3)), "has no column 3"),
    "wrong length": (save(np.arange(17.0)), Reading(), "17 readings, but the study's detector has"),
    "nan": (save(holes(3, np.nan)), Reading(), "number 4 is no finite number"),
    "infinite": (save(holes([3, 5], np.inf)), Reading(), "2 readings, the first at number 4, are"),
    "no beam": (save(np.full(18, 3.0)), Reading(), "every reading is 3: there is no beam"),
    "text array": (save(np.array(["a"])), Reading(), "where numbers are needed"),
    "complex": (save(np.ones(18, complex)), Reading(), "holds complex128 where numbers"),
    "pickled": (pickled, Reading(), "not a whole array of numbers"),
    "cut off": (text(b"\x93NUMPY\x01\x00", "npy"), Reading(), "not a whole array"),
    "three axes": (save(np.ones((2, 2, 3, 4))), Reading(), "an array of shape \\(2, 2, 3, 4\\)"),
    "zip bomb": (zipped, Reading(), "unpacks to 300 MB"),
    "no pixel size": (save(beam()), Reading(), "nothing says how large its pixels are"),
    "coarse": (save(beam()), Reading(pixel_size=0.02), "coarser than the study's bins of 10 um"),
    "too small": (save(beam()), Reading(pixel_size=0.0005), "measure wider, or say where"),
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
        hdf5(size_in_another_file), Reading(), "not in the same folder",
    ),
    "frames": (
        picture(np.zeros((4, 4), np.uint8), "tiff", save_all=True,
                append_images=[Image.new("L", (4, 4))]),
        Reading(pixel_size=1, frame=3), "holds 2 frames, so there is no frame 3",
    ),
    "no picture": (text("<svg/>", "png"), BIG, "not a picture that can be read"),
    "no hdf5": (text("x", "h5"), Reading(), "not a whole HDF5 file"),
    "two arrays": (hdf5(two_arrays), Reading(), "set dataset to one of: a, b"),
    "no such array": (hdf5(two_arrays), Reading(dataset="c"), "no array 'c'"),
    "another file": (hdf5(in_another_file), Reading(), "lies in another file"),
    "a link": (hdf5(linked_to_another_file), Reading(), "not in the same folder"),
    "one number or two": (text("1,5\n3,6\n2,7\n"), Reading(), "one number with a decimal comma"),
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
