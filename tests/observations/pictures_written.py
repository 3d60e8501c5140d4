"""One picture in files of other people's writers.

Each writer takes a stem without a suffix, and frames as one sees them against the beam: [rows from
above, columns from the left]. It writes the first, or all where its format holds several.
"""

import h5py
import numpy as np
import tifffile
from PIL import Image

ROWS, COLUMNS = 60, 80
SIZE = (0.002, 0.003)  # of a pixel, mm
X = (np.arange(COLUMNS) - (COLUMNS - 1) / 2) * SIZE[0]  # of columns from the left, mm
Y = ((ROWS - 1) / 2 - np.arange(ROWS)) * SIZE[1]  # of rows from above, mm
ASIDE = (0.004, -0.006)  # where the middle of the frame lies in the axes of files that have some
AXES = X + ASIDE[0], Y + ASIDE[1]


def saved(suffix, save, shallow=False):
    """A writer, from what saves the first frame at a path."""

    def write(stem, frames):
        path = stem.with_suffix(suffix)
        save(path, frames[0].astype(np.uint8 if shallow else np.uint16))
        return path

    return write


def stacked(suffix, save, dtype=np.uint16):
    def write(stem, frames):
        path = stem.with_suffix(suffix)
        save(path, np.stack(frames).astype(dtype))
        return path

    return write


# --- text and NumPy ---------------------------------------------------------------------------


def table(**options):
    """By pandas, with a fraction that is no whole number where the decimal sign shall be seen."""

    def save(path, picture):
        import pandas

        pandas.DataFrame(picture.astype(float)).to_csv(path, **options)

    return save


def with_header(path, picture):
    np.savetxt(path, picture, header="Camera 3\nexposure 0.1 s", fmt="%g")


def srw(path, picture):
    """As srwpy.srwlib.srwl_uti_save_intens_ascii writes it: rows from below, in metres."""
    x, y = AXES
    ranges = (
        ("Photon Energy", "eV", 1208.0, 1208.0, 1),
        ("Horizontal Position", "m", x[0] / 1e3, x[-1] / 1e3, len(x)),
        ("Vertical Position", "m", y[-1] / 1e3, y[0] / 1e3, len(y)),
    )
    lines = ["#Intensity [ph/s/.1%bw/mm^2] (C-aligned, inner loop is vs Photon Energy, outer loop "
             "vs Vertical Position)"]  # fmt: skip
    for name, unit, first, last, n in ranges:
        lines += [f"#{first} #Initial {name} [{unit}]", f"#{last} #Final {name} [{unit}]"]
        lines += [f"#{n} #Number of points vs {name}"]
    lines += ["#1 #Number of components", *(f" {float(v)}" for v in picture[::-1].ravel())]
    path.write_text("\n".join(lines) + "\n")


# --- pictures ---------------------------------------------------------------------------------


def pillow(path, picture):
    Image.fromarray(picture).save(path)


def jpeg(path, picture):
    Image.fromarray(picture).save(path, quality=98)


def pgm(top, plain=False):
    """By hand: P5 (bytes, the higher one first) or P2 (text), with that largest value."""

    def save(path, picture):
        head = f"P{2 if plain else 5}\n# a camera\n{COLUMNS} {ROWS}\n{top}\n".encode()
        body = (
            "\n".join(" ".join(map(str, row)) for row in picture).encode()
            if plain
            else picture.astype(">u2" if top > 255 else "u1").tobytes()
        )
        path.write_bytes(head + body)

    return save


def tiff(**options):
    return lambda path, picture: tifffile.imwrite(path, picture, **options)


def imagej(path, frames):
    per_unit = (1 / (1e3 * SIZE[0]), 1 / (1e3 * SIZE[1]))
    metadata = {"unit": "um", "axes": "TYX"}
    tifffile.imwrite(path, frames, imagej=True, resolution=per_unit, metadata=metadata)


