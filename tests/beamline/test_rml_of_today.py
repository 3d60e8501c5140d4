"""RML as RAY-UI writes it today: units, groups, repeated names, values that it derives."""

import numpy as np
import pytest
from beamlines import NARROW, P, Q, small
from studies import command
from written import MIRROR, PLANE, SOURCE, written

from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.rml import read_rml, write_rml
from raybayes.beamline.trace import trace
from raybayes.beamline.units import factor
from raybayes.errors import InputError


def with_unit(text, id_, unit, value):
    before, _, rest = text.partition(f'<param id="{id_}" enabled="T">')
    return f'{before}<param id="{id_}" unit="{unit}" enabled="T">{value}{rest[rest.index("<") :]}'


SAME = {  # of 2 deg, 0.1 mrad, 10 m, 400 eV, as other units say it
    "°": ("grazingIncAngle", 2),
    "rad": ("grazingIncAngle", np.deg2rad(2)),
    "sec": ("grazingIncAngle", 7200),
    "µrad": ("horDiv", 100),
    "\u03bcrad": ("horDiv", 100),
    "m": ("distancePreceding", 10),
    "km": ("distancePreceding", 0.01),
    "µm": ("distancePreceding", 1e7),
    "keV": ("photonEnergy", 0.4),
}


@pytest.mark.parametrize("unit", SAME)
def test_units_are_converted(unit, tmp_path):
    id_, value = SAME[unit]
    objects = [with_unit(text, id_, unit, value) if id_ in text else text
               for text in (SOURCE, MIRROR, PLANE)]  # fmt: skip
    plain = trace(read_rml(written(tmp_path, SOURCE, MIRROR, PLANE)), 100).values
    found = read_rml(written(tmp_path, *objects))
    np.testing.assert_allclose(trace(found, 100).values, plain, rtol=1e-9, atol=1e-9)
    write_rml(found, tmp_path / "again.rml")
    again = trace(read_rml(tmp_path / "again.rml"), 100).values
    np.testing.assert_allclose(again, plain, rtol=1e-9, atol=1e-9)


def test_an_unknown_unit_is_refused(tmp_path):
    path = written(tmp_path, SOURCE, with_unit(MIRROR, "grazingIncAngle", "gon", 2), PLANE)
    with pytest.raises(InputError, match=r"beamline.rml:17: .*'grazingIncAngle': unit 'gon'"):
        read_rml(path)
    assert factor("mm", "deg") is None and factor("l/mm", "1/mm") == 1 and factor("%", "%") == 1


def test_a_spread_has_the_unit_that_its_source_says(tmp_path):
    spread = '<param id="energySpread" unit="{}" enabled="T">1</param>\n</object>'
    share = '<param id="energySpreadUnit" enabled="T">1</param>\n'
    in_ev = SOURCE.replace("</object>", spread.format("keV"))
    in_percent = SOURCE.replace("</object>", share + spread.format("%"))
    assert read_rml(written(tmp_path, in_ev, PLANE)).source.number("energySpread") == 1000
    assert read_rml(written(tmp_path, in_percent, PLANE)).source.number("energySpread") == 1
    wrong = SOURCE.replace("</object>", share + spread.format("eV"))
    with pytest.raises(InputError, match="unit 'eV' is not one of '%'"):
        read_rml(written(tmp_path, wrong, PLANE))


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    wrong = MIRROR.replace(">100<", ">wide<").replace(">2<", ">steep<")
    path = written(tmp_path, SOURCE, wrong, '<object name="X" type="Wiggler"></object>', PLANE)
    with pytest.raises(InputError) as caught:
        read_rml(path)
    said = str(caught.value)
    assert said.startswith("3 things are wrong:")
    assert all(word in said for word in ("'wide'", "'steep'", "'Wiggler'"))
    assert len(said.splitlines()) == 4


def test_what_ray_ui_derives_needs_no_mark(tmp_path):
    derived = '<param id="photonWavelength" unit="nm">3.1</param>\n</object>'
    source = SOURCE.replace("</object>", derived)
    read_rml(written(tmp_path, source, PLANE))
    with pytest.raises(InputError, match="--allow-unmodelled"):
        read_rml(written(tmp_path, source, PLANE, version="1.15"))
    with pytest.raises(InputError, match="no such parameter"):  # switched on, it may count
        read_rml(written(tmp_path, source.replace('unit="nm"', 'enabled="T"'), PLANE))


def test_newer_versions_are_named(tmp_path):
    with pytest.warns(UserWarning, match=r"version 1.17 of RML is newer than 1.16"):
        read_rml(written(tmp_path, SOURCE, PLANE, version="1.17"))


def test_repeated_names_get_numbers(tmp_path):
    path = written(tmp_path, SOURCE, MIRROR, PLANE, PLANE.replace("IP", "IP_2"), PLANE)
    with pytest.warns(UserWarning, match="its name is given twice; it is called 'IP_3'"):
        found = read_rml(path)
    assert [e.name for e in found.elements] == ["S", "M", "IP", "IP_2", "IP_3"]


