"""What another new user found to be read in silence: codes for no reading, headings, footers."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from targets import IMAGE, LOPSIDED, MIDDLES, PROFILES, beam, said, table

from raybayes.cli.reading import ReadingOptions
from raybayes.errors import InputError
from raybayes.observations import Reading, read_observation


@pytest.mark.parametrize("code", [-999, -9999, -32768, 9.91e37, -3.4e38])
@pytest.mark.parametrize("whole", [False, True])
def test_numbers_filled_in_for_no_reading(code, whole, tmp_path):
    """A meter's, a program's or netCDF's number for none is a gap, in text and in arrays."""
    counts = LOPSIDED[0] + (0 if whole else 0.25)
    counts[4] = code
    h = table(tmp_path / "h.csv", 0, counts, "x,counts")
    v = table(tmp_path / "v.csv", 1, LOPSIDED[1], "y,counts")
    with pytest.raises(InputError, match="no finite number, or a code for none"):
        read_observation([h, v], PROFILES)
    found = read_observation([h, v], replace(PROFILES, gaps=0.5))
    assert np.flatnonzero(np.isnan(found.x)).tolist() == [4]
    pixels = beam() + (0 if whole else 0.25)
    pixels[30, 40] = code
    np.save(tmp_path / "x.npy", pixels)
    assert "1 pixels hold" in said(
        read_observation([tmp_path / "x.npy"], IMAGE, Reading(pixel_size=0.002))
    )


def test_a_subtracted_frame_that_reaches_down_to_a_code(tmp_path):
    """-999 among readings of -600 is one."""
    pixels = beam() * 100
    pixels[0, 0:400] = -600
    pixels[30, 40] = -999
    np.save(tmp_path / "x.npy", pixels)
    found = read_observation([tmp_path / "x.npy"], IMAGE, Reading(pixel_size=0.002))
    assert "masked" not in said(found)


@pytest.mark.parametrize("name", ["_FillValue", "missing_value"])
def test_the_fill_value_of_netcdf(name, tmp_path):
    pixels = beam()
    pixels[30, 40] = 77777
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = pixels
        file["data"].attrs[name] = 77777.0
    found = read_observation([tmp_path / "x.h5"], IMAGE, Reading(pixel_size=0.002))
    assert f"1 readings are 77777, its {name}: masked" in said(found)
    assert found.x.max() < 77777


@pytest.mark.parametrize("heading", ["x [mm],counts", "pos_mm,counts", "samx,counts"])
@pytest.mark.parametrize("written", ["X={}", "({})"])
def test_positions_in_words(heading, written, tmp_path):
    """They may turn or shift the beam, so they are not left out as a column of words is."""
    rows = [f"{written.format(x)},{c}" for x, c in zip(MIDDLES[0], LOPSIDED[0], strict=True)]
    h = tmp_path / "h.csv"
    h.write_text("\n".join([heading, *rows]))
    v = table(tmp_path / "v.csv", 1, LOPSIDED[1], "y,counts")
    with pytest.raises(InputError, match="is no plain number"):
        read_observation([h, v], PROFILES)


@pytest.mark.parametrize("heading, cell", [
    ("uid", "3f2a-77"), ("time", "11/30/2026 10:01:02"), ("when", "30.11.2026 10:01"),
    ("clock", "10:01 PM"), ("sample", "gold"),
])  # fmt: skip
def test_words_beside_positions(heading, cell, tmp_path):
    rows = [f"{cell},{x},{c}" for x, c in zip(MIDDLES[0], LOPSIDED[0], strict=True)]
    h = tmp_path / "h.csv"
    h.write_text("\n".join([f"{heading},x,counts", *rows]))
    v = table(tmp_path / "v.csv", 1, LOPSIDED[1], "y,counts")
    plain = table(tmp_path / "plain.csv", 0, LOPSIDED[0], "x,counts")
    found = read_observation([h, v], PROFILES)
    np.testing.assert_allclose(found.x, read_observation([plain, v], PROFILES).x)


@pytest.mark.parametrize("name, advice", [
    ("x.csv.gz", "unpack"), ("x.xlsx", "as CSV"), ("x.mat", "HDF5"), ("x.webp", "TIFF"),
])  # fmt: skip
def test_kinds_that_are_not_read(name, advice, tmp_path):
    (tmp_path / name).write_bytes(b"PK\3\4")
    with pytest.raises(InputError, match=f"are not read; .*{advice}"):
        read_observation([tmp_path / name], PROFILES)


def pair(tmp_path, heading="x,counts", rows=None, **keys):
    """Read a horizontal table with these rows, or LOPSIDED, beside a plain vertical one."""
    plain = zip(MIDDLES[0], LOPSIDED[0], strict=True)
    rows = [f"{x:.6f},{c:g}" for x, c in plain] if rows is None else rows
    h = tmp_path / "h.csv"
    h.write_text("\n".join([heading, *rows]) + "\n")
    v = table(tmp_path / "v.csv", 1, LOPSIDED[1], "y,counts")
    return read_observation([h, v], replace(PROFILES, gaps=0.5), Reading(**keys))


