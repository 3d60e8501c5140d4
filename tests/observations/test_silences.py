"""What a new user found to be read in silence: it is refused, or a sentence says it."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from targets import IMAGE, LOPSIDED, MIDDLES, PROFILES, beam, edges, said, table

from raybayes.errors import InputError
from raybayes.observations import Reading, Target, read_observation
from raybayes.observations.axes import Axis

VERTICAL = Target("profiles", (edges(0, 0.01), edges(8, 0.005)))


@pytest.mark.parametrize("name, along", [
    ("samx", "x"), ("samy", "y"), ("stage_y", "y"), ("slh", "x"), ("max", ""), ("index", ""),
    ("flux", ""), ("energy", ""), ("key", ""), ("scan_x", "x"),
])  # fmt: skip
def test_names_of_motors(name, along):
    assert Axis(np.zeros(2), name).along == along


def test_motors_that_are_swapped(tmp_path):
    h = table(tmp_path / "h.csv", 0, np.arange(10.0), "samy,counts")
    v = table(tmp_path / "v.csv", 1, np.arange(8.0), "samx,counts")
    with pytest.raises(InputError, match="give the horizontal profile first"):
        read_observation([h, v], PROFILES)


def test_another_side_is_told_where_one_is_read(tmp_path):
    v = table(tmp_path / "v.csv", 1, np.arange(8.0), "samx,counts")
    assert "called 'samx', and are taken as vertical" in said(read_observation([v], VERTICAL))
    v = table(tmp_path / "v.csv", 1, np.arange(8.0), "samy,counts")
    assert "Caution" not in said(read_observation([v], VERTICAL))


def test_one_file_twice(tmp_path):
    h = table(tmp_path / "h.csv", 0, np.arange(10.0), "x,counts")
    with pytest.raises(InputError, match="is given twice"):
        read_observation([h, h], PROFILES)


@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_codes_in_text(gaps, tmp_path):
    """-1 among whole numbers that are never lower: a gap, as in a file of integers."""
    counts = np.array([3, 50, -1, 90, 40, 2, 1, 0, 0, 1.0])
    h = table(tmp_path / "h.csv", 0, counts, "x,counts")
    v = table(tmp_path / "v.csv", 1, np.arange(8.0), "y,counts")
    target = replace(PROFILES, gaps=gaps)
    if gaps:
        assert np.flatnonzero(np.isnan(read_observation([h, v], target).x)).tolist() == [2]
    else:
        with pytest.raises(InputError, match="no finite number, or a code for none"):
            read_observation([h, v], target)


def test_noise_about_zero_is_no_code(tmp_path):
    """A frame of integers that a dark has been subtracted from: as many at -1 as at 1."""
    rng = np.random.default_rng(0)
    pixels = (beam() - 3 + np.round(0.5 * rng.standard_normal((40, 60)))).astype(np.int16)
    assert pixels.min() >= -2 and (pixels == -1).sum() > 100
    np.save(tmp_path / "x.npy", pixels)
    found = read_observation([tmp_path / "x.npy"], IMAGE, Reading(pixel_size=0.002))
    assert "as frequent as 1" in said(found) and "masked" not in said(found)
    np.save(tmp_path / "y.npy", pixels.astype(float))
    plain = read_observation([tmp_path / "y.npy"], IMAGE, Reading(pixel_size=0.002))
    np.testing.assert_array_equal(found.x, plain.x)


def test_nothing_is_left(tmp_path):
    np.save(tmp_path / "x.npy", beam())
    np.save(tmp_path / "bright.npy", beam() + 5)
    with pytest.raises(InputError, match=r"adds up to .*: there is no beam"):
        read_observation([tmp_path / "x.npy"], IMAGE,
                         Reading(pixel_size=0.002, dark="bright.npy"), tmp_path)  # fmt: skip
    scan = 100 * np.exp(-((MIDDLES[0] / 0.02) ** 2))
    h = table(tmp_path / "h.csv", 0, scan, "x,counts")
    v = table(tmp_path / "v.csv", 1, np.arange(8.0), "y,counts")
    with pytest.raises(InputError, match="there is no beam in it; look at"):
        read_observation([h, v], PROFILES, Reading(probe="knife"))


def test_dead_lines_are_told(tmp_path):
    pixels = beam()
    pixels[:, 33:35] = 0
    np.save(tmp_path / "x.npy", pixels)
    found = read_observation([tmp_path / "x.npy"], IMAGE, Reading(pixel_size=0.002))
    assert "2 columns hold nothing but 0 amid lit ones" in said(found)


@pytest.mark.parametrize("keys", [{"smoothing": 0.01}, {"slit": 0.01, "probe": "knife"}])
def test_options_that_do_nothing(keys):
    with pytest.raises(ValueError, match="knife"):
        Reading(**keys)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_orientation_is_told(suffix, tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 6
    picture = Image.fromarray((beam() / 10).astype(np.uint8))
    picture.save(tmp_path / f"x{suffix}", exif=exif)
    found = read_observation([tmp_path / f"x{suffix}"], IMAGE, Reading(pixel_size=0.002))
    assert "orientation 6" in said(found)


def test_a_picture_is_no_mask(tmp_path):
    np.save(tmp_path / "x.npy", beam())
    with pytest.raises(InputError, match="different values, as a picture has and no mask"):
        read_observation([tmp_path / "x.npy"], IMAGE,
                         Reading(pixel_size=0.002, mask="x.npy"), tmp_path)  # fmt: skip


@pytest.mark.parametrize("field, value", [("scaling_factor", 10.0), ("offset", -3.0)])
def test_fields_of_nexus_that_change_its_numbers(field, value, tmp_path):

    with h5py.File(tmp_path / "x.nxs", "w") as file:
        data = file.create_group("data")
        data.attrs.update({"NX_class": "NXdata", "signal": "counts"})
        data["counts"], data[field] = beam(), value
    with pytest.raises(InputError, match=f"numbers are to be changed \\({field}"):
        read_observation([tmp_path / "x.nxs"], IMAGE, Reading(pixel_size=0.002))


def test_dead_lines_are_told_where_a_background_is_subtracted(tmp_path):
    pixels = beam()
    pixels[:, 33:35] = 0
    np.save(tmp_path / "x.npy", pixels)
    reading = Reading(pixel_size=0.002, background=3.0)
    assert "2 columns hold nothing but 0" in said(
        read_observation([tmp_path / "x.npy"], IMAGE, reading)
    )


@pytest.mark.parametrize("way", ["group", "array"])
def test_a_signal_without_the_classes_of_nexus(way, tmp_path):
    """Attributes of a group or, as older files have them, of the array name it and its axis."""

    for name, middles, counts in zip("xy", MIDDLES, LOPSIDED, strict=True):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            data = file.create_group("scan/17")
            data["counts"], data[name] = counts[::-1], 1e3 * middles[::-1]
            data[name].attrs["units"] = "um"
            marked = data if way == "group" else data["counts"]
            marked.attrs.update({"signal": "counts" if way == "group" else 1, "axes": name})
    found = read_observation([tmp_path / "x.h5", tmp_path / "y.h5"], PROFILES)
    np.testing.assert_allclose(found.x, np.concatenate(LOPSIDED))


def test_positions_that_nothing_names_are_told(tmp_path):

    for name, counts in zip("xy", LOPSIDED, strict=True):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["counts"], file["motor"] = counts, np.arange(len(counts)) + 0.5
    reading = Reading(dataset="counts")
    found = read_observation([tmp_path / "x.h5", tmp_path / "y.h5"], PROFILES, reading)
    assert said(found).count("Not used: motor, which nothing names as its axis.") == 2


@pytest.mark.parametrize("name", ["offset", "scale_factor"])
def test_positions_that_are_to_be_changed_are_refused(name, tmp_path):

    with h5py.File(tmp_path / "x.nxs", "w") as file:
        data = file.create_group("data")
        data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["x"]})
        data["counts"], data["x"] = LOPSIDED[0], MIDDLES[0]
        data["x"].attrs[name] = 2.0
    with pytest.raises(InputError, match=rf"/data/x says that .* changed \({name} = 2.0\)"):
        read_observation([tmp_path / "x.nxs"] * 2, PROFILES)


CELLS = {
    "units": ("x [mm],a,b", "{x},{n}V,1{n}", "'.*V' is no plain number; .* set columns to two of"),
    "errors": ("x [mm],a", "{x},{n} ± 2", "± 2' is no plain number"),
    "thousands": ("x [um];a", "{u};{t}", "may be thousands or decimals; write it without"),
    "right edges": ("bin_right [mm],a", "{x},{n}", "are edges of bins, not their middles"),
    "left edges": ("bin_left [mm],a", "{x},{n}", "are edges of bins, not their middles"),
    "edges": ("left edge x [mm],a", "{x},{n}", "are edges of bins, not their middles"),
    "down": ("y_down [mm],a", "{x},{n}", "rise against up or outboard"),
    "minus": ("-y [mm],a", "{x},{n}", "rise against up or outboard"),
    "negative": ("x [mm],a", "{x},-{n}", "no beam in it; look at .* the sign"),
    "two tables": ("# x a", "{x} {n}", "another table begins here, as '# x a' stood in line 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", CELLS)
def test_what_is_not_understood_is_refused(case, tmp_path):
    """A new user's files, of which each was read as another beam."""
    heading, row, wanted = CELLS[case]
    lines = [heading]
    for x, n in zip(MIDDLES[0], LOPSIDED[0], strict=True):
        lines.append(row.format(x=f"{x:.4f}", n=n, u=f"{1e3 * x:.0f}", t=f"{n * 3:,.0f}"))
    lines *= 1 + (case == "two tables")
    (tmp_path / "x.csv").write_text("\n".join(lines), encoding="utf-8")
    np.savetxt(tmp_path / "y.txt", np.column_stack((MIDDLES[1], LOPSIDED[1])))
    with pytest.raises(InputError, match=wanted):
        read_observation([tmp_path / "x.csv", tmp_path / "y.txt"], PROFILES, Reading(unit="mm"))


