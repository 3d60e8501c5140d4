"""What RAY-UI derived and stored in its files, beside what follows here: to the printed digits."""

import warnings

import numpy as np
import pytest
from ray_ui_116 import TEXT, rml

from raybayes.beamline.derive import with_values
from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.rml import read_rml, write_rml
from raybayes.beamline.stored import (
    MOUNTED,
    agrees,
    computed,
    differences,
    is_derived,
)
from raybayes.beamline.trace import trace
from raybayes.errors import InputError

# Derived by RAY-UI and not computed here, and why.
LOOKED_UP = "from a table of RAY-UI's; the file's is taken"
SETTING = "a setting of RAY-UI's own solver or of its efficiencies, which are not computed"
GIVEN = "nothing in the file says what it would follow from; the file's is taken"
NOT_COMPUTED = {
    "densitySubstrate": LOOKED_UP,
    "densityCoating1": LOOKED_UP,
    "densityCoating2": LOOKED_UP,
    "densityTopLayer": LOOKED_UP,
    "multilayerFourierCoefficients": SETTING,
    "multilayerIntegrationSteps": SETTING,
    "azimuthalAngle": GIVEN,
    "grazingIncAngle": GIVEN,  # of mirrors that stand alone, in version 1.1
    "exitArmLength": GIVEN,
    "photonEnergy": GIVEN,  # of an undulator's file, which stayed with its owner
}
MORE_IN_116 = {
    "iterationDeltaZ": SETTING,
    "iterationNumberOfSteps": SETTING,
    "atomicWeightSubstrate": LOOKED_UP,
    "atomicWeightCoating1": LOOKED_UP,
    "coatingThicknessRatio": "the one file has a single layer, which does not show the formula",
    "sourcePathLength": "of pulses, which are not modelled",
    "phaseJitter": "of pulses, which are not modelled",
    "sourcePhotonEnergy": "of followingMode, which is not modelled",
}
# World coordinates of these were left behind by a script that set other parameters.
EDITED = {"dipole_beamline"}
FOUND_ELSEWHERE = pytest.mark.filterwarnings("ignore:.*its stored world coordinates are not")


def derived(beamline):
    """Every value that RAY-UI derived: element, id, ours or None."""
    compiled = compile_beamline(beamline)
    for element in beamline.elements:
        ours = computed(beamline, element, compiled)
        for id_ in element.params:
            if is_derived(element, id_) and not id_.startswith("world"):
                yield element, id_, ours.get(id_)


def files(shared):
    return sorted([*(shared / "rayui").glob("*.rml"), *(shared / "metrix").glob("*.rml")])


def lenient(path):
    """The undulator's file of this one stayed with its owner."""
    return read_rml(path, "warn" if path.stem == "UE48-PGM-CAT" else "error")


@FOUND_ELSEWHERE
@pytest.mark.filterwarnings("ignore:.*the file.*is not there")
def test_every_stored_value_of_public_files_is_reproduced_or_listed(shared):
    compared, left = 0, set()
    for path in files(shared):
        for element, id_, value in derived(lenient(path)):
            if value is None:
                left.add(id_)
            else:
                compared += 1
                assert agrees(element, id_, value), (path.name, element.name, id_, value)
    assert len(files(shared)) > 25 and compared > 70
    assert left == {*NOT_COMPUTED}


@FOUND_ELSEWHERE
@pytest.mark.filterwarnings("ignore:.*the file.*is not there")
def test_distances_of_sx700_premirrors_are_those_of_ray_uis_search(shared):
    """Its own world coordinates show that it does not meet the height: 20.0000005972 for 20 mm."""
    off = []
    for path in files(shared):
        for element, id_, value in derived(lenient(path)):
            if id_ in MOUNTED[1:] and element.number("systemMount") == 1:
                off.append(abs(element.number(id_) - value))
    assert len(off) > 10 and 1e-6 < max(off) < 3e-3  # mm


def stands(beamline, compiled):
    """How far off the stored world coordinates are: mm, and of directions."""
    for i, element in enumerate(beamline.elements):
        if "worldPosition" in element.params and element.number("systemMount") != 1:
            position, *axes = (
                np.array(element.params[id_].text, float)
                for id_ in ("worldPosition", *(f"world{a}direction" for a in "XYZ"))
            )
            yield (
                np.abs(position - compiled.origins[0, i]).max(),
                np.abs(np.stack(axes, axis=1) - compiled.axes[0, i]).max(),
            )


@FOUND_ELSEWHERE
@pytest.mark.filterwarnings("ignore:.*the file.*is not there")
def test_world_coordinates_of_public_files_are_those_that_follow(shared):
    """Behind an SX700 premirror to what its searched distance leaves."""
    checked = 0
    for path in files(shared):
        beamline = lenient(path)
        compiled = compile_beamline(beamline)
        searched = any(e.number("systemMount") == 1 for e in beamline.elements)
        for off, turned in () if path.stem in EDITED else stands(beamline, compiled):
            assert off < (1e-3 if searched else 1e-11) and turned < 1e-13, path
            checked += 1
    assert checked > 80


def test_what_a_script_left_behind_is_reported(shared):
    with pytest.warns(UserWarning, match="'PG': its stored world coordinates are not those"):
        read_rml(shared / "rayui" / "dipole_beamline.rml")