def test_groups_are_their_elements(tmp_path):
    group = f'<group name="g"><group name="h">{MIRROR}</group></group>'
    plain = trace(read_rml(written(tmp_path, SOURCE, MIRROR, PLANE)), 100).values
    assert np.array_equal(
        trace(read_rml(written(tmp_path, SOURCE, group, PLANE)), 100).values, plain
    )
    own = '<group name="g"><param id="worldPosition"></param>' + MIRROR + "</group>"
    with pytest.raises(InputError, match="its own parameters move its elements"):
        read_rml(written(tmp_path, SOURCE, own, PLANE))
    with pytest.warns(UserWarning, match="move its elements"):
        read_rml(written(tmp_path, SOURCE, own, PLANE), "warn")


def test_a_source_alone_traces(tmp_path):
    rays = trace(read_rml(written(tmp_path, SOURCE)), 20_000)
    assert rays.plane == "S" and rays.transmission == 1
    assert rays.x.std() == pytest.approx(0.05 / np.sqrt(12), rel=0.03)  # a hard edge


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "b.rml"
    path.write_text("<?xml version='1.0' encoding='rot13'?><lab/>")
    with pytest.raises(InputError, match="its encoding is not one of text"):
        read_rml(path)


def test_a_study_ends_in_a_plane_that_sees_the_beam(tmp_path):
    written(tmp_path, SOURCE, MIRROR)
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "s"\nbeamline = "beamline.rml"\n[parameters]\n"M.rotationXerror" = [-1, 1]\n'
    )
    result = command("simulate", study, "--out", tmp_path / "out")
    assert result.exit_code == 2 and "add an ImagePlane behind it" in result.stderr


def test_a_study_may_allow_what_is_not_modelled(tmp_path):
    bump = '<param id="thermalDistortionAmp" enabled="T">2</param>\n'
    bump += '<param id="slopeError" enabled="T">0</param>\n</object>'
    path = written(tmp_path, SOURCE, MIRROR.replace("</object>", bump), PLANE)
    with pytest.raises(InputError, match="allow_unmodelled = true in a study"):
        compile_beamline(read_rml(path))
    study = tmp_path / "study.toml"
    vary = ("--vary", "M.rotationXerror=-0.1..0.1", "--out", study)
    assert command("new", path, *vary).exit_code == 2
    result = command("new", path, *vary, "--allow-unmodelled")
    assert result.exit_code == 0 and "warning" in result.stderr
    assert "allow_unmodelled = true" in study.read_text()
    result = command("simulate", study, "-n", 100, "--out", tmp_path / "out")
    assert result.exit_code == 0 and "thermalDistortionAmp" in result.stderr


def test_a_toroidal_grating_of_constant_deviation_focuses():
    """Its long radius focuses the order, as RAY-UI's does; that of a mirror would not."""
    beamline = small("Toroidal Grating", source=NARROW)
    assert beamline.elements[1].number("gratingMount") == 0
    derived = compile_beamline(beamline).derived["O"]
    alpha, beta, radius = (float(np.ravel(derived[k])[0]) for k in ("alpha", "beta", "longRadius"))
    ca, cb = np.cos(np.deg2rad((alpha, beta)))
    assert ca**2 / P + cb**2 / Q == pytest.approx((ca + cb) / radius, rel=1e-12)
    mirror = 2 / (np.cos(np.deg2rad((alpha - beta) / 2)) * (1 / P + 1 / Q))
    blurred = small("Toroidal Grating", source=NARROW, longRadius=mirror)
    assert trace(beamline, 2000).y.std() < 0.1 * trace(blurred, 2000).y.std()


@pytest.mark.parametrize("id_", ["totalWidth", "totalLength", "distancePreceding"])
def test_a_size_that_is_missing_is_a_fault(id_, tmp_path):
    """Taken as 0, it would let no light pass, in silence."""
    lines = [line for line in MIRROR.splitlines() if f'"{id_}"' not in line]
    with pytest.raises(InputError, match=f"'M': has no {id_}; add it"):
        read_rml(written(tmp_path, SOURCE, "\n".join(lines), PLANE))


SLIT = """<object name="E" type="Slit">
 <param id="totalWidth" enabled="T">50</param><param id="totalHeight" enabled="T">20</param>
 <param id="distancePreceding" enabled="T">1000</param>
 <param id="openingWidth" enabled="T">2</param>
</object>"""


def test_one_of_two_openings_that_is_missing_is_a_fault(tmp_path):
    """The frame's size would be taken for it, in silence."""
    with pytest.raises(InputError, match="'E': has no openingHeight; add it"):
        read_rml(written(tmp_path, SOURCE, SLIT, PLANE))