def test_numbers_as_other_programs_write_them(tmp_path):
    """Fortran's D exponents, and typographers' minus signs."""
    for name, middles, counts in zip("xy", MIDDLES, LOPSIDED, strict=True):
        cells = [f"{x:.4E}\t{n:.6E}" for x, n in zip(middles, counts, strict=True)]
        text = "\n".join(cells).replace("E", "D").replace("-0", "\N{MINUS SIGN}0")
        (tmp_path / f"{name}.txt").write_text(text.replace("\t-", "\t\N{MINUS SIGN}"), "utf-8")
    found = read_observation([tmp_path / "x.txt", tmp_path / "y.txt"], PROFILES, Reading(unit="mm"))
    np.testing.assert_allclose(found.x, np.concatenate(LOPSIDED))


def test_a_matrix_with_positions_is_no_image(tmp_path):
    """As gnuplot reads it: x in the first row, y in the first column."""
    image = np.pad(beam(), ((1, 0), (1, 0)))
    image[0, 1:], image[1:, 0] = np.arange(60) * 0.5 - 15, np.arange(40) * 0.5 - 10
    np.savetxt(tmp_path / "x.txt", image)
    counted = np.arange(60.0), np.arange(40.0)
    for across, down in ((image[0, 1:], image[1:, 0]), (counted[0], counted[1][::-1]),
                         (counted[0][::-1], counted[1])):  # fmt: skip
        image[0, 1:], image[1:, 0] = across, down
        np.savetxt(tmp_path / "x.txt", image)
        with pytest.raises(InputError, match="like positions, and an image has readings there"):
            read_observation([tmp_path / "x.txt"], IMAGE, Reading(pixel_size=0.002))