def test_a_value_that_does_not_follow_is_reported(shared, tmp_path):
    text = (shared / "rayui" / "toroid.rml").read_text()
    before, _, rest = text.partition('id="longRadius"')
    value = rest[rest.index(">") + 1 : rest.index("<")]
    path = tmp_path / "edited.rml"
    path.write_text(before + 'id="longRadius"' + rest.replace(value, "12345.678", 1))
    with pytest.warns(UserWarning, match=r"'longRadius': the file has 12345.678, but"):
        read_rml(path)
    path.write_text(before + 'id="longRadius"' + rest.replace(value, value[:8], 1))  # fewer digits
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_rml(path)


# --- version 1.16 --------------------------------------------------------------------------------


def beamline_116(folder, text=TEXT, version="1.16"):
    path = folder / "b116.rml"
    path.write_text(rml(text, version), encoding="utf-8")
    return read_rml(path)


def test_version_116_as_ray_ui_writes_it(tmp_path):
    """It reads without a word: every unit, every unmarked value, and all of RAY-UI's numbers."""
    beamline = beamline_116(tmp_path)
    compared = 0
    for element, id_, value in derived(beamline):
        if value is None:
            assert id_ in NOT_COMPUTED | MORE_IN_116, id_
        else:
            assert agrees(element, id_, value), (element.name, id_, value)
            compared += 1
    assert compared > 50
    rays = trace(beamline, 20_000)
    assert 0.05 < rays.transmission < 0.5
    write_rml(beamline, tmp_path / "again.rml")
    assert 'uuid="28b8291e-KB1"' in (tmp_path / "again.rml").read_text()
    assert read_rml(tmp_path / "again.rml").elements == beamline.elements


def test_a_set_value_leaves_nothing_behind(tmp_path):
    """What is shown follows, and the file that is written reads without a word."""
    changed = with_values(beamline_116(tmp_path), {"Dipole.photonEnergy": 1000})
    assert changed.source.number("photonWavelength") == pytest.approx(1.23984, abs=1e-5)
    assert changed["PG"].number("grazingBeta") == pytest.approx(3.410398449016924, abs=1e-9)
    assert changed["PremirrorM2"].number("alpha1") == pytest.approx(0.04166, abs=1e-6)
    write_rml(changed, tmp_path / "set.rml")
    assert read_rml(tmp_path / "set.rml").elements == changed.elements


SHOWN = [
    ("photonWavelength", "0.729319", "0.7294"),
    ("totalPowerWatt", "16.2195", "16.3"),
    ("critEnergy", "2.50539", "2505"),
    ("grazingBeta", "2.615573507344962", "2.6155736"),
    ("RxyUpstreamEdge", "47.751", "47.752"),
    ("tangentAngleEllipsoid", "0.421983", "-0.421983"),
    ("virtualSourceDistance", "625", "626"),
    ("grooveTop", "0.291667", "0.28"),
    ("shortHalfAxisC", "inf", "51"),
    ("alpha1", "0.0319526", "0.033"),
]


@pytest.mark.parametrize("id_, true, wrong", SHOWN)
def test_a_shown_value_that_does_not_follow_is_reported(id_, true, wrong, tmp_path):
    text = TEXT.replace(f"{id_} {true} ", f"{id_} {wrong} ")
    with pytest.warns(UserWarning, match=f"parameter {id_!r}: the file has {wrong}, but"):
        beamline_116(tmp_path, text)


def test_fewer_digits_are_no_difference(tmp_path):
    assert not differences(beamline_116(tmp_path, TEXT.replace("16.2195 . W", "16.2 . W")))


def test_what_is_shown_may_not_be_set(tmp_path):
    text = TEXT.replace("grazingAlpha 1.045924147474963 auto", "grazingAlpha 1.05 hand")
    with pytest.raises(InputError, match="'grazingAlpha': a Plane Grating has no such parameter"):
        beamline_116(tmp_path, text)


def test_an_unmarked_value_that_is_not_known_is_named(tmp_path):
    text = TEXT.replace("phaseJitter 0 .", "phaseJitter 0 .; beamBrightness 3 . T")
    with pytest.warns(UserWarning, match="'beamBrightness': it is not known here; as RAY-UI"):
        beamline = beamline_116(tmp_path, text)
    assert beamline.source.params["beamBrightness"].text == "3"


UNMODELLED = [
    ("gratingMount 0 +", "gratingMount 1 +", "'gratingMount': 1 .* beside elementMovement is not"),
    ("elementMovement 3", "elementMovement 1", r"'elementMovement': 1 \(not known here\) is not"),
    ("angleDefinition 0", "angleDefinition 1", "'angleDefinition': 1"),
    ("followingMode 0", "followingMode 1", "'followingMode': 1"),
    ("fullEfficiency 0", "fullEfficiency 1", "'fullEfficiency': 1"),
    ("nextElementPositioning 0", "nextElementPositioning 1", "'nextElementPositioning': 1"),
]


@pytest.mark.parametrize("old, new, message", UNMODELLED)
def test_what_would_change_the_light_is_refused(old, new, message, tmp_path):
    beamline = beamline_116(tmp_path, TEXT.replace(old, new))
    with pytest.raises(InputError, match=f"{message}.*--allow-unmodelled"):
        compile_beamline(beamline)