ROWS = [f"{x:.6f},{c:g}" for x, c in zip(MIDDLES[0], LOPSIDED[0], strict=True)]


@pytest.mark.parametrize("word", ["1.#QNAN", "-1.#IND", "1.#INF", "1.#QNAN0"])
def test_numbers_that_are_none_by_windows(word, tmp_path):
    rows = [*ROWS[:4], f"{MIDDLES[0][4]:.6f},{word}", *ROWS[5:]]
    assert np.flatnonzero(np.isnan(pair(tmp_path, rows=rows).x)).tolist() == [4]


EDGES = ("BinLow", "bin_min", "xedges", "xmin", "x_lo", "from", "linke Kante",
         "Klassenuntergrenze", "borne inf", "left edge")  # fmt: skip
TURNED = ("depth", "y below axis", "x inverted", "minus x", "x*-1", "nach unten", "Tiefe", "links",
          "gauche", "下")  # fmt: skip


@pytest.mark.parametrize("name, word", [
    *((name, "are edges of bins") for name in EDGES),
    *((name, "rise against up or outboard") for name in TURNED),
])  # fmt: skip
def test_names_of_positions_that_are_edges_or_turned(name, word, tmp_path):
    with pytest.raises(InputError, match=word):
        pair(tmp_path, f"{name} [mm],counts")


@pytest.mark.parametrize("name", ["log10(counts)", "Log Intensity", "Intensity (dB)"])
def test_logarithms(name, tmp_path):
    with pytest.raises(InputError, match="are logarithms by their name"):
        pair(tmp_path, f"x,{name}")


@pytest.mark.parametrize("name", ["Intensity (%)", "Norm. Int.", "counts/mm", "counts (k)"])
def test_counts_that_are_called_otherwise(name, tmp_path):
    assert f"Caution: {name!r} are taken as counts" in said(pair(tmp_path, f"x,{name}"))


@pytest.mark.parametrize("rows, word", [
    ([*ROWS, "0.0001,0", "0.0001,0", "0.0001,0"], "goes back"),
    ([*ROWS, f"0.0001,{sum(LOPSIDED[0]):g}"], "is the sum of the others"),
    ([*ROWS, "", *ROWS], "another table seems to begin"),
    ([*ROWS, "# scan 2", *ROWS], "another table seems to begin"),
])  # fmt: skip
def test_rows_that_are_none_of_the_scan(rows, word, tmp_path):
    with pytest.raises(InputError, match=word):
        pair(tmp_path, rows=rows)


def test_a_scan_there_and_back(tmp_path):
    """Readings at the same places on the way back are repeats, not a footer."""
    found = pair(tmp_path, rows=[*ROWS, *ROWS[-2::-1]])
    np.testing.assert_allclose(found.x, pair(tmp_path).x)
    assert "merged" in said(found)


def test_lists_with_their_length_or_their_sum(tmp_path):
    counts = [f"{c:g}" for c in np.concatenate(LOPSIDED)]
    (tmp_path / "n.txt").write_text("\n".join([str(len(counts)), *counts]))
    with pytest.raises(InputError, match="is how many follow"):
        read_observation([tmp_path / "n.txt"], PROFILES)
    (tmp_path / "s.txt").write_text("\n".join([*counts, f"{sum(map(float, counts)):g}"]))
    with pytest.raises(InputError, match="is the sum of the others"):
        read_observation([tmp_path / "s.txt"], PROFILES)


@pytest.mark.parametrize("start, step", [(1, 1), (0, 2), (1.7e9, 1), (-20, 1), (0.5, 0.25)])
@pytest.mark.parametrize("along", [0, 1])
def test_images_with_numbers_beside(start, step, along, tmp_path):
    """A first row or column that rises evenly is no light."""
    pixels = beam()
    beside = start + step * np.arange(pixels.shape[along])
    np.savetxt(tmp_path / "x.txt", np.insert(pixels, 0, beside, axis=1 - along), fmt="%.12g")
    with pytest.raises(InputError, match=f"first {('column', 'row')[along]} rises like positions"):
        read_observation([tmp_path / "x.txt"], IMAGE, Reading(pixel_size=0.002))


@pytest.mark.parametrize("between", ["\n", "# frame 2\n"])
def test_two_images_in_one_file(between, tmp_path):
    np.savetxt(tmp_path / "a.txt", beam(), fmt="%g")
    text = (tmp_path / "a.txt").read_text()
    (tmp_path / "x.txt").write_text(text + between + text)
    with pytest.raises(InputError, match="another table seems to begin"):
        read_observation([tmp_path / "x.txt"], IMAGE, Reading(pixel_size=0.002))