def test_axes_of_hdf5(tmp_path):
    """Dimension scales are axes; those of NXdata are refused where their indices contradict."""

    places = {"y": 0.002 * (np.arange(40) - 19.5), "x": 0.002 * (np.arange(60) - 29.5)}
    with h5py.File(tmp_path / "scales.h5", "w") as file:
        file["counts"] = beam()[::-1]
        for side, (name, values) in enumerate(places.items()):
            file[name] = values
            file[name].attrs["units"] = "mm"
            file[name].make_scale(name)
            file["counts"].dims[side].attach_scale(file[name])
    reading = Reading(dataset="counts")
    found = read_observation([tmp_path / "scales.h5"], IMAGE, reading)
    np.save(tmp_path / "plain.npy", beam())
    plain = read_observation([tmp_path / "plain.npy"], IMAGE, Reading(pixel_size=0.002))
    np.testing.assert_allclose(found.x, plain.x)
    blocks = beam()[10:30, 15:45].reshape(4, 5, 6, 5).sum(axis=(1, 3))  # by hand, 5 x 5 pixels
    np.testing.assert_allclose(found.x, blocks[::-1].ravel())
    with h5py.File(tmp_path / "x.nxs", "w") as file:
        data = file.create_group("data")
        data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x"],
                           "x_indices": 0})  # fmt: skip
        data["counts"], data["y"], data["x"] = beam(), places["y"], places["x"]
    with pytest.raises(InputError, match="lists x as its axis 1, and x_indices says 0"):
        read_observation([tmp_path / "x.nxs"], IMAGE)


