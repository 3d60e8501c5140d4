"""Are tables understood as people and programs write them?"""

import numpy as np
import pytest

from raybayes.errors import InputError
from raybayes.observations import Reading
from raybayes.observations.axes import Axis, named
from raybayes.observations.readers import read_file

X, N = np.round(0.5 * np.arange(12) - 2.75, 3), np.arange(12) ** 2 + 10


def read(folder, text, suffix="csv", encoding="utf-8", **options):
    path = folder / f"x.{suffix}"
    path.write_bytes(text.encode(encoding))
    return read_file(path, Reading(**options))


def table(separator=",", dot=".", head="x_mm,n", blank=""):
    rows = [f"{x}".replace(".", dot) + separator + str(n) for x, n in zip(X, N, strict=True)]
    return "\n".join([head.replace(",", separator), *([blank] if blank else []), *rows]) + "\n"


def is_it(found, name="x", unit="mm"):
    (profile,) = found
    np.testing.assert_array_equal(profile.values, N)
    np.testing.assert_allclose(profile.axes[0].values, X)
    assert profile.axes[0].unit == unit and (profile.axes[0].name == name or not name)


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", "  ", " ; ", ", "])
@pytest.mark.parametrize("dot", [".", ","])
def test_dialects(separator, dot, tmp_path):
    if dot == "," and "," in separator:
        return
    is_it(read(tmp_path, table(separator, dot)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding, tmp_path):
    found = read(tmp_path, table(head="Höhe (µm),n"), encoding=encoding)
    is_it(found, "Höhe", "µm")
    assert ("read as Windows-1252" in " ".join(found[0].told)) == (encoding == "cp1252")


def test_line_ends(tmp_path):
    is_it(read(tmp_path, table().replace("\n", "\r\n")))
    is_it(read(tmp_path, table().rstrip("\n") + "   \n\n\n"))


@pytest.mark.parametrize(
    "head, unit",
    [
        ("x [um],n", "um"), ("x (mm),n", "mm"), ("x / nm,n", "nm"), ("x_um,n", "um"),
        ("x [furlong],n", "furlong"), ("x,n", "mm"),
    ],
)  # fmt: skip
def test_units_of_headings(head, unit, tmp_path):
    found = read(tmp_path, table(";", head=head.replace(",", ";")))
    is_it(found, "x", unit)
    supposed = any("taken in mm" in line for line in found[0].told)
    assert supposed == (head == "x,n")


def test_a_row_of_units(tmp_path):
    is_it(read(tmp_path, table(head="x,n", blank="um,")), "x", "um")


@pytest.mark.parametrize(
    "label, pair",
    [
        ("x [µm]", ("x", "µm")), ("pos_mm", ("pos", "mm")), ("x_motor", ("x_motor", "")),
        ("I / I0", ("I / I0", "")), ("y (px)", ("y", "px")), ("x, um", ("x", "um")), ("", ("", "")),
    ],
)  # fmt: skip
def test_names_and_units(label, pair):
    assert named(label) == pair


@pytest.mark.parametrize(
    "name, along",
    [("x", "x"), ("Position_H", "x"), ("m_vert", "y"), ("y-axis", "y"), ("theta", ""), ("", "")],
)
def test_directions_of_names(name, along):
    assert Axis(X, name).along == along


def test_a_decimal_comma_that_could_be_none(tmp_path):
    """`1,5` is one number or two: refused, unless something tells."""
    unclear = "1,5\n3,6\n2,7\n9,1\n"
    with pytest.raises(InputError, match="decimal comma or two numbers; set decimal"):
        read(tmp_path, unclear)
    np.testing.assert_allclose(read(tmp_path, unclear, decimal=",")[0].values, [1.5, 3.6, 2.7, 9.1])
    two = read(tmp_path, unclear, decimal=".")[0]
    assert two.axes[0].values.tolist() == [1, 3, 2, 9] and two.values.tolist() == [5, 6, 7, 1]
    assert read(tmp_path, "x,n\n" + unclear)[0].values.tolist() == [5, 6, 7, 1]  # headed
    assert read(tmp_path, "1,5\n2,6\n3,7\n4,1\n")[0].values.tolist() == [5, 6, 7, 1]  # positions


def test_columns_by_name_and_number(tmp_path):
    rows = "\n".join(f"{i},{x},{n},1,{2 * n}" for i, (x, n) in enumerate(zip(X, N, strict=True)))
    text = f"seq_num,motor_x [mm],det1,I0,det2\n{rows}\n"
    with pytest.raises(InputError, match=r"not clear which columns .* 2 'motor_x \[mm\]'"):
        read(tmp_path, text)
    for columns in (("motor_x", "det1"), (2, 3), ("motor_x [mm]", "3"), ("MOTOR_X", " det1 ")):
        is_it(read(tmp_path, text, columns=columns), "motor_x")
    doubled = read(tmp_path, text, columns=("motor_x", "det2"), normalise="det1")[0]
    np.testing.assert_allclose(doubled.values, 2 * N.mean())
    assert "Divided by det1 and multiplied by its mean" in " ".join(doubled.told)
    assert read(tmp_path, text, columns=("det1",))[0].axes is None
    for wrong in (("det3",), (9,)):
        with pytest.raises(InputError, match="has no column"):
            read(tmp_path, text, columns=wrong)
    with pytest.raises(InputError, match="is to normalise, and is not above 0"):
        read(tmp_path, text, columns=(2, 3), normalise="seq_num")


def test_separators_at_the_ends(tmp_path):
    is_it(read(tmp_path, table().replace("\n", ",\n")))
    is_it(read(tmp_path, table().replace("\n", ",\n").replace("n,\n", "n\n", 1)))
    is_it(read(tmp_path, table().replace("\n", ",\n").replace("n,\n", "n,spare\n", 1)))


def test_what_programs_write_beside(tmp_path):
    """Numbers of rows, times, words and empty columns are no readings."""
    rows = "\n".join(
        f"{i},2024-05-01T10:00:{i:02d},{x},,{n},ok"
        for i, (x, n) in enumerate(zip(X, N, strict=True))
    )
    is_it(read(tmp_path, f"seq_num,time,x_mm,spare,n,note\n{rows}\n"))


def test_a_constant_column_of_two_is_a_dark_frame(tmp_path):
    rows = "\n".join(f"{i},{x},7" for i, x in enumerate(X))
    found = read(tmp_path, f",x_mm,n\n{rows}\n")[0]
    assert (found.values == 7).all() and found.axes[0].unit == "mm"


def test_blank_rows(tmp_path):
    """At the ends they are left out; between others a reading is masked, a position refused."""
    for word in ("", "n/a", "-"):
        text = table().replace("\n", f"\n-4,{word}\n-3.5,{word}\n", 1) + f"9,{word}\n"
        found = read(tmp_path, text)
        is_it(found)
        assert "3 of 15 rows, at the ends, have no reading." in found[0].told
    lines = table().splitlines()
    place, _, count = lines[5].partition(",")
    for word in ("", "#N/A", "nan"):
        hole = read(tmp_path, "\n".join([*lines[:5], f"{place},{word}", *lines[6:]]))[0]
        np.testing.assert_array_equal(hole.axes[0].values, X)
        np.testing.assert_array_equal(hole.values, np.where(np.arange(len(N)) == 4, np.nan, N))
        assert word == "nan" or "1 rows between others have no reading: masked." in hole.told
    with pytest.raises(InputError, match=r"x.csv:6: has no position, between rows"):
        read(tmp_path, "\n".join([*lines[:5], f",{count}", *lines[6:]]))


def test_two_profiles_beside_each_other(tmp_path):
    rows = "\n".join(f"{x},{n},{2 * x},{3 * n}" for x, n in zip(X, N, strict=True))
    across, down = read(tmp_path, f"x [mm],Ih,y [um],Iv\n{rows}\n")
    is_it((across,))
    np.testing.assert_array_equal(down.values, 3 * N)
    assert down.axes[0].unit == "um" and "Two profiles" in " ".join(down.told)
    with pytest.raises(InputError, match="not clear which columns"):
        read(tmp_path, f"a,b,c,d\n{rows}\n")


def test_images(tmp_path):
    picture = np.random.default_rng(0).integers(0, 99, (9, 12)) + 0.5
    for separator, dot in ((",", "."), (";", ","), ("\t", ","), (" ", ".")):
        lines = [separator.join(f"{v}".replace(".", dot) for v in row) for row in picture]
        (found,) = read(tmp_path, "\n".join(lines))
        np.testing.assert_array_equal(found.values, picture)
    with pytest.raises(InputError, match=r":3: has 11 numbers where the other rows have 12"):
        read(tmp_path, "\n".join([*lines[:2], lines[2].rpartition(" ")[0], *lines[3:]]))
    with pytest.raises(InputError, match=r":3: has no number in column 12 of an image"):
        text = "\n".join([*lines[:2], lines[2].rpartition(" ")[0] + " n/a", *lines[3:]])
        read(tmp_path, text)


def test_what_stands_above_is_told(tmp_path):
    text = "# exposure 0.1 s\nCamera 3\n" + table()
    found = read(tmp_path, text)
    is_it(found)
    said = " ".join(found[0].told)
    assert "'Camera 3'" in said and "'exposure 0.1 s'" in said


def test_spec_scans(tmp_path):
    from profiles_written import WRITERS

    sides = [("x", X, N), ("y", X, N)]
    path = WRITERS["mm supposed"]["SPEC"](tmp_path / "s", sides)[0]
    is_it(read_file(path, Reading()), "slx")
    assert read_file(path, Reading(scan=2))[0].values.tolist() == [5, 6, 7]
    with pytest.raises(InputError, match="has no scan 3; it has 1, 2"):
        read_file(path, Reading(scan=3))
    named_ = read_file(path, Reading(columns=("slx", "Seconds")))[0]
    assert (named_.values == 1).all()
    path.write_text(path.read_text().replace("#L slx  Epoch", "#L slx Epoch"))
    with pytest.raises(InputError, match=r"has 4 columns and 3 names \(#L\)"):
        read_file(path, Reading())