def test_an_image_with_sums_at_its_side(tmp_path):
    pixels = beam() + 0.5
    np.savetxt(tmp_path / "x.txt", np.column_stack([pixels, pixels.sum(axis=1)]), fmt="%g")
    with pytest.raises(InputError, match="sum of the others"):
        read_observation([tmp_path / "x.txt"], IMAGE, Reading(pixel_size=0.002))


def test_a_spectrum_that_goes_on_in_a_spec_file(tmp_path):
    rows = "\n".join(f"@A 0 2 3 4\\\n 0 0 0\n{row.replace(',', ' 1 ')}" for row in ROWS)
    (tmp_path / "h.spec").write_text(f"#S 1 ascan\n#L tx  Seconds  Detector\n{rows}\n")
    v = table(tmp_path / "v.csv", 1, LOPSIDED[1], "y,counts")
    found = read_observation([tmp_path / "h.spec", v], PROFILES)
    np.testing.assert_allclose(found.x, pair(tmp_path).x)


def test_calibration_by_imagej(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "x.tif", (beam() + 100).astype(np.uint16), imagej=True,
                     metadata={"cf": 0, "c0": -100.0, "c1": 1.0})  # fmt: skip
    with pytest.raises(InputError, match="ImageJ's calibration"):
        read_observation([tmp_path / "x.tif"], IMAGE, Reading(pixel_size=0.002))


@pytest.mark.parametrize("names", [("z", "y"), ("samz", "samy"), ("y", "z")])
def test_axes_called_z_and_y(names, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = beam()
        file.attrs.update({"signal": "data", "axes": list(names), "NX_class": "NXdata"})
        for name, size in zip(names, beam().shape, strict=True):
            file[name] = 0.002 * np.arange(size)
            file[name].attrs["units"] = "mm"
    with pytest.raises(InputError, match="call them x and y"):
        read_observation([tmp_path / "x.h5"], IMAGE)


def test_a_code_of_32_bits_in_text(tmp_path):
    rows = [*ROWS[:4], f"{MIDDLES[0][4]:.6f},4294967295", *ROWS[5:]]
    assert np.flatnonzero(np.isnan(pair(tmp_path, rows=rows).x)).tolist() == [4]


def test_codes_of_several_kinds(tmp_path):
    """One code does not hide another, nor does a NaN."""
    pixels = beam() + 0.25
    pixels[30, 40], pixels[20, 10], pixels[5, 5] = -999, 9.91e37, np.nan
    np.save(tmp_path / "x.npy", pixels)
    found = read_observation([tmp_path / "x.npy"], replace(IMAGE, gaps=0.5),
                             Reading(pixel_size=0.002))  # fmt: skip
    assert "2 pixels hold -999 or 9.91e+37, a code for no reading" in said(found)


def test_a_fill_value_that_a_mean_hides(tmp_path):
    pixels = np.stack([beam(), beam()])
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = pixels
        file["data"].attrs["_FillValue"] = 77777.0
    keys = {"pixel_size": 0.002, "frame": "mean"}
    read_observation([tmp_path / "x.h5"], IMAGE, Reading(**keys))
    with h5py.File(tmp_path / "x.h5", "a") as file:
        file["data"][1, 30, 40] = 77777
    with pytest.raises(InputError, match="_FillValue, which their mean hides"):
        read_observation([tmp_path / "x.h5"], IMAGE, Reading(**keys))


@pytest.mark.parametrize("name", ["units", "long_name"])
def test_logarithms_in_hdf5(name, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = beam()
        file["data"].attrs[name] = "log10(counts)"
    with pytest.raises(InputError, match="are logarithms by their name"):
        read_observation([tmp_path / "x.h5"], IMAGE, Reading(pixel_size=0.002))


@pytest.mark.parametrize("cell, word", [("nan", "holds no numbers"), ("0", "every reading is 0")])
def test_columns_of_nothing(cell, word, tmp_path):
    (tmp_path / "x.txt").write_text(f"{cell}\n" * 18)
    with pytest.raises(InputError, match=word):
        read_observation([tmp_path / "x.txt"], PROFILES)


def test_four_columns_from_a_command_line(tmp_path):
    """x, counts, y, counts without headings, as `--columns 1,2,3,4` asks."""
    rows = [f"{x:.6f} {c:g}" for x, c in zip(MIDDLES[0], LOPSIDED[0], strict=True)]
    more = [f"{y:.6f} {c:g}" for y, c in zip(MIDDLES[1], LOPSIDED[1], strict=True)]
    lines = [f"{a} {b}" for a, b in zip(rows, [*more, *["na na"] * 2], strict=True)]
    (tmp_path / "x.txt").write_text("\n".join(lines))
    changes = ReadingOptions(columns="1,2,3,4").changes()
    found = read_observation([tmp_path / "x.txt"], PROFILES, Reading(**changes))
    np.testing.assert_allclose(found.x, pair(tmp_path).x)
