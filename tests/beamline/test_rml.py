"""RML files: nothing is lost, what is derived is right, what is wrong is named."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from beamlines import element
from studies import UE112

from raybayes.beamline.derive import refresh, with_screen, with_values
from raybayes.beamline.emission import SCALES
from raybayes.beamline.geometry import HC, PLACERS, compile_beamline, hc_of
from raybayes.beamline.model import Beamline, Element, Param
from raybayes.beamline.rml import read_rml, write_rml
from raybayes.beamline.schema import MODELLED, OBJECTS, ZERO_ONLY
from raybayes.beamline.source import DISTRIBUTIONS
from raybayes.beamline.source_schema import SOURCES
from raybayes.beamline.unmodelled import not_modelled
from raybayes.beamline.values import HC_OLD
from raybayes.errors import InputError
from raybayes.optics.rows import OPENING

TEXT = UE112.read_text()


def test_round_trip_is_bytes(tmp_path, ue112):
    write_rml(ue112, tmp_path / "copy.rml")
    assert (tmp_path / "copy.rml").read_bytes() == UE112.read_bytes()


def test_every_type_has_a_placer_or_is_a_source():
    assert set(PLACERS) | SOURCES == set(OBJECTS)
    assert set(SCALES) == set(DISTRIBUTIONS) == SOURCES


def test_shipped_file_has_every_parameter_that_ray_ui_writes(shared, ue112):
    """Against an object of the same type in a file that RAY-UI 1.15 wrote."""
    theirs = {}
    for path in ("HRRIXS_100m_1.rml", "HB_1200.rml"):
        for node in ET.parse(shared / "rayui" / path).iter("object"):
            theirs[node.get("type")] = [p.get("id") for p in node]
    for one in ue112.elements:
        assert list(one.params) == theirs[one.type], one.name


def test_stored_auto_values_are_what_we_compute(ue112):
    again = refresh(ue112)
    for ours, theirs in zip(again.elements, ue112.elements, strict=True):
        assert ours.params == theirs.params


def test_auto_values_of_ray_ui(shared, tmp_path):
    """RAY-UI's own derived numbers, on the objects of real beamlines that we know."""
    path = shared / "rayui" / "HRRIXS_100m_1.rml"
    tree = ET.parse(path)
    beamline = tree.getroot().find("beamline")
    for node in list(beamline):
        if node.get("type") not in OBJECTS:
            beamline.remove(node)
        for param in node:
            if param.get("id") == "reflectivityType":
                param.text = "0"
    tree.write(tmp_path / "known.rml")
    read = read_rml(tmp_path / "known.rml")
    derived = compile_beamline(read).derived
    compared = 0
    for name, values in derived.items():
        for id_, value in values.items():
            param = read[name].params[id_]
            if param.auto or (name == "M2" and id_ == "grazingIncAngle"):
                np.testing.assert_allclose(float(param.text), value, rtol=1e-7)
                compared += 1
    assert compared >= 5


def test_world_coordinates_are_never_read(ue112):
    nonsense = Param(("7", "7", "7"), {"enabled": "F"})
    moved = ue112.with_params("M3", {"worldPosition": nonsense, "worldXdirection": nonsense})
    assert np.array_equal(compile_beamline(moved).rows, compile_beamline(ue112).rows)


def test_set_values_switch_on_alignment_and_recompute(ue112, tmp_path):
    changed = with_values(ue112, {"M2.rotationXerror": 0.01, "G.cFactor": 2.0})
    assert changed["M2"].number("alignmentError") == 0
    assert changed["G"].number("alpha") != ue112["G"].number("alpha")
    assert changed["M2"].number("grazingIncAngle") != ue112["M2"].number("grazingIncAngle")
    write_rml(changed, tmp_path / "changed.rml")
    assert read_rml(tmp_path / "changed.rml").elements == changed.elements


SET = {  # "ELEMENT.PARAMETER" = value, whatever else it takes
    "M4.rotationXerror": 0.01,
    "M1.slopeErrorMer": 20.0,
    "ES.openingHeight": 0.03,
    "G.cFactor": 2.0,
}


@pytest.mark.parametrize("name", SET)
def test_a_set_value_is_one_of_theta(name, ue112):
    off = Param("1", {"enabled": "T"})
    for one in ("M1", "M4"):
        ue112 = ue112.with_params(one, {"slopeError": off, "alignmentError": off})
    own = compile_beamline(with_values(ue112, {name: SET[name]})).rows
    np.testing.assert_array_equal(own, compile_beamline(ue112, [name], [[SET[name]]]).rows)