@pytest.mark.parametrize("cell", ["X={}", "({})"])
def test_a_column_of_words_is_told(cell, tmp_path):
    """Positions in words are none: without a sentence a falling scan would come out mirrored."""
    for name, middles, counts in zip("xy", MIDDLES, LOPSIDED, strict=True):
        rows = [f"{cell.format(x)},{n}" for x, n in zip(middles, counts, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["place,a", *rows]))
    found = read_observation([tmp_path / "x.csv", tmp_path / "y.csv"], PROFILES)
    assert said(found).count("Not used, for want of numbers: column 1 (place).") == 2


def test_arrays_beside_the_one_of_a_file_are_told(tmp_path):
    """Of .npz, and positions beside an image in HDF5."""

    for name, middles, counts in zip("xy", MIDDLES, LOPSIDED, strict=True):
        np.savez(tmp_path / f"{name}.npz", places=middles, counts=counts)
    reading = Reading(dataset="counts")
    found = read_observation([tmp_path / "x.npz", tmp_path / "y.npz"], PROFILES, reading)
    assert said(found).count("Of 2 arrays, counts is read; not used: places.") == 2
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["counts"], file["up"] = beam(), np.arange(40.0)
        file["far/along"] = np.arange(60.0)
        file["along"] = h5py.SoftLink("/far/along")
    reading = Reading(dataset="counts", pixel_size=0.002)
    found = read_observation([tmp_path / "x.h5"], IMAGE, reading)
    assert "Not used: along, up, which nothing names as its axis." in said(found)


@pytest.mark.parametrize("field", ["counts_offset", "counts_scaling_factor", "x_offset"])
@pytest.mark.parametrize("value", [2.0, [2.0, 3.0]])
def test_fields_that_change_a_named_array(field, value, tmp_path):
    """As NeXus has them for each array of an NXdata, here behind a soft link."""

    with h5py.File(tmp_path / "x.nxs", "w") as file:
        data = file.create_group("data")
        data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["x"]})
        data["counts"], data["x"], file["value"] = LOPSIDED[0], MIDDLES[0], value
        data[field] = h5py.SoftLink("/value")
    with pytest.raises(InputError, match=rf"numbers are to be changed \({field} = "):
        read_observation([tmp_path / "x.nxs"] * 2, PROFILES)


def test_a_scan_that_ends_with_a_monitor(tmp_path):
    rows = "\n".join(f"{x} {n} 1000" for x, n in zip(MIDDLES[0], LOPSIDED[0], strict=True))
    (tmp_path / "x.spec").write_text(f"#S 1 ascan x\n#L x  det  I0\n{rows}\n")
    with pytest.raises(InputError, match=r"I0, is no detector .* two of: 1 'x', 2 'det', 3 'I0'"):
        read_observation([tmp_path / "x.spec"] * 2, PROFILES)