def ome(path, frames):
    sizes = {"PhysicalSizeX": 1e3 * SIZE[0], "PhysicalSizeXUnit": "µm"}
    sizes |= {"PhysicalSizeY": 1e3 * SIZE[1], "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(path, frames, ome=True, metadata={"axes": "TYX", **sizes})


# --- detectors --------------------------------------------------------------------------------


def edf(header):
    def write(stem, frames):
        from fabio.edfimage import EdfImage

        path = stem.with_suffix(".edf")
        image = EdfImage(data=frames[0].astype(np.int32), header=dict(header))
        for frame in frames[1:]:
            image.append_frame(data=frame.astype(np.int32), header=dict(header))
        image.write(str(path))
        return path

    return write


def cbf(path, picture):
    from fabio.cbfimage import CbfImage

    said = f"# Detector: PILATUS\r\n# Pixel_size {SIZE[0]}e-3 m x {SIZE[1]}e-3 m\r\n"
    header = {"_array_data.header_contents": said}
    CbfImage(data=picture.astype(np.int32), header=header).write(str(path))


# --- HDF5 -------------------------------------------------------------------------------------


def silx_nxdata(units):
    def save(path, picture):
        from silx.io.nxdata import save_NXdata

        names = [f"y{units}", f"x{units}"]
        save_NXdata(
            str(path), picture, axes=[AXES[1], AXES[0]], signal_name="image",
            axes_names=["y", "x"], axes_long_names=names,
        )  # fmt: skip

    return save


def silx_dictionary(path, picture):
    """Its axes in micrometres, the vertical one rising."""
    from silx.io.dictdump import dicttonx

    data = {
        "@NX_class": "NXdata", "@signal": "image", "@axes": ["y", "x"], "image": picture[::-1],
        "x": 1e3 * AXES[0], "x@units": "um", "y": 1e3 * AXES[1][::-1], "y@units": "um",
    }  # fmt: skip
    entry = {"@NX_class": "NXentry", "@default": "plot", "plot": data}
    dicttonx({"@default": "entry", "entry": entry}, str(path))


def nexusformat(path, picture):
    from nexusformat import nexus

    x, y = (
        nexus.NXfield(axis, name=n, units="mm") for axis, n in zip(AXES, ("x", "y"), strict=True)
    )
    data = nexus.NXdata(nexus.NXfield(picture, name="image"), (y, x))
    nexus.NXroot(nexus.NXentry(data)).save(str(path), "w")


def plot(file, frames, axes, units):
    """An NXdata by h5py: `axes` are (name, positions) along each side of the last two."""
    file.attrs["default"] = "entry/plot"
    entry = file.create_group("entry")
    entry.attrs["NX_class"] = "NXentry"
    data = entry.create_group("plot")
    data.attrs.update({"NX_class": "NXdata", "signal": "image"})
    data.attrs["axes"] = [*["."] * (frames.ndim - 2), *(name for name, _ in axes)]
    data["image"] = frames
    for name, positions in axes:
        data[name] = positions
        if units:
            data[name].attrs["units"] = units
    return data


def h5(across=1, down=-1, units="mm", factor=1.0, swapped=False, edges=False):
    """Axes that rise (1) or fall (-1) as they are stored, in the order of the sides."""

    def save(path, picture):
        stored = picture[:: 1 if down < 0 else -1, ::across]
        x, y = AXES[0][::across], AXES[1][:: 1 if down < 0 else -1]
        if edges:
            x, y = (np.append(a - np.diff(a)[0] / 2, a[-1] + np.diff(a)[0] / 2) for a in (x, y))
        axes = [("y", factor * y), ("x", factor * x)]
        with h5py.File(path, "w") as file:
            plot(file, *((stored.T, axes[::-1]) if swapped else (stored, axes)), units)

    return save


def h5_pixels(way):
    """Axes that count pixels; as with any axes, y is up, whether the rows begin above or below."""

    def save(path, picture):
        with h5py.File(path, "w") as file:
            axes = [("y", np.arange(ROWS)[::-way]), ("x", np.arange(COLUMNS))]
            plot(file, picture[::way], axes, "pixel")

    return save


def h5_stack(path, frames):
    with h5py.File(path, "w") as file:
        plot(file, frames, [("y", AXES[1]), ("x", AXES[0])], "mm")


def h5_soft(path, picture):
    """Signal and axes are links into the instrument's part."""
    with h5py.File(path, "w") as file:
        file["entry/camera/data"] = picture
        for name, axis in zip("xy", AXES, strict=True):
            file[f"entry/camera/{name}"] = axis
            file[f"entry/camera/{name}"].attrs["units"] = "mm"
        file["entry"].attrs.update({"NX_class": "NXentry", "default": "plot"})
        file.attrs["default"] = "entry"
        data = file.create_group("entry/plot")
        data.attrs.update({"NX_class": "NXdata", "signal": "image", "axes": ["y", "x"]})
        data["image"] = h5py.SoftLink("/entry/camera/data")
        for name in "xy":
            data[name] = h5py.SoftLink(f"/entry/camera/{name}")


def h5_external(path, picture):
    """The signal lies in another file of the folder, as area detectors write it."""
    raw = path.with_name(f"{path.stem}_raw.h5")
    with h5py.File(raw, "w") as file:
        file["entry/data"] = picture
    with h5py.File(path, "w") as file:
        data = plot(file, picture, [("y", AXES[1]), ("x", AXES[0])], "mm")
        del data["image"]
        data["image"] = h5py.ExternalLink(raw.name, "/entry/data")


def h5_detector(path, frames):
    """Sizes of pixels in an NXdetector, no axes."""
    with h5py.File(path, "w") as file:
        file["entry/camera/data"] = frames
        file["entry"].attrs["NX_class"] = "NXentry"
        file["entry/camera"].attrs["NX_class"] = "NXdetector"
        for name, size in zip("xy", SIZE, strict=True):
            file[f"entry/camera/{name}_pixel_size"] = 1e-3 * size
            file[f"entry/camera/{name}_pixel_size"].attrs["units"] = "m"


def h5_bare(path, picture):
    with h5py.File(path, "w") as file:
        file["image"] = picture


PSIZE = {"PSize_1": f"{SIZE[0]}e-3", "PSize_2": f"{SIZE[1]}e-3"}
# by what the file says of its pixels: nothing, their size, where they lie, that in no unit or in
# pixels
WRITERS = {
    "nothing": {
        "NumPy .npy": saved(".npy", np.save),
        "NumPy .npy, frames": stacked(".npy", np.save),
        "NumPy .npz": saved(".npz", lambda path, picture: np.savez(path, image=picture)),
        "numpy.savetxt with a header": saved(".txt", with_header),
        "pandas CSV, bare": saved(".csv", table(header=False, index=False)),
        "pandas CSV with index and header": saved(".csv", table()),
        "pandas CSV with a header": saved(".csv", table(index=False)),
        "pandas ; and decimal comma": saved(
            ".csv", table(sep=";", decimal=",", header=False, index=False)
        ),
        "pandas UTF-16, tabs": saved(
            ".txt", table(sep="\t", encoding="utf-16", header=False, index=False)
        ),
        "Pillow PNG, 8 bits": saved(".png", pillow, True),
        "Pillow PNG, 16 bits": saved(".png", pillow),
        "Pillow BMP": saved(".bmp", pillow, True),
        "Pillow JPEG": saved(".jpg", jpeg, True),
        "PGM, 8 bits": saved(".pgm", pgm(255), True),
        "PGM up to 4095": saved(".pgm", pgm(4095)),
        "PGM as text": saved(".pgm", pgm(4095, True)),
        "tifffile": saved(".tif", tiff()),
        "tifffile BigTIFF": saved(".tif", tiff(bigtiff=True)),
        "tifffile deflate": saved(".tif", tiff(compression="zlib", predictor=True)),
        "tifffile LZW": saved(".tif", tiff(compression="lzw")),
        "tifffile, pages": stacked(".tif", tiff(photometric="minisblack")),
        "fabio EDF": edf({}),
        "h5py, one array": saved(".h5", h5_bare),
    },
    "size": {
        "ImageJ hyperstack": stacked(".tif", imagej),
        "OME-TIFF": stacked(".ome.tif", ome),
        "fabio EDF, PSize": edf(PSIZE),
        "fabio CBF, Pixel_size": saved(".cbf", cbf),
        "h5py NXdetector": stacked(".h5", h5_detector),
    },
    "positions": {
        "silx save_NXdata, unit in long_name": saved(".h5", silx_nxdata(" [mm]")),
        "silx dicttonx": saved(".h5", silx_dictionary),
        "nexusformat": saved(".nxs", nexusformat),
        "h5py, x rises, y falls": saved(".nxs", h5()),
        "h5py, x rises, y rises": saved(".nxs", h5(1, 1)),
        "h5py, x falls, y rises": saved(".nxs", h5(-1, 1)),
        "h5py, x falls, y falls": saved(".nxs", h5(-1, -1)),
        "h5py [x, y]": saved(".nxs", h5(1, 1, swapped=True)),
        "h5py [n, y, x]": stacked(".nxs", h5_stack),
        "h5py, edges": saved(".nxs", h5(edges=True)),
        "h5py, Greek mu": saved(".nxs", h5(units="\u03bcm", factor=1e3)),
        "h5py, micro sign": saved(".nxs", h5(units="\u00b5m", factor=1e3)),
        "h5py, soft links": saved(".nxs", h5_soft),
        "h5py, a link to a file beside it": saved(".nxs", h5_external),
        "SRW": saved(".dat", srw),
    },
    "no unit": {
        "silx save_NXdata": saved(".h5", silx_nxdata("")),
        "h5py": saved(".nxs", h5(units="")),
        "h5py, units without a meaning": saved(".nxs", h5(units="steps")),
    },
    "pixels": {
        "h5py, y falls": saved(".nxs", h5_pixels(1)),
        "h5py, y rises": saved(".nxs", h5_pixels(-1)),
    },
}
SHALLOW = {"Pillow PNG, 8 bits", "Pillow BMP", "Pillow JPEG", "PGM, 8 bits"}
FRAMES = {
    "NumPy .npy, frames", "tifffile, pages", "ImageJ hyperstack", "OME-TIFF", "h5py [n, y, x]",
    "fabio EDF", "fabio EDF, PSize", "h5py NXdetector",
}  # fmt: skip
# whose first stored row is the lowest, or whose first column is the right one
BELOW = {
    "silx dicttonx", "h5py, y rises", "h5py, x rises, y rises", "h5py, x falls, y rises",
    "h5py [x, y]", "SRW",
}  # fmt: skip
RIGHT = {"h5py, x falls, y rises", "h5py, x falls, y falls"}