def test_the_opening_of_an_old_slit_is_set():
    """Up to version 1.13 its frame's size is the opening's."""
    sizes = {"totalWidth": 2, "totalHeight": 1, "geometricalShape": 0, "centralBeamstop": 0}
    slit = element("S", "Slit", {**sizes, "distancePreceding": 10})
    old = Beamline("1.13", (read_rml(UE112).source, slit))
    rows = compile_beamline(with_values(old, {"S.openingHeight": 0.01})).rows[0, 0]
    theta = compile_beamline(old, ["S.openingHeight"], [[0.01]]).rows[0, 0]
    assert rows[OPENING : OPENING + 2].tolist() == [1.0, 0.005]
    np.testing.assert_array_equal(rows, theta)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("M4.rotationXerror", float("nan"), "give a finite number"),
        ("M4.rotationXerror", float("inf"), "give a finite number"),
        ("M2.grazingIncAngle", 10.0, "follows from other parameters"),
        ("G.distancePreceding", 10.0, "follows from other parameters"),
    ],
)
def test_values_that_cannot_be_set(name, value, message, ue112):
    with pytest.raises(InputError, match=message):
        with_values(ue112, {name: value})


def test_a_screen_stands_where_the_element_stood(ue112):
    for name in ("M1", "M2", "M3", "ES", "M4"):
        whole, short = compile_beamline(ue112), compile_beamline(with_screen(ue112, name))
        at = ue112.elements.index(ue112[name])
        np.testing.assert_allclose(short.origins[0, -1], whole.origins[0, at], rtol=0, atol=1e-9)
    moved = with_values(ue112, {"UE112.photonEnergy": 200.0})  # and with it the premirror
    at = compile_beamline(moved).origins[0, 3]
    np.testing.assert_allclose(compile_beamline(with_screen(moved, "M2")).origins[0, -1], at)
    with pytest.raises(InputError, match="a screen cannot stand at 'G'"):
        with_screen(ue112, "G")


def test_a_screen_at_a_plane_is_that_plane(ue112):
    plane = Element("IP0", "ImagePlane", {"distanceImagePlane": Param("500", {"enabled": "T"})})
    two = replace(ue112, elements=(*ue112.elements[:-1], plane, ue112.elements[-1]))
    assert with_screen(two, "IP0").elements == two.elements[:-1]


def test_text_is_escaped(tmp_path):
    element = Element('a<"&b', "ImagePlane", {"distanceImagePlane": Param("1", {})})
    source = read_rml(UE112).source
    write_rml(Beamline("1.15", (source, element)), tmp_path / "x.rml")
    assert read_rml(tmp_path / "x.rml").elements[1].name == 'a<"&b'


def edited(pattern, replacement):
    text, n = re.subn(pattern, replacement, TEXT, count=1)
    assert n == 1
    return text


