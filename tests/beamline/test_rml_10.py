"""RML 1.0, whose names are others: as rml/beamline.rml in the history of raypyng (hz-b/raypyng)."""

import numpy as np
import pytest
from written import PLANE, SOURCE, written

from raybayes.beamline.geometry import compile_beamline, hc_of
from raybayes.beamline.rml import read_rml, write_rml
from raybayes.beamline.trace import trace
from raybayes.beamline.values import HC_OLD
from raybayes.errors import InputError

TURNS = """<param id="horMisorientation" enabled="T">0</param>
<param id="verMisorientation" enabled="T">0</param>
<param id="horOffset" enabled="T">0</param>
<param id="verOffset" enabled="T">0</param>
<param id="longitudOffset" enabled="T">0</param>
"""
GRATING = f"""<object name="G" type="Spherical Grating">
<param id="totalWidth" enabled="T">30</param>
<param id="totalHeight" enabled="T">100</param>
<param id="gratingMount" comment="constant deviation" enabled="T">0</param>
<param id="diffractionAngle" enabled="T">175</param>
<param id="entranceArmLength" enabled="T">18000</param>
<param id="exitArmLength" auto="T" enabled="T">5000</param>
<param id="radius" enabled="T">221000</param>
<param id="designEnergy" auto="T" enabled="T">410</param>
<param id="lineDensity" enabled="T">410</param>
<param id="orderDiffraction" enabled="T">-1</param>
<param id="alpha" auto="T" enabled="T">86.6856753878</param>
<param id="beta" auto="T" enabled="T">-88.3143246122</param>
<param id="distancePreceding" enabled="T">18000</param>
<param id="lineProfile" enabled="T">3</param>
<param id="misalignmentAndSlope" comment="Yes" enabled="T">0</param>
{TURNS}<param id="longitudMisorientation" enabled="T">0</param>
<param id="profileKind" enabled="T">2</param>
<param id="slopeErrorSag" enabled="T">0.05</param>
<param id="slopeErrorMer" enabled="T">0.05</param>
</object>"""
SLIT = """<object name="S" type="Slit">
<param id="totalWidth" enabled="T">20</param>
<param id="totalHeight" enabled="T">2</param>
<param id="centralBeamstop" enabled="T">0</param>
<param id="distancePreceding" enabled="T">300</param>
<param id="misalignmentAndSlope" comment="No" enabled="T">1</param>
<param id="horOffset" enabled="F">3</param>
</object>"""
LIGHT = SOURCE.replace(">400<", ">410<").replace("</object>", TURNS + "</object>")
LIGHT = LIGHT.replace('name="S"', 'name="U"')


def test_its_names_are_those_of_today(tmp_path):
    found = read_rml(written(tmp_path, LIGHT, SLIT, GRATING, PLANE, version="1.0"))
    grating = found["G"]
    assert grating.number("deviationAngle") == 175 and grating.number("totalLength") == 100
    assert grating.number("alignmentError") == grating.number("slopeError") == 0
    assert found["S"].number("totalHeight") == 2 and found["S"].number("alignmentError") == 1
    assert "slopeError" not in found["S"].params
    compiled = compile_beamline(found)
    assert hc_of(found) == HC_OLD
    assert np.ravel(compiled.derived["G"]["alpha"])[0] == pytest.approx(86.6856753878, abs=1e-7)
    assert trace(found, 1000).arrived.any()


def test_it_is_written_as_version_11(tmp_path):
    found = read_rml(written(tmp_path, LIGHT, GRATING, PLANE, version="1.0"))
    write_rml(found, tmp_path / "again.rml")
    again = read_rml(tmp_path / "again.rml")
    assert again.version == "1.1" and again.elements == found.elements


@pytest.mark.parametrize("id_", ["horMisorientation", "verOffset"])
def test_what_turns_or_moves_by_an_old_name_is_refused(id_, tmp_path):
    """No public file shows with which sign."""
    turned = GRATING.replace(f'<param id="{id_}" enabled="T">0', f'<param id="{id_}" enabled="T">2')
    path = written(tmp_path, LIGHT, turned, PLANE, version="1.0")
    with pytest.raises(InputError, match=f"'{id_}': how version 1.0 turns and moves is not known"):
        read_rml(path)
    with pytest.warns(UserWarning, match="how version 1.0 turns and moves"):
        found = read_rml(path, "warn")
    assert found["G"].number("rotationYerror") == found["G"].number("translationYerror") == 0


def test_later_versions_have_no_such_names(tmp_path):
    with pytest.raises(InputError, match="'diffractionAngle': a Spherical Grating has no such"):
        read_rml(written(tmp_path, SOURCE, GRATING, PLANE, version="1.1"))