LINE = TEXT[: TEXT.index('id="cFactor"')].count("\n") + 1
BAD = {
    "broken XML": (TEXT[:-20], "not well-formed XML"),
    "no RML": ("<a/>", "begins with <lab>"),
    "no beamline": ("<lab/>", "no <beamline>"),
    "empty": ("<lab><beamline/></lab>", "empty"),
    "unknown type": (
        edited('type="Plane Grating"', 'type="Plane Gratin"'),
        r"'G'.*unknown type 'Plane Gratin'",
    ),
    "unknown parameter": (
        edited('id="cFactor"', 'id="cFaktor"'),
        rf":{LINE}: Plane Grating 'G', parameter 'cFaktor'",
    ),
    "unknown choice": (
        edited(r'(id="gratingMount"[^>]*)>3<', r"\1>7<"),
        "'G', parameter 'gratingMount': 7 is not one of",
    ),
    "not a choice's number": (edited(r'(id="gratingMount"[^>]*)>3<', r"\1>1.5<"), "1.5 is not one"),
    "no number": (edited(r'(id="cFactor"[^>]*)>2.25<', r"\1>abc<"), "'abc' is not a finite"),
    "NaN": (edited(r'(id="cFactor"[^>]*)>2.25<', r"\1>nan<"), "'nan' is not a finite"),
    "unit": (
        edited('id="lineDensity"', 'id="lineDensity" unit="1/m"'),
        "'lineDensity': unit '1/m' is not one of '1/mm'",
    ),
    "attribute": (edited('id="cFactor"', 'id="cFactor" foo="1"'), "unknown attribute 'foo'"),
    "flag": (edited('(id="cFactor") enabled="T"', r'\1 enabled="yes"'), "must be"),
    "twice": (
        edited('(<param id="cFactor".*</param>)', r"\1\1"),
        "'cFactor': it is given twice",
    ),
    "no source": (edited('type="Simple Undulator"', 'type="ImagePlane"'), "no such parameter"),
    "no source at all": (
        '<lab><beamline><object name="I" type="ImagePlane"><param id="distanceImagePlane" '
        'enabled="T">1</param></object></beamline></lab>',
        "there is no source in it; add one of",
    ),
    "two sources": (
        '<lab><beamline><object name="S" type="Matrix Source"/>'
        '<object name="T" type="Matrix Source"/></beamline></lab>',
        "'T': a beamline is one source",
    ),
    "entities": ('<!DOCTYPE a [<!ENTITY b "c">]><lab>&b;</lab>', "entities"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_named(case, tmp_path):
    text, message = BAD[case]
    (tmp_path / "bad.rml").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_rml(tmp_path / "bad.rml")
    said = str(error.value).splitlines()
    if case == "no source":  # where every parameter of the source is wrong
        assert said.pop(0) == f"{len(said)} things are wrong:" and len(said) > 1
    else:
        assert len(said) == 1
    assert all("bad.rml" in one for one in said)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.rml: cannot be read"):
        read_rml(tmp_path / "none.rml")


SWITCHED = {  # what makes others count
    "slopeError": Param("0", {}), "reflectivityType": Param("1", {}), "lineSpacing": Param("1", {}),
    "designType": Param("0", {}),
}  # fmt: skip


@pytest.mark.parametrize("id_", sorted(MODELLED))
def test_what_is_not_modelled_is_refused_by_name(id_):
    type_ = next(t for t, parameters in OBJECTS.items() if id_ in parameters)
    words = {**OBJECTS[type_][id_].words, 99: "new"}
    choice = next(k for k in words if k not in MODELLED[id_])
    params = dict(SWITCHED)
    element = Element("A", type_, {**params, id_: Param(str(choice), {"enabled": "T"})})
    if choice == 99:
        pytest.skip("all choices that RAY-UI offers are modelled")
    sentence = next(s for s in not_modelled((element,), "x.rml") if id_ in s)
    assert re.search(rf"x.rml:0: {type_} 'A', parameter '{id_}'.*not modelled", sentence)


@pytest.mark.parametrize("id_", ZERO_ONLY)
def test_what_must_be_zero_is_named(id_):
    type_ = next(t for t, parameters in OBJECTS.items() if id_ in parameters)
    params = {**SWITCHED, id_: Param("0.5", {"enabled": "T"})}
    (sentence,) = not_modelled((Element("A", type_, params),), "x.rml")
    assert f"parameter '{id_}': 0.5 is not modelled" in sentence


@pytest.mark.parametrize("id_", MODELLED)
def test_choices_that_are_not_modelled_are_named(id_):
    type_, kind = next((t, p[id_]) for t, p in OBJECTS.items() if id_ in p)
    others = sorted(set(kind.words) - MODELLED[id_])
    for value in others:
        others = dict(SWITCHED)
        params = others | {id_: Param(str(value), {"enabled": "T"})}
        (sentence,) = not_modelled((Element("A", type_, params),), "x.rml")
        assert f"parameter {id_!r}: {value} ({kind.words[value]}) is not modelled" in sentence


def test_not_modelled_is_an_error_or_a_warning(tmp_path):
    path = tmp_path / "profile.rml"
    path.write_text(edited('(id="profileKind"[^>]*)>2<', r"\1>1<"))
    with pytest.raises(InputError, match=r"'M1', parameter 'profileKind': 1.*not modelled"):
        compile_beamline(read_rml(path))
    with pytest.warns(UserWarning, match="'M1', parameter 'profileKind': 1"):
        beamline = read_rml(path, unmodelled="warn")
    compile_beamline(beamline)


def test_unknown_parameters_are_an_error_or_a_warning_or_greyed_out(tmp_path):
    path = tmp_path / "new.rml"
    path.write_text(edited('id="cFactor"', 'id="cFaktor"'))
    with pytest.warns(UserWarning, match="'G', parameter 'cFaktor'"):
        read_rml(path, unmodelled="warn")
    path.write_text(TEXT.replace(
        '<param id="cFactor"', '<param id="new" enabled="F">x</param><param id="cFactor"'
    ))  # fmt: skip
    assert read_rml(path)["G"].params["new"].text == "x"


def test_hc_is_told_by_the_stored_angle(ue112):
    assert hc_of(ue112) == HC
    old = refresh(replace(ue112, hc=HC_OLD))
    assert old["G"].number("alpha") != ue112["G"].number("alpha")
    assert hc_of(replace(old, hc=None)) == HC_OLD
    assert hc_of(with_values(replace(old, hc=None), {"G.cFactor": 2.0})) == HC_OLD


def test_a_parameter_has_one_value(ue112):
    with pytest.raises(InputError, match="is given twice"):
        compile_beamline(ue112, ["M1.rotationXerror"] * 2, [[0.0, 1.0]])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("M9.radius", "no element 'M9'; the beamline has UE112, AP, M1"),
        ("M1.rotationWerror", "'M1' has no numeric parameter 'rotationWerror'"),
        ("M1", "write it as ELEMENT.PARAMETER"),
        ("M2.grazingIncAngle", "does not depend on it"),
        ("M1.totalWidthB", "does not depend on it"),
    ],
)
def test_bad_parameter_names(name, message, ue112):
    with pytest.raises(InputError, match=message):
        compile_beamline(ue112, [name], [[0.0]])


@pytest.mark.parametrize(
    ("theta", "message"), [([[1.0, 2.0]], "must be"), ([[np.nan]], "NaN"), ([1.0], "must be")]
)
def test_bad_theta(theta, message, ue112):
    with pytest.raises(InputError, match=message):
        compile_beamline(ue112, ["M1.rotationXerror"], theta)


def test_evanescent_order(ue112):
    with pytest.raises(InputError, match="no diffracted beam"):
        with_values(ue112, {"G.lineDensity": 4e6})
